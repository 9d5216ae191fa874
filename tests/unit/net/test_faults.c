/* SPDX-License-Identifier: Apache-2.0 */

/* Each fallible call of net is made to fail in turn: what cannot open says so and leaves nothing
 * behind; what runs loses one connection or call and goes on. */

#include "base/fault.h"

#include "tests/unit/net/net_fixture.h"

static void handle_hello(struct http_request *req)
{
    http_respond_text(req, 200, "hello\n");
}

static enum err open_all(struct net_fixture *f, struct err_info *info)
{
    const struct http_route route = {HTTP_GET, "/hello", .handler = handle_hello,
                                     .inline_size_max = SIZE_MAX};
    struct env_net_options options = {0};
    struct http_server_options server_options = {.address = "127.0.0.1:0"};
    enum err err;

    memset(f, 0, sizeof(*f));
    env_real_init(&f->env);
    err = reactor_set_open(2, &f->reactors, info);
    if (err != ERR_OK)
        return err;
    options.reactors = f->reactors;
    err = env_net_open(&f->env, &options, info);
    if (err != ERR_OK) {
        reactor_set_close(f->reactors);
        return err;
    }
    server_options.reactors = f->reactors;
    server_options.env = &f->env;
    err = http_server_open(&server_options, &f->server, info);
    if (err != ERR_OK) {
        net_close(f);
        return err;
    }
    http_server_route(f->server, &route);
    http_server_start(f->server);
    f->port = http_server_port(f->server);
    return ERR_OK;
}

static void test_open(void **unused)
{
    struct net_fixture f;
    enum err err;
    uint64_t nth = 0;

    (void)unused;
    do {
        struct err_info info = {{0}};

        fault_arm("net.", ++nth);
        err = open_all(&f, &info);
        if (err != ERR_OK)
            assert_true(info.message[0] != '\0');
    } while (err != ERR_OK);
    assert_int_equal(0, fault_fired_count());
    assert_true(nth > 5);
    fault_disarm();
    net_close(&f);
}

static void test_run(void **unused)
{
    struct net_fixture f;
    struct http_client *client;
    struct http_call call;
    uint64_t nth = 0, fired;
    char url[96];

    (void)unused;
    check_err(ERR_OK, open_all(&f, NULL));
    const struct http_client_options options = {.reactors = f.reactors};
    check_err(ERR_OK, http_client_new(&options, &client, NULL));
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/hello", f.port);
    do {
        http_call_init(&call, client);
        call.url = url;
        call.headers = &(struct http_header){SLICE("Connection"), SLICE("close")};
        call.header_count = 1;
        call.deadline_ns = net_now_ns() + 10 * NET_SECOND;
        fault_arm("net.", ++nth);
        if (http_call_run(&call, &f.env) != ERR_OK)
            assert_true(call.info.message[0] != '\0');
        else
            assert_int_equal(200, call.status);
        fired = fault_fired_count();
        fault_disarm();
        /* The next one works. */
        call.deadline_ns = net_now_ns() + 10 * NET_SECOND;
        check_err_info(ERR_OK, http_call_run(&call, &f.env), &call.info);
        http_call_fini(&call);
    } while (fired > 0);
    assert_true(nth > 4);
    http_client_free(client);
    net_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
