/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>

#include "promql/engine.h"
#include "support/check.h"
#include "support/gen.h"
#include "support/mem_source.h"

enum { SAMPLES = 400, STEP_MS = 7000 };

struct fixture {
    struct mem_source *source;
    struct promql_engine *engine;
    struct arena arena;
    struct sample samples[SAMPLES];
};

static int setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.source = mem_source_new()};
    fixture.engine = promql_engine_new(
        &(struct promql_engine_options){.source = mem_source_source(fixture.source)});
    arena_init(&fixture.arena, NULL, 0);
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

/* What a function must give: plainly, sample by sample; long double holds sums better. */
struct answer {
    uint32_t count;
    long double sum, magnitude;
    double least, greatest;
    bool is_finite;
};

static struct answer answer_of(const struct fixture *fixture, int64_t open_ms, int64_t end_ms)
{
    struct answer answer = {.least = NAN, .greatest = NAN, .is_finite = true};

    for (int i = 0; i < SAMPLES; i++) {
        const double v = fixture->samples[i].v;

        if (fixture->samples[i].t_ms <= open_ms || fixture->samples[i].t_ms > end_ms ||
            sample_value_is_stale(v))
            continue;
        answer.count++;
        answer.sum += v;
        answer.magnitude += fabsl(v);
        answer.is_finite &= isfinite(v) && fabs(v) < 1e300;
        if (isnan(answer.least) || v < answer.least)
            answer.least = v;
        if (isnan(answer.greatest) || v > answer.greatest)
            answer.greatest = v;
    }
    return answer;
}

static bool is_right(const struct answer *answer, const char *function, double got)
{
    const bool is_avg = function[0] == 'a';
    const long double sum = is_avg ? answer->sum / answer->count : answer->sum;
    const long double room = answer->magnitude * 1e-15L / (is_avg ? answer->count : 1);

    if (function[0] == 'c')
        return got == answer->count;
    if (function[1] == 'i')
        return got == answer->least || (isnan(got) && isnan(answer->least));
    if (function[0] == 'm')
        return got == answer->greatest || (isnan(got) && isnan(answer->greatest));
    return !answer->is_finite || fabsl(sum - got) <= room + 1e-320L;
}

static void check_function(struct fixture *fixture, struct gen *gen, const char *function)
{
    const int64_t end_ms = fixture->samples[SAMPLES - 1].t_ms + 60000;
    const int64_t start_ms = fixture->samples[0].t_ms - 30000;
    const int64_t range_ms = gen_between(gen, 1000, (end_ms - start_ms) / 2);
    struct query_options options = {
        .start_ms = start_ms, .end_ms = end_ms, .step_ms = STEP_MS, .arena = &fixture->arena};
    struct query_result result;
    struct err_info info = {0};
    uint32_t at = 0;
    char text[120];

    snprintf(text, sizeof(text), "%s_over_time(m[%lldms])", function, (long long)range_ms);
    options.expr = slice_from_cstr(text);
    arena_reset(&fixture->arena);
    check_err(ERR_OK, query_eval(promql_engine_query(fixture->engine), &options, &result, &info));
    assert_true(result.series_count <= 1);
    for (int64_t t_ms = start_ms; t_ms <= end_ms; t_ms += STEP_MS) {
        const struct answer answer = answer_of(fixture, t_ms - range_ms, t_ms);

        if (answer.count == 0)
            continue;
        if (result.series_count == 0 || at == result.series[0].point_count ||
            result.series[0].points[at].t_ms != t_ms ||
            !is_right(&answer, function, result.series[0].points[at].v))
            fail_msg("%s at %lld: %.17g, %.17Lg", text, (long long)t_ms,
                     result.series_count == 0 ? NAN : result.series[0].points[at].v, answer.sum);
        at++;
    }
    assert_int_equal(at, result.series_count == 0 ? 0 : result.series[0].point_count);
}

/* However the edges slide, the answer is that of the samples in the range. */
static void test_sliding(void **state)
{
    static const char *const functions[] = {"sum", "avg", "min", "max", "count"};
    const struct label name = {SLICE("__name__"), SLICE("m")};
    struct fixture *fixture = *state;
    struct gen gen;

    GEN_EACH_SEED(&gen, 200)
    {
        gen_series(&gen, fixture->samples, SAMPLES);
        mem_source_clear(fixture->source);
        for (int i = 0; i < SAMPLES; i++)
            mem_source_add(fixture->source, (struct label_set){&name, 1}, fixture->samples[i].t_ms,
                           fixture->samples[i].v);
        for (size_t i = 0; i < COUNT_OF(functions); i++)
            check_function(fixture, &gen, functions[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sliding, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
