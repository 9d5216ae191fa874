/* SPDX-License-Identifier: Apache-2.0 */
/* Digits come from std::to_chars (shortest that reads back); their layout is ours, because the
 * fixed form of to_chars prints 1e23 digit by digit and Go pads with zeros. */
#include "base/number.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

namespace
{

/* v = 0.d1d2d3... * 10^point */
struct digits {
    char text[24];
    int count;
    int point;
    bool negative;
};

digits digits_of(double v)
{
    digits d = {};
    char raw[40];
    const auto end = std::to_chars(raw, raw + sizeof(raw), v, std::chars_format::scientific).ptr;
    const char *at = raw;
    int exponent = 0;

    if (*at == '-') {
        d.negative = true;
        at++;
    }
    for (; at < end && *at != 'e'; at++) {
        if (*at != '.')
            d.text[d.count++] = *at;
    }
    at++; /* e */
    if (*at == '+')
        at++;
    std::from_chars(at, end, exponent);
    if (v == 0) {
        d.count = 0;
        d.point = 0;
    } else {
        d.point = exponent + 1;
    }
    return d;
}

char *put_zeros(char *out, int count)
{
    for (int i = 0; i < count; i++)
        *out++ = '0';
    return out;
}

char *put_fixed(char *out, const digits &d)
{
    if (d.point <= 0) {
        *out++ = '0';
        if (d.count == 0)
            return out;
        *out++ = '.';
        out = put_zeros(out, -d.point);
        for (int i = 0; i < d.count; i++)
            *out++ = d.text[i];
        return out;
    }
    for (int i = 0; i < d.point; i++)
        *out++ = i < d.count ? d.text[i] : '0';
    if (d.count > d.point) {
        *out++ = '.';
        for (int i = d.point; i < d.count; i++)
            *out++ = d.text[i];
    }
    return out;
}

/* At least two digits of exponent, as Go. */
char *put_exponent(char *out, const digits &d)
{
    const int exponent = d.count == 0 ? 0 : d.point - 1;
    const int size = std::abs(exponent);

    *out++ = d.count == 0 ? '0' : d.text[0];
    if (d.count > 1) {
        *out++ = '.';
        for (int i = 1; i < d.count; i++)
            *out++ = d.text[i];
    }
    *out++ = 'e';
    *out++ = exponent < 0 ? '-' : '+';
    if (size < 10)
        *out++ = '0';
    return std::to_chars(out, out + 4, size).ptr;
}

bool wants_exponent(const digits &d, enum number_form form)
{
    const int exponent = d.count == 0 ? 0 : d.point - 1;

    switch (form) {
    case NUMBER_FIXED:
        return false;
    case NUMBER_EXP:
        return true;
    case NUMBER_API:
        return exponent < -6 || exponent >= 21;
    case NUMBER_G:
    case NUMBER_OM:
        return exponent < -4 || exponent >= 6;
    }
    return false;
}

bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool is_hex_digit(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool equals_folded(struct slice s, const char *lower)
{
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.data[i] >= 'A' && s.data[i] <= 'Z' ? char(s.data[i] + 32) : s.data[i];

        if (lower[i] == '\0' || c != lower[i])
            return false;
    }
    return lower[s.len] == '\0';
}

/* Underscores stand between digits only; after 0x one may follow at once. Drops them. */
bool strip_underscores(struct slice s, bool hex, std::string &plain)
{
    char before = hex ? '0' : 'x';

    for (size_t i = 0; i < s.len; i++) {
        const char c = s.data[i];

        if (c == '_') {
            const bool next =
                i + 1 < s.len && (hex ? is_hex_digit(s.data[i + 1]) : is_digit(s.data[i + 1]));

            if (!next || !(hex ? is_hex_digit(before) : is_digit(before)))
                return false;
        } else {
            plain.push_back(c);
        }
        before = c;
    }
    return true;
}

/* [digits][.digits][e[+-]digits], with a digit before the exponent; in hex the exponent is p and
 * must be there. */
bool is_float_syntax(struct slice s, bool hex)
{
    size_t i = 0;
    bool any = false;

    while (i < s.len && (hex ? is_hex_digit(s.data[i]) : is_digit(s.data[i]))) {
        i++;
        any = true;
    }
    if (i < s.len && s.data[i] == '.') {
        i++;
        while (i < s.len && (hex ? is_hex_digit(s.data[i]) : is_digit(s.data[i]))) {
            i++;
            any = true;
        }
    }
    if (!any)
        return false;
    if (i == s.len)
        return !hex;
    if ((s.data[i] | 32) != (hex ? 'p' : 'e'))
        return false;
    i++;
    if (i < s.len && (s.data[i] == '+' || s.data[i] == '-'))
        i++;
    if (i == s.len)
        return false;
    while (i < s.len && is_digit(s.data[i]))
        i++;
    return i == s.len;
}

/* What from_chars calls out of range may be too small, which is a zero; strtod knows. */
enum err parse_slow(const std::string &text, double *v)
{
    const double value = std::strtod(text.c_str(), nullptr);

