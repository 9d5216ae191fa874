/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/remote_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/snappy.h"
#include "support/check.h"
#include "support/gen.h"
#include "support/remote_diff.h"

enum { BUF_MAX = 1 << 22, GOLDEN_SIZE_MAX = 1 << 16 };

static const struct remote_write_limits no_limits = {0};

/* ---- requests made up ---- */

static struct slice make_text(struct gen *gen, struct arena *arena, size_t len_max)
{
    const size_t len = 1 + gen_below(gen, len_max);
    char *text = arena_alloc(arena, len);

    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + gen_below(gen, 26));
    return slice_of(text, len);
}

static struct label_set make_labels(struct gen *gen, struct arena *arena)
{
    struct label_builder builder;
    const size_t count = gen_below(gen, 12);

    label_builder_init(&builder, arena, (struct label_set){NULL, 0});
    label_builder_set(&builder, SLICE(LABEL_METRIC_NAME), make_text(gen, arena, 30));
    for (size_t i = 0; i < count; i++)
        label_builder_set(&builder, make_text(gen, arena, 12), make_text(gen, arena, 200));
    return label_builder_set_view(&builder);
}

static const int64_t *make_deltas(struct gen *gen, struct arena *arena, uint32_t count)
{
    int64_t *items = ARENA_ARRAY(arena, int64_t, count);

    for (uint32_t i = 0; i < count; i++)
        items[i] = gen_between(gen, -1000, 1000) * (INT64_C(1) << gen_below(gen, 50));
    return items;
}

static const double *make_doubles(struct gen *gen, struct arena *arena, uint32_t count)
{
    double *items = ARENA_ARRAY(arena, double, count);

    for (uint32_t i = 0; i < count; i++)
        items[i] = gen_value(gen);
    return items;
}

static const struct histogram_span *make_spans(struct gen *gen, struct arena *arena, uint32_t count)
{
    struct histogram_span *items = ARENA_ARRAY(arena, struct histogram_span, count);

    for (uint32_t i = 0; i < count; i++)
        items[i] = (struct histogram_span){(int32_t)gen_between(gen, INT32_MIN, INT32_MAX),
                                           (uint32_t)gen_u64(gen)};
    return items;
}

static struct remote_write_histogram make_histogram(struct gen *gen, struct arena *arena)
{
    struct histogram h = {.schema = (int32_t)gen_between(gen, -60, 10),
                          .reset = (enum histogram_reset)gen_below(gen, 4),
                          .is_float = gen_chance(gen, 2),
                          .zero_threshold = gen_value(gen),
                          .sum = gen_value(gen)};

    h.positive_count = (uint32_t)gen_below(gen, 20);
    h.negative_count = (uint32_t)gen_below(gen, 20);
    h.custom_value_count = (uint32_t)gen_below(gen, 5);
    h.positive_span_count = (uint32_t)gen_below(gen, 4);
    h.negative_span_count = (uint32_t)gen_below(gen, 4);
    h.positive_spans = make_spans(gen, arena, h.positive_span_count);
    h.negative_spans = make_spans(gen, arena, h.negative_span_count);
    h.custom_values = make_doubles(gen, arena, h.custom_value_count);
    if (h.is_float) {
        h.f.count = gen_value(gen);
        h.f.zero_count = gen_value(gen);
        h.f.positive_counts = make_doubles(gen, arena, h.positive_count);
        h.f.negative_counts = make_doubles(gen, arena, h.negative_count);
    } else {
        h.i.count = gen_u64(gen);
        h.i.zero_count = gen_u64(gen);
        h.i.positive_deltas = make_deltas(gen, arena, h.positive_count);
        h.i.negative_deltas = make_deltas(gen, arena, h.negative_count);
    }
    return (struct remote_write_histogram){.h = h, .t_ms = gen_between(gen, -1000, 2000000000000)};
}

