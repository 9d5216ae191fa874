/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/checkpoint.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/varint.h"

/* Offsets in the header; what lies between is zero. */
enum {
    HEADER_VERSION = 4,
    HEADER_SEGMENT = 8,
    HEADER_SEQ = 16,
    HEADER_GROUP = 24,
    HEADER_GEN = 32,
    HEADER_CRC = 60,
};

static const char header_magic[4] = {'N', 'X', 'C', 'P'};

STATIC_ASSERT(HEADER_CRC + 4 == CHECKPOINT_HEADER_SIZE, "the CRC ends the header");

void checkpoint_header_put(uint8_t bytes[CHECKPOINT_HEADER_SIZE],
                           const struct checkpoint_header *header)
{
    ASSERT(header->segment > 0);
    memset(bytes, 0, CHECKPOINT_HEADER_SIZE);
    memcpy(bytes, header_magic, sizeof(header_magic));
    bytes[HEADER_VERSION] = CHECKPOINT_VERSION;
    endian_put_u64le(bytes + HEADER_SEGMENT, header->segment);
    endian_put_u64le(bytes + HEADER_SEQ, header->seq);
    endian_put_u64le(bytes + HEADER_GROUP, header->group);
    endian_put_u32le(bytes + HEADER_GEN, header->gen);
    endian_put_u32le(bytes + HEADER_CRC, crc32c(0, bytes, HEADER_CRC));
}

enum err checkpoint_header_get(struct slice bytes, struct checkpoint_header *header,
                               struct err_info *info)
{
    const uint8_t *at = (const uint8_t *)bytes.data;

    if (bytes.len < CHECKPOINT_HEADER_SIZE)
        return err_set(info, ERR_CORRUPT, "checkpoint header is cut short: %zu bytes", bytes.len);
    if (memcmp(at, header_magic, sizeof(header_magic)) != 0)
        return err_set(info, ERR_CORRUPT, "checkpoint header has no magic number");
    if (endian_get_u32le(at + HEADER_CRC) != crc32c(0, at, HEADER_CRC))
        return err_set(info, ERR_CORRUPT, "checkpoint header has a wrong checksum");
    if (at[HEADER_VERSION] != CHECKPOINT_VERSION)
        return err_set(info, ERR_VERSION, "checkpoint has format version %u, this program reads %d",
                       at[HEADER_VERSION], CHECKPOINT_VERSION);
    if (endian_get_u64le(at + HEADER_SEGMENT) == 0)
        return err_set(info, ERR_CORRUPT, "checkpoint header has no segment number");
    *header = (struct checkpoint_header){.segment = endian_get_u64le(at + HEADER_SEGMENT),
                                         .seq = endian_get_u64le(at + HEADER_SEQ),
                                         .group = endian_get_u64le(at + HEADER_GROUP),
                                         .gen = endian_get_u32le(at + HEADER_GEN)};
    return ERR_OK;
}

/* ---- writing ---- */

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

size_t checkpoint_frame_start(struct buf *buf, enum checkpoint_kind kind)
{
    static const char header[CHECKPOINT_FRAME_HEADER_SIZE];
    const size_t start = buf->len;

    buf_add(buf, header, sizeof(header));
    buf_add_byte(buf, (char)kind);
    return start;
}

void checkpoint_frame_end(struct buf *buf, size_t start)
{
    char *header = buf->data + start;
    const struct slice payload = slice_of(header + CHECKPOINT_FRAME_HEADER_SIZE,
                                          buf->len - start - CHECKPOINT_FRAME_HEADER_SIZE);

    ASSERT(payload.len > 0);
    ASSERT(payload.len <= CHECKPOINT_FRAME_SIZE_MAX);
    endian_put_u32le(header, (uint32_t)payload.len);
    endian_put_u32le(header + 4, crc32c_slice(payload));
}

void checkpoint_put_tenant(struct buf *buf, const struct checkpoint_tenant *tenant)
{
    put_u64(buf, tenant->id);
    put_text(buf, tenant->name);
    put_u64(buf, varint_zigzag(tenant->t_max_ms));
}

void checkpoint_put_pairs(struct buf *buf, uint64_t tenant)
{
    put_u64(buf, tenant);
}

