/* SPDX-License-Identifier: Apache-2.0 */

/* OpenMetrics 1.0 and 0.0.1. One space where one belongs and nowhere else, no blank lines, no stray
 * comments, "# EOF" at the end. */
#include <math.h>

#include "base/utf8.h"
#include "codec/exposition_internal.h"

enum {
    KEYWORD_SIZE = 7,        /* "# HELP " */
    START_LOOK_AHEAD = 1000, /* lines: a histogram of many buckets */
};

#define OM_SECONDS_MAX 9.2e15 /* beyond it milliseconds overflow */

/* Past the word of non-space bytes at `at`. */
static const char *om_skip_word(const char *at, const char *end)
{
    while (at < end && *at != ' ' && *at != '\n')
        at++;
    return at;
}

static bool om_unit_is_suffix(struct slice name, struct slice unit)
{
    return unit.len == 0 || (slice_has_suffix(name, unit) && name.len > unit.len &&
                             name.data[name.len - unit.len - 1] == '_');
}

static bool om_metadata(struct exposition *p, struct exposition_entry *entry)
{
    const char *const at = p->at + KEYWORD_SIZE;
    const char *const line_end = memchr(p->at, '\n', (size_t)(p->end - p->at));
    const char *name_end;

    if (line_end == NULL || line_end < at)
        return exposition_fail(p, p->at, "data does not end with # EOF");
    name_end = exposition_meta_name(at, line_end, &entry->name);
    if (name_end == NULL)
        return exposition_fail(p, at, "expected metric name after HELP, TYPE or UNIT");
    if (name_end == line_end || *name_end != ' ')
        return exposition_fail(p, at, "expected text after metric name");
    entry->text = slice_of(name_end + 1, (size_t)(line_end - name_end - 1));
    p->at = line_end + 1;
    entry->type = p->type;
    switch (entry->kind) {
    case EXPOSITION_TYPE:
        if (!exposition_type_from_text(entry->text, EXPOSITION_OPENMETRICS, &p->type))
            return exposition_fail(p, at, "invalid metric type");
        p->family = entry->name;
        entry->type = p->type;
        break;
    case EXPOSITION_UNIT:
        if (!om_unit_is_suffix(entry->name, entry->text))
            return exposition_fail(p, at, "unit is not a suffix of the metric name");
        break;
    case EXPOSITION_HELP:
    case EXPOSITION_SERIES:
        if (!utf8_is_valid(entry->text))
            return exposition_fail(p, at, "help text is not valid UTF-8");
        break;
    }
    return true;
}

/* Seconds as a float to milliseconds, cut as upstream cuts them. */
static bool om_time(struct slice s, int64_t *t_ms)
{
    double seconds;

    if (exposition_value(s, &seconds) != ERR_OK || !isfinite(seconds) ||
        fabs(seconds) > OM_SECONDS_MAX)
        return false;
    *t_ms = (int64_t)(seconds * 1000);
    return true;
}

/* From the brace of an exemplar to the line end; checks the shape, keeps it raw. */
static bool om_exemplar_span(struct exposition *p, struct exposition_entry *entry, const char *at)
{
    const char *const end = p->end;
    const char *line_end = exposition_skip_braces(at, end);

    if (line_end != NULL)
        line_end = memchr(line_end, '\n', (size_t)(end - line_end));
    if (line_end == NULL)
        return exposition_fail(p, at, "exemplar without end");
    entry->exemplar = slice_of(at, (size_t)(line_end - at));
    p->at = line_end + 1;
    return true;
}

/* " value[ time][ # {exemplar}]\n" behind the series' text. */
static bool om_sample(struct exposition *p, struct exposition_entry *entry, const char *at)
{
    const char *const end = p->end;
    const char *word_end;

    if (at == end || *at != ' ')
        return exposition_fail(p, at, "expected value after metric");
    word_end = om_skip_word(at + 1, end);
    if (exposition_value(slice_of(at + 1, (size_t)(word_end - at - 1)), &entry->v) != ERR_OK)
        return exposition_fail(p, at, "invalid value");
    at = word_end;
    if (end - at >= 2 && at[0] == ' ' && at[1] != '#') {
        word_end = om_skip_word(at + 1, end);
        if (!om_time(slice_of(at + 1, (size_t)(word_end - at - 1)), &entry->t_ms))
            return exposition_fail(p, at, "invalid timestamp");
        entry->has_t = true;
        at = word_end;
    }
    if (end - at >= 4 && memcmp(at, " # {", 4) == 0)
        return om_exemplar_span(p, entry, at + 3);
    if (at == end)
        return exposition_fail(p, at, "data does not end with # EOF");
    if (*at != '\n')
        return exposition_fail(p, at, "expected timestamp, exemplar or line end");
    p->at = at + 1;
    return true;
}

static struct slice om_series_name(struct slice series)
{
    const char *const end = exposition_skip_name(series.data, series.data + series.len);

    return slice_of(series.data, (size_t)(end - series.data));
}

/* A _created line of the family in force. */
static bool om_is_created(const struct exposition *p, struct slice series)
{
    const struct slice name = om_series_name(series);
    const bool can_have = p->type == METRIC_TYPE_COUNTER || p->type == METRIC_TYPE_HISTOGRAM ||
                          p->type == METRIC_TYPE_SUMMARY;

    return can_have && slice_has_suffix(name, SLICE("_created")) &&
           slice_eq(slice_of(name.data, name.len - strlen("_created")), p->family);
}

