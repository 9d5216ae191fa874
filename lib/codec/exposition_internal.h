/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the parsers of both formats share. Private to this folder. */

#include "codec/exposition.h"

bool text_parser_next(struct exposition *p, struct exposition_entry *entry);
bool om_parser_next(struct exposition *p, struct exposition_entry *entry);

/* Ends the parse: err_set with the line number before the message. Returns false. */
bool exposition_fail(struct exposition *p, const char *at, const char *what);

/* A sample value of at most the characters of s; NaN made the normal one. */
enum err exposition_value(struct slice s, double *v);

/* Past the name at `at`: [a-zA-Z_:][a-zA-Z0-9_:]*; `at` itself if there is none. */
const char *exposition_skip_name(const char *at, const char *end);
/* Past the quoted string that begins at `at`, or NULL if it is not closed. */
const char *exposition_skip_quoted(const char *at, const char *end);
/* Past the brace that closes the one at `at`, quoted strings skipped, or NULL. */
const char *exposition_skip_braces(const char *at, const char *end);
/* The metric's name after HELP, TYPE or UNIT, maybe quoted; past it, or NULL. */
const char *exposition_meta_name(const char *at, const char *end, struct slice *name);

bool exposition_type_from_text(struct slice text, enum exposition_format format,
                               enum metric_type *type);

/* How strict the text of labels is. */
struct label_syntax {
    bool is_openmetrics; /* no space, a comma between labels, no line end in a value */
    bool is_exemplar;    /* no metric name */
    enum metric_type type;
};

/* Labels of `text`: NAME, NAME{...} or {...}; all of it. Not sorted, not checked. */
enum err exposition_parse_labels(struct slice text, const struct label_syntax *syntax,
                                 struct arena *arena, struct label_set *labels,
                                 struct err_info *info);
/* s with \\ \n and, if told, \" resolved; s itself if there is nothing to do. */
struct slice exposition_unescape(struct slice s, bool with_quotes, struct arena *arena);
