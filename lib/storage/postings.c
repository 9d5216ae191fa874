/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/postings.h"

#include <roaring/roaring.h>

#include "base/endian.h"
#include "base/mem.h"
#include "base/varint.h"

enum postings_form { FORM_PLAIN = 1, FORM_ROARING = 2 };

/* The portable format of CRoaring, https://github.com/RoaringBitmap/RoaringFormatSpec. */
enum {
    COOKIE_RUNS = 12347,
    COOKIE_NO_RUNS = 12346,
    OFFSETS_FROM = 4, /* a bitmap with runs has offsets from this many containers on */
    ARRAY_MAX = 4096,
    BITSET_WORDS = 1024,
    CONTAINERS_MAX = 1 << 16,
};

struct postings {
    roaring_bitmap_t *bitmap; /* owned */
};

static struct postings *wrap(roaring_bitmap_t *bitmap)
{
    struct postings *postings = mem_alloc(sizeof(*postings));

    postings->bitmap = bitmap;
    return postings;
}

static void put_varint(struct buf *out, uint64_t v)
{
    char *at = buf_reserve(out, VARINT_SIZE_MAX);

    if (at != NULL)
        out->len += varint_put_u64(at, v);
}

void postings_encode(struct buf *out, const uint32_t *ids, uint32_t count)
{
    ASSERT(count > 0);
    if (count <= POSTINGS_PLAIN_MAX) {
        uint32_t before = 0;

        buf_add_byte(out, FORM_PLAIN);
        put_varint(out, count);
        for (uint32_t i = 0; i < count; i++) {
            ASSERT(i == 0 || ids[i] > before);
            put_varint(out, ids[i] - before);
            before = ids[i];
        }
        return;
    }
    roaring_bitmap_t *bitmap = roaring_bitmap_of_ptr(count, ids);
    roaring_bitmap_run_optimize(bitmap);
    const size_t size = roaring_bitmap_portable_size_in_bytes(bitmap);
    buf_add_byte(out, FORM_ROARING);
    put_varint(out, count);
    char *at = buf_reserve(out, size);
    if (at != NULL)
        out->len += roaring_bitmap_portable_serialize(bitmap, at);
    roaring_bitmap_free(bitmap);
}

static enum err decode_plain(struct slice bytes, uint64_t count, uint32_t id_end,
                             struct postings **out)
{
    uint32_t ids[POSTINGS_PLAIN_MAX];
    uint64_t id = 0;

    if (count == 0 || count > POSTINGS_PLAIN_MAX)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t step;

        if (!varint_take_u64(&bytes, &step) || (i > 0 && step == 0) || step >= id_end)
            return ERR_CORRUPT;
        id += step;
        if (id >= id_end)
            return ERR_CORRUPT;
        ids[i] = (uint32_t)id;
    }
    if (bytes.len != 0)
        return ERR_CORRUPT;
    *out = wrap(roaring_bitmap_of_ptr((size_t)count, ids));
    return ERR_OK;
}

/* One container's bytes off the front of *rest: sorted, of `card` ids, none above low_max. */
static bool check_run(struct slice *rest, uint32_t card, uint32_t low_max)
{
    uint64_t total = 0;
    uint32_t next = 0; /* the lowest start allowed */

    if (rest->len < 2)
        return false;
    const uint32_t run_count = endian_get_u16le(rest->data);
    *rest = slice_skip(*rest, 2);
    if (run_count == 0 || rest->len < (size_t)run_count * 4)
        return false;
    for (uint32_t i = 0; i < run_count; i++) {
        const uint32_t start = endian_get_u16le(rest->data + (size_t)i * 4);
        const uint32_t more = endian_get_u16le(rest->data + (size_t)i * 4 + 2);

        if (start < next || start + more > low_max)
            return false;
        total += more + 1;
        next = start + more + 2; /* touching runs would be one */
    }
    *rest = slice_skip(*rest, (size_t)run_count * 4);
    return total == card;
}

static bool check_array(struct slice *rest, uint32_t card, uint32_t low_max)
{
    uint32_t before = 0;

    if (rest->len < (size_t)card * 2)
        return false;
    for (uint32_t i = 0; i < card; i++) {
        const uint32_t low = endian_get_u16le(rest->data + (size_t)i * 2);

        if ((i > 0 && low <= before) || low > low_max)
            return false;
        before = low;
    }
    *rest = slice_skip(*rest, (size_t)card * 2);
    return true;
}

static bool check_bitset(struct slice *rest, uint32_t card, uint32_t low_max)
{
    uint64_t total = 0;

    if (rest->len < (size_t)BITSET_WORDS * 8)
        return false;
    for (uint32_t i = 0; i < BITSET_WORDS; i++) {
        const uint64_t word = endian_get_u64le(rest->data + (size_t)i * 8);

        if (word != 0 && i * 64 + 63 - (uint32_t)__builtin_clzll(word) > low_max)
            return false;
        total += (uint64_t)__builtin_popcountll(word);
    }
    *rest = slice_skip(*rest, (size_t)BITSET_WORDS * 8);
    return total == card;
}

struct roaring_head {
    uint32_t count;       /* of containers */
    const char *run_bits; /* NULL: no container has runs */
    const char *cards;    /* (key, cardinality - 1) pairs */
    const char *offsets;  /* NULL: none */
};

