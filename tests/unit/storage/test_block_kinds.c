/* SPDX-License-Identifier: Apache-2.0 */

/* A block of all kinds: floats and histograms in one series, start times, exemplars, metadata. What
 * was written comes back bit by bit through the source. */

#include <stdio.h>

#include "base/env_real.h"
#include "histogram_gen.h"
#include "storage/block.h"
#include "storage/block_key.h"
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

static void fill_samples(struct gen *gen, struct arena *arena, struct any_series *s)
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

static void fill(struct fixture *f, struct gen *gen)
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
static void write_series(struct gen *gen, struct block_writer *w, const struct any_series *s)
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

static struct block *write_block(struct fixture *f, struct gen *gen)
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

static void check_series(const struct any_series *s, int64_t t_min_ms, int64_t t_max_ms,
                         struct sample_cursor *cursor)
{
    static struct sample_columns columns;
    uint32_t at = 0;

    while (at < s->count && s->samples[at].t_ms < t_min_ms)
        at++;
    while (sample_cursor_next(cursor, &columns)) {
        for (uint32_t i = 0; i < columns.count; i++, at++) {
            const struct any_sample *want = &s->samples[at];

            assert_true(at < s->count);
            assert_true(want->t_ms == columns.t_ms[i]);
            assert_true(want->t_ms <= t_max_ms);
            assert_int_equal(want->kind, columns.kind);
            assert_true(want->start_t_ms ==
                        (columns.start_t_ms == NULL ? 0 : columns.start_t_ms[i]));
            if (columns.kind == SAMPLE_FLOAT)
                assert_true(sample_value_bits(want->v) == sample_value_bits(columns.v[i]));
            else
                histogram_check_same(want->histogram, columns.histograms[i]);
        }
    }
    assert_int_equal(ERR_OK, cursor->err);
    assert_true(at == s->count || s->samples[at].t_ms > t_max_ms);
}

static void check_select(struct fixture *f, struct gen *gen, struct block *block)
{
    struct source *source = block_source(block);
    struct series_stream *stream;
    struct source_series got;
    struct arena arena;
    int64_t t_min_ms = INT64_MIN;
    int64_t t_max_ms = INT64_MAX;

    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &arena};
    if (gen_chance(gen, 2)) {
        const struct any_series *s = &f->series[0];

        t_min_ms = s->samples[gen_below(gen, s->count)].t_ms;
        t_max_ms = t_min_ms + (int64_t)gen_below(gen, 1000000);
    }
    check_err(ERR_OK, source->ops->select(source, &ctx, (struct matcher_list){0}, t_min_ms,
                                          t_max_ms, NULL, &stream, NULL));
    while (series_stream_next(stream, &got)) {
        for (uint32_t i = 0; i < f->count; i++)
            if (slice_eq(got.labels.items[0].value, f->series[i].label.value))
                check_series(&f->series[i], t_min_ms, t_max_ms, got.cursor);
    }
    assert_int_equal(ERR_OK, stream->err);
    arena_fini(&arena);
}

struct exemplar_check {
    const struct fixture *f;
    int64_t t_min_ms, t_max_ms, before_ms;
    struct slice series;
    uint32_t count;
};

static bool exemplar_eq(const struct exemplar *a, const struct exemplar *b)
{
    return a->t_ms == b->t_ms && a->has_t == b->has_t &&
           sample_value_bits(a->v) == sample_value_bits(b->v) && label_set_eq(a->labels, b->labels);
}

static enum err on_exemplar(void *owner, struct label_set series, const struct exemplar *exemplar)
{
    struct exemplar_check *check = owner;
    bool found = false;

    assert_true(exemplar->t_ms >= check->t_min_ms && exemplar->t_ms <= check->t_max_ms);
    assert_true(!slice_eq(check->series, series.items[0].value) ||
                exemplar->t_ms >= check->before_ms);
    for (uint32_t i = 0; i < check->f->count; i++) {
        const struct any_series *s = &check->f->series[i];

        if (!slice_eq(s->label.value, series.items[0].value))
            continue;
        check->series = s->label.value;
        for (uint32_t j = 0; j < s->exemplar_count; j++)
            found |= exemplar_eq(&s->exemplars[j], exemplar);
    }
    assert_true(found);
    check->before_ms = exemplar->t_ms;
    check->count++;
    return ERR_OK;
}

