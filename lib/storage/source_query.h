/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The arguments of one call of source.h, as one thing. Borrows all. */

#include <stdint.h>

#include "model/source.h"

struct source_query {
    struct source_ctx *ctx;
    struct matcher_list matchers;
    int64_t t_min_ms, t_max_ms;       /* both included */
    const struct source_hints *hints; /* of a select; may be NULL */
    struct slice name;                /* of label_values */
};
