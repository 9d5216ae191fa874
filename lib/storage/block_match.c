/* SPDX-License-Identifier: Apache-2.0 */

/* From matchers to series ids. A matcher that the empty value does not meet includes: the union of
 * the postings of the values that it matches. One that the empty value meets excludes: the union of
 * the postings of the values that it does not match, since a series without the label has none. So
 * no matcher ever needs the series that lack a label. */

#include "base/mem.h"
#include "storage/block_internal.h"

enum { WALK_CHECK_EVERY = 1024 }; /* values between two looks at deadline and cancel */

static void release_postings(void *ptr)
{
    struct postings **slot = ptr;

    postings_free(*slot);
}

/* A slot whose set ends with the arena. */
static struct postings **new_slot(struct block_tenant *tenant)
{
    struct postings **slot = ARENA_NEW(tenant->ctx->arena, struct postings *);

    if (slot == NULL || arena_on_reset(tenant->ctx->arena, release_postings, slot) != ERR_OK)
        return NULL;
    return slot;
}

enum err block_decode_postings(struct block_tenant *tenant, struct slice bytes,
                               struct postings **out, struct err_info *info)
{
    if (postings_decode(bytes, tenant->series_count, out) != ERR_OK)
        return block_corrupt(tenant->block, info, "a posting list makes no sense");
    return ERR_OK;
}

enum err block_walk_values(struct block_tenant *tenant, struct slice name, struct slice prefix,
                           block_value_fn *fn, void *owner, struct err_info *info)
{
    struct buf start;
    uint64_t steps = 0;
    enum err err = ERR_OK;

    block_key_postings_name(&tenant->key, tenant->tenant, name);
    buf_init(&start, BLOCK_KEY_SIZE_MAX);
    buf_add_slice(&start, buf_slice(&tenant->key));
    block_key_put_text(&start, prefix);
    if (start.err != ERR_OK) {
        buf_fini(&start);
        return err_set(info, ERR_BAD_INPUT, "label is too long");
    }
    start.len -= 2; /* without the text's end: all that begin so */
    bool more = sst_iter_seek(tenant->index, buf_slice(&start));
    while (more && err == ERR_OK) {
        struct slice rest = sst_iter_key(tenant->index);

        if (!slice_has_prefix(rest, buf_slice(&start)))
            break;
        rest = slice_skip(rest, tenant->key.len);
        buf_reset(&tenant->text);
        if (!block_key_take_text(&rest, &tenant->text) || rest.len != 0)
            err = block_corrupt(tenant->block, info, "a key of the index makes no sense");
        else
            err = fn(owner, buf_slice(&tenant->text), sst_iter_value(tenant->index));
        if (err == ERR_OK && ++steps % WALK_CHECK_EVERY == 0)
            err = source_ctx_check(tenant->ctx);
        if (err == ERR_OK)
            more = sst_iter_next(tenant->index);
    }
    buf_fini(&start);
    if (err == ERR_END)
        return ERR_OK;
    if (err == ERR_OK && !more)
        err = block_tenant_iter_err(tenant, info);
    return err;
}

struct union_walk {
    struct block_tenant *tenant;
    const struct matcher *matcher;
    bool matching; /* gather what matches, or what does not */
    struct postings *set;
    struct err_info *info;
};

static enum err union_value(void *owner, struct slice value, struct slice bytes)
{
    struct union_walk *walk = owner;
    struct postings *found;
    enum err err;

    if (matcher_matches(walk->matcher, value) != walk->matching)
        return ERR_OK;
    err = block_decode_postings(walk->tenant, bytes, &found, walk->info);
    if (err != ERR_OK)
        return err;
    postings_or(walk->set, found);
    postings_free(found);
    return ERR_OK;
}

/* Adds the postings of one value to the set. */
static enum err union_one(struct union_walk *walk, struct slice value)
{
    struct block_tenant *tenant = walk->tenant;
    struct postings *found;
    enum err err;

