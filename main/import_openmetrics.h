/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* OpenMetrics text with a timestamp on each sample, as `promtool tsdb create-blocks-from
 * openmetrics` takes it; samples in any order. A fault anywhere means that nothing of the file is
 * imported. */

#include "main/import_out.h"

/* Faults are named and counted. */
void import_openmetrics(struct import *import, const char *path);
