/* SPDX-License-Identifier: Apache-2.0 */
/* Values of exemplars and metadata: what reads whole is in order, and its texts lie in the bytes.
 */
#include "base/assert.h"
#include "storage/block_internal.h"

static int64_t before_ms;

static enum err on_exemplar(void *owner, struct label_set series, const struct exemplar *exemplar)
{
    (void)series;
    ASSERT(*(uint64_t *)owner == 0 || exemplar->t_ms >= before_ms);
    before_ms = exemplar->t_ms;
    for (uint32_t i = 0; i < exemplar->labels.count; i++)
        *(uint64_t *)owner += exemplar->labels.items[i].name.len;
    ++*(uint64_t *)owner;
    return ERR_OK;
}

static enum err on_metadata(void *owner, const struct metadata *metadata)
{
    ASSERT(metadata->type <= METRIC_TYPE_STATESET);
    *(uint64_t *)owner += metadata->help.len + metadata->unit.len;
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t sum = 0;
    struct arena arena;

    arena_init(&arena, NULL, 64 << 20);
    const struct block_exemplar_walk walk = {
        .t_min_ms = INT64_MIN, .t_max_ms = INT64_MAX, .fn = on_exemplar, .owner = &sum};
    (void)block_walk_exemplars(slice_of(data, size), &walk, &arena);
    (void)block_walk_metadata(slice_of(data, size), SLICE("m"), on_metadata, &sum);
    arena_fini(&arena);
    return 0;
}
