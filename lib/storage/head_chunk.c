/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "base/varint.h"
#include "storage/head_internal.h"
#include "storage/head_wide.h"

/* The samples of one series: an open chunk whose encoder is spread over struct series_hot, and
 * sealed chunks of exact size. */

enum {
    OPEN_SIZE_MIN = 48,
    REWRITE_SIZE_MAX = 2048, /* fewer samples may take more: new windows, a new first sample */
    XOR_HEADER_SIZE = 2,
    MARKS_CAP_MIN = 4,
};

static void hot_load(const struct series_hot *hot, struct xor_encoder *encoder)
{
    *encoder = (struct xor_encoder){.state = {.t_ms = hot->t_ms,
                                              .dt_ms = hot->dt_ms,
                                              .v_bits = hot->v_bits,
                                              .leading = hot->leading,
                                              .trailing = hot->trailing,
                                              .count = hot->count},
                                    .bit_count = hot->bit_count};
}

static void hot_store(struct series_hot *hot, const struct xor_encoder *encoder)
{
    hot->t_ms = encoder->state.t_ms;
    hot->dt_ms = encoder->state.dt_ms;
    hot->v_bits = encoder->state.v_bits;
    hot->leading = encoder->state.leading;
    hot->trailing = encoder->state.trailing;
    hot->count = (uint8_t)encoder->state.count;
    hot->bit_count = (uint16_t)encoder->bit_count;
}

static size_t open_size(const struct series_hot *hot)
{
    return (size_t)hot->open_units * CHUNK_POOL_UNIT;
}

static size_t open_used(const struct series_hot *hot)
{
    return ((size_t)hot->bit_count + 7) / 8;
}

static bool is_wide(const struct series_hot *hot)
{
    return (hot->trailing & HEAD_HOT_WIDE) != 0;
}

/* An empty open chunk; what it held is sealed or dropped. The newest time and value stay, and of
 * which kind they are. */
static void open_reset(struct head *head, struct series_hot *hot)
{
    struct xor_encoder encoder;

    if (__builtin_expect((hot->trailing & HEAD_HOT_FLAGS) != 0, 0)) {
        if (is_wide(hot))
            head_wide_reset(head, hot);
        return;
    }
    if (hot->open != NULL)
        chunk_pool_put(head->chunks, hot->open, open_size(hot));
    xor_encoder_init(&encoder);
    hot->open = NULL;
    hot->open_units = 0;
    hot->count = 0;
    hot->dt_ms = 0;
    hot->leading = encoder.state.leading;
    hot->trailing = encoder.state.trailing;
    hot->bit_count = (uint16_t)encoder.bit_count;
}

/* More room for the open chunk; false when it has all it may have. */
static bool open_grow(struct head *head, struct series_hot *hot, size_t size_max)
{
    const size_t old = open_size(hot);
    size_t size = old == 0 ? OPEN_SIZE_MIN : chunk_pool_round(old + old / 2);
    uint8_t *grown;

    if (old >= size_max)
        return false;
    if (size > size_max)
        size = size_max;
    grown = chunk_pool_get(head->chunks, size);
    if (old > 0)
        memcpy(grown, hot->open, open_used(hot));
    chunk_pool_put(head->chunks, hot->open, old);
    hot->open = grown;
    hot->open_units = (uint8_t)(size / CHUNK_POOL_UNIT);
    return true;
}

struct slice head_chunk_open_bytes(const struct series_hot *hot)
{
    ASSERT(hot->count > 0);
    if (is_wide(hot))
        return wide_encoder_bytes(head_wide_encoder(hot));
    xor_encoder_finish(hot->open, hot->count);
    return slice_of(hot->open, open_used(hot));
}

struct head_chunk *head_chunk_new(struct head *head, uint16_t size)
{
    struct head_chunk *chunk = chunk_pool_get(head->chunks, sizeof(*chunk) + size);