static void make_series(struct gen *gen, struct arena *arena, struct buf *out)
{
    struct sample samples[20];
    struct remote_write_histogram histograms[3];
    struct exemplar exemplars[2];
    struct remote_write_series_out series = {.labels = make_labels(gen, arena),
                                             .samples = samples,
                                             .histograms = histograms,
                                             .exemplars = exemplars};

    series.sample_count = (uint32_t)gen_below(gen, COUNT_OF(samples));
    gen_series(gen, samples, series.sample_count);
    series.histogram_count = gen_chance(gen, 3) ? (uint32_t)gen_below(gen, 3) : 0;
    for (uint32_t i = 0; i < series.histogram_count; i++)
        histograms[i] = make_histogram(gen, arena);
    series.exemplar_count = gen_chance(gen, 3) ? (uint32_t)gen_below(gen, 2) : 0;
    for (uint32_t i = 0; i < series.exemplar_count; i++)
        exemplars[i] = (struct exemplar){make_labels(gen, arena), gen_value(gen), 1234, true};
    remote_write_put_series(out, &series);
}

static void make_request(struct gen *gen, struct arena *arena, struct buf *out)
{
    const size_t count = gen_below(gen, 8);

    for (size_t i = 0; i < count; i++) {
        make_series(gen, arena, out);
        if (gen_chance(gen, 4)) {
            const struct metadata metadata = {.type = (enum metric_type)gen_below(gen, 8),
                                              .metric = make_text(gen, arena, 20),
                                              .help = make_text(gen, arena, 20)};

            remote_write_put_metadata(out, &metadata);
        }
    }
    check_err(ERR_OK, out->err);
}

/* ---- tests ---- */

static void test_agrees_with_protobuf_c(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 1000)
    {
        struct arena arena;
        struct buf request;

        arena_init(&arena, NULL, 0);
        buf_init(&request, BUF_MAX);
        make_request(&gen, &arena, &request);
        assert_true(remote_diff_check(buf_slice(&request), &arena));
        /* And what mutations leave readable. */
        for (int i = 0; i < 30 && request.len != 0; i++) {
            request.data[gen_below(&gen, request.len)] = (char)gen_u64(&gen);
            (void)remote_diff_check(buf_slice(&request), &arena);
        }
        for (int i = 0; i < 30 && request.len != 0; i++)
            (void)remote_diff_check(slice_of(request.data, gen_below(&gen, request.len)), &arena);
        buf_fini(&request);
        arena_fini(&arena);
    }
}

static void test_series(void **state)
{
    const struct label labels[] = {{SLICE("__name__"), SLICE("up")}, {SLICE("job"), SLICE("x")}};
    const struct sample samples[] = {{1000, 1}, {2000, 0}, {0, 0}, {-5, -0.0}};
    const struct remote_write_series_out out = {
        .labels = {labels, 2}, .samples = samples, .sample_count = COUNT_OF(samples)};
    struct remote_write_reader reader;
    struct remote_write_entry entry;
    struct remote_write_items items;
    struct remote_write_item item;
    struct sample got[COUNT_OF(samples)];
    struct label_set set;
    struct arena arena;
    struct buf request;
    size_t count = 0;

    (void)state;
    arena_init(&arena, NULL, 0);
    buf_init(&request, BUF_MAX);
    remote_write_put_series(&request, &out);
    remote_write_reader_init(&reader, buf_slice(&request), &no_limits);
    assert_true(remote_write_next(&reader, &entry));
    assert_int_equal(REMOTE_WRITE_SERIES, entry.kind);
    assert_false(entry.series.is_scattered);
    assert_int_equal(2, entry.series.label_count);
    check_slice("\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x08\x0a\x03job\x12\x01x",
                entry.series.labels_raw);
    check_err(ERR_OK, remote_write_labels(&entry.series, &arena, LABEL_SCHEME_UTF8, &set, NULL));
    assert_true(label_set_eq(out.labels, set));
    remote_write_items_init(&items, &entry.series);
    while (count < COUNT_OF(got) && remote_write_item_next(&items, &item))
        got[count++] = item.sample;
    check_err(ERR_OK, items.err);
    check_samples(samples, COUNT_OF(samples), got, count);
    assert_false(remote_write_next(&reader, &entry));
    check_err(ERR_OK, reader.err);
    buf_fini(&request);
    arena_fini(&arena);
}

