/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/head_apply.h"

#include <string.h>

#include "base/mem.h"
#include "model/order.h"
#include "storage/head_ooo.h"

/* Applies durable records in the order of the log: judges each sample against its series, appends,
 * publishes the watermark, answers. One job at a time does it; replay uses the same code. */

static int64_t floor_to(int64_t t_ms, int64_t range_ms)
{
    const int64_t rest = t_ms % range_ms;

    return rest < 0 ? t_ms - rest - range_ms : t_ms - rest;
}

static void apply_unlock(struct head_apply *apply)
{
    if (apply->slab != NULL)
        pthread_mutex_unlock(&apply->slab->lock);
    apply->slab = NULL;
}

/* Locks the slab of a slot, once per run of neighbours. False: there is none. */
static bool apply_enter(struct head_apply *apply, uint32_t slot)
{
    struct head *head = apply->head;
    const uint32_t number = slot >> HEAD_SLAB_SHIFT;

    if (apply->slab != NULL && apply->slab_number == number)
        return true;
    apply_unlock(apply);
    if (slot >= atomic_load_explicit(&head->slot_end, memory_order_acquire))
        return false;
    apply->slab = head_slab_of(head, slot);
    apply->slab_number = number;
    if (apply->slab == NULL)
        return false;
    if (apply->replay)
        apply->slab_seq = number < head->slab_seq_count ? head->slab_seqs[number] : 0;
    pthread_mutex_lock(&apply->slab->lock);
    return true;
}

bool head_apply_enter(struct head_apply *apply, struct head_ref ref)
{
    return apply_enter(apply, ref.slot) &&
           (atomic_load_explicit(&apply->slab->state[head_slab_index(ref.slot)],
                                 memory_order_relaxed) &
            ~HEAD_STATE_DYING) == ref.gen;
}

bool head_apply_is_flushed(const struct head_apply *apply, int64_t t_ms)
{
    const struct head_options *options = &apply->head->options;

    for (size_t i = 0; i < options->window_count; i++) {
        const struct head_window *window = &options->windows[i];

        if (apply->seq <= window->watermark && t_ms >= window->t_min_ms && t_ms < window->t_end_ms)
            return true;
    }
    return false;
}

void head_apply_enter_window(struct head_apply *apply, int64_t t_ms)
{
    if (t_ms >= apply->window_min_ms && t_ms < apply->window_end_ms)
        return;
    apply->window_min_ms = floor_to(t_ms, apply->head->options.block_range_ms);
    apply->window_end_ms = apply->window_min_ms + apply->head->options.block_range_ms;
}

static void apply_append(struct head_apply *apply, struct series_hot *hot,
                         const struct head_entry *entry)
{
    struct head *head = apply->head;
    struct head_append append = {
        .t_ms = entry->t_ms, .v_bits = entry->v_bits, .mark_seq = apply->mark_seq};

    head_apply_enter_window(apply, entry->t_ms);
    if (apply->replay && head_apply_is_flushed(apply, entry->t_ms)) {
        /* It is in a block; what comes later is judged by it all the same. */
        if (hot->count > 0)
            head_chunk_seal(head, hot);
        hot->t_ms = entry->t_ms;
        hot->v_bits = entry->v_bits;
        return;
    }
    append.window_min_ms = apply->window_min_ms;
    apply->chunks += head_chunk_append(head, hot, &append);
    apply->appended++;
    apply->t_min_ms = entry->t_ms < apply->t_min_ms ? entry->t_ms : apply->t_min_ms;
    apply->t_max_ms = entry->t_ms > apply->t_max_ms ? entry->t_ms : apply->t_max_ms;
}

/* Upstream's rules, with and without an out-of-order window. With one, *is_late says that the
 * sample goes apart from those in order; so does another value for the newest time. */
