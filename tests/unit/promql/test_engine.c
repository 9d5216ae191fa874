/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>

#include "promql/engine.h"
#include "support/check.h"
#include "support/gen.h"
#include "support/mem_source.h"

struct fixture {
    struct mem_source *source;
    struct promql_engine *engine;
    struct arena arena;
    struct budget budget;
    struct query_result result;
    struct err_info info;
};

static uint64_t fake_now_ns;
static uint64_t fake_tick_ns; /* by which every look moves the clock */

static uint64_t fake_mono(void *owner)
{
    (void)owner;
    fake_now_ns += fake_tick_ns;
    return fake_now_ns;
}

static void add(struct fixture *fixture, const char *name, const char *value,
                const struct sample *samples, size_t count)
{
    const struct label items[] = {{SLICE("__name__"), slice_from_cstr(name)},
                                  {SLICE("i"), slice_from_cstr(value)}};

    for (size_t i = 0; i < count; i++)
        mem_source_add(fixture->source, (struct label_set){items, 2}, samples[i].t_ms,
                       samples[i].v);
}

static int setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.source = mem_source_new()};
    fixture.engine = promql_engine_new(&(struct promql_engine_options){
        .source = mem_source_source(fixture.source),
        .samples_max = 100000,
        .mono_ns = fake_mono,
        .features = {true, true, true, true},
    });
    budget_init(&fixture.budget, NULL, "query", 64 << 20);
    arena_init(&fixture.arena, &fixture.budget, 0);
    fake_now_ns = 1;
    fake_tick_ns = 0;
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    arena_fini(&fixture->arena);
    promql_engine_free(fixture->engine);
    mem_source_free(fixture->source);
    return 0;
}

static enum err query(struct fixture *fixture, const char *expr, struct query_options options)
{
    fixture->info.message[0] = '\0';
    arena_reset(&fixture->arena);
    options.expr = slice_from_cstr(expr);
    options.arena = &fixture->arena;
    return query_eval(promql_engine_query(fixture->engine), &options, &fixture->result,
                      &fixture->info);
}

static enum err instant(struct fixture *fixture, const char *expr, int64_t t_ms)
{
    return query(fixture, expr, (struct query_options){.start_ms = t_ms, .end_ms = t_ms});
}

static enum err range(struct fixture *fixture, const char *expr, int64_t end_ms)
{
    return query(fixture, expr, (struct query_options){.end_ms = end_ms, .step_ms = 1000});
}

static void test_kinds(void **state)
{
    struct fixture *fixture = *state;
    const struct sample samples[] = {{1000, 1}, {2000, 2}, {3000, 3}};

    add(fixture, "m", "a", samples, 3);
    check_err(ERR_OK, instant(fixture, "1 + 2 * 3", 5000));
    assert_int_equal(fixture->result.value, QUERY_SCALAR);
    assert_int_equal(fixture->result.scalar.t_ms, 5000);
    assert_true(fixture->result.scalar.v == 7);
    check_err(ERR_OK, instant(fixture, "(\"text\")", 5000));
    assert_int_equal(fixture->result.value, QUERY_STRING);
    check_slice("text", fixture->result.string);
    check_err(ERR_OK, instant(fixture, "m", 5000));
    assert_int_equal(fixture->result.value, QUERY_VECTOR);
    assert_int_equal(fixture->result.series_count, 1);
    assert_int_equal(fixture->result.series[0].points[0].t_ms, 5000);
    check_err(ERR_OK, instant(fixture, "m[2s]", 3000));
    assert_int_equal(fixture->result.value, QUERY_MATRIX);
    assert_int_equal(fixture->result.series[0].point_count, 2);
    assert_int_equal(fixture->result.series[0].points[0].t_ms, 2000);
    check_err(ERR_OK, range(fixture, "1", 3000));
    assert_int_equal(fixture->result.value, QUERY_MATRIX);
    assert_int_equal(fixture->result.series[0].point_count, 4);
    check_err(ERR_BAD_INPUT, range(fixture, "m[2s]", 3000));
    check_message("invalid expression type \"range vector\" for range query", &fixture->info);
}

static void test_refusals(void **state)
{
    /* What is evaluated one day leaves this list. */
    static const char *const texts[] = {
        "rate(m[5m] anchored)",
        "m smoothed",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        check_err(ERR_EXEC, instant(fixture, texts[i], 0));
        check_message("is not supported yet", &fixture->info);
    }
    check_err(ERR_BAD_INPUT, instant(fixture, "m +", 0));
    check_err(ERR_BAD_INPUT,
              query(fixture, "m", (struct query_options){.start_ms = 2, .end_ms = 1}));
    check_err(ERR_BAD_INPUT, query(fixture, "m", (struct query_options){.end_ms = 1}));
    check_err(ERR_BAD_INPUT, query(fixture, "m",
                                   (struct query_options){
                                       .start_ms = INT64_MIN, .end_ms = INT64_MAX, .step_ms = 1}));
    check_err(ERR_OK, query(fixture, "m offset 1w @ -9e15",
                            (struct query_options){.start_ms = INT64_MIN, .end_ms = INT64_MIN}));
}

