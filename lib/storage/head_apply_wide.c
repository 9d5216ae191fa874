/* SPDX-License-Identifier: Apache-2.0 */

/* Applies what is more than a time and a float. It is rarer than plain floats, and series of these
 * alone never come here. */

#include "storage/head_apply.h"
#include "storage/head_wide.h"

/* A sample on its way into its series. */
struct wide_apply {
    struct head_apply *apply;
    struct head_ref ref;
    struct head_wide_append append;
    enum head_newest newest; /* what it is */
};

/* As apply_judge has it for plain floats. Histograms are taken in order only. */
static enum append_verdict wide_judge(const struct wide_apply *wide, const struct series_hot *hot,
                                      bool *is_late)
{
    const struct head_apply *apply = wide->apply;
    const int64_t t_ms = wide->append.sample.t_ms;

    *is_late = false;
    if (t_ms >= apply->bound_ms) {
        if (t_ms > hot->t_ms)
            return APPEND_OK;
        if (t_ms == hot->t_ms && wide->newest == head_chunk_newest(hot) &&
            wide->append.v_bits == hot->v_bits)
            return APPEND_DUPLICATE_SAME;
    }
    if (apply->late_bound_ms != INT64_MAX) {
        if (t_ms < apply->late_bound_ms)
            return APPEND_OUT_OF_WINDOW;
        if (!wide->append.is_histogram) {
            *is_late = true;
            return APPEND_OK;
        }
    } else if (t_ms < apply->bound_ms) {
        return APPEND_TOO_OLD;
    }
    return t_ms == hot->t_ms ? APPEND_DUPLICATE : APPEND_OUT_OF_ORDER;
}

/* A float without a start time begins no wide chunk. */
static unsigned wide_put(struct head_apply *apply, struct series_hot *hot,
                         struct head_wide_append *append)
{
    const bool is_plain = !append->is_histogram && append->sample.start_t_ms == 0;

    if (is_plain && !head_wide_takes_float(hot, append->window_min_ms)) {
        const struct head_append plain = {.t_ms = append->sample.t_ms,
                                          .v_bits = append->v_bits,
                                          .mark_seq = append->mark_seq,
                                          .window_min_ms = append->window_min_ms};

        return head_chunk_append(apply->head, hot, &plain);
    }
    return head_wide_append(apply->head, hot, append);
}

static void wide_append(struct wide_apply *wide, struct series_hot *hot)
{
    struct head_apply *apply = wide->apply;
    struct head_wide_append *append = &wide->append;
    const int64_t t_ms = append->sample.t_ms;

    head_apply_enter_window(apply, t_ms);
    append->mark_seq = apply->mark_seq;
    append->window_min_ms = apply->window_min_ms;
    if (apply->replay && head_apply_is_flushed(apply, t_ms)) {
        /* It is in a block; what comes later is judged by it all the same. */
        if (hot->count > 0)
            head_chunk_seal(apply->head, hot);
        head_chunk_clear(apply->head, hot);
        hot->t_ms = t_ms;
        hot->v_bits = append->v_bits;
        head_wide_set_newest(hot, wide->newest);
        return;
    }
    apply->chunks += wide_put(apply, hot, append);
    if (append->is_histogram)
        apply->histograms_appended++;
    else
        apply->appended++;
    apply->t_min_ms = t_ms < apply->t_min_ms ? t_ms : apply->t_min_ms;
    apply->t_max_ms = t_ms > apply->t_max_ms ? t_ms : apply->t_max_ms;
}

static enum append_verdict wide_apply(struct wide_apply *wide)
{
    struct head_apply *apply = wide->apply;
    const int64_t t_ms = wide->append.sample.t_ms;
    enum append_verdict verdict;
    struct series_hot *hot;
    bool is_late;

