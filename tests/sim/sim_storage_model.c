/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/number.h"
#include "sim/sim_storage.h"

enum { RECENT_TXNS = 40 };

void sim_model_init(struct sim_model *model)
{
    *model = (struct sim_model){0};
}

void sim_model_fini(struct sim_model *model)
{
    for (uint64_t i = 0; i < model->count; i++)
        mem_free(model->txns[i]);
    mem_free(model->txns);
}

bool sim_fail(struct sim_model *model, const char *format, ...)
{
    va_list args;

    if (model->failure != NULL)
        return false;
    va_start(args, format);
    vsnprintf(model->text, sizeof(model->text), format, args);
    va_end(args);
    model->failure = model->text;
    return false;
}

struct sim_txn *sim_model_new_txn(struct sim_model *model, uint32_t sender)
{
    struct sim_txn *txn = mem_zalloc(1, sizeof(*txn));

    ASSERT(model->count < SIM_TXN_MAX);
    if (model->count == model->cap) {
        model->cap = model->cap == 0 ? 64 : model->cap * 2;
        model->txns = mem_realloc(model->txns, model->cap * sizeof(*model->txns));
    }
    txn->id = model->count;
    txn->sender = sender;
    model->txns[model->count++] = txn;
    return txn;
}

void sim_model_answer(struct sim_model *model, struct sim_txn *txn,
                      const struct append_result *result)
{
    uint32_t refused = 0;

    txn->err = result->err;
    if (txn->state != SIM_TXN_PENDING) {
        sim_fail(model, "txn %llu: answered twice", (unsigned long long)txn->id);
        return;
    }
    if (result->err != ERR_OK) {
        txn->state = SIM_TXN_REFUSED;
        model->refused++;
        if (txn->was_seen)
            sim_fail(model, "txn %llu: refused (%s) after a read had seen it",
                     (unsigned long long)txn->id, err_text(result->err));
        return;
    }
    txn->state = SIM_TXN_ACKED;
    model->acked++;
    for (int verdict = 0; verdict < APPEND_VERDICT_COUNT; verdict++) {
        if (!append_verdict_stored((enum append_verdict)verdict))
            refused += result->counts[verdict];
    }
    if (refused != txn->late_count)
        sim_fail(model, "txn %llu: %u of %u samples refused, expected %u",
                 (unsigned long long)txn->id, refused, txn->sample_count, txn->late_count);
}

void sim_model_crash(struct sim_model *model)
{
    if (model->deleting != NULL)
        sim_model_delete_end(model, model->deleting, ERR_CLOSED);
    for (uint64_t i = 0; i < model->count; i++) {
        struct sim_txn *txn = model->txns[i];

        if (txn->state == SIM_TXN_PENDING || (txn->state == SIM_TXN_REFUSED && txn->may_return))
            txn->state = SIM_TXN_UNKNOWN;
        txn->may_return = false;
    }
}

/* ---- deletions ---- */

void sim_model_delete_begin(struct sim_model *model, struct sim_deletion *deletion)
{
    ASSERT(model->deleting == NULL);
    model->deleting = deletion;
    deletion->txn_count = model->count;
    deletion->must_go = mem_zalloc(model->count + 1, sizeof(uint64_t));
    for (uint64_t i = 0; i < model->count; i++) {
        struct sim_txn *txn = model->txns[i];
        const bool is_there = txn->state == SIM_TXN_ACKED || txn->was_seen;

        for (uint32_t j = 0; txn->sender == deletion->sender && j < txn->sample_count; j++) {
            struct sim_sample *sample = &txn->samples[j];

            if (sample->series < deletion->series_first || sample->series > deletion->series_last ||
                sample->t_ms < deletion->t_min_ms || sample->t_ms > deletion->t_max_ms ||
                sample->fate == SIM_DELETED)
                continue;
            sample->fate = SIM_MAYBE;
            deletion->must_go[i] |= (uint64_t)is_there << j;
        }
    }
}

/* What comes while it lasts may be meant or not, as its order falls. */
static void doubt_newer(struct sim_model *model, const struct sim_deletion *deletion)
{
    for (uint64_t i = deletion->txn_count; i < model->count; i++) {
        struct sim_txn *txn = model->txns[i];

        for (uint32_t j = 0; txn->sender == deletion->sender && j < txn->sample_count; j++) {
            struct sim_sample *sample = &txn->samples[j];

            if (sample->series >= deletion->series_first &&
                sample->series <= deletion->series_last && sample->t_ms >= deletion->t_min_ms &&
                sample->t_ms <= deletion->t_max_ms && sample->fate == SIM_LIVE)
                sample->fate = SIM_MAYBE;
        }
    }
}

