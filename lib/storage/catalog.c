/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/catalog.h"

#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "storage/catalog_internal.h"

enum {
    CATALOG_PATH_SIZE = 1024,
    REWRITE_SIZE_MIN = 64 << 10, /* changes smaller than this are never worth a new file */
};

struct catalog {
    struct env *env;       /* borrowed */
    const struct log *log; /* borrowed */
    char dir[CATALOG_PATH_SIZE], path[CATALOG_PATH_SIZE], tmp[CATALOG_PATH_SIZE];
    struct env_file *file; /* owned; NULL while unsure */
    struct catalog_state state;
    struct buf buf; /* scratch */
    bool is_unsure, had_torn_tail;
};

/* ---- files ---- */

static void close_file(struct catalog *catalog)
{
    if (catalog->file != NULL)
        (void)catalog->file->ops->close(catalog->file); /* each change was synced */
    catalog->file = NULL;
}

/* The whole state as one snapshot, in catalog->buf. */
static enum err print_state(struct catalog *catalog)
{
    buf_reset(&catalog->buf);
    catalog_put_header(&catalog->buf);
    catalog_put_snapshot(&catalog->buf, &catalog->state);
    return catalog->buf.err;
}

static enum err write_new(struct catalog *catalog, struct env_file **file)
{
    struct env *env = catalog->env;
    const unsigned flags = ENV_OPEN_READ | ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL;
    struct env_file *made;

    /* One whose sync failed is not to be written again. */
    (void)env->fs->unlink(env, catalog->tmp);
    enum err err =
        FAULT("catalog.create") ? ERR_IO : env->fs->open(env, catalog->tmp, flags, &made);

    if (err != ERR_OK)
        return err;
    err = FAULT("catalog.write")
              ? ERR_IO
              : made->ops->write_at(made, 0, catalog->buf.data, catalog->buf.len);
    if (err == ERR_OK)
        err = FAULT("catalog.sync") ? ERR_IO : made->ops->sync(made);
    if (err == ERR_OK)
        err = FAULT("catalog.rename") ? ERR_IO : env->fs->rename(env, catalog->tmp, catalog->path);
    if (err == ERR_OK)
        err = FAULT("catalog.sync_dir") ? ERR_IO : env->fs->sync_dir(env, catalog->dir);
    if (err != ERR_OK) {
        (void)made->ops->close(made);
        return err;
    }
    *file = made;
    return ERR_OK;
}

/* Replaces the file by one that holds the state alone. */
static enum err rewrite(struct catalog *catalog, struct err_info *info)
{
    struct env_file *file = NULL;
    enum err err = print_state(catalog);

    close_file(catalog);
    catalog->is_unsure = true;
    if (err == ERR_OK)
        err = write_new(catalog, &file);
    if (err != ERR_OK)
        return err_set(info, err, "%s: %s", catalog->tmp, err_text(err));
    catalog->file = file;
    catalog->state.end = catalog->buf.len;
    catalog->state.snapshot_size = catalog->buf.len - CATALOG_HEADER_SIZE;
    catalog->state.has_torn_tail = false;
    catalog->is_unsure = false;
    return ERR_OK;
}

static enum err read_file(struct catalog *catalog, struct err_info *info)
{
    struct env_file *file = catalog->file;
    uint64_t size;
    size_t got = 0;
    enum err err = file->ops->size(file, &size);

    if (err == ERR_OK && size > CATALOG_SIZE_MAX)
        return err_set(info, ERR_CORRUPT, "%s: is too large", catalog->path);
    if (err == ERR_OK) {
        char *bytes = mem_alloc((size_t)size + 1);

        err = file->ops->read_at(file, 0, bytes, (size_t)size, &got);
        if (err == ERR_OK) {
            err = catalog_state_read(&catalog->state, slice_of(bytes, got), info);
            if (err != ERR_OK)
                err_prefix(info, "%s", catalog->dir);
        }
        mem_free(bytes);
    }
    if (err != ERR_OK)
        return err_set(info, err, "%s: %s", catalog->path, err_text(err));
    return ERR_OK;
}

/* When only the process died, the last change may be in the page cache and nowhere else. It will be
 * acted upon, so it is written once more and synced before that. */
