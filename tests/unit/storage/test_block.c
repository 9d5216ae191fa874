/* SPDX-License-Identifier: Apache-2.0 */
#include "block_model.h"

#include "base/env_real.h"
#include "base/fault.h"
#include "base/mem.h"
#include "storage/block.h"
#include "storage/block_verify.h"
#include "support/temp_dir.h"

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

static struct block_writer_options writer_options(struct fixture *f)
{
    return (struct block_writer_options){.env = &f->env,
                                         .door = f->door,
                                         .hash_key = &f->hash_key,
                                         .dir = f->dir.path,
                                         .ulid = ulid_make(&f->env),
                                         .window_t_min_ms = INT64_MIN,
                                         .window_t_end_ms = INT64_MAX,
                                         .watermark = 42};
}

static struct block_options block_options(struct fixture *f)
{
    return (struct block_options){
        .env = &f->env, .door = f->door, .hash_key = &f->hash_key, .dir = f->dir.path};
}

static enum err write_model(struct fixture *f, const struct model *m, struct block_meta *meta,
                            struct err_info *info)
{
    const struct block_writer_options options = writer_options(f);
    struct block_writer *w;
    enum err err = block_writer_open(&options, &w, info);

    if (err != ERR_OK)
        return err;
    err = model_write(m, w, NULL, NULL, info);
    if (err != ERR_OK) {
        block_writer_abort(w);
        return err;
    }
    return block_writer_finish(w, meta, info);
}

static struct block *open_block(struct fixture *f, struct ulid ulid)
{
    const struct block_options options = block_options(f);
    struct err_info info = {0};
    struct block *block = NULL;

    check_err_info(ERR_OK, block_open(&options, ulid, &block, &info), &info);
    return block;
}

static enum err count_entry(void *owner, const char *name)
{
    (void)name;
    ++*(uint32_t *)owner;
    return ERR_OK;
}

static uint32_t entry_count(struct fixture *f)
{
    uint32_t count = 0;

    check_err(ERR_OK, f->env.fs->list(&f->env, f->dir.path, count_entry, &count));
    return count;
}

/* ---- round trip ---- */

static void check_selects(struct gen *gen, const struct model *m, struct block *block)
{
    for (int i = 0; i < 20; i++) {
        struct matcher matchers[4];
        struct source_stats stats = {0};
        struct series_stream *stream;
        struct err_info info = {0};
        struct arena arena;
        int64_t t_min = INT64_MIN;
        int64_t t_max = INT64_MAX;

        arena_init(&arena, NULL, 0);
        struct source_ctx ctx = {.tenant = gen_chance(gen, 3) ? SLICE("t2") : SLICE("anonymous"),
                                 .arena = &arena,
                                 .stats = &stats};
        const uint32_t count = model_matchers(gen, &arena, matchers);
        if (gen_chance(gen, 2)) {
            t_min = gen_between(gen, 0, 6000000);
            t_max = t_min + (int64_t)gen_below(gen, 10000000);
        }
        check_err_info(ERR_OK,
                       block_source(block)->ops->select(block_source(block), &ctx,
                                                        (struct matcher_list){matchers, count},
                                                        t_min, t_max, NULL, &stream, &info),
                       &info);
        if (!model_check_stream(m, ctx.tenant, matchers, count, t_min, t_max, stream))
            fail_msg("stream failed: %s", err_message(stream->err, &stream->info));
        arena_fini(&arena);
    }
}

static void test_round_trip(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 60)
    {
        struct err_info info = {0};
        struct block_meta meta;
        struct fixture f;
        struct model m;

        fixture_init(&f);
        model_init(&m, &gen, gen_chance(&gen, 4) ? 2000 : 100);
        check_err_info(ERR_OK, write_model(&f, &m, &meta, &info), &info);
        assert_int_equal(m.count, meta.series_count);
        assert_int_equal(1, entry_count(&f));
        struct block *block = open_block(&f, meta.ulid);
        check_err_info(ERR_OK, block_verify(block, NULL, NULL, &info), &info);
        check_selects(&gen, &m, block);
        block_unref(block);
        model_fini(&m);
        fixture_fini(&f);
    }
}

