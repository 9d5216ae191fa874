/* SPDX-License-Identifier: Apache-2.0 */
#include "promqltest/series_line.h"

#include "base/number.h"
#include "base/time_text.h"
#include "model/sample.h"
#include "promql/parser.h"
#include "promqltest/histogram_literal.h"

enum { VALUES_MAX = 10000000 };

bool series_line_number(struct slice text, double *v)
{
    int64_t ms;
    bool is_negative = false;

    if (text.len == 0)
        return false;
    if (number_parse_double_decimal(text, v) == ERR_OK)
        return true;
    if (text.data[0] == '-' || text.data[0] == '+') {
        is_negative = text.data[0] == '-';
        text = slice_skip(text, 1);
    }
    if (time_text_parse_duration(text, &ms, NULL) != ERR_OK)
        return false;
    *v = (is_negative ? -(double)ms : (double)ms) / 1000;
    return true;
}

/* Where the metric ends: behind its closing brace, or at the first blank. */
static size_t metric_end(struct slice line)
{
    char quote = 0;
    bool in_braces = false;

    for (size_t i = 0; i < line.len; i++) {
        const char c = line.data[i];

        if (quote != 0) {
            if (c == '\\' && quote != '`')
                i++;
            else if (c == quote)
                quote = 0;
        } else if (in_braces && (c == '"' || c == '\'' || c == '`')) {
            quote = c;
        } else if (c == '{') {
            in_braces = true;
        } else if (c == '}') {
            return i + 1;
        } else if (!in_braces && (c == ' ' || c == '\t' || c == '@')) {
            return i;
        }
    }
    return line.len;
}

static enum err parse_metric(struct arena *arena, struct slice text, struct label_set *out,
                             struct err_info *info)
{
    struct matcher_list matchers;
    struct label_builder builder;
    enum err err;

    *out = (struct label_set){0};
    if (slice_eq_cstr(text, "{}"))
        return ERR_OK;
    err = promql_parse_selector(arena, text, &matchers, info);
    if (err != ERR_OK)
        return err;
    label_builder_init(&builder, arena, *out);
    for (uint32_t i = 0; i < matchers.count; i++) {
        if (matchers.items[i].type != MATCHER_EQUAL)
            return err_set(info, ERR_BAD_INPUT, "a series has only = between name and value");
        label_builder_set(&builder, matchers.items[i].name, matchers.items[i].value);
    }
    *out = label_set_copy(arena, label_builder_set_view(&builder));
    return ERR_OK;
}

static enum err add_value(struct arena *arena, struct series_line *out, struct series_value value)
{
    struct series_value *values = out->values;

    if (out->count >= VALUES_MAX)
        return ERR_LIMIT;
    if ((out->count & (out->count - 1)) == 0) {
        const size_t cap = out->count == 0 ? 1 : (size_t)out->count * 2;

        values = arena_grow(arena, values, out->count * sizeof(*values), cap * sizeof(*values));
        out->values = values;
    }
    values[out->count++] = value;
    return ERR_OK;
}

/* The longest prefix of text that is a number. */
static size_t number_prefix(struct slice text, double *v)
{
    for (size_t len = text.len; len > 0; len--) {
        const char last = text.data[len - 1];

        if (last != '+' && last != '-' && last != 'x' &&
            series_line_number(slice_of(text.data, len), v))
            return len;
    }
    return 0;
}

/* "xN" at the end of a value, if text is that. */
static bool parse_times(struct slice text, uint64_t *times)
{
    return text.len > 1 && text.data[0] == 'x' &&
           number_parse_uint64(slice_skip(text, 1), times) == ERR_OK && *times < VALUES_MAX;
}

/* H  HxN  H+IxN  H-IxN */
static enum err parse_histograms(struct arena *arena, struct slice text, struct series_line *out)
{
    struct histogram_literal base, step;
    struct series_value value = {0};
    uint64_t times = 0;
    bool has_step, is_minus;
    enum err err = ERR_OK;

    if (!histogram_literal_parse(arena, text, &base))
        return ERR_BAD_INPUT;
    text = slice_skip(text, base.len);
    has_step = text.len > 0 && text.data[0] != 'x';
    is_minus = has_step && text.data[0] == '-';
    value.has_hint = base.has_hint;
    if (has_step) {
        if ((!is_minus && text.data[0] != '+') ||
            !histogram_literal_parse(arena, slice_skip(text, 1), &step))
            return ERR_BAD_INPUT;
        text = slice_skip(text, step.len + 1);
        value.has_hint = step.has_hint;
    }
    if (text.len > 0 ? !parse_times(text, &times) : has_step)
        return ERR_BAD_INPUT;
    value.histogram = base.histogram;
    for (uint64_t i = 0; i <= times && err == ERR_OK; i++) {
        err = add_value(arena, out, value);
        if (has_step && i < times)
            value.histogram =
                histogram_literal_step(arena, value.histogram, step.histogram, is_minus);
        if (value.histogram == NULL)
            return ERR_BAD_INPUT;
    }
    return err;
}

/* _  _xN  stale  a  axN  a+bxN  a-bxN */
static enum err parse_value(struct arena *arena, struct slice text, struct series_line *out)
{
    struct series_value value = {0};
    uint64_t times = 0;
    double step = 0;
    size_t len;
    enum err err = ERR_OK;

    if (text.data[0] == '_') {
        value.is_gap = true;
        if (text.len > 1 && !parse_times(slice_skip(text, 1), &times))
            return ERR_BAD_INPUT;
        for (uint64_t i = 0; i < (text.len > 1 ? times : 1) && err == ERR_OK; i++)
            err = add_value(arena, out, value);
        return err;
    }
    if (slice_eq_cstr(text, "stale")) {
        value.v = sample_value_from_bits(SAMPLE_STALE_BITS);
        return add_value(arena, out, value);
    }
    len = number_prefix(text, &value.v);
    if (len == 0)
        return ERR_BAD_INPUT;
    text = slice_skip(text, len);
    if (text.len > 0 && text.data[0] != 'x') {
        len = number_prefix(text, &step);
        if (len == 0)
            return ERR_BAD_INPUT;
        text = slice_skip(text, len);
    }
    if (text.len > 0 && !parse_times(text, &times))
        return ERR_BAD_INPUT;
    for (uint64_t i = 0; i <= times && err == ERR_OK; i++) {
        err = add_value(arena, out, value);
        value.v += step;
    }
    return err;
}

enum err series_line_parse(struct arena *arena, struct slice line, struct series_line *out,
                           struct err_info *info)
{
    size_t at = metric_end(line);
    enum err err;

    *out = (struct series_line){0};
    err = parse_metric(arena, slice_of(line.data, at), &out->labels, info);
    if (err != ERR_OK)
        return err;
    if (at < line.len && line.data[at] == '@') {
        out->is_start_times = true;
        return ERR_OK;
    }
    while (at < line.len) {
        size_t end;

        while (at < line.len && (line.data[at] == ' ' || line.data[at] == '\t'))
            at++;
        for (end = at; end < line.len && line.data[end] != ' ' && line.data[end] != '\t';) {
            const size_t len = histogram_literal_len(slice_skip(line, end));

            end += len == 0 ? 1 : len;
        }
        if (end == at)
            break;
        err = line.data[at] == '{'
                  ? parse_histograms(arena, slice_of(line.data + at, end - at), out)
                  : parse_value(arena, slice_of(line.data + at, end - at), out);
        if (err != ERR_OK)
            return err_set(info, err, "bad value \"%.*s\"", (int)(end - at), line.data + at);
        at = end;
    }
    return ERR_OK;
}