static void check_exemplars(struct fixture *f, struct gen *gen, struct block *block)
{
    struct exemplar_check check = {.f = f, .t_min_ms = INT64_MIN, .t_max_ms = INT64_MAX};
    struct source *source = block_source(block);
    struct arena arena;
    uint32_t want = 0;

    if (gen_chance(gen, 2)) {
        check.t_min_ms = (int64_t)gen_below(gen, 300);
        check.t_max_ms = check.t_min_ms + (int64_t)gen_below(gen, 300);
    }
    for (uint32_t i = 0; i < f->count; i++)
        for (uint32_t j = 0; j < f->series[i].exemplar_count; j++)
            want += f->series[i].exemplars[j].t_ms >= check.t_min_ms &&
                    f->series[i].exemplars[j].t_ms <= check.t_max_ms;
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &arena};
    check_err(ERR_OK, source->ops->exemplars(source, &ctx, (struct matcher_list){0}, check.t_min_ms,
                                             check.t_max_ms, on_exemplar, &check));
    assert_int_equal(want, check.count);
    ctx.tenant = SLICE("nobody");
    check_err(ERR_OK, source->ops->exemplars(source, &ctx, (struct matcher_list){0}, check.t_min_ms,
                                             check.t_max_ms, on_exemplar, &check));
    assert_int_equal(want, check.count);
    arena_fini(&arena);
}

static enum err on_metadata(void *owner, const struct metadata *metadata)
{
    uint32_t *seen = owner;
    bool found = false;

    for (uint32_t i = 0; i < COUNT_OF(metadata_said); i++) {
        const struct metadata *said = &metadata_said[i];

        if (said->type == metadata->type && slice_eq(said->metric, metadata->metric) &&
            slice_eq(said->help, metadata->help) && slice_eq(said->unit, metadata->unit)) {
            *seen |= 1u << i;
            found = true;
        }
    }
    assert_true(found);
    *seen += 1u << 16;
    return ERR_OK;
}

static void check_metadata(struct block *block)
{
    struct source *source = block_source(block);
    struct arena arena;
    uint32_t seen = 0;

    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &arena};
    check_err(ERR_OK, source->ops->metadata(source, &ctx, SLICE(""), on_metadata, &seen));
    assert_int_equal(3u << 16 | 0xf, seen); /* one of the four was said twice */
    seen = 0;
    check_err(ERR_OK, source->ops->metadata(source, &ctx, SLICE("a"), on_metadata, &seen));
    assert_int_equal(1u << 16 | 8, seen);
    seen = 0;
    check_err(ERR_OK, source->ops->metadata(source, &ctx, SLICE("m"), on_metadata, &seen));
    ctx.tenant = SLICE("a tenant");
    check_err(ERR_OK, source->ops->metadata(source, &ctx, SLICE(""), on_metadata, &seen));
    assert_int_equal(0, seen);
    arena_fini(&arena);
}

static void fixture_init(struct fixture *f)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {1, 2, 3};

    memset(f, 0, sizeof(*f));
    temp_dir_init(&f->dir);
    env_real_init(&f->env);
    f->door = sst_door_new(&f->env, (struct sst_door_options){.cache_size_bytes = 1 << 20});
    hash_key_init(&f->hash_key, seed);
    arena_init(&f->arena, NULL, 0);
}

static void fixture_fini(struct fixture *f)
{
    arena_fini(&f->arena);
    sst_door_free(f->door);
    temp_dir_fini(&f->dir);
}

static void test_all_kinds(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 60)
    {
        struct fixture f;

        fixture_init(&f);
        fill(&f, &gen);
        struct block *block = write_block(&f, &gen);
        for (int i = 0; i < 5; i++) {
            check_select(&f, &gen, block);
            check_exemplars(&f, &gen, block);
        }
        check_metadata(block);
        block_unref(block);
        fixture_fini(&f);
    }
}

/* However many series of histograms a query reads, one after the other, it holds the buckets of
 * one. */