static enum append_verdict apply_judge(const struct head_apply *apply, const struct series_hot *hot,
                                       const struct head_entry *entry, bool *is_late)
{
    *is_late = false;
    if (entry->t_ms >= apply->bound_ms) {
        if (entry->t_ms > hot->t_ms)
            return APPEND_OK;
        if (entry->t_ms == hot->t_ms && entry->v_bits == hot->v_bits)
            return APPEND_DUPLICATE_SAME;
    }
    if (apply->late_bound_ms != INT64_MAX) {
        *is_late = true;
        return entry->t_ms >= apply->late_bound_ms ? APPEND_OK : APPEND_OUT_OF_WINDOW;
    }
    if (entry->t_ms < apply->bound_ms)
        return APPEND_TOO_OLD;
    return entry->t_ms < hot->t_ms ? APPEND_OUT_OF_ORDER : APPEND_DUPLICATE;
}

/* Whether the newest in order wins over a float of its time. */
static bool newest_wins(const struct series_hot *hot, uint64_t v_bits)
{
    if (head_chunk_newest(hot) == HEAD_NEWEST_FLOAT)
        return order_floats(sample_value_from_bits(hot->v_bits), sample_value_from_bits(v_bits)) >
               0;
    return hot->v_bits != SAMPLE_STALE_BITS || v_bits == SAMPLE_STALE_BITS;
}

enum append_verdict head_apply_late(struct head_apply *apply, uint32_t i,
                                    const struct head_entry *entry)
{
    const struct series_hot *hot = &apply->slab->hot[i];
    struct head_ooo_append append = {.sample = {entry->t_ms, entry->v_bits, apply->mark_seq}};
    enum head_ooo_end end;

    if (apply->replay && head_apply_is_flushed(apply, entry->t_ms))
        return APPEND_OK;
    if (entry->t_ms == hot->t_ms && newest_wins(hot, entry->v_bits))
        return APPEND_OK; /* wherever both are read */
    end = head_ooo_append(apply->head, apply->slab, i, &append);
    apply->chunks += append.chunks;
    apply->late_settled += append.dropped;
    if (end != HEAD_OOO_ADDED)
        return end == HEAD_OOO_SAME ? APPEND_DUPLICATE_SAME : APPEND_OK;
    apply->late_appended++;
    apply->late_min_ms = entry->t_ms < apply->late_min_ms ? entry->t_ms : apply->late_min_ms;
    apply->t_max_ms = entry->t_ms > apply->t_max_ms ? entry->t_ms : apply->t_max_ms;
    return APPEND_OK;
}

static enum append_verdict apply_entry(struct head_apply *apply, const struct head_entry *entry)
{
    const uint32_t i = head_slab_index(entry->ref.slot);
    struct series_hot *hot;
    enum append_verdict verdict;
    uint32_t state;
    bool is_late;

    if (!apply_enter(apply, entry->ref.slot))
        return APPEND_UNKNOWN_REF;
    state = atomic_load_explicit(&apply->slab->state[i], memory_order_relaxed);
    if ((state & ~HEAD_STATE_DYING) != entry->ref.gen)
        return APPEND_UNKNOWN_REF;
    hot = &apply->slab->hot[i];
    if (__builtin_expect((hot->trailing & HEAD_HOT_FLAGS) != 0, 0))
        return head_apply_float(apply, entry, 0);
    if (apply->replay && apply->seq <= apply->slab_seq) {
        if (entry->t_ms > apply->tenant->t_max_ms && entry->t_ms >= apply->bound_ms)
            apply->tenant->t_max_ms = entry->t_ms;
        return APPEND_OK; /* the checkpoint has judged it */
    }
    verdict = apply_judge(apply, hot, entry, &is_late);
    if (verdict != APPEND_OK)
        return verdict;
    if (__builtin_expect(is_late, 0))
        return head_apply_late(apply, i, entry);
    if (entry->t_ms > apply->tenant->t_max_ms)
        apply->tenant->t_max_ms = entry->t_ms;
    apply_append(apply, hot, entry);
    return APPEND_OK;
}

static void apply_prefetch_hot(const struct head *head, const struct head_entry *entries,
                               unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const uint32_t slot = entries[i].ref.slot;
        const struct head_slab *slab = slot < (uint32_t)HEAD_SLAB_COUNT_MAX << HEAD_SLAB_SHIFT
                                           ? head_slab_of(head, slot)
                                           : NULL;

        if (slab != NULL)
            __builtin_prefetch(&slab->hot[head_slab_index(slot)], 1);
    }
}

