/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Texts of scalar settings to values, with upstream's rules and words of refusal.
 * Pure; threads: any. */

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

/* Base-2 sizes: one or more of a number and a unit: "15MB", "1.5GiB", "1GB512MB"; "0" has none. */
enum err scalar_parse_size(struct slice text, int64_t *bytes, struct err_info *info) MUST_USE;
/* "15MiB", "1GiB512MiB", "100B". */
void scalar_print_size(struct buf *out, int64_t bytes);

/* Parts of a URL, as upstream's library splits it; borrowed from the text. */
struct scalar_url {
    struct slice scheme, userinfo, host, path, query; /* host with its port */
};

/* ERR_BAD_INPUT when upstream's parser would refuse: control characters, a colon in the first
 * segment, an empty scheme, a bad port, a bad %-escape in the host. */
enum err scalar_parse_url(struct slice text, struct scalar_url *url,
                          struct err_info *info) MUST_USE;
/* The URL with the password replaced by xxxxx. */
void scalar_print_url(struct buf *out, struct slice text);

/* 8-4-4-4-12 hex digits. */
bool scalar_is_uuid(struct slice text);
