/* SPDX-License-Identifier: Apache-2.0 */

/* `narthex tsdb analyze`: where the series come from, as promtool's analyze says it of one block,
 * here over all blocks and the log. Memory: each label pair once. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "main/tool_tsdb_internal.h"

struct tally_item {
    struct slice text; /* in the tally's arena */
    uint64_t count, values, value_bytes;
    double uncovered_ms; /* of the time range, summed over its series: churn */
};

struct tally {
    struct arena arena;
    struct map map;
    struct tally_item *items; /* owned */
    uint32_t count, cap;
};

struct analysis {
    struct tally pairs, names, metrics;
    struct buf pair;
    uint64_t series, samples, entries;
    double range_ms;
};

static const struct hash_key hash_key; /* the labels are our own */

static bool text_eq(const void *key, uint64_t value, void *owner)
{
    const struct tally *tally = owner;

    return slice_eq(tally->items[value].text, *(const struct slice *)key);
}

static void tally_init(struct tally *tally)
{
    *tally = (struct tally){.items = NULL};
    arena_init(&tally->arena, NULL, 0);
    map_init(&tally->map, text_eq, tally);
}

static void tally_fini(struct tally *tally)
{
    mem_free(tally->items);
    map_fini(&tally->map);
    arena_fini(&tally->arena);
}

/* Borrowed until the next call. */
static struct tally_item *tally_get(struct tally *tally, struct slice text, bool *is_new)
{
    const uint64_t hash = hash64(&hash_key, text);
    const uint64_t *known = map_find(&tally->map, hash, &text);

    *is_new = known == NULL;
    if (known != NULL)
        return &tally->items[*known];
    if (tally->count == tally->cap) {
        tally->cap = tally->cap == 0 ? 1024 : tally->cap * 2;
        tally->items = mem_realloc(tally->items, tally->cap * sizeof(*tally->items));
    }
    tally->items[tally->count] = (struct tally_item){.text = arena_copy(&tally->arena, text)};
    map_insert(&tally->map, hash, tally->count);
    return &tally->items[tally->count++];
}

static void count_label(struct analysis *analysis, const struct label *label, double uncovered_ms)
{
    struct buf *text = &analysis->pair;
    struct tally_item *item;
    bool is_new, is_new_name;

    buf_reset(text);
    buf_add_slice(text, label->name);
    buf_add_byte(text, '=');
    buf_add_slice(text, label->value);
    item = tally_get(&analysis->pairs, buf_slice(text), &is_new);
    item->count++;
    item->uncovered_ms += uncovered_ms;
    item = tally_get(&analysis->names, label->name, &is_new_name);
    item->count++;
    item->uncovered_ms += uncovered_ms;
    item->values += is_new;
    item->value_bytes += is_new ? label->value.len : 0;
    analysis->entries++;
}

static enum err count_series(void *owner, struct label_set labels, struct sample_cursor *cursor,
                             struct err_info *info)
{
    struct analysis *analysis = owner;
    const struct slice metric = label_set_get(labels, SLICE(LABEL_METRIC_NAME));
    struct sample_columns columns;
    int64_t t_first_ms = 0, t_last_ms = 0;
    uint64_t count = 0;
    bool is_new;

    (void)info;
    while (sample_cursor_next(cursor, &columns)) {
        if (count == 0)
            t_first_ms = columns.t_ms[0];
        t_last_ms = columns.t_ms[columns.count - 1];
        count += columns.count;
    }
    if (count == 0)
        return ERR_OK;
    const double uncovered_ms = analysis->range_ms - (double)(t_last_ms - t_first_ms);
    for (uint32_t i = 0; i < labels.count; i++)
        count_label(analysis, &labels.items[i], uncovered_ms);
    if (metric.len > 0)
        tally_get(&analysis->metrics, metric, &is_new)->count++;
    analysis->series++;
    analysis->samples += count;
    return ERR_OK;
}

/* ---- printing ---- */

static int by_text(const struct tally_item *a, const struct tally_item *b)
{
    return slice_cmp(a->text, b->text);
}

static int by_number(uint64_t a, uint64_t b)
{
    return a > b ? -1 : a < b;
}

static int by_churn(const void *left, const void *right)
{
    const struct tally_item *a = left, *b = right;

    return a->uncovered_ms > b->uncovered_ms   ? -1
           : a->uncovered_ms < b->uncovered_ms ? 1
                                               : by_text(a, b);
}

static int by_count(const void *left, const void *right)
{
    const struct tally_item *a = left, *b = right;
    const int order = by_number(a->count, b->count);

    return order != 0 ? order : by_text(a, b);
}

