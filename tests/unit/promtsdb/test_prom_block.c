/* SPDX-License-Identifier: Apache-2.0 */

/* The blocks and head chunks of a real Prometheus: every sample of them is one that promtool
 * printed, or deleted; and every damaged byte is noticed. */
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "base/number.h"
#include "golden.h"
#include "model/histogram_text.h"
#include "promtsdb/prom_chunk.h"
#include "promtsdb/prom_chunk_file.h"
#include "promtsdb/prom_index.h"
#include "promtsdb/prom_meta.h"
#include "promtsdb/prom_tombstones.h"

enum { LINE_MAX_SIZE = 8192 };

static void print_line(struct buf *line, struct label_set labels, const struct prom_sample *sample)
{
    buf_reset(line);
    label_set_print_plain(line, labels);
    buf_add_byte(line, ' ');
    if (sample->kind == SAMPLE_FLOAT) {
        number_add_double(line, sample->v, NUMBER_G);
    } else {
        check_err(ERR_OK, histogram_check(sample->histogram, NULL));
        histogram_text_print(line, sample->histogram);
    }
    buf_add_byte(line, ' ');
    number_add_int64(line, sample->t_ms);
    buf_add_byte(line, '\0');
}

struct walk {
    struct prom_meta meta;
    struct prom_index index;
    struct prom_tombstones stones;
    struct slice segment;
    const struct golden_dump *dump;
    struct buf line;
    uint64_t samples, chunks, deleted, not_printed;
};

static void walk_chunk(struct walk *walk, const struct prom_series *series,
                       const struct prom_chunk_meta *meta, struct arena *arena)
{
    struct err_info info = {{0}};
    struct prom_chunk_iter iter;
    struct prom_chunk chunk;
    struct prom_sample sample;
    int64_t t_last = INT64_MIN;
    size_t stone_count;
    const struct prom_stone *stones =
        prom_tombstones_find(&walk->stones, series->ref, &stone_count);

    assert_int_equal(0, meta->ref >> 32);
    check_err_info(ERR_OK, prom_chunk_file_get(walk->segment, meta->ref, &chunk, &info), &info);
    prom_chunk_iter_init(&iter, chunk, arena);
    while (prom_chunk_iter_next(&iter, &sample)) {
        assert_true(sample.t_ms > t_last);
        if (t_last == INT64_MIN)
            assert_int_equal(meta->t_min_ms, sample.t_ms);
        t_last = sample.t_ms;
        walk->samples++;
        print_line(&walk->line, series->labels, &sample);
        if (prom_tombstones_cover(stones, stone_count, sample.t_ms)) {
            walk->deleted++;
            assert_false(golden_dump_has(walk->dump, walk->line.data));
        } else if (!golden_dump_has(walk->dump, walk->line.data)) {
            /* promtool leaves out the first histogram or two of a series. */
            if (sample.kind == SAMPLE_FLOAT)
                fail_msg("promtool has no %s", walk->line.data);
            walk->not_printed++;
        }
    }
    check_err(ERR_OK, iter.err);
    assert_int_equal(meta->t_max_ms, t_last);
    walk->chunks++;
}

