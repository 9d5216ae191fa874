/* SPDX-License-Identifier: Apache-2.0 */

/* Blocks of the load of tools/bench, written and read back: bytes a sample by part, ns a sample.
 * bench_block [series of 2 h] [series of 24 h] [jitter ms] [path of streams.tsv.gz]
 * Fails when the values take under 0.3 bytes a sample: then the load repeats itself. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/env_real.h"
#include "base/mem.h"
#include "bench/bench_stream.h"
#include "storage/block.h"
#include "storage/block_chunk.h"
#include "storage/block_floats.h"
#include "storage/block_verify.h"
#include "storage/block_writer.h"

enum {
    STEP_MS = 15000,
    ROUNDS = 3,
    DIR_SIZE = 64,
    KEY_SIZE = 9 + 2 + 4 + 1 + 8, /* of a chunk of tenant "anonymous" */
};

#define VALUES_MIN 0.3 /* bytes a sample */

struct bench {
    struct env env;
    struct sst_door *door;
    struct hash_key key;
    char dir[DIR_SIZE];
    const char *path;
    uint32_t jitter_ms;
};

struct figures {
    uint64_t samples, chunks;
    uint64_t values, times, heads;       /* bytes before zstd */
    uint64_t data, index;                /* bytes on disk */
    double write_ns, read_ns, verify_ns; /* a sample */
};

static uint64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void must(enum err err, const struct err_info *info)
{
    if (err == ERR_OK)
        return;
    fprintf(stderr, "bench_block: %s\n", err_message(err, info));
    exit(1);
}

/* What a chunk's parts take before zstd. */
static void count_parts(struct figures *figures, const struct sample *samples, uint32_t count)
{
    int64_t t_ms[BLOCK_CHUNK_COUNT_MAX];
    double v[BLOCK_CHUNK_COUNT_MAX];
    uint8_t column[BLOCK_FLOATS_SIZE_MAX];
    uint64_t values = 0;
    struct buf out;

    for (uint32_t i = 0; i < count; i++) {
        t_ms[i] = samples[i].t_ms;
        v[i] = 0;
    }
    struct block_chunk_samples chunk = {.count = count, .t_ms = t_ms, .v = v};
    buf_init(&out, BLOCK_CHUNK_FLOATS_SIZE_MAX);
    block_chunk_encode(&out, &chunk); /* values of two bytes a frame */
    const uint32_t frames = (count + BLOCK_FRAME_COUNT_MAX - 1) / BLOCK_FRAME_COUNT_MAX;
    const size_t without_values = out.len - 2 * frames;
    for (uint32_t i = 0; i < count; i++) {
        v[i] = samples[i].v;
        t_ms[i] = (int64_t)i * STEP_MS;
    }
    buf_reset(&out);
    block_chunk_encode(&out, &chunk); /* no times but a step */
    for (uint32_t at = 0; at < count; at += BLOCK_FRAME_COUNT_MAX) {
        const uint32_t rest = count - at;

        values += block_floats_put(column, v + at,
                                   rest < BLOCK_FRAME_COUNT_MAX ? rest : BLOCK_FRAME_COUNT_MAX);
    }
    const size_t heads = out.len - values;
    figures->values += values;
    figures->heads += heads;
    figures->times += without_values > heads ? without_values - heads : 0;
    figures->chunks++;
    buf_fini(&out);
}

static void put_samples(struct block_writer *w, const struct sample *samples, uint32_t count)
{
    static struct sample_columns columns;
    struct err_info info = {0};

    columns.kind = SAMPLE_FLOAT;
    for (uint32_t i = 0; i < count;) {
        for (columns.count = 0; columns.count < SOURCE_BATCH && i < count; i++) {
            columns.t_ms[columns.count] = samples[i].t_ms;
            columns.v[columns.count++] = samples[i].v;
        }
        must(block_writer_columns(w, &columns, &info), &info);
    }
}

static void write_block(struct bench *bench, const struct bench_stream *stream, uint32_t ticks,
                        struct block_meta *meta, struct figures *figures)
{
    const struct block_writer_options options = {.env = &bench->env,
                                                 .door = bench->door,
                                                 .hash_key = &bench->key,
                                                 .dir = bench->dir,
                                                 .ulid = ulid_make(&bench->env),
                                                 .window_t_min_ms = INT64_MIN,
                                                 .window_t_end_ms = INT64_MAX};
    struct sample *samples = mem_zalloc(ticks, sizeof(*samples));
    struct err_info info = {0};
    struct block_writer *w;
    uint32_t series_count;
    const struct bench_series *series = bench_stream_series(stream, &series_count);
    uint64_t ns = 0;

