/* SPDX-License-Identifier: Apache-2.0 */

/* Remote write 2.0, against protobuf-c: requests are made and read by it. */
#include <stdio.h>
#include <string.h>

#include "support/check.h"
#include "support/gen.h"
#include "support/remote2_diff.h"

enum { TEXT_COUNT = 24, SERIES_MAX = 8 };

static const struct remote_write_limits no_limits = {0};

static const struct hash_key *test_key(void)
{
    static const uint8_t seed[HASH_KEY_SEED_SIZE] = {3};
    static struct hash_key key;

    hash_key_init(&key, seed);
    return &key;
}

/* ---- requests made up ---- */

static ProtobufCBinaryData make_text(struct gen *gen, struct arena *arena)
{
    const size_t len = gen_below(gen, 20);
    uint8_t *text = arena_alloc(arena, len + 1);

    for (size_t i = 0; i < len; i++)
        text[i] = (uint8_t)('a' + gen_below(gen, 26));
    return (ProtobufCBinaryData){len, text};
}

static void make_refs(struct gen *gen, struct arena *arena, size_t *count, uint32_t **refs)
{
    *count = gen_below(gen, 12);
    *refs = ARENA_ARRAY(arena, uint32_t, *count);
    if (*count % 2 != 0 && !gen_chance(gen, 20))
        (*count)--;
    for (size_t i = 0; i < *count; i++)
        (*refs)[i] = (uint32_t)gen_below(gen, TEXT_COUNT + gen_chance(gen, 40));
}

static Io__Prometheus__Write__V2__Sample *make_sample(struct gen *gen, struct arena *arena)
{
    Io__Prometheus__Write__V2__Sample *sample = arena_alloc(arena, sizeof(*sample));

    io__prometheus__write__v2__sample__init(sample);
    sample->has_value = !gen_chance(gen, 10);
    sample->value = sample->has_value ? gen_value(gen) : 0;
    sample->has_timestamp = true;
    sample->timestamp = gen_between(gen, -5, 2000000000000);
    sample->has_start_timestamp = gen_chance(gen, 2);
    sample->start_timestamp = sample->has_start_timestamp ? gen_between(gen, 0, 3) * 1000 : 0;
    return sample;
}

static Io__Prometheus__Write__V2__Exemplar *make_exemplar(struct gen *gen, struct arena *arena)
{
    Io__Prometheus__Write__V2__Exemplar *exemplar = arena_alloc(arena, sizeof(*exemplar));

    io__prometheus__write__v2__exemplar__init(exemplar);
    make_refs(gen, arena, &exemplar->n_labels_refs, &exemplar->labels_refs);
    exemplar->has_value = exemplar->has_timestamp = true;
    exemplar->value = gen_value(gen);
    exemplar->timestamp = gen_between(gen, 0, 5000);
    return exemplar;
}

static Io__Prometheus__Write__V2__Histogram *make_histogram(struct gen *gen, struct arena *arena)
{
    Io__Prometheus__Write__V2__Histogram *h = arena_alloc(arena, sizeof(*h));

    io__prometheus__write__v2__histogram__init(h);
    h->has_timestamp = h->has_start_timestamp = true;
    h->timestamp = gen_between(gen, 0, 5000);
    h->start_timestamp = gen_between(gen, 0, 5000);
    h->has_schema = h->has_sum = true;
    h->schema = (int32_t)gen_between(gen, -60, 10);
    h->sum = gen_value(gen);
    h->has_count_int = true;
    h->count_int = gen_u64(gen);
    h->n_positive_deltas = gen_below(gen, 9);
    h->positive_deltas = ARENA_ARRAY(arena, int64_t, h->n_positive_deltas);
    for (size_t i = 0; i < h->n_positive_deltas; i++)
        h->positive_deltas[i] = gen_between(gen, -100, 100);
    return h;
}

