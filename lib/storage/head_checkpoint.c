/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/endian.h"
#include "base/fault.h"
#include "base/mem.h"
#include "storage/checkpoint.h"
#include "storage/head_apply.h"
#include "storage/head_ooo.h"
#include "storage/wal_dir.h"

/* A checkpoint is taken while life goes on, slab by slab: each slab is copied between two groups,
 * under the gate, and says at which sequence number it is. Replay skips what a slab has.
 *
 *   cut the log -> wait until all before the cut is applied -> copy -> sync, rename
 *   -> unlink the segments before the cut */

enum { WRITE_SIZE = 1 << 20 };

/* A set of small numbers. */
struct bits {
    uint8_t *bytes; /* owned */
    size_t size;
};

struct saver {
    struct head *head;
    struct head_guard guard; /* keeps labels alive */
    struct env_file *file;
    uint64_t offset;
    struct buf out, slab, late;
    struct bits tenants;
    struct bits *pairs;              /* owned: by tenant */
    uint32_t slots[HEAD_SLAB_SLOTS]; /* copied of the slab at hand */
    uint32_t slot_count;
    uint64_t series_count;
    uint64_t deadline_ns; /* 0: none */
};

/* Adds i; false if it was there. */
static bool bits_add(struct bits *bits, size_t i)
{
    if (i / 8 >= bits->size) {
        const size_t size = i / 8 + 64 + bits->size;

        bits->bytes = mem_realloc(bits->bytes, size);
        memset(bits->bytes + bits->size, 0, size - bits->size);
        bits->size = size;
    }
    if ((bits->bytes[i / 8] & (1u << (i % 8))) != 0)
        return false;
    bits->bytes[i / 8] = (uint8_t)(bits->bytes[i / 8] | 1u << (i % 8));
    return true;
}

static enum err saver_write(struct saver *saver)
{
    enum err err = saver->out.err;

    if (err == ERR_OK)
        err = FAULT("checkpoint.write")
                  ? ERR_IO
                  : saver->file->ops->write_at(saver->file, saver->offset, saver->out.data,
                                               saver->out.len);
    saver->offset += saver->out.len;
    buf_reset(&saver->out);
    return err;
}

static void save_tenant(struct saver *saver, const struct head_tenant *tenant, int64_t t_max_ms)
{
    const struct checkpoint_tenant out = {tenant->id, tenant->name, t_max_ms};
    size_t start;

    if (!bits_add(&saver->tenants, tenant->id))
        return;
    start = checkpoint_frame_start(&saver->out, CHECKPOINT_TENANT);
    checkpoint_put_tenant(&saver->out, &out);
    checkpoint_frame_end(&saver->out, start);
}

/* The header, and the tenants as they are at the watermark of this moment. */
static void save_start(struct saver *saver, const struct wal_cut *cut)
{
    struct head *head = saver->head;
    struct checkpoint_header header = {.segment = cut->segment, .group = cut->group};
    const char *to = buf_reserve(&saver->out, CHECKPOINT_HEADER_SIZE);

    ASSERT(to != NULL);
    saver->out.len += CHECKPOINT_HEADER_SIZE;
    pthread_mutex_lock(&head->slots_lock);
    header.gen = head->gen_next;
    pthread_mutex_unlock(&head->slots_lock);
    pthread_mutex_lock(&head->guards_lock);
    header.seq = atomic_load(&head->watermark);
    for (uint32_t i = 0; i < atomic_load(&head->tenant_count); i++)
        save_tenant(saver, head_tenant_at(head, i), head_tenant_at(head, i)->t_max_published_ms);
    pthread_mutex_unlock(&head->guards_lock);
    checkpoint_header_put((uint8_t *)saver->out.data, &header);
}

/* Chunks, the oldest first. */
static void save_chunks(struct buf *buf, const struct head_chunk *newest, uint32_t count)
{
    const struct head_chunk **chunks;
    uint32_t at = count;

    if (count == 0)
        return;
    chunks = mem_alloc(count * sizeof(*chunks));
    for (const struct head_chunk *chunk = newest; chunk != NULL; chunk = chunk->prev)
        chunks[--at] = chunk;
    for (uint32_t i = 0; i < count; i++) {
        const struct checkpoint_chunk out = {chunks[i]->t_max_ms, chunks[i]->span_ms,
                                             head_chunk_bytes(chunks[i])};

        checkpoint_put_chunk(buf, &out);
    }
    mem_free((void *)chunks);
}