/* Where the next append to a series writes; NULL: in memory that it has still to get. */
static const uint8_t *append_place(const struct head_apply *apply, const struct head_entry *entry)
{
    const struct series_hot *hot = &apply->slab->hot[head_slab_index(entry->ref.slot)];

    return hot->open == NULL ? NULL : hot->open + hot->bit_count / 8;
}

/* For a caller that wants to know of each. */
static void apply_note_left_out(const struct head_apply *apply, enum append_verdict verdict)
{
    struct head_txn *txn = apply->left_out_of;
    struct append_result *result = &txn->result;

    if (result->left_out_count == txn->left_out_cap) {
        txn->left_out_cap = txn->left_out_cap == 0 ? 64 : txn->left_out_cap * 2;
        txn->left_out = mem_realloc(txn->left_out, txn->left_out_cap * sizeof(*txn->left_out));
    }
    txn->left_out[result->left_out_count++] = (struct append_left_out){apply->item, verdict};
    result->left_out = txn->left_out;
}

/* Counts a verdict. */
static void apply_note(struct head_apply *apply, const struct head_entry *entry,
                       enum append_verdict verdict)
{
    if (apply->counts[verdict]++ == 0)
        apply->first[verdict] = *entry;
    if (__builtin_expect(verdict != APPEND_OK, 0) && apply->left_out_of != NULL)
        apply_note_left_out(apply, verdict);
    apply->item++;
    if (verdict == APPEND_UNKNOWN_REF && apply->replay && entry->ref.gen > apply->head->gen_next &&
        entry->ref.gen <= HEAD_GEN_MAX)
        apply->head->gen_next = entry->ref.gen;
}

/* One batch. What it touches was asked for when it was decoded; the ends of chunks are asked for
 * when their slab is locked, a run at a time. */
static void apply_batch(struct head_apply *apply, const struct head_entry *entries, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct head_slab *before = apply->slab;
        enum append_verdict verdict;

        if (apply_enter(apply, entries[i].ref.slot) && (i == 0 || apply->slab != before))
            for (unsigned k = i; k < count; k++) {
                if (entries[k].ref.slot >> HEAD_SLAB_SHIFT != apply->slab_number)
                    break;
                /* Not in a function of its own: gcc drops one that does nothing but prefetch. */
                __builtin_prefetch(append_place(apply, &entries[k]), 1);
            }
        verdict = apply_entry(apply, &entries[i]);
        apply_note(apply, &entries[i], verdict);
    }
}

/* Wide entries, up to a plain one. */
static void apply_wide_entries(struct head_apply *apply, struct head_record_reader *reader)
{
    struct head_wide_entry wide;

    while (head_record_next_wide(reader, &wide)) {
        const struct head_entry entry = {.ref = wide.ref, .t_ms = wide.t_ms};

        apply_note(apply, &entry, head_apply_wide(apply, &wide));
    }
}

static void apply_explain(struct head_apply *apply)
{
    struct append_result *result = apply->result;
    struct arena arena;

    arena_init(&arena, NULL, 0);
    for (int i = 0; i < APPEND_VERDICT_COUNT; i++) {
        const struct head_entry *entry = &apply->first[i];
        struct label_set labels = {0};

        result->counts[i] += apply->counts[i];
        if (append_verdict_stored((enum append_verdict)i) || apply->counts[i] == 0)
            continue;
        if (i != APPEND_UNKNOWN_REF &&
            head_series_labels(apply->head, entry->ref.slot, &arena, &labels) != ERR_OK)
            labels = (struct label_set){0};
        head_txn_explain(result, (enum append_verdict)i, entry->t_ms, labels);
    }
    result->stored[APPEND_FLOAT] += apply->counts[APPEND_OK] + apply->counts[APPEND_DUPLICATE_SAME];
    for (int kind = 0; kind < APPEND_KIND_COUNT; kind++) {
        result->stored[kind] += apply->stored[kind];
        result->stored[APPEND_FLOAT] -= apply->stored[kind];
    }
    arena_fini(&arena);
}

