/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"
#include "base/json.h"
#include "base/number.h"
#include "base/time_text.h"
#include "base/utf8.h"

enum { LOG_LINE_MAX = 1 << 16 };

#define LOG_LIMIT_INTERVAL_NS UINT64_C(10000000000)

static const char *const log_level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

void log_sink_init(struct log_sink *sink, int fd, enum log_level level, enum log_format format)
{
    *sink = (struct log_sink){.fd = fd, .format = format};
    atomic_store(&sink->level, (int)level);
}

enum err log_level_parse(struct slice s, enum log_level *level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (slice_eq_cstr(s, names[i])) {
            *level = (enum log_level)i;
            return ERR_OK;
        }
    }
    return ERR_BAD_INPUT;
}

enum err log_format_parse(struct slice s, enum log_format *format)
{
    if (slice_eq_cstr(s, "logfmt"))
        *format = LOG_LOGFMT;
    else if (slice_eq_cstr(s, "json"))
        *format = LOG_JSON;
    else
        return ERR_BAD_INPUT;
    return ERR_OK;
}

/* A number with up to `decimals` digits after the point and no zeros at its end. */
static void log_add_decimal(struct buf *out, uint64_t v, uint64_t unit)
{
    uint64_t rest = v % unit;

    number_add_uint64(out, v / unit);
    if (rest == 0)
        return;
    buf_add_byte(out, '.');
    for (unit /= 10; rest != 0; unit /= 10) {
        buf_add_byte(out, (char)('0' + rest / unit));
        rest %= unit;
    }
}

static void log_add_duration(struct buf *out, int64_t ns)
{
    uint64_t left = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;

    if (ns < 0)
        buf_add_byte(out, '-');
    if (left == 0) {
        buf_add_cstr(out, "0s");
    } else if (left < 1000) {
        number_add_uint64(out, left);
        buf_add_cstr(out, "ns");
    } else if (left < 1000000) {
        log_add_decimal(out, left, 1000);
        buf_add_cstr(out, "\xc2\xb5s");
    } else if (left < 1000000000) {
        log_add_decimal(out, left, 1000000);
        buf_add_cstr(out, "ms");
    } else {
        const uint64_t minutes = left / UINT64_C(60000000000);

        if (minutes >= 60) {
            number_add_uint64(out, minutes / 60);
            buf_add_byte(out, 'h');
        }
        if (minutes > 0) {
            number_add_uint64(out, minutes % 60);
            buf_add_byte(out, 'm');
        }
        log_add_decimal(out, left % UINT64_C(60000000000), 1000000000);
        buf_add_byte(out, 's');
    }
}

static bool log_needs_quotes(struct slice s)
{
    for (size_t at = 0, len; at < s.len; at += len) {
        uint32_t rune;

        len = utf8_decode(slice_skip(s, at), &rune);
        if (rune <= ' ' || rune == '=' || rune == '"' || rune == UTF8_BAD || !utf8_is_print(rune))
            return true;
    }
    return s.len == 0;
}

/* The value of a field as bare text; texts give themselves. scratch holds the others. */
static struct slice log_field_text(const struct log_field *field, struct buf *scratch)
{
    buf_reset(scratch);
    switch (field->kind) {
    case LOG_FIELD_SLICE:
        return field->slice;
    case LOG_FIELD_INT:
        number_add_int64(scratch, field->i);
        break;
    case LOG_FIELD_UINT:
        number_add_uint64(scratch, field->u);
        break;
    case LOG_FIELD_DOUBLE:
        number_add_double(scratch, field->d, NUMBER_G);
        break;
    case LOG_FIELD_BOOL:
        buf_add_cstr(scratch, field->b ? "true" : "false");
        break;
    case LOG_FIELD_DURATION_NS:
        log_add_duration(scratch, field->i);
        break;
    }
    return buf_slice(scratch);
}

