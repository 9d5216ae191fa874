/* SPDX-License-Identifier: Apache-2.0 */
#include "main/import_collect.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "model/order.h"
#include "promtsdb/prom_tombstones.h"

enum {
    CHUNK_CAP_MIN = 64,
    LIST_CAP_MIN = 4,
    SERIES_MAX = UINT32_MAX - 1,
    TEXT_MAX = 1 << 20,
};

/* Nobody gains from collisions in their own import. */
static const struct hash_key hash_key;

/* A sample as it came, for what cannot be a float chunk: late ones, and histograms. */
struct raw_sample {
    struct prom_sample sample; /* its histogram is in the data's arena */
    uint32_t number;           /* in order of arrival */
};

struct raw_list {
    struct raw_sample *items; /* owned */
    uint32_t count, cap;
};

struct full_chunk {
    uint8_t *bytes; /* owned */
    uint32_t size;
};

/* What one series has in this round. */
struct series_data {
    struct xor_encoder encoder;
    uint8_t *bytes; /* owned: the float chunk under way */
    uint32_t cap;
    struct full_chunk *full; /* owned: those before it */
    uint32_t full_count;
    struct raw_list histograms, late;
    struct exemplar *exemplars; /* owned; labels in the arena */
    uint32_t exemplar_count, exemplar_cap;
    struct arena arena;
};

struct collect_series {
    struct label_set labels;  /* in the collector's arena */
    uint32_t rank;            /* place in the order of labels */
    int64_t t_last_ms;        /* of the samples in order, in this round */
    struct series_data *data; /* owned; NULL: nothing in this round */
};

struct import_collect {
    uint64_t memory_max, memory;
    struct arena arena;
    struct map by_labels;
    struct collect_series *series; /* owned, by id */
    uint32_t count, cap;
    uint32_t *order; /* owned: ids by rank */
    struct map by_metric;
    struct metadata *metadata; /* owned; texts in the arena */
    uint32_t metadata_count, metadata_cap;
    struct prom_tombstones stones;
    struct import_days days;
    int64_t t_min_ms, t_max_ms;
    int64_t day_last;

    /* The round under way. */
    uint32_t rank_min, rank_end;
    int64_t window_min_ms, window_end_ms;
    const struct import_collect_source *source;
    uint64_t conflicts; /* late samples that met another value of the same time */
};

/* ---- series ---- */

static bool has_labels(const void *key, uint64_t value, void *owner)
{
    const struct import_collect *collect = owner;

    return label_set_eq(collect->series[value].labels, *(const struct label_set *)key);
}

static bool has_metric(const void *key, uint64_t value, void *owner)
{
    const struct import_collect *collect = owner;

    return slice_eq(collect->metadata[value].metric, *(const struct slice *)key);
}

struct import_collect *import_collect_new(uint64_t memory_max)
{
    struct import_collect *collect = mem_zalloc(1, sizeof(*collect));

    collect->memory_max = memory_max;
    collect->t_min_ms = INT64_MAX;
    collect->t_max_ms = INT64_MIN;
    collect->day_last = INT64_MIN;
    arena_init(&collect->arena, NULL, 0);
    map_init(&collect->by_labels, has_labels, collect);
    map_init(&collect->by_metric, has_metric, collect);
    return collect;
}

static void free_list(struct raw_list *list)
{
    mem_free(list->items);
}

static void drop_data(struct import_collect *collect, struct collect_series *series)
{
    struct series_data *data = series->data;

    if (data == NULL)
        return;
    collect->memory -=
        sizeof(*data) + data->cap + data->arena.taken_bytes +
        (uint64_t)(data->histograms.cap + data->late.cap) * sizeof(struct raw_sample) +
        data->exemplar_cap * sizeof(struct exemplar);
    for (uint32_t i = 0; i < data->full_count; i++) {
        collect->memory -= data->full[i].size;
        mem_free(data->full[i].bytes);
    }
    mem_free(data->full);
    mem_free(data->bytes);
    mem_free(data->exemplars);
    free_list(&data->histograms);
    free_list(&data->late);
    arena_fini(&data->arena);
    mem_free(data);
    series->data = NULL;
}

