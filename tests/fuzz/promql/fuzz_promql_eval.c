/* SPDX-License-Identifier: Apache-2.0 */

/* Any expression over a small fixed set of data: an answer or a message, within its memory. */
#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "model/query.h"
#include "model/sample.h"
#include "promql/engine.h"
#include "support/mem_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Looks at the deadline that a query may take: a text of a few bytes can ask for years of steps.
 * A clock that moves by being looked at makes every run of an input the same. */
enum { LOOKS_MAX = 1000 };

static uint64_t looks;

static uint64_t count_looks(void *owner)
{
    (void)owner;
    return ++looks;
}

static struct mem_source *source;
static struct promql_engine *engine;

static void forget(void)
{
    promql_engine_free(engine);
    mem_source_free(source);
}

static void add(struct label_set labels, uint32_t seed)
{
    for (uint32_t i = 0; i < 300; i++) {
        double v = (double)((i * 7 + seed) % 97);

        if (i % 29 == seed % 29)
            v = sample_value_from_bits(SAMPLE_STALE_BITS);
        else if (i % 31 == seed % 31)
            v = i % 2 == 0 ? HUGE_VAL : (double)NAN;
        mem_source_add(source, labels, (int64_t)i * 15000 + seed, v);
    }
}

static void prepare(void)
{
    static const char *const names[] = {"a", "b", "c_total"};
    static const char *const values[] = {"x", "y", "z"};

    source = mem_source_new();
    for (uint32_t i = 0; i < 18; i++) {
        const struct label items[] = {
            {SLICE("__name__"), slice_from_cstr(names[i % 3])},
            {SLICE("i"), slice_from_cstr(values[i / 3 % 3])},
            {SLICE("j"), slice_from_cstr(values[i / 9])},
        };

        add((struct label_set){items, 3}, i);
    }
    engine = promql_engine_new(&(struct promql_engine_options){
        .source = mem_source_source(source),
        .samples_max = 100000,
        .mono_ns = count_looks,
        .features = {true, true, true, true},
    });
    atexit(forget);
}

static void check_series(const struct query_result *result)
{
    for (uint32_t i = 0; i < result->series_count; i++) {
        const struct query_series *series = &result->series[i];

        ASSERT(series->point_count > 0);
        for (uint32_t k = 1; k < series->point_count; k++)
            ASSERT(series->points[k - 1].t_ms < series->points[k].t_ms);
    }
}

static void run(struct slice expr, int64_t end_ms, int64_t step_ms)
{
    struct budget budget;
    struct arena arena;
    struct query_result result;
    struct err_info info = {0};
    struct query_options options = {
        .expr = expr,
        .start_ms = 600000,
        .end_ms = end_ms,
        .step_ms = step_ms,
        .arena = &arena,
        .deadline_ns = looks + LOOKS_MAX,
    };
    enum err err;

    budget_init(&budget, NULL, "query", 32 << 20);
    arena_init(&arena, &budget, 0);
    err = query_eval(promql_engine_query(engine), &options, &result, &info);
    if (err == ERR_OK)
        check_series(&result);
    else
        ASSERT(info.message[0] != '\0');
    arena_fini(&arena);
    ASSERT(atomic_load(&budget.used_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice expr = slice_of(data, size);

    if (size > 4096)
        return 0;
    if (engine == NULL)
        prepare();
    run(expr, 600000, 0);
    run(expr, 4000000, 7000);
    run(expr, 6000000, 4000);
    return 0;
}