    if (!head_apply_enter(apply, wide->ref))
        return APPEND_UNKNOWN_REF;
    hot = &apply->slab->hot[head_slab_index(wide->ref.slot)];
    if (apply->replay && apply->seq <= apply->slab_seq) {
        if (t_ms > apply->tenant->t_max_ms && t_ms >= apply->bound_ms)
            apply->tenant->t_max_ms = t_ms;
        return APPEND_OK; /* the checkpoint has judged it */
    }
    verdict = wide_judge(wide, hot, &is_late);
    if (verdict != APPEND_OK)
        return verdict;
    if (is_late) {
        const struct head_entry entry = {
            .ref = wide->ref, .t_ms = t_ms, .v_bits = wide->append.v_bits};

        return head_apply_late(apply, head_slab_index(wide->ref.slot), &entry);
    }
    if (t_ms > apply->tenant->t_max_ms)
        apply->tenant->t_max_ms = t_ms;
    wide_append(wide, hot);
    return APPEND_OK;
}

/* The stale marker of a histogram series, which a sender that knows only values writes as a float,
 * is one of its kind, as upstream has it. */
static void wide_make_stale(struct wide_apply *wide, struct histogram *stale,
                            enum head_newest newest)
{
    *stale = (struct histogram){.sum = sample_value_from_bits(SAMPLE_STALE_BITS),
                                .is_float = newest == HEAD_NEWEST_FLOAT_HISTOGRAM};
    wide->append.sample.histogram = stale;
    wide->append.is_histogram = true;
    wide->append.v_bits = SAMPLE_STALE_BITS;
    wide->newest = newest;
}

/* A stale histogram has the kind of those before it. */
static void wide_adapt_stale(struct wide_apply *wide, struct histogram *stale)
{
    const struct series_hot *hot;

    if (!head_apply_enter(wide->apply, wide->ref))
        return;
    hot = &wide->apply->slab->hot[head_slab_index(wide->ref.slot)];
    if (head_chunk_newest(hot) != HEAD_NEWEST_FLOAT)
        wide_make_stale(wide, stale, head_chunk_newest(hot));
}

enum append_verdict head_apply_float(struct head_apply *apply, const struct head_entry *entry,
                                     int64_t start_t_ms)
{
    struct wide_apply wide = {.apply = apply,
                              .ref = entry->ref,
                              .append = {.sample = {.t_ms = entry->t_ms,
                                                    .start_t_ms = start_t_ms,
                                                    .v = sample_value_from_bits(entry->v_bits)},
                                         .v_bits = entry->v_bits},
                              .newest = HEAD_NEWEST_FLOAT};
    struct histogram stale;

    if (entry->v_bits == SAMPLE_STALE_BITS && head_apply_enter(apply, entry->ref)) {
        const struct series_hot *hot = &apply->slab->hot[head_slab_index(entry->ref.slot)];

        if (head_chunk_newest(hot) != HEAD_NEWEST_FLOAT)
            wide_make_stale(&wide, &stale, head_chunk_newest(hot));
    }
    return wide_apply(&wide);
}

static enum append_verdict apply_histogram(struct head_apply *apply,
                                           const struct head_wide_entry *entry)
{
    struct head_record_histogram record;
    struct wide_apply wide = {.apply = apply, .ref = entry->ref, .append.is_histogram = true};
    const struct histogram *h = &record.histogram;
    struct arena arena;
    enum append_verdict verdict = APPEND_BAD_HISTOGRAM;

    arena_init(&arena, NULL, 0);
    if (head_record_get_histogram(entry, &arena, &record) == ERR_OK &&
        (histogram_is_stale(h) || histogram_check(h, NULL) == ERR_OK)) {
        wide.append.sample = (struct wide_sample){
            .t_ms = entry->t_ms, .start_t_ms = record.start_t_ms, .histogram = h};
        wide.append.v_bits = histogram_is_stale(h) ? SAMPLE_STALE_BITS
                                                   : hash64(&apply->head->hash_key, record.content);
        wide.newest = h->is_float ? HEAD_NEWEST_FLOAT_HISTOGRAM : HEAD_NEWEST_HISTOGRAM;
        if (histogram_is_stale(h))
            wide_adapt_stale(&wide, &record.histogram);
        verdict = wide_apply(&wide);
    }
    arena_fini(&arena);
    return verdict;
}

