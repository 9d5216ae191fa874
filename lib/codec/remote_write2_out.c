/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/remote_write2_out.h"

#include "base/mem.h"
#include "codec/wire_internal.h"

/* Field numbers. */
enum { REQUEST_SYMBOLS = 4, REQUEST_SERIES = 5 };
enum { SERIES_LABELS = 1, SERIES_SAMPLES, SERIES_HISTOGRAMS, SERIES_EXEMPLARS, SERIES_METADATA };
enum { SAMPLE_VALUE = 1, SAMPLE_T, SAMPLE_START_T };
enum { HISTOGRAM_START_T = 17 };
enum { EXEMPLAR_LABELS = 1, EXEMPLAR_VALUE, EXEMPLAR_T };
enum { METADATA_TYPE = 1, METADATA_HELP = 3, METADATA_UNIT = 4 };

static bool text_eq(const void *key, uint64_t value, void *owner)
{
    const struct remote_write2_out *out = owner;
    const struct slice *text = key;

    return slice_eq(*text, out->texts[value]);
}

static uint32_t symbol(struct remote_write2_out *out, struct slice text)
{
    const uint64_t hash = hash64(out->key, text);
    const uint64_t *found = map_find(&out->refs, hash, &text);

    if (found != NULL)
        return (uint32_t)*found;
    if (out->text_count == out->text_cap) {
        out->text_cap = out->text_cap == 0 ? 256 : out->text_cap * 2;
        out->texts = mem_realloc(out->texts, out->text_cap * sizeof(*out->texts));
    }
    out->texts[out->text_count] = text;
    map_insert(&out->refs, hash, out->text_count);
    wire_put_bytes(&out->symbols, REQUEST_SYMBOLS, text);
    return out->text_count++;
}

/* The first symbol is always the empty text. */
static void out_start(struct remote_write2_out *out)
{
    buf_reset(&out->symbols);
    buf_reset(&out->series);
    map_reset(&out->refs);
    out->text_count = 0;
    (void)symbol(out, (struct slice){0});
}

void remote_write2_out_init(struct remote_write2_out *out, const struct hash_key *key)
{
    *out = (struct remote_write2_out){.key = key};
    buf_init(&out->symbols, REMOTE_WRITE2_SIZE_MAX);
    buf_init(&out->series, REMOTE_WRITE2_SIZE_MAX);
    map_init(&out->refs, text_eq, out);
    out_start(out);
}

void remote_write2_out_fini(struct remote_write2_out *out)
{
    buf_fini(&out->symbols);
    buf_fini(&out->series);
    map_fini(&out->refs);
    mem_free(out->texts);
}

static void put_labels(struct remote_write2_out *out, uint32_t number, struct label_set labels)
{
    size_t mark;

    if (labels.count == 0)
        return;
    mark = wire_begin(&out->series, number);
    for (uint32_t i = 0; i < labels.count; i++) {
        wire_put_varint(&out->series, symbol(out, labels.items[i].name));
        wire_put_varint(&out->series, symbol(out, labels.items[i].value));
    }
    wire_end(&out->series, mark);
}

/* Fields of value zero are left out, as Go's encoder does. */
static void put_sample(struct buf *out, const struct remote_write2_sample *sample)
{
    const size_t mark = wire_begin(out, SERIES_SAMPLES);

    if (sample->v_bits != 0)
        wire_put_double(out, SAMPLE_VALUE, sample_value_from_bits(sample->v_bits));
    if (sample->t_ms != 0)
        wire_put_uint(out, SAMPLE_T, (uint64_t)sample->t_ms);
    if (sample->start_t_ms != 0)
        wire_put_uint(out, SAMPLE_START_T, (uint64_t)sample->start_t_ms);
    wire_end(out, mark);
}

static void put_histogram(struct buf *out, const struct remote_write2_histogram *histogram)
{
    const size_t mark = wire_begin(out, SERIES_HISTOGRAMS);

    buf_add_slice(out, histogram->message);
    if (histogram->start_t_ms != 0)
        wire_put_uint(out, HISTOGRAM_START_T, (uint64_t)histogram->start_t_ms);
    wire_end(out, mark);
}

static void put_exemplar(struct remote_write2_out *out, const struct exemplar *exemplar)
{
    const size_t mark = wire_begin(&out->series, SERIES_EXEMPLARS);

    put_labels(out, EXEMPLAR_LABELS, exemplar->labels);
    if (sample_value_bits(exemplar->v) != 0)
        wire_put_double(&out->series, EXEMPLAR_VALUE, exemplar->v);
    if (exemplar->has_t)
        wire_put_uint(&out->series, EXEMPLAR_T, (uint64_t)exemplar->t_ms);
    wire_end(&out->series, mark);
}

static void put_metadata(struct remote_write2_out *out, const struct metadata *metadata)
{
    const size_t mark = wire_begin(&out->series, SERIES_METADATA);

    if (metadata->type != METRIC_TYPE_UNKNOWN)
        wire_put_uint(&out->series, METADATA_TYPE, (uint64_t)metadata->type);
    if (metadata->help.len != 0)
        wire_put_uint(&out->series, METADATA_HELP, symbol(out, metadata->help));
    if (metadata->unit.len != 0)
        wire_put_uint(&out->series, METADATA_UNIT, symbol(out, metadata->unit));
    wire_end(&out->series, mark);
}

void remote_write2_out_series(struct remote_write2_out *out,
                              const struct remote_write2_series *series)
{
    const size_t mark = wire_begin(&out->series, REQUEST_SERIES);

    put_labels(out, SERIES_LABELS, series->labels);
    for (uint32_t i = 0; i < series->sample_count; i++)
        put_sample(&out->series, &series->samples[i]);
    for (uint32_t i = 0; i < series->histogram_count; i++)
        put_histogram(&out->series, &series->histograms[i]);
    for (uint32_t i = 0; i < series->exemplar_count; i++)
        put_exemplar(out, &series->exemplars[i]);
    if (series->metadata != NULL)
        put_metadata(out, series->metadata);
    wire_end(&out->series, mark);
}

void remote_write2_out_finish(struct remote_write2_out *out, struct buf *request)
{
    if (out->symbols.err != ERR_OK || out->series.err != ERR_OK)
        request->err = ERR_TOO_LARGE;
    buf_add_slice(request, buf_slice(&out->symbols));
    buf_add_slice(request, buf_slice(&out->series));
    out->symbols.err = out->series.err = ERR_OK;
    out_start(out);
}
