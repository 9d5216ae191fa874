/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/api_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/check.h"

static struct buf out;
static struct api_json api;

static int setup(void **state)
{
    (void)state;
    buf_init(&out, 1 << 20);
    api_json_init(&api, &out);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    check_err(ERR_OK, api.err);
    buf_fini(&out);
    return 0;
}

static void check_time(int64_t t_ms, const char *want)
{
    buf_reset(&out);
    api_json_time(&out, t_ms);
    check_slice(want, buf_slice(&out));
}

static void test_time(void **state)
{
    (void)state;
    check_time(0, "0");
    check_time(1435781451781, "1435781451.781");
    check_time(1435781451000, "1435781451");
    check_time(1435781451780, "1435781451.780");
    check_time(7, "0.007");
    check_time(-1, "-0.001");
    check_time(-62135596800000, "-62135596800");
    check_time(INT64_MIN, "-9223372036854775.808");
}

static void test_vector(void **state)
{
    const struct label labels[] = {{SLICE("__name__"), SLICE("up")},
                                   {SLICE("job"), SLICE("<a>&\"\n")}};
    const struct query_point points[] = {{1435781451781, 1, NULL}, {1435781451781, NAN, NULL}};
    const struct query_series series[] = {{{labels, 2}, &points[0], 1}, {{NULL, 0}, &points[1], 1}};
    const struct query_result result = {
        .value = QUERY_VECTOR, .series = series, .series_count = COUNT_OF(series)};

    (void)state;
    api_json_open(&api);
    api_json_result(&api, &result, false);
    api_json_close(&api, NULL);
    check_slice("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
                "{\"metric\":{\"__name__\":\"up\",\"job\":\"<a>&\\\"\\n\"},"
                "\"value\":[1435781451.781,\"1\"]},"
                "{\"metric\":{},\"value\":[1435781451.781,\"NaN\"]}]}}",
                buf_slice(&out));
}

static void test_matrix(void **state)
{
    const struct query_point points[] = {
        {0, 1e21, NULL},         {1000, 1e-7, NULL},     {2000, 1e-6, NULL},
        {3000, -INFINITY, NULL}, {4000, INFINITY, NULL}, {5000, 123456789012345680000.0, NULL},
        {6000, -0.0, NULL}};
    const struct query_series series = {{NULL, 0}, points, COUNT_OF(points)};
    const struct query_result result = {
        .value = QUERY_MATRIX, .series = &series, .series_count = 1};

    (void)state;
    api_json_result(&api, &result, false);
    check_slice("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":["
                "[0,\"1e+21\"],[1,\"1e-07\"],[2,\"0.000001\"],[3,\"-Inf\"],[4,\"+Inf\"],"
                "[5,\"123456789012345680000\"],[6,\"-0\"]]}]}",
                buf_slice(&out));
}

static void test_single(void **state)
{
    const struct query_result scalar = {.value = QUERY_SCALAR,
                                        .scalar = {1435781451780, 1e-7, NULL}};
    const struct query_result string = {
        .value = QUERY_STRING, .scalar = {1000, 0, NULL}, .string = SLICE("a<b")};

    (void)state;
    api_json_result(&api, &scalar, false);
    check_slice("{\"resultType\":\"scalar\",\"result\":[1435781451.78,\"0.0000001\"]}",
                buf_slice(&out));
    buf_reset(&out);
    api_json_result(&api, &string, false);
    check_slice("{\"resultType\":\"string\",\"result\":[1,\"a\\u003cb\"]}", buf_slice(&out));
}

static void test_histogram(void **state)
{
    const struct histogram_span positive[] = {{0, 2}, {1, 1}}, negative[] = {{0, 2}};
    const int64_t positive_deltas[] = {1, 1, -2}, negative_deltas[] = {3, 1};
    const struct histogram h = {.schema = 0,
                                .zero_threshold = 0.001,
                                .sum = 5.5,
                                .i = {.count = 12,
                                      .zero_count = 2,
                                      .positive_deltas = positive_deltas,
                                      .negative_deltas = negative_deltas},
                                .positive_spans = positive,
                                .positive_span_count = 2,
                                .positive_count = 3,
                                .negative_spans = negative,
                                .negative_span_count = 1,
                                .negative_count = 2};
    const struct query_point point = {1000, 0, &h};
    const struct query_series series = {{NULL, 0}, &point, 1};
    const struct query_result vector = {
        .value = QUERY_VECTOR, .series = &series, .series_count = 1};
    const struct query_result matrix = {
        .value = QUERY_MATRIX, .series = &series, .series_count = 1};

    (void)state;
    api_json_histogram(&out, &h);
    check_slice("{\"count\":\"12\",\"sum\":\"5.5\",\"buckets\":["
                "[1,\"-2\",\"-1\",\"4\"],[1,\"-1\",\"-0.5\",\"3\"],"
                "[3,\"-0.001\",\"0.001\",\"2\"],"
                "[0,\"0.5\",\"1\",\"1\"],[0,\"1\",\"2\",\"2\"]]}",
                buf_slice(&out));
    buf_reset(&out);
    api_json_result(&api, &vector, false);
    buf_add_byte(&out, '\0');
    assert_non_null(strstr(out.data, "{\"metric\":{},\"histogram\":[1,{\"count\":\"12\""));
    buf_reset(&out);
    api_json_result(&api, &matrix, false);
    buf_add_byte(&out, '\0');
    assert_non_null(strstr(out.data, "{\"metric\":{},\"histograms\":[[1,{\"count\":\"12\""));
    assert_null(strstr(out.data, "\"values\""));
}

static void test_custom_histogram(void **state)
{
    const struct histogram_span spans[] = {{0, 3}};
    const double counts[] = {1, 0, 2.5}, bounds[] = {0.1, 10};
    const struct histogram h = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                                .is_float = true,
                                .f = {.count = 3.5, .positive_counts = counts},
                                .positive_spans = spans,
                                .positive_span_count = 1,
                                .positive_count = 3,
                                .custom_values = bounds,
                                .custom_value_count = 2};

    (void)state;
    api_json_histogram(&out, &h);
    check_slice("{\"count\":\"3.5\",\"sum\":\"0\",\"buckets\":["
                "[3,\"-Inf\",\"0.1\",\"1\"],[0,\"10\",\"+Inf\",\"2.5\"]]}",
                buf_slice(&out));
}

