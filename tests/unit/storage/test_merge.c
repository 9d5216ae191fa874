/* SPDX-License-Identifier: Apache-2.0 */
#include "block_model.h"

#include "base/env_real.h"
#include "model/order.h"
#include "storage/block.h"
#include "storage/merge.h"
#include "support/temp_dir.h"

enum { PART_MAX = 5 };

struct fixture {
    struct temp_dir dir;
    struct env env;
    struct sst_door *door;
    struct hash_key hash_key;
};

static void fixture_init(struct fixture *f)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {1, 2, 3};

    memset(f, 0, sizeof(*f));
    temp_dir_init(&f->dir);
    env_real_init(&f->env);
    f->door = sst_door_new(&f->env, (struct sst_door_options){.cache_size_bytes = 1 << 20});
    hash_key_init(&f->hash_key, seed);
}

static void fixture_fini(struct fixture *f)
{
    sst_door_free(f->door);
    temp_dir_fini(&f->dir);
}

/* How a sample finds its parts: by time, by chance, and by chance into several. */
struct split {
    uint32_t part, part_count;
    uint64_t salt;
    enum { SPLIT_TIME, SPLIT_RANDOM, SPLIT_OVERLAP } kind;
};

static bool pick_part(void *owner, uint32_t series, const struct sample *sample)
{
    const struct split *split = owner;
    uint64_t mix = (uint64_t)sample->t_ms * UINT64_C(0x9e3779b97f4a7c15) ^ split->salt ^ series;

    if (split->kind == SPLIT_TIME)
        return (uint64_t)sample->t_ms / 2000000 % split->part_count == split->part;
    mix ^= mix >> 29;
    mix *= UINT64_C(0xbf58476d1ce4e5b9);
    mix ^= mix >> 32;
    if (split->kind == SPLIT_OVERLAP && mix >> (8 + split->part) & 1)
        return true;
    return mix % split->part_count == split->part;
}

/* NULL when no sample fell into the part. */
static struct block *write_part(struct fixture *f, const struct model *m, struct split *split)
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
    struct block *block = NULL;
    struct block_writer *w;
    struct block_meta meta;

    check_err(ERR_OK, block_writer_open(&options, &w, NULL));
    check_err(ERR_OK, model_write(m, w, pick_part, split, NULL));
    const enum err err = block_writer_finish(w, &meta, NULL);
    if (err == ERR_END)
        return NULL;
    check_err(ERR_OK, err);
    check_err(ERR_OK, block_open(&read, meta.ulid, &block, NULL));
    return block;
}

struct text_list {
    struct arena *arena;
    struct slice items[64];
    uint32_t count;
};

static enum err add_text(void *owner, struct slice text)
{
    struct text_list *list = owner;

    assert_true(list->count < COUNT_OF(list->items));
    assert_true(list->count == 0 || slice_cmp(list->items[list->count - 1], text) < 0);
    list->items[list->count++] = arena_copy(list->arena, text);
    return ERR_OK;
}

static void check_texts(const struct model *m, struct merge_list sources,
                        const struct source_query *query)
{
    struct text_list names = {.arena = query->ctx->arena};
    struct text_list values = {.arena = query->ctx->arena};
    uint32_t want_names = 0;
    uint32_t want_values = 0;

    check_err(ERR_OK, merge_label_names(sources, query, add_text, &names));
    check_err(ERR_OK, merge_label_values(sources, query, add_text, &values));
    for (size_t i = 0; i < COUNT_OF(model_names); i++)
        for (uint32_t j = 0; j < m->count; j++)
            if (slice_eq(m->series[j].tenant, query->ctx->tenant) &&
                label_set_has(m->series[j].labels, slice_from_cstr(model_names[i]))) {
                want_names++;
                break;
            }
    for (size_t i = 0; i < COUNT_OF(model_values); i++)
        for (uint32_t j = 0; j < m->count; j++)
            if (slice_eq(m->series[j].tenant, query->ctx->tenant) &&
                slice_eq(label_set_get(m->series[j].labels, query->name),
                         slice_from_cstr(model_values[i]))) {
                want_values++;
                break;
            }
    assert_int_equal(want_names, names.count);
    assert_int_equal(want_values, values.count);
}

