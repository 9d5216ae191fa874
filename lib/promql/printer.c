/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/printer.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "promql/function.h"

static void print_ms(struct buf *out, int64_t ms)
{
    if (ms < 0) {
        buf_add_byte(out, '-');
        ms = -ms;
    }
    time_text_add_duration(out, ms);
}

static void print_number(struct buf *out, struct promql_number number)
{
    if (number.is_duration)
        print_ms(out, llround(number.v * 1000));
    else
        number_add_double(out, number.v, NUMBER_FIXED);
}

static void print_label_name(struct buf *out, struct slice name)
{
    if (label_name_is_legacy(name))
        buf_add_slice(out, name);
    else
        utf8_quote(out, name);
}

static void print_labels(struct buf *out, struct promql_labels labels)
{
    buf_add_byte(out, '(');
    for (uint32_t i = 0; i < labels.count; i++) {
        if (i > 0)
            buf_add_cstr(out, ", ");
        print_label_name(out, labels.names[i]);
    }
    buf_add_byte(out, ')');
}

static void print_matcher(struct buf *out, const struct matcher *matcher)
{
    static const char *const texts[] = {"=", "!=", "=~", "!~"};

    print_label_name(out, matcher->name);
    buf_add_cstr(out, texts[matcher->type]);
    utf8_quote(out, matcher->value);
}

