/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A block of all kinds: floats and histograms in one series, start times, exemplars, metadata; and
 * a digest of all that it answers. */

#include <stdio.h>

#include "base/env_real.h"
#include "histogram_gen.h"
#include "storage/block.h"
#include "storage/block_verify.h"
#include "storage/block_writer.h"
#include "support/temp_dir.h"

enum { SERIES_MAX = 12, SAMPLES_MAX = 3000, EXEMPLARS_MAX = 9 };

struct any_sample {
    int64_t t_ms, start_t_ms;
    enum sample_kind kind;
    double v;
    const struct histogram *histogram;
};

struct any_series {
    struct label label;
    char value[16];
    struct any_sample *samples;
    uint32_t count;
    struct exemplar exemplars[EXEMPLARS_MAX]; /* by time */
    uint32_t exemplar_count;
};

struct fixture {
    struct temp_dir dir;
    struct env env;
    struct sst_door *door;
    struct hash_key hash_key;
    struct arena arena;
    struct any_series series[SERIES_MAX];
    uint32_t count;
    struct block_meta meta;
};

static const struct label exemplar_label = {{"trace_id", 8}, {"a\0b", 3}};

static inline void fill_samples(struct gen *gen, struct arena *arena, struct any_series *s)
{
    struct sample *floats = ARENA_ARRAY(arena, struct sample, SAMPLES_MAX);
    struct histogram layout = {0};
    bool is_histogram = false;
    bool is_float = false;
    bool has_starts = gen_chance(gen, 2);

    s->count = (uint32_t)gen_between(gen, 1, gen_chance(gen, 4) ? SAMPLES_MAX : 300);
    s->samples = ARENA_ARRAY(arena, struct any_sample, s->count);
    gen_series(gen, floats, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        struct any_sample *sample = &s->samples[i];

        if (i == 0 || gen_chance(gen, 200)) {
            is_histogram = gen_chance(gen, 2);
            is_float = gen_chance(gen, 2);
        }
        if (gen_chance(gen, 300))
            has_starts = !has_starts;
        if (is_histogram && (i == 0 || layout.is_float != is_float || gen_chance(gen, 100)))
            histogram_gen_layout(gen, arena, is_float, &layout);
        *sample = (struct any_sample){.t_ms = floats[i].t_ms, .v = floats[i].v};
        sample->start_t_ms = has_starts ? floats[0].t_ms - 1 : 0;
        sample->kind = is_histogram ? SAMPLE_HISTOGRAM : SAMPLE_FLOAT;
        if (is_histogram)
            sample->histogram = histogram_gen(gen, arena, &layout);
    }
}

static inline void fill(struct fixture *f, struct gen *gen)
{
    f->count = (uint32_t)gen_between(gen, 1, SERIES_MAX);
    for (uint32_t i = 0; i < f->count; i++) {
        struct any_series *s = &f->series[i];

        (void)snprintf(s->value, sizeof(s->value), "s%02u", i);
        s->label = (struct label){SLICE("__name__"), slice_from_cstr(s->value)};
        fill_samples(gen, &f->arena, s);
        s->exemplar_count = gen_chance(gen, 2) ? (uint32_t)gen_below(gen, EXEMPLARS_MAX) : 0;
        for (uint32_t j = 0; j < s->exemplar_count; j++)
            s->exemplars[j] = (struct exemplar){.t_ms = (int64_t)(i * 100 + j / 2),
                                                .v = gen_value(gen),
                                                .has_t = gen_chance(gen, 2)};
        if (s->exemplar_count > 0)
            s->exemplars[0].labels = (struct label_set){&exemplar_label, 1};
        if (i > 0 && s->exemplar_count > 0 && gen_chance(gen, 3))
            s->count = 0; /* exemplars alone */
    }
}

