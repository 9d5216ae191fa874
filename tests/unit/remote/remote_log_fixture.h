/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A queue in a fresh directory on a real env, and items that say where they belong: item n is
 * sample (t = n, v = n) of series n % SERIES. */

#include <stdio.h>
#include <string.h>

#include "base/env_real.h"
#include "base/mem.h"
#include "net/env_net.h"
#include "remote/remote_log.h"
#include "support/check.h"
#include "support/temp_dir.h"

#define LOG_UNUSED __attribute__((unused))

enum { LOG_SERIES = 7, LOG_PAD = 300 };

struct log_fixture {
    struct env env;
    struct temp_dir dir;
    char path[TEMP_DIR_PATH_SIZE + 16];
    struct remote_log_options options;
    struct remote_log *log;
    struct remote_log_series series[LOG_SERIES];
    struct buf labels[LOG_SERIES];
    struct remote_log_user keeper; /* needs everything, between open and close */
};

LOG_UNUSED static void nobody_told(struct remote_log_user *user)
{
    (void)user;
}

LOG_UNUSED static void log_series_fill(struct log_fixture *f)
{
    char pad[LOG_PAD];

    for (uint32_t i = 0; i < LOG_SERIES; i++) {
        char text[16];
        const size_t len = (size_t)snprintf(text, sizeof(text), "m%u", i);
        const struct label labels[] = {{SLICE("__name__"), slice_of(text, len)},
                                       {SLICE("pad"), slice_of(pad, sizeof(pad))}};

        for (size_t k = 0; k < sizeof(pad); k++)
            pad[k] = (char)('a' + (k * 7 + i * k * k) % 26);
        buf_reset(&f->labels[i]);
        remote_labels_put(&f->labels[i], (struct label_set){labels, 2});
        f->series[i] = (struct remote_log_series){.id = i * 3, .labels = buf_slice(&f->labels[i])};
    }
}

LOG_UNUSED static void log_open(struct log_fixture *f)
{
    struct err_info info = {{0}};

    check_err_info(ERR_OK, remote_log_open(&f->options, &f->log, &info), &info);
    log_series_fill(f);
    f->keeper.on_data = nobody_told;
    remote_log_join(f->log, &f->keeper, 1);
}

LOG_UNUSED static void log_fixture_open(struct log_fixture *f, const struct env_net_options *net)
{
    const struct env_net_options small = {
        .pools = {
            {.thread_count = 1}, {.thread_count = 1}, {.thread_count = 2}, {.thread_count = 1}}};
    struct err_info info = {{0}};

    memset(f, 0, sizeof(*f));
    temp_dir_init(&f->dir);
    env_real_init(&f->env);
    check_err_info(ERR_OK, env_net_open(&f->env, net != NULL ? net : &small, &info), &info);
    (void)snprintf(f->path, sizeof(f->path), "%s/remote", f->dir.path);
    for (int i = 0; i < LOG_SERIES; i++)
        buf_init(&f->labels[i], 1 << 16);
    f->options =
        (struct remote_log_options){.env = &f->env, .path = f->path, .segment_size = 16 << 10};
}

LOG_UNUSED static void log_close(struct log_fixture *f)
{
    check_err(ERR_OK, remote_log_stop(f->log, 0));
    if (f->keeper.node.next != NULL)
        remote_log_leave(f->log, &f->keeper);
    remote_log_close(f->log);
    f->log = NULL;
}

LOG_UNUSED static void log_fixture_close(struct log_fixture *f)
{
    for (int i = 0; i < LOG_SERIES; i++)
        buf_fini(&f->labels[i]);
    env_net_stop(&f->env);
    env_net_close(&f->env);
    temp_dir_fini(&f->dir);
}

struct log_answer {
    struct remote_log_wait wait;
    struct env *env;
    struct env_op op;
};

LOG_UNUSED static void on_log_answer(struct remote_log_wait *wait, enum err err)
{
    struct log_answer *answer = CONTAINER_OF(wait, struct log_answer, wait);

    env_complete(answer->env, &answer->op, err);
}

/* Appends items first .. first+count-1 and waits for the answer. */
LOG_UNUSED static enum err log_append(struct log_fixture *f, uint64_t first, uint64_t count)
{
    struct log_answer answer = {.wait.done = on_log_answer, .env = &f->env};
    enum err err = remote_log_begin(f->log);

    if (err != ERR_OK)
        return err;
    for (uint64_t n = first; n < first + count; n++) {
        struct remote_entry entry = {
            .kind = APPEND_FLOAT, .t_ms = (int64_t)n, .v_bits = sample_value_bits((double)n)};

        check_err(ERR_OK, remote_log_put(f->log, &f->series[n % LOG_SERIES], &entry));
    }
    remote_log_end(f->log, &answer.wait);
    return env_wait(&f->env, &answer.op, 0);
}

/* What a reader found. */
struct log_seen {
    uint64_t next;    /* the item after the last */
    uint64_t count;   /* items */
    uint64_t lost;    /* said to be */
    uint64_t unknown; /* items whose series is not defined */
    uint64_t missing; /* items that ought to lie between */
    enum err err;     /* what ended it */
};

/* Reads to the end, checking every item against its number. */
LOG_UNUSED static struct log_seen log_read_all(struct remote_log_reader *reader)
{
    struct log_seen seen = {0};
    struct remote_log_record record;
    bool known[LOG_SERIES * 3] = {false};
    uint64_t segment = 0;

    while ((seen.err = remote_log_read(reader, &record, &seen.lost)) == ERR_OK) {
        struct remote_entry_reader entries;
        struct remote_entry entry;

        if (record.segment != segment)
            memset(known, 0, sizeof(known));
        segment = record.segment;
        remote_entry_reader_init(&entries, record.payload, record.first_seq);
        while (remote_entry_next(&entries, &entry)) {
            assert_true(entry.series < LOG_SERIES * 3);
            if (entry.kind == REMOTE_ENTRY_DEFINE) {
                known[entry.series] = true;
                continue;
            }
            const uint64_t n = (uint64_t)entry.t_ms;

            assert_int_equal(entry.series, n % LOG_SERIES * 3);
            assert_true(entry.v_bits == sample_value_bits((double)n));
            assert_true(seen.count == 0 || n >= seen.next);
            seen.missing += seen.count == 0 ? 0 : n - seen.next;
            seen.next = n + 1;
            seen.count++;
            seen.unknown += !known[entry.series];
        }
        check_err(ERR_OK, entries.err);
        assert_int_equal(entries.seq, record.first_seq + record.item_count);
    }
    return seen;
}

LOG_UNUSED static struct log_seen log_read_from(struct log_fixture *f, uint64_t seq)
{
    struct remote_log_reader *reader = remote_log_reader_new(f->log, seq);
    const struct log_seen seen = log_read_all(reader);

    remote_log_reader_free(reader);
    return seen;
}
