/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Compensated sums (Kahan, in Neumaier's form), and means over them. */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* One more addend; what the sum could not take is kept in *low. */
static inline void promql_sum_add(double x, double *sum, double *low)
{
    const double total = *sum + x;

    if (isinf(total))
        *low = 0;
    else if (fabs(*sum) >= fabs(x))
        *low += (*sum - total) + x;
    else
        *low += (x - total) + *sum;
    *sum = total;
}

/* Mean of values, in their order: their sum divided, and from where the sum would overflow a
 * running mean. count >= 1. */
static inline double promql_sum_mean(const double *v, uint32_t count)
{
    double sum = v[0], low = 0;
    bool is_running = false;

    for (uint32_t i = 1; i < count; i++) {
        const double n = i + 1;

        if (!is_running) {
            double next = sum, next_low = low;

            promql_sum_add(v[i], &next, &next_low);
            if (!isinf(next)) {
                sum = next;
                low = next_low;
                continue;
            }
            is_running = true;
            sum /= n - 1;
            low /= n - 1;
        }
        sum *= (n - 1) / n;
        low *= (n - 1) / n;
        promql_sum_add(v[i] / n, &sum, &low);
    }
    return is_running ? sum + low : sum / count + low / count;
}
