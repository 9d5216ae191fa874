/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/chunk_pool.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"

enum {
    PAGE_SIZE = 64 << 10, /* also its alignment: a block finds its page by masking */
    PAGES_PER_REGION = MEM_HUGE_SIZE / PAGE_SIZE,
    REGION_SIZE = PAGE_SIZE * PAGES_PER_REGION,
    CLASS_COUNT = CHUNK_POOL_SIZE_MAX / CHUNK_POOL_UNIT,
    REGIONS_SPARE = 2, /* empty regions kept, so that a steady pool asks the heap for nothing */
};

struct free_block {
    struct free_block *next;
};

struct region;

/* At the start of each page. */
struct page {
    struct list_node node; /* in the class's list while it has room, else in none */
    struct region *region;
    struct free_block *free; /* blocks given back */
    uint32_t block_size;     /* 0: the page is free */
    uint32_t used_count;
    uint32_t fresh_offset; /* blocks from here on were never given out */
};

struct region {
    struct list_node node; /* in pool->regions while a page is free, else in none */
    struct page *pages;    /* owned: REGION_SIZE bytes */
    uint32_t free_count;
    struct region *next, *prev; /* of all */
};

struct chunk_pool {
    pthread_mutex_t lock;
    struct list classes[CLASS_COUNT]; /* pages with room */
    struct list regions;              /* with a free page */
    struct region *first;
    uint32_t empty_count; /* regions without a used page */
    uint64_t size_bytes, used_bytes;
};

enum { PAGE_HEADER_SIZE = 64 };

STATIC_ASSERT(sizeof(struct page) <= PAGE_HEADER_SIZE, "blocks start behind the header");

static struct page *region_page(struct region *region, unsigned i)
{
    return (struct page *)(void *)((char *)region->pages + (size_t)i * PAGE_SIZE);
}

struct chunk_pool *chunk_pool_new(void)
{
    struct chunk_pool *pool = mem_zalloc(1, sizeof(*pool));

    pthread_mutex_init(&pool->lock, NULL);
    for (unsigned i = 0; i < CLASS_COUNT; i++)
        list_init(&pool->classes[i]);
    list_init(&pool->regions);
    return pool;
}

static void region_free(struct chunk_pool *pool, struct region *region)
{
    if (region->prev != NULL)
        region->prev->next = region->next;
    else
        pool->first = region->next;
    if (region->next != NULL)
        region->next->prev = region->prev;
    pool->size_bytes -= REGION_SIZE;
    mem_free(region->pages);
    mem_free(region);
}

void chunk_pool_free(struct chunk_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->first != NULL)
        region_free(pool, pool->first);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool);
}

static struct region *region_new(struct chunk_pool *pool)
{
    struct region *region = mem_zalloc(1, sizeof(*region));

    region->pages = mem_alloc_huge(1);
    region->free_count = PAGES_PER_REGION;
    for (unsigned i = 0; i < PAGES_PER_REGION; i++)
        *region_page(region, i) = (struct page){.region = region};
    region->next = pool->first;
    if (pool->first != NULL)
        pool->first->prev = region;
    pool->first = region;
    list_push_back(&pool->regions, &region->node);
    pool->empty_count++;
    pool->size_bytes += REGION_SIZE;
    return region;
}

/* A free page, made one of a class. */
static struct page *page_take(struct chunk_pool *pool, uint32_t block_size)
{
    struct list_node *node = list_first(&pool->regions);
    struct region *region =
        node != NULL ? CONTAINER_OF(node, struct region, node) : region_new(pool);
    struct page *page = NULL;

    for (unsigned i = 0; page == NULL; i++) {
        ASSERT(i < PAGES_PER_REGION);
        if (region_page(region, i)->block_size == 0)
            page = region_page(region, i);
    }
    if (region->free_count == PAGES_PER_REGION)
        pool->empty_count--;
    if (--region->free_count == 0)
        list_remove(&region->node);
    *page =
        (struct page){.region = region, .block_size = block_size, .fresh_offset = PAGE_HEADER_SIZE};
    return page;
}

static void page_give_back(struct chunk_pool *pool, struct page *page)
{
    struct region *region = page->region;

    list_remove(&page->node);
    page->block_size = 0;
    if (region->free_count++ == 0)
        list_push_front(&pool->regions, &region->node);
    if (region->free_count < PAGES_PER_REGION)
        return;
    list_remove(&region->node);
    if (pool->empty_count >= REGIONS_SPARE) {
        region_free(pool, region);
        return;
    }
    pool->empty_count++;
    list_push_back(&pool->regions, &region->node); /* the fuller ones first */
}

void *chunk_pool_get(struct chunk_pool *pool, size_t size)
{
    const uint32_t block_size = (uint32_t)chunk_pool_round(size);
    struct list *pages;
    struct page *page;
    void *block;

    ASSERT(size > 0);
    ASSERT(size <= CHUNK_POOL_SIZE_MAX);
    pages = &pool->classes[block_size / CHUNK_POOL_UNIT - 1];
    pthread_mutex_lock(&pool->lock);
    if (list_is_empty(pages)) {
        page = page_take(pool, block_size);
        list_push_front(pages, &page->node);
    } else {
        page = CONTAINER_OF(list_first(pages), struct page, node);
    }
    if (page->free != NULL) {
        block = page->free;
        page->free = page->free->next;
    } else {
        block = (char *)page + page->fresh_offset;
        page->fresh_offset += block_size;
    }
    page->used_count++;
    if (page->free == NULL && page->fresh_offset + block_size > PAGE_SIZE)
        list_remove(&page->node);
    pool->used_bytes += block_size;
    pthread_mutex_unlock(&pool->lock);
    return block;
}

void chunk_pool_put(struct chunk_pool *pool, void *block, size_t size)
{
    struct page *page = (struct page *)((uintptr_t)block & ~(uintptr_t)(PAGE_SIZE - 1));
    struct free_block *free_block = block;

    if (block == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    ASSERT(page->block_size == chunk_pool_round(size));
    ASSERT(page->used_count > 0);
    free_block->next = page->free;
    page->free = free_block;
    pool->used_bytes -= page->block_size;
    if (!list_node_is_linked(&page->node))
        list_push_back(&pool->classes[page->block_size / CHUNK_POOL_UNIT - 1], &page->node);
    if (--page->used_count == 0)
        page_give_back(pool, page);
    pthread_mutex_unlock(&pool->lock);
}

void chunk_pool_get_stats(struct chunk_pool *pool, struct chunk_pool_stats *stats)
{
    pthread_mutex_lock(&pool->lock);
    *stats = (struct chunk_pool_stats){pool->size_bytes, pool->used_bytes};
    pthread_mutex_unlock(&pool->lock);
}
