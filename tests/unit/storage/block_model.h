/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A naive store to check blocks and merges against: a sorted array of series with their samples, in
 * an arena. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/env.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/source.h"
#include "storage/block_writer.h"
#include "support/check.h"
#include "support/gen.h"

struct model_series {
    struct slice tenant;
    struct label_set labels;
    struct sample *samples;
    uint32_t count;
};

struct model {
    struct arena arena;
    struct model_series *series;
    uint32_t count;
};

static inline int model_order(const void *a, const void *b)
{
    const struct model_series *x = a;
    const struct model_series *y = b;
    const int order = slice_cmp(x->tenant, y->tenant);

    return order != 0 ? order : label_set_cmp(x->labels, y->labels);
}

static const char *const model_names[] = {"__name__", "a", "b", "c", "job", "z\xc3\xa9"};
static const char *const model_values[] = {"0", "1", "10", "2", "abc", "abd", "b", "x\xff", "zz"};

static inline struct label_set model_labels(struct gen *gen, struct arena *arena)
{
    struct label *items = ARENA_ARRAY(arena, struct label, COUNT_OF(model_names));
    uint32_t count = 0;

    for (size_t i = 0; i < COUNT_OF(model_names); i++) {
        if (gen_chance(gen, 3))
            continue;
        const char *value = model_values[gen_below(gen, COUNT_OF(model_values))];
        items[count++] = (struct label){slice_from_cstr(model_names[i]), slice_from_cstr(value)};
    }
    return (struct label_set){items, count};
}

/* Up to series_max series of two tenants, with samples in [0, ...). */
static inline void model_init(struct model *m, struct gen *gen, uint32_t series_max)
{
    static const char *const tenants[] = {"anonymous", "t2"};
    const uint32_t tries = (uint32_t)gen_between(gen, 1, series_max);

    memset(m, 0, sizeof(*m));
    arena_init(&m->arena, NULL, 0);
    m->series = ARENA_ARRAY(&m->arena, struct model_series, tries);
    for (uint32_t i = 0; i < tries; i++) {
        struct model_series *s = &m->series[i];

        s->tenant = slice_from_cstr(tenants[gen_chance(gen, 4)]);
        s->labels = model_labels(gen, &m->arena);
        s->count =
            (uint32_t)(gen_chance(gen, 4) ? gen_between(gen, 1, 3000) : gen_between(gen, 1, 200));
        s->samples = ARENA_ARRAY(&m->arena, struct sample, s->count);
        gen_series(gen, s->samples, s->count);
        for (uint32_t j = 0; j < s->count; j++)
            s->samples[j].t_ms &= INT64_C(0x3fffffffffffffff);
        const int64_t start = s->samples[0].t_ms - (int64_t)gen_below(gen, 5000000);
        for (uint32_t j = 0; j < s->count; j++)
            s->samples[j].t_ms -= start;
    }
    qsort(m->series, tries, sizeof(*m->series), model_order);
    for (uint32_t i = 0; i < tries; i++)
        if (m->count == 0 || model_order(&m->series[m->count - 1], &m->series[i]) != 0)
            m->series[m->count++] = m->series[i];
}

static inline void model_fini(struct model *m)
{
    arena_fini(&m->arena);
}

/* Which of the model's samples go into a block. */
typedef bool model_pick_fn(void *owner, uint32_t series, const struct sample *sample);

/* One float sample to the series begun last. */
static inline enum err model_put(struct block_writer *w, const struct sample *sample,
                                 struct err_info *info)
{
    static struct sample_columns columns;

    columns.count = 1;
    columns.kind = SAMPLE_FLOAT;
    columns.t_ms[0] = sample->t_ms;
    columns.v[0] = sample->v;
    return block_writer_columns(w, &columns, info);
}

static inline enum err model_write(const struct model *m, struct block_writer *w,
                                   model_pick_fn *pick, void *owner, struct err_info *info)
{
    for (uint32_t i = 0; i < m->count; i++) {
        const struct model_series *s = &m->series[i];
        enum err err = block_writer_series(w, s->tenant, s->labels, info);

        for (uint32_t j = 0; j < s->count && err == ERR_OK; j++)
            if (pick == NULL || pick(owner, i, &s->samples[j]))
                err = model_put(w, &s->samples[j], info);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* The tenant's samples in the range, checked against a stream series by series. */
static inline bool model_check_stream(const struct model *m, struct slice tenant,
                                      const struct matcher *matchers, uint32_t matcher_count,
                                      int64_t t_min, int64_t t_max, struct series_stream *stream)
{
    static struct sample_columns columns;

    for (uint32_t i = 0; i < m->count; i++) {
        const struct model_series *s = &m->series[i];
        struct source_series got;
        uint32_t at = 0;
        uint32_t end;

        if (!slice_eq(s->tenant, tenant) ||
            !matcher_matches_set(matchers, matcher_count, s->labels))
            continue;
        while (at < s->count && s->samples[at].t_ms < t_min)
            at++;
        for (end = at; end < s->count && s->samples[end].t_ms <= t_max;)
            end++;
        if (at == end) {
            /* A chunk may overlap the range with no sample in it. */
            continue;
        }
        do {
            if (!series_stream_next(stream, &got))
                return false;
            if (!label_set_eq(got.labels, s->labels)) {
                if (sample_cursor_next(got.cursor, &columns))
                    fail_msg("a series that nobody asked for");
            }
        } while (!label_set_eq(got.labels, s->labels));
        while (sample_cursor_next(got.cursor, &columns)) {
            assert_int_equal(SAMPLE_FLOAT, columns.kind);
            assert_true(columns.count > 0);
            for (uint32_t j = 0; j < columns.count; j++, at++) {
                assert_true(at < end);
                assert_true(columns.t_ms[j] == s->samples[at].t_ms);
                assert_true(sample_value_bits(columns.v[j]) == sample_value_bits(s->samples[at].v));
            }
        }
        if (got.cursor->err != ERR_OK)
            return false;
        assert_int_equal(end, at);
    }
    struct source_series rest;
    while (series_stream_next(stream, &rest))
        assert_false(sample_cursor_next(rest.cursor, &columns));
    return stream->err == ERR_OK;
}

/* One to three random matchers, in the arena. */
static inline uint32_t model_matchers(struct gen *gen, struct arena *arena, struct matcher *out)
{
    static const char *const expressions[] = {"", "0|1|abc", "ab.*", ".*", ".+", "1.?|", "[0-9]+"};
    const uint32_t count = (uint32_t)gen_below(gen, 4);

    for (uint32_t i = 0; i < count; i++) {
        const enum matcher_type type = (enum matcher_type)gen_below(gen, 4);
        const char *name = model_names[gen_below(gen, COUNT_OF(model_names))];
        const char *value = type == MATCHER_EQUAL || type == MATCHER_NOT_EQUAL
                                ? model_values[gen_below(gen, COUNT_OF(model_values))]
                                : expressions[gen_below(gen, COUNT_OF(expressions))];

        if (gen_chance(gen, 8))
            name = "nosuch";
        if (gen_chance(gen, 8))
            value = "";
        const struct matcher_spec spec = {type, slice_from_cstr(name), slice_from_cstr(value)};
        check_err(ERR_OK, matcher_init(&out[i], arena, &spec, NULL));
    }
    return count;
}
