/* SPDX-License-Identifier: Apache-2.0 */
#include "head_fixture.h"

#include <pthread.h>

/* Writers, readers, flushes, checkpoints and upkeep at once. Each transaction gives all series of
 * its writer the same value at the same time, so a reader that sees part of one sees it at once. */

enum { WRITERS = 3, READERS = 2, SERIES_EACH = 40, TXNS = 400, SAMPLES_MAX = 4096 };

static const int64_t t0 = 1700000000000 - 1700000000000 % HEAD_RANGE_MS;

struct world {
    struct head_fixture f;
    _Atomic unsigned running;       /* writers */
    pthread_barrier_t barrier;      /* keeps writers within half a block range */
    _Atomic int64_t acked[WRITERS]; /* last transaction that was answered */
    uint64_t flushed_samples;       /* the keeper's own */
};

struct worker {
    struct world *world;
    unsigned id;
    pthread_t thread;
};

static void *writer_main(void *arg)
{
    struct worker *worker = arg;
    struct world *world = worker->world;
    const char *tenant = worker->id == 0 ? "a" : "b";

    for (int n = 0; n < TXNS; n++) {
        struct append_txn *txn = txn_start(&world->f, tenant);
        const struct sample sample = {t0 + n * 30000, n};
        struct append_result result;

        if (n % 16 == 0)
            pthread_barrier_wait(&world->barrier);
        for (unsigned i = 0; i < SERIES_EACH; i++) {
            const unsigned series = worker->id * SERIES_EACH + i;
            enum append_verdict verdict;

            do { /* a dying series is resolved again */
                verdict = txn_put(&world->f, txn, tenant, series, sample);
            } while (verdict == APPEND_UNKNOWN_REF);
            assert_int_equal(APPEND_OK, verdict);
        }
        result = txn_finish(&world->f, txn);
        check_err(ERR_OK, result.err);
        assert_int_equal(SERIES_EACH, result.counts[APPEND_OK]);
        atomic_store(&world->acked[worker->id], n);
    }
    atomic_fetch_sub(&world->running, 1);
    return NULL;
}

/* All series of a writer end with the same sample, and not before what was answered. */
static void read_once(struct world *world, unsigned writer)
{
    const struct read_range range = {INT64_MIN, INT64_MAX};
    const int64_t acked = atomic_load(&world->acked[writer]);
    struct arena arena;
    struct source_ctx ctx = {.tenant = writer == 0 ? SLICE("a") : SLICE("b"), .arena = &arena};
    struct series_stream *stream;
    struct source_series series;
    struct matcher_spec spec = {MATCHER_REGEX, SLICE("series"), SLICE("[0-9]+")};
    struct matcher matcher;
    struct sample last = {0};
    unsigned count = 0;

    arena_init(&arena, NULL, 0);
    check_err(ERR_OK, matcher_init(&matcher, &arena, &spec, NULL));
    stream =
        read_select(head_source(world->f.head), &ctx, (struct matcher_list){&matcher, 1}, &range);
    while (series_stream_next(stream, &series)) {
        static _Thread_local struct sample got[SAMPLES_MAX];
        const struct slice text = label_set_get(series.labels, SLICE("series"));
        const unsigned i = (unsigned)strtoul(arena_copy_cstr(&arena, text), NULL, 10);
        size_t n;

        if (i / SERIES_EACH != writer)
            continue;
        n = read_cursor(series.cursor, got, SAMPLES_MAX);
        assert_true(n > 0);
        if (count++ == 0)
            last = got[n - 1];
        assert_true(got[n - 1].t_ms == last.t_ms && got[n - 1].v == last.v);
        for (size_t k = 1; k < n; k++)
            assert_true(got[k].v == got[k - 1].v + 1);
    }
    check_err(ERR_OK, stream->err);
    assert_true(count == 0 || count == SERIES_EACH);
    assert_true(count == 0 || last.v >= (double)acked);
    arena_fini(&arena);
}

static void *reader_main(void *arg)
{
    struct worker *worker = arg;

    while (atomic_load(&worker->world->running) > 0)
        for (unsigned writer = 0; writer < WRITERS; writer++)
            read_once(worker->world, writer);
    return NULL;
}

static void flush_once(struct world *world, bool all)
{
    static struct sample got[SAMPLES_MAX];
    const struct head_due_options due = {.all = all};
    struct head_flush_series series;
    struct head_flush *flush;
    int64_t t_min_ms, t_end_ms;

    if (!head_flush_due(world->f.head, &due, &t_min_ms, &t_end_ms))
        return;
    check_err(ERR_OK, head_flush_open(world->f.head, t_min_ms, t_end_ms, &flush));
    while (head_flush_next(flush, &series))
        world->flushed_samples += read_cursor(series.cursor, got, SAMPLES_MAX);
    check_err(ERR_OK, head_flush_drop(flush, 0));
    head_flush_close(flush);
}

static void *keeper_main(void *arg)
{
    struct worker *worker = arg;
    struct world *world = worker->world;

    for (unsigned n = 0; atomic_load(&world->running) > 0; n++) {
        struct err_info info = {{0}};

        head_maintain(world->f.head);
        flush_once(world, false);
        if (n % 8 == 0)
            check_err_info(ERR_OK, head_checkpoint(world->f.head, &info), &info);
    }
    return NULL;
}

static void test_all_at_once(void **state)
{
    static struct world world;
    struct worker workers[WRITERS + READERS + 1];
    struct head_stats stats;

    (void)state;
    memset(&world, 0, sizeof(world));
    fixture_open(&world.f);
    for (unsigned i = 0; i < WRITERS; i++)
        atomic_store(&world.acked[i], -1);
    atomic_store(&world.running, WRITERS);
    pthread_barrier_init(&world.barrier, NULL, WRITERS);
    for (unsigned i = 0; i < WRITERS + READERS + 1; i++) {
        workers[i] = (struct worker){.world = &world, .id = i};
        pthread_create(&workers[i].thread, NULL,
                       i < WRITERS             ? writer_main
                       : i < WRITERS + READERS ? reader_main
                                               : keeper_main,
                       &workers[i]);
    }
    for (unsigned i = 0; i < WRITERS + READERS + 1; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_barrier_destroy(&world.barrier);
    head_get_stats(world.f.head, &stats);
    assert_int_equal(WRITERS * SERIES_EACH * TXNS, stats.samples + world.flushed_samples);
    for (int i = 0; i < 8; i++)
        flush_once(&world, true);
    head_get_stats(world.f.head, &stats);
    assert_int_equal(0, stats.samples);
    assert_int_equal(0, stats.chunks);
    assert_int_equal(WRITERS * SERIES_EACH * TXNS, world.flushed_samples);
    fixture_close(&world.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_at_once)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