    if (value.len == 0)
        return ERR_OK; /* no series has it */
    block_key_postings(&tenant->key, tenant->tenant, walk->matcher->name, value);
    if (tenant->key.err != ERR_OK)
        return ERR_OK; /* longer than any key of a block */
    if (!sst_iter_seek(tenant->index, buf_slice(&tenant->key)))
        return block_tenant_iter_err(tenant, walk->info);
    if (!slice_eq(sst_iter_key(tenant->index), buf_slice(&tenant->key)))
        return ERR_OK;
    err = block_decode_postings(tenant, sst_iter_value(tenant->index), &found, walk->info);
    if (err != ERR_OK)
        return err;
    postings_or(walk->set, found);
    postings_free(found);
    return ERR_OK;
}

static bool matcher_is_negative(const struct matcher *matcher)
{
    return matcher->type == MATCHER_NOT_EQUAL || matcher->type == MATCHER_NOT_REGEX;
}

/* The set that a matcher includes, or excludes. */
static enum err gather(struct union_walk *walk)
{
    const struct matcher *matcher = walk->matcher;
    /* The values in question are those that the expression itself, without its negation, names:
     * then its words can be looked up one by one. */
    const bool by_expression = walk->matching != matcher_is_negative(matcher);
    struct slice prefix = SLICE("");

    if (matcher->type == MATCHER_EQUAL || matcher->type == MATCHER_NOT_EQUAL) {
        if (by_expression)
            return union_one(walk, matcher->value);
    } else if (by_expression && matcher->set_count > 0) {
        for (uint32_t i = 0; i < matcher->set_count; i++) {
            const enum err err = union_one(walk, matcher->set[i]);

            if (err != ERR_OK)
                return err;
        }
        return ERR_OK;
    } else if (by_expression) {
        prefix = matcher->prefix;
    }
    return block_walk_values(walk->tenant, matcher->name, prefix, union_value, walk, walk->info);
}

static bool is_cheap(const struct matcher *matcher)
{
    return matcher->type == MATCHER_EQUAL ||
           (matcher->type == MATCHER_REGEX && matcher->set_count > 0);
}

/* Narrows *result (NULL: all series, so far) by one matcher. */
static enum err narrow(struct block_tenant *tenant, const struct matcher *matcher,
                       struct postings **result, struct err_info *info)
{
    const bool excludes = matcher_matches_empty(matcher);
    struct union_walk walk = {
        .tenant = tenant, .matcher = matcher, .matching = !excludes, .info = info};

    walk.set = postings_new();
    enum err err = gather(&walk);
    if (err == ERR_OK && *result == NULL && !excludes) {
        *result = walk.set;
        return ERR_OK;
    }
    if (err == ERR_OK) {
        if (*result == NULL)
            *result = postings_new_all(tenant->series_count);
        if (excludes)
            postings_and_not(*result, walk.set);
        else
            postings_and(*result, walk.set);
    }
    postings_free(walk.set);
    return err;
}

enum err block_match(struct block_tenant *tenant, struct matcher_list matchers,
                     struct postings **ids, struct err_info *info)
{
    struct postings **result = new_slot(tenant);

    if (result == NULL)
        return ERR_LIMIT;
    /* First what includes by look-up, then what includes by walking values, then exclusions. */
    for (unsigned pass = 0; pass < 3; pass++) {
        for (uint32_t i = 0; i < matchers.count; i++) {
            const struct matcher *matcher = &matchers.items[i];
            const unsigned due = matcher_matches_empty(matcher) ? 2 : is_cheap(matcher) ? 0 : 1;
            enum err err;

            if (due != pass)
                continue;
            if (*result != NULL && postings_count(*result) == 0)
                break;
            err = narrow(tenant, matcher, result, info);
            if (err != ERR_OK)
                return err;
        }
    }
    if (*result == NULL)
        *result = postings_new_all(tenant->series_count);
    *ids = *result;
    return ERR_OK;
}