/* A store split into blocks answers like the whole. */
static void test_split_is_whole(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 80)
    {
        struct source *sources[PART_MAX];
        struct block *blocks[PART_MAX];
        struct split split = {.part_count = (uint32_t)gen_between(&gen, 1, PART_MAX),
                              .salt = gen_u64(&gen),
                              .kind = gen_below(&gen, 3)};
        struct fixture f;
        struct model m;
        uint32_t count = 0;

        fixture_init(&f);
        model_init(&m, &gen, 60);
        for (split.part = 0; split.part < split.part_count; split.part++) {
            blocks[count] = write_part(&f, &m, &split);
            if (blocks[count] != NULL) {
                sources[count] = block_source(blocks[count]);
                count++;
            }
        }
        for (int i = 0; i < 10; i++) {
            struct matcher matchers[4];
            struct series_stream *stream;
            struct err_info info = {0};
            struct arena arena;

            arena_init(&arena, NULL, 0);
            struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
            struct source_query query = {
                .ctx = &ctx, .t_min_ms = INT64_MIN, .t_max_ms = INT64_MAX, .name = SLICE("a")};
            if (i == 0)
                check_texts(&m, (struct merge_list){sources, count}, &query);
            query.matchers =
                (struct matcher_list){matchers, model_matchers(&gen, &arena, matchers)};
            if (gen_chance(&gen, 2)) {
                query.t_min_ms = gen_between(&gen, 0, 6000000);
                query.t_max_ms = query.t_min_ms + (int64_t)gen_below(&gen, 10000000);
            }
            check_err_info(
                ERR_OK, merge_select((struct merge_list){sources, count}, &query, &stream, &info),
                &info);
            assert_true(model_check_stream(&m, ctx.tenant, matchers, query.matchers.count,
                                           query.t_min_ms, query.t_max_ms, stream));
            arena_fini(&arena);
        }
        for (uint32_t i = 0; i < count; i++)
            block_unref(blocks[i]);
        model_fini(&m);
        fixture_fini(&f);
    }
}

/* ---- a source made of columns in memory: kinds, start times, seeks, errors ---- */

struct fake_sample {
    int64_t t_ms, start_t_ms;
    double v;
    const struct histogram *histogram; /* NULL: a float */
};

struct fake_source {
    struct source base;
    struct series_stream stream;
    struct sample_cursor cursor;
    const struct fake_sample *samples;
    uint32_t count, at, batch_max, fail_at;
    bool given;
    int64_t starts[SOURCE_BATCH];
};

static bool fake_cursor_next(struct sample_cursor *cursor, struct sample_columns *columns)
{
    struct fake_source *fake = CONTAINER_OF(cursor, struct fake_source, cursor);
    bool has_start = false;

    columns->count = 0;
    if (fake->fail_at != 0 && fake->at >= fake->fail_at) {
        cursor->err = ERR_CORRUPT;
        (void)err_set(&fake->stream.info, ERR_CORRUPT, "the fake is broken");
        return false;
    }
    while (fake->at < fake->count && columns->count < fake->batch_max) {
        const struct fake_sample *sample = &fake->samples[fake->at];
        const enum sample_kind kind = sample->histogram ? SAMPLE_HISTOGRAM : SAMPLE_FLOAT;

        if (columns->count > 0 && kind != columns->kind)
            break;
        columns->kind = kind;
        columns->t_ms[columns->count] = sample->t_ms;
        fake->starts[columns->count] = sample->start_t_ms;
        has_start |= sample->start_t_ms != 0;
        if (kind == SAMPLE_FLOAT)
            columns->v[columns->count] = sample->v;
        else
            columns->histograms[columns->count] = sample->histogram;
        columns->count++;
        fake->at++;
    }
    columns->start_t_ms = has_start ? fake->starts : NULL;
    return columns->count > 0;
}

static void fake_cursor_seek(struct sample_cursor *cursor, int64_t t_ms)
{
    struct fake_source *fake = CONTAINER_OF(cursor, struct fake_source, cursor);

    while (fake->at < fake->count && fake->samples[fake->at].t_ms < t_ms)
        fake->at++;
}

static const struct sample_cursor_ops fake_cursor_ops = {fake_cursor_next, fake_cursor_seek};

static bool fake_stream_next(struct series_stream *stream, struct source_series *series)
{
    struct fake_source *fake = CONTAINER_OF(stream, struct fake_source, stream);
    static const struct label label = {{"a", 1}, {"b", 1}};

    if (fake->given)
        return false;
    fake->given = true;
    *series = (struct source_series){.labels = {&label, 1}, .cursor = &fake->cursor};
    return true;
}

