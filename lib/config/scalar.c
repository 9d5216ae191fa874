/* SPDX-License-Identifier: Apache-2.0 */
#include "config/scalar.h"

#include <limits.h>
#include <stdio.h>

static const char size_units[] = "KMGTPE";

/* ---- sizes ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The factor of a unit such as MB or MiB, or 0. */
static double size_unit_factor(struct slice unit)
{
    const char *at;
    double factor = 1024;

    if (slice_eq(unit, SLICE("B")))
        return 1;
    if (unit.len < 2 || unit.len > 3 || unit.data[unit.len - 1] != 'B')
        return 0;
    if (unit.len == 3 && unit.data[1] != 'i')
        return 0;
    at = memchr(size_units, unit.data[0], sizeof(size_units) - 1);
    if (at == NULL)
        return 0;
    for (const char *p = size_units; p < at; p++)
        factor *= 1024;
    return factor;
}

/* Takes "1.5" off the front of *s. False when there is no digit. */
static bool take_number(struct slice *s, double *number)
{
    double scale = 1, n = 0;
    size_t i = 0, digit_count = 0;

    for (; i < s->len && is_digit(s->data[i]); i++, digit_count++)
        n = n * 10 + (s->data[i] - '0');
    if (i < s->len && s->data[i] == '.') {
        for (i++; i < s->len && is_digit(s->data[i]); i++, digit_count++) {
            scale *= 10;
            n = n * 10 + (s->data[i] - '0');
        }
    }
    *s = slice_skip(*s, i);
    *number = n / scale;
    return digit_count != 0;
}

enum err scalar_parse_size(struct slice text, int64_t *bytes, struct err_info *info)
{
    struct slice rest = text;
    double total = 0;
    bool is_negative = false;

    if (rest.len != 0 && (rest.data[0] == '-' || rest.data[0] == '+')) {
        is_negative = rest.data[0] == '-';
        rest = slice_skip(rest, 1);
    }
    if (slice_eq(rest, SLICE("0"))) {
        *bytes = 0;
        return ERR_OK;
    }
    if (rest.len == 0)
        return err_set(info, ERR_BAD_INPUT, "units: invalid %.*s", SLICE_ARG(text));
    while (rest.len != 0) {
        double number, factor;
        size_t unit_len = 0;

        if (!take_number(&rest, &number))
            return err_set(info, ERR_BAD_INPUT, "units: invalid %.*s", SLICE_ARG(text));
        while (unit_len < rest.len && rest.data[unit_len] != '.' && !is_digit(rest.data[unit_len]))
            unit_len++;
        factor = size_unit_factor((struct slice){rest.data, unit_len});
        if (factor == 0)
            return err_set(info, ERR_BAD_INPUT, "units: unknown unit %.*s in %.*s", (int)unit_len,
                           unit_len != 0 ? rest.data : "", SLICE_ARG(text));
        total += number * factor;
        rest = slice_skip(rest, unit_len);
    }
    if (total >= 0x1p63)
        return err_set(info, ERR_BAD_INPUT, "units: overflow in %.*s", SLICE_ARG(text));
    *bytes = is_negative ? -(int64_t)total : (int64_t)total;
    return ERR_OK;
}

void scalar_print_size(struct buf *out, int64_t bytes)
{
    static const uint64_t scale = 1024;
    uint64_t n = bytes < 0 ? 0 - (uint64_t)bytes : (uint64_t)bytes;
    uint64_t digits[7];
    int count = 0;

    if (bytes < 0)
        buf_add_byte(out, '-');
    do {
        digits[count++] = n % scale;
        n /= scale;
    } while (n != 0);
    for (int i = count - 1; i >= 0; i--) {
        if (digits[i] == 0 && !(i == 0 && count == 1))
            continue;
        buf_printf(out, "%u", (unsigned)digits[i]);
        if (i != 0)
            buf_printf(out, "%ci", size_units[i - 1]);
        buf_add_byte(out, 'B');
    }
}

/* ---- URLs ---- */

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static enum err url_fail(struct err_info *info, struct slice text, const char *why)
{
    return err_set(info, ERR_BAD_INPUT, "parse \"%.*s\": %s", SLICE_ARG(text), why);
}

/* The length of the scheme before its colon; 0: none. SIZE_MAX: a colon with nothing before it. */
static size_t url_scheme_len(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];

        if (is_alpha(c))
            continue;
        if (c == ':')
            return i == 0 ? SIZE_MAX : i;
        if (i == 0 || !(is_digit(c) || c == '+' || c == '-' || c == '.'))
            return 0;
    }
    return 0;
}

static bool has_bad_escape(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] != '%')
            continue;
        if (i + 2 >= s.len || !is_hex(s.data[i + 1]) || !is_hex(s.data[i + 2]))
            return true;
        i += 2;
    }
    return false;
}

