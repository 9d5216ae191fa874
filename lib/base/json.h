/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* JSON out and in.
 *
 * The writer streams into a buf and puts the commas: open, key, value, close. It escapes as Go's
 * encoder does: control characters, quotes, U+2028 and U+2029, bad UTF-8 as \ufffd, and < > & when
 * asked to. What is written need not stay in the buf: flush it whenever you like.
 *
 * The reader gives a tree in an arena (jansson parses). Duplicate keys are errors.
 *
 * Threads: a writer has one owner at a time; a tree that was read may be read by many. */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum { JSON_DEPTH_MAX = 64 };

struct json_writer {
    struct buf *out;   /* borrowed */
    uint64_t has_item; /* one bit a level: a comma is due before the next item */
    uint32_t depth;
    bool after_key;
    bool escape_html; /* < > & as \u003c ... */
};

static inline void json_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out, .escape_html = true};
}

void json_open_object(struct json_writer *w);
void json_close_object(struct json_writer *w);
void json_open_array(struct json_writer *w);
void json_close_array(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_key_slice(struct json_writer *w, struct slice key);
void json_string(struct json_writer *w, struct slice s);
void json_cstr(struct json_writer *w, const char *text);
void json_int(struct json_writer *w, int64_t v);
void json_uint(struct json_writer *w, uint64_t v);
/* As Go prints a float64; what JSON cannot hold (NaN, Inf) is a string. */
void json_double(struct json_writer *w, double v);
void json_bool(struct json_writer *w, bool v);
void json_null(struct json_writer *w);
/* A value that is JSON already. */
void json_raw(struct json_writer *w, struct slice value);
/* Key and value at once. */
void json_member(struct json_writer *w, const char *key, struct slice value);
void json_member_cstr(struct json_writer *w, const char *key, const char *value);
void json_member_int(struct json_writer *w, const char *key, int64_t value);
void json_member_bool(struct json_writer *w, const char *key, bool value);
/* Appends s in quotes, escaped. */
void json_quote(struct buf *out, struct slice s, bool escape_html);

enum json_kind {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_value {
    enum json_kind kind;
    uint32_t count; /* items or members */
    union {
        bool b;
        int64_t i;
        double d;
        struct slice text;
        struct json_value *items;
        struct json_entry *members; /* in the order of the text */
    };
};

struct json_entry {
    struct slice key;
    struct json_value value;
};

struct json_options {
    uint32_t size_max; /* bytes; 0: 16 MiB */
};

/* ERR_BAD_INPUT ("line 3: ..."), ERR_TOO_LARGE, ERR_LIMIT. options may be NULL. */
enum err json_parse(struct arena *arena, struct slice text, const struct json_options *options,
                    struct json_value **root, struct err_info *info) MUST_USE;
/* A member's value, or NULL (also if value is no object). */
const struct json_value *json_find(const struct json_value *value, const char *key);