/* Cursors of one stream read in turns. */
static void test_interleaved(void **state)
{
    static struct sample_columns columns;
    struct source_series series[64];
    struct series_stream *stream;
    struct block_meta meta;
    struct arena arena;
    struct fixture f;
    struct model m;
    struct gen gen;
    uint32_t at[64] = {0};
    uint32_t rank[64];
    uint32_t count = 0;

    (void)state;
    gen_init(&gen, 11);
    fixture_init(&f);
    model_init(&m, &gen, 60);
    check_err(ERR_OK, write_model(&f, &m, &meta, NULL));
    struct block *block = open_block(&f, meta.ulid);
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
    check_err(ERR_OK,
              block_source(block)->ops->select(block_source(block), &ctx, (struct matcher_list){0},
                                               INT64_MIN, INT64_MAX, NULL, &stream, NULL));
    for (uint32_t i = 0; i < m.count; i++)
        if (slice_eq(m.series[i].tenant, ctx.tenant)) {
            assert_true(series_stream_next(stream, &series[count]));
            rank[count++] = i;
        }
    block_unref(block); /* the stream holds its own reference */
    for (int i = 0; i < 3000; i++) {
        const uint32_t pick = (uint32_t)gen_below(&gen, count);
        const struct model_series *s = &m.series[rank[pick]];

        if (gen_chance(&gen, 5) && at[pick] < s->count) {
            at[pick] += (uint32_t)gen_below(&gen, s->count - at[pick]);
            sample_cursor_seek(series[pick].cursor, s->samples[at[pick]].t_ms);
        }
        if (!sample_cursor_next(series[pick].cursor, &columns)) {
            assert_int_equal(ERR_OK, series[pick].cursor->err);
            assert_int_equal(s->count, at[pick]);
            continue;
        }
        for (uint32_t j = 0; j < columns.count; j++, at[pick]++)
            assert_true(columns.t_ms[j] == s->samples[at[pick]].t_ms);
    }
    arena_fini(&arena);
    model_fini(&m);
    fixture_fini(&f);
}

/* ---- labels ---- */

struct text_list {
    struct slice items[64];
    char bytes[64][16];
    uint32_t count;
};

static enum err add_text(void *owner, struct slice text)
{
    struct text_list *list = owner;

    assert_true(list->count < COUNT_OF(list->items));
    memcpy(list->bytes[list->count], text.data, text.len);
    list->items[list->count] = slice_of(list->bytes[list->count], text.len);
    assert_true(list->count == 0 ||
                slice_cmp(list->items[list->count - 1], list->items[list->count]) < 0);
    list->count++;
    return ERR_OK;
}

static bool model_has(const struct model *m, struct slice tenant, struct slice name,
                      struct slice value, const struct matcher *matchers, uint32_t count)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (slice_eq(m->series[i].tenant, tenant) &&
            matcher_matches_set(matchers, count, m->series[i].labels) &&
            label_set_has(m->series[i].labels, name) &&
            (value.data == NULL || slice_eq(label_set_get(m->series[i].labels, name), value)))
            return true;
    return false;
}

static void test_labels(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 30)
    {
        struct block_meta meta;
        struct fixture f;
        struct model m;

        fixture_init(&f);
        model_init(&m, &gen, 40);
        check_err(ERR_OK, write_model(&f, &m, &meta, NULL));
        struct block *block = open_block(&f, meta.ulid);
        struct source *source = block_source(block);
        for (int i = 0; i < 10; i++) {
            struct text_list names = {0};
            struct text_list values = {0};
            struct matcher matchers[4];
            struct arena arena;
            uint32_t want = 0;

            arena_init(&arena, NULL, 0);
            struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
            const struct matcher_list list = {matchers, model_matchers(&gen, &arena, matchers)};
            check_err(ERR_OK, source->ops->label_names(source, &ctx, list, INT64_MIN, INT64_MAX,
                                                       add_text, &names));
            for (size_t j = 0; j < COUNT_OF(model_names); j++)
                want += model_has(&m, ctx.tenant, slice_from_cstr(model_names[j]),
                                  (struct slice){0}, matchers, list.count);
            assert_int_equal(want, names.count);
            check_err(ERR_OK, source->ops->label_values(source, &ctx, SLICE("a"), list, INT64_MIN,
                                                        INT64_MAX, add_text, &values));
            want = 0;
            for (size_t j = 0; j < COUNT_OF(model_values); j++)
                want += model_has(&m, ctx.tenant, SLICE("a"), slice_from_cstr(model_values[j]),
                                  matchers, list.count);
            assert_int_equal(want, values.count);
            arena_fini(&arena);
        }
        block_unref(block);
        model_fini(&m);
        fixture_fini(&f);
    }
}

