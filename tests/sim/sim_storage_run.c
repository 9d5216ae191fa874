/* SPDX-License-Identifier: Apache-2.0 */
/* One seed: a data directory that lives through several generations. In each, senders, readers and
 * a flusher work on it while the disk fails as the seed says, until they are done or a crash comes;
 * the next one opens what is left and checks all of it against the model. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/number.h"
#include "model/matcher.h"
#include "sim/sim_disk.h"
#include "sim/sim_env.h"
#include "sim/sim_storage.h"
#include "storage/db.h"

enum {
    RUN_GENERATIONS_MAX = 7,
    RUN_STEPS_MAX = 3000000, /* of one generation: more means that nothing moves any more */
    RUN_OPEN_TRIES = 4,
};

#define RUN_PATH "data"
#define RUN_MS   UINT64_C(1000000)

/* What kind of world this seed has. */
enum run_weather {
    RUN_FAIR,   /* crashes only */
    RUN_FAULTS, /* calls of the disk fail now and then */
    RUN_FULL,   /* others fill the disk and clear it */
    RUN_POINTS, /* fault points in the code fail now and then */
    RUN_WEATHER_COUNT
};

struct run {
    struct sim *sim;
    struct sim_model model;
    struct sim_storage_options options;
    struct sim_storage_result *result;
    struct log_sink sink;
    struct log log;
    struct db *db; /* of this generation */
    enum run_weather weather;
    struct db_options db_options;
    uint32_t senders_active, others_active;
    bool deletes;                 /* in this seed */
    struct sim_deletion deletion; /* the one under way */
    bool is_ending;               /* readers, flusher and filler go home */
    bool is_last;
    uint32_t series_first[SIM_SENDERS]; /* series come and go */
    bool was_acked[SIM_SENDERS];        /* a transaction of the sender */
    bool has_late;                      /* samples come out of order */
};

struct run_sender {
    struct run *run;
    uint32_t number;
};

/* ---- weather ---- */

static void run_set_weather(struct run *run, bool on)
{
    struct sim_disk_options disk = {0};

    fault_disarm();
    if (on && run->weather == RUN_FAULTS) {
        disk.write_fail = (uint32_t)sim_below(run->sim, 20);
        disk.sync_fail = (uint32_t)sim_below(run->sim, 30);
        disk.name_fail = (uint32_t)sim_below(run->sim, 20);
        disk.read_fail = (uint32_t)sim_below(run->sim, 5);
    }
    if (on && run->weather == RUN_POINTS)
        fault_arm_random("", (uint32_t)sim_below(run->sim, 30), sim_random(run->sim));
    sim_disk_set_options(sim_disk_of(run->sim), &disk);
}

/* Another program takes the disk's space and gives it back. */
static void run_filler(void *arg)
{
    struct run *run = arg;

    while (!run->is_ending) {
        struct sim_disk_options disk = {0};
        struct sim_disk_stats stats;

        sim_sleep(run->sim, RUN_MS * (1 + sim_below(run->sim, 2000)));
        sim_disk_get_stats(sim_disk_of(run->sim), &stats);
        disk.capacity_bytes = stats.used_bytes + 1 + sim_below(run->sim, 300 << 10);
        sim_disk_set_options(sim_disk_of(run->sim), &disk);
        sim_sleep(run->sim, RUN_MS * (1 + sim_below(run->sim, 2000)));
        disk.capacity_bytes = 0;
        sim_disk_set_options(sim_disk_of(run->sim), &disk);
    }
    run_set_weather(run, false);
    run->others_active--;
}

/* ---- senders ---- */

static void run_print_number(struct slice *out, char *text, uint64_t v)
{
    *out = slice_of(text, number_format_uint64(text, v));
}

/* Makes some samples come out of order: without a window before the one that was just added, which
 * is refused; with one at any time within it, or at the time of another sample, or outside. */
