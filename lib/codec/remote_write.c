/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/remote_write.h"

#include <inttypes.h>

#include "base/endian.h"
#include "base/utf8.h"
#include "base/varint.h"
#include "codec/remote_write_internal.h"
#include "codec/wire_internal.h"

/* Field numbers of prometheus.WriteRequest and what it holds. */
enum {
    REQUEST_TIMESERIES = 1,
    REQUEST_METADATA = 3,
    SERIES_LABELS = 1,
    SERIES_SAMPLES = 2,
    SERIES_EXEMPLARS = 3,
    SERIES_HISTOGRAMS = 4,
    LABEL_NAME = 1,
    LABEL_VALUE = 2,
    SAMPLE_VALUE = 1,
    SAMPLE_TIMESTAMP = 2,
    METADATA_TYPE = 1,
    METADATA_NAME = 2,
    METADATA_HELP = 4,
    METADATA_UNIT = 5,
};

/* First bytes of the fields of the hot path: number << 3 | type, all below 0x80. */
enum {
    TAG_LABELS = SERIES_LABELS << 3 | WIRE_BYTES,
    TAG_SAMPLES = SERIES_SAMPLES << 3 | WIRE_BYTES,
    TAG_LABEL_NAME = LABEL_NAME << 3 | WIRE_BYTES,
    TAG_LABEL_VALUE = LABEL_VALUE << 3 | WIRE_BYTES,
    TAG_SAMPLE_VALUE = SAMPLE_VALUE << 3 | WIRE_FIXED64,
    TAG_SAMPLE_TIMESTAMP = SAMPLE_TIMESTAMP << 3 | WIRE_VARINT,
};

static const char TEXT_CUT[] = REMOTE_WRITE_TEXT_CUT;

void remote_write_reader_init(struct remote_write_reader *reader, struct slice request,
                              const struct remote_write_limits *limits)
{
    *reader = (struct remote_write_reader){.limits = *limits};
    reader->at = (const uint8_t *)request.data;
    reader->end = request.len == 0 ? reader->at : reader->at + request.len;
}

bool remote_write_fail(struct remote_write_reader *reader, enum err err, const char *text)
{
    reader->err = err;
    reader->error_text = text;
    return false;
}

/* Looks for label fields in the tail of a message, after other fields. false: malformed. */
static bool remote_write_gather(struct slice message, struct slice tail,
                                struct remote_write_series *series)
{
    struct wire_reader r;
    struct wire_field field;

    wire_reader_init(&r, tail);
    while (wire_next(&r, &field)) {
        if (field.number != SERIES_LABELS)
            continue;
        series->label_count++;
        series->is_scattered = true;
    }
    if (series->is_scattered) {
        series->labels_raw = message;
        series->items = message;
    }
    return !r.bad;
}

/* Splits a TimeSeries into its labels and the rest. false: malformed. */
static bool remote_write_split(struct slice message, struct remote_write_series *series)
{
    const uint8_t *const start = (const uint8_t *)message.data;
    const uint8_t *at = start, *end = start + message.len;
    uint64_t length;

    *series = (struct remote_write_series){.symbols = NULL};
    while (at < end && *at == TAG_LABELS) {
        const size_t size = varint_get_u64(at + 1, end, &length);

        at += 1 + size;
        if (size == 0 || size > WIRE_HEAD_SIZE_MAX || length > (uint64_t)(end - at))
            return false;
        at += length;
        series->label_count++;
    }
    series->labels_raw = slice_of(start, (size_t)(at - start));
    series->items = slice_of(at, (size_t)(end - at));
    /* Known senders put nothing but samples behind: then this walk ends the look for labels. */
    while (end - at >= 2 && at[0] == TAG_SAMPLES && at[1] < 0x80 && at[1] <= end - at - 2)
        at += 2 + at[1];
    return at == end || remote_write_gather(message, slice_of(at, (size_t)(end - at)), series);
}