static Io__Prometheus__Write__V2__TimeSeries *make_series(struct gen *gen, struct arena *arena)
{
    Io__Prometheus__Write__V2__TimeSeries *series = arena_alloc(arena, sizeof(*series));

    io__prometheus__write__v2__time_series__init(series);
    make_refs(gen, arena, &series->n_labels_refs, &series->labels_refs);
    series->n_samples = gen_below(gen, 6);
    series->samples = ARENA_ARRAY(arena, Io__Prometheus__Write__V2__Sample *, series->n_samples);
    for (size_t i = 0; i < series->n_samples; i++)
        series->samples[i] = make_sample(gen, arena);
    series->n_exemplars = gen_chance(gen, 3);
    series->exemplars = ARENA_NEW(arena, Io__Prometheus__Write__V2__Exemplar *);
    series->exemplars[0] = make_exemplar(gen, arena);
    series->n_histograms = gen_chance(gen, 3);
    series->histograms = ARENA_NEW(arena, Io__Prometheus__Write__V2__Histogram *);
    series->histograms[0] = make_histogram(gen, arena);
    if (gen_chance(gen, 2)) {
        series->metadata = arena_alloc(arena, sizeof(*series->metadata));
        io__prometheus__write__v2__metadata__init(series->metadata);
        series->metadata->has_type = series->metadata->has_help_ref = true;
        series->metadata->type = (int32_t)gen_below(gen, 9);
        series->metadata->help_ref = (uint32_t)gen_below(gen, TEXT_COUNT + 1);
    }
    series->has_created_timestamp = gen_chance(gen, 4);
    series->created_timestamp = series->has_created_timestamp ? 77 : 0;
    return series;
}

static struct slice pack(const Io__Prometheus__Write__V2__Request *request, struct arena *arena)
{
    const size_t size = io__prometheus__write__v2__request__get_packed_size(request);
    uint8_t *bytes = arena_alloc(arena, size);

    io__prometheus__write__v2__request__pack(request, bytes);
    return slice_of(bytes, size);
}

static struct slice make_request(struct gen *gen, struct arena *arena)
{
    Io__Prometheus__Write__V2__Request request = IO__PROMETHEUS__WRITE__V2__REQUEST__INIT;
    ProtobufCBinaryData symbols[TEXT_COUNT];
    Io__Prometheus__Write__V2__TimeSeries *series[SERIES_MAX];

    for (size_t i = 0; i < TEXT_COUNT; i++)
        symbols[i] = i == 0 ? (ProtobufCBinaryData){0, NULL} : make_text(gen, arena);
    request.n_symbols = TEXT_COUNT;
    request.symbols = symbols;
    request.n_timeseries = gen_below(gen, SERIES_MAX);
    request.timeseries = series;
    for (size_t i = 0; i < request.n_timeseries; i++)
        series[i] = make_series(gen, arena);
    return pack(&request, arena);
}

static void test_agrees_with_protobuf_c(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 1000)
    {
        struct arena arena;
        struct slice request;
        char *bytes;

        arena_init(&arena, NULL, 0);
        request = make_request(&gen, &arena);
        assert_true(remote2_diff_check(request, &arena));
        /* And what mutations leave readable. */
        bytes = arena_copy_cstr(&arena, request);
        for (int i = 0; i < 30; i++) {
            bytes[gen_below(&gen, request.len)] = (char)gen_u64(&gen);
            (void)remote2_diff_check(slice_of(bytes, request.len), &arena);
        }
        for (int i = 0; i < 30; i++)
            (void)remote2_diff_check(slice_of(bytes, gen_below(&gen, request.len)), &arena);
        arena_fini(&arena);
    }
}

/* ---- by hand ---- */

#define SYMBOLS "\x22\x00\x22\x08__name__\x22\x02up\x22\x03job\x22\x01x\x22\x04help"

/* The first series of a request. */
static void first_series(struct slice request, struct arena *arena,
                         struct remote_write_symbols *symbols, struct remote_write_series *series)
{
    struct remote_write_reader reader;
    struct remote_write_entry entry;

    symbols->key = test_key();
    check_err(ERR_OK, remote_write2_symbols(request, &no_limits, arena, symbols, NULL));
    remote_write2_reader_init(&reader, request, &no_limits, symbols);
    assert_true(remote_write_next(&reader, &entry));
    assert_int_equal(REMOTE_WRITE_SERIES, entry.kind);
    *series = entry.series;
}

