/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/head.h"

#include <string.h>

#include "base/mem.h"
#include "storage/head_apply.h"
#include "storage/wal_dir.h"

enum {
    COLLECT_INTERVAL_S = 60,
    STOP_CHECKPOINT_SHARE = 256, /* a stop leaves up to this part of checkpoint_bytes of log */
};

#define BLOCK_RANGE_DEFAULT_MS (INT64_C(2) * 3600 * 1000)
#define FUTURE_DEFAULT_MS      (INT64_C(10) * 60 * 1000)
#define SEGMENT_SIZE_DEFAULT   (UINT64_C(32) << 20)
#define CHECKPOINT_DEFAULT     (UINT64_C(256) << 20)
#define TENANT_DEFAULT         10000
#define EXEMPLAR_DEFAULT       100000
#define BLOCK_RANGE_MAX_MS     ((int64_t)UINT32_MAX) /* the span of a chunk fits 32 bits */

/* ---- metrics ---- */

static const struct head *head_of_metrics(const void *metrics)
{
    return CONTAINER_OF(metrics, struct head, metrics);
}

static double read_series(const void *metrics)
{
    return (double)atomic_load(&head_of_metrics(metrics)->series_count);
}

static double read_chunks(const void *metrics)
{
    return (double)atomic_load(&head_of_metrics(metrics)->chunk_count);
}

static double read_samples(const void *metrics)
{
    return (double)atomic_load(&head_of_metrics(metrics)->sample_count);
}

static double read_t_min(const void *metrics)
{
    return (double)head_t_min(head_of_metrics(metrics));
}

static double read_t_max(const void *metrics)
{
    return (double)atomic_load(&head_of_metrics(metrics)->t_max_ms);
}

static double read_t_min_seconds(const void *metrics)
{
    return read_t_min(metrics) / 1000;
}

static double read_t_max_seconds(const void *metrics)
{
    return read_t_max(metrics) / 1000;
}

static uint64_t head_chunks_size(const struct head *head)
{
    struct chunk_pool_stats pool;

    chunk_pool_get_stats(head->chunks, &pool);
    return pool.size_bytes + atomic_load(&head->wide_bytes);
}

static uint64_t head_index_bytes(const struct head *head)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < atomic_load(&head->tenant_count); i++)
        bytes += atomic_load(&head_tenant_at(head, i)->index.memory_bytes);
    return bytes;
}

static struct head_exemplars_stats exemplar_stats(const struct head *head)
{
    struct head_exemplars_stats stats;

    head_exemplars_get_stats(head->exemplars, &stats);
    return stats;
}

static uint64_t head_memory_bytes(const struct head *head)
{
    const uint64_t slabs = (atomic_load(&head->slot_end) + HEAD_SLAB_SLOTS - 1) / HEAD_SLAB_SLOTS;

    return head_chunks_size(head) + head_index_bytes(head) + slabs * sizeof(struct head_slab) +
           atomic_load(&head->label_bytes) + atomic_load(&head->ooo_bytes) +
           exemplar_stats(head).memory_bytes + head_metadata_memory(head->metadata);
}

static double read_chunk_bytes(const void *metrics)
{
    return (double)head_chunks_size(head_of_metrics(metrics));
}

static double read_memory_bytes(const void *metrics)
{
    return (double)head_memory_bytes(head_of_metrics(metrics));
}

static double read_exemplars(const void *metrics)
{
    return exemplar_stats(head_of_metrics(metrics)).count;
}

static double read_exemplar_series(const void *metrics)
{
    return exemplar_stats(head_of_metrics(metrics)).series;
}

static double read_exemplar_oldest(const void *metrics)
{
    return (double)exemplar_stats(head_of_metrics(metrics)).t_oldest_ms / 1000;
}

static double read_exemplar_max(const void *metrics)
{
    return head_exemplars_max(head_of_metrics(metrics)->exemplars);
}

static double read_symbol_bytes(const void *metrics)
{
    return (double)head_index_bytes(head_of_metrics(metrics));
}

static double read_watermark(const void *metrics)
{
    return (double)atomic_load(&head_of_metrics(metrics)->watermark);
}

static double read_corruptions(const void *metrics)
{
    return (double)head_of_metrics(metrics)->replay.corruptions;
}

#define OF(member) offsetof(struct head_metrics, member)

