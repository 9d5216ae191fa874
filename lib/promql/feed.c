/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/stage.h"

void promql_feed_init(struct promql_feed *feed, struct promql_eval *eval,
                      struct sample_cursor *cursor)
{
    feed->eval = eval;
    feed->cursor = cursor;
    feed->at = 0;
    feed->is_done = cursor == NULL;
    feed->err = ERR_OK;
    feed->last_t_ms = INT64_MIN;
    feed->batch.count = 0;
}

static bool feed_end(struct promql_feed *feed, enum err err)
{
    feed->is_done = true;
    feed->err = err;
    feed->at = 0;
    feed->batch.count = 0;
    return false;
}

bool promql_feed_load(struct promql_feed *feed, int64_t wanted_ms)
{
    struct sample_columns *batch = &feed->batch;
    enum err err;

    if (feed->at < batch->count)
        return true;
    if (feed->is_done)
        return false;
    err = promql_eval_tick(feed->eval);
    if (err != ERR_OK)
        return feed_end(feed, err);
    /* A jump pays when it passes more than what the last batch covered. */
    if (feed->last_t_ms != INT64_MIN && wanted_ms > feed->last_t_ms &&
        promql_time_sub(wanted_ms, feed->last_t_ms) >
            promql_time_sub(feed->last_t_ms, batch->t_ms[0]))
        sample_cursor_seek(feed->cursor, wanted_ms);
    if (!sample_cursor_next(feed->cursor, batch)) {
        if (feed->cursor->err != ERR_OK && !promql_subquery_is(feed->cursor))
            err_set(feed->eval->info, feed->cursor->err, "reading samples: %s",
                    err_text(feed->cursor->err));
        return feed_end(feed, feed->cursor->err);
    }
    ASSERT(batch->count > 0);
    ASSERT(batch->count <= SOURCE_BATCH);
    feed->at = 0;
    feed->last_t_ms = batch->t_ms[batch->count - 1];
    return true;
}