static void walk_block(struct walk *walk, const char *ulid)
{
    char path[GOLDEN_PATH_SIZE];
    struct err_info info = {{0}};
    struct label_set last = {NULL, 0};
    struct arena arena;

    (void)snprintf(path, sizeof(path), GOLDEN_DIR "/%s/meta.json", ulid);
    const struct slice meta = golden_read(path);
    check_err_info(ERR_OK, prom_meta_parse(meta, &walk->meta, &info), &info);
    assert_string_equal(ulid, walk->meta.ulid);
    (void)snprintf(path, sizeof(path), GOLDEN_DIR "/%s/index", ulid);
    const struct slice index = golden_read(path);
    check_err_info(ERR_OK, prom_index_open(&walk->index, index, &info), &info);
    (void)snprintf(path, sizeof(path), GOLDEN_DIR "/%s/tombstones", ulid);
    const struct slice stones = golden_read(path);
    check_err_info(ERR_OK, prom_tombstones_read(&walk->stones, stones, &info), &info);
    assert_int_equal(walk->meta.tombstone_count, walk->stones.count);
    prom_tombstones_sort(&walk->stones);
    (void)snprintf(path, sizeof(path), GOLDEN_DIR "/%s/chunks/000001", ulid);
    walk->segment = golden_read(path);
    check_err_info(ERR_OK, prom_chunk_file_check(walk->segment, &info), &info);

    arena_init(&arena, NULL, 0);
    assert_int_equal(walk->meta.series_count, walk->index.series_count);
    for (uint32_t i = 0; i < walk->index.series_count; i++) {
        struct prom_series series;

        check_err_info(ERR_OK, prom_index_series(&walk->index, i, &arena, &series, &info), &info);
        assert_true(label_set_cmp(last, series.labels) < 0);
        last = series.labels;
        for (uint32_t c = 0; c < series.chunk_count; c++)
            walk_chunk(walk, &series, &series.chunks[c], &arena);
    }
    assert_int_equal(walk->meta.sample_count, walk->samples);
    assert_int_equal(walk->meta.chunk_count, walk->chunks);
    arena_fini(&arena);
    prom_index_fini(&walk->index);
    prom_tombstones_fini(&walk->stones);
    mem_free((void *)(size_t)meta.data);
    mem_free((void *)(size_t)index.data);
    mem_free((void *)(size_t)stones.data);
    mem_free((void *)(size_t)walk->segment.data);
}

static void test_blocks(void **state)
{
    const struct golden_names names = golden_list(".", 26);
    struct golden_dump *dump = mem_alloc(sizeof(*dump));
    uint64_t deleted = 0, not_printed = 0;

    (void)state;
    golden_dump_read(dump);
    assert_true(names.count >= 2);
    for (unsigned i = 0; i < names.count; i++) {
        struct walk walk = {.dump = dump};

        buf_init(&walk.line, LINE_MAX_SIZE);
        walk_block(&walk, names.items[i]);
        deleted += walk.deleted;
        not_printed += walk.not_printed;
        buf_fini(&walk.line);
    }
    assert_true(deleted > 0);
    /* Three integer ones lose two, two float ones lose one. */
    assert_int_equal(3 * 2 + 2, not_printed);
    mem_free((void *)(size_t)dump->text.data);
    mem_free(dump);
}

static void test_head_chunks(void **state)
{
    const struct golden_names names = golden_list("chunks_head", 6);
    unsigned chunk_count = 0, late_count = 0;

    (void)state;
    for (unsigned i = 0; i < names.count; i++) {
        char path[GOLDEN_PATH_SIZE];
        struct prom_head_chunk_iter iter;
        struct prom_head_chunk chunk;
        struct arena arena;

        (void)snprintf(path, sizeof(path), GOLDEN_DIR "/chunks_head/%s", names.items[i]);
        const struct slice file = golden_read(path);
        arena_init(&arena, NULL, 0);
        prom_head_chunk_iter_init(&iter, file);
        while (prom_head_chunk_iter_next(&iter, &chunk)) {
            struct prom_chunk_iter samples;
            struct prom_sample sample;
            int64_t t_last = 0;

            prom_chunk_iter_init(&samples, chunk.chunk, &arena);
            for (t_last = 0; prom_chunk_iter_next(&samples, &sample); t_last = sample.t_ms)
                if (t_last == 0)
                    assert_int_equal(chunk.t_min_ms, sample.t_ms);
            check_err(ERR_OK, samples.err);
            assert_int_equal(chunk.t_max_ms, t_last);
            chunk_count++;
            late_count += chunk.is_out_of_order;
        }
        check_err_info(ERR_OK, iter.err, &iter.info);
        arena_fini(&arena);
        mem_free((void *)(size_t)file.data);
    }
    assert_true(chunk_count > late_count && late_count > 0);
}

/* Reads all that an index says; ERR_OK only if every part was fine. */
static enum err read_index(struct slice bytes, uint64_t *sum)
{
    struct prom_index index;
    struct prom_series series;
    struct arena arena;
    enum err err = prom_index_open(&index, bytes, NULL);

