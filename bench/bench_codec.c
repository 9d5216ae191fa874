/* SPDX-License-Identifier: Apache-2.0 */

/* Chunk encodings on columns that each of them is made for, and on the load of tools/bench: bytes a
 * sample, CPU ns a sample to encode and decode, no zstd.
 * bench_codec [path of streams.tsv.gz] */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "bench/bench_stream.h"
#include "storage/block_chunk.h"

enum { CHUNKS = 256, SAMPLES = 1024, ROUNDS = 20, MIX_SERIES = 1500, BUCKETS = 20 };

struct bench {
    int64_t t_ms[SAMPLES];
    double (*v)[SAMPLES];                  /* by chunk */
    const struct histogram *(*h)[SAMPLES]; /* likewise; NULL: floats */
    struct buf bytes;
    size_t ends[MIX_SERIES];
    uint32_t chunks;
    uint64_t random;
};

static uint64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t draw(struct bench *bench, uint64_t end)
{
    bench->random = bench->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (bench->random >> 33) % end;
}

static void encode(struct bench *bench)
{
    buf_reset(&bench->bytes);
    for (uint32_t i = 0; i < bench->chunks; i++) {
        struct block_chunk_samples samples = {.count = SAMPLES, .t_ms = bench->t_ms};

        if (bench->h != NULL) {
            samples.kind = SAMPLE_HISTOGRAM;
            samples.histograms = bench->h[i];
        } else {
            samples.v = bench->v[i];
        }
        block_chunk_encode(&bench->bytes, &samples);
        bench->ends[i] = bench->bytes.len;
    }
}

static uint64_t decode(struct bench *bench, struct arena *arena)
{
    static struct sample_columns columns;
    uint64_t count = 0;

    for (uint32_t i = 0; i < bench->chunks; i++) {
        const size_t start = i == 0 ? 0 : bench->ends[i - 1];
        struct block_chunk_reader reader;

        block_chunk_open(&reader, slice_of(bench->bytes.data + start, bench->ends[i] - start),
                         bench->t_ms[0], arena);
        while (block_chunk_next(&reader, &columns))
            count += columns.count;
        if (reader.err != ERR_OK)
            abort();
    }
    return count;
}

static void measure(struct bench *bench, const char *name)
{
    uint64_t best_encode = UINT64_MAX;
    uint64_t best_decode = UINT64_MAX;
    struct arena arena;
    uint64_t count = 0;

    arena_init(&arena, NULL, 0);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = cpu_ns();

        if (round < 3)
            encode(bench);
        uint64_t ns = cpu_ns() - start;
        best_encode = round < 3 && ns < best_encode ? ns : best_encode;
        start = cpu_ns();
        count = decode(bench, &arena);
        ns = cpu_ns() - start;
        best_decode = ns < best_decode ? ns : best_decode;
    }
    arena_fini(&arena);
    const double n = (double)count;
    printf("| %-34s | %6.3f | %6.1f | %6.2f | %6.0f |\n", name, (double)bench->bytes.len / n,
           (double)best_encode / n, (double)best_decode / n, n * 1e3 / (double)best_decode);
}

/* What is made: value number j of a chunk, from the one before. */
typedef double value_fn(struct bench *bench, uint32_t j, double before);

static double constant(struct bench *bench, uint32_t j, double before)
{
    return j == 0 ? (double)draw(bench, 1000) : before;
}

static double steady(struct bench *bench, uint32_t j, double before)
{
    return j == 0 ? (double)draw(bench, 1000) : before + 15;
}

static double gauge(struct bench *bench, uint32_t j, double before)
{
    (void)j, (void)before;
    return 1e6 + (double)draw(bench, 256);
}

static double counter(struct bench *bench, uint32_t j, double before)
{
    return j == 0 ? 1e9 : before + (double)draw(bench, 64);
}

static double outliers(struct bench *bench, uint32_t j, double before)
{
    return before + (double)(draw(bench, 20) == 0 ? draw(bench, 1 << 20) : draw(bench, 8)) +
           (j == 0 ? 1e9 : 0);
}

static double pages(struct bench *bench, uint32_t j, double before)
{
    (void)j, (void)before;
    return 4096.0 * (double)(100000 + draw(bench, 512));
}

static double seldom(struct bench *bench, uint32_t j, double before)
{
    return j == 0 || draw(bench, 6) == 0 ? (double)draw(bench, 100000) : before;
}

static double decimals(struct bench *bench, uint32_t j, double before)
{
    (void)j, (void)before;
    return (double)draw(bench, 4096) / 1000;
}

static double noise(struct bench *bench, uint32_t j, double before)
{
    return j == 0 ? 100 : before + (double)draw(bench, 1 << 20) / (1 << 20);
}

static double wild(struct bench *bench, uint32_t j, double before)
{
    (void)j, (void)before;
    return ldexp((double)draw(bench, 1 << 30), (int)draw(bench, 1000) - 500);
}

