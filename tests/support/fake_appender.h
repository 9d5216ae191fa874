/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An appender that keeps what is committed, for tests of who writes: series by their printed
 * labels, samples in the order of their transactions. Exemplars are refused as the real one refuses
 * them. Threads: any. */

#include <pthread.h>
#include <stdbool.h>

#include "model/appender.h"

struct fake_sample {
    const char *series; /* printed labels; borrowed from the fake */
    int64_t t_ms;
    double v;
    uint32_t commit; /* which transaction, from 0 */
};

struct fake_appender {
    struct appender base;
    pthread_mutex_t lock; /* guards the rest */
    char **series;        /* owned, each too; a ref is an index + 1 */
    uint32_t series_count;
    struct fake_sample *samples; /* owned */
    uint32_t sample_count, commit_count, abort_count, exemplar_count, resolve_count;
    bool fails_commit, fails_begin;
    /* Samples of this time are taken by add and left out at commit; 0: none. */
    int64_t late_t_ms;
    uint64_t forgotten_ref; /* refs up to this one are not known any more */
};

void fake_appender_init(struct fake_appender *fake);
void fake_appender_fini(struct fake_appender *fake);
/* The newest sample of a series; false: there is none. */
bool fake_appender_last(struct fake_appender *fake, const char *series, struct fake_sample *out);
/* How many samples a series has. */
uint32_t fake_appender_count(struct fake_appender *fake, const char *series);
uint32_t fake_appender_commits(struct fake_appender *fake);
