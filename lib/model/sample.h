/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Samples, exemplars, metadata, and the two NaNs that upstream tells apart by their bits. */

#include <stdint.h>
#include <string.h>

#include "base/slice.h"
#include "model/labels.h"

/* Compare these by bits: an FPU move may not, but isnan() does, lose the difference. */
#define SAMPLE_STALE_BITS  UINT64_C(0x7ff0000000000002)
#define SAMPLE_NORMAL_BITS UINT64_C(0x7ff8000000000001)

struct sample {
    int64_t t_ms;
    double v;
};

enum sample_kind { SAMPLE_FLOAT, SAMPLE_HISTOGRAM };

struct exemplar {
    struct label_set labels; /* borrowed */
    double v;
    int64_t t_ms;
    bool has_t;
};

enum metric_type {
    METRIC_TYPE_UNKNOWN,
    METRIC_TYPE_COUNTER,
    METRIC_TYPE_GAUGE,
    METRIC_TYPE_HISTOGRAM,
    METRIC_TYPE_GAUGEHISTOGRAM,
    METRIC_TYPE_SUMMARY,
    METRIC_TYPE_INFO,
    METRIC_TYPE_STATESET,
};

struct metadata {
    enum metric_type type;
    struct slice metric, help, unit; /* borrowed */
};

static inline uint64_t sample_value_bits(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static inline double sample_value_from_bits(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

static inline bool sample_value_is_stale(double v)
{
    return sample_value_bits(v) == SAMPLE_STALE_BITS;
}
