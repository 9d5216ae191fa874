/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Alerts from the ruler to Alertmanagers: in one process a call, else POST /api/v2/alerts.
 * Ownership: the alerts are borrowed for the call and copied by the callee.
 * Threads: any; never blocks. */

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "model/labels.h"

struct alert {
    struct label_set labels, annotations; /* borrowed */
    int64_t starts_at_ms, ends_at_ms;     /* ends 0: open, the receiver's resolve timeout counts */
    struct slice generator_url;           /* borrowed */
};

struct notify_options {
    struct slice tenant;
    uint64_t deadline_ns; /* monotonic */
};

typedef void notify_done_fn(void *owner, enum err err, uint32_t accepted_count);

struct notify_sink {
    const struct notify_sink_ops *ops;
};

struct notify_sink_ops {
    /* done runs exactly once: OK when the alerts were taken (a remote one answered 2xx). FULL:
     * queue full, the oldest were dropped and counted. */
    void (*send)(struct notify_sink *sink, const struct notify_options *options,
                 const struct alert *alerts, uint32_t alert_count, notify_done_fn *done,
                 void *owner);
};

static inline void notify_send(struct notify_sink *sink, const struct notify_options *options,
                               const struct alert *alerts, uint32_t alert_count,
                               notify_done_fn *done, void *owner)
{
    sink->ops->send(sink, options, alerts, alert_count, done, owner);
}