    chunk->units = size;
    chunk->is_wide = false;
    return chunk;
}

struct head_chunk *head_chunk_new_wide(struct head *head, struct slice bytes)
{
    const size_t units = (bytes.len + HEAD_CHUNK_UNIT_WIDE - 1) / HEAD_CHUNK_UNIT_WIDE;
    const size_t size = units * HEAD_CHUNK_UNIT_WIDE;
    struct head_chunk *chunk;

    ASSERT(bytes.len <= HEAD_CHUNK_SIZE_MAX_WIDE);
    if (sizeof(*chunk) + size <= CHUNK_POOL_SIZE_MAX) {
        chunk = chunk_pool_get(head->chunks, sizeof(*chunk) + size);
    } else {
        chunk = mem_alloc(sizeof(*chunk) + size);
        atomic_fetch_add(&head->wide_bytes, sizeof(*chunk) + size);
    }
    chunk->units = (uint16_t)units;
    chunk->is_wide = true;
    memcpy(chunk->bytes, bytes.data, bytes.len);
    memset(chunk->bytes + bytes.len, 0, size - bytes.len);
    return chunk;
}

void head_chunk_free(struct head *head, struct head_chunk *chunk)
{
    const size_t size = sizeof(*chunk) + head_chunk_size(chunk);

    if (size <= CHUNK_POOL_SIZE_MAX) {
        chunk_pool_put(head->chunks, chunk, size);
        return;
    }
    atomic_fetch_sub(&head->wide_bytes, size);
    mem_free(chunk);
}

int64_t head_chunk_open_t_min(const struct series_hot *hot)
{
    int64_t t_ms = 0;
    size_t n;

    ASSERT(hot->count > 0);
    if (is_wide(hot))
        return wide_encoder_t_min(head_wide_encoder(hot));
    n = varint_get_i64(hot->open + XOR_HEADER_SIZE, hot->open + open_used(hot), &t_ms);
    ASSERT(n > 0);
    return t_ms;
}

int64_t head_chunk_oldest(const struct series_hot *hot)
{
    int64_t t_min_ms = hot->count > 0 ? head_chunk_open_t_min(hot) : INT64_MAX;

    for (const struct head_chunk *chunk = hot->sealed; chunk != NULL; chunk = chunk->prev)
        t_min_ms = head_chunk_t_min(chunk);
    return t_min_ms;
}

void head_chunk_seal(struct head *head, struct series_hot *hot)
{
    const struct slice bytes = head_chunk_open_bytes(hot);
    const int64_t t_min_ms = head_chunk_open_t_min(hot);
    struct head_chunk *chunk =
        is_wide(hot) ? head_chunk_new_wide(head, bytes) : head_chunk_new(head, (uint16_t)bytes.len);

    ASSERT((uint64_t)hot->t_ms - (uint64_t)t_min_ms <= UINT32_MAX);
    chunk->prev = hot->sealed;
    chunk->t_max_ms = hot->t_ms;
    chunk->span_ms = (uint32_t)(hot->t_ms - t_min_ms);
    chunk->count = hot->count;
    if (!chunk->is_wide)
        memcpy(chunk->bytes, bytes.data, bytes.len);
    hot->sealed = chunk;
    open_reset(head, hot);
}

void head_chunk_clear(struct head *head, struct series_hot *hot)
{
    ASSERT(hot->count == 0);
    open_reset(head, hot);
}

/* Whether a reader's watermark lies in [from, to): it sees `from` and not `to`. */
static bool marks_parted(const struct head *head, uint64_t from, uint64_t to)
{
    for (uint32_t i = 0; i < head->cut_count; i++)
        if (head->cuts[i] >= from && head->cuts[i] < to)
            return true;
    return false;
}

/* Remembers the present mark, since a reader may not see it. Marks that no reader tells apart
 * become one, so there are never more than readers. */