static void test_series(void **state)
{
    static const char request[] =
        SYMBOLS "\x2a\x2c"
                "\x0a\x04\x01\x02\x03\x04"                           /* labels */
                "\x12\x0c\x09\0\0\0\0\0\0\xf0\x3f\x10\xe8\x07"       /* 1 at 1000 */
                "\x12\x0e\x09\0\0\0\0\0\0\0\x40\x10\xd0\x0f\x18\x05" /* 2 at 2000, from 5 */
                "\x2a\x04\x08\x01\x18\x05"                           /* a counter, "help" */
                "\x30\x07";                                          /* created at 7 */
    struct remote_write_symbols symbols;
    struct remote_write_series series;
    struct remote_write_items items;
    struct remote_write_item item;
    struct remote_write2_about about;
    struct metadata metadata;
    struct label_set labels;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    first_series(slice_of(request, sizeof(request) - 1), &arena, &symbols, &series);
    assert_int_equal(6, symbols.count);
    check_err(ERR_OK, remote_write_labels(&series, &arena, LABEL_SCHEME_UTF8, &labels, NULL));
    assert_int_equal(2, labels.count);
    check_slice("up", labels.items[0].value);
    check_slice("x", label_set_get(labels, SLICE("job")));
    remote_write_items_init(&items, &series);
    assert_true(remote_write_item_next(&items, &item));
    assert_true(item.sample.t_ms == 1000 && item.sample.v == 1 && item.start_t_ms == 7);
    assert_true(remote_write_item_next(&items, &item));
    assert_true(item.sample.t_ms == 2000 && item.sample.v == 2 && item.start_t_ms == 5);
    assert_false(remote_write_item_next(&items, &item));
    check_err(ERR_OK, items.err);
    check_err(ERR_OK, remote_write2_about(&series, &about, NULL));
    check_err(ERR_OK, remote_write2_metadata(&symbols, &about, &metadata, NULL));
    assert_int_equal(METRIC_TYPE_COUNTER, metadata.type);
    check_slice("up", metadata.metric);
    check_slice("help", metadata.help);
    assert_int_equal(0, metadata.unit.len);
    arena_fini(&arena);
}

static bool hash_of(const char *bytes, size_t size, struct hash128 *hash)
{
    struct remote_write_symbols symbols;
    struct remote_write_series series;
    struct arena arena;
    bool has;

    arena_init(&arena, NULL, 0);
    first_series(slice_of(bytes, size), &arena, &symbols, &series);
    has = remote_write_series_hash(&series, test_key(), hash);
    arena_fini(&arena);
    return has;
}

#define HASH_OF(text, hash) hash_of((text), sizeof(text) - 1, (hash))

/* The key depends on texts, not on how they are numbered. */
static void test_hash(void **state)
{
    struct hash128 a, b, c, d;

    (void)state;
    assert_true(HASH_OF("\x22\0\x22\x01n\x22\x01v\x2a\x04\x0a\x02\x01\x02", &a));
    assert_true(HASH_OF("\x22\0\x22\x01q\x22\x01v\x22\x01n\x2a\x04\x0a\x02\x03\x02", &b));
    assert_true(HASH_OF("\x22\0\x22\x01n\x22\x01v\x2a\x04\x0a\x02\x02\x01", &c));
    assert_true(HASH_OF("\x22\0\x22\x02nv\x2a\x04\x0a\x02\x01\x00", &d));
    assert_true(hash128_eq(a, b));
    assert_false(hash128_eq(a, c));
    assert_false(hash128_eq(a, d));
    /* None for a number without a text, and for numbers that don't lie together. */
    assert_false(HASH_OF("\x22\0\x22\x01n\x2a\x04\x0a\x02\x01\x02", &d));
    assert_false(HASH_OF("\x22\0\x22\x01n\x22\x01v\x2a\x04\x08\x01\x08\x02", &d));
}

