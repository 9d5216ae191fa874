/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One block of a Prometheus, imported: its index is walked once for each day, its chunks are
 * decoded as they come, and what its tombstones cover is left out. Memory: one series at a time,
 * and what maps of its files the system keeps. */

#include "main/import_out.h"
#include "promtsdb/prom_meta.h"

/* dir: of the block. Faults are named and counted. Sets *meta, if meta.json can be read. */
void import_block(struct import *import, const char *dir, struct prom_meta *meta);
