/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml makes a document of nodes; this file turns it into our tree. Aliases of one anchor share
 * one node there and here, so memory stays small whatever they multiply to; what a walk over the
 * tree would meet is counted apart (struct yaml_slot.size) and limited, which is what stops a
 * "billion laughs". */
#include "base/yaml.h"

#include <stdio.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/number.h"

enum {
    YAML_SIZE_MAX = 16 << 20,
    YAML_DEPTH_MAX = 100,
    YAML_NODE_MAX = 1000000,
    YAML_TEXT_SHOWN = 60, /* bytes of a wrong value that a message repeats */
};

/* Per node of the document: what it became. */
struct yaml_slot {
    struct yaml_node *node; /* NULL: not yet */
    uint64_t size;          /* nodes below and itself, aliases written out */
    bool open;              /* being converted: meeting it again is a cycle */
};

struct yaml_reader {
    struct arena *arena;
    struct yaml_options options;
    yaml_document_t doc;
    struct yaml_slot *slots; /* owned; by node number - 1 */
    struct err_info *info;
};

static void yaml_place(char *out, size_t size, const char *file, uint32_t line)
{
    if (file != NULL)
        snprintf(out, size, "%s:%u", file, line);
    else
        snprintf(out, size, "line %u", line);
}

static enum err yaml_fault_at(const char *file, uint32_t line, struct err_info *info,
                              const char *message)
{
    char place[ERR_MESSAGE_SIZE];

    yaml_place(place, sizeof(place), file, line);
    return err_set(info, ERR_BAD_INPUT, "%s: %s", place, message);
}

enum err yaml_error(const struct yaml_node *node, struct err_info *info, const char *format, ...)
{
    char message[ERR_MESSAGE_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    return yaml_fault_at(node->file, node->line, info, message);
}

enum err yaml_key_error(const struct yaml_node *map, const struct yaml_entry *entry,
                        struct err_info *info, const char *format, ...)
{
    char message[ERR_MESSAGE_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    return yaml_fault_at(map->file, entry->line, info, message);
}

static enum err yaml_no_room(struct yaml_reader *reader)
{
    return err_set(reader->info, ERR_LIMIT, "%s: no memory left for the file",
                   reader->options.file != NULL ? reader->options.file : "YAML");
}

/* ---- conversion ---- */

static enum err yaml_convert(struct yaml_reader *reader, int id, uint32_t depth);

static bool yaml_is_null_text(struct slice text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};

    for (size_t i = 0; i < COUNT_OF(nulls); i++) {
        if (slice_eq_cstr(text, nulls[i]))
            return true;
    }
    return false;
}

/* Base64 with line breaks left aside, as Go decodes it. False: it is none. */
static bool yaml_decode_base64(struct slice text, char *out, size_t *len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0, count = 0, pad_count = 0;

    *len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        const char *digit = memchr(digits, c, sizeof(digits) - 1);

        if (c == '\n' || c == '\r')
            continue;
        if (c == '=' ? count % 4 < 2 : digit == NULL || pad_count != 0)
            return false;
        pad_count += c == '=';
        bits = bits << 6 | (c == '=' ? 0 : (uint32_t)(digit - digits));
        if (++count % 4 != 0)
            continue;
        for (uint32_t j = 0; j < 3 - pad_count; j++)
            out[(*len)++] = (char)(bits >> (16 - 8 * j));
    }
    return count % 4 == 0 && pad_count <= 2;
}

static enum err yaml_convert_binary(struct yaml_reader *reader, struct slice text,
                                    struct yaml_node *to)
{
    char *bytes = arena_alloc(reader->arena, text.len + 1);

    if (bytes == NULL)
        return yaml_no_room(reader);
    to->kind = YAML_SCALAR;
    to->quoted = true;
    if (!yaml_decode_base64(text, bytes, &to->text.len))
        return yaml_error(to, reader->info, "!!binary value contains invalid base64 data");
    bytes[to->text.len] = 0;
    to->text.data = bytes;
    return ERR_OK;
}