void checkpoint_put_pair(struct buf *buf, const struct checkpoint_pair *pair)
{
    put_u64(buf, pair->id);
    put_text(buf, pair->name);
    put_text(buf, pair->value);
}

void checkpoint_put_slab(struct buf *buf, const struct checkpoint_slab *slab)
{
    put_u64(buf, slab->number);
    put_u64(buf, slab->seq);
}

void checkpoint_put_series(struct buf *buf, const struct checkpoint_series *series)
{
    put_u64(buf, series->slot);
    put_u64(buf, series->gen);
    put_u64(buf, series->tenant);
    put_u64(buf, series->label_count);
    for (uint32_t i = 0; i < series->label_count; i++)
        put_u64(buf, series->labels[i]);
    put_u64(buf, varint_zigzag(series->t_ms));
    buf_add(buf, &series->v_bits, sizeof(series->v_bits));
    put_u64(buf, series->newest_kind);
    put_text(buf, series->open);
    put_u64(buf, series->chunk_count);
    put_u64(buf, series->late_count);
}

void checkpoint_put_chunk(struct buf *buf, const struct checkpoint_chunk *chunk)
{
    put_u64(buf, varint_zigzag(chunk->t_max_ms));
    put_u64(buf, chunk->span_ms);
    put_text(buf, chunk->bytes);
}

void checkpoint_put_exemplars(struct buf *buf, uint64_t seq)
{
    put_u64(buf, seq);
}

void checkpoint_put_exemplar(struct buf *buf, const struct checkpoint_exemplar *in)
{
    const struct exemplar *e = &in->exemplar;
    const uint64_t bits = sample_value_bits(e->v);

    put_u64(buf, in->slot);
    put_u64(buf, in->gen);
    put_u64(buf, in->seq);
    put_u64(buf, varint_zigzag(e->t_ms));
    buf_add_byte(buf, (char)e->has_t);
    buf_add(buf, &bits, sizeof(bits));
    put_u64(buf, e->labels.count);
    for (uint32_t i = 0; i < e->labels.count; i++) {
        put_text(buf, e->labels.items[i].name);
        put_text(buf, e->labels.items[i].value);
    }
}

void checkpoint_put_metadata(struct buf *buf, uint64_t tenant)
{
    put_u64(buf, tenant);
}

void checkpoint_put_said(struct buf *buf, const struct metadata *said)
{
    put_text(buf, said->metric);
    put_u64(buf, said->type);
    put_text(buf, said->unit);
    put_text(buf, said->help);
}

void checkpoint_put_end(struct buf *buf, uint64_t series_count)
{
    put_u64(buf, series_count);
}

/* ---- reading ---- */

/* A payload being read; `bad` is sticky and names what was missing. */
struct reader {
    struct slice rest;
    const char *bad;
};

static uint64_t get_u64(struct reader *r, const char *what, uint64_t max)
{
    uint64_t v = 0;

    if (r->bad != NULL)
        return 0;
    if (!varint_take_u64(&r->rest, &v) || v > max) {
        r->bad = what;
        return 0;
    }
    return v;
}

static struct slice get_bytes(struct reader *r, const char *what)
{
    const uint64_t len = get_u64(r, what, r->rest.len);
    const struct slice text = slice_of(r->rest.data, (size_t)len);

    if (r->bad == NULL && len > r->rest.len)
        r->bad = what;
    if (r->bad != NULL)
        return (struct slice){0};
    r->rest = slice_skip(r->rest, (size_t)len);
    return text;
}

static enum err read_tenant(struct reader *r, const struct checkpoint_visitor *visitor)
{
    struct checkpoint_tenant tenant = {.id = get_u64(r, "tenant id", UINT32_MAX)};

    tenant.name = get_bytes(r, "tenant name");
    tenant.t_max_ms = varint_unzigzag(get_u64(r, "tenant time", UINT64_MAX));
    return r->bad != NULL ? ERR_CORRUPT : visitor->on_tenant(visitor->owner, &tenant);
}

static enum err read_pairs(struct reader *r, const struct checkpoint_visitor *visitor)
{
    const uint64_t tenant = get_u64(r, "pairs' tenant", UINT32_MAX);
    enum err err = ERR_OK;

