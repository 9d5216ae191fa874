/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/endian.h"
#include "base/fault.h"
#include "base/mem.h"
#include "storage/checkpoint.h"
#include "storage/head_apply.h"
#include "storage/head_ooo.h"
#include "storage/head_wide.h"
#include "storage/wal_dir.h"

/* What a start reads: the newest checkpoint, then the log behind it. */

enum {
    CHUNK_SIZE_MIN = 3,
    CHUNK_SIZE_MAX = 2048,
    CHUNK_SAMPLES_MAX = UINT8_MAX,
};

/* Labels of a checkpoint's pairs, by id. */
struct load_tenant {
    struct head_tenant *tenant;
    struct label *pairs; /* owned array; texts in the arena */
    size_t pair_count;
};

struct load {
    struct head *head;
    struct arena arena;
    struct load_tenant *tenants; /* owned: by the checkpoint's id */
    size_t tenant_count;
    struct checkpoint_slab slab;
    struct head_slab *slab_at; /* of the series at hand */
    struct series_hot *hot;    /* likewise */
    uint32_t slot;             /* within the slab */
    uint64_t series_count;
    uint64_t seq_max;
    bool is_whole;
};

/* Ids are dense when they are given out, and the array by id is what makes loading fast; so an id
 * that only a forged file can have must not size it. */
enum { PAIR_ID_END = 1 << 27 };

/* Grows an array of zeroed items so that index i is in it. */
static void *load_grow(void *items, size_t *count, size_t i, size_t item_size)
{
    size_t grown = *count == 0 ? 64 : *count;

    if (i < *count)
        return items;
    while (grown <= i)
        grown *= 2;
    items = mem_realloc(items, grown * item_size);
    memset((char *)items + *count * item_size, 0, (grown - *count) * item_size);
    *count = grown;
    return items;
}

static enum err on_tenant(void *owner, const struct checkpoint_tenant *in)
{
    struct load *load = owner;
    struct head_tenant *tenant = head_tenant_make(load->head, in->name);

    if (tenant == NULL || in->id >= load->head->options.tenant_max)
        return ERR_CORRUPT;
    load->tenants = load_grow(load->tenants, &load->tenant_count, in->id, sizeof(*load->tenants));
    load->tenants[in->id].tenant = tenant;
    tenant->t_max_ms = in->t_max_ms;
    return ERR_OK;
}

static struct load_tenant *load_tenant_of(struct load *load, uint64_t id)
{
    if (id >= load->tenant_count || load->tenants[id].tenant == NULL)
        return NULL;
    return &load->tenants[id];
}

static enum err on_pair(void *owner, const struct checkpoint_pair *in)
{
    struct load *load = owner;
    struct load_tenant *tenant = load_tenant_of(load, in->tenant);
    struct label *label;

    if (tenant == NULL || in->id >= PAIR_ID_END || in->name.len == 0 || in->value.len == 0)
        return ERR_CORRUPT;
    tenant->pairs = load_grow(tenant->pairs, &tenant->pair_count, in->id, sizeof(*tenant->pairs));
    label = &tenant->pairs[in->id];
    label->name = arena_copy(&load->arena, in->name);
    label->value = arena_copy(&load->arena, in->value);
    return ERR_OK;
}

static enum err on_slab(void *owner, const struct checkpoint_slab *in)
{
    struct load *load = owner;
    struct head *head = load->head;
    size_t count = head->slab_seq_count;

    if (in->number >= HEAD_SLAB_COUNT_MAX)
        return ERR_CORRUPT;
    head->slab_seqs = load_grow(head->slab_seqs, &count, in->number, sizeof(*head->slab_seqs));
    head->slab_seq_count = count;
    head->slab_seqs[in->number] = in->seq;
    load->seq_max = in->seq > load->seq_max ? in->seq : load->seq_max;
    load->slab = *in;
    return ERR_OK;
}