/* Appends " name=value" or ,"name":value. */
static void log_add_field(struct buf *line, enum log_format format, const char *name,
                          const struct log_field *field)
{
    char space[64];
    struct buf scratch;
    struct slice text;

    buf_init(&scratch, sizeof(space) * 16);
    text = log_field_text(field, &scratch);
    if (format == LOG_LOGFMT) {
        buf_printf(line, " %s=", name);
        if (log_needs_quotes(text))
            utf8_quote(line, text);
        else
            buf_add_slice(line, text);
    } else {
        const bool bare = field->kind == LOG_FIELD_INT || field->kind == LOG_FIELD_UINT ||
                          field->kind == LOG_FIELD_BOOL ||
                          (field->kind == LOG_FIELD_DOUBLE && isfinite(field->d));

        buf_add_byte(line, ',');
        json_quote(line, slice_from_cstr(name), false);
        buf_add_byte(line, ':');
        if (bare)
            buf_add_slice(line, text);
        else
            json_quote(line, text, false);
    }
    buf_fini(&scratch);
}

static int64_t log_now_ms(const struct log_sink *sink)
{
    struct timespec now;

    if (sink->env != NULL)
        return env_now_ms(sink->env);
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void log_add_head(struct buf *line, const struct log_sink *sink, enum log_level level)
{
    if (sink->format == LOG_LOGFMT) {
        buf_add_cstr(line, "time=");
        time_text_add_rfc3339_ms(line, log_now_ms(sink));
        buf_printf(line, " level=%s", log_level_names[level]);
    } else {
        buf_add_cstr(line, "{\"time\":\"");
        time_text_add_rfc3339_ms(line, log_now_ms(sink));
        buf_printf(line, "\",\"level\":\"%s\"", log_level_names[level]);
    }
}

void log_write(const struct log *log, enum log_level level, const struct log_field *fields,
               size_t count)
{
    struct log_sink *sink = log->sink;
    struct buf line;
    ssize_t written;

    ASSERT(count >= 1);
    buf_init(&line, LOG_LINE_MAX);
    log_add_head(&line, sink, level);
    log_add_field(&line, sink->format, "msg", &fields[0]);
    if (log->component != NULL)
        log_add_field(&line, sink->format, "component", &F_STR(NULL, log->component));
    for (size_t i = 1; i < count; i++)
        log_add_field(&line, sink->format, fields[i].name, &fields[i]);
    if (line.err != ERR_OK) { /* what fitted is kept and said to be cut */
        line.err = ERR_OK;
        line.max += 64;
        buf_add_cstr(&line, sink->format == LOG_LOGFMT ? " cut=true" : ",\"cut\":true");
    }
    buf_add_cstr(&line, sink->format == LOG_LOGFMT ? "\n" : "}\n");
    do
        written = write(sink->fd, line.data, line.len);
    while (written < 0 && errno == EINTR);
    if (written != (ssize_t)line.len)
        atomic_fetch_add_explicit(&sink->dropped, 1, memory_order_relaxed);
    buf_fini(&line);
}

static uint64_t log_mono_ns(const struct log *log)
{
    struct timespec now;

    if (log != NULL && log->sink != NULL && log->sink->env != NULL)
        return env_mono_ns(log->sink->env);
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool log_limiter_pass(struct log_limiter *limiter, const struct log *log, uint64_t *swallowed)
{
    const uint64_t interval_ns =
        limiter->interval_ns != 0 ? limiter->interval_ns : LOG_LIMIT_INTERVAL_NS;
    const uint32_t burst = limiter->burst != 0 ? limiter->burst : 1;
    const uint64_t window_ns = log_mono_ns(log) / interval_ns * interval_ns + 1;
    uint64_t open = atomic_load(&limiter->window_ns);

    if (open != window_ns && atomic_compare_exchange_strong(&limiter->window_ns, &open, window_ns))
        atomic_store(&limiter->passed, 0);
    if (atomic_fetch_add(&limiter->passed, 1) >= burst) {
        atomic_fetch_add(&limiter->swallowed, 1);
        return false;
    }
    *swallowed = atomic_exchange(&limiter->swallowed, 0);
    return true;
}
