/* SPDX-License-Identifier: Apache-2.0 */
#include "model/labels.h"

#include <stdlib.h>

#include "base/utf8.h"

enum {
    LABEL_SORT_INSERTION_MAX = 24, /* above it qsort wins, and hostile input stays n log n */
    LABEL_TEXT_MAX = 80,           /* bytes of a name or value that a message repeats */
};

struct slice label_set_get(struct label_set set, struct slice name)
{
    for (uint32_t i = 0; i < set.count; i++) {
        if (slice_eq(set.items[i].name, name))
            return set.items[i].value;
    }
    return (struct slice){NULL, 0};
}

bool label_set_has(struct label_set set, struct slice name)
{
    for (uint32_t i = 0; i < set.count; i++) {
        if (slice_eq(set.items[i].name, name))
            return true;
    }
    return false;
}

bool label_set_eq(struct label_set a, struct label_set b)
{
    if (a.count != b.count)
        return false;
    for (uint32_t i = 0; i < a.count; i++) {
        if (!slice_eq(a.items[i].name, b.items[i].name) ||
            !slice_eq(a.items[i].value, b.items[i].value))
            return false;
    }
    return true;
}

int label_set_cmp(struct label_set a, struct label_set b)
{
    const uint32_t count = a.count < b.count ? a.count : b.count;

    for (uint32_t i = 0; i < count; i++) {
        int order = slice_cmp(a.items[i].name, b.items[i].name);

        if (order == 0)
            order = slice_cmp(a.items[i].value, b.items[i].value);
        if (order != 0)
            return order;
    }
    return a.count < b.count ? -1 : a.count > b.count;
}