static void marks_push(struct head *head, struct series_hot *hot)
{
    struct head_marks *marks = hot->marks;
    uint32_t seen = 0;

    if (marks == NULL) {
        marks = mem_alloc(sizeof(*marks) + MARKS_CAP_MIN * sizeof(marks->items[0]));
        *marks = (struct head_marks){.cap = MARKS_CAP_MIN};
    }
    while (seen < marks->count && marks->items[seen].seq <= head->low_seq)
        seen++;
    if (seen > 0) {
        marks->count -= seen;
        memmove(marks->items, marks->items + seen, marks->count * sizeof(marks->items[0]));
    }
    if (marks->count > 0) {
        struct head_mark *last = &marks->items[marks->count - 1];

        if (!marks_parted(head, last->seq, hot->mark_seq)) {
            last->seq = hot->mark_seq;
            last->count += hot->mark_count;
            hot->marks = marks;
            return;
        }
    }
    if (marks->count == marks->cap) {
        marks->cap *= 2;
        marks = mem_realloc(marks, sizeof(*marks) + marks->cap * sizeof(marks->items[0]));
    }
    marks->items[marks->count++] = (struct head_mark){hot->mark_seq, hot->mark_count};
    hot->marks = marks;
}

void head_chunk_note(struct head *head, struct series_hot *hot, uint64_t seq)
{
    if (hot->mark_seq == seq && hot->mark_count < UINT16_MAX) {
        hot->mark_count++;
        return;
    }
    if (hot->mark_seq > head->low_seq && hot->mark_count > 0) {
        marks_push(head, hot);
    } else if (hot->marks != NULL) {
        mem_free(hot->marks);
        hot->marks = NULL;
    }
    hot->mark_seq = seq;
    hot->mark_count = 1;
}

uint64_t head_chunk_hidden(const struct series_hot *hot, uint64_t watermark)
{
    uint64_t hidden;

    if (hot->mark_seq <= watermark)
        return 0;
    hidden = hot->mark_count;
    for (uint32_t i = hot->marks == NULL ? 0 : hot->marks->count; i-- > 0;) {
        if (hot->marks->items[i].seq <= watermark)
            break;
        hidden += hot->marks->items[i].count;
    }
    return hidden;
}

/* A plain float comes behind what was not: an XOR chunk begins. */
static void leave_wide(struct head *head, struct series_hot *hot)
{
    if (hot->count > 0)
        head_chunk_seal(head, hot);
    open_reset(head, hot);
    hot->trailing = 0;
    open_reset(head, hot); /* as an XOR chunk is before its first sample */
}

unsigned head_chunk_append(struct head *head, struct series_hot *hot, const struct head_append *a)
{
    const struct sample sample = {a->t_ms, sample_value_from_bits(a->v_bits)};
    struct xor_encoder encoder;
    unsigned begun;

    head_chunk_note(head, hot, a->mark_seq);
    if (__builtin_expect((hot->trailing & HEAD_HOT_FLAGS) != 0, 0))
        leave_wide(head, hot);
    if (hot->count > 0 && (hot->count >= HEAD_CHUNK_SAMPLES || hot->t_ms < a->window_min_ms))
        head_chunk_seal(head, hot);
    begun = hot->count == 0;
    if (begun && hot->open == NULL)
        open_reset(head, hot);
    hot_load(hot, &encoder);
    while (xor_encoder_append_uncounted(&encoder, hot->open, open_size(hot), sample) != ERR_OK) {
        if (open_grow(head, hot, HEAD_CHUNK_SIZE_MAX))
            continue;
        head_chunk_seal(head, hot);
        begun++;
        hot_load(hot, &encoder);
    }
    hot_store(hot, &encoder);
    return begun;
}

/* ---- dropping what is in a block ---- */

/* Samples of a chunk, and which of them stay. */
struct rewrite {
    struct sample samples[UINT8_MAX];
    uint32_t count; /* that stay */
    uint32_t dropped;
};