/* Labels behind the samples: legal, so they are found. */
static void test_scattered(void **state)
{
    static const char request[] = "\x0a\x1b"
                                  "\x0a\x06\x0a\x01"
                                  "b\x12\x01"
                                  "2"
                                  "\x12\x09\x09\0\0\0\0\0\0\xf0\x3f"
                                  "\x0a\x06\x0a\x01"
                                  "a\x12\x01"
                                  "1";
    struct remote_write_reader reader;
    struct remote_write_entry entry;
    struct remote_write_items items;
    struct remote_write_item item;
    struct label_set set;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    remote_write_reader_init(&reader, slice_of(request, sizeof(request) - 1), &no_limits);
    assert_true(remote_write_next(&reader, &entry));
    assert_true(entry.series.is_scattered);
    check_err(ERR_OK, remote_write_labels(&entry.series, &arena, LABEL_SCHEME_UTF8, &set, NULL));
    assert_int_equal(2, set.count);
    check_slice("a", set.items[0].name);
    check_slice("2", set.items[1].value);
    remote_write_items_init(&items, &entry.series);
    assert_true(remote_write_item_next(&items, &item));
    assert_true(item.sample.v == 1);
    assert_false(remote_write_item_next(&items, &item));
    check_err(ERR_OK, items.err);
    arena_fini(&arena);
}

static void check_bad_labels(const struct label *labels, uint32_t count, const char *part)
{
    const struct remote_write_series_out out = {.labels = {labels, count}};
    const struct remote_write_limits limits = {.label_count_max = 100};
    struct remote_write_reader reader;
    struct remote_write_entry entry;
    struct err_info info = {0};
    struct label_set set;
    struct arena arena;
    struct buf request;

    arena_init(&arena, NULL, 0);
    buf_init(&request, BUF_MAX);
    remote_write_put_series(&request, &out);
    remote_write_reader_init(&reader, buf_slice(&request), &limits);
    assert_true(remote_write_next(&reader, &entry));
    check_err(ERR_BAD_INPUT,
              remote_write_labels(&entry.series, &arena, LABEL_SCHEME_UTF8, &set, &info));
    check_message(part, &info);
    buf_fini(&request);
    arena_fini(&arena);
}

static void test_bad_labels(void **state)
{
    const struct label twice[] = {{SLICE("a"), SLICE("1")}, {SLICE("a"), SLICE("2")}};
    const struct label empty_name[] = {{SLICE(""), SLICE("1")}};
    const struct label bad_name[] = {{SLICE("a\xff"), SLICE("1")}};
    const struct label bad_value[] = {{SLICE("a"), SLICE("\xc0\x80")}};

    (void)state;
    check_bad_labels(twice, 2, "label \"a\" is there twice");
    check_bad_labels(empty_name, 1, "empty label name");
    check_bad_labels(bad_name, 1, "invalid label name");
    check_bad_labels(bad_value, 1, "value of label \"a\" is not valid UTF-8");
}

