/* SPDX-License-Identifier: Apache-2.0 */

/* Appends through commit at many series, as remote-write requests of some 2,000 samples do it:
 * bench_head [series] [rounds] [senders]
 * Prints CPU time a sample (all threads), by stage, and bytes a series. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/env_real.h"
#include "base/mem.h"
#include "bench/bench_series.h"
#include "net/env_net.h"
#include "storage/head.h"

enum { REQUEST_SAMPLES = 2000, SENDERS_MAX = 16 };

struct bench {
    struct env env;
    struct hash_key key;
    struct head *head;
    uint64_t *refs;  /* by series */
    double *values;  /* by series: what was last sent */
    uint32_t *steps; /* by series: what a counter grows by; 0: a gauge */
    unsigned series, rounds, senders;
    int64_t t0_ms;
};

struct sender {
    struct bench *bench;
    unsigned from, to;
    pthread_t thread;
    uint64_t cpu_ns; /* of this thread: resolve, add, commit */
};

struct waiter {
    struct bench *bench;
    struct env_op op;
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void on_done(void *owner, const struct append_result *result)
{
    struct waiter *waiter = owner;

    if (result->err != ERR_OK || result->counts[APPEND_OK] == 0) {
        fprintf(stderr, "append failed: %s\n", err_text(result->err));
        exit(1);
    }
    env_complete(&waiter->bench->env, &waiter->op, ERR_OK);
}

static uint64_t resolve(struct bench *bench, struct append_txn *txn, unsigned i)
{
    struct bench_series series;
    const struct label_set set = bench_series_labels(&series, i);
    uint64_t ref = 0;

    if (append_resolve(txn, series_hash(&bench->key, SLICE("tenant"), set), set, &ref) != APPEND_OK)
        abort();
    return ref;
}

static double next_value(struct bench *bench, unsigned i, unsigned *random)
{
    *random = *random * 1103515245u + 12345u;
    if (bench->steps[i] == 0)
        bench->values[i] = (double)(*random >> 8 & 0xffff) / 64;
    else if ((*random >> 16 & 3) != 0)
        bench->values[i] += bench->steps[i] + (*random >> 20 & 15);
    return bench->values[i];
}

static void send_request(struct sender *sender, unsigned from, unsigned to, unsigned round)
{
    struct bench *bench = sender->bench;
    const struct append_options options = {.tenant = SLICE("tenant")};
    struct waiter waiter = {.bench = bench};
    struct append_txn *txn;
    unsigned random = from * 31 + round;

    if (appender_begin(head_appender(bench->head), &options, &txn, NULL) != ERR_OK)
        abort();
    for (unsigned i = from; i < to; i++) {
        struct series_key key = {.ref = bench->refs[i]};
        const struct append_item item = {.kind = APPEND_FLOAT,
                                         .t_ms = bench->t0_ms + (int64_t)round * 15000 +
                                                 (i / 500) % 15000,
                                         .v = next_value(bench, i, &random)};

        if (key.ref == 0)
            key.ref = bench->refs[i] = resolve(bench, txn, i);
        if (append_add(txn, &key, &item) != APPEND_OK)
            abort();
    }
    append_commit(txn, on_done, &waiter);
    if (env_wait(&bench->env, &waiter.op, 0) != ERR_OK)
        abort();
}

struct phase {
    struct sender *sender;
    unsigned from, to; /* rounds */
};

static void *sender_main(void *arg)
{
    struct phase *phase = arg;
    struct sender *sender = phase->sender;
    const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);

    for (unsigned round = phase->from; round < phase->to; round++)
        for (unsigned i = sender->from; i < sender->to; i += REQUEST_SAMPLES)
            send_request(sender, i,
                         i + REQUEST_SAMPLES < sender->to ? i + REQUEST_SAMPLES : sender->to,
                         round);
    sender->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
    return NULL;
}

