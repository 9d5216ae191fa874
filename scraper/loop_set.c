/* SPDX-License-Identifier: Apache-2.0 */
#include "scraper/loop_set.h"

#include "base/mem.h"

static uint64_t hash_of(const struct scrape_loop *loop)
{
    return map_of_ptr(loop) * UINT64_C(0x9e3779b97f4a7c15);
}

void loop_set_init(struct loop_set *set, struct env *env)
{
    *set = (struct loop_set){.env = env};
    map_init(&set->loops, NULL, NULL);
    pthread_mutex_init(&set->lock, NULL);
}

void loop_set_fini(struct loop_set *set)
{
    ASSERT(set->loops.count == 0);
    map_fini(&set->loops);
    pthread_mutex_destroy(&set->lock);
}

void loop_set_add(struct loop_set *set, struct scrape_loop *loop)
{
    scrape_loop_ref(loop);
    pthread_mutex_lock(&set->lock);
    ASSERT(!set->is_stopping);
    map_insert(&set->loops, hash_of(loop), map_of_ptr(loop));
    pthread_mutex_unlock(&set->lock);
}

void loop_set_on_done(void *owner, struct scrape_loop *loop)
{
    struct loop_set *set = owner;
    struct env *env = set->env;
    bool is_last;

    pthread_mutex_lock(&set->lock);
    (void)map_remove(&set->loops, hash_of(loop), loop, NULL);
    is_last = set->is_stopping && set->loops.count == 0;
    pthread_mutex_unlock(&set->lock);
    scrape_loop_unref(loop);
    if (is_last)
        env_complete(env, &set->empty, ERR_OK); /* the set may go here */
}

/* A reference of each loop there is, and no more are to come. */
static struct scrape_loop **take_all(struct loop_set *set, size_t *count)
{
    struct scrape_loop **loops;
    uint64_t value;
    size_t pos = 0;

    *count = 0;
    pthread_mutex_lock(&set->lock);
    set->is_stopping = true;
    loops = mem_alloc((set->loops.count + 1) * sizeof(struct scrape_loop *));
    while (map_next(&set->loops, &pos, &value))
        loops[(*count)++] = scrape_loop_ref(map_to_ptr(value));
    pthread_mutex_unlock(&set->lock);
    return loops;
}

void loop_set_stop(struct loop_set *set)
{
    size_t count;
    struct scrape_loop **loops = take_all(set, &count);

    for (size_t i = 0; i < count; i++) {
        scrape_loop_stop(loops[i], SCRAPE_LOOP_NOW);
        scrape_loop_unref(loops[i]);
    }
    mem_free(loops);
    if (count != 0)
        (void)!env_wait(set->env, &set->empty, 0);
}