bool remote_write_next(struct remote_write_reader *reader, struct remote_write_entry *entry)
{
    struct wire_reader r = {.at = reader->at, .end = reader->end};
    struct wire_field field;

    if (reader->err != ERR_OK)
        return false;
    if (reader->symbols != NULL)
        return remote_write2_next(reader, entry);
    while (wire_next(&r, &field)) {
        if (field.number != REQUEST_TIMESERIES && field.number != REQUEST_METADATA)
            continue;
        if (field.type != WIRE_BYTES)
            return remote_write_fail(reader, ERR_BAD_INPUT, TEXT_CUT);
        reader->at = r.at;
        if (field.number == REQUEST_METADATA) {
            entry->kind = REMOTE_WRITE_METADATA;
            entry->metadata = field.bytes;
            return true;
        }
        entry->kind = REMOTE_WRITE_SERIES;
        if (reader->limits.series_count_max != 0 &&
            reader->series_count == reader->limits.series_count_max)
            return remote_write_fail(reader, ERR_LIMIT, "remote write: too many series");
        if (!remote_write_split(field.bytes, &entry->series))
            return remote_write_fail(reader, ERR_BAD_INPUT, TEXT_CUT);
        if (reader->limits.label_count_max != 0 &&
            entry->series.label_count > reader->limits.label_count_max)
            return remote_write_fail(reader, ERR_LIMIT,
                                     "remote write: too many labels in a series");
        reader->series_count++;
        return true;
    }
    if (r.bad)
        return remote_write_fail(reader, ERR_BAD_INPUT, TEXT_CUT);
    reader->at = reader->end;
    return false;
}

/* A Label message of any legal form. */
static enum err remote_write_label_slow(struct slice message, struct label *label)
{
    struct wire_reader r;
    struct wire_field field;

    *label = (struct label){{NULL, 0}, {NULL, 0}};
    wire_reader_init(&r, message);
    while (wire_next(&r, &field)) {
        if (field.number != LABEL_NAME && field.number != LABEL_VALUE)
            continue;
        if (field.type != WIRE_BYTES)
            return ERR_BAD_INPUT;
        if (field.number == LABEL_NAME)
            label->name = field.bytes;
        else
            label->value = field.bytes;
    }
    return r.bad ? ERR_BAD_INPUT : ERR_OK;
}

/* The form that senders write: name, then value, both short. */
static enum err remote_write_label(struct slice message, struct label *label)
{
    const uint8_t *const at = (const uint8_t *)message.data;
    size_t name_len, value_len;

    if (message.len < 4 || at[0] != TAG_LABEL_NAME || at[1] >= 0x80 || message.len < 4u + at[1])
        return remote_write_label_slow(message, label);
    name_len = at[1];
    value_len = at[3 + name_len];
    if (at[2 + name_len] != TAG_LABEL_VALUE || message.len != 4 + name_len + value_len ||
        value_len >= 0x80)
        return remote_write_label_slow(message, label);
    label->name = slice_of(at + 2, name_len);
    label->value = slice_of(at + 4 + name_len, value_len);
    return ERR_OK;
}

struct label_set remote_write_labels_sorted(struct label *items, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (slice_cmp(items[i - 1].name, items[i].name) > 0) {
            label_sort(items, count);
            break;
        }
    }
    return (struct label_set){items, count};
}

/* The label fields (number `labels`) of a message, decoded in order into the arena. */
static enum err remote_write_labels_decode(struct slice message, uint32_t count,
                                           struct arena *arena, struct label_set *set,
                                           struct err_info *info)
{
    struct label *items = arena_alloc(arena, count * sizeof(*items));
    struct wire_reader r;
    struct wire_field field;
    uint32_t kept = 0;

    if (items == NULL)
        return err_set(info, ERR_LIMIT, "remote write: no memory for %u labels", count);
    wire_reader_init(&r, message);
    while (wire_next(&r, &field)) {
        if (field.number != SERIES_LABELS)
            continue;
        if (field.type != WIRE_BYTES || remote_write_label(field.bytes, &items[kept]) != ERR_OK)
            return err_set(info, ERR_BAD_INPUT, "%s in a label", TEXT_CUT);
        if (items[kept].value.len != 0 || items[kept].name.len == 0)
            kept++;
    }
    ASSERT(!r.bad);
    *set = remote_write_labels_sorted(items, kept);
    return ERR_OK;
}