static void load_count(struct load *load, uint32_t samples, int64_t t_min_ms, int64_t t_max_ms)
{
    struct head *head = load->head;

    atomic_fetch_add(&head->sample_count, samples);
    atomic_fetch_add(&head->chunk_count, 1);
    if (t_min_ms < atomic_load(&head->t_min_ms))
        atomic_store(&head->t_min_ms, t_min_ms);
    if (t_max_ms > atomic_load(&head->t_max_ms))
        atomic_store(&head->t_max_ms, t_max_ms);
}

static uint32_t chunk_samples(struct slice bytes)
{
    if (wide_chunk_kind(bytes) != 0)
        return bytes.len > HEAD_CHUNK_SIZE_MAX_WIDE ? 0 : wide_chunk_count(bytes);
    return bytes.len < CHUNK_SIZE_MIN || bytes.len > CHUNK_SIZE_MAX ? 0
                                                                    : endian_get_u16be(bytes.data);
}

static enum err load_open_wide(struct load *load, struct slice bytes, uint32_t samples)
{
    struct series_hot *hot = load->hot;
    struct wide_encoder *encoder;

    if (wide_encoder_resume(bytes, &encoder) != ERR_OK)
        return ERR_CORRUPT;
    if (wide_encoder_count(encoder) != samples || wide_encoder_t_max(encoder) != hot->t_ms) {
        wide_encoder_free(encoder);
        return ERR_CORRUPT;
    }
    head_wide_open(load->head, hot, encoder);
    load_count(load, samples, head_chunk_open_t_min(hot), hot->t_ms);
    return ERR_OK;
}

/* Makes the open chunk go on where it was. */
static enum err load_open(struct load *load, struct slice bytes)
{
    struct head *head = load->head;
    struct series_hot *hot = load->hot;
    const uint32_t samples = chunk_samples(bytes);
    const size_t size = chunk_pool_round(bytes.len);
    struct xor_encoder encoder;

    if (samples == 0 || samples > CHUNK_SAMPLES_MAX)
        return ERR_CORRUPT;
    if (wide_chunk_kind(bytes) != 0)
        return load_open_wide(load, bytes, samples);
    if (head_chunk_newest(hot) != HEAD_NEWEST_FLOAT)
        return ERR_CORRUPT;
    if (xor_encoder_resume(&encoder, bytes) != ERR_OK)
        return ERR_CORRUPT;
    hot->open = chunk_pool_get(head->chunks, size);
    memcpy(hot->open, bytes.data, bytes.len);
    hot->open_units = (uint8_t)(size / CHUNK_POOL_UNIT);
    hot->t_ms = encoder.state.t_ms;
    hot->dt_ms = encoder.state.dt_ms;
    hot->v_bits = encoder.state.v_bits;
    hot->leading = encoder.state.leading;
    hot->trailing = encoder.state.trailing;
    hot->count = (uint8_t)encoder.state.count;
    hot->bit_count = (uint16_t)encoder.bit_count;
    load_count(load, samples, head_chunk_open_t_min(hot), hot->t_ms);
    return ERR_OK;
}

static enum err on_series(void *owner, const struct checkpoint_series *in)
{
    struct load *load = owner;
    struct head *head = load->head;
    const struct load_tenant *tenant = load_tenant_of(load, in->tenant);
    const struct head_ref ref = {.slot = (uint32_t)load->slab.number << HEAD_SLAB_SHIFT | in->slot,
                                 .gen = in->gen};
    struct label labels[CHECKPOINT_LABELS_MAX];
    struct head_series_key key;
    enum err err;