    if (err != ERR_OK)
        return err;
    arena_init(&arena, NULL, 1 << 20);
    *sum = index.series_count;
    for (uint32_t i = 0; i < index.series_count && err == ERR_OK; i++) {
        err = prom_index_series(&index, i, &arena, &series, NULL);
        if (err != ERR_OK)
            break;
        for (uint32_t l = 0; l < series.labels.count; l++)
            *sum =
                *sum * 31 + series.labels.items[l].name.len + 7 * series.labels.items[l].value.len;
        for (uint32_t c = 0; c < series.chunk_count; c++)
            *sum = *sum * 31 + series.chunks[c].ref + (uint64_t)series.chunks[c].t_min_ms;
    }
    arena_fini(&arena);
    prom_index_fini(&index);
    return err;
}

/* ---- version 1: places where version 2 has numbers ---- */

static void put_section(struct buf *file, struct slice body)
{
    uint8_t word[4];

    endian_put_u32be(word, (uint32_t)body.len);
    buf_add(file, word, sizeof(word));
    buf_add_slice(file, body);
    endian_put_u32be(word, crc32c_slice(body));
    buf_add(file, word, sizeof(word));
}

/* One series {a="bb"} with a chunk, as upstream's old format has it. */
static void test_version_1(void **state)
{
    uint8_t toc[52] = {0};
    struct prom_index index;
    struct prom_series series;
    struct arena arena;
    struct buf file;

    (void)state;
    buf_init(&file, 4096);
    buf_add(&file, "\xba\xaa\xd7\x00\x01", 5);
    const uint8_t symbols[] = {0, 0, 0, 2, 1, 'a', 2, 'b', 'b'};
    put_section(&file, slice_of(symbols, sizeof(symbols)));
    /* The texts begin at byte 13, behind magic, version, length and count. */
    const size_t series_place = file.len;
    const uint8_t entry[] = {1, 13, 15, 1, 20, 5, 8};
    uint8_t word[4];
    buf_add_byte(&file, (char)sizeof(entry));
    buf_add(&file, entry, sizeof(entry));
    endian_put_u32be(word, crc32c(0, entry, sizeof(entry)));
    buf_add(&file, word, sizeof(word));
    endian_put_u64be(toc + 32, file.len);
    const uint8_t list[] = {0, 0, 0, 1, 0, 0, 0, (uint8_t)series_place};
    const size_t list_place = file.len;
    put_section(&file, slice_of(list, sizeof(list)));
    const uint8_t table[] = {0, 0, 0, 1, 2, 0, 0, (uint8_t)list_place};
    endian_put_u64be(toc, 5);
    endian_put_u64be(toc + 40, file.len);
    put_section(&file, slice_of(table, sizeof(table)));
    endian_put_u32be(toc + 48, crc32c(0, toc, 48));
    buf_add(&file, toc, sizeof(toc));

    arena_init(&arena, NULL, 0);
    check_err(ERR_OK, prom_index_open(&index, buf_slice(&file), NULL));
    assert_int_equal(1, index.series_count);
    check_err(ERR_OK, prom_index_series(&index, 0, &arena, &series, NULL));
    assert_int_equal(series_place, series.ref);
    check_slice("bb", label_set_get(series.labels, SLICE("a")));
    assert_int_equal(1, series.chunk_count);
    assert_int_equal(10, series.chunks[0].t_min_ms);
    assert_int_equal(15, series.chunks[0].t_max_ms);
    assert_int_equal(8, series.chunks[0].ref);
    prom_index_fini(&index);
    file.data[4] = 9;
    check_err(ERR_VERSION, prom_index_open(&index, buf_slice(&file), NULL));
    arena_fini(&arena);
    buf_fini(&file);
}

