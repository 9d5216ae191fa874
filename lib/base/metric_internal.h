/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What metric.c (counting, families, registry) and metric_text.c (exposition) share. */

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "base/list.h"
#include "base/metric.h"

/* What a family's child, or a plain member, is. */
union metric_value {
    struct metric_counter counter;
    struct metric_gauge gauge;
    struct metric_histogram histogram;
};

struct metric_child {
    struct list_node node;     /* of the family, in order of the label values */
    char *labels;              /* owned: as printed, name="value",... */
    union metric_value *value; /* owned */
};

struct metric_family {
    const struct metric_desc *desc; /* borrowed */
    pthread_mutex_t lock;           /* guards children; taken inside the registry's */
    struct list children;
};

/* One table about one struct. */
struct metric_group {
    struct list_node node;
    const struct metric_desc *descs;
    size_t count;
    void *metrics;
};

struct metric_registry {
    pthread_mutex_t lock; /* guards groups */
    struct list groups;
};

static inline uint64_t metric_bits(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static inline double metric_from_bits(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

static inline void *metric_member(const struct metric_desc *desc, const void *metrics)
{
    return (char *)(uintptr_t)metrics + desc->offset;
}

/* name="value",... of the label names that desc lists. */
void metric_add_labels(struct buf *out, const struct metric_desc *desc, const struct slice *values);
