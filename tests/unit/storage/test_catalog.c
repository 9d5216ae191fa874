/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/env_real.h"
#include "base/fault.h"
#include "base/mem.h"
#include "storage/catalog.h"
#include "support/gen.h"
#include "support/temp_dir.h"

struct fixture {
    struct temp_dir dir;
    struct env env;
    char path[TEMP_DIR_PATH_SIZE + 16];
};

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    temp_dir_init(&f->dir);
    env_real_init(&f->env);
    (void)snprintf(f->path, sizeof(f->path), "%s/catalog", f->dir.path);
}

static void fixture_fini(struct fixture *f)
{
    temp_dir_fini(&f->dir);
}

static struct catalog *open_catalog(struct fixture *f)
{
    struct err_info info = {0};
    struct catalog *catalog = NULL;

    check_err_info(ERR_OK, catalog_open(&f->env, NULL, f->dir.path, &catalog, &info), &info);
    return catalog;
}

static struct catalog_entry make_entry(struct gen *gen)
{
    struct catalog_entry entry = {0};

    gen_bytes(gen, entry.ulid.bytes, sizeof(entry.ulid.bytes));
    entry.window_t_min_ms = (int64_t)gen_u64(gen);
    entry.window_t_end_ms = (int64_t)gen_u64(gen);
    entry.t_min_ms = (int64_t)gen_u64(gen);
    entry.t_max_ms = (int64_t)gen_u64(gen);
    entry.watermark = gen_u64(gen);
    entry.series_count = gen_below(gen, 1000);
    entry.chunk_count = gen_below(gen, 1000);
    entry.sample_count = gen_u64(gen);
    entry.size_bytes = gen_below(gen, 1 << 30);
    if (gen_chance(gen, 2))
        memcpy(entry.tenant, "someone", 8);
    return entry;
}

enum { MODEL_MAX = 4000 };

struct model {
    struct catalog_entry entries[MODEL_MAX];
    uint32_t count;
};

static struct catalog_change random_change(struct gen *gen, const struct model *m,
                                           struct catalog_entry *attach, struct ulid *detach)
{
    struct catalog_change change = {.attach = attach, .detach = detach};

    change.attach_count = (uint32_t)gen_below(gen, 3);
    for (uint32_t i = 0; i < change.attach_count; i++)
        attach[i] = make_entry(gen);
    if (m->count > 2 && gen_chance(gen, 2)) {
        change.detach_count = 1 + (uint32_t)gen_below(gen, 2);
        for (uint32_t i = 0; i < change.detach_count; i++)
            detach[i] = m->entries[gen_below(gen, m->count)].ulid;
    }
    return change;
}

static void model_apply(struct model *m, const struct catalog_change *change)
{
    for (uint32_t i = 0; i < change->attach_count; i++)
        m->entries[m->count++] = change->attach[i];
    for (uint32_t i = 0; i < change->detach_count; i++)
        for (uint32_t j = 0; j < m->count; j++)
            if (ulid_cmp(m->entries[j].ulid, change->detach[i]) == 0)
                m->entries[j] = m->entries[--m->count];
}

static bool model_equals(const struct model *m, const struct catalog *catalog)
{
    if (catalog_count(catalog) != m->count)
        return false;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct catalog_entry *got = catalog_find(catalog, m->entries[i].ulid);

        if (got == NULL || memcmp(got, &m->entries[i], sizeof(*got)) != 0)
            return false;
    }
    return true;
}

static void test_changes(void **state)
{
    static struct model m;
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 20)
    {
        struct catalog_entry attach[3];
        struct ulid detach[3];
        struct fixture f;

        fixture_init(&f);
        m.count = 0;
        struct catalog *catalog = open_catalog(&f);
        for (int i = 0; i < 100; i++) {
            const struct catalog_change change = random_change(&gen, &m, attach, detach);

            check_err(ERR_OK, catalog_apply(catalog, &change, NULL));
            model_apply(&m, &change);
            if (gen_chance(&gen, 10)) {
                const uint64_t version = catalog_version(catalog);

                catalog_close(catalog);
                catalog = open_catalog(&f);
                assert_true(version == catalog_version(catalog));
            }
            assert_true(model_equals(&m, catalog));
        }
        for (uint32_t i = 1; i < catalog_count(catalog); i++)
            assert_true(ulid_cmp(catalog_get(catalog, i - 1)->ulid, catalog_get(catalog, i)->ulid) <
                        0);
        catalog_close(catalog);
        fixture_fini(&f);
    }
}

