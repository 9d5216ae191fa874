/* SPDX-License-Identifier: Apache-2.0 */

/* How long a head takes to be ready after a kill and after a clean stop, and what memory it needs:
 * bench_restart [series] [rounds]
 * Each step is a process of its own, so that its peak of memory is its own. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/env_real.h"
#include "base/mem.h"
#include "bench/bench_series.h"
#include "net/env_net.h"
#include "storage/head.h"

enum { REQUEST_SAMPLES = 2000 };

enum step { STEP_FILL_KILL, STEP_OPEN, STEP_FILL_STOP };

struct bench {
    struct env env;
    struct hash_key key;
    struct head *head;
    const char *dir;
    unsigned series, rounds;
};

struct waiter {
    struct bench *bench;
    struct env_op op;
};

static double clock_s(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_done(void *owner, const struct append_result *result)
{
    struct waiter *waiter = owner;

    if (result->err != ERR_OK) {
        (void)fprintf(stderr, "append failed: %s\n", err_text(result->err));
        exit(1);
    }
    env_complete(&waiter->bench->env, &waiter->op, ERR_OK);
}

static void send_request(struct bench *bench, uint64_t *refs, unsigned from, unsigned round)
{
    const struct append_options options = {.tenant = SLICE("tenant")};
    const unsigned to =
        from + REQUEST_SAMPLES < bench->series ? from + REQUEST_SAMPLES : bench->series;
    const int64_t t_ms = env_now_ms(&bench->env) - (int64_t)(bench->rounds - round) * 15000;
    struct waiter waiter = {.bench = bench};
    struct append_txn *txn;

    if (appender_begin(head_appender(bench->head), &options, &txn, NULL) != ERR_OK)
        abort();
    for (unsigned i = from; i < to; i++) {
        const struct append_item item = {
            .kind = APPEND_FLOAT, .t_ms = t_ms, .v = (double)(i % 97 * round)};
        struct bench_series series;
        struct series_key key;

        if (refs[i] == 0) {
            const struct label_set set = bench_series_labels(&series, i);

            if (append_resolve(txn, series_hash(&bench->key, SLICE("tenant"), set), set,
                               &refs[i]) != APPEND_OK)
                abort();
        }
        key = (struct series_key){.ref = refs[i]};
        if (append_add(txn, &key, &item) != APPEND_OK)
            abort();
    }
    append_commit(txn, on_done, &waiter);
    if (env_wait(&bench->env, &waiter.op, 0) != ERR_OK)
        abort();
}

static void fill(struct bench *bench)
{
    uint64_t *refs = mem_zalloc(bench->series, sizeof(*refs));

    for (unsigned round = 0; round < bench->rounds; round++)
        for (unsigned i = 0; i < bench->series; i += REQUEST_SAMPLES)
            send_request(bench, refs, i, round);
    mem_free(refs);
}

static void print_open(const struct bench *bench, double wall_s, double cpu_s)
{
    struct head_stats stats;
    struct rusage usage;

    head_get_stats(bench->head, &stats);
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("  ready after %.3f s (cpu %.3f s); series %llu samples %llu records %llu; bytes a "
           "series %.0f, peak rss %.0f\n",
           wall_s, cpu_s, (unsigned long long)stats.series, (unsigned long long)stats.samples,
           (unsigned long long)stats.replay_records,
           (double)stats.memory_bytes / (double)stats.series,
           (double)usage.ru_maxrss * 1024 / (double)stats.series);
}

static int run_step(struct bench *bench, enum step step)
{
    const struct head_options options = {
        .env = &bench->env, .dir = bench->dir, .hash_key = &bench->key, .stop_checkpoint = true};
    const struct env_net_options net = {.reactors = NULL};
    struct err_info info = {{0}};
    double wall_s, cpu_s;

    env_real_init(&bench->env);
    if (env_net_open(&bench->env, &net, NULL) != ERR_OK)
        return 1;
    wall_s = clock_s(CLOCK_MONOTONIC);
    cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    if (head_open(&options, &bench->head, &info) != ERR_OK) {
        (void)fprintf(stderr, "%s\n", info.message);
        return 1;
    }
    if (step == STEP_OPEN) {
        print_open(bench, clock_s(CLOCK_MONOTONIC) - wall_s,
                   clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_s);
        return 0;
    }
    fill(bench);
    if (step == STEP_FILL_KILL)
        return 0;
    wall_s = clock_s(CLOCK_MONOTONIC);
    if (head_stop(bench->head, 0) != ERR_OK)
        return 1;
    printf("  stopped after %.3f s\n", clock_s(CLOCK_MONOTONIC) - wall_s);
    return 0;
}

static void run(struct bench *bench, enum step step)
{
    int status = 0;
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        status = run_step(bench, step);
        (void)fflush(stdout);
        _exit(status); /* as a kill does it: nothing is closed */
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        exit(1);
}

static enum err remove_entry(void *owner, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", (const char *)owner, name);
    (void)unlink(path);
    return ERR_OK;
}

int main(int argc, char **argv)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {1};
    char dir[] = "/tmp/bench_restart.XXXXXX";
    struct bench bench = {.series = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000,
                          .rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 3};
    struct env env;

    if (bench.series == 0 || bench.rounds == 0 || mkdtemp(dir) == NULL)
        return 2;
    bench.dir = dir;
    hash_key_init(&bench.key, seed);
    env_real_init(&env);
    run(&bench, STEP_FILL_KILL);
    printf("after a kill:\n");
    run(&bench, STEP_OPEN);
    (void)env.fs->list(&env, dir, remove_entry, dir);
    printf("clean stop:\n");
    run(&bench, STEP_FILL_STOP);
    run(&bench, STEP_OPEN);
    (void)env.fs->list(&env, dir, remove_entry, dir);
    (void)rmdir(dir);
    return 0;
}
