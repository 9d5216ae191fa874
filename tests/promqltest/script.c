/* SPDX-License-Identifier: Apache-2.0 */
#include "promqltest/script.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/time_text.h"
#include "promql/engine.h"
#include "promql/lexer.h"
#include "promqltest/nhcb.h"
#include "promqltest/script_internal.h"

enum { SCRIPT_SIZE_MAX = 64 << 20, SAMPLES_MAX = 10000 };

struct script {
    const char *path;
    const struct script_options *options;
    struct script_counts *counts;
    struct slice text; /* what is left */
    uint32_t line;
    struct arena arena; /* of one block */
    struct mem_source *source;
    struct promql_engine *engine;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = slice_skip(s, 1);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

/* The next line, trimmed; a comment counts as blank. False at the end. */
static bool next_line(struct script *script, struct slice *line)
{
    const char *end;
    size_t len;

    if (script->text.len == 0)
        return false;
    end = memchr(script->text.data, '\n', script->text.len);
    len = end == NULL ? script->text.len : (size_t)(end - script->text.data);
    *line = trim(slice_of(script->text.data, len));
    if (line->len > 0 && line->data[0] == '#')
        line->len = 0;
    script->text = slice_skip(script->text, end == NULL ? len : len + 1);
    script->line++;
    return true;
}

/* Cuts the first word off. */
static struct slice next_word(struct slice *s)
{
    struct slice word;
    size_t len = 0;

