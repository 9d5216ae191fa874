/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* meta.json of a Prometheus block. A plain value. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum { PROM_META_VERSION = 1, PROM_META_SIZE_MAX = 16 << 20, PROM_ULID_SIZE = 27 };

struct prom_meta {
    char ulid[PROM_ULID_SIZE];  /* as it stands there; terminated */
    int64_t t_min_ms, t_end_ms; /* [min, end) */
    uint64_t sample_count, float_sample_count, histogram_sample_count;
    uint64_t series_count, chunk_count, tombstone_count;
    uint32_t level;
    bool is_out_of_order; /* made from late samples: says nothing about what the head has */
};

/* Reads an untrusted text. ERR_CORRUPT; ERR_VERSION: not version 1. */
enum err prom_meta_parse(struct slice text, struct prom_meta *meta, struct err_info *info) MUST_USE;
/* Appends the text as Prometheus writes it. */
void prom_meta_print(const struct prom_meta *meta, struct buf *out);
