/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_meta.h"

#include <string.h>

#include "storage/sealed_json.h"

static void print_sum(struct json_writer *w, const char *name, const struct sst_sum *sum)
{
    json_key(w, name);
    json_open_object(w);
    json_key(w, "size");
    json_uint(w, sum->size_bytes);
    json_key(w, "crc32c");
    json_uint(w, sum->crc);
    json_key(w, "tail_crc32c");
    json_uint(w, sum->tail_crc);
    json_close_object(w);
}

static void print_uint(struct json_writer *w, const char *name, uint64_t v)
{
    json_key(w, name);
    json_uint(w, v);
}

void block_meta_print(const struct block_meta *meta, struct buf *out)
{
    const size_t start = out->len;
    char ulid[ULID_TEXT_LEN + 1];
    struct json_writer w;

    ulid_print(meta->ulid, ulid);
    json_writer_init(&w, out);
    json_open_object(&w);
    json_member_int(&w, "version", BLOCK_META_VERSION);
    json_member_cstr(&w, "ulid", ulid);
    json_member_int(&w, "minTime", meta->t_min_ms);
    json_member_int(&w, "maxTime", meta->t_max_ms);
    json_member_int(&w, "windowMinTime", meta->window_t_min_ms);
    json_member_int(&w, "windowEndTime", meta->window_t_end_ms);
    print_uint(&w, "watermark", meta->watermark);
    print_uint(&w, "cleanedVersion", meta->cleaned_version);
    json_member_cstr(&w, "tenant", meta->tenant);
    json_key(&w, "stats");
    json_open_object(&w);
    print_uint(&w, "numSeries", meta->series_count);
    print_uint(&w, "numChunks", meta->chunk_count);
    print_uint(&w, "numSamples", meta->sample_count);
    print_uint(&w, "numHistogramSamples", meta->histogram_count);
    print_uint(&w, "numExemplars", meta->exemplar_count);
    json_member_int(&w, "minExemplarTime", meta->exemplar_t_min_ms);
    json_member_int(&w, "maxExemplarTime", meta->exemplar_t_max_ms);
    json_close_object(&w);
    json_key(&w, "files");
    json_open_object(&w);
    print_sum(&w, "index.sst", &meta->index);
    print_sum(&w, "data.sst", &meta->data);
    json_close_object(&w);
    json_close_object(&w);
    sealed_json_close(out, start);
}

static void read_sum(struct sealed_json_reader *r, const struct json_value *files, const char *name,
                     struct sst_sum *sum)
{
    struct sealed_json_reader inner = {.object = files == NULL ? NULL : json_find(files, name)};

    sum->size_bytes = sealed_json_uint(&inner, "size");
    const uint64_t crc = sealed_json_uint(&inner, "crc32c");
    const uint64_t tail_crc = sealed_json_uint(&inner, "tail_crc32c");
    sum->crc = (uint32_t)crc;
    sum->tail_crc = (uint32_t)tail_crc;
    if ((inner.bad != NULL || crc > UINT32_MAX || tail_crc > UINT32_MAX) && r->bad == NULL)
        r->bad = name;
}

static void read_stats(struct sealed_json_reader *r, struct block_meta *meta)
{
    struct sealed_json_reader inner = {.object = json_find(r->object, "stats")};

    meta->series_count = sealed_json_uint(&inner, "numSeries");
    meta->chunk_count = sealed_json_uint(&inner, "numChunks");
    meta->sample_count = sealed_json_uint(&inner, "numSamples");
    meta->histogram_count = sealed_json_uint(&inner, "numHistogramSamples");
    meta->exemplar_count = sealed_json_uint(&inner, "numExemplars");
    meta->exemplar_t_min_ms = sealed_json_int(&inner, "minExemplarTime");
    meta->exemplar_t_max_ms = sealed_json_int(&inner, "maxExemplarTime");
    if (inner.bad != NULL && r->bad == NULL)
        r->bad = inner.bad;
}

static enum err parse_object(const struct json_value *root, struct block_meta *meta,
                             struct err_info *info)
{
    struct sealed_json_reader r = {.object = root};
    const int64_t version = sealed_json_int(&r, "version");

    if (r.bad == NULL && version != BLOCK_META_VERSION)
        return err_set(info, ERR_VERSION, "meta.json: version %lld, this program knows %d",
                       (long long)version, BLOCK_META_VERSION);
    struct block_meta parsed = {0};
    const struct slice tenant = sealed_json_text(&r, "tenant");
    parsed.t_min_ms = sealed_json_int(&r, "minTime");
    parsed.t_max_ms = sealed_json_int(&r, "maxTime");
    parsed.window_t_min_ms = sealed_json_int(&r, "windowMinTime");
    parsed.window_t_end_ms = sealed_json_int(&r, "windowEndTime");
    parsed.watermark = sealed_json_uint(&r, "watermark");
    parsed.cleaned_version = sealed_json_uint(&r, "cleanedVersion");
    read_stats(&r, &parsed);
    const struct json_value *files = json_find(root, "files");
    read_sum(&r, files, "index.sst", &parsed.index);
    read_sum(&r, files, "data.sst", &parsed.data);
    if (!ulid_parse(sealed_json_text(&r, "ulid"), &parsed.ulid) && r.bad == NULL)
        r.bad = "ulid";
    if (tenant.len >= BLOCK_TENANT_SIZE && r.bad == NULL)
        r.bad = "tenant";
    if ((parsed.t_min_ms > parsed.t_max_ms || parsed.t_min_ms < parsed.window_t_min_ms ||
         parsed.t_max_ms >= parsed.window_t_end_ms) &&
        r.bad == NULL)
        r.bad = "minTime";
    if (r.bad != NULL)
        return err_set(info, ERR_CORRUPT, "meta.json: member \"%s\" is missing or wrong", r.bad);
    if (tenant.len > 0)
        memcpy(parsed.tenant, tenant.data, tenant.len);
    *meta = parsed;
    return ERR_OK;
}

enum err block_meta_parse(struct slice text, struct block_meta *meta, struct err_info *info)
{
    struct json_value *root;
    struct arena arena;

    arena_init(&arena, NULL, 16 * SEALED_JSON_SIZE_MAX);
    enum err err = sealed_json_parse(&arena, text, "meta.json", &root, info);
    if (err == ERR_OK)
        err = parse_object(root, meta, info);
    arena_fini(&arena);
    return err;
}
