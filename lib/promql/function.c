/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/function.h"

#define V PROMQL_VECTOR
#define M PROMQL_MATRIX
#define S PROMQL_SCALAR
#define T PROMQL_STRING
#define TYPE_COUNT_OF(...)                                                                         \
    (sizeof((enum promql_type[]){PROMQL_SCALAR, ##__VA_ARGS__}) / sizeof(enum promql_type) - 1)

static const struct promql_function functions[] = {
#define XX(id, name, result, variadic, experimental, ...)                                          \
    {PROMQL_FUNCTION_##id,       name,         result, variadic, experimental,                     \
     TYPE_COUNT_OF(__VA_ARGS__), {__VA_ARGS__}},
#include "promql/function_list.inc"
#undef XX
};

const struct promql_function *promql_function_find(struct slice name)
{
    size_t low = 0, high = COUNT_OF(functions);

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = slice_cmp(name, slice_from_cstr(functions[middle].name));

        if (order == 0)
            return &functions[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
