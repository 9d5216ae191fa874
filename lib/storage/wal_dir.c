/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/wal_dir.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"

enum { NUMBER_DIGITS = 10, LIST_COUNT_MAX = 1 << 20 };

static const struct {
    const char *prefix, *suffix;
} kinds[] = {
    [WAL_DIR_SEGMENT] = {"", ".wal"},
    [WAL_DIR_CHECKPOINT] = {"checkpoint.", ""},
    [WAL_DIR_CHECKPOINT_TMP] = {"checkpoint.", ".tmp"},
};

struct listing {
    struct wal_dir_list *list;
    enum wal_dir_kind kind;
};

void wal_dir_segment_path(char path[WAL_PATH_SIZE], const char *dir, uint64_t number)
{
    (void)snprintf(path, WAL_PATH_SIZE, "%s/%010" PRIu64 ".wal", dir, number);
}

void wal_dir_checkpoint_path(char path[WAL_PATH_SIZE], const char *dir, uint64_t number)
{
    (void)snprintf(path, WAL_PATH_SIZE, "%s/checkpoint.%010" PRIu64, dir, number);
}

/* Prefix, ten digits, suffix; 0 when the name is not of this kind. */
static uint64_t name_number(const char *name, enum wal_dir_kind kind)
{
    const size_t prefix_len = strlen(kinds[kind].prefix);
    uint64_t number = 0;

    if (strncmp(name, kinds[kind].prefix, prefix_len) != 0 ||
        strlen(name) != prefix_len + NUMBER_DIGITS + strlen(kinds[kind].suffix) ||
        strcmp(name + prefix_len + NUMBER_DIGITS, kinds[kind].suffix) != 0)
        return 0;
    for (const char *at = name + prefix_len; at < name + prefix_len + NUMBER_DIGITS; at++) {
        if (*at < '0' || *at > '9')
            return 0;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    return number;
}

static enum err on_name(void *owner, const char *name)
{
    const struct listing *listing = owner;
    struct wal_dir_list *list = listing->list;
    const uint64_t number = name_number(name, listing->kind);

    if (number == 0)
        return ERR_OK;
    if (list->count == LIST_COUNT_MAX)
        return ERR_LIMIT;
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 16 : list->cap * 2;
        list->numbers = mem_realloc(list->numbers, list->cap * sizeof(*list->numbers));
    }
    list->numbers[list->count++] = number;
    return ERR_OK;
}

static int number_cmp(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

enum err wal_dir_list(struct env *env, const char *dir, enum wal_dir_kind kind,
                      struct wal_dir_list *list)
{
    struct listing listing = {list, kind};
    enum err err;

    *list = (struct wal_dir_list){0};
    err = FAULT("wal.list") ? ERR_IO : env->fs->list(env, dir, on_name, &listing);
    if (err != ERR_OK) {
        wal_dir_list_fini(list);
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    }
    if (list->count > 0)
        qsort(list->numbers, list->count, sizeof(*list->numbers), number_cmp);
    return ERR_OK;
}

void wal_dir_list_fini(struct wal_dir_list *list)
{
    mem_free(list->numbers);
    *list = (struct wal_dir_list){0};
}
