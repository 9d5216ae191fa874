/* SPDX-License-Identifier: Apache-2.0 */
#include "support/gen.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The seed under test, printed when the program ends before the loop does. */
static uint64_t seed_running;
static bool seed_is_running;
static bool seed_hook_set;

static uint64_t splitmix_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

void gen_init(struct gen *gen, uint64_t seed)
{
    uint64_t state = seed;

    gen->seed = seed;
    for (size_t i = 0; i < 4; i++)
        gen->state[i] = splitmix_next(&state);
}

uint64_t gen_u64(struct gen *gen)
{
    uint64_t *s = gen->state;
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    const uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t gen_below(struct gen *gen, uint64_t end)
{
    return gen_u64(gen) % end;
}

int64_t gen_between(struct gen *gen, int64_t min, int64_t max)
{
    const uint64_t span = (uint64_t)max - (uint64_t)min;

    if (span == UINT64_MAX)
        return (int64_t)gen_u64(gen);
    return (int64_t)((uint64_t)min + gen_below(gen, span + 1));
}

bool gen_chance(struct gen *gen, uint64_t one_in)
{
    return gen_below(gen, one_in) == 0;
}

double gen_unit(struct gen *gen)
{
    return (double)(gen_u64(gen) >> 11) * 0x1p-53;
}

void gen_bytes(struct gen *gen, void *data, size_t size)
{
    unsigned char *bytes = data;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)gen_u64(gen);
}

double gen_value(struct gen *gen)
{
    static const double specials[] = {
        0.0, -0.0, 1.0, INFINITY, -INFINITY, 0x1p-1074, 1.7976931348623157e308};

    switch (gen_below(gen, 6)) {
    case 0:
        return (double)gen_between(gen, -1000, 1000);
    case 1:
        return (double)gen_between(gen, -1000000, 1000000) / 1000.0;
    case 2:
        return gen_unit(gen);
    case 3:
        return specials[gen_below(gen, sizeof(specials) / sizeof(specials[0]))];
    case 4:
        return sample_value_from_bits(gen_chance(gen, 2) ? SAMPLE_STALE_BITS : SAMPLE_NORMAL_BITS);
    default:
        return sample_value_from_bits(gen_u64(gen));
    }
}

void gen_series(struct gen *gen, struct sample *samples, size_t count)
{
    static const int64_t intervals_ms[] = {1, 1000, 15000, 60000};
    const int64_t interval_ms = intervals_ms[gen_below(gen, 4)];
    const uint64_t kind = gen_below(gen, 4);
    int64_t t_ms = gen_between(gen, 0, INT64_C(2000000000000));
    double v = (double)gen_below(gen, 1000);

    for (size_t i = 0; i < count; i++) {
        if (kind == 1) /* a counter */
            v = gen_chance(gen, 50) ? 0 : v + (double)gen_below(gen, 100);
        else if (kind == 2) /* a gauge with three decimals */
            v = round(v * 1000.0 + (double)gen_between(gen, -500, 500)) / 1000.0;
        else if (kind == 3)
            v = gen_value(gen);
        samples[i] = (struct sample){.t_ms = t_ms, .v = v};
        t_ms += interval_ms;
        if (gen_chance(gen, 20))
            t_ms += gen_between(gen, 0, 10 * interval_ms);
        else if (gen_chance(gen, 4))
            t_ms += (int64_t)gen_below(gen, 3);
    }
}

static void print_seed(void)
{
    if (seed_is_running)
        fprintf(stderr, "SEED=%" PRIu64 "\n", seed_running);
}

struct gen_seeds gen_seeds_start(uint64_t count)
{
    const char *text = getenv("SEED");

    if (!seed_hook_set) {
        seed_hook_set = true;
        if (atexit(print_seed) != 0)
            abort();
    }
    if (text != NULL && text[0] != '\0') {
        const uint64_t seed = strtoull(text, NULL, 0);
        return (struct gen_seeds){.next = seed, .end = seed + 1};
    }
    return (struct gen_seeds){.next = 1, .end = count + 1};
}

bool gen_seeds_next(struct gen_seeds *seeds, struct gen *gen)
{
    /* A failed check jumps out of the loop: then the seed stays noted until the program ends. */
    seed_is_running = seeds->next < seeds->end;
    if (!seed_is_running)
        return false;
    seed_running = seeds->next++;
    gen_init(gen, seed_running);
    return true;
}
