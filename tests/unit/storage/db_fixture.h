/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A data directory with a few series, written step by step, that lives, stops and crashes. For the
 * tests of the facade. */

#include "support/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env_real.h"
#include "base/fault.h"
#include "base/mem.h"
#include "net/env_net.h"
#include "storage/block_writer.h"
#include "storage/db.h"
#include "storage/ulid.h"
#include "support/gen.h"
#include "support/temp_dir.h"

enum {
    SERIES_COUNT = 40,
    STEP_MS = 1000,
    RANGE_MS = 20000, /* of a block */
    START_MS = 1000000,
};

struct fixture {
    struct temp_dir dir;
    struct env env;
    struct db *db;
    uint32_t step_count; /* rounds written: a sample a series */
};

static inline void open_db(struct fixture *f)
{
    char path[TEMP_DIR_PATH_SIZE + 16];
    struct err_info info = {0};

    (void)snprintf(path, sizeof(path), "%s/a/data", f->dir.path);
    const struct db_options options = {.env = &f->env,
                                       .path = path,
                                       .block_range_ms = RANGE_MS,
                                       .wal_segment_size = 1 << 20,
                                       .checkpoint_bytes = 1 << 20};
    check_err_info(ERR_OK, db_open(&options, &f->db, &info), &info);
}

static inline void open_env(struct fixture *f)
{
    const struct env_net_options options = {.reactors = NULL};

    check_err(ERR_OK, env_net_open(&f->env, &options, NULL));
    f->env.timer = NULL; /* the tests say when */
}

static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    temp_dir_init(&f->dir);
    env_real_init(&f->env);
    open_env(f);
    open_db(f);
}

/* The process ends without a stop: its jobs end somewhere, and nothing is put in order. */
static inline void crash_db(struct fixture *f)
{
    env_net_stop(&f->env);
    db_close(f->db);
    env_net_close(&f->env);
    open_env(f);
}

static inline void stop_db(struct fixture *f)
{
    check_err(ERR_OK, db_stop(f->db, 0));
    db_close(f->db);
    f->db = NULL;
}

static inline void fixture_fini(struct fixture *f)
{
    if (f->db != NULL)
        stop_db(f);
    env_net_stop(&f->env);
    env_net_close(&f->env);
    temp_dir_fini(&f->dir);
}

/* ---- writing: also on threads, where cmocka may not fail, so these abort ---- */

struct commit {
    struct env *env;
    struct env_op op;
    struct append_result result;
};

static inline void on_done(void *owner, const struct append_result *result)
{
    struct commit *commit = owner;

    commit->result = *result;
    env_complete(commit->env, &commit->op, ERR_OK);
}

static inline double value_of(uint32_t series, uint32_t step)
{
    return (double)series * 1000 + step + (series % 3 == 0 ? 0.25 : 0);
}

/* One transaction: a sample for each series. */
static inline enum err write_step(struct fixture *f, uint32_t step)
{
    const struct append_options options = {.tenant = SLICE("anonymous"), .origin = APPEND_SCRAPE};
    struct commit commit = {.env = &f->env};
    struct append_txn *txn;
    enum err err = appender_begin(db_appender(f->db), &options, &txn, NULL);

    if (err != ERR_OK)
        return err;
    for (uint32_t i = 0; i < SERIES_COUNT; i++) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%u", i);
        const struct label labels[] = {{SLICE("__name__"), SLICE("m")},
                                       {SLICE("i"), slice_from_cstr(number)}};
        struct series_key key = {.labels = {labels, 2}};
        const struct append_item item = {.kind = APPEND_FLOAT,
                                         .t_ms = START_MS + (int64_t)step * STEP_MS,
                                         .v = value_of(i, step)};

        key.hash = series_hash(db_hash_key(f->db), options.tenant, key.labels);
        const enum append_verdict verdict = txn->appender->ops->add(txn, &key, &item);
        ASSERT(verdict == APPEND_OK);
    }
    txn->appender->ops->commit(txn, on_done, &commit);
    err = env_wait(&f->env, &commit.op, 0);
    ASSERT(err == ERR_OK);
    return commit.result.err;
}