static const struct metric_desc head_metric_descs[] = {
    {"prometheus_tsdb_head_series", METRIC_GAUGE_FN, .read = read_series,
     .help = "Total number of series in the head block."},
    {"prometheus_tsdb_head_chunks", METRIC_GAUGE_FN, .read = read_chunks,
     .help = "Total number of chunks in the head block."},
    {"prometheus_tsdb_head_min_time", METRIC_GAUGE_FN, .read = read_t_min,
     .help = "Minimum time bound of the head block."},
    {"prometheus_tsdb_head_max_time", METRIC_GAUGE_FN, .read = read_t_max,
     .help = "Maximum timestamp of the head block."},
    {"prometheus_tsdb_head_min_time_seconds", METRIC_GAUGE_FN, .read = read_t_min_seconds,
     .help = "Minimum time bound of the head block in seconds."},
    {"prometheus_tsdb_head_max_time_seconds", METRIC_GAUGE_FN, .read = read_t_max_seconds,
     .help = "Maximum timestamp of the head block in seconds."},
    {"prometheus_tsdb_head_samples_appended_total", METRIC_COUNTER, OF(samples_appended),
     .fixed = "type=\"float\"", .help = "Total number of appended samples."},
    {"prometheus_tsdb_head_samples_appended_total", METRIC_COUNTER, OF(histograms_appended),
     .fixed = "type=\"histogram\"", .help = "Total number of appended samples."},
    {"prometheus_tsdb_head_series_created_total", METRIC_COUNTER, OF(series_created),
     .help = "Total number of series created in the head."},
    {"prometheus_tsdb_head_series_removed_total", METRIC_COUNTER, OF(series_removed),
     .help = "Total number of series removed in the head."},
    {"prometheus_tsdb_head_chunks_created_total", METRIC_COUNTER, OF(chunks_created),
     .help = "Total number of chunks created in the head."},
    {"prometheus_tsdb_head_chunks_removed_total", METRIC_COUNTER, OF(chunks_removed),
     .help = "Total number of chunks removed in the head."},
    {"prometheus_tsdb_out_of_order_samples_total", METRIC_COUNTER, OF(out_of_order),
     .fixed = "type=\"float\"",
     .help = "Total number of out of order samples ingestion failed attempts due to out of order "
             "being disabled."},
    {"prometheus_tsdb_out_of_bound_samples_total", METRIC_COUNTER, OF(out_of_bound),
     .fixed = "type=\"float\"",
     .help = "Total number of out of bound samples ingestion failed attempts with out of order "
             "support disabled."},
    {"prometheus_tsdb_head_out_of_order_samples_appended_total", METRIC_COUNTER, OF(late_appended),
     .fixed = "type=\"float\"", .help = "Total number of appended out of order samples."},
    {"prometheus_tsdb_too_old_samples_total", METRIC_COUNTER, OF(too_old),
     .fixed = "type=\"float\"",
     .help = "Total number of out of order samples ingestion failed attempts with out of support "
             "enabled, but sample outside of time window."},
    {"prometheus_tsdb_exemplar_exemplars_appended_total", METRIC_COUNTER, OF(exemplars_appended),
     .help = "Total number of appended exemplars."},
    {"prometheus_tsdb_exemplar_out_of_order_exemplars_total", METRIC_COUNTER, OF(late_exemplars),
     .help = "Total number of out-of-order exemplar ingestion failed attempts."},
    {"prometheus_tsdb_exemplar_exemplars_in_storage", METRIC_GAUGE_FN, .read = read_exemplars,
     .help = "Number of exemplars currently in circular storage."},
    {"prometheus_tsdb_exemplar_series_with_exemplars_in_storage", METRIC_GAUGE_FN,
     .read = read_exemplar_series,
     .help = "Number of series with exemplars currently in circular storage."},
    {"prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds", METRIC_GAUGE_FN,
     .read = read_exemplar_oldest,
     .help = "The timestamp of the oldest exemplar stored in circular storage. Useful to check for "
             "what timerange the current exemplar buffer limit allows."},
    {"prometheus_tsdb_exemplar_max_exemplars", METRIC_GAUGE_FN, .read = read_exemplar_max,
     .help = "Total number of exemplars the exemplar storage can store, resizeable."},
    {"prometheus_tsdb_checkpoint_creations_total", METRIC_COUNTER, OF(checkpoints),
     .help = "Total number of checkpoint creations attempted."},
    {"prometheus_tsdb_checkpoint_creations_failed_total", METRIC_COUNTER, OF(checkpoints_failed),
     .help = "Total number of checkpoint creations that failed."},
    {"prometheus_tsdb_wal_corruptions_total", METRIC_COUNTER_FN, .read = read_corruptions,
     .help = "Total number of WAL corruptions."},
    {"prometheus_tsdb_symbol_table_size_bytes", METRIC_GAUGE_FN, .read = read_symbol_bytes,
     .help = "Size of symbol table in memory for loaded blocks."},
    {"narthex_head_samples", METRIC_GAUGE_FN, .read = read_samples, .help = "Samples in memory."},
    {"narthex_head_chunk_bytes", METRIC_GAUGE_FN, .read = read_chunk_bytes,
     .help = "Memory of chunks."},
    {"narthex_head_memory_bytes", METRIC_GAUGE_FN, .read = read_memory_bytes,
     .help = "Memory of series, labels, posting lists and chunks."},
    {"narthex_head_watermark", METRIC_GAUGE_FN, .read = read_watermark,
     .help = "Sequence number up to which readers see."},
    {"narthex_head_duplicate_samples_total", METRIC_COUNTER, OF(duplicates),
     .help = "Samples refused since another value is stored for their time."},
    {"narthex_head_unknown_ref_samples_total", METRIC_COUNTER, OF(unknown_ref),
     .help = "Samples refused since their series had ended."},
    {"narthex_head_replay_unknown_samples_total", METRIC_COUNTER, OF(replay_unknown),
     .help = "Samples of the log whose series is not known."},
    {"narthex_head_flushed_samples_total", METRIC_COUNTER, OF(flushed_samples),
     .help = "Samples moved into blocks."},
    {"narthex_head_apply_seconds", METRIC_HISTOGRAM, OF(apply_seconds),
     .help = "Time to apply one group of transactions."},
};