/* Batches of random length, of one kind each; starts only if the batch has any. */
static inline void write_series(struct gen *gen, struct block_writer *w, const struct any_series *s)
{
    static struct sample_columns columns;
    int64_t starts[SOURCE_BATCH];

    check_err(ERR_OK, block_writer_series(w, SLICE("t"), (struct label_set){&s->label, 1}, NULL));
    for (uint32_t j = s->exemplar_count; j-- > 0;) /* not in order */
        check_err(ERR_OK, block_writer_exemplar(w, &s->exemplars[j], NULL));
    for (uint32_t at = 0; at < s->count;) {
        const uint32_t max = (uint32_t)gen_between(gen, 1, SOURCE_BATCH);

        columns.count = 0;
        columns.kind = s->samples[at].kind;
        columns.start_t_ms = NULL;
        while (at < s->count && columns.count < max && s->samples[at].kind == columns.kind) {
            const struct any_sample *sample = &s->samples[at++];

            columns.t_ms[columns.count] = sample->t_ms;
            starts[columns.count] = sample->start_t_ms;
            if (sample->start_t_ms != 0)
                columns.start_t_ms = starts;
            if (columns.kind == SAMPLE_FLOAT)
                columns.v[columns.count++] = sample->v;
            else
                columns.histograms[columns.count++] = sample->histogram;
        }
        check_err(ERR_OK, block_writer_columns(w, &columns, NULL));
    }
}

static const struct metadata metadata_said[] = {
    {METRIC_TYPE_COUNTER, SLICE("m1"), SLICE("help of m1"), SLICE("")},
    {METRIC_TYPE_GAUGE, SLICE("m1"), SLICE("another help"), SLICE("bytes")},
    {METRIC_TYPE_COUNTER, SLICE("m1"), SLICE("help of m1"), SLICE("")},
    {METRIC_TYPE_HISTOGRAM, SLICE("a"), SLICE(""), SLICE("seconds")},
};

static inline struct block *write_block(struct fixture *f, struct gen *gen)
{
    const struct block_writer_options options = {.env = &f->env,
                                                 .door = f->door,
                                                 .hash_key = &f->hash_key,
                                                 .dir = f->dir.path,
                                                 .ulid = ulid_make(&f->env),
                                                 .window_t_min_ms = INT64_MIN,
                                                 .window_t_end_ms = INT64_MAX};
    const struct block_options read = {
        .env = &f->env, .door = f->door, .hash_key = &f->hash_key, .dir = f->dir.path};
    struct err_info info = {0};
    struct block *block = NULL;
    struct block_writer *w;

    check_err(ERR_OK, block_writer_open(&options, &w, NULL));
    for (uint32_t i = 0; i < f->count; i++) {
        if (i < COUNT_OF(metadata_said))
            check_err(ERR_OK, block_writer_metadata(w, SLICE("t"), &metadata_said[i], NULL));
        write_series(gen, w, &f->series[i]);
    }
    for (uint32_t i = f->count; i < COUNT_OF(metadata_said); i++)
        check_err(ERR_OK, block_writer_metadata(w, SLICE("t"), &metadata_said[i], NULL));
    check_err(ERR_OK,
              block_writer_metadata(w, SLICE("a tenant without series"), &metadata_said[0], NULL));
    check_err(ERR_OK, block_writer_finish(w, &f->meta, NULL));
    check_err_info(ERR_OK, block_open(&read, f->meta.ulid, &block, &info), &info);
    check_err_info(ERR_OK, block_verify(block, NULL, NULL, &info), &info);
    return block;
}

static inline void fixture_init(struct fixture *f)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {1, 2, 3};

    memset(f, 0, sizeof(*f));
    temp_dir_init(&f->dir);
    env_real_init(&f->env);
    f->door = sst_door_new(&f->env, (struct sst_door_options){.cache_size_bytes = 1 << 20});
    hash_key_init(&f->hash_key, seed);
    arena_init(&f->arena, NULL, 0);
}

static inline void fixture_fini(struct fixture *f)
{
    arena_fini(&f->arena);
    sst_door_free(f->door);
    temp_dir_fini(&f->dir);
}
