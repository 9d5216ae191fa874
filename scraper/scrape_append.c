/* SPDX-License-Identifier: Apache-2.0 */
#include "scraper/scrape_append.h"

#include <stdlib.h>

#include "codec/exposition.h"
#include "model/relabel.h"

static const char *const report_names[SCRAPE_REPORT_COUNT] = {
    [SCRAPE_REPORT_UP] = "up",
    [SCRAPE_REPORT_DURATION] = "scrape_duration_seconds",
    [SCRAPE_REPORT_SCRAPED] = "scrape_samples_scraped",
    [SCRAPE_REPORT_RELABELLED] = "scrape_samples_post_metric_relabeling",
    [SCRAPE_REPORT_ADDED] = "scrape_series_added",
    [SCRAPE_REPORT_TIMEOUT] = "scrape_timeout_seconds",
    [SCRAPE_REPORT_SAMPLE_LIMIT] = "scrape_sample_limit",
    [SCRAPE_REPORT_BODY_SIZE] = "scrape_body_size_bytes",
};

/* ---- labels of a series ---- */

static int compare_name_len(const void *a, const void *b)
{
    const struct label *x = a, *y = b;

    return x->name.len < y->name.len ? -1 : x->name.len > y->name.len;
}

/* A scraped value that the target's own label replaces goes to exported_NAME, and again. */
static void export_conflicts(struct label_builder *builder, struct label *conflicts, uint32_t count)
{
    if (count > 1)
        qsort(conflicts, count, sizeof(*conflicts), compare_name_len);
    for (uint32_t i = 0; i < count; i++) {
        struct slice name = conflicts[i].name;

        do {
            name = arena_printf(builder->arena, "exported_%.*s", SLICE_ARG(name));
        } while (name.data != NULL && label_builder_get(builder, name).len != 0);
        if (name.data != NULL)
            label_builder_set(builder, name, conflicts[i].value);
    }
}

static bool has_label(struct label_set labels, struct slice name)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        if (slice_eq(labels.items[i].name, name))
            return true;
    }
    return false;
}

/* scraped: with honor_labels it has the labels of empty value, too. They keep the target's away,
 * which is how a federated or pushed series says that it has none. */
static void join_target(struct label_builder *builder, struct label_set scraped,
                        const struct scrape_append *append)
{
    const struct label_set own = append->target->public_labels;
    struct label *conflicts = ARENA_ARRAY(builder->arena, struct label, own.count);
    uint32_t conflict_count = 0;

    for (uint32_t i = 0; conflicts != NULL && i < own.count; i++) {
        const struct slice value = label_set_get(scraped, own.items[i].name);

        if (append->scrape->honor_labels && has_label(scraped, own.items[i].name))
            continue;
        if (value.len != 0)
            conflicts[conflict_count++] = (struct label){own.items[i].name, value};
        label_builder_set(builder, own.items[i].name, own.items[i].value);
    }
    export_conflicts(builder, conflicts, conflict_count);
}

/* At most 50 bytes of a text in messages, as upstream cuts them. */
#define CUT(s) ((int)((s).len < 50 ? (s).len : 50)), ((s).len != 0 ? (s).data : "")

static enum err check_limits(const struct scrape_append *append, struct label_set labels,
                             struct err_info *info)
{
    const struct scrape_limits *limits = &append->scrape->limits;
    const struct slice metric = label_set_get(labels, SLICE(LABEL_METRIC_NAME));

    if (limits->labels != 0 && labels.count > limits->labels)
        return err_set(info, ERR_LIMIT,
                       "label_limit exceeded (metric: %.*s, number of labels: %u, limit: %llu)",
                       CUT(metric), labels.count, (unsigned long long)limits->labels);
    for (uint32_t i = 0; i < labels.count; i++) {
        const struct label *label = &labels.items[i];

        if (limits->label_name_length != 0 && label->name.len > limits->label_name_length)
            return err_set(info, ERR_LIMIT,
                           "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, "
                           "length: %zu, limit: %llu)",
                           CUT(metric), CUT(label->name), label->name.len,
                           (unsigned long long)limits->label_name_length);
        if (limits->label_value_length != 0 && label->value.len > limits->label_value_length)
            return err_set(info, ERR_LIMIT,
                           "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, "
                           "value: \"%.*s\", length: %zu, limit: %llu)",
                           CUT(metric), CUT(label->name), CUT(label->value), label->value.len,
                           (unsigned long long)limits->label_value_length);
    }
    return ERR_OK;
}

