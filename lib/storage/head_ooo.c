/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/head_ooo.h"

#include <string.h>

#include "base/mem.h"
#include "model/order.h"
#include "storage/head_internal.h"

enum {
    CAP_MIN = 4,
    ENCODED_SIZE_MAX = 16 + HEAD_OOO_SAMPLES * 24,
    READ_SAMPLES_MAX = UINT8_MAX, /* of a chunk, also of one that a checkpoint brought */
};

static int sample_cmp(const struct head_ooo_sample *a, const struct head_ooo_sample *b)
{
    return order_floats(sample_value_from_bits(a->v_bits), sample_value_from_bits(b->v_bits));
}

static size_t ooo_size(uint32_t cap)
{
    return sizeof(struct head_ooo) + cap * sizeof(struct head_ooo_sample);
}

struct head_ooo *head_ooo_get(const struct head_slab *slab, uint32_t i)
{
    return slab->ooo == NULL ? NULL : slab->ooo[i];
}

/* Gives the series room for `cap` staged samples; 0 frees all when there are no chunks either. */
static struct head_ooo *ooo_resize(struct head *head, struct head_slab *slab, uint32_t i,
                                   uint32_t cap)
{
    struct head_ooo *ooo = slab->ooo[i];
    const size_t old_size = ooo == NULL ? 0 : ooo_size(ooo->cap);
    size_t size = ooo_size(cap);

    if (cap == 0 && (ooo == NULL || ooo->sealed == NULL)) {
        mem_free(ooo);
        slab->ooo[i] = NULL;
        size = 0;
    } else {
        slab->ooo[i] = mem_realloc(ooo, size);
        if (ooo == NULL)
            *slab->ooo[i] = (struct head_ooo){0};
        slab->ooo[i]->cap = cap;
    }
    atomic_fetch_add(&head->ooo_bytes, size - old_size); /* modulo 2^64 */
    return slab->ooo[i];
}

static void slab_prepare(struct head_slab *slab)
{
    if (slab->ooo == NULL)
        slab->ooo = mem_zalloc(HEAD_SLAB_SLOTS, sizeof(struct head_ooo *));
}

/* ---- sealing ---- */

/* A chunk of samples, each time once. It is in nobody's list yet. */
static struct head_chunk *chunk_make(struct head *head, const struct head_ooo_sample *samples,
                                     uint32_t count)
{
    uint8_t bytes[ENCODED_SIZE_MAX];
    struct xor_encoder encoder;
    struct head_chunk *chunk;

    ASSERT(count > 0);
    ASSERT(count <= HEAD_OOO_SAMPLES);
    xor_encoder_init(&encoder);
    for (uint32_t i = 0; i < count; i++) {
        const struct sample sample = {samples[i].t_ms, sample_value_from_bits(samples[i].v_bits)};
        const enum err err = xor_encoder_append(&encoder, bytes, sizeof(bytes), sample);

        ASSERT(err == ERR_OK);
    }
    chunk = head_chunk_new(head, (uint16_t)xor_encoder_size(&encoder));
    chunk->prev = NULL;
    chunk->count = (uint8_t)count;
    chunk->t_max_ms = samples[count - 1].t_ms;
    chunk->span_ms = (uint32_t)(chunk->t_max_ms - samples[0].t_ms);
    memcpy(chunk->bytes, bytes, chunk->units);
    return chunk;
}

static int64_t window_of(const struct head *head, int64_t t_ms)
{
    const int64_t range_ms = head->options.block_range_ms;
    const int64_t window = t_ms / range_ms;

    return t_ms % range_ms < 0 ? window - 1 : window;
}

/* Leaves of samples in order the greatest of each time. Returns how many those are. */
static uint32_t settle(struct head_ooo_sample *samples, uint32_t count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct head_ooo_sample *last = &samples[kept == 0 ? 0 : kept - 1];

        if (kept == 0 || last->t_ms != samples[i].t_ms)
            samples[kept++] = samples[i];
        else if (sample_cmp(last, &samples[i]) < 0)
            *last = samples[i];
    }
    return kept;
}

/* Makes chunks of samples in order that all may see; their number, linked by prev, in *count. */
static struct head_chunk *chunks_make(struct head *head, const struct head_ooo_sample *samples,
                                      uint32_t count, unsigned *chunk_count)
{
    struct head_chunk *list = NULL;

    for (uint32_t from = 0; from < count;) {
        const int64_t window = window_of(head, samples[from].t_ms);
        struct head_chunk *chunk;
        uint32_t n = 1;

        while (from + n < count && n < HEAD_OOO_SAMPLES &&
               window_of(head, samples[from + n].t_ms) == window)
            n++;
        chunk = chunk_make(head, samples + from, n);
        chunk->prev = list;
        list = chunk;
        ++*chunk_count;
        from += n;
    }
    return list;
}

/* Adds a list of chunks to the series'. */
static void chunks_join(struct head_ooo *ooo, struct head_chunk *list)
{
    struct head_chunk **end = &list;

    while (*end != NULL)
        end = &(*end)->prev;
    *end = ooo->sealed;
    ooo->sealed = list;
}