static enum err yaml_convert_scalar(struct yaml_reader *reader, const yaml_node_t *from,
                                    struct yaml_node *to)
{
    const struct slice text = slice_of(from->data.scalar.value, from->data.scalar.length);
    const bool plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

    if (from->tag != NULL && strcmp((const char *)from->tag, "tag:yaml.org,2002:binary") == 0)
        return yaml_convert_binary(reader, text, to);
    to->quoted = !plain;
    to->kind = plain && yaml_is_null_text(text) ? YAML_NULL : YAML_SCALAR;
    to->text = arena_copy(reader->arena, text);
    return to->text.data == NULL ? yaml_no_room(reader) : ERR_OK;
}

/* Converts child `id` and adds its size to *size; too much is an error. */
static enum err yaml_convert_child(struct yaml_reader *reader, int id, uint32_t depth,
                                   uint64_t *size)
{
    const enum err err = yaml_convert(reader, id, depth + 1);

    if (err != ERR_OK)
        return err;
    *size += reader->slots[id - 1].size;
    if (*size > reader->options.node_max)
        return err_set(reader->info, ERR_LIMIT, "%s: more than %u nodes with aliases written out",
                       reader->options.file != NULL ? reader->options.file : "YAML",
                       reader->options.node_max);
    return ERR_OK;
}

static enum err yaml_convert_list(struct yaml_reader *reader, const yaml_node_t *from,
                                  struct yaml_node *to, uint32_t depth, uint64_t *size)
{
    const yaml_node_item_t *start = from->data.sequence.items.start;
    const size_t count = (size_t)(from->data.sequence.items.top - start);

    to->kind = YAML_LIST;
    to->items = ARENA_ARRAY(reader->arena, struct yaml_node *, count);
    if (to->items == NULL)
        return yaml_no_room(reader);
    for (size_t i = 0; i < count; i++) {
        const enum err err = yaml_convert_child(reader, start[i], depth, size);

        if (err != ERR_OK)
            return err;
        to->items[i] = reader->slots[start[i] - 1].node;
    }
    to->count = (uint32_t)count;
    return ERR_OK;
}

static const struct yaml_entry *yaml_find_entry(const struct yaml_node *map, struct slice key)
{
    for (uint32_t i = 0; i < map->count; i++) {
        if (slice_eq(map->entries[i].key, key))
            return &map->entries[i];
    }
    return NULL;
}

static int yaml_key_order(const void *left, const void *right)
{
    const struct yaml_entry *const *a = left;
    const struct yaml_entry *const *b = right;
    const int order = slice_cmp((*a)->key, (*b)->key);

    if (order != 0)
        return order;
    return *a < *b ? -1 : *a > *b;
}

/* Large maps are sorted to find duplicates: hostile files must not cost count squared. */
static enum err yaml_check_unique(struct yaml_reader *reader, const struct yaml_node *map)
{
    const struct yaml_entry **sorted;
    enum err err = ERR_OK;

    if (map->count < 2)
        return ERR_OK;
    sorted = mem_alloc(map->count * sizeof(*sorted));
    for (uint32_t i = 0; i < map->count; i++)
        sorted[i] = &map->entries[i];
    qsort(sorted, map->count, sizeof(*sorted), yaml_key_order);
    for (uint32_t i = 1; i < map->count && err == ERR_OK; i++) {
        if (slice_eq(sorted[i]->key, sorted[i - 1]->key))
            err = yaml_key_error(map, sorted[i], reader->info,
                                 "mapping key \"%.*s\" already defined at line %u",
                                 SLICE_ARG(sorted[i]->key), sorted[i - 1]->line);
    }
    mem_free(sorted);
    return err;
}

