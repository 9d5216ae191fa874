/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* YAML files as Go's yaml package reads them: the first document as a tree in an arena, with the
 * place of every node and key, anchors and merge keys resolved. Duplicate keys are errors; depth,
 * size and the growth by aliases are limited.
 *
 * Ownership: the tree lies in the arena and copies what it needs of the text. Aliased nodes are
 * shared: a tree is read only, by any number of threads. Messages begin with "file:line: " (or
 * "line N: " without a name). */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    bool quoted;           /* of a scalar: not a plain one, so always a string */
    uint32_t line, column; /* from 1 */
    const char *file;      /* the name given to yaml_parse */
    struct slice text;     /* of a scalar; terminated. Also of a null: "", "~", "null" */
    uint32_t count;        /* items or entries */
    union {
        struct yaml_node **items;
        struct yaml_entry *entries; /* in the order of the file; merged ones last */
    };
};

struct yaml_entry {
    struct slice key; /* terminated */
    uint32_t line, column;
    bool merged; /* came by a merge key */
    struct yaml_node *value;
};

struct yaml_options {
    const char *file;   /* for messages; NULL: none */
    uint32_t size_max;  /* bytes; 0: 16 MiB */
    uint32_t depth_max; /* 0: 100 */
    uint32_t node_max;  /* with every alias counted as if written out; 0: 1,000,000 */
};

/* An empty document is a YAML_NULL. ERR_BAD_INPUT or ERR_LIMIT with a message. options may be
 * NULL. */
enum err yaml_parse(struct arena *arena, struct slice text, const struct yaml_options *options,
                    struct yaml_node **root, struct err_info *info) MUST_USE;

/* The value of a key, or NULL (also if node is no map). */
struct yaml_node *yaml_find(const struct yaml_node *node, const char *key);

/* Sets "file:line: message" for a fault at this node, and returns ERR_BAD_INPUT. */
enum err yaml_error(const struct yaml_node *node, struct err_info *info, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same at a key. */
enum err yaml_key_error(const struct yaml_node *map, const struct yaml_entry *entry,
                        struct err_info *info, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Scalars by YAML 1.1's core rules as Go resolves them into typed fields: a bool is true, false,
 * yes, no, on, off in the usual cases; a number is plain. The message names what was expected. */
enum err yaml_get_bool(const struct yaml_node *node, bool *v, struct err_info *info) MUST_USE;
enum err yaml_get_int(const struct yaml_node *node, int64_t *v, struct err_info *info) MUST_USE;
enum err yaml_get_double(const struct yaml_node *node, double *v, struct err_info *info) MUST_USE;
/* Any scalar as text; a null is empty. */
enum err yaml_get_text(const struct yaml_node *node, struct slice *v,
                       struct err_info *info) MUST_USE;