/* Seals the staged samples that every reader sees, if they are worth it. */
static struct head_ooo *ooo_seal(struct head *head, struct head_slab *slab, uint32_t i,
                                 struct head_ooo_append *append)
{
    struct head_ooo *ooo = slab->ooo[i];
    struct head_ooo_sample *ready = mem_alloc(ooo->count * sizeof(*ready));
    uint32_t ready_count = 0, kept = 0;

    for (uint32_t k = 0; k < ooo->count; k++)
        ready_count += ooo->staged[k].seq <= head->low_seq;
    if (ready_count >= ooo->count - ooo->count / 2) {
        ready_count = 0;
        for (uint32_t k = 0; k < ooo->count; k++)
            if (ooo->staged[k].seq <= head->low_seq)
                ready[ready_count++] = ooo->staged[k];
            else
                ooo->staged[kept++] = ooo->staged[k];
        ooo->count = kept;
        kept = settle(ready, ready_count);
        append->dropped += ready_count - kept;
        chunks_join(ooo, chunks_make(head, ready, kept, &append->chunks));
        ooo = ooo_resize(head, slab, i, ooo->count < CAP_MIN ? CAP_MIN : ooo->count * 2);
    }
    mem_free(ready);
    return ooo;
}

/* ---- appending ---- */

enum head_ooo_end head_ooo_append(struct head *head, struct head_slab *slab, uint32_t i,
                                  struct head_ooo_append *append)
{
    const struct head_ooo_sample *sample = &append->sample;
    struct head_ooo *ooo;
    uint32_t at;

    slab_prepare(slab);
    ooo = slab->ooo[i];
    if (ooo == NULL)
        ooo = ooo_resize(head, slab, i, CAP_MIN);
    for (at = ooo->count; at > 0 && ooo->staged[at - 1].t_ms >= sample->t_ms; at--) {
        struct head_ooo_sample *other = &ooo->staged[at - 1];
        int order;

        if (other->t_ms > sample->t_ms)
            continue;
        order = sample_cmp(other, sample);
        if (order >= 0)
            return order == 0 ? HEAD_OOO_SAME : HEAD_OOO_SETTLED;
        if (other->seq == sample->seq) { /* of one group: nobody sees the one without the other */
            *other = *sample;
            return HEAD_OOO_SETTLED;
        }
    }
    while (at < ooo->count && ooo->staged[at].t_ms == sample->t_ms)
        at++;
    if (ooo->count >= HEAD_OOO_SAMPLES && ooo->count == ooo->cap) {
        ooo = ooo_seal(head, slab, i, append);
        for (at = ooo->count; at > 0 && ooo->staged[at - 1].t_ms > sample->t_ms;)
            at--;
    }
    if (ooo->count == ooo->cap)
        ooo = ooo_resize(head, slab, i, ooo->cap == 0 ? CAP_MIN : ooo->cap * 2);
    memmove(&ooo->staged[at + 1], &ooo->staged[at], (ooo->count - at) * sizeof(ooo->staged[0]));
    ooo->staged[at] = *sample;
    ooo->count++;
    return HEAD_OOO_ADDED;
}

void head_ooo_push(struct head *head, struct head_slab *slab, uint32_t i, struct head_chunk *chunk)
{
    slab_prepare(slab);
    if (slab->ooo[i] == NULL)
        (void)ooo_resize(head, slab, i, 1);
    chunk->prev = slab->ooo[i]->sealed;
    slab->ooo[i]->sealed = chunk;
}

/* ---- dropping ---- */

static bool drop_has(const struct head_drop *drop, int64_t t_ms)
{
    return t_ms >= drop->t_min_ms && t_ms < drop->t_end_ms;
}

/* What stays of a chunk, as new chunks; NULL: nothing. */
static struct head_chunk *chunk_rest(struct head *head, const struct head_chunk *chunk,
                                     const struct head_drop *drop, uint64_t *dropped)
{
    struct head_ooo_sample samples[READ_SAMPLES_MAX];
    uint32_t count = 0;
    struct sample sample;
    struct xor_iter it;
    unsigned made = 0;

    xor_iter_init(&it, head_chunk_bytes(chunk));
    while (count < READ_SAMPLES_MAX && xor_iter_next(&it, &sample)) {
        if (drop_has(drop, sample.t_ms))
            ++*dropped;
        else
            samples[count++] = (struct head_ooo_sample){.t_ms = sample.t_ms,
                                                        .v_bits = sample_value_bits(sample.v)};
    }
    /* A chunk that a checkpoint brought may be bad: what cannot be read is not kept. */
    struct head_chunk *list = chunks_make(head, samples, count, &made);
    atomic_fetch_add(&head->chunk_count, made);
    return list;
}

