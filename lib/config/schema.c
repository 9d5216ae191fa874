/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/regex.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "config/scalar.h"

enum { PATH_SIZE_MAX = 4096 };

/* ---- errors ---- */

enum err schema_fail(struct schema_ctx *ctx, const struct schema_value *value, const char *format,
                     ...)
{
    char text[ERR_MESSAGE_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (value == NULL || value->line == 0)
        return ctx->file.len == 0
                   ? err_set(ctx->info, ERR_BAD_INPUT, "%s", text)
                   : err_set(ctx->info, ERR_BAD_INPUT, "%.*s: %s", SLICE_ARG(ctx->file), text);
    if (ctx->file.len == 0)
        return err_set(ctx->info, ERR_BAD_INPUT, "line %u: %s", value->line, text);
    return err_set(ctx->info, ERR_BAD_INPUT, "%.*s:%u: %s", SLICE_ARG(ctx->file), value->line,
                   text);
}

static enum err schema_no_room(struct schema_ctx *ctx)
{
    return err_set(ctx->info, ERR_LIMIT, "configuration is too large");
}

/* ---- scalars ---- */

static enum err load_int(struct schema_ctx *ctx, struct schema_value *value, struct slice text)
{
    double number;

    if (number_parse_int64(text, &value->i) == ERR_OK)
        return ERR_OK;
    if (number_parse_double(text, &number) == ERR_OK && number > -0x1p62 && number < 0x1p62) {
        value->i = (int64_t)number;
        return ERR_OK;
    }
    return schema_fail(ctx, value, "%s: \"%.*s\" is no whole number", value->field->key,
                       SLICE_ARG(text));
}

static enum err load_uint(struct schema_ctx *ctx, struct schema_value *value, struct slice text)
{
    double number;

    if (number_parse_uint64(text, &value->u) == ERR_OK)
        return ERR_OK;
    if (number_parse_double(text, &number) == ERR_OK && number >= 0 && number < 0x1p63) {
        value->u = (uint64_t)number;
        return ERR_OK;
    }
    return schema_fail(ctx, value, "%s: \"%.*s\" is no whole number of 0 or more",
                       value->field->key, SLICE_ARG(text));
}

static enum err load_enum(struct schema_ctx *ctx, struct schema_value *value, struct slice text)
{
    char format[ERR_MESSAGE_SIZE];
    const char *mark = strstr(value->field->word_error, "%.*s");

    for (const char *const *word = value->field->words; *word != NULL; word++)
        if (slice_eq_cstr(text, *word))
            return ERR_OK;
    ASSERT(mark != NULL);
    snprintf(format, sizeof(format), "%.*s%.*s%s", (int)(mark - value->field->word_error),
             value->field->word_error, SLICE_ARG(text), mark + strlen("%.*s"));
    return schema_fail(ctx, value, "%s", format);
}

static enum err load_path(struct schema_ctx *ctx, struct schema_value *value, struct slice text)
{
    if (text.len == 0 || text.data[0] == '/' || ctx->dir.len == 0)
        return ERR_OK;
    if (text.len + ctx->dir.len >= PATH_SIZE_MAX)
        return schema_fail(ctx, value, "%s: path is too long", value->field->key);
    value->text = arena_printf(ctx->arena, "%.*s/%.*s", SLICE_ARG(ctx->dir), SLICE_ARG(text));
    return value->text.data == NULL ? schema_no_room(ctx) : ERR_OK;
}

static enum err load_regex(struct schema_ctx *ctx, struct schema_value *value, struct slice text)
{
    struct err_info info = {0};
    struct regex *regex;
    enum err err = regex_new(text, &regex, &info);

    if (err != ERR_OK)
        return schema_fail(ctx, value, "%s", err_message(err, &info));
    regex_free(regex);
    return ERR_OK;
}

/* Sets the typed part of a scalar from its text. */
static enum err load_text(struct schema_ctx *ctx, struct schema_value *value, struct slice text)
{
    struct err_info info = {0};
    struct scalar_url url;
    enum err err = ERR_OK;

    value->text = text;
    switch (value->field->kind) {
    case SCHEMA_INT:
        return load_int(ctx, value, text);
    case SCHEMA_UINT:
        return load_uint(ctx, value, text);
    case SCHEMA_FLOAT:
        err = number_parse_double(text, &value->f);
        break;
    case SCHEMA_DURATION:
        err = time_text_parse_duration(text, &value->i, &info);
        break;
    case SCHEMA_SIZE:
        err = scalar_parse_size(text, &value->i, &info);
        break;
    case SCHEMA_URL:
        err = scalar_parse_url(text, &url, &info);
        break;
    case SCHEMA_ENUM:
        return load_enum(ctx, value, text);
    case SCHEMA_PATH:
        return load_path(ctx, value, text);
    case SCHEMA_REGEX:
        return load_regex(ctx, value, text);
    case SCHEMA_BOOL:
        value->b = slice_eq(text, SLICE("true"));
        break;
    case SCHEMA_STRING:
    case SCHEMA_SECRET:
    case SCHEMA_LABEL:
    case SCHEMA_ANY:
    case SCHEMA_STRUCT:
        break;
    }
    if (err == ERR_OK)
        return ERR_OK;
    return schema_fail(ctx, value, "%s: %s", value->field->key,
                       info.message[0] != 0 ? info.message : "is no number");
}

static const char *kind_name(const struct yaml_node *node)
{
    switch (node->kind) {
    case YAML_LIST:
        return "a list";
    case YAML_MAP:
        return "a mapping";
    case YAML_NULL:
    case YAML_SCALAR:
        break;
    }
    return "a single value";
}

/* Takes over position and nullness of a node. True if there is content to read. */
static bool place(struct schema_value *value, const struct yaml_node *node)
{
    value->node = node;
    value->line = node->line;
    value->is_null = node->kind == YAML_NULL;
    value->is_set = true;
    return !value->is_null;
}

static enum err load_scalar(struct schema_ctx *ctx, const struct yaml_node *node,
                            struct schema_value *value)
{
    if (value->field->kind == SCHEMA_ANY || !place(value, node)) {
        place(value, node);
        return ERR_OK;
    }
    if (node->kind != YAML_SCALAR)
        return schema_fail(ctx, value, "%s: expected a single value, found %s", value->field->key,
                           kind_name(node));
    if (value->field->kind == SCHEMA_BOOL) {
        value->text = node->text;
        if (yaml_get_bool(node, &value->b, NULL) != ERR_OK)
            return schema_fail(ctx, value, "%s: \"%.*s\" is neither true nor false",
                               value->field->key, SLICE_ARG(node->text));
        return ERR_OK;
    }
    return load_text(ctx, value, node->text);
}

/* ---- structs ---- */

static enum err load_struct(struct schema_ctx *ctx, const struct yaml_node *node,
                            struct schema_value *value);

/* Makes the values of a struct's fields, each zero and not set. */
static enum err make_fields(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct schema_type *type = value->type;

    value->items = ARENA_ARRAY(ctx->arena, struct schema_value, type->field_count);
    if (value->items == NULL)
        return schema_no_room(ctx);
    value->count = type->field_count;
    for (uint32_t i = 0; i < type->field_count; i++) {
        value->items[i].field = &type->fields[i];
        value->items[i].type = type->fields[i].type;
        value->items[i].shape = type->fields[i].shape;
        value->items[i].line = value->line;
    }
    return ERR_OK;
}

/* A struct that is there but has only zeros (from null), or only defaults. */
static enum err fill_struct(struct schema_ctx *ctx, struct schema_value *value, bool defaults)
{
    enum err err = make_fields(ctx, value);

    for (uint32_t i = 0; err == ERR_OK && i < value->count; i++) {
        struct schema_value *item = &value->items[i];

        if (item->shape != SCHEMA_ONE)
            continue;
        if (item->field->kind == SCHEMA_STRUCT) {
            if ((item->field->flags & SCHEMA_OPTIONAL) == 0)
                err = fill_struct(ctx, item, defaults);
        } else if (defaults && item->field->value != NULL) {
            item->is_set = true;
            err = load_text(ctx, item, slice_from_cstr(item->field->value));
        }
    }
    return err;
}

static enum err load_one(struct schema_ctx *ctx, const struct yaml_node *node,
                         struct schema_value *value)
{
    return value->field->kind == SCHEMA_STRUCT ? load_struct(ctx, node, value)
                                               : load_scalar(ctx, node, value);
}

static void element_init(struct schema_value *element, const struct schema_value *list)
{
    element->field = list->field;
    element->type = list->type;
    element->shape = list->shape == SCHEMA_MAP_LIST ? SCHEMA_LIST : SCHEMA_ONE;
    element->line = list->line;
}

static enum err load_list(struct schema_ctx *ctx, const struct yaml_node *node,
                          struct schema_value *value)
{
    if (!place(value, node))
        return ERR_OK;
    if (node->kind != YAML_LIST)
        return schema_fail(ctx, value, "%s: expected a list, found %s", value->field->key,
                           kind_name(node));
    value->items = ARENA_ARRAY(ctx->arena, struct schema_value, node->count);
    if (value->items == NULL)
        return schema_no_room(ctx);
    value->count = node->count;
    for (uint32_t i = 0; i < node->count; i++) {
        enum err err;

        element_init(&value->items[i], value);
        err = load_one(ctx, node->items[i], &value->items[i]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const struct schema_value *x = a, *y = b;

    return slice_cmp(x->key, y->key);
}

static enum err load_map(struct schema_ctx *ctx, const struct yaml_node *node,
                         struct schema_value *value)
{
    if (!place(value, node))
        return ERR_OK;
    if (node->kind != YAML_MAP)
        return schema_fail(ctx, value, "%s: expected a mapping, found %s", value->field->key,
                           kind_name(node));
    value->items = ARENA_ARRAY(ctx->arena, struct schema_value, node->count);
    if (value->items == NULL)
        return schema_no_room(ctx);
    value->count = node->count;
    for (uint32_t i = 0; i < node->count; i++) {
        struct schema_value *item = &value->items[i];
        enum err err;

        element_init(item, value);
        item->key = node->entries[i].key;
        item->line = node->entries[i].line;
        err = item->shape == SCHEMA_LIST ? load_list(ctx, node->entries[i].value, item)
                                         : load_one(ctx, node->entries[i].value, item);
        if (err != ERR_OK)
            return err;
    }
    if (value->count > 1) /* printed in this order */
        qsort(value->items, value->count, sizeof(*value->items), compare_keys);
    return ERR_OK;
}

static enum err load_shape(struct schema_ctx *ctx, const struct yaml_node *node,
                           struct schema_value *value)
{
    switch (value->shape) {
    case SCHEMA_LIST:
        return load_list(ctx, node, value);
    case SCHEMA_MAP:
    case SCHEMA_MAP_LIST:
        return load_map(ctx, node, value);
    case SCHEMA_ONE:
        break;
    }
    return load_one(ctx, node, value);
}

static struct schema_value *find_field(const struct schema_value *value, struct slice key)
{
    for (uint32_t i = 0; i < value->count; i++)
        if (slice_eq_cstr(key, value->items[i].field->key))
            return &value->items[i];
    return NULL;
}

static enum err load_struct(struct schema_ctx *ctx, const struct yaml_node *node,
                            struct schema_value *value)
{
    enum err err;

    if (!place(value, node))
        return fill_struct(ctx, value, false);
    if (node->kind != YAML_MAP)
        return schema_fail(ctx, value, "%s: expected a mapping, found %s",
                           value->field != NULL ? value->field->key : value->type->name,
                           kind_name(node));
    err = fill_struct(ctx, value, true);
    for (uint32_t i = 0; err == ERR_OK && i < node->count; i++) {
        const struct yaml_entry *entry = &node->entries[i];
        struct schema_value *field = find_field(value, entry->key);

        if (field == NULL) {
            const struct schema_value at = {.line = entry->line};

            return schema_fail(ctx, &at, "field %.*s not found in %s", SLICE_ARG(entry->key),
                               value->type->name);
        }
        *field = (struct schema_value){
            .field = field->field, .type = field->type, .shape = field->shape};
        err = load_shape(ctx, entry->value, field);
        field->line = entry->line;
    }
    if (err == ERR_OK && value->type->check != NULL)
        err = value->type->check(ctx, value);
    return err;
}

enum err schema_load(struct schema_ctx *ctx, const struct schema_type *type,
                     const struct yaml_node *node, struct schema_value *value)
{
    *value = (struct schema_value){.type = type};
    if (node->kind == YAML_NULL) { /* an empty file has its defaults, and they are checked */
        enum err err;

        value->line = 1;
        value->is_set = true;
        err = fill_struct(ctx, value, true);
        return err == ERR_OK && type->check != NULL ? type->check(ctx, value) : err;
    }
    return load_struct(ctx, node, value);
}

/* ---- reading the tree ---- */

struct schema_value *schema_get(const struct schema_value *value, const char *key)
{
    struct schema_value *field = find_field(value, slice_from_cstr(key));

    ASSERT(field != NULL);
    return field;
}

struct slice schema_text(const struct schema_value *value, const char *key)
{
    return schema_get(value, key)->text;
}

bool schema_bool(const struct schema_value *value, const char *key)
{
    return schema_get(value, key)->b;
}

int64_t schema_int(const struct schema_value *value, const char *key)
{
    return schema_get(value, key)->i;
}

bool schema_is_zero(const struct schema_value *value)
{
    if (value->shape != SCHEMA_ONE)
        return value->count == 0;
    if (value->field != NULL && (value->field->flags & SCHEMA_POINTER) != 0)
        return !value->is_set || value->is_null;
    switch (value->field != NULL ? value->field->kind : SCHEMA_STRUCT) {
    case SCHEMA_BOOL:
        return !value->b;
    case SCHEMA_INT:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
    case SCHEMA_UINT:
        return value->i == 0;
    case SCHEMA_FLOAT:
        return value->f == 0;
    case SCHEMA_ANY:
        return value->node == NULL || value->is_null;
    case SCHEMA_STRUCT:
        if (value->field != NULL && (value->field->flags & SCHEMA_OPTIONAL) != 0)
            return !value->is_set || value->is_null;
        for (uint32_t i = 0; i < value->count; i++)
            if (!schema_is_zero(&value->items[i]))
                return false;
        return true;
    case SCHEMA_STRING:
    case SCHEMA_SECRET:
    case SCHEMA_PATH:
    case SCHEMA_URL:
    case SCHEMA_ENUM:
    case SCHEMA_REGEX:
    case SCHEMA_LABEL:
        break;
    }
    return value->text.len == 0;
}

bool schema_has(const struct schema_value *value, const char *key)
{
    return !schema_is_zero(schema_get(value, key));
}

bool schema_is_default(const struct schema_value *value)
{
    const struct schema_field *field = value->field;

    if (value->node == NULL && value->is_set && field->kind != SCHEMA_STRUCT)
        return true;
    if (field->kind == SCHEMA_BOOL && field->value == NULL) /* SCHEMA_POINTER too */
        return !value->b;
    if (value->shape != SCHEMA_ONE || field->value == NULL) {
        if (field->kind == SCHEMA_STRUCT && value->shape == SCHEMA_ONE &&
            (field->flags & SCHEMA_OPTIONAL) == 0) {
            for (uint32_t i = 0; i < value->count; i++)
                if (!schema_is_default(&value->items[i]))
                    return false;
            return true;
        }
        return schema_is_zero(value);
    }
    if (field->kind == SCHEMA_BOOL)
        return value->b == (strcmp(field->value, "true") == 0);
    return slice_eq_cstr(value->text, field->value);
}

enum err schema_set(struct schema_ctx *ctx, struct schema_value *value, const char *text)
{
    const char *copy = arena_copy_cstr(ctx->arena, slice_from_cstr(text));

    if (copy == NULL)
        return schema_no_room(ctx);
    value->is_set = true;
    value->is_null = false;
    return load_text(ctx, value, slice_from_cstr(copy));
}

void schema_inherit(struct schema_value *value, const struct schema_value *from)
{
    const struct schema_value own = *value;

    if (!schema_is_zero(value))
        return;
    *value = *from;
    value->field = own.field;
    value->node = own.node;
    value->line = own.line;
    value->key = own.key;
}
