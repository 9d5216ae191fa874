/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The data directory that Prometheus 3.5 left in tests/golden/promtsdb, and what promtool printed
 * of it. */

#include <stddef.h>

#include "base/mem.h"
#include "base/slice.h"
#include "support/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN_DIR NARTHEX_TEST_DATA "/../golden/promtsdb/v3.5"

/* A file's bytes; the caller frees data with mem_free. */
static inline struct slice golden_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *data;
    long size;

    if (file == NULL)
        fail_msg("%s cannot be opened", path);
    assert_int_equal(0, fseek(file, 0, SEEK_END));
    size = ftell(file);
    rewind(file);
    data = mem_alloc((size_t)size + 1);
    assert_int_equal(size, fread(data, 1, (size_t)size, file));
    fclose(file);
    return slice_of(data, (size_t)size);
}

enum { GOLDEN_NAMES_MAX = 32, GOLDEN_PATH_SIZE = 1024 };

struct golden_names {
    char items[GOLDEN_NAMES_MAX][64];
    unsigned count;
};

static inline int golden_name_order(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Names in a folder of the directory that are len characters long, sorted. */
static inline struct golden_names golden_list(const char *folder, size_t len)
{
    struct golden_names names = {.count = 0};
    char path[GOLDEN_PATH_SIZE];
    struct dirent *entry;

    (void)snprintf(path, sizeof(path), GOLDEN_DIR "/%s", folder);
    DIR *dir = opendir(path);
    if (dir == NULL)
        fail_msg("%s cannot be opened", path);
    while ((entry = readdir(dir)) != NULL && names.count < GOLDEN_NAMES_MAX)
        if (strlen(entry->d_name) == len)
            memcpy(names.items[names.count++], entry->d_name, len + 1);
    closedir(dir);
    qsort(names.items, names.count, sizeof(names.items[0]), golden_name_order);
    return names;
}

enum { GOLDEN_LINES_MAX = 4000 };

struct golden_dump {
    struct slice text;
    const char *lines[GOLDEN_LINES_MAX]; /* sorted, terminated */
    size_t count;
};

static inline int golden_line_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static inline void golden_dump_read(struct golden_dump *dump)
{
    dump->text = golden_read(GOLDEN_DIR "/../dump.txt");
    dump->count = 0;
    char *at = (char *)(size_t)dump->text.data;
    for (char *end = at + dump->text.len; at < end;) {
        char *newline = memchr(at, '\n', (size_t)(end - at));

        assert_true(newline != NULL && dump->count < GOLDEN_LINES_MAX);
        *newline = '\0';
        dump->lines[dump->count++] = at;
        at = newline + 1;
    }
    qsort(dump->lines, dump->count, sizeof(dump->lines[0]), golden_line_order);
}

static inline bool golden_dump_has(const struct golden_dump *dump, const char *line)
{
    return bsearch(&line, dump->lines, dump->count, sizeof(dump->lines[0]), golden_line_order) !=
           NULL;
}