    *s = trim(*s);
    while (len < s->len && !is_blank(s->data[len]))
        len++;
    word = slice_of(s->data, len);
    *s = trim(slice_skip(*s, len));
    return word;
}

static bool skip_word(struct slice *s, const char *want)
{
    struct slice rest = *s;

    if (!slice_eq_cstr(next_word(&rest), want))
        return false;
    *s = rest;
    return true;
}

static bool parse_ms(struct slice text, int64_t *ms)
{
    bool is_negative = false;
    double seconds;

    if (text.len > 0 && text.data[0] == '-') {
        is_negative = true;
        text = slice_skip(text, 1);
    }
    if (time_text_parse_duration(text, ms, NULL) != ERR_OK) {
        if (number_parse_double_decimal(text, &seconds) != ERR_OK)
            return false;
        *ms = (int64_t)(seconds * 1000);
    }
    if (is_negative)
        *ms = -*ms;
    return true;
}

static bool report(struct script *script, uint32_t line, const char *fault)
{
    printf("%s:%u: %s\n", script->path, line, fault);
    return false;
}

/* ---- load ---- */

static void add_line(struct script *script, const struct series_line *line, int64_t step_ms)
{
    for (uint32_t i = 0; i < line->count; i++) {
        const struct series_value *value = &line->values[i];

        if (value->is_gap)
            continue;
        if (value->histogram != NULL)
            mem_source_add_histogram(script->source, line->labels, (int64_t)i * step_ms,
                                     value->histogram);
        else
            mem_source_add(script->source, line->labels, (int64_t)i * step_ms, value->v);
    }
}

static bool run_load(struct script *script, struct slice command)
{
    const bool with_nhcb = slice_has_prefix(command, SLICE("load_with_nhcb"));
    struct nhcb_load nhcb = {.arena = &script->arena};
    struct slice line;
    int64_t step_ms;

    next_word(&command);
    if (!parse_ms(command, &step_ms))
        return report(script, script->line, "load needs a duration");
    while (next_line(script, &line) && line.len > 0) {
        struct series_line series;
        struct err_info info = {0};

        if (series_line_parse(&script->arena, line, &series, &info) != ERR_OK)
            return report(script, script->line, info.message);
        if (series.is_start_times)
            continue;
        add_line(script, &series, step_ms);
        if (with_nhcb)
            nhcb_load_take(&nhcb, &series);
    }
    if (!nhcb_load_finish(&nhcb, script->source, step_ms))
        return report(script, script->line, "classic histograms that cannot be converted");
    return true;
}

/* ---- eval: reading ---- */

/* at TIME EXPR, or from TIME to TIME step TIME EXPR */
static bool parse_eval(struct slice command, struct eval_case *test)
{
    const struct slice name = next_word(&command);

    if (slice_eq_cstr(name, "eval_fail"))
        test->expectations[test->expectation_count++] = (struct expectation){.kind = EXPECT_FAIL};
    else if (slice_eq_cstr(name, "eval_warn"))
        test->expectations[test->expectation_count++] = (struct expectation){.kind = EXPECT_WARN};
    else if (slice_eq_cstr(name, "eval_info"))
        test->expectations[test->expectation_count++] = (struct expectation){.kind = EXPECT_INFO};
    else if (slice_eq_cstr(name, "eval_ordered"))
        test->is_ordered = true;
    else if (!slice_eq_cstr(name, "eval"))
        return false;
    if (skip_word(&command, "instant")) {
        if (!skip_word(&command, "at") || !parse_ms(next_word(&command), &test->start_ms))
            return false;
        test->end_ms = test->grid_start_ms = test->start_ms;
    } else if (skip_word(&command, "range")) {
        test->is_range = true;
        if (!skip_word(&command, "from") || !parse_ms(next_word(&command), &test->start_ms) ||
            !skip_word(&command, "to") || !parse_ms(next_word(&command), &test->end_ms) ||
            !skip_word(&command, "step") || !parse_ms(next_word(&command), &test->step_ms))
            return false;
        test->grid_start_ms = test->start_ms;
        test->grid_step_ms = test->step_ms;
    } else {
        return false;
    }
    test->expr = command;
    return true;
}

static bool cut_prefix(struct slice *s, const char *prefix)
{
    if (!slice_has_prefix(*s, slice_from_cstr(prefix)))
        return false;
    *s = trim(slice_skip(*s, strlen(prefix)));
    return true;
}

static bool add_expectation(struct eval_case *test, enum expect_kind kind, struct slice rest)
{
    struct expectation *expectation = &test->expectations[test->expectation_count];

    if (test->expectation_count == EXPECT_MAX)
        return false;
    expectation->kind = kind;
    expectation->is_regex = cut_prefix(&rest, "regex:");
    if (!expectation->is_regex)
        cut_prefix(&rest, "msg:");
    expectation->text = rest;
    test->expectation_count++;
    return true;
}

/* The line behind "expect". */
static bool parse_expect(struct script *script, struct slice rest, struct eval_case *test)
{
    const struct slice what = next_word(&rest);

    if (slice_eq_cstr(what, "fail"))
        return add_expectation(test, EXPECT_FAIL, rest);
    if (slice_eq_cstr(what, "warn"))
        return add_expectation(test, EXPECT_WARN, rest);
    if (slice_eq_cstr(what, "info"))
        return add_expectation(test, EXPECT_INFO, rest);
    if (slice_eq_cstr(what, "no_warn"))
        return test->no_warn = true;
    if (slice_eq_cstr(what, "no_info"))
        return test->no_info = true;
    if (slice_eq_cstr(what, "ordered"))
        return test->is_ordered = true;
    if (slice_eq_cstr(what, "string")) {
        test->has_string = true;
        return rest.len >= 2 && promql_lexer_unquote(&script->arena, rest, &test->string) == ERR_OK;
    }
    if (slice_eq_cstr(what, "range") && skip_word(&rest, "vector") && skip_word(&rest, "from")) {
        int64_t end_ms;

        test->has_grid = true;
        return parse_ms(next_word(&rest), &test->grid_start_ms) && skip_word(&rest, "to") &&
               parse_ms(next_word(&rest), &end_ms) && skip_word(&rest, "step") &&
               parse_ms(next_word(&rest), &test->grid_step_ms);
    }
    return false;
}

static bool add_series(struct script *script, struct slice line, struct eval_case *test)
{
    struct err_info info = {0};

    if (test->series_count == test->series_cap) {
        const uint32_t cap = test->series_cap == 0 ? 8 : test->series_cap * 2;

        test->series =
            arena_grow(&script->arena, test->series, test->series_cap * sizeof(*test->series),
                       cap * sizeof(*test->series));
        test->series_cap = cap;
    }
    if (series_line_parse(&script->arena, line, &test->series[test->series_count], &info) != ERR_OK)
        return report(script, script->line, info.message);
    test->series_count++;
    return true;
}

/* The lines of a block under an eval. */
static bool read_block(struct script *script, struct eval_case *test)
{
    struct slice line;

    while (next_line(script, &line) && line.len > 0) {
        struct slice rest = line;

        if (cut_prefix(&rest, "expected_fail_message")) {
            test->expectations[0].text = rest;
        } else if (cut_prefix(&rest, "expected_fail_regexp")) {
            test->expectations[0].text = rest;
            test->expectations[0].is_regex = true;
        } else if (skip_word(&rest, "expect")) {
            if (!parse_expect(script, rest, test))
                return report(script, script->line, "unknown expectation");
        } else if (series_line_number(line, &test->scalar)) {
            test->has_scalar = true;
        } else if (!add_series(script, line, test)) {
            return false;
        }
    }
    return true;
}

/* ---- eval: running ---- */

static enum err run_query(struct script *script, const struct eval_case *test,
                          struct query_result *result, struct err_info *info)
{
    const struct query_options options = {
        .expr = test->expr,
        .start_ms = test->start_ms,
        .end_ms = test->end_ms,
        .step_ms = test->step_ms,
        .arena = &script->arena,
    };