static void run_make_late(struct run *run, const struct sim_txn *txn, struct sim_sample *sample,
                          bool has_before)
{
    const int64_t now_ms = sample->t_ms;
    int64_t t_ms;

    if (!txn->has_window) {
        sample->is_late = has_before && sim_chance(run->sim, 30);
        sample->t_ms = sample->is_late ? now_ms - 3 : now_ms;
    } else if (sim_chance(run->sim, 4)) {
        sample->t_ms =
            now_ms - (int64_t)sim_below(run->sim, UINT64_C(1) << (1 + sim_below(run->sim, 18)));
    } else if (sim_chance(run->sim, 8) &&
               sim_model_recent(&run->model, txn->sender, sample->series, sim_below(run->sim, 20),
                                &t_ms) &&
               t_ms > now_ms - SIM_LATE_MS_MAX) {
        sample->t_ms = t_ms;
    } else if (run->was_acked[txn->sender] && sim_chance(run->sim, 100)) {
        sample->is_late = true; /* its tenant has a newest time to be too far behind of */
        sample->t_ms = now_ms - 2 * SIM_WINDOW_MS;
    }
}

/* One series of the sender in the transaction: some samples, rising in time. */
static bool run_send_series(struct run *run, struct append_txn *append, struct sim_txn *txn,
                            uint32_t series)
{
    char sender_text[NUMBER_INT_SIZE], series_text[NUMBER_INT_SIZE];
    struct label labels[3] = {{SLICE(LABEL_METRIC_NAME), SLICE("m")},
                              {SLICE("sender"), {NULL, 0}},
                              {SLICE("series"), {NULL, 0}}};
    const struct label_set set = {labels, COUNT_OF(labels)};
    struct series_key key = {.labels = set};
    const uint32_t count = 1 + (uint32_t)sim_below(run->sim, 3);
    const int64_t now_ms = env_now_ms(sim_env(run->sim));

    run_print_number(&labels[1].value, sender_text, txn->sender);
    run_print_number(&labels[2].value, series_text, series);
    key.hash = series_hash(db_hash_key(run->db), sim_model_tenant(txn->sender), set);
    if (append_resolve(append, key.hash, set, &key.ref) != APPEND_OK)
        return sim_fail(&run->model, "a series was refused");
    for (uint32_t i = 0; i < count && txn->sample_count < SIM_TXN_SAMPLES_MAX; i++) {
        struct sim_sample *sample = &txn->samples[txn->sample_count];
        struct append_item item = {.kind = APPEND_FLOAT};
        enum append_verdict verdict;

        *sample = (struct sim_sample){.series = series, .t_ms = now_ms + (int64_t)i};
        run_make_late(run, txn, sample, i > 0);
        txn->late_count += sample->is_late;
        item.t_ms = sample->t_ms;
        item.v = sim_model_value(txn, txn->sample_count++);
        verdict = append_add(append, &key, &item);
        if (verdict != APPEND_OK)
            return sim_fail(&run->model, "a sample was refused at add: %s",
                            append_verdict_text(verdict));
    }
    return true;
}

struct run_answer {
    struct run *run;
    struct sim_txn *txn;
};

/* Whether the log refuses writes: then what it has failed may be in it. */
static bool run_log_is_stuck(struct run *run)
{
    const struct append_options options = {.tenant = sim_model_tenant(0), .origin = APPEND_WRITE};
    struct append_txn *append;
    struct err_info info;

    if (appender_begin(db_appender(run->db), &options, &append, &info) != ERR_OK)
        return true;
    append_abort(append);
    return false;
}

static void run_on_answer(void *owner, const struct append_result *result)
{
    struct run_answer *answer = owner;
    struct run *run = answer->run;
    struct sim_txn *txn = answer->txn;

    mem_free(answer);
    txn->may_return = result->err != ERR_OK && run_log_is_stuck(run);
    sim_model_answer(&run->model, txn, result);
    env_complete(sim_env(run->sim), &txn->op, ERR_OK);
}