static void apply_count(struct head_apply *apply)
{
    struct head_metrics *metrics = &apply->head->metrics;
    const uint32_t *counts = apply->counts;

    if (counts[APPEND_OUT_OF_ORDER] > 0)
        metric_add(&metrics->out_of_order, counts[APPEND_OUT_OF_ORDER]);
    if (counts[APPEND_TOO_OLD] > 0)
        metric_add(&metrics->out_of_bound, counts[APPEND_TOO_OLD]);
    if (counts[APPEND_OUT_OF_WINDOW] > 0)
        metric_add(&metrics->too_old, counts[APPEND_OUT_OF_WINDOW]);
    if (counts[APPEND_DUPLICATE] > 0)
        metric_add(&metrics->duplicates, counts[APPEND_DUPLICATE]);
    if (counts[APPEND_UNKNOWN_REF] > 0)
        metric_add(apply->replay ? &metrics->replay_unknown : &metrics->unknown_ref,
                   counts[APPEND_UNKNOWN_REF]);
}

enum err head_apply_record(struct head_apply *apply, struct slice payload)
{
    struct head *head = apply->head;
    struct head_entry batches[2][HEAD_RECORD_BATCH];
    struct head_record_reader reader;
    struct slice tenant;
    unsigned count;

    if (head_record_open_samples(&reader, payload, &tenant) != ERR_OK)
        return ERR_CORRUPT;
    apply->tenant = head_tenant_find(head, tenant);
    if (apply->tenant == NULL && apply->replay) /* one that brought metadata alone */
        apply->tenant = head_tenant_make(head, tenant);
    if (apply->tenant == NULL)
        return ERR_CORRUPT;
    /* The bound holds for the whole transaction, whatever it brings itself. */
    apply->bound_ms = HEAD_T_NONE + 1;
    if (apply->tenant->t_max_ms > HEAD_T_NONE + head->options.late_ms_max)
        apply->bound_ms = apply->tenant->t_max_ms - head->options.late_ms_max;
    apply->late_bound_ms = INT64_MAX;
    if (reader.out_of_order_ms > 0)
        apply->late_bound_ms = apply->tenant->t_max_ms > HEAD_T_NONE + reader.out_of_order_ms
                                   ? apply->tenant->t_max_ms - reader.out_of_order_ms
                                   : HEAD_T_NONE + 1;
    memset(apply->counts, 0, sizeof(apply->counts));
    memset(apply->stored, 0, sizeof(apply->stored));
    apply->item = 0;
    do {
        /* While one batch is applied, the memory of the next is on its way. */
        count = head_record_next(&reader, batches[0]);
        apply_prefetch_hot(head, batches[0], count);
        for (unsigned n = 0; count > 0; n++) {
            const unsigned next = head_record_next(&reader, batches[(n + 1) % 2]);

            apply_prefetch_hot(head, batches[(n + 1) % 2], next);
            apply_batch(apply, batches[n % 2], count);
            count = next;
        }
        apply_wide_entries(apply, &reader);
    } while (reader.err == ERR_OK && reader.rest.len > 0);
    apply_unlock(apply);
    if (apply->result != NULL)
        apply_explain(apply);
    apply_count(apply);
    return reader.err;
}

static void min_store(_Atomic int64_t *at, int64_t value)
{
    int64_t old = atomic_load(at);

    while (value < old && !atomic_compare_exchange_weak(at, &old, value))
        ;
}

static void max_store(_Atomic int64_t *at, int64_t value)
{
    int64_t old = atomic_load(at);

    while (value > old && !atomic_compare_exchange_weak(at, &old, value))
        ;
}

