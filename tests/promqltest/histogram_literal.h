/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Native histograms as test scripts write them: {{schema:1 count:3 sum:4 buckets:[1 2] ...}}. */

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"
#include "model/histogram.h"

struct histogram_literal {
    const struct histogram *histogram;
    bool has_hint; /* counter_reset_hint is written */
    size_t len;    /* of the text that it is */
};

/* The literal that text begins with. False: it is none. */
bool histogram_literal_parse(struct arena *arena, struct slice text, struct histogram_literal *out);
/* How long the literal at the beginning of text is; 0: there is none. */
size_t histogram_literal_len(struct slice text);
void histogram_literal_print(struct buf *out, const struct histogram *h);
/* base plus or minus by. NULL: they cannot be combined. */
const struct histogram *histogram_literal_step(struct arena *arena, const struct histogram *base,
                                               const struct histogram *by, bool is_minus);
