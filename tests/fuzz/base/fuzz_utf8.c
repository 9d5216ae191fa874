/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding code point by code point agrees with the validity check and with encoding. */
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice s = slice_of(data, size);
    size_t at = 0, count = 0, valid = SIZE_MAX;
    struct buf out;

    while (at < size) {
        uint32_t rune;
        char text[4];
        const size_t len = utf8_decode(slice_skip(s, at), &rune);

        ASSERT(len >= 1);
        if (len == 1 && rune == UTF8_BAD && valid == SIZE_MAX)
            valid = at;
        if (len > 1 || rune != UTF8_BAD) {
            ASSERT(utf8_encode(text, rune) == len);
            ASSERT(memcmp(text, data + at, len) == 0);
        }
        at += len;
        count++;
    }
    ASSERT(utf8_valid_prefix(s) == (valid == SIZE_MAX ? size : valid));
    ASSERT(utf8_count(s) == count);
    buf_init(&out, 1 << 20);
    utf8_quote(&out, s);
    ASSERT(out.err != ERR_OK || utf8_is_valid(buf_slice(&out)));
    utf8_to_lower(&out, s);
    utf8_to_upper(&out, s);
    buf_fini(&out);
    return 0;
}