/* Sorts a chunk's samples into those that go (in the window, and among the first `visible`) and
 * those that stay. */
static void rewrite_read(struct rewrite *rewrite, const struct head_drop *drop, struct slice bytes,
                         uint32_t visible)
{
    struct xor_iter it;
    struct sample sample;
    uint32_t i = 0;

    rewrite->count = rewrite->dropped = 0;
    xor_iter_init(&it, bytes);
    while (xor_iter_next(&it, &sample)) {
        if (i++ < visible && sample.t_ms >= drop->t_min_ms && sample.t_ms < drop->t_end_ms) {
            rewrite->dropped++;
            continue;
        }
        ASSERT(rewrite->count < COUNT_OF(rewrite->samples));
        rewrite->samples[rewrite->count++] = sample;
    }
    /* A chunk that a checkpoint brought may be bad: what cannot be read is not kept. */
}

/* A sealed chunk of the samples that stay. */
static struct head_chunk *rewrite_chunk(struct head *head, const struct rewrite *rewrite)
{
    uint8_t bytes[REWRITE_SIZE_MAX];
    struct xor_encoder encoder;
    struct head_chunk *chunk;
    enum err err;

    xor_encoder_init(&encoder);
    for (uint32_t i = 0; i < rewrite->count; i++) {
        err = xor_encoder_append(&encoder, bytes, sizeof(bytes), rewrite->samples[i]);
        ASSERT(err == ERR_OK);
    }
    chunk = head_chunk_new(head, (uint16_t)xor_encoder_size(&encoder));
    chunk->count = (uint8_t)rewrite->count;
    chunk->t_max_ms = rewrite->samples[rewrite->count - 1].t_ms;
    chunk->span_ms = (uint32_t)(chunk->t_max_ms - rewrite->samples[0].t_ms);
    memcpy(chunk->bytes, bytes, chunk->units);
    return chunk;
}

/* The open chunk is a wide one, and some of it may go. */
static uint32_t drop_open_wide(struct head *head, struct series_hot *hot,
                               const struct head_drop *drop, uint32_t visible, uint64_t *chunks)
{
    struct head_wide_rest rest;
    const int64_t t_newest_ms = hot->t_ms;

    head_wide_rewrite(head_chunk_open_bytes(hot), drop, visible, &rest);
    if (rest.dropped == 0) {
        wide_encoder_free(rest.encoder);
        return 0;
    }
    head_wide_reset(head, hot);
    if (rest.encoder == NULL) {
        ++*chunks;
        return rest.dropped;
    }
    head_wide_open(head, hot, rest.encoder);
    if (rest.t_max_ms == t_newest_ms)
        return rest.dropped;
    hot->t_ms = rest.t_max_ms;
    head_chunk_seal(head, hot);
    hot->t_ms = t_newest_ms;
    return rest.dropped;
}

/* A sealed chunk of what a drop leaves of a wide one; NULL: nothing. */
static struct head_chunk *drop_wide(struct head *head, const struct head_chunk *chunk,
                                    const struct head_drop *drop, uint32_t visible,
                                    uint64_t *dropped)
{
    struct head_chunk *kept = NULL;
    struct head_wide_rest rest;

    head_wide_rewrite(head_chunk_bytes(chunk), drop, visible, &rest);
    *dropped += rest.dropped;
    if (rest.encoder != NULL) {
        kept = head_chunk_new_wide(head, wide_encoder_bytes(rest.encoder));
        kept->count = (uint8_t)wide_encoder_count(rest.encoder);
        kept->t_max_ms = rest.t_max_ms;
        kept->span_ms = (uint32_t)(rest.t_max_ms - wide_encoder_t_min(rest.encoder));
        wide_encoder_free(rest.encoder);
    }
    return kept;
}

