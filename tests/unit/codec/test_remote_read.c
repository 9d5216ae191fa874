/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/remote_read.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "support/check.h"

#define REQUEST(text) slice_of((text), sizeof(text) - 1)

static void test_decode(void **state)
{
    static const char message[] = "\x0a\x20"
                                  "\x08\x05\x10\xe8\x07"                  /* 5 to 1000 */
                                  "\x1a\x0a\x08\x02\x12\x01n\x1a\x03.*x"  /* n=~".*x" */
                                  "\x22\x0d\x08\x0f\x12\x04rate\x2a\x01j" /* step 15, rate by j */
                                  "\x30\x01"
                                  "\x12\x02\x01\x00"; /* streamed, else samples */
    struct remote_read_request request;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0);
    check_err(ERR_OK, remote_read_decode(REQUEST(message), &arena, &request, NULL));
    assert_true(request.is_streamed);
    assert_int_equal(1, request.query_count);
    assert_int_equal(5, request.queries[0].t_min_ms);
    assert_int_equal(1000, request.queries[0].t_max_ms);
    assert_int_equal(1, request.queries[0].matcher_count);
    assert_int_equal(MATCHER_REGEX, request.queries[0].matchers[0].type);
    check_slice("n", request.queries[0].matchers[0].name);
    check_slice(".*x", request.queries[0].matchers[0].value);
    assert_int_equal(15, request.queries[0].step_ms);
    check_slice("rate", request.queries[0].function);
    check_slice("j", request.queries[0].grouping[0]);
    assert_true(request.queries[0].grouping_by);
    arena_fini(&arena);
}

static void check_kind(struct slice message, bool is_streamed)
{
    struct remote_read_request request;
    struct arena arena;

    arena_init(&arena, NULL, 0);
    check_err(ERR_OK, remote_read_decode(message, &arena, &request, NULL));
    assert_int_equal(is_streamed, request.is_streamed);
    arena_fini(&arena);
}

/* The first kind of the list that there is; none asked for: samples. */
static void test_kind(void **state)
{
    (void)state;
    check_kind(REQUEST(""), false);
    check_kind(REQUEST("\x12\x01\x00"), false);
    check_kind(REQUEST("\x12\x02\x00\x01"), false);
    check_kind(REQUEST("\x12\x02\x07\x01"), true);
    check_kind(REQUEST("\x10\x01"), true); /* not packed */
}

static void check_refused(struct slice message, const char *part)
{
    struct remote_read_request request;
    struct err_info info = {{0}};
    struct arena arena;

    arena_init(&arena, NULL, 0);
    check_err(ERR_BAD_INPUT, remote_read_decode(message, &arena, &request, &info));
    check_message(part, &info);
    arena_fini(&arena);
}

static void test_refused(void **state)
{
    char queries[2 * (REMOTE_READ_QUERIES_MAX + 1)];

    (void)state;
    for (size_t i = 0; i < sizeof(queries); i += 2)
        memcpy(queries + i, "\x0a\x00", 2);
    check_refused(REQUEST("\xff"), "malformed protobuf");
    check_refused(REQUEST("\x0a\x05\x08"), "malformed protobuf");
    check_refused(REQUEST("\x12\x01\x07"),
                  "does not support any of the requested response types: 7");
    check_refused(REQUEST("\x0a\x07\x1a\x05\x08\x04\x12\x01n"), "invalid matcher type 4");
    check_refused(REQUEST("\x0a\x05\x1a\x03\x12\x01\xff"), "must be UTF-8");
    check_refused(REQUEST("\x0a\x02\x1a\x00"), "names not empty");
    check_refused(slice_of(queries, sizeof(queries)), "1001 queries, the limit is 1000");
}

static void test_frame(void **state)
{
    static const struct label labels[] = {{SLICE("__name__"), SLICE("up")}};
    static const char want[] = "\x0a\x1e"                             /* the series */
                               "\x0a\x0e\x0a\x08__name__\x12\x02up"   /* its label */
                               "\x12\x0c\x08\x05\x10\xe8\x07\x18\x01" /* a chunk, 5 to 1000, XOR */
                               "\x22\x03"
                               "abc"
                               "\x10\x02"; /* of query 2 */
    struct buf out, stream;
    struct slice frame;

    (void)state;
    buf_init(&out, 1000);
    buf_init(&stream, 1000);
    remote_read_series_begin(&out, (struct label_set){labels, 1});
    assert_int_equal(
        12, remote_read_put_chunk(&out, &(struct remote_read_chunk){5, 1000, 1, SLICE("abc")}));
    remote_read_frame_end(&out, 2, &stream);
    check_err(ERR_OK, stream.err);
    assert_int_equal(0, out.len);
    frame = buf_slice(&stream);
    assert_int_equal(sizeof(want) - 1, frame.data[0]);
    assert_true(slice_eq(REQUEST(want), slice_skip(frame, 5)));
    assert_int_equal(crc32c_slice(REQUEST(want)), endian_get_u32be(frame.data + 1));
    assert_int_equal(14, remote_read_labels_size((struct label_set){labels, 1}));
    buf_fini(&out);
    buf_fini(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_kind),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