static void test_limits(void **state)
{
    struct fixture *fixture = *state;
    _Atomic bool cancelled = true;
    char value[16];

    for (int i = 0; i < 200; i++) {
        const struct sample samples[] = {{0, 1}};

        snprintf(value, sizeof(value), "%d", i);
        add(fixture, "m", value, samples, 1);
    }
    check_err(ERR_OK, range(fixture, "m", 400000));
    check_err(ERR_LIMIT, query(fixture, "m",
                               (struct query_options){
                                   .end_ms = 9000000, .lookback_ms = 9000000, .step_ms = 1000}));
    check_message("query processing would load too many samples", &fixture->info);
    fixture->budget.limit_bytes = 200000;
    arena_fini(&fixture->arena);
    arena_init(&fixture->arena, &fixture->budget, 0);
    check_err(ERR_LIMIT, range(fixture, "m", 400000));
    check_message("query needs more memory than its limit of 200000 bytes", &fixture->info);
    fixture->budget.limit_bytes = 64 << 20;
    check_err(ERR_CANCELLED, query(fixture, "m", (struct query_options){.cancelled = &cancelled}));
    fake_now_ns = 100;
    check_err(ERR_DEADLINE, query(fixture, "m", (struct query_options){.deadline_ns = 50}));
    check_message("query timed out in expression evaluation", &fixture->info);
    check_err(ERR_OK, query(fixture, "m", (struct query_options){.deadline_ns = 500, .limit = 7}));
    assert_int_equal(fixture->result.series_count, 7);
    assert_true(fixture->result.is_truncated);
}

/* A grid of billions of steps over a handful of samples: its cost is theirs, and where an operator
 * cannot know that, the deadline holds. */
static void test_quiet_grid(void **state)
{
    struct fixture *fixture = *state;
    const int64_t year_ms = INT64_C(365) * 86400 * 1000;
    const struct sample samples[] = {{1000, 1},
                                     {year_ms + 500, 2},
                                     {year_ms + 700000, sample_value_from_bits(SAMPLE_STALE_BITS)},
                                     {5 * year_ms, 4}};

    add(fixture, "m", "a", samples, 4);
    fake_tick_ns = 1;
    /* 300 s of lookback after each sample, 600 steps; the last has one. */
    check_err(ERR_OK, query(fixture, "count_over_time(m[5y:500ms])",
                            (struct query_options){
                                .start_ms = 5 * year_ms, .end_ms = 5 * year_ms, .limit = 1}));
    assert_int_equal(fixture->result.series_count, 1);
    assert_true(fixture->result.series[0].points[0].v == 600 + 600 + 1);
    check_err(ERR_OK, query(fixture, "sum_over_time(m[5y:500ms] offset 1ms)",
                            (struct query_options){.start_ms = 5 * year_ms + 600,
                                                   .end_ms = 5 * year_ms + 600}));
    assert_true(fixture->result.series[0].points[0].v == 600 * 1 + 600 * 2 + 2 * 4);
    check_err(ERR_DEADLINE,
              query(fixture, "count_over_time((-m)[30y:1s])",
                    (struct query_options){
                        .start_ms = 9 * year_ms, .end_ms = 9 * year_ms, .deadline_ns = 1000}));
    check_message("query timed out in expression evaluation", &fixture->info);
}

static void test_matching_faults(void **state)
{
    struct fixture *fixture = *state;
    const struct sample samples[] = {{0, 1}};

    add(fixture, "m", "a", samples, 1);
    add(fixture, "m", "b", samples, 1);
    add(fixture, "n", "a", samples, 1);
    check_err(ERR_EXEC, instant(fixture, "n + on() m", 0));
    check_message("found duplicate series for the match group {} on the right hand-side of the "
                  "operation: [{__name__=\"m\", i=\"a\"}, {__name__=\"m\", i=\"b\"}];many-to-many "
                  "matching not allowed: matching "
                  "labels must be unique on one side",
                  &fixture->info);
    check_err(ERR_EXEC, instant(fixture, "m + on() n", 0));
    check_message("multiple matches for labels: many-to-one matching must be explicit "
                  "(group_left/group_right)",
                  &fixture->info);
    check_err(ERR_OK, instant(fixture, "nosuch + on() m", 0));
    check_err(ERR_EXEC, instant(fixture, "-{i=\"a\"}", 0));
    check_message("vector cannot contain metrics with the same labelset", &fixture->info);
    check_err(ERR_OK, instant(fixture, "m + on () group_left () n", 0));
    assert_int_equal(fixture->result.series_count, 2);
}

