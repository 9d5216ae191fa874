/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

enum { PATH_SIZE_MAX = 512 };

struct walk {
    schema_unserved_fn *fn;
    void *owner;
    struct buf path;
    uint32_t count;
};

static void walk_fields(struct walk *walk, const struct schema_value *value);

static void walk_elements(struct walk *walk, const struct schema_value *value)
{
    const size_t len = walk->path.len;

    for (uint32_t i = 0; i < value->count; i++) {
        if (value->shape == SCHEMA_LIST)
            buf_printf(&walk->path, "[%u]", i);
        else
            buf_printf(&walk->path, ".%.*s", SLICE_ARG(value->items[i].key));
        walk_fields(walk, &value->items[i]);
        walk->path.len = len;
    }
}

static void walk_tell(struct walk *walk, uint32_t line)
{
    walk->fn(walk->owner, line, buf_slice(&walk->path));
    walk->count++;
}

/* A value, one or in a list, that is allowed but not served. */
static void walk_word(struct walk *walk, const struct schema_value *value)
{
    const struct schema_value *items = value->shape == SCHEMA_LIST ? value->items : value;
    const uint32_t count = value->shape == SCHEMA_LIST ? value->count : 1;
    const size_t len = walk->path.len;

    for (uint32_t i = 0; i < count; i++) {
        if (!slice_eq_cstr(items[i].text, value->field->unserved_word))
            continue;
        if (value->shape == SCHEMA_LIST)
            buf_printf(&walk->path, "[%u]", i);
        buf_printf(&walk->path, ": %s", value->field->unserved_word);
        walk_tell(walk, items[i].line);
        walk->path.len = len;
    }
}

/* A key that the file gives: served here, or by what is in it, or not. */
static void walk_given(struct walk *walk, const struct schema_value *value)
{
    if ((value->field->flags & SCHEMA_SERVED) == 0) {
        if (!schema_is_default(value))
            walk_tell(walk, value->line);
        return;
    }
    if (value->field->unserved_word != NULL)
        walk_word(walk, value);
    if (value->field->kind != SCHEMA_STRUCT)
        return;
    if (value->shape == SCHEMA_ONE)
        walk_fields(walk, value);
    else
        walk_elements(walk, value);
}

static void walk_fields(struct walk *walk, const struct schema_value *value)
{
    const size_t len = walk->path.len;

    for (uint32_t i = 0; i < value->count; i++) {
        const struct schema_value *item = &value->items[i];

        if (item->node == NULL)
            continue;
        buf_printf(&walk->path, "%s%s", len == 0 ? "" : ".", item->field->key);
        walk_given(walk, item);
        walk->path.len = len;
    }
}

uint32_t schema_unserved(const struct schema_value *value, schema_unserved_fn *fn, void *owner)
{
    struct walk walk = {.fn = fn, .owner = owner};

    buf_init(&walk.path, PATH_SIZE_MAX);
    walk_fields(&walk, value);
    buf_fini(&walk.path);
    return walk.count;
}