    if (std::isinf(value))
        return ERR_TOO_LARGE;
    *v = value;
    return ERR_OK;
}

/* Without sign. */
enum err parse_magnitude(struct slice s, bool wide, double *v)
{
    const bool hex = wide && s.len > 2 && s.data[0] == '0' && (s.data[1] | 32) == 'x';
    std::string plain;
    double value = 0;

    if (s.len > 0 && (s.data[0] | 32) == 'i') {
        if (!equals_folded(s, "inf") && !equals_folded(s, "infinity"))
            return ERR_BAD_INPUT;
        *v = INFINITY;
        return ERR_OK;
    }
    if (hex)
        s = slice_skip(s, 2);
    if (wide && s.len > 0 && std::memchr(s.data, '_', s.len) != nullptr) {
        if (!strip_underscores(s, hex, plain))
            return ERR_BAD_INPUT;
        s = slice_of(plain.data(), plain.size());
    }
    if (!is_float_syntax(s, hex))
        return ERR_BAD_INPUT;
    if (hex)
        return parse_slow("0x" + std::string(s.data, s.len), v);
    const auto result = std::from_chars(s.data, s.data + s.len, value);
    if (result.ec == std::errc::result_out_of_range || std::isinf(value))
        return parse_slow(std::string(s.data, s.len), v);
    if (result.ec != std::errc() || result.ptr != s.data + s.len)
        return ERR_BAD_INPUT;
    *v = value;
    return ERR_OK;
}

enum err parse_double(struct slice s, bool wide, double *v)
{
    bool negative = false;
    double value = 0;

    if (equals_folded(s, "nan")) {
        const uint64_t bits =
            UINT64_C(0x7ff8000000000001); /* Go's NaN, and upstream's normal one */

        std::memcpy(v, &bits, sizeof(bits));
        return ERR_OK;
    }
    if (s.len > 0 && (s.data[0] == '+' || s.data[0] == '-')) {
        negative = s.data[0] == '-';
        s = slice_skip(s, 1);
    }
    const enum err err = parse_magnitude(s, wide, &value);
    if (err == ERR_OK)
        *v = negative ? -value : value;
    return err;
}

} // namespace

size_t number_format_double(char *out, double v, enum number_form form)
{
    char *end = out;

    if (std::isnan(v)) {
        std::memcpy(out, "NaN", 3);
        return 3;
    }
    if (std::isinf(v)) {
        std::memcpy(out, v > 0 ? "+Inf" : "-Inf", 4);
        return 4;
    }
    const digits d = digits_of(v);
    if (d.negative)
        *end++ = '-';
    if (wants_exponent(d, form))
        return size_t(put_exponent(end, d) - out);
    end = put_fixed(end, d);
    if (form == NUMBER_OM && d.count <= d.point) {
        *end++ = '.';
        *end++ = '0';
    }
    return size_t(end - out);
}

void number_add_double(struct buf *out, double v, enum number_form form)
{
    char *to = buf_reserve(out, NUMBER_TEXT_SIZE);

    if (to != nullptr)
        out->len += number_format_double(to, v, form);
}

size_t number_format_int64(char *out, int64_t v)
{
    return size_t(std::to_chars(out, out + NUMBER_INT_SIZE, v).ptr - out);
}

size_t number_format_uint64(char *out, uint64_t v)
{
    return size_t(std::to_chars(out, out + NUMBER_INT_SIZE, v).ptr - out);
}

void number_add_int64(struct buf *out, int64_t v)
{
    char *to = buf_reserve(out, NUMBER_INT_SIZE);

    if (to != nullptr)
        out->len += number_format_int64(to, v);
}

void number_add_uint64(struct buf *out, uint64_t v)
{
    char *to = buf_reserve(out, NUMBER_INT_SIZE);

    if (to != nullptr)
        out->len += number_format_uint64(to, v);
}

enum err number_parse_double(struct slice s, double *v)
{
    return parse_double(s, true, v);
}

enum err number_parse_double_decimal(struct slice s, double *v)
{
    return parse_double(s, false, v);
}

enum err number_parse_int64(struct slice s, int64_t *v)
{
    int64_t value = 0;

    if (s.len > 1 && s.data[0] == '+' && is_digit(s.data[1]))
        s = slice_skip(s, 1);
    if (s.len == 0)
        return ERR_BAD_INPUT;
    const auto result = std::from_chars(s.data, s.data + s.len, value);
    if (result.ec == std::errc::invalid_argument || result.ptr != s.data + s.len)
        return ERR_BAD_INPUT;
    if (result.ec != std::errc())
        return ERR_TOO_LARGE;
    *v = value;
    return ERR_OK;
}

enum err number_parse_uint64(struct slice s, uint64_t *v)
{
    uint64_t value = 0;

    if (s.len == 0)
        return ERR_BAD_INPUT;
    const auto result = std::from_chars(s.data, s.data + s.len, value);
    if (result.ec == std::errc::invalid_argument || result.ptr != s.data + s.len)
        return ERR_BAD_INPUT;
    if (result.ec != std::errc())
        return ERR_TOO_LARGE;
    *v = value;
    return ERR_OK;
}
