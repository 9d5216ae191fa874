/* SPDX-License-Identifier: Apache-2.0 */
#include "model/histogram_sum.h"

#include <float.h>

#include "model/histogram_math.h"

void histogram_sum_reset(struct histogram_sum *sum, struct histogram_scratch *scratch)
{
    sum->scratch = scratch;
    sum->is_set = false;
}

/* ---- reconciling ---- */

static enum histogram_reset join_resets(enum histogram_reset a, enum histogram_reset b,
                                        struct histogram_merge *merge)
{
    if (a == b)
        return a;
    if (a == HISTOGRAM_GAUGE || b == HISTOGRAM_GAUGE)
        return HISTOGRAM_GAUGE;
    if (a != HISTOGRAM_RESET_UNKNOWN && b != HISTOGRAM_RESET_UNKNOWN)
        merge->is_reset_conflict = true;
    return HISTOGRAM_RESET_UNKNOWN;
}

static bool bounds_match(const struct histogram_flat *a, const struct histogram_flat *b)
{
    if (a->custom_value_count != b->custom_value_count)
        return false;
    for (uint32_t i = 0; i < a->custom_value_count && a->custom_values != b->custom_values; i++) {
        if (a->custom_values[i] != b->custom_values[i])
            return false;
    }
    return true;
}

/* Brings both to the bounds that both have. */
static enum err rebound(struct histogram_flat *a, struct histogram_flat *b, struct arena *arena)
{
    double *common = arena_alloc(arena, a->custom_value_count * sizeof(*common));
    uint32_t count = 0;

    if (common == NULL)
        return ERR_LIMIT;
    for (uint32_t i = 0, k = 0; i < a->custom_value_count && k < b->custom_value_count;) {
        const double bound_a = a->custom_values[i], bound_b = b->custom_values[k];

        if (bound_a == bound_b)
            common[count++] = bound_a;
        i += bound_a <= bound_b;
        k += bound_b <= bound_a;
    }
    histogram_flat_rebound(a, common, count);
    histogram_flat_rebound(b, common, count);
    return ERR_OK;
}

/* Widening one may cut a bucket of the other, which then is widened in turn. */
static void reconcile_zero(struct histogram_flat *a, struct histogram_flat *b)
{
    while (a->zero_threshold < b->zero_threshold || b->zero_threshold < a->zero_threshold) {
        if (b->zero_threshold < a->zero_threshold)
            histogram_flat_widen(b, a->zero_threshold);
        if (a->zero_threshold < b->zero_threshold)
            histogram_flat_widen(a, b->zero_threshold);
    }
}

static enum err reconcile(struct histogram_sum *sum, struct histogram_flat *other,
                          struct histogram_merge *merge)
{
    struct histogram_flat *flat = &sum->flat;

    if (flat->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        if (bounds_match(flat, other))
            return ERR_OK;
        merge->is_rebound = true;
        return rebound(flat, other, sum->scratch->arena);
    }
    reconcile_zero(flat, other);
    if (other->schema < flat->schema)
        histogram_flat_reduce(flat, other->schema);
    else
        histogram_flat_reduce(other, flat->schema);
    return ERR_OK;
}

/* ---- sums ---- */

enum err histogram_sum_add(struct histogram_sum *sum, const struct histogram *h, double factor,
                           struct histogram_merge *merge)
{
    struct histogram_flat *other = &sum->scratch->other;
    struct arena *arena = sum->scratch->arena;
    enum err err;

    ASSERT(h->is_float);
    if (!sum->is_set) {
        sum->is_set = true;
        sum->reset = h->reset;
        sum->count = h->f.count * factor;
        sum->sum = h->sum * factor;
        sum->count_low = sum->sum_low = 0;
        return histogram_flat_load(&sum->flat, arena, h, factor);
    }
    if ((sum->flat.schema == HISTOGRAM_SCHEMA_CUSTOM) != histogram_is_custom(h)) {
        merge->is_incompatible = true;
        return ERR_OK;
    }
    sum->reset = join_resets(sum->reset, h->reset, merge);
    err = histogram_flat_load(other, arena, h, factor);
    if (err == ERR_OK)
        err = reconcile(sum, other, merge);
    if (err == ERR_OK)
        err = histogram_flat_add(&sum->flat, arena, other);
    histogram_flat_inc(h->f.count * factor, &sum->count, &sum->count_low);
    histogram_flat_inc(h->sum * factor, &sum->sum, &sum->sum_low);
    return err;
}

void histogram_sum_reduce(struct histogram_sum *sum, int32_t schema)
{
    if (sum->flat.schema != HISTOGRAM_SCHEMA_CUSTOM && schema < sum->flat.schema)
        histogram_flat_reduce(&sum->flat, schema);
}

/* Every number becomes x * factor / by. */
static void scale(struct histogram_sum *sum, double factor, double by)
{
    struct histogram_flat *flat = &sum->flat;
    double *const scalars[] = {&sum->count,   &sum->count_low, &sum->sum,
                               &sum->sum_low, &flat->zero,     &flat->zero_low};

    for (size_t i = 0; i < COUNT_OF(scalars); i++)
        *scalars[i] = *scalars[i] * factor / by;
    for (int i = 0; i < 2; i++) {
        struct histogram_flat_side *side = &flat->sides[i];

        for (uint32_t k = 0; k < side->count; k++) {
            side->v[k] = side->v[k] * factor / by;
            side->low[k] = side->low[k] * factor / by;
        }
    }
}

void histogram_sum_divide(struct histogram_sum *sum, double by)
{
    scale(sum, 1, by);
}

/* Counts the populated buckets of a side and its spans; writes them if counts is there. */
static void put_side(const struct histogram_flat_side *side, double *counts,
                     struct histogram_span *spans, uint32_t sizes[2])
{
    int32_t last = 0;

