/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_stats.h"

#include "storage/block_format.h"

/* More series first, then by text. */
static bool comes_before(const struct block_stats_pair *a, const struct block_stats_pair *b)
{
    if (a->series_count != b->series_count)
        return a->series_count > b->series_count;
    const int order = slice_cmp(a->name, b->name);
    return order != 0 ? order < 0 : slice_cmp(a->value, b->value) < 0;
}

bool block_stats_top_add(struct block_stats_top *top, const struct block_stats_pair *pair,
                         struct block_stats_pair **place)
{
    uint32_t at = top->count;

    if (at == BLOCK_STATS_TOP) {
        if (!comes_before(pair, &top->items[at - 1]))
            return false;
        at--; /* the last one falls out */
    } else {
        top->count++;
    }
    while (at > 0 && comes_before(pair, &top->items[at - 1])) {
        top->items[at] = top->items[at - 1];
        at--;
    }
    top->items[at] = *pair;
    *place = &top->items[at];
    return true;
}

void block_stats_put(struct buf *out, const struct block_stats *stats)
{
    struct buf names;

    buf_init(&names, BLOCK_VALUE_SIZE_MAX);
    for (uint32_t i = 0; i < stats->name_count; i++) {
        block_format_put_text(&names, stats->names[i].name);
        block_format_put_uint(&names, stats->names[i].value_count);
        block_format_put_uint(&names, stats->names[i].value_bytes);
    }
    buf_add_byte(out, BLOCK_STATS_VERSION);
    block_format_put_uint(out, stats->series_count);
    block_format_put_uint(out, stats->chunk_count);
    block_format_put_uint(out, stats->sample_count);
    block_format_put_uint(out, stats->chunk_bytes);
    block_format_put_uint(out, stats->name_count);
    block_format_put_text(out, buf_slice(&names));
    if (names.err != ERR_OK)
        out->err = names.err;
    buf_fini(&names);
    block_format_put_uint(out, stats->metric_count);
    for (uint32_t i = 0; i < stats->metric_count; i++) {
        block_format_put_text(out, stats->metrics[i].value);
        block_format_put_uint(out, stats->metrics[i].series_count);
        block_format_put_uint(out, stats->metrics[i].sample_count);
    }
    block_format_put_uint(out, stats->pair_count);
    for (uint32_t i = 0; i < stats->pair_count; i++) {
        block_format_put_text(out, stats->pairs[i].name);
        block_format_put_text(out, stats->pairs[i].value);
        block_format_put_uint(out, stats->pairs[i].series_count);
    }
}

enum err block_stats_parse_head(struct slice value, struct block_stats_head *head)
{
    uint64_t name_count;

    if (value.len == 0)
        return ERR_CORRUPT;
    if (value.data[0] != BLOCK_STATS_VERSION)
        return ERR_VERSION;
    value = slice_skip(value, 1);
    if (!varint_take_u64(&value, &head->series_count) ||
        !varint_take_u64(&value, &head->chunk_count) ||
        !varint_take_u64(&value, &head->sample_count) ||
        !varint_take_u64(&value, &head->chunk_bytes) || !varint_take_u64(&value, &name_count) ||
        !block_format_take_text(&value, &head->names) || name_count > head->names.len ||
        head->series_count > UINT32_MAX)
        return ERR_CORRUPT;
    head->name_count = (uint32_t)name_count;
    head->rest = value;
    return ERR_OK;
}

bool block_stats_take_name(struct slice *rest, struct block_stats_name *name)
{
    return block_format_take_text(rest, &name->name) && varint_take_u64(rest, &name->value_count) &&
           varint_take_u64(rest, &name->value_bytes);
}

static enum err take_names(struct slice rest, struct arena *arena, struct block_stats *stats)
{
    struct block_stats_name *names = ARENA_ARRAY(arena, struct block_stats_name, stats->name_count);

    if (names == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < stats->name_count; i++) {
        if (!block_stats_take_name(&rest, &names[i]) ||
            (i > 0 && slice_cmp(names[i - 1].name, names[i].name) >= 0))
            return ERR_CORRUPT;
        names[i].name = arena_copy(arena, names[i].name);
        if (names[i].name.data == NULL)
            return ERR_LIMIT;
    }
    stats->names = names;
    return rest.len == 0 ? ERR_OK : ERR_CORRUPT;
}

static bool take_pair(struct slice *rest, bool is_metric, struct block_stats_pair *pair)
{
    *pair = (struct block_stats_pair){.name = SLICE("__name__")};
    return (is_metric || block_format_take_text(rest, &pair->name)) &&
           block_format_take_text(rest, &pair->value) &&
           varint_take_u64(rest, &pair->series_count) &&
           (!is_metric || varint_take_u64(rest, &pair->sample_count));
}

static enum err take_pairs(struct slice *rest, struct arena *arena, bool is_metric,
                           const struct block_stats_pair **out, uint32_t *out_count)
{
    uint64_t count;

    if (!varint_take_u64(rest, &count) || count > BLOCK_STATS_TOP)
        return ERR_CORRUPT;
    struct block_stats_pair *pairs = ARENA_ARRAY(arena, struct block_stats_pair, count);
    if (pairs == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0; i < count; i++) {
        if (!take_pair(rest, is_metric, &pairs[i]) ||
            (i > 0 && !comes_before(&pairs[i - 1], &pairs[i])))
            return ERR_CORRUPT;
        pairs[i].name = arena_copy(arena, pairs[i].name);
        pairs[i].value = arena_copy(arena, pairs[i].value);
        if (arena->err != ERR_OK)
            return ERR_LIMIT;
    }
    *out = pairs;
    *out_count = (uint32_t)count;
    return ERR_OK;
}

enum err block_stats_parse(struct slice value, struct arena *arena, struct block_stats *stats)
{
    struct block_stats_head head;
    struct block_stats parsed;
    enum err err = block_stats_parse_head(value, &head);

    if (err != ERR_OK)
        return err;
    parsed = (struct block_stats){.series_count = head.series_count,
                                  .chunk_count = head.chunk_count,
                                  .sample_count = head.sample_count,
                                  .chunk_bytes = head.chunk_bytes,
                                  .name_count = head.name_count};
    err = take_names(head.names, arena, &parsed);
    if (err == ERR_OK)
        err = take_pairs(&head.rest, arena, true, &parsed.metrics, &parsed.metric_count);
    if (err == ERR_OK)
        err = take_pairs(&head.rest, arena, false, &parsed.pairs, &parsed.pair_count);
    if (err == ERR_OK && head.rest.len != 0)
        err = ERR_CORRUPT;
    if (err == ERR_OK)
        *stats = parsed;
    return err;
}
