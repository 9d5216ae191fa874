/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Syntax tree to text, in upstream's normal form; parsing it gives the same tree. */

#include "base/buf.h"
#include "promql/ast.h"

/* Appends to out; look at out->err afterwards. */
void promql_print(struct buf *out, const struct promql_expr *expr);
