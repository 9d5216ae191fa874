/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The histograms of a vector, classic and native. Series that differ only in `le` are the buckets
 * of one classic histogram; a series whose values are native histograms is one by itself. Those
 * with equal labels are one group. One group is held at a time, all its steps. */

#include "promql/bucket.h"
#include "promql/stage.h"

/* A series that is a bucket. */
struct promql_bucket_member {
    uint32_t group, series;
    double bound;
};

struct promql_bucket_groups {
    struct promql_eval *eval;
    struct promql_stage *child;
    const struct promql_expr *vector; /* where the child stands, for warnings */
    uint32_t count;                   /* groups */
    struct label_set *labels;         /* [count] */
    /* By group, within it by bound; those of group g begin at first[g]. */
    struct promql_bucket_member *members;
    uint32_t member_count;
    uint32_t *first;   /* [count + 1] */
    uint32_t *natives; /* [count] the series with just these labels, or UINT32_MAX */
    /* Native histograms that were met in a series with a bound: [child's series], [steps]; NULL:
     * none. */
    const struct histogram ***met;
    bool *is_read; /* [child's series] with a bound */
    /* The group under way. */
    uint32_t current;              /* UINT32_MAX: none */
    uint32_t room;                 /* members of the largest group */
    double *values;                /* [steps][room] */
    bool *is_there;                /* [steps][room] */
    const struct histogram **here; /* [steps] native */
    struct promql_bucket *scratch; /* [room] */
    struct promql_column column;
};

/* What a group is at a step. */
struct promql_bucket_step {
    const struct histogram *native; /* or NULL */
    struct promql_buckets classic;  /* in the groups' scratch; a count of 0: none */
};

enum err promql_bucket_groups_init(struct promql_bucket_groups *groups, struct promql_stage *child,
                                   const struct promql_expr *vector) MUST_USE;
/* Reads a group; does nothing if it is the one that was read last. */
enum err promql_bucket_groups_read(struct promql_bucket_groups *groups, uint32_t group) MUST_USE;
/* Both kinds at once are a warning, and none. */
void promql_bucket_groups_step(struct promql_bucket_groups *groups, uint32_t step,
                               struct promql_bucket_step *out);
