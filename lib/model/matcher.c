/* SPDX-License-Identifier: Apache-2.0 */
#include "model/matcher.h"

#include "base/regex.h"

enum { MATCHER_SET_LINEAR_MAX = 8 }; /* up to here comparing lengths in a row beats a search */

static void matcher_on_reset(void *regex)
{
    regex_free(regex);
}

static enum err matcher_init_regex(struct matcher *matcher, struct arena *arena,
                                   struct err_info *info)
{
    struct regex *regex = NULL;
    enum err err = regex_new(matcher->value, &regex, info);

    if (err != ERR_OK)
        return err;
    err = arena_on_reset(arena, matcher_on_reset, regex);
    if (err != ERR_OK) {
        regex_free(regex);
        return err_set(info, err, "no memory for a regular expression");
    }
    if (!regex_literal_set(regex, &matcher->set, &matcher->set_count) || matcher->set_count == 0) {
        matcher->set = NULL;
        matcher->set_count = 0;
        matcher->regex = regex;
        matcher->prefix = regex_prefix(regex);
    }
    return ERR_OK;
}

enum err matcher_init(struct matcher *matcher, struct arena *arena, const struct matcher_spec *spec,
                      struct err_info *info)
{
    struct matcher made = {.type = spec->type};

    made.name = arena_copy(arena, spec->name);
    made.value = arena_copy(arena, spec->value);
    if (arena->err != ERR_OK)
        return err_set(info, ERR_LIMIT, "no memory for a label matcher");
    if (made.type == MATCHER_REGEX || made.type == MATCHER_NOT_REGEX) {
        const enum err err = matcher_init_regex(&made, arena, info);

        if (err != ERR_OK)
            return err;
    }
    *matcher = made;
    return ERR_OK;
}

static bool matcher_set_has(const struct matcher *matcher, struct slice value)
{
    uint32_t low = 0, high = matcher->set_count;

    if (high <= MATCHER_SET_LINEAR_MAX) {
        for (uint32_t i = 0; i < high; i++) {
            if (slice_eq(matcher->set[i], value))
                return true;
        }
        return false;
    }
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = slice_cmp(matcher->set[middle], value);

        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool matcher_regex_matches(const struct matcher *matcher, struct slice value)
{
    if (matcher->regex == NULL)
        return matcher_set_has(matcher, value);
    return slice_has_prefix(value, matcher->prefix) && regex_match(matcher->regex, value);
}

bool matcher_matches(const struct matcher *matcher, struct slice value)
{
    switch (matcher->type) {
    case MATCHER_EQUAL:
        return slice_eq(matcher->value, value);
    case MATCHER_NOT_EQUAL:
        return !slice_eq(matcher->value, value);
    case MATCHER_REGEX:
        return matcher_regex_matches(matcher, value);
    case MATCHER_NOT_REGEX:
        return !matcher_regex_matches(matcher, value);
    }
    return false;
}

bool matcher_matches_empty(const struct matcher *matcher)
{
    return matcher_matches(matcher, (struct slice){NULL, 0});
}

bool matcher_matches_set(const struct matcher *matchers, uint32_t count, struct label_set set)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!matcher_matches(&matchers[i], label_set_get(set, matchers[i].name)))
            return false;
    }
    return true;
}
