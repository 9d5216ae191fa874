/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_appender.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

struct fake_txn {
    struct append_txn base;
    struct fake_sample *samples;
    uint32_t sample_count, cap;
    struct append_result result;
    struct append_left_out *left_out;
};

static struct fake_appender *fake_of(struct append_txn *txn)
{
    return CONTAINER_OF(txn->appender, struct fake_appender, base);
}

static enum err fake_begin(struct appender *appender, const struct append_options *options,
                           struct append_txn **txn, struct err_info *info)
{
    struct fake_appender *fake = CONTAINER_OF(appender, struct fake_appender, base);
    struct fake_txn *made;
    bool fails;

    (void)options;
    pthread_mutex_lock(&fake->lock);
    fails = fake->fails_begin;
    pthread_mutex_unlock(&fake->lock);
    if (fails)
        return err_set(info, ERR_UNAVAILABLE, "told to fail");
    made = mem_zalloc(1, sizeof(*made));
    made->base.appender = appender;
    *txn = &made->base;
    return ERR_OK;
}

static uint64_t find_series(struct fake_appender *fake, const char *text)
{
    for (uint32_t i = 0; i < fake->series_count; i++)
        if (i + 1 > fake->forgotten_ref && strcmp(fake->series[i], text) == 0)
            return i + 1;
    fake->series = mem_realloc(fake->series, (fake->series_count + 1) * sizeof(*fake->series));
    fake->series[fake->series_count] = mem_copy_text(text, strlen(text));
    return ++fake->series_count;
}

static enum append_verdict fake_resolve(struct append_txn *txn, struct hash128 hash,
                                        struct label_set labels, uint64_t *ref)
{
    struct fake_appender *fake = fake_of(txn);
    struct buf text;

    (void)hash;
    buf_init(&text, 1 << 20);
    label_set_print(&text, labels);
    buf_add_byte(&text, 0);
    pthread_mutex_lock(&fake->lock);
    *ref = find_series(fake, text.data);
    fake->resolve_count++;
    pthread_mutex_unlock(&fake->lock);
    buf_fini(&text);
    return APPEND_OK;
}

static enum append_verdict fake_add(struct append_txn *base, const struct series_key *key,
                                    const struct append_item *item)
{
    struct fake_txn *txn = CONTAINER_OF(base, struct fake_txn, base);
    struct fake_appender *fake = fake_of(base);
    enum append_verdict verdict = APPEND_OK;

    pthread_mutex_lock(&fake->lock);
    if (item->kind == APPEND_EXEMPLAR) {
        fake->exemplar_count++;
        verdict = APPEND_EXEMPLARS_OFF;
    } else if (key->ref == 0 || key->ref <= fake->forgotten_ref) {
        verdict = APPEND_UNKNOWN_REF;
    } else {
        if (txn->sample_count == txn->cap) {
            txn->cap = txn->cap * 2 + 16;
            txn->samples = mem_realloc(txn->samples, txn->cap * sizeof(*txn->samples));
        }
        txn->samples[txn->sample_count++] = (struct fake_sample){
            .series = fake->series[key->ref - 1], .t_ms = item->t_ms, .v = item->v};
    }
    pthread_mutex_unlock(&fake->lock);
    txn->result.counts[verdict]++;
    return verdict;
}

/* What is late goes, and is told. */
static void leave_out(struct fake_txn *txn, int64_t late_t_ms)
{
    struct append_result *result = &txn->result;
    uint32_t kept = 0;

    txn->left_out = mem_zalloc(txn->sample_count + 1, sizeof(*txn->left_out));
    for (uint32_t i = 0; i < txn->sample_count; i++) {
        if (txn->samples[i].t_ms != late_t_ms) {
            txn->samples[kept++] = txn->samples[i];
            continue;
        }
        txn->left_out[result->left_out_count++] =
            (struct append_left_out){.item = i, .verdict = APPEND_OUT_OF_ORDER};
        result->counts[APPEND_OUT_OF_ORDER]++;
    }
    txn->sample_count = kept;
    result->left_out = txn->left_out;
}

static void free_txn(struct fake_txn *txn)
{
    mem_free(txn->left_out);
    mem_free(txn->samples);
    mem_free(txn);
}

static void fake_commit(struct append_txn *base, append_done_fn *done, void *owner)
{
    struct fake_txn *txn = CONTAINER_OF(base, struct fake_txn, base);
    struct fake_appender *fake = fake_of(base);

    pthread_mutex_lock(&fake->lock);
    if (fake->late_t_ms != 0)
        leave_out(txn, fake->late_t_ms);
    if (fake->fails_commit) {
        txn->result.err = ERR_NO_SPACE;
    } else if (txn->sample_count != 0) {
        fake->samples = mem_realloc(fake->samples, (fake->sample_count + txn->sample_count) *
                                                       sizeof(*fake->samples));
        for (uint32_t i = 0; i < txn->sample_count; i++) {
            fake->samples[fake->sample_count] = txn->samples[i];
            fake->samples[fake->sample_count++].commit = fake->commit_count;
        }
    }
    fake->commit_count += !fake->fails_commit;
    pthread_mutex_unlock(&fake->lock);
    done(owner, &txn->result);
    free_txn(txn);
}

static void fake_abort(struct append_txn *base)
{
    struct fake_appender *fake = fake_of(base);

    pthread_mutex_lock(&fake->lock);
    fake->abort_count++;
    pthread_mutex_unlock(&fake->lock);
    free_txn(CONTAINER_OF(base, struct fake_txn, base));
}

static const struct appender_ops fake_ops = {.begin = fake_begin,
                                             .resolve = fake_resolve,
                                             .add = fake_add,
                                             .commit = fake_commit,
                                             .abort = fake_abort};

void fake_appender_init(struct fake_appender *fake)
{
    *fake = (struct fake_appender){.base = {&fake_ops}};
    pthread_mutex_init(&fake->lock, NULL);
}

void fake_appender_fini(struct fake_appender *fake)
{
    for (uint32_t i = 0; i < fake->series_count; i++)
        mem_free(fake->series[i]);
    mem_free(fake->series);
    mem_free(fake->samples);
    pthread_mutex_destroy(&fake->lock);
}

bool fake_appender_last(struct fake_appender *fake, const char *series, struct fake_sample *out)
{
    bool found = false;

    pthread_mutex_lock(&fake->lock);
    for (uint32_t i = fake->sample_count; !found && i > 0; i--) {
        if (strcmp(fake->samples[i - 1].series, series) != 0)
            continue;
        *out = fake->samples[i - 1];
        found = true;
    }
    pthread_mutex_unlock(&fake->lock);
    return found;
}

uint32_t fake_appender_count(struct fake_appender *fake, const char *series)
{
    uint32_t count = 0;

    pthread_mutex_lock(&fake->lock);
    for (uint32_t i = 0; i < fake->sample_count; i++)
        count += strcmp(fake->samples[i].series, series) == 0;
    pthread_mutex_unlock(&fake->lock);
    return count;
}

uint32_t fake_appender_commits(struct fake_appender *fake)
{
    uint32_t count;

    pthread_mutex_lock(&fake->lock);
    count = fake->commit_count;
    pthread_mutex_unlock(&fake->lock);
    return count;
}