static enum append_verdict exemplar_verdict(struct head_apply *apply, enum head_exemplar_end end)
{
    switch (end) {
    case HEAD_EXEMPLAR_ADDED:
        apply->exemplars_appended++;
        return APPEND_OK;
    case HEAD_EXEMPLAR_SAME:
        return APPEND_DUPLICATE_SAME;
    case HEAD_EXEMPLAR_LATE:
        apply->late_exemplars++;
        return APPEND_LATE_EXEMPLAR;
    case HEAD_EXEMPLAR_OFF:
        break;
    }
    return APPEND_EXEMPLARS_OFF;
}

static enum append_verdict apply_exemplar(struct head_apply *apply,
                                          const struct head_wide_entry *entry)
{
    struct exemplar exemplar;
    enum append_verdict verdict = APPEND_BAD_EXEMPLAR;
    struct arena arena;

    if (!head_apply_enter(apply, entry->ref))
        return APPEND_UNKNOWN_REF;
    if (apply->replay &&
        (apply->seq <= apply->head->exemplars_seq || head_apply_is_flushed(apply, entry->t_ms)))
        return APPEND_OK; /* the checkpoint or a block has it */
    arena_init(&arena, NULL, 0);
    if (head_record_get_exemplar(entry, &arena, &exemplar) == ERR_OK)
        verdict = exemplar_verdict(apply, head_exemplars_add(apply->head->exemplars, entry->ref,
                                                             apply->mark_seq, &exemplar));
    arena_fini(&arena);
    return verdict;
}

static enum append_verdict apply_metadata(struct head_apply *apply,
                                          const struct head_wide_entry *entry)
{
    struct metadata metadata;

    if (head_record_get_metadata(entry, &metadata) != ERR_OK)
        return APPEND_BAD_METADATA;
    switch (head_metadata_add(apply->head->metadata, apply->tenant->id, &metadata)) {
    case HEAD_METADATA_ADDED:
        return APPEND_OK;
    case HEAD_METADATA_SAME:
        return APPEND_DUPLICATE_SAME;
    case HEAD_METADATA_FULL:
        break;
    }
    return APPEND_BAD_METADATA;
}

/* Counts what was stored by kind. */
static enum append_verdict note_kind(struct head_apply *apply, enum append_kind kind,
                                     enum append_verdict verdict)
{
    apply->stored[kind] += append_verdict_stored(verdict);
    return verdict;
}

enum append_verdict head_apply_wide(struct head_apply *apply, const struct head_wide_entry *entry)
{
    struct head_entry plain = {.ref = entry->ref, .t_ms = entry->t_ms};
    int64_t start_t_ms;

    switch (entry->kind) {
    case HEAD_WIDE_FLOAT:
        if (head_record_get_float(entry, &start_t_ms, &plain.v_bits) != ERR_OK)
            return APPEND_UNKNOWN_REF; /* not ours, or CRC would have found it */
        return head_apply_float(apply, &plain, start_t_ms);
    case HEAD_WIDE_HISTOGRAM:
        return note_kind(apply, APPEND_HISTOGRAM, apply_histogram(apply, entry));
    case HEAD_WIDE_EXEMPLAR:
        return note_kind(apply, APPEND_EXEMPLAR, apply_exemplar(apply, entry));
    case HEAD_WIDE_METADATA:
        return note_kind(apply, APPEND_METADATA, apply_metadata(apply, entry));
    case HEAD_WIDE_KINDS:
        break;
    }
    return APPEND_UNKNOWN_REF;
}