    while (err == ERR_OK && r->bad == NULL && r->rest.len > 0) {
        struct checkpoint_pair pair = {.tenant = tenant, .id = get_u64(r, "pair id", UINT32_MAX)};

        pair.name = get_bytes(r, "label name");
        pair.value = get_bytes(r, "label value");
        if (r->bad == NULL)
            err = visitor->on_pair(visitor->owner, &pair);
    }
    return r->bad != NULL ? ERR_CORRUPT : err;
}

static enum err read_chunks(struct reader *r, const struct checkpoint_visitor *visitor,
                            uint32_t count,
                            enum err (*on_chunk)(void *, const struct checkpoint_chunk *))
{
    enum err err = ERR_OK;

    for (uint32_t i = 0; err == ERR_OK && r->bad == NULL && i < count; i++) {
        struct checkpoint_chunk chunk = {.t_max_ms =
                                             varint_unzigzag(get_u64(r, "chunk time", UINT64_MAX))};

        chunk.span_ms = (uint32_t)get_u64(r, "chunk span", UINT32_MAX);
        chunk.bytes = get_bytes(r, "chunk bytes");
        if (r->bad == NULL)
            err = on_chunk(visitor->owner, &chunk);
    }
    return r->bad != NULL ? ERR_CORRUPT : err;
}

static enum err read_series(struct reader *r, const struct checkpoint_visitor *visitor)
{
    uint32_t labels[CHECKPOINT_LABELS_MAX];
    struct checkpoint_series series = {.labels = labels};
    enum err err;

    series.slot = (uint32_t)get_u64(r, "slot", UINT32_MAX);
    series.gen = (uint32_t)get_u64(r, "generation", INT32_MAX);
    series.tenant = get_u64(r, "series' tenant", UINT32_MAX);
    series.label_count = (uint32_t)get_u64(r, "label count", CHECKPOINT_LABELS_MAX);
    for (uint32_t i = 0; i < series.label_count; i++)
        labels[i] = (uint32_t)get_u64(r, "series' pair id", UINT32_MAX);
    series.t_ms = varint_unzigzag(get_u64(r, "newest time", UINT64_MAX));
    if (r->bad == NULL && r->rest.len < sizeof(series.v_bits))
        r->bad = "newest value";
    if (r->bad != NULL)
        return ERR_CORRUPT;
    series.v_bits = endian_get_u64le(r->rest.data);
    r->rest = slice_skip(r->rest, sizeof(series.v_bits));
    series.newest_kind = (unsigned)get_u64(r, "kind of the newest", CHECKPOINT_NEWEST_KIND_MAX);
    series.open = get_bytes(r, "open chunk");
    series.chunk_count = (uint32_t)get_u64(r, "chunk count", UINT32_MAX);
    series.late_count = (uint32_t)get_u64(r, "count of chunks out of order", UINT32_MAX);
    if (r->bad != NULL)
        return ERR_CORRUPT;
    err = visitor->on_series(visitor->owner, &series);
    if (err == ERR_OK)
        err = read_chunks(r, visitor, series.chunk_count, visitor->on_chunk);
    return err == ERR_OK ? read_chunks(r, visitor, series.late_count, visitor->on_late_chunk) : err;
}

static enum err read_slab(struct reader *r, const struct checkpoint_visitor *visitor)
{
    struct checkpoint_slab slab = {.number = get_u64(r, "slab number", UINT32_MAX)};
    enum err err;

    slab.seq = get_u64(r, "slab sequence number", UINT64_MAX);
    if (r->bad != NULL)
        return ERR_CORRUPT;
    err = visitor->on_slab(visitor->owner, &slab);
    while (err == ERR_OK && r->rest.len > 0)
        err = read_series(r, visitor);
    return err;
}