    if (tenant == NULL || in->slot >= HEAD_SLAB_SLOTS || in->gen == 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < in->label_count; i++) {
        if (in->labels[i] >= tenant->pair_count || tenant->pairs[in->labels[i]].name.len == 0)
            return ERR_CORRUPT;
        labels[i] = tenant->pairs[in->labels[i]];
        if (i > 0 && slice_cmp(labels[i - 1].name, labels[i].name) >= 0)
            return ERR_CORRUPT;
    }
    key.tenant = tenant->tenant;
    key.labels = (struct label_set){labels, in->label_count};
    key.hash = series_hash(&head->hash_key, tenant->tenant->name, key.labels);
    err = head_series_restore(head, &key, ref);
    if (err != ERR_OK)
        return err;
    load->series_count++;
    load->slab_at = head_slab_of(head, ref.slot);
    load->slot = in->slot;
    load->hot = &load->slab_at->hot[in->slot];
    /* Empty, even when hostile bytes name a slot twice. */
    head_chunk_fini(head, load->hot);
    head_ooo_fini(head, load->slab_at, in->slot);
    load->hot->t_ms = in->t_ms;
    load->hot->v_bits = in->v_bits;
    head_wide_set_newest(load->hot, (enum head_newest)in->newest_kind);
    return in->open.len > 0 ? load_open(load, in->open) : ERR_OK;
}

/* A sealed chunk that is in no list yet; NULL: impossible bytes. */
static struct head_chunk *load_chunk(const struct load *load, const struct checkpoint_chunk *in)
{
    const uint32_t samples = chunk_samples(in->bytes);
    struct head_chunk *chunk;

    if (samples == 0 || samples > CHUNK_SAMPLES_MAX)
        return NULL;
    if (wide_chunk_kind(in->bytes) != 0) {
        chunk = head_chunk_new_wide(load->head, in->bytes);
    } else {
        chunk = head_chunk_new(load->head, (uint16_t)in->bytes.len);
        memcpy(chunk->bytes, in->bytes.data, in->bytes.len);
    }
    chunk->t_max_ms = in->t_max_ms;
    chunk->span_ms = in->span_ms;
    chunk->count = (uint8_t)samples;
    return chunk;
}

static enum err on_chunk(void *owner, const struct checkpoint_chunk *in)
{
    struct load *load = owner;
    struct head_chunk *chunk = load_chunk(load, in);

    if (chunk == NULL)
        return ERR_CORRUPT;
    chunk->prev = load->hot->sealed;
    load->hot->sealed = chunk;
    load_count(load, chunk->count, head_chunk_t_min(chunk), chunk->t_max_ms);
    return ERR_OK;
}

static enum err on_late_chunk(void *owner, const struct checkpoint_chunk *in)
{
    struct load *load = owner;
    struct head *head = load->head;
    struct head_chunk *chunk = load_chunk(load, in);

    if (chunk != NULL && chunk->is_wide) { /* out of order come plain floats only */
        head_chunk_free(head, chunk);
        chunk = NULL;
    }
    if (chunk == NULL)
        return ERR_CORRUPT;
    if (head_chunk_t_min(chunk) < atomic_load(&head->late_min_ms))
        atomic_store(&head->late_min_ms, head_chunk_t_min(chunk));
    load_count(load, chunk->count, INT64_MAX, chunk->t_max_ms);
    head_ooo_push(head, load->slab_at, load->slot, chunk);
    return ERR_OK;
}

static enum err on_metadata(void *owner, uint64_t tenant_id, const struct metadata *said)
{
    struct load *load = owner;
    const struct load_tenant *tenant = load_tenant_of(load, tenant_id);

    if (tenant == NULL || said->metric.len == 0 ||
        said->metric.len > HEAD_METADATA_METRIC_SIZE_MAX ||
        said->help.len > HEAD_METADATA_TEXT_SIZE_MAX ||
        said->unit.len > HEAD_METADATA_TEXT_SIZE_MAX)
        return ERR_CORRUPT;
    (void)head_metadata_add(load->head->metadata, tenant->tenant->id, said);
    return ERR_OK;
}

static enum err on_exemplar(void *owner, const struct checkpoint_exemplar *in)
{
    struct load *load = owner;
    struct head *head = load->head;