static enum err write_again(struct catalog *catalog, struct err_info *info)
{
    struct env_file *file = catalog->file;
    char *bytes = mem_alloc((size_t)catalog->state.end);
    size_t got = 0;
    enum err err = file->ops->read_at(file, 0, bytes, (size_t)catalog->state.end, &got);

    if (err == ERR_OK)
        err = FAULT("catalog.write_again") ? ERR_IO : file->ops->write_at(file, 0, bytes, got);
    if (err == ERR_OK)
        err = FAULT("catalog.sync_again") ? ERR_IO : file->ops->sync(file);
    if (err == ERR_OK)
        err = catalog->env->fs->sync_dir(catalog->env, catalog->dir);
    mem_free(bytes);
    return err == ERR_OK ? ERR_OK : err_set(info, err, "%s: %s", catalog->path, err_text(err));
}

/* ---- public ---- */

enum err catalog_open(struct env *env, const struct log *log, const char *dir, struct catalog **out,
                      struct err_info *info)
{
    struct catalog *catalog = mem_zalloc(1, sizeof(*catalog));
    enum err err = ERR_OK;

    catalog->env = env;
    catalog->log = log;
    buf_init(&catalog->buf, CATALOG_SIZE_MAX);
    if ((size_t)snprintf(catalog->dir, sizeof(catalog->dir), "%s", dir) >= sizeof(catalog->dir) ||
        (size_t)snprintf(catalog->path, sizeof(catalog->path), "%s/catalog", dir) >=
            sizeof(catalog->path) ||
        (size_t)snprintf(catalog->tmp, sizeof(catalog->tmp), "%s/catalog.tmp", dir) >=
            sizeof(catalog->tmp))
        err = err_set(info, ERR_BAD_INPUT, "%s: path is too long", dir);
    if (err == ERR_OK)
        err = env->fs->open(env, catalog->path, ENV_OPEN_READ | ENV_OPEN_WRITE, &catalog->file);
    if (err == ERR_OK) {
        err = read_file(catalog, info);
        if (err == ERR_OK && !catalog->state.has_torn_tail)
            err = write_again(catalog, info);
        if (err == ERR_OK && catalog->state.has_torn_tail) {
            log_info(log, "catalog had a torn tail", F_STR("path", catalog->path),
                     F_UINT("good_bytes", catalog->state.end));
            catalog->had_torn_tail = true;
            (void)rewrite(catalog, NULL); /* unsure until it can be: reads need no file */
        }
    } else if (err == ERR_NOT_FOUND) {
        catalog->file = NULL;
        err = rewrite(catalog, info);
    } else if (err != ERR_BAD_INPUT) {
        (void)err_set(info, err, "%s: %s", catalog->path, err_text(err));
    }
    if (err != ERR_OK) {
        catalog_close(catalog);
        return err;
    }
    *out = catalog;
    return ERR_OK;
}

void catalog_close(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    close_file(catalog);
    catalog_state_fini(&catalog->state);
    buf_fini(&catalog->buf);
    mem_free(catalog);
}

uint32_t catalog_count(const struct catalog *catalog)
{
    return catalog->state.count;
}

const struct catalog_entry *catalog_get(const struct catalog *catalog, uint32_t index)
{
    ASSERT(index < catalog->state.count);
    return &catalog->state.entries[index];
}

const struct catalog_entry *catalog_find(const struct catalog *catalog, struct ulid ulid)
{
    return catalog_state_find(&catalog->state, ulid);
}

uint64_t catalog_version(const struct catalog *catalog)
{
    return catalog->state.version;
}

bool catalog_is_unsure(const struct catalog *catalog)
{
    return catalog->is_unsure;
}

bool catalog_had_torn_tail(const struct catalog *catalog)
{
    return catalog->had_torn_tail;
}

enum err catalog_mend(struct catalog *catalog, struct err_info *info)
{
    if (!catalog->is_unsure)
        return ERR_OK;
    return rewrite(catalog, info);
}

static enum err append(struct catalog *catalog, const struct catalog_change *change)
{
    struct env_file *file = catalog->file;
    enum err err;

