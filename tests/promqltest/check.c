/* SPDX-License-Identifier: Apache-2.0 */

/* Compares a result with what a script expects. */

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/regex.h"
#include "model/histogram_iter.h"
#include "model/histogram_math.h"
#include "model/sample.h"
#include "promqltest/histogram_literal.h"
#include "promqltest/script_internal.h"

bool check_almost_equal(double want, double got)
{
    double sum, diff;

    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got) &&
               sample_value_is_stale(want) == sample_value_is_stale(got);
    if (want == got)
        return true;
    sum = fabs(want) + fabs(got);
    diff = fabs(want - got);
    if (want == 0 || got == 0 || sum < DBL_MIN)
        return diff < 1e-6 * DBL_MIN;
    return diff / fmin(sum, DBL_MAX) < 1e-6;
}

static bool text_matches(const struct expectation *expectation, struct slice text)
{
    struct regex *regex = NULL;
    struct buf pattern;
    bool matches = false;

    if (expectation->text.len == 0)
        return true;
    if (!expectation->is_regex)
        return slice_eq(expectation->text, text);
    buf_init(&pattern, 1 << 16);
    buf_printf(&pattern, ".*(?:%.*s).*", SLICE_ARG(expectation->text));
    if (regex_new(buf_slice(&pattern), &regex, NULL) == ERR_OK) {
        matches = regex_match(regex, text);
        regex_free(regex);
    }
    buf_fini(&pattern);
    return matches;
}

bool check_failure(const struct eval_case *test, enum err err, const struct err_info *info,
                   char fault[FAULT_SIZE])
{
    for (uint32_t i = 0; i < test->expectation_count; i++) {
        const struct expectation *expectation = &test->expectations[i];

        if (expectation->kind != EXPECT_FAIL)
            continue;
        if (err == ERR_OK) {
            snprintf(fault, FAULT_SIZE, "did not fail");
            return false;
        }
        if (!text_matches(expectation, slice_from_cstr(err_message(err, info)))) {
            snprintf(fault, FAULT_SIZE, "failed with \"%s\", expected \"%.*s\"",
                     err_message(err, info), SLICE_ARG(expectation->text));
            return false;
        }
        return true;
    }
    if (err == ERR_OK)
        return true;
    snprintf(fault, FAULT_SIZE, "failed: %s", err_message(err, info));
    return false;
}

/* Each expectation has its annotation; with any expectation of a kind, none is left over. */
static bool check_annotations(const struct eval_case *test, const struct query_result *result,
                              bool is_warning, char fault[FAULT_SIZE])
{
    const enum expect_kind kind = is_warning ? EXPECT_WARN : EXPECT_INFO;
    const char *const name = is_warning ? "warning" : "info";
    const struct annotation *first = result->annotations.first, *annotation;
    bool is_any = false;

    for (uint32_t i = 0; i < test->expectation_count; i++) {
        bool is_found = false;

        if (test->expectations[i].kind != kind)
            continue;
        is_any = true;
        for (annotation = first; annotation != NULL; annotation = annotation->next)
            is_found |= annotation->is_warning == is_warning &&
                        text_matches(&test->expectations[i], annotation->text);
        if (!is_found) {
            snprintf(fault, FAULT_SIZE, "no %s \"%.*s\"", name,
                     SLICE_ARG(test->expectations[i].text));
            return false;
        }
    }
    for (annotation = first; annotation != NULL; annotation = annotation->next) {
        bool is_found = false;

        if (annotation->is_warning != is_warning)
            continue;
        for (uint32_t i = 0; i < test->expectation_count; i++)
            is_found |= test->expectations[i].kind == kind &&
                        text_matches(&test->expectations[i], annotation->text);
        if ((is_any && !is_found) || (is_warning ? test->no_warn : test->no_info)) {
            snprintf(fault, FAULT_SIZE, "unexpected %s \"%.*s\"", name,
                     SLICE_ARG(annotation->text));
            return false;
        }
    }
    return true;
}

static void print_labels(struct label_set labels, char *out, size_t size)
{
    struct buf text;

    buf_init(&text, 4096);
    label_set_print(&text, labels);
    snprintf(out, size, "%.*s", SLICE_ARG(buf_slice(&text)));
    buf_fini(&text);
}

static bool sides_almost_equal(const struct histogram *want, const struct histogram *got,
                               bool is_negative)
{
    struct histogram_walk walk_want, walk_got;

    histogram_walk_init(&walk_want, want, is_negative);
    histogram_walk_init(&walk_got, got, is_negative);
    if (walk_want.bucket_count != walk_got.bucket_count)
        return false;
    while (histogram_walk_next(&walk_want)) {
        if (!histogram_walk_next(&walk_got) || walk_want.index != walk_got.index ||
            !check_almost_equal(walk_want.count, walk_got.count))
            return false;
    }
    return true;
}

/* Empty buckets aside. */
static bool histograms_almost_equal(const struct series_value *value, const struct histogram *got,
                                    struct arena *arena)
{
    const struct histogram *want = histogram_compacted(arena, value->histogram);

    got = histogram_compacted(arena, got);
    return want->schema == got->schema && check_almost_equal(want->f.count, got->f.count) &&
           check_almost_equal(want->sum, got->sum) && want->zero_threshold == got->zero_threshold &&
           check_almost_equal(want->f.zero_count, got->f.zero_count) &&
           histogram_bounds_eq(want, got) && sides_almost_equal(want, got, false) &&
           sides_almost_equal(want, got, true) && (!value->has_hint || want->reset == got->reset);
}

