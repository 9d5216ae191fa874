/* SPDX-License-Identifier: Apache-2.0 */
/* sim_storage [--seed N] [--seeds COUNT] [--jobs N] [--twice] [--verbose]
 *
 * Runs seeds of the storage simulation, each in a process of its own (a crash leaves memory
 * behind). Prints each failing seed with the reason; exits with 1 if there is one. --twice runs
 * each seed two times and compares: the simulation itself must not depend on chance. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/settings.h"
#include "sim/sim_storage.h"

enum { SEED_SECONDS_MAX = 300, MESSAGE_SIZE = 400, JOBS_MAX = 64 };

struct program {
    int64_t seed, seeds, jobs;
    bool twice, verbose;
};

static const struct setting program_settings[] = {
    {"seed", SETTING_INT, offsetof(struct program, seed), .value = "1", .min = "0",
     .help = "The first seed."},
    {"seeds", SETTING_INT, offsetof(struct program, seeds), .value = "1", .min = "1",
     .help = "How many seeds."},
    {"jobs", SETTING_INT, offsetof(struct program, jobs), .value = "0", .min = "0", .max = "64",
     .help = "Seeds at the same time; 0: one for each processor."},
    {"twice", SETTING_BOOL, offsetof(struct program, twice),
     .help = "Run each seed twice and compare."},
    {"verbose", SETTING_BOOL, offsetof(struct program, verbose),
     .help = "Print what the storage engine logs."},
};

/* A crash drops what was tested without freeing it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* Totals come back by a pipe, as whole structs. */
static void run_child(const struct program *program, uint64_t seed, int out)
{
    const struct sim_storage_options options = {.seed = seed, .is_verbose = program->verbose};
    struct sim_storage_result result, again;
    char message[MESSAGE_SIZE];

    alarm(SEED_SECONDS_MAX);
    if (!sim_storage_run(&options, &result, message, sizeof(message))) {
        fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, message);
        _exit(1);
    }
    if (program->twice && (!sim_storage_run(&options, &again, message, sizeof(message)) ||
                           memcmp(&result, &again, sizeof(result)) != 0)) {
        fprintf(stderr, "seed %llu: a second run differs\n", (unsigned long long)seed);
        _exit(1);
    }
    _exit(write(out, &result, sizeof(result)) == (ssize_t)sizeof(result) ? 0 : 1);
}

struct children {
    pid_t pids[JOBS_MAX];
    uint64_t seeds[JOBS_MAX];
    int64_t count;
};

static void start_child(const struct program *program, struct children *children, uint64_t seed,
                        const int pipe_fds[2])
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0)
        run_child(program, seed, pipe_fds[1]);
    children->pids[children->count] = pid;
    children->seeds[children->count++] = seed;
}

/* Waits for one child. False: it failed. */
static bool reap_child(struct children *children)
{
    int status = 0;
    const pid_t pid = wait(&status);

    for (int64_t i = 0; i < children->count; i++) {
        if (children->pids[i] != pid)
            continue;
        if (WIFSIGNALED(status))
            fprintf(stderr, "seed %llu: killed by signal %d (%s)\n",
                    (unsigned long long)children->seeds[i], WTERMSIG(status),
                    strsignal(WTERMSIG(status)));
        children->count--;
        children->pids[i] = children->pids[children->count];
        children->seeds[i] = children->seeds[children->count];
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    return false;
}

static void add_result(struct sim_storage_result *total, int in)
{
    struct sim_storage_result result;

    if (read(in, &result, sizeof(result)) != (ssize_t)sizeof(result))
        return;
    total->steps += result.steps;
    total->acked += result.acked;
    total->refused += result.refused;
    total->reads += result.reads;
    total->crashes += result.crashes;
    total->flushes += result.flushes;
    total->merges += result.merges;
    total->deletions += result.deletions;
}

static int run_seeds(const struct program *program)
{
    struct sim_storage_result total = {0};
    struct children children = {.count = 0};
    int64_t next = 0, failed = 0;
    struct timespec start, end;
    int pipe_fds[2];

    if (pipe(pipe_fds) != 0) {
        perror("pipe");
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (next < program->seeds || children.count > 0) {
        if (next < program->seeds && children.count < program->jobs) {
            start_child(program, &children, (uint64_t)(program->seed + next++), pipe_fds);
            continue;
        }
        if (reap_child(&children))
            add_result(&total, pipe_fds[0]);
        else
            failed++;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lld seeds, %lld failed: %llu steps, %llu transactions acknowledged, %llu refused, "
           "%llu reads checked, %llu crashes, %llu windows flushed, %llu merges, %llu deletions, "
           "%.1f s\n",
           (long long)program->seeds, (long long)failed, (unsigned long long)total.steps,
           (unsigned long long)total.acked, (unsigned long long)total.refused,
           (unsigned long long)total.reads, (unsigned long long)total.crashes,
           (unsigned long long)total.flushes, (unsigned long long)total.merges,
           (unsigned long long)total.deletions,
           (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    return failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct program program;
    struct settings settings;
    struct settings_args args;
    struct err_info info = {{0}};
    struct arena arena;
    int status = 1;

    arena_init(&arena, NULL, 0);
    settings_init(&settings, &arena);
    settings_add(&settings, program_settings, COUNT_OF(program_settings), &program);
    if (settings_parse_flags(&settings, argc - 1, argv + 1, &args, &info) != ERR_OK) {
        fprintf(stderr, "sim_storage: %s\n", info.message);
    } else {
        if (program.jobs == 0)
            program.jobs = (int64_t)sysconf(_SC_NPROCESSORS_ONLN);
        if (program.jobs > JOBS_MAX)
            program.jobs = JOBS_MAX;
        status = run_seeds(&program);
    }
    arena_fini(&arena);
    return status;
}
