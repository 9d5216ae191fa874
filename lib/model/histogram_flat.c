/* SPDX-License-Identifier: Apache-2.0 */
#include "model/histogram_flat.h"

#include "model/histogram_iter.h"

/* Room for `count` buckets. */
static enum err reserve(struct histogram_flat_side *side, struct arena *arena, uint32_t count)
{
    uint32_t cap = side->cap == 0 ? 16 : side->cap;

    if (count <= side->cap)
        return ERR_OK;
    while (cap < count)
        cap *= 2;
    side->indexes = arena_grow(arena, side->indexes, side->cap * sizeof(*side->indexes),
                               cap * sizeof(*side->indexes));
    side->v = arena_grow(arena, side->v, side->cap * sizeof(*side->v), cap * sizeof(*side->v));
    side->low =
        arena_grow(arena, side->low, side->cap * sizeof(*side->low), cap * sizeof(*side->low));
    if (side->indexes == NULL || side->v == NULL || side->low == NULL)
        return ERR_LIMIT;
    side->cap = cap;
    return ERR_OK;
}

static enum err load_side(struct histogram_flat_side *side, struct arena *arena,
                          struct histogram_walk *walk, double factor)
{
    const enum err err = reserve(side, arena, walk->bucket_count);

    if (err != ERR_OK)
        return err;
    side->count = 0;
    while (histogram_walk_next(walk)) {
        side->indexes[side->count] = walk->index;
        side->v[side->count] = walk->count * factor;
        side->low[side->count++] = 0;
    }
    return ERR_OK;
}

enum err histogram_flat_load(struct histogram_flat *flat, struct arena *arena,
                             const struct histogram *h, double factor)
{
    enum err err = ERR_OK;

    flat->schema = h->schema;
    flat->zero_threshold = h->zero_threshold;
    flat->zero = h->f.zero_count * factor;
    flat->zero_low = 0;
    flat->custom_values = h->custom_values;
    flat->custom_value_count = h->custom_value_count;
    for (int i = 0; i < 2 && err == ERR_OK; i++) {
        struct histogram_walk walk;

        histogram_walk_init(&walk, h, i == 1);
        err = load_side(&flat->sides[i], arena, &walk, factor);
    }
    return err;
}

enum err histogram_flat_copy(struct histogram_flat *to, struct arena *arena,
                             const struct histogram_flat *from)
{
    struct histogram_flat_side sides[2] = {to->sides[0], to->sides[1]};
    enum err err = ERR_OK;

    for (int i = 0; i < 2 && err == ERR_OK; i++) {
        const struct histogram_flat_side *source = &from->sides[i];

        err = reserve(&sides[i], arena, source->count);
        sides[i].count = source->count;
        if (err != ERR_OK || source->count == 0)
            continue;
        memcpy(sides[i].indexes, source->indexes, source->count * sizeof(*source->indexes));
        memcpy(sides[i].v, source->v, source->count * sizeof(*source->v));
        memcpy(sides[i].low, source->low, source->count * sizeof(*source->low));
    }
    *to = *from;
    to->sides[0] = sides[0];
    to->sides[1] = sides[1];
    return err;
}

/* ---- merging of neighbours ---- */

/* Puts bucket `from` at the end of the list of [0, side->count), as `index`. */
static void put(struct histogram_flat_side *side, uint32_t from, int32_t index)
{
    const double v = side->v[from], low = side->low[from];
    const uint32_t last = side->count - 1;

    if (side->count > 0 && side->indexes[last] == index) {
        histogram_flat_inc(v, &side->v[last], &side->low[last]);
        histogram_flat_inc(low, &side->v[last], &side->low[last]);
        return;
    }
    side->indexes[side->count] = index;
    side->v[side->count] = v;
    side->low[side->count++] = low;
}

void histogram_flat_reduce(struct histogram_flat *flat, int32_t schema)
{
    const uint32_t shift = (uint32_t)(flat->schema - schema);

    ASSERT(schema <= flat->schema && schema >= HISTOGRAM_SCHEMA_MIN);
    if (shift == 0)
        return;
    for (int i = 0; i < 2; i++) {
        struct histogram_flat_side *side = &flat->sides[i];
        const uint32_t count = side->count;

        side->count = 0;
        for (uint32_t k = 0; k < count; k++)
            put(side, k, (int32_t)((((int64_t)side->indexes[k] - 1) >> shift) + 1));
    }
    flat->schema = schema;
}

