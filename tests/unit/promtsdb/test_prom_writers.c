/* SPDX-License-Identifier: Apache-2.0 */

/* What is written is what Prometheus wrote: its own chunks, read and written again, have the same
 * bytes; and any samples come back from whatever chunks they were cut into. */
#include <stdlib.h>

#include "base/buf.h"
#include "golden.h"
#include "model/order.h"
#include "promtsdb/prom_chunk.h"
#include "promtsdb/prom_chunk_file.h"
#include "promtsdb/prom_chunk_writer.h"
#include "promtsdb/prom_index.h"
#include "promtsdb/prom_index_writer.h"
#include "support/gen.h"

enum { FLAGS_PLACE = 2, SAMPLES_MAX = 400, BUCKETS_MAX = 6, FILE_MAX = 1 << 20 };

static void check_rewritten(struct prom_chunk chunk)
{
    struct prom_chunk_writer w;
    struct prom_chunk_iter iter;
    struct prom_sample sample;
    struct arena arena;

    arena_init(&arena, NULL, 0);
    prom_chunk_writer_init(&w);
    prom_chunk_iter_init(&iter, chunk, &arena);
    while (prom_chunk_iter_next(&iter, &sample))
        assert_true(prom_chunk_writer_add(&w, &sample));
    check_err(ERR_OK, iter.err);
    const struct prom_chunk again = prom_chunk_writer_chunk(&w);
    assert_int_equal(chunk.encoding, again.encoding);
    assert_int_equal(chunk.data.len, again.data.len);
    /* But for what upstream knows of the chunk before. */
    for (size_t i = 0; i < chunk.data.len; i++)
        if (chunk.encoding == PROM_CHUNK_XOR || i != FLAGS_PLACE || iter.reset == HISTOGRAM_GAUGE)
            assert_int_equal(chunk.data.data[i], again.data.data[i]);
    prom_chunk_writer_fini(&w);
    arena_fini(&arena);
}

static void test_golden_chunks(void **state)
{
    const struct golden_names names = golden_list(".", 26);
    unsigned counts[4] = {0};

    (void)state;
    for (unsigned n = 0; n < names.count; n++) {
        char path[GOLDEN_PATH_SIZE];
        struct prom_chunk chunk;

        (void)snprintf(path, sizeof(path), GOLDEN_DIR "/%s/chunks/000001", names.items[n]);
        const struct slice file = golden_read(path);
        for (size_t at = 8; at < file.len;) {
            check_err(ERR_OK, prom_chunk_file_get(file, at, &chunk, NULL));
            check_rewritten(chunk);
            counts[chunk.encoding]++;
            at = (size_t)(chunk.data.data - file.data) + chunk.data.len + 4;
        }
        mem_free((void *)(size_t)file.data);
    }
    for (unsigned encoding = 1; encoding < 4; encoding++)
        assert_true(counts[encoding] > 0);
}

/* ---- any samples ---- */

static struct histogram_span *gen_spans(struct gen *gen, struct arena *arena, uint32_t *span_count,
                                        uint32_t *bucket_count)
{
    struct histogram_span *spans = ARENA_ARRAY(arena, struct histogram_span, 2);

    *span_count = (uint32_t)gen_below(gen, 3);
    *bucket_count = 0;
    for (uint32_t i = 0; i < *span_count; i++) {
        spans[i].offset = (int32_t)gen_between(gen, i == 0 ? -5 : 1, 9);
        spans[i].length = 1 + (uint32_t)gen_below(gen, BUCKETS_MAX / 2);
        *bucket_count += spans[i].length;
    }
    return spans;
}

static void gen_counts(struct gen *gen, struct histogram *h, struct arena *arena)
{
    const uint32_t count = h->positive_count + h->negative_count;
    int64_t *deltas = ARENA_ARRAY(arena, int64_t, count);
    double *counts = ARENA_ARRAY(arena, double, count);
    int64_t before = 0;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        const int64_t value = gen_between(gen, 0, gen_chance(gen, 9) ? INT64_C(1) << 40 : 9);

        if (i == h->positive_count)
            before = 0;
        deltas[i] = value - before;
        counts[i] = (double)value / 3;
        before = value;
        sum += (uint64_t)value;
    }
    if (h->is_float) {
        h->f.positive_counts = counts;
        h->f.negative_counts = counts + h->positive_count;
        h->f.zero_count = (double)gen_below(gen, 5) / 7;
        h->f.count = (double)sum + h->f.zero_count;
    } else {
        h->i.positive_deltas = deltas;
        h->i.negative_deltas = deltas + h->positive_count;
        h->i.zero_count = gen_below(gen, 5);
        h->i.count = sum + h->i.zero_count;
    }
}