static void test_memory(void **state)
{
    enum { MANY = 300, EACH = 200 };
    static const struct histogram_span span = {0, 40};
    static struct sample_columns columns;
    static int64_t deltas[40];
    struct histogram h = {.positive_spans = &span,
                          .positive_span_count = 1,
                          .positive_count = 40,
                          .i = {.positive_deltas = deltas}};
    struct series_stream *stream;
    struct source_series series;
    struct block *block = NULL;
    struct block_writer *w;
    struct budget budget;
    struct arena arena;
    struct fixture f;
    uint64_t count = 0;
    char value[8];

    (void)state;
    fixture_init(&f);
    const struct block_writer_options options = {.env = &f.env,
                                                 .door = f.door,
                                                 .hash_key = &f.hash_key,
                                                 .dir = f.dir.path,
                                                 .ulid = ulid_make(&f.env),
                                                 .window_t_min_ms = INT64_MIN,
                                                 .window_t_end_ms = INT64_MAX};
    const struct block_options read = {
        .env = &f.env, .door = f.door, .hash_key = &f.hash_key, .dir = f.dir.path};
    check_err(ERR_OK, block_writer_open(&options, &w, NULL));
    for (uint32_t i = 0; i < MANY; i++) {
        (void)snprintf(value, sizeof(value), "h%03u", i);
        const struct label label = {SLICE("__name__"), slice_from_cstr(value)};
        check_err(ERR_OK, block_writer_series(w, SLICE("t"), (struct label_set){&label, 1}, NULL));
        columns.kind = SAMPLE_HISTOGRAM;
        columns.count = 1;
        for (int64_t t_ms = 0; t_ms < EACH; t_ms++) {
            columns.t_ms[0] = t_ms;
            columns.histograms[0] = &h;
            check_err(ERR_OK, block_writer_columns(w, &columns, NULL));
        }
    }
    check_err(ERR_OK, block_writer_finish(w, &f.meta, NULL));
    check_err(ERR_OK, block_open(&read, f.meta.ulid, &block, NULL));
    budget_init(&budget, NULL, "query", 4 << 20);
    arena_init(&arena, &budget, 0);
    struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &arena, .budget = &budget};
    check_err(ERR_OK,
              block_source(block)->ops->select(block_source(block), &ctx, (struct matcher_list){0},
                                               INT64_MIN, INT64_MAX, NULL, &stream, NULL));
    while (series_stream_next(stream, &series)) {
        while (sample_cursor_next(series.cursor, &columns))
            count += columns.count;
        check_err(ERR_OK, series.cursor->err);
    }
    check_err(ERR_OK, stream->err);
    assert_int_equal(MANY * EACH, count);
    arena_fini(&arena);
    block_unref(block);
    fixture_fini(&f);
}

/* ---- damage ---- */

/* A sum of all that a block answers; false if it answers anything with an error. */
struct digest {
    uint64_t sum;
};

static void digest_add(struct digest *digest, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++)
        digest->sum = (digest->sum ^ bytes[i]) * UINT64_C(1099511628211);
    digest->sum = (digest->sum ^ size) * UINT64_C(1099511628211);
}

static void digest_u64(struct digest *digest, uint64_t v)
{
    digest_add(digest, &v, sizeof(v));
}

static enum err digest_text(void *owner, struct slice text)
{
    digest_add(owner, text.data, text.len);
    return ERR_OK;
}

static void digest_labels(struct digest *digest, struct label_set labels)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        (void)digest_text(digest, labels.items[i].name);
        (void)digest_text(digest, labels.items[i].value);
    }
}

static void digest_histogram(struct digest *digest, const struct histogram *h)
{
    const uint64_t numbers[] = {(uint64_t)(int64_t)h->schema,
                                (uint64_t)h->reset,
                                h->is_float,
                                sample_value_bits(h->zero_threshold),
                                sample_value_bits(h->sum),
                                h->i.count,
                                h->i.zero_count};

    digest_add(digest, numbers, sizeof(numbers));
    digest_add(digest, h->positive_spans, h->positive_span_count * sizeof(*h->positive_spans));
    digest_add(digest, h->negative_spans, h->negative_span_count * sizeof(*h->negative_spans));
    digest_add(digest, h->i.positive_deltas, h->positive_count * sizeof(int64_t));
    digest_add(digest, h->i.negative_deltas, h->negative_count * sizeof(int64_t));
    digest_add(digest, h->custom_values, h->custom_value_count * sizeof(double));
}