void histogram_flat_rebound(struct histogram_flat *flat, const double *bounds, uint32_t bound_count)
{
    struct histogram_flat_side *side = &flat->sides[0];
    const uint32_t count = side->count;
    uint32_t to = 0;

    side->count = 0;
    for (uint32_t k = 0; k < count; k++) {
        const int32_t index = side->indexes[k];
        const bool is_last = index < 0 || (uint32_t)index >= flat->custom_value_count;

        while (to < bound_count && (is_last || bounds[to] < flat->custom_values[index]))
            to++;
        put(side, k, (int32_t)to);
    }
    flat->custom_values = bounds;
    flat->custom_value_count = bound_count;
}

/* ---- the zero bucket ---- */

static void drop_first(struct histogram_flat_side *side, uint32_t count)
{
    side->count -= count;
    if (count == 0 || side->count == 0)
        return;
    memmove(side->indexes, side->indexes + count, side->count * sizeof(*side->indexes));
    memmove(side->v, side->v + count, side->count * sizeof(*side->v));
    memmove(side->low, side->low + count, side->count * sizeof(*side->low));
}

/* How many of a side's buckets the zero bucket takes in, added to it. *threshold grows to the end
 * of a bucket that it would cut, if anything is in that. */
static uint32_t take_in(struct histogram_flat *flat, const struct histogram_flat_side *side,
                        double *threshold)
{
    const struct histogram shape = {.schema = flat->schema};
    uint32_t i;

    for (i = 0; i < side->count; i++) {
        const struct histogram_bounds bounds =
            histogram_bucket_bounds(&shape, false, side->indexes[i]);

        if (bounds.lower >= *threshold)
            break;
        histogram_flat_inc(side->v[i], &flat->zero, &flat->zero_low);
        histogram_flat_inc(side->low[i], &flat->zero, &flat->zero_low);
        if (bounds.upper > *threshold && side->v[i] != 0)
            *threshold = bounds.upper;
    }
    return i;
}

void histogram_flat_widen(struct histogram_flat *flat, double threshold)
{
    const double zero = flat->zero, zero_low = flat->zero_low;
    uint32_t positive, negative;
    double before;

    /* The negative side may push the threshold on; the positive side then counts anew. */
    do {
        flat->zero = zero;
        flat->zero_low = zero_low;
        positive = take_in(flat, &flat->sides[0], &threshold);
        before = threshold;
        negative = take_in(flat, &flat->sides[1], &threshold);
    } while (threshold > before);
    drop_first(&flat->sides[0], positive);
    drop_first(&flat->sides[1], negative);
    flat->zero_threshold = threshold;
}

/* ---- addition ---- */

static uint32_t count_missing(const struct histogram_flat_side *side,
                              const struct histogram_flat_side *other)
{
    uint32_t missing = 0;

    for (uint32_t i = 0, k = 0; k < other->count; k++) {
        while (i < side->count && side->indexes[i] < other->indexes[k])
            i++;
        missing += i == side->count || side->indexes[i] != other->indexes[k];
    }
    return missing;
}

static void set_bucket(struct histogram_flat_side *side, uint32_t at,
                       const struct histogram_flat_side *from, uint32_t i)
{
    side->indexes[at] = from->indexes[i];
    side->v[at] = from->v[i];
    side->low[at] = from->low[i];
}

static enum err add_side(struct histogram_flat_side *side, struct arena *arena,
                         const struct histogram_flat_side *other)
{
    const uint32_t missing = count_missing(side, other);
    uint32_t i = side->count, k = other->count, at = side->count + missing;
    const enum err err = reserve(side, arena, at);

    if (err != ERR_OK)
        return err;
    /* From the end, so that nothing is overwritten that is still to be moved. */
    while (k > 0) {
        if (i == 0 || side->indexes[i - 1] < other->indexes[k - 1]) {
            set_bucket(side, --at, other, --k);
            continue;
        }
        if (side->indexes[i - 1] == other->indexes[k - 1]) {
            k--;
            histogram_flat_inc(other->v[k], &side->v[i - 1], &side->low[i - 1]);
            histogram_flat_inc(other->low[k], &side->v[i - 1], &side->low[i - 1]);
        }
        i--;
        if (--at != i)
            set_bucket(side, at, side, i);
    }
    side->count += missing;
    return ERR_OK;
}

enum err histogram_flat_add(struct histogram_flat *flat, struct arena *arena,
                            const struct histogram_flat *other)
{
    enum err err = add_side(&flat->sides[0], arena, &other->sides[0]);

    if (err == ERR_OK)
        err = add_side(&flat->sides[1], arena, &other->sides[1]);
    histogram_flat_inc(other->zero, &flat->zero, &flat->zero_low);
    histogram_flat_inc(other->zero_low, &flat->zero, &flat->zero_low);
    return err;
}
