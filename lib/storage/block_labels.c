/* SPDX-License-Identifier: Apache-2.0 */

/* Label names, label values and estimates of a block. Times count as a block: what is in a block
 * that overlaps the range is said to be there. */

#include <stdlib.h>

#include "base/mem.h"
#include "storage/block_internal.h"

/* ---- names ---- */

static enum err names_of_all(struct block_tenant *tenant, source_text_fn *fn, void *owner)
{
    struct block_name_iter iter = block_name_iter_start(tenant);
    struct slice name;
    uint64_t value_count;

    while (block_name_iter_next(&iter, &name, &value_count)) {
        const enum err err = fn(owner, name);

        if (err != ERR_OK)
            return err;
    }
    return iter.is_bad ? ERR_CORRUPT : ERR_OK;
}

struct name_seen {
    struct slice name;
    bool seen;
};

static int name_order(const void *key, const void *item)
{
    return slice_cmp(*(const struct slice *)key, ((const struct name_seen *)item)->name);
}

/* Marks the names of each series of ids, until all are marked. */
static enum err mark_names(struct block_tenant *tenant, struct postings *ids,
                           struct name_seen *names, uint32_t name_count)
{
    struct arena scratch;
    const uint32_t *list;
    uint32_t id_count;
    uint32_t left = name_count;
    enum err err = postings_ids(ids, tenant->ctx->arena, &list, &id_count);

    arena_init(&scratch, tenant->ctx->budget, 0);
    for (uint32_t i = 0; i < id_count && err == ERR_OK && left > 0; i++) {
        struct block_series series;
        struct slice value;

        err = source_ctx_check(tenant->ctx);
        if (err == ERR_OK)
            err = block_read_series(tenant, list[i], &value, NULL);
        if (err == ERR_OK)
            err = block_parse_series(value, &scratch, &series);
        for (uint32_t j = 0; err == ERR_OK && j < series.labels.count; j++) {
            struct name_seen *name = bsearch(&series.labels.items[j].name, names, name_count,
                                             sizeof(*names), name_order);

            if (name == NULL) {
                err = ERR_CORRUPT;
            } else if (!name->seen) {
                name->seen = true;
                left--;
            }
        }
        arena_reset(&scratch);
    }
    arena_fini(&scratch);
    return err;
}

enum err block_label_names(struct block *block, const struct source_query *query,
                           source_text_fn *fn, void *owner)
{
    struct source_ctx *ctx = query->ctx;
    struct block_tenant *tenant;
    struct postings *ids;

    if (!block_overlaps(block, query->t_min_ms, query->t_max_ms))
        return ERR_OK;
    enum err err = block_tenant_open(block, ctx, &tenant, NULL);
    if (err != ERR_OK || tenant->series_count == 0)
        return err;
    if (query->matchers.count == 0)
        return names_of_all(tenant, fn, owner);
    err = block_match(tenant, query->matchers, &ids, NULL);
    if (err != ERR_OK)
        return err;
    struct name_seen *names = ARENA_ARRAY(ctx->arena, struct name_seen, tenant->name_count);
    if (names == NULL)
        return ERR_LIMIT;
    struct block_name_iter iter = block_name_iter_start(tenant);
    uint64_t value_count;
    for (uint32_t i = 0; block_name_iter_next(&iter, &names[i].name, &value_count);)
        i++;
    if (iter.is_bad)
        return ERR_CORRUPT;
    err = mark_names(tenant, ids, names, tenant->name_count);
    for (uint32_t i = 0; i < tenant->name_count && err == ERR_OK; i++)
        if (names[i].seen)
            err = fn(owner, names[i].name);
    return err;
}

/* ---- values ---- */

struct value_walk {
    struct block_tenant *tenant;
    const struct postings *ids; /* NULL: all */
    source_text_fn *fn;
    void *owner;
};

static enum err walk_value(void *owner, struct slice value, struct slice bytes)
{
    struct value_walk *walk = owner;
    struct postings *found;
    enum err err;

    if (walk->ids == NULL)
        return walk->fn(walk->owner, value);
    err = block_decode_postings(walk->tenant, bytes, &found, NULL);
    if (err != ERR_OK)
        return err;
    postings_and(found, walk->ids);
    const bool is_there = postings_count(found) > 0;
    postings_free(found);
    return is_there ? walk->fn(walk->owner, value) : ERR_OK;
}

