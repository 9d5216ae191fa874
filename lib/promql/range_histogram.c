/* SPDX-License-Identifier: Apache-2.0 */

/* What functions of ranges do with native histograms. */

#include "model/histogram_math.h"
#include "promql/samples.h"

#define MIXED_BUCKETS                                                                              \
    "vector contains a mix of histograms with exponential and custom buckets schemas for metric "  \
    "name"
#define MIXED_KINDS "encountered a mix of histograms and floats for metric name"

/* Upstream forgets where a subquery stands. */
static const struct promql_expr *place_of(const struct promql_range_histograms *range)
{
    static const struct promql_expr nowhere = {0};
    const struct promql_expr *arg = range->samples->call->call.args[0];

    while (arg->kind == PROMQL_PAREN)
        arg = arg->paren;
    return arg->kind == PROMQL_SUBQUERY ? &nowhere : arg;
}

void promql_range_note(const struct promql_range_histograms *range, bool is_warning,
                       const char *text)
{
    const struct label_set labels = range->samples->list.labels[range->series];

    promql_eval_note_name(range->samples->eval, place_of(range),
                          &(struct promql_named_note){
                              is_warning, text, label_set_get(labels, SLICE(LABEL_METRIC_NAME))});
}

static void note_rebound(const struct promql_range_histograms *range, const char *what)
{
    promql_eval_info(range->samples->eval, place_of(range),
                     "mismatched custom buckets were reconciled during %s", what);
}

static enum err finish(const struct promql_range_histograms *range, const struct histogram *result,
                       const struct histogram **out)
{
    *out = result;
    return result == NULL ? promql_eval_no_room(range->samples->eval) : ERR_OK;
}

enum err promql_range_sum(const struct promql_range_histograms *range, bool is_mean,
                          const struct histogram **out)
{
    struct promql_eval *eval = range->samples->eval;
    struct histogram_mean *mean = &eval->histogram_mean;
    struct histogram_merge merge = {0};
    bool saw_reset = false, saw_no_reset = false;

    *out = NULL;
    if (promql_samples_kind_of(range->samples, range->step) == PROMQL_SAMPLES_MIXED) {
        promql_range_note(range, true, MIXED_KINDS);
        return ERR_OK;
    }
    histogram_mean_reset(mean, &eval->histogram_scratch);
    for (uint32_t i = range->step->first; i < range->step->end; i++) {
        const struct histogram *h = range->samples->histograms[i];
        const enum err err = is_mean ? histogram_mean_add(mean, h, &merge)
                                     : histogram_sum_add(&mean->sum, h, 1, &merge);

        if (err != ERR_OK)
            return promql_eval_no_room(eval);
        if (merge.is_incompatible) {
            promql_range_note(range, true, MIXED_BUCKETS);
            return ERR_OK;
        }
        saw_reset |= h->reset == HISTOGRAM_RESET_YES;
        saw_no_reset |= h->reset == HISTOGRAM_RESET_NO;
    }
    if (saw_reset && saw_no_reset)
        promql_eval_warn(eval, place_of(range),
                         "conflicting counter resets during histogram aggregation");
    if (merge.is_rebound)
        note_rebound(range, "aggregation");
    return finish(range, is_mean ? histogram_mean_result(mean) : histogram_sum_result(&mean->sum),
                  out);
}

/* Adds h, or subtracts it. False in *ok: its buckets are of another kind, which is noted. */
static enum err combine(const struct promql_range_histograms *range, const struct histogram *h,
                        double factor, bool *ok)
{
    struct promql_eval *eval = range->samples->eval;
    struct histogram_merge merge = {0};

    if (histogram_sum_add(&eval->histogram_sum, h, factor, &merge) != ERR_OK)
        return promql_eval_no_room(eval);
    *ok = !merge.is_incompatible;
    if (!*ok)
        promql_range_note(range, true, MIXED_BUCKETS);
    if (merge.is_rebound)
        note_rebound(range, factor < 0 ? "subtraction" : "addition");
    return ERR_OK;
}

static enum err start_sum(const struct promql_range_histograms *range, const struct histogram *h)
{
    struct promql_eval *eval = range->samples->eval;
    struct histogram_merge merge = {0};

    histogram_sum_reset(&eval->histogram_sum, &eval->histogram_scratch);
    return histogram_sum_add(&eval->histogram_sum, h, 1, &merge) != ERR_OK
               ? promql_eval_no_room(eval)
               : ERR_OK;
}