    return query_eval(promql_engine_query(script->engine), &options, result, info);
}

static bool expects_failure(const struct eval_case *test)
{
    for (uint32_t i = 0; i < test->expectation_count; i++) {
        if (test->expectations[i].kind == EXPECT_FAIL)
            return true;
    }
    return false;
}

static bool speaks_of_range(struct slice expr)
{
    static const char *const words[] = {"start()", "end()", "range()", "step()"};

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (memmem(expr.data, expr.len, words[i], strlen(words[i])) != NULL)
            return true;
    }
    return false;
}

/* What a range query around the instant gives at the instant, as an instant's result. */
static void take_middle(struct script *script, const struct eval_case *test,
                        struct query_result *result)
{
    struct query_series *series =
        arena_alloc(&script->arena, result->series_count * sizeof(*series));
    uint32_t count = 0;

    for (uint32_t i = 0; i < result->series_count; i++) {
        for (uint32_t k = 0; k < result->series[i].point_count; k++) {
            const struct query_point *point = &result->series[i].points[k];

            if (point->t_ms != test->start_ms)
                continue;
            series[count] = result->series[i];
            series[count].points = point;
            series[count++].point_count = 1;
        }
    }
    result->series = series;
    result->series_count = count;
    if (test->has_scalar && count == 1) {
        result->value = QUERY_SCALAR;
        result->scalar = series[0].points[0];
    }
}

static bool check_as_range(struct script *script, const struct eval_case *test,
                           char fault[FAULT_SIZE])
{
    struct eval_case range = *test;
    struct query_result result = {0};
    struct err_info info = {0};
    enum err err;

    range.step_ms = 60000;
    range.start_ms -= range.step_ms;
    range.end_ms += range.step_ms;
    err = run_query(script, &range, &result, &info);
    if (err != ERR_OK) {
        snprintf(fault, FAULT_SIZE, "as a range query: %s", err_message(err, &info));
        return false;
    }
    take_middle(script, test, &result);
    /* Other steps may add annotations of their own. */
    result.annotations = (struct annotations){0};
    range = *test;
    range.expectation_count = 0;
    return check_result(&range, &result, fault);
}

