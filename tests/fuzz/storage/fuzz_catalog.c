/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog: as it is, and with the input as the payloads of well-sealed records (cut where a
 * byte is 0xff), so that the checksums do not hide what is behind them. */
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "storage/catalog_internal.h"

static void check_bytes(struct slice bytes)
{
    struct catalog_state state;
    struct catalog_state again;
    struct err_info info = {0};

    if (catalog_state_read(&state, bytes, &info) != ERR_OK) {
        ASSERT(info.message[0] != '\0');
        return;
    }
    ASSERT(state.end <= bytes.len);
    for (uint32_t i = 1; i < state.count; i++)
        ASSERT(ulid_cmp(state.entries[i - 1].ulid, state.entries[i].ulid) < 0);
    /* A snapshot of it reads the same. */
    struct buf out;
    buf_init(&out, CATALOG_SIZE_MAX);
    catalog_put_header(&out);
    catalog_put_snapshot(&out, &state);
    const enum err err = catalog_state_read(&again, buf_slice(&out), &info);
    ASSERT(err == ERR_OK);
    ASSERT(again.count == state.count);
    ASSERT(state.count == 0 ||
           memcmp(again.entries, state.entries, state.count * sizeof(*state.entries)) == 0);
    ASSERT(again.deletion_count == state.deletion_count);
    for (uint32_t i = 0; i < state.deletion_count; i++) {
        ASSERT(again.deletions[i]->version == state.deletions[i]->version);
        ASSERT(again.deletions[i]->matcher_count == state.deletions[i]->matcher_count);
    }
    ASSERT(again.gone_count == state.gone_count);
    buf_fini(&out);
    catalog_state_fini(&state);
    catalog_state_fini(&again);
}

static void add_record(struct buf *out, struct slice payload, uint64_t version)
{
    const size_t start = out->len;
    char head[CATALOG_RECORD_HEAD_SIZE] = {0};

    endian_put_u64le(head + 8, version);
    head[16] = version == 0 ? CATALOG_SNAPSHOT : CATALOG_CHANGE;
    buf_add(out, head, sizeof(head));
    buf_add_slice(out, payload);
    endian_put_u32le(out->data + start, (uint32_t)(out->len - start - 8));
    endian_put_u32le(out->data + start + 4, crc32c(0, out->data + start + 8, out->len - start - 8));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    struct buf sealed;
    uint64_t version = 0;

    if (size > 1 << 16)
        return 0;
    check_bytes(rest);
    buf_init(&sealed, 4 << 20);
    catalog_put_header(&sealed);
    while (rest.len > 0) {
        const char *cut = memchr(rest.data, 0xff, rest.len);
        const size_t len = cut == NULL ? rest.len : (size_t)(cut - rest.data);

        add_record(&sealed, slice_of(rest.data, len), version++);
        rest = slice_skip(rest, len == rest.len ? len : len + 1);
    }
    check_bytes(buf_slice(&sealed));
    buf_fini(&sealed);
    return 0;
}