void import_collect_free(struct import_collect *collect)
{
    if (collect == NULL)
        return;
    for (uint32_t i = 0; i < collect->count; i++)
        drop_data(collect, &collect->series[i]);
    mem_free(collect->series);
    mem_free(collect->order);
    mem_free(collect->metadata);
    map_fini(&collect->by_labels);
    map_fini(&collect->by_metric);
    prom_tombstones_fini(&collect->stones);
    import_days_fini(&collect->days);
    arena_fini(&collect->arena);
    mem_free(collect);
}

enum err import_collect_series(struct import_collect *collect, struct label_set labels,
                               uint32_t *id)
{
    const uint64_t hash = series_hash(&hash_key, (struct slice){NULL, 0}, labels).lo;
    const uint64_t *known = map_find(&collect->by_labels, hash, &labels);

    if (known != NULL) {
        *id = (uint32_t)*known;
        return ERR_OK;
    }
    if (collect->count == SERIES_MAX)
        return ERR_LIMIT;
    if (collect->count == collect->cap) {
        collect->cap = collect->cap == 0 ? 1024 : collect->cap * 2;
        collect->series = mem_realloc(collect->series, collect->cap * sizeof(*collect->series));
    }
    collect->series[collect->count] =
        (struct collect_series){.labels = label_set_copy(&collect->arena, labels)};
    map_insert(&collect->by_labels, hash, collect->count);
    *id = collect->count++;
    return ERR_OK;
}

void import_collect_note(struct import_collect *collect, int64_t t_ms)
{
    const int64_t day = import_day(t_ms);

    if (day != collect->day_last)
        import_days_add(&collect->days, day);
    collect->day_last = day;
    if (t_ms < collect->t_min_ms)
        collect->t_min_ms = t_ms;
    if (t_ms > collect->t_max_ms)
        collect->t_max_ms = t_ms;
}

void import_collect_delete(struct import_collect *collect, uint32_t id, int64_t t_min_ms,
                           int64_t t_max_ms)
{
    prom_tombstones_add(&collect->stones, (struct prom_stone){id, t_min_ms, t_max_ms});
}

void import_collect_metadata(struct import_collect *collect, const struct metadata *metadata)
{
    const uint64_t hash = hash64(&hash_key, metadata->metric);
    const uint64_t *known = map_find(&collect->by_metric, hash, &metadata->metric);
    struct metadata *to;

    if (known != NULL) {
        to = &collect->metadata[*known];
        if (to->type == metadata->type && slice_eq(to->help, metadata->help) &&
            slice_eq(to->unit, metadata->unit))
            return;
    } else {
        if (collect->metadata_count == collect->metadata_cap) {
            collect->metadata_cap = collect->metadata_cap == 0 ? 64 : collect->metadata_cap * 2;
            collect->metadata =
                mem_realloc(collect->metadata, collect->metadata_cap * sizeof(*collect->metadata));
        }
        to = &collect->metadata[collect->metadata_count];
        to->metric = arena_copy(&collect->arena, metadata->metric);
        map_insert(&collect->by_metric, hash, collect->metadata_count++);
    }
    to->type = metadata->type;
    to->help = arena_copy(&collect->arena, metadata->help);
    to->unit = arena_copy(&collect->arena, metadata->unit);
}

struct slice import_collect_metric(const struct import_collect *collect, uint32_t id)
{
    return label_set_get(collect->series[id].labels, SLICE(LABEL_METRIC_NAME));
}

static const struct import_collect *sorted_collect; /* of the sort under way */

static int id_order(const void *a, const void *b)
{
    return label_set_cmp(sorted_collect->series[*(const uint32_t *)a].labels,
                         sorted_collect->series[*(const uint32_t *)b].labels);
}

void import_collect_seal(struct import_collect *collect)
{
    collect->order = mem_alloc(((size_t)collect->count + 1) * sizeof(*collect->order));
    for (uint32_t i = 0; i < collect->count; i++)
        collect->order[i] = i;
    sorted_collect = collect;
    qsort(collect->order, collect->count, sizeof(*collect->order), id_order);
    for (uint32_t rank = 0; rank < collect->count; rank++)
        collect->series[collect->order[rank]].rank = rank;
    prom_tombstones_sort(&collect->stones);
}

/* ---- feeding ---- */

