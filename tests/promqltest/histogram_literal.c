/* SPDX-License-Identifier: Apache-2.0 */
#include "promqltest/histogram_literal.h"

#include <string.h>

#include "base/number.h"
#include "model/histogram_iter.h"
#include "model/histogram_math.h"
#include "model/histogram_sum.h"
#include "promqltest/series_line.h"

enum { NUMBERS_MAX = 1024 };

/* A list of numbers in the arena. */
struct numbers {
    double *items;
    uint32_t count;
};

struct description {
    struct histogram shape;
    struct numbers positive, negative, custom;
    int32_t offset, negative_offset;
    bool has_hint;
};

size_t histogram_literal_len(struct slice text)
{
    if (text.len < 4 || text.data[0] != '{' || text.data[1] != '{')
        return 0;
    for (size_t i = 2; i + 1 < text.len; i++) {
        if (text.data[i] == '}' && text.data[i + 1] == '}')
            return i + 2;
    }
    return 0;
}

static struct slice next_item(struct slice *text)
{
    struct slice item;
    size_t len = 0;
    bool in_list = false;

    while (text->len > 0 && (text->data[0] == ' ' || text->data[0] == '\t'))
        *text = slice_skip(*text, 1);
    for (; len < text->len && (in_list || (text->data[len] != ' ' && text->data[len] != '\t'));
         len++) {
        if (text->data[len] == '[')
            in_list = true;
        else if (text->data[len] == ']')
            in_list = false;
    }
    item = slice_of(text->data, len);
    *text = slice_skip(*text, len);
    return item;
}

static bool parse_list(struct arena *arena, struct slice text, struct numbers *out)
{
    if (text.len < 2 || text.data[0] != '[' || text.data[text.len - 1] != ']')
        return false;
    text = slice_of(text.data + 1, text.len - 2);
    *out = (struct numbers){arena_alloc(arena, NUMBERS_MAX * sizeof(double)), 0};
    for (;;) {
        const struct slice item = next_item(&text);

        if (item.len == 0)
            return true;
        if (out->count == NUMBERS_MAX || !series_line_number(item, &out->items[out->count++]))
            return false;
    }
}

static bool parse_index(struct slice text, int32_t *out)
{
    double v;

    if (!series_line_number(text, &v) || v < INT32_MIN || v > INT32_MAX)
        return false;
    *out = (int32_t)v;
    return true;
}

static bool parse_hint(struct slice text, enum histogram_reset *out)
{
    static const char *const names[] = {"unknown", "reset", "not_reset", "gauge"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (slice_eq_cstr(text, names[i])) {
            *out = (enum histogram_reset)i;
            return true;
        }
    }
    return false;
}

static bool parse_item(struct arena *arena, struct slice key, struct slice value,
                       struct description *out)
{
    struct histogram *shape = &out->shape;

    if (slice_eq_cstr(key, "schema"))
        return parse_index(value, &shape->schema);
    if (slice_eq_cstr(key, "sum"))
        return series_line_number(value, &shape->sum);
    if (slice_eq_cstr(key, "count"))
        return series_line_number(value, &shape->f.count);
    if (slice_eq_cstr(key, "z_bucket"))
        return series_line_number(value, &shape->f.zero_count);
    if (slice_eq_cstr(key, "z_bucket_w"))
        return series_line_number(value, &shape->zero_threshold);
    if (slice_eq_cstr(key, "custom_values"))
        return parse_list(arena, value, &out->custom);
    if (slice_eq_cstr(key, "buckets"))
        return parse_list(arena, value, &out->positive);
    if (slice_eq_cstr(key, "n_buckets"))
        return parse_list(arena, value, &out->negative);
    if (slice_eq_cstr(key, "offset"))
        return parse_index(value, &out->offset);
    if (slice_eq_cstr(key, "n_offset"))
        return parse_index(value, &out->negative_offset);
    out->has_hint = true;
    return slice_eq_cstr(key, "counter_reset_hint") && parse_hint(value, &shape->reset);
}

