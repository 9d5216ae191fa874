/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of json.h: jansson parses, the result is copied into the arena and jansson's freed.
 * Several names mean one thing to jansson and another to us, so its own are given other names
 * while its header is read; none of the renamed functions is used. */
#define JSON_OBJECT  JANSSON_OBJECT
#define JSON_ARRAY   JANSSON_ARRAY
#define JSON_STRING  JANSSON_STRING
#define JSON_INTEGER JANSSON_INTEGER
#define JSON_REAL    JANSSON_REAL
#define JSON_TRUE    JANSSON_TRUE
#define JSON_FALSE   JANSSON_FALSE
#define JSON_NULL    JANSSON_NULL
#define json_string  jansson_string
#define json_null    jansson_null
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_REAL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL
#undef json_string
#undef json_null

#include "base/json.h"

enum { JSON_SIZE_MAX = 16 << 20, JSON_NESTING_MAX = 100 };

/* The deepest nesting of brackets outside of texts. Wrong JSON may give any number. */
static uint32_t json_nesting(struct slice text)
{
    uint32_t depth = 0, deepest = 0;
    bool in_text = false;

    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];

        if (in_text && c == '\\')
            i++;
        else if (c == '"')
            in_text = !in_text;
        else if (!in_text && (c == '[' || c == '{'))
            depth++;
        else if (!in_text && (c == ']' || c == '}') && depth > 0)
            depth--;
        if (depth > deepest)
            deepest = depth;
    }
    return deepest;
}

static enum err json_convert(struct arena *arena, json_t *from, struct json_value *to);

static enum err json_convert_text(struct arena *arena, struct slice text, struct slice *out)
{
    *out = arena_copy(arena, text);
    return out->data == NULL ? ERR_LIMIT : ERR_OK;
}

static enum err json_convert_array(struct arena *arena, json_t *from, struct json_value *to)
{
    to->kind = JSON_ARRAY;
    to->count = (uint32_t)json_array_size(from);
    to->items = ARENA_ARRAY(arena, struct json_value, to->count);
    if (to->items == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < to->count; i++) {
        const enum err err = json_convert(arena, json_array_get(from, i), &to->items[i]);

        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err json_convert_object(struct arena *arena, json_t *from, struct json_value *to)
{
    uint32_t i = 0;

    to->kind = JSON_OBJECT;
    to->count = (uint32_t)json_object_size(from);
    to->members = ARENA_ARRAY(arena, struct json_entry, to->count);
    if (to->members == NULL)
        return ERR_LIMIT;
    for (void *at = json_object_iter(from); at != NULL; at = json_object_iter_next(from, at)) {
        struct json_entry *entry = &to->members[i++];
        const struct slice key = slice_of(json_object_iter_key(at), json_object_iter_key_len(at));
        enum err err = json_convert_text(arena, key, &entry->key);

        if (err == ERR_OK)
            err = json_convert(arena, json_object_iter_value(at), &entry->value);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* Recursive: json_nesting has bounded the depth. */
static enum err json_convert(struct arena *arena, json_t *from, struct json_value *to)
{
    switch (json_typeof(from)) {
    case JANSSON_OBJECT:
        return json_convert_object(arena, from, to);
    case JANSSON_ARRAY:
        return json_convert_array(arena, from, to);
    case JANSSON_STRING:
        to->kind = JSON_STRING;
        return json_convert_text(arena, slice_of(json_string_value(from), json_string_length(from)),
                                 &to->text);
    case JANSSON_INTEGER:
        to->kind = JSON_INT;
        to->i = json_integer_value(from);
        return ERR_OK;
    case JANSSON_REAL:
        to->kind = JSON_DOUBLE;
        to->d = json_real_value(from);
        return ERR_OK;
    case JANSSON_TRUE:
    case JANSSON_FALSE:
        to->kind = JSON_BOOL;
        to->b = json_typeof(from) == JANSSON_TRUE;
        return ERR_OK;
    case JANSSON_NULL:
        break;
    }
    to->kind = JSON_NULL;
    return ERR_OK;
}

/* Whole numbers beyond 64 bits are legal JSON: a text that has one is read with doubles for all. */
static json_t *json_load(struct slice text, json_error_t *error)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *doc = json_loadb(text.len > 0 ? text.data : "", text.len, flags, error);

    if (doc == NULL && json_error_code(error) == json_error_numeric_overflow)
        doc = json_loadb(text.data, text.len, flags | JSON_DECODE_INT_AS_REAL, error);
    return doc;
}

enum err json_parse(struct arena *arena, struct slice text, const struct json_options *options,
                    struct json_value **root, struct err_info *info)
{
    const uint32_t size_max =
        options != NULL && options->size_max != 0 ? options->size_max : JSON_SIZE_MAX;
    json_error_t error;
    struct json_value *value;
    enum err err;
    json_t *doc;

    if (text.len > size_max)
        return err_set(info, ERR_TOO_LARGE, "JSON of %zu bytes exceeds the limit of %u", text.len,
                       size_max);
    if (json_nesting(text) > JSON_NESTING_MAX)
        return err_set(info, ERR_LIMIT, "JSON is nested more than %d levels deep",
                       JSON_NESTING_MAX);
    doc = json_load(text, &error);
    if (doc == NULL)
        return err_set(info, ERR_BAD_INPUT, "line %d: %s", error.line, error.text);
    value = ARENA_NEW(arena, struct json_value);
    err = value == NULL ? ERR_LIMIT : json_convert(arena, doc, value);
    json_decref(doc);
    if (err != ERR_OK)
        return err_set(info, err, "no memory left for JSON of %zu bytes", text.len);
    *root = value;
    return ERR_OK;
}

const struct json_value *json_find(const struct json_value *value, const char *key)
{
    if (value == NULL || value->kind != JSON_OBJECT)
        return NULL;
    for (uint32_t i = 0; i < value->count; i++) {
        if (slice_eq_cstr(value->members[i].key, key))
            return &value->members[i].value;
    }
    return NULL;
}
