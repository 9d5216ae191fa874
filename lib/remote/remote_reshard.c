/* SPDX-License-Identifier: Apache-2.0 */

/* How many shards a receiver needs, by upstream's rules: the time that one sample takes, times what
 * comes in and a twentieth of what is behind, with some tolerance. */
#include <math.h>

#include "remote/remote_queue_internal.h"

enum { TICK_S = 10, FRESH_DEADLINES = 2, DELAY_S_MAX = 10 };

static const double rate_alpha = 0.2, tolerance = 0.3, catchup = 0.05;

static void rate_tick(struct remote_rate *rate)
{
    const double instant = (double)rate->events / TICK_S;

    rate->per_s = rate->has_value ? rate->per_s + rate_alpha * (instant - rate->per_s) : instant;
    rate->has_value = true;
    rate->events = 0;
}

/* Seconds that the newest sample sent is behind the newest that was read. */
static double delay_s(const struct remote_queue *queue)
{
    if (queue->t_ms_max == INT64_MIN || queue->t_ms_sent == INT64_MIN)
        return 0;
    return (double)(queue->t_ms_max - queue->t_ms_sent) / 1000;
}

uint32_t remote_reshard_wanted(struct remote_queue *queue, uint64_t now_ns)
{
    const struct remote_queue_config *settings = &queue->section->queue;
    const uint64_t items = remote_log_item_count(queue->options.queue);
    const uint64_t fresh_ns =
        FRESH_DEADLINES * (uint64_t)settings->batch_send_deadline_ms * 1000000;
    const double now = queue->shard_count;
    double kept, in, behind, wanted;

    queue->rate_in.events = items - queue->items_seen;
    queue->items_seen = items;
    rate_tick(&queue->rate_in);
    rate_tick(&queue->rate_out);
    rate_tick(&queue->rate_dropped);
    rate_tick(&queue->rate_busy_ns);
    if (queue->rate_out.per_s <= 0)
        return queue->shard_count;
    kept = queue->rate_out.per_s / (queue->rate_dropped.per_s + queue->rate_out.per_s);
    in = queue->rate_in.per_s * kept;
    behind = delay_s(queue) * in;
    wanted = queue->rate_busy_ns.per_s / 1e9 / queue->rate_out.per_s * (in + catchup * behind);
    metric_gauge_set(queue->counters.shards_desired, wanted);
    /* A receiver that does not answer gets no more of it. */
    if (queue->sent_ns == 0 || queue->sent_ns + fresh_ns < now_ns)
        return queue->shard_count;
    wanted = ceil(wanted);
    if (wanted >= now * (1 - tolerance) && wanted <= now * (1 + tolerance))
        return queue->shard_count;
    if (wanted < now && delay_s(queue) > DELAY_S_MAX)
        return queue->shard_count;
    if (wanted > (double)queue->shard_cap)
        wanted = queue->shard_cap;
    if (wanted < (double)settings->min_shards)
        wanted = (double)settings->min_shards;
    return (uint32_t)wanted < queue->shard_cap ? (uint32_t)wanted : queue->shard_cap;
}