/* One transaction, from begin to answer. */
static void run_send(struct run *run, uint32_t number)
{
    const bool has_window = run->has_late && !sim_chance(run->sim, 10);
    const struct append_options options = {.tenant = sim_model_tenant(number),
                                           .origin = APPEND_WRITE,
                                           .out_of_order_ms = has_window ? SIM_WINDOW_MS : 0};
    const uint32_t series_count = 1 + (uint32_t)sim_below(run->sim, 20);
    struct append_txn *append;
    struct run_answer *answer;
    struct err_info info = {{0}};
    struct sim_txn *txn;
    enum err err = appender_begin(db_appender(run->db), &options, &append, &info);

    if (err != ERR_OK) {
        if (run->weather == RUN_FAIR)
            sim_fail(&run->model, "begin failed in fair weather: %s", err_message(err, &info));
        return;
    }
    txn = sim_model_new_txn(&run->model, number);
    txn->has_window = has_window;
    if (sim_chance(run->sim, 10))
        run->series_first[number]++; /* one series ends, another begins */
    for (uint32_t i = 0; i < series_count; i++) {
        if (!run_send_series(run, append, txn, run->series_first[number] + i)) {
            append_abort(append);
            return;
        }
    }
    if (sim_chance(run->sim, 40)) {
        append_abort(append);
        txn->state = SIM_TXN_REFUSED;
        txn->err = ERR_CANCELLED;
        return;
    }
    answer = mem_alloc(sizeof(*answer));
    *answer = (struct run_answer){run, txn};
    append_commit(append, run_on_answer, answer);
    err = env_wait(sim_env(run->sim), &txn->op, 0);
    ASSERT(err == ERR_OK);
    run->was_acked[number] |= txn->err == ERR_OK;
    if (txn->err != ERR_OK && run->weather == RUN_FAIR)
        sim_fail(&run->model, "commit failed in fair weather: %s", err_text(txn->err));
}

static void run_sender_main(void *arg)
{
    struct run_sender *sender = arg;
    struct run *run = sender->run;
    const uint64_t txn_count = 5 + sim_below(run->sim, 60);

    for (uint64_t i = 0; i < txn_count && run->model.failure == NULL; i++) {
        if (run->model.count + SIM_SENDERS >= SIM_TXN_MAX)
            break;
        run_send(run, sender->number);
        sim_sleep(run->sim, RUN_MS * (5 + sim_below(run->sim, 300)));
    }
    mem_free(sender);
    run->senders_active--;
}

/* ---- readers ---- */

static bool run_read_series(struct sim_check *check, const struct source_series *series)
{
    struct sample_columns columns;
    int64_t before_ms = INT64_MIN;

    while (sample_cursor_next(series->cursor, &columns)) {
        for (uint32_t i = 0; i < columns.count; i++) {
            if (columns.t_ms[i] <= before_ms)
                return sim_fail(check->model, "times do not rise: %lld after %lld",
                                (long long)columns.t_ms[i], (long long)before_ms);
            before_ms = columns.t_ms[i];
            if (!sim_check_sample(check, series->labels, columns.t_ms[i], columns.v[i]))
                return false;
        }
    }
    return true;
}

struct run_read_options {
    bool is_final; /* nothing is under way */
};

