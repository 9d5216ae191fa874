/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint: header, then frames. The checksums of the frames are made right, so that their
 * content is reached. */
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "storage/checkpoint.h"

struct seen {
    uint64_t tenants, pairs, slabs, series, chunks, ends;
};

static enum err on_tenant(void *owner, const struct checkpoint_tenant *tenant)
{
    ((struct seen *)owner)->tenants += tenant->name.len < SIZE_MAX;
    return ERR_OK;
}

static enum err on_pair(void *owner, const struct checkpoint_pair *pair)
{
    ((struct seen *)owner)->pairs += pair->value.len < SIZE_MAX;
    return ERR_OK;
}

static enum err on_slab(void *owner, const struct checkpoint_slab *slab)
{
    ((struct seen *)owner)->slabs += slab->number <= UINT32_MAX;
    return ERR_OK;
}

static enum err on_series(void *owner, const struct checkpoint_series *series)
{
    ASSERT(series->label_count <= CHECKPOINT_LABELS_MAX);
    ((struct seen *)owner)->series++;
    return ERR_OK;
}

static enum err on_chunk(void *owner, const struct checkpoint_chunk *chunk)
{
    ((struct seen *)owner)->chunks += chunk->bytes.len < SIZE_MAX;
    return ERR_OK;
}

static enum err on_metadata(void *owner, uint64_t tenant, const struct metadata *said)
{
    ((struct seen *)owner)->pairs += tenant <= UINT32_MAX && said->help.len < SIZE_MAX;
    return ERR_OK;
}

static enum err on_exemplar(void *owner, const struct checkpoint_exemplar *exemplar)
{
    ((struct seen *)owner)->pairs += exemplar->seq <= exemplar->frame_seq;
    return ERR_OK;
}

static enum err on_end(void *owner, uint64_t series_count)
{
    ((struct seen *)owner)->ends += series_count < UINT64_MAX;
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {0};
    const struct checkpoint_visitor visitor = {.on_tenant = on_tenant,
                                               .on_pair = on_pair,
                                               .on_slab = on_slab,
                                               .on_series = on_series,
                                               .on_chunk = on_chunk,
                                               .on_late_chunk = on_chunk,
                                               .on_metadata = on_metadata,
                                               .on_exemplar = on_exemplar,
                                               .on_end = on_end,
                                               .owner = &seen};
    struct slice rest = slice_of(data, size);
    struct checkpoint_header header;

    if (checkpoint_header_get(rest, &header, NULL) == ERR_OK)
        ASSERT(header.segment > 0);
    while (rest.len > CHECKPOINT_FRAME_HEADER_SIZE) {
        char frame[CHECKPOINT_FRAME_HEADER_SIZE];
        struct slice payload;
        size_t len;

        memcpy(frame, rest.data, sizeof(frame));
        rest = slice_skip(rest, sizeof(frame));
        if (checkpoint_frame_size(frame, &len) != ERR_OK || len > rest.len)
            return 0;
        payload = slice_of(rest.data, len);
        endian_put_u32le(frame + 4, crc32c_slice(payload));
        if (checkpoint_frame_read(frame, payload, &visitor, NULL) != ERR_OK)
            ASSERT(seen.tenants + seen.pairs + seen.series <= size);
        rest = slice_skip(rest, len);
    }
    return 0;
}