/* Adds the entries of `from` that `to` lacks. Both have room. */
static void yaml_merge_map(struct yaml_node *to, const struct yaml_node *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        if (yaml_find_entry(to, from->entries[i].key) != NULL)
            continue;
        to->entries[to->count] = from->entries[i];
        to->entries[to->count++].merged = true;
    }
}

/* The value of a merge key: a map, or a list of maps of which earlier ones win. */
static enum err yaml_merge(struct yaml_reader *reader, struct yaml_node *to,
                           const struct yaml_node *from)
{
    struct yaml_node *const one = (struct yaml_node *)(uintptr_t)from;
    struct yaml_node *const *maps = from->kind == YAML_LIST ? from->items : &one;
    const uint32_t map_count = from->kind == YAML_LIST ? from->count : 1;
    uint64_t room = to->count;

    for (uint32_t i = 0; i < map_count; i++) {
        if (maps[i]->kind != YAML_MAP)
            return yaml_error(from, reader->info,
                              "map merge requires map or sequence of maps as the value");
        room += maps[i]->count;
    }
    /* Merged entries are found one by one, so their number has a limit of its own. */
    if (room > 4096)
        return yaml_error(from, reader->info, "map merge of more than 4096 keys");
    to->entries = arena_grow(reader->arena, to->entries, to->count * sizeof(*to->entries),
                             (size_t)room * sizeof(*to->entries));
    if (to->entries == NULL)
        return yaml_no_room(reader);
    for (uint32_t i = 0; i < map_count; i++)
        yaml_merge_map(to, maps[i]);
    return ERR_OK;
}

static enum err yaml_convert_pair(struct yaml_reader *reader, const yaml_node_pair_t *pair,
                                  struct yaml_entry *entry, uint32_t depth, uint64_t *size)
{
    const struct yaml_node *key;
    enum err err = yaml_convert_child(reader, pair->key, depth, size);

    if (err == ERR_OK)
        err = yaml_convert_child(reader, pair->value, depth, size);
    if (err != ERR_OK)
        return err;
    key = reader->slots[pair->key - 1].node;
    if (key->kind == YAML_LIST || key->kind == YAML_MAP)
        return yaml_error(key, reader->info, "a mapping key must be a scalar");
    *entry = (struct yaml_entry){
        .key = key->text,
        .line = key->line,
        .column = key->column,
        .value = reader->slots[pair->value - 1].node,
    };
    return ERR_OK;
}

static bool yaml_is_merge_key(const struct yaml_reader *reader, const yaml_node_pair_t *pair)
{
    const struct yaml_node *key = reader->slots[pair->key - 1].node;

    return key->kind == YAML_SCALAR && !key->quoted && slice_eq_cstr(key->text, "<<");
}

static enum err yaml_convert_map(struct yaml_reader *reader, const yaml_node_t *from,
                                 struct yaml_node *to, uint32_t depth, uint64_t *size)
{
    const yaml_node_pair_t *start = from->data.mapping.pairs.start;
    const size_t count = (size_t)(from->data.mapping.pairs.top - start);
    const struct yaml_node *merged = NULL;
    enum err err;

    to->kind = YAML_MAP;
    to->entries = ARENA_ARRAY(reader->arena, struct yaml_entry, count);
    if (to->entries == NULL)
        return yaml_no_room(reader);
    for (size_t i = 0; i < count; i++) {
        struct yaml_entry *entry = &to->entries[to->count];

        err = yaml_convert_pair(reader, &start[i], entry, depth, size);
        if (err != ERR_OK)
            return err;
        if (!yaml_is_merge_key(reader, &start[i])) {
            to->count++;
            continue;
        }
        if (merged != NULL)
            return yaml_key_error(to, entry, reader->info, "a second merge key in one mapping");
        merged = entry->value;
    }
    err = yaml_check_unique(reader, to);
    if (err != ERR_OK || merged == NULL)
        return err;
    return yaml_merge(reader, to, merged);
}