/* Adds a chunk of samples out of order to the series'. */
struct save_late {
    struct buf *buf;
    uint32_t count;
};

static void save_late_chunk(void *owner, const struct head_chunk *chunk)
{
    const struct checkpoint_chunk out = {chunk->t_max_ms, chunk->span_ms, head_chunk_bytes(chunk)};
    struct save_late *late = owner;

    checkpoint_put_chunk(late->buf, &out);
    late->count++;
}

static void save_series(struct saver *saver, const struct head_slab *slab, uint32_t i)
{
    const struct head_ooo *ooo = head_ooo_get(slab, i);
    struct save_late late = {.buf = &saver->late};
    const struct series_hot *hot = &slab->hot[i];
    const struct series_cold *cold = &slab->cold[i];
    struct checkpoint_series out = {.slot = i,
                                    .gen = atomic_load(&slab->state[i]) & ~HEAD_STATE_DYING,
                                    .tenant = cold->tenant,
                                    .labels = cold->labels,
                                    .label_count = cold->label_count,
                                    .t_ms = hot->t_ms,
                                    .v_bits = hot->v_bits,
                                    .newest_kind = head_chunk_newest(hot)};

    if (hot->count > 0)
        out.open = head_chunk_open_bytes(hot);
    for (const struct head_chunk *chunk = hot->sealed; chunk != NULL; chunk = chunk->prev)
        out.chunk_count++;
    buf_reset(&saver->late);
    if (ooo != NULL)
        head_ooo_each_chunk(saver->head, ooo, save_late_chunk, &late);
    out.late_count = late.count;
    checkpoint_put_series(&saver->slab, &out);
    save_chunks(&saver->slab, hot->sealed, out.chunk_count);
    buf_add_slice(&saver->slab, buf_slice(&saver->late));
    if (saver->late.err != ERR_OK && saver->slab.err == ERR_OK)
        saver->slab.err = saver->late.err;
    saver->slots[saver->slot_count++] = i;
}

/* Copies a slab exactly at the watermark. */
static void save_slab(struct saver *saver, struct head_slab *slab, uint32_t number)
{
    struct head *head = saver->head;
    struct checkpoint_slab out = {.number = number};
    size_t start;

    buf_reset(&saver->slab);
    saver->slot_count = 0;
    start = checkpoint_frame_start(&saver->slab, CHECKPOINT_SLAB);
    pthread_mutex_lock(&head->gate);
    out.seq = atomic_load(&head->watermark);
    checkpoint_put_slab(&saver->slab, &out);
    pthread_mutex_lock(&slab->lock);
    for (uint32_t i = 0; i < HEAD_SLAB_SLOTS; i++)
        if (atomic_load(&slab->state[i]) != 0)
            save_series(saver, slab, i);
    pthread_mutex_unlock(&slab->lock);
    pthread_mutex_unlock(&head->gate);
    checkpoint_frame_end(&saver->slab, start);
    saver->series_count += saver->slot_count;
}

/* The pairs of one series that were not written yet, as a frame. */
static void save_pairs(struct saver *saver, const struct series_cold *cold)
{
    struct head_tenant *tenant = head_tenant_at(saver->head, cold->tenant);
    size_t start = SIZE_MAX;

    for (uint32_t i = 0; i < cold->label_count; i++) {
        struct label label;
        struct checkpoint_pair pair;

        if (!bits_add(&saver->pairs[tenant->id], cold->labels[i]))
            continue;
        pthread_rwlock_rdlock(&tenant->index.lock);
        label = head_pair_label(tenant->index.pairs[cold->labels[i]]);
        pthread_rwlock_unlock(&tenant->index.lock);
        if (start == SIZE_MAX) {
            start = checkpoint_frame_start(&saver->out, CHECKPOINT_PAIRS);
            checkpoint_put_pairs(&saver->out, tenant->id);
        }
        pair = (struct checkpoint_pair){tenant->id, cold->labels[i], label.name, label.value};
        checkpoint_put_pair(&saver->out, &pair);
    }
    if (start != SIZE_MAX)
        checkpoint_frame_end(&saver->out, start);
}