    if (in->gen == 0)
        return ERR_CORRUPT;
    head->exemplars_seq = in->frame_seq;
    load->seq_max = in->frame_seq > load->seq_max ? in->frame_seq : load->seq_max;
    for (size_t i = 0; i < head->options.window_count; i++) {
        const struct head_window *window = &head->options.windows[i];

        if (in->seq <= window->watermark && in->exemplar.t_ms >= window->t_min_ms &&
            in->exemplar.t_ms < window->t_end_ms)
            return ERR_OK; /* a block has it */
    }
    (void)head_exemplars_add(head->exemplars, (struct head_ref){in->slot, in->gen}, in->seq,
                             &in->exemplar);
    return ERR_OK;
}

static enum err on_end(void *owner, uint64_t series_count)
{
    struct load *load = owner;

    load->is_whole = series_count == load->series_count;
    return ERR_OK;
}

static void load_report(struct load *load, uint64_t number, const struct err_info *detail)
{
    load->head->replay.corruptions++;
    log_error(load->head->options.log, "checkpoint is corrupt, what is bad of it is left out",
              F_UINT("number", number), F_ERR(ERR_CORRUPT, detail));
}

/* Reads `size` bytes at *offset and moves it. ERR_END: there are not as many. */
static enum err load_read(struct env_file *file, uint64_t *offset, void *data, size_t size)
{
    size_t got = 0;
    enum err err =
        FAULT("checkpoint.read") ? ERR_IO : file->ops->read_at(file, *offset, data, size, &got);

    if (err != ERR_OK)
        return err;
    *offset += got;
    return got < size ? ERR_END : ERR_OK;
}

/* Reads frame after frame. ERR_OK also when some were bad: they are reported. */
static enum err load_frames(struct load *load, struct env_file *file, uint64_t number)
{
    const struct checkpoint_visitor visitor = {.on_tenant = on_tenant,
                                               .on_pair = on_pair,
                                               .on_slab = on_slab,
                                               .on_series = on_series,
                                               .on_chunk = on_chunk,
                                               .on_late_chunk = on_late_chunk,
                                               .on_metadata = on_metadata,
                                               .on_exemplar = on_exemplar,
                                               .on_end = on_end,
                                               .owner = load};
    uint64_t offset = CHECKPOINT_HEADER_SIZE;
    struct err_info detail = {{0}};
    struct buf buf;
    enum err err = ERR_OK;

    buf_init(&buf, CHECKPOINT_FRAME_SIZE_MAX);
    while (err == ERR_OK) {
        char header[CHECKPOINT_FRAME_HEADER_SIZE];
        size_t size;
        char *to;

        err = load_read(file, &offset, header, sizeof(header));
        if (err != ERR_OK)
            break;
        err = checkpoint_frame_size(header, &size);
        if (err != ERR_OK) /* where the next frame begins is not known */
            break;
        buf_reset(&buf);
        to = buf_reserve(&buf, size);
        err = to == NULL ? ERR_TOO_LARGE : load_read(file, &offset, to, size);
        if (err != ERR_OK)
            break;
        detail = (struct err_info){{0}};
        err = checkpoint_frame_read(header, slice_of(to, size), &visitor, &detail);
        if (err == ERR_CORRUPT) {
            load_report(load, number, &detail);
            err = ERR_OK;
        }
    }
    buf_fini(&buf);
    if (err != ERR_END && err != ERR_CORRUPT)
        return err;
    if (!load->is_whole) {
        detail = (struct err_info){{0}};
        (void)err_set(&detail, ERR_CORRUPT, "it ends too early, or series are missing");
        load_report(load, number, &detail);
    }
    return ERR_OK;
}

/* Reads one checkpoint file. *header is untouched if its header is bad. */
static enum err load_file(struct load *load, uint64_t number, struct checkpoint_header *header,
                          struct err_info *info)
{
    struct env *env = load->head->options.env;
    char path[WAL_PATH_SIZE], bytes[CHECKPOINT_HEADER_SIZE];
    struct err_info detail = {{0}};
    struct env_file *file;
    uint64_t offset = 0;
    enum err err;

