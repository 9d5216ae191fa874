/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A seeded generator (xoshiro256**, seeded by splitmix64) for properties: the same seed gives the
 * same test on every machine. A property loops over seeds and prints the failing one:
 *
 *   struct gen gen;
 *   GEN_EACH_SEED(&gen, 1000) { ... gen_below(&gen, 10) ... }
 *
 * SEED=n in the environment runs that seed alone. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/sample.h"

struct gen {
    uint64_t state[4];
    uint64_t seed;
};

void gen_init(struct gen *gen, uint64_t seed);

uint64_t gen_u64(struct gen *gen);
/* In [0, end); end > 0. */
uint64_t gen_below(struct gen *gen, uint64_t end);
/* In [min, max]. */
int64_t gen_between(struct gen *gen, int64_t min, int64_t max);
/* True once in `one_in` on average. */
bool gen_chance(struct gen *gen, uint64_t one_in);
/* In [0, 1). */
double gen_unit(struct gen *gen);
void gen_bytes(struct gen *gen, void *data, size_t size);
/* Small integers, decimals, any bits, infinities, both NaNs, zeros of both signs. */
double gen_value(struct gen *gen);

/* A series as targets make them: times strictly increase, mostly at a steady interval, with gaps;
 * values are a constant, a counter with resets, a decimal gauge, or wild. */
void gen_series(struct gen *gen, struct sample *samples, size_t count);

/* The loop of GEN_EACH_SEED. */
struct gen_seeds {
    uint64_t next, end;
};

/* Seeds 1..count, or the one of SEED. */
struct gen_seeds gen_seeds_start(uint64_t count);
/* Seeds gen, and notes the seed so that a failure prints it. */
bool gen_seeds_next(struct gen_seeds *seeds, struct gen *gen);

#define GEN_EACH_SEED(gen, count)                                                                  \
    for (struct gen_seeds gen_seeds_ = gen_seeds_start(count); gen_seeds_next(&gen_seeds_, (gen));)
