/* SPDX-License-Identifier: Apache-2.0 */
/* Moves what an answer needs out of the hands of the source. Labels point into the head's interned
 * texts, histograms into the columns of a cursor; both end with what the reads have pinned. */
#include "querier/querier_internal.h"

static enum err no_room(struct query_scope *scope)
{
    return err_set(&scope->info, ERR_LIMIT, "memory limit of the query exceeded");
}

enum err query_scope_keep_labels(struct query_scope *scope, struct label_set *sets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct label_set copy = label_set_copy(&scope->arena, sets[i]);

        if (copy.count != sets[i].count)
            return no_room(scope);
        sets[i] = copy;
    }
    arena_release(&scope->arena);
    return ERR_OK;
}

static bool has_histograms(const struct query_series *series)
{
    for (uint32_t i = 0; i < series->point_count; i++)
        if (series->points[i].histogram != NULL)
            return true;
    return false;
}

static enum err keep_points(struct query_scope *scope, struct query_series *series)
{
    struct query_point *points;

    if (!has_histograms(series))
        return ERR_OK;
    points = ARENA_ARRAY(&scope->arena, struct query_point, series->point_count);
    if (points == NULL)
        return no_room(scope);
    for (uint32_t i = 0; i < series->point_count; i++) {
        points[i] = series->points[i];
        if (points[i].histogram == NULL)
            continue;
        points[i].histogram = histogram_copy(&scope->arena, points[i].histogram);
        if (points[i].histogram == NULL)
            return no_room(scope);
    }
    series->points = points;
    return ERR_OK;
}

enum err query_scope_keep_result(struct query_scope *scope, struct query_result *result)
{
    struct query_series *series =
        ARENA_ARRAY(&scope->arena, struct query_series, result->series_count);

    if (series == NULL)
        return no_room(scope);
    for (uint32_t i = 0; i < result->series_count; i++) {
        enum err err;

        series[i] = result->series[i];
        series[i].labels = label_set_copy(&scope->arena, series[i].labels);
        if (series[i].labels.count != result->series[i].labels.count)
            return no_room(scope);
        err = keep_points(scope, &series[i]);
        if (err != ERR_OK)
            return err;
    }
    result->series = series;
    arena_release(&scope->arena);
    return ERR_OK;
}