    must(block_writer_open(&options, &w, &info), &info);
    for (uint32_t i = 0; i < series_count; i++) {
        bench_stream_read(stream, &series[i], samples);
        for (uint32_t at = 0; at < ticks; at += BLOCK_CHUNK_COUNT_MAX)
            count_parts(figures, samples + at,
                        ticks - at < BLOCK_CHUNK_COUNT_MAX ? ticks - at : BLOCK_CHUNK_COUNT_MAX);
        const uint64_t start = cpu_ns();
        must(block_writer_series(w, SLICE("anonymous"), series[i].labels, &info), &info);
        put_samples(w, samples, ticks);
        ns += cpu_ns() - start;
    }
    const uint64_t start = cpu_ns();
    must(block_writer_finish(w, meta, &info), &info);
    ns += cpu_ns() - start;
    mem_free(samples);
    figures->samples = meta->sample_count;
    figures->data = meta->data.size_bytes;
    figures->index = meta->index.size_bytes;
    figures->write_ns = (double)ns / (double)meta->sample_count;
}

/* All samples of a block through its source, no table block cached. */
static void read_block(struct bench *bench, struct ulid ulid, struct figures *figures)
{
    const struct block_options options = {
        .env = &bench->env, .door = bench->door, .hash_key = &bench->key, .dir = bench->dir};
    static struct sample_columns columns;
    struct err_info info = {0};
    struct block *block;

    must(block_open(&options, ulid, &block, &info), &info);
    struct source *source = block_source(block);
    for (int round = 0; round < ROUNDS; round++) {
        struct series_stream *stream;
        struct source_series series;
        struct arena arena;
        uint64_t count = 0;

        arena_init(&arena, NULL, 0);
        struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
        const uint64_t start = cpu_ns();
        must(source->ops->select(source, &ctx, (struct matcher_list){0}, INT64_MIN, INT64_MAX, NULL,
                                 &stream, &info),
             &info);
        while (series_stream_next(stream, &series))
            while (sample_cursor_next(series.cursor, &columns))
                count += columns.count;
        const double ns = (double)(cpu_ns() - start) / (double)count;
        must(stream->err, &stream->info);
        if (round == 0 || ns < figures->read_ns)
            figures->read_ns = ns;
        arena_fini(&arena);
    }
    const uint64_t start = cpu_ns();
    must(block_verify(block, NULL, NULL, &info), &info);
    figures->verify_ns = (double)(cpu_ns() - start) / (double)figures->samples;
    block_doom(block);
    block_unref(block);
}

static bool run(struct bench *bench, const char *name, uint32_t series, uint32_t ticks)
{
    const struct bench_stream_options options = {.path = bench->path,
                                                 .series = series,
                                                 .ticks = ticks,
                                                 .start_ms = INT64_C(1790812800000),
                                                 .step_ms = STEP_MS,
                                                 .jitter_ms = bench->jitter_ms};
    struct bench_stream *stream = bench_stream_new(&options);
    struct figures f = {0};
    struct block_meta meta;

    if (stream == NULL) {
        fprintf(stderr, "bench_block: cannot read %s\n", bench->path);
        exit(1);
    }
    write_block(bench, stream, ticks, &meta, &f);
    read_block(bench, meta.ulid, &f);
    bench_stream_free(stream);
    const double n = (double)f.samples;
    printf("| %-4s | %7u | %5.1f M | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f ", name, series,
           n / 1e6, (double)f.values / n, (double)f.times / n, (double)f.heads / n,
           (double)f.chunks * KEY_SIZE / n, (double)f.data / n, (double)f.index / n,
           (double)(f.data + f.index) / n);
    printf("| %5.1f | %4.1f | %6.1f | %4.0f |\n", f.write_ns, f.read_ns, f.verify_ns,
           1e3 / f.read_ns);
    return (double)f.data / n >= VALUES_MIN;
}

static uint32_t number_or(int argc, char **argv, int at, uint32_t otherwise)
{
    return argc > at ? (uint32_t)strtoul(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {1};
    struct bench bench = {.path = argc > 4 ? argv[4] : "tools/bench/data/streams.tsv.gz",
                          .dir = "/tmp/bench_block_XXXXXX",
                          .jitter_ms = number_or(argc, argv, 3, 0)};

    if (mkdtemp(bench.dir) == NULL) {
        perror(bench.dir);
        return 1;
    }
    env_real_init(&bench.env);
    hash_key_init(&bench.key, seed);
    bench.door = sst_door_new(&bench.env, (struct sst_door_options){.cache_size_bytes = 1 << 20});
    printf("Bytes a sample: values, times, heads and keys before zstd; data.sst and index.sst on "
           "disk.\n"
           "CPU ns a sample to write, to read and to verify, all in.\n\n"
           "| span |  series | samples | values | times | heads | keys  | data  | index | all   "
           "| write | read | verify | M/s  |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    bool good = run(&bench, "2 h", number_or(argc, argv, 1, 15000), 480);
    good &= run(&bench, "24 h", number_or(argc, argv, 2, 1500), 5760);
    sst_door_free(bench.door);
    block_writer_remove_dir(&bench.env, bench.dir);
    if (!good)
        fprintf(stderr, "bench_block: the load repeats itself\n");
    return good ? 0 : 1;
}
