/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metric.h"

#include <string.h>

#include "base/mem.h"
#include "base/metric_internal.h"

enum { METRIC_NAME_MAX = 200 };

const struct metric_buckets metric_buckets_latency = {
    .count = 18,
    .bounds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
               2.5, 5, 10, 30, 60},
};

const struct metric_buckets metric_buckets_size = {
    .count = 8,
    .bounds = {100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9},
};

_Thread_local uint32_t metric_thread_shard; /* 0: not yet given */

uint32_t metric_thread_shard_new(void)
{
    static _Atomic uint32_t next;

    metric_thread_shard =
        atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % METRIC_SHARDS + METRIC_SHARDS;
    return metric_thread_shard;
}

uint64_t metric_get(const struct metric_counter *counter)
{
    uint64_t sum = 0;

    for (int i = 0; i < METRIC_SHARDS; i++)
        sum += atomic_load_explicit(&counter->cells[i].value, memory_order_relaxed);
    return sum;
}

static void metric_add_bits(_Atomic uint64_t *at, double v)
{
    uint64_t old = atomic_load_explicit(at, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(at, &old, metric_bits(metric_from_bits(old) + v),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void metric_gauge_set(struct metric_gauge *gauge, double v)
{
    atomic_store_explicit(&gauge->bits, metric_bits(v), memory_order_relaxed);
}

void metric_gauge_add(struct metric_gauge *gauge, double v)
{
    metric_add_bits(&gauge->bits, v);
}

double metric_gauge_get(const struct metric_gauge *gauge)
{
    return metric_from_bits(atomic_load_explicit(&gauge->bits, memory_order_relaxed));
}

void metric_observe(struct metric_histogram *histogram, double v)
{
    const struct metric_buckets *buckets = histogram->buckets;
    uint32_t at = 0;

    ASSERT(buckets != NULL);
    while (at < buckets->count && !(v <= buckets->bounds[at]))
        at++;
    atomic_fetch_add_explicit(&histogram->counts[at], 1, memory_order_relaxed);
    metric_add_bits(&histogram->sum_bits, v);
}

/* ---- families ---- */

static size_t metric_value_size(const struct metric_desc *desc)
{
    switch (desc->kind) {
    case METRIC_COUNTER:
        return sizeof(struct metric_counter);
    case METRIC_HISTOGRAM:
        return sizeof(struct metric_histogram);
    case METRIC_GAUGE:
        return sizeof(struct metric_gauge);
    case METRIC_COUNTER_FN:
    case METRIC_GAUGE_FN:
    case METRIC_COUNTER_COLLECT:
    case METRIC_GAUGE_COLLECT:
        break;
    }
    ASSERT(desc->labels == NULL);
    return sizeof(union metric_value);
}

static void metric_child_free(struct metric_child *child)
{
    mem_free(child->labels);
    mem_free(child->value);
    mem_free(child);
}

static struct metric_child *metric_child_new(const struct metric_desc *desc, const char *labels)
{
    struct metric_child *child = mem_zalloc(1, sizeof(*child));

    child->labels = mem_copy_text(labels, strlen(labels));
    child->value = mem_zalloc(1, metric_value_size(desc));
    if (desc->kind == METRIC_HISTOGRAM)
        child->value->histogram.buckets =
            desc->buckets != NULL ? desc->buckets : METRIC_BUCKETS_LATENCY;
    return child;
}

/* The child with these printed labels; made if `make`. The lock is held. */
static struct metric_child *metric_family_find(struct metric_family *family, const char *labels,
                                               bool make)
{
    struct list_node *before = &family->children.head;
    struct metric_child *child;

    LIST_EACH(&family->children, node)
    {
        const int order = strcmp(CONTAINER_OF(node, struct metric_child, node)->labels, labels);

        if (order == 0)
            return CONTAINER_OF(node, struct metric_child, node);
        if (order > 0)
            break;
        before = node;
    }
    if (!make)
        return NULL;
    child = metric_child_new(family->desc, labels);
    list_insert_after(before, &child->node);
    return child;
}

static union metric_value *metric_family_get(struct metric_family *family,
                                             const struct slice *values)
{
    struct buf labels;
    struct metric_child *child;

    buf_init(&labels, 1 << 20);
    metric_add_labels(&labels, family->desc, values);
    buf_add_byte(&labels, '\0');
    ASSERT(labels.err == ERR_OK);
    pthread_mutex_lock(&family->lock);
    child = metric_family_find(family, labels.data, true);
    pthread_mutex_unlock(&family->lock);
    buf_fini(&labels);
    return child->value;
}

struct metric_counter *metric_family_counter(struct metric_family *family,
                                             const struct slice *values)
{
    ASSERT(family->desc->kind == METRIC_COUNTER);
    return &metric_family_get(family, values)->counter;
}

struct metric_gauge *metric_family_gauge(struct metric_family *family, const struct slice *values)
{
    ASSERT(family->desc->kind == METRIC_GAUGE);
    return &metric_family_get(family, values)->gauge;
}

struct metric_histogram *metric_family_histogram(struct metric_family *family,
                                                 const struct slice *values)
{
    ASSERT(family->desc->kind == METRIC_HISTOGRAM);
    return &metric_family_get(family, values)->histogram;
}

void metric_family_remove(struct metric_family *family, const struct slice *values)
{
    struct buf labels;
    struct metric_child *child;

    buf_init(&labels, 1 << 20);
    metric_add_labels(&labels, family->desc, values);
    buf_add_byte(&labels, '\0');
    pthread_mutex_lock(&family->lock);
    child = metric_family_find(family, labels.data, false);
    if (child != NULL)
        list_remove(&child->node);
    pthread_mutex_unlock(&family->lock);
    buf_fini(&labels);
    if (child != NULL)
        metric_child_free(child);
}

static struct metric_family *metric_family_new(const struct metric_desc *desc)
{
    struct metric_family *family = mem_zalloc(1, sizeof(*family));

    family->desc = desc;
    pthread_mutex_init(&family->lock, NULL);
    list_init(&family->children);
    return family;
}

static void metric_family_free(struct metric_family *family)
{
    LIST_EACH(&family->children, node)
    {
        metric_child_free(CONTAINER_OF(node, struct metric_child, node));
    }
    pthread_mutex_destroy(&family->lock);
    mem_free(family);
}

/* ---- registry ---- */

struct metric_registry *metric_registry_new(void)
{
    struct metric_registry *registry = mem_zalloc(1, sizeof(*registry));

    pthread_mutex_init(&registry->lock, NULL);
    list_init(&registry->groups);
    return registry;
}

void metric_registry_free(struct metric_registry *registry)
{
    if (registry == NULL)
        return;
    LIST_EACH(&registry->groups, node)
    {
        struct metric_group *group = CONTAINER_OF(node, struct metric_group, node);

        metric_unregister(registry, group->descs, group->count, group->metrics);
    }
    pthread_mutex_destroy(&registry->lock);
    mem_free(registry);
}

static bool metric_is_computed(const struct metric_desc *desc)
{
    return desc->read != NULL || desc->collect != NULL;
}

void metric_register(struct metric_registry *registry, const struct metric_desc *descs,
                     size_t count, void *metrics)
{
    struct metric_group *group;

    for (size_t i = 0; i < count; i++) {
        const struct metric_desc *desc = &descs[i];

        ASSERT(strlen(desc->name) <= METRIC_NAME_MAX);
        if (metric_is_computed(desc))
            continue;
        if (desc->labels != NULL) {
            *(struct metric_family **)metric_member(desc, metrics) = metric_family_new(desc);
        } else if (desc->kind == METRIC_HISTOGRAM) {
            struct metric_histogram *histogram = metric_member(desc, metrics);

            histogram->buckets = desc->buckets != NULL ? desc->buckets : METRIC_BUCKETS_LATENCY;
        }
    }
    if (registry == NULL)
        return;
    group = mem_zalloc(1, sizeof(*group));
    *group = (struct metric_group){.descs = descs, .count = count, .metrics = metrics};
    pthread_mutex_lock(&registry->lock);
    list_push_back(&registry->groups, &group->node);
    pthread_mutex_unlock(&registry->lock);
}

void metric_unregister(struct metric_registry *registry, const struct metric_desc *descs,
                       size_t count, void *metrics)
{
    struct metric_group *found = NULL;

    if (registry != NULL) {
        pthread_mutex_lock(&registry->lock);
        LIST_EACH(&registry->groups, node)
        {
            struct metric_group *group = CONTAINER_OF(node, struct metric_group, node);

            if (found == NULL && group->descs == descs && group->metrics == metrics)
                found = group;
        }
        if (found != NULL)
            list_remove(&found->node);
        pthread_mutex_unlock(&registry->lock);
        mem_free(found);
    }
    for (size_t i = 0; i < count; i++) {
        struct metric_family **family;

        if (metric_is_computed(&descs[i]) || descs[i].labels == NULL)
            continue;
        family = metric_member(&descs[i], metrics);
        if (*family != NULL)
            metric_family_free(*family);
        *family = NULL;
    }
}
