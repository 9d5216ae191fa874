/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of the log: what decodes, encodes and decodes to the same again. */
#include "base/assert.h"
#include "model/order.h"
#include "storage/head_record.h"

static void check_series(struct slice payload)
{
    static struct head_record_series series, again;
    struct buf buf;
    enum err err;

    if (head_record_get_series(payload, &series) != ERR_OK)
        return;
    buf_init(&buf, 1 << 20);
    head_record_put_series(&buf, series.ref, series.tenant,
                           (struct label_set){series.labels, series.label_count});
    err = head_record_get_series(buf_slice(&buf), &again);
    ASSERT(err == ERR_OK);
    ASSERT(again.ref.slot == series.ref.slot);
    ASSERT(again.ref.gen == series.ref.gen);
    ASSERT(again.label_count == series.label_count);
    buf_fini(&buf);
}

static void check_samples(struct slice payload)
{
    struct head_entry entries[HEAD_RECORD_BATCH], copies[HEAD_RECORD_BATCH];
    struct head_record_reader reader, copy;
    struct head_record_writer writer;
    struct slice tenant;
    unsigned count, copied;
    struct buf buf;
    enum err err;

    if (head_record_open_samples(&reader, payload, &tenant) != ERR_OK)
        return;
    buf_init(&buf, 1 << 20);
    head_record_start_samples(&writer, &buf, tenant, reader.out_of_order_ms);
    while ((count = head_record_next(&reader, entries)) > 0)
        for (unsigned i = 0; i < count; i++) {
            const char *room = buf_reserve(&buf, HEAD_RECORD_ENTRY_SIZE_MAX);

            if (room == NULL)
                goto out;
            buf.len += head_record_put_entry(&writer, buf.data + buf.len, &entries[i]);
        }
    err = head_record_open_samples(&reader, payload, &tenant);
    ASSERT(err == ERR_OK);
    err = head_record_open_samples(&copy, buf_slice(&buf), &tenant);
    ASSERT(err == ERR_OK);
    ASSERT(reader.out_of_order_ms == copy.out_of_order_ms);
    while ((count = head_record_next(&reader, entries)) > 0) {
        copied = head_record_next(&copy, copies);
        ASSERT(copied >= count);
        for (unsigned i = 0; i < count; i++) {
            ASSERT(entries[i].ref.slot == copies[i].ref.slot);
            ASSERT(entries[i].ref.gen == copies[i].ref.gen);
            ASSERT(entries[i].t_ms == copies[i].t_ms);
            ASSERT(entries[i].v_bits == copies[i].v_bits);
        }
    }
    ASSERT(copy.err == ERR_OK);
out:
    buf_fini(&buf);
}

static void check_histogram(const struct head_wide_entry *entry)
{
    struct head_record_histogram record, again;
    struct head_wide_entry copy = *entry;
    struct arena arena;
    struct buf body;

    arena_init(&arena, NULL, 0);
    buf_init(&body, 1 << 24);
    if (head_record_get_histogram(entry, &arena, &record) == ERR_OK) {
        head_record_put_histogram_body(&body, entry->t_ms, record.start_t_ms, &record.histogram);
        ASSERT(body.err == ERR_OK);
        copy.body = buf_slice(&body);
        const enum err err = head_record_get_histogram(&copy, &arena, &again);
        ASSERT(err == ERR_OK);
        ASSERT(again.start_t_ms == record.start_t_ms);
        ASSERT(order_histograms(&again.histogram, &record.histogram) == 0);
    }
    buf_fini(&body);
    arena_fini(&arena);
}

static void check_exemplar(const struct head_wide_entry *entry)
{
    struct head_wide_entry copy = *entry;
    struct exemplar exemplar, again;
    struct arena arena;
    struct buf body;

    arena_init(&arena, NULL, 0);
    buf_init(&body, 1 << 24);
    if (head_record_get_exemplar(entry, &arena, &exemplar) == ERR_OK) {
        head_record_put_exemplar_body(&body, &exemplar);
        copy.body = buf_slice(&body);
        const enum err err = head_record_get_exemplar(&copy, &arena, &again);
        ASSERT(err == ERR_OK);
        ASSERT(label_set_eq(exemplar.labels, again.labels));
        ASSERT(sample_value_bits(exemplar.v) == sample_value_bits(again.v));
    }
    buf_fini(&body);
    arena_fini(&arena);
}

static void check_metadata(const struct head_wide_entry *entry)
{
    struct head_wide_entry copy = *entry;
    struct metadata metadata, again;
    struct buf body;

    buf_init(&body, 1 << 24);
    if (head_record_get_metadata(entry, &metadata) == ERR_OK) {
        head_record_put_metadata_body(&body, &metadata);
        copy.body = buf_slice(&body);
        const enum err err = head_record_get_metadata(&copy, &again);
        ASSERT(err == ERR_OK);
        ASSERT(slice_eq(metadata.help, again.help));
        ASSERT(metadata.type == again.type);
    }
    buf_fini(&body);
}

/* Entries of all kinds, to the end. */
static void check_wide(struct slice payload)
{
    struct head_entry entries[HEAD_RECORD_BATCH];
    struct head_record_reader reader;
    struct head_wide_entry entry;
    struct slice tenant;
    uint64_t v_bits;
    int64_t start_t_ms;

    if (head_record_open_samples(&reader, payload, &tenant) != ERR_OK)
        return;
    do {
        while (head_record_next(&reader, entries) > 0)
            ;
        while (head_record_next_wide(&reader, &entry)) {
            ASSERT(entry.kind < HEAD_WIDE_KINDS);
            if (entry.kind == HEAD_WIDE_HISTOGRAM)
                check_histogram(&entry);
            else if (entry.kind == HEAD_WIDE_EXEMPLAR)
                check_exemplar(&entry);
            else if (entry.kind == HEAD_WIDE_METADATA)
                check_metadata(&entry);
            else if (head_record_get_float(&entry, &start_t_ms, &v_bits) != ERR_OK)
                break;
        }
    } while (reader.err == ERR_OK && reader.rest.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice payload = slice_of(data, size);

    check_series(payload);
    check_samples(payload);
    check_wide(payload);
    return 0;
}