void sim_model_delete_end(struct sim_model *model, struct sim_deletion *deletion, enum err err)
{
    ASSERT(model->deleting == deletion);
    model->deleting = NULL;
    doubt_newer(model, deletion);
    for (uint64_t i = 0; i < deletion->txn_count && err == ERR_OK; i++)
        for (uint32_t j = 0; j < model->txns[i]->sample_count; j++)
            if ((deletion->must_go[i] >> j & 1) != 0)
                model->txns[i]->samples[j].fate = SIM_DELETED;
    model->deletions += err == ERR_OK;
    mem_free(deletion->must_go);
}

double sim_model_value(const struct sim_txn *txn, uint32_t place)
{
    return (double)(txn->id * SIM_TXN_PLACES + place);
}

struct slice sim_model_tenant(uint32_t sender)
{
    return sender % SIM_TENANTS == 0 ? SLICE("anonymous") : SLICE("other");
}

bool sim_model_recent(const struct sim_model *model, uint32_t sender, uint32_t series,
                      uint64_t choice, int64_t *t_ms)
{
    uint64_t looked = 0;

    for (uint64_t i = model->count; i-- > 0 && looked < RECENT_TXNS;) {
        const struct sim_txn *txn = model->txns[i];

        if (txn->sender != sender)
            continue;
        looked++;
        for (uint32_t k = 0; k < txn->sample_count; k++)
            if (txn->samples[k].series == series && choice-- == 0) {
                *t_ms = txn->samples[k].t_ms;
                return true;
            }
    }
    return false;
}

/* ---- checks ---- */

void sim_check_begin(struct sim_check *check, struct sim_model *model, uint32_t sender)
{
    *check = (struct sim_check){.model = model, .sender = sender};
    check->must = mem_alloc((model->count + 1) * sizeof(uint64_t));
    check->seen = mem_zalloc(SIM_TXN_MAX, sizeof(uint64_t));
    check->gone = mem_zalloc(SIM_TXN_MAX, sizeof(uint64_t));
    for (uint64_t i = 0; i < model->count; i++) {
        struct sim_txn *txn = model->txns[i];

        for (uint32_t j = 0; j < txn->sample_count; j++)
            check->gone[i] |= (uint64_t)(txn->samples[j].fate == SIM_DELETED) << j;
        if (txn->sender == sender && (txn->state == SIM_TXN_ACKED || txn->was_seen))
            check->must[check->must_count++] = i;
    }
    model->reads++;
}

static bool sim_check_label(struct label_set labels, const char *name, uint64_t want)
{
    uint64_t v;

    return number_parse_uint64(label_set_get(labels, slice_from_cstr(name)), &v) == ERR_OK &&
           v == want;
}

bool sim_check_sample(struct sim_check *check, struct label_set labels, int64_t t_ms, double v)
{
    struct sim_model *model = check->model;
    const uint64_t number = v >= 0 && v < 9e15 ? (uint64_t)v : UINT64_MAX;
    const uint64_t id = number / SIM_TXN_PLACES, place = number % SIM_TXN_PLACES;
    const struct sim_sample *sample;
    struct sim_txn *txn;

    if (id >= model->count || (double)number != v)
        return sim_fail(model, "a sample %.17g at %lld that nobody sent", v, (long long)t_ms);
    txn = model->txns[id];
    if (place >= txn->sample_count)
        return sim_fail(model, "txn %llu has no sample %llu", (unsigned long long)id,
                        (unsigned long long)place);
    sample = &txn->samples[place];
    if (sample->t_ms != t_ms || !sim_check_label(labels, "sender", txn->sender) ||
        !sim_check_label(labels, "series", sample->series))
        return sim_fail(model, "txn %llu sample %llu is altered: at %lld", (unsigned long long)id,
                        (unsigned long long)place, (long long)t_ms);
    if (sample->is_late)
        return sim_fail(model, "txn %llu sample %llu was out of order and is there",
                        (unsigned long long)id, (unsigned long long)place);
    if (txn->sender != check->sender)
        return sim_fail(model, "txn %llu of sender %u came with sender %u", (unsigned long long)id,
                        txn->sender, check->sender);
    if ((check->seen[id] >> place & 1) != 0)
        return sim_fail(model, "txn %llu sample %llu is there twice", (unsigned long long)id,
                        (unsigned long long)place);
    check->seen[id] |= UINT64_C(1) << place;
    return true;
}

