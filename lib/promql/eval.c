/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/eval.h"

#include <stdio.h>

#include "base/utf8.h"

enum err promql_eval_hold(struct promql_eval *eval, uint64_t count)
{
    eval->samples_held += count;
    if (eval->samples_held <= eval->samples_max)
        return ERR_OK;
    return err_set(eval->info, ERR_LIMIT,
                   "query processing would load too many samples into memory in query execution");
}

void promql_eval_release(struct promql_eval *eval, uint64_t count)
{
    ASSERT(count <= eval->samples_held);
    eval->samples_held -= count;
}

enum err promql_eval_no_room(struct promql_eval *eval)
{
    const struct arena *arena = eval->arena;
    const size_t limit = arena->limit_bytes != 0 || arena->budget == NULL
                             ? arena->limit_bytes
                             : arena->budget->limit_bytes;

    return err_set(eval->info, ERR_LIMIT,
                   "query needs more memory than its limit of %zu bytes (it holds %zu)", limit,
                   arena->taken_bytes);
}

enum err promql_eval_unsupported(struct promql_eval *eval, const struct promql_expr *expr,
                                 const char *what)
{
    const struct promql_place place = promql_place_of(eval->query->expr, expr->span.start);

    return err_set(eval->info, ERR_EXEC, "%s is not supported yet (%u:%u)", what, place.line,
                   place.column);
}

enum err promql_eval_check(struct promql_eval *eval)
{
    const enum err err = source_ctx_check(&eval->ctx);

    eval->ticks = 0;
    if (err == ERR_DEADLINE)
        return err_set(eval->info, err, "query timed out in expression evaluation");
    if (err == ERR_CANCELLED)
        return err_set(eval->info, err, "query was canceled in expression evaluation");
    return err;
}

static void note(struct promql_eval *eval, const struct promql_note *made)
{
    struct promql_note **link = &eval->notes, *copy;

    for (; *link != NULL; link = &(*link)->next) {
        if ((*link)->is_warning != made->is_warning || !slice_eq((*link)->text, made->text))
            continue;
        if ((*link)->offset < made->offset)
            (*link)->offset = made->offset;
        return;
    }
    copy = ARENA_NEW(eval->arena, struct promql_note);
    if (copy == NULL)
        return; /* the arena's error ends the query */
    *copy = *made;
    copy->text = arena_copy(eval->arena, made->text);
    *link = copy;
}

enum { NOTE_TEXT_SIZE = 1024 };

void promql_eval_info(struct promql_eval *eval, const struct promql_expr *expr, const char *format,
                      ...)
{
    struct promql_note made = {.offset = expr->span.start};
    char text[NOTE_TEXT_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    made.text = slice_from_cstr(text);
    note(eval, &made);
}

void promql_eval_warn(struct promql_eval *eval, const struct promql_expr *expr, const char *format,
                      ...)
{
    struct promql_note made = {.offset = expr->span.start, .is_warning = true};
    char text[NOTE_TEXT_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    made.text = slice_from_cstr(text);
    note(eval, &made);
}

void promql_eval_note_name(struct promql_eval *eval, const struct promql_expr *expr,
                           const struct promql_named_note *note)
{
    struct buf quoted;

    buf_init(&quoted, NOTE_TEXT_SIZE - 124);
    utf8_quote(&quoted, note->name);
    (note->is_warning ? promql_eval_warn : promql_eval_info)(eval, expr, "%s %.*s", note->text,
                                                             SLICE_ARG(buf_slice(&quoted)));
    buf_fini(&quoted);
}

void promql_eval_annotate(struct promql_eval *eval)
{
    const struct promql_note *noted;
    struct buf text;

    buf_init(&text, 2048);
    for (noted = eval->notes; noted != NULL; noted = noted->next) {
        const struct promql_place place = promql_place_of(eval->query->expr, noted->offset);

        buf_reset(&text);
        buf_printf(&text, "PromQL %s: %.*s (%u:%u)", noted->is_warning ? "warning" : "info",
                   SLICE_ARG(noted->text), place.line, place.column);
        annotations_add(eval->ctx.annotations, noted->is_warning, buf_slice(&text));
    }
    buf_fini(&text);
}

int64_t promql_time_sub(int64_t a, int64_t b)
{
    int64_t result;

    if (!__builtin_sub_overflow(a, b, &result))
        return result;
    return b > 0 ? INT64_MIN : INT64_MAX;
}