static void run_phase(struct bench *bench, const char *name, unsigned from, unsigned to)
{
    struct sender senders[SENDERS_MAX];
    struct phase phases[SENDERS_MAX];
    const uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    const uint64_t wall_ns = clock_ns(CLOCK_MONOTONIC);
    const double samples = (double)bench->series * (to - from);
    uint64_t sender_ns = 0;

    for (unsigned s = 0; s < bench->senders; s++) {
        senders[s] =
            (struct sender){.bench = bench,
                            .from = (unsigned)((uint64_t)bench->series * s / bench->senders),
                            .to = (unsigned)((uint64_t)bench->series * (s + 1) / bench->senders)};
        phases[s] = (struct phase){&senders[s], from, to};
        pthread_create(&senders[s].thread, NULL, sender_main, &phases[s]);
    }
    for (unsigned s = 0; s < bench->senders; s++) {
        pthread_join(senders[s].thread, NULL);
        sender_ns += senders[s].cpu_ns;
    }
    printf("%-8s %9.0f samples  cpu %6.1f ns/sample (senders %5.1f)  wall %6.1f ns/sample\n", name,
           samples, (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns) / samples,
           (double)sender_ns / samples, (double)(clock_ns(CLOCK_MONOTONIC) - wall_ns) / samples);
}

static enum err remove_entry(void *owner, const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", (const char *)owner, name);
    unlink(path);
    return ERR_OK;
}

static void print_stats(struct bench *bench)
{
    struct head_stats stats;
    struct rusage usage;

    head_get_stats(bench->head, &stats);
    getrusage(RUSAGE_SELF, &usage);
    printf("series %llu chunks %llu samples %llu pairs %llu\n", (unsigned long long)stats.series,
           (unsigned long long)stats.chunks, (unsigned long long)stats.samples,
           (unsigned long long)stats.label_pairs);
    printf("bytes a series: %.0f (chunks %.0f), max rss %.0f; chunk bytes a sample %.2f; log bytes "
           "a sample %.2f\n",
           (double)stats.memory_bytes / (double)stats.series,
           (double)stats.chunk_bytes / (double)stats.series,
           (double)usage.ru_maxrss * 1024 / (double)stats.series,
           (double)stats.chunk_bytes / (double)stats.samples,
           (double)stats.wal_bytes / (double)stats.samples);
}

static void bench_open(struct bench *bench, const char *dir)
{
    const struct head_options options = {.env = &bench->env, .dir = dir, .hash_key = &bench->key};
    struct err_info info = {{0}};
    const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);

    if (head_open(&options, &bench->head, &info) != ERR_OK) {
        fprintf(stderr, "%s\n", info.message);
        exit(1);
    }
    printf("open     %.3f s\n", (double)(clock_ns(CLOCK_MONOTONIC) - start_ns) / 1e9);
}

static void bench_close(struct bench *bench)
{
    if (head_stop(bench->head, 0) != ERR_OK)
        abort();
    head_close(bench->head);
}

int main(int argc, char **argv)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {1};
    const struct env_net_options net = {.reactors = NULL};
    struct bench bench = {.series = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000,
                          .rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 40,
                          .senders = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 2};
    char dir[] = "/tmp/bench_head.XXXXXX";
    uint64_t start_ns;

    if (bench.series == 0 || bench.senders == 0 || bench.senders > SENDERS_MAX ||
        mkdtemp(dir) == NULL)
        return 2;
    env_real_init(&bench.env);
    if (env_net_open(&bench.env, &net, NULL) != ERR_OK)
        return 1;
    hash_key_init(&bench.key, seed);
    bench.refs = mem_zalloc(bench.series, sizeof(*bench.refs));
    bench.values = mem_zalloc(bench.series, sizeof(*bench.values));
    bench.steps = mem_zalloc(bench.series, sizeof(*bench.steps));
    for (unsigned i = 0; i < bench.series; i++)
        bench.steps[i] = i % 4 == 0 ? 0 : i % 97;
    bench.t0_ms = env_now_ms(&bench.env) - (int64_t)bench.rounds * 15000;
    bench_open(&bench, dir);
    run_phase(&bench, "create", 0, 1);
    run_phase(&bench, "append", 1, bench.rounds);
    print_stats(&bench);
    bench_close(&bench);
    bench_open(&bench, dir);
    start_ns = clock_ns(CLOCK_MONOTONIC);
    if (head_checkpoint(bench.head, NULL) != ERR_OK)
        abort();
    printf("checkpoint %.3f s\n", (double)(clock_ns(CLOCK_MONOTONIC) - start_ns) / 1e9);
    bench_close(&bench);
    bench_open(&bench, dir);
    print_stats(&bench);
    bench_close(&bench);
    env_net_stop(&bench.env);
    env_net_close(&bench.env);
    (void)bench.env.fs->list(&bench.env, dir, remove_entry, dir);
    rmdir(dir);
    mem_free(bench.refs);
    mem_free(bench.values);
    mem_free(bench.steps);
    return 0;
}
