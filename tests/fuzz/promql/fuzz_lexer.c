/* SPDX-License-Identifier: Apache-2.0 */

/* Tokens stay within the text, move forward and end; strings that were accepted can be unquoted. */
#include "base/assert.h"
#include "promql/lexer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct promql_lexer lexer;
    struct promql_token token;
    struct arena arena;
    struct buf name;
    uint32_t end = 0;
    size_t count = 0;

    if (size > 65536)
        return 0;
    arena_init(&arena, NULL, 16 << 20);
    promql_lexer_init(&lexer, slice_of(data, size));
    do {
        struct err_info info = {0};
        const char *fault;
        struct slice value;
        double v;

        token = promql_lexer_next(&lexer);
        ASSERT(token.span.start >= end);
        ASSERT(token.span.end >= token.span.start);
        ASSERT(token.span.end <= size);
        ASSERT(++count <= size + 2);
        buf_init(&name, 4 * 65536 + 64);
        promql_lexer_describe(&token, &name);
        buf_fini(&name);
        if (token.kind == PROMQL_TOKEN_ERROR)
            break;
        end = token.span.end;
        if (token.kind == PROMQL_TOKEN_STRING)
            ASSERT(promql_lexer_unquote(&arena, token.text, &value) == ERR_OK);
        else if (token.kind == PROMQL_TOKEN_NUMBER)
            (void)promql_lexer_number(token.text, &v, &fault);
        else if (token.kind == PROMQL_TOKEN_DURATION &&
                 promql_lexer_duration(token.text, &v, &info))
            ASSERT(info.message[0] != '\0');
    } while (token.kind != PROMQL_TOKEN_END);
    arena_fini(&arena);
    return 0;
}