static void print_value(struct buf *out, double v, const struct histogram *histogram)
{
    if (histogram != NULL)
        histogram_literal_print(out, histogram);
    else
        buf_printf(out, "%.17g", v);
}

static bool check_point(const struct series_value *want, const struct query_point *got,
                        const char *name, char fault[FAULT_SIZE])
{
    struct arena arena;
    struct buf texts[2];
    bool is_equal;

    arena_init(&arena, NULL, 0);
    is_equal = want->histogram == NULL ? got->histogram == NULL : got->histogram != NULL;
    if (is_equal)
        is_equal = want->histogram == NULL ? check_almost_equal(want->v, got->v)
                                           : histograms_almost_equal(want, got->histogram, &arena);
    arena_fini(&arena);
    if (is_equal)
        return true;
    buf_init(&texts[0], 1 << 16);
    buf_init(&texts[1], 1 << 16);
    print_value(&texts[0], got->v, got->histogram);
    print_value(&texts[1], want->v, want->histogram);
    snprintf(fault, FAULT_SIZE, "%s: %.*s at %lld ms, expected %.*s", name,
             SLICE_ARG(buf_slice(&texts[0])), (long long)got->t_ms,
             SLICE_ARG(buf_slice(&texts[1])));
    buf_fini(&texts[0]);
    buf_fini(&texts[1]);
    return false;
}

static bool check_points(const struct eval_case *test, const struct series_line *want,
                         const struct query_series *got, char fault[FAULT_SIZE])
{
    const bool has_grid = test->is_range || test->has_grid;
    uint32_t point = 0;
    char name[200];

    print_labels(want->labels, name, sizeof(name));
    for (uint32_t i = 0; i < want->count; i++) {
        const int64_t t_ms = test->grid_start_ms + (int64_t)i * test->grid_step_ms;

        if (want->values[i].is_gap)
            continue;
        if (point == got->point_count || (has_grid && got->points[point].t_ms != t_ms)) {
            snprintf(fault, FAULT_SIZE, "%s: no value at %lld ms, expected %.17g", name,
                     (long long)t_ms, want->values[i].v);
            return false;
        }
        if (!check_point(&want->values[i], &got->points[point], name, fault))
            return false;
        point++;
    }
    if (point != got->point_count) {
        snprintf(fault, FAULT_SIZE, "%s: unexpected value %.17g at %lld ms", name,
                 got->points[point].v, (long long)got->points[point].t_ms);
        return false;
    }
    return true;
}

static bool expects_points(const struct series_line *line)
{
    for (uint32_t i = 0; i < line->count; i++) {
        if (!line->values[i].is_gap)
            return true;
    }
    return false;
}

static bool check_series(const struct eval_case *test, const struct query_result *result,
                         char fault[FAULT_SIZE])
{
    uint32_t expected = 0;
    char name[200];

    for (uint32_t i = 0; i < test->series_count; i++) {
        const struct series_line *want = &test->series[i];
        const struct query_series *got = NULL;
        uint32_t at = 0;

        if (!expects_points(want))
            continue;
        for (uint32_t k = 0; k < result->series_count && got == NULL; k++) {
            if (label_set_eq(result->series[k].labels, want->labels)) {
                got = &result->series[k];
                at = k;
            }
        }
        if (got == NULL || (test->is_ordered && at != expected)) {
            print_labels(want->labels, name, sizeof(name));
            snprintf(fault, FAULT_SIZE, got == NULL ? "no series %s" : "%s is out of order", name);
            return false;
        }
        expected++;
        if (!check_points(test, want, got, fault))
            return false;
    }
    if (expected != result->series_count) {
        snprintf(fault, FAULT_SIZE, "%u series, expected %u", result->series_count, expected);
        return false;
    }
    return true;
}

static bool check_sorted(const struct query_result *result, char fault[FAULT_SIZE])
{
    for (uint32_t i = 1; i < result->series_count; i++) {
        if (label_set_cmp(result->series[i - 1].labels, result->series[i].labels) >= 0) {
            snprintf(fault, FAULT_SIZE, "series of the matrix are not sorted");
            return false;
        }
    }
    return true;
}

bool check_result(const struct eval_case *test, const struct query_result *result,
                  char fault[FAULT_SIZE])
{
    if (!check_annotations(test, result, true, fault) ||
        !check_annotations(test, result, false, fault))
        return false;
    if (test->has_string) {
        snprintf(fault, FAULT_SIZE, "another string");
        return result->value == QUERY_STRING && slice_eq(test->string, result->string);
    }
    if (test->has_scalar) {
        snprintf(fault, FAULT_SIZE, "scalar %.17g, expected %.17g", result->scalar.v, test->scalar);
        return result->value == QUERY_SCALAR && check_almost_equal(test->scalar, result->scalar.v);
    }
    if (result->value != QUERY_VECTOR && result->value != QUERY_MATRIX) {
        snprintf(fault, FAULT_SIZE, "a scalar or string, expected series");
        return false;
    }
    if (result->value == QUERY_MATRIX && !check_sorted(result, fault))
        return false;
    return check_series(test, result, fault);
}
