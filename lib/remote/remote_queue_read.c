/* SPDX-License-Identifier: Apache-2.0 */

/* From the queue to the shards, by the work job: entries become items of relabelled series, and
 * wait staged until their shards have room. */
#include "base/mem.h"
#include "codec/remote_write.h"
#include "remote/remote_queue_internal.h"

enum { RECORDS_PER_RUN = 64, METADATA_MAX = 100000, HISTOGRAM_BUCKETS_MAX = 0 };

/* ---- metadata, for 2.0 ---- */

static struct slice body_metric(const struct remote_body *body)
{
    struct metadata metadata = {0};

    if (remote_write_metadata(slice_of(body->data, body->len), &metadata, NULL) != ERR_OK)
        return (struct slice){0};
    return metadata.metric;
}

static bool metric_eq(const void *key, uint64_t value, void *owner)
{
    const struct slice *metric = key;

    (void)owner;
    return slice_eq(*metric, body_metric(map_to_ptr(value)));
}

void remote_queue_metadata_init(struct remote_queue *queue)
{
    map_init(&queue->metadata, metric_eq, NULL);
}

static struct remote_body *body_new(struct slice message)
{
    struct remote_body *body = mem_alloc(sizeof(*body) + message.len);

    body->len = (uint32_t)message.len;
    if (message.len != 0)
        memcpy(body->data, message.data, message.len);
    return body;
}

static void note_metadata(struct remote_queue *queue, struct slice message)
{
    struct remote_body *body = body_new(message), *old = NULL;
    const struct slice metric = body_metric(body);
    const uint64_t hash = hash64(&queue->symbol_key, metric);
    uint64_t *found;

    pthread_mutex_lock(&queue->lock);
    found = map_find(&queue->metadata, hash, &metric);
    if (found != NULL) {
        old = map_to_ptr(*found);
        *found = map_of_ptr(body);
    } else if (queue->metadata.count < METADATA_MAX) {
        map_insert(&queue->metadata, hash, map_of_ptr(body));
    } else {
        old = body;
    }
    pthread_mutex_unlock(&queue->lock);
    mem_free(old);
}

bool remote_queue_metadata(struct remote_queue *queue, struct slice metric, struct arena *arena,
                           struct metadata *metadata)
{
    const uint64_t hash = hash64(&queue->symbol_key, metric);
    const uint64_t *found;
    struct slice copy = {0};

    pthread_mutex_lock(&queue->lock);
    found = map_find(&queue->metadata, hash, &metric);
    if (found != NULL) {
        const struct remote_body *body = map_to_ptr(*found);

        copy = arena_copy(arena, slice_of(body->data, body->len));
    }
    pthread_mutex_unlock(&queue->lock);
    return copy.len != 0 && remote_write_metadata(copy, metadata, NULL) == ERR_OK;
}

/* ---- entries ---- */

/* Custom buckets have no place in 1.0. */
static bool is_custom(struct slice message)
{
    struct remote_write_histogram histogram;
    struct arena arena;
    bool custom = false;

    arena_init(&arena, NULL, 0);
    if (remote_write_histogram(message, HISTOGRAM_BUCKETS_MAX, &arena, &histogram, NULL) == ERR_OK)
        custom = histogram.h.schema == HISTOGRAM_SCHEMA_CUSTOM;
    arena_fini(&arena);
    return custom;
}

/* Whether this receiver wants an item of this kind; drops are counted. */
static bool is_wanted(struct remote_queue *queue, const struct remote_entry *entry)
{
    const struct remote_write_config *section = queue->section;

    switch (entry->kind) {
    case APPEND_EXEMPLAR:
        return section->send_exemplars;
    case APPEND_HISTOGRAM:
        if (section->is_v2)
            return true;
        if (!section->send_native_histograms)
            return false;
        if (!is_custom(entry->body))
            return true;
        remote_queue_drop(queue, entry->kind, REMOTE_DROP_NHCB, 1);
        return false;
    case APPEND_METADATA:
        if (section->is_v2)
            note_metadata(queue, entry->body);
        return section->send_metadata && !section->is_v2;
    default:
        return true;
    }
}

/* Stages an item, unless it goes nowhere. */
static void take_item(struct remote_queue *queue, const struct remote_entry *entry)
{
    struct remote_target *target = NULL;
    struct remote_item *item;

    if (entry->kind != APPEND_METADATA) {
        target = remote_targets_find(&queue->targets, entry->series, queue->record.segment);
        if (target == NULL) {
            remote_queue_drop(queue, entry->kind, REMOTE_DROP_UNKNOWN, 1);
            return;
        }
    }
    /* An earlier process has sent it, or this one before the number of shards changed. */
    if (entry->seq < queue->saved[target != NULL ? target->partition : 0])
        return;
    if (target != NULL && target->is_dropped) {
        remote_queue_drop(queue, entry->kind, REMOTE_DROP_RELABELLED, 1);
        queue->dropped_count++;
        return;
    }
    if (!is_wanted(queue, entry))
        return;
    item = &queue->staged[queue->staged_count++];
    *item = (struct remote_item){.seq = entry->seq,
                                 .t_ms = entry->t_ms,
                                 .start_t_ms = entry->start_t_ms,
                                 .kind = (uint8_t)entry->kind};
    item->target = target == NULL ? NULL : remote_target_ref(target);
    if (entry->kind == APPEND_FLOAT)
        item->v_bits = entry->v_bits;
    else
        item->body = body_new(entry->body);
}

