/* SPDX-License-Identifier: Apache-2.0 */

/* label_replace() and label_join(): other labels, the same values. */

#include "base/regex.h"
#include "base/utf8.h"
#include "promql/stage.h"

enum { LABEL_TEXT_SIZE_MAX = 1 << 20 };

struct relabel_stage {
    struct promql_stage stage;
    struct promql_stage *child;
};

/* What the new label's value is made of. */
struct recipe {
    struct promql_eval *eval;
    struct slice target;
    struct slice text;           /* what is filled in, or stands between */
    const struct slice *sources; /* [source_count] label names */
    uint32_t source_count;
    struct regex *regex; /* NULL: join */
    struct buf value;
};

static enum err relabel_column(struct promql_stage *stage, struct promql_cell cell,
                               struct promql_column *out)
{
    return promql_stage_column(((struct relabel_stage *)stage)->child, cell, out);
}

static const struct promql_stage_ops relabel_ops = {.column = relabel_column};

static struct slice string_of(const struct promql_expr *expr)
{
    while (expr->kind == PROMQL_PAREN)
        expr = expr->paren;
    ASSERT(expr->kind == PROMQL_STRING_LITERAL);
    return expr->string;
}

/* False: the label stays as it is. */
static bool make_value(struct recipe *recipe, struct label_set labels)
{
    struct slice groups[REGEX_GROUP_MAX + 1];

    buf_reset(&recipe->value);
    if (recipe->regex != NULL) {
        const uint32_t count = regex_group_count(recipe->regex) + 1;

        if (!regex_capture(recipe->regex, label_set_get(labels, recipe->sources[0]), groups, count))
            return false;
        regex_expand(recipe->regex, recipe->text, groups, &recipe->value);
        return true;
    }
    for (uint32_t i = 0; i < recipe->source_count; i++) {
        if (i != 0)
            buf_add_slice(&recipe->value, recipe->text);
        buf_add_slice(&recipe->value, label_set_get(labels, recipe->sources[i]));
    }
    return true;
}

static enum err apply(struct recipe *recipe, struct label_set *labels)
{
    struct promql_eval *eval = recipe->eval;
    struct label_builder builder;
    struct slice value;

    if (!make_value(recipe, *labels))
        return ERR_OK;
    if (recipe->value.err != ERR_OK)
        return err_set(eval->info, ERR_LIMIT, "a label value would be too long");
    value = arena_copy(eval->arena, buf_slice(&recipe->value));
    if (value.data == NULL && recipe->value.len != 0)
        return promql_eval_no_room(eval);
    label_builder_init(&builder, eval->arena, *labels);
    label_builder_set(&builder, recipe->target, value);
    *labels = label_builder_set_view(&builder);
    return builder.err == ERR_OK ? ERR_OK : promql_eval_no_room(eval);
}

static void free_regex(void *regex)
{
    regex_free(regex);
}

static enum err replace_init(struct recipe *recipe, const struct promql_call *call)
{
    struct promql_eval *eval = recipe->eval;
    const struct slice pattern = string_of(call->args[4]);
    struct slice *source = ARENA_NEW(eval->arena, struct slice);
    enum err err;

    if (source == NULL)
        return promql_eval_no_room(eval);
    *source = string_of(call->args[3]);
    recipe->text = string_of(call->args[2]);
    recipe->sources = source;
    recipe->source_count = 1;
    if (regex_new(pattern, &recipe->regex, NULL) != ERR_OK)
        return err_set(eval->info, ERR_EXEC, "invalid regular expression in label_replace(): %.*s",
                       SLICE_ARG(pattern));
    err = arena_on_reset(eval->arena, free_regex, recipe->regex);
    if (err != ERR_OK) {
        regex_free(recipe->regex);
        return promql_eval_no_room(eval);
    }
    return ERR_OK;
}

static enum err join_init(struct recipe *recipe, const struct promql_call *call)
{
    struct promql_eval *eval = recipe->eval;
    const uint32_t count = call->arg_count - 3;
    struct slice *sources = ARENA_ARRAY(eval->arena, struct slice, count);

    if (sources == NULL)
        return promql_eval_no_room(eval);
    recipe->text = string_of(call->args[2]);
    recipe->sources = sources;
    recipe->source_count = count;
    for (uint32_t i = 0; i < count; i++) {
        sources[i] = string_of(call->args[3 + i]);
        if (!label_name_is_valid(sources[i], LABEL_SCHEME_UTF8))
            return err_set(eval->info, ERR_EXEC, "invalid source label name in label_join(): %.*s",
                           SLICE_ARG(sources[i]));
    }
    return ERR_OK;
}

static enum err recipe_init(struct recipe *recipe, const struct promql_call *call)
{
    const bool is_replace = call->function->id == PROMQL_FUNCTION_LABEL_REPLACE;
    enum err err;

    recipe->target = string_of(call->args[1]);
    err = is_replace ? replace_init(recipe, call) : join_init(recipe, call);
    if (err == ERR_OK && !label_name_is_valid(recipe->target, LABEL_SCHEME_UTF8))
        err = err_set(recipe->eval->info, ERR_EXEC, "invalid destination label name in %s(): %.*s",
                      call->function->name, SLICE_ARG(recipe->target));
    return err;
}

enum err promql_relabel_new(struct promql_eval *eval, const struct promql_expr *call,
                            struct promql_stage *child, struct promql_stage **out)
{
    struct relabel_stage *self = ARENA_NEW(eval->arena, struct relabel_stage);
    struct label_set *labels = arena_alloc(eval->arena, child->series_count * sizeof(*labels));
    struct recipe recipe = {.eval = eval};
    enum err err;

    if (self == NULL || labels == NULL)
        return promql_eval_no_room(eval);
    err = recipe_init(&recipe, &call->call);
    buf_init(&recipe.value, LABEL_TEXT_SIZE_MAX);
    for (uint32_t i = 0; i < child->series_count && err == ERR_OK; i++) {
        labels[i] = child->labels[i];
        err = apply(&recipe, &labels[i]);
    }
    buf_fini(&recipe.value);
    if (err != ERR_OK)
        return err;
    self->stage = (struct promql_stage){
        &relabel_ops, eval, child->grid, labels, child->series_count, child->may_fault};
    self->child = child;
    return promql_merge_new(eval, &self->stage, false, out);
}
