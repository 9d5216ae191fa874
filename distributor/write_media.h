/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which message a write request holds, and how it is packed: its Content-Type and
 * Content-Encoding. Plain values. */

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

struct write_media {
    bool is_version2; /* io.prometheus.write.v2.Request, else prometheus.WriteRequest */
    bool is_zstd;     /* else a snappy block */
};

/* Both headers may be empty: upstream takes that for 1.0 and snappy. UNSUPPORTED names what is not
 * taken. */
enum err write_media_read(struct slice content_type, struct slice content_encoding,
                          struct write_media *media, struct err_info *info) MUST_USE;
