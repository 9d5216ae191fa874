/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/head_record.h"

#include "base/assert.h"

static void put_u64(struct buf *buf, uint64_t v)
{
    char bytes[VARINT_SIZE_MAX];

    buf_add(buf, bytes, varint_put_u64(bytes, v));
}

static void put_text(struct buf *buf, struct slice text)
{
    put_u64(buf, text.len);
    buf_add_slice(buf, text);
}

static bool take_text(struct slice *from, struct slice *text)
{
    uint64_t len;

    if (!varint_take_u64(from, &len) || len > from->len)
        return false;
    *text = slice_of(from->data, (size_t)len);
    *from = slice_skip(*from, (size_t)len);
    return true;
}

void head_record_put_series(struct buf *buf, struct head_ref ref, struct slice tenant,
                            struct label_set labels)
{
    ASSERT(labels.count <= HEAD_RECORD_LABELS_MAX);
    put_u64(buf, ref.slot);
    put_u64(buf, ref.gen);
    put_text(buf, tenant);
    put_u64(buf, labels.count);
    for (uint32_t i = 0; i < labels.count; i++) {
        put_text(buf, labels.items[i].name);
        put_text(buf, labels.items[i].value);
    }
}

enum err head_record_get_series(struct slice payload, struct head_record_series *series)
{
    uint64_t slot, gen, count;

    if (!varint_take_u64(&payload, &slot) || slot > UINT32_MAX)
        return ERR_CORRUPT;
    if (!varint_take_u64(&payload, &gen) || gen == 0 || gen > INT32_MAX)
        return ERR_CORRUPT;
    if (!take_text(&payload, &series->tenant) || series->tenant.len == 0)
        return ERR_CORRUPT;
    if (!varint_take_u64(&payload, &count) || count > HEAD_RECORD_LABELS_MAX)
        return ERR_CORRUPT;
    for (uint64_t i = 0; i < count; i++) {
        struct label *label = &series->labels[i];

        if (!take_text(&payload, &label->name) || !take_text(&payload, &label->value))
            return ERR_CORRUPT;
        if (label->name.len == 0 || label->value.len == 0)
            return ERR_CORRUPT;
        if (i > 0 && slice_cmp(series->labels[i - 1].name, label->name) >= 0)
            return ERR_CORRUPT;
    }
    if (payload.len != 0)
        return ERR_CORRUPT;
    series->ref = (struct head_ref){(uint32_t)slot, (uint32_t)gen};
    series->label_count = (uint32_t)count;
    return ERR_OK;
}

void head_record_start_samples(struct head_record_writer *writer, struct buf *buf,
                               struct slice tenant, int64_t out_of_order_ms)
{
    ASSERT(out_of_order_ms >= 0);
    *writer = (struct head_record_writer){0};
    put_text(buf, tenant);
    put_u64(buf, (uint64_t)out_of_order_ms);
}

enum err head_record_open_samples(struct head_record_reader *reader, struct slice payload,
                                  struct slice *tenant)
{
    uint64_t window_ms;

    *reader = (struct head_record_reader){0};
    if (!take_text(&payload, tenant) || tenant->len == 0)
        return ERR_CORRUPT;
    if (!varint_take_u64(&payload, &window_ms) || window_ms > INT64_MAX)
        return ERR_CORRUPT;
    reader->out_of_order_ms = (int64_t)window_ms;
    reader->rest = payload;
    return ERR_OK;
}

/* Reads slot and gen; returns the place behind them, or NULL. */
static const char *get_ref(struct head_ref *ref, unsigned mode, const char *at, const char *end)
{
    int64_t slot_delta, gen_delta;
    size_t n;

    if (mode == HEAD_RECORD_REF_SAME)
        return at;
    if (mode == HEAD_RECORD_REF_NEXT) {
        ref->slot++;
        ref->gen++;
        return at;
    }
    n = varint_get_i64(at, end, &slot_delta);
    if (n == 0)
        return NULL;
    at += n;
    gen_delta = slot_delta;
    if (mode == HEAD_RECORD_REF_FULL) {
        n = varint_get_i64(at, end, &gen_delta);
        if (n == 0)
            return NULL;
        at += n;
    }
    ref->slot += (uint32_t)slot_delta;
    ref->gen += (uint32_t)gen_delta;
    return at;
}

/* Reads `size` bytes of a value; the low ones are zero. */
static uint64_t get_value(const char *at, const char *end, unsigned size)
{
    uint64_t v = 0;

    if (size == 0)
        return 0;
    if (end - at >= 8)
        return endian_get_u64be(at) & (~UINT64_C(0) << (64 - 8 * size));
    for (unsigned i = 0; i < size; i++)
        v |= (uint64_t)(uint8_t)at[i] << (56 - 8 * i);
    return v;
}

/* Reads series and time over `prev`; returns the place behind them, or NULL. */
static const char *get_place(struct head_entry *prev, unsigned control, const char *at,
                             const char *end)
{
    int64_t t_delta;
    size_t n;

    at = get_ref(&prev->ref, control >> HEAD_RECORD_REF_SHIFT & HEAD_RECORD_REF_BITS, at, end);
    if (at == NULL || (control & HEAD_RECORD_SAME_T) != 0)
        return at;
    n = varint_get_i64(at, end, &t_delta);
    if (n == 0)
        return NULL;
    prev->t_ms = (int64_t)((uint64_t)prev->t_ms + (uint64_t)t_delta);
    return at + n;
}

bool head_record_get_place(struct head_record_reader *reader, unsigned control, struct slice *rest)
{
    const char *end = rest->data + rest->len;
    const char *at = get_place(&reader->prev, control, rest->data + 1, end);

    if (at == NULL)
        return false;
    *rest = slice_of(at, (size_t)(end - at));
    return true;
}

/* Reads one entry over `prev`; returns the place behind it, or NULL. */
static const char *get_entry(struct head_entry *prev, const char *at, const char *end)
{
    const unsigned control = (uint8_t)*at++;
    const unsigned size = control & HEAD_RECORD_SIZE_BITS;

    if (size > 8)
        return NULL;
    at = get_place(prev, control, at, end);
    if (at == NULL)
        return NULL;
    if ((size_t)(end - at) < size)
        return NULL;
    prev->v_bits = get_value(at, end, size);
    return at + size;
}

unsigned head_record_next(struct head_record_reader *reader,
                          struct head_entry entries[HEAD_RECORD_BATCH])
{
    const char *at = reader->rest.data;
    const char *end = at + reader->rest.len;
    unsigned count = 0;

    if (reader->err != ERR_OK)
        return 0;
    while (count < HEAD_RECORD_BATCH && at < end) {
        if (((uint8_t)*at & HEAD_RECORD_WIDE) != 0)
            break;
        at = get_entry(&reader->prev, at, end);
        if (at == NULL) {
            reader->err = ERR_CORRUPT;
            return 0;
        }
        entries[count++] = reader->prev;
    }
    reader->rest = slice_of(at, (size_t)(end - at));
    return count;
}
