/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The total order that settles two different samples of one series and one time, the same in head,
 * merge and compactor: any sample beats a stale marker, then a histogram beats a float, then the
 * larger value bits win (histograms: float beats integer, then field by field). The greater one is
 * kept. So a union of replicas does not depend on the order in which they are read. */

#include "model/histogram.h"
#include "model/sample.h"

/* <0, 0, >0. 0 exactly when both are the same sample, NaN payloads included. */
int order_floats(double a, double b);
int order_histograms(const struct histogram *a, const struct histogram *b);

struct order_sample {
    enum sample_kind kind;
    union {
        double v;
        const struct histogram *histogram;
    };
};

/* The same for samples of either kind. */
int sample_order(const struct order_sample *a, const struct order_sample *b);