void head_apply_publish(struct head_apply *apply)
{
    struct head *head = apply->head;

    const uint64_t in_order = apply->appended + apply->histograms_appended;

    atomic_fetch_add(&head->sample_count, in_order + apply->late_appended - apply->late_settled);
    atomic_fetch_add(&head->chunk_count, apply->chunks);
    metric_add(&head->metrics.chunks_created, apply->chunks);
    if (!apply->replay) {
        metric_add(&head->metrics.samples_appended, apply->appended + apply->late_appended);
        metric_add(&head->metrics.late_appended, apply->late_appended);
        metric_add(&head->metrics.histograms_appended, apply->histograms_appended);
        metric_add(&head->metrics.exemplars_appended, apply->exemplars_appended);
        metric_add(&head->metrics.late_exemplars, apply->late_exemplars);
    }
    if (in_order > 0) {
        min_store(&head->t_min_ms, apply->t_min_ms);
        min_store(&head->t_min_next_ms, apply->t_min_ms);
    }
    if (apply->late_appended > 0) {
        min_store(&head->late_min_ms, apply->late_min_ms);
        min_store(&head->late_min_next_ms, apply->late_min_ms);
    }
    if (apply->appended + apply->late_appended > 0)
        max_store(&head->t_max_ms, apply->t_max_ms);
}

/* ---- groups ---- */

/* Notes what today's readers may see, so that marks that nobody needs are dropped. A reader that
 * comes while the group is applied sees what is published now. */
static void apply_note_readers(struct head *head)
{
    static const enum head_guard_kind kinds[] = {HEAD_GUARD_READER, HEAD_GUARD_FLUSH};

    pthread_mutex_lock(&head->guards_lock);
    head->low_seq = atomic_load(&head->watermark);
    head->cut_count = 0;
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        LIST_EACH(&head->guards[kinds[k]], node)
        {
            const uint64_t seq = CONTAINER_OF(node, struct head_guard, node)->watermark;

            if (seq < head->low_seq)
                head->low_seq = seq;
            if (head->cut_count > 0 && head->cuts[head->cut_count - 1] == seq)
                continue;
            if (head->cut_count + 1 >= head->cut_cap) {
                head->cut_cap = head->cut_cap == 0 ? 16 : head->cut_cap * 2;
                head->cuts = mem_realloc(head->cuts, head->cut_cap * sizeof(*head->cuts));
            }
            head->cuts[head->cut_count++] = seq;
        }
    }
    pthread_mutex_unlock(&head->guards_lock);
}

/* Shows the group to new readers. */
static void apply_show(struct head *head, const struct wal_record *first, uint64_t seq)
{
    pthread_mutex_lock(&head->guards_lock);
    for (const struct wal_record *record = first; record != NULL; record = record->next) {
        struct head_tenant *tenant;

        if (record->kind != WAL_SAMPLES)
            continue;
        tenant = CONTAINER_OF(record, struct head_txn, record)->tenant;
        tenant->t_max_published_ms = tenant->t_max_ms;
    }
    atomic_store_explicit(&head->watermark, seq, memory_order_release);
    pthread_mutex_unlock(&head->guards_lock);
}

/* Answers the transactions, frees series records. */
static void apply_answer(struct head *head, struct wal_record *first, enum err err)
{
    while (first != NULL) {
        struct wal_record *next = first->next;

        if (first->kind == WAL_SERIES)
            head_series_free_record(first);
        else if (!head->closing)
            head_txn_finish(CONTAINER_OF(first, struct head_txn, record), err);
        first = next;
    }
}

static void apply_records(struct head *head, struct wal_record *first, uint64_t seq)
{
    struct head_apply apply = {.head = head,
                               .mark_seq = seq,
                               .t_min_ms = INT64_MAX,
                               .t_max_ms = INT64_MIN,
                               .late_min_ms = INT64_MAX};
    const uint64_t start_ns = env_mono_ns(head->options.env);

    pthread_mutex_lock(&head->gate);
    apply_note_readers(head);
    for (struct wal_record *record = first; record != NULL; record = record->next) {
        enum err err;

        if (record->kind != WAL_SAMPLES)
            continue;
        struct head_txn *txn = CONTAINER_OF(record, struct head_txn, record);

        apply.seq = record->seq;
        apply.result = &txn->result;
        apply.left_out_of = txn->tells_left_out ? txn : NULL;
        err = head_apply_record(&apply, record->payload);
        ASSERT(err == ERR_OK); /* our own bytes, never out of memory */
    }
    head_apply_publish(&apply);
    apply_show(head, first, seq);
    pthread_mutex_unlock(&head->gate);
    metric_observe(&head->metrics.apply_seconds,
                   (double)(env_mono_ns(head->options.env) - start_ns) / 1e9);
    apply_answer(head, first, ERR_OK);
}

