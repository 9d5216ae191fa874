/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/exposition.h"

#include <math.h>
#include <strings.h>

#include "base/number.h"
#include "base/utf8.h"
#include "codec/exposition_internal.h"

enum {
    EXPOSITION_EXCERPT_MAX = 60, /* bytes of the faulty line in a message */
    EXPOSITION_INT_MAX = 15,     /* digits that a double always holds exactly */
};

void exposition_init(struct exposition *p, struct slice body,
                     const struct exposition_options *options)
{
    *p = (struct exposition){.options = *options, .type = METRIC_TYPE_UNKNOWN};
    /* Pointers are compared, so that an empty body needs some too. */
    p->start = p->at = body.len == 0 ? "" : body.data;
    p->end = p->start + body.len;
}

bool exposition_next(struct exposition *p, struct exposition_entry *entry)
{
    if (p->err != ERR_OK || p->is_done)
        return false;
    entry->has_t = false;
    entry->is_created = false;
    entry->exemplar = (struct slice){NULL, 0};
    return p->options.format == EXPOSITION_TEXT ? text_parser_next(p, entry)
                                                : om_parser_next(p, entry);
}

bool exposition_fail(struct exposition *p, const char *at, const char *what)
{
    size_t line = 1, len = 0;
    const char *line_start = p->at;

    for (const char *c = p->start; c < at; c++) {
        if (*c != '\n')
            continue;
        line++;
        line_start = c + 1;
    }
    while (len < EXPOSITION_EXCERPT_MAX && line_start + len < p->end && line_start[len] != '\n')
        len++;
    p->err = err_set(&p->info, ERR_BAD_INPUT, "line %zu: %s while parsing: \"%.*s\"", line, what,
                     (int)len, line_start);
    return false;
}

enum err exposition_value(struct slice s, double *v)
{
    int64_t whole = 0;

    for (size_t i = 0; i < s.len && s.len <= EXPOSITION_INT_MAX; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            break;
        whole = whole * 10 + (s.data[i] - '0');
        if (i + 1 == s.len) {
            *v = (double)whole;
            return ERR_OK;
        }
    }
    if (number_parse_double_decimal(s, v) != ERR_OK)
        return ERR_BAD_INPUT;
    if (isnan(*v))
        *v = sample_value_from_bits(SAMPLE_NORMAL_BITS);
    return ERR_OK;
}

static bool exposition_is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}

const char *exposition_skip_name(const char *at, const char *end)
{
    if (at == end || !exposition_is_name_start(*at))
        return at;
    while (at < end && (exposition_is_name_start(*at) || (*at >= '0' && *at <= '9')))
        at++;
    return at;
}

const char *exposition_skip_quoted(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if (*at == '\\')
            at++;
    }
    return NULL;
}

const char *exposition_skip_braces(const char *at, const char *end)
{
    for (at++; at != NULL && at < end;) {
        if (*at == '"')
            at = exposition_skip_quoted(at, end);
        else if (*at++ == '}')
            return at;
    }
    return NULL;
}

const char *exposition_meta_name(const char *at, const char *end, struct slice *name)
{
    const char *name_end;

    if (at < end && *at == '"') {
        name_end = exposition_skip_quoted(at, end);
        if (name_end != NULL)
            *name = slice_of(at + 1, (size_t)(name_end - at - 2));
        return name_end;
    }
    name_end = exposition_skip_name(at, end);
    *name = slice_of(at, (size_t)(name_end - at));
    return name_end == at ? NULL : name_end;
}

bool exposition_type_from_text(struct slice text, enum exposition_format format,
                               enum metric_type *type)
{
    static const struct {
        const char *text;
        enum metric_type type;
        bool in_text, in_openmetrics;
    } types[] = {
        {"counter", METRIC_TYPE_COUNTER, true, true},
        {"gauge", METRIC_TYPE_GAUGE, true, true},
        {"histogram", METRIC_TYPE_HISTOGRAM, true, true},
        {"summary", METRIC_TYPE_SUMMARY, true, true},
        {"untyped", METRIC_TYPE_UNKNOWN, true, false},
        {"unknown", METRIC_TYPE_UNKNOWN, false, true},
        {"gaugehistogram", METRIC_TYPE_GAUGEHISTOGRAM, false, true},
        {"info", METRIC_TYPE_INFO, false, true},
        {"stateset", METRIC_TYPE_STATESET, false, true},
    };

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (slice_eq_cstr(text, types[i].text) &&
            (format == EXPOSITION_TEXT ? types[i].in_text : types[i].in_openmetrics)) {
            *type = types[i].type;
            return true;
        }
    }
    return false;
}