/* A wrong byte is an error, or lies where nobody reads (the old tables of label values). */
static void test_damaged_index(void **state)
{
    const struct golden_names names = golden_list(".", 26);
    char path[GOLDEN_PATH_SIZE];
    uint64_t want = 0, got = 0;
    unsigned noticed = 0;

    (void)state;
    (void)snprintf(path, sizeof(path), GOLDEN_DIR "/%s/index", names.items[0]);
    const struct slice file = golden_read(path);
    char *bytes = (char *)(size_t)file.data;
    check_err(ERR_OK, read_index(file, &want));
    bytes[4] = 3; /* a version that reads alike */
    check_err(ERR_OK, read_index(file, &got));
    assert_int_equal(want, got);
    bytes[4] = 2;
    for (size_t i = 0; i < file.len; i++) {
        bytes[i] ^= 0x15;
        const enum err err = read_index(file, &got);
        bytes[i] ^= 0x15;
        if (err == ERR_OK)
            assert_int_equal(want, got);
        else
            noticed++;
    }
    assert_true(noticed > file.len / 2);
    for (size_t len = 0; len < file.len; len++)
        assert_int_not_equal(ERR_OK, read_index(slice_of(file.data, len), &got));
    mem_free(bytes);
}

static void test_damaged_tombstones(void **state)
{
    const uint8_t file[] = {0x01, 0x30, 0xba, 0x30, 0x01, 0x05, 0x02, 0x08, 0, 0, 0, 0};
    struct prom_tombstones stones = {.count = 0};
    struct err_info info = {{0}};
    uint8_t bytes[sizeof(file)];
    size_t count;

    (void)state;
    memcpy(bytes, file, sizeof(bytes));
    check_err(ERR_CORRUPT, prom_tombstones_read(&stones, slice_of(bytes, sizeof(bytes)), &info));
    check_message("checksum does not match", &info);
    bytes[4] = 2;
    check_err(ERR_VERSION, prom_tombstones_read(&stones, slice_of(bytes, sizeof(bytes)), NULL));
    check_err(ERR_CORRUPT, prom_tombstones_read(&stones, slice_of(bytes, 7), NULL));
    assert_int_equal(0, stones.count);
    assert_null(prom_tombstones_find(&stones, 5, &count));
    prom_tombstones_add(&stones, (struct prom_stone){9, 1, 4});
    prom_tombstones_add(&stones, (struct prom_stone){5, 7, 7});
    prom_tombstones_add(&stones, (struct prom_stone){5, 1, 4});
    prom_tombstones_sort(&stones);
    const struct prom_stone *found = prom_tombstones_find(&stones, 5, &count);
    assert_int_equal(2, count);
    assert_true(prom_tombstones_cover(found, count, 7));
    assert_true(prom_tombstones_cover(found, count, 1));
    assert_false(prom_tombstones_cover(found, count, 5));
    prom_tombstones_fini(&stones);
}

static void test_meta(void **state)
{
    struct prom_meta meta, again;
    struct err_info info = {{0}};
    struct buf text;

    (void)state;
    check_err(ERR_CORRUPT, prom_meta_parse(SLICE("[]"), &meta, NULL));
    check_err(ERR_VERSION, prom_meta_parse(SLICE("{\"version\":2}"), &meta, NULL));
    check_err(ERR_CORRUPT, prom_meta_parse(SLICE("{\"version\":1,\"ulid\":\"x\"}"), &meta, &info));
    check_message("no ULID", &info);
    const struct slice good =
        SLICE("{\"version\":1,\"ulid\":\"01M8EPG4VCVMXYY4G31MZ1Y93T\",\"minTime\":5,\"maxTime\":9,"
              "\"stats\":{\"numSamples\":3},\"compaction\":{\"level\":2,\"hints\":"
              "[\"from-out-of-order\"]}}");
    check_err(ERR_OK, prom_meta_parse(good, &meta, NULL));
    assert_true(meta.is_out_of_order);
    assert_int_equal(3, meta.sample_count);
    buf_init(&text, 4096);
    prom_meta_print(&meta, &text);
    check_err(ERR_OK, prom_meta_parse(buf_slice(&text), &again, NULL));
    assert_string_equal(meta.ulid, again.ulid);
    assert_int_equal(meta.t_end_ms, again.t_end_ms);
    assert_int_equal(meta.level, again.level);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_head_chunks),
        cmocka_unit_test(test_version_1),
        cmocka_unit_test(test_damaged_index),
        cmocka_unit_test(test_damaged_tombstones),
        cmocka_unit_test(test_meta),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