static bool take_head(struct slice *rest, struct roaring_head *head)
{
    if (rest->len < 8) /* a cookie, and either a count or a first container */
        return false;
    const uint32_t cookie = endian_get_u32le(rest->data);
    *head = (struct roaring_head){0};
    *rest = slice_skip(*rest, 4);
    if ((cookie & 0xffff) == COOKIE_RUNS) {
        head->count = (cookie >> 16) + 1;
        head->run_bits = rest->data;
        if (rest->len < (head->count + 7) / 8)
            return false;
        *rest = slice_skip(*rest, (head->count + 7) / 8);
    } else if (cookie == COOKIE_NO_RUNS) {
        head->count = endian_get_u32le(rest->data);
        *rest = slice_skip(*rest, 4);
    } else {
        return false;
    }
    if (head->count == 0 || head->count > CONTAINERS_MAX || rest->len < (size_t)head->count * 4)
        return false;
    head->cards = rest->data;
    *rest = slice_skip(*rest, (size_t)head->count * 4);
    if (head->run_bits == NULL || head->count >= OFFSETS_FROM) {
        head->offsets = rest->data;
        if (rest->len < (size_t)head->count * 4)
            return false;
        *rest = slice_skip(*rest, (size_t)head->count * 4);
    }
    return true;
}

/* Whether the bytes are a portable bitmap of exactly `count` ids, all below id_end. */
static bool roaring_is_valid(struct slice bytes, uint64_t count, uint32_t id_end)
{
    struct slice rest = bytes;
    struct roaring_head head;
    uint64_t total = 0;
    uint32_t key_before = 0;

    if (id_end == 0 || !take_head(&rest, &head))
        return false;
    for (uint32_t i = 0; i < head.count; i++) {
        const uint32_t key = endian_get_u16le(head.cards + (size_t)i * 4);
        const uint32_t card = (uint32_t)endian_get_u16le(head.cards + (size_t)i * 4 + 2) + 1;
        const uint32_t key_max = (id_end - 1) >> 16;
        const uint32_t low_max = key == key_max ? (id_end - 1) & 0xffff : 0xffff;
        bool valid;

        if ((i > 0 && key <= key_before) || key > key_max)
            return false;
        if (head.offsets != NULL &&
            endian_get_u32le(head.offsets + (size_t)i * 4) != bytes.len - rest.len)
            return false;
        if (head.run_bits != NULL && ((unsigned char)head.run_bits[i / 8] >> (i % 8) & 1) != 0)
            valid = check_run(&rest, card, low_max);
        else if (card <= ARRAY_MAX)
            valid = check_array(&rest, card, low_max);
        else
            valid = check_bitset(&rest, card, low_max);
        if (!valid)
            return false;
        total += card;
        key_before = key;
    }
    return rest.len == 0 && total == count;
}

enum err postings_decode(struct slice bytes, uint32_t id_end, struct postings **out)
{
    uint64_t count;

    if (bytes.len == 0)
        return ERR_CORRUPT;
    const uint8_t form = (uint8_t)bytes.data[0];
    bytes = slice_skip(bytes, 1);
    if (!varint_take_u64(&bytes, &count))
        return ERR_CORRUPT;
    if (form == FORM_PLAIN)
        return decode_plain(bytes, count, id_end, out);
    if (form != FORM_ROARING || !roaring_is_valid(bytes, count, id_end))
        return ERR_CORRUPT;
    roaring_bitmap_t *bitmap = roaring_bitmap_portable_deserialize_safe(bytes.data, bytes.len);
    if (bitmap == NULL)
        return ERR_CORRUPT;
    *out = wrap(bitmap);
    return ERR_OK;
}

uint32_t postings_peek_count(struct slice bytes)
{
    uint64_t count = 0;

    if (bytes.len < 2)
        return 0;
    bytes = slice_skip(bytes, 1);
    if (!varint_take_u64(&bytes, &count) || count > UINT32_MAX)
        return 0;
    return (uint32_t)count;
}

struct postings *postings_new(void)
{
    return wrap(roaring_bitmap_create());
}

struct postings *postings_new_all(uint32_t id_end)
{
    if (id_end == 0)
        return postings_new();
    return wrap(roaring_bitmap_from_range(0, id_end, 1));
}

void postings_free(struct postings *postings)
{
    if (postings == NULL)
        return;
    roaring_bitmap_free(postings->bitmap);
    mem_free(postings);
}

void postings_and(struct postings *into, const struct postings *other)
{
    roaring_bitmap_and_inplace(into->bitmap, other->bitmap);
}

void postings_or(struct postings *into, const struct postings *other)
{
    roaring_bitmap_or_inplace(into->bitmap, other->bitmap);
}

void postings_and_not(struct postings *into, const struct postings *other)
{
    roaring_bitmap_andnot_inplace(into->bitmap, other->bitmap);
}

uint64_t postings_count(const struct postings *postings)
{
    return roaring_bitmap_get_cardinality(postings->bitmap);
}

enum err postings_ids(const struct postings *postings, struct arena *arena, const uint32_t **ids,
                      uint32_t *count)
{
    const uint64_t total = postings_count(postings);
    uint32_t *out = arena_alloc(arena, (size_t)total * sizeof(*out));

    if (out == NULL)
        return ERR_LIMIT;
    roaring_bitmap_to_uint32_array(postings->bitmap, out);
    *ids = out;
    *count = (uint32_t)total;
    return ERR_OK;
}
