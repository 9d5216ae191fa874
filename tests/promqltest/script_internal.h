/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/query.h"
#include "promqltest/script.h"
#include "promqltest/series_line.h"
#include "support/mem_source.h"

enum { EXPECT_MAX = 32 };

enum expect_kind { EXPECT_FAIL, EXPECT_WARN, EXPECT_INFO };

/* A line "expect fail|warn|info ...". */
struct expectation {
    enum expect_kind kind;
    bool is_regex;
    struct slice text; /* empty: any */
};

/* An eval command with its block. */
struct eval_case {
    uint32_t line;
    bool is_range, is_ordered, no_warn, no_info, has_string, has_scalar, has_grid;
    int64_t start_ms, end_ms, step_ms;   /* of the query */
    int64_t grid_start_ms, grid_step_ms; /* of the expected values */
    struct slice expr, string;
    double scalar;
    struct expectation expectations[EXPECT_MAX];
    uint32_t expectation_count;
    struct series_line *series;
    uint32_t series_count, series_cap;
};

enum { FAULT_SIZE = 1024 };

/* Both write what is wrong into fault; true if nothing is. */
bool check_result(const struct eval_case *test, const struct query_result *result,
                  char fault[FAULT_SIZE]);
bool check_failure(const struct eval_case *test, enum err err, const struct err_info *info,
                   char fault[FAULT_SIZE]);
bool check_almost_equal(double want, double got);

/* The printed expression with every time pinned to t_ms, in the arena. False: there is none. */
bool at_variant(struct arena *arena, struct slice text, int64_t t_ms, struct slice *out);