/* Whether the read had a greater sample of the series and time. */
static bool sim_check_has_greater(const struct sim_check *check, const struct sim_txn *txn,
                                  uint32_t place)
{
    const struct sim_sample *sample = &txn->samples[place];

    for (uint64_t i = txn->id; i < check->model->count; i++) {
        const struct sim_txn *other = check->model->txns[i];
        uint64_t seen = check->seen[i];

        if (i == txn->id)
            seen &= ~UINT64_C(0) << place << 1;
        for (; seen != 0; seen &= seen - 1) {
            const struct sim_sample *got = &other->samples[__builtin_ctzll(seen)];

            if (got->series == sample->series && got->t_ms == sample->t_ms)
                return true;
        }
    }
    return false;
}

/* The samples of a transaction that were to be stored and that the read neither had nor had a
 * greater one of, as bits. */
static uint64_t sim_check_missing(const struct sim_check *check, const struct sim_txn *txn)
{
    uint64_t bits = 0;

    for (uint32_t i = 0; i < txn->sample_count; i++) {
        const bool is_due = !txn->samples[i].is_late && txn->samples[i].fate == SIM_LIVE &&
                            (check->seen[txn->id] >> i & 1) == 0;

        if (is_due && !sim_check_has_greater(check, txn, i))
            bits |= UINT64_C(1) << i;
    }
    return bits;
}

static bool sim_check_txn(struct sim_check *check, struct sim_txn *txn)
{
    struct sim_model *model = check->model;

    if (check->seen[txn->id] == 0)
        return true;
    if ((check->seen[txn->id] & check->gone[txn->id]) != 0)
        return sim_fail(model, "txn %llu: %d samples were deleted and are there",
                        (unsigned long long)txn->id,
                        __builtin_popcountll(check->seen[txn->id] & check->gone[txn->id]));
    if (sim_check_missing(check, txn) != 0)
        return sim_fail(model, "txn %llu is there in part: %d of %u samples are missing",
                        (unsigned long long)txn->id,
                        __builtin_popcountll(sim_check_missing(check, txn)),
                        txn->sample_count - txn->late_count);
    if (txn->state == SIM_TXN_REFUSED)
        return sim_fail(model, "txn %llu was refused (%s) and is there",
                        (unsigned long long)txn->id, err_text(txn->err));
    txn->was_seen = true;
    return true;
}

/* After a crash and a whole read, what was unknown is known. Where greater samples hide all of a
 * transaction, it does not matter. */
static void sim_check_settle(const struct sim_check *check, struct sim_txn *txn)
{
    if (txn->state != SIM_TXN_UNKNOWN)
        return;
    if (sim_check_missing(check, txn) == 0) {
        txn->state = SIM_TXN_ACKED;
    } else {
        txn->state = SIM_TXN_REFUSED;
        txn->err = ERR_CLOSED;
    }
}

bool sim_check_end(struct sim_check *check)
{
    struct sim_model *model = check->model;

    for (uint64_t i = 0; i < check->must_count; i++) {
        const struct sim_txn *txn = model->txns[check->must[i]];

        if (sim_check_missing(check, txn) != 0)
            sim_fail(model, "txn %llu of sender %u was %s and %d of its %u samples are missing",
                     (unsigned long long)txn->id, txn->sender,
                     txn->state == SIM_TXN_ACKED ? "acknowledged" : "seen by a read",
                     __builtin_popcountll(sim_check_missing(check, txn)),
                     txn->sample_count - txn->late_count);
    }
    for (uint64_t i = 0; i < model->count; i++) {
        struct sim_txn *txn = model->txns[i];

        if (txn->sender != check->sender)
            continue;
        sim_check_txn(check, txn);
        if (check->is_final)
            sim_check_settle(check, txn);
    }
    mem_free(check->must);
    mem_free(check->seen);
    mem_free(check->gone);
    return model->failure == NULL;
}