enum err block_label_values(struct block *block, const struct source_query *query,
                            source_text_fn *fn, void *owner)
{
    struct value_walk walk = {.fn = fn, .owner = owner};
    struct postings *ids;

    if (!block_overlaps(block, query->t_min_ms, query->t_max_ms))
        return ERR_OK;
    enum err err = block_tenant_open(block, query->ctx, &walk.tenant, NULL);
    if (err != ERR_OK || walk.tenant->series_count == 0)
        return err;
    if (query->matchers.count > 0) {
        err = block_match(walk.tenant, query->matchers, &ids, NULL);
        if (err != ERR_OK)
            return err;
        walk.ids = ids;
    }
    return block_walk_values(walk.tenant, query->name, SLICE(""), walk_value, &walk, NULL);
}

/* ---- estimate ---- */

static uint64_t posting_count(struct block_tenant *tenant, struct slice name, struct slice value)
{
    block_key_postings(&tenant->key, tenant->tenant, name, value);
    if (tenant->key.err != ERR_OK || !sst_iter_seek(tenant->index, buf_slice(&tenant->key)) ||
        !slice_eq(sst_iter_key(tenant->index), buf_slice(&tenant->key)))
        return 0;
    return postings_peek_count(sst_iter_value(tenant->index));
}

/* How many series can meet a matcher at most. */
static uint64_t matcher_bound(struct block_tenant *tenant, const struct matcher *matcher)
{
    uint64_t sum = 0;

    if (matcher_matches_empty(matcher))
        return tenant->series_count;
    if (matcher->type == MATCHER_EQUAL)
        return posting_count(tenant, matcher->name, matcher->value);
    if (matcher->type != MATCHER_REGEX || matcher->set_count == 0)
        return tenant->series_count;
    for (uint32_t i = 0; i < matcher->set_count; i++)
        sum += posting_count(tenant, matcher->name, matcher->set[i]);
    return sum < tenant->series_count ? sum : tenant->series_count;
}

/* Samples of a series: of the metric that is asked for, if it is among the largest, else on average
 * of all. */
static double samples_per_series(struct block_tenant *tenant, struct matcher_list matchers)
{
    const double average = (double)tenant->sample_count / (double)tenant->series_count;
    struct block_stats stats;

    for (uint32_t i = 0; i < matchers.count; i++) {
        const struct matcher *matcher = &matchers.items[i];

        if (matcher->type != MATCHER_EQUAL || !slice_eq_cstr(matcher->name, "__name__"))
            continue;
        if (block_tenant_stats(tenant, &stats, NULL) != ERR_OK)
            return average;
        for (uint32_t j = 0; j < stats.metric_count; j++)
            if (slice_eq(stats.metrics[j].value, matcher->value) &&
                stats.metrics[j].series_count > 0)
                return (double)stats.metrics[j].sample_count /
                       (double)stats.metrics[j].series_count;
    }
    return average;
}

enum err block_estimate(struct block *block, const struct source_query *query,
                        struct source_estimate *estimate)
{
    struct block_tenant *tenant;

    *estimate = (struct source_estimate){0};
    if (!block_overlaps(block, query->t_min_ms, query->t_max_ms) ||
        block_tenant_open(block, query->ctx, &tenant, NULL) != ERR_OK || tenant->series_count == 0)
        return ERR_OK;
    /* The matcher that fewest series meet bounds them; time is taken as evenly filled. */
    uint64_t series = tenant->series_count;
    for (uint32_t i = 0; i < query->matchers.count; i++) {
        const uint64_t bound = matcher_bound(tenant, &query->matchers.items[i]);

        series = bound < series ? bound : series;
    }
    const struct block_meta *meta = &block->meta;
    const int64_t from = query->t_min_ms > meta->t_min_ms ? query->t_min_ms : meta->t_min_ms;
    const int64_t to = query->t_max_ms < meta->t_max_ms ? query->t_max_ms : meta->t_max_ms;
    const double span =
        ((double)to - (double)from + 1) / ((double)meta->t_max_ms - (double)meta->t_min_ms + 1);
    const double samples = samples_per_series(tenant, query->matchers) * (double)series * span;
    estimate->series = series;
    estimate->samples = (uint64_t)samples;
    if (tenant->sample_count > 0)
        estimate->bytes =
            (uint64_t)(samples * (double)tenant->chunk_bytes / (double)tenant->sample_count);
    return ERR_OK;
}
