/* SPDX-License-Identifier: Apache-2.0 */
#include "scraper/scrape_pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "scraper/scrape_metrics.h"

/* One discovery section and what it found last. */
struct source {
    struct scrape_pool *pool;
    struct discovery *discovery;  /* owned; NULL: the kind is not served */
    struct target_group **groups; /* owned, one reference each */
    uint32_t group_count;
    bool is_ready; /* has told once */
};

struct active {
    struct scrape_loop *loop;     /* one reference */
    struct target *target;        /* one reference: what the loop was given last */
    const struct scrape_job *job; /* likewise; held by the loop */
    bool is_matched;              /* by the sync under way */
};

struct target_list {
    struct target **items; /* owned, one reference each */
    uint32_t count, cap;
};

struct scrape_pool {
    const struct scrape_shared *shared;
    struct loop_set *loops;
    struct discovery_metrics *discovery_metrics;
    struct metric_gauge *target_gauge, *discovered_gauge;
    struct source *sources; /* owned; changed while no discovery runs, under the lock */
    uint32_t source_count;

    pthread_mutex_t lock; /* guards what follows, and the sources' groups */
    struct scrape_job *job;
    struct active *active; /* owned */
    uint32_t active_count;
    struct target_list dropped;
    uint64_t dropped_count;
    bool is_stopped;
};

/* ---- lists ---- */

static void list_add(struct target_list *list, struct target *target)
{
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 16 : list->cap * 2;
        list->items = mem_realloc(list->items, list->cap * sizeof(struct target *));
    }
    list->items[list->count++] = target;
}

static void list_clear(struct target_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        target_unref(list->items[i]);
    mem_free(list->items);
    *list = (struct target_list){0};
}

/* ---- from groups to targets ---- */

/* One pass over all groups. */
struct gathering {
    struct scrape_pool *pool;
    struct target_list kept;
    struct map seen; /* identities of the kept ones */
};

static void keep_dropped(struct scrape_pool *pool, struct target *target)
{
    const uint64_t limit = pool->job->scrape->limits.keep_dropped_targets;

    pool->dropped_count++;
    if (limit == 0 || pool->dropped.count < limit)
        list_add(&pool->dropped, target);
    else
        target_unref(target);
}

static void gather_one(struct gathering *gathering, const struct target_group *group, uint32_t i)
{
    struct scrape_pool *pool = gathering->pool;
    const struct target_source source = {
        .scrape = pool->job->scrape, .own = group->targets[i], .group = group->labels};
    struct target *target;
    struct err_info info = {0};
    const enum err err = target_new(&source, &target, &info);

    if (err != ERR_OK) {
        metric_inc(&pool->shared->metrics->sync_failures);
        log_error(&pool->shared->log, "Creating target failed",
                  F_SLICE("scrape_pool", pool->job->scrape->job_name),
                  F_SLICE("group", group->source), F_UINT("instance", i), F_ERR(err, &info));
    } else if (target->is_dropped) {
        keep_dropped(pool, target);
    } else if (map_find(&gathering->seen, target->identity, NULL) != NULL) {
        target_unref(target);
    } else {
        map_insert(&gathering->seen, target->identity, 1);
        list_add(&gathering->kept, target);
    }
}

static void gather(struct gathering *gathering)
{
    struct scrape_pool *pool = gathering->pool;
    uint64_t discovered = 0;

    map_init(&gathering->seen, NULL, NULL);
    list_clear(&pool->dropped);
    pool->dropped_count = 0;
    for (uint32_t i = 0; i < pool->source_count; i++)
        for (uint32_t j = 0; j < pool->sources[i].group_count; j++) {
            const struct target_group *group = pool->sources[i].groups[j];

            discovered += group->target_count;
            for (uint32_t k = 0; k < group->target_count; k++)
                gather_one(gathering, group, k);
        }
    map_fini(&gathering->seen);
    metric_gauge_set(pool->discovered_gauge, (double)discovered);
}