enum err remote_write_labels(const struct remote_write_series *series, struct arena *arena,
                             enum label_scheme scheme, struct label_set *labels,
                             struct err_info *info)
{
    struct label_set set;
    enum err err = series->symbols != NULL
                       ? remote_write2_labels_decode(series, arena, &set, info)
                       : remote_write_labels_decode(series->labels_raw, series->label_count, arena,
                                                    &set, info);

    if (err == ERR_OK)
        err = label_set_check(set, scheme, info);
    if (err == ERR_OK)
        *labels = set;
    return err;
}

bool remote_write_series_hash(const struct remote_write_series *series, const struct hash_key *key,
                              struct hash128 *hash)
{
    if (series->symbols != NULL)
        return remote_write2_series_hash(series, key, hash);
    *hash = hash128(key, series->labels_raw);
    return !series->is_scattered;
}

void remote_write_items_init(struct remote_write_items *items,
                             const struct remote_write_series *series)
{
    items->err = ERR_OK;
    items->created_ms = series->created_ms;
    items->is_version2 = series->symbols != NULL;
    items->at = (const uint8_t *)series->items.data;
    items->end = series->items.len == 0 ? items->at : items->at + series->items.len;
}

/* A Sample message of any legal form. */
static bool remote_write_sample_slow(struct slice message, struct sample *sample)
{
    struct wire_reader r;
    struct wire_field field;

    *sample = (struct sample){0, 0};
    wire_reader_init(&r, message);
    while (wire_next(&r, &field)) {
        if (field.number == SAMPLE_VALUE) {
            if (field.type != WIRE_FIXED64)
                return false;
            sample->v = sample_value_from_bits(field.value);
        } else if (field.number == SAMPLE_TIMESTAMP) {
            if (field.type != WIRE_VARINT)
                return false;
            sample->t_ms = (int64_t)field.value;
        }
    }
    return !r.bad;
}

/* The form that senders write: value, then timestamp, nothing else. */
static bool remote_write_sample(const uint8_t *at, size_t length, struct sample *sample)
{
    const uint8_t *const end = at + length;
    uint64_t t;

    if (length >= 11 && at[0] == TAG_SAMPLE_VALUE && at[9] == TAG_SAMPLE_TIMESTAMP &&
        varint_get_u64(at + 10, end, &t) == length - 10) {
        sample->v = sample_value_from_bits(endian_get_u64le(at + 1));
        sample->t_ms = (int64_t)t;
        return true;
    }
    return remote_write_sample_slow(slice_of(at, length), sample);
}

bool remote_write_item_fail(struct remote_write_items *items)
{
    items->err = ERR_BAD_INPUT;
    return false;
}

static bool remote_write_item_slow(struct remote_write_items *items, struct remote_write_item *item)
{
    struct wire_reader r = {.at = items->at, .end = items->end};
    struct wire_field field;

    while (wire_next(&r, &field)) {
        if (field.number < SERIES_LABELS || field.number > SERIES_HISTOGRAMS)
            continue;
        if (field.type != WIRE_BYTES)
            return remote_write_item_fail(items);
        if (field.number == SERIES_LABELS)
            continue;
        items->at = r.at;
        if (field.number != SERIES_SAMPLES) {
            item->kind =
                field.number == SERIES_EXEMPLARS ? REMOTE_WRITE_EXEMPLAR : REMOTE_WRITE_HISTOGRAM;
            item->message = field.bytes;
            return true;
        }
        item->kind = REMOTE_WRITE_SAMPLE;
        return remote_write_sample_slow(field.bytes, &item->sample) ||
               remote_write_item_fail(items);
    }
    if (r.bad)
        return remote_write_item_fail(items);
    items->at = items->end;
    return false;
}

