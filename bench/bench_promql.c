/* SPDX-License-Identifier: Apache-2.0 */

/* bench_promql [SERIES]: everyday range queries over series in memory (15 s apart, two hours), one
 * thread. Prints nanoseconds per sample read and per step of a series. The source hands samples
 * over as an array, so what is measured is the engine. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "promql/engine.h"
#include "support/mem_source.h"

enum { SAMPLES = 480, INTERVAL_MS = 15000 };

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fill(struct mem_source *source, unsigned series_count)
{
    char instance[32], job[32];

    for (unsigned i = 0; i < series_count; i++) {
        const struct label labels[] = {
            {SLICE("__name__"), SLICE("requests_total")},
            {SLICE("instance"), slice_from_cstr(instance)},
            {SLICE("job"), slice_from_cstr(job)},
        };
        double v = 0;

        snprintf(instance, sizeof(instance), "host-%06u", i);
        snprintf(job, sizeof(job), "job-%u", i % 20);
        for (int64_t k = 0; k < SAMPLES; k++) {
            v += (double)((unsigned)(k * 2654435761u + i) % 100);
            if ((k + i) % 397 == 0)
                v = 0;
            mem_source_add(source, (struct label_set){labels, 3},
                           k * INTERVAL_MS + (int64_t)(i % 1000), v);
        }
    }
}

static void run(struct promql_engine *engine, const char *expr, unsigned series_count)
{
    const struct query_options base = {
        .expr = slice_from_cstr(expr),
        .start_ms = 600000,
        .end_ms = (int64_t)SAMPLES * INTERVAL_MS,
        .step_ms = INTERVAL_MS,
    };
    double best = 1e9;
    uint32_t result_count = 0;

    for (int round = 0; round < 5; round++) {
        struct query_options options = base;
        struct query_result result;
        struct err_info info = {0};
        struct arena arena;
        const double start = seconds();

        arena_init(&arena, NULL, 0);
        options.arena = &arena;
        if (query_eval(promql_engine_query(engine), &options, &result, &info) != ERR_OK) {
            fprintf(stderr, "%s: %s\n", expr, info.message);
            exit(1);
        }
        if (seconds() - start < best)
            best = seconds() - start;
        result_count = result.series_count;
        arena_fini(&arena);
    }
    printf("%-55s %7u series out %8.1f ms %6.2f ns/sample\n", expr, result_count, best * 1e3,
           best * 1e9 / ((double)series_count * SAMPLES));
}

int main(int argc, char **argv)
{
    static const char *const exprs[] = {
        "requests_total",
        "rate(requests_total[5m])",
        "sum(rate(requests_total[5m]))",
        "sum by (job) (rate(requests_total[5m]))",
        "sum by (instance) (rate(requests_total[1m]))",
        "avg by (job) (requests_total)",
        "max by (job) (requests_total * 2 > 100)",
        "count(requests_total / on (instance, job) requests_total)",
    };
    const unsigned series_count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10000;
    struct mem_source *source = mem_source_new();
    struct promql_engine *engine;

    fill(source, series_count);
    engine =
        promql_engine_new(&(struct promql_engine_options){.source = mem_source_source(source)});
    for (size_t i = 0; i < COUNT_OF(exprs); i++)
        run(engine, exprs[i], series_count);
    promql_engine_free(engine);
    mem_source_free(source);
    return 0;
}
