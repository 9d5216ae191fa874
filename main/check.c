/* SPDX-License-Identifier: Apache-2.0 */
#include "main/check.h"

#include <stdio.h>

#include "base/env_real.h"
#include "base/mem.h"
#include "config/prometheus_config.h"
#include "main/flags.h"
#include "main/paths.h"

static void print_unserved(void *owner, struct slice file, uint32_t line, struct slice key_path)
{
    (void)owner;
    printf("  WARNING: %.*s:%u: %.*s is not served by this version and has no effect\n",
           SLICE_ARG(file), line, SLICE_ARG(key_path));
}

static enum err check_own_settings(const struct prometheus_config *config, struct err_info *info)
{
    struct flags *flags = mem_alloc(sizeof(*flags));
    struct arena arena;
    enum err err = ERR_OK;

    arena_init(&arena, NULL, 0);
    flags_init(flags, &arena);
    if (config->narthex != NULL)
        err = settings_parse_yaml(&flags->settings, config->narthex, info);
    if (err == ERR_OK)
        err = distributor_check_settings(&flags->distributor, info);
    arena_fini(&arena);
    mem_free(flags);
    return err;
}

static bool check_config_file(struct env *env, const char *path)
{
    const struct prometheus_config_options options = {.env = env, .path = path};
    struct prometheus_config *config;
    struct err_info info = {{0}};
    enum err err;

    printf("Checking %s\n", path);
    err = paths_check_file(path, &info);
    if (err == ERR_OK)
        err = prometheus_config_load(&options, &config, &info);
    if (err == ERR_OK) {
        err = check_own_settings(config, &info);
        if (err == ERR_OK) {
            prometheus_config_unserved(config, print_unserved, NULL);
            printf(" SUCCESS: %s is valid prometheus config file syntax\n\n", path);
        }
        prometheus_config_unref(config);
    }
    if (err != ERR_OK) {
        fflush(stdout);
        fprintf(stderr, "  FAILED: %s\n\n", err_message(err, &info));
    }
    return err == ERR_OK;
}

int check_main(int argc, char **argv)
{
    struct env env = {0};
    bool good = true;

    if (argc < 3 || strcmp(argv[1], "config") != 0) {
        fprintf(stderr, "usage: narthex check config FILE...\n");
        return 2;
    }
    env_real_init(&env);
    for (int i = 2; i < argc; i++)
        good &= check_config_file(&env, argv[i]);
    return good ? 0 : 1;
}
