/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/temp_dir.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env_real.h"
#include "discovery/discovery.h"
#include "net/env_net.h"

/* What a discovery told, as text: "source{labels}: addr addr; ...". */
struct told {
    pthread_mutex_t lock;
    struct buf text;
    int count;
};

struct fixture {
    struct env env;
    struct reactor_set *reactors;
    struct discovery_metrics metrics;
    struct temp_dir dir;
    struct told told;
};

static void on_update(void *owner, struct target_group *const *groups, uint32_t count)
{
    struct told *told = owner;

    pthread_mutex_lock(&told->lock);
    buf_reset(&told->text);
    for (uint32_t i = 0; i < count; i++) {
        label_set_print(&told->text, groups[i]->labels);
        for (uint32_t j = 0; j < groups[i]->target_count; j++) {
            buf_add_byte(&told->text, ' ');
            buf_add_slice(&told->text, label_set_get(groups[i]->targets[j], SLICE("__address__")));
        }
        buf_add_byte(&told->text, ';');
    }
    told->count++;
    pthread_mutex_unlock(&told->lock);
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct err_info info = {0};

    memset(f, 0, sizeof(*f));
    env_real_init(&f->env);
    check_err_info(ERR_OK, reactor_set_open(1, &f->reactors, &info), &info);
    check_err_info(ERR_OK,
                   env_net_open(&f->env, &(struct env_net_options){.reactors = f->reactors}, &info),
                   &info);
    metric_register(NULL, discovery_metric_descs, discovery_metric_count, &f->metrics);
    temp_dir_init(&f->dir);
    pthread_mutex_init(&f->told.lock, NULL);
    buf_init(&f->told.text, 1 << 20);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    env_net_stop(&f->env);
    reactor_set_close(f->reactors);
    env_net_close(&f->env);
    metric_unregister(NULL, discovery_metric_descs, discovery_metric_count, &f->metrics);
    temp_dir_fini(&f->dir);
    buf_fini(&f->told.text);
    pthread_mutex_destroy(&f->told.lock);
    return 0;
}

static struct discovery *start(struct fixture *f, const struct discovery_config *config)
{
    const struct discovery_options options = {.env = &f->env,
                                              .config = config,
                                              .metrics = &f->metrics,
                                              .update = on_update,
                                              .owner = &f->told};
    struct discovery *discovery;
    struct err_info info = {0};

    check_err_info(ERR_OK, discovery_new(&options, &discovery, &info), &info);
    discovery_start(discovery);
    return discovery;
}

static void stop(struct discovery *discovery)
{
    discovery_stop(discovery);
    discovery_free(discovery);
}

static bool has_told(struct fixture *f, const char *text)
{
    bool is_equal;

    pthread_mutex_lock(&f->told.lock);
    is_equal = f->told.count != 0 && slice_eq_cstr(buf_slice(&f->told.text), text);
    pthread_mutex_unlock(&f->told.lock);
    return is_equal;
}

static void wait_for(struct fixture *f, const char *text)
{
    for (int i = 0; i < 1000 && !has_told(f, text); i++)
        usleep(10000);
    if (!has_told(f, text))
        fail_msg("told \"%.*s\", not \"%s\"", SLICE_ARG(buf_slice(&f->told.text)), text);
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[512], temp[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", f->dir.path, name);
    snprintf(temp, sizeof(temp), "%s/.tmp", f->dir.path);
    file = fopen(temp, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(temp, path), 0);
}

static void test_static(void **state)
{
    struct fixture *f = *state;
    const struct slice targets[] = {SLICE("a:1"), SLICE("b:2")};
    const struct label labels[] = {{SLICE("env"), SLICE("prod")}};
    const struct static_group groups[] = {{.targets = targets, .target_count = 2},
                                          {.targets = targets, .target_count = 1, {labels, 1}}};
    const struct discovery_config config = {.kind = DISCOVERY_STATIC, .fixed = {groups, 2}};
    struct discovery *discovery = start(f, &config);

    wait_for(f, "{} a:1 b:2;{env=\"prod\"} a:1;");
    stop(discovery);
}

static void test_unserved(void **state)
{
    struct fixture *f = *state;
    const struct discovery_config config = {.kind = DISCOVERY_OTHER, .name = SLICE("consul")};
    const struct discovery_options options = {
        .env = &f->env, .config = &config, .metrics = &f->metrics, .update = on_update};
    struct discovery *discovery;
    struct err_info info = {0};

    check_err(ERR_UNSUPPORTED, discovery_new(&options, &discovery, &info));
    check_message("consul_sd_configs", &info);
}

/* Files appear, change, turn bad, vanish. */
static void test_files(void **state)
{
    struct fixture *f = *state;
    char pattern[512], one[1024], both[2048], bad[512];
    const struct slice patterns[] = {
        slice_of(pattern, (size_t)snprintf(pattern, sizeof(pattern), "%s/t*.json", f->dir.path))};
    const struct discovery_config config = {.kind = DISCOVERY_FILE, .file = {patterns, 1, 300000}};
    struct discovery *discovery;

    snprintf(one, sizeof(one), "{__meta_filepath=\"%s/t1.json\"} a:1;", f->dir.path);
    snprintf(both, sizeof(both), "%s{__meta_filepath=\"%s/t2.json\", x=\"y\"} b:2;", one,
             f->dir.path);

    write_file(f, "t1.json", "[{\"targets\":[\"a:1\"]}]");
    discovery = start(f, &config);
    wait_for(f, one);
    write_file(f, "t2.json", "[{\"targets\":[\"b:2\"],\"labels\":{\"x\":\"y\"}}]");
    wait_for(f, both);
    write_file(f, "t2.json", "[{\"targets\":");
    for (int i = 0; i < 500 && metric_get(&f->metrics.read_errors) == 0; i++)
        usleep(10000);
    assert_true(metric_get(&f->metrics.read_errors) > 0);
    assert_true(has_told(f, both));
    snprintf(bad, sizeof(bad), "%s/t2.json", f->dir.path);
    assert_int_equal(unlink(bad), 0);
    wait_for(f, one);
    stop(discovery);
}

/* Starting and stopping at any moment leaves nothing behind. */
static void test_stop_early(void **state)
{
    struct fixture *f = *state;
    const struct slice patterns[] = {slice_from_cstr(f->dir.path)};
    const struct discovery_config config = {.kind = DISCOVERY_FILE, .file = {patterns, 1, 300000}};

    for (useconds_t i = 0; i < 100; i++) {
        struct discovery *discovery = start(f, &config);

        usleep(i * 10);
        stop(discovery);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_static, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unserved, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_early, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
