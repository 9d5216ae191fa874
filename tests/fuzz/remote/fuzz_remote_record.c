/* SPDX-License-Identifier: Apache-2.0 */
/* A segment of the sender's queue: scanning ends, a record is only taken with its checksum, and
 * entries that can be read are written again as they were. The first byte says what the rest is:
 * a segment, a payload, or a slot of a position. */
#include "base/assert.h"
#include "remote/remote_log_internal.h"
#include "remote/remote_position.h"

static void read_labels(struct slice bytes)
{
    struct label_set labels;
    struct arena arena;
    struct buf again;

    arena_init(&arena, NULL, 0);
    buf_init(&again, 1 << 24);
    if (remote_labels_get(bytes, &arena, &labels) == ERR_OK) {
        struct label_set twice;

        for (uint32_t i = 1; i < labels.count; i++)
            ASSERT(slice_cmp(labels.items[i - 1].name, labels.items[i].name) < 0);
        remote_labels_put(&again, labels);
        ASSERT(remote_labels_get(buf_slice(&again), &arena, &twice) == ERR_OK);
        ASSERT(label_set_eq(labels, twice));
    }
    buf_fini(&again);
    arena_fini(&arena);
}

static void read_payload(struct slice payload)
{
    struct remote_entry_reader reader, second;
    struct remote_entry_base base = {0};
    struct remote_entry entry, other;
    uint64_t count = 0;
    struct buf again;

    buf_init(&again, 1 << 24);
    remote_entry_reader_init(&reader, payload, 7);
    while (remote_entry_next(&reader, &entry)) {
        if (entry.kind == REMOTE_ENTRY_DEFINE)
            read_labels(entry.body);
        else
            ASSERT(entry.seq == 7 + count++);
        remote_entry_put(&again, &base, &entry);
    }
    remote_entry_reader_init(&reader, payload, 7);
    remote_entry_reader_init(&second, buf_slice(&again), 7);
    while (remote_entry_next(&reader, &entry)) {
        ASSERT(remote_entry_next(&second, &other));
        ASSERT(entry.kind == other.kind && entry.series == other.series);
        ASSERT(entry.t_ms == other.t_ms && entry.start_t_ms == other.start_t_ms);
        ASSERT(entry.v_bits == other.v_bits && slice_eq(entry.body, other.body));
    }
    buf_fini(&again);
}

static void read_segment(struct slice bytes)
{
    struct remote_segment_header segment;
    struct remote_record_header header;
    size_t offset = 0;

    if (remote_segment_header_get(bytes, &segment, NULL) == ERR_OK)
        ASSERT(segment.number > 0);
    while (remote_log_find_record(bytes, &offset, &header)) {
        ASSERT(header.stored_size <= header.raw_size);
        ASSERT(offset + REMOTE_RECORD_HEADER_SIZE + header.stored_size <= bytes.len);
        if (header.stored_size == header.raw_size)
            read_payload(
                slice_of(bytes.data + offset + REMOTE_RECORD_HEADER_SIZE, header.stored_size));
        offset += REMOTE_RECORD_HEADER_SIZE + header.stored_size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes;

    if (size < 1)
        return 0;
    bytes = slice_of(data + 1, size - 1);
    if (data[0] % 3 == 0) {
        read_segment(bytes);
    } else if (data[0] % 3 == 1) {
        read_payload(bytes);
    } else if (bytes.len >= REMOTE_POSITION_SLOT_SIZE) {
        uint64_t seqs[REMOTE_PARTITION_COUNT], generation;

        (void)(remote_position_get((const uint8_t *)bytes.data, &generation, seqs, NULL) == ERR_OK);
    }
    return 0;
}