    wal_dir_checkpoint_path(path, load->head->dir, number);
    err = FAULT("checkpoint.open_read") ? ERR_IO : env->fs->open(env, path, ENV_OPEN_READ, &file);
    if (err != ERR_OK)
        return err_set(info, err, "cannot open %s: %s", path, err_text(err));
    err = load_read(file, &offset, bytes, sizeof(bytes));
    if (err == ERR_OK || err == ERR_END)
        err = checkpoint_header_get(slice_of(bytes, (size_t)offset), header, &detail);
    if (err == ERR_OK)
        err = load_frames(load, file, number);
    else if (err == ERR_CORRUPT) {
        load_report(load, number, &detail);
        err = ERR_OK;
    }
    (void)file->ops->close(file);
    if (err != ERR_OK)
        return err_set(info, err, "cannot read %s: %s", path, err_message(err, &detail));
    return ERR_OK;
}

/* Loads the newest checkpoint, if there is one, and unlinks the others. */
static enum err load_newest(struct head *head, struct checkpoint_header *header,
                            struct err_info *info)
{
    struct env *env = head->options.env;
    struct load load = {.head = head};
    struct wal_dir_list list = {0}, tmp = {0};
    char path[WAL_PATH_SIZE], name[WAL_PATH_SIZE + 8];
    enum err err = wal_dir_list(env, head->dir, WAL_DIR_CHECKPOINT_TMP, &tmp);

    if (err == ERR_OK)
        err = wal_dir_list(env, head->dir, WAL_DIR_CHECKPOINT, &list);
    if (err != ERR_OK) {
        wal_dir_list_fini(&tmp);
        return err_set(info, err, "cannot list %s: %s", head->dir, err_text(err));
    }
    for (size_t i = 0; i < tmp.count; i++) { /* left by a crash */
        wal_dir_checkpoint_path(path, head->dir, tmp.numbers[i]);
        (void)snprintf(name, sizeof(name), "%s.tmp", path);
        (void)env->fs->unlink(env, name);
    }
    arena_init(&load.arena, NULL, 0);
    if (list.count > 0) {
        header->segment = list.numbers[list.count - 1]; /* also when its bytes are bad */
        err = load_file(&load, header->segment, header, info);
    }
    if (load.seq_max > header->seq)
        header->seq = load.seq_max;
    for (size_t i = 0; err == ERR_OK && i + 1 < list.count; i++) {
        wal_dir_checkpoint_path(path, head->dir, list.numbers[i]);
        (void)env->fs->unlink(env, path);
    }
    for (size_t i = 0; i < load.tenant_count; i++)
        mem_free(load.tenants[i].pairs);
    mem_free(load.tenants);
    arena_fini(&load.arena);
    wal_dir_list_fini(&list);
    wal_dir_list_fini(&tmp);
    return err;
}

/* ---- the log ---- */

struct replay_records {
    struct head *head;
    struct head_apply apply;
    struct head_record_series *series; /* owned: it is large */
};

static enum err replay_series(struct replay_records *replay, struct slice payload)
{
    struct head *head = replay->head;
    struct head_record_series *series = replay->series;
    struct head_series_key key;

    if (head_record_get_series(payload, series) != ERR_OK)
        return ERR_CORRUPT;
    key.tenant = head_tenant_make(head, series->tenant);
    if (key.tenant == NULL)
        return ERR_CORRUPT;
    key.labels = (struct label_set){series->labels, series->label_count};
    key.hash = series_hash(&head->hash_key, series->tenant, key.labels);
    return head_series_restore(head, &key, series->ref);
}

static enum err on_record(void *owner, const struct wal_entry *entry)
{
    struct replay_records *replay = owner;

    switch (entry->kind) {
    case WAL_SERIES:
        return replay_series(replay, entry->payload);
    case WAL_SAMPLES:
        replay->apply.seq = replay->apply.mark_seq = entry->seq;
        return head_apply_record(&replay->apply, entry->payload);
    case WAL_KIND_END:
        break;
    }
    return ERR_CORRUPT;
}

/* Drops from a series what blocks have: a slab that is no newer than a block has nothing in its
 * window that the block does not have. */
