/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/xor_chunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "support/check.h"
#include "support/gen.h"

enum { SAMPLE_COUNT_MAX = 500, LINE_SIZE = 16384 };

struct golden {
    char name[64];
    uint8_t bytes[LINE_SIZE / 2];
    size_t size;
    struct sample samples[SAMPLE_COUNT_MAX];
    uint32_t count;
};

static void check_golden(const struct golden *golden)
{
    struct xor_encoder encoder;
    struct xor_iter it;
    struct sample got[SAMPLE_COUNT_MAX];
    uint8_t bytes[LINE_SIZE];
    uint32_t count = 0;

    xor_iter_init(&it, slice_of(golden->bytes, golden->size));
    while (count < SAMPLE_COUNT_MAX && xor_iter_next(&it, &got[count]))
        count++;
    check_err(ERR_OK, it.err);
    check_samples(golden->samples, golden->count, got, count);

    xor_encoder_init(&encoder);
    for (uint32_t i = 0; i < golden->count; i++)
        check_err(ERR_OK, xor_encoder_append(&encoder, bytes, sizeof(bytes), golden->samples[i]));
    assert_int_equal(golden->size, xor_encoder_size(&encoder));
    assert_memory_equal(golden->bytes, bytes, golden->size);
}

static void golden_start(struct golden *golden, const char *line)
{
    char hex[LINE_SIZE];

    memset(golden, 0, sizeof(*golden));
    assert_int_equal(2, sscanf(line, "chunk %63s %16383s", golden->name, hex));
    for (golden->size = 0; hex[2 * golden->size] != '\0'; golden->size++) {
        const char pair[3] = {hex[2 * golden->size], hex[2 * golden->size + 1], '\0'};

        golden->bytes[golden->size] = (uint8_t)strtoul(pair, NULL, 16);
    }
}

/* Bytes that Prometheus itself wrote are read, and written again, bit by bit. */
static void test_golden(void **state)
{
    FILE *file = fopen(NARTHEX_TEST_DATA "/../golden/codec/xor_chunks.txt", "r");
    struct golden *golden = mem_zalloc(1, sizeof(*golden));
    char line[LINE_SIZE];
    unsigned chunk_count = 0;

    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        long long t_ms;
        unsigned long long v_bits;

        if (strncmp(line, "chunk ", 6) == 0) {
            if (chunk_count++ != 0)
                check_golden(golden);
            golden_start(golden, line);
        } else if (sscanf(line, "%lld %llx", &t_ms, &v_bits) == 2) {
            golden->samples[golden->count++] =
                (struct sample){t_ms, sample_value_from_bits(v_bits)};
        }
    }
    check_golden(golden);
    assert_int_equal(7, chunk_count);
    fclose(file);
    mem_free(golden);
}

static void test_round_trip(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 3000)
    {
        struct sample samples[SAMPLE_COUNT_MAX], got[SAMPLE_COUNT_MAX];
        const size_t count = 1 + gen_below(&gen, 200);
        struct xor_chunk chunk;
        struct xor_iter it;
        size_t stored = 0, read = 0;

        gen_series(&gen, samples, count);
        xor_chunk_init(&chunk);
        while (stored < count && xor_chunk_append(&chunk, samples[stored]) == ERR_OK)
            stored++;
        xor_iter_init(&it, xor_chunk_bytes(&chunk));
        while (xor_iter_next(&it, &got[read]))
            read++;
        check_err(ERR_OK, it.err);
        check_samples(samples, stored, got, read);
    }
}

/* An encoder that goes on from the bytes writes what one that never stopped writes. */
static void test_resume(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 500)
    {
        struct sample samples[100];
        uint8_t whole[4096], parts[4096];
        struct xor_encoder encoder;
        const size_t count = 2 + gen_below(&gen, 98);
        const size_t cut = 1 + gen_below(&gen, count - 1);
        size_t size;

        gen_series(&gen, samples, count);
        xor_encoder_init(&encoder);
        for (size_t i = 0; i < count; i++)
            check_err(ERR_OK, xor_encoder_append(&encoder, whole, sizeof(whole), samples[i]));
        size = xor_encoder_size(&encoder);

        xor_encoder_init(&encoder);
        for (size_t i = 0; i < count; i++) {
            if (i == cut)
                check_err(ERR_OK, xor_encoder_resume(&encoder,
                                                     slice_of(parts, xor_encoder_size(&encoder))));
            check_err(ERR_OK, xor_encoder_append(&encoder, parts, sizeof(parts), samples[i]));
        }
        assert_int_equal(size, xor_encoder_size(&encoder));
        assert_memory_equal(whole, parts, size);
    }
}

/* A full buffer refuses and changes nothing; with more room the encoder goes on. */
static void test_full(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 500)
    {
        struct sample samples[60], got[60];
        uint8_t bytes[2048];
        struct xor_encoder encoder;
        struct xor_iter it;
        size_t size = 8, read = 0;

        gen_series(&gen, samples, COUNT_OF(samples));
        xor_encoder_init(&encoder);
        for (size_t i = 0; i < COUNT_OF(samples);) {
            const struct xor_encoder before = encoder;

            if (xor_encoder_append(&encoder, bytes, size, samples[i]) == ERR_OK) {
                assert_true(xor_encoder_size(&encoder) <= size);
                i++;
                continue;
            }
            assert_memory_equal(&before, &encoder, sizeof(encoder));
            size += 8;
        }
        xor_iter_init(&it, slice_of(bytes, xor_encoder_size(&encoder)));
        while (xor_iter_next(&it, &got[read]))
            read++;
        check_samples(samples, COUNT_OF(samples), got, read);
    }
}

/* Every cut and every flipped bit ends in an error or in samples, never in a crash. */
static void test_corrupt(void **state)
{
    struct gen gen;

    (void)state;
    GEN_EACH_SEED(&gen, 200)
    {
        struct sample samples[50], sample;
        struct xor_chunk chunk;
        struct xor_iter it;
        struct slice bytes;

        gen_series(&gen, samples, COUNT_OF(samples));
        xor_chunk_init(&chunk);
        for (size_t i = 0; i < COUNT_OF(samples); i++)
            (void)!xor_chunk_append(&chunk, samples[i]);
        bytes = xor_chunk_bytes(&chunk);
        for (size_t len = 0; len < bytes.len; len++) {
            char *copy = mem_alloc(len + 1); /* of its own, so that ASan sees a read past the end */

            memcpy(copy, bytes.data, len);
            xor_iter_init(&it, slice_of(copy, len));
            while (xor_iter_next(&it, &sample)) {
            }
            check_err(ERR_CORRUPT, it.err);
            mem_free(copy);
        }
        for (int i = 0; i < 50; i++) {
            chunk.bytes[gen_below(&gen, bytes.len)] ^= (uint8_t)(1u << gen_below(&gen, 8));
            xor_iter_init(&it, bytes);
            while (xor_iter_next(&it, &sample)) {
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),  cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_resume),  cmocka_unit_test(test_full),
        cmocka_unit_test(test_corrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