    sizes[0] = sizes[1] = 0;
    for (uint32_t i = 0; i < side->count; i++) {
        const double v = side->v[i] + side->low[i];
        const int32_t index = side->indexes[i];
        const bool begins = sizes[0] == 0 || (int64_t)index != (int64_t)last + 1;

        if (v == 0)
            continue;
        if (begins && spans != NULL)
            spans[sizes[1]] = (struct histogram_span){
                sizes[1] == 0 ? index : (int32_t)((uint32_t)index - (uint32_t)last - 1), 0};
        sizes[1] += begins;
        if (spans != NULL) {
            spans[sizes[1] - 1].length++;
            counts[sizes[0]] = v;
        }
        sizes[0]++;
        last = index;
    }
}

struct histogram *histogram_sum_result(const struct histogram_sum *sum)
{
    const struct histogram_flat *flat = &sum->flat;
    uint32_t positive[2], negative[2];
    struct histogram_parts parts;
    struct histogram shape = {
        .schema = flat->schema,
        .reset = sum->reset,
        .is_float = true,
        .zero_threshold = flat->zero_threshold,
        .sum = sum->sum + sum->sum_low,
        .f = {.count = sum->count + sum->count_low, .zero_count = flat->zero + flat->zero_low},
        .custom_value_count = flat->custom_value_count,
    };
    struct histogram *h;

    ASSERT(sum->is_set);
    put_side(&flat->sides[0], NULL, NULL, positive);
    put_side(&flat->sides[1], NULL, NULL, negative);
    shape.positive_count = positive[0];
    shape.positive_span_count = positive[1];
    shape.negative_count = negative[0];
    shape.negative_span_count = negative[1];
    h = histogram_float_new(sum->scratch->arena, &shape, &parts);
    if (h == NULL)
        return NULL;
    put_side(&flat->sides[0], parts.positive, parts.positive_spans, positive);
    put_side(&flat->sides[1], parts.negative, parts.negative_spans, negative);
    if (flat->custom_value_count != 0)
        memcpy(parts.custom_values, flat->custom_values,
               flat->custom_value_count * sizeof(*flat->custom_values));
    return h;
}

/* ---- means ---- */

void histogram_mean_reset(struct histogram_mean *mean, struct histogram_scratch *scratch)
{
    histogram_sum_reset(&mean->sum, scratch);
    histogram_sum_reset(&mean->trial, scratch);
    mean->count = 0;
    mean->is_running = false;
}

/* Values of at most this size can be added without overflow. */
static bool is_modest(double v)
{
    return !(fabs(v) > DBL_MAX / 4);
}

static bool are_modest(const double *v, uint32_t count)
{
    bool all = true;

    for (uint32_t i = 0; i < count; i++)
        all &= is_modest(v[i]);
    return all;
}

static bool can_overflow(const struct histogram_sum *sum, const struct histogram *h)
{
    const struct histogram_flat *flat = &sum->flat;

    return !is_modest(sum->count) || !is_modest(sum->sum) || !is_modest(flat->zero) ||
           !is_modest(h->f.count) || !is_modest(h->sum) || !is_modest(h->f.zero_count) ||
           !are_modest(flat->sides[0].v, flat->sides[0].count) ||
           !are_modest(flat->sides[1].v, flat->sides[1].count) ||
           !are_modest(h->f.positive_counts, h->positive_count) ||
           !are_modest(h->f.negative_counts, h->negative_count);
}

static bool has_overflow(const struct histogram_sum *sum)
{
    bool any = isinf(sum->count) || isinf(sum->sum) || isinf(sum->flat.zero);

    for (int i = 0; i < 2; i++) {
        for (uint32_t k = 0; k < sum->flat.sides[i].count; k++)
            any |= (bool)isinf(sum->flat.sides[i].v[k]);
    }
    return any;
}

static enum err copy_sum(struct histogram_sum *to, const struct histogram_sum *from)
{
    struct histogram_flat flat = to->flat;
    const enum err err = histogram_flat_copy(&flat, from->scratch->arena, &from->flat);

    *to = *from;
    to->flat = flat;
    return err;
}

/* Adds h unless that overflows. */
static enum err try_sum(struct histogram_mean *mean, const struct histogram *h,
                        struct histogram_merge *merge)
{
    enum err err;

    if (!can_overflow(&mean->sum, h))
        return histogram_sum_add(&mean->sum, h, 1, merge);
    err = copy_sum(&mean->trial, &mean->sum);
    if (err == ERR_OK)
        err = histogram_sum_add(&mean->trial, h, 1, merge);
    if (err != ERR_OK)
        return err;
    if (!has_overflow(&mean->trial))
        return copy_sum(&mean->sum, &mean->trial);
    mean->is_running = true;
    histogram_sum_divide(&mean->sum, (double)mean->count);
    return ERR_OK;
}

enum err histogram_mean_add(struct histogram_mean *mean, const struct histogram *h,
                            struct histogram_merge *merge)
{
    const double before = (double)mean->count, now = before + 1;
    enum err err = ERR_OK;

    if (mean->count == 0 || !mean->is_running)
        err =
            mean->count == 0 ? histogram_sum_add(&mean->sum, h, 1, merge) : try_sum(mean, h, merge);
    mean->count++;
    if (err != ERR_OK || !mean->is_running)
        return err;
    scale(&mean->sum, before / now, 1);
    return histogram_sum_add(&mean->sum, h, 1 / now, merge);
}

struct histogram *histogram_mean_result(struct histogram_mean *mean)
{
    if (!mean->is_running)
        histogram_sum_divide(&mean->sum, (double)mean->count);
    return histogram_sum_result(&mean->sum);
}