static inline void write_steps(struct fixture *f, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        check_err(ERR_OK, write_step(f, f->step_count++));
}

static inline enum err flush_all(struct fixture *f, struct err_info *info)
{
    const struct db_flush_options options = {.all = true};

    return db_flush(f->db, &options, info);
}

/* ---- reading ---- */

static inline uint32_t series_of(struct label_set labels)
{
    char text[16] = {0};
    const struct slice value = label_set_get(labels, SLICE("i"));

    ASSERT(value.len < sizeof(text));
    memcpy(text, value.data, value.len);
    return (uint32_t)strtoul(text, NULL, 10);
}

/* Every series has the samples of steps [0, count), each once, in order. */
static inline enum err check_all(struct fixture *f, uint32_t count)
{
    static _Thread_local struct sample_columns columns;
    struct source *source = db_source(f->db);
    struct source_series series;
    struct series_stream *stream;
    struct arena arena;
    uint32_t series_count = 0;

    arena_init(&arena, NULL, 0);
    struct source_ctx ctx = {.tenant = SLICE("anonymous"), .arena = &arena};
    enum err err = source->ops->select(source, &ctx, (struct matcher_list){0}, INT64_MIN, INT64_MAX,
                                       NULL, &stream, NULL);
    while (err == ERR_OK && series_stream_next(stream, &series)) {
        const uint32_t number = series_of(series.labels);
        uint32_t step = 0;

        while (sample_cursor_next(series.cursor, &columns))
            for (uint32_t i = 0; i < columns.count; i++, step++) {
                ASSERT(columns.t_ms[i] == START_MS + (int64_t)step * STEP_MS);
                ASSERT(columns.v[i] == value_of(number, step));
            }
        err = series.cursor->err;
        if (err == ERR_OK)
            ASSERT(step >= count);
        series_count++;
    }
    if (err == ERR_OK)
        err = stream->err;
    if (err == ERR_OK)
        ASSERT(series_count == SERIES_COUNT || (series_count == 0 && count == 0));
    arena_fini(&arena);
    return err;
}

static inline struct db_stats stats_of(struct fixture *f)
{
    struct db_stats stats;

    db_get_stats(f->db, &stats);
    return stats;
}

/* ---- files ---- */

static inline void blocks_path(const struct fixture *f, const char *name, char *path, size_t size)
{
    const int len = snprintf(path, size, "%s/a/data/blocks/%s", f->dir.path, name);

    assert_true(len > 0 && (size_t)len < size);
}

struct names {
    char items[64][64];
    uint32_t count;
};

static inline enum err add_name(void *owner, const char *name)
{
    struct names *names = owner;

    assert_true(names->count < COUNT_OF(names->items));
    (void)snprintf(names->items[names->count++], sizeof(names->items[0]), "%s", name);
    return ERR_OK;
}

static inline struct names list_blocks(struct fixture *f)
{
    struct names names = {.count = 0};
    char path[TEMP_DIR_PATH_SIZE + 64];

    blocks_path(f, "", path, sizeof(path));
    check_err(ERR_OK, f->env.fs->list(&f->env, path, add_name, &names));
    return names;
}

static inline void flip_byte(const char *path, long from_end)
{
    FILE *file = fopen(path, "r+b");
    int c;

    assert_non_null(file);
    assert_int_equal(0, fseek(file, -from_end, SEEK_END));
    c = fgetc(file);
    assert_int_equal(0, fseek(file, -from_end, SEEK_END));
    (void)fputc(c ^ 0x10, file);
    assert_int_equal(0, fclose(file));
}

static inline enum err compact(struct fixture *f, struct err_info *info)
{
    return db_compact(f->db, &(struct db_compact_options){0}, info);
}