static void test_limits(void **state)
{
    struct label labels[10];
    const struct remote_write_series_out out = {.labels = {labels, COUNT_OF(labels)}};
    const struct remote_write_limits few_labels = {.label_count_max = 9};
    const struct remote_write_limits few_series = {.series_count_max = 2};
    struct remote_write_counts counts;
    struct err_info info = {0};
    struct buf request;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(labels); i++)
        labels[i] = (struct label){SLICE("name"), SLICE("value")};
    buf_init(&request, BUF_MAX);
    for (int i = 0; i < 3; i++)
        remote_write_put_series(&request, &out);
    check_err(ERR_LIMIT, remote_write_scan(buf_slice(&request), &few_labels, &counts, &info));
    check_message("too many labels", &info);
    memset(&info, 0, sizeof(info));
    check_err(ERR_LIMIT, remote_write_scan(buf_slice(&request), &few_series, &counts, &info));
    check_message("too many series (after time series 2)", &info);
    check_err(ERR_OK, remote_write_scan(buf_slice(&request), &no_limits, &counts, &info));
    assert_int_equal(3, counts.series);
    assert_int_equal(30, counts.labels);
    buf_fini(&request);
}

static void test_malformed(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"\x0a", 1},                         /* tag without length */
        {"\x0a\x05\x0a", 3},                 /* length past the end */
        {"\x08\x01", 2},                     /* time series as a number */
        {"\x0b\x0c", 2},                     /* a group */
        {"\x00\x01", 2},                     /* field 0 */
        {"\x0a\x02\x12\x05", 4},             /* sample past the end */
        {"\x0a\x04\x12\x02\x0a\x00", 6},     /* value of a sample as bytes */
        {"\x0a\x02\x10\x01", 4},             /* samples as a number */
        {"\x0a\x03\x0a\x01\x08", 5},         /* label cut within a tag */
        {"\xff\xff\xff\xff\xff\xff\xff", 7}, /* varint without end */
    };
    struct remote_write_counts counts;
    struct err_info info;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        memset(&info, 0, sizeof(info));
        check_err(ERR_BAD_INPUT, remote_write_scan(slice_of(cases[i].bytes, cases[i].size),
                                                   &no_limits, &counts, &info));
        check_message("malformed protobuf", &info);
    }
}

static void test_histogram_limit(void **state)
{
    static const int64_t deltas[100];
    struct remote_write_histogram in = {.h = {.positive_count = 100}}, got;
    const struct remote_write_series_out out = {.histograms = &in, .histogram_count = 1};
    struct remote_write_reader reader;
    struct remote_write_entry entry;
    struct remote_write_items items;
    struct remote_write_item item;
    struct err_info info = {0};
    struct arena arena;
    struct buf request;

    (void)state;
    in.h.i.positive_deltas = deltas;
    arena_init(&arena, NULL, 0);
    buf_init(&request, BUF_MAX);
    remote_write_put_series(&request, &out);
    remote_write_reader_init(&reader, buf_slice(&request), &no_limits);
    assert_true(remote_write_next(&reader, &entry));
    remote_write_items_init(&items, &entry.series);
    assert_true(remote_write_item_next(&items, &item));
    assert_int_equal(REMOTE_WRITE_HISTOGRAM, item.kind);
    check_err(ERR_LIMIT, remote_write_histogram(item.message, 99, &arena, &got, &info));
    check_message("more than 99 buckets", &info);
    check_err(ERR_OK, remote_write_histogram(item.message, 100, &arena, &got, &info));
    assert_int_equal(100, got.h.positive_count);
    buf_fini(&request);
    arena_fini(&arena);
}

/* ---- requests of Prometheus itself ---- */

static struct slice read_golden(struct arena *arena, const char *name)
{
    char path[500];
    char *data = arena_alloc(arena, GOLDEN_SIZE_MAX);
    FILE *file;
    size_t len;

    snprintf(path, sizeof(path), "%s/../golden/codec/remote_write/%s", NARTHEX_TEST_DATA, name);
    file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s is not there", path);
    len = fread(data, 1, GOLDEN_SIZE_MAX, file);
    fclose(file);
    return slice_of(data, len);
}

static void print_labels(struct buf *out, struct label_set set)
{
    for (uint32_t i = 0; i < set.count; i++)
        buf_printf(out, "%s%.*s='%.*s'", i == 0 ? "" : ",", SLICE_ARG(set.items[i].name),
                   SLICE_ARG(set.items[i].value));
}