static char *file_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *data;

    assert_non_null(file);
    (void)fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    (void)fseek(file, 0, SEEK_SET);
    data = mem_alloc(*size + 64);
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

static bool always(void *owner, const struct catalog_gone *gone)
{
    (void)owner, (void)gone;
    return true;
}

/* The file stays small however many blocks come and go. */
static void test_rewrite(void **state)
{
    struct fixture f;
    struct gen gen;
    size_t size;

    (void)state;
    gen_init(&gen, 1);
    fixture_init(&f);
    struct catalog *catalog = open_catalog(&f);
    for (int i = 0; i < 5000; i++) {
        const struct catalog_entry entry = make_entry(&gen);
        const struct catalog_change attach = {.attach = &entry, .attach_count = 1};
        const struct catalog_change detach = {.detach = &entry.ulid, .detach_count = 1};

        check_err(ERR_OK, catalog_apply(catalog, &attach, NULL));
        check_err(ERR_OK, catalog_apply(catalog, &detach, NULL));
        assert_true(catalog_is_gone(catalog, entry.ulid));
        catalog_bury(catalog, always, NULL);
        assert_int_equal(0, catalog_gone_count(catalog));
    }
    catalog_close(catalog);
    mem_free(file_read(f.path, &size));
    assert_true(size < 80 << 10);
    catalog = open_catalog(&f);
    assert_int_equal(0, catalog_count(catalog));
    assert_int_equal(10000, catalog_version(catalog));
    catalog_close(catalog);
    fixture_fini(&f);
}

/* Cut or overwritten anywhere in its last change, the file gives the state before it. */
static void test_torn_tail(void **state)
{
    static struct model m;
    struct catalog_entry attach[3];
    struct ulid detach[3];
    struct fixture f;
    struct gen gen;
    size_t size_before;
    size_t size;

    (void)state;
    gen_init(&gen, 2);
    fixture_init(&f);
    m.count = 0;
    struct catalog *catalog = open_catalog(&f);
    for (int i = 0; i < 10; i++) {
        const struct catalog_change change = random_change(&gen, &m, attach, detach);

        check_err(ERR_OK, catalog_apply(catalog, &change, NULL));
        model_apply(&m, &change);
    }
    mem_free(file_read(f.path, &size_before));
    attach[0] = make_entry(&gen);
    const struct catalog_change last = {.attach = attach, .attach_count = 1};
    check_err(ERR_OK, catalog_apply(catalog, &last, NULL));
    catalog_close(catalog);
    char *data = file_read(f.path, &size);
    for (size_t cut = size_before; cut < size; cut++) {
        file_write(f.path, data, cut);
        catalog = open_catalog(&f);
        assert_int_equal(cut > size_before, catalog_had_torn_tail(catalog));
        assert_true(model_equals(&m, catalog));
        assert_false(catalog_is_unsure(catalog));
        /* The next change lands on good ground. */
        check_err(ERR_OK, catalog_apply(catalog, &last, NULL));
        catalog_close(catalog);
        catalog = open_catalog(&f);
        assert_non_null(catalog_find(catalog, attach[0].ulid));
        catalog_close(catalog);
        /* The same length, but zeros or noise where the disk did not get to. */
        char *noise = mem_alloc(size);
        memcpy(noise, data, size);
        if (cut % 2 == 0)
            memset(noise + cut, 0, size - cut);
        else
            gen_bytes(&gen, noise + cut, size - cut);
        if (memcmp(noise, data, size) != 0) {
            file_write(f.path, noise, size);
            catalog = open_catalog(&f);
            assert_true(model_equals(&m, catalog));
            catalog_close(catalog);
        }
        mem_free(noise);
    }
    mem_free(data);
    fixture_fini(&f);
}