static enum err save_slabs(struct saver *saver)
{
    struct head *head = saver->head;
    enum err err = ERR_OK;

    for (uint32_t slot = 0; err == ERR_OK && slot < atomic_load(&head->slot_end);
         slot += HEAD_SLAB_SLOTS) {
        struct head_slab *slab = head_slab_of(head, slot);

        if (slab == NULL)
            continue;
        save_slab(saver, slab, slot >> HEAD_SLAB_SHIFT);
        for (uint32_t i = 0; i < saver->slot_count; i++) {
            const struct series_cold *cold = &slab->cold[saver->slots[i]];

            save_tenant(saver, head_tenant_at(head, cold->tenant), HEAD_T_NONE);
            save_pairs(saver, cold);
        }
        buf_add_slice(&saver->out, buf_slice(&saver->slab));
        if (saver->slab.err != ERR_OK)
            err = saver->slab.err;
        else if (saver->deadline_ns != 0 && env_mono_ns(head->options.env) > saver->deadline_ns)
            err = ERR_DEADLINE;
        else if (saver->out.len >= WRITE_SIZE)
            err = saver_write(saver);
    }
    return err;
}

/* Frames of exemplars, or of metadata, none of them large. */
struct save_frames {
    struct saver *saver;
    size_t start;    /* of the frame; SIZE_MAX: none is open */
    uint64_t number; /* what each frame begins with */
    enum checkpoint_kind kind;
};

static void frames_end(struct save_frames *frames)
{
    if (frames->start != SIZE_MAX)
        checkpoint_frame_end(&frames->saver->out, frames->start);
    frames->start = SIZE_MAX;
}

/* A frame with room. */
static struct buf *frames_next(struct save_frames *frames)
{
    struct buf *out = &frames->saver->out;

    if (frames->start != SIZE_MAX && out->len - frames->start >= WRITE_SIZE)
        frames_end(frames);
    if (frames->start == SIZE_MAX) {
        frames->start = checkpoint_frame_start(out, frames->kind);
        if (frames->kind == CHECKPOINT_EXEMPLARS)
            checkpoint_put_exemplars(out, frames->number);
        else
            checkpoint_put_metadata(out, frames->number);
    }
    return out;
}

static void save_exemplar(void *owner, struct head_ref ref, uint64_t seq,
                          const struct exemplar *exemplar)
{
    const struct checkpoint_exemplar out = {
        .slot = ref.slot, .gen = ref.gen, .seq = seq, .exemplar = *exemplar};

    checkpoint_put_exemplar(frames_next(owner), &out);
}

/* All exemplars exactly at the watermark, as a slab is. */
static void save_exemplars(struct saver *saver)
{
    struct head *head = saver->head;
    struct save_frames frames = {.saver = saver, .start = SIZE_MAX, .kind = CHECKPOINT_EXEMPLARS};

    pthread_mutex_lock(&head->gate);
    frames.number = atomic_load(&head->watermark);
    head_exemplars_each(head->exemplars, save_exemplar, &frames);
    pthread_mutex_unlock(&head->gate);
    frames_end(&frames);
}

static enum err save_said(void *owner, const struct metadata *said)
{
    checkpoint_put_said(frames_next(owner), said);
    return ERR_OK;
}

static void save_metadata(struct saver *saver)
{
    struct head *head = saver->head;

    for (uint32_t i = 0; i < atomic_load(&head->tenant_count); i++) {
        struct save_frames frames = {
            .saver = saver, .start = SIZE_MAX, .number = i, .kind = CHECKPOINT_METADATA};

        save_tenant(saver, head_tenant_at(head, i), HEAD_T_NONE);
        (void)head_metadata_each(head->metadata, i, (struct slice){0}, save_said, &frames);
        frames_end(&frames);
    }
}

static enum err save_file(struct saver *saver, const struct wal_cut *cut)
{
    size_t start;
    enum err err;