/* Lets the later half of the series of this round go, until there is room. One stays always. */
static void make_room(struct import_collect *collect)
{
    while (collect->memory > collect->memory_max && collect->rank_end - collect->rank_min > 1) {
        const uint32_t half = collect->rank_min + (collect->rank_end - collect->rank_min + 1) / 2;

        for (uint32_t rank = half; rank < collect->rank_end; rank++)
            drop_data(collect, &collect->series[collect->order[rank]]);
        collect->rank_end = half;
    }
}

/* The data of a series that this round holds, else NULL. */
static struct series_data *data_of(struct import_collect *collect, struct collect_series *series,
                                   int64_t t_ms)
{
    if (series->rank < collect->rank_min || series->rank >= collect->rank_end ||
        t_ms < collect->window_min_ms || t_ms >= collect->window_end_ms)
        return NULL;
    if (series->data == NULL) {
        series->data = mem_zalloc(1, sizeof(*series->data));
        arena_init(&series->data->arena, NULL, 0);
        xor_encoder_init(&series->data->encoder);
        collect->memory += sizeof(*series->data);
    }
    return series->data;
}

static void add_raw(struct import_collect *collect, struct series_data *data, struct raw_list *list,
                    const struct prom_sample *sample)
{
    const size_t arena_before = data->arena.taken_bytes;

    if (list->count == list->cap) {
        const uint32_t cap = list->cap == 0 ? LIST_CAP_MIN : list->cap * 2;

        list->items = mem_realloc(list->items, cap * sizeof(*list->items));
        collect->memory += (uint64_t)(cap - list->cap) * sizeof(*list->items);
        list->cap = cap;
    }
    list->items[list->count] = (struct raw_sample){.sample = *sample, .number = list->count};
    if (sample->kind == SAMPLE_HISTOGRAM)
        list->items[list->count].sample.histogram = histogram_copy(&data->arena, sample->histogram);
    list->count++;
    collect->memory += data->arena.taken_bytes - arena_before;
}

static void start_chunk(struct import_collect *collect, struct series_data *data)
{
    data->full = mem_realloc(data->full, (data->full_count + 1) * sizeof(*data->full));
    data->full[data->full_count++] =
        (struct full_chunk){data->bytes, xor_encoder_size(&data->encoder)};
    collect->memory += xor_encoder_size(&data->encoder);
    collect->memory -= data->cap;
    data->bytes = NULL;
    data->cap = 0;
    xor_encoder_init(&data->encoder);
}

static void add_float(struct import_collect *collect, struct series_data *data,
                      struct sample sample)
{
    while (xor_encoder_append(&data->encoder, data->bytes, data->cap, sample) != ERR_OK) {
        if (data->encoder.state.count == UINT16_MAX) {
            start_chunk(collect, data);
            continue;
        }
        const uint32_t cap = data->cap == 0 ? CHUNK_CAP_MIN : data->cap + data->cap / 2;
        data->bytes = mem_realloc(data->bytes, cap);
        collect->memory += cap - data->cap;
        data->cap = cap;
    }
}

void import_collect_add(struct import_collect *collect, uint32_t id,
                        const struct prom_sample *sample)
{
    struct collect_series *series = &collect->series[id];
    struct series_data *data;

    if (sample->t_ms <= series->t_last_ms)
        return;
    series->t_last_ms = sample->t_ms;
    data = data_of(collect, series, sample->t_ms);
    if (data == NULL)
        return;
    if (sample->kind == SAMPLE_FLOAT)
        add_float(collect, data, (struct sample){sample->t_ms, sample->v});
    else
        add_raw(collect, data, &data->histograms, sample);
    make_room(collect);
}

void import_collect_add_late(struct import_collect *collect, uint32_t id,
                             const struct prom_sample *sample)
{
    struct series_data *data = data_of(collect, &collect->series[id], sample->t_ms);

    if (data == NULL)
        return;
    add_raw(collect, data, &data->late, sample);
    make_room(collect);
}

void import_collect_add_any(struct import_collect *collect, uint32_t id,
                            const struct prom_sample *sample)
{
    if (sample->t_ms > collect->series[id].t_last_ms)
        import_collect_add(collect, id, sample);
    else
        import_collect_add_late(collect, id, sample);
}

