/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The functions of the language: names and signatures, for parser and type checker. */

#include "base/slice.h"
#include "promql/ast.h"

enum { PROMQL_FUNCTION_ARGS_MAX = 5 };

#define PROMQL_FUNCTION_NONE PROMQL_FUNCTION_COUNT

enum promql_function_id {
#define XX(id, name, result, variadic, experimental, ...) PROMQL_FUNCTION_##id,
#include "promql/function_list.inc"
#undef XX
    PROMQL_FUNCTION_COUNT
};

struct promql_function {
    enum promql_function_id id;
    const char *name;
    enum promql_type result;
    int variadic; /* further arguments of the last type: at most so many; -1: any; 0: none and all
                     of args are needed; else the last of args may be left out */
    bool is_experimental;
    uint32_t arg_count;
    enum promql_type args[PROMQL_FUNCTION_ARGS_MAX];
};

/* NULL: no function of that name. Names are case-sensitive. */
const struct promql_function *promql_function_find(struct slice name);
