/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/remote_write2_out.h"

#include "support/check.h"

static void check_bytes(const void *want, size_t len, const struct buf *got)
{
    check_err(ERR_OK, got->err);
    assert_int_equal(len, got->len);
    assert_memory_equal(want, got->data, len);
}

#define LABEL(n, v)                                                                                \
    {                                                                                              \
        SLICE(n), SLICE(v)                                                                         \
    }

/* Bytes worked out by hand from upstream's io/prometheus/write/v2/types.proto. */
static void test_golden(void **state)
{
    static const char want[] = "\x22\x00"                             /* symbols: "" */
                               "\x22\x08__name__\x22\x01m"            /* 1, 2 */
                               "\x22\x01h"                            /* 3: the help */
                               "\x2a\x2e"                             /* series */
                               "\x0a\x02\x01\x02"                     /* labels_refs */
                               "\x12\x0d"                             /* sample */
                               "\x09\x00\x00\x00\x00\x00\x00\xf8\x3f" /* 1.5 */
                               "\x10\x64\x18\x32"                     /* t 100, start 50 */
                               "\x12\x0b"                             /* the stale marker, t 101 */
                               "\x09\x02\x00\x00\x00\x00\x00\xf0\x7f\x10\x65"
                               "\x22\x06\x0a\x02\x01\x02\x18\x65" /* exemplar of value 0 */
                               "\x2a\x04\x08\x01\x18\x03"         /* metadata: counter, help */
                               "\x2a\x0d\x0a\x02\x01\x02"         /* series, the symbols known */
                               "\x1a\x07\x08\x05\x78\x64\x88\x01\x09"; /* histogram, start 9 */
    const struct label labels[] = {LABEL("__name__", "m")};
    const struct remote_write2_sample samples[] = {{100, 50, UINT64_C(0x3ff8000000000000)},
                                                   {101, 0, SAMPLE_STALE_BITS}};
    const struct remote_write2_histogram histogram = {SLICE("\x08\x05\x78\x64"), 9};
    const struct exemplar exemplar = {.labels = {labels, 1}, .t_ms = 101, .has_t = true};
    const struct metadata metadata = {.type = METRIC_TYPE_COUNTER, .help = SLICE("h")};
    static const uint8_t seed[HASH_KEY_SEED_SIZE];
    struct remote_write2_out out;
    struct hash_key key;
    struct buf request;

    (void)state;
    hash_key_init(&key, seed);
    buf_init(&request, 1 << 16);
    remote_write2_out_init(&out, &key);
    for (int round = 0; round < 2; round++) { /* the second one starts with no symbols */
        remote_write2_out_series(&out, &(struct remote_write2_series){.labels = {labels, 1},
                                                                      .samples = samples,
                                                                      .sample_count = 2,
                                                                      .exemplars = &exemplar,
                                                                      .exemplar_count = 1,
                                                                      .metadata = &metadata});
        remote_write2_out_series(&out, &(struct remote_write2_series){.labels = {labels, 1},
                                                                      .histograms = &histogram,
                                                                      .histogram_count = 1});
        buf_reset(&request);
        remote_write2_out_finish(&out, &request);
        check_bytes(want, sizeof(want) - 1, &request);
    }
    remote_write2_out_fini(&out);
    buf_fini(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
    };

    return cmocka_run_group_tests_name("remote_write2_out", tests, NULL, NULL);
}