static void measure_fn(struct bench *bench, const char *name, value_fn *fn)
{
    bench->chunks = CHUNKS;
    for (uint32_t i = 0; i < CHUNKS; i++)
        for (uint32_t j = 0; j < SAMPLES; j++)
            bench->v[i][j] = fn(bench, j, j == 0 ? 0 : bench->v[i][j - 1]);
    measure(bench, name);
}

static void measure_mix(struct bench *bench, const char *path)
{
    const struct bench_stream_options options = {
        .path = path, .series = MIX_SERIES, .ticks = SAMPLES, .step_ms = 15000};
    struct bench_stream *stream = bench_stream_new(&options);
    struct sample samples[SAMPLES];
    uint32_t count;

    if (stream == NULL) {
        fprintf(stderr, "bench_codec: cannot read %s\n", path);
        exit(1);
    }
    const struct bench_series *series = bench_stream_series(stream, &count);
    bench->chunks = MIX_SERIES;
    for (uint32_t i = 0; i < MIX_SERIES; i++) {
        bench_stream_read(stream, &series[i], samples);
        for (uint32_t j = 0; j < SAMPLES; j++)
            bench->v[i][j] = samples[j].v;
    }
    measure(bench, "the load of tools/bench");
    bench_stream_free(stream);
}

static void measure_histograms(struct bench *bench, bool is_float)
{
    static const struct histogram_span span = {-5, BUCKETS};
    struct arena arena;

    arena_init(&arena, NULL, 0);
    bench->chunks = 16;
    bench->h = mem_zalloc(bench->chunks, sizeof(*bench->h));
    for (uint32_t i = 0; i < bench->chunks; i++) {
        int64_t buckets[BUCKETS] = {0};

        for (uint32_t j = 0; j < SAMPLES; j++) {
            struct histogram *h = ARENA_NEW(&arena, struct histogram);
            int64_t *deltas = ARENA_ARRAY(&arena, int64_t, BUCKETS);
            double *counts = ARENA_ARRAY(&arena, double, BUCKETS);
            uint64_t sum = 0;

            for (uint32_t b = 0; b < BUCKETS; b++) {
                buckets[b] += (int64_t)draw(bench, 1 + (b < 10 ? b : BUCKETS - b) * 4);
                deltas[b] = buckets[b] - (b == 0 ? 0 : buckets[b - 1]);
                counts[b] = (double)buckets[b];
                sum += (uint64_t)buckets[b];
            }
            *h = (struct histogram){.schema = 3,
                                    .is_float = is_float,
                                    .sum = (double)sum / 8,
                                    .positive_spans = &span,
                                    .positive_span_count = 1,
                                    .positive_count = BUCKETS};
            if (is_float) {
                h->f.count = (double)sum;
                h->f.positive_counts = counts;
            } else {
                h->i.count = sum;
                h->i.positive_deltas = deltas;
            }
            bench->h[i][j] = h;
        }
    }
    measure(bench, is_float ? "float histograms of 20 buckets" : "histograms of 20 buckets");
    mem_free((void *)bench->h);
    bench->h = NULL;
    arena_fini(&arena);
}

int main(int argc, char **argv)
{
    static struct bench bench = {.random = 1};

    bench.v = mem_zalloc(MIX_SERIES, sizeof(*bench.v));
    buf_init(&bench.bytes, (size_t)1 << 30);
    for (uint32_t j = 0; j < SAMPLES; j++)
        bench.t_ms[j] = INT64_C(1790812800000) + (int64_t)j * 15000;
    printf("| samples                            | B      | encode | decode | M/s    |\n"
           "|---|---|---|---|---|\n");
    measure_fn(&bench, "constant", constant);
    measure_fn(&bench, "steady counter (step)", steady);
    measure_fn(&bench, "gauge of 8 bits (FOR)", gauge);
    measure_fn(&bench, "counter by up to 63 (delta)", counter);
    measure_fn(&bench, "counter with outliers (patched)", outliers);
    measure_fn(&bench, "whole pages (scaled)", pages);
    measure_fn(&bench, "changes seldom (runs)", seldom);
    measure_fn(&bench, "gauge of 3 decimals", decimals);
    measure_fn(&bench, "sum of many digits (bits)", noise);
    measure_fn(&bench, "any doubles (bits, XOR)", wild);
    measure_mix(&bench, argc > 1 ? argv[1] : "tools/bench/data/streams.tsv.gz");
    for (uint32_t j = 0; j < SAMPLES; j++)
        bench.t_ms[j] += (int64_t)draw(&bench, 5);
    measure_fn(&bench, "constant, times off by up to 4 ms", constant);
    measure_histograms(&bench, false);
    measure_histograms(&bench, true);
    mem_free(bench.v);
    buf_fini(&bench.bytes);
    return 0;
}