static void test_annotations(void **state)
{
    struct annotations annotations = {0};
    struct arena arena;
    char text[40];

    (void)state;
    arena_init(&arena, NULL, 0);
    annotations.arena = &arena;
    annotations_add(&annotations, false, SLICE("info <1>"));
    for (int i = 0; i < 12; i++) {
        snprintf(text, sizeof(text), "warning %d", i);
        annotations_add(&annotations, true, slice_from_cstr(text));
        annotations_add(&annotations, true, slice_from_cstr(text));
    }
    api_json_open(&api);
    buf_add_cstr(&out, "[]");
    api_json_close(&api, &annotations);
    check_slice("{\"status\":\"success\",\"data\":[],\"warnings\":[\"warning 0\",\"warning 1\","
                "\"warning 2\",\"warning 3\",\"warning 4\",\"warning 5\",\"warning 6\","
                "\"warning 7\",\"warning 8\",\"warning 9\","
                "\"2 more warning annotations omitted\"],\"infos\":[\"info \\u003c1\\u003e\"]}",
                buf_slice(&out));
    arena_fini(&arena);
}

static void test_error(void **state)
{
    (void)state;
    api_json_error(&api, ERR_BAD_INPUT, "1:5: parse error: unexpected \"<\"");
    check_slice("{\"status\":\"error\",\"errorType\":\"bad_data\","
                "\"error\":\"1:5: parse error: unexpected \\\"\\u003c\\\"\"}",
                buf_slice(&out));
    assert_string_equal("execution", api_json_error_type(ERR_EXEC));
    assert_string_equal("timeout", api_json_error_type(ERR_DEADLINE));
    assert_string_equal("canceled", api_json_error_type(ERR_CANCELLED));
    assert_string_equal("unavailable", api_json_error_type(ERR_UNAVAILABLE));
    assert_string_equal("internal", api_json_error_type(ERR_CORRUPT));
}

struct sink {
    size_t bytes, calls;
    bool fails;
};

static enum err on_flush(struct api_json *json, void *owner)
{
    struct sink *sink = owner;

    sink->bytes += json->out->len;
    sink->calls++;
    buf_reset(json->out);
    return sink->fails ? ERR_CLOSED : ERR_OK;
}

/* A result larger than the buffer's maximum passes through it in portions; a client that left ends
 * the writing. */
static void test_flush(void **state)
{
    static struct query_point points[100000];
    const struct query_series series = {{NULL, 0}, points, COUNT_OF(points)};
    const struct query_result result = {
        .value = QUERY_MATRIX, .series = &series, .series_count = 1};
    struct sink sink = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(points); i++)
        points[i] = (struct query_point){(int64_t)i * 1000, 0.1 * (double)i, NULL};
    api.flush = on_flush;
    api.owner = &sink;
    api_json_result(&api, &result, true);
    check_err(ERR_OK, api.err);
    assert_true(sink.bytes + out.len > out.max);
    assert_true(sink.calls > 10);
    buf_reset(&out);
    sink = (struct sink){.fails = true};
    api_json_result(&api, &result, false);
    check_err(ERR_CLOSED, api.err);
    assert_int_equal(1, sink.calls);
    api.err = ERR_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vector, setup, teardown),
        cmocka_unit_test_setup_teardown(test_matrix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_single, setup, teardown),
        cmocka_unit_test_setup_teardown(test_histogram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_custom_histogram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_annotations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