static int compare_slices(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* Whether a matcher says no more than the name before the braces. */
static bool is_outer_name(const struct promql_selector *selector, const struct matcher *matcher)
{
    return selector->name.len != 0 && matcher->type == MATCHER_EQUAL &&
           slice_eq_cstr(matcher->name, LABEL_METRIC_NAME) &&
           slice_eq(matcher->value, selector->name);
}

/* Texts of the matchers, in the order of their bytes. */
static void print_matchers(struct buf *out, const struct promql_selector *selector)
{
    struct slice *const texts = mem_zalloc(selector->matcher_count, sizeof(struct slice));
    struct buf all;
    size_t start = 0;
    uint32_t count = 0;

    buf_init(&all, out->max);
    for (uint32_t i = 0; i < selector->matcher_count; i++) {
        if (is_outer_name(selector, &selector->matchers[i]))
            continue;
        print_matcher(&all, &selector->matchers[i]);
        texts[count++].len = all.len - start;
        start = all.len;
    }
    start = 0;
    for (uint32_t i = 0; i < count; i++) {
        texts[i].data = all.data + start;
        start += texts[i].len;
    }
    qsort(texts, count, sizeof(*texts), compare_slices);
    for (uint32_t i = 0; i < count; i++) {
        buf_add_byte(out, i == 0 ? '{' : ',');
        buf_add_slice(out, texts[i]);
    }
    if (count > 0)
        buf_add_byte(out, '}');
    if (all.err != ERR_OK)
        out->err = all.err;
    buf_fini(&all);
    mem_free(texts);
}

static void print_length(struct buf *out, const struct promql_duration *duration)
{
    if (duration->expr != NULL)
        promql_print(out, duration->expr);
    else
        print_ms(out, duration->ms);
}

static void print_at(struct buf *out, const struct promql_modifiers *modifiers)
{
    switch (modifiers->at) {
    case PROMQL_AT_NONE:
        break;
    case PROMQL_AT_TIME:
        buf_printf(out, " @ %.3f", (double)modifiers->at_ms / 1000);
        break;
    case PROMQL_AT_START:
        buf_add_cstr(out, " @ start()");
        break;
    case PROMQL_AT_END:
        buf_add_cstr(out, " @ end()");
        break;
    }
}

static void print_extension(struct buf *out, const struct promql_modifiers *modifiers)
{
    if (modifiers->is_anchored)
        buf_add_cstr(out, " anchored");
    else if (modifiers->is_smoothed)
        buf_add_cstr(out, " smoothed");
}

static void print_offset(struct buf *out, const struct promql_modifiers *modifiers)
{
    if (modifiers->offset.expr == NULL && modifiers->offset.ms == 0)
        return;
    buf_add_cstr(out, " offset ");
    print_length(out, &modifiers->offset);
}

static void print_selector(struct buf *out, const struct promql_selector *selector)
{
    buf_add_slice(out, selector->name);
    if (selector->matcher_count != 0)
        print_matchers(out, selector);
    else if (selector->name.len == 0)
        buf_add_cstr(out, "{}");
}

static void print_range(struct buf *out, const struct promql_range *range)
{
    const struct promql_selector *selector = &range->selector->selector;

    print_selector(out, selector);
    buf_add_byte(out, '[');
    print_length(out, &range->range);
    buf_add_byte(out, ']');
    print_extension(out, &selector->modifiers);
    print_at(out, &selector->modifiers);
    print_offset(out, &selector->modifiers);
}

static void print_subquery(struct buf *out, const struct promql_subquery *subquery)
{
    promql_print(out, subquery->expr);
    buf_add_byte(out, '[');
    print_length(out, &subquery->range);
    buf_add_byte(out, ':');
    if (subquery->has_step)
        print_length(out, &subquery->step);
    buf_add_byte(out, ']');
    print_at(out, &subquery->modifiers);
    print_offset(out, &subquery->modifiers);
}

static void print_call(struct buf *out, const struct promql_call *call)
{
    buf_add_cstr(out, call->function->name);
    buf_add_byte(out, '(');
    for (uint32_t i = 0; i < call->arg_count; i++) {
        if (i > 0)
            buf_add_cstr(out, ", ");
        promql_print(out, call->args[i]);
    }
    buf_add_byte(out, ')');
}

static void print_aggregate(struct buf *out, const struct promql_aggregate *aggregate)
{
    buf_add_cstr(out, promql_aggregator_text(aggregate->op));
    if (aggregate->is_without || aggregate->grouping.count > 0) {
        buf_add_cstr(out, aggregate->is_without ? " without " : " by ");
        print_labels(out, aggregate->grouping);
        buf_add_byte(out, ' ');
    }
    buf_add_byte(out, '(');
    if (aggregate->param != NULL) {
        promql_print(out, aggregate->param);
        buf_add_cstr(out, ", ");
    }
    promql_print(out, aggregate->expr);
    buf_add_byte(out, ')');
}

static void print_fill(struct buf *out, const char *name, double v)
{
    buf_add_cstr(out, name);
    number_add_double(out, v, NUMBER_G);
    buf_add_byte(out, ')');
}

static void print_matching(struct buf *out, const struct promql_matching *matching)
{
    const bool is_grouped =
        matching->card == PROMQL_MANY_TO_ONE || matching->card == PROMQL_ONE_TO_MANY;

    if (matching->labels.count > 0 || matching->is_on || is_grouped) {
        buf_add_cstr(out, matching->is_on ? " on " : " ignoring ");
        print_labels(out, matching->labels);
    }
    if (is_grouped) {
        buf_add_cstr(out, matching->card == PROMQL_MANY_TO_ONE ? " group_left " : " group_right ");
        print_labels(out, matching->include);
    }
    if (matching->has_fill_left && matching->has_fill_right &&
        matching->fill_left == matching->fill_right) {
        print_fill(out, " fill (", matching->fill_left);
        return;
    }
    if (matching->has_fill_left)
        print_fill(out, " fill_left (", matching->fill_left);
    if (matching->has_fill_right)
        print_fill(out, " fill_right (", matching->fill_right);
}

static void print_binary(struct buf *out, const struct promql_binary *binary)
{
    const struct promql_expr *lhs = binary->lhs;

    /* "+Inf ^ 2" would read as +(Inf ^ 2). */
    if (binary->op == PROMQL_OP_POW && lhs->kind == PROMQL_NUMBER_LITERAL &&
        lhs->number.v == HUGE_VAL)
        buf_add_cstr(out, "Inf");
    else
        promql_print(out, lhs);
    buf_printf(out, " %s%s", promql_op_text(binary->op), binary->returns_bool ? " bool" : "");
    print_matching(out, &binary->matching);
    buf_add_byte(out, ' ');
    promql_print(out, binary->rhs);
}

static void print_duration(struct buf *out, const struct promql_duration_expr *duration)
{
    if (duration->is_wrapped)
        buf_add_byte(out, '(');
    switch (duration->op) {
    case PROMQL_DURATION_STEP:
        buf_add_cstr(out, "step()");
        break;
    case PROMQL_DURATION_RANGE:
        buf_add_cstr(out, "range()");
        break;
    case PROMQL_DURATION_MIN_OF:
    case PROMQL_DURATION_MAX_OF:
        buf_add_cstr(out, duration->op == PROMQL_DURATION_MIN_OF ? "min_of(" : "max_of(");
        promql_print(out, duration->lhs);
        buf_add_cstr(out, ", ");
        promql_print(out, duration->rhs);
        buf_add_byte(out, ')');
        break;
    case PROMQL_DURATION_BINARY:
        promql_print(out, duration->lhs);
        buf_printf(out, " %s ", promql_op_text(duration->binary));
        promql_print(out, duration->rhs);
        break;
    case PROMQL_DURATION_MINUS:
        buf_add_byte(out, '-');
        promql_print(out, duration->rhs);
        break;
    case PROMQL_DURATION_PLUS:
        promql_print(out, duration->rhs);
        break;
    }
    if (duration->is_wrapped)
        buf_add_byte(out, ')');
}

void promql_print(struct buf *out, const struct promql_expr *expr)
{
    switch (expr->kind) {
    case PROMQL_NUMBER_LITERAL:
        print_number(out, expr->number);
        break;
    case PROMQL_STRING_LITERAL:
        utf8_quote(out, expr->string);
        break;
    case PROMQL_SELECTOR:
        print_selector(out, &expr->selector);
        print_at(out, &expr->selector.modifiers);
        print_extension(out, &expr->selector.modifiers);
        print_offset(out, &expr->selector.modifiers);
        break;
    case PROMQL_RANGE:
        print_range(out, &expr->range);
        break;
    case PROMQL_SUBQUERY:
        print_subquery(out, &expr->subquery);
        break;
    case PROMQL_CALL:
        print_call(out, &expr->call);
        break;
    case PROMQL_AGGREGATE:
        print_aggregate(out, &expr->aggregate);
        break;
    case PROMQL_BINARY:
        print_binary(out, &expr->binary);
        break;
    case PROMQL_UNARY:
        buf_add_cstr(out, promql_op_text(expr->unary.op));
        promql_print(out, expr->unary.expr);
        break;
    case PROMQL_PAREN:
        buf_add_byte(out, '(');
        promql_print(out, expr->paren);
        buf_add_byte(out, ')');
        break;
    case PROMQL_DURATION:
        print_duration(out, &expr->duration);
        break;
    }
}
