/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>

#include "base/number.h"
#include "base/utf8.h"

static void json_before_item(struct json_writer *w)
{
    const uint64_t bit = UINT64_C(1) << (w->depth % 64);

    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if ((w->has_item & bit) != 0)
        buf_add_byte(w->out, ',');
    w->has_item |= bit;
}

static void json_open(struct json_writer *w, char sign)
{
    json_before_item(w);
    buf_add_byte(w->out, sign);
    w->depth++;
    ASSERT(w->depth < JSON_DEPTH_MAX);
    w->has_item &= ~(UINT64_C(1) << w->depth);
}

static void json_close(struct json_writer *w, char sign)
{
    ASSERT(w->depth > 0);
    ASSERT(!w->after_key);
    w->depth--;
    buf_add_byte(w->out, sign);
}

void json_open_object(struct json_writer *w)
{
    json_open(w, '{');
}

void json_close_object(struct json_writer *w)
{
    json_close(w, '}');
}

void json_open_array(struct json_writer *w)
{
    json_open(w, '[');
}

void json_close_array(struct json_writer *w)
{
    json_close(w, ']');
}

/* True if the byte may stand as it is. */
static bool json_is_plain(uint8_t c, bool escape_html)
{
    if (c < 0x20 || c == '"' || c == '\\' || c >= 0x80)
        return false;
    return !escape_html || (c != '<' && c != '>' && c != '&');
}

static void json_add_escaped(struct buf *out, uint8_t c)
{
    static const char letters[] = "btn\0fr"; /* 8 to 13; 11 has none */

    if (c == '"' || c == '\\') {
        buf_add_byte(out, '\\');
        buf_add_byte(out, (char)c);
    } else if (c >= 8 && c <= 13 && letters[c - 8] != '\0') {
        buf_add_byte(out, '\\');
        buf_add_byte(out, letters[c - 8]);
    } else {
        buf_printf(out, "\\u%04x", c);
    }
}

void json_quote(struct buf *out, struct slice s, bool escape_html)
{
    size_t start = 0; /* of the run of bytes that are copied as they are */
    size_t at = 0;

    buf_add_byte(out, '"');
    while (at < s.len) {
        const uint8_t c = (uint8_t)s.data[at];
        uint32_t rune;
        size_t len = 1;

        if (json_is_plain(c, escape_html)) {
            at++;
            continue;
        }
        if (c >= 0x80) {
            len = utf8_decode(slice_skip(s, at), &rune);
            if (len > 1 && rune != 0x2028 && rune != 0x2029) {
                at += len;
                continue;
            }
        }
        buf_add(out, s.data + start, at - start);
        if (c < 0x80)
            json_add_escaped(out, c);
        else
            buf_printf(out, "\\u%04x", len > 1 ? rune : UTF8_BAD);
        at += len;
        start = at;
    }
    if (s.len > start)
        buf_add(out, s.data + start, s.len - start);
    buf_add_byte(out, '"');
}

void json_key_slice(struct json_writer *w, struct slice key)
{
    ASSERT(!w->after_key);
    json_before_item(w);
    json_quote(w->out, key, w->escape_html);
    buf_add_byte(w->out, ':');
    w->after_key = true;
}

void json_key(struct json_writer *w, const char *key)
{
    json_key_slice(w, slice_from_cstr(key));
}

void json_string(struct json_writer *w, struct slice s)
{
    json_before_item(w);
    json_quote(w->out, s, w->escape_html);
}

void json_cstr(struct json_writer *w, const char *text)
{
    json_string(w, slice_from_cstr(text));
}

void json_int(struct json_writer *w, int64_t v)
{
    json_before_item(w);
    number_add_int64(w->out, v);
}

void json_uint(struct json_writer *w, uint64_t v)
{
    json_before_item(w);
    number_add_uint64(w->out, v);
}

void json_double(struct json_writer *w, double v)
{
    json_before_item(w);
    if (isfinite(v)) {
        number_add_double(w->out, v, NUMBER_API);
        return;
    }
    buf_add_byte(w->out, '"');
    number_add_double(w->out, v, NUMBER_API);
    buf_add_byte(w->out, '"');
}

void json_bool(struct json_writer *w, bool v)
{
    json_before_item(w);
    buf_add_cstr(w->out, v ? "true" : "false");
}

void json_null(struct json_writer *w)
{
    json_before_item(w);
    buf_add_cstr(w->out, "null");
}

void json_raw(struct json_writer *w, struct slice value)
{
    json_before_item(w);
    buf_add_slice(w->out, value);
}

void json_member(struct json_writer *w, const char *key, struct slice value)
{
    json_key(w, key);
    json_string(w, value);
}

void json_member_cstr(struct json_writer *w, const char *key, const char *value)
{
    json_key(w, key);
    json_cstr(w, value);
}

void json_member_int(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_int(w, value);
}

void json_member_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_bool(w, value);
}
