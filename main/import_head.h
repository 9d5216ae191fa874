/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a Prometheus has not put into blocks yet: its write-ahead log (last checkpoint and the
 * segments after it), the log of late samples, and the chunks of its head on disk. Read as
 * Prometheus replays them: in order, what is not newer than its series' last sample is no sample;
 * what is older than the blocks' end is in the blocks or deleted. */

#include "main/import_out.h"

struct import_head_options {
    const char *dir;         /* of Prometheus's data */
    int64_t t_blocks_end_ms; /* end of the newest block in order; INT64_MIN: none */
};

/* Faults are named and counted. */
void import_head(struct import *import, const struct import_head_options *options);