static const struct series_stream_ops fake_stream_ops = {fake_stream_next};

static enum err fake_select(struct source *source, struct source_ctx *ctx,
                            struct matcher_list matchers, int64_t t_min, int64_t t_max,
                            const struct source_hints *hints, struct series_stream **stream,
                            struct err_info *info)
{
    struct fake_source *fake = CONTAINER_OF(source, struct fake_source, base);

    (void)ctx, (void)matchers, (void)t_min, (void)t_max, (void)hints, (void)info;
    fake->stream.ops = &fake_stream_ops;
    fake->stream.coverage = (struct source_coverage){1, 1};
    fake->cursor.ops = &fake_cursor_ops;
    *stream = &fake->stream;
    return ERR_OK;
}

static const struct source_ops fake_ops = {.select = fake_select};

static struct fake_source fake_make(const struct fake_sample *samples, uint32_t count)
{
    return (struct fake_source){
        .base = {&fake_ops}, .samples = samples, .count = count, .batch_max = 2};
}

static struct source_series merge_two(struct fake_source *a, struct fake_source *b,
                                      struct source_ctx *ctx, struct series_stream **stream)
{
    struct source *sources[] = {&a->base, &b->base};
    const struct source_query query = {.ctx = ctx, .t_min_ms = 0, .t_max_ms = 1000};
    struct source_series series;

    check_err(ERR_OK, merge_select((struct merge_list){sources, 2}, &query, stream, NULL));
    assert_true(series_stream_next(*stream, &series));
    return series;
}

static void test_same_times(void **state)
{
    static const struct histogram histogram = {.sum = 3};
    const struct fake_sample a[] = {
        {1, 0, 1, NULL}, {2, 7, 2, NULL}, {5, 0, 9, NULL}, {6, 0, 1, NULL}};
    const struct fake_sample b[] = {{2, 0, 3, NULL},
                                    {4, 0, 4, NULL},
                                    {5, 0, 0, &histogram},
                                    {6, 0, sample_value_from_bits(SAMPLE_STALE_BITS), NULL}};
    struct fake_source fakes[2];
    struct series_stream *stream;
    struct sample_columns columns;
    struct arena arena;

    (void)state;
    /* Either way round: the order of sources does not matter. */
    for (int turn = 0; turn < 2; turn++) {
        arena_init(&arena, NULL, 0);
        struct source_ctx ctx = {.arena = &arena};
        fakes[0] = turn == 0 ? fake_make(a, 4) : fake_make(b, 4);
        fakes[1] = turn == 0 ? fake_make(b, 4) : fake_make(a, 4);
        struct source_series series = merge_two(&fakes[0], &fakes[1], &ctx, &stream);
        assert_int_equal(2, stream->coverage.shards_answered);
        assert_true(sample_cursor_next(series.cursor, &columns));
        assert_int_equal(SAMPLE_FLOAT, columns.kind);
        assert_int_equal(3, columns.count);
        assert_true(columns.t_ms[0] == 1 && columns.v[0] == 1);
        assert_true(columns.t_ms[1] == 2 && columns.v[1] == 3);
        assert_true(columns.t_ms[2] == 4 && columns.v[2] == 4);
        assert_true(sample_cursor_next(series.cursor, &columns));
        assert_int_equal(SAMPLE_HISTOGRAM, columns.kind);
        assert_int_equal(1, columns.count);
        assert_true(columns.t_ms[0] == 5 && columns.histograms[0] == &histogram);
        assert_true(sample_cursor_next(series.cursor, &columns));
        assert_int_equal(SAMPLE_FLOAT, columns.kind);
        assert_true(columns.t_ms[0] == 6 && columns.v[0] == 1);
        assert_false(sample_cursor_next(series.cursor, &columns));
        assert_int_equal(ERR_OK, series.cursor->err);
        assert_false(series_stream_next(stream, &series));
        arena_fini(&arena);
    }
}

/* "No reset" is about the sample before in the same input: between others it must not be believed.
 */