static enum err read_exemplar(struct reader *r, uint64_t frame_seq,
                              const struct checkpoint_visitor *visitor)
{
    struct label labels[CHECKPOINT_EXEMPLAR_LABELS_MAX];
    struct checkpoint_exemplar out = {.frame_seq = frame_seq};
    struct exemplar *e = &out.exemplar;

    out.slot = (uint32_t)get_u64(r, "exemplar's slot", UINT32_MAX);
    out.gen = (uint32_t)get_u64(r, "exemplar's generation", INT32_MAX);
    out.seq = get_u64(r, "exemplar's sequence number", frame_seq);
    e->t_ms = varint_unzigzag(get_u64(r, "exemplar's time", UINT64_MAX));
    e->has_t = get_u64(r, "exemplar's flag", 1) != 0;
    if (r->bad == NULL && r->rest.len < 8)
        r->bad = "exemplar's value";
    if (r->bad != NULL)
        return ERR_CORRUPT;
    e->v = sample_value_from_bits(endian_get_u64le(r->rest.data));
    r->rest = slice_skip(r->rest, 8);
    e->labels.items = labels;
    e->labels.count =
        (uint32_t)get_u64(r, "exemplar's label count", CHECKPOINT_EXEMPLAR_LABELS_MAX);
    for (uint32_t i = 0; i < e->labels.count; i++) {
        labels[i].name = get_bytes(r, "exemplar's label name");
        labels[i].value = get_bytes(r, "exemplar's label value");
    }
    return r->bad != NULL ? ERR_CORRUPT : visitor->on_exemplar(visitor->owner, &out);
}

static enum err read_exemplars(struct reader *r, const struct checkpoint_visitor *visitor)
{
    const uint64_t seq = get_u64(r, "exemplars' sequence number", UINT64_MAX);
    enum err err = r->bad != NULL ? ERR_CORRUPT : ERR_OK;

    while (err == ERR_OK && r->rest.len > 0)
        err = read_exemplar(r, seq, visitor);
    return err;
}

static enum err read_metadata(struct reader *r, const struct checkpoint_visitor *visitor)
{
    const uint64_t tenant = get_u64(r, "metadata's tenant", UINT32_MAX);
    enum err err = r->bad != NULL ? ERR_CORRUPT : ERR_OK;

    while (err == ERR_OK && r->rest.len > 0) {
        struct metadata said = {.metric = get_bytes(r, "metric")};

        said.type = (enum metric_type)get_u64(r, "metric type", METRIC_TYPE_STATESET);
        said.unit = get_bytes(r, "unit");
        said.help = get_bytes(r, "help");
        err = r->bad != NULL ? ERR_CORRUPT : visitor->on_metadata(visitor->owner, tenant, &said);
    }
    return err;
}

static enum err read_end(struct reader *r, const struct checkpoint_visitor *visitor)
{
    const uint64_t count = get_u64(r, "series count", UINT64_MAX);

    return r->bad != NULL ? ERR_CORRUPT : visitor->on_end(visitor->owner, count);
}

enum err checkpoint_frame_size(const char header[CHECKPOINT_FRAME_HEADER_SIZE], size_t *size)
{
    const uint32_t len = endian_get_u32le(header);

    if (len == 0 || len > CHECKPOINT_FRAME_SIZE_MAX)
        return ERR_CORRUPT;
    *size = len;
    return ERR_OK;
}

enum err checkpoint_frame_read(const char header[CHECKPOINT_FRAME_HEADER_SIZE],
                               struct slice payload, const struct checkpoint_visitor *visitor,
                               struct err_info *info)
{
    struct reader r = {.rest = payload};
    unsigned kind;
    enum err err;

    if (payload.len == 0 || endian_get_u32le(header + 4) != crc32c_slice(payload))
        return err_set(info, ERR_CORRUPT, "frame has a wrong checksum");
    kind = (uint8_t)payload.data[0];
    r.rest = slice_skip(payload, 1);
    switch (kind) {
    case CHECKPOINT_TENANT:
        err = read_tenant(&r, visitor);
        break;
    case CHECKPOINT_PAIRS:
        err = read_pairs(&r, visitor);
        break;
    case CHECKPOINT_SLAB:
        err = read_slab(&r, visitor);
        break;
    case CHECKPOINT_EXEMPLARS:
        err = read_exemplars(&r, visitor);
        break;
    case CHECKPOINT_METADATA:
        err = read_metadata(&r, visitor);
        break;
    case CHECKPOINT_END:
        err = read_end(&r, visitor);
        break;
    default:
        return err_set(info, ERR_CORRUPT, "frame is of unknown kind %u", kind);
    }
    if (err == ERR_CORRUPT)
        return err_set(info, err, "frame of kind %u: %s", kind,
                       r.bad != NULL ? r.bad : "impossible content");
    return err;
}