/* Reads all of a sender. An error of the disk is no fault, but then the read says nothing. */
static enum err run_read(struct run *run, uint32_t sender, struct run_read_options options)
{
    char text[NUMBER_INT_SIZE];
    struct matcher_spec spec = {.type = MATCHER_EQUAL, .name = SLICE("sender")};
    struct source *source = db_source(run->db);
    struct source_ctx ctx = {.tenant = sim_model_tenant(sender)};
    /* Half of the reads are slow, so that transactions, flushes and drops come while they last. */
    const uint64_t pause_ms = options.is_final ? 0 : sim_below(run->sim, 2) * 200;
    struct err_info info = {{0}};
    struct source_series series;
    struct series_stream *stream;
    struct sim_check check;
    struct matcher matcher;
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0);
    ctx.arena = &arena;
    run_print_number(&spec.value, text, sender);
    err = matcher_init(&matcher, &arena, &spec, &info);
    ASSERT(err == ERR_OK);
    sim_check_begin(&check, &run->model, sender);
    check.is_final = options.is_final;
    err = source->ops->select(source, &ctx, (struct matcher_list){&matcher, 1}, INT64_MIN,
                              INT64_MAX, NULL, &stream, &info);
    if (err == ERR_OK) {
        while (series_stream_next(stream, &series)) {
            if (!run_read_series(&check, &series))
                break;
            if (series.cursor->err != ERR_OK) {
                err = series.cursor->err;
                break;
            }
            if (pause_ms > 0 && sim_chance(run->sim, 5))
                sim_sleep(run->sim, RUN_MS * (1 + sim_below(run->sim, pause_ms)));
        }
        if (err == ERR_OK)
            err = stream->err;
    }
    if (err == ERR_OK)
        sim_check_end(&check);
    else if (run->weather == RUN_FAIR || run->weather == RUN_FULL || options.is_final)
        sim_fail(&run->model, "a read failed: %s", err_message(err, &info));
    arena_fini(&arena);
    return err;
}

static void run_reader_main(void *arg)
{
    struct run *run = arg;

    while (!run->is_ending && run->model.failure == NULL) {
        sim_sleep(run->sim, RUN_MS * (1 + sim_below(run->sim, 500)));
        (void)run_read(run, (uint32_t)sim_below(run->sim, SIM_SENDERS),
                       (struct run_read_options){.is_final = false});
    }
    run->others_active--;
}

/* ---- flusher ---- */

static void run_flusher_main(void *arg)
{
    struct run *run = arg;

    while (!run->is_ending && run->model.failure == NULL) {
        const struct db_flush_options options = {.all = sim_chance(run->sim, 2)};
        struct err_info info = {{0}};
        enum err err;

        sim_sleep(run->sim, RUN_MS * (100 + sim_below(run->sim, 3000)));
        err = db_flush(run->db, &options, &info);
        if (err != ERR_OK && run->weather == RUN_FAIR)
            sim_fail(&run->model, "a flush failed in fair weather: %s", err_message(err, &info));
        if (sim_chance(run->sim, 3))
            db_maintain(run->db);
    }
    run->others_active--;
}

static void run_compactor_main(void *arg)
{
    struct run *run = arg;

    while (!run->is_ending && run->model.failure == NULL) {
        const struct db_compact_options options = {0};
        struct err_info info = {{0}};
        enum err err;

        sim_sleep(run->sim, RUN_MS * (100 + sim_below(run->sim, 4000)));
        err = db_compact(run->db, &options, &info);
        if (err != ERR_OK && run->weather == RUN_FAIR)
            sim_fail(&run->model, "a merge failed in fair weather: %s", err_message(err, &info));
    }
    run->others_active--;
}

/* ---- deleter ---- */

/* "7", "7|8" ...: the expression of a range of series. */
static void run_print_series(char *text, size_t size, const struct sim_deletion *deletion)
{
    text[0] = '\0';
    for (uint32_t i = deletion->series_first; i <= deletion->series_last; i++)
        snprintf(text + strlen(text), size - strlen(text), "%s%u",
                 i == deletion->series_first ? "" : "|", i);
}

