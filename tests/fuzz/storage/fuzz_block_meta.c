/* SPDX-License-Identifier: Apache-2.0 */
/* meta.json and identity: as they are, and with the input as an object that is sealed well, so that
 * the checksum does not hide what is behind it. */
#include "base/assert.h"
#include "storage/block_meta.h"
#include "storage/identity.h"
#include "storage/sealed_json.h"

static void check_text(struct slice text)
{
    struct identity identity;
    struct block_meta again;
    struct block_meta meta;
    struct err_info info = {0};

    if (block_meta_parse(text, &meta, &info) == ERR_OK) {
        struct buf out;

        buf_init(&out, SEALED_JSON_SIZE_MAX);
        block_meta_print(&meta, &out);
        ASSERT(out.err == ERR_OK);
        const enum err err = block_meta_parse(buf_slice(&out), &again, &info);
        /* What Latin bytes a tenant has may be printed otherwise; numbers are the same. */
        ASSERT(err == ERR_OK);
        ASSERT(again.watermark == meta.watermark);
        ASSERT(again.t_max_ms == meta.t_max_ms);
        ASSERT(again.data.crc == meta.data.crc);
        buf_fini(&out);
    } else {
        ASSERT(info.message[0] != '\0');
    }
    info.message[0] = '\0';
    if (identity_parse(text, &identity, &info) != ERR_OK)
        ASSERT(info.message[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf sealed;

    check_text(slice_of(data, size));
    if (size < 2 || size > SEALED_JSON_SIZE_MAX / 2 || data[size - 1] != '}')
        return 0;
    buf_init(&sealed, SEALED_JSON_SIZE_MAX);
    buf_add(&sealed, data, size);
    sealed_json_close(&sealed, 0);
    check_text(buf_slice(&sealed));
    buf_fini(&sealed);
    return 0;
}