static uint64_t drop_sealed(struct head *head, struct head_ooo *ooo, struct head_drop *drop)
{
    struct head_chunk *kept = NULL, *chunk = ooo->sealed;
    uint64_t dropped = 0, chunks = 0;

    while (chunk != NULL) {
        struct head_chunk *prev = chunk->prev;
        const int64_t t_min_ms = head_chunk_t_min(chunk);

        if (chunk->t_max_ms < drop->t_min_ms || t_min_ms >= drop->t_end_ms) {
            chunk->prev = kept;
            kept = chunk;
            chunk = prev;
            continue;
        }
        if (drop_has(drop, t_min_ms) && drop_has(drop, chunk->t_max_ms)) {
            dropped += chunk->count;
        } else {
            struct head_chunk *rest = chunk_rest(head, chunk, drop, &dropped);

            while (rest != NULL) {
                struct head_chunk *next = rest->prev;

                rest->prev = kept;
                kept = rest;
                rest = next;
            }
        }
        chunk->prev = drop->dead;
        drop->dead = chunk;
        chunks++;
        chunk = prev;
    }
    ooo->sealed = kept;
    atomic_fetch_sub(&head->chunk_count, chunks);
    metric_add(&head->metrics.chunks_removed, chunks);
    return dropped;
}

uint64_t head_ooo_drop(struct head *head, struct head_slab *slab, uint32_t i,
                       struct head_drop *drop)
{
    struct head_ooo *ooo = slab->ooo[i];
    uint64_t dropped = drop_sealed(head, ooo, drop);
    uint32_t kept = 0;

    for (uint32_t k = 0; k < ooo->count; k++) {
        const struct head_ooo_sample *sample = &ooo->staged[k];

        if (sample->seq <= drop->watermark && drop_has(drop, sample->t_ms))
            dropped++;
        else
            ooo->staged[kept++] = *sample;
    }
    ooo->count = kept;
    if (kept == 0)
        (void)ooo_resize(head, slab, i, 0);
    return dropped;
}

void head_ooo_fini(struct head *head, struct head_slab *slab, uint32_t i)
{
    struct head_ooo *ooo = head_ooo_get(slab, i);

    if (ooo == NULL)
        return;
    while (ooo->sealed != NULL) {
        struct head_chunk *prev = ooo->sealed->prev;

        head_chunk_free(head, ooo->sealed);
        ooo->sealed = prev;
    }
    (void)ooo_resize(head, slab, i, 0);
}

/* ---- counting, walking ---- */

int64_t head_ooo_oldest(const struct head_ooo *ooo, int64_t from_ms)
{
    int64_t oldest_ms = INT64_MAX;

    if (ooo == NULL)
        return oldest_ms;
    for (uint32_t i = 0; i < ooo->count; i++)
        if (ooo->staged[i].t_ms >= from_ms) {
            oldest_ms = ooo->staged[i].t_ms;
            break;
        }
    for (const struct head_chunk *chunk = ooo->sealed; chunk != NULL; chunk = chunk->prev) {
        int64_t t_ms = head_chunk_t_min(chunk);

        if (chunk->t_max_ms < from_ms)
            continue;
        t_ms = t_ms < from_ms ? from_ms : t_ms;
        oldest_ms = t_ms < oldest_ms ? t_ms : oldest_ms;
    }
    return oldest_ms;
}

int64_t head_ooo_oldest_of_all(struct head *head, int64_t from_ms)
{
    const uint32_t slot_end = atomic_load(&head->slot_end);
    int64_t oldest_ms = INT64_MAX;

    for (uint32_t slot = 0; slot < slot_end; slot += HEAD_SLAB_SLOTS) {
        struct head_slab *slab = head_slab_of(head, slot);

        if (slab == NULL)
            continue;
        pthread_mutex_lock(&slab->lock);
        for (uint32_t i = 0; slab->ooo != NULL && i < HEAD_SLAB_SLOTS; i++) {
            const int64_t t_ms = head_ooo_oldest(slab->ooo[i], from_ms);

            oldest_ms = t_ms < oldest_ms ? t_ms : oldest_ms;
        }
        pthread_mutex_unlock(&slab->lock);
    }
    return oldest_ms;
}

void head_ooo_count(const struct head_ooo *ooo, uint64_t *samples, uint64_t *chunks)
{
    if (ooo == NULL)
        return;
    *samples += ooo->count;
    for (const struct head_chunk *chunk = ooo->sealed; chunk != NULL; chunk = chunk->prev) {
        *samples += chunk->count;
        ++*chunks;
    }
}

void head_ooo_each_chunk(struct head *head, const struct head_ooo *ooo, head_ooo_chunk_fn *fn,
                         void *owner)
{
    struct head_ooo_sample *samples;
    struct head_chunk *list;
    unsigned made = 0;
    uint32_t count;

    for (const struct head_chunk *chunk = ooo->sealed; chunk != NULL; chunk = chunk->prev)
        fn(owner, chunk);
    if (ooo->count == 0)
        return;
    samples = mem_alloc(ooo->count * sizeof(*samples));
    memcpy(samples, ooo->staged, ooo->count * sizeof(*samples));
    count = settle(samples, ooo->count);
    list = chunks_make(head, samples, count, &made);
    while (list != NULL) {
        struct head_chunk *prev = list->prev;

        fn(owner, list);
        head_chunk_free(head, list);
        list = prev;
    }
    mem_free(samples);
}
