/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "config/scalar.h"

static void check_size(const char *text, int64_t want, const char *printed)
{
    struct err_info info = {0};
    struct buf out;
    int64_t got;

    check_err_info(ERR_OK, scalar_parse_size(slice_from_cstr(text), &got, &info), &info);
    assert_int_equal(got, want);
    buf_init(&out, 256);
    scalar_print_size(&out, got);
    check_slice(printed, buf_slice(&out));
    buf_fini(&out);
}

static void check_bad_size(const char *text, const char *message)
{
    struct err_info info = {0};
    int64_t got;

    check_err(ERR_BAD_INPUT, scalar_parse_size(slice_from_cstr(text), &got, &info));
    check_message(message, &info);
}

static void test_sizes(void **state)
{
    (void)state;
    check_size("0", 0, "0B");
    check_size("15MB", 15 << 20, "15MiB");
    check_size("15MiB", 15 << 20, "15MiB");
    check_size("1.5GiB", 3LL << 29, "1GiB512MiB");
    check_size("1GB512MB", 3LL << 29, "1GiB512MiB");
    check_size("100B", 100, "100B");
    check_size("1025B", 1025, "1KiB1B");
    check_size("-1KB", -1024, "-1KiB");
    check_size("1EB", 1LL << 60, "1EiB");
    check_bad_size("", "units: invalid");
    check_bad_size("100", "units: unknown unit  in 100");
    check_bad_size("1kB", "units: unknown unit kB in 1kB");
    check_bad_size("MB", "units: invalid MB");
    check_bad_size(".MB", "units: invalid .MB");
    check_bad_size("16EB", "units: overflow in 16EB");
}

static void check_url(const char *text, const char *scheme, const char *host, const char *path)
{
    struct err_info info = {0};
    struct scalar_url url;

    check_err_info(ERR_OK, scalar_parse_url(slice_from_cstr(text), &url, &info), &info);
    check_slice(scheme, url.scheme);
    check_slice(host, url.host);
    check_slice(path, url.path);
}

static void check_bad_url(const char *text, const char *message)
{
    struct err_info info = {0};
    struct scalar_url url;

    check_err(ERR_BAD_INPUT, scalar_parse_url(slice_from_cstr(text), &url, &info));
    check_message(message, &info);
}

static void test_urls(void **state)
{
    (void)state;
    check_url("", "", "", "");
    check_url("http://h:80/a?b#c", "http", "h:80", "/a");
    check_url("https://u:p@h/", "https", "h", "/");
    check_url("/a/b:c", "", "", "/a/b:c");
    check_url("unix:///var/run/x", "unix", "", "/var/run/x");
    check_url("//h/x", "", "h", "/x");
    check_url("http://[::1]:9/x", "http", "[::1]:9", "/x");
    check_url("mailto:a@b", "mailto", "", "a@b");
    check_bad_url("://x", "missing protocol scheme");
    check_bad_url("a b:c", "first path segment in URL cannot contain colon");
    check_bad_url("http://h:x/", "invalid port after host");
    check_bad_url("http://[::1/", "missing ']' in host");
    check_bad_url("http://a b/", "invalid character in host name");
    check_bad_url("http://h/%zz", "invalid URL escape");
    check_bad_url("http://h/\n", "invalid control character in URL");
}

static void check_redacted(const char *text, const char *want)
{
    struct buf out;

    buf_init(&out, 256);
    scalar_print_url(&out, slice_from_cstr(text));
    check_slice(want, buf_slice(&out));
    buf_fini(&out);
}

static void test_redaction(void **state)
{
    (void)state;
    check_redacted("http://user:secret@h/x", "http://user:xxxxx@h/x");
    check_redacted("http://user@h/x", "http://user@h/x");
    check_redacted("http://h/x:y@z", "http://h/x:y@z");
    check_redacted("not a url", "not a url");
}

static void test_uuid(void **state)
{
    (void)state;
    assert_true(scalar_is_uuid(SLICE("11111111-1111-1111-1111-11111111aAfF")));
    assert_false(scalar_is_uuid(SLICE("11111111-1111-1111-1111-11111111aAfg")));
    assert_false(scalar_is_uuid(SLICE("11111111x1111-1111-1111-111111111111")));
    assert_false(scalar_is_uuid(SLICE("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_redaction),
        cmocka_unit_test(test_uuid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
