/* SPDX-License-Identifier: Apache-2.0 */
#include "promtsdb/prom_record.h"

#include "promtsdb/prom_dec_internal.h"

enum { LABEL_SIZE_MIN = 2, SPAN_SIZE_MIN = 2, FIELD_SIZE_MIN = 2, DOUBLE_SIZE = 8 };

/* One entry under way: the failure is the decoder's or the arena's. */
struct reading {
    struct prom_dec dec;
    struct arena *arena;
    bool is_full; /* the arena had no room */
};

static bool has_base(uint8_t type)
{
    return type == PROM_RECORD_SAMPLES || type == PROM_RECORD_EXEMPLARS ||
           (type >= PROM_RECORD_HISTOGRAMS && type <= PROM_RECORD_CUSTOM_FLOAT_HISTOGRAMS);
}

bool prom_record_is_known(const struct prom_record *record)
{
    return record->type >= PROM_RECORD_SERIES &&
           record->type <= PROM_RECORD_CUSTOM_FLOAT_HISTOGRAMS;
}

void prom_record_init(struct prom_record *record, struct slice bytes)
{
    struct prom_dec dec = {.rest = bytes};

    *record = (struct prom_record){.type = prom_dec_u8(&dec)};
    if (bytes.len > 1 && has_base(record->type)) {
        record->base_ref = prom_dec_u64(&dec);
        record->base_t_ms = (int64_t)prom_dec_u64(&dec);
    }
    record->rest = dec.rest;
    if (dec.failed)
        record->err = ERR_CORRUPT;
}

static void *array(struct reading *r, size_t count, size_t size)
{
    void *items = arena_zalloc(r->arena, count, size);

    if (items == NULL) {
        r->is_full = true;
        r->dec.failed = true;
    }
    return items;
}

static struct label_set get_labels(struct reading *r)
{
    const uint32_t count = prom_dec_count(&r->dec, LABEL_SIZE_MIN);
    struct label *labels = array(r, count, sizeof(*labels));

    for (uint32_t i = 0; i < count && !r->dec.failed; i++) {
        labels[i].name = prom_dec_text(&r->dec);
        labels[i].value = prom_dec_text(&r->dec);
        if (i > 0 && slice_cmp(labels[i - 1].name, labels[i].name) >= 0)
            r->dec.failed = true;
    }
    return (struct label_set){labels, r->dec.failed ? 0 : count};
}

/* ---- histograms ---- */

static const struct histogram_span *get_spans(struct reading *r, uint32_t *count)
{
    const uint32_t span_count = prom_dec_count(&r->dec, SPAN_SIZE_MIN);
    struct histogram_span *spans = array(r, span_count, sizeof(*spans));

    for (uint32_t i = 0; i < span_count && !r->dec.failed; i++) {
        const int64_t offset = prom_dec_varint(&r->dec);
        const uint64_t length = prom_dec_uvarint(&r->dec);

        if (offset != (int32_t)offset || length > UINT32_MAX)
            r->dec.failed = true;
        spans[i] = (struct histogram_span){(int32_t)offset, (uint32_t)length};
    }
    *count = span_count;
    return spans;
}

static const int64_t *get_deltas(struct reading *r, uint32_t *count)
{
    const uint32_t delta_count = prom_dec_count(&r->dec, 1);
    int64_t *deltas = array(r, delta_count, sizeof(*deltas));

    for (uint32_t i = 0; i < delta_count && !r->dec.failed; i++)
        deltas[i] = prom_dec_varint(&r->dec);
    *count = delta_count;
    return deltas;
}

static const double *get_doubles(struct reading *r, uint32_t *count)
{
    const uint32_t double_count = prom_dec_count(&r->dec, DOUBLE_SIZE);
    double *values = array(r, double_count, sizeof(*values));

    for (uint32_t i = 0; i < double_count && !r->dec.failed; i++)
        values[i] = prom_dec_double(&r->dec);
    *count = double_count;
    return values;
}

/* Whether the spans name exactly this many buckets: what reads them relies on it. */
static bool spans_match(const struct histogram_span *spans, uint32_t span_count, uint32_t count)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < span_count; i++)
        sum += spans[i].length;
    return sum == count;
}

