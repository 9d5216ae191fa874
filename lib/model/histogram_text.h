/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A native histogram as upstream prints it:
 *   {count:3, sum:1.5, [-1,-0.5):1, [-0.001,0.001]:1, (1,2]:1} */

#include "base/buf.h"
#include "model/histogram.h"

/* h has passed histogram_check. */
void histogram_text_print(struct buf *out, const struct histogram *h);