/* Recursive: libyaml's nesting limit and depth_max bound it. */
static enum err yaml_convert(struct yaml_reader *reader, int id, uint32_t depth)
{
    struct yaml_slot *slot = &reader->slots[id - 1];
    const yaml_node_t *from = yaml_document_get_node(&reader->doc, id);
    struct yaml_node *to;
    enum err err = ERR_OK;

    if (slot->node != NULL && !slot->open)
        return ERR_OK;
    if (slot->open)
        return yaml_error(slot->node, reader->info, "an anchor's value contains itself");
    to = ARENA_NEW(reader->arena, struct yaml_node);
    if (to == NULL)
        return yaml_no_room(reader);
    to->line = (uint32_t)from->start_mark.line + 1;
    to->column = (uint32_t)from->start_mark.column + 1;
    to->file = reader->options.file;
    if (depth > reader->options.depth_max)
        return yaml_error(to, reader->info, "nested more than %u levels deep",
                          reader->options.depth_max);
    slot->node = to;
    slot->open = true;
    slot->size = 1;
    switch (from->type) {
    case YAML_SCALAR_NODE:
        err = yaml_convert_scalar(reader, from, to);
        break;
    case YAML_SEQUENCE_NODE:
        err = yaml_convert_list(reader, from, to, depth, &slot->size);
        break;
    case YAML_MAPPING_NODE:
        err = yaml_convert_map(reader, from, to, depth, &slot->size);
        break;
    case YAML_NO_NODE:
        to->kind = YAML_NULL;
        break;
    }
    slot->open = false;
    return err;
}

static enum err yaml_convert_doc(struct yaml_reader *reader, struct yaml_node **root)
{
    const yaml_node_t *first = yaml_document_get_root_node(&reader->doc);
    const size_t count = (size_t)(reader->doc.nodes.top - reader->doc.nodes.start);
    enum err err;

    if (first == NULL) {
        struct yaml_node *node = ARENA_NEW(reader->arena, struct yaml_node);

        if (node == NULL)
            return yaml_no_room(reader);
        *node = (struct yaml_node){.kind = YAML_NULL,
                                   .line = 1,
                                   .column = 1,
                                   .file = reader->options.file,
                                   .text = SLICE("")};
        *root = node;
        return ERR_OK;
    }
    reader->slots = mem_zalloc(count, sizeof(*reader->slots));
    err = yaml_convert(reader, 1, 1);
    if (err == ERR_OK)
        *root = reader->slots[0].node;
    mem_free(reader->slots);
    return err;
}

static enum err yaml_parser_fault(const yaml_parser_t *parser, const struct yaml_reader *reader)
{
    const char *problem = parser->problem != NULL ? parser->problem : "cannot be read";
    const size_t line =
        parser->error == YAML_READER_ERROR ? parser->mark.line : parser->problem_mark.line;

    if (parser->error == YAML_MEMORY_ERROR)
        return err_set(reader->info, ERR_LIMIT, "no memory left for YAML");
    return yaml_fault_at(reader->options.file, (uint32_t)line + 1, reader->info, problem);
}

enum err yaml_parse(struct arena *arena, struct slice text, const struct yaml_options *options,
                    struct yaml_node **root, struct err_info *info)
{
    struct yaml_reader reader = {.arena = arena, .info = info};
    yaml_parser_t parser;
    enum err err;
    int ok;

    if (options != NULL)
        reader.options = *options;
    if (reader.options.size_max == 0)
        reader.options.size_max = YAML_SIZE_MAX;
    if (reader.options.depth_max == 0)
        reader.options.depth_max = YAML_DEPTH_MAX;
    if (reader.options.node_max == 0)
        reader.options.node_max = YAML_NODE_MAX;
    if (text.len > reader.options.size_max)
        return err_set(info, ERR_LIMIT, "%s: %zu bytes exceed the limit of %u",
                       reader.options.file != NULL ? reader.options.file : "YAML", text.len,
                       reader.options.size_max);
    ok = yaml_parser_initialize(&parser);
    ASSERT(ok == 1);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.len > 0 ? text.data : ""),
                                 text.len);
    if (yaml_parser_load(&parser, &reader.doc) == 1) {
        err = yaml_convert_doc(&reader, root);
        yaml_document_delete(&reader.doc);
    } else {
        err = yaml_parser_fault(&parser, &reader);
    }
    yaml_parser_delete(&parser);
    return err;
}

