/* SPDX-License-Identifier: Apache-2.0 */
/* YAML: no crash, no leak, no growth; and a walk over the tree meets no more nodes than allowed. */
#include "base/arena.h"
#include "base/assert.h"
#include "base/yaml.h"

enum { NODE_MAX = 2000 };

static uint32_t walk(const struct yaml_node *node)
{
    uint32_t count = 1;

    ASSERT(node->line >= 1);
    if (node->kind == YAML_LIST) {
        for (uint32_t i = 0; i < node->count; i++)
            count += walk(node->items[i]);
    } else if (node->kind == YAML_MAP) {
        for (uint32_t i = 0; i < node->count; i++) {
            ASSERT(node->entries[i].key.data != NULL);
            count += walk(node->entries[i].value);
        }
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct yaml_options options = {.file = "f", .size_max = 1 << 16, .node_max = NODE_MAX};
    struct arena arena;
    struct err_info info = {{0}};
    struct yaml_node *root;

    arena_init(&arena, NULL, 8 << 20);
    if (yaml_parse(&arena, slice_of(data, size), &options, &root, &info) == ERR_OK)
        /* Merged entries share nodes that the count has seen once. */
        ASSERT(walk(root) <= NODE_MAX * 4096u);
    else
        ASSERT(info.message[0] != '\0');
    arena_fini(&arena);
    return 0;
}
