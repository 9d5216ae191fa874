/* SPDX-License-Identifier: Apache-2.0 */
#include "scraper/scraper.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/prometheus_config.h"
#include "model/tenant.h"
#include "scraper/scraper_internal.h"

/* ---- life ---- */

enum err scraper_new(const struct scraper_options *options, struct scraper **out,
                     struct err_info *info)
{
    struct scraper *scraper = mem_zalloc(1, sizeof(*scraper));

    (void)info;
    scraper->options = *options;
    if (gethostname(scraper->hostname, sizeof(scraper->hostname) - 1) != 0)
        scraper->hostname[0] = 0;
    scrape_metrics_init(&scraper->metrics, options->metrics);
    metric_register(options->metrics, discovery_metric_descs, discovery_metric_count,
                    &scraper->discovery_metrics);
    loop_set_init(&scraper->loops, options->env);
    pthread_mutex_init(&scraper->reload_lock, NULL);
    pthread_mutex_init(&scraper->lock, NULL);
    scraper->shared = (struct scrape_shared){
        .env = options->env,
        .reactors = options->reactors,
        .appender = options->appender,
        .hash_key = options->hash_key,
        .tenant = options->tenant.len != 0 ? options->tenant : SLICE(TENANT_DEFAULT),
        .log = log_make(options->log_sink, "scraper"),
        .refusals = &scraper->refusals,
        .metrics = &scraper->metrics,
        .user_agent = options->user_agent,
        .hostname = slice_from_cstr(scraper->hostname)};
    *out = scraper;
    return ERR_OK;
}

/* Takes the pools away from readers. */
static struct scrape_pool **take_pools(struct scraper *scraper, uint32_t *count)
{
    struct scrape_pool **pools;

    pthread_mutex_lock(&scraper->lock);
    pools = scraper->pools;
    *count = scraper->pool_count;
    scraper->pools = NULL;
    scraper->pool_count = 0;
    scraper->is_stopped = true;
    pthread_mutex_unlock(&scraper->lock);
    return pools;
}

static void stop_locked(struct scraper *scraper)
{
    struct scrape_pool **pools;
    uint32_t count;

    if (scraper->is_stopped)
        return;
    pools = take_pools(scraper, &count);
    for (uint32_t i = 0; i < count; i++)
        scrape_pool_stop(pools[i], SCRAPE_LOOP_NOW);
    loop_set_stop(&scraper->loops);
    for (uint32_t i = 0; i < count; i++)
        scrape_pool_free(pools[i]);
    mem_free(pools);
}

void scraper_stop(struct scraper *scraper)
{
    pthread_mutex_lock(&scraper->reload_lock);
    stop_locked(scraper);
    pthread_mutex_unlock(&scraper->reload_lock);
}

void scraper_free(struct scraper *scraper)
{
    if (scraper == NULL)
        return;
    scraper_stop(scraper);
    loop_set_fini(&scraper->loops);
    scrape_metrics_fini(&scraper->metrics, scraper->options.metrics);
    metric_unregister(scraper->options.metrics, discovery_metric_descs, discovery_metric_count,
                      &scraper->discovery_metrics);
    pthread_mutex_destroy(&scraper->lock);
    pthread_mutex_destroy(&scraper->reload_lock);
    mem_free(scraper);
}

/* ---- reload ---- */

/* What a reload does with one job: a pool to make, to reload, to keep. */
struct plan {
    struct scrape_pool *pool; /* NULL: a new one */
    struct scrape_job *job;   /* one reference; NULL: unchanged */
};

static bool is_unchanged(struct scrape_pool *pool, const struct prometheus_config *config,
                         const struct scrape_config *scrape)
{
    struct scrape_job *job = scrape_pool_job(pool);
    const bool is_equal =
        slice_eq(job->scrape->fingerprint, scrape->fingerprint) &&
        label_set_eq(job->config->global.external_labels, config->global.external_labels);

    scrape_job_unref(job);
    return is_equal;
}

static bool has_name(struct scrape_pool *pool, struct slice name)
{
    struct scrape_job *job = scrape_pool_job(pool);
    const bool is_equal = slice_eq(job->scrape->job_name, name);

    scrape_job_unref(job);
    return is_equal;
}

static struct scrape_pool *find_pool(const struct scraper *scraper, struct slice name)
{
    for (uint32_t i = 0; i < scraper->pool_count; i++)
        if (has_name(scraper->pools[i], name))
            return scraper->pools[i];
    return NULL;
}