    buf_reset(&catalog->buf);
    catalog_put_change(&catalog->buf, &catalog->state, change);
    if (catalog->buf.err != ERR_OK)
        return catalog->buf.err;
    err = FAULT("catalog.append")
              ? ERR_IO
              : file->ops->write_at(file, catalog->state.end, catalog->buf.data, catalog->buf.len);
    if (err == ERR_OK)
        err = FAULT("catalog.append_sync") ? ERR_IO : file->ops->sync(file);
    return err;
}

static enum err check_limits(const struct catalog_state *state, const struct catalog_change *change,
                             struct err_info *info)
{
    if (state->count + change->attach_count > CATALOG_ENTRIES_MAX)
        return err_set(info, ERR_LIMIT, "catalog: more than %d blocks", CATALOG_ENTRIES_MAX);
    if (state->deletion_count + change->deletion_count > CATALOG_DELETIONS_MAX)
        return err_set(info, ERR_LIMIT,
                       "more than %d deletions wait to be cleaned up; call clean_tombstones",
                       CATALOG_DELETIONS_MAX);
    if (state->gone_count + change->detach_count > CATALOG_GONE_MAX)
        return err_set(info, ERR_LIMIT, "catalog: more than %d blocks gone", CATALOG_GONE_MAX);
    for (uint32_t i = 0; i < change->deletion_count; i++) {
        const struct catalog_deletion *deletion = &change->deletions[i];
        size_t size = 0;

        ASSERT(deletion->matcher_count > 0);
        for (uint32_t j = 0; j < deletion->matcher_count; j++)
            size += deletion->matchers[j].name.len + deletion->matchers[j].value.len;
        if (deletion->matcher_count > CATALOG_DELETION_MATCHERS_MAX ||
            size > CATALOG_DELETION_SIZE_MAX || deletion->tenant.len >= BLOCK_TENANT_SIZE)
            return err_set(info, ERR_TOO_LARGE,
                           "a deletion has more than %d matchers or %d bytes of text",
                           CATALOG_DELETION_MATCHERS_MAX, CATALOG_DELETION_SIZE_MAX);
    }
    return ERR_OK;
}

/* What replay would make of the record just written. */
static void change_state(struct catalog_state *state, const struct catalog_change *change)
{
    bool is_done = true;

    for (uint32_t i = 0; i < change->attach_count; i++)
        is_done &= catalog_state_attach(state, &change->attach[i]);
    for (uint32_t i = 0; i < change->deletion_count; i++) {
        struct catalog_deletion deletion = change->deletions[i];

        deletion.version = state->version + 1;
        is_done &= catalog_state_delete(state, &deletion);
    }
    for (uint32_t i = 0; i < change->detach_count; i++)
        is_done &= catalog_state_detach(state, change->detach[i], !change->is_loss);
    ASSERT(is_done);
    catalog_state_prune(state);
    state->version++;
}

enum err catalog_apply(struct catalog *catalog, const struct catalog_change *change,
                       struct err_info *info)
{
    struct catalog_state *state = &catalog->state;
    enum err err = catalog_mend(catalog, info);

    if (err == ERR_OK)
        err = check_limits(state, change, info);
    if (err != ERR_OK)
        return err;
    err = append(catalog, change);
    if (err != ERR_OK) {
        (void)err_set(info, err, "%s: %s", catalog->path, err_text(err));
        (void)rewrite(catalog, NULL);
        return err;
    }
    change_state(state, change);
    state->end += catalog->buf.len;
    const uint64_t changes_size = state->end - CATALOG_HEADER_SIZE - state->snapshot_size;
    if (changes_size > REWRITE_SIZE_MIN && changes_size > 2 * state->snapshot_size &&
        rewrite(catalog, NULL) != ERR_OK)
        log_warn(catalog->log, "catalog could not be shortened, will try again",
                 F_STR("path", catalog->path));
    return ERR_OK;
}

uint32_t catalog_deletion_count(const struct catalog *catalog)
{
    return catalog->state.deletion_count;
}

const struct catalog_deletion *catalog_deletion_get(const struct catalog *catalog, uint32_t index)
{
    ASSERT(index < catalog->state.deletion_count);
    return catalog->state.deletions[index];
}

