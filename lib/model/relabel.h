/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Relabelling: a list of rules over one label set, in order. Rules change labels or drop the whole
 * set (a target, a series, an alert). Semantics, defaults and refusals of Prometheus.
 *
 * val = the source labels' values joined by the separator
 *
 *   replace            if regex matches val: target_label = replacement; empty: the label goes
 *   keep, drop         drop the set unless, if regex matches val
 *   keepequal, ...     drop the set unless, if val equals the target label's value
 *   hashmod            target_label = last eight bytes of MD5(val) modulo modulus
 *   labelmap           copy labels whose name matches regex to the name of replacement
 *   labeldrop, ...     remove labels whose name matches, does not match regex
 *   lowercase, ...     target_label = val in that case
 *
 * Ownership: a rule lives in the arena it was made in. Threads: rules are read-only once made. */

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/labels.h"

/* name, text in configuration files */
#define RELABEL_ACTION_LIST(XX)                                                                    \
    XX(REPLACE, "replace")                                                                         \
    XX(KEEP, "keep")                                                                               \
    XX(DROP, "drop")                                                                               \
    XX(KEEP_EQUAL, "keepequal")                                                                    \
    XX(DROP_EQUAL, "dropequal")                                                                    \
    XX(HASHMOD, "hashmod")                                                                         \
    XX(LABEL_MAP, "labelmap")                                                                      \
    XX(LABEL_DROP, "labeldrop")                                                                    \
    XX(LABEL_KEEP, "labelkeep")                                                                    \
    XX(LOWERCASE, "lowercase")                                                                     \
    XX(UPPERCASE, "uppercase")

enum relabel_action {
#define XX(name, text) RELABEL_##name,
    RELABEL_ACTION_LIST(XX)
#undef XX
        RELABEL_ACTION_COUNT
};

struct regex;

/* A rule as written. Start from relabel_spec_default() and fill in what is there. */
struct relabel_spec {
    const struct slice *source_labels; /* borrowed */
    uint32_t source_label_count;
    struct slice separator, target_label, regex, replacement;
    struct slice action; /* in any case */
    uint64_t modulus;
    enum label_scheme scheme;
};

struct relabel_config {
    enum relabel_action action;
    enum label_scheme scheme;
    const struct slice *source_labels;
    uint32_t source_label_count;
    struct slice separator, target_label, regex_text, replacement;
    uint64_t modulus;
    struct regex *regex;   /* owned by the arena's hooks */
    bool is_default_regex; /* (.*) */
    bool target_has_group; /* a $ in target_label */
    bool is_copy;          /* replacement is $1 of (.*): the value itself */
    bool replacement_has_group;
};

struct relabel_spec relabel_spec_default(void);

/* Copies the spec into the arena. ERR_BAD_INPUT says what is wrong as upstream does. */
enum err relabel_init(struct relabel_config *config, struct arena *arena,
                      const struct relabel_spec *spec, struct err_info *info) MUST_USE;

const char *relabel_action_text(enum relabel_action action);

/* Applies the rules in order. False: the set is dropped. New texts live in the builder's arena; no
 * room shows in builder->err. */
bool relabel_apply(const struct relabel_config *configs, uint32_t count,
                   struct label_builder *builder);
