/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Label sets. A set is a borrowed view of labels sorted by name (bytewise), names unique, no value
 * empty (an empty value means that the label is not there).
 * Ownership: views borrow everything. Threads: plain values. */

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"

#define LABEL_METRIC_NAME "__name__"

struct label {
    struct slice name, value;
};

struct label_set {
    const struct label *items; /* borrowed */
    uint32_t count;
};

/* The value, or an empty slice when the label is not there. O(count). */
struct slice label_set_get(struct label_set set, struct slice name);
bool label_set_has(struct label_set set, struct slice name);
bool label_set_eq(struct label_set a, struct label_set b);
/* Upstream's order: label by label, name then value; a prefix comes first. */
int label_set_cmp(struct label_set a, struct label_set b);
/* Sorts items by name in place. */
void label_sort(struct label *items, uint32_t count);
/* A deep copy; items is NULL if the arena had no room and the set is not empty. */
struct label_set label_set_copy(struct arena *arena, struct label_set set);
/* {__name__="a",b="c"} as upstream prints it: a{b="c"}, values Go-quoted, other than legacy names
 * quoted. */
void label_set_print(struct buf *out, struct label_set set);
/* The same with the metric name among the labels, as upstream's messages have it:
 * {__name__="a", b="c"}. */
void label_set_print_plain(struct buf *out, struct label_set set);

/* Names and values of series that come from outside: valid UTF-8, a name not empty, sorted, unique,
 * no empty value
 * ... the message names the label. With legacy names only [a-zA-Z_][a-zA-Z0-9_]* (and ':' in a
 * metric name). */
enum label_scheme { LABEL_SCHEME_UTF8, LABEL_SCHEME_LEGACY };
enum err label_set_check(struct label_set set, enum label_scheme scheme,
                         struct err_info *info) MUST_USE;
bool label_name_is_legacy(struct slice name);
bool label_metric_name_is_legacy(struct slice name);
bool label_name_is_valid(struct slice name, enum label_scheme scheme);
bool label_metric_name_is_valid(struct slice name, enum label_scheme scheme);

/* The identity of a series everywhere: keyed 128-bit xxh3 over tenant and labels, each
 * length-prefixed. */
struct hash128 series_hash(const struct hash_key *key, struct slice tenant, struct label_set set);

/* A set under construction. Set and delete in any order; an empty value deletes. */
struct label_builder {
    struct arena *arena; /* borrowed: what is added is not copied, the item array lives there */
    struct label *items;
    uint32_t count, cap;
    enum err err; /* sticky: ERR_LIMIT */
};

void label_builder_init(struct label_builder *builder, struct arena *arena, struct label_set base);
void label_builder_set(struct label_builder *builder, struct slice name, struct slice value);
void label_builder_del(struct label_builder *builder, struct slice name);
struct slice label_builder_get(const struct label_builder *builder, struct slice name);
/* Sorted view of what is there; borrowed until the next change. */
struct label_set label_builder_set_view(struct label_builder *builder);