/* increase() as section 4.7 of the language's description has it, over all samples of a range. */
static bool naive_increase(const struct sample *samples, size_t count, int64_t open_ms,
                           int64_t end_ms, double *out)
{
    const struct sample *first = NULL, *last = NULL;
    double result, sampled, gap, to_start, to_end;
    double resets = 0;
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        if (samples[i].t_ms <= open_ms || samples[i].t_ms > end_ms ||
            sample_value_is_stale(samples[i].v))
            continue;
        if (last != NULL && samples[i].v < last->v)
            resets += last->v;
        if (first == NULL)
            first = &samples[i];
        last = &samples[i];
        used++;
    }
    if (used < 2)
        return false;
    result = last->v - first->v + resets;
    sampled = (double)(last->t_ms - first->t_ms) / 1000;
    gap = sampled / (double)(used - 1);
    to_start = (double)(first->t_ms - open_ms) / 1000;
    to_end = (double)(end_ms - last->t_ms) / 1000;
    if (to_start >= gap * 1.1)
        to_start = gap / 2;
    if (result > 0 && first->v >= 0)
        to_start = fmin(to_start, sampled * (first->v / result));
    if (to_end >= gap * 1.1)
        to_end = gap / 2;
    *out = result * ((sampled + to_start + to_end) / sampled);
    return true;
}

static double next_value(struct gen *gen, double last)
{
    switch (gen_below(gen, 12)) {
    case 0:
        return sample_value_from_bits(SAMPLE_STALE_BITS);
    case 1:
        return (double)gen_below(gen, 10);
    case 2:
        return gen_below(gen, 20) == 0 ? HUGE_VAL : last / 3;
    case 3:
        return gen_below(gen, 20) == 0 ? (double)NAN : last;
    default:
        return (isfinite(last) ? last : 0) + (double)gen_below(gen, 100) / 7;
    }
}

static bool same(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= 1e-12 * (fabs(a) + fabs(b));
}

/* Any steps over any samples: what slides gives what a look at each range gives. */
static void check_increase(struct fixture *fixture, struct gen *gen)
{
    enum { COUNT = 400 };
    struct sample samples[COUNT];
    const int64_t step_ms = 500 + (int64_t)gen_below(gen, 9000);
    const int64_t range_ms = 500 + (int64_t)gen_below(gen, 60000);
    struct query_options options = {.end_ms = 500000, .step_ms = step_ms};
    int64_t t_ms = 0;
    double v = 0;
    char expr[64];
    uint32_t at = 0;

    mem_source_clear(fixture->source);
    for (int i = 0; i < COUNT; i++) {
        t_ms += 1 + (int64_t)gen_below(gen, 2500);
        v = next_value(gen, v);
        samples[i] = (struct sample){t_ms, v};
    }
    add(fixture, "m_total", "a", samples, COUNT);
    snprintf(expr, sizeof(expr), "increase(m_total[%lldms])", (long long)range_ms);
    if (query(fixture, expr, options) != ERR_OK)
        fail_msg("%s", fixture->info.message);
    for (t_ms = 0; t_ms <= options.end_ms; t_ms += step_ms) {
        const struct query_series *series = fixture->result.series;
        double want;

        if (!naive_increase(samples, COUNT, t_ms - range_ms, t_ms, &want))
            continue;
        assert_true(fixture->result.series_count == 1 && at < series->point_count);
        if (series->points[at].t_ms != t_ms || !same(series->points[at].v, want))
            fail_msg("seed %llu at %lld: %.17g, want %.17g", (unsigned long long)gen->seed,
                     (long long)t_ms, series->points[at].v, want);
        at++;
    }
    if (fixture->result.series_count == 1)
        assert_int_equal(at, fixture->result.series[0].point_count);
}

static void test_increase(void **state)
{
    struct gen gen;

    GEN_EACH_SEED(&gen, 300)
    {
        check_increase(*state, &gen);
    }
}