static bool parse_items(struct arena *arena, struct slice text, struct description *out)
{
    for (;;) {
        const struct slice item = next_item(&text);
        const char *colon;
        size_t len;

        if (item.len == 0)
            return true;
        colon = memchr(item.data, ':', item.len);
        if (colon == NULL)
            return false;
        len = (size_t)(colon - item.data);
        if (!parse_item(arena, slice_of(item.data, len), slice_skip(item, len + 1), out))
            return false;
    }
}

static void copy_numbers(double *to, const struct numbers *from)
{
    if (from->count != 0)
        memcpy(to, from->items, from->count * sizeof(double));
}

bool histogram_literal_parse(struct arena *arena, struct slice text, struct histogram_literal *out)
{
    struct description made = {.shape = {.is_float = true}};
    struct histogram *shape = &made.shape;
    const size_t len = histogram_literal_len(text);
    struct histogram_parts parts;

    shape->f.count = shape->f.zero_count = 0;
    if (len == 0 || !parse_items(arena, slice_of(text.data + 2, len - 4), &made))
        return false;
    shape->positive_count = made.positive.count;
    shape->negative_count = made.negative.count;
    shape->custom_value_count = made.custom.count;
    shape->positive_span_count = made.positive.count > 0;
    shape->negative_span_count = made.negative.count > 0;
    out->histogram = histogram_float_new(arena, shape, &parts);
    out->has_hint = made.has_hint;
    out->len = len;
    copy_numbers(parts.positive, &made.positive);
    copy_numbers(parts.negative, &made.negative);
    copy_numbers(parts.custom_values, &made.custom);
    if (made.positive.count > 0)
        parts.positive_spans[0] = (struct histogram_span){made.offset, made.positive.count};
    if (made.negative.count > 0)
        parts.negative_spans[0] =
            (struct histogram_span){made.negative_offset, made.negative.count};
    return true;
}

const struct histogram *histogram_literal_step(struct arena *arena, const struct histogram *base,
                                               const struct histogram *by, bool is_minus)
{
    struct histogram_scratch scratch;
    struct histogram_sum sum = {0};
    struct histogram_merge merge = {0};

    histogram_scratch_init(&scratch, arena);
    histogram_sum_reset(&sum, &scratch);
    if (histogram_sum_add(&sum, base, 1, &merge) != ERR_OK ||
        histogram_sum_add(&sum, by, is_minus ? -1 : 1, &merge) != ERR_OK || merge.is_incompatible ||
        base->schema > by->schema)
        return NULL;
    return histogram_sum_result(&sum);
}

static void print_number(struct buf *out, const char *name, double v)
{
    char text[NUMBER_TEXT_SIZE];
    const size_t len = number_format_double(text, v, NUMBER_G);

    buf_printf(out, "%s%.*s", name, (int)len, text);
}

static void print_side(struct buf *out, const struct histogram *h, bool is_negative)
{
    struct histogram_walk walk;

    histogram_walk_init(&walk, h, is_negative);
    if (walk.bucket_count == 0)
        return;
    buf_printf(out, is_negative ? " n_buckets:[" : " buckets:[");
    while (histogram_walk_next(&walk)) {
        buf_printf(out, "%s%d=", walk.next == 1 ? "" : " ", walk.index);
        print_number(out, "", walk.count);
    }
    buf_printf(out, "]");
}

void histogram_literal_print(struct buf *out, const struct histogram *h)
{
    static const char *const hints[] = {"unknown", "reset", "not_reset", "gauge"};

    buf_printf(out, "{{schema:%d", h->schema);
    print_number(out, " count:", h->f.count);
    print_number(out, " sum:", h->sum);
    print_number(out, " z_bucket:", h->f.zero_count);
    print_number(out, " z_bucket_w:", h->zero_threshold);
    for (uint32_t i = 0; i < h->custom_value_count; i++)
        print_number(out, i == 0 ? " custom_values:[" : " ", h->custom_values[i]);
    buf_printf(out, "%s counter_reset_hint:%s", h->custom_value_count == 0 ? "" : "]",
               hints[h->reset]);
    print_side(out, h, false);
    print_side(out, h, true);
    buf_printf(out, "}}");
}
