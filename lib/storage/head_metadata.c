/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/head_metadata.h"

#include <pthread.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

/* What one sender says of a metric. */
struct said {
    enum metric_type type;
    struct slice help, unit; /* in text */
    char *text;              /* owned */
};

struct metric {
    struct slice name; /* owned */
    uint32_t tenant;
    uint32_t said_count;
    struct said said[HEAD_METADATA_SAID_MAX]; /* the newest first */
};

struct head_metadata {
    pthread_mutex_t lock;    /* guards all */
    struct map map;          /* by tenant and name: place in metrics */
    struct metric **metrics; /* owned */
    uint32_t count, cap;
    uint32_t *tenant_counts; /* owned: metrics by tenant */
    uint32_t tenant_cap;
    uint64_t memory_bytes;
};

struct metric_key {
    uint32_t tenant;
    struct slice name;
};

static bool metric_eq(const void *key, uint64_t value, void *owner)
{
    const struct head_metadata *metadata = owner;
    const struct metric *metric = metadata->metrics[value];
    const struct metric_key *want = key;

    return metric->tenant == want->tenant && slice_eq(metric->name, want->name);
}

/* FNV-1a: metric names come from those who may write anyway, and a metric is asked for rarely. */
static uint64_t key_hash(const struct metric_key *key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ key->tenant;

    for (size_t i = 0; i < key->name.len; i++)
        hash = (hash ^ (uint8_t)key->name.data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

struct head_metadata *head_metadata_new(void)
{
    struct head_metadata *metadata = mem_zalloc(1, sizeof(*metadata));

    pthread_mutex_init(&metadata->lock, NULL);
    map_init(&metadata->map, metric_eq, metadata);
    return metadata;
}

void head_metadata_free(struct head_metadata *metadata)
{
    if (metadata == NULL)
        return;
    for (uint32_t i = 0; i < metadata->count; i++) {
        struct metric *metric = metadata->metrics[i];

        for (uint32_t k = 0; k < metric->said_count; k++)
            mem_free(metric->said[k].text);
        mem_free((void *)(uintptr_t)metric->name.data);
        mem_free(metric);
    }
    mem_free((void *)metadata->metrics);
    mem_free(metadata->tenant_counts);
    map_fini(&metadata->map);
    pthread_mutex_destroy(&metadata->lock);
    mem_free(metadata);
}

static uint32_t *tenant_count(struct head_metadata *metadata, uint32_t tenant)
{
    if (tenant >= metadata->tenant_cap) {
        const uint32_t cap = tenant + 16;

        metadata->tenant_counts =
            mem_realloc(metadata->tenant_counts, cap * sizeof(*metadata->tenant_counts));
        memset(metadata->tenant_counts + metadata->tenant_cap, 0,
               (cap - metadata->tenant_cap) * sizeof(*metadata->tenant_counts));
        metadata->tenant_cap = cap;
    }
    return &metadata->tenant_counts[tenant];
}

static struct metric *metric_find(const struct head_metadata *metadata,
                                  const struct metric_key *key)
{
    const uint64_t *found = map_find(&metadata->map, key_hash(key), key);

    return found == NULL ? NULL : metadata->metrics[*found];
}

static struct metric *metric_new(struct head_metadata *metadata, const struct metric_key *key)
{
    struct metric *metric = mem_zalloc(1, sizeof(*metric));

    metric->tenant = key->tenant;
    metric->name = slice_of(mem_copy_text(key->name.data, key->name.len), key->name.len);
    if (metadata->count == metadata->cap) {
        metadata->cap = metadata->cap == 0 ? 64 : metadata->cap * 2;
        metadata->metrics =
            mem_realloc((void *)metadata->metrics, metadata->cap * sizeof(*metadata->metrics));
    }
    metadata->metrics[metadata->count] = metric;
    map_insert(&metadata->map, key_hash(key), metadata->count++);
    ++*tenant_count(metadata, key->tenant);
    metadata->memory_bytes += sizeof(*metric) + key->name.len;
    return metric;
}

static bool said_eq(const struct said *a, const struct metadata *b)
{
    return a->type == b->type && slice_eq(a->unit, b->unit) && slice_eq(a->help, b->help);
}

static bool metric_says(const struct metric *metric, const struct metadata *said)
{
    for (uint32_t i = 0; i < metric->said_count; i++)
        if (said_eq(&metric->said[i], said))
            return true;
    return false;
}

static void metric_say(struct head_metadata *metadata, struct metric *metric,
                       const struct metadata *from)
{
    struct said said = {.type = from->type};

    said.text = mem_alloc(from->help.len + from->unit.len + 1);
    if (from->help.len > 0)
        memcpy(said.text, from->help.data, from->help.len);
    if (from->unit.len > 0)
        memcpy(said.text + from->help.len, from->unit.data, from->unit.len);
    said.help = slice_of(said.text, from->help.len);
    said.unit = slice_of(said.text + from->help.len, from->unit.len);
    metadata->memory_bytes += said.help.len + said.unit.len;
    if (metric->said_count == HEAD_METADATA_SAID_MAX) {
        const struct said *oldest = &metric->said[--metric->said_count];

        metadata->memory_bytes -= oldest->help.len + oldest->unit.len;
        mem_free(oldest->text);
    }
    memmove(&metric->said[1], &metric->said[0], metric->said_count * sizeof(said));
    metric->said[0] = said;
    metric->said_count++;
}

static enum head_metadata_end judge(struct head_metadata *metadata, const struct metric *metric,
                                    const struct metric_key *key, const struct metadata *said)
{
    if (metric != NULL)
        return metric_says(metric, said) ? HEAD_METADATA_SAME : HEAD_METADATA_ADDED;
    return *tenant_count(metadata, key->tenant) >= HEAD_METADATA_METRICS_MAX ? HEAD_METADATA_FULL
                                                                             : HEAD_METADATA_ADDED;
}

enum head_metadata_end head_metadata_add(struct head_metadata *metadata, uint32_t tenant,
                                         const struct metadata *said)
{
    const struct metric_key key = {tenant, said->metric};
    enum head_metadata_end end;
    struct metric *metric;

    pthread_mutex_lock(&metadata->lock);
    metric = metric_find(metadata, &key);
    end = judge(metadata, metric, &key, said);
    if (end == HEAD_METADATA_ADDED) {
        if (metric == NULL)
            metric = metric_new(metadata, &key);
        metric_say(metadata, metric, said);
    }
    pthread_mutex_unlock(&metadata->lock);
    return end;
}

enum head_metadata_end head_metadata_look(struct head_metadata *metadata, uint32_t tenant,
                                          const struct metadata *said)
{
    const struct metric_key key = {tenant, said->metric};
    enum head_metadata_end end;

    pthread_mutex_lock(&metadata->lock);
    end = judge(metadata, metric_find(metadata, &key), &key, said);
    pthread_mutex_unlock(&metadata->lock);
    return end;
}

static enum err metric_give(const struct metric *metric, head_metadata_fn *fn, void *owner)
{
    enum err err = ERR_OK;

    for (uint32_t i = metric->said_count; i-- > 0 && err == ERR_OK;) {
        const struct metadata out = {.type = metric->said[i].type,
                                     .metric = metric->name,
                                     .help = metric->said[i].help,
                                     .unit = metric->said[i].unit};

        err = fn(owner, &out);
    }
    return err;
}

enum err head_metadata_each(struct head_metadata *metadata, uint32_t tenant, struct slice name,
                            head_metadata_fn *fn, void *owner)
{
    const struct metric_key key = {tenant, name};
    enum err err = ERR_OK;

    pthread_mutex_lock(&metadata->lock);
    if (name.len > 0) {
        const struct metric *metric = metric_find(metadata, &key);

        if (metric != NULL)
            err = metric_give(metric, fn, owner);
    } else {
        for (uint32_t i = 0; i < metadata->count && err == ERR_OK; i++)
            if (metadata->metrics[i]->tenant == tenant)
                err = metric_give(metadata->metrics[i], fn, owner);
    }
    pthread_mutex_unlock(&metadata->lock);
    return err;
}

uint64_t head_metadata_memory(struct head_metadata *metadata)
{
    uint64_t bytes;

    pthread_mutex_lock(&metadata->lock);
    bytes = metadata->memory_bytes + map_size_bytes(&metadata->map);
    pthread_mutex_unlock(&metadata->lock);
    return bytes;
}