/* Whether all samples that count have buckets of one kind; *schema is the lowest that they have. */
static bool check_layouts(const struct promql_range_histograms *range, bool is_counter,
                          const struct histogram *first, int32_t *schema)
{
    const struct histogram *const *h = range->samples->histograms;
    const uint32_t last = range->step->end - 1;
    bool has_gauge = false;

    if (histogram_is_custom(h[last]) != histogram_is_custom(first))
        return false;
    *schema = h[last]->schema < first->schema ? h[last]->schema : first->schema;
    for (uint32_t i = range->step->first + 1; i < last && is_counter; i++) {
        has_gauge |= h[i]->reset == HISTOGRAM_GAUGE;
        if (histogram_is_custom(h[i]) != histogram_is_custom(first))
            return false;
        *schema = h[i]->schema < *schema ? h[i]->schema : *schema;
    }
    if (has_gauge)
        promql_range_note(range, true, "this native histogram metric is not a counter:");
    return true;
}

static enum err add_resets(const struct promql_range_histograms *range,
                           const struct histogram *first, bool *ok)
{
    const struct histogram *before = first;
    enum err err = ERR_OK;

    for (uint32_t i = range->step->first + 1; i < range->step->end && *ok && err == ERR_OK; i++) {
        const struct histogram *h = range->samples->histograms[i];

        if (histogram_is_reset(h, before))
            err = combine(range, before, 1, ok);
        before = h;
    }
    return err;
}

enum err promql_range_increase(const struct promql_range_histograms *range, bool is_counter,
                               const struct histogram **out)
{
    const struct histogram *const *h = range->samples->histograms;
    const struct histogram *first = h[range->step->first], *last = h[range->step->end - 1];
    struct histogram_sum *sum = &range->samples->eval->histogram_sum;
    struct histogram empty;
    int32_t schema;
    bool ok = true;
    enum err err;

    *out = NULL;
    if (is_counter && (first->reset == HISTOGRAM_GAUGE || last->reset == HISTOGRAM_GAUGE))
        promql_range_note(range, true, "this native histogram metric is not a counter:");
    if (!is_counter && (first->reset != HISTOGRAM_GAUGE || last->reset != HISTOGRAM_GAUGE))
        promql_range_note(range, true, "this native histogram metric is not a gauge:");
    /* What came before a reset right behind it does not matter. */
    if (is_counter && histogram_is_reset(h[range->step->first + 1], first)) {
        const struct histogram *second = h[range->step->first + 1];

        empty = (struct histogram){.schema = second->schema,
                                   .is_float = true,
                                   .custom_values = second->custom_values,
                                   .custom_value_count = second->custom_value_count};
        first = &empty;
    }
    if (!check_layouts(range, is_counter, first, &schema)) {
        promql_range_note(range, true, MIXED_BUCKETS);
        return ERR_OK;
    }
    err = start_sum(range, last);
    if (err != ERR_OK)
        return err;
    histogram_sum_reduce(sum, schema);
    err = combine(range, first, -1, &ok);
    if (err == ERR_OK && ok && is_counter)
        err = add_resets(range, first, &ok);
    if (err != ERR_OK || !ok)
        return err;
    sum->reset = HISTOGRAM_GAUGE;
    return finish(range, histogram_sum_result(sum), out);
}

enum err promql_range_instant(const struct promql_range_histograms *range, bool is_rate,
                              const struct histogram **out)
{
    const struct promql_samples *samples = range->samples;
    const uint32_t at = range->step->end - 2;
    const struct histogram *before = samples->histograms[at], *last = samples->histograms[at + 1];
    struct histogram_sum *sum = &samples->eval->histogram_sum;
    bool ok = true;
    enum err err;

    *out = NULL;
    if (before == NULL || last == NULL) {
        promql_range_note(range, true, MIXED_KINDS);
        return ERR_OK;
    }
    if (is_rate && (before->reset == HISTOGRAM_GAUGE || last->reset == HISTOGRAM_GAUGE))
        promql_range_note(range, true, "this native histogram metric is not a counter:");
    if (!is_rate && (before->reset != HISTOGRAM_GAUGE || last->reset != HISTOGRAM_GAUGE))
        promql_range_note(range, true, "this native histogram metric is not a gauge:");
    err = start_sum(range, last);
    if (err == ERR_OK && (!is_rate || !histogram_is_reset(last, before)))
        err = combine(range, before, -1, &ok);
    if (err != ERR_OK || !ok)
        return err;
    sum->reset = HISTOGRAM_GAUGE;
    err = finish(range, histogram_sum_result(sum), out);
    if (err != ERR_OK || !is_rate)
        return err;
    return finish(range,
                  histogram_divided(samples->eval->arena, *out,
                                    (double)(samples->t_ms[at + 1] - samples->t_ms[at]) / 1000),
                  out);
}