static enum err digest_samples(struct digest *digest, struct sample_cursor *cursor)
{
    static struct sample_columns columns;

    while (sample_cursor_next(cursor, &columns))
        for (uint32_t i = 0; i < columns.count; i++) {
            digest_u64(digest, (uint64_t)columns.t_ms[i]);
            if (columns.start_t_ms != NULL)
                digest_u64(digest, (uint64_t)columns.start_t_ms[i]);
            if (columns.kind == SAMPLE_FLOAT)
                digest_u64(digest, sample_value_bits(columns.v[i]));
            else
                digest_histogram(digest, columns.histograms[i]);
        }
    return cursor->err;
}

static enum err digest_series(struct digest *digest, struct source *source, struct source_ctx *ctx)
{
    struct series_stream *stream;
    struct source_series series;
    enum err err = source->ops->select(source, ctx, (struct matcher_list){0}, INT64_MIN, INT64_MAX,
                                       NULL, &stream, NULL);

    while (err == ERR_OK && series_stream_next(stream, &series)) {
        digest_labels(digest, series.labels);
        err = digest_samples(digest, series.cursor);
    }
    return err == ERR_OK ? stream->err : err;
}

static enum err digest_exemplar(void *owner, struct label_set series,
                                const struct exemplar *exemplar)
{
    digest_labels(owner, series);
    digest_labels(owner, exemplar->labels);
    digest_u64(owner, sample_value_bits(exemplar->v));
    digest_u64(owner, (uint64_t)exemplar->t_ms * 2 + exemplar->has_t);
    return ERR_OK;
}

static enum err digest_metadata(void *owner, const struct metadata *metadata)
{
    (void)digest_text(owner, metadata->metric);
    (void)digest_text(owner, metadata->help);
    (void)digest_text(owner, metadata->unit);
    digest_u64(owner, metadata->type);
    return ERR_OK;
}

static enum err digest_stats(struct digest *digest, struct block *block, struct source_ctx *ctx)
{
    struct block_stats stats;
    const enum err err = block_get_stats(block, ctx, &stats, NULL);

    if (err != ERR_OK)
        return err;
    digest_u64(digest, stats.series_count ^ stats.chunk_count << 20 ^ stats.sample_count << 40);
    for (uint32_t i = 0; i < stats.name_count; i++) {
        (void)digest_text(digest, stats.names[i].name);
        digest_u64(digest, stats.names[i].value_count ^ stats.names[i].value_bytes << 32);
    }
    for (uint32_t i = 0; i < stats.metric_count; i++)
        (void)digest_text(digest, stats.metrics[i].value);
    for (uint32_t i = 0; i < stats.pair_count; i++) {
        (void)digest_text(digest, stats.pairs[i].value);
        digest_u64(digest, stats.pairs[i].series_count);
    }
    return ERR_OK;
}

static bool digest_block(struct block *block, struct digest *digest)
{
    struct source *source = block_source(block);
    const struct matcher_list all = {0};
    struct arena arena;

    arena_init(&arena, NULL, 256 << 20);
    struct source_ctx ctx = {.tenant = SLICE("t"), .arena = &arena};
    digest->sum = UINT64_C(14695981039346656037);
    enum err err = digest_series(digest, source, &ctx);
    if (err == ERR_OK)
        err =
            source->ops->label_names(source, &ctx, all, INT64_MIN, INT64_MAX, digest_text, digest);
    if (err == ERR_OK)
        err = source->ops->label_values(source, &ctx, SLICE("__name__"), all, INT64_MIN, INT64_MAX,
                                        digest_text, digest);
    if (err == ERR_OK)
        err = source->ops->exemplars(source, &ctx, all, INT64_MIN, INT64_MAX, digest_exemplar,
                                     digest);
    if (err == ERR_OK)
        err = source->ops->metadata(source, &ctx, SLICE(""), digest_metadata, digest);
    if (err == ERR_OK)
        err = digest_stats(digest, block, &ctx);
    arena_fini(&arena);
    return err == ERR_OK;
}

