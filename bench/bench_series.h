/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The series that benches of the head make: twelve labels each, as many values as a cluster of
 * hundreds of instances has. Threads: plain values. */

#include <stdio.h>

#include "model/labels.h"

enum { BENCH_LABELS = 12, BENCH_TEXT_SIZE = 48 };

struct bench_series {
    char texts[BENCH_LABELS][BENCH_TEXT_SIZE];
    struct label labels[BENCH_LABELS];
};

/* Labels of the series i, borrowed from *series. */
static inline struct label_set bench_series_labels(struct bench_series *series, unsigned i)
{
    static const char *const names[BENCH_LABELS] = {"__name__", "cluster", "container", "device",
                                                    "instance", "job",     "mode",      "namespace",
                                                    "node",     "pod",     "region",    "zone"};
    static const unsigned spread[BENCH_LABELS] = {500, 1, 20, 8, 100, 5, 8, 10, 100, 200, 2, 3};

    for (unsigned k = 0; k < BENCH_LABELS; k++) {
        const unsigned n = k == 0 ? i % 500 : (i / 500 + i % 7 * k) % spread[k];

        if (k == 4)
            (void)snprintf(series->texts[k], BENCH_TEXT_SIZE, "10.1.0.%u:9100", i / 500);
        else
            (void)snprintf(series->texts[k], BENCH_TEXT_SIZE, "%s_value_%u", names[k], n);
        series->labels[k] =
            (struct label){slice_from_cstr(names[k]), slice_from_cstr(series->texts[k])};
    }
    return (struct label_set){series->labels, BENCH_LABELS};
}