/* Mostly of the layout of the one before. */
static struct histogram *gen_histogram(struct gen *gen, struct arena *arena,
                                       const struct histogram *before)
{
    static const double bounds[] = {-1, 0, 0.001, 0.25, 33554.43, 33554.431, 1e300};
    struct histogram *h = ARENA_NEW(arena, struct histogram);

    const bool is_alike = before != NULL && !gen_chance(gen, 8);

    if (is_alike) {
        *h = *before;
    } else {
        h->schema = gen_chance(gen, 4) ? HISTOGRAM_SCHEMA_CUSTOM : (int32_t)gen_between(gen, -4, 8);
        h->is_float = gen_chance(gen, 2);
        h->zero_threshold = gen_chance(gen, 2) ? 0x1p-128 : gen_unit(gen);
        h->positive_spans = gen_spans(gen, arena, &h->positive_span_count, &h->positive_count);
        if (h->schema == HISTOGRAM_SCHEMA_CUSTOM) {
            h->custom_values = bounds;
            h->custom_value_count = (uint32_t)COUNT_OF(bounds);
            h->zero_threshold = 0;
        } else {
            h->negative_spans = gen_spans(gen, arena, &h->negative_span_count, &h->negative_count);
        }
        h->reset = gen_chance(gen, 3) ? HISTOGRAM_GAUGE : HISTOGRAM_RESET_UNKNOWN;
    }
    if (is_alike && !gen_chance(gen, 4)) /* the buckets as they were: no reset */
        h->sum = gen_value(gen);
    else
        gen_counts(gen, h, arena);
    if (gen_chance(gen, 15)) {
        *h = (struct histogram){.is_float = h->is_float};
        h->sum = sample_value_from_bits(SAMPLE_STALE_BITS);
    }
    return h;
}

static void gen_samples(struct gen *gen, struct arena *arena, struct prom_sample *samples,
                        unsigned count)
{
    const struct histogram *before = NULL;
    int64_t t_ms = gen_between(gen, -100000, INT64_C(1) << 42);

    for (unsigned i = 0; i < count; i++) {
        t_ms += gen_chance(gen, 10) ? gen_between(gen, 1, INT64_C(1) << 33) : 15000;
        samples[i] = (struct prom_sample){.t_ms = t_ms, .v = gen_value(gen)};
        if (gen_chance(gen, 30))
            before = NULL;
        if (before != NULL || gen_chance(gen, 5)) {
            samples[i].kind = SAMPLE_HISTOGRAM;
            samples[i].histogram = gen_histogram(gen, arena, before);
            if (!histogram_is_stale(samples[i].histogram))
                before = samples[i].histogram;
        }
    }
}

static void check_same(const struct prom_sample *want, const struct prom_sample *got)
{
    struct histogram a, b;

    assert_int_equal(want->t_ms, got->t_ms);
    assert_int_equal(want->kind, got->kind);
    if (want->kind == SAMPLE_FLOAT) {
        assert_int_equal(sample_value_bits(want->v), sample_value_bits(got->v));
        return;
    }
    a = *want->histogram;
    b = *got->histogram;
    if (histogram_is_stale(&a)) { /* of which nothing else counts */
        assert_true(histogram_is_stale(&b) && a.is_float == b.is_float);
        return;
    }
    /* A gauge stays one, a counter is never called one. */
    assert_int_equal(a.reset == HISTOGRAM_GAUGE, b.reset == HISTOGRAM_GAUGE);
    a.reset = b.reset = HISTOGRAM_RESET_UNKNOWN;
    assert_int_equal(0, order_histograms(&a, &b));
}

/* Reads the chunk back: samples from *at on. */
static void check_chunk(const struct prom_chunk_writer *w, const struct prom_sample *samples,
                        unsigned *at)
{
    struct prom_chunk_iter iter;
    struct prom_sample sample;
    struct arena arena;
    unsigned count = 0;

    arena_init(&arena, NULL, 0);
    prom_chunk_iter_init(&iter, prom_chunk_writer_chunk(w), &arena);
    assert_int_equal(samples[*at].t_ms, w->t_min_ms);
    while (prom_chunk_iter_next(&iter, &sample)) {
        check_same(&samples[(*at)++], &sample);
        count++;
    }
    check_err(ERR_OK, iter.err);
    assert_int_equal(w->count, count);
    assert_int_equal(samples[*at - 1].t_ms, w->t_max_ms);
    arena_fini(&arena);
}

static void test_any_samples(void **state)
{
    struct prom_sample *samples = mem_alloc(SAMPLES_MAX * sizeof(*samples));
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 2000)
    {
        struct prom_chunk_writer w;
        struct arena arena;
        unsigned read = 0;
        const unsigned count = 1 + (unsigned)gen_below(&gen, SAMPLES_MAX - 1);

        arena_init(&arena, NULL, 0);
        gen_samples(&gen, &arena, samples, count);
        prom_chunk_writer_init(&w);
        for (unsigned i = 0; i < count; i++) {
            if (prom_chunk_writer_add(&w, &samples[i]))
                continue;
            check_chunk(&w, samples, &read);
            prom_chunk_writer_reset(&w);
            assert_true(prom_chunk_writer_add(&w, &samples[i]));
        }
        check_chunk(&w, samples, &read);
        assert_int_equal(count, read);
        prom_chunk_writer_fini(&w);
        arena_fini(&arena);
    }
    mem_free(samples);
}

