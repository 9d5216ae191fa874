/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/lexer.h"

#include <stdio.h>
#include <strings.h>

#include "base/utf8.h"

#define RUNE_END UINT32_MAX

struct keyword {
    const char *text;
    enum promql_token_kind kind;
    int detail; /* operator or aggregator */
};

static const struct keyword keywords[] = {{"and", PROMQL_TOKEN_OP, PROMQL_OP_AND},
                                          {"or", PROMQL_TOKEN_OP, PROMQL_OP_OR},
                                          {"unless", PROMQL_TOKEN_OP, PROMQL_OP_UNLESS},
                                          {"atan2", PROMQL_TOKEN_OP, PROMQL_OP_ATAN2},
                                          {"offset", PROMQL_TOKEN_OFFSET, 0},
                                          {"smoothed", PROMQL_TOKEN_SMOOTHED, 0},
                                          {"anchored", PROMQL_TOKEN_ANCHORED, 0},
                                          {"by", PROMQL_TOKEN_BY, 0},
                                          {"without", PROMQL_TOKEN_WITHOUT, 0},
                                          {"on", PROMQL_TOKEN_ON, 0},
                                          {"ignoring", PROMQL_TOKEN_IGNORING, 0},
                                          {"group_left", PROMQL_TOKEN_GROUP_LEFT, 0},
                                          {"group_right", PROMQL_TOKEN_GROUP_RIGHT, 0},
                                          {"fill", PROMQL_TOKEN_FILL, 0},
                                          {"fill_left", PROMQL_TOKEN_FILL_LEFT, 0},
                                          {"fill_right", PROMQL_TOKEN_FILL_RIGHT, 0},
                                          {"bool", PROMQL_TOKEN_BOOL, 0},
                                          {"start", PROMQL_TOKEN_START, 0},
                                          {"end", PROMQL_TOKEN_STOP, 0},
                                          {"step", PROMQL_TOKEN_STEP, 0},
                                          {"range", PROMQL_TOKEN_RANGE, 0},
                                          {"max_of", PROMQL_TOKEN_MAX_OF, 0},
                                          {"min_of", PROMQL_TOKEN_MIN_OF, 0},
                                          {"inf", PROMQL_TOKEN_NUMBER, 0},
                                          {"nan", PROMQL_TOKEN_NUMBER, 0},
#define XX(name, text, has_param) {text, PROMQL_TOKEN_AGGREGATOR, PROMQL_##name},
                                          PROMQL_AGGREGATOR_LIST(XX)
#undef XX
};

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(uint32_t c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(uint32_t c)
{
    return is_alpha(c) || is_digit(c);
}

/* The byte at the cursor, or RUNE_END. Only strings and messages need whole code points. */
static uint32_t peek(const struct promql_lexer *lexer)
{
    if (lexer->at >= lexer->text.len)
        return RUNE_END;
    return (unsigned char)lexer->text.data[lexer->at];
}

static bool accept(struct promql_lexer *lexer, const char *set)
{
    const uint32_t c = peek(lexer);

    if (c == RUNE_END || c == 0 || c > 0x7f || strchr(set, (int)c) == NULL)
        return false;
    lexer->at++;
    return true;
}

static bool at_one_of(const struct promql_lexer *lexer, const char *set)
{
    const uint32_t c = peek(lexer);

    return c != RUNE_END && c != 0 && c <= 0x7f && strchr(set, (int)c) != NULL;
}

static struct promql_token emit(struct promql_lexer *lexer, enum promql_token_kind kind)
{
    const struct promql_token token = {
        .kind = kind,
        .span = {lexer->start, lexer->at},
        .text = slice_of(lexer->text.data + lexer->start, lexer->at - lexer->start),
    };

    lexer->start = lexer->at;
    return token;
}

static struct promql_token emit_op(struct promql_lexer *lexer, enum promql_op op)
{
    struct promql_token token = emit(lexer, PROMQL_TOKEN_OP);

    token.op = op;
    return token;
}

static struct promql_token fail(struct promql_lexer *lexer, struct buf *message)
{
    const struct slice text = buf_slice(message);

    snprintf(lexer->message, sizeof(lexer->message), "%.*s", SLICE_ARG(text));
    buf_fini(message);
    lexer->is_done = true;
    return (struct promql_token){
        .kind = PROMQL_TOKEN_ERROR,
        .span = {lexer->start, (uint32_t)lexer->text.len},
        .text = slice_from_cstr(lexer->message),
    };
}

static struct promql_token fail_text(struct promql_lexer *lexer, const char *text)
{
    struct buf message;

    buf_init(&message, sizeof(lexer->message));
    buf_add_cstr(&message, text);
    return fail(lexer, &message);
}

/* A code point in single quotes, as Go's %q. */
static void add_rune(struct buf *out, uint32_t rune)
{
    char bytes[4];

    buf_add_byte(out, '\'');
    if (rune == RUNE_END)
        rune = UTF8_BAD;
    if (rune == '\'' || rune == '\\')
        buf_printf(out, "\\%c", (int)rune);
    else if (rune == '\n')
        buf_add_cstr(out, "\\n");
    else if (rune == '\t')
        buf_add_cstr(out, "\\t");
    else if (rune == '\r')
        buf_add_cstr(out, "\\r");
    else if (utf8_is_print(rune))
        buf_add(out, bytes, utf8_encode(bytes, rune));
    else if (rune < 0x80)
        buf_printf(out, "\\x%02x", rune);
    else
        buf_printf(out, rune > 0xffff ? "\\U%08x" : "\\u%04x", rune);
    buf_add_byte(out, '\'');
}

/* "<text> 'c'" for the code point at an offset; a tail may follow. */
static struct promql_token fail_at(struct promql_lexer *lexer, const char *text, uint32_t offset)
{
    struct buf message;
    uint32_t rune = RUNE_END;

    if (offset < lexer->text.len)
        utf8_decode(slice_skip(lexer->text, offset), &rune);
    buf_init(&message, sizeof(lexer->message));
    buf_add_cstr(&message, text);
    add_rune(&message, rune);
    return fail(lexer, &message);
}

static struct promql_token fail_number(struct promql_lexer *lexer)
{
    struct buf message;

    buf_init(&message, sizeof(lexer->message));
    buf_add_cstr(&message, "bad number or duration syntax: ");
    utf8_quote(&message, slice_of(lexer->text.data + lexer->start, lexer->at - lexer->start));
    return fail(lexer, &message);
}

/* The body of a number after its first characters; false on a fault, with the cursor behind it. */
static bool scan_number_tail(struct promql_lexer *lexer, const char *digits)
{
    const bool is_hex = digits[10] != '\0';
    bool has_dot = false, has_exponent = false;

    for (;;) {
        if (at_one_of(lexer, ".")) {
            lexer->at++;
            if (has_dot || is_hex || accept(lexer, "_."))
                return false;
            has_dot = true;
        } else if (!is_hex && at_one_of(lexer, "eE")) {
            lexer->at++;
            if (has_exponent)
                return false;
            has_exponent = true;
            accept(lexer, "+-");
            if (accept(lexer, "._eE") || peek(lexer) == RUNE_END)
                return false;
        } else if (at_one_of(lexer, "_")) {
            lexer->at++;
            if (accept(lexer, is_hex ? "._" : "._eE") || peek(lexer) == RUNE_END)
                return false;
        } else if (!accept(lexer, digits)) {
            return true;
        }
    }
}

static bool scan_number(struct promql_lexer *lexer)
{
    const uint32_t first = lexer->at;
    const char *digits = "0123456789";

    if (accept(lexer, "0") && accept(lexer, "xX")) {
        accept(lexer, "_");
        digits = "0123456789abcdefABCDEF";
    }
    if (!scan_number_tail(lexer, digits) || lexer->at == first)
        return false;
    return !is_word(peek(lexer));
}

/* After the digits of a number: the rest of 1h30m. Units are checked when its value is taken. */
static bool scan_duration_tail(struct promql_lexer *lexer)
{
    if (!accept(lexer, "smhdwy"))
        return false;
    accept(lexer, "s");
    while (accept(lexer, "0123456789")) {
        while (accept(lexer, "0123456789"))
            ;
        if (!accept(lexer, "smhdw"))
            return false;
        accept(lexer, "s");
    }
    if (!is_word(peek(lexer)))
        return true;
    lexer->at++; /* the message shows it */
    return false;
}

static struct promql_token lex_number(struct promql_lexer *lexer)
{
    if (scan_number(lexer))
        return emit(lexer, PROMQL_TOKEN_NUMBER);
    if (scan_duration_tail(lexer))
        return emit(lexer, PROMQL_TOKEN_DURATION);
    return fail_number(lexer);
}

static uint32_t hex_value(uint32_t c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* How a numeric escape is read: digits, base, largest value. */
struct escape_form {
    uint32_t digits, base, max;
};

static bool escape_form_of(uint32_t c, struct escape_form *form)
{
    switch (c) {
    case 'x':
        *form = (struct escape_form){2, 16, 255};
        return true;
    case 'u':
        *form = (struct escape_form){4, 16, 0x10ffff};
        return true;
    case 'U':
        *form = (struct escape_form){8, 16, 0x10ffff};
        return true;
    default:
        *form = (struct escape_form){3, 8, 255};
        return c >= '0' && c <= '7';
    }
}

/* One escape, the backslash already passed. Returns a message, or NULL. */
static const char *scan_escape(struct promql_lexer *lexer, uint32_t quote, uint32_t *fault_at)
{
    struct escape_form form;
    uint32_t value = 0;
    const uint32_t c = peek(lexer);

    *fault_at = UINT32_MAX;
    if (c == RUNE_END)
        return "escape sequence not terminated";
    if (c == quote || (c != 0 && c < 0x80 && strchr("abfnrtv\\", (int)c) != NULL)) {
        lexer->at++;
        return NULL;
    }
    if (!escape_form_of(c, &form)) {
        *fault_at = lexer->at;
        return "unknown escape sequence ";
    }
    if (form.base == 16)
        lexer->at++;
    for (uint32_t i = 0; i < form.digits; i++) {
        const uint32_t digit = peek(lexer);

        if (digit == RUNE_END)
            return "escape sequence not terminated";
        if (hex_value(digit) >= form.base) {
            *fault_at = lexer->at;
            return "illegal character in escape sequence ";
        }
        value = value * form.base + hex_value(digit);
        lexer->at++;
    }
    if (value > form.max || (value >= 0xd800 && value < 0xe000))
        return "escape sequence is an invalid Unicode code point";
    return NULL;
}

static struct promql_token fail_escape(struct promql_lexer *lexer, const char *text, uint32_t at)
{
    struct buf message;
    uint32_t rune = UTF8_BAD;
    const char *const found = strstr(text, "character");
    char bytes[4];

    if (at == UINT32_MAX)
        return fail_text(lexer, text);
    utf8_decode(slice_skip(lexer->text, at), &rune);
    buf_init(&message, sizeof(lexer->message));
    if (found == NULL) {
        buf_printf(&message, "%sU+%04X ", text, rune);
        add_rune(&message, rune);
    } else {
        buf_printf(&message, "illegal character U+%04X", rune);
        if (utf8_is_print(rune))
            buf_printf(&message, " '%.*s'", (int)utf8_encode(bytes, rune), bytes);
        buf_add_cstr(&message, " in escape sequence");
    }
    return fail(lexer, &message);
}

static struct promql_token lex_string(struct promql_lexer *lexer)
{
    const uint32_t quote = peek(lexer);
    const bool is_raw = quote == '`';

    lexer->at++;
    for (;;) {
        uint32_t rune;
        const uint32_t c = peek(lexer);

        if (c == RUNE_END || (c == '\n' && !is_raw))
            return fail_text(lexer,
                             is_raw ? "unterminated raw string" : "unterminated quoted string");
        if (c == quote) {
            lexer->at++;
            return emit(lexer, PROMQL_TOKEN_STRING);
        }
        if (c == '\\' && !is_raw) {
            uint32_t fault_at;
            const char *fault;

            lexer->at++;
            fault = scan_escape(lexer, quote, &fault_at);
            if (fault != NULL)
                return fail_escape(lexer, fault, fault_at);
            continue;
        }
        if (c < 0x80) {
            lexer->at++;
            continue;
        }
        const size_t len = utf8_decode(slice_skip(lexer->text, lexer->at), &rune);

        if (rune == UTF8_BAD)
            return fail_text(lexer, "invalid UTF-8 rune");
        lexer->at += (uint32_t)len;
    }
}

static const struct keyword *keyword_find(struct slice word)
{
    for (size_t i = 0; i < COUNT_OF(keywords); i++) {
        const char *text = keywords[i].text;

        if (strlen(text) == word.len && strncasecmp(text, word.data, word.len) == 0)
            return &keywords[i];
    }
    return NULL;
}

static bool paren_follows(const struct promql_lexer *lexer)
{
    uint32_t at = lexer->at;

    while (at < lexer->text.len && is_space((unsigned char)lexer->text.data[at]))
        at++;
    return at < lexer->text.len && lexer->text.data[at] == '(';
}

static struct promql_token lex_word(struct promql_lexer *lexer)
{
    struct promql_token token;
    const struct keyword *keyword;
    struct slice word;

    while (is_word(peek(lexer)) || peek(lexer) == ':')
        lexer->at++;
    word = slice_of(lexer->text.data + lexer->start, lexer->at - lexer->start);
    keyword = keyword_find(word);
    if (keyword != NULL && keyword->kind >= PROMQL_TOKEN_FILL &&
        keyword->kind <= PROMQL_TOKEN_FILL_RIGHT && !paren_follows(lexer))
        keyword = NULL;
    if (keyword == NULL)
        return emit(lexer, memchr(word.data, ':', word.len) != NULL ? PROMQL_TOKEN_METRIC_IDENTIFIER
                                                                    : PROMQL_TOKEN_IDENTIFIER);
    token = emit(lexer, keyword->kind);
    if (keyword->kind == PROMQL_TOKEN_OP)
        token.op = (enum promql_op)keyword->detail;
    if (keyword->kind == PROMQL_TOKEN_AGGREGATOR)
        token.aggregator = (enum promql_aggregator)keyword->detail;
    return token;
}

/* One byte on, then `two` if `second` follows, else `one`. */
static struct promql_token lex_comparison(struct promql_lexer *lexer)
{
    const uint32_t c = peek(lexer);

    lexer->at++;
    if (accept(lexer, "="))
        return emit_op(lexer, c == '<' ? PROMQL_OP_LE : PROMQL_OP_GE);
    if (accept(lexer, "/"))
        return emit_op(lexer, c == '<' ? PROMQL_OP_TRIM_UPPER : PROMQL_OP_TRIM_LOWER);
    return emit_op(lexer, c == '<' ? PROMQL_OP_LT : PROMQL_OP_GT);
}

static bool arithmetic_op(uint32_t c, enum promql_op *op)
{
    switch (c) {
    case '+':
        *op = PROMQL_OP_ADD;
        return true;
    case '-':
        *op = PROMQL_OP_SUB;
        return true;
    case '*':
        *op = PROMQL_OP_MUL;
        return true;
    case '/':
        *op = PROMQL_OP_DIV;
        return true;
    case '%':
        *op = PROMQL_OP_MOD;
        return true;
    case '^':
        *op = PROMQL_OP_POW;
        return true;
    default:
        return false;
    }
}

static struct promql_token lex_paren(struct promql_lexer *lexer)
{
    const uint32_t c = peek(lexer);

    lexer->at++;
    if (c == '(') {
        lexer->paren_depth++;
        return emit(lexer, PROMQL_TOKEN_LEFT_PAREN);
    }
    if (lexer->paren_depth == 0) {
        lexer->start = lexer->at;
        return fail_text(lexer, "unexpected right parenthesis ')'");
    }
    lexer->paren_depth--;
    return emit(lexer, PROMQL_TOKEN_RIGHT_PAREN);
}

static struct promql_token lex_in_braces(struct promql_lexer *lexer)
{
    const uint32_t c = peek(lexer);

    if (c == RUNE_END)
        return fail_text(lexer, "unexpected end of input inside braces");
    if (is_alpha(c)) {
        while (is_word(peek(lexer)))
            lexer->at++;
        return emit(lexer, PROMQL_TOKEN_IDENTIFIER);
    }
    if (c == '"' || c == '\'' || c == '`')
        return lex_string(lexer);
    lexer->at++;
    switch (c) {
    case ',':
        return emit(lexer, PROMQL_TOKEN_COMMA);
    case '=':
        return emit(lexer, accept(lexer, "~") ? PROMQL_TOKEN_REGEX : PROMQL_TOKEN_EQUAL);
    case '!':
        if (accept(lexer, "~"))
            return emit(lexer, PROMQL_TOKEN_NOT_REGEX);
        if (accept(lexer, "="))
            return emit_op(lexer, PROMQL_OP_NE);
        return fail_at(lexer, "unexpected character after '!' inside braces: ", lexer->at);
    case '{':
        return fail_at(lexer, "unexpected left brace ", lexer->at - 1);
    case '}':
        lexer->in_braces = false;
        return emit(lexer, PROMQL_TOKEN_RIGHT_BRACE);
    default:
        return fail_at(lexer, "unexpected character inside braces: ", lexer->at - 1);
    }
}

static bool lex_duration_word(struct promql_lexer *lexer, struct promql_token *token)
{
    const struct keyword *keyword;

    while (is_alpha(peek(lexer)))
        lexer->at++;
    keyword = keyword_find(slice_of(lexer->text.data + lexer->start, lexer->at - lexer->start));
    if (keyword == NULL || keyword->kind < PROMQL_TOKEN_STEP || keyword->kind > PROMQL_TOKEN_MIN_OF)
        return false;
    *token = emit(lexer, keyword->kind);
    return true;
}

static struct promql_token lex_colon(struct promql_lexer *lexer)
{
    lexer->at++;
    if (!lexer->has_duration || lexer->has_colon) {
        lexer->start = lexer->at;
        return fail_text(lexer, lexer->has_colon
                                    ? "unexpected repeated colon in duration expression"
                                    : "unexpected colon before duration in duration expression");
    }
    lexer->has_colon = true;
    return emit(lexer, PROMQL_TOKEN_COLON);
}

static struct promql_token lex_in_brackets(struct promql_lexer *lexer)
{
    struct promql_token token;
    enum promql_op op;
    const uint32_t c = peek(lexer);

    if (c == RUNE_END)
        return fail_text(lexer, "unexpected end of input in duration expression");
    if (is_digit(c) || (c == '.' && lexer->at + 1 < lexer->text.len &&
                        is_digit((unsigned char)lexer->text.data[lexer->at + 1]))) {
        lexer->has_duration = true;
        return lex_number(lexer);
    }
    if (c == '(' || c == ')')
        return lex_paren(lexer);
    if (c == ':')
        return lex_colon(lexer);
    if (arithmetic_op(c, &op)) {
        lexer->at++;
        return emit_op(lexer, op);
    }
    if (c == ']' || c == ',') {
        lexer->at++;
        lexer->in_brackets = c == ',';
        return emit(lexer, c == ',' ? PROMQL_TOKEN_COMMA : PROMQL_TOKEN_RIGHT_BRACKET);
    }
    if (at_one_of(lexer, "sSrRmM")) {
        if (lex_duration_word(lexer, &token))
            return token;
        lexer->at = lexer->start;
    }
    if (is_alpha(c) && lexer->has_duration) {
        struct buf message;

        buf_init(&message, sizeof(lexer->message));
        buf_printf(&message, "unexpected character: '%c', expected ':'", (int)c);
        return fail(lexer, &message);
    }
    return fail_at(lexer, "unexpected character in duration expression: ", lexer->at);
}

static struct promql_token lex_end(struct promql_lexer *lexer)
{
    if (lexer->paren_depth != 0)
        return fail_text(lexer, "unclosed left parenthesis");
    lexer->is_done = true;
    return emit(lexer, PROMQL_TOKEN_END);
}

/* The characters that open, close or part. */
static struct promql_token lex_mark(struct promql_lexer *lexer, uint32_t c)
{
    lexer->at++;
    switch (c) {
    case ',':
        return emit(lexer, PROMQL_TOKEN_COMMA);
    case '@':
        return emit(lexer, PROMQL_TOKEN_AT);
    case '{':
        lexer->in_braces = true;
        return emit(lexer, PROMQL_TOKEN_LEFT_BRACE);
    case '[':
        lexer->in_brackets = true;
        lexer->has_colon = lexer->has_duration = false;
        return emit(lexer, PROMQL_TOKEN_LEFT_BRACKET);
    case ']':
        return fail_at(lexer, "unexpected right bracket ", lexer->at - 1);
    case '=':
        if (accept(lexer, "="))
            return emit_op(lexer, PROMQL_OP_EQ);
        if (at_one_of(lexer, "~"))
            return fail_at(lexer, "unexpected character after '=': ", lexer->at);
        return emit(lexer, PROMQL_TOKEN_EQUAL);
    case '!':
        if (accept(lexer, "="))
            return emit_op(lexer, PROMQL_OP_NE);
        return fail_at(lexer, "unexpected character after '!': ", lexer->at);
    default:
        return fail_at(lexer, "unexpected character: ", lexer->at - 1);
    }
}

static struct promql_token lex_outside(struct promql_lexer *lexer)
{
    enum promql_op op;
    const uint32_t c = peek(lexer);

    if (c == RUNE_END)
        return lex_end(lexer);
    if (is_alpha(c) || c == ':')
        return lex_word(lexer);
    if (is_digit(c) || (c == '.' && lexer->at + 1 < lexer->text.len &&
                        is_digit((unsigned char)lexer->text.data[lexer->at + 1])))
        return lex_number(lexer);
    if (c == '"' || c == '\'' || c == '`')
        return lex_string(lexer);
    if (c == '(' || c == ')')
        return lex_paren(lexer);
    if (c == '<' || c == '>')
        return lex_comparison(lexer);
    if (arithmetic_op(c, &op)) {
        lexer->at++;
        return emit_op(lexer, op);
    }
    return lex_mark(lexer, c);
}

void promql_lexer_init(struct promql_lexer *lexer, struct slice text)
{
    ASSERT(text.len <= PROMQL_TEXT_SIZE_MAX);
    *lexer = (struct promql_lexer){.text = text};
}

struct promql_token promql_lexer_next(struct promql_lexer *lexer)
{
    if (lexer->is_done)
        return (struct promql_token){
            .kind = PROMQL_TOKEN_END,
            .span = {(uint32_t)lexer->text.len, (uint32_t)lexer->text.len},
        };
    for (;;) {
        while (is_space(peek(lexer)))
            lexer->at++;
        if (peek(lexer) != '#' || lexer->in_brackets)
            break;
        while (peek(lexer) != RUNE_END && peek(lexer) != '\n' && peek(lexer) != '\r')
            lexer->at++;
    }
    lexer->start = lexer->at;
    if (lexer->in_braces)
        return lex_in_braces(lexer);
    if (lexer->in_brackets)
        return lex_in_brackets(lexer);
    return lex_outside(lexer);
}
