/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: whatever is read can be written and read again; any bytes can be quoted and come back with
 * bad UTF-8 replaced. */
#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"

static void write_value(struct json_writer *w, const struct json_value *value)
{
    switch (value->kind) {
    case JSON_NULL:
        json_null(w);
        break;
    case JSON_BOOL:
        json_bool(w, value->b);
        break;
    case JSON_INT:
        json_int(w, value->i);
        break;
    case JSON_DOUBLE:
        json_double(w, value->d);
        break;
    case JSON_STRING:
        json_string(w, value->text);
        break;
    case JSON_ARRAY:
        json_open_array(w);
        for (uint32_t i = 0; i < value->count; i++)
            write_value(w, &value->items[i]);
        json_close_array(w);
        break;
    case JSON_OBJECT:
        json_open_object(w);
        for (uint32_t i = 0; i < value->count; i++) {
            json_key_slice(w, value->members[i].key);
            write_value(w, &value->members[i].value);
        }
        json_close_object(w);
        break;
    }
}

static uint32_t depth_of(const struct json_value *value)
{
    uint32_t deepest = 0;

    for (uint32_t i = 0; value->kind == JSON_ARRAY && i < value->count; i++) {
        const uint32_t depth = depth_of(&value->items[i]);
        deepest = depth > deepest ? depth : deepest;
    }
    for (uint32_t i = 0; value->kind == JSON_OBJECT && i < value->count; i++) {
        const uint32_t depth = depth_of(&value->members[i].value);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

static void check_quoted(struct arena *arena, struct slice bytes)
{
    struct json_value *back;
    struct buf out;
    enum err err;

    buf_init(&out, 1 << 20);
    json_quote(&out, bytes, true);
    ASSERT(utf8_is_valid(buf_slice(&out)));
    err = json_parse(arena, buf_slice(&out), NULL, &back, NULL);
    ASSERT(err == ERR_OK);
    ASSERT(back->kind == JSON_STRING);
    ASSERT(!utf8_is_valid(bytes) || slice_eq(back->text, bytes));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct json_options options = {.size_max = 1 << 16};
    struct arena arena;
    struct err_info info = {{0}};
    struct json_value *root, *again;

    arena_init(&arena, NULL, 64 << 20);
    if (json_parse(&arena, slice_of(data, size), &options, &root, &info) != ERR_OK) {
        ASSERT(info.message[0] != '\0');
    } else if (depth_of(root) < JSON_DEPTH_MAX) {
        struct buf out;
        struct json_writer w;
        enum err err;

        buf_init(&out, 8 << 20);
        json_writer_init(&w, &out);
        write_value(&w, root);
        err = json_parse(&arena, buf_slice(&out), NULL, &again, &info);
        ASSERT(err == ERR_OK);
        ASSERT(again->kind == root->kind || root->kind == JSON_DOUBLE || root->kind == JSON_INT);
        ASSERT(again->count == root->count || root->kind < JSON_ARRAY);
        buf_fini(&out);
    }
    if (size < 1 << 12)
        check_quoted(&arena, slice_of(data, size));
    arena_fini(&arena);
    return 0;
}
