/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text to syntax tree. Errors are ERR_BAD_INPUT with "line:col: parse error: what", the first one
 * only, worded as upstream does where people know the words. The tree is checked for types.
 * Limits: text of PROMQL_TEXT_SIZE_MAX, depth PROMQL_DEPTH_MAX, the arena's.
 * Threads: any, each with its own arena; nothing is kept but in it. */

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/source.h"
#include "promql/ast.h"

/* Parts of the language that upstream keeps behind --enable-feature. */
struct promql_features {
    bool experimental_functions;
    bool extended_range_selectors; /* anchored, smoothed */
    bool binop_fill_modifiers;
    bool duration_expressions;
};

/* Borrows text until the arena's reset. features may be NULL: none. */
enum err promql_parse(struct arena *arena, struct slice text,
                      const struct promql_features *features, struct promql_expr **expr,
                      struct err_info *info) MUST_USE;

/* A selector alone, as in match[]: name{label="value"}, no offset, no range. *list is its matchers.
 * ERR_BAD_INPUT too if every one of them matches the empty string. */
enum err promql_parse_selector(struct arena *arena, struct slice text, struct matcher_list *list,
                               struct err_info *info) MUST_USE;