/* Empty, or a colon and digits. */
static bool is_port(struct slice s)
{
    if (s.len == 0)
        return true;
    for (size_t i = 1; i < s.len; i++)
        if (!is_digit(s.data[i]))
            return false;
    return s.data[0] == ':';
}

static const char *url_check_host(struct slice host)
{
    const char *colon;

    if (host.len != 0 && host.data[0] == '[') {
        const char *end = memrchr(host.data, ']', host.len);

        if (end == NULL)
            return "missing ']' in host";
        return is_port(slice_skip(host, (size_t)(end + 1 - host.data))) ? NULL : "invalid port";
    }
    for (size_t i = 0; i < host.len; i++)
        if (memchr(" <>\"\\^`{|}", host.data[i], 10) != NULL)
            return "invalid character in host name";
    if (has_bad_escape(host))
        return "invalid URL escape";
    colon = memrchr(host.data, ':', host.len);
    if (colon != NULL && !is_port(slice_skip(host, (size_t)(colon - host.data))))
        return "invalid port after host";
    return NULL;
}

static const char *url_split_authority(struct slice *rest, struct scalar_url *url)
{
    struct slice authority = slice_skip(*rest, 2);
    const char *slash = memchr(authority.data, '/', authority.len);
    const char *at;

    if (slash != NULL)
        authority.len = (size_t)(slash - authority.data);
    *rest = slice_skip(*rest, 2 + authority.len);
    at = authority.len == 0 ? NULL : memrchr(authority.data, '@', authority.len);
    if (at != NULL) {
        url->userinfo = slice_of(authority.data, (size_t)(at - authority.data));
        authority = slice_skip(authority, url->userinfo.len + 1);
        if (has_bad_escape(url->userinfo))
            return "net/url: invalid userinfo";
    }
    url->host = authority;
    return authority.len == 0 ? NULL : url_check_host(authority);
}

enum err scalar_parse_url(struct slice text, struct scalar_url *url, struct err_info *info)
{
    struct scalar_url parts = {0};
    struct slice rest = text;
    const char *mark, *why;
    size_t scheme_len;

    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return err_set(info, ERR_BAD_INPUT, "net/url: invalid control character in URL");
    mark = text.len == 0 ? NULL : memchr(text.data, '#', text.len);
    if (mark != NULL)
        rest.len = (size_t)(mark - text.data);
    scheme_len = url_scheme_len(rest);
    if (scheme_len == SIZE_MAX)
        return url_fail(info, text, "missing protocol scheme");
    if (scheme_len != 0) {
        parts.scheme = slice_of(rest.data, scheme_len);
        rest = slice_skip(rest, scheme_len + 1);
    }
    mark = rest.len == 0 ? NULL : memchr(rest.data, '?', rest.len);
    if (mark != NULL) {
        parts.query = slice_skip(rest, (size_t)(mark - rest.data) + 1);
        rest.len = (size_t)(mark - rest.data);
    }
    if (rest.len == 0 || rest.data[0] != '/') {
        const char *slash = rest.len == 0 ? NULL : memchr(rest.data, '/', rest.len);
        const size_t segment_len = slash != NULL ? (size_t)(slash - rest.data) : rest.len;

        if (scheme_len == 0 && segment_len != 0 && memchr(rest.data, ':', segment_len) != NULL)
            return url_fail(info, text, "first path segment in URL cannot contain colon");
    } else if (slice_has_prefix(rest, SLICE("//")) &&
               (scheme_len != 0 || !slice_has_prefix(rest, SLICE("///")))) {
        why = url_split_authority(&rest, &parts);
        if (why != NULL)
            return url_fail(info, text, why);
    }
    if (has_bad_escape(rest))
        return url_fail(info, text, "invalid URL escape");
    parts.path = rest;
    *url = parts;
    return ERR_OK;
}

void scalar_print_url(struct buf *out, struct slice text)
{
    struct scalar_url url;
    const char *colon;
    size_t head_len;

    if (scalar_parse_url(text, &url, NULL) != ERR_OK || url.userinfo.len == 0) {
        buf_add_slice(out, text);
        return;
    }
    colon = memchr(url.userinfo.data, ':', url.userinfo.len);
    if (colon == NULL) {
        buf_add_slice(out, text);
        return;
    }
    head_len = (size_t)(colon - text.data);
    buf_add(out, text.data, head_len);
    buf_add_cstr(out, ":xxxxx");
    buf_add_slice(out,
                  slice_skip(text, (size_t)(url.userinfo.data + url.userinfo.len - text.data)));
}

bool scalar_is_uuid(struct slice text)
{
    if (text.len != 36)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (is_dash ? text.data[i] != '-' : !is_hex(text.data[i]))
            return false;
    }
    return true;
}