bool remote_write_item_next(struct remote_write_items *items, struct remote_write_item *item)
{
    const uint8_t *const at = items->at;

    if (items->err != ERR_OK || at == items->end)
        return false;
    /* A sample is at most 31 bytes, so its length is one byte. */
    if (items->end - at >= 2 && at[0] == TAG_SAMPLES && at[1] < 0x80 &&
        at[1] <= items->end - at - 2) {
        item->kind = REMOTE_WRITE_SAMPLE;
        item->start_t_ms = items->created_ms;
        if (items->is_version2 ? remote_write2_sample(at + 2, at[1], item)
                               : remote_write_sample(at + 2, at[1], &item->sample)) {
            items->at = at + 2 + at[1];
            return true;
        }
        return remote_write_item_fail(items);
    }
    if (items->is_version2)
        return remote_write2_item_slow(items, item);
    item->start_t_ms = 0;
    return remote_write_item_slow(items, item);
}

enum err remote_write_metadata(struct slice message, struct metadata *metadata,
                               struct err_info *info)
{
    struct metadata read = {.type = METRIC_TYPE_UNKNOWN};
    struct wire_reader r;
    struct wire_field field;

    wire_reader_init(&r, message);
    while (wire_next(&r, &field)) {
        const bool is_text = field.number == METADATA_NAME || field.number == METADATA_HELP ||
                             field.number == METADATA_UNIT;

        if (is_text ? field.type != WIRE_BYTES
                    : field.number == METADATA_TYPE && field.type != WIRE_VARINT)
            return err_set(info, ERR_BAD_INPUT, "%s in metadata", TEXT_CUT);
        if (field.number == METADATA_TYPE)
            read.type = (uint32_t)field.value <= METRIC_TYPE_STATESET
                            ? (enum metric_type)(uint32_t)field.value
                            : METRIC_TYPE_UNKNOWN;
        else if (field.number == METADATA_NAME)
            read.metric = field.bytes;
        else if (field.number == METADATA_HELP)
            read.help = field.bytes;
        else if (field.number == METADATA_UNIT)
            read.unit = field.bytes;
    }
    if (r.bad)
        return err_set(info, ERR_BAD_INPUT, "%s in metadata", TEXT_CUT);
    if (!utf8_is_valid(read.metric) || !utf8_is_valid(read.help) || !utf8_is_valid(read.unit))
        return err_set(info, ERR_BAD_INPUT, "remote write: metadata is not valid UTF-8");
    *metadata = read;
    return ERR_OK;
}

static enum err remote_write_scan_series(const struct remote_write_series *series,
                                         struct remote_write_counts *counts)
{
    struct remote_write_items items;
    struct remote_write_item item;
    struct wire_reader r;
    struct wire_field field;
    struct label label;

    wire_reader_init(&r, series->labels_raw);
    while (wire_next(&r, &field)) {
        if (field.number == SERIES_LABELS &&
            (field.type != WIRE_BYTES || remote_write_label(field.bytes, &label) != ERR_OK))
            return ERR_BAD_INPUT;
    }
    counts->labels += series->label_count;
    remote_write_items_init(&items, series);
    while (remote_write_item_next(&items, &item)) {
        switch (item.kind) {
        case REMOTE_WRITE_SAMPLE:
            counts->samples++;
            break;
        case REMOTE_WRITE_EXEMPLAR:
            counts->exemplars++;
            break;
        case REMOTE_WRITE_HISTOGRAM:
            counts->histograms++;
            break;
        }
    }
    return items.err;
}

enum err remote_write_scan(struct slice request, const struct remote_write_limits *limits,
                           struct remote_write_counts *counts, struct err_info *info)
{
    struct remote_write_counts found = {0};
    struct remote_write_reader reader;
    struct remote_write_entry entry;

    remote_write_reader_init(&reader, request, limits);
    while (remote_write_next(&reader, &entry)) {
        if (entry.kind == REMOTE_WRITE_METADATA) {
            found.metadata++;
            continue;
        }
        found.series++;
        if (remote_write_scan_series(&entry.series, &found) != ERR_OK)
            return err_set(info, ERR_BAD_INPUT, "%s in time series %" PRIu64, TEXT_CUT,
                           found.series);
    }
    if (reader.err != ERR_OK)
        return err_set(info, reader.err, "%s (after time series %" PRIu64 ")", reader.error_text,
                       found.series);
    *counts = found;
    return ERR_OK;
}
