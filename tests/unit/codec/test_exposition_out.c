/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/exposition_out.h"

#include "support/check.h"

enum { BUF_MAX = 1 << 16 };

static void check_negotiated(const char *accept, const char *want)
{
    const struct exposition_format format = exposition_negotiate(slice_from_cstr(accept));

    assert_string_equal(want, exposition_content_type(&format));
}

#define TEXT "text/plain; version=0.0.4; charset=utf-8; escaping="
#define PROTO                                                                                      \
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "                   \
    "encoding=delimited; escaping="

static void test_negotiate(void **state)
{
    (void)state;
    check_negotiated("", TEXT "underscores");
    check_negotiated("text/html", TEXT "underscores");
    check_negotiated("text/plain;escaping=allow-utf-8", TEXT "allow-utf-8");
    check_negotiated("text/plain;version=9;escaping=dots", TEXT "underscores");
    check_negotiated("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                     "encoding=delimited;escaping=values;q=0.9,text/plain;q=0.8",
                     PROTO "values");
    check_negotiated("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                     "encoding=delimited;q=0.2 , text/plain ; q=\"0.8\"",
                     TEXT "underscores");
    check_negotiated("application/vnd.google.protobuf;proto=x;encoding=delimited",
                     TEXT "underscores");
    check_negotiated(";;;=,;q=x,,", TEXT "underscores");
}

static void check_text(enum exposition_escaping escaping, const struct exposition_sample *sample,
                       const char *want)
{
    const struct exposition_format format = {false, escaping};
    struct exposition_out exposition;
    struct buf out;

    buf_init(&out, BUF_MAX);
    exposition_out_init(&exposition, &format, &out);
    (void)exposition_out_sample(&exposition, sample);
    exposition_out_finish(&exposition);
    check_slice(want, buf_slice(&out));
    exposition_out_fini(&exposition);
    buf_fini(&out);
}

static void test_names(void **state)
{
    static const struct label labels[] = {{SLICE("1_\xc3\xbc."), SLICE("a\"\\\n")}};
    const struct exposition_sample sample = {SLICE("a.b_c"), labels, 1, 5, 0.5, NULL};
    const struct exposition_sample plain = {SLICE("a_b"), NULL, 0, -5, -0.0, NULL};

    (void)state;
    check_text(EXPOSITION_UNDERSCORES, &sample,
               "# TYPE a_b_c untyped\na_b_c{____=\"a\\\"\\\\\\n\"} 0.5 5\n");
    check_text(EXPOSITION_DOTS, &sample,
               "# TYPE a_dot_b__c untyped\na_dot_b__c{_______dot_=\"a\\\"\\\\\\n\"} 0.5 5\n");
    check_text(EXPOSITION_VALUES, &sample,
               "# TYPE U__a_2e_b__c untyped\n"
               "U__a_2e_b__c{U___31____fc__2e_=\"a\\\"\\\\\\n\"} 0.5 5\n");
    check_text(EXPOSITION_UTF8, &sample,
               "# TYPE \"a.b_c\" untyped\n"
               "{\"a.b_c\",\"1_\xc3\xbc.\"=\"a\\\"\\\\\\n\"} 0.5 5\n");
    check_text(EXPOSITION_DOTS, &plain, "# TYPE a_b untyped\na_b 0 -5\n");
}

static void test_histograms(void **state)
{
    static const struct histogram_span spans[] = {{1, 2}};
    static const double counts[] = {2, 3}, bounds[] = {0.5, 1, 2};
    const struct histogram custom = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                                     .is_float = true,
                                     .sum = 7,
                                     .f = {.count = 5, .positive_counts = counts},
                                     .positive_spans = spans,
                                     .positive_span_count = 1,
                                     .positive_count = 2,
                                     .custom_values = bounds,
                                     .custom_value_count = 3};
    struct histogram exponential = custom;
    struct exposition_sample sample = {SLICE("h"), NULL, 0, 1, 0, &custom};
    const struct exposition_format proto = {true, EXPOSITION_UTF8};
    struct exposition_out exposition;
    struct buf out;

    (void)state;
    check_text(EXPOSITION_UTF8, &sample,
               "# TYPE h histogram\nh_bucket{le=\"0.5\"} 0 1\nh_bucket{le=\"1\"} 2 1\n"
               "h_bucket{le=\"2\"} 5 1\nh_bucket{le=\"+Inf\"} 5 1\nh_sum 7 1\nh_count 5 1\n");
    /* Exponential ones have no text; a gauge is a family of its own. */
    exponential.schema = 0;
    exponential.custom_value_count = 0;
    sample.histogram = &exponential;
    check_text(EXPOSITION_UTF8, &sample, "");
    buf_init(&out, BUF_MAX);
    exposition_out_init(&exposition, &proto, &out);
    assert_true(exposition_out_sample(&exposition, &sample));
    exponential.reset = HISTOGRAM_GAUGE;
    assert_true(exposition_out_sample(&exposition, &sample));
    exposition_out_finish(&exposition);
    check_err(ERR_OK, out.err);
    assert_int_equal(out.len, 2 * ((size_t)out.data[0] + 1));
    assert_memory_equal("\x0a\x01h\x18\x04\"", out.data + 1, 6);
    assert_memory_equal("\x0a\x01h\x18\x05\"", out.data + out.data[0] + 2, 6);
    exposition_out_fini(&exposition);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_negotiate),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_histograms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
