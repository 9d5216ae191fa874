/* SPDX-License-Identifier: Apache-2.0 */
#include "distributor/write_media.h"

#include "support/check.h"

static void check_taken(const char *type, const char *encoding, bool is_version2, bool is_zstd)
{
    struct write_media media;

    if (write_media_read(slice_from_cstr(type), slice_from_cstr(encoding), &media, NULL) != ERR_OK)
        fail_msg("refused: \"%s\", \"%s\"", type, encoding);
    assert_int_equal(is_version2, media.is_version2);
    assert_int_equal(is_zstd, media.is_zstd);
}

static void check_refused(const char *type, const char *encoding, const char *part)
{
    struct write_media media;
    struct err_info info = {{0}};

    check_err(ERR_UNSUPPORTED,
              write_media_read(slice_from_cstr(type), slice_from_cstr(encoding), &media, &info));
    check_message(part, &info);
}

static void test_taken(void **state)
{
    (void)state;
    check_taken("", "", false, false);
    check_taken("application/x-protobuf", "snappy", false, false);
    check_taken("Application/X-Protobuf", "Snappy", false, false);
    check_taken("application/x-protobuf;proto=prometheus.WriteRequest", "zstd", false, true);
    check_taken("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", true,
                false);
    check_taken(
        " application/x-protobuf ; charset=utf-8; proto=\"io.prometheus.write.v2.Request\" ", "",
        true, false);
    check_taken("application/x-protobuf;", "zstd", false, true);
}

static void test_refused(void **state)
{
    (void)state;
    check_refused("application/json", "snappy", "content type \"application/json\" is not taken");
    check_refused("application/x-protobuf;proto=x.Y", "snappy", "io.prometheus.write.v2.Request");
    check_refused("application/x-protobuf;proto=", "snappy", "content type");
    check_refused("application/x-protobuff", "snappy", "content type");
    check_refused("text/plain", "", "content type \"text/plain\"");
    check_refused("application/x-protobuf", "gzip", "content encoding \"gzip\" is not taken");
    check_refused("application/x-protobuf", "identity", "expected snappy or zstd");
    check_refused("", "snappy, zstd", "content encoding");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
