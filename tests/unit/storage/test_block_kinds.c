/* SPDX-License-Identifier: Apache-2.0 */

/* What was written into a block of all kinds comes back bit by bit through its source. */

#include "block_digest.h"
#include "kinds_fixture.h"

#include <stdlib.h>

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

static enum err find_ulid(void *owner, const char *name)
{
    struct ulid ulid;

    if (ulid_parse(slice_from_cstr(name), &ulid))
        *(struct ulid *)owner = ulid;
    return ERR_OK;
}

/* A block that this format's first version wrote answers as it did. NARTHEX_GOLDEN_UPDATE=1 writes
 * it anew, which a change of the format before its release asks for. */
static void test_golden(void **state)
{
    const char *golden = NARTHEX_TEST_DATA "/../golden/storage/block_v1";
    char command[4 * TEMP_DIR_PATH_SIZE];
    struct digest digest;
    struct fixture f;
    struct gen gen;
    char text[64] = "";

    (void)state;
    gen_init(&gen, 12);
    fixture_init(&f);
    do {
        arena_reset(&f.arena);
        fill(&f, &gen);
    } while (f.count < 6);
    struct block *block = write_block(&f, &gen);
    if (getenv("NARTHEX_GOLDEN_UPDATE") != NULL) {
        assert_true(digest_block(block, &digest));
        (void)snprintf(
            command, sizeof(command),
            "rm -rf '%s' && mkdir -p '%s' && cp -r '%s'/* '%s' && echo %016llx >'%s/digest'",
            golden, golden, f.dir.path, golden, (unsigned long long)digest.sum, golden);
        assert_int_equal(0, system(command));
    }
    block_unref(block);
    (void)snprintf(command, sizeof(command), "%s/digest", golden);
    FILE *file = fopen(command, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    (void)fclose(file);
    const struct block_options read = {
        .env = &f.env, .door = f.door, .hash_key = &f.hash_key, .dir = golden};
    struct ulid ulid = {0};
    check_err(ERR_OK, f.env.fs->list(&f.env, golden, find_ulid, &ulid));
    check_err(ERR_OK, block_open(&read, ulid, &block, NULL));
    check_err(ERR_OK, block_verify(block, NULL, NULL, NULL));
    assert_true(digest_block(block, &digest));
    assert_true(strtoull(text, NULL, 16) == digest.sum);
    block_unref(block);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_golden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