/* The next record of the queue. False: there is none for now. */
static bool next_record(struct remote_queue *queue)
{
    uint64_t lost = 0;
    const enum err err = remote_log_read(queue->reader, &queue->record, &lost);

    if (lost > 0) {
        remote_queue_drop(queue, APPEND_FLOAT, REMOTE_DROP_LOST, lost);
        log_error(queue->options.log, "remote write: samples are lost to this receiver",
                  F_STR("remote_name", queue->name), F_UINT("count", lost));
    }
    if (err != ERR_OK)
        return false; /* END, or a failure that the log has told of: the tick tries again */
    remote_entry_reader_init(&queue->entries, queue->record.payload, queue->record.first_seq);
    queue->has_record = true;
    return true;
}

/* Fills the stage from the record; at its end the record is left. */
static void stage(struct remote_queue *queue)
{
    struct remote_entry entry;
    const uint64_t end = queue->record.first_seq + queue->record.item_count;

    while (queue->staged_count < REMOTE_STAGED_MAX) {
        if (remote_entry_next(&queue->entries, &entry)) {
            if (entry.kind != REMOTE_ENTRY_DEFINE)
                take_item(queue, &entry);
            else if (remote_targets_define(&queue->targets, entry.series, entry.body,
                                           queue->record.segment) != ERR_OK)
                log_error(queue->options.log, "remote write: a series cannot be read",
                          F_STR("remote_name", queue->name));
            continue;
        }
        if (queue->entries.seq < end)
            remote_queue_drop(queue, APPEND_FLOAT, REMOTE_DROP_LOST, end - queue->entries.seq);
        queue->entries.seq = end;
        queue->has_record = false;
        return;
    }
}

/* Hands staged items to their shards. False: one has no room. */
static bool deliver(struct remote_queue *queue)
{
    bool has_room = true;
    bool touched[REMOTE_SHARDS_MAX] = {false};

    pthread_mutex_lock(&queue->lock);
    while (has_room && queue->staged_at < queue->staged_count) {
        const struct remote_item *item = &queue->staged[queue->staged_at];
        const uint32_t partition = item->target != NULL ? item->target->partition : 0;
        const uint32_t at = partition % queue->shard_count;

        has_room = !remote_shard_is_full(&queue->shards[at]);
        if (!has_room) {
            queue->read_seq = item->seq;
            metric_inc(queue->counters.enqueue_retries);
            break;
        }
        remote_shard_push(&queue->shards[at], item);
        if (item->kind != APPEND_METADATA && item->t_ms > queue->t_ms_max)
            queue->t_ms_max = item->t_ms;
        touched[at] = true;
        queue->staged_at++;
    }
    if (has_room) {
        queue->staged_at = queue->staged_count = 0;
        queue->read_seq = queue->entries.seq;
    }
    queue->rate_dropped.events += queue->dropped_count;
    queue->dropped_count = 0;
    for (uint32_t i = 0; i < queue->shard_count; i++)
        if (touched[i])
            remote_shard_step(&queue->shards[i]);
    pthread_mutex_unlock(&queue->lock);
    return has_room;
}

static void set_at_end(struct remote_queue *queue, bool is_at_end)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_at_end = is_at_end;
    pthread_mutex_unlock(&queue->lock);
}

void remote_queue_read(struct remote_queue *queue)
{
    for (int records = 0;;) {
        if (!queue->has_record && queue->staged_count == 0) {
            if (records++ == RECORDS_PER_RUN) {
                remote_queue_kick(queue); /* others want the worker, too */
                return;
            }
            if (!next_record(queue)) {
                set_at_end(queue, true);
                return;
            }
            set_at_end(queue, false);
        }
        if (queue->has_record && queue->staged_at == 0)
            stage(queue);
        if (!deliver(queue))
            return; /* the shard that gets room kicks */
    }
}

static void drop_staged(struct remote_queue *queue)
{
    for (uint32_t i = queue->staged_at; i < queue->staged_count; i++)
        remote_item_fini(&queue->staged[i]);
    queue->staged_at = queue->staged_count = 0;
}

void remote_queue_read_again(struct remote_queue *queue, uint64_t seq)
{
    drop_staged(queue);
    queue->has_record = false;
    remote_log_reader_free(queue->reader);
    queue->reader = remote_log_reader_new(queue->options.queue, seq);
    pthread_mutex_lock(&queue->lock);
    queue->read_seq = seq;
    queue->is_at_end = false;
    pthread_mutex_unlock(&queue->lock);
}

void remote_queue_read_fini(struct remote_queue *queue)
{
    uint64_t value;

    drop_staged(queue);
    remote_log_reader_free(queue->reader);
    remote_targets_fini(&queue->targets);
    for (size_t pos = 0; map_next(&queue->metadata, &pos, &value);)
        mem_free(map_to_ptr(value));
    map_fini(&queue->metadata);
}