struct slice exposition_text(const struct exposition *p, const struct exposition_entry *entry,
                             struct arena *arena)
{
    if (entry->kind != EXPOSITION_HELP)
        return entry->text;
    return exposition_unescape(entry->text, p->options.format == EXPOSITION_OPENMETRICS, arena);
}

/* ---- content types ---- */

static bool exposition_is_token(char c)
{
    return c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static struct slice exposition_trim(struct slice s)
{
    while (s.len != 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_skip(s, 1);
    while (s.len != 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static size_t exposition_token(struct slice s)
{
    size_t n = 0;

    while (n < s.len && exposition_is_token(s.data[n]))
        n++;
    return n;
}

/* "; name=value" ...: false when a parameter is malformed. */
static bool exposition_check_params(struct slice rest)
{
    rest = exposition_trim(rest);
    while (rest.len != 0) {
        size_t n;

        if (rest.data[0] != ';')
            return false;
        rest = exposition_trim(slice_skip(rest, 1));
        if (rest.len == 0)
            return true; /* a trailing semicolon */
        n = exposition_token(rest);
        if (n == 0)
            return false;
        rest = exposition_trim(slice_skip(rest, n));
        if (rest.len == 0 || rest.data[0] != '=')
            return false;
        rest = exposition_trim(slice_skip(rest, 1));
        if (rest.len != 0 && rest.data[0] == '"') {
            const char *past = exposition_skip_quoted(rest.data, rest.data + rest.len);

            n = past == NULL ? 0 : (size_t)(past - rest.data);
        } else {
            n = exposition_token(rest);
        }
        if (n == 0)
            return false;
        rest = exposition_trim(slice_skip(rest, n));
    }
    return true;
}

/* The media type in front of the parameters. false: it is none. */
static bool exposition_media_type(struct slice content_type, struct slice *media)
{
    struct slice s = exposition_trim(content_type);
    const char *semicolon = s.len == 0 ? NULL : memchr(s.data, ';', s.len);
    const size_t len = semicolon == NULL ? s.len : (size_t)(semicolon - s.data);
    size_t n;

    *media = exposition_trim(slice_of(s.data, len));
    n = exposition_token(*media);
    if (n == 0)
        return false;
    if (n < media->len) {
        if (media->data[n] != '/' || exposition_token(slice_skip(*media, n + 1)) == 0 ||
            n + 1 + exposition_token(slice_skip(*media, n + 1)) != media->len)
            return false;
    }
    return exposition_check_params(slice_skip(s, len));
}

static bool exposition_media_is(struct slice media, const char *name)
{
    return media.len == strlen(name) && strncasecmp(media.data, name, media.len) == 0;
}

static bool exposition_known_media(struct slice media, enum exposition_format *format)
{
    if (exposition_media_is(media, "text/plain"))
        *format = EXPOSITION_TEXT;
    else if (exposition_media_is(media, "application/openmetrics-text"))
        *format = EXPOSITION_OPENMETRICS;
    else
        return false;
    return true;
}

enum err exposition_format_from_content_type(struct slice content_type, struct slice fallback,
                                             enum exposition_format *format, struct err_info *info)
{
    struct slice media;

    if (exposition_media_type(content_type, &media)) {
        if (exposition_known_media(media, format))
            return ERR_OK;
        if (exposition_media_is(media, "application/vnd.google.protobuf"))
            return err_set(info, ERR_UNSUPPORTED,
                           "received protobuf, which was not asked for in Accept");
    }
    if (fallback.len != 0 && exposition_known_media(fallback, format))
        return ERR_OK;
    if (content_type.len == 0)
        return err_set(info, ERR_UNSUPPORTED,
                       "non-compliant scrape target sending blank Content-Type and no "
                       "fallback_scrape_protocol specified for target");
    return err_set(info, ERR_UNSUPPORTED,
                   "received unsupported Content-Type \"%.*s\" and no fallback_scrape_protocol "
                   "specified for target",
                   SLICE_ARG(content_type));
}