static void test_reset_hints(void **state)
{
    static const struct histogram no = {.reset = HISTOGRAM_RESET_NO};
    static const struct histogram yes = {.reset = HISTOGRAM_RESET_YES};
    static const struct histogram gauge = {.reset = HISTOGRAM_GAUGE};
    const struct fake_sample a[] = {
        {1, 0, 0, &yes}, {2, 0, 0, &no}, {5, 0, 0, &no}, {6, 0, 0, &no}, {8, 0, 0, &gauge}};
    const struct fake_sample b[] = {{3, 0, 0, &no}, {4, 0, 0, &no}, {7, 0, 0, &gauge}};
    static const enum histogram_reset want[] = {
        HISTOGRAM_RESET_YES,     HISTOGRAM_RESET_NO, HISTOGRAM_RESET_UNKNOWN, HISTOGRAM_RESET_NO,
        HISTOGRAM_RESET_UNKNOWN, HISTOGRAM_RESET_NO, HISTOGRAM_GAUGE,         HISTOGRAM_GAUGE};
    struct fake_source fakes[2] = {fake_make(a, 5), fake_make(b, 3)};
    struct series_stream *stream;
    struct sample_columns columns;
    struct arena arena;
    uint32_t count = 0;

    (void)state;
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.arena = &arena};
    struct source_series series = merge_two(&fakes[0], &fakes[1], &ctx, &stream);
    while (sample_cursor_next(series.cursor, &columns))
        for (uint32_t i = 0; i < columns.count; i++, count++) {
            assert_int_equal(count + 1, columns.t_ms[i]);
            assert_int_equal(want[count], columns.histograms[i]->reset);
        }
    assert_int_equal(COUNT_OF(want), count);
    arena_fini(&arena);
}

static void test_start_times(void **state)
{
    const struct fake_sample a[] = {{1, 0, 1, NULL}, {3, 0, 2, NULL}};
    const struct fake_sample b[] = {{2, 1, 3, NULL}, {4, 1, 4, NULL}};
    struct fake_source fakes[2] = {fake_make(a, 2), fake_make(b, 2)};
    struct series_stream *stream;
    struct sample_columns columns;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.arena = &arena};
    struct source_series series = merge_two(&fakes[0], &fakes[1], &ctx, &stream);
    assert_true(sample_cursor_next(series.cursor, &columns));
    assert_int_equal(4, columns.count);
    assert_non_null(columns.start_t_ms);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(columns.start_t_ms[i] == (i % 2 == 1));
    arena_fini(&arena);
}

static void test_seek(void **state)
{
    const struct fake_sample a[] = {{1, 0, 1, NULL}, {3, 0, 2, NULL}, {7, 0, 2, NULL}};
    const struct fake_sample b[] = {{2, 0, 3, NULL}, {4, 0, 4, NULL}, {9, 0, 4, NULL}};
    struct fake_source fakes[2] = {fake_make(a, 3), fake_make(b, 3)};
    struct series_stream *stream;
    struct sample_columns columns;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.arena = &arena};
    struct source_series series = merge_two(&fakes[0], &fakes[1], &ctx, &stream);
    sample_cursor_seek(series.cursor, 4);
    assert_true(sample_cursor_next(series.cursor, &columns));
    assert_int_equal(3, columns.count);
    assert_true(columns.t_ms[0] == 4 && columns.t_ms[1] == 7 && columns.t_ms[2] == 9);
    assert_false(sample_cursor_next(series.cursor, &columns));
    arena_fini(&arena);
}

/* One source's error is the answer's error, with its message. */
static void test_error(void **state)
{
    const struct fake_sample a[] = {{1, 0, 1, NULL}, {3, 0, 2, NULL}, {7, 0, 2, NULL}};
    const struct fake_sample b[] = {{2, 0, 3, NULL}};
    struct fake_source fakes[2] = {fake_make(a, 3), fake_make(b, 1)};
    struct series_stream *stream;
    struct sample_columns columns;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.arena = &arena};
    fakes[0].fail_at = 2;
    struct source_series series = merge_two(&fakes[0], &fakes[1], &ctx, &stream);
    while (sample_cursor_next(series.cursor, &columns))
        ;
    assert_int_equal(ERR_CORRUPT, series.cursor->err);
    check_message("the fake is broken", &stream->info);
    assert_false(series_stream_next(stream, &series));
    assert_int_equal(ERR_CORRUPT, stream->err);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_is_whole), cmocka_unit_test(test_same_times),
        cmocka_unit_test(test_reset_hints),    cmocka_unit_test(test_start_times),
        cmocka_unit_test(test_seek),           cmocka_unit_test(test_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
