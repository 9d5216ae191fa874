/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/exposition.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/number.h"
#include "support/check.h"
#include "support/gen.h"

enum { FILE_SIZE_MAX = 1 << 20, LINE_COUNT_MAX = 4000 };

static const struct exposition_options text_options = {.format = EXPOSITION_TEXT};
static const struct exposition_options om_options = {.format = EXPOSITION_OPENMETRICS};

static struct slice read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *data = mem_alloc(FILE_SIZE_MAX);
    size_t len;

    if (file == NULL)
        fail_msg("%s is not there", path);
    len = fread(data, 1, FILE_SIZE_MAX, file);
    fclose(file);
    return slice_of(data, len);
}

static int cmp_lines(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* One line per series, as the golden files have them: labels as JSON, then the value. */
static void print_line(struct buf *out, struct label_set labels, double v)
{
    buf_add_byte(out, '{');
    for (uint32_t i = 0; i < labels.count; i++) {
        if (i != 0)
            buf_add_byte(out, ',');
        json_quote(out, labels.items[i].name, false);
        buf_add_byte(out, ':');
        json_quote(out, labels.items[i].value, false);
    }
    buf_add_cstr(out, "} ");
    number_add_double(out, v, NUMBER_API);
    buf_add_byte(out, '\n');
}

static struct slice parse_to_lines(struct arena *arena, struct slice body,
                                   const struct exposition_options *options)
{
    struct exposition p;
    struct exposition_entry entry;
    struct slice *lines = ARENA_ARRAY(arena, struct slice, LINE_COUNT_MAX);
    struct buf out;
    struct slice all;
    size_t count = 0;

    buf_init(&out, FILE_SIZE_MAX);
    exposition_init(&p, body, options);
    while (exposition_next(&p, &entry)) {
        struct label_set labels;
        struct exemplar exemplar;
        struct err_info info = {0};

        if (entry.kind != EXPOSITION_SERIES)
            continue;
        check_err_info(ERR_OK, exposition_labels(&p, &entry, arena, &labels, &info), &info);
        if (entry.exemplar.len != 0)
            check_err_info(ERR_OK, exposition_exemplar(&entry, arena, &exemplar, &info), &info);
        buf_reset(&out);
        print_line(&out, labels, entry.v);
        assert_true(count < LINE_COUNT_MAX);
        lines[count++] = arena_copy(arena, buf_slice(&out));
    }
    check_err_info(ERR_OK, p.err, &p.info);
    qsort(lines, count, sizeof(*lines), cmp_lines);
    buf_reset(&out);
    for (size_t i = 0; i < count; i++)
        buf_add_slice(&out, lines[i]);
    all = arena_copy(arena, buf_slice(&out));
    buf_fini(&out);
    return all;
}

static void check_against_prometheus(const char *folder, const char *name,
                                     const struct exposition_options *options)
{
    char path[500];
    struct arena arena;
    struct slice body, want, got;

    snprintf(path, sizeof(path), "%s/%s/%s", NARTHEX_TEST_DATA, folder, name);
    body = read_file(path);
    snprintf(path, sizeof(path), "%s/../golden/codec/exposition/%s.expect", NARTHEX_TEST_DATA,
             name);
    want = read_file(path);
    arena_init(&arena, NULL, 0);
    got = parse_to_lines(&arena, body, options);
    check_slice_at(want, got, name, 0);
    arena_fini(&arena);
    mem_free((void *)(uintptr_t)body.data);
    mem_free((void *)(uintptr_t)want.data);
}

/* The same series and values as Prometheus stores from these pages. */
static void test_conformance(void **state)
{
    (void)state;
    check_against_prometheus("conformance/exposition", "1histogram.om.txt", &om_options);
    check_against_prometheus("conformance/exposition", "alltypes.5mfs.om.txt", &om_options);
    check_against_prometheus("conformance/exposition", "alltypes.237mfs.prom.txt", &text_options);
    check_against_prometheus("conformance/exposition", "alltypes.237mfs.nometa.prom.txt",
                             &text_options);
    check_against_prometheus("../golden/codec/exposition", "odd.prom.txt", &text_options);
    check_against_prometheus("../golden/codec/exposition", "odd.om.txt", &om_options);
}

/* Parses to the end, labels and exemplars included; returns the first error's message. */
static enum err parse_all(struct slice body, const struct exposition_options *options,
                          struct err_info *info)
{
    struct exposition p;
    struct exposition_entry entry;
    struct arena arena;
    struct label_set labels;
    struct exemplar exemplar;
    enum err err = ERR_OK;

    arena_init(&arena, NULL, 0);
    exposition_init(&p, body, options);
    while (err == ERR_OK && exposition_next(&p, &entry)) {
        if (entry.kind != EXPOSITION_SERIES)
            continue;
        err = exposition_labels(&p, &entry, &arena, &labels, info);
        if (err == ERR_OK && entry.exemplar.len != 0)
            err = exposition_exemplar(&entry, &arena, &exemplar, info);
    }
    if (err == ERR_OK && p.err != ERR_OK) {
        *info = p.info;
        err = p.err;
    }
    arena_fini(&arena);
    return err;
}

static void check_text_error(const char *body, const char *part)
{
    struct err_info info = {0};

    check_err_info(ERR_BAD_INPUT, parse_all(slice_from_cstr(body), &text_options, &info), &info);
    check_message(part, &info);
}

static void check_om_error(const char *body, const char *part)
{
    struct err_info info = {0};

    check_err_info(ERR_BAD_INPUT, parse_all(slice_from_cstr(body), &om_options, &info), &info);
    check_message(part, &info);
}

static void test_text_errors(void **state)
{
    (void)state;
    check_text_error("a", "line 1: expected value after metric");
    check_text_error("b 1\na\n", "line 2: expected value after metric");
    check_text_error("a{b='c'} 1\n", "expected label value");
    check_text_error("a{b=\n", "labels without closing brace");
    check_text_error("a{\xff=\"foo\"} 1\n", "expected label name");
    check_text_error("a{b=\"\xff\"} 1\n", "invalid UTF-8 label value");
    check_text_error("{\"a\xff\"} 1\n", "value of label \"__name__\" is not valid UTF-8");
    check_text_error("a true\n", "line 1: invalid value");
    check_text_error("a 1 1 1\n", "expected timestamp or new record");
    check_text_error("a 1 -5\n", "expected timestamp or new record");
    check_text_error("a 1 99999999999999999999\n", "timestamp out of range");
    check_text_error("a 0x10\n", "invalid value");
    check_text_error("a 1_000\n", "invalid value");
    check_text_error("a 1e999\n", "invalid value");
    check_text_error("something_weird{problem=\"\n", "labels without closing brace");
    check_text_error("empty_label_name{=\"\"} 0", "expected label name");
    check_text_error("foo 1_2\n", "invalid value");
    check_text_error("# TYPE a gaugy\n", "invalid metric type");
    check_text_error("# TYPE a gaugehistogram\n", "invalid metric type");
    check_text_error("# TYPE a  counter\n", "invalid metric type");
    check_text_error("# HELP 5 x\n", "expected metric name");
    check_text_error("# HELP a \xff\n", "help text is not valid UTF-8");
    check_text_error("{a=\"b\"} 1\n", "metric name not set");
    check_text_error("x{\"y\"} 1\n", "metric name already set");
    check_text_error("x{a=\"1\",a=\"2\"} 1\n", "label \"a\" is there twice");
    check_text_error("x{,} 1\n", "expected label name");
    check_text_error("5x 1\n", "expected a valid start token");
}

static void test_om_errors(void **state)
{
    (void)state;
    check_om_error("", "data does not end with # EOF");
    check_om_error("a 1\n", "data does not end with # EOF");
    check_om_error("a 1", "data does not end with # EOF");
    check_om_error("\n", "expected a valid start token");
    check_om_error("# EOF\nx", "unexpected data after # EOF");
    check_om_error("# EOFx", "unexpected data after # EOF");
    check_om_error("a  1\n# EOF\n", "invalid value");
    check_om_error("a\t1\n# EOF\n", "expected value after metric");
    check_om_error("# comment\n# EOF\n", "expected HELP, TYPE, UNIT or EOF");
    check_om_error("# UNIT a_bytes seconds\n# EOF\n", "unit is not a suffix");
    check_om_error("# TYPE a untyped\n# EOF\n", "invalid metric type");
    check_om_error("# HELP a\n# EOF\n", "expected text after metric name");
    check_om_error("a{b=\"c\" } 1\n# EOF\n", "expected comma or brace close");
    check_om_error("a{b=\"c\"d=\"e\"} 1\n# EOF\n", "expected comma or brace close");
    check_om_error("a{b=\"c\nd\"} 1\n# EOF\n", "line end in a label value");
    check_om_error("a 1 NaN\n# EOF\n", "invalid timestamp");
    check_om_error("a 1 +Inf\n# EOF\n", "invalid timestamp");
    check_om_error("a 1 1 1\n# EOF\n", "expected timestamp, exemplar or line end");
    check_om_error("a 1 #{} 1\n# EOF\n", "expected timestamp, exemplar or line end");
    check_om_error("a 1 # {\"b\"} 1\n# EOF\n", "expected equal");
    check_om_error("a 1 # {b=\"c\"}\n# EOF\n", "expected value after exemplar labels");
    check_om_error("a 1 # {b=\"c\"} x\n# EOF\n", "invalid exemplar value");
    check_om_error("a 1 # {b=\"c\"} 1 NaN\n# EOF\n", "invalid exemplar timestamp");
}

static void test_entries(void **state)
{
    const char body[] = "# HELP a_seconds h \\\\ \\n \\\" x\n"
                        "# TYPE a_seconds counter\n"
                        "# UNIT a_seconds seconds\n"
                        "a_seconds_total{b=\"c\"} 5 1.5 # {id=\"x\"} 0.5 2.25\n"
                        "a_seconds_created{b=\"c\"} 1.5\n"
                        "# EOF\n";
    struct exposition p;
    struct exposition_entry entry;
    struct exemplar exemplar;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    exposition_init(&p, slice_from_cstr(body), &om_options);
    assert_true(exposition_next(&p, &entry));
    assert_int_equal(EXPOSITION_HELP, entry.kind);
    check_slice("a_seconds", entry.name);
    check_slice("h \\ \n \" x", exposition_text(&p, &entry, &arena));
    assert_true(exposition_next(&p, &entry));
    assert_int_equal(EXPOSITION_TYPE, entry.kind);
    assert_int_equal(METRIC_TYPE_COUNTER, entry.type);
    assert_true(exposition_next(&p, &entry));
    assert_int_equal(EXPOSITION_UNIT, entry.kind);
    check_slice("seconds", entry.text);
    assert_true(exposition_next(&p, &entry));
    assert_int_equal(EXPOSITION_SERIES, entry.kind);
    check_slice("a_seconds_total{b=\"c\"}", entry.series);
    assert_true(entry.v == 5 && entry.has_t && entry.t_ms == 1500 && !entry.is_created);
    check_err(ERR_OK, exposition_exemplar(&entry, &arena, &exemplar, NULL));
    assert_true(exemplar.v == 0.5 && exemplar.has_t && exemplar.t_ms == 2250);
    check_slice("x", label_set_get(exemplar.labels, SLICE("id")));
    assert_true(exposition_next(&p, &entry));
    assert_true(entry.is_created && entry.v == 1.5 && entry.exemplar.len == 0);
    assert_false(exposition_next(&p, &entry));
    check_err(ERR_OK, p.err);
    arena_fini(&arena);
}

static void check_start(const char *body, const char *series, int64_t want)
{
    struct exposition p;
    struct exposition_entry entry;
    struct arena arena;
    int64_t got = -1;

    arena_init(&arena, NULL, 0);
    exposition_init(&p, slice_from_cstr(body), &om_options);
    while (exposition_next(&p, &entry)) {
        if (entry.kind == EXPOSITION_SERIES && slice_eq_cstr(entry.series, series))
            check_err(ERR_OK, exposition_start_time(&p, &entry, &arena, &got));
    }
    check_err(ERR_OK, p.err);
    assert_int_equal(want, got);
    arena_fini(&arena);
}

static void test_start_time(void **state)
{
    const char body[] = "# TYPE a counter\n"
                        "a_total{x=\"1\"} 5\n"
                        "a_created{x=\"1\"} 1.5\n"
                        "a_total{x=\"2\"} 5\n"
                        "a_created{x=\"2\"} 1520430000.123\n"
                        "a_total{x=\"3\"} 5\n"
                        "# TYPE h histogram\n"
                        "h_bucket{le=\"1\"} 5\n"
                        "h_bucket{le=\"+Inf\"} 5\n"
                        "h_sum 5\n"
                        "h_count 5\n"
                        "h_created 2\n"
                        "# TYPE g gauge\n"
                        "g 5\n"
                        "g_created 2\n"
                        "# EOF\n";

    (void)state;
    check_start(body, "a_total{x=\"1\"}", 1500);
    check_start(body, "a_total{x=\"2\"}", 1520430000123);
    check_start(body, "a_total{x=\"3\"}", 0);
    check_start(body, "h_bucket{le=\"1\"}", 2000);
    check_start(body, "h_sum", 2000);
    check_start(body, "g", 0);
}

static void test_values(void **state)
{
    struct exposition p;
    struct exposition_entry entry;

    (void)state;
    exposition_init(&p, SLICE("a NaN 5\na -0\na 123456789012345\na 1234567890123456789"),
                    &text_options);
    assert_true(exposition_next(&p, &entry));
    assert_int_equal(SAMPLE_NORMAL_BITS, sample_value_bits(entry.v));
    assert_true(entry.has_t && entry.t_ms == 5);
    assert_true(exposition_next(&p, &entry));
    assert_true(signbit(entry.v) && !entry.has_t);
    assert_true(exposition_next(&p, &entry));
    assert_true(entry.v == 123456789012345.0);
    assert_true(exposition_next(&p, &entry));
    assert_true(entry.v == 1234567890123456789.0);
    assert_false(exposition_next(&p, &entry));
    check_err(ERR_OK, p.err);
}

/* Mutated pages end in an error or in series, and the whole page reads the same at any address. */
static void test_mutations(void **state)
{
    struct slice page = read_file(NARTHEX_TEST_DATA "/../golden/codec/exposition/odd.om.txt");
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 3000)
    {
        const size_t len = gen_below(&gen, page.len + 1);
        char *copy = mem_alloc(len + 1);
        struct err_info info = {0};

        memcpy(copy, page.data, len);
        for (uint64_t i = gen_below(&gen, 4); i > 0 && len > 0; i--)
            copy[gen_below(&gen, len)] = "\"{}#, \n\\=x1\xff"[gen_below(&gen, 13)];
        (void)parse_all(slice_of(copy, len), &om_options, &info);
        (void)parse_all(slice_of(copy, len), &text_options, &info);
        mem_free(copy);
    }
    mem_free((void *)(uintptr_t)page.data);
}

