/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tests of the head share: a head in a fresh directory on a real env, made-up series, a
 * commit that waits, and a query that reads everything. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env_real.h"
#include "base/mem.h"
#include "net/env_net.h"
#include "storage/head.h"
#include "support/check.h"
#include "support/gen.h"
#include "support/temp_dir.h"

#define HEAD_UNUSED __attribute__((unused))

enum { HEAD_RANGE_MS = 3600 * 1000, HEAD_TEXT_SIZE = 64 };

struct head_fixture {
    struct env env;
    struct temp_dir dir;
    struct hash_key key;
    struct head_options options;
    struct head *head;
};

HEAD_UNUSED static void fixture_env_open(struct head_fixture *f)
{
    const struct env_net_options net = {
        .pools = {
            {.thread_count = 1}, {.thread_count = 1}, {.thread_count = 2}, {.thread_count = 1}}};
    struct err_info info = {{0}};

    f->env = (struct env){0};
    env_real_init(&f->env);
    check_err_info(ERR_OK, env_net_open(&f->env, &net, &info), &info);
}

HEAD_UNUSED static void fixture_env_close(struct head_fixture *f)
{
    env_net_stop(&f->env);
    env_net_close(&f->env);
}

HEAD_UNUSED static void fixture_head_open(struct head_fixture *f)
{
    struct err_info info = {{0}};

    check_err_info(ERR_OK, head_open(&f->options, &f->head, &info), &info);
}

HEAD_UNUSED static void fixture_open(struct head_fixture *f)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {7};

    memset(f, 0, sizeof(*f));
    temp_dir_init(&f->dir);
    hash_key_init(&f->key, seed);
    fixture_env_open(f);
    f->options = (struct head_options){.env = &f->env,
                                       .dir = f->dir.path,
                                       .hash_key = &f->key,
                                       .block_range_ms = HEAD_RANGE_MS,
                                       .wal_segment_size = 64 << 10};
    fixture_head_open(f);
}

/* Stops in order and starts again. */
HEAD_UNUSED static void fixture_restart(struct head_fixture *f)
{
    check_err(ERR_OK, head_stop(f->head, 0));
    head_close(f->head);
    fixture_head_open(f);
}

/* Starts again as after a crash: nobody drains, the jobs just end. */
HEAD_UNUSED static void fixture_crash(struct head_fixture *f)
{
    fixture_env_close(f);
    head_close(f->head);
    fixture_env_open(f);
    fixture_head_open(f);
}

HEAD_UNUSED static void fixture_close(struct head_fixture *f)
{
    check_err(ERR_OK, head_stop(f->head, 0));
    head_close(f->head);
    fixture_env_close(f);
    temp_dir_fini(&f->dir);
}

/* ---- series ---- */

/* Series i: metric_<i % 5>{instance="i-<i / 5 % 10>", job="a"|"b"|none, series="<i>"}. */
struct test_series {
    struct label labels[4];
    char metric[HEAD_TEXT_SIZE], instance[HEAD_TEXT_SIZE], series[HEAD_TEXT_SIZE];
    struct label_set set;
};

HEAD_UNUSED static struct label_set series_make(struct test_series *s, unsigned i)
{
    uint32_t count = 0;

    (void)snprintf(s->metric, sizeof(s->metric), "metric_%u", i % 5);
    (void)snprintf(s->instance, sizeof(s->instance), "i-%u", i / 5 % 10);
    (void)snprintf(s->series, sizeof(s->series), "%u", i);
    s->labels[count++] = (struct label){SLICE("__name__"), slice_from_cstr(s->metric)};
    s->labels[count++] = (struct label){SLICE("instance"), slice_from_cstr(s->instance)};
    if (i % 3 != 2)
        s->labels[count++] = (struct label){SLICE("job"), i % 3 == 0 ? SLICE("a") : SLICE("b")};
    s->labels[count++] = (struct label){SLICE("series"), slice_from_cstr(s->series)};
    s->set = (struct label_set){s->labels, count};
    return s->set;
}

/* ---- writing ---- */