static void run_delete(struct run *run)
{
    const int64_t now_ms = env_now_ms(sim_env(run->sim));
    const uint32_t sender = (uint32_t)sim_below(run->sim, SIM_SENDERS);
    /* In the run's memory, since a crash ends it too. */
    struct sim_deletion *deletion = &run->deletion;
    char sender_text[NUMBER_INT_SIZE], series_text[200];
    struct matcher_spec specs[] = {{MATCHER_EQUAL, SLICE("sender"), {NULL, 0}},
                                   {MATCHER_REGEX, SLICE("series"), {NULL, 0}}};
    const struct db_selector selector = {specs, COUNT_OF(specs)};
    struct err_info info = {{0}};
    enum err err;

    *deletion = (struct sim_deletion){.sender = sender};
    deletion->series_first =
        (uint32_t)sim_below(run->sim, (uint64_t)run->series_first[sender] + 20);
    deletion->series_last = deletion->series_first + (uint32_t)sim_below(run->sim, 20);
    deletion->t_max_ms = now_ms - (int64_t)sim_below(run->sim, 8000);
    deletion->t_min_ms = deletion->t_max_ms - (int64_t)sim_below(run->sim, 20000);
    if (sim_chance(run->sim, 5))
        deletion->t_max_ms = INT64_MAX;
    run_print_number(&specs[0].value, sender_text, sender);
    run_print_series(series_text, sizeof(series_text), deletion);
    specs[1].value = slice_from_cstr(series_text);
    sim_model_delete_begin(&run->model, deletion);
    err = db_delete(run->db,
                    &(struct db_delete_options){.tenant = sim_model_tenant(sender),
                                                .selectors = &selector,
                                                .selector_count = 1,
                                                .t_min_ms = deletion->t_min_ms,
                                                .t_max_ms = deletion->t_max_ms},
                    &info);
    sim_model_delete_end(&run->model, deletion, err);
    if (err != ERR_OK && run->weather == RUN_FAIR)
        sim_fail(&run->model, "a deletion failed in fair weather: %s", err_message(err, &info));
}

static void run_deleter_main(void *arg)
{
    struct run *run = arg;

    while (!run->is_ending && run->model.failure == NULL) {
        sim_sleep(run->sim, RUN_MS * (100 + sim_below(run->sim, 4000)));
        run_delete(run);
        if (sim_chance(run->sim, 5)) {
            struct err_info info = {{0}};
            const enum err err = db_clean(run->db, &(struct db_compact_options){0}, &info);

            if (err != ERR_OK && run->weather == RUN_FAIR)
                sim_fail(&run->model, "a cleaning failed in fair weather: %s",
                         err_message(err, &info));
        }
    }
    run->others_active--;
}

/* ---- one generation ---- */

static void run_close(struct run *run)
{
    struct db_stats stats;
    enum err err;

    db_get_stats(run->db, &stats);
    run->result->flushes += stats.flushes;
    run->result->merges += stats.compactions;
    run->result->blocks = stats.blocks;
    err = db_stop(run->db, env_mono_ns(sim_env(run->sim)) + RUN_MS * 60000);
    if (err != ERR_OK)
        sim_fail(&run->model, "stop failed: %s", err_text(err));
    db_close(run->db);
    run->db = NULL;
}

/* An open with failing calls may fail, or go on without a block that it could not read; but nothing
 * may be lost by it: the last try is without faults and finds all. */
static bool run_open(struct run *run)
{
    struct err_info info = {{0}};
    enum err err = ERR_OK;

    for (int i = 0; i < RUN_OPEN_TRIES; i++) {
        struct db_stats stats;

        run_set_weather(run, i + 1 < RUN_OPEN_TRIES && !run->is_last);
        info = (struct err_info){{0}};
        err = db_open(&run->db_options, &run->db, &info);
        run_set_weather(run, false);
        if (err != ERR_OK && run->weather != RUN_FAIR)
            continue;
        if (err != ERR_OK)
            break;
        db_get_stats(run->db, &stats);
        if (stats.quarantined == 0 || run->weather == RUN_FAIR)
            break;
        run_close(run);
    }
    if (err != ERR_OK)
        return sim_fail(&run->model, "the directory does not open: %s", err_message(err, &info));
    if (run->db == NULL)
        return sim_fail(&run->model, "a block stays unread without faults");
    return true;
}

static enum err run_count_name(void *owner, const char *name)
{
    uint64_t *counts = owner;

    counts[strchr(name, '.') != NULL]++; /* one with a dot is a leftover: .tmp, .bad */
    return ERR_OK;
}

