/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote_batch.h"

#include "base/mem.h"
#include "codec/remote_write.h"
#include "codec/snappy.h"
#include "remote/remote_queue_internal.h"

enum { RUN_MAX = 32, BATCH_SIZE_MAX = 256 << 20 };

/* Samples of one series that follow one another: one series of a 2.0 request. */
struct run {
    const struct remote_target *target;
    struct remote_write2_sample samples[RUN_MAX];
    struct remote_write2_histogram histograms[RUN_MAX];
    struct exemplar exemplars[RUN_MAX];
    uint32_t sample_count, histogram_count, exemplar_count;
};

static struct slice body_slice(const struct remote_item *item)
{
    return slice_of(item->body->data, item->body->len);
}

/* Whether the i-th item of the batch goes out now. */
static bool is_sent(struct remote_shard *shard, uint32_t i, int64_t t_ms_min)
{
    const struct remote_item *item = remote_shard_at(shard, i);

    if (shard->is_split && shard->item_rounds[i] != shard->round)
        return false;
    if (item->kind != APPEND_METADATA && item->t_ms < t_ms_min) {
        shard->too_old.kinds[item->kind]++;
        return false;
    }
    shard->tally.kinds[item->kind]++;
    if (item->kind != APPEND_METADATA && item->t_ms > shard->tally.t_ms_max)
        shard->tally.t_ms_max = item->t_ms;
    return true;
}

/* ---- 1.0 ---- */

static void put_item(struct buf *out, const struct remote_item *item)
{
    struct remote_write_series_out series = {0};
    struct sample sample;
    struct slice message;

    if (item->kind == APPEND_METADATA) {
        remote_write_put_metadata_message(out, body_slice(item));
        return;
    }
    series.labels = item->target->labels;
    if (item->kind == APPEND_FLOAT) {
        sample = (struct sample){item->t_ms, sample_value_from_bits(item->v_bits)};
        series.samples = &sample;
        series.sample_count = 1;
    } else {
        message = body_slice(item);
        if (item->kind == APPEND_HISTOGRAM) {
            series.histogram_messages = &message;
            series.histogram_message_count = 1;
        } else {
            series.exemplar_messages = &message;
            series.exemplar_message_count = 1;
        }
    }
    remote_write_put_series(out, &series);
}

static void encode_v1(struct remote_shard *shard, int64_t t_ms_min)
{
    for (uint32_t i = 0; i < shard->batch; i++)
        if (is_sent(shard, i, t_ms_min))
            put_item(&shard->raw, remote_shard_at(shard, i));
}

/* ---- 2.0 ---- */

static void run_flush(struct remote_shard *shard, struct run *run)
{
    struct remote_write2_series series = {.samples = run->samples,
                                          .histograms = run->histograms,
                                          .exemplars = run->exemplars,
                                          .sample_count = run->sample_count,
                                          .histogram_count = run->histogram_count,
                                          .exemplar_count = run->exemplar_count};
    struct metadata metadata;

    if (run->target == NULL)
        return;
    series.labels = run->target->labels;
    if (remote_queue_metadata(shard->queue, label_set_get(series.labels, SLICE(LABEL_METRIC_NAME)),
                              &shard->arena, &metadata))
        series.metadata = &metadata;
    remote_write2_out_series(&shard->out2, &series);
    run->target = NULL;
    run->sample_count = run->histogram_count = run->exemplar_count = 0;
}

/* A series holds samples or histograms, not both, and exemplars stand with them. */
static bool run_takes(const struct run *run, const struct remote_item *item)
{
    if (run->target != item->target)
        return false;
    switch (item->kind) {
    case APPEND_FLOAT:
        return run->histogram_count == 0 && run->sample_count < RUN_MAX;
    case APPEND_HISTOGRAM:
        return run->sample_count == 0 && run->histogram_count < RUN_MAX;
    default:
        return run->exemplar_count < RUN_MAX;
    }
}

static enum err run_add(struct remote_shard *shard, struct run *run, const struct remote_item *item)
{
    if (!run_takes(run, item))
        run_flush(shard, run);
    run->target = item->target;
    if (item->kind == APPEND_FLOAT) {
        run->samples[run->sample_count++] =
            (struct remote_write2_sample){item->t_ms, item->start_t_ms, item->v_bits};
    } else if (item->kind == APPEND_HISTOGRAM) {
        run->histograms[run->histogram_count++] =
            (struct remote_write2_histogram){body_slice(item), item->start_t_ms};
    } else {
        return remote_write_exemplar(body_slice(item), &shard->arena,
                                     &run->exemplars[run->exemplar_count++], NULL);
    }
    return ERR_OK;
}

static enum err encode_v2(struct remote_shard *shard, int64_t t_ms_min)
{
    struct run *run = mem_zalloc(1, sizeof(*run));
    enum err err = ERR_OK;

    for (uint32_t i = 0; err == ERR_OK && i < shard->batch; i++) {
        const struct remote_item *item = remote_shard_at(shard, i);

        /* Metadata stands with the series. */
        if (item->kind != APPEND_METADATA && is_sent(shard, i, t_ms_min))
            err = run_add(shard, run, item);
    }
    run_flush(shard, run);
    remote_write2_out_finish(&shard->out2, &shard->raw);
    mem_free(run);
    return err;
}

enum err remote_batch_encode(struct remote_shard *shard, struct err_info *info)
{
    const struct remote_queue *queue = shard->queue;
    const int64_t limit_ms = queue->section->queue.sample_age_limit_ms;
    const int64_t t_ms_min = limit_ms == 0 ? INT64_MIN : env_now_ms(queue->options.env) - limit_ms;
    enum err err = ERR_OK;

    buf_init(&shard->raw, BATCH_SIZE_MAX);
    buf_reset(&shard->body);
    shard->tally = shard->too_old = (struct remote_tally){.t_ms_max = INT64_MIN};
    if (queue->section->is_v2)
        err = encode_v2(shard, t_ms_min);
    else
        encode_v1(shard, t_ms_min);
    if (err == ERR_OK)
        err = shard->raw.err;
    if (err == ERR_OK)
        snappy_block_encode(&shard->body, buf_slice(&shard->raw));
    if (err == ERR_OK)
        err = shard->body.err;
    buf_fini(&shard->raw); /* many shards rest most of the time */
    return err == ERR_OK ? ERR_OK
                         : err_set(info, err, "request cannot be encoded: %s", err_text(err));
}

void remote_batch_rounds(struct remote_shard *shard)
{
    struct map counts;

    mem_free(shard->item_rounds);
    shard->item_rounds = mem_zalloc(shard->batch, sizeof(*shard->item_rounds));
    shard->rounds = 1;
    map_init(&counts, NULL, NULL);
    for (uint32_t i = 0; i < shard->batch; i++) {
        const struct remote_item *item = remote_shard_at(shard, i);
        const uint64_t hash = map_of_ptr(item->target) * UINT64_C(0x9e3779b97f4a7c15);
        uint64_t *count = item->target == NULL ? NULL : map_find(&counts, hash, NULL);

        if (item->target == NULL)
            continue;
        if (count == NULL) {
            map_insert(&counts, hash, 0);
            count = map_find(&counts, hash, NULL);
        }
        /* An exemplar goes with the sample before it. */
        if (item->kind == APPEND_EXEMPLAR) {
            shard->item_rounds[i] = *count == 0 ? 0 : (uint32_t)*count - 1;
            continue;
        }
        shard->item_rounds[i] = (uint32_t)*count;
        *count += 1;
        if (*count > shard->rounds)
            shard->rounds = (uint32_t)*count;
    }
    map_fini(&counts);
}
