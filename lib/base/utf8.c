/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <utf8proc.h>

#include "base/endian.h"

#define UTF8_HIGH_BITS UINT64_C(0x8080808080808080)

/* Length of the code point that starts with this byte, 0 for none, and the range of its second
 * byte, which is where overlong forms, surrogates and what is above U+10FFFF are told. */
static unsigned utf8_lead(uint8_t byte, uint8_t *second_min, uint8_t *second_max)
{
    *second_min = 0x80;
    *second_max = 0xbf;
    if (byte < 0x80)
        return 1;
    if (byte < 0xc2)
        return 0;
    if (byte < 0xe0)
        return 2;
    if (byte < 0xf0) {
        if (byte == 0xe0)
            *second_min = 0xa0;
        if (byte == 0xed)
            *second_max = 0x9f;
        return 3;
    }
    if (byte > 0xf4)
        return 0;
    if (byte == 0xf0)
        *second_min = 0x90;
    if (byte == 0xf4)
        *second_max = 0x8f;
    return 4;
}

size_t utf8_decode(struct slice s, uint32_t *rune)
{
    const uint8_t *at = (const uint8_t *)s.data;
    uint8_t second_min, second_max;
    unsigned len;
    uint32_t value;

    *rune = UTF8_BAD;
    if (s.len == 0)
        return 0;
    len = utf8_lead(at[0], &second_min, &second_max);
    if (len == 1) {
        *rune = at[0];
        return 1;
    }
    if (len == 0 || s.len < len || at[1] < second_min || at[1] > second_max)
        return 1;
    value = at[0] & (0x7fu >> len);
    value = value << 6 | (at[1] & 0x3f);
    for (unsigned i = 2; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 1;
        value = value << 6 | (at[i] & 0x3f);
    }
    *rune = value;
    return len;
}

size_t utf8_valid_prefix(struct slice s)
{
    size_t at = 0;

    while (at < s.len) {
        uint32_t rune;
        size_t len;

        while (s.len - at >= 8 && (endian_get_u64le(s.data + at) & UTF8_HIGH_BITS) == 0)
            at += 8;
        if (at == s.len)
            break;
        len = utf8_decode(slice_skip(s, at), &rune);
        if (len == 1 && rune == UTF8_BAD)
            break;
        at += len;
    }
    return at;
}

size_t utf8_encode(char out[4], uint32_t rune)
{
    if (rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
        rune = UTF8_BAD;
    if (rune < 0x80) {
        out[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        out[0] = (char)(0xc0 | rune >> 6);
        out[1] = (char)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune < 0x10000) {
        out[0] = (char)(0xe0 | rune >> 12);
        out[1] = (char)(0x80 | (rune >> 6 & 0x3f));
        out[2] = (char)(0x80 | (rune & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | rune >> 18);
    out[1] = (char)(0x80 | (rune >> 12 & 0x3f));
    out[2] = (char)(0x80 | (rune >> 6 & 0x3f));
    out[3] = (char)(0x80 | (rune & 0x3f));
    return 4;
}

size_t utf8_count(struct slice s)
{
    size_t count = 0;

    for (size_t at = 0; at < s.len; count++) {
        uint32_t rune;

        at += utf8_decode(slice_skip(s, at), &rune);
    }
    return count;
}

/* Sets of utf8proc's categories, one bit each. */
#define UTF8_CATEGORY(name) (1u << UTF8PROC_CATEGORY_##name)
#define UTF8_NOT_PRINTED                                                                           \
    (UTF8_CATEGORY(CN) | UTF8_CATEGORY(ZS) | UTF8_CATEGORY(ZL) | UTF8_CATEGORY(ZP) |               \
     UTF8_CATEGORY(CC) | UTF8_CATEGORY(CF) | UTF8_CATEGORY(CS) | UTF8_CATEGORY(CO))
#define UTF8_ALNUM                                                                                 \
    (UTF8_CATEGORY(LU) | UTF8_CATEGORY(LL) | UTF8_CATEGORY(LT) | UTF8_CATEGORY(LM) |               \
     UTF8_CATEGORY(LO) | UTF8_CATEGORY(ND))

static unsigned utf8_category(uint32_t rune)
{
    return 1u << utf8proc_category((utf8proc_int32_t)rune);
}

bool utf8_is_print(uint32_t rune)
{
    if (rune < 0x80)
        return rune >= 0x20 && rune < 0x7f;
    return (utf8_category(rune) & UTF8_NOT_PRINTED) == 0;
}

bool utf8_is_alnum(uint32_t rune)
{
    return (utf8_category(rune) & UTF8_ALNUM) != 0;
}

/* The letter of a two-character escape, or 0. */
static char utf8_short_escape(uint32_t rune)
{
    static const char letters[] = "abtnvfr"; /* 7 to 13 */

    if (rune >= 7 && rune <= 13)
        return letters[rune - 7];
    return rune == '"' || rune == '\\' ? (char)rune : '\0';
}

void utf8_quote(struct buf *out, struct slice s)
{
    buf_add_byte(out, '"');
    for (size_t at = 0, len; at < s.len; at += len) {
        uint32_t rune;

        len = utf8_decode(slice_skip(s, at), &rune);
        if (len == 1 && rune == UTF8_BAD)
            buf_printf(out, "\\x%02x", (uint8_t)s.data[at]);
        else if (utf8_short_escape(rune) != '\0')
            buf_printf(out, "\\%c", utf8_short_escape(rune));
        else if (utf8_is_print(rune))
            buf_add(out, s.data + at, len);
        else if (rune < 0x80)
            buf_printf(out, "\\x%02x", rune);
        else
            buf_printf(out, rune < 0x10000 ? "\\u%04x" : "\\U%08x", rune);
    }
    buf_add_byte(out, '"');
}

static void utf8_map_runes(struct buf *out, struct slice s,
                           utf8proc_int32_t (*map)(utf8proc_int32_t rune))
{
    for (size_t at = 0; at < s.len;) {
        uint32_t rune;
        char text[4];

        at += utf8_decode(slice_skip(s, at), &rune);
        buf_add(out, text, utf8_encode(text, (uint32_t)map((utf8proc_int32_t)rune)));
    }
}

void utf8_to_lower(struct buf *out, struct slice s)
{
    utf8_map_runes(out, s, utf8proc_tolower);
}

void utf8_to_upper(struct buf *out, struct slice s)
{
    utf8_map_runes(out, s, utf8proc_toupper);
}