/* What became of a damaged block. */
struct outcome {
    bool is_open, answers, is_verified;
    struct digest digest;
};

/* A door of its own, so that no cached table block hides the damage. */
static struct outcome look_at(struct fixture *f, struct ulid ulid)
{
    struct sst_door *door =
        sst_door_new(&f->env, (struct sst_door_options){.cache_size_bytes = 1 << 20});
    const struct block_options options = {
        .env = &f->env, .door = door, .hash_key = &f->hash_key, .dir = f->dir.path};
    struct outcome outcome = {0};
    struct err_info info = {0};
    struct block *block;

    outcome.is_open = block_open(&options, ulid, &block, &info) == ERR_OK;
    if (outcome.is_open) {
        const struct block_verify_options all = {.fault_max = 10};

        outcome.answers = digest_block(block, &outcome.digest);
        outcome.is_verified = block_verify(block, &all, NULL, &info) == ERR_OK;
        if (!outcome.is_verified)
            check_message("block", &info);
        block_unref(block);
    }
    sst_door_free(door);
    return outcome;
}

static void small_block(struct fixture *f, struct gen *gen)
{
    fixture_init(f);
    do {
        arena_reset(&f->arena);
        fill(f, gen);
    } while (f->count < 6);
    block_unref(write_block(f, gen));
}

static void file_path(const struct fixture *f, const char *name, char *path, size_t size)
{
    char text[ULID_TEXT_LEN + 1];

    ulid_print(f->meta.ulid, text);
    (void)snprintf(path, size, "%s/%s/%s", f->dir.path, text, name);
}

/* A bit flipped in each region of each file: an error, or the same answers; and always a fault for
 * verify. */
static void test_every_region(void **state)
{
    static const struct {
        const char *name;
        size_t step;
    } files[] = {{"meta.json", 1}, {"index.sst", 16}, {"data.sst", 96}};
    struct fixture f;
    struct gen gen;
    uint32_t same = 0;
    uint32_t count = 0;

    (void)state;
    gen_init(&gen, 12);
    small_block(&f, &gen);
    const struct outcome good = look_at(&f, f.meta.ulid);
    assert_true(good.is_open && good.answers && good.is_verified);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[TEMP_DIR_PATH_SIZE + 64];

        file_path(&f, files[i].name, path, sizeof(path));
        FILE *file = fopen(path, "r+b");
        assert_non_null(file);
        (void)fseek(file, 0, SEEK_END);
        const size_t size = (size_t)ftell(file);
        for (size_t region = 0; region < size; region += files[i].step) {
            const size_t at = region + (size_t)gen_below(&gen, files[i].step);
            if (at >= size)
                break;
            (void)fseek(file, (long)at, SEEK_SET);
            const int byte = fgetc(file);
            (void)fseek(file, (long)at, SEEK_SET);
            (void)fputc(byte ^ 1 << gen_below(&gen, 8), file);
            (void)fflush(file);
            const struct outcome bad = look_at(&f, f.meta.ulid);
            assert_false(bad.is_open && bad.is_verified);
            if (bad.is_open && bad.answers)
                assert_true(bad.digest.sum == good.digest.sum);
            same += bad.is_open && bad.answers;
            count++;
            (void)fseek(file, (long)at, SEEK_SET);
            (void)fputc(byte, file);
            (void)fflush(file);
        }
        assert_int_equal(0, fclose(file));
    }
    print_message("%u flips, %u of them where no answer lies\n", count, same);
    fixture_fini(&f);
}

/* ---- well-formed tables that say something wrong ---- */

enum { ENTRIES_MAX = 4096 };

struct entries {
    struct slice keys[ENTRIES_MAX], values[ENTRIES_MAX];
    uint32_t count;
};

static void read_entries(struct fixture *f, const char *name, const struct sst_sum *sum,
                         struct entries *entries)
{
    char path[TEMP_DIR_PATH_SIZE + 64];
    struct sst_reader *reader;