static void test_hints(void **state)
{
    struct series_stream *stream;
    struct source_series series;
    struct source_estimate estimate;
    struct block_meta meta;
    struct arena arena;
    struct fixture f;
    struct model m;
    struct gen gen;
    uint32_t count = 0;
    uint32_t total = 0;

    (void)state;
    gen_init(&gen, 5);
    fixture_init(&f);
    model_init(&m, &gen, 3000);
    for (uint32_t i = 0; i < m.count; i++)
        total += slice_eq(m.series[i].tenant, SLICE("anonymous"));
    check_err(ERR_OK, write_model(&f, &m, &meta, NULL));
    struct block *block = open_block(&f, meta.ulid);
    struct source *source = block_source(block);
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
    for (uint32_t shard = 0; shard < 3; shard++) {
        const struct source_hints hints = {
            .shard_index = shard, .shard_count = 3, .projection = SOURCE_SERIES_ONLY};

        check_err(ERR_OK, source->ops->select(source, &ctx, (struct matcher_list){0}, INT64_MIN,
                                              INT64_MAX, &hints, &stream, NULL));
        while (series_stream_next(stream, &series)) {
            assert_null(series.cursor);
            assert_true(
                hash128_eq(series.hash, series_hash(&f.hash_key, ctx.tenant, series.labels)));
            assert_int_equal(shard, series.hash.lo % 3);
            count++;
        }
    }
    assert_int_equal(total, count);
    const struct source_hints limit = {.limit = 5};
    check_err(ERR_OK, source->ops->select(source, &ctx, (struct matcher_list){0}, INT64_MIN,
                                          INT64_MAX, &limit, &stream, NULL));
    for (count = 0; series_stream_next(stream, &series);)
        count++;
    assert_int_equal(5, count);
    check_err(ERR_OK, source->ops->estimate(source, &ctx, (struct matcher_list){0}, INT64_MIN,
                                            INT64_MAX, &estimate));
    assert_int_equal(total, estimate.series);
    ctx.tenant = SLICE("nobody");
    check_err(ERR_OK, source->ops->select(source, &ctx, (struct matcher_list){0}, INT64_MIN,
                                          INT64_MAX, NULL, &stream, NULL));
    assert_false(series_stream_next(stream, &series));
    arena_fini(&arena);
    block_unref(block);
    model_fini(&m);
    fixture_fini(&f);
}

static void test_empty(void **state)
{
    struct block_writer_options options;
    struct block_writer *w;
    struct block_meta meta;
    struct fixture f;
    const struct label label = {SLICE("a"), SLICE("b")};

    (void)state;
    fixture_init(&f);
    options = writer_options(&f);
    check_err(ERR_OK, block_writer_open(&options, &w, NULL));
    check_err(ERR_OK, block_writer_series(w, SLICE("t"), (struct label_set){&label, 1}, NULL));
    check_err(ERR_END, block_writer_finish(w, &meta, NULL));
    assert_int_equal(0, entry_count(&f));
    fixture_fini(&f);
}

/* ---- damage ---- */

static char *file_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *data;

    assert_non_null(file);
    (void)fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    (void)fseek(file, 0, SEEK_SET);
    data = mem_alloc(*size + 1);
    assert_int_equal(*size, fread(data, 1, *size, file));
    (void)fclose(file);
    return data;
}

static void file_write(const char *path, const char *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(size, fwrite(data, 1, size, file));
    assert_int_equal(0, fclose(file));
}

/* Reads the whole block through the source: errors are fine, other samples than the model's are
 * not. A door of its own, so that no cached table block hides the damage. */
