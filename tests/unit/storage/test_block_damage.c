/* SPDX-License-Identifier: Apache-2.0 */

/* Damaged blocks: an error or the same answers, never others; and verify finds it. */

#include "block_digest.h"
#include "kinds_fixture.h"

#include "storage/block_key.h"

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
        cmocka_unit_test(test_every_region),
        cmocka_unit_test(test_wrong_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