/* Over more than one window, each step is what an instant query gives. */
static void test_windows(void **state)
{
    static const char *const exprs[] = {"m",
                                        "m * 2 + n",
                                        "sum by (i) ({i=~\".+\"})",
                                        "rate(m[30s])",
                                        "m > bool n",
                                        "-m",
                                        "time() - m",
                                        "avg({i=~\".+\"})",
                                        "m + on (i) group_left () n",
                                        "m and n",
                                        "(m > 300) * 1 or on (i) n * 1",
                                        "m unless n > 8",
                                        "clamp_min(m, scalar(n) * 40) >= 0",
                                        "absent(m > 300)",
                                        "label_replace(m, \"x\", \"$1\", \"i\", \"(.*)\")",
                                        "sum_over_time(m[90s])",
                                        "avg_over_time(m[90s])",
                                        "max_over_time(m[90s])",
                                        "min_over_time(m[20s])",
                                        "changes(n[60s])",
                                        "resets(m[60s])",
                                        "irate(m[20s])",
                                        "deriv(m[10s])",
                                        "quantile_over_time(0.3, m[10s])",
                                        "sum_over_time(n[50s:2s])",
                                        "topk(1, n)",
                                        "limitk(1, m)",
                                        "quantile(0.5, {i=~\".+\"})",
                                        "stddev({i=~\".+\"})"};
    struct fixture *fixture = *state;
    struct sample samples[3000];

    for (int i = 0; i < 3000; i++)
        samples[i] = (struct sample){i * 1000 + 300, i % 711};
    add(fixture, "m", "a", samples, 3000);
    for (int i = 0; i < 3000; i++)
        samples[i].v = i % 17;
    add(fixture, "n", "a", samples, 2000);
    for (size_t e = 0; e < COUNT_OF(exprs); e++) {
        double want[2500];
        uint32_t count = 0;

        if (range(fixture, exprs[e], 2499000) != ERR_OK)
            fail_msg("%s: %s", exprs[e], fixture->info.message);
        assert_int_equal(fixture->result.series_count, 1);
        count = fixture->result.series[0].point_count;
        for (uint32_t i = 0; i < count; i++) {
            assert_true(fixture->result.series[0].points[i].t_ms % 1000 == 0);
            want[i] = fixture->result.series[0].points[i].v;
        }
        for (int64_t t_ms = 0, at = 0; t_ms < 2500000; t_ms += 1000) {
            check_err(ERR_OK, instant(fixture, exprs[e], t_ms));
            if (fixture->result.series_count == 0)
                continue;
            if (at >= count || fixture->result.series[0].points[0].v != want[at])
                fail_msg("%s at %lld", exprs[e], (long long)t_ms);
            at++;
        }
    }
}

/* As deep as the parser lets it be: no stack or memory gives way. */
static void test_deep(void **state)
{
    static const struct {
        const char *open, *close;
    } cases[] = {{"", " + m"}, {"sum(", ")"}, {"-(1 - ", ")"}, {"2 * ", ""}};
    struct fixture *fixture = *state;
    const struct sample samples[] = {{0, 1}};

    add(fixture, "m", "a", samples, 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text;
        /* Each level of the third case is three nodes. */
        const int depth = i == 2 ? 160 : 250;

        buf_init(&text, 1 << 20);
        for (int k = 0; k < depth; k++)
            buf_add_cstr(&text, cases[i].open);
        buf_add_cstr(&text, "m");
        for (int k = 0; k < depth; k++)
            buf_add_cstr(&text, cases[i].close);
        buf_add_byte(&text, '\0');
        check_err_info(ERR_OK, range(fixture, text.data, 100000), &fixture->info);
        assert_int_equal(fixture->result.series_count, 1);
        buf_fini(&text);
    }
}

/* A long raw range is whole, and takes no more than a few times its own memory. */
static void test_long_range(void **state)
{
    enum { COUNT = 50000 };
    struct fixture *fixture = *state;
    const size_t size_max = 6 * COUNT * sizeof(struct query_point);

    for (int i = 1; i <= COUNT; i++)
        add(fixture, "long", "a", &(struct sample){i * 1000, i}, 1);
    check_err_info(ERR_OK, instant(fixture, "long[50000s]", COUNT * 1000), &fixture->info);
    assert_int_equal(fixture->result.series_count, 1);
    assert_int_equal(fixture->result.series[0].point_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_true(fixture->result.series[0].points[i].v == i + 1);
    assert_true(atomic_load(&fixture->budget.peak_bytes) <= size_max);
    fixture->budget.peak_bytes = 0;
    check_err_info(ERR_OK, range(fixture, "long", 10999000), &fixture->info);
    assert_int_equal(fixture->result.series[0].point_count, 10999);
    assert_true(fixture->result.series[0].points[10998].v == 10999);
    assert_true(atomic_load(&fixture->budget.peak_bytes) <= size_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quiet_grid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_matching_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_increase, setup, teardown),
        cmocka_unit_test_setup_teardown(test_windows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_range, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
