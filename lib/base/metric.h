/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Our own metrics. Each module has a `struct x_metrics` of the types below and one table that
 * describes its members; the registry reads them when it is scraped and nothing before.
 *
 *   static const struct metric_desc wal_metric_descs[] = {
 *       {"narthex_wal_syncs_total", METRIC_COUNTER, offsetof(struct wal_metrics, syncs),
 *        .help = "Group commits."},
 *       {"narthex_wal_sync_seconds", METRIC_HISTOGRAM, offsetof(struct wal_metrics, sync_seconds),
 *        .buckets = METRIC_BUCKETS_LATENCY, .help = "Time of one sync."},
 *       {"narthex_wal_segments", METRIC_GAUGE_FN, .read = wal_read_segments, .help = "Segments."},
 *       {"http_requests_total", METRIC_COUNTER, offsetof(struct x, requests),
 *        .labels = "handler,code", .help = "..."},   <- the member is a struct metric_family *
 *   };
 *
 * A metric with `labels` is a family: the member is a pointer that registering sets, and children
 * are found by their label values once and kept. One name may stand in several rows, with different
 * `fixed` labels, if type and help agree.
 *
 * Ownership: the registry borrows tables and structs until metric_unregister.
 * Threads: any. Counting is a relaxed atomic on a cell of the thread's own; finding a child and
 * scraping take the registry's lock. `read` and `collect` run under it and must not register. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum { METRIC_SHARDS = 4, METRIC_BUCKETS_MAX = 24, METRIC_LABELS_MAX = 4 };

struct metric_cell {
    _Atomic uint64_t value;
    char pad[56]; /* two threads do not write to one cache line */
};

/* Goes up only. Scaled when printed (desc.scale), so seconds are counted in nanoseconds. */
struct metric_counter {
    struct metric_cell cells[METRIC_SHARDS];
};

struct metric_gauge {
    _Atomic uint64_t bits; /* of a double */
};

struct metric_buckets {
    uint32_t count;
    double bounds[METRIC_BUCKETS_MAX]; /* upper, rising, without +Inf */
};

/* Set up by registering. */
struct metric_histogram {
    const struct metric_buckets *buckets;
    _Atomic uint64_t counts[METRIC_BUCKETS_MAX + 1];
    _Atomic uint64_t sum_bits;
};

struct metric_family;

enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_COUNTER_FN, /* `read` gives the value */
    METRIC_GAUGE_FN,
    METRIC_COUNTER_COLLECT, /* `collect` gives values with labels of its own */
    METRIC_GAUGE_COLLECT,
};

struct metric_emit; /* where collect puts its values */
typedef double metric_read_fn(const void *metrics);
typedef void metric_collect_fn(const void *metrics, struct metric_emit *emit);

struct metric_desc {
    const char *name;
    enum metric_kind kind;
    size_t offset; /* of the member; unused by the computed kinds */
    const char *help;
    const char *labels; /* "handler,code": a family; label names also of a collect kind */
    const char *fixed;  /* "type=\"float\"": labels of this row, as they are printed */
    const struct metric_buckets *buckets; /* of a histogram; NULL: METRIC_BUCKETS_LATENCY */
    double scale;                         /* of a counter; 0: 1 */
    metric_read_fn *read;
    metric_collect_fn *collect;
};

extern const struct metric_buckets metric_buckets_latency; /* 100 us to 60 s */
extern const struct metric_buckets metric_buckets_size;    /* 100 B to 1 GB */
#define METRIC_BUCKETS_LATENCY (&metric_buckets_latency)
#define METRIC_BUCKETS_SIZE    (&metric_buckets_size)

struct metric_registry;

struct metric_registry *metric_registry_new(void);
void metric_registry_free(struct metric_registry *registry);

/* Registers `count` rows about the struct at `metrics` (borrowed, zeroed before). registry may be
 * NULL: then families and histograms are set up but never shown; free them with metric_unregister
 * as well. */
void metric_register(struct metric_registry *registry, const struct metric_desc *descs,
                     size_t count, void *metrics);
/* Ends it and frees the families of this struct. */
void metric_unregister(struct metric_registry *registry, const struct metric_desc *descs,
                       size_t count, void *metrics);
/* process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds ... */
void metric_register_process(struct metric_registry *registry);

/* The child with these label values (as many as the family has labels), made when first asked for;
 * good as long as the family. Keep it: this takes a lock. */
struct metric_counter *metric_family_counter(struct metric_family *family,
                                             const struct slice *values);
struct metric_gauge *metric_family_gauge(struct metric_family *family, const struct slice *values);
struct metric_histogram *metric_family_histogram(struct metric_family *family,
                                                 const struct slice *values);
/* Forgets a child. Nobody may hold it. */
void metric_family_remove(struct metric_family *family, const struct slice *values);

/* For collect: one value, with as many label values as desc.labels names. */
void metric_emit_value(struct metric_emit *emit, const struct slice *values, double value);

enum metric_format { METRIC_TEXT, METRIC_OPENMETRICS };
/* What an Accept header asks for; empty: text. */
enum metric_format metric_format_from_accept(struct slice accept);
const char *metric_content_type(enum metric_format format);
/* Appends all metrics, sorted by name. out->err says whether it fitted. */
void metric_write(struct metric_registry *registry, enum metric_format format, struct buf *out);

/* Private: the calling thread's cell. */
extern _Thread_local uint32_t metric_thread_shard;
uint32_t metric_thread_shard_new(void);

static inline void metric_add(struct metric_counter *counter, uint64_t n)
{
    uint32_t shard = metric_thread_shard;

    if (__builtin_expect(shard == 0, 0))
        shard = metric_thread_shard_new();
    atomic_fetch_add_explicit(&counter->cells[shard % METRIC_SHARDS].value, n,
                              memory_order_relaxed);
}

static inline void metric_inc(struct metric_counter *counter)
{
    metric_add(counter, 1);
}

/* The sum over all threads. */
uint64_t metric_get(const struct metric_counter *counter);

void metric_gauge_set(struct metric_gauge *gauge, double v);
void metric_gauge_add(struct metric_gauge *gauge, double v);
double metric_gauge_get(const struct metric_gauge *gauge);
void metric_observe(struct metric_histogram *histogram, double v);
