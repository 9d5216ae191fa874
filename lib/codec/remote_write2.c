/* SPDX-License-Identifier: Apache-2.0 */

/* Remote write 2.0, the reading half. Series lie as in 1.0 but for their labels: numbers of texts
 * in the request's table, packed varints, name and value in turn. The key of a series is a hash
 * over the hashes of its texts, so that it does not depend on how a request numbers them. */
#include "codec/remote_write.h"

#include "base/endian.h"
#include "base/utf8.h"
#include "base/varint.h"
#include "codec/remote_write_internal.h"
#include "codec/wire_internal.h"

/* Field numbers of io.prometheus.write.v2.Request and what it holds. */
enum {
    REQUEST_SYMBOLS = 4,
    REQUEST_TIMESERIES = 5,
    SERIES_LABELS = 1,
    SERIES_SAMPLES = 2,
    SERIES_HISTOGRAMS = 3,
    SERIES_EXEMPLARS = 4,
    SERIES_METADATA = 5,
    SERIES_CREATED = 6, /* gone from the final protocol */
    SAMPLE_VALUE = 1,
    SAMPLE_TIMESTAMP = 2,
    SAMPLE_START = 3,
    EXEMPLAR_LABELS = 1,
    EXEMPLAR_VALUE = 2,
    EXEMPLAR_TIMESTAMP = 3,
    METADATA_TYPE = 1,
    METADATA_HELP = 3,
    METADATA_UNIT = 4,
};

STATIC_ASSERT(METADATA_UNIT < 16, "tags of one byte");

enum {
    TAG_LABELS = SERIES_LABELS << 3 | WIRE_BYTES,
    TAG_SAMPLES = SERIES_SAMPLES << 3 | WIRE_BYTES,
    TAG_METADATA = SERIES_METADATA << 3 | WIRE_BYTES,
    TAG_SAMPLE_VALUE = SAMPLE_VALUE << 3 | WIRE_FIXED64,
    TAG_SAMPLE_TIMESTAMP = SAMPLE_TIMESTAMP << 3 | WIRE_VARINT,
    TAG_SAMPLE_START = SAMPLE_START << 3 | WIRE_VARINT,
    KEY_TEXTS_MAX = 512, /* of one series; those of more are decoded each time */
};

static const char TEXT_CUT[] = REMOTE_WRITE_TEXT_CUT;

static enum err symbols_count(struct slice request, uint32_t max, uint32_t *count,
                              struct err_info *info)
{
    struct wire_reader r;
    struct wire_field field;
    uint32_t found = 0;

    wire_reader_init(&r, request);
    while (wire_next(&r, &field)) {
        if (field.number != REQUEST_SYMBOLS)
            continue;
        if (field.type != WIRE_BYTES)
            return err_set(info, ERR_BAD_INPUT, "%s: a symbol that is no text", TEXT_CUT);
        if (max != 0 && found == max)
            return err_set(info, ERR_TOO_LARGE, "remote write: more than %u symbols", max);
        found++;
    }
    if (r.bad)
        return err_set(info, ERR_BAD_INPUT, "%s", TEXT_CUT);
    *count = found;
    return ERR_OK;
}

enum err remote_write2_symbols(struct slice request, const struct remote_write_limits *limits,
                               struct arena *arena, struct remote_write_symbols *symbols,
                               struct err_info *info)
{
    struct wire_reader r;
    struct wire_field field;
    struct slice *texts;
    struct hash128 *hashes;
    uint32_t count = 0, filled = 0;
    const enum err err = symbols_count(request, limits->symbol_count_max, &count, info);

    if (err != ERR_OK)
        return err;
    texts = arena_alloc(arena, count * sizeof(*texts));
    hashes = arena_alloc(arena, count * sizeof(*hashes));
    if (texts == NULL || hashes == NULL)
        return err_set(info, ERR_LIMIT, "remote write: no memory for %u symbols", count);
    wire_reader_init(&r, request);
    while (filled < count && wire_next(&r, &field)) {
        if (field.number != REQUEST_SYMBOLS)
            continue;
        texts[filled] = field.bytes;
        hashes[filled++] = hash128(symbols->key, field.bytes);
    }
    symbols->texts = texts;
    symbols->hashes = hashes;
    symbols->count = count;
    return ERR_OK;
}

void remote_write2_reader_init(struct remote_write_reader *reader, struct slice request,
                               const struct remote_write_limits *limits,
                               const struct remote_write_symbols *symbols)
{
    remote_write_reader_init(reader, request, limits);
    reader->symbols = symbols;
}

