/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a number of each kind; what is read prints and reads back as the same. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/number.h"

static void check_double(double v)
{
    static const enum number_form forms[] = {NUMBER_API, NUMBER_FIXED, NUMBER_G, NUMBER_OM,
                                             NUMBER_EXP};

    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        char text[NUMBER_TEXT_SIZE];
        const size_t len = number_format_double(text, v, forms[i]);
        double back = 0;
        enum err err;

        ASSERT(len <= sizeof(text));
        err = number_parse_double(slice_of(text, len), &back);
        ASSERT(err == ERR_OK);
        ASSERT(isnan(v) ? isnan(back) : memcmp(&v, &back, sizeof(v)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice text = slice_of(data, size);
    double wide, decimal;
    int64_t i;
    uint64_t u;

    if (number_parse_double(text, &wide) == ERR_OK)
        check_double(wide);
    if (number_parse_double_decimal(text, &decimal) == ERR_OK) {
        enum err err = number_parse_double(text, &wide);

        ASSERT(err == ERR_OK);
        ASSERT(memcmp(&wide, &decimal, sizeof(wide)) == 0);
    }
    if (number_parse_int64(text, &i) == ERR_OK && i >= 0 && data[0] != '+' && data[0] != '-') {
        enum err err = number_parse_uint64(text, &u);

        ASSERT(err == ERR_OK);
        ASSERT(u == (uint64_t)i);
    }
    if (size >= sizeof(wide)) {
        memcpy(&wide, data, sizeof(wide));
        check_double(wide);
    }
    return 0;
}