/* What lies in blocks/ is what the catalog lists. */
static void run_check_blocks(struct run *run, const struct db_stats *stats)
{
    struct env *env = sim_env(run->sim);
    uint64_t counts[2] = {0};
    enum err err = env->fs->list(env, RUN_PATH "/blocks", run_count_name, counts);

    if (err != ERR_OK || counts[0] != stats->blocks || counts[1] != 0)
        sim_fail(&run->model, "%llu blocks and %llu leftovers lie in blocks/, %llu are live",
                 (unsigned long long)counts[0], (unsigned long long)counts[1],
                 (unsigned long long)stats->blocks);
}

static void run_verify(struct run *run)
{
    struct db_stats stats;

    run_set_weather(run, false);
    for (uint32_t i = 0; i < SIM_SENDERS && run->model.failure == NULL; i++)
        (void)run_read(run, i, (struct run_read_options){.is_final = true});
    db_get_stats(run->db, &stats);
    if (stats.quarantined > 0)
        sim_fail(&run->model, "%llu blocks were put aside", (unsigned long long)stats.quarantined);
    if (run->is_last)
        run_check_blocks(run, &stats);
    if (stats.head.replay_corruptions > 0 && run->weather == RUN_FAIR)
        sim_fail(&run->model, "replay found %llu corruptions",
                 (unsigned long long)stats.head.replay_corruptions);
}

static void run_spawn_work(struct run *run)
{
    run->is_ending = false;
    run->senders_active = SIM_SENDERS;
    for (uint32_t i = 0; i < SIM_SENDERS; i++) {
        struct run_sender *sender = mem_alloc(sizeof(*sender));

        *sender = (struct run_sender){run, i};
        sim_spawn(run->sim, run_sender_main, sender);
    }
    run->others_active = 4 + run->deletes;
    sim_spawn(run->sim, run_reader_main, run);
    sim_spawn(run->sim, run_reader_main, run);
    sim_spawn(run->sim, run_flusher_main, run);
    sim_spawn(run->sim, run_compactor_main, run);
    if (run->deletes)
        sim_spawn(run->sim, run_deleter_main, run);
    if (run->weather == RUN_FULL) {
        run->others_active++;
        sim_spawn(run->sim, run_filler, run);
    }
}

/* Faults are over: a healthy process must take samples again. */
static void run_check_recovers(struct run *run)
{
    const uint64_t acked = run->model.acked;

    for (int i = 0; i < 30 && run->model.acked == acked && run->model.failure == NULL; i++) {
        sim_sleep(run->sim, RUN_MS * 1000);
        run_send(run, 0);
    }
    if (run->model.acked == acked)
        sim_fail(&run->model, "after the faults had ended no sample was taken for 30 s");
}

static void run_flush_and_merge(struct run *run)
{
    const struct db_flush_options all = {.all = true};
    struct err_info info = {{0}};
    enum err err = db_flush(run->db, &all, &info);

    if (err != ERR_OK)
        sim_fail(&run->model, "the last flush failed: %s", err_message(err, &info));
    err = db_compact(run->db, &(struct db_compact_options){0}, &info);
    if (err != ERR_OK)
        sim_fail(&run->model, "the last merge failed: %s", err_message(err, &info));
    err = db_clean(run->db, &(struct db_compact_options){0}, &info);
    if (err != ERR_OK)
        sim_fail(&run->model, "the last cleaning failed: %s", err_message(err, &info));
}

static void run_generation_main(void *arg)
{
    struct run *run = arg;

    if (!run_open(run))
        return;
    run_verify(run);
    if (run->model.failure != NULL)
        return;
    if (!run->is_last) {
        run_set_weather(run, true);
        run_spawn_work(run);
        while (run->senders_active > 0)
            sim_sleep(run->sim, RUN_MS * 100);
        run->is_ending = true;
        while (run->others_active > 0)
            sim_sleep(run->sim, RUN_MS * 100);
        run_set_weather(run, false);
        run_check_recovers(run);
    } else {
        run_flush_and_merge(run);
    }
    run_verify(run);
    run_close(run);
}

/* ---- one seed ---- */

/* How a generation ends: by itself; by a crash after some steps, which falls into times when much
 * is done; or by a crash within some call of the disk, which falls on each of them alike. */
