/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A line of a test script that gives a series: metric{label="value"} VALUE ... ; for loads as for
 * expectations. */

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/histogram.h"
#include "model/labels.h"

struct series_value {
    bool is_gap;
    bool has_hint; /* the histogram's counter_reset_hint is written */
    double v;
    const struct histogram *histogram; /* NULL: a float */
};

struct series_line {
    struct label_set labels;
    struct series_value *values;
    uint32_t count;
    bool is_start_times; /* metric@st ...: start timestamps of the line after it */
};

/* Everything lives in the arena. */
enum err series_line_parse(struct arena *arena, struct slice line, struct series_line *out,
                           struct err_info *info) MUST_USE;
/* A number as values have it: Inf, NaN, decimal, duration; all of text. */
bool series_line_number(struct slice text, double *v);