/* ---- access ---- */

struct yaml_node *yaml_find(const struct yaml_node *node, const char *key)
{
    const struct yaml_entry *entry;

    if (node == NULL || node->kind != YAML_MAP)
        return NULL;
    entry = yaml_find_entry(node, slice_from_cstr(key));
    return entry == NULL ? NULL : entry->value;
}

static const char *yaml_kind_text(const struct yaml_node *node)
{
    static const char *const texts[] = {"null", "scalar", "sequence", "mapping"};

    return texts[node->kind];
}

static enum err yaml_type_error(const struct yaml_node *node, struct err_info *info,
                                const char *want)
{
    const int len = node->text.len < YAML_TEXT_SHOWN ? (int)node->text.len : YAML_TEXT_SHOWN;

    if (node->kind != YAML_SCALAR)
        return yaml_error(node, info, "expected %s, found a %s", want, yaml_kind_text(node));
    return yaml_error(node, info, "expected %s, found \"%.*s\"", want, len, node->text.data);
}

enum err yaml_get_bool(const struct yaml_node *node, bool *v, struct err_info *info)
{
    static const char *const texts[] = {
        "true",  "True",  "TRUE",  "yes", "Yes", "YES", "on",  "On",  "ON",  "y", "Y",
        "false", "False", "FALSE", "no",  "No",  "NO",  "off", "Off", "OFF", "n", "N",
    };

    for (size_t i = 0; node->kind == YAML_SCALAR && !node->quoted && i < COUNT_OF(texts); i++) {
        if (slice_eq_cstr(node->text, texts[i])) {
            *v = i < COUNT_OF(texts) / 2;
            return ERR_OK;
        }
    }
    return yaml_type_error(node, info, "true or false");
}

enum err yaml_get_int(const struct yaml_node *node, int64_t *v, struct err_info *info)
{
    double whole;

    if (node->kind == YAML_SCALAR && !node->quoted) {
        if (number_parse_int64(node->text, v) == ERR_OK)
            return ERR_OK;
        /* 1e3 and 5.0 are whole numbers too. */
        if (number_parse_double(node->text, &whole) == ERR_OK && whole >= -9e15 && whole <= 9e15 &&
            whole == (double)(int64_t)whole) {
            *v = (int64_t)whole;
            return ERR_OK;
        }
    }
    return yaml_type_error(node, info, "a whole number");
}

enum err yaml_get_double(const struct yaml_node *node, double *v, struct err_info *info)
{
    static const struct {
        const char *text, *number;
    } specials[] = {
        {".inf", "+Inf"}, {".Inf", "+Inf"}, {"+.inf", "+Inf"}, {"-.inf", "-Inf"}, {".nan", "NaN"},
    };
    struct slice text = node->text;

    if (node->kind == YAML_SCALAR && !node->quoted) {
        for (size_t i = 0; i < COUNT_OF(specials); i++) {
            if (slice_eq_cstr(text, specials[i].text))
                text = slice_from_cstr(specials[i].number);
        }
        if (number_parse_double(text, v) == ERR_OK)
            return ERR_OK;
    }
    return yaml_type_error(node, info, "a number");
}

enum err yaml_get_text(const struct yaml_node *node, struct slice *v, struct err_info *info)
{
    if (node->kind == YAML_NULL) {
        *v = SLICE("");
        return ERR_OK;
    }
    if (node->kind != YAML_SCALAR)
        return yaml_type_error(node, info, "text");
    *v = node->text;
    return ERR_OK;
}