/* ---- life ---- */

static void head_set_defaults(struct head_options *options)
{
    if (options->block_range_ms <= 0)
        options->block_range_ms = BLOCK_RANGE_DEFAULT_MS;
    if (options->block_range_ms > BLOCK_RANGE_MAX_MS)
        options->block_range_ms = BLOCK_RANGE_MAX_MS;
    if (options->late_ms_max <= 0)
        options->late_ms_max = options->block_range_ms / 2;
    if (options->wal_segment_size == 0)
        options->wal_segment_size = SEGMENT_SIZE_DEFAULT;
    if (options->checkpoint_bytes == 0)
        options->checkpoint_bytes = CHECKPOINT_DEFAULT;
    if (options->future_ms_max == 0)
        options->future_ms_max = FUTURE_DEFAULT_MS;
    if (options->tenant_max == 0)
        options->tenant_max = TENANT_DEFAULT;
    if (options->exemplar_max == 0)
        options->exemplar_max = EXEMPLAR_DEFAULT;
    else if (options->exemplar_max == HEAD_EXEMPLARS_OFF)
        options->exemplar_max = 0;
}

static struct head *head_new(const struct head_options *options)
{
    struct head *head = mem_alloc_aligned(64, sizeof(*head));

    memset(head, 0, sizeof(*head));
    head->options = *options;
    head_set_defaults(&head->options);
    head->dir = mem_copy_text(options->dir, strlen(options->dir));
    head->hash_key = *options->hash_key;
    head->appender.ops = &head_txn_ops;
    head->source.ops = &head_source_ops;
    head->chunks = chunk_pool_new();
    head->exemplars = head_exemplars_new(head->options.exemplar_max);
    head->metadata = head_metadata_new();
    pthread_mutex_init(&head->slots_lock, NULL);
    pthread_mutex_init(&head->tenants_lock, NULL);
    pthread_mutex_init(&head->guards_lock, NULL);
    pthread_mutex_init(&head->apply_lock, NULL);
    pthread_mutex_init(&head->gate, NULL);
    pthread_mutex_init(&head->txns_lock, NULL);
    pthread_mutex_init(&head->limbo_lock, NULL);
    for (int kind = 0; kind < HEAD_GUARD_KINDS; kind++)
        list_init(&head->guards[kind]);
    head->ticket_next = 1;
    atomic_store(&head->t_min_ms, INT64_MAX);
    atomic_store(&head->t_max_ms, INT64_MIN);
    atomic_store(&head->t_min_next_ms, INT64_MAX);
    atomic_store(&head->late_min_ms, INT64_MAX);
    atomic_store(&head->late_flushed_ms, INT64_MIN);
    atomic_store(&head->late_min_next_ms, INT64_MAX);
    head_series_init(head);
    head_apply_init(head);
    metric_register(options->registry, head_metric_descs, COUNT_OF(head_metric_descs),
                    &head->metrics);
    return head;
}

