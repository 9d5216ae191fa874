/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Label sets of operators: which are equal, and what of them stays. All in the evaluation's arena.
 */

#include "promql/eval.h"

/* Label sets by content, each with the number of its first occurrence. */
struct promql_index {
    struct promql_eval *eval;
    struct label_set *sets; /* [count] */
    struct hash128 *hashes;
    uint32_t *slots; /* number + 1; 0: free */
    uint32_t count, cap, slot_count;
};

void promql_index_init(struct promql_index *index, struct promql_eval *eval);
/* *number is the set's; equal to the count before if it is new. The set's items are kept. */
enum err promql_index_add(struct promql_index *index, struct label_set set,
                          uint32_t *number) MUST_USE;
/* False if it is not there. */
bool promql_index_find(const struct promql_index *index, struct label_set set, uint32_t *number);

struct promql_projection {
    struct promql_labels names;
    bool is_keep;        /* keep only names, else drop them */
    bool drops_name;     /* __name__ too */
    bool drops_metadata; /* __name__, __type__ and __unit__ too */
};

/* The labels that stay; texts are shared with set. */
enum err promql_labels_project(struct promql_eval *eval, const struct promql_projection *projection,
                               struct label_set set, struct label_set *out) MUST_USE;

/* The labels by which a binary operator of two vectors matches. */
enum err promql_labels_match(struct promql_eval *eval, const struct promql_matching *matching,
                             struct label_set set, struct label_set *out) MUST_USE;

/* All sets without __name__, __type__ and __unit__. */
enum err promql_labels_drop_metadata(struct promql_eval *eval, const struct label_set *sets,
                                     uint32_t count, struct label_set **out) MUST_USE;