static bool om_series(struct exposition *p, struct exposition_entry *entry)
{
    const char *const at = p->at, *const end = p->end;
    const char *series_end = exposition_skip_name(at, end);

    if (series_end == at && *at != '{')
        return exposition_fail(p, at, "expected a valid start token");
    if (series_end < end && *series_end == '{') {
        series_end = exposition_skip_braces(series_end, end);
        if (series_end == NULL)
            return exposition_fail(p, at, "labels without closing brace");
    }
    entry->kind = EXPOSITION_SERIES;
    entry->type = p->type;
    entry->series = slice_of(at, (size_t)(series_end - at));
    entry->is_created = om_is_created(p, entry->series);
    return om_sample(p, entry, series_end);
}

static bool om_end(struct exposition *p)
{
    const size_t left = (size_t)(p->end - p->at);

    if (left > 6 || (left == 6 && p->at[5] != '\n'))
        return exposition_fail(p, p->at, "unexpected data after # EOF");
    p->at = p->end;
    p->is_done = true;
    return false;
}

bool om_parser_next(struct exposition *p, struct exposition_entry *entry)
{
    static const struct {
        char word[KEYWORD_SIZE + 1];
        enum exposition_kind kind;
    } keywords[] = {
        {"# HELP ", EXPOSITION_HELP}, {"# TYPE ", EXPOSITION_TYPE}, {"# UNIT ", EXPOSITION_UNIT}};
    const size_t left = (size_t)(p->end - p->at);

    if (left == 0)
        return exposition_fail(p, p->at, "data does not end with # EOF");
    if (*p->at != '#')
        return om_series(p, entry);
    if (left >= 5 && memcmp(p->at, "# EOF", 5) == 0)
        return om_end(p);
    for (size_t i = 0; i < COUNT_OF(keywords); i++) {
        if (left >= KEYWORD_SIZE && memcmp(p->at, keywords[i].word, KEYWORD_SIZE) == 0) {
            entry->kind = keywords[i].kind;
            return om_metadata(p, entry);
        }
    }
    return exposition_fail(p, p->at, "expected HELP, TYPE, UNIT or EOF after #");
}

enum err exposition_exemplar(const struct exposition_entry *entry, struct arena *arena,
                             struct exemplar *exemplar, struct err_info *info)
{
    const struct label_syntax syntax = {.is_openmetrics = true, .is_exemplar = true};
    const char *at = entry->exemplar.data, *const end = at + entry->exemplar.len;
    const char *labels_end, *word_end;
    struct exemplar read = {.has_t = false};
    enum err err;

    ASSERT(entry->exemplar.len != 0);
    labels_end = exposition_skip_braces(at, end);
    ASSERT(labels_end != NULL);
    err = exposition_parse_labels(slice_of(at, (size_t)(labels_end - at)), &syntax, arena,
                                  &read.labels, info);
    if (err != ERR_OK)
        return err;
    at = labels_end;
    if (at == end || *at != ' ')
        return err_set(info, ERR_BAD_INPUT, "expected value after exemplar labels");
    word_end = om_skip_word(at + 1, end);
    if (exposition_value(slice_of(at + 1, (size_t)(word_end - at - 1)), &read.v) != ERR_OK)
        return err_set(info, ERR_BAD_INPUT, "invalid exemplar value");
    at = word_end;
    if (at < end) {
        if (!om_time(slice_skip(slice_of(at, (size_t)(end - at)), 1), &read.t_ms))
            return err_set(info, ERR_BAD_INPUT, "invalid exemplar timestamp");
        read.has_t = true;
    }
    label_sort((struct label *)(uintptr_t)read.labels.items, read.labels.count);
    *exemplar = read;
    return ERR_OK;
}

/* A series' labels without those that tell its own lines apart. */
static enum err om_point_labels(const struct exposition *p, const struct exposition_entry *entry,
                                struct arena *arena, struct label_set *labels)
{
    struct label_builder builder;
    const enum err err = exposition_labels(p, entry, arena, labels, NULL);

    if (err != ERR_OK)
        return err;
    label_builder_init(&builder, arena, *labels);
    label_builder_del(&builder, SLICE(LABEL_METRIC_NAME));
    if (entry->type == METRIC_TYPE_HISTOGRAM)
        label_builder_del(&builder, SLICE("le"));
    if (entry->type == METRIC_TYPE_SUMMARY)
        label_builder_del(&builder, SLICE("quantile"));
    *labels = label_builder_set_view(&builder);
    return builder.err;
}

enum err exposition_start_time(const struct exposition *p, const struct exposition_entry *entry,
                               struct arena *arena, int64_t *start_t_ms)
{
    struct exposition ahead = *p;
    struct exposition_entry next = *entry;
    struct label_set want, got;
    enum err err = om_point_labels(p, entry, arena, &want);

    *start_t_ms = 0;
    if (p->options.format != EXPOSITION_OPENMETRICS)
        return ERR_OK;
    for (int i = 0; i < START_LOOK_AHEAD && err == ERR_OK; i++) {
        if (!exposition_next(&ahead, &next) || next.kind != EXPOSITION_SERIES)
            return ERR_OK; /* the family ends; a fault is found when the parse comes there */
        if (!next.is_created)
            continue;
        err = om_point_labels(&ahead, &next, arena, &got);
        if (err == ERR_OK && label_set_eq(want, got)) {
            if (isfinite(next.v) && fabs(next.v) < OM_SECONDS_MAX)
                *start_t_ms = (int64_t)(next.v * 1000);
            return ERR_OK;
        }
    }
    return err == ERR_BAD_INPUT ? ERR_OK : err;
}
