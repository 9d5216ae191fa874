/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Label matchers: = != =~ !~. A label that is not there matches as the empty string. Regular
 * expressions are RE2's, anchored at both ends, and a dot matches a newline. */

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/labels.h"

enum matcher_type { MATCHER_EQUAL, MATCHER_NOT_EQUAL, MATCHER_REGEX, MATCHER_NOT_REGEX };

struct regex;

struct matcher {
    enum matcher_type type;
    struct slice name, value; /* borrowed from the arena it was made in */
    struct regex *regex;      /* owned by that arena's hooks; NULL when set_count says it all */
    const struct slice *set;  /* a regex that is an alternation of literals: its words, sorted */
    uint32_t set_count;
    struct slice prefix; /* a literal prefix that every match of the regex has */
};

struct matcher_spec {
    enum matcher_type type;
    struct slice name, value;
};

/* Copies name and value into the arena. ERR_BAD_INPUT names the fault of the expression. */
enum err matcher_init(struct matcher *matcher, struct arena *arena, const struct matcher_spec *spec,
                      struct err_info *info) MUST_USE;
/* Threads: any number at once. */
bool matcher_matches(const struct matcher *matcher, struct slice value);
/* Whether a series without this label matches. */
bool matcher_matches_empty(const struct matcher *matcher);
bool matcher_matches_set(const struct matcher *matchers, uint32_t count, struct label_set set);