/* ---- from targets to loops ---- */

enum match { MATCH_IDENTITY, MATCH_KEY };

static uint64_t match_hash(const struct target *target, enum match match)
{
    return match == MATCH_IDENTITY ? target->identity : target->key;
}

/* Gives targets that are not placed yet (not NULL in `targets`) the loops that match and are free.
 */
static void match_loops(struct scrape_pool *pool, struct target_list *targets, enum match match,
                        struct active *placed)
{
    struct map loops;

    map_init(&loops, NULL, NULL);
    for (uint32_t i = 0; i < pool->active_count; i++) {
        const uint64_t hash = match_hash(pool->active[i].target, match);

        if (!pool->active[i].is_matched && map_find(&loops, hash, NULL) == NULL)
            map_insert(&loops, hash, i);
    }
    for (uint32_t i = 0; i < targets->count; i++) {
        const uint64_t *index = placed[i].loop != NULL
                                    ? NULL
                                    : map_find(&loops, match_hash(targets->items[i], match), NULL);
        struct active *old = index == NULL ? NULL : &pool->active[*index];

        if (old == NULL || old->is_matched || old->target->key != targets->items[i]->key)
            continue;
        old->is_matched = true;
        placed[i] = *old;
    }
    map_fini(&loops);
}

/* Hands a kept loop its target and section if one of them changed. */
static void renew(struct scrape_pool *pool, struct active *active, struct target *target)
{
    if (active->job != pool->job || active->target->identity != target->identity ||
        !label_set_eq(active->target->discovered, target->discovered))
        scrape_loop_update(active->loop, pool->job, target);
    target_unref(active->target);
    active->target = target;
    active->job = pool->job;
}

static void launch(struct scrape_pool *pool, struct active *active, struct target *target)
{
    active->loop = scrape_loop_new(&(struct scrape_loop_options){
        .job = pool->job, .target = target, .done = loop_set_on_done, .owner = pool->loops});
    active->target = target;
    active->job = pool->job;
    loop_set_add(pool->loops, active->loop);
    scrape_loop_start(active->loop);
}

static void end_unmatched(struct scrape_pool *pool)
{
    for (uint32_t i = 0; i < pool->active_count; i++) {
        if (pool->active[i].is_matched)
            continue;
        scrape_loop_stop(pool->active[i].loop, SCRAPE_LOOP_LEAVE);
        scrape_loop_unref(pool->active[i].loop);
        target_unref(pool->active[i].target);
    }
    mem_free(pool->active);
}

static void apply_target_limit(struct scrape_pool *pool)
{
    const uint64_t limit = pool->job->scrape->limits.targets;
    char error[128] = "";

    if (limit != 0 && pool->active_count > limit) {
        metric_inc(&pool->shared->metrics->exceeded_target_limit);
        snprintf(error, sizeof(error), "target_limit exceeded (number of targets: %u, limit: %llu)",
                 pool->active_count, (unsigned long long)limit);
    }
    for (uint32_t i = 0; i < pool->active_count; i++)
        scrape_loop_force_error(pool->active[i].loop, error);
}

/* Under the lock. */
static void sync(struct scrape_pool *pool)
{
    const uint64_t start_ns = env_mono_ns(pool->shared->env);
    struct gathering gathering = {.pool = pool};
    struct active *placed;

    gather(&gathering);
    placed = mem_zalloc(gathering.kept.count + 1, sizeof(*placed));
    for (uint32_t i = 0; i < pool->active_count; i++)
        pool->active[i].is_matched = false;
    match_loops(pool, &gathering.kept, MATCH_IDENTITY, placed);
    match_loops(pool, &gathering.kept, MATCH_KEY, placed);
    for (uint32_t i = 0; i < gathering.kept.count; i++) {
        if (placed[i].loop != NULL)
            renew(pool, &placed[i], gathering.kept.items[i]);
        else
            launch(pool, &placed[i], gathering.kept.items[i]);
    }
    end_unmatched(pool);
    pool->active = placed;
    pool->active_count = gathering.kept.count;
    mem_free(gathering.kept.items);
    apply_target_limit(pool);
    metric_gauge_set(pool->target_gauge, (double)pool->active_count);
    metric_inc(&pool->shared->metrics->pool_syncs);
    metric_observe(&pool->shared->metrics->sync_seconds,
                   (double)(env_mono_ns(pool->shared->env) - start_ns) / 1e9);
}