static enum err check_names(const struct scrape_append *append, struct label_set labels,
                            struct err_info *info)
{
    const enum label_scheme scheme = append->scrape->name_scheme;
    const struct slice metric = label_set_get(labels, SLICE(LABEL_METRIC_NAME));
    struct err_info why = {0};

    if (metric.len == 0)
        return err_set(info, ERR_BAD_INPUT, "missing metric name (__name__ label)");
    if (label_set_check(labels, scheme, &why) != ERR_OK)
        return err_set(info, ERR_BAD_INPUT, "invalid metric name or label names: %s", why.message);
    return ERR_OK;
}

/* The labels a series is stored with; none: relabelling drops it. */
static enum err final_labels(struct scrape_append *append, const struct exposition *p,
                             const struct exposition_entry *entry, struct label_set *labels,
                             struct err_info *info)
{
    struct label_builder builder;
    struct label_set scraped;
    enum err err;

    arena_reset(append->scratch);
    err = exposition_labels(p, entry, append->scratch, &scraped, info);
    if (err != ERR_OK)
        return err;
    label_builder_init(&builder, append->scratch, scraped);
    for (uint32_t i = 0; i < scraped.count; i++) {
        if (scraped.items[i].value.len == 0)
            label_builder_del(&builder, scraped.items[i].name);
    }
    join_target(&builder, scraped, append);
    *labels = (struct label_set){0};
    if (!relabel_apply(append->scrape->metric_relabel, append->scrape->metric_relabel_count,
                       &builder))
        return ERR_OK;
    if (builder.err != ERR_OK || append->scratch->err != ERR_OK)
        return err_set(info, ERR_LIMIT, "labels of a series are too large");
    *labels = label_builder_set_view(&builder);
    if (labels->count == 0)
        return ERR_OK;
    err = check_names(append, *labels, info);
    if (err == ERR_OK) {
        err = check_limits(append, *labels, info);
        append->has_label_limit_fault = err != ERR_OK;
    }
    return err;
}

/* ---- samples ---- */

static enum append_verdict resolve(struct scrape_append *append, struct label_set labels,
                                   uint64_t *ref)
{
    const struct hash128 hash = series_hash(append->hash_key, append->tenant, labels);

    return append_resolve(append->txn, hash, labels, ref);
}

/* One entry on its way: what it says and what is known of its series. */
struct step {
    const struct exposition *p;
    const struct exposition_entry *entry;
    struct scrape_series *series; /* NULL: not known yet */
    uint64_t ref;
    bool has_t; /* its own time counts */
};

/* Gives step->ref. *is_left_out: relabelling drops it, or the appender refused it (and is counted).
 */
static enum err resolve_step(struct scrape_append *append, struct step *step, bool *is_left_out,
                             struct err_info *info)
{
    enum append_verdict verdict;
    struct label_set labels;
    enum err err = final_labels(append, step->p, step->entry, &labels, info);

    *is_left_out = true;
    if (err != ERR_OK)
        return err;
    if (labels.count == 0) {
        if (step->series == NULL)
            step->series = scrape_cache_add(append->cache, step->entry->type, step->entry->series);
        step->series->is_dropped = true;
        return ERR_OK;
    }
    verdict = resolve(append, labels, &step->ref);
    *is_left_out = verdict != APPEND_OK;
    if (verdict != APPEND_OK) {
        append->relabelled_count++;
        append->refused[verdict]++;
    }
    return ERR_OK;
}

static enum append_verdict add_item(struct scrape_append *append, uint64_t ref,
                                    const struct append_item *item)
{
    const struct series_key key = {.ref = ref};

    return append_add(append->txn, &key, item);
}

/* Adds the sample; an alias that ended with its series is made anew. */
static enum err add_sample(struct scrape_append *append, struct step *step,
                           enum append_verdict *verdict, struct err_info *info)
{
    const struct append_item item = {.kind = APPEND_FLOAT,
                                     .t_ms = step->has_t ? step->entry->t_ms : append->t_ms,
                                     .v = step->entry->v};
    bool is_left_out;
    enum err err;

    *verdict = add_item(append, step->ref, &item);
    if (*verdict != APPEND_UNKNOWN_REF)
        return ERR_OK;
    err = resolve_step(append, step, &is_left_out, info);
    if (err != ERR_OK || is_left_out)
        return err;
    *verdict = add_item(append, step->ref, &item);
    return ERR_OK;
}

static enum err add_exemplar(struct scrape_append *append, const struct step *step,
                             struct err_info *info)
{
    struct exemplar exemplar;
    enum err err;