static void check_type(const char *content_type, const char *fallback, enum err want_err,
                       enum exposition_format want)
{
    enum exposition_format format = EXPOSITION_TEXT;

    check_err(want_err,
              exposition_format_from_content_type(slice_from_cstr(content_type),
                                                  slice_from_cstr(fallback), &format, NULL));
    if (want_err == ERR_OK)
        assert_int_equal(want, format);
}

static void test_content_type(void **state)
{
    struct err_info info = {0};
    enum exposition_format format;

    (void)state;
    check_type("text/plain", "", ERR_OK, EXPOSITION_TEXT);
    check_type("text/plain; version=0.0.4; charset=utf-8", "", ERR_OK, EXPOSITION_TEXT);
    check_type(" Text/PLAIN ;version=\"0.0.4\";", "", ERR_OK, EXPOSITION_TEXT);
    check_type("application/openmetrics-text; version=1.0.0; escaping=allow-utf-8", "", ERR_OK,
               EXPOSITION_OPENMETRICS);
    check_type("", "text/plain", ERR_OK, EXPOSITION_TEXT);
    check_type("", "application/openmetrics-text", ERR_OK, EXPOSITION_OPENMETRICS);
    check_type("text/html", "text/plain", ERR_OK, EXPOSITION_TEXT);
    check_type("text/plain; =x", "application/openmetrics-text", ERR_OK, EXPOSITION_OPENMETRICS);
    check_type("text/plain; x", "", ERR_UNSUPPORTED, EXPOSITION_TEXT);
    check_type("text/html", "", ERR_UNSUPPORTED, EXPOSITION_TEXT);
    check_type("application/vnd.google.protobuf; encoding=delimited", "", ERR_UNSUPPORTED,
               EXPOSITION_TEXT);
    check_err(ERR_UNSUPPORTED,
              exposition_format_from_content_type(SLICE(""), SLICE(""), &format, &info));
    check_message("non-compliant scrape target sending blank Content-Type", &info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance), cmocka_unit_test(test_text_errors),
        cmocka_unit_test(test_om_errors),   cmocka_unit_test(test_entries),
        cmocka_unit_test(test_values),      cmocka_unit_test(test_start_time),
        cmocka_unit_test(test_mutations),   cmocka_unit_test(test_content_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
