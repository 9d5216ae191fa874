/* SPDX-License-Identifier: Apache-2.0 */

/* Up to the first NUL an Accept header, then a name: whatever is asked for, a sample with that name
 * is written. */
#include "base/assert.h"
#include "codec/exposition_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice all = slice_of(data, size);
    const char *nul = size == 0 ? NULL : memchr(data, 0, size);
    const size_t len = nul == NULL ? size : (size_t)(nul - all.data);
    const struct slice name = nul == NULL ? SLICE("a") : slice_skip(all, len + 1);
    const struct exposition_format format = exposition_negotiate(slice_of(data, len));
    const struct label label = {name, name};
    struct exposition_out exposition;
    struct buf out;

    ASSERT(exposition_content_type(&format) != NULL);
    buf_init(&out, 1 << 20);
    exposition_out_init(&exposition, &format, &out);
    ASSERT(exposition_out_sample(&exposition,
                                 &(struct exposition_sample){name, &label, 1, 5, 0.5, NULL}));
    exposition_out_finish(&exposition);
    ASSERT(out.err != ERR_OK || out.len != 0);
    exposition_out_fini(&exposition);
    buf_fini(&out);
    return 0;
}
