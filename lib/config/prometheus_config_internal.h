/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From checked values to the structs that roles read. */

#include "config/prometheus_config.h"
#include "config/schema.h"

/* A map of texts as a sorted label set; empty values are left out. */
enum err prometheus_config_labels(struct schema_ctx *ctx, const struct schema_value *map,
                                  struct label_set *set) MUST_USE;
/* Fills all but the fingerprint. */
enum err prometheus_config_fill_scrape(struct schema_ctx *ctx, const struct schema_value *value,
                                       struct scrape_config *scrape) MUST_USE;
/* Likewise. */
enum err prometheus_config_fill_remote_write(struct schema_ctx *ctx,
                                             const struct schema_value *value,
                                             enum label_scheme scheme,
                                             struct remote_write_config *remote) MUST_USE;