uint32_t catalog_gone_count(const struct catalog *catalog)
{
    return catalog->state.gone_count;
}

const struct catalog_gone *catalog_gone_get(const struct catalog *catalog, uint32_t index)
{
    ASSERT(index < catalog->state.gone_count);
    return &catalog->state.gone[index];
}

bool catalog_is_gone(const struct catalog *catalog, struct ulid ulid)
{
    for (uint32_t i = 0; i < catalog->state.gone_count; i++)
        if (ulid_cmp(catalog->state.gone[i].ulid, ulid) == 0)
            return true;
    return false;
}

void catalog_bury(struct catalog *catalog,
                  bool (*is_over)(void *owner, const struct catalog_gone *gone), void *owner)
{
    struct catalog_state *state = &catalog->state;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < state->gone_count; i++)
        if (!is_over(owner, &state->gone[i]))
            state->gone[kept++] = state->gone[i];
    state->gone_count = kept;
}

/* The state that a copy has; its deletions are the original's. */
static struct catalog_state copy_state(const struct catalog *catalog,
                                       const struct catalog_copy *copy)
{
    struct catalog_state state = {.version = catalog->state.version,
                                  .deletions = catalog->state.deletions,
                                  .deletion_count = catalog->state.deletion_count};
    bool is_done = true;

    for (uint32_t i = 0; i < copy->ulid_count; i++) {
        const struct catalog_entry *entry = catalog_find(catalog, copy->ulids[i]);

        ASSERT(entry != NULL);
        is_done &= catalog_state_attach(&state, entry);
    }
    for (uint32_t i = 0; i < copy->more_count; i++)
        is_done &= catalog_state_attach(&state, &copy->more[i]);
    ASSERT(is_done);
    for (uint32_t i = 0; i < state.count; i++)
        state.entries[i].watermark = 0;
    return state;
}

enum err catalog_write_copy(const struct catalog *catalog, const char *dir,
                            const struct catalog_copy *copy, struct err_info *info)
{
    const unsigned flags = ENV_OPEN_READ | ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL;
    struct env *env = catalog->env;
    struct catalog_state state = copy_state(catalog, copy);
    char path[CATALOG_PATH_SIZE];
    struct env_file *file;
    struct buf buf;
    enum err err;

    buf_init(&buf, CATALOG_SIZE_MAX);
    catalog_put_header(&buf);
    catalog_put_snapshot(&buf, &state);
    err = buf.err;
    if (err == ERR_OK && (size_t)snprintf(path, sizeof(path), "%s/catalog", dir) >= sizeof(path))
        err = ERR_TOO_LARGE;
    if (err == ERR_OK)
        err = FAULT("catalog.copy") ? ERR_IO : env->fs->open(env, path, flags, &file);
    if (err == ERR_OK) {
        err = file->ops->write_at(file, 0, buf.data, buf.len);
        if (err == ERR_OK)
            err = FAULT("catalog.copy_sync") ? ERR_IO : file->ops->sync(file);
        const enum err close_err = file->ops->close(file);
        err = err == ERR_OK ? close_err : err;
    }
    buf_fini(&buf);
    mem_free(state.entries);
    return err == ERR_OK ? ERR_OK : err_set(info, err, "%s/catalog: %s", dir, err_text(err));
}

struct catalog_entry catalog_entry_of(const struct block_meta *meta)
{
    struct catalog_entry entry = {.ulid = meta->ulid,
                                  .window_t_min_ms = meta->window_t_min_ms,
                                  .window_t_end_ms = meta->window_t_end_ms,
                                  .t_min_ms = meta->t_min_ms,
                                  .t_max_ms = meta->t_max_ms,
                                  .watermark = meta->watermark,
                                  .cleaned_version = meta->cleaned_version,
                                  .series_count = meta->series_count,
                                  .chunk_count = meta->chunk_count,
                                  .sample_count = meta->sample_count,
                                  .size_bytes = meta->index.size_bytes + meta->data.size_bytes};

    memcpy(entry.tenant, meta->tenant, sizeof(entry.tenant));
    return entry;
}
