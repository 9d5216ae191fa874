/* SPDX-License-Identifier: Apache-2.0 */
#include "main/import_openmetrics.h"

#include <string.h>

#include "base/digest.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/exposition.h"
#include "main/import_collect.h"
#include "main/tool_file.h"

/* A series' text as it lies in the file, and what it is. */
struct text_series {
    struct slice text; /* in the mapped file */
    enum metric_type type;
    uint32_t id;
};

struct openmetrics {
    struct import *import;
    const char *path;
    struct slice file; /* mapped */
    struct import_collect *collect;
    struct map by_text;
    struct text_series *series; /* owned */
    uint32_t count, cap;
    bool scans; /* the first walk checks everything, and finds the series and the times */
    struct metadata family;
    struct arena arena; /* of one line */
    struct arena family_arena;
};

static const struct hash_key hash_key;

static bool has_text(const void *key, uint64_t value, void *owner)
{
    const struct openmetrics *om = owner;
    const struct text_series *wanted = key;

    return om->series[value].type == wanted->type && slice_eq(om->series[value].text, wanted->text);
}

static enum err find_series(struct openmetrics *om, const struct exposition *p,
                            const struct exposition_entry *entry, uint32_t *id,
                            struct err_info *info)
{
    struct text_series series = {.text = entry->series, .type = entry->type};
    const uint64_t hash = hash64(&hash_key, entry->series) + (uint64_t)entry->type;
    const uint64_t *known = map_find(&om->by_text, hash, &series);
    struct label_set labels;
    enum err err;

    if (known != NULL) {
        *id = om->series[*known].id;
        return ERR_OK;
    }
    err = exposition_labels(p, entry, &om->arena, &labels, info);
    if (err == ERR_OK)
        err = import_collect_series(om->collect, labels, &series.id);
    if (err != ERR_OK)
        return err;
    if (om->count == om->cap) {
        om->cap = om->cap == 0 ? 1024 : om->cap * 2;
        om->series = mem_realloc(om->series, om->cap * sizeof(*om->series));
    }
    om->series[om->count] = series;
    map_insert(&om->by_text, hash, om->count++);
    *id = series.id;
    return ERR_OK;
}

static enum err take_exemplar(struct openmetrics *om, const struct exposition_entry *entry,
                              uint32_t id, struct err_info *info)
{
    struct exemplar exemplar;
    const enum err err = exposition_exemplar(entry, &om->arena, &exemplar, info);

    if (err != ERR_OK)
        return err;
    if (!exemplar.has_t)
        exemplar.t_ms = entry->t_ms;
    exemplar.has_t = true;
    if (!om->scans)
        import_collect_add_exemplar(om->collect, id, &exemplar);
    return ERR_OK;
}

static enum err take_sample(struct openmetrics *om, const struct exposition *p,
                            const struct exposition_entry *entry, struct err_info *info)
{
    const struct prom_sample sample = {.t_ms = entry->t_ms, .kind = SAMPLE_FLOAT, .v = entry->v};
    uint32_t id = 0;
    enum err err;

    if (!entry->has_t)
        return err_set(info, ERR_BAD_INPUT, "no timestamp at %.*s",
                       (int)(entry->series.len < 100 ? entry->series.len : 100),
                       entry->series.data);
    err = find_series(om, p, entry, &id, info);
    if (err != ERR_OK)
        return err;
    if (om->scans)
        import_collect_note(om->collect, entry->t_ms);
    else
        import_collect_add_any(om->collect, id, &sample);
    return entry->exemplar.len > 0 ? take_exemplar(om, entry, id, info) : ERR_OK;
}

/* TYPE, HELP and UNIT of one family come together. */
static void take_metadata(struct openmetrics *om, const struct exposition *p,
                          const struct exposition_entry *entry)
{
    if (!slice_eq(om->family.metric, entry->name)) {
        arena_reset(&om->family_arena);
        om->family = (struct metadata){.metric = entry->name};
    }
    if (entry->kind == EXPOSITION_TYPE)
        om->family.type = entry->type;
    else if (entry->kind == EXPOSITION_HELP)
        om->family.help = exposition_text(p, entry, &om->family_arena);
    else
        om->family.unit = exposition_text(p, entry, &om->family_arena);
    import_collect_metadata(om->collect, &om->family);
}

static enum err feed(void *owner, struct err_info *info)
{
    static const struct exposition_options options = {.format = EXPOSITION_OPENMETRICS,
                                                      .scheme = LABEL_SCHEME_UTF8};
    struct openmetrics *om = owner;
    struct exposition_entry entry;
    struct exposition p;
    enum err err = ERR_OK;

    exposition_init(&p, om->file, &options);
    while (err == ERR_OK && exposition_next(&p, &entry)) {
        if (entry.kind == EXPOSITION_SERIES)
            err = take_sample(om, &p, &entry, info);
        else if (om->scans)
            take_metadata(om, &p, &entry);
        arena_reset(&om->arena);
    }
    return err == ERR_OK && p.err != ERR_OK
               ? err_set(info, p.err, "%s", err_message(p.err, &p.info))
               : err;
}

void import_openmetrics(struct import *import, const char *path)
{
    struct openmetrics om = {.import = import, .path = path, .scans = true};
    struct err_info info = {{0}};
    uint8_t key[DIGEST_SHA256_SIZE];
    enum err err = tool_file_map(path, &om.file, &info);

    if (err != ERR_OK) {
        import_fault(import, path, err, &info);
        return;
    }
    arena_init(&om.arena, NULL, 0);
    arena_init(&om.family_arena, NULL, 0);
    map_init(&om.by_text, has_text, &om);
    om.collect = import_collect_new(import->memory_max);
    err = feed(&om, &info);
    if (err == ERR_OK) {
        om.scans = false;
        digest_sha256(key, om.file);
        import_collect_seal(om.collect);
        import_collect_put(
            import, om.collect,
            &(struct import_collect_source){
                .name = path, .key = slice_of(key, sizeof(key)), .feed = feed, .owner = &om});
    } else {
        import_fault(import, path, err, &info);
    }
    import_collect_free(om.collect);
    mem_free(om.series);
    map_fini(&om.by_text);
    arena_fini(&om.family_arena);
    arena_fini(&om.arena);
    tool_file_unmap(om.file);
}
