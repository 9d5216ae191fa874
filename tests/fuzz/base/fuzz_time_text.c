/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a duration, a time, a parameter; what is read prints and reads back as the same. */
#include "base/assert.h"
#include "base/buf.h"
#include "base/time_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice text = slice_of(data, size);
    int64_t v, back;
    struct err_info info = {{0}};
    struct buf out;

    buf_init(&out, 1000);
    if (time_text_parse_duration(text, &v, &info) == ERR_OK) {
        enum err err;

        time_text_add_duration(&out, v);
        err = time_text_parse_duration(buf_slice(&out), &back, NULL);
        ASSERT(err == ERR_OK);
        ASSERT(v == back);
    } else {
        ASSERT(info.message[0] != '\0');
    }
    buf_reset(&out);
    if (time_text_parse_rfc3339(text, &v, NULL) == ERR_OK) {
        enum err err;

        time_text_add_rfc3339_ns(&out, v);
        err = time_text_parse_rfc3339(buf_slice(&out), &back, NULL);
        ASSERT(err == ERR_OK);
        ASSERT(v == back);
    }
    info = (struct err_info){{0}};
    if (time_text_parse_timestamp(text, &v, &info) != ERR_OK)
        ASSERT(info.message[0] != '\0');
    info = (struct err_info){{0}};
    if (time_text_parse_step(text, &v, &info) != ERR_OK)
        ASSERT(info.message[0] != '\0');
    buf_fini(&out);
    return 0;
}
