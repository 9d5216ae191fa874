/* SPDX-License-Identifier: Apache-2.0 */
#include "model/source.h"

enum { ANNOTATION_COUNT_MAX = 1000 }; /* more texts than anyone reads; bounds the search below */

void annotations_add(struct annotations *annotations, bool is_warning, struct slice text)
{
    struct annotation *annotation;

    if (annotations->warning_count + annotations->info_count >= ANNOTATION_COUNT_MAX)
        return;
    for (annotation = annotations->first; annotation != NULL; annotation = annotation->next) {
        if (annotation->is_warning == is_warning && slice_eq(annotation->text, text))
            return;
    }
    annotation = ARENA_NEW(annotations->arena, struct annotation);
    if (annotation == NULL)
        return; /* the arena's sticky error ends the query */
    annotation->is_warning = is_warning;
    annotation->text = arena_copy(annotations->arena, text);
    if (annotation->text.data == NULL)
        return;
    if (annotations->last == NULL)
        annotations->first = annotation;
    else
        annotations->last->next = annotation;
    annotations->last = annotation;
    if (is_warning)
        annotations->warning_count++;
    else
        annotations->info_count++;
}

enum err source_ctx_check(const struct source_ctx *ctx)
{
    if (ctx->cancelled != NULL && atomic_load_explicit(ctx->cancelled, memory_order_relaxed))
        return ERR_CANCELLED;
    if (ctx->deadline_ns != 0 && ctx->mono_ns != NULL &&
        ctx->mono_ns(ctx->mono_owner) >= ctx->deadline_ns)
        return ERR_DEADLINE;
    return ERR_OK;
}