enum err head_open(const struct head_options *options, struct head **out, struct err_info *info)
{
    struct env *env = options->env;
    struct wal_options wal_options = {.env = env,
                                      .log = options->log,
                                      .registry = options->registry,
                                      .dir = options->dir,
                                      .segment_size = options->wal_segment_size,
                                      .low_space_bytes = options->low_space_bytes,
                                      .on_group = head_apply_group};
    const uint64_t start_ns = env_mono_ns(env);
    struct wal_start start;
    struct head *head;
    enum err err;

    if (strlen(options->dir) > WAL_PATH_SIZE - 64)
        return err_set(info, ERR_BAD_INPUT, "path of the log is too long");
    err = env->fs->mkdir(env, options->dir);
    if (err != ERR_OK && err != ERR_EXISTS)
        return err_set(info, err, "cannot make the directory %s: %s", options->dir, err_text(err));
    head = head_new(options);
    err = head_recover(head, &start, info);
    head->options.windows = NULL;
    head->options.window_count = 0;
    head->options.dir = head->dir;
    mem_free(head->slab_seqs);
    head->slab_seqs = NULL;
    head->slab_seq_count = 0;
    if (err == ERR_OK) {
        wal_options.owner = head;
        err = wal_open(&wal_options, &start, &head->wal, info);
    }
    if (err != ERR_OK) {
        head_close(head);
        return err;
    }
    head->collected_ns = env_mono_ns(env);
    log_info(options->log, "samples in memory are restored",
             F_UINT("series", atomic_load(&head->series_count)),
             F_UINT("samples", atomic_load(&head->sample_count)),
             F_UINT("log_records", head->replay.records),
             F_UINT("corruptions", head->replay.corruptions),
             F_DUR("duration", env_mono_ns(env) - start_ns));
    *out = head;
    return ERR_OK;
}

/* Waits for the last transaction. */
static enum err stop_txns(struct head *head, struct env_op *op, uint64_t deadline_ns)
{
    bool waits;
    enum err err;

    pthread_mutex_lock(&head->guards_lock);
    head->stopping = true;
    waits = head->txn_live_count > 0;
    if (waits)
        head->stop_waiter = op;
    pthread_mutex_unlock(&head->guards_lock);
    if (!waits)
        return ERR_OK;
    err = env_wait(head->options.env, op, deadline_ns);
    if (err != ERR_DEADLINE)
        return err;
    pthread_mutex_lock(&head->guards_lock);
    waits = head->stop_waiter == NULL; /* it is being completed just now */
    head->stop_waiter = NULL;
    pthread_mutex_unlock(&head->guards_lock);
    return waits ? env_wait(head->options.env, op, 0) : ERR_DEADLINE;
}

/* Makes the next start short. Not worth it when there is next to nothing to replay. */
static void stop_checkpoint(struct head *head, uint64_t deadline_ns)
{
    const uint64_t start_ns = env_mono_ns(head->options.env);
    struct err_info info = {{0}};
    struct wal_stats stats;
    uint64_t replay_bytes;
    enum err err;

    wal_get_stats(head->wal, &stats);
    replay_bytes = stats.written_bytes - head->checkpoint_written;
    if (head->checkpoint_written == 0)
        replay_bytes += head->replay.bytes;
    if (!head->options.stop_checkpoint || wal_check(head->wal) != ERR_OK ||
        replay_bytes < head->options.checkpoint_bytes / STOP_CHECKPOINT_SHARE)
        return;
    if (atomic_exchange(&head->upkeep_busy, true))
        return;
    err = head_checkpoint_write(head, deadline_ns, &info);
    atomic_store(&head->upkeep_busy, false);
    if (err != ERR_OK)
        log_warn(head->options.log, "no checkpoint at the stop, the next start replays the log",
                 F_ERR(err, &info));
    else
        log_info(head->options.log, "checkpoint written at the stop",
                 F_DUR("duration", env_mono_ns(head->options.env) - start_ns));
}

enum err head_stop(struct head *head, uint64_t deadline_ns)
{
    struct env_op txns = {0}, drained = {0};
    enum err err = stop_txns(head, &txns, deadline_ns);

    if (err != ERR_OK)
        return err;
    stop_checkpoint(head, deadline_ns);
    wal_drain(head->wal, &drained); /* new series may still be on their way */
    err = env_wait(head->options.env, &drained, 0);
    return err == ERR_OK ? head_apply_wait_idle(head) : err;
}

