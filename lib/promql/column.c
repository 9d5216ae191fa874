/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/eval.h"

void promql_column_clear(struct promql_column *out, uint32_t count)
{
    out->count = count;
    out->has_histograms = false;
    memset(out->present, 0, promql_column_words(out) * sizeof(uint64_t));
}

void promql_column_set_all(struct promql_column *out)
{
    const uint32_t words = promql_column_words(out);

    memset(out->present, 0xff, words * sizeof(uint64_t));
    if (out->count % 64 != 0)
        out->present[words - 1] = (UINT64_C(1) << (out->count % 64)) - 1;
}

const struct histogram **promql_column_histograms(struct promql_eval *eval,
                                                  struct promql_column *out)
{
    if (out->histograms == NULL) {
        out->histograms = ARENA_ARRAY(eval->arena, const struct histogram *, PROMQL_WINDOW);
        if (out->histograms == NULL)
            return NULL;
    } else if (!out->has_histograms) {
        memset(out->histograms, 0, PROMQL_WINDOW * sizeof(*out->histograms));
    }
    out->has_histograms = true;
    return out->histograms;
}

enum err promql_column_add_histogram(struct promql_eval *eval, struct promql_column *out,
                                     uint32_t step, const struct histogram *histogram)
{
    if (histogram == NULL || promql_column_histograms(eval, out) == NULL)
        return promql_eval_no_room(eval);
    out->histograms[step] = histogram;
    promql_column_add(out, step, 0);
    return ERR_OK;
}

void promql_column_drop_histograms(struct promql_column *column)
{
    if (!column->has_histograms)
        return;
    column->has_histograms = false;
    for (uint32_t i = 0; i < column->count; i++) {
        if (promql_column_has(column, i) && column->histograms[i] != NULL)
            column->present[i / 64] &= ~(UINT64_C(1) << (i % 64));
    }
}

bool promql_column_is_empty(const struct promql_column *column)
{
    for (uint32_t i = 0; i < promql_column_words(column); i++) {
        if (column->present[i] != 0)
            return false;
    }
    return true;
}

uint32_t promql_column_present_count(const struct promql_column *column)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < promql_column_words(column); i++)
        count += (uint32_t)__builtin_popcountll(column->present[i]);
    return count;
}

enum err promql_held_init(struct promql_held *held, struct promql_eval *eval,
                          const struct promql_grid *grid)
{
    const enum err err = promql_eval_hold(eval, grid->count);

    if (err != ERR_OK)
        return err;
    *held = (struct promql_held){
        .grid = grid,
        .present = ARENA_ARRAY(eval->arena, uint64_t, ((size_t)grid->count + 63) / 64),
        .v = ARENA_ARRAY(eval->arena, double, grid->count),
    };
    if (held->present == NULL || held->v == NULL)
        return promql_eval_no_room(eval);
    return ERR_OK;
}

/* Copies the histograms of a column's steps. */
static enum err held_add_histograms(struct promql_held *held, struct promql_eval *eval,
                                    uint32_t window, const struct promql_column *column)
{
    const size_t first = (size_t)window * PROMQL_WINDOW;

    if (held->histograms == NULL) {
        held->histograms = ARENA_ARRAY(eval->arena, const struct histogram *, held->grid->count);
        if (held->histograms == NULL)
            return promql_eval_no_room(eval);
    }
    for (uint32_t i = 0; i < column->count; i++) {
        if (promql_column_has(column, i))
            held->histograms[first + i] = column->histograms[i];
    }
    return ERR_OK;
}

enum err promql_held_add(struct promql_held *held, struct promql_eval *eval, uint32_t window,
                         const struct promql_column *column, uint32_t *clash)
{
    const size_t first = (size_t)window * PROMQL_WINDOW;
    uint64_t *const present = held->present + first / 64;

    *clash = PROMQL_NO_CLASH;
    for (uint32_t i = 0; i < promql_column_words(column); i++) {
        const uint64_t both = present[i] & column->present[i];

        if (both != 0 && *clash == PROMQL_NO_CLASH)
            *clash = (uint32_t)first + i * 64 + (uint32_t)__builtin_ctzll(both);
        present[i] |= column->present[i];
    }
    for (uint32_t i = 0; i < column->count; i++) {
        if (promql_column_has(column, i))
            held->v[first + i] = column->v[i];
    }
    if (column->has_histograms)
        return held_add_histograms(held, eval, window, column);
    return ERR_OK;
}

enum err promql_held_get(const struct promql_held *held, struct promql_eval *eval, uint32_t window,
                         struct promql_column *out)
{
    const size_t first = (size_t)window * PROMQL_WINDOW;

    promql_column_clear(out, promql_grid_window_count(held->grid, window));
    memcpy(out->present, held->present + first / 64,
           promql_column_words(out) * sizeof(*held->present));
    memcpy(out->v, held->v + first, out->count * sizeof(*held->v));
    if (held->histograms != NULL) {
        if (promql_column_histograms(eval, out) == NULL)
            return promql_eval_no_room(eval);
        memcpy(out->histograms, held->histograms + first, out->count * sizeof(*held->histograms));
    }
    return ERR_OK;
}