void import_collect_add_exemplar(struct import_collect *collect, uint32_t id,
                                 const struct exemplar *exemplar)
{
    struct series_data *data = data_of(collect, &collect->series[id], exemplar->t_ms);

    if (data == NULL)
        return;
    const size_t arena_before = data->arena.taken_bytes;
    if (data->exemplar_count == data->exemplar_cap) {
        const uint32_t cap = data->exemplar_cap == 0 ? LIST_CAP_MIN : data->exemplar_cap * 2;

        data->exemplars = mem_realloc(data->exemplars, cap * sizeof(*data->exemplars));
        collect->memory += (uint64_t)(cap - data->exemplar_cap) * sizeof(*data->exemplars);
        data->exemplar_cap = cap;
    }
    struct exemplar *copy = &data->exemplars[data->exemplar_count++];
    *copy = *exemplar;
    copy->labels = label_set_copy(&data->arena, exemplar->labels);
    collect->memory += data->arena.taken_bytes - arena_before;
    make_room(collect);
}

/* ---- writing ---- */

/* Three sorted streams of one series: floats, histograms, late samples. */
struct series_reader {
    const struct series_data *data;
    uint32_t full_next, histogram_next, late_next;
    struct xor_iter floats;
    bool has_floats, has_float;
    struct sample next_float;
    bool was_late;             /* the sample before */
    struct histogram unhinted; /* the present one, its hint taken */
};

static void read_float(struct series_reader *reader)
{
    const struct series_data *data = reader->data;

    for (;;) {
        reader->has_float =
            reader->has_floats && xor_iter_next(&reader->floats, &reader->next_float);
        if (reader->has_float || reader->full_next > data->full_count)
            return;
        const uint32_t at = reader->full_next++;
        const struct slice bytes =
            at < data->full_count
                ? slice_of(data->full[at].bytes, data->full[at].size)
                : slice_of(data->bytes, data->cap == 0 ? 0 : xor_encoder_size(&data->encoder));
        reader->has_floats = bytes.len > 0;
        if (reader->has_floats)
            xor_iter_init(&reader->floats, bytes);
    }
}