/* Prints a series for the golden text, and writes it again into `copy`. */
static void print_series(struct buf *out, struct buf *copy, struct arena *arena,
                         const struct remote_write_series *series)
{
    struct sample samples[10];
    struct exemplar exemplars[10];
    struct remote_write_series_out again = {.samples = samples, .exemplars = exemplars};
    struct remote_write_items items;
    struct remote_write_item item;

    check_err(ERR_OK, remote_write_labels(series, arena, LABEL_SCHEME_UTF8, &again.labels, NULL));
    buf_add_cstr(out, "series ");
    print_labels(out, again.labels);
    buf_add_byte(out, '\n');
    remote_write_items_init(&items, series);
    while (remote_write_item_next(&items, &item)) {
        struct exemplar *exemplar = &exemplars[again.exemplar_count];

        if (item.kind == REMOTE_WRITE_SAMPLE) {
            samples[again.sample_count++] = item.sample;
            buf_printf(out, "sample %" PRId64 " %016" PRIx64 "\n", item.sample.t_ms,
                       sample_value_bits(item.sample.v));
            continue;
        }
        assert_int_equal(REMOTE_WRITE_EXEMPLAR, item.kind);
        again.exemplar_count++;
        check_err(ERR_OK, remote_write_exemplar(item.message, arena, exemplar, NULL));
        buf_add_cstr(out, "exemplar ");
        print_labels(out, exemplar->labels);
        buf_printf(out, " %" PRId64 " %016" PRIx64 "\n", exemplar->t_ms,
                   sample_value_bits(exemplar->v));
    }
    check_err(ERR_OK, items.err);
    remote_write_put_series(copy, &again);
}

static void check_golden(const char *name)
{
    char file_name[100];
    struct remote_write_reader reader;
    struct remote_write_entry entry;
    struct slice request;
    struct arena arena;
    struct buf out, copy;

    arena_init(&arena, NULL, 0);
    buf_init(&out, BUF_MAX);
    buf_init(&copy, BUF_MAX);
    snprintf(file_name, sizeof(file_name), "%s.snappy", name);
    check_err(ERR_OK,
              snappy_block_decode(read_golden(&arena, file_name), BUF_MAX, &arena, &request, NULL));
    remote_write_reader_init(&reader, request, &no_limits);
    while (remote_write_next(&reader, &entry)) {
        struct metadata metadata;

        if (entry.kind == REMOTE_WRITE_SERIES) {
            print_series(&out, &copy, &arena, &entry.series);
            continue;
        }
        check_err(ERR_OK, remote_write_metadata(entry.metadata, &metadata, NULL));
        buf_printf(&out, "metadata %d %.*s%s%.*s\n", (int)metadata.type, SLICE_ARG(metadata.metric),
                   metadata.help.len == 0 ? "" : " ", SLICE_ARG(metadata.help));
        remote_write_put_metadata(&copy, &metadata);
    }
    check_err(ERR_OK, reader.err);
    snprintf(file_name, sizeof(file_name), "%s.expect", name);
    check_slice_at(read_golden(&arena, file_name), buf_slice(&out), name, 0);
    /* Written again, it is the same byte for byte. */
    assert_true(slice_eq(request, buf_slice(&copy)));
    buf_fini(&copy);
    buf_fini(&out);
    arena_fini(&arena);
}

static void test_golden(void **state)
{
    (void)state;
    check_golden("samples");
    check_golden("exemplars");
    check_golden("metadata");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),          cmocka_unit_test(test_series),
        cmocka_unit_test(test_scattered),       cmocka_unit_test(test_bad_labels),
        cmocka_unit_test(test_limits),          cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_histogram_limit), cmocka_unit_test(test_agrees_with_protobuf_c),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
