/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Regular expressions of the Prometheus family: always anchored at both ends, `.` matches a line
 * end: ^(?s:RE)$. RE2 does the work in linear time, but an alternation of literals is a sorted set
 * and never meets RE2, so 50,000 alternatives are fine.
 *
 * Go-only syntax ((?<name>re)) is taken; what Go refuses (\C) is refused.
 * Ownership: heap object, opaque. Threads: one regex may match in many threads at once. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

struct regex;

enum {
    REGEX_PATTERN_SIZE_MAX = 1 << 20,
    REGEX_PROGRAM_SIZE_MAX = 8 << 20, /* memory of the compiled program, roughly */
    REGEX_GROUP_MAX = 100,
};

/* ERR_BAD_INPUT: the message is Go's, "error parsing regexp: missing closing ): `(a`".
 * ERR_LIMIT: pattern, program or group count too large. */
enum err regex_new(struct slice pattern, struct regex **regex, struct err_info *info) MUST_USE;
void regex_free(struct regex *regex);
/* The pattern as given. Borrowed. */
struct slice regex_pattern(const struct regex *regex);

bool regex_match(const struct regex *regex, struct slice text);

/* Capturing groups without the whole match. */
uint32_t regex_group_count(const struct regex *regex);
/* Matches and sets groups[0] (the whole) to groups[count - 1]; a group that took no part is empty
 * with data NULL. Borrowed from text. */
bool regex_capture(const struct regex *regex, struct slice text, struct slice *groups,
                   uint32_t count);
/* Appends `replacement` with $1, ${1}, $name, ${name} and $$ filled in as Go's Expand does; groups
 * come from regex_capture. */
void regex_expand(const struct regex *regex, struct slice replacement, const struct slice *groups,
                  struct buf *out);

/* The texts that match, sorted and unique, if the pattern is an alternation of literals (one
 * literal too). Borrowed from the regex. False: it is no such pattern. */
bool regex_literal_set(const struct regex *regex, const struct slice **texts, uint32_t *count);
/* A literal that every match begins with, maybe empty. Borrowed from the regex. */
struct slice regex_prefix(const struct regex *regex);
/* The pattern matches the empty text. */
bool regex_match_empty(const struct regex *regex);

#ifdef __cplusplus
}
#endif