static int by_values(const void *left, const void *right)
{
    const struct tally_item *a = left, *b = right;
    const int order = by_number(a->values, b->values);

    return order != 0 ? order : by_text(a, b);
}

static int by_value_bytes(const void *left, const void *right)
{
    const struct tally_item *a = left, *b = right;
    const int order = by_number(a->value_bytes, b->value_bytes);

    return order != 0 ? order : by_text(a, b);
}

struct top {
    const char *title;
    int (*order)(const void *, const void *);
    size_t member; /* of a uint64_t; SIZE_MAX: the churn */
};

static void print_top(const struct analysis *analysis, struct tally *tally, const struct top *top,
                      int64_t limit)
{
    printf("\n%s:\n", top->title);
    if (tally->count > 1) /* the map is not asked any more */
        qsort(tally->items, tally->count, sizeof(*tally->items), top->order);
    for (uint32_t i = 0; i < tally->count && i < limit; i++) {
        const struct tally_item *item = &tally->items[i];
        const double churn = analysis->range_ms > 0 ? item->uncovered_ms / analysis->range_ms : 0;
        const uint64_t number = top->member == SIZE_MAX
                                    ? (uint64_t)churn
                                    : *(const uint64_t *)((const char *)item + top->member);

        printf("%" PRIu64 " %.*s\n", number, SLICE_ARG(item->text));
    }
}

static void print_analysis(struct analysis *analysis, const struct db_stats *stats, int64_t limit)
{
    static const struct top pair_churn = {"Label pairs most involved in churning", by_churn,
                                          SIZE_MAX};
    static const struct top name_churn = {"Label names most involved in churning", by_churn,
                                          SIZE_MAX};
    static const struct top pair_count = {"Most common label pairs", by_count,
                                          offsetof(struct tally_item, count)};
    static const struct top name_bytes = {"Label names with highest cumulative label value length",
                                          by_value_bytes, offsetof(struct tally_item, value_bytes)};
    static const struct top name_values = {"Highest cardinality labels", by_values,
                                           offsetof(struct tally_item, values)};
    static const struct top metric_count = {"Highest cardinality metric names", by_count,
                                            offsetof(struct tally_item, count)};

    printf("Duration: %.3fs\n", analysis->range_ms / 1000);
    printf("Total Series: %" PRIu64 "\n", analysis->series);
    printf("Total Samples: %" PRIu64 "\n", analysis->samples);
    printf("Label names: %u\n", analysis->names.count);
    printf("Postings (unique label pairs): %u\n", analysis->pairs.count);
    printf("Postings entries (total label pairs): %" PRIu64 "\n", analysis->entries);
    if (stats->block_samples > 0)
        printf("Blocks: %" PRIu64 ", %" PRIu64 " bytes, %.2f bytes per sample\n", stats->blocks,
               stats->block_bytes, (double)stats->block_bytes / (double)stats->block_samples);
    print_top(analysis, &analysis->pairs, &pair_churn, limit);
    print_top(analysis, &analysis->names, &name_churn, limit);
    print_top(analysis, &analysis->pairs, &pair_count, limit);
    print_top(analysis, &analysis->names, &name_bytes, limit);
    print_top(analysis, &analysis->names, &name_values, limit);
    print_top(analysis, &analysis->metrics, &metric_count, limit);
}

enum err tool_tsdb_analyze(struct tool_tsdb *tool, struct err_info *info)
{
    struct tool_walk walk = tool_select_walk(&tool->select, db_source(tool->store.db));
    struct analysis analysis = {.series = 0};
    struct db_stats stats;

    tally_init(&analysis.pairs);
    tally_init(&analysis.names);
    tally_init(&analysis.metrics);
    buf_init(&analysis.pair, 1 << 24);
    db_get_stats(tool->store.db, &stats);
    const int64_t t_min_ms = stats.t_min_ms > walk.t_min_ms ? stats.t_min_ms : walk.t_min_ms;
    const int64_t t_max_ms = stats.t_max_ms < walk.t_max_ms ? stats.t_max_ms : walk.t_max_ms;
    analysis.range_ms = t_max_ms > t_min_ms ? (double)t_max_ms - (double)t_min_ms : 0;
    walk.fn = count_series;
    walk.owner = &analysis;
    const enum err err = tool_walk(&walk, info);
    if (err == ERR_OK)
        print_analysis(&analysis, &stats, tool->limit);
    buf_fini(&analysis.pair);
    tally_fini(&analysis.metrics);
    tally_fini(&analysis.names);
    tally_fini(&analysis.pairs);
    return err;
}
