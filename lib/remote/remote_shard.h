/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One shard of a receiver: a ring of items in order, of which the first ones are under way as one
 * request at a time.
 *
 *   IDLE --enough, or waited long enough--> ENCODE (job) --> SEND (call) --2xx, or refused for
 * good--> ^                                       ^                 |                     items go,
 * IDLE |                                       |                 +--5xx, 429, network--> BACKOFF
 *     +---------------------------------------+---------------------------------------- (timer)
 *
 * All state is guarded by the queue's lock but what the state says belongs to the job or the call.
 * Private to this folder. */

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "codec/remote_write2_out.h"
#include "model/appender.h"
#include "net/http_client.h"
#include "remote/remote_http.h"
#include "remote/remote_target.h"

struct remote_queue;

/* What is not a number of an item: one heap block. */
struct remote_body {
    uint32_t len;
    char data[];
};

struct remote_item {
    struct remote_target *target; /* one reference; NULL: metadata */
    uint64_t seq;
    int64_t t_ms, start_t_ms;
    union {
        uint64_t v_bits;
        struct remote_body *body; /* owned */
    };
    uint8_t kind; /* append_kind */
};

void remote_item_fini(struct remote_item *item);

enum remote_shard_state {
    REMOTE_SHARD_IDLE,
    REMOTE_SHARD_ENCODE,
    REMOTE_SHARD_SEND,
    REMOTE_SHARD_BACKOFF,
};

/* How many of each kind a request holds. */
struct remote_tally {
    uint32_t kinds[APPEND_KIND_COUNT];
    int64_t t_ms_max;
};

struct remote_shard {
    struct remote_queue *queue; /* borrowed: owns us */
    enum remote_shard_state state;
    struct remote_item *items; /* owned; a ring */
    uint32_t cap, head, count;
    uint64_t first_ns; /* when the oldest one that is not under way came */
    uint32_t batch;    /* items under way */
    uint64_t backoff_ns;
    uint32_t attempt;
    bool is_split;          /* a part of the batch at a time: round `round` of `rounds` */
    uint32_t round, rounds; /* see remote_batch_rounds() */
    uint32_t *item_rounds;  /* owned; by place in the batch */
    struct env_timer timer;
    struct env_job job;
    struct http_call call;
    uint64_t sent_ns;
    /* The request. */
    struct arena arena; /* of headers */
    struct remote_http_headers headers;
    struct buf raw, body;
    struct remote_write2_out out2;
    struct remote_tally tally, too_old; /* what is in it, and what is left out */
    enum err encode_err;
    struct err_info encode_info;
};

void remote_shard_init(struct remote_shard *shard, struct remote_queue *queue);
void remote_shard_fini(struct remote_shard *shard);

/* All below with the queue's lock held. */

/* Takes the item. The ring has room. */
void remote_shard_push(struct remote_shard *shard, const struct remote_item *item);
static inline bool remote_shard_is_full(const struct remote_shard *shard)
{
    return shard->count == shard->cap;
}
/* The i-th item from the oldest. */
static inline struct remote_item *remote_shard_at(const struct remote_shard *shard, uint32_t i)
{
    return &shard->items[(shard->head + i) % shard->cap];
}
/* Starts a request if it is time for one, or the timer. */
void remote_shard_step(struct remote_shard *shard);
/* Drops all items; nothing is under way. */
void remote_shard_clear(struct remote_shard *shard);
/* Has what is under way end soon: calls are cancelled, waiting ends. */
void remote_shard_cancel(struct remote_shard *shard);
