/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_gzip.h"

#include "base/endian.h"
#include "net/http_gunzip.h"
#include "support/gen.h"
#include "tests/unit/net/net_fixture.h"

static void check_choice(const char *accept, enum http_coding want)
{
    const enum http_coding got = http_gzip_choose(slice_from_cstr(accept));

    if (got != want)
        fail_msg("\"%s\": got %s, wanted %s", accept, http_gzip_coding_text(got),
                 http_gzip_coding_text(want));
}

static void test_choose(void **unused)
{
    (void)unused;
    check_choice("", HTTP_CODING_IDENTITY);
    check_choice("gzip", HTTP_CODING_GZIP);
    check_choice("deflate, gzip", HTTP_CODING_GZIP);
    check_choice("deflate", HTTP_CODING_DEFLATE);
    check_choice("br , deflate ;q=0.5", HTTP_CODING_DEFLATE);
    check_choice("gzip;q=0", HTTP_CODING_IDENTITY);
    check_choice("gzip; q=0.000, deflate", HTTP_CODING_DEFLATE);
    check_choice("gzip;q=0.001", HTTP_CODING_GZIP);
    check_choice("gzipped", HTTP_CODING_IDENTITY);
    check_choice(",,;;,", HTTP_CODING_IDENTITY);
}

struct state {
    struct net_fixture f;
    struct buf body;
};

static void handle_whole(struct http_request *req)
{
    const struct state *s = req->owner;

    http_respond(req, &(struct http_response){.status = 200, .body = buf_slice(&s->body)});
}

/* In pieces of many sizes. */
static void handle_stream(struct http_request *req)
{
    const struct state *s = req->owner;
    struct slice rest = buf_slice(&s->body);

    http_stream_begin(req, &(struct http_response){.status = 200});
    for (size_t size = 1; rest.len > 0; size = size * 3 + 1) {
        const struct slice part = slice_of(rest.data, size < rest.len ? size : rest.len);

        assert_int_equal(ERR_OK, http_stream_write(req, part));
        rest = slice_skip(rest, part.len);
    }
    http_stream_end(req, true);
}

/* The checksum of gzip, a bit at a time. */
static uint32_t crc32_of(struct slice bytes)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (uint8_t)bytes.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (UINT32_C(0xedb88320) & (0 - (crc & 1)));
    }
    return ~crc;
}

/* "deflate" is two bytes, the same compressed data as in gzip, and four bytes. In gzip's frame it
 * decompresses to `want`, or its checksum does not fit. */
static void check_deflated(struct slice got, struct slice want)
{
    struct http_gunzip *gunzip = http_gunzip_new();
    struct buf framed, out;
    char trailer[8];

    assert_true(got.len > 6);
    endian_put_u32le(trailer, crc32_of(want));
    endian_put_u32le(trailer + 4, (uint32_t)want.len);
    buf_init(&framed, 8 << 20);
    buf_init(&out, 8 << 20);
    buf_add(&framed, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    buf_add(&framed, got.data + 2, got.len - 6);
    buf_add(&framed, trailer, sizeof(trailer));
    check_err(ERR_OK, http_gunzip_write(gunzip, buf_slice(&framed), &out));
    assert_true(http_gunzip_is_whole(gunzip));
    assert_true(slice_eq(want, buf_slice(&out)));
    http_gunzip_free(gunzip);
    buf_fini(&framed);
    buf_fini(&out);
}

/* The client decompresses gzip by itself. */
static void check_body(const struct http_call *call, enum http_coding coding, struct slice want)
{
    const struct slice got = http_call_header(call, "content-encoding");

    if (want.len >= 1024)
        check_slice(http_gzip_coding_text(coding), got);
    if (slice_eq_cstr(got, "deflate"))
        check_deflated(call->body_received, want);
    else
        assert_true(slice_eq(want, call->body_received));
}

/* What we compressed is whole, in one piece and streamed. */
static void test_round_trip(void **unused)
{
    static const char *const paths[] = {"/whole", "/stream"};
    static const enum http_coding codings[] = {HTTP_CODING_GZIP, HTTP_CODING_DEFLATE};
    struct state s = {0};
    const struct http_route routes[] = {
        {HTTP_GET, "/whole", .handler = handle_whole, .owner = &s, .inline_size_max = SIZE_MAX},
        {HTTP_GET, "/stream", .handler = handle_stream, .owner = &s, .pool = ENV_POOL_QUERY},
    };
    struct http_client *client;
    struct gen gen;

    (void)unused;
    net_open_env(&s.f);
    net_open_server(&s.f, (struct http_server_options){0}, routes, COUNT_OF(routes));
    const struct http_client_options options = {.reactors = s.f.reactors};
    check_err(ERR_OK, http_client_new(&options, &client, NULL));
    buf_init(&s.body, 4 << 20);
    GEN_EACH_SEED(&gen, 20)
    {
        const size_t size =
            gen_below(&gen, 2) == 0 ? gen_below(&gen, 3000) : gen_below(&gen, 2 << 20);

        buf_reset(&s.body);
        for (size_t i = 0; i < size; i++)
            buf_add_byte(&s.body, (char)(gen_below(&gen, 4) == 0 ? gen_below(&gen, 256) : 'x'));
        for (size_t i = 0; i < 4; i++) {
            struct http_call call;
            char url[128];

            http_call_init(&call, client);
            snprintf(url, sizeof(url), "%s%s", s.f.base_url, paths[i / 2]);
            call.url = url;
            call.deadline_ns = net_now_ns() + 20 * NET_SECOND;
            call.headers = &(struct http_header){SLICE("Accept-Encoding"), SLICE("deflate")};
            call.accepts_compressed = codings[i % 2] == HTTP_CODING_GZIP;
            call.header_count = call.accepts_compressed ? 0 : 1;
            check_err_info(ERR_OK, http_call_run(&call, &s.f.env), &call.info);
            assert_int_equal(200, call.status);
            check_body(&call, codings[i % 2], buf_slice(&s.body));
            http_call_fini(&call);
        }
    }
    http_client_free(client);
    net_close(&s.f);
    buf_fini(&s.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choose),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