static void test_damage(void **state)
{
    static struct model m;
    struct catalog_entry attach[3];
    struct ulid detach[3];
    struct fixture f;
    struct gen gen;
    size_t size_last;
    size_t size;

    (void)state;
    gen_init(&gen, 4);
    fixture_init(&f);
    m.count = 0;
    struct catalog *catalog = open_catalog(&f);
    for (int i = 0; i < 20; i++) {
        const struct catalog_change change = random_change(&gen, &m, attach, detach);

        check_err(ERR_OK, catalog_apply(catalog, &change, NULL));
    }
    mem_free(file_read(f.path, &size_last));
    attach[0] = make_entry(&gen);
    const struct catalog_change last = {.attach = attach, .attach_count = 1};
    check_err(ERR_OK, catalog_apply(catalog, &last, NULL));
    catalog_close(catalog);
    char *data = file_read(f.path, &size);
    /* Before the last record every flipped bit is noticed, and named. */
    for (size_t at = 0; at < size_last; at++) {
        const char before = data[at];
        struct err_info info = {0};
        struct catalog *opened;

        data[at] = (char)(before ^ (1 << gen_below(&gen, 8)));
        file_write(f.path, data, size);
        check_err_info(ERR_CORRUPT, catalog_open(&f.env, NULL, f.dir.path, &opened, &info), &info);
        check_message("catalog", &info);
        data[at] = before;
    }
    mem_free(data);
    fixture_fini(&f);
}

static void test_version(void **state)
{
    struct fixture f;
    struct err_info info = {0};
    struct catalog *catalog;
    size_t size;

    (void)state;
    fixture_init(&f);
    catalog_close(open_catalog(&f));
    char *data = file_read(f.path, &size);
    endian_put_u32le(data + 8, CATALOG_VERSION + 1);
    endian_put_u32le(data + 12, crc32c(0, data, 12));
    file_write(f.path, data, size);
    check_err(ERR_VERSION, catalog_open(&f.env, NULL, f.dir.path, &catalog, &info));
    check_message("version 2", &info);
    mem_free(data);
    fixture_fini(&f);
}

static struct catalog_entry entry_of(char name, int64_t t_min_ms, int64_t t_max_ms,
                                     const char *tenant)
{
    struct catalog_entry entry = {.window_t_min_ms = t_min_ms,
                                  .window_t_end_ms = t_max_ms + 1,
                                  .t_min_ms = t_min_ms,
                                  .t_max_ms = t_max_ms,
                                  .watermark = 7};

    memset(entry.ulid.bytes, name, sizeof(entry.ulid.bytes));
    (void)snprintf(entry.tenant, sizeof(entry.tenant), "%s", tenant);
    return entry;
}

static struct catalog *reopen(struct fixture *f, struct catalog *catalog)
{
    catalog_close(catalog);
    return open_catalog(f);
}

/* A deletion is for blocks that were live when it was made, of its tenant and range, and ends with
 * the last of them; what was live is known as gone. */