    save_start(saver, cut);
    err = save_slabs(saver);
    if (err != ERR_OK)
        return err;
    save_metadata(saver);
    save_exemplars(saver);
    start = checkpoint_frame_start(&saver->out, CHECKPOINT_END);
    checkpoint_put_end(&saver->out, saver->series_count);
    checkpoint_frame_end(&saver->out, start);
    err = saver_write(saver);
    if (err == ERR_OK)
        err = FAULT("checkpoint.sync") ? ERR_IO : saver->file->ops->sync(saver->file);
    return err;
}

/* Writes the file under its temporary name, then gives it its own. */
static enum err save_as(struct saver *saver, const struct wal_cut *cut)
{
    struct head *head = saver->head;
    struct env *env = head->options.env;
    char path[WAL_PATH_SIZE], tmp[WAL_PATH_SIZE + 8];
    enum err err, closed;

    wal_dir_checkpoint_path(path, head->dir, cut->segment);
    (void)snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    err = FAULT("checkpoint.open")
              ? ERR_IO
              : env->fs->open(env, tmp, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_TRUNC,
                              &saver->file);
    if (err != ERR_OK)
        return err;
    err = save_file(saver, cut);
    closed = saver->file->ops->close(saver->file);
    if (err == ERR_OK)
        err = closed;
    if (err == ERR_OK)
        err = FAULT("checkpoint.rename") ? ERR_IO : env->fs->rename(env, tmp, path);
    if (err == ERR_OK)
        err = FAULT("checkpoint.sync_dir") ? ERR_IO : env->fs->sync_dir(env, head->dir);
    if (err != ERR_OK)
        (void)env->fs->unlink(env, tmp);
    return err;
}

static enum err remove_older(struct head *head, uint64_t segment)
{
    struct env *env = head->options.env;
    struct wal_dir_list list;
    char path[WAL_PATH_SIZE];
    enum err err = wal_dir_list(env, head->dir, WAL_DIR_CHECKPOINT, &list);

    for (size_t i = 0; err == ERR_OK && i < list.count && list.numbers[i] < segment; i++) {
        wal_dir_checkpoint_path(path, head->dir, list.numbers[i]);
        err = FAULT("checkpoint.unlink") ? ERR_IO : env->fs->unlink(env, path);
    }
    wal_dir_list_fini(&list);
    return err == ERR_OK ? wal_remove_below(head->wal, segment) : err;
}

enum err head_checkpoint_write(struct head *head, uint64_t deadline_ns, struct err_info *info)
{
    struct saver saver = {.head = head, .deadline_ns = deadline_ns};
    struct wal_stats stats;
    struct wal_cut cut;
    enum err err = wal_cut(head->wal, &cut);

    if (err == ERR_OK)
        err = head_apply_barrier(head);
    if (err != ERR_OK)
        return err_set(info, err, "cannot cut the log for a checkpoint: %s", err_text(err));
    wal_get_stats(head->wal, &stats);
    buf_init(&saver.out, CHECKPOINT_FRAME_SIZE_MAX + 2 * WRITE_SIZE);
    buf_init(&saver.slab, CHECKPOINT_FRAME_SIZE_MAX);
    buf_init(&saver.late, CHECKPOINT_FRAME_SIZE_MAX);
    saver.pairs = mem_zalloc(head->options.tenant_max, sizeof(*saver.pairs));
    head_guard_enter(head, &saver.guard, HEAD_GUARD_FLUSH);
    err = save_as(&saver, &cut);
    head_guard_leave(head, &saver.guard, HEAD_GUARD_FLUSH);
    for (uint32_t i = 0; i < head->options.tenant_max; i++)
        mem_free(saver.pairs[i].bytes);
    mem_free(saver.pairs);
    mem_free(saver.tenants.bytes);
    buf_fini(&saver.out);
    buf_fini(&saver.slab);
    buf_fini(&saver.late);
    if (err != ERR_OK) {
        metric_inc(&head->metrics.checkpoints_failed);
        return err_set(info, err, "cannot write a checkpoint: %s", err_text(err));
    }
    metric_inc(&head->metrics.checkpoints);
    head->checkpoint_written = stats.written_bytes;
    err = remove_older(head, cut.segment);
    if (err != ERR_OK)
        log_warn(head->options.log, "old log files cannot be removed", F_ERR(err, NULL));
    return ERR_OK;
}
