/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Samples of a series that its XOR chunk has no room for: floats with start times, histograms
 * (codec/wide_chunk.h). While such a chunk is open, the series' `open` is its encoder and
 * `trailing` says so in bits that no XOR window has; a series of plain floats pays nothing for it.
 *
 * The newest sample of a histogram series is known by a hash of its content in `v_bits`, so that a
 * repeated one is told from another one also when its chunk is gone.
 *
 * Only head_*.c includes it. Threads: all functions want the lock of the series' slab. */

#include "codec/wide_chunk.h"
#include "storage/head_chunk.h"

struct head_wide_append {
    struct wide_sample sample; /* a histogram, or a float with a start time */
    bool is_histogram;
    uint64_t v_bits; /* what a repeated sample is known by */
    uint64_t mark_seq;
    int64_t window_min_ms; /* chunks do not cross it */
};
/* t_ms is above hot->t_ms. Returns how many chunks were begun. */
unsigned head_wide_append(struct head *head, struct series_hot *hot,
                          const struct head_wide_append *append);
/* Whether a float without a start time goes into the open wide chunk, which costs less than to
 * begin another one. */
bool head_wide_takes_float(const struct series_hot *hot, int64_t window_min_ms);
/* Notes what the newest sample is, without its chunk. */
void head_wide_set_newest(struct series_hot *hot, enum head_newest newest);

/* Takes the encoder of an open chunk that a checkpoint had. */
void head_wide_open(struct head *head, struct series_hot *hot, struct wide_encoder *encoder);
/* Ends the open wide chunk: the series has none then. */
void head_wide_reset(struct head *head, struct series_hot *hot);
static inline struct wide_encoder *head_wide_encoder(const struct series_hot *hot)
{
    return (struct wide_encoder *)(void *)hot->open;
}

/* The samples of a wide chunk that a drop leaves. */
struct head_wide_rest {
    struct wide_encoder *encoder; /* the caller's; NULL: none is left */
    uint32_t dropped;
    int64_t t_max_ms;
};
void head_wide_rewrite(struct slice bytes, const struct head_drop *drop, uint32_t visible,
                       struct head_wide_rest *rest);