/* Pinned to its time and printed, a query answers the same at any time. */
static bool check_pinned(struct script *script, const struct eval_case *test,
                         char fault[FAULT_SIZE])
{
    const int64_t t_ms = test->start_ms;
    int64_t times[] = {-10 * t_ms, 0, t_ms / 5, t_ms, 10 * t_ms};
    struct eval_case pinned = *test;

    if (t_ms == 0) {
        times[0] = -1000;
        times[4] = 1000;
    }
    if (!at_variant(&script->arena, test->expr, t_ms, &pinned.expr))
        return true;
    pinned.expectation_count = 0;
    pinned.no_info = pinned.no_warn = false;
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        struct query_result result = {0};
        struct err_info info = {0};
        enum err err;

        pinned.start_ms = pinned.end_ms = times[i];
        err = run_query(script, &pinned, &result, &info);
        if (err != ERR_OK)
            snprintf(fault, FAULT_SIZE, "as %.*s: %s", SLICE_ARG(pinned.expr),
                     err_message(err, &info));
        if (err != ERR_OK || !check_result(&pinned, &result, fault))
            return false;
    }
    return true;
}

static bool run_case(struct script *script, const struct eval_case *test, char fault[FAULT_SIZE])
{
    struct query_result result = {0};
    struct err_info info = {0};
    const enum err err = run_query(script, test, &result, &info);

    if (!check_failure(test, err, &info, fault))
        return false;
    if (err != ERR_OK || expects_failure(test))
        return true;
    if (!check_result(test, &result, fault))
        return false;
    if (!test->is_range && !test->has_string && !speaks_of_range(test->expr) &&
        !check_pinned(script, test, fault))
        return false;
    if (test->is_range || test->is_ordered || test->has_string || test->has_grid ||
        result.value == QUERY_MATRIX || speaks_of_range(test->expr))
        return true;
    return check_as_range(script, test, fault);
}

static bool run_eval(struct script *script, struct slice command)
{
    struct eval_case test = {.line = script->line};
    char fault[FAULT_SIZE] = "";

    if (!parse_eval(command, &test))
        return report(script, script->line, "bad eval command");
    if (!read_block(script, &test))
        return false;
    if (run_case(script, &test, fault)) {
        script->counts->passed++;
        return true;
    }
    script->counts->failed++;
    if (strstr(fault, "not supported yet") != NULL) {
        script->counts->unsupported++;
        if (!script->options->is_verbose)
            return true;
    }
    printf("%s:%u: %.*s: %s\n", script->path, test.line, SLICE_ARG(test.expr), fault);
    return true;
}

static bool run_command(struct script *script, struct slice line)
{
    struct slice rest = line;
    const struct slice word = next_word(&rest);

    if (slice_eq_cstr(word, "clear")) {
        mem_source_clear(script->source);
        return true;
    }
    if (slice_has_prefix(word, SLICE("load")))
        return run_load(script, line);
    if (slice_has_prefix(word, SLICE("eval")))
        return run_eval(script, line);
    return report(script, script->line, "unknown command");
}

static bool read_file(const char *path, struct buf *text)
{
    FILE *file = fopen(path, "rb");
    size_t got;

    if (file == NULL)
        return false;
    do {
        char *to = buf_reserve(text, 65536);

        got = to == NULL ? 0 : fread(to, 1, 65536, file);
        text->len += got;
    } while (got > 0);
    fclose(file);
    return text->err == ERR_OK;
}

bool script_run(const char *path, const struct script_options *options,
                struct script_counts *counts)
{
    struct script script = {.path = path, .options = options, .counts = counts};
    struct buf text;
    struct slice line;
    bool ok;

    buf_init(&text, SCRIPT_SIZE_MAX);
    ok = read_file(path, &text);
    if (!ok)
        fprintf(stderr, "%s: cannot be read\n", path);
    script.text = buf_slice(&text);
    arena_init(&script.arena, NULL, 0);
    script.source = mem_source_new();
    script.engine = promql_engine_new(&(struct promql_engine_options){
        .source = mem_source_source(script.source),
        .samples_max = SAMPLES_MAX,
        .features = {true, true, true, true},
    });
    while (ok && next_line(&script, &line)) {
        if (line.len > 0 && !run_command(&script, line))
            counts->failed++;
        arena_reset(&script.arena);
    }
    promql_engine_free(script.engine);
    mem_source_free(script.source);
    arena_fini(&script.arena);
    buf_fini(&text);
    return ok;
}
