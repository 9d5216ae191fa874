/* SPDX-License-Identifier: Apache-2.0 */

/* A real Prometheus's data directory (tests/golden/promtsdb), imported: every bit of what its load
 * wrote (tests/e2e/tsdb_load.py) is there, deleted samples are not. */
#include "main/import.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "main/tool_store.h"
#include "main/tool_walk.h"
#include "support/check.h"
#include "support/temp_dir.h"

#define GOLDEN NARTHEX_TEST_DATA "/../golden/promtsdb/v3.5"

enum { T0_STEP_MS = 240000, ODD_COUNT = 8, PATH_SIZE = TEMP_DIR_PATH_SIZE + 64 };

#define T0_MS INT64_C(1700006400000)

static const uint64_t odd_bits[ODD_COUNT] = {SAMPLE_STALE_BITS,
                                             UINT64_C(0x7FF8000000000001),
                                             UINT64_C(0x7FF8000000000ABC),
                                             UINT64_C(0xFFF0000000000000),
                                             UINT64_C(0x8000000000000000),
                                             1,
                                             UINT64_C(0x7FEFFFFFFFFFFFFF),
                                             0};

/* Runs the command with its standard streams put away; the exit status. */
static int quiet_import(const char *kind, const char *from, const char *to, const char *flag)
{
    char storage[PATH_SIZE + 32];
    char words[5][PATH_SIZE + 32];
    char *argv[6] = {words[0], words[1], words[2], words[3], words[4], NULL};
    const int null_fd = open("/dev/null", O_WRONLY);
    const int out = dup(STDOUT_FILENO), error = dup(STDERR_FILENO);

    (void)snprintf(storage, sizeof(storage), "--storage.path=%s", to);
    (void)snprintf(words[0], sizeof(words[0]), "import");
    (void)snprintf(words[1], sizeof(words[1]), "%s", kind);
    (void)snprintf(words[2], sizeof(words[2]), "%s", from);
    memcpy(words[3], storage, sizeof(storage));
    (void)snprintf(words[4], sizeof(words[4]), "%s", flag == NULL ? "" : flag);
    if (flag == NULL)
        argv[4] = NULL;
    fflush(stdout);
    dup2(null_fd, STDOUT_FILENO);
    dup2(null_fd, STDERR_FILENO);
    const int status = import_main(flag == NULL ? 4 : 5, argv);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(error, STDERR_FILENO);
    close(out);
    close(error);
    close(null_fd);
    return status;
}

struct found {
    uint64_t series, samples, histograms, stale;
    unsigned odd, deleted_left;
};

static int64_t number_of(struct label_set labels, const char *name)
{
    const struct slice value = label_set_get(labels, slice_from_cstr(name));

    return value.len == 1 ? value.data[0] - '0' : -1;
}

static enum err look(void *owner, struct label_set labels, struct sample_cursor *cursor,
                     struct err_info *info)
{
    struct found *found = owner;
    const struct slice metric = label_set_get(labels, SLICE(LABEL_METRIC_NAME));
    struct sample_columns columns;

    (void)info;
    found->series++;
    while (sample_cursor_next(cursor, &columns)) {
        found->samples += columns.count;
        if (columns.kind == SAMPLE_HISTOGRAM) {
            found->histograms += columns.count;
            continue;
        }
        for (uint32_t i = 0; i < columns.count; i++) {
            const int64_t n = number_of(labels, "n");
            const int64_t step = (columns.t_ms[i] - T0_MS) / T0_STEP_MS;

            if (slice_eq_cstr(metric, "load_odd")) {
                assert_int_equal(odd_bits[(step + n) % ODD_COUNT], sample_value_bits(columns.v[i]));
                found->odd++;
            }
            if (slice_eq_cstr(metric, "load_counter") && step >= 6 && step < 10)
                found->deleted_left++;
        }
    }
    return ERR_OK;
}

static enum err count_exemplar(void *owner, struct label_set series,
                               const struct exemplar *exemplar)
{
    unsigned *count = owner;

    check_slice("load_counter", label_set_get(series, SLICE(LABEL_METRIC_NAME)));
    assert_int_equal('t', label_set_get(exemplar->labels, SLICE("trace_id")).data[0]);
    ++*count;
    return ERR_OK;
}

static struct found look_at(const char *path, unsigned *exemplar_count)
{
    const struct tool_store_options options = {.path = path};
    struct found found = {0};
    struct err_info info = {{0}};
    struct tool_store store;
    struct arena arena;

