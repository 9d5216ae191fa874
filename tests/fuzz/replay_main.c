/* SPDX-License-Identifier: Apache-2.0 */

/* Runs a fuzz target over files and folders of inputs, without libFuzzer: every build replays the
 * corpora. Each input is also cut short at several places, which costs little and finds readers
 * that look past the end. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_SIZE_MAX = 16 << 20, CUT_COUNT = 8, PATH_SIZE = 4096 };

/* A copy of exactly `size` bytes, so that a sanitizer sees a read past the end. */
static void run_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);

    if (copy == NULL)
        abort();
    if (size != 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_SIZE_MAX);

    if (file == NULL || data == NULL) {
        perror(path);
        if (file != NULL)
            fclose(file);
        free(data);
        return -1;
    }
    const size_t size = fread(data, 1, INPUT_SIZE_MAX, file);
    fclose(file);
    /* Printed before it runs, so that a crash names its input. */
    printf("%s\n", path);
    fflush(stdout);
    run_copy(data, size);
    for (size_t i = 0; i < CUT_COUNT; i++)
        run_copy(data, size * i / CUT_COUNT);
    free(data);
    return 1;
}

/* The number of inputs run below path, or -1. */
static int run_path(const char *path)
{
    struct stat st;
    int count = 0;

    if (stat(path, &st) != 0) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(st.st_mode))
        return run_file(path);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        perror(path);
        return -1;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char child[PATH_SIZE];

        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(child, sizeof(child), "%s/%s", path, entry->d_name) >= PATH_SIZE) {
            fprintf(stderr, "%s/%s: path too long\n", path, entry->d_name);
            count = -1;
            break;
        }
        const int child_count = run_path(child);
        if (child_count < 0) {
            count = -1;
            break;
        }
        count += child_count;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++) {
        const int path_count = run_path(argv[i]);
        if (path_count < 0)
            return 1;
        count += path_count;
    }
    printf("%d inputs\n", count);
    /* A target without a corpus is a mistake. */
    return count == 0 ? 1 : 0;
}