static const struct histogram *get_histogram(struct reading *r, bool is_float)
{
    struct histogram *h = array(r, 1, sizeof(*h));
    struct prom_dec *dec = &r->dec;

    if (h == NULL)
        return NULL;
    const uint8_t hint = prom_dec_u8(dec);
    const int64_t schema = prom_dec_varint(dec);
    if (hint > HISTOGRAM_GAUGE || schema != (int32_t)schema)
        dec->failed = true;
    *h = (struct histogram){.reset = (enum histogram_reset)hint, .is_float = is_float};
    h->schema = (int32_t)schema;
    h->zero_threshold = prom_dec_double(dec);
    if (is_float) {
        h->f.zero_count = prom_dec_double(dec);
        h->f.count = prom_dec_double(dec);
    } else {
        h->i.zero_count = prom_dec_uvarint(dec);
        h->i.count = prom_dec_uvarint(dec);
    }
    h->sum = prom_dec_double(dec);
    h->positive_spans = get_spans(r, &h->positive_span_count);
    h->negative_spans = get_spans(r, &h->negative_span_count);
    if (is_float) {
        h->f.positive_counts = get_doubles(r, &h->positive_count);
        h->f.negative_counts = get_doubles(r, &h->negative_count);
    } else {
        h->i.positive_deltas = get_deltas(r, &h->positive_count);
        h->i.negative_deltas = get_deltas(r, &h->negative_count);
    }
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        h->custom_values = get_doubles(r, &h->custom_value_count);
    if (!dec->failed &&
        (!spans_match(h->positive_spans, h->positive_span_count, h->positive_count) ||
         !spans_match(h->negative_spans, h->negative_span_count, h->negative_count)))
        dec->failed = true;
    return h;
}

/* ---- metadata ---- */

static enum metric_type metric_type_of(uint8_t byte)
{
    static const uint8_t types[] = {
        METRIC_TYPE_UNKNOWN,        METRIC_TYPE_COUNTER, METRIC_TYPE_GAUGE, METRIC_TYPE_HISTOGRAM,
        METRIC_TYPE_GAUGEHISTOGRAM, METRIC_TYPE_SUMMARY, METRIC_TYPE_INFO,  METRIC_TYPE_STATESET};

    return byte < sizeof(types) ? (enum metric_type)types[byte] : METRIC_TYPE_UNKNOWN;
}

static struct metadata get_metadata(struct reading *r)
{
    struct metadata metadata = {.type = metric_type_of(prom_dec_u8(&r->dec))};

    for (uint32_t left = prom_dec_count(&r->dec, FIELD_SIZE_MIN); left > 0; left--) {
        const struct slice name = prom_dec_text(&r->dec);
        const struct slice value = prom_dec_text(&r->dec);

        if (slice_eq_cstr(name, "UNIT"))
            metadata.unit = value;
        else if (slice_eq_cstr(name, "HELP"))
            metadata.help = value;
    }
    return metadata;
}

/* ---- entries ---- */

static void get_entry(struct reading *r, const struct prom_record *record, struct prom_entry *entry)
{
    struct prom_dec *dec = &r->dec;

    if (has_base(record->type)) {
        entry->series_ref = record->base_ref + (uint64_t)prom_dec_varint(dec);
        entry->t_ms = (int64_t)((uint64_t)record->base_t_ms + (uint64_t)prom_dec_varint(dec));
    } else if (record->type == PROM_RECORD_METADATA) {
        entry->series_ref = prom_dec_uvarint(dec);
    } else {
        entry->series_ref = prom_dec_u64(dec);
    }
    switch (record->type) {
    case PROM_RECORD_SERIES:
        entry->labels = get_labels(r);
        break;
    case PROM_RECORD_SAMPLES:
        entry->v = prom_dec_double(dec);
        break;
    case PROM_RECORD_EXEMPLARS:
        entry->v = prom_dec_double(dec);
        entry->labels = get_labels(r);
        break;
    case PROM_RECORD_TOMBSTONES:
        entry->stone.t_min_ms = prom_dec_varint(dec);
        entry->stone.t_max_ms = prom_dec_varint(dec);
        break;
    case PROM_RECORD_MARKERS:
        entry->chunk_ref = prom_dec_u64(dec);
        break;
    case PROM_RECORD_METADATA:
        entry->metadata = get_metadata(r);
        break;
    default:
        entry->histogram =
            get_histogram(r, record->type == PROM_RECORD_FLOAT_HISTOGRAMS ||
                                 record->type == PROM_RECORD_CUSTOM_FLOAT_HISTOGRAMS);
        break;
    }
}

bool prom_record_next(struct prom_record *record, struct arena *arena, struct prom_entry *entry)
{
    struct reading r = {.dec = {.rest = record->rest}, .arena = arena};
    struct prom_entry read = {.series_ref = 0};

    if (record->err != ERR_OK || record->rest.len == 0 || !prom_record_is_known(record))
        return false;
    get_entry(&r, record, &read);
    if (r.dec.failed) {
        record->err = r.is_full ? ERR_LIMIT : ERR_CORRUPT;
        return false;
    }
    record->rest = r.dec.rest;
    *entry = read;
    return true;
}