/* ---- discovery ---- */

static bool all_ready(const struct scrape_pool *pool)
{
    for (uint32_t i = 0; i < pool->source_count; i++)
        if (!pool->sources[i].is_ready)
            return false;
    return true;
}

static void forget_groups(struct source *source)
{
    for (uint32_t i = 0; i < source->group_count; i++)
        target_group_unref(source->groups[i]);
    mem_free(source->groups);
    source->groups = NULL;
    source->group_count = 0;
}

static void on_update(void *owner, struct target_group *const *groups, uint32_t count)
{
    struct source *source = owner;
    struct scrape_pool *pool = source->pool;

    pthread_mutex_lock(&pool->lock);
    forget_groups(source);
    source->groups = mem_alloc((count + 1) * sizeof(struct target_group *));
    for (uint32_t i = 0; i < count; i++)
        source->groups[i] = target_group_ref(groups[i]);
    source->group_count = count;
    source->is_ready = true;
    /* Until all have told, targets of those that have not are not known to be gone. */
    if (all_ready(pool) && !pool->is_stopped)
        sync(pool);
    pthread_mutex_unlock(&pool->lock);
}

static void make_source(struct scrape_pool *pool, struct source *source,
                        const struct discovery_config *config)
{
    const struct discovery_options options = {.env = pool->shared->env,
                                              .log = &pool->shared->log,
                                              .config = config,
                                              .metrics = pool->discovery_metrics,
                                              .update = on_update,
                                              .owner = source};
    struct err_info info = {0};
    const enum err err = discovery_new(&options, &source->discovery, &info);

    source->pool = pool;
    if (err == ERR_OK)
        return;
    source->discovery = NULL;
    source->is_ready = true;
    metric_gauge_add(&pool->discovery_metrics->failed_configs, 1);
    log_warn(&pool->shared->log, "discovery is not served",
             F_SLICE("scrape_pool", pool->job->scrape->job_name), F_ERR(err, &info));
}

static void start_sources(struct scrape_pool *pool)
{
    const struct scrape_config *scrape = pool->job->scrape;
    struct source *sources = mem_zalloc(scrape->discovery_count + 1, sizeof(*sources));
    bool has_any = false;

    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < scrape->discovery_count; i++)
        make_source(pool, &sources[i], &scrape->discovery[i]);
    pool->sources = sources;
    pool->source_count = scrape->discovery_count;
    for (uint32_t i = 0; i < pool->source_count; i++)
        has_any = has_any || sources[i].discovery != NULL;
    if (!has_any)
        sync(pool);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->source_count; i++)
        if (sources[i].discovery != NULL)
            discovery_start(sources[i].discovery);
}

static void stop_sources(struct scrape_pool *pool)
{
    for (uint32_t i = 0; i < pool->source_count; i++)
        if (pool->sources[i].discovery != NULL)
            discovery_stop(pool->sources[i].discovery);
        else
            metric_gauge_add(&pool->discovery_metrics->failed_configs, -1);
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->source_count; i++) {
        discovery_free(pool->sources[i].discovery);
        forget_groups(&pool->sources[i]);
    }
    mem_free(pool->sources);
    pool->sources = NULL;
    pool->source_count = 0;
    pthread_mutex_unlock(&pool->lock);
}

/* ---- from outside ---- */

struct scrape_pool *scrape_pool_new(const struct scrape_pool_options *options)
{
    struct scrape_pool *pool = mem_zalloc(1, sizeof(*pool));
    struct scrape_metrics *metrics = options->job->shared->metrics;
    const struct slice name = options->job->scrape->job_name;

