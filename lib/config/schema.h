/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Configuration files by tables: a type is a table of fields, a field has a kind (what one value
 * is) and a shape (one, a list, a map ...), and a loaded file is a tree of values that mirrors the
 * tables, defaults filled in.
 *
 *   struct schema_type --fields--> struct schema_field --type--> struct schema_type ...
 *   struct schema_value (STRUCT) --items[i]--> struct schema_value of fields[i]
 *
 * As in upstream's reader: an unknown or repeated key is an error; a missing key has its default; a
 * null value is the zero of its kind, not the default, and a null struct has no checks run; a
 * type's check runs once its values are read, inner ones before outer ones.
 *
 * Ownership: values live in the loader's arena and borrow the YAML tree's text. Threads: one loads
 * and checks; afterwards values are only read, by any number of threads. Tables are constants. */

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/yaml.h"

enum schema_kind {
    SCHEMA_BOOL,
    SCHEMA_INT,
    SCHEMA_UINT,
    SCHEMA_FLOAT,
    SCHEMA_STRING,
    SCHEMA_SECRET,   /* printed as <secret> */
    SCHEMA_PATH,     /* relative to the directory of the file it stands in */
    SCHEMA_DURATION, /* milliseconds */
    SCHEMA_SIZE,     /* bytes; may be negative in the text */
    SCHEMA_URL,      /* a password in it is printed as xxxxx */
    SCHEMA_ENUM,     /* one of field->words, checked with field->word_error */
    SCHEMA_REGEX,    /* must compile, anchored */
    SCHEMA_LABEL,    /* string that must be valid UTF-8 */
    SCHEMA_ANY,      /* any YAML, kept as it is */
    SCHEMA_STRUCT,
};

enum schema_shape {
    SCHEMA_ONE,
    SCHEMA_LIST,
    SCHEMA_MAP,      /* of text to one value each */
    SCHEMA_MAP_LIST, /* of text to a list each */
};

enum schema_flag {
    SCHEMA_SERVED = 1 << 0,       /* a role uses it; for a struct: look at its fields */
    SCHEMA_KEEP = 1 << 1,         /* printed even when zero */
    SCHEMA_OPTIONAL = 1 << 2,     /* struct: absent unless given */
    SCHEMA_FLOW = 1 << 3,         /* list: printed in brackets */
    SCHEMA_EXPAND = 1 << 4,       /* map: $x and ${x} in its values are environment variables */
    SCHEMA_POINTER = 1 << 4,      /* scalar: unset and zero differ */
    SCHEMA_HIDE_DEFAULT = 1 << 5, /* not printed while it has its default */
};

struct schema_type;

struct schema_field {
    const char *key;
    enum schema_kind kind;
    enum schema_shape shape;
    unsigned flags;
    const char *value;              /* default as text; NULL: zero */
    const struct schema_type *type; /* of a STRUCT */
    const char *const *words;       /* of an ENUM; ends with NULL */
    const char *word_error;         /* of an ENUM: a format with one %.*s, the wrong word */
    const char *unserved_word;      /* the text among those allowed that no role serves; or NULL */
};

struct schema_value {
    const struct schema_field *field; /* NULL: the root */
    const struct schema_type *type;   /* of a STRUCT */
    enum schema_shape shape;          /* of elements ONE, of those of a MAP_LIST a LIST */
    const struct yaml_node *node;     /* its value in the file; NULL: a default */
    uint32_t line;                    /* where it stands, or what it is in stands */
    bool is_null;                     /* given as null */
    bool is_set; /* there: given, by default or inherited; false for optional structs left out */
    struct slice key;  /* of an element of a map */
    struct slice text; /* of scalars: as given or by default; terminated */
    union {
        bool b;
        int64_t i; /* INT, DURATION (ms), SIZE */
        uint64_t u;
        double f;
    };
    struct schema_value *items; /* of a struct: one per field; of lists and maps: the elements */
    uint32_t count;
};

struct schema_ctx {
    struct arena *arena;   /* borrowed */
    struct slice file;     /* for messages; may be empty */
    struct slice dir;      /* paths are joined with it; empty: left as they are */
    struct err_info *info; /* borrowed; may be NULL */
};

/* Checks what the table cannot say, and may change values (defaults that depend on others). */
typedef enum err schema_check_fn(struct schema_ctx *ctx, struct schema_value *value);

struct schema_type {
    const char *name;
    const struct schema_field *fields;
    uint32_t field_count;
    schema_check_fn *check; /* may be NULL */
};

/* A table of fields as the members `fields, field_count` of a type. */
#define SCHEMA_FIELDS(table) .fields = (table), .field_count = COUNT_OF(table)

/* Reads a mapping (or null) as `type`. */
enum err schema_load(struct schema_ctx *ctx, const struct schema_type *type,
                     const struct yaml_node *node, struct schema_value *value) MUST_USE;

/* ERR_BAD_INPUT with "file:line: " before the text. value gives the line; may be NULL. */
enum err schema_fail(struct schema_ctx *ctx, const struct schema_value *value, const char *format,
                     ...) __attribute__((format(printf, 3, 4)));

/* The value of a struct's field. The key must be in its table: anything else is our mistake. */
struct schema_value *schema_get(const struct schema_value *value, const char *key);
/* Short forms; for an unset or null value the zero. */
struct slice schema_text(const struct schema_value *value, const char *key);
bool schema_bool(const struct schema_value *value, const char *key);
int64_t schema_int(const struct schema_value *value, const char *key);
/* Whether a key has a value other than its kind's zero: a text not empty, a number not 0, a struct
 * or list that is there and not empty. */
bool schema_has(const struct schema_value *value, const char *key);
bool schema_is_zero(const struct schema_value *value);
/* Not given, or given with its default. */
bool schema_is_default(const struct schema_value *value);
/* Replaces a scalar's value by a text of its kind that is known to be good. */
enum err schema_set(struct schema_ctx *ctx, struct schema_value *value, const char *text) MUST_USE;
/* Copies the content of `from` where `value` is zero (with SCHEMA_POINTER: unset or null). */
void schema_inherit(struct schema_value *value, const struct schema_value *from);

/* One field that the file gives but no role serves, with its path as in scrape_configs[0].params; a
 * value that none serves as in scrape_configs[0].scrape_protocols[1]: PrometheusProto. */
typedef void schema_unserved_fn(void *owner, uint32_t line, struct slice path);
uint32_t schema_unserved(const struct schema_value *value, schema_unserved_fn *fn, void *owner);

struct schema_print_options {
    bool secrets; /* print them as they are */
};
/* Block YAML as upstream lays it out: fields in the order of the table, zero ones left out. */
void schema_print(const struct schema_value *value, const struct schema_print_options *options,
                  struct buf *out);