static void apply_note_done(struct head *head, uint64_t done)
{
    struct env_op *op = NULL;

    pthread_mutex_lock(&head->apply_lock);
    head->apply_done = done;
    if (head->barrier != NULL && done >= head->barrier_target) {
        op = head->barrier;
        head->barrier = NULL;
    }
    pthread_mutex_unlock(&head->apply_lock);
    if (op != NULL)
        env_complete(head->options.env, op, ERR_OK);
}

enum err head_apply_barrier(struct head *head)
{
    struct env_op op = {0};
    bool waits;

    pthread_mutex_lock(&head->apply_lock);
    ASSERT(head->barrier == NULL);
    waits = head->apply_done < head->apply_handed;
    if (waits) {
        head->barrier = &op;
        head->barrier_target = head->apply_handed;
    }
    pthread_mutex_unlock(&head->apply_lock);
    return waits ? env_wait(head->options.env, &op, 0) : ERR_OK;
}

enum err head_apply_wait_idle(struct head *head)
{
    struct env_op op = {0};
    bool waits;

    pthread_mutex_lock(&head->apply_lock);
    waits = head->apply_busy;
    if (waits)
        head->idle = &op;
    pthread_mutex_unlock(&head->apply_lock);
    return waits ? env_wait(head->options.env, &op, 0) : ERR_OK;
}

static void on_apply_run(struct env_job *job)
{
    struct head *head = CONTAINER_OF(job, struct head, apply_job);

    for (;;) {
        struct wal_record *first;
        uint64_t seq = 0, handed;

        pthread_mutex_lock(&head->apply_lock);
        first = head->apply_first;
        handed = head->apply_handed;
        if (first != NULL)
            seq = head->apply_last->seq;
        head->apply_first = head->apply_last = NULL;
        pthread_mutex_unlock(&head->apply_lock);
        if (first == NULL)
            return;
        apply_records(head, first, seq);
        apply_note_done(head, handed);
    }
}

static void on_apply_done(struct env_job *job)
{
    struct head *head = CONTAINER_OF(job, struct head, apply_job);
    struct env *env = head->options.env;
    struct env_op *idle = NULL;
    bool again;

    if (job->err != ERR_OK)
        on_apply_run(job); /* the pool is ending, but what is durable must be shown and answered */
    for (;;) {
        pthread_mutex_lock(&head->apply_lock);
        again = head->apply_first != NULL;
        if (again) {
            job->cancelled = false;
            if (env_submit(env, ENV_POOL_INGEST, job) == ERR_OK)
                again = false;
        } else {
            head->apply_busy = false;
            idle = head->idle;
            head->idle = NULL;
        }
        pthread_mutex_unlock(&head->apply_lock);
        if (idle != NULL)
            env_complete(env, idle, ERR_OK); /* the head may be gone after this */
        if (!again)
            return;
        on_apply_run(job);
    }
}

void head_apply_group(void *owner, struct wal_record *first, enum err err)
{
    struct head *head = owner;
    struct wal_record *last = first;
    bool run_here = false;

    if (err != ERR_OK) {
        apply_answer(head, first, err);
        return;
    }
    while (last->next != NULL)
        last = last->next;
    pthread_mutex_lock(&head->apply_lock);
    if (head->apply_last != NULL)
        head->apply_last->next = first;
    else
        head->apply_first = first;
    head->apply_last = last;
    head->apply_handed++;
    if (!head->apply_busy) {
        head->apply_busy = true;
        head->apply_job.cancelled = false;
        run_here = env_submit(head->options.env, ENV_POOL_INGEST, &head->apply_job) != ERR_OK;
    }
    pthread_mutex_unlock(&head->apply_lock);
    if (run_here) { /* the pool has no room: it is durable, so it must be applied */
        head->apply_job.err = ERR_OK;
        on_apply_run(&head->apply_job);
        on_apply_done(&head->apply_job);
    }
}

void head_apply_init(struct head *head)
{
    head->apply_job = (struct env_job){.run = on_apply_run, .done = on_apply_done, .priority = 2};
}