/* The fields behind the first labels and samples. false: malformed. */
static bool split_tail(struct slice tail, struct remote_write_series *series)
{
    struct wire_reader r;
    struct wire_field field;

    wire_reader_init(&r, tail);
    while (wire_next(&r, &field)) {
        switch (field.number) {
        case SERIES_LABELS:
            if (field.type != WIRE_BYTES && field.type != WIRE_VARINT)
                return false;
            series->is_scattered = true;
            break;
        case SERIES_SAMPLES:
        case SERIES_HISTOGRAMS:
        case SERIES_EXEMPLARS:
            if (field.type != WIRE_BYTES)
                return false;
            series->has_items = true;
            break;
        case SERIES_METADATA:
            if (field.type != WIRE_BYTES)
                return false;
            series->metadata = series->has_metadata ? (struct slice){0} : field.bytes;
            series->has_metadata = true;
            break;
        case SERIES_CREATED:
            if (field.type != WIRE_VARINT)
                return false;
            series->created_ms = (int64_t)field.value;
            break;
        default:
            break;
        }
    }
    return !r.bad;
}

/* Splits a TimeSeries into the numbers of its labels and the rest. false: malformed. */
static bool split(struct slice message, struct remote_write_series *series)
{
    const uint8_t *at = (const uint8_t *)message.data;
    const uint8_t *const end = at + message.len;
    uint64_t length;

    if (at < end && *at == TAG_LABELS) {
        const size_t size = varint_get_u64(at + 1, end, &length);

        at += 1 + size;
        if (size == 0 || size > WIRE_HEAD_SIZE_MAX || length > (uint64_t)(end - at))
            return false;
        series->labels_raw = slice_of(at, (size_t)length);
        at += length;
    }
    series->items = slice_of(at, (size_t)(end - at));
    while (end - at >= 2 && at[0] == TAG_SAMPLES && at[1] < 0x80 && at[1] <= end - at - 2) {
        at += 2 + at[1];
        series->has_items = true;
    }
    if (end - at >= 2 && at[0] == TAG_METADATA && at[1] < 0x80 && at[1] == end - at - 2) {
        series->metadata = slice_of(at + 2, at[1]); /* how known senders end a series */
        series->has_metadata = true;
        return true;
    }
    if (at != end && !split_tail(slice_of(at, (size_t)(end - at)), series))
        return false;
    if (series->is_scattered) {
        series->labels_raw = message;
        series->items = message;
    }
    return true;
}

bool remote_write2_next(struct remote_write_reader *reader, struct remote_write_entry *entry)
{
    struct wire_reader r = {.at = reader->at, .end = reader->end};
    struct wire_field field;

    while (wire_next(&r, &field)) {
        if (field.number != REQUEST_TIMESERIES)
            continue;
        if (field.type != WIRE_BYTES)
            return remote_write_fail(reader, ERR_BAD_INPUT, TEXT_CUT);
        reader->at = r.at;
        if (reader->limits.series_count_max != 0 &&
            reader->series_count == reader->limits.series_count_max)
            return remote_write_fail(reader, ERR_LIMIT, "remote write: too many series");
        entry->kind = REMOTE_WRITE_SERIES;
        entry->series = (struct remote_write_series){.symbols = reader->symbols};
        if (!split(field.bytes, &entry->series))
            return remote_write_fail(reader, ERR_BAD_INPUT, TEXT_CUT);
        reader->series_count++;
        return true;
    }
    if (r.bad)
        return remote_write_fail(reader, ERR_BAD_INPUT, TEXT_CUT);
    reader->at = reader->end;
    return false;
}

bool remote_write2_series_hash(const struct remote_write_series *series, const struct hash_key *key,
                               struct hash128 *hash)
{
    const struct remote_write_symbols *symbols = series->symbols;
    const uint8_t *at, *end;
    struct hash128 texts[KEY_TEXTS_MAX];
    uint32_t count = 0;
    uint64_t ref;

