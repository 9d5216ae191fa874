/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/exposition_out.h"

#include <strings.h>

#include "base/assert.h"
#include "base/number.h"

/* One range of an Accept header. */
struct accept_range {
    struct slice media, proto, encoding, version, escaping;
    double q;
};

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_skip(s, 1);
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    if (s.len >= 2 && s.data[0] == '"' && s.data[s.len - 1] == '"')
        s = slice_of(s.data + 1, s.len - 2);
    return s;
}

static struct slice take_part(struct slice *rest, char separator)
{
    const char *found = rest->len == 0 ? NULL : memchr(rest->data, separator, rest->len);
    const size_t len = found == NULL ? rest->len : (size_t)(found - rest->data);
    const struct slice part = {rest->data, len};

    *rest = slice_skip(*rest, found == NULL ? len : len + 1);
    return trim(part);
}

static struct accept_range parse_range(struct slice text)
{
    struct accept_range range = {.q = 1};

    range.media = take_part(&text, ';');
    while (text.len > 0) {
        struct slice value = take_part(&text, ';');
        const struct slice name = take_part(&value, '=');

        value = trim(value);
        if (slice_eq_cstr(name, "proto"))
            range.proto = value;
        else if (slice_eq_cstr(name, "encoding"))
            range.encoding = value;
        else if (slice_eq_cstr(name, "version"))
            range.version = value;
        else if (slice_eq_cstr(name, "escaping"))
            range.escaping = value;
        else if (slice_eq_cstr(name, "q") && number_parse_double_decimal(value, &range.q) != ERR_OK)
            range.q = 0;
    }
    return range;
}

static enum exposition_escaping escaping_of(struct slice text)
{
    if (slice_eq_cstr(text, "allow-utf-8"))
        return EXPOSITION_UTF8;
    if (slice_eq_cstr(text, "dots"))
        return EXPOSITION_DOTS;
    return slice_eq_cstr(text, "values") ? EXPOSITION_VALUES : EXPOSITION_UNDERSCORES;
}

static bool range_fits(const struct accept_range *range, struct exposition_format *format)
{
    format->is_protobuf = false;
    format->escaping = escaping_of(range->escaping);
    if (slice_eq_cstr(range->media, "application/vnd.google.protobuf")) {
        format->is_protobuf = true;
        return slice_eq_cstr(range->proto, "io.prometheus.client.MetricFamily") &&
               slice_eq_cstr(range->encoding, "delimited");
    }
    return slice_eq_cstr(range->media, "text/plain") &&
           (range->version.len == 0 || slice_eq_cstr(range->version, "0.0.4") ||
            slice_eq_cstr(range->version, "1.0.0"));
}

struct exposition_format exposition_negotiate(struct slice accept)
{
    struct exposition_format best = {false, EXPOSITION_UNDERSCORES}, format;
    double best_q = 0;

    while (accept.len > 0) {
        const struct accept_range range = parse_range(take_part(&accept, ','));

        if (range.q > best_q && range_fits(&range, &format)) {
            best = format;
            best_q = range.q;
        }
    }
    return best;
}

const char *exposition_content_type(const struct exposition_format *format)
{
#define TEXT "text/plain; version=0.0.4; charset=utf-8; escaping="
#define PROTO                                                                                      \
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "                   \
    "encoding=delimited; escaping="
    static const char *const types[2][4] = {
        {TEXT "underscores", TEXT "dots", TEXT "values", TEXT "allow-utf-8"},
        {PROTO "underscores", PROTO "dots", PROTO "values", PROTO "allow-utf-8"},
    };
#undef TEXT
#undef PROTO

    ASSERT(format->escaping <= EXPOSITION_UTF8);
    return types[format->is_protobuf][format->escaping];
}