HEAD_UNUSED static struct append_txn *txn_start(struct head_fixture *f, const char *tenant)
{
    const struct append_options options = {.tenant = slice_from_cstr(tenant),
                                           .origin = APPEND_WRITE};
    struct err_info info = {{0}};
    struct append_txn *txn = NULL;

    check_err_info(ERR_OK, appender_begin(head_appender(f->head), &options, &txn, &info), &info);
    return txn;
}

HEAD_UNUSED static enum append_verdict txn_put(struct head_fixture *f, struct append_txn *txn,
                                               const char *tenant, unsigned i, struct sample sample)
{
    struct test_series s;
    struct series_key key = {.labels = series_make(&s, i)};
    const struct append_item item = {.kind = APPEND_FLOAT, .t_ms = sample.t_ms, .v = sample.v};

    key.hash = series_hash(&f->key, slice_from_cstr(tenant), key.labels);
    return append_add(txn, &key, &item);
}

struct commit_wait {
    struct env *env;
    struct env_op op;
    struct append_result result;
};

HEAD_UNUSED static void on_commit(void *owner, const struct append_result *result)
{
    struct commit_wait *wait = owner;

    wait->result = *result;
    env_complete(wait->env, &wait->op, ERR_OK);
}

HEAD_UNUSED static struct append_result txn_finish(struct head_fixture *f, struct append_txn *txn)
{
    struct commit_wait wait = {.env = &f->env};

    append_commit(txn, on_commit, &wait);
    check_err(ERR_OK, env_wait(&f->env, &wait.op, 0));
    return wait.result;
}

/* One transaction of one sample. */
HEAD_UNUSED static struct append_result put_one(struct head_fixture *f, const char *tenant,
                                                unsigned i, struct sample sample)
{
    struct append_txn *txn = txn_start(f, tenant);

    (void)txn_put(f, txn, tenant, i, sample);
    return txn_finish(f, txn);
}

/* ---- reading ---- */

struct read_range {
    int64_t t_min_ms, t_max_ms;
};

/* Gets the samples of a cursor, at most max. */
HEAD_UNUSED static size_t read_cursor(struct sample_cursor *cursor, struct sample *out, size_t max)
{
    struct sample_columns columns;
    size_t count = 0;

    while (sample_cursor_next(cursor, &columns))
        for (uint32_t i = 0; i < columns.count; i++) {
            assert_true(count < max);
            out[count++] = (struct sample){columns.t_ms[i], columns.v[i]};
        }
    check_err(ERR_OK, cursor->err);
    return count;
}

HEAD_UNUSED static struct series_stream *read_select(struct source *source, struct source_ctx *ctx,
                                                     struct matcher_list matchers,
                                                     const struct read_range *range)
{
    struct series_stream *stream = NULL;
    struct err_info info = {{0}};

    check_err_info(ERR_OK,
                   source->ops->select(source, ctx, matchers, range->t_min_ms, range->t_max_ms,
                                       NULL, &stream, &info),
                   &info);
    return stream;
}

/* The samples of series i in the range; 0 if it is not there. */
HEAD_UNUSED static size_t read_series(struct head_fixture *f, const char *tenant, unsigned i,
                                      struct sample *out, size_t max)
{
    const struct read_range range = {INT64_MIN, INT64_MAX};
    struct arena arena;
    struct source_ctx ctx = {.tenant = slice_from_cstr(tenant), .arena = &arena};
    struct series_stream *stream;
    struct source_series series;
    struct test_series s;
    struct matcher_spec spec;
    struct matcher matcher;
    size_t count = 0;

    arena_init(&arena, NULL, 0);
    (void)series_make(&s, i);
    spec = (struct matcher_spec){MATCHER_EQUAL, SLICE("series"), slice_from_cstr(s.series)};
    check_err(ERR_OK, matcher_init(&matcher, &arena, &spec, NULL));
    stream = read_select(head_source(f->head), &ctx, (struct matcher_list){&matcher, 1}, &range);
    while (series_stream_next(stream, &series)) {
        assert_int_equal(0, count);
        assert_true(label_set_eq(s.set, series.labels));
        count = read_cursor(series.cursor, out, max);
    }
    check_err(ERR_OK, stream->err);
    arena_fini(&arena);
    return count;
}