static void run_generation(struct run *run)
{
    const bool crashes = !run->is_last && !sim_chance(run->sim, 4);
    const bool in_call = crashes && sim_chance(run->sim, 2);
    const uint64_t limit = crashes && !in_call
                               ? sim_below(run->sim, UINT64_C(1) << (6 + sim_below(run->sim, 11)))
                               : RUN_STEPS_MAX;
    enum sim_end end;

    sim_disk_stop_nth(sim_disk_of(run->sim),
                      in_call ? 1 + sim_below(run->sim, UINT64_C(1) << (3 + sim_below(run->sim, 8)))
                              : 0);
    sim_spawn(run->sim, run_generation_main, run);
    end = sim_run(run->sim, limit);
    if (run->model.failure != NULL)
        return;
    if (end == SIM_STUCK) {
        sim_print_fibers(run->sim);
        sim_fail(&run->model, "a deadlock");
    } else if (end == SIM_STOPPED && !crashes) {
        sim_print_fibers(run->sim);
        sim_fail(&run->model, "no end after %d steps", RUN_STEPS_MAX);
    } else if (end == SIM_STOPPED) {
        fault_disarm();
        sim_model_crash(&run->model);
        if (sim_chance(run->sim, 4))
            sim_kill(run->sim);
        else
            sim_crash(run->sim);
        run->result->crashes++;
    }
}

static void run_init(struct run *run, const struct sim_storage_options *options,
                     struct sim_storage_result *result)
{
    const struct sim_options world = {.seed = options->seed};
    static const int64_t ranges_ms[] = {2000, 10000, 60000};

    *run = (struct run){.options = *options, .result = result};
    run->sim = sim_new(&world);
    sim_model_init(&run->model);
    log_sink_init(&run->sink, 2, options->is_verbose ? LOG_DEBUG : LOG_ERROR, LOG_LOGFMT);
    run->sink.env = sim_env(run->sim);
    run->log = log_make(&run->sink, NULL);
    run->deletes = !sim_chance(run->sim, 3);
    run->weather = (enum run_weather)(
        sim_chance(run->sim, 3) ? RUN_FAIR : sim_below(run->sim, RUN_WEATHER_COUNT));
    run->has_late = sim_chance(run->sim, 2);
    run->db_options = (struct db_options){
        .env = sim_env(run->sim),
        .log = options->is_verbose ? &run->log : NULL,
        .path = RUN_PATH,
        .block_range_ms = ranges_ms[sim_below(run->sim, COUNT_OF(ranges_ms))],
        .wal_segment_size = UINT64_C(32768) << sim_below(run->sim, 4),
        .checkpoint_bytes = UINT64_C(20000) << sim_below(run->sim, 4),
        .low_space_bytes = run->weather == RUN_FULL ? sim_below(run->sim, 2) << 16 : 0,
        .cache_size_bytes = 1 << 20,
    };
}

bool sim_storage_run(const struct sim_storage_options *options, struct sim_storage_result *result,
                     char *message, size_t message_size)
{
    struct run run;
    uint64_t generations;

    *result = (struct sim_storage_result){0};
    run_init(&run, options, result);
    generations = 2 + sim_below(run.sim, RUN_GENERATIONS_MAX);
    for (uint64_t i = 0; i < generations && run.model.failure == NULL; i++) {
        run.is_last = i + 1 == generations;
        run_generation(&run);
    }
    fault_disarm();
    result->steps = sim_steps(run.sim);
    result->trace = sim_trace_hash(run.sim);
    result->acked = run.model.acked;
    result->refused = run.model.refused;
    result->reads = run.model.reads;
    result->deletions = run.model.deletions;
    if (run.model.failure == NULL) {
        sim_model_fini(&run.model);
        sim_free(run.sim);
        return true;
    }
    snprintf(message, message_size, "weather %d: %s", (int)run.weather, run.model.failure);
    return false; /* the process ends: nothing more is taken apart */
}