    *hash = (struct hash128){0, 0};
    if (series->is_scattered || series->labels_raw.len == 0)
        return false;
    at = (const uint8_t *)series->labels_raw.data;
    end = at + series->labels_raw.len;
    while (at < end) {
        if (end - at >= 2 && at[0] >= 0x80 && at[1] < 0x80) { /* the usual length */
            ref = (uint64_t)(at[0] & 0x7f) | (uint64_t)at[1] << 7;
            at += 2;
        } else {
            const size_t size = varint_get_u64(at, end, &ref);

            at += size;
            if (size == 0)
                return false;
        }
        if ((uint32_t)ref >= symbols->count || count == KEY_TEXTS_MAX)
            return false;
        texts[count++] = symbols->hashes[(uint32_t)ref];
    }
    *hash = hash128(key, slice_of(texts, count * sizeof(*texts)));
    /* Not what the same bytes as labels of 1.0 give. */
    hash->hi ^= UINT64_C(0x9e3779b97f4a7c15);
    return true;
}

/* The numbers of a message's label fields (number 1), packed or alone, one after the other. Those
 * of a series whose labels lie together come without their field's head. */
struct ref_reader {
    struct wire_reader fields; /* of the message; at its end when there is none */
    struct slice packed;       /* the field under way */
    bool bad;
};

static void refs_init(struct ref_reader *refs, struct slice message, bool is_message)
{
    const struct slice nothing = {0};

    wire_reader_init(&refs->fields, is_message ? message : nothing);
    refs->packed = is_message ? nothing : message;
    refs->bad = false;
}

static bool refs_next(struct ref_reader *refs, uint32_t *ref)
{
    struct wire_field field;
    uint64_t value;

    while (refs->packed.len == 0) {
        if (!wire_next(&refs->fields, &field)) {
            refs->bad |= refs->fields.bad;
            return false;
        }
        if (field.number != SERIES_LABELS)
            continue;
        if (field.type == WIRE_VARINT) {
            *ref = (uint32_t)field.value;
            return true;
        }
        if (field.type != WIRE_BYTES) {
            refs->bad = true;
            return false;
        }
        refs->packed = field.bytes;
    }
    if (!varint_take_u64(&refs->packed, &value)) {
        refs->bad = true;
        return false;
    }
    *ref = (uint32_t)value;
    return true;
}

/* Labels of a series or an exemplar. */
static enum err labels_from_refs(struct slice message, bool is_message,
                                 const struct remote_write_symbols *symbols, struct arena *arena,
                                 struct label_set *set, struct err_info *info)
{
    struct ref_reader refs;
    struct label *items;
    uint32_t ref, ref_max = 0, count = 0, kept = 0;

    refs_init(&refs, message, is_message);
    while (refs_next(&refs, &ref)) {
        ref_max = ref > ref_max ? ref : ref_max;
        count++;
    }
    if (refs.bad)
        return err_set(info, ERR_BAD_INPUT, "%s in the label references", TEXT_CUT);
    if (count != 0 && ref_max >= symbols->count)
        return err_set(info, ERR_BAD_INPUT,
                       "label reference %u is outside of the symbols table (size %u)", ref_max,
                       symbols->count);
    if (count % 2 != 0)
        return err_set(info, ERR_BAD_INPUT,
                       "%u label references: they must be pairs of name and value", count);
    items = arena_alloc(arena, count / 2 * sizeof(*items));
    if (items == NULL)
        return err_set(info, ERR_LIMIT, "remote write: no memory for %u labels", count / 2);
    refs_init(&refs, message, is_message);
    for (uint32_t i = 0; i < count && refs_next(&refs, &ref); i++) {
        if (i % 2 == 0) {
            items[kept].name = symbols->texts[ref];
            continue;
        }
        items[kept].value = symbols->texts[ref];
        kept += items[kept].value.len != 0 || items[kept].name.len == 0;
    }
    *set = remote_write_labels_sorted(items, kept);
    return ERR_OK;
}

enum err remote_write2_labels_decode(const struct remote_write_series *series, struct arena *arena,
                                     struct label_set *set, struct err_info *info)
{
    return labels_from_refs(series->labels_raw, series->is_scattered, series->symbols, arena, set,
                            info);
}

static bool sample_slow(struct slice message, struct remote_write_item *item)
{
    struct wire_reader r;
    struct wire_field field;

    item->sample = (struct sample){0, 0};
    wire_reader_init(&r, message);
    while (wire_next(&r, &field)) {
        if (field.number == SAMPLE_VALUE) {
            if (field.type != WIRE_FIXED64)
                return false;
            item->sample.v = sample_value_from_bits(field.value);
        } else if (field.number == SAMPLE_TIMESTAMP || field.number == SAMPLE_START) {
            if (field.type != WIRE_VARINT)
                return false;
            if (field.number == SAMPLE_TIMESTAMP)
                item->sample.t_ms = (int64_t)field.value;
            else if (field.value != 0)
                item->start_t_ms = (int64_t)field.value;
        }
    }
    return !r.bad;
}