static void check_labels(const char *bytes, size_t size, enum err err, const char *part)
{
    struct remote_write_symbols symbols;
    struct remote_write_series series;
    struct err_info info = {{0}};
    struct label_set labels;
    struct arena arena;

    arena_init(&arena, NULL, 0);
    first_series(slice_of(bytes, size), &arena, &symbols, &series);
    check_err(err, remote_write_labels(&series, &arena, LABEL_SCHEME_UTF8, &labels, &info));
    if (err != ERR_OK)
        check_message(part, &info);
    else
        check_slice(part, labels.items[0].value);
    arena_fini(&arena);
}

#define CHECK_LABELS(text, err, part) check_labels((text), sizeof(text) - 1, (err), (part))

static void test_labels(void **state)
{
    (void)state;
    CHECK_LABELS("\x22\0\x22\x01n\x22\x01v\x2a\x04\x08\x01\x08\x02", ERR_OK, "v");
    CHECK_LABELS("\x22\0\x22\x01n\x22\x01v\x2a\x06\x0a\x01\x01\x0a\x01\x02", ERR_OK, "v");
    CHECK_LABELS("\x2a\x04\x0a\x02\x01\x02\x22\0\x22\x01n\x22\x01v", ERR_OK, "v");
    CHECK_LABELS("\x22\0\x22\x01n\x2a\x04\x0a\x02\x01\x09", ERR_BAD_INPUT,
                 "label reference 9 is outside of the symbols table (size 2)");
    CHECK_LABELS("\x22\0\x22\x01n\x2a\x05\x0a\x03\x01\x00\x01", ERR_BAD_INPUT,
                 "3 label references: they must be pairs");
    CHECK_LABELS("\x22\0\x22\x01n\x22\x01v\x2a\x06\x0a\x04\x01\x02\x01\x02", ERR_BAD_INPUT,
                 "label \"n\" is there twice");
    CHECK_LABELS("\x22\0\x22\x01\xff\x22\x01v\x2a\x04\x0a\x02\x01\x02", ERR_BAD_INPUT,
                 "invalid label name");
    CHECK_LABELS("\x22\0\x22\x01n\x2a\x04\x0a\x02\x01\xff", ERR_BAD_INPUT, "malformed");
}

static void test_bad_metadata(void **state)
{
    static const char request[] = SYMBOLS "\x2a\x0a\x0a\x02\x01\x02\x2a\x04\x08\x01\x18\x06";
    struct remote_write_symbols symbols;
    struct remote_write_series series;
    struct remote_write2_about about;
    struct err_info info = {{0}};
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    first_series(slice_of(request, sizeof(request) - 1), &arena, &symbols, &series);
    check_err(ERR_BAD_INPUT, remote_write2_about(&series, &about, &info));
    check_message("metadata reference 6 is outside of the symbols table (size 6)", &info);
    arena_fini(&arena);
}

static void test_limits(void **state)
{
    static const char request[] = SYMBOLS "\x2a\x00\x2a\x00\x2a\x00";
    const struct slice bytes = slice_of(request, sizeof(request) - 1);
    struct remote_write_limits limits = {.symbol_count_max = 5, .series_count_max = 2};
    struct remote_write_symbols symbols = {.key = test_key()};
    struct remote_write_reader reader;
    struct remote_write_entry entry;
    struct err_info info = {{0}};
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    check_err(ERR_TOO_LARGE, remote_write2_symbols(bytes, &limits, &arena, &symbols, &info));
    check_message("more than 5 symbols", &info);
    limits.symbol_count_max = 6;
    check_err(ERR_OK, remote_write2_symbols(bytes, &limits, &arena, &symbols, NULL));
    remote_write2_reader_init(&reader, bytes, &limits, &symbols);
    assert_true(remote_write_next(&reader, &entry));
    assert_true(remote_write_next(&reader, &entry));
    assert_false(remote_write_next(&reader, &entry));
    check_err(ERR_LIMIT, reader.err);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_protobuf_c),
        cmocka_unit_test(test_series),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_bad_metadata),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
