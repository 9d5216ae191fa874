/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/varint.h"
#include "storage/catalog_internal.h"

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
    put_uint(out, entry->cleaned_version);
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

static void put_text(struct buf *out, struct slice text)
{
    put_uint(out, text.len);
    buf_add_slice(out, text);
}

static void put_deletion(struct buf *out, const struct catalog_deletion *deletion, uint64_t version)
{
    put_uint(out, version);
    put_text(out, deletion->tenant);
    put_int(out, deletion->t_min_ms);
    put_int(out, deletion->t_max_ms);
    put_uint(out, deletion->matcher_count);
    for (uint32_t i = 0; i < deletion->matcher_count; i++) {
        buf_add_byte(out, (char)deletion->matchers[i].type);
        put_text(out, deletion->matchers[i].name);
        put_text(out, deletion->matchers[i].value);
    }
}

static void put_gone(struct buf *out, const struct catalog_gone *gone)
{
    buf_add(out, gone->ulid.bytes, ULID_SIZE);
    put_int(out, gone->window_t_min_ms);
    put_int(out, gone->window_t_end_ms);
    put_uint(out, gone->watermark);
}

/* Where the record starts. */
static size_t begin_record(struct buf *out, enum catalog_kind kind, uint64_t version)
{
    const size_t start = out->len;
    char head[CATALOG_RECORD_HEAD_SIZE] = {0};

    endian_put_u64le(head + 8, version);
    head[16] = (char)kind;
    buf_add(out, head, sizeof(head));
    return start;
}

static void end_record(struct buf *out, size_t start)
{
    if (out->err != ERR_OK)
        return;
    const size_t size = out->len - start - 8;
    endian_put_u32le(out->data + start, (uint32_t)size);
    endian_put_u32le(out->data + start + 4, crc32c(0, out->data + start + 8, size));
}

void catalog_put_snapshot(struct buf *out, const struct catalog_state *state)
{
    const size_t start = begin_record(out, CATALOG_SNAPSHOT, state->version);

    put_uint(out, state->count);
    for (uint32_t i = 0; i < state->count; i++)
        put_entry(out, &state->entries[i]);
    put_uint(out, state->deletion_count);
    for (uint32_t i = 0; i < state->deletion_count; i++)
        put_deletion(out, state->deletions[i], state->deletions[i]->version);
    put_uint(out, state->gone_count);
    for (uint32_t i = 0; i < state->gone_count; i++)
        put_gone(out, &state->gone[i]);
    end_record(out, start);
}

void catalog_put_change(struct buf *out, const struct catalog_state *state,
                        const struct catalog_change *change)
{
    const uint64_t version = state->version + 1;
    const size_t start =
        begin_record(out, change->is_loss ? CATALOG_LOSS : CATALOG_CHANGE, version);

    put_uint(out, change->attach_count);
    for (uint32_t i = 0; i < change->attach_count; i++)
        put_entry(out, &change->attach[i]);
    put_uint(out, change->deletion_count);
    for (uint32_t i = 0; i < change->deletion_count; i++)
        put_deletion(out, &change->deletions[i], version);
    put_uint(out, change->detach_count);
    for (uint32_t i = 0; i < change->detach_count; i++)
        buf_add(out, change->detach[i].bytes, ULID_SIZE);
    end_record(out, start);
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
        !varint_take_u64(rest, &entry->watermark) ||
        !varint_take_u64(rest, &entry->cleaned_version) ||
        !varint_take_u64(rest, &entry->series_count) ||
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

static bool take_text(struct slice *rest, size_t max, struct slice *text)
{
    uint64_t len;

    if (!varint_take_u64(rest, &len) || len > max || len > rest->len)
        return false;
    *text = slice_of(rest->data, (size_t)len);
    *rest = slice_skip(*rest, (size_t)len);
    return true;
}

static bool take_ulid(struct slice *rest, struct ulid *ulid)
{
    if (rest->len < ULID_SIZE)
        return false;
    memcpy(ulid->bytes, rest->data, ULID_SIZE);
    *rest = slice_skip(*rest, ULID_SIZE);
    return true;
}

static bool take_deletion(struct slice *rest, struct catalog_deletion *deletion,
                          struct matcher_spec *specs)
{
    uint64_t count;

    if (!varint_take_u64(rest, &deletion->version) ||
        !take_text(rest, BLOCK_TENANT_SIZE - 1, &deletion->tenant) ||
        !varint_take_i64(rest, &deletion->t_min_ms) ||
        !varint_take_i64(rest, &deletion->t_max_ms) || !varint_take_u64(rest, &count) ||
        count == 0 || count > CATALOG_DELETION_MATCHERS_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (rest->len == 0 || (uint8_t)rest->data[0] > MATCHER_NOT_REGEX)
            return false;
        specs[i].type = (enum matcher_type)rest->data[0];
        *rest = slice_skip(*rest, 1);
        if (!take_text(rest, CATALOG_DELETION_SIZE_MAX, &specs[i].name) ||
            !take_text(rest, CATALOG_DELETION_SIZE_MAX, &specs[i].value))
            return false;
    }
    deletion->matchers = specs;
    deletion->matcher_count = (uint32_t)count;
    return true;
}

static bool take_gone(struct slice *rest, struct catalog_gone *gone)
{
    return take_ulid(rest, &gone->ulid) && varint_take_i64(rest, &gone->window_t_min_ms) &&
           varint_take_i64(rest, &gone->window_t_end_ms) && varint_take_u64(rest, &gone->watermark);
}

static bool apply_entries(struct catalog_state *state, struct slice *rest, uint64_t version)
{
    struct catalog_entry entry;
    uint64_t count;

    if (!varint_take_u64(rest, &count))
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (!take_entry(rest, &entry) || entry.cleaned_version > version ||
            !catalog_state_attach(state, &entry))
            return false;
    return true;
}

static bool apply_deletions(struct catalog_state *state, struct slice *rest, uint64_t version)
{
    struct matcher_spec specs[CATALOG_DELETION_MATCHERS_MAX];
    struct catalog_deletion deletion;
    uint64_t count;

    if (!varint_take_u64(rest, &count))
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (!take_deletion(rest, &deletion, specs) || deletion.version > version ||
            !catalog_state_delete(state, &deletion))
            return false;
    return true;
}

static bool apply_removals(struct catalog_state *state, struct slice *rest, enum catalog_kind kind)
{
    struct catalog_gone gone;
    uint64_t count;

    if (!varint_take_u64(rest, &count))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (kind == CATALOG_SNAPSHOT
                ? !take_gone(rest, &gone) || !catalog_state_add_gone(state, &gone)
                : !take_ulid(rest, &gone.ulid) ||
                      !catalog_state_detach(state, gone.ulid, kind == CATALOG_CHANGE))
            return false;
    }
    return true;
}

static bool apply_record(struct catalog_state *state, struct slice record)
{
    const uint64_t version = endian_get_u64le(record.data + 8);
    const uint8_t kind = (uint8_t)record.data[16];
    struct slice rest = slice_skip(record, CATALOG_RECORD_HEAD_SIZE);

    if (kind < CATALOG_SNAPSHOT || kind > CATALOG_LOSS ||
        (kind != CATALOG_SNAPSHOT && version != state->version + 1))
        return false;
    if (!apply_entries(state, &rest, version) || !apply_deletions(state, &rest, version) ||
        !apply_removals(state, &rest, (enum catalog_kind)kind))
        return false;
    catalog_state_prune(state);
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