/* Returns how many samples of the open chunk went. */
static uint32_t drop_open(struct head *head, struct series_hot *hot, const struct head_drop *drop,
                          uint64_t *hidden, uint64_t *chunks)
{
    const uint32_t count = hot->count;
    const uint32_t visible = *hidden >= count ? 0 : count - (uint32_t)*hidden;
    const int64_t t_newest_ms = hot->t_ms;
    const uint64_t v_newest = hot->v_bits;
    struct rewrite rewrite;
    struct xor_encoder encoder;

    *hidden -= count - visible;
    if (visible == 0 || hot->t_ms < drop->t_min_ms || head_chunk_open_t_min(hot) >= drop->t_end_ms)
        return 0;
    if (is_wide(hot))
        return drop_open_wide(head, hot, drop, visible, chunks);
    rewrite_read(&rewrite, drop, head_chunk_open_bytes(hot), visible);
    if (rewrite.dropped == 0)
        return 0;
    open_reset(head, hot);
    hot_load(hot, &encoder);
    for (uint32_t i = 0; i < rewrite.count; i++)
        while (xor_encoder_append_uncounted(&encoder, hot->open, open_size(hot),
                                            rewrite.samples[i]) != ERR_OK) {
            bool grown;

            hot_store(hot, &encoder);
            grown = open_grow(head, hot, REWRITE_SIZE_MAX);
            ASSERT(grown);
        }
    hot_store(hot, &encoder);
    if (rewrite.count == 0)
        ++*chunks;
    else if (hot->t_ms != t_newest_ms) /* the encoder cannot go on from a time it does not have */
        head_chunk_seal(head, hot);
    hot->t_ms = t_newest_ms;
    hot->v_bits = v_newest;
    return rewrite.dropped;
}

uint64_t head_chunk_drop(struct head *head, struct series_hot *hot, struct head_drop *drop)
{
    uint64_t hidden = head_chunk_hidden(hot, drop->watermark);
    uint64_t dropped = 0, chunks = 0;

    if (hot->count > 0)
        dropped += drop_open(head, hot, drop, &hidden, &chunks);
    for (struct head_chunk **at = &hot->sealed; *at != NULL;) {
        struct head_chunk *chunk = *at;
        const uint32_t visible = hidden >= chunk->count ? 0 : chunk->count - (uint32_t)hidden;
        struct head_chunk *kept = NULL;
        struct rewrite rewrite;

        hidden -= chunk->count - visible;
        if (visible == 0 || chunk->t_max_ms < drop->t_min_ms ||
            head_chunk_t_min(chunk) >= drop->t_end_ms) {
            at = &chunk->prev;
            continue;
        }
        if (visible == chunk->count && chunk->t_max_ms < drop->t_end_ms &&
            head_chunk_t_min(chunk) >= drop->t_min_ms) {
            dropped += chunk->count;
        } else if (chunk->is_wide) {
            kept = drop_wide(head, chunk, drop, visible, &dropped);
        } else {
            rewrite_read(&rewrite, drop, head_chunk_bytes(chunk), visible);
            dropped += rewrite.dropped;
            if (rewrite.count > 0)
                kept = rewrite_chunk(head, &rewrite);
        }
        *at = chunk->prev;
        if (kept != NULL) {
            kept->prev = chunk->prev;
            *at = kept;
            at = &kept->prev;
        } else {
            chunks++;
        }
        chunk->prev = drop->dead;
        drop->dead = chunk;
    }
    atomic_fetch_sub(&head->chunk_count, chunks);
    metric_add(&head->metrics.chunks_removed, chunks);
    return dropped;
}

void head_chunk_fini(struct head *head, struct series_hot *hot)
{
    struct head_chunk *chunk = hot->sealed;

    open_reset(head, hot);
    mem_free(hot->marks);
    while (chunk != NULL) {
        struct head_chunk *prev = chunk->prev;

        head_chunk_free(head, chunk);
        chunk = prev;
    }
    *hot = (struct series_hot){.t_ms = HEAD_T_NONE};
}
