/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Log lines, one write(2) each, in logfmt (or JSON) as upstream's:
 *
 *   time=2026-01-02T03:04:05.678Z level=WARN msg="flush failed" component=storage err="no space
 * left"
 *
 * A fixed message and typed fields, never prose with values in it:
 *
 *   log_warn(log, "flush failed", F_STR("path", path), F_ERR(err, &info));
 *
 * Ownership: a log is a plain value that borrows its sink. A NULL log swallows all.
 * Threads: any. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct env;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

enum log_field_kind {
    LOG_FIELD_SLICE,
    LOG_FIELD_INT,
    LOG_FIELD_UINT,
    LOG_FIELD_DOUBLE,
    LOG_FIELD_BOOL,
    LOG_FIELD_DURATION_NS,
};

struct log_field {
    const char *name;
    enum log_field_kind kind;
    union {
        struct slice slice;
        int64_t i;
        uint64_t u;
        double d;
        bool b;
    };
};

struct log_sink {
    int fd;
    _Atomic int level; /* enum log_level: what is below is dropped; may change while running */
    enum log_format format;
    struct env *env;          /* borrowed; its clock stamps the lines. NULL: the system's */
    _Atomic uint64_t dropped; /* lines that could not be written */
};

struct log {
    struct log_sink *sink; /* borrowed: outlives us */
    const char *component; /* borrowed; NULL: none */
};

void log_sink_init(struct log_sink *sink, int fd, enum log_level level, enum log_format format);
/* "debug", "info", "warn", "error". */
enum err log_level_parse(struct slice s, enum log_level *level) MUST_USE;
/* "logfmt", "json". */
enum err log_format_parse(struct slice s, enum log_format *format) MUST_USE;

static inline struct log log_make(struct log_sink *sink, const char *component)
{
    return (struct log){sink, component};
}

static inline bool log_is_on(const struct log *log, enum log_level level)
{
    return log != NULL && log->sink != NULL &&
           (int)level >= atomic_load_explicit(&log->sink->level, memory_order_relaxed);
}

/* fields[0] is the message (its name unused). */
void log_write(const struct log *log, enum log_level level, const struct log_field *fields,
               size_t count);

/* Lets `burst` lines pass in each interval and counts the rest. Zero-initialised but for its two
 * settings. */
struct log_limiter {
    uint64_t interval_ns; /* 0: ten seconds */
    uint32_t burst;       /* 0: one */
    _Atomic uint64_t window_ns;
    _Atomic uint32_t passed;
    _Atomic uint64_t swallowed;
};

/* True when the line may be written; then *swallowed says how many were not, since the last. */
bool log_limiter_pass(struct log_limiter *limiter, const struct log *log, uint64_t *swallowed);

#define F_SLICE(name, value) ((struct log_field){(name), LOG_FIELD_SLICE, {.slice = (value)}})
#define F_STR(name, value)                                                                         \
    ((struct log_field){(name), LOG_FIELD_SLICE, {.slice = slice_from_cstr(value)}})
#define F_INT(name, value)    ((struct log_field){(name), LOG_FIELD_INT, {.i = (value)}})
#define F_UINT(name, value)   ((struct log_field){(name), LOG_FIELD_UINT, {.u = (value)}})
#define F_DOUBLE(name, value) ((struct log_field){(name), LOG_FIELD_DOUBLE, {.d = (value)}})
#define F_BOOL(name, value)   ((struct log_field){(name), LOG_FIELD_BOOL, {.b = (value)}})
/* A span in nanoseconds, printed as Go does: 1.5ms, 2m3s. */
#define F_DUR(name, ns) ((struct log_field){(name), LOG_FIELD_DURATION_NS, {.i = (int64_t)(ns)}})
/* err="..." with the detail of a struct err_info, which may be NULL. */
#define F_ERR(err, info) F_STR("err", err_message((err), (info)))

#define LOG_AT(log, level, msg, ...)                                                               \
    do {                                                                                           \
        if (log_is_on((log), (level)))                                                             \
            log_write((log), (level), (const struct log_field[]){F_STR(NULL, msg), ##__VA_ARGS__}, \
                      sizeof((const struct log_field[]){F_STR(NULL, msg), ##__VA_ARGS__}) /        \
                          sizeof(struct log_field));                                               \
    } while (0)

#define log_debug(log, msg, ...) LOG_AT((log), LOG_DEBUG, msg, ##__VA_ARGS__)
#define log_info(log, msg, ...)  LOG_AT((log), LOG_INFO, msg, ##__VA_ARGS__)
#define log_warn(log, msg, ...)  LOG_AT((log), LOG_WARN, msg, ##__VA_ARGS__)
#define log_error(log, msg, ...) LOG_AT((log), LOG_ERROR, msg, ##__VA_ARGS__)
