/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/mem.h"
#include "base/varint.h"
#include "storage/catalog_internal.h"

void catalog_state_fini(struct catalog_state *state)
{
    mem_free(state->entries);
    *state = (struct catalog_state){0};
}

/* The place of the first entry whose ULID is not below. */
static uint32_t find_place(const struct catalog_state *state, struct ulid ulid)
{
    uint32_t low = 0;
    uint32_t high = state->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (ulid_cmp(state->entries[middle].ulid, ulid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct catalog_entry *catalog_state_find(const struct catalog_state *state, struct ulid ulid)
{
    const uint32_t at = find_place(state, ulid);

    if (at == state->count || ulid_cmp(state->entries[at].ulid, ulid) != 0)
        return NULL;
    return &state->entries[at];
}

bool catalog_state_attach(struct catalog_state *state, const struct catalog_entry *entry)
{
    const uint32_t at = find_place(state, entry->ulid);

    if (at < state->count && ulid_cmp(state->entries[at].ulid, entry->ulid) == 0) {
        state->entries[at] = *entry;
        return true;
    }
    if (state->count == CATALOG_ENTRIES_MAX)
        return false;
    if (state->count == state->cap) {
        state->cap = state->cap == 0 ? 16 : state->cap * 2;
        state->entries = mem_realloc(state->entries, state->cap * sizeof(*state->entries));
    }
    memmove(&state->entries[at + 1], &state->entries[at],
            (state->count - at) * sizeof(*state->entries));
    state->entries[at] = *entry;
    state->count++;
    return true;
}

void catalog_state_detach(struct catalog_state *state, struct ulid ulid)
{
    struct catalog_entry *entry = catalog_state_find(state, ulid);

    if (entry == NULL)
        return;
    state->count--;
    memmove(entry, entry + 1,
            (size_t)(&state->entries[state->count] - entry) * sizeof(*state->entries));
}

/* ---- writing ---- */

static void put_uint(struct buf *out, uint64_t v)
{
    char *at = buf_reserve(out, VARINT_SIZE_MAX);

    if (at != NULL)
        out->len += varint_put_u64(at, v);
}

static void put_int(struct buf *out, int64_t v)
{
    put_uint(out, varint_zigzag(v));
}

static void put_entry(struct buf *out, const struct catalog_entry *entry)
{
    const size_t tenant_len = strlen(entry->tenant);

    buf_add(out, entry->ulid.bytes, ULID_SIZE);
    put_int(out, entry->window_t_min_ms);
    put_int(out, entry->window_t_end_ms);
    put_int(out, entry->t_min_ms);
    put_int(out, entry->t_max_ms);
    put_uint(out, entry->watermark);
    put_uint(out, entry->series_count);
    put_uint(out, entry->chunk_count);
    put_uint(out, entry->sample_count);
    put_uint(out, entry->size_bytes);
    put_uint(out, tenant_len);
    buf_add(out, entry->tenant, tenant_len);
}

void catalog_put_header(struct buf *out)
{
    char header[CATALOG_HEADER_SIZE];

    memcpy(header, CATALOG_MAGIC, 8);
    endian_put_u32le(header + 8, CATALOG_VERSION);
    endian_put_u32le(header + 12, crc32c(0, header, 12));
    buf_add(out, header, sizeof(header));
}

void catalog_put_record(struct buf *out, const struct catalog_record *record)
{
    const struct catalog_change *change = &record->change;
    const size_t start = out->len;
    char head[CATALOG_RECORD_HEAD_SIZE] = {0};

    endian_put_u64le(head + 8, record->version);
    head[16] = (char)record->kind;
    buf_add(out, head, sizeof(head));
    put_uint(out, change->attach_count);
    for (uint32_t i = 0; i < change->attach_count; i++)
        put_entry(out, &change->attach[i]);
    put_uint(out, change->detach_count);
    for (uint32_t i = 0; i < change->detach_count; i++)
        buf_add(out, change->detach[i].bytes, ULID_SIZE);
    if (out->err != ERR_OK)
        return;
    const size_t size = out->len - start - 8;
    endian_put_u32le(out->data + start, (uint32_t)size);
    endian_put_u32le(out->data + start + 4, crc32c(0, out->data + start + 8, size));
}

/* ---- reading ---- */

static bool take_entry(struct slice *rest, struct catalog_entry *entry)
{
    uint64_t tenant_len;

    *entry = (struct catalog_entry){0};
    if (rest->len < ULID_SIZE)
        return false;
    memcpy(entry->ulid.bytes, rest->data, ULID_SIZE);
    *rest = slice_skip(*rest, ULID_SIZE);
    if (!varint_take_i64(rest, &entry->window_t_min_ms) ||
        !varint_take_i64(rest, &entry->window_t_end_ms) ||
        !varint_take_i64(rest, &entry->t_min_ms) || !varint_take_i64(rest, &entry->t_max_ms) ||
        !varint_take_u64(rest, &entry->watermark) || !varint_take_u64(rest, &entry->series_count) ||
        !varint_take_u64(rest, &entry->chunk_count) ||
        !varint_take_u64(rest, &entry->sample_count) ||
        !varint_take_u64(rest, &entry->size_bytes) || !varint_take_u64(rest, &tenant_len) ||
        tenant_len >= BLOCK_TENANT_SIZE || tenant_len > rest->len)
        return false;
    if (tenant_len > 0)
        memcpy(entry->tenant, rest->data, (size_t)tenant_len);
    *rest = slice_skip(*rest, (size_t)tenant_len);
    return memchr(entry->tenant, '\0', (size_t)tenant_len + 1) == entry->tenant + tenant_len;
}

/* The record at the start of *rest, if its checksum is right; *size is all of it. */
static bool record_is_whole(struct slice rest, size_t *size)
{
    if (rest.len < CATALOG_RECORD_HEAD_SIZE)
        return false;
    const uint32_t body_size = endian_get_u32le(rest.data);
    if (body_size < CATALOG_RECORD_HEAD_SIZE - 8 || body_size > rest.len - 8)
        return false;
    *size = (size_t)body_size + 8;
    return crc32c(0, rest.data + 8, body_size) == endian_get_u32le(rest.data + 4);
}

/* Whether a whole record of a later change lies anywhere behind: then what is before it was no torn
 * tail. Its number rules most offsets out before their checksum is made. */
static bool has_later_record(struct slice rest, uint64_t version)
{
    for (; rest.len >= CATALOG_RECORD_HEAD_SIZE; rest = slice_skip(rest, 1)) {
        const uint64_t number = endian_get_u64le(rest.data + 8);
        size_t size;

        if (number > version && number - version <= CATALOG_AHEAD_MAX &&
            record_is_whole(rest, &size))
            return true;
    }
    return false;
}

static bool apply_record(struct catalog_state *state, struct slice record)
{
    const uint64_t version = endian_get_u64le(record.data + 8);
    const uint8_t kind = (uint8_t)record.data[16];
    struct slice rest = slice_skip(record, CATALOG_RECORD_HEAD_SIZE);
    struct catalog_entry entry;
    uint64_t count;

    if (kind == CATALOG_SNAPSHOT)
        state->count = 0;
    else if (kind != CATALOG_CHANGE || version != state->version + 1)
        return false;
    if (!varint_take_u64(&rest, &count))
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (!take_entry(&rest, &entry) || !catalog_state_attach(state, &entry))
            return false;
    if (!varint_take_u64(&rest, &count))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        struct ulid ulid;

        if (rest.len < ULID_SIZE)
            return false;
        memcpy(ulid.bytes, rest.data, ULID_SIZE);
        rest = slice_skip(rest, ULID_SIZE);
        catalog_state_detach(state, ulid);
    }
    state->version = version;
    return rest.len == 0;
}

static enum err check_header(struct slice bytes, struct err_info *info)
{
    if (bytes.len < CATALOG_HEADER_SIZE || memcmp(bytes.data, CATALOG_MAGIC, 8) != 0)
        return err_set(info, ERR_CORRUPT, "catalog: does not begin as one");
    if (endian_get_u32le(bytes.data + 12) != crc32c(0, bytes.data, 12))
        return err_set(info, ERR_CORRUPT, "catalog: checksum of its header does not match");
    const uint32_t version = endian_get_u32le(bytes.data + 8);
    if (version != CATALOG_VERSION)
        return err_set(info, ERR_VERSION, "catalog: version %u, this program knows %d", version,
                       CATALOG_VERSION);
    return ERR_OK;
}

static enum err read_records(struct catalog_state *state, struct slice bytes, struct err_info *info)
{
    struct slice rest = slice_skip(bytes, CATALOG_HEADER_SIZE);
    bool is_first = true;

    state->end = CATALOG_HEADER_SIZE;
    while (rest.len > 0) {
        size_t size;

        if (!record_is_whole(rest, &size)) {
            /* The snapshot was synced before the file got its name: it cannot be torn. */
            if (is_first || has_later_record(slice_skip(rest, 1), state->version))
                return err_set(info, ERR_CORRUPT, "catalog: bad record at byte %llu",
                               (unsigned long long)state->end);
            state->has_torn_tail = true;
            return ERR_OK;
        }
        const uint8_t kind = (uint8_t)rest.data[16];
        if (is_first != (kind == CATALOG_SNAPSHOT) ||
            !apply_record(state, slice_of(rest.data, size)))
            return err_set(info, ERR_CORRUPT, "catalog: record at byte %llu makes no sense",
                           (unsigned long long)state->end);
        if (is_first)
            state->snapshot_size = size;
        is_first = false;
        state->end += size;
        rest = slice_skip(rest, size);
    }
    if (is_first)
        return err_set(info, ERR_CORRUPT, "catalog: has no records");
    return ERR_OK;
}

enum err catalog_state_read(struct catalog_state *state, struct slice bytes, struct err_info *info)
{
    struct catalog_state read = {0};
    enum err err = check_header(bytes, info);

    if (err == ERR_OK)
        err = read_records(&read, bytes, info);
    if (err != ERR_OK) {
        catalog_state_fini(&read);
        return err;
    }
    *state = read;
    return ERR_OK;
}
