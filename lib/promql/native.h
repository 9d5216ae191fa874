/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What functions compute of one native histogram: a float one, as all of PromQL's are. */

#include "model/histogram.h"

/* What a person should know of a result. */
enum promql_native_note {
    PROMQL_NATIVE_FINE,
    PROMQL_NATIVE_NAN_RESULT, /* the quantile is among the NaNs that were observed */
    PROMQL_NATIVE_NAN_SKEW,   /* NaNs were observed: the quantile is too high */
    PROMQL_NATIVE_NANS_LEFT_OUT,
};

/* q below 0 gives -Inf, above 1 +Inf; NaN for NaN or no observations. */
double promql_native_quantile(const struct histogram *h, double q, enum promql_native_note *note);
/* The share of observations between two values. */
double promql_native_fraction(const struct histogram *h, double lower, double upper,
                              enum promql_native_note *note);
/* Observations count as if they were in the middle of their bucket. */
double promql_native_variance(const struct histogram *h);