bool remote_write2_sample(const uint8_t *at, size_t length, struct remote_write_item *item)
{
    const uint8_t *const end = at + length;
    uint64_t t = 0, start = 0;
    size_t size;

    /* The form that senders write: value, timestamp, perhaps start timestamp. */
    if (length >= 11 && at[0] == TAG_SAMPLE_VALUE && at[9] == TAG_SAMPLE_TIMESTAMP) {
        const uint8_t *const rest = at + 10 + varint_get_u64(at + 10, end, &t);

        size = rest == end || *rest != TAG_SAMPLE_START ? 0 : varint_get_u64(rest + 1, end, &start);
        if (rest != at + 10 && (rest == end || (size != 0 && rest + 1 + size == end))) {
            item->sample.v = sample_value_from_bits(endian_get_u64le(at + 1));
            item->sample.t_ms = (int64_t)t;
            if (size != 0 && start != 0)
                item->start_t_ms = (int64_t)start;
            return true;
        }
    }
    return sample_slow(slice_of(at, length), item);
}

bool remote_write2_item_slow(struct remote_write_items *items, struct remote_write_item *item)
{
    struct wire_reader r = {.at = items->at, .end = items->end};
    struct wire_field field;

    item->start_t_ms = items->created_ms;
    while (wire_next(&r, &field)) {
        if (field.number < SERIES_SAMPLES || field.number > SERIES_EXEMPLARS)
            continue;
        if (field.type != WIRE_BYTES)
            return remote_write_item_fail(items);
        items->at = r.at;
        if (field.number == SERIES_SAMPLES) {
            item->kind = REMOTE_WRITE_SAMPLE;
            return sample_slow(field.bytes, item) || remote_write_item_fail(items);
        }
        item->kind =
            field.number == SERIES_EXEMPLARS ? REMOTE_WRITE_EXEMPLAR : REMOTE_WRITE_HISTOGRAM;
        item->message = field.bytes;
        return true;
    }
    if (r.bad)
        return remote_write_item_fail(items);
    items->at = items->end;
    return false;
}

enum err remote_write2_exemplar(struct slice message, const struct remote_write_symbols *symbols,
                                struct arena *arena, struct exemplar *exemplar,
                                struct err_info *info)
{
    struct exemplar read = {.has_t = false};
    struct wire_reader r;
    struct wire_field field;
    enum err err;

    STATIC_ASSERT(EXEMPLAR_LABELS == SERIES_LABELS, "one reader of references");
    wire_reader_init(&r, message);
    while (wire_next(&r, &field)) {
        if (field.number == EXEMPLAR_VALUE && field.type == WIRE_FIXED64) {
            read.v = sample_value_from_bits(field.value);
        } else if (field.number == EXEMPLAR_TIMESTAMP && field.type == WIRE_VARINT) {
            read.t_ms = (int64_t)field.value;
            read.has_t = true;
        } else if (field.number == EXEMPLAR_VALUE || field.number == EXEMPLAR_TIMESTAMP) {
            return err_set(info, ERR_BAD_INPUT, "%s in an exemplar", TEXT_CUT);
        }
    }
    if (r.bad)
        return err_set(info, ERR_BAD_INPUT, "%s in an exemplar", TEXT_CUT);
    err = labels_from_refs(message, true, symbols, arena, &read.labels, info);
    if (err == ERR_OK)
        err = label_set_check(read.labels, LABEL_SCHEME_UTF8, info);
    if (err == ERR_OK)
        *exemplar = read;
    return err;
}

/* The form that senders write: nothing but these numbers. false: look closer. */
static bool about_fast(struct slice message, struct remote_write2_about *about)
{
    const uint8_t *at = (const uint8_t *)message.data;
    const uint8_t *const end = at + message.len;
    struct remote_write2_about read = {0};
    uint64_t value;

    while (at < end) {
        const uint8_t tag = *at++;
        const size_t size = varint_get_u64(at, end, &value);

        if (size == 0)
            return false;
        at += size;
        if (tag == (METADATA_TYPE << 3 | WIRE_VARINT))
            read.type = (uint32_t)value;
        else if (tag == (METADATA_HELP << 3 | WIRE_VARINT))
            read.help = (uint32_t)value;
        else if (tag == (METADATA_UNIT << 3 | WIRE_VARINT))
            read.unit = (uint32_t)value;
        else
            return false;
    }
    *about = read;
    return true;
}

