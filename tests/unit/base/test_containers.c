/* SPDX-License-Identifier: Apache-2.0 */
/* map.h against a plain array, list.h, and the memory tools: arena, buf, budget. */
#include <errno.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "support/check.h"
#include "support/gen.h"

enum { KEYS = 200 };

static bool key_eq(const void *key, uint64_t value, void *owner)
{
    (void)owner;
    return *(const uint64_t *)key == value / 10;
}

/* Few different hashes, so that probing and closing gaps meet long runs. */
static uint64_t weak_hash(uint64_t key)
{
    return key % 7 * 5;
}

static void check_whole(const struct map *map, const bool *there)
{
    size_t pos = 0, seen = 0, want = 0;
    uint64_t value;

    for (uint64_t key = 0; key < KEYS; key++) {
        const uint64_t *found = map_find(map, weak_hash(key), &key);

        assert_int_equal(there[key], found != NULL);
        if (found != NULL)
            assert_int_equal(key, *found / 10);
        want += there[key];
    }
    while (map_next(map, &pos, &value)) {
        assert_true(there[value / 10]);
        seen++;
    }
    assert_int_equal(want, seen);
    assert_int_equal(want, map->count);
}

static void test_map(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 30)
    {
        bool there[KEYS] = {false};
        struct map map;

        map_init(&map, key_eq, NULL);
        for (int step = 0; step < 600; step++) {
            const uint64_t key = gen_below(&gen, KEYS);
            uint64_t value = 0;

            if (!there[key] && gen_chance(&gen, 2)) {
                map_insert(&map, weak_hash(key), key * 10 + gen_below(&gen, 10));
                there[key] = true;
            } else {
                assert_int_equal(there[key], map_remove(&map, weak_hash(key), &key, &value));
                there[key] = false;
            }
            if (step % 50 == 0)
                check_whole(&map, there);
        }
        check_whole(&map, there);
        map_reset(&map);
        assert_null(map_find(&map, 0, NULL));
        map_fini(&map);
    }
}

struct item {
    int number;
    struct list_node node;
};

static void test_list(void **state)
{
    struct item items[5];
    struct list list;
    int sum = 0;

    (void)state;
    list_init(&list);
    assert_true(list_is_empty(&list));
    assert_null(list_pop_front(&list));
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        list_push_back(&list, &items[i].node);
    }
    LIST_EACH(&list, node)
    {
        struct item *item = CONTAINER_OF(node, struct item, node);

        if (item->number % 2 == 1)
            list_remove(node);
        else
            sum = sum * 10 + item->number;
    }
    assert_int_equal(sum, 24);
    assert_false(list_node_is_linked(&items[1].node));
    list_push_front(&list, &items[1].node);
    assert_ptr_equal(list_pop_front(&list), &items[1].node);
    assert_ptr_equal(list_first(&list), &items[0].node);
}

static void test_buf(void **state)
{
    struct buf buf;
    size_t len;
    char *data;

    (void)state;
    buf_init(&buf, 300);
    buf_add_cstr(&buf, "abc");
    buf_printf(&buf, "%d", 42);
    check_slice("abc42", buf_slice(&buf));
    for (int i = 0; i < 100; i++)
        buf_add_cstr(&buf, "123456789");
    assert_int_equal(buf.err, ERR_TOO_LARGE);
    assert_true(buf.len <= 300);
    buf_reset(&buf);
    assert_int_equal(buf.err, ERR_OK);
    buf_add_byte(&buf, 'x');
    data = buf_take(&buf, &len);
    assert_int_equal(len, 1);
    mem_free(data);
    buf_fini(&buf);
}

static void count_down(void *ptr)
{
    int *order = ptr;

    order[0] = order[0] * 10 + order[1];
}

static void test_arena(void **state)
{
    struct budget process, query;
    struct arena arena;
    int first[2] = {0, 1}, released[2] = {0, 1};
    char *text;

    (void)state;
    budget_init(&process, NULL, "process", 1 << 20);
    budget_init(&query, &process, "query", 100000);
    arena_init(&arena, &query, 0);
    text = arena_copy_cstr(&arena, SLICE("text"));
    text = arena_grow(&arena, text, 5, 50);
    assert_string_equal(text, "text");
    check_slice("7-x", arena_printf(&arena, "%d-%s", 7, "x"));
    check_err(ERR_OK, arena_on_reset(&arena, count_down, released));
    arena_release(&arena);
    arena_release(&arena);
    assert_int_equal(released[0], 1);
    assert_string_equal(text, "text");
    check_err(ERR_OK, arena_on_reset(&arena, count_down, first));
    assert_true(query.used_bytes > 0);
    assert_int_equal(query.used_bytes, process.used_bytes);
    assert_null(arena_alloc(&arena, 200000));
    assert_int_equal(arena.err, ERR_LIMIT);
    assert_null(arena_zalloc(&arena, SIZE_MAX, 2));
    assert_int_equal(query.refusals, 1);
    arena_reset(&arena);
    assert_int_equal(first[0], 1);
    assert_int_equal(arena.err, ERR_OK);
    arena_fini(&arena);
    assert_int_equal(query.used_bytes, 0);
    assert_int_equal(process.used_bytes, 0);
}

static void test_budget(void **state)
{
    struct budget process, query;
    struct err_info info = {{0}};

    (void)state;
    budget_init(&process, NULL, "process", 100);
    budget_init(&query, &process, "query", 0);
    check_err(ERR_OK, budget_take(&query, 60, &info));
    check_err(ERR_LIMIT, budget_take(&query, 60, &info));
    check_message("memory limit of the process exceeded: 60 bytes of 100 in use, 60 more needed",
                  &info);
    assert_int_equal(query.used_bytes, 60);
    budget_give(&query, 60);
    assert_int_equal(process.used_bytes, 0);
    assert_int_equal(process.peak_bytes, 60);
}

static void test_err_info(void **state)
{
    struct err_info info = {{0}};
    char large[400];

    (void)state;
    assert_string_equal(err_message(ERR_LIMIT, &info), "limit exceeded");
    check_err(ERR_LIMIT, err_set(&info, ERR_LIMIT, "first %d", 1));
    check_err(ERR_LIMIT, err_set(&info, ERR_LIMIT, "second"));
    err_prefix(&info, "file:%d", 3);
    assert_string_equal(err_message(ERR_LIMIT, &info), "file:3: first 1");
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    info = (struct err_info){{0}};
    check_err(ERR_IO, err_set(&info, ERR_IO, "%s", large));
    assert_string_equal(info.message + ERR_MESSAGE_SIZE - 4, "...");
    assert_int_equal(err_http_status(ERR_NO_SPACE), 503);
    assert_int_equal(err_from_errno(ENOSPC), ERR_NO_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),    cmocka_unit_test(test_list),
        cmocka_unit_test(test_buf),    cmocka_unit_test(test_arena),
        cmocka_unit_test(test_budget), cmocka_unit_test(test_err_info),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
