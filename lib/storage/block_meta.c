/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/block_meta.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/crc32c.h"
#include "base/json.h"

static const char crc_member[] = ",\"crc32c\":\"";

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
    json_member_cstr(&w, "tenant", meta->tenant);
    json_key(&w, "stats");
    json_open_object(&w);
    print_uint(&w, "numSeries", meta->series_count);
    print_uint(&w, "numChunks", meta->chunk_count);
    print_uint(&w, "numSamples", meta->sample_count);
    json_close_object(&w);
    json_key(&w, "files");
    json_open_object(&w);
    print_sum(&w, "index.sst", &meta->index);
    print_sum(&w, "data.sst", &meta->data);
    json_close_object(&w);
    json_close_object(&w);
    if (out->err != ERR_OK)
        return;
    out->len--; /* the brace that closes: the checksum comes before it */
    const uint32_t crc = crc32c(0, out->data + start, out->len - start);
    buf_printf(out, "%s%08x\"}\n", crc_member, crc);
}

/* The checksum of the text against its last member. */
static enum err check_crc(struct slice text, struct err_info *info)
{
    const size_t member_len = sizeof(crc_member) - 1;
    const size_t end_len = member_len + 8 + 3; /* 8 digits, then "} and a line end */
    char want[9];

    if (text.len < end_len || memcmp(text.data + text.len - end_len, crc_member, member_len) != 0 ||
        memcmp(text.data + text.len - 3, "\"}\n", 3) != 0)
        return err_set(info, ERR_CORRUPT, "meta.json: ends without a checksum");
    (void)snprintf(want, sizeof(want), "%08x", crc32c(0, text.data, text.len - end_len));
    if (memcmp(want, text.data + text.len - 3 - 8, 8) != 0)
        return err_set(info, ERR_CORRUPT, "meta.json: checksum does not match");
    return ERR_OK;
}

/* A reader of members that remembers the first one that was wrong. */
struct meta_reader {
    const struct json_value *object;
    const char *bad; /* name of the first member that is missing or wrong */
};

static int64_t read_int(struct meta_reader *r, const char *name)
{
    const struct json_value *value = r->object == NULL ? NULL : json_find(r->object, name);

    if (value != NULL && value->kind == JSON_INT)
        return value->i;
    if (r->bad == NULL)
        r->bad = name;
    return 0;
}

static uint64_t read_uint(struct meta_reader *r, const char *name)
{
    const int64_t v = read_int(r, name);

    if (v >= 0)
        return (uint64_t)v;
    if (r->bad == NULL)
        r->bad = name;
    return 0;
}

static struct slice read_text(struct meta_reader *r, const char *name)
{
    const struct json_value *value = json_find(r->object, name);

    if (value != NULL && value->kind == JSON_STRING)
        return value->text;
    if (r->bad == NULL)
        r->bad = name;
    return SLICE("");
}

static void read_sum(struct meta_reader *r, const struct json_value *files, const char *name,
                     struct sst_sum *sum)
{
    struct meta_reader inner = {.object = files == NULL ? NULL : json_find(files, name)};

    sum->size_bytes = read_uint(&inner, "size");
    const uint64_t crc = read_uint(&inner, "crc32c");
    const uint64_t tail_crc = read_uint(&inner, "tail_crc32c");
    sum->crc = (uint32_t)crc;
    sum->tail_crc = (uint32_t)tail_crc;
    if ((inner.bad != NULL || crc > UINT32_MAX || tail_crc > UINT32_MAX) && r->bad == NULL)
        r->bad = name;
}

static void read_stats(struct meta_reader *r, struct block_meta *meta)
{
    struct meta_reader inner = {.object = json_find(r->object, "stats")};

    meta->series_count = read_uint(&inner, "numSeries");
    meta->chunk_count = read_uint(&inner, "numChunks");
    meta->sample_count = read_uint(&inner, "numSamples");
    if (inner.bad != NULL && r->bad == NULL)
        r->bad = inner.bad;
}

static enum err parse_object(const struct json_value *root, struct block_meta *meta,
                             struct err_info *info)
{
    struct meta_reader r = {.object = root};
    const int64_t version = read_int(&r, "version");

    if (r.bad == NULL && version != BLOCK_META_VERSION)
        return err_set(info, ERR_VERSION, "meta.json: version %lld, this program knows %d",
                       (long long)version, BLOCK_META_VERSION);
    *meta = (struct block_meta){0};
    const struct slice tenant = read_text(&r, "tenant");
    meta->t_min_ms = read_int(&r, "minTime");
    meta->t_max_ms = read_int(&r, "maxTime");
    meta->window_t_min_ms = read_int(&r, "windowMinTime");
    meta->window_t_end_ms = read_int(&r, "windowEndTime");
    meta->watermark = read_uint(&r, "watermark");
    read_stats(&r, meta);
    const struct json_value *files = json_find(root, "files");
    read_sum(&r, files, "index.sst", &meta->index);
    read_sum(&r, files, "data.sst", &meta->data);
    if (!ulid_parse(read_text(&r, "ulid"), &meta->ulid) && r.bad == NULL)
        r.bad = "ulid";
    if (tenant.len >= BLOCK_TENANT_SIZE && r.bad == NULL)
        r.bad = "tenant";
    if ((meta->t_min_ms > meta->t_max_ms || meta->t_min_ms < meta->window_t_min_ms ||
         meta->t_max_ms >= meta->window_t_end_ms) &&
        r.bad == NULL)
        r.bad = "minTime";
    if (r.bad != NULL)
        return err_set(info, ERR_CORRUPT, "meta.json: member \"%s\" is missing or wrong", r.bad);
    if (tenant.len > 0)
        memcpy(meta->tenant, tenant.data, tenant.len);
    return ERR_OK;
}

enum err block_meta_parse(struct slice text, struct block_meta *meta, struct err_info *info)
{
    const struct json_options options = {.size_max = BLOCK_META_SIZE_MAX};
    struct err_info json_info = {0};
    struct block_meta parsed;
    struct json_value *root;
    struct arena arena;

    enum err err = check_crc(text, info);
    if (err != ERR_OK)
        return err;
    arena_init(&arena, NULL, 16 * BLOCK_META_SIZE_MAX);
    err = json_parse(&arena, text, &options, &root, &json_info);
    if (err != ERR_OK)
        err = err_set(info, ERR_CORRUPT, "meta.json: %s", err_message(err, &json_info));
    else if (root->kind != JSON_OBJECT)
        err = err_set(info, ERR_CORRUPT, "meta.json: is no object");
    else
        err = parse_object(root, &parsed, info);
    arena_fini(&arena);
    if (err == ERR_OK)
        *meta = parsed;
    return err;
}