    file_path(f, name, path, sizeof(path));
    check_err(ERR_OK, sst_reader_open(f->door, path, sum, &reader, NULL));
    struct sst_iter *iter = sst_iter_new(reader);
    entries->count = 0;
    for (bool more = sst_iter_seek(iter, SLICE("")); more; more = sst_iter_next(iter)) {
        assert_true(entries->count < ENTRIES_MAX);
        entries->keys[entries->count] = arena_copy(&f->arena, sst_iter_key(iter));
        entries->values[entries->count++] = arena_copy(&f->arena, sst_iter_value(iter));
    }
    sst_iter_free(iter);
    sst_reader_close(reader);
}

/* Writes a table anew without the entry `left_out`. */
static void write_entries(struct fixture *f, const char *name, const struct entries *entries,
                          uint32_t left_out, struct sst_sum *sum)
{
    char path[TEMP_DIR_PATH_SIZE + 64];
    struct sst_writer *w;

    file_path(f, name, path, sizeof(path));
    check_err(ERR_OK, f->env.fs->unlink(&f->env, path));
    check_err(ERR_OK, sst_writer_open(f->door, path, SST_DATA, &w, NULL));
    for (uint32_t i = 0; i < entries->count; i++)
        if (i != left_out)
            check_err(ERR_OK, sst_writer_add(w, entries->keys[i], entries->values[i], NULL));
    check_err(ERR_OK, sst_writer_finish(w, sum, NULL));
}

static void write_meta(struct fixture *f, const struct block_meta *meta)
{
    char path[TEMP_DIR_PATH_SIZE + 64];
    struct buf text;

    buf_init(&text, 1 << 20);
    block_meta_print(meta, &text);
    file_path(f, "meta.json", path, sizeof(path));
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(text.len, fwrite(text.data, 1, text.len, file));
    assert_int_equal(0, fclose(file));
    buf_fini(&text);
}

/* Whether verify must notice any change of an entry: not of what it has nothing to compare with. */
static bool must_notice(struct slice key, bool is_index, bool is_left_out)
{
    struct block_index_key index_key;
    struct block_data_key data_key;
    bool must;
    struct buf text;

    buf_init(&text, 4096);
    if (is_index)
        must =
            block_key_parse_index(key, &text, &index_key) && index_key.kind != BLOCK_INDEX_METADATA;
    else
        must = block_key_parse_data(key, &text, &data_key) && is_left_out;
    buf_fini(&text);
    return must;
}

static void check_wrong_table(struct fixture *f, struct gen *gen, bool is_index,
                              const struct digest *good)
{
    static struct entries entries;
    const char *name = is_index ? "index.sst" : "data.sst";
    struct block_meta meta = f->meta;
    struct sst_sum *sum = is_index ? &meta.index : &meta.data;

    read_entries(f, name, sum, &entries);
    for (uint32_t i = 0; i < 2 * entries.count && i < 400; i++) {
        const uint32_t at = i < entries.count ? i : (uint32_t)gen_below(gen, entries.count);
        const bool is_left_out = i < entries.count ? gen_chance(gen, 4) : false;
        struct slice *value = &entries.values[at];
        const struct slice before = *value;

        if (!is_left_out) {
            *value = arena_copy(&f->arena, before);
            ((char *)value->data)[gen_below(gen, value->len)] ^= (char)(1 << gen_below(gen, 8));
        }
        write_entries(f, name, &entries, is_left_out ? at : UINT32_MAX, sum);
        write_meta(f, &meta);
        const struct outcome bad = look_at(f, f->meta.ulid);
        if (bad.is_open && bad.is_verified && must_notice(entries.keys[at], is_index, is_left_out))
            assert_true(bad.answers && bad.digest.sum == good->sum && !is_left_out);
        *value = before;
    }
    write_entries(f, name, &entries, UINT32_MAX, sum);
    f->meta = meta;
    write_meta(f, &meta);
}

static void test_wrong_tables(void **state)
{
    struct fixture f;
    struct gen gen;

    (void)state;
    gen_init(&gen, 5);
    small_block(&f, &gen);
    const struct outcome good = look_at(&f, f.meta.ulid);
    check_wrong_table(&f, &gen, true, &good.digest);
    check_wrong_table(&f, &gen, false, &good.digest);
    const struct outcome again = look_at(&f, f.meta.ulid);
    assert_true(again.is_verified && again.answers && again.digest.sum == good.digest.sum);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_every_region),
        cmocka_unit_test(test_wrong_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
