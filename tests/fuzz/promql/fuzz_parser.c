/* SPDX-License-Identifier: Apache-2.0 */

/* What parses prints, and the print parses to the same tree: it prints the same again. What does
 * not parse has a message. */
#include <stdio.h>

#include "base/assert.h"
#include "promql/parser.h"
#include "promql/printer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct promql_features all = {true, true, true, true};

static void check_printed(struct slice printed, struct slice text)
{
    struct arena arena;
    struct promql_expr *expr;
    struct err_info info = {0};
    struct buf again;

    arena_init(&arena, NULL, 64 << 20);
    buf_init(&again, 8 << 20);
    if (promql_parse(&arena, printed, &all, &expr, &info) != ERR_OK) {
        fprintf(stderr, "%.*s\n%.*s\n%s\n", SLICE_ARG(text), SLICE_ARG(printed), info.message);
        ASSERT(arena.err != ERR_OK);
    } else {
        promql_print(&again, expr);
        if (!slice_eq(printed, buf_slice(&again)))
            fprintf(stderr, "%.*s\n%.*s\n", SLICE_ARG(printed), SLICE_ARG(buf_slice(&again)));
        ASSERT(slice_eq(printed, buf_slice(&again)));
    }
    buf_fini(&again);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice text = slice_of(data, size);
    struct arena arena;
    struct promql_expr *expr;
    struct matcher_list list;
    struct err_info info = {0};

    if (size > 65536)
        return 0;
    arena_init(&arena, NULL, 64 << 20);
    if (promql_parse(&arena, text, &all, &expr, &info) == ERR_OK) {
        struct buf printed;

        buf_init(&printed, 8 << 20);
        promql_print(&printed, expr);
        if (printed.err == ERR_OK && printed.len < PROMQL_TEXT_SIZE_MAX)
            check_printed(buf_slice(&printed), text);
        buf_fini(&printed);
    } else {
        ASSERT(info.message[0] != '\0');
    }
    info.message[0] = '\0';
    if (promql_parse_selector(&arena, text, &list, &info) != ERR_OK)
        ASSERT(info.message[0] != '\0');
    arena_fini(&arena);
    return 0;
}
