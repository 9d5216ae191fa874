/* SPDX-License-Identifier: Apache-2.0 */
#include "promtsdb/prom_meta.h"

#include <string.h>

#include "base/json.h"

enum { ARENA_MAX = 64 << 20 };

/* What is missing is zero: Prometheus leaves out counts of nothing. */
static int64_t int_of(const struct json_value *object, const char *name, bool *bad)
{
    const struct json_value *value = json_find(object, name);

    if (value == NULL)
        return 0;
    if (value->kind != JSON_INT) {
        *bad = true;
        return 0;
    }
    return value->i;
}

static uint64_t count_of(const struct json_value *object, const char *name, bool *bad)
{
    const int64_t v = int_of(object, name, bad);

    if (v < 0)
        *bad = true;
    return v < 0 ? 0 : (uint64_t)v;
}

static bool has_hint(const struct json_value *compaction, const char *hint)
{
    const struct json_value *hints = json_find(compaction, "hints");

    if (hints == NULL || hints->kind != JSON_ARRAY)
        return false;
    for (uint32_t i = 0; i < hints->count; i++)
        if (hints->items[i].kind == JSON_STRING && slice_eq_cstr(hints->items[i].text, hint))
            return true;
    return false;
}

static enum err parse_root(const struct json_value *root, struct prom_meta *meta,
                           struct err_info *info)
{
    struct prom_meta parsed = {.ulid = ""};
    bool bad = false;
    const int64_t version = int_of(root, "version", &bad);
    const struct json_value *ulid = json_find(root, "ulid");
    const struct json_value *stats = json_find(root, "stats");
    const struct json_value *compaction = json_find(root, "compaction");

    if (bad || version != PROM_META_VERSION)
        return err_set(info, bad ? ERR_CORRUPT : ERR_VERSION,
                       "meta.json: version %lld, this program knows %d", (long long)version,
                       PROM_META_VERSION);
    if (ulid == NULL || ulid->kind != JSON_STRING || ulid->text.len != PROM_ULID_SIZE - 1)
        return err_set(info, ERR_CORRUPT, "meta.json: no ULID");
    memcpy(parsed.ulid, ulid->text.data, PROM_ULID_SIZE - 1);
    parsed.t_min_ms = int_of(root, "minTime", &bad);
    parsed.t_end_ms = int_of(root, "maxTime", &bad);
    parsed.sample_count = count_of(stats, "numSamples", &bad);
    parsed.float_sample_count = count_of(stats, "numFloatSamples", &bad);
    parsed.histogram_sample_count = count_of(stats, "numHistogramSamples", &bad);
    parsed.series_count = count_of(stats, "numSeries", &bad);
    parsed.chunk_count = count_of(stats, "numChunks", &bad);
    parsed.tombstone_count = count_of(stats, "numTombstones", &bad);
    parsed.level = (uint32_t)count_of(compaction, "level", &bad);
    parsed.is_out_of_order = has_hint(compaction, "from-out-of-order");
    if (bad || parsed.t_min_ms > parsed.t_end_ms)
        return err_set(info, ERR_CORRUPT, "meta.json: a number is wrong");
    *meta = parsed;
    return ERR_OK;
}

enum err prom_meta_parse(struct slice text, struct prom_meta *meta, struct err_info *info)
{
    struct json_value *root;
    struct arena arena;
    enum err err;

    if (text.len > PROM_META_SIZE_MAX)
        return err_set(info, ERR_CORRUPT, "meta.json: larger than any");
    arena_init(&arena, NULL, ARENA_MAX);
    err = json_parse(&arena, text, NULL, &root, info);
    if (err != ERR_OK)
        err = err == ERR_LIMIT ? err_set(info, ERR_CORRUPT, "meta.json: larger than any")
                               : ERR_CORRUPT;
    else if (root->kind != JSON_OBJECT)
        err = err_set(info, ERR_CORRUPT, "meta.json: no object");
    else
        err = parse_root(root, meta, info);
    arena_fini(&arena);
    return err;
}

static void print_count(struct json_writer *w, const char *name, uint64_t count)
{
    if (count == 0)
        return;
    json_key(w, name);
    json_uint(w, count);
}

void prom_meta_print(const struct prom_meta *meta, struct buf *out)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open_object(&w);
    json_member_cstr(&w, "ulid", meta->ulid);
    json_member_int(&w, "minTime", meta->t_min_ms);
    json_member_int(&w, "maxTime", meta->t_end_ms);
    json_key(&w, "stats");
    json_open_object(&w);
    print_count(&w, "numSamples", meta->sample_count);
    print_count(&w, "numFloatSamples", meta->float_sample_count);
    print_count(&w, "numHistogramSamples", meta->histogram_sample_count);
    print_count(&w, "numSeries", meta->series_count);
    print_count(&w, "numChunks", meta->chunk_count);
    print_count(&w, "numTombstones", meta->tombstone_count);
    json_close_object(&w);
    json_key(&w, "compaction");
    json_open_object(&w);
    json_member_int(&w, "level", meta->level);
    json_key(&w, "sources");
    json_open_array(&w);
    json_cstr(&w, meta->ulid);
    json_close_array(&w);
    json_close_object(&w);
    json_member_int(&w, "version", PROM_META_VERSION);
    json_close_object(&w);
}