/* Makes all that can fail, and changes nothing. */
static enum err make_plans(struct scraper *scraper, struct prometheus_config *config,
                           struct plan *plans, struct err_info *info)
{
    for (uint32_t i = 0; i < config->scrape_count; i++) {
        const struct scrape_config *scrape = &config->scrapes[i];
        enum err err;

        plans[i].pool = find_pool(scraper, scrape->job_name);
        if (plans[i].pool != NULL && is_unchanged(plans[i].pool, config, scrape))
            continue;
        err = scrape_job_new(&scraper->shared, config, scrape, &plans[i].job, info);
        if (err != ERR_OK) {
            metric_inc(&scraper->metrics.pools_failed);
            return err;
        }
    }
    return ERR_OK;
}

static void drop_plans(struct plan *plans, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        scrape_job_unref(plans[i].job);
    mem_free(plans);
}

static bool is_planned(const struct plan *plans, uint32_t count, const struct scrape_pool *pool)
{
    for (uint32_t i = 0; i < count; i++)
        if (plans[i].pool == pool)
            return true;
    return false;
}

static void carry_out(struct scraper *scraper, struct plan *plan)
{
    if (plan->pool != NULL) {
        if (plan->job != NULL)
            scrape_pool_reload(plan->pool, plan->job);
        return;
    }
    plan->pool = scrape_pool_new(
        &(struct scrape_pool_options){.job = plan->job,
                                      .loops = &scraper->loops,
                                      .discovery_metrics = &scraper->discovery_metrics});
    scrape_pool_start(plan->pool);
}

static int compare_pools(const void *a, const void *b)
{
    struct scrape_job *x = scrape_pool_job(*(struct scrape_pool *const *)a);
    struct scrape_job *y = scrape_pool_job(*(struct scrape_pool *const *)b);
    const int order = slice_cmp(x->scrape->job_name, y->scrape->job_name);

    scrape_job_unref(x);
    scrape_job_unref(y);
    return order;
}

/* The pools of the plans become the scraper's. */
static void publish(struct scraper *scraper, const struct plan *plans, uint32_t count)
{
    struct scrape_pool **pools = mem_alloc((count + 1) * sizeof(struct scrape_pool *));
    struct scrape_pool **old;

    for (uint32_t i = 0; i < count; i++)
        pools[i] = plans[i].pool;
    if (count > 1)
        qsort(pools, count, sizeof(*pools), compare_pools);
    pthread_mutex_lock(&scraper->lock);
    old = scraper->pools;
    scraper->pools = pools;
    scraper->pool_count = count;
    pthread_mutex_unlock(&scraper->lock);
    mem_free(old);
}

/* The pools that no plan has any more. */
static struct scrape_pool **find_gone(const struct scraper *scraper, const struct plan *plans,
                                      uint32_t count, uint32_t *gone_count)
{
    struct scrape_pool **gone = mem_alloc((scraper->pool_count + 1) * sizeof(struct scrape_pool *));

    *gone_count = 0;
    for (uint32_t i = 0; i < scraper->pool_count; i++)
        if (!is_planned(plans, count, scraper->pools[i]))
            gone[(*gone_count)++] = scraper->pools[i];
    return gone;
}

static void carry_out_all(struct scraper *scraper, struct plan *plans, uint32_t count)
{
    struct scrape_pool **gone;
    uint32_t gone_count;

    gone = find_gone(scraper, plans, count, &gone_count);
    for (uint32_t i = 0; i < count; i++)
        carry_out(scraper, &plans[i]);
    publish(scraper, plans, count);
    for (uint32_t i = 0; i < gone_count; i++) {
        scrape_pool_stop(gone[i], SCRAPE_LOOP_LEAVE);
        scrape_pool_free(gone[i]);
    }
    mem_free(gone);
}

enum err scraper_reload(struct scraper *scraper, struct prometheus_config *config,
                        struct err_info *info)
{
    struct plan *plans = mem_zalloc(config->scrape_count + 1, sizeof(*plans));
    enum err err;

    pthread_mutex_lock(&scraper->reload_lock);
    err = scraper->is_stopped ? err_set(info, ERR_CLOSED, "the scraper has stopped")
                              : make_plans(scraper, config, plans, info);
    if (err == ERR_OK)
        carry_out_all(scraper, plans, config->scrape_count);
    pthread_mutex_unlock(&scraper->reload_lock);
    drop_plans(plans, config->scrape_count);
    return err;
}
