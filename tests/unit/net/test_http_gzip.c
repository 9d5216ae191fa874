/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_gzip.h"

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

/* curl decompresses what we compressed, whole and streamed. */
static void test_round_trip(void **unused)
{
    static const char *const paths[] = {"/whole", "/stream"};
    static const char *const codings[] = {"gzip", "deflate"};
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
            call.headers =
                &(struct http_header){SLICE("Accept-Encoding"), slice_from_cstr(codings[i % 2])};
            call.header_count = 1;
            call.accepts_compressed = true;
            check_err_info(ERR_OK, http_call_run(&call, &s.f.env), &call.info);
            assert_int_equal(200, call.status);
            assert_true(slice_eq(buf_slice(&s.body), call.body_received));
            if (size >= 1024)
                check_slice(codings[i % 2], http_call_header(&call, "content-encoding"));
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
