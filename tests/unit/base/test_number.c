/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers against what Go 1.26 prints (tests/golden/base/go_numbers.txt: bits, then the forms f, g,
 * e and the HTTP API's), round trips, and the syntax that ParseFloat takes and refuses. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/number.h"
#include "support/check.h"
#include "support/gen.h"

static void check_form(double v, enum number_form form, const char *want)
{
    char text[NUMBER_TEXT_SIZE];

    check_slice(want, slice_of(text, number_format_double(text, v, form)));
}

static void test_format_as_go(void **state)
{
    FILE *file = fopen("tests/golden/base/go_numbers.txt", "r");
    char fixed[NUMBER_TEXT_SIZE + 1], g[64], e[64], api[NUMBER_TEXT_SIZE + 1];
    uint64_t bits;
    unsigned count = 0;

    (void)state;
    assert_non_null(file);
    while (fscanf(file, "%" SCNx64 " %352s %63s %63s %352s", &bits, fixed, g, e, api) == 5) {
        const double v = sample_value_from_bits(bits);

        check_form(v, NUMBER_FIXED, fixed);
        check_form(v, NUMBER_G, g);
        check_form(v, NUMBER_EXP, e);
        check_form(v, NUMBER_API, api);
        count++;
    }
    fclose(file);
    assert_true(count > 300);
}

static void test_format_openmetrics(void **state)
{
    (void)state;
    check_form(1, NUMBER_OM, "1.0");
    check_form(-0.0, NUMBER_OM, "-0.0");
    check_form(0.5, NUMBER_OM, "0.5");
    check_form(1e6, NUMBER_OM, "1e+06");
    check_form(NAN, NUMBER_OM, "NaN");
    check_form(INFINITY, NUMBER_OM, "+Inf");
}

static void check_parse(const char *text, double want)
{
    double v = 42;

    check_err(ERR_OK, number_parse_double(slice_from_cstr(text), &v));
    assert_int_equal(sample_value_bits(want), sample_value_bits(v));
}

static void check_refused(const char *text, enum err want)
{
    double v = 42;

    check_err(want, number_parse_double(slice_from_cstr(text), &v));
    assert_true(v == 42);
}

static void test_parse(void **state)
{
    static const char *const bad[] = {
        "",     "+",    "-",    ".",     "e5",  "1e",   "1e+",   "0x",     "0x1",   "0x1.8",
        "0xp1", "1 ",   " 1",   "1_",    "_1",  "1__0", "1_.5",  "1._5",   "1e_5",  "nanx",
        "-nan", "+NaN", "infi", "1.2.3", "--1", "1f",   "0b1p1", "nan(1)", "1e5.0",
    };

    (void)state;
    check_parse("1", 1);
    check_parse("+1.5", 1.5);
    check_parse("-.5", -0.5);
    check_parse("5.", 5);
    check_parse("1e3", 1000);
    check_parse("1E+3", 1000);
    check_parse("Inf", INFINITY);
    check_parse("-infinity", -INFINITY);
    check_parse("+iNF", INFINITY);
    check_parse("0x1.8p1", 3);
    check_parse("0X_1p-2", 0.25);
    check_parse("1_000.5_0", 1000.5);
    check_parse("1e-400", 0);
    check_parse("-1e-400", -0.0);
    check_parse("4.9e-324", 5e-324);
    check_parse("0.000000000000000000000000000000000000000000000000000000001", 1e-57);
    check_parse("nAn", sample_value_from_bits(SAMPLE_NORMAL_BITS));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        check_refused(bad[i], ERR_BAD_INPUT);
    check_refused("1e309", ERR_TOO_LARGE);
    check_refused("-0x1p1024", ERR_TOO_LARGE);
}

static void test_parse_decimal(void **state)
{
    double v;

    (void)state;
    check_err(ERR_OK, number_parse_double_decimal(SLICE("1e3"), &v));
    check_err(ERR_OK, number_parse_double_decimal(SLICE("+Inf"), &v));
    check_err(ERR_BAD_INPUT, number_parse_double_decimal(SLICE("0x1p1"), &v));
    check_err(ERR_BAD_INPUT, number_parse_double_decimal(SLICE("1_0"), &v));
}

static void test_integers(void **state)
{
    int64_t i = 7;
    uint64_t u = 7;
    char text[NUMBER_INT_SIZE];

    (void)state;
    check_err(ERR_OK, number_parse_int64(SLICE("-9223372036854775808"), &i));
    assert_int_equal(i, INT64_MIN);
    check_slice("-9223372036854775808", slice_of(text, number_format_int64(text, i)));
    check_err(ERR_TOO_LARGE, number_parse_int64(SLICE("9223372036854775808"), &i));
    check_err(ERR_OK, number_parse_int64(SLICE("+5"), &i));
    assert_int_equal(i, 5);
    check_err(ERR_BAD_INPUT, number_parse_int64(SLICE("+-5"), &i));
    check_err(ERR_BAD_INPUT, number_parse_int64(SLICE(""), &i));
    check_err(ERR_BAD_INPUT, number_parse_int64(SLICE("5x"), &i));
    check_err(ERR_OK, number_parse_uint64(SLICE("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    check_slice("18446744073709551615", slice_of(text, number_format_uint64(text, u)));
    check_err(ERR_TOO_LARGE, number_parse_uint64(SLICE("18446744073709551616"), &u));
    check_err(ERR_BAD_INPUT, number_parse_uint64(SLICE("-1"), &u));
}

static void test_round_trip(void **state)
{
    static const enum number_form forms[] = {NUMBER_API, NUMBER_FIXED, NUMBER_G, NUMBER_OM,
                                             NUMBER_EXP};
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 2000)
    {
        double v = sample_value_from_bits(gen_u64(&gen));

        if (isnan(v))
            v = sample_value_from_bits(SAMPLE_NORMAL_BITS);
        for (size_t i = 0; i < COUNT_OF(forms); i++) {
            char text[NUMBER_TEXT_SIZE];
            double back = 0;

            check_err(ERR_OK, number_parse_double(
                                  slice_of(text, number_format_double(text, v, forms[i])), &back));
            assert_int_equal(sample_value_bits(v), sample_value_bits(back));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_as_go), cmocka_unit_test(test_format_openmetrics),
        cmocka_unit_test(test_parse),        cmocka_unit_test(test_parse_decimal),
        cmocka_unit_test(test_integers),     cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
