/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Parameters of API requests, with upstream's error texts. All give ERR_BAD_INPUT with a message in
 * info. Threads: any, each with a request of its own; nothing is kept. */

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/source.h"
#include "net/http_params.h"

/* What "no time given" means to the series API: all there is. */
#define API_TIME_MIN (INT64_MIN / 2)
#define API_TIME_MAX (INT64_MAX / 2)

/* Seconds or RFC 3339. Not there: *t_ms keeps its value. */
enum err api_param_time(const struct http_params *params, const char *name, int64_t *t_ms,
                        struct err_info *info) MUST_USE;
/* The same for one that must be there. */
enum err api_param_time_required(const struct http_params *params, const char *name, int64_t *t_ms,
                                 struct err_info *info) MUST_USE;
/* Seconds or a duration. Not there: *ms keeps its value. */
enum err api_param_duration(const struct http_params *params, const char *name, int64_t *ms,
                            struct err_info *info) MUST_USE;
/* 0 or not there: no limit. */
enum err api_param_limit(const struct http_params *params, uint32_t *limit,
                         struct err_info *info) MUST_USE;
/* All match[] selectors, in the arena. */
enum err api_param_matchers(const struct http_params *params, struct arena *arena,
                            struct matcher_list **lists, uint32_t *count,
                            struct err_info *info) MUST_USE;
/* A label name of a path; "U__..." is decoded into the arena. */
enum err api_param_label_name(struct slice raw, struct arena *arena, struct slice *name,
                              struct err_info *info) MUST_USE;