    check_err_info(ERR_OK, tool_store_open(&store, &options, &info), &info);
    const struct tool_walk walk = {.source = db_source(store.db),
                                   .tenant = SLICE("anonymous"),
                                   .t_min_ms = INT64_MIN,
                                   .t_max_ms = INT64_MAX,
                                   .fn = look,
                                   .owner = &found};
    check_err_info(ERR_OK, tool_walk(&walk, &info), &info);
    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
    *exemplar_count = 0;
    check_err(ERR_OK,
              walk.source->ops->exemplars(walk.source, &ctx, (struct matcher_list){NULL, 0},
                                          INT64_MIN, INT64_MAX, count_exemplar, exemplar_count));
    arena_fini(&arena);
    check_err_info(ERR_OK, tool_store_close(&store, &info), &info);
    return found;
}

static void check_golden(const char *path)
{
    unsigned exemplar_count;
    const struct found found = look_at(path, &exemplar_count);

    /* What promtool printed (dump.txt) and the eight histograms that it leaves out. */
    assert_int_equal(1232 + 8, found.samples);
    assert_int_equal(13, found.series);
    assert_true(found.histograms > 400);
    assert_true(found.odd > 150);
    assert_int_equal(0, found.deleted_left);
    assert_true(exemplar_count > 5);
}

static void test_golden(void **state)
{
    struct temp_dir dir;
    char path[PATH_SIZE];

    (void)state;
    temp_dir_init(&dir);
    (void)snprintf(path, sizeof(path), "%s/data", dir.path);
    assert_int_equal(0, quiet_import("prometheus", GOLDEN, path, "--dry-run"));
    assert_int_not_equal(0, access(path, F_OK));
    assert_int_equal(0, quiet_import("prometheus", GOLDEN, path, NULL));
    check_golden(path);
    assert_int_equal(0, quiet_import("prometheus", GOLDEN, path, NULL)); /* again */
    check_golden(path);
    assert_int_equal(1, quiet_import("prometheus", "/no/such/directory", path, NULL));
    temp_dir_fini(&dir);
}

static enum err add_metadata(void *owner, const struct metadata *metadata)
{
    struct buf *text = owner;

    buf_printf(text, "%.*s %d %.*s|%.*s\n", SLICE_ARG(metadata->metric), (int)metadata->type,
               SLICE_ARG(metadata->help), SLICE_ARG(metadata->unit));
    return ERR_OK;
}

/* Samples in any order over two days, with what is said of their metrics. */
static void test_openmetrics(void **state)
{
    static const char body[] = "# TYPE a_seconds gauge\n"
                               "# UNIT a_seconds seconds\n"
                               "# HELP a_seconds What \\\"a\\\" is.\n"
                               "a_seconds 2 1700090000\n"
                               "a_seconds 1 1700000000\n"
                               "a_seconds 1 1700000000\n"
                               "# EOF\n";
    struct temp_dir dir;
    struct tool_store store;
    struct source_ctx ctx = {.tenant = SLICE("anonymous")};
    struct arena arena;
    struct buf text;
    char path[PATH_SIZE], from[PATH_SIZE];
    struct err_info info = {{0}};
    struct db_stats stats;

    (void)state;
    temp_dir_init(&dir);
    (void)snprintf(path, sizeof(path), "%s/data", dir.path);
    (void)snprintf(from, sizeof(from), "%s/text", dir.path);
    FILE *file = fopen(from, "w");
    assert_non_null(file);
    assert_true(fputs(body, file) >= 0);
    fclose(file);
    assert_int_equal(0, quiet_import("openmetrics", from, path, NULL));
    check_err_info(
        ERR_OK, tool_store_open(&store, &(struct tool_store_options){.path = path}, &info), &info);
    db_get_stats(store.db, &stats);
    assert_int_equal(2, stats.blocks);
    assert_int_equal(2, stats.block_samples);
    arena_init(&arena, NULL, 0);
    buf_init(&text, 4096);
    ctx.arena = &arena;
    struct source *source = db_source(store.db);
    check_err(ERR_OK, source->ops->metadata(source, &ctx, SLICE(""), add_metadata, &text));
    /* Each block says it. */
    check_slice("a_seconds 2 What \"a\" is.|seconds\na_seconds 2 What \"a\" is.|seconds\n",
                buf_slice(&text));
    buf_fini(&text);
    arena_fini(&arena);
    check_err(ERR_OK, tool_store_close(&store, &info));
    temp_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_openmetrics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