    pool->shared = options->job->shared;
    pool->loops = options->loops;
    pool->discovery_metrics = options->discovery_metrics;
    pool->job = scrape_job_ref(options->job);
    pool->target_gauge = metric_family_gauge(metrics->pool_targets, &name);
    pool->discovered_gauge = metric_family_gauge(metrics->discovered, &name);
    pthread_mutex_init(&pool->lock, NULL);
    metric_inc(&metrics->pools);
    return pool;
}

void scrape_pool_start(struct scrape_pool *pool)
{
    start_sources(pool);
}

void scrape_pool_reload(struct scrape_pool *pool, struct scrape_job *job)
{
    struct scrape_job *old;

    stop_sources(pool);
    pthread_mutex_lock(&pool->lock);
    old = pool->job;
    pool->job = scrape_job_ref(job);
    pthread_mutex_unlock(&pool->lock);
    scrape_job_unref(old);
    start_sources(pool);
}

void scrape_pool_stop(struct scrape_pool *pool, enum scrape_loop_stop how)
{
    stop_sources(pool);
    pthread_mutex_lock(&pool->lock);
    pool->is_stopped = true;
    for (uint32_t i = 0; i < pool->active_count; i++) {
        scrape_loop_stop(pool->active[i].loop, how);
        scrape_loop_unref(pool->active[i].loop);
        target_unref(pool->active[i].target);
    }
    mem_free(pool->active);
    pool->active = NULL;
    pool->active_count = 0;
    pthread_mutex_unlock(&pool->lock);
}

void scrape_pool_free(struct scrape_pool *pool)
{
    struct scrape_metrics *metrics;
    struct slice name;

    if (pool == NULL)
        return;
    metrics = pool->shared->metrics;
    name = pool->job->scrape->job_name;
    metric_family_remove(metrics->pool_targets, &name);
    metric_family_remove(metrics->discovered, &name);
    list_clear(&pool->dropped);
    scrape_job_unref(pool->job);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool);
}

struct scrape_job *scrape_pool_job(struct scrape_pool *pool)
{
    struct scrape_job *job;

    pthread_mutex_lock(&pool->lock);
    job = scrape_job_ref(pool->job);
    pthread_mutex_unlock(&pool->lock);
    return job;
}

/* ---- looking ---- */

struct look {
    struct target *target; /* one reference */
    struct scrape_status status;
};

static int compare_looks(const void *a, const void *b)
{
    const struct look *x = a, *y = b;

    return slice_cmp(x->target->url, y->target->url);
}

void scrape_pool_visit_active(struct scrape_pool *pool, const struct scrape_pool_visitor *visitor)
{
    struct look *looks;
    uint32_t count;

    pthread_mutex_lock(&pool->lock);
    count = pool->active_count;
    looks = mem_zalloc(count + 1, sizeof(*looks));
    for (uint32_t i = 0; i < count; i++)
        looks[i].target = scrape_loop_look(pool->active[i].loop, &looks[i].status);
    pthread_mutex_unlock(&pool->lock);
    if (count > 1)
        qsort(looks, count, sizeof(*looks), compare_looks);
    for (uint32_t i = 0; i < count; i++) {
        visitor->visit(visitor->owner, looks[i].target, &looks[i].status);
        target_unref(looks[i].target);
    }
    mem_free(looks);
}

void scrape_pool_visit_dropped(struct scrape_pool *pool, const struct scrape_pool_visitor *visitor)
{
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->dropped.count; i++)
        visitor->visit(visitor->owner, pool->dropped.items[i], NULL);
    pthread_mutex_unlock(&pool->lock);
}

uint64_t scrape_pool_dropped_count(struct scrape_pool *pool)
{
    uint64_t count;

    pthread_mutex_lock(&pool->lock);
    count = pool->dropped_count;
    pthread_mutex_unlock(&pool->lock);
    return count;
}
