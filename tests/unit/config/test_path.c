/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/temp_dir.h"

#include <stdio.h>
#include <string.h>

#include "base/env_real.h"
#include "config/path.h"

struct found {
    char text[1024];
    size_t skip; /* of each path: the directory */
};

static enum err on_path(void *owner, const char *path)
{
    struct found *found = owner;
    const size_t len = strlen(found->text);

    snprintf(found->text + len, sizeof(found->text) - len, "%s ", path + found->skip);
    return ERR_OK;
}

static void check_glob(struct env *env, const struct temp_dir *dir, const char *pattern,
                       const char *want)
{
    struct found found = {.skip = strlen(dir->path) + 1};
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", dir->path, pattern);
    check_err(ERR_OK, path_glob(env, path, on_path, &found));
    assert_string_equal(found.text, want);
}

static void make_file(const struct temp_dir *dir, const char *name)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(name, file);
    fclose(file);
}

static void test_glob(void **state)
{
    struct temp_dir dir;
    struct env env;

    (void)state;
    env_real_init(&env);
    temp_dir_init(&dir);
    make_file(&dir, "b.yml");
    make_file(&dir, "a.yml");
    make_file(&dir, "c.json");
    make_file(&dir, ".hidden.yml");
    check_glob(&env, &dir, "*.yml", ".hidden.yml a.yml b.yml ");
    check_glob(&env, &dir, "[ab].yml", "a.yml b.yml ");
    check_glob(&env, &dir, "?.json", "c.json ");
    check_glob(&env, &dir, "a.yml", "a.yml ");
    check_glob(&env, &dir, "missing.yml", "");
    check_glob(&env, &dir, "missing/*.yml", "");
    temp_dir_fini(&dir);
}

static void test_read(void **state)
{
    struct err_info info = {0};
    struct temp_dir dir;
    char path[512];
    struct env env;
    struct buf out;

    (void)state;
    env_real_init(&env);
    temp_dir_init(&dir);
    make_file(&dir, "0123456789");
    snprintf(path, sizeof(path), "%s/0123456789", dir.path);
    buf_init(&out, 1 << 20);
    check_err_info(ERR_OK, path_read(&env, path, &out, &info), &info);
    check_slice("0123456789", buf_slice(&out));
    buf_fini(&out);
    buf_init(&out, 9);
    check_err(ERR_TOO_LARGE, path_read(&env, path, &out, &info));
    check_message("0123456789: too large", &info);
    buf_fini(&out);
    info = (struct err_info){0};
    buf_init(&out, 9);
    check_err(ERR_NOT_FOUND, path_read(&env, "/missing/x", &out, &info));
    check_message("open /missing/x: no such file or directory", &info);
    buf_fini(&out);
    temp_dir_fini(&dir);
}

static void test_dir(void **state)
{
    (void)state;
    check_slice(".", path_dir(SLICE("a.yml")));
    check_slice("/", path_dir(SLICE("/a.yml")));
    check_slice("x/y", path_dir(SLICE("x/y/a.yml")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glob),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
