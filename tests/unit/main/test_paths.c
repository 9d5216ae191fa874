/* SPDX-License-Identifier: Apache-2.0 */
#include "main/paths.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"
#include "support/temp_dir.h"

static struct temp_dir temp;

static const char *in_dir(const char *name)
{
    static char path[TEMP_DIR_PATH_SIZE + 64];

    (void)snprintf(path, sizeof(path), "%s/%s", temp.path, name);
    return path;
}

static void test_files(void **state)
{
    struct err_info info = {{0}};
    char want[TEMP_DIR_PATH_SIZE + 32];

    (void)state;
    check_err(ERR_OK, paths_check_file(in_dir("file"), &info));
    check_err(ERR_OK, paths_check_file(in_dir("missing"), &info)); /* its reader says so */
    check_err(ERR_IO, paths_check_file(temp.path, &info));
    (void)snprintf(want, sizeof(want), "open %s: Is a directory", temp.path);
    assert_string_equal(info.message, want);
}

static void test_data_dirs_that_can_be(void **state)
{
    static const char *const names[] = {"", "new", "new/newer/newest", "./new/", "//"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        check_err(ERR_OK, paths_check_data_dir(in_dir(names[i]), NULL));
    check_err(ERR_OK, paths_check_data_dir("here-is-nothing", NULL));
    check_err(ERR_OK, paths_check_data_dir("here/is/nothing", NULL));
}

static void check_data_dir(const char *path, const char *text)
{
    struct err_info info = {{0}};

    check_err(ERR_IO, paths_check_data_dir(path, &info));
    if (strstr(info.message, text) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", path, info.message, text);
}

static void test_data_dirs_that_cannot(void **state)
{
    (void)state;
    check_data_dir(in_dir("file"), "file: Not a directory");
    check_data_dir(in_dir("file/below"), "file/below: Not a directory");
    if (geteuid() == 0) /* to whom nothing is forbidden: the rest cannot be seen */
        return;
    assert_int_equal(chmod(temp.path, 0555), 0);
    check_data_dir(temp.path, ": Permission denied");
    check_data_dir(in_dir("new/newer"), "/new/newer cannot be made in ");
    assert_int_equal(chmod(temp.path, 0755), 0);
}

int main(void)
{
    int fd, failed;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_data_dirs_that_can_be),
        cmocka_unit_test(test_data_dirs_that_cannot),
    };

    temp_dir_init(&temp);
    fd = open(in_dir("file"), O_CREAT | O_WRONLY, 0644);
    assert_true(fd >= 0 && close(fd) == 0);
    assert_int_equal(chdir(temp.path), 0); /* for the relative paths */
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    temp_dir_fini(&temp);
    return failed;
}
