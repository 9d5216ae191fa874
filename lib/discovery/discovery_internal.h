/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a kind of discovery implements. */

#include "discovery/discovery.h"

struct discovery_ops {
    void (*start)(struct discovery *discovery);
    void (*stop)(struct discovery *discovery);
    void (*free)(struct discovery *discovery);
};

/* First member of every kind. */
struct discovery {
    const struct discovery_ops *ops;
    struct discovery_options options;
};

struct discovery *discovery_file_new(const struct discovery_options *options);