static void test_deletions(void **state)
{
    const struct matcher_spec specs[] = {{MATCHER_EQUAL, SLICE("job"), SLICE("a")},
                                         {MATCHER_NOT_REGEX, SLICE("__name__"), SLICE("up|x.*")}};
    const struct catalog_entry blocks[] = {entry_of('a', 0, 99, ""), entry_of('b', 100, 199, "t"),
                                           entry_of('c', 100, 199, "u")};
    const struct catalog_change attach = {.attach = blocks, .attach_count = 3};
    const struct catalog_deletion deletions[] = {{.tenant = SLICE("t"),
                                                  .t_min_ms = 50,
                                                  .t_max_ms = 150,
                                                  .matchers = specs,
                                                  .matcher_count = 2},
                                                 {.tenant = SLICE("nobody"),
                                                  .t_min_ms = 100,
                                                  .t_max_ms = 900,
                                                  .matchers = specs,
                                                  .matcher_count = 1}};
    const struct catalog_change delete = {.deletions = deletions, .deletion_count = 2};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    struct catalog *catalog = open_catalog(&f);
    check_err(ERR_OK, catalog_apply(catalog, &attach, NULL));
    check_err(ERR_OK, catalog_apply(catalog, &delete, NULL));
    for (int i = 0; i < 2; i++, catalog = reopen(&f, catalog)) {
        assert_int_equal(1, catalog_deletion_count(catalog)); /* nobody has no block */
        const struct catalog_deletion *got = catalog_deletion_get(catalog, 0);
        assert_int_equal(2, got->version);
        assert_true(slice_eq(SLICE("t"), got->tenant));
        assert_int_equal(2, got->matcher_count);
        assert_int_equal(MATCHER_NOT_REGEX, got->matchers[1].type);
        assert_true(slice_eq(SLICE("up|x.*"), got->matchers[1].value));
        assert_true(catalog_deletion_applies(got, &blocks[0]));
        assert_true(catalog_deletion_applies(got, &blocks[1]));
        assert_false(catalog_deletion_applies(got, &blocks[2]));
    }
    /* What comes later is not touched by it, what was merged with it done neither. */
    struct catalog_entry later = entry_of('d', 100, 199, "t");
    later.cleaned_version = 2;
    assert_false(catalog_deletion_applies(catalog_deletion_get(catalog, 0), &later));
    const struct ulid both[] = {blocks[0].ulid, blocks[1].ulid};
    const struct catalog_change merge = {
        .attach = &later, .attach_count = 1, .detach = both, .detach_count = 2};
    check_err(ERR_OK, catalog_apply(catalog, &merge, NULL));
    for (int i = 0; i < 2; i++, catalog = reopen(&f, catalog)) {
        assert_int_equal(0, catalog_deletion_count(catalog));
        assert_int_equal(2, catalog_count(catalog));
        assert_int_equal(2, catalog_gone_count(catalog));
        assert_true(catalog_is_gone(catalog, both[1]));
        assert_int_equal(7, catalog_gone_get(catalog, 0)->watermark);
        assert_int_equal(200, catalog_gone_get(catalog, 1)->window_t_end_ms);
    }
    /* A bad block is not remembered. */
    const struct catalog_change loss = {
        .detach = &blocks[2].ulid, .detach_count = 1, .is_loss = true};
    check_err(ERR_OK, catalog_apply(catalog, &loss, NULL));
    catalog = reopen(&f, catalog);
    assert_false(catalog_is_gone(catalog, blocks[2].ulid));
    assert_int_equal(2, catalog_gone_count(catalog));
    catalog_close(catalog);
    fixture_fini(&f);
}

static void test_deletion_limits(void **state)
{
    static char text[CATALOG_DELETION_SIZE_MAX + 1];
    struct matcher_spec specs[CATALOG_DELETION_MATCHERS_MAX + 1] = {{0}};
    struct catalog_deletion deletion = {.tenant = SLICE("t"), .t_max_ms = 1, .matchers = specs};
    const struct catalog_change change = {.deletions = &deletion, .deletion_count = 1};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    struct catalog *catalog = open_catalog(&f);
    deletion.matcher_count = COUNT_OF(specs);
    check_err(ERR_TOO_LARGE, catalog_apply(catalog, &change, NULL));
    deletion.matcher_count = 1;
    specs[0].value = slice_of(text, sizeof(text));
    check_err(ERR_TOO_LARGE, catalog_apply(catalog, &change, NULL));
    assert_int_equal(0, catalog_version(catalog));
    catalog_close(catalog);
    fixture_fini(&f);
}

/* Each call fails in turn: the change is made or it is not, and a sure catalog is what the file
 * says. */
static void test_faults(void **state)
{
    struct gen gen;
    uint64_t fired = 0;

    (void)state;
    GEN_EACH_SEED(&gen, 100)
    {
        static struct model m;
        struct catalog_entry attach[3];
        struct ulid detach[3];
        struct fixture f;

        fixture_init(&f);
        m.count = 0;
        struct catalog *catalog = open_catalog(&f);
        for (int i = 0; i < 30; i++) {
            const struct catalog_change change = random_change(&gen, &m, attach, detach);

            fault_arm_random("catalog.", 200, gen_u64(&gen));
            const enum err err = catalog_apply(catalog, &change, NULL);
            fired += fault_fired_count();
            fault_disarm();
            if (err == ERR_OK)
                model_apply(&m, &change);
            assert_true(model_equals(&m, catalog));
            if (catalog_is_unsure(catalog) && gen_chance(&gen, 2))
                check_err(ERR_OK, catalog_mend(catalog, NULL));
            if (!catalog_is_unsure(catalog) && gen_chance(&gen, 3)) {
                catalog_close(catalog);
                catalog = open_catalog(&f);
                assert_true(model_equals(&m, catalog));
            }
        }
        catalog_close(catalog);
        fixture_fini(&f);
    }
    assert_true(fired > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),   cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_torn_tail), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_version),   cmocka_unit_test(test_faults),
        cmocka_unit_test(test_deletions), cmocka_unit_test(test_deletion_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
