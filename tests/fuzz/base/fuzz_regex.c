/* SPDX-License-Identifier: Apache-2.0 */
/* Pattern, NUL, text: sets of literals match what they list, a match begins with the prefix, a
 * capture agrees with a match, expansion stays in bounds. */
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/regex.h"
#include "base/utf8.h"

static void check(const struct regex *regex, struct slice text)
{
    struct slice groups[REGEX_GROUP_MAX + 1];
    const bool matches = regex_match(regex, text);
    const struct slice *texts;
    uint32_t count;

    if (matches)
        ASSERT(slice_has_prefix(text, regex_prefix(regex)));
    ASSERT(regex_capture(regex, text, groups, regex_group_count(regex) + 1) == matches);
    if (regex_literal_set(regex, &texts, &count)) {
        bool listed = false;

        for (uint32_t i = 0; i < count; i++) {
            ASSERT(regex_match(regex, texts[i]));
            listed = listed || slice_eq(texts[i], text);
        }
        ASSERT(listed == matches);
    }
    if (matches) {
        struct buf out;

        buf_init(&out, 1 << 20);
        regex_expand(regex, regex_pattern(regex), groups, &out);
        regex_expand(regex, text, groups, &out);
        buf_fini(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size == 0 ? NULL : memchr(data, 0, size);
    const size_t pattern_size = nul == NULL ? size : (size_t)(nul - data);
    const struct slice text =
        nul == NULL ? (struct slice){NULL, 0} : slice_of(nul + 1, size - pattern_size - 1);
    struct err_info info = {{0}};
    struct regex *regex;

    if (size > 300 || !utf8_is_valid(text))
        return 0;
    if (regex_new(slice_of(data, pattern_size), &regex, &info) != ERR_OK) {
        ASSERT(info.message[0] != '\0');
        return 0;
    }
    check(regex, text);
    regex_free(regex);
    return 0;
}