/* A counter that falls begins a chunk, or it would be read back as "no reset". */
static void test_resets(void **state)
{
    static const struct histogram_span span = {0, 2};
    static const int64_t high[] = {5, 1}, low[] = {5, 0};
    struct histogram h = {.schema = 1,
                          .i = {.count = 11, .positive_deltas = high},
                          .positive_spans = &span,
                          .positive_span_count = 1,
                          .positive_count = 2};
    struct prom_sample sample = {.t_ms = 1, .kind = SAMPLE_HISTOGRAM, .histogram = &h};
    struct prom_chunk_writer w;

    (void)state;
    prom_chunk_writer_init(&w);
    assert_true(prom_chunk_writer_add(&w, &sample));
    sample.t_ms++;
    assert_true(prom_chunk_writer_add(&w, &sample));
    sample.t_ms++;
    h.i.positive_deltas = low;
    assert_false(prom_chunk_writer_add(&w, &sample));
    h.i.positive_deltas = high;
    h.i.count = 10;
    assert_false(prom_chunk_writer_add(&w, &sample));
    h.i.count = 12;
    h.reset = HISTOGRAM_RESET_YES;
    assert_false(prom_chunk_writer_add(&w, &sample));
    h.reset = HISTOGRAM_GAUGE;
    assert_false(prom_chunk_writer_add(&w, &sample));
    prom_chunk_writer_reset(&w);
    h.reset = HISTOGRAM_RESET_YES;
    assert_true(prom_chunk_writer_add(&w, &sample));
    assert_int_equal(2 << 6, (uint8_t)prom_chunk_writer_chunk(&w).data.data[FLAGS_PLACE]);
    prom_chunk_writer_fini(&w);
}

/* ---- the index ---- */

static enum err append(void *owner, struct slice bytes, struct err_info *info)
{
    (void)info;
    buf_add_slice(owner, bytes);
    return ERR_OK;
}

static int text_order(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static uint32_t list_texts(const struct prom_index *index, struct arena *arena, struct slice *texts)
{
    struct prom_series series;
    uint32_t count = 0, unique = 0;

    for (uint32_t i = 0; i < index->series_count; i++) {
        check_err(ERR_OK, prom_index_series(index, i, arena, &series, NULL));
        for (uint32_t l = 0; l < series.labels.count; l++) {
            texts[count++] = series.labels.items[l].name;
            texts[count++] = series.labels.items[l].value;
        }
    }
    qsort(texts, count, sizeof(*texts), text_order);
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || !slice_eq(texts[i], texts[unique - 1]))
            texts[unique++] = texts[i];
    return unique;
}

static void test_index(void **state)
{
    const struct golden_names names = golden_list(".", 26);
    char path[GOLDEN_PATH_SIZE];
    struct prom_index_writer *writer;
    struct prom_index index, again;
    struct prom_series want, got;
    struct slice texts[400];
    struct arena arena;
    struct buf file;

    (void)state;
    (void)snprintf(path, sizeof(path), GOLDEN_DIR "/%s/index", names.items[0]);
    const struct slice golden = golden_read(path);
    check_err(ERR_OK, prom_index_open(&index, golden, NULL));
    arena_init(&arena, NULL, 0);
    buf_init(&file, FILE_MAX);
    const struct prom_index_writer_options options = {.texts = texts,
                                                      .text_count =
                                                          list_texts(&index, &arena, texts),
                                                      .emit = append,
                                                      .owner = &file};
    check_err(ERR_OK, prom_index_writer_open(&options, &writer, NULL));
    for (uint32_t i = 0; i < index.series_count; i++) {
        check_err(ERR_OK, prom_index_series(&index, i, &arena, &want, NULL));
        check_err(ERR_OK, prom_index_writer_series(writer, want.labels, want.chunks,
                                                   want.chunk_count, NULL));
    }
    check_err(ERR_OK, prom_index_writer_finish(writer, NULL));
    check_err(ERR_OK, prom_index_open(&again, buf_slice(&file), NULL));
    assert_int_equal(index.series_count, again.series_count);
    assert_int_equal(index.symbol_count, again.symbol_count + 1); /* upstream has the empty text */
    for (uint32_t i = 0; i < index.series_count; i++) {
        check_err(ERR_OK, prom_index_series(&index, i, &arena, &want, NULL));
        check_err(ERR_OK, prom_index_series(&again, i, &arena, &got, NULL));
        assert_true(label_set_eq(want.labels, got.labels));
        assert_int_equal(want.chunk_count, got.chunk_count);
        assert_memory_equal(want.chunks, got.chunks, want.chunk_count * sizeof(*want.chunks));
    }
    prom_index_fini(&again);
    prom_index_fini(&index);
    buf_fini(&file);
    arena_fini(&arena);
    mem_free((void *)(size_t)golden.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_chunks),
        cmocka_unit_test(test_any_samples),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