static bool check_damaged(struct fixture *f, const struct model *m, struct ulid ulid)
{
    struct sst_door *door =
        sst_door_new(&f->env, (struct sst_door_options){.cache_size_bytes = 1 << 20});
    struct block_options options = block_options(f);
    struct err_info info = {0};
    struct block *block;
    bool good = false;

    options.door = door;
    const enum err err = block_open(&options, ulid, &block, &info);
    if (err != ERR_OK) {
        check_message("block", &info);
        assert_true(err == ERR_CORRUPT || err == ERR_VERSION || err == ERR_NOT_FOUND);
    } else {
        struct series_stream *stream;
        struct arena arena;

        arena_init(&arena, NULL, 0);
        struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
        const enum err select_err =
            block_source(block)->ops->select(block_source(block), &ctx, (struct matcher_list){0},
                                             INT64_MIN, INT64_MAX, NULL, &stream, &info);
        if (select_err == ERR_OK)
            good = model_check_stream(m, ctx.tenant, NULL, 0, INT64_MIN, INT64_MAX, stream);
        if (select_err == ERR_OK && !good)
            check_message("block", &stream->info);
        assert_true(good || select_err != ERR_OK || stream->err != ERR_OK);
        arena_fini(&arena);
        block_unref(block);
    }
    sst_door_free(door);
    return good;
}

static void test_damage(void **state)
{
    static const char *const files[] = {"meta.json", "index.sst", "data.sst"};
    struct block_meta meta;
    struct fixture f;
    struct model m;
    struct gen gen;
    char text[ULID_TEXT_LEN + 1];
    uint32_t good = 0;

    (void)state;
    gen_init(&gen, 3);
    fixture_init(&f);
    model_init(&m, &gen, 1);
    model_fini(&m);
    do {
        model_init(&m, &gen, 120);
        if (m.count >= 60)
            break;
        model_fini(&m);
    } while (true);
    check_err(ERR_OK, write_model(&f, &m, &meta, NULL));
    ulid_print(meta.ulid, text);
    assert_true(check_damaged(&f, &m, meta.ulid));
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[TEMP_DIR_PATH_SIZE + 64];
        size_t size;

        (void)snprintf(path, sizeof(path), "%s/%s/%s", f.dir.path, text, files[i]);
        char *data = file_read(path, &size);
        for (uint32_t j = 0; j < 250; j++) {
            const size_t at = j < 100 && size > 200 ? size - 1 - j * 2 : gen_below(&gen, size);
            const char before = data[at];

            data[at] = (char)(data[at] ^ (1 << gen_below(&gen, 8)));
            file_write(path, data, size);
            good += check_damaged(&f, &m, meta.ulid);
            data[at] = before;
        }
        for (uint32_t j = 0; j < 20; j++) {
            file_write(path, data, gen_below(&gen, size));
            assert_false(check_damaged(&f, &m, meta.ulid));
        }
        file_write(path, data, size);
        mem_free(data);
    }
    assert_true(check_damaged(&f, &m, meta.ulid));
    print_message("%u of 750 damaged blocks read well: damage outside what was asked\n", good);
    model_fini(&m);
    fixture_fini(&f);
}

/* Each fallible call fails in turn: an error, nothing left, and the next try succeeds. */
static void test_faults(void **state)
{
    struct block_meta meta;
    struct fixture f;
    struct model m;
    struct gen gen;
    uint64_t nth = 1;

    (void)state;
    gen_init(&gen, 21);
    fixture_init(&f);
    model_init(&m, &gen, 20);
    for (;; nth++) {
        struct err_info info = {0};

        fault_arm("", nth);
        const enum err err = write_model(&f, &m, &meta, &info);
        const bool fired = fault_fired_count() > 0;
        fault_disarm();
        if (!fired) {
            check_err(ERR_OK, err);
            break;
        }
        check_err_info(ERR_IO, err, &info);
        assert_true(info.message[0] != '\0');
        assert_int_equal(0, entry_count(&f));
    }
    assert_true(nth > 8);
    struct block *block = open_block(&f, meta.ulid);
    check_selects(&gen, &m, block);
    block_doom(block);
    block_unref(block);
    assert_int_equal(0, entry_count(&f));
    model_fini(&m);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_interleaved),
        cmocka_unit_test(test_labels),     cmocka_unit_test(test_hints),
        cmocka_unit_test(test_empty),      cmocka_unit_test(test_damage),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