    if (step->entry->exemplar.len == 0)
        return ERR_OK;
    arena_reset(append->scratch);
    err = exposition_exemplar(step->entry, append->scratch, &exemplar, info);
    if (err != ERR_OK)
        return err;
    if (!exemplar.has_t)
        exemplar.t_ms = step->has_t ? step->entry->t_ms : append->t_ms;
    /* Its verdict is counted with the transaction's. */
    (void)add_item(append, step->ref,
                   &(struct append_item){
                       .kind = APPEND_EXEMPLAR, .t_ms = exemplar.t_ms, .exemplar = &exemplar});
    return ERR_OK;
}

/* Counts against sample_limit. True: the sample is one too many and is not added. */
static bool is_over_limit(struct scrape_append *append)
{
    const uint64_t limit = append->scrape->limits.samples;

    if (limit == 0 || append->relabelled_count < limit)
        return false;
    append->has_sample_limit_fault = true;
    return true;
}

static enum err store_step(struct scrape_append *append, struct step *step, struct err_info *info)
{
    const bool is_tracking = !step->has_t || append->scrape->track_timestamps_staleness;
    const bool is_new = step->series == NULL;
    const bool is_over = is_over_limit(append);
    enum append_verdict verdict = APPEND_LIMIT;
    enum err err = ERR_OK;

    append->relabelled_count++;
    if (is_over)
        return ERR_OK;
    err = add_sample(append, step, &verdict, info);
    if (err != ERR_OK)
        return err;
    if (is_new && step->series == NULL)
        step->series = scrape_cache_add(append->cache, step->entry->type, step->entry->series);
    step->series->ref = step->ref;
    step->series->seen_iter = append->cache->iter;
    step->series->is_pending = append_verdict_stored(verdict) && is_tracking;
    append->added_series_count += is_new && append_verdict_stored(verdict);
    return add_exemplar(append, step, info);
}

static enum err append_entry(struct scrape_append *append, const struct exposition *p,
                             const struct exposition_entry *entry, struct err_info *info)
{
    struct step step = {.p = p,
                        .entry = entry,
                        .series = scrape_cache_find(append->cache, entry->type, entry->series),
                        .has_t = entry->has_t && append->scrape->honor_timestamps};
    bool is_left_out = false;
    enum err err;

    append->scraped_count++;
    if (step.series != NULL && step.series->is_dropped) {
        step.series->seen_iter = append->cache->iter;
        return ERR_OK;
    }
    if (step.series != NULL && step.series->seen_iter == append->cache->iter && !step.has_t) {
        append->relabelled_count++;
        append->duplicate_count++;
        return ERR_OK;
    }
    if (step.series != NULL) {
        step.ref = step.series->ref;
        return store_step(append, &step, info);
    }
    err = resolve_step(append, &step, &is_left_out, info);
    return err != ERR_OK || is_left_out ? err : store_step(append, &step, info);
}

/* ---- metadata ---- */

/* What the comment lines at hand say of one metric. */
struct about {
    struct slice metric;
    enum metric_type type;
    struct exposition_entry help, unit; /* texts empty: not said */
    bool is_open;
};

/* Hands on what was said of a metric; what is known already costs a look. */
static enum err about_end(struct scrape_append *append, const struct exposition *p,
                          struct about *about)
{
    const struct series_key key = {0};
    struct metadata metadata = {.type = about->type, .metric = about->metric};
    const struct append_item item = {
        .kind = APPEND_METADATA, .t_ms = append->t_ms, .metadata = &metadata};

    if (!about->is_open)
        return ERR_OK;
    about->is_open = false;
    arena_reset(append->scratch);
    metadata.help = exposition_text(p, &about->help, append->scratch);
    metadata.unit = exposition_text(p, &about->unit, append->scratch);
    if (append->scratch->err != ERR_OK)
        return append->scratch->err;
    (void)append_add(append->txn, &key, &item); /* counted with the transaction's verdicts */
    return ERR_OK;
}

static enum err about_add(struct scrape_append *append, const struct exposition *p,
                          struct about *about, const struct exposition_entry *entry)
{
    enum err err = ERR_OK;

    if (about->is_open && !slice_eq(about->metric, entry->name))
        err = about_end(append, p, about);
    if (!about->is_open)
        *about = (struct about){.metric = entry->name, .is_open = true};
    if (entry->kind == EXPOSITION_TYPE)
        about->type = entry->type;
    else if (entry->kind == EXPOSITION_HELP)
        about->help = *entry;
    else
        about->unit = *entry;
    return err;
}

