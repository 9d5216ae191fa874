/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* remote_tee: an appender that stands before the storage and puts what that accepted into the
 * sender's queue, in the same order; without a storage it is the end of the way, and what is in the
 * queue is what was stored.
 *
 *   distributor -> tee -> storage
 *                   \--> remote_log -> receivers
 *
 * A transaction is answered once it is durable in both. What the queue has no room for, or cannot
 * write, is counted and logged and holds nothing up while there is a storage; without one the
 * transaction fails and may be sent again.
 * Off, a transaction is the storage's own and costs nothing more.
 *
 * Ownership: borrows everything; free it when no transaction is under way. Threads: any. */

#include "base/env.h"
#include "base/log.h"
#include "base/metric.h"
#include "model/appender.h"

struct remote_log;
struct remote_tee;

struct remote_tee_options {
    struct env *env;
    struct appender *inner; /* NULL: there is no storage */
    const struct log *log;  /* may be NULL */
    struct metric_registry *metrics;
};

struct remote_tee *remote_tee_new(const struct remote_tee_options *options);
/* Takes tee; NULL is fine. */
void remote_tee_free(struct remote_tee *tee);

struct appender *remote_tee_appender(struct remote_tee *tee);
/* From where on transactions go to this queue (borrowed until the tee is freed). NULL: to none. */
void remote_tee_set_log(struct remote_tee *tee, struct remote_log *log);
/* Forgets series that nobody names any more, some at a time; for a timer of a second. */
void remote_tee_sweep(struct remote_tee *tee);