static int late_order(const void *left, const void *right)
{
    const struct raw_sample *a = left;
    const struct raw_sample *b = right;

    if (a->sample.t_ms != b->sample.t_ms)
        return a->sample.t_ms < b->sample.t_ms ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* Whether two samples of one time say different things. The hint about resets says how the one
 * before was stored, not what was observed. */
static bool differs(const struct prom_sample *a, const struct prom_sample *b)
{
    struct histogram left, right;

    if (a->kind != b->kind)
        return true;
    if (a->kind == SAMPLE_FLOAT)
        return order_floats(a->v, b->v) != 0;
    left = *a->histogram;
    right = *b->histogram;
    left.reset = right.reset = HISTOGRAM_RESET_UNKNOWN;
    return order_histograms(&left, &right) != 0;
}

/* What a histogram says of resets is about the sample before it in its own chunk. Late ones come
 * from several chunks, and what is in order may follow a late one: the hint goes, but for gauges.
 */
static void take_hint(struct series_reader *reader, struct prom_sample *sample, bool is_late)
{
    const bool is_alien = is_late || reader->was_late;

    reader->was_late = is_late;
    if (sample->kind != SAMPLE_HISTOGRAM || !is_alien ||
        sample->histogram->reset == HISTOGRAM_GAUGE)
        return;
    reader->unhinted = *sample->histogram;
    reader->unhinted.reset = HISTOGRAM_RESET_UNKNOWN;
    sample->histogram = &reader->unhinted;
}

/* The next sample in time; of those of one time the one in order, then the first late one. */
static bool read_sample(struct series_reader *reader, struct prom_sample *sample,
                        uint64_t *conflicts)
{
    const struct series_data *data = reader->data;
    const struct prom_sample *histogram =
        reader->histogram_next < data->histograms.count
            ? &data->histograms.items[reader->histogram_next].sample
            : NULL;
    const struct prom_sample *late =
        reader->late_next < data->late.count ? &data->late.items[reader->late_next].sample : NULL;
    struct prom_sample next = {.t_ms = INT64_MAX};
    bool has_next = false;

    if (reader->has_float) {
        next = (struct prom_sample){
            .t_ms = reader->next_float.t_ms, .kind = SAMPLE_FLOAT, .v = reader->next_float.v};
        has_next = true;
    }
    if (histogram != NULL && (!has_next || histogram->t_ms < next.t_ms)) {
        next = *histogram;
        has_next = true;
    }
    const bool is_late = late != NULL && (!has_next || late->t_ms < next.t_ms);
    if (is_late) {
        next = *late;
        has_next = true;
    }
    if (!has_next)
        return false;
    if (reader->has_float && reader->next_float.t_ms == next.t_ms)
        read_float(reader);
    if (histogram != NULL && histogram->t_ms == next.t_ms)
        reader->histogram_next++;
    while (reader->late_next < data->late.count &&
           data->late.items[reader->late_next].sample.t_ms == next.t_ms)
        *conflicts += differs(&data->late.items[reader->late_next++].sample, &next);
    take_hint(reader, &next, is_late);
    *sample = next;
    return true;
}

static enum err write_series(struct import_collect *collect, uint32_t id, struct import_out *out,
                             struct err_info *info)
{
    const struct collect_series *series = &collect->series[id];
    struct series_reader reader = {.data = series->data};
    struct prom_sample sample;
    size_t stone_count;
    const struct prom_stone *stones = prom_tombstones_find(&collect->stones, id, &stone_count);
    enum err err = import_out_series(out, series->labels, info);

    if (series->data->late.count > 1)
        qsort(series->data->late.items, series->data->late.count, sizeof(struct raw_sample),
              late_order);
    read_float(&reader);
    while (err == ERR_OK && read_sample(&reader, &sample, &collect->conflicts))
        if (!prom_tombstones_cover(stones, stone_count, sample.t_ms))
            err = import_out_sample(out, &sample, info);
    for (uint32_t i = 0; i < series->data->exemplar_count && err == ERR_OK; i++)
        err = import_out_exemplar(out, &series->data->exemplars[i], info);
    if (err != ERR_OK) {
        struct buf text;

        buf_init(&text, TEXT_MAX);
        label_set_print_plain(&text, series->labels);
        err_prefix(info, "%.*s", (int)(text.len < 150 ? text.len : 150), text.data);
        buf_fini(&text);
    }
    return err;
}

static enum err fill_window(void *owner, int64_t t_min_ms, int64_t t_end_ms, struct import_out *out,
                            struct err_info *info)
{
    struct import_collect *collect = owner;
    enum err err = ERR_OK;

    collect->window_min_ms = t_min_ms;
    collect->window_end_ms = t_end_ms;
    for (collect->rank_min = 0; collect->rank_min < collect->count && err == ERR_OK;
         collect->rank_min = collect->rank_end) {
        collect->rank_end = collect->count;
        for (uint32_t i = 0; i < collect->count; i++)
            collect->series[i].t_last_ms = INT64_MIN;
        err = collect->source->feed(collect->source->owner, info);
        for (uint32_t rank = collect->rank_min; rank < collect->rank_end; rank++) {
            const uint32_t id = collect->order[rank];

            if (err == ERR_OK && collect->series[id].data != NULL)
                err = write_series(collect, id, out, info);
            drop_data(collect, &collect->series[id]);
        }
        ASSERT(collect->memory == 0);
    }
    for (uint32_t i = 0; i < collect->metadata_count && err == ERR_OK; i++)
        err = import_out_metadata(out, &collect->metadata[i], info);
    return err;
}

void import_collect_put(struct import *import, struct import_collect *collect,
                        const struct import_collect_source *source)
{
    const struct import_source whole = {
        .name = source->name,
        .key = source->key,
        .days = collect->days.items,
        .day_count = collect->days.count,
        .t_min_ms = collect->t_min_ms,
        .t_end_ms = collect->t_max_ms < INT64_MAX ? collect->t_max_ms + 1 : INT64_MAX,
        .fill = fill_window,
        .owner = collect};

    collect->source = source;
    import_put(import, &whole);
    collect->source = NULL;
    if (collect->conflicts > 0)
        fprintf(stderr,
                "%s: %" PRIu64 " samples of a time that had another value already were left out\n",
                source->name, collect->conflicts);
}