/* ---- bodies ---- */

static struct slice media_type(enum scrape_protocol protocol)
{
    switch (protocol) {
    case SCRAPE_PROTOCOL_PROTO:
        return SLICE("application/vnd.google.protobuf");
    case SCRAPE_PROTOCOL_OPENMETRICS_1_0_0:
    case SCRAPE_PROTOCOL_OPENMETRICS_0_0_1:
        return SLICE("application/openmetrics-text");
    case SCRAPE_PROTOCOL_TEXT_1_0_0:
    case SCRAPE_PROTOCOL_TEXT_0_0_4:
        return SLICE("text/plain");
    case SCRAPE_PROTOCOL_NONE:
    case SCRAPE_PROTOCOL_COUNT:
        break;
    }
    return (struct slice){0};
}

enum err scrape_append_body(struct scrape_append *append, struct slice content_type,
                            struct slice body, struct err_info *info)
{
    struct exposition_options options = {.scheme = append->scrape->name_scheme,
                                         .keeps_empty = append->scrape->honor_labels};
    struct about about = {.is_open = false};
    struct exposition_entry entry;
    struct exposition p;
    enum err err;

    if (body.len == 0) /* of whatever type: a target without samples */
        return ERR_OK;
    err = exposition_format_from_content_type(
        content_type, media_type(append->scrape->fallback_protocol), &options.format, info);
    if (err != ERR_OK)
        return err;
    exposition_init(&p, body, &options);
    while (err == ERR_OK && exposition_next(&p, &entry)) {
        if (entry.kind != EXPOSITION_SERIES) {
            err = about_add(append, &p, &about, &entry);
            continue;
        }
        err = about_end(append, &p, &about);
        if (err == ERR_OK)
            err = append_entry(append, &p, &entry, info);
    }
    if (err == ERR_OK)
        err = about_end(append, &p, &about);
    if (err != ERR_OK)
        return err;
    if (p.err != ERR_OK)
        return err_set(info, p.err, "%s", err_message(p.err, &p.info));
    if (append->has_sample_limit_fault)
        return err_set(info, ERR_LIMIT, "sample limit exceeded");
    return ERR_OK;
}

/* ---- stale markers and reports ---- */

static void add_marker(void *owner, struct scrape_series *series)
{
    struct scrape_append *append = owner;
    const struct append_item item = {
        .kind = APPEND_FLOAT, .t_ms = append->t_ms, .v = sample_value_from_bits(SAMPLE_STALE_BITS)};

    /* An alias that is not known any more has no samples left to end. */
    if (series->ref != 0)
        (void)add_item(append, series->ref, &item);
}

void scrape_append_stale(struct scrape_append *append, bool is_complete)
{
    scrape_cache_stale(append->cache, is_complete, add_marker, append);
}

static enum append_verdict resolve_report(struct scrape_append *append,
                                          enum scrape_report_series series, uint64_t *ref)
{
    struct label_builder builder;

    arena_reset(append->scratch);
    label_builder_init(&builder, append->scratch, append->target->public_labels);
    label_builder_set(&builder, SLICE(LABEL_METRIC_NAME), slice_from_cstr(report_names[series]));
    if (builder.err != ERR_OK)
        return APPEND_LIMIT;
    return resolve(append, label_builder_set_view(&builder), ref);
}

void scrape_append_report(struct scrape_append *append, struct scrape_report *report, bool is_stale)
{
    const int count =
        append->scrape->extra_scrape_metrics ? SCRAPE_REPORT_COUNT : SCRAPE_REPORT_BASIC_COUNT;

    for (int i = 0; i < count; i++) {
        const struct append_item item = {.kind = APPEND_FLOAT,
                                         .t_ms = append->t_ms,
                                         .v = is_stale ? sample_value_from_bits(SAMPLE_STALE_BITS)
                                                       : report->values[i]};
        enum append_verdict verdict = APPEND_UNKNOWN_REF;

        if (report->refs[i] != 0)
            verdict = add_item(append, report->refs[i], &item);
        if (verdict == APPEND_UNKNOWN_REF && (report->refs[i] == 0 || !is_stale))
            verdict = resolve_report(append, (enum scrape_report_series)i, &report->refs[i]);
        else
            continue;
        if (verdict == APPEND_OK)
            (void)add_item(append, report->refs[i], &item);
        else
            append->refused[verdict]++;
    }
}
