/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Numbers as text, as Go reads and prints them. Shortest digits that read back to the same double.
 * Special values print as NaN, +Inf, -Inf. Nothing here is terminated, nothing depends on a locale.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NUMBER_TEXT_SIZE = 352, /* room for any form: the smallest double has 343 characters as 'f' */
    NUMBER_INT_SIZE = 20,
};

/* The value of a hexadecimal digit of either case, or -1. */
static inline int number_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum number_form {
    NUMBER_API,   /* fixed, but with exponent below 1e-6 and from 1e21: values of the HTTP API */
    NUMBER_FIXED, /* never an exponent: strconv 'f' */
    NUMBER_G,   /* strconv 'g' and %v: exponent below 1e-4 and from 1e6: exposition, le, literals */
    NUMBER_OM,  /* like NUMBER_G, with ".0" after a whole number: OpenMetrics */
    NUMBER_EXP, /* always an exponent: strconv 'e' */
};

/* Returns the length written, at most NUMBER_TEXT_SIZE. */
size_t number_format_double(char *out, double v, enum number_form form);
void number_add_double(struct buf *out, double v, enum number_form form);
/* At most NUMBER_INT_SIZE. */
size_t number_format_int64(char *out, int64_t v);
size_t number_format_uint64(char *out, uint64_t v);
void number_add_int64(struct buf *out, int64_t v);
void number_add_uint64(struct buf *out, uint64_t v);

/* The whole of s as Go's ParseFloat takes it: decimal, hexadecimal with p exponent, underscores
 * between digits, Inf, Infinity and NaN in any case. ERR_BAD_INPUT: syntax; ERR_TOO_LARGE: beyond
 * a double's range. */
enum err number_parse_double(struct slice s, double *v) MUST_USE;
/* The same without hexadecimal and underscores: sample values of the exposition formats. */
enum err number_parse_double_decimal(struct slice s, double *v) MUST_USE;
/* Decimal with an optional sign; the whole of s. ERR_BAD_INPUT or ERR_TOO_LARGE. */
enum err number_parse_int64(struct slice s, int64_t *v) MUST_USE;
enum err number_parse_uint64(struct slice s, uint64_t *v) MUST_USE;

#ifdef __cplusplus
}
#endif
