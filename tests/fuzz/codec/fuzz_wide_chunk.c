/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes as a wide chunk: read to the end; what resumes goes on, and says the same again. */
#include "base/assert.h"
#include "codec/wide_chunk.h"
#include "model/order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct wide_sample *a, const struct wide_sample *b, bool is_float)
{
    ASSERT(a->t_ms == b->t_ms);
    ASSERT(a->start_t_ms == b->start_t_ms);
    if (is_float)
        ASSERT(sample_value_bits(a->v) == sample_value_bits(b->v));
    else
        ASSERT(order_histograms(a->histogram, b->histogram) == 0);
}

static void check_resumed(struct slice bytes, struct arena arenas[4])
{
    struct wide_sample sample, again;
    struct wide_encoder *encoder;
    struct wide_iter it, copy;

    if (wide_encoder_resume(bytes, &encoder) != ERR_OK)
        return;
    wide_iter_init(&it, bytes, &arenas[0]);
    wide_iter_init(&copy, wide_encoder_bytes(encoder), &arenas[1]);
    while (wide_iter_next(&it, &arenas[2], &sample)) {
        ASSERT(wide_iter_next(&copy, &arenas[3], &again));
        check_same(&sample, &again, it.state.kind == WIDE_FLOAT);
        if (it.state.kind != WIDE_FLOAT && it.state.count == 1)
            (void)wide_encoder_turn(encoder, sample.histogram);
    }
    ASSERT(it.err == ERR_OK);
    ASSERT(!wide_iter_next(&copy, &arenas[3], &again));
    ASSERT(copy.err == ERR_OK);
    wide_encoder_free(encoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice bytes = slice_of(data, size);
    struct arena arenas[4];
    struct wide_sample sample;
    struct wide_iter it;

    for (unsigned i = 0; i < COUNT_OF(arenas); i++)
        arena_init(&arenas[i], NULL, 64 << 20);
    wide_iter_init(&it, bytes, &arenas[0]);
    while (wide_iter_next(&it, &arenas[1], &sample))
        ;
    arena_reset(&arenas[0]);
    arena_reset(&arenas[1]);
    if (size < 4096)
        check_resumed(bytes, arenas);
    for (unsigned i = 0; i < COUNT_OF(arenas); i++)
        arena_fini(&arenas[i]);
    return 0;
}