static void drop_flushed(struct head *head, struct head_slab *slab, uint32_t slot,
                         uint64_t slab_seq)
{
    for (size_t i = 0; i < head->options.window_count; i++) {
        const struct head_window *window = &head->options.windows[i];
        struct head_drop drop = {
            .t_min_ms = window->t_min_ms, .t_end_ms = window->t_end_ms, .watermark = UINT64_MAX};

        if (slab_seq > window->watermark)
            continue;
        if (head_chunk_has_samples(&slab->hot[slot]))
            atomic_fetch_sub(&head->sample_count, head_chunk_drop(head, &slab->hot[slot], &drop));
        if (head_ooo_get(slab, slot) != NULL)
            atomic_fetch_sub(&head->sample_count, head_ooo_drop(head, slab, slot, &drop));
        while (drop.dead != NULL) {
            struct head_chunk *prev = drop.dead->prev;

            head_chunk_free(head, drop.dead);
            drop.dead = prev;
        }
    }
}

/* Of all slabs of the checkpoint; finds the oldest time of what is left. */
static void drop_all_flushed(struct head *head)
{
    int64_t t_min_ms = INT64_MAX, late_ms = INT64_MAX;

    for (size_t number = 0; number < head->slab_seq_count; number++) {
        struct head_slab *slab = head_slab_of(head, (uint32_t)number << HEAD_SLAB_SHIFT);

        for (unsigned i = 0; slab != NULL && i < HEAD_SLAB_SLOTS; i++) {
            int64_t oldest_ms;

            if (atomic_load(&slab->state[i]) == 0)
                continue;
            drop_flushed(head, slab, i, head->slab_seqs[number]);
            oldest_ms = head_chunk_oldest(&slab->hot[i]);
            t_min_ms = oldest_ms < t_min_ms ? oldest_ms : t_min_ms;
            oldest_ms = head_ooo_oldest(head_ooo_get(slab, i), INT64_MIN);
            late_ms = oldest_ms < late_ms ? oldest_ms : late_ms;
        }
    }
    atomic_store(&head->t_min_ms, t_min_ms);
    atomic_store(&head->late_min_ms, late_ms);
}

enum err head_recover(struct head *head, struct wal_start *start, struct err_info *info)
{
    struct checkpoint_header header = {0};
    struct wal_replay_stats stats = {0};
    struct replay_records replay = {.head = head,
                                    .apply = {.head = head,
                                              .t_min_ms = INT64_MAX,
                                              .t_max_ms = INT64_MIN,
                                              .late_min_ms = INT64_MAX,
                                              .replay = true}};
    struct wal_replay_options options = {.env = head->options.env,
                                         .log = head->options.log,
                                         .dir = head->dir,
                                         .on_record = on_record,
                                         .owner = &replay};
    enum err err;

    head->low_seq = UINT64_MAX; /* there are no readers */
    err = load_newest(head, &header, info);
    if (err != ERR_OK)
        return err;
    if (head->options.window_count > 0)
        drop_all_flushed(head);
    if (header.gen > head->gen_next && header.gen <= HEAD_GEN_MAX)
        head->gen_next = header.gen;
    options.segment_min = header.segment;
    options.seq_min = header.seq;
    options.group_min = header.group;
    replay.series = mem_alloc(sizeof(*replay.series));
    err = wal_replay(&options, start, &stats, info);
    mem_free(replay.series);
    if (err != ERR_OK)
        return err;
    stats.corruptions += head->replay.corruptions;
    head->replay = stats;
    head_apply_publish(&replay.apply);
    atomic_store(&head->watermark, start->seq - 1);
    head->low_seq = start->seq - 1;
    for (uint32_t i = 0; i < atomic_load(&head->tenant_count); i++) {
        struct head_tenant *tenant = head_tenant_at(head, i);

        tenant->t_max_published_ms = tenant->t_max_ms;
    }
    head_series_find_free(head);
    return ERR_OK;
}