static int label_cmp_name(const void *a, const void *b)
{
    return slice_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

void label_sort(struct label *items, uint32_t count)
{
    if (count > LABEL_SORT_INSERTION_MAX) {
        qsort(items, count, sizeof(*items), label_cmp_name);
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        const struct label label = items[i];
        uint32_t j = i;

        for (; j > 0 && slice_cmp(items[j - 1].name, label.name) > 0; j--)
            items[j] = items[j - 1];
        items[j] = label;
    }
}

struct label_set label_set_copy(struct arena *arena, struct label_set set)
{
    size_t size = set.count * sizeof(struct label);
    struct label *items;
    char *text;

    if (set.count == 0)
        return (struct label_set){NULL, 0};
    for (uint32_t i = 0; i < set.count; i++)
        size += set.items[i].name.len + set.items[i].value.len;
    items = arena_alloc(arena, size);
    if (items == NULL)
        return (struct label_set){NULL, 0};
    text = (char *)(items + set.count);
    for (uint32_t i = 0; i < set.count; i++) {
        const struct label *from = &set.items[i];

        if (from->name.len != 0)
            memcpy(text, from->name.data, from->name.len);
        items[i].name = slice_of(text, from->name.len);
        text += from->name.len;
        if (from->value.len != 0)
            memcpy(text, from->value.data, from->value.len);
        items[i].value = slice_of(text, from->value.len);
        text += from->value.len;
    }
    return (struct label_set){items, set.count};
}

static void label_print(struct buf *out, const struct label *label)
{
    if (label_name_is_legacy(label->name))
        buf_add_slice(out, label->name);
    else
        utf8_quote(out, label->name);
    buf_add_byte(out, '=');
    utf8_quote(out, label->value);
}

void label_set_print(struct buf *out, struct label_set set)
{
    const struct slice metric = label_set_get(set, SLICE(LABEL_METRIC_NAME));
    const bool is_bare = metric.len != 0 && label_metric_name_is_legacy(metric);
    const char *separator = "";

    if (is_bare) {
        buf_add_slice(out, metric);
        if (set.count == 1)
            return;
    }
    buf_add_byte(out, '{');
    if (metric.len != 0 && !is_bare) {
        utf8_quote(out, metric);
        separator = ", ";
    }
    for (uint32_t i = 0; i < set.count; i++) {
        if (metric.len != 0 && slice_eq(set.items[i].name, SLICE(LABEL_METRIC_NAME)))
            continue;
        buf_add_cstr(out, separator);
        label_print(out, &set.items[i]);
        separator = ", ";
    }
    buf_add_byte(out, '}');
}

void label_set_print_plain(struct buf *out, struct label_set set)
{
    buf_add_byte(out, '{');
    for (uint32_t i = 0; i < set.count; i++) {
        if (i != 0)
            buf_add_cstr(out, ", ");
        label_print(out, &set.items[i]);
    }
    buf_add_byte(out, '}');
}

static struct slice label_cut(struct slice s)
{
    return slice_of(s.data, s.len < LABEL_TEXT_MAX ? s.len : (size_t)LABEL_TEXT_MAX);
}

static enum err label_check(const struct label *label, enum label_scheme scheme,
                            struct err_info *info)
{
    const struct slice name = label_cut(label->name);

    if (label->name.len == 0)
        return err_set(info, ERR_BAD_INPUT, "empty label name");
    if (!label_name_is_valid(label->name, scheme))
        return err_set(info, ERR_BAD_INPUT, "invalid label name \"%.*s\"", SLICE_ARG(name));
    if (label->value.len == 0)
        return err_set(info, ERR_BAD_INPUT, "label \"%.*s\" has an empty value", SLICE_ARG(name));
    if (!utf8_is_valid(label->value))
        return err_set(info, ERR_BAD_INPUT, "value of label \"%.*s\" is not valid UTF-8",
                       SLICE_ARG(name));
    if (slice_eq(label->name, SLICE(LABEL_METRIC_NAME)) &&
        !label_metric_name_is_valid(label->value, scheme)) {
        const struct slice value = label_cut(label->value);

        return err_set(info, ERR_BAD_INPUT, "invalid metric name \"%.*s\"", SLICE_ARG(value));
    }
    return ERR_OK;
}

enum err label_set_check(struct label_set set, enum label_scheme scheme, struct err_info *info)
{
    for (uint32_t i = 0; i < set.count; i++) {
        const enum err err = label_check(&set.items[i], scheme, info);
        struct slice name;
        int order;

        if (err != ERR_OK)
            return err;
        if (i == 0)
            continue;
        order = slice_cmp(set.items[i - 1].name, set.items[i].name);
        name = label_cut(set.items[i].name);
        if (order == 0)
            return err_set(info, ERR_BAD_INPUT, "label \"%.*s\" is there twice", SLICE_ARG(name));
        if (order > 0)
            return err_set(info, ERR_BAD_INPUT, "label \"%.*s\" is out of order", SLICE_ARG(name));
    }
    return ERR_OK;
}

static bool label_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool label_name_is_legacy(struct slice name)
{
    if (name.len == 0 || !label_is_letter(name.data[0]))
        return false;
    for (size_t i = 1; i < name.len; i++) {
        if (!label_is_letter(name.data[i]) && !(name.data[i] >= '0' && name.data[i] <= '9'))
            return false;
    }
    return true;
}

bool label_metric_name_is_legacy(struct slice name)
{
    if (name.len == 0 || (name.data[0] >= '0' && name.data[0] <= '9'))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.data[i];

        if (!label_is_letter(c) && !(c >= '0' && c <= '9') && c != ':')
            return false;
    }
    return true;
}

bool label_name_is_valid(struct slice name, enum label_scheme scheme)
{
    if (scheme == LABEL_SCHEME_LEGACY)
        return label_name_is_legacy(name);
    return name.len != 0 && utf8_is_valid(name);
}

bool label_metric_name_is_valid(struct slice name, enum label_scheme scheme)
{
    if (scheme == LABEL_SCHEME_LEGACY)
        return label_metric_name_is_legacy(name);
    return name.len != 0 && utf8_is_valid(name);
}
