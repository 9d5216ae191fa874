/* SPDX-License-Identifier: Apache-2.0 */

/* Values of the tokens that carry one: numbers, durations and strings; and how messages name
 * tokens. */

#include "promql/lexer.h"

#include "base/number.h"
#include "base/time_text.h"
#include "base/utf8.h"

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* Whole numbers with a prefix (0x1F) or, with a leading zero, octal (0755). False if text is no
 * such thing or does not fit 63 bits: then it is read as a float. */
static bool parse_integer(struct slice text, double *v)
{
    uint64_t value = 0;
    uint64_t base = 8;
    size_t at = 1;

    if (text.len < 2 || text.data[0] != '0')
        return false;
    if (text.data[1] == 'x' || text.data[1] == 'X') {
        base = 16;
        at = 2;
    }
    if (at == text.len)
        return false;
    for (; at < text.len; at++) {
        const uint64_t digit = (uint64_t)digit_value(text.data[at]);

        if (text.data[at] == '_') {
            if (at + 1 == text.len || text.data[at + 1] == '_')
                return false;
            continue;
        }
        if (digit >= base || value > ((uint64_t)INT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    *v = (double)value;
    return true;
}

bool promql_lexer_number(struct slice text, double *v, const char **fault)
{
    enum err err;

    if (parse_integer(text, v))
        return true;
    err = number_parse_double(text, v);
    if (err == ERR_OK)
        return true;
    *fault = err == ERR_TOO_LARGE ? "value out of range" : "invalid syntax";
    return false;
}

enum err promql_lexer_duration(struct slice text, double *seconds, struct err_info *info)
{
    int64_t ms;
    const enum err err = time_text_parse_duration(text, &ms, info);

    if (err == ERR_OK)
        *seconds = (double)ms / 1000;
    return err;
}

static char simple_escape(char c)
{
    switch (c) {
    case 'a':
        return '\a';
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    default:
        return c;
    }
}

/* Writes the escape at text.data[0] (behind the backslash); returns the bytes read. */
static size_t unescape(struct slice text, char *out, size_t *len)
{
    const char c = text.data[0];
    size_t digits, first = 1;
    uint32_t base = 16, value = 0;

    switch (c) {
    case 'x':
        digits = 2;
        break;
    case 'u':
        digits = 4;
        break;
    case 'U':
        digits = 8;
        break;
    default:
        if (c < '0' || c > '7') {
            out[(*len)++] = simple_escape(c);
            return 1;
        }
        digits = 3;
        base = 8;
        first = 0;
        break;
    }
    for (size_t i = 0; i < digits; i++)
        value = value * base + (uint32_t)digit_value(text.data[first + i]);
    if (c == 'u' || c == 'U')
        *len += utf8_encode(out + *len, value);
    else
        out[(*len)++] = (char)value;
    return first + digits;
}

enum err promql_lexer_unquote(struct arena *arena, struct slice quoted, struct slice *out)
{
    struct slice inner;
    char *bytes;
    size_t len = 0;

    ASSERT(quoted.len >= 2);
    inner = slice_of(quoted.data + 1, quoted.len - 2);
    if (quoted.data[0] == '`' || inner.len == 0 || memchr(inner.data, '\\', inner.len) == NULL) {
        *out = inner;
        return ERR_OK;
    }
    bytes = arena_alloc(arena, inner.len + 4);
    if (bytes == NULL)
        return ERR_LIMIT;
    for (size_t at = 0; at < inner.len;) {
        if (inner.data[at] != '\\') {
            bytes[len++] = inner.data[at++];
            continue;
        }
        at += 1 + unescape(slice_skip(inner, at + 1), bytes, &len);
    }
    *out = slice_of(bytes, len);
    return ERR_OK;
}

static bool token_is_word(enum promql_token_kind kind)
{
    return kind >= PROMQL_TOKEN_OFFSET && kind <= PROMQL_TOKEN_SMOOTHED;
}

static const char *token_class(enum promql_token_kind kind)
{
    if (kind == PROMQL_TOKEN_IDENTIFIER)
        return "identifier ";
    if (kind == PROMQL_TOKEN_METRIC_IDENTIFIER)
        return "metric identifier ";
    if (kind == PROMQL_TOKEN_STRING)
        return "string ";
    if (kind == PROMQL_TOKEN_NUMBER)
        return "number ";
    if (kind == PROMQL_TOKEN_DURATION)
        return "duration ";
    return "";
}

void promql_lexer_describe(const struct promql_token *token, struct buf *out)
{
    const bool is_op = token->kind == PROMQL_TOKEN_OP || token->kind == PROMQL_TOKEN_AT ||
                       token->kind == PROMQL_TOKEN_REGEX || token->kind == PROMQL_TOKEN_NOT_REGEX;
    struct slice text = token->text;

    if (token->kind == PROMQL_TOKEN_END) {
        buf_add_cstr(out, "end of input");
    } else if (is_op) {
        buf_printf(out, "<op:%.*s>", SLICE_ARG(text));
    } else if (token->kind == PROMQL_TOKEN_AGGREGATOR) {
        buf_printf(out, "<aggr:%.*s>", SLICE_ARG(text));
    } else if (token_is_word(token->kind)) {
        buf_printf(out, "<%.*s>", SLICE_ARG(text));
    } else {
        const bool is_cut = token->kind != PROMQL_TOKEN_IDENTIFIER &&
                            token->kind != PROMQL_TOKEN_METRIC_IDENTIFIER && text.len > 10;

        buf_add_cstr(out, token_class(token->kind));
        if (is_cut)
            text.len = 10;
        while (is_cut && text.len > 0 && !utf8_is_valid(text))
            text.len--;
        utf8_quote(out, text);
        if (is_cut)
            buf_add_cstr(out, "...");
    }
}