/* Several Metadata fields count as one, a later number replaces an earlier. */
static bool about_merge(struct slice message, struct remote_write2_about *about)
{
    struct wire_reader r;
    struct wire_field field;

    wire_reader_init(&r, message);
    while (wire_next(&r, &field)) {
        if (field.number != METADATA_TYPE && field.number != METADATA_HELP &&
            field.number != METADATA_UNIT)
            continue;
        if (field.type != WIRE_VARINT)
            return false;
        if (field.number == METADATA_TYPE)
            about->type = (uint32_t)field.value;
        else if (field.number == METADATA_HELP)
            about->help = (uint32_t)field.value;
        else
            about->unit = (uint32_t)field.value;
    }
    return !r.bad;
}

/* The number of the metric's name where it comes first, as with most senders; 0: look closer. */
static uint32_t about_name_fast(const struct remote_write_series *series)
{
    const struct slice raw = series->labels_raw;
    const struct remote_write_symbols *symbols = series->symbols;
    const char *const end = raw.len == 0 ? raw.data : raw.data + raw.len;
    uint64_t name, value;
    size_t size;

    if (series->is_scattered)
        return 0;
    size = varint_get_u64(raw.data, end, &name);
    if (size == 0 || name >= symbols->count ||
        !slice_eq(symbols->texts[name], SLICE(LABEL_METRIC_NAME)))
        return 0;
    size = varint_get_u64(raw.data + size, end, &value);
    return size == 0 || value >= symbols->count ? 0 : (uint32_t)value;
}

/* The number of the metric's name; 0 if there is none. */
static uint32_t about_name(const struct remote_write_series *series)
{
    const struct remote_write_symbols *symbols = series->symbols;
    struct ref_reader refs;
    uint32_t name, value;

    refs_init(&refs, series->labels_raw, series->is_scattered);
    while (refs_next(&refs, &name) && refs_next(&refs, &value)) {
        if (name < symbols->count && slice_eq(symbols->texts[name], SLICE(LABEL_METRIC_NAME)))
            return value < symbols->count ? value : 0;
    }
    return 0;
}

enum err remote_write2_about(const struct remote_write_series *series,
                             struct remote_write2_about *about, struct err_info *info)
{
    struct remote_write2_about read = {0};
    struct wire_reader r;
    struct wire_field field;

    if (series->has_metadata &&
        (series->metadata.data == NULL || !about_fast(series->metadata, &read))) {
        wire_reader_init(&r, series->items);
        while (wire_next(&r, &field)) {
            if (field.number == SERIES_METADATA && !about_merge(field.bytes, &read))
                return err_set(info, ERR_BAD_INPUT, "%s in metadata", TEXT_CUT);
        }
    }
    if ((read.help | read.unit) != 0 &&
        (read.help >= series->symbols->count || read.unit >= series->symbols->count))
        return err_set(
            info, ERR_BAD_INPUT, "metadata reference %u is outside of the symbols table (size %u)",
            read.help >= series->symbols->count ? read.help : read.unit, series->symbols->count);
    if ((read.type | read.help | read.unit) != 0)
        read.name = about_name_fast(series);
    if ((read.type | read.help | read.unit) != 0 && read.name == 0)
        read.name = about_name(series);
    *about = read;
    return ERR_OK;
}

static struct slice symbol_text(const struct remote_write_symbols *symbols, uint32_t ref)
{
    return ref < symbols->count ? symbols->texts[ref] : (struct slice){0};
}

enum err remote_write2_metadata(const struct remote_write_symbols *symbols,
                                const struct remote_write2_about *about, struct metadata *metadata,
                                struct err_info *info)
{
    const struct metadata read = {
        .type = about->type <= METRIC_TYPE_STATESET ? (enum metric_type)about->type
                                                    : METRIC_TYPE_UNKNOWN,
        .metric = symbol_text(symbols, about->name),
        .help = symbol_text(symbols, about->help),
        .unit = symbol_text(symbols, about->unit),
    };

    if (!utf8_is_valid(read.metric) || !utf8_is_valid(read.help) || !utf8_is_valid(read.unit))
        return err_set(info, ERR_BAD_INPUT, "remote write: metadata is not valid UTF-8");
    *metadata = read;
    return ERR_OK;
}