void head_close(struct head *head)
{
    if (head == NULL)
        return;
    head->closing = true;
    metric_unregister(head->options.registry, head_metric_descs, COUNT_OF(head_metric_descs),
                      &head->metrics);
    (void)wal_close(head->wal);
    if (head->apply_first != NULL)
        head_apply_group(head, head->apply_first, ERR_CLOSED);
    head_txn_free_all(head);
    head_series_fini(head);
    chunk_pool_free(head->chunks);
    head_exemplars_free(head->exemplars);
    head_metadata_free(head->metadata);
    pthread_mutex_destroy(&head->slots_lock);
    pthread_mutex_destroy(&head->tenants_lock);
    pthread_mutex_destroy(&head->guards_lock);
    pthread_mutex_destroy(&head->apply_lock);
    pthread_mutex_destroy(&head->gate);
    pthread_mutex_destroy(&head->txns_lock);
    pthread_mutex_destroy(&head->limbo_lock);
    mem_free(head->cuts);
    mem_free(head->slab_seqs);
    mem_free(head->dir);
    mem_free(head);
}

struct appender *head_appender(struct head *head)
{
    return &head->appender;
}

struct source *head_source(struct head *head)
{
    return &head->source;
}

/* ---- pins ---- */

struct head_pin {
    struct head *head;
    struct head_guard guard;
};

struct head_pin *head_pin_new(struct head *head)
{
    struct head_pin *pin = mem_alloc(sizeof(*pin));

    pin->head = head;
    head_guard_enter(head, &pin->guard, HEAD_GUARD_READER);
    return pin;
}

void head_pin_free(struct head_pin *pin)
{
    if (pin == NULL)
        return;
    head_guard_leave(pin->head, &pin->guard, HEAD_GUARD_READER);
    mem_free(pin);
}

/* ---- upkeep ---- */

void head_maintain(struct head *head)
{
    struct head_collect_options collect = {0};
    const uint64_t now_ns = env_mono_ns(head->options.env);
    struct err_info info = {{0}};
    struct wal_stats stats;
    enum err err;

    wal_maintain(head->wal);
    if (atomic_exchange(&head->upkeep_busy, true))
        return;
    collect.mark = atomic_exchange(&head->collect_wanted, false) ||
                   now_ns - head->collected_ns > COLLECT_INTERVAL_S * UINT64_C(1000000000);
    if (collect.mark)
        head->collected_ns = now_ns;
    head_series_collect(head, &collect);
    wal_get_stats(head->wal, &stats);
    if (wal_check(head->wal) == ERR_OK &&
        stats.written_bytes - head->checkpoint_written >= head->options.checkpoint_bytes) {
        err = head_checkpoint_write(head, 0, &info);
        if (err != ERR_OK)
            log_error(head->options.log, "checkpoint failed", F_ERR(err, &info));
    }
    atomic_store(&head->upkeep_busy, false);
}

enum err head_checkpoint(struct head *head, struct err_info *info)
{
    enum err err;

    if (atomic_exchange(&head->upkeep_busy, true))
        return err_set(info, ERR_EXISTS, "a checkpoint is being written");
    err = head_checkpoint_write(head, 0, info);
    atomic_store(&head->upkeep_busy, false);
    return err;
}

void head_set_exemplar_max(struct head *head, uint32_t max)
{
    head_exemplars_resize(head->exemplars, max);
}

void head_get_stats(struct head *head, struct head_stats *stats)
{
    struct head_exemplars_stats exemplars;
    struct wal_stats wal;
    uint64_t pairs = 0;

    wal_get_stats(head->wal, &wal);
    for (uint32_t i = 0; i < atomic_load(&head->tenant_count); i++)
        pairs += atomic_load(&head_tenant_at(head, i)->index.pair_count);
    head_exemplars_get_stats(head->exemplars, &exemplars);
    *stats = (struct head_stats){.exemplars = exemplars.count,
                                 .series = atomic_load(&head->series_count),
                                 .chunks = atomic_load(&head->chunk_count),
                                 .samples = atomic_load(&head->sample_count),
                                 .label_pairs = pairs,
                                 .tenants = atomic_load(&head->tenant_count),
                                 .t_min_ms = head_t_min(head),
                                 .t_max_ms = atomic_load(&head->t_max_ms),
                                 .memory_bytes = head_memory_bytes(head),
                                 .chunk_bytes = head_chunks_size(head),
                                 .watermark = atomic_load(&head->watermark),
                                 .wal_bytes = wal.written_bytes,
                                 .replay_records = head->replay.records,
                                 .replay_corruptions = head->replay.corruptions,
                                 .replay_torn_tails = head->replay.torn_tails};
}
