/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Times and durations as text, as Prometheus reads and prints them. Times are Unix milliseconds
 * UTC unless a name says otherwise; the proleptic Gregorian calendar. Threads: any; nothing is
 * kept. */

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct time_text_civil {
    int64_t year;
    int month, day; /* from 1 */
    int hour, minute, second;
    int weekday;  /* 0: Sunday */
    int year_day; /* from 1 */
};

/* 1h30m, 15s, 100ms, 2w, 0: units y w d h m s ms in this order, each at most once. The message is
 * upstream's. */
enum err time_text_parse_duration(struct slice s, int64_t *ms, struct err_info *info) MUST_USE;
/* The shortest exact form: 1h30m, 15s, 0s. */
void time_text_add_duration(struct buf *out, int64_t ms);

/* 2006-01-02T15:04:05.999999999Z or with an offset. */
enum err time_text_parse_rfc3339(struct slice s, int64_t *ns, struct err_info *info) MUST_USE;
/* UTC with as many decimals as needed, as Go's RFC3339Nano. */
void time_text_add_rfc3339_ns(struct buf *out, int64_t ns);
/* UTC with milliseconds, always: the form of log lines. */
void time_text_add_rfc3339_ms(struct buf *out, int64_t ms);

/* A parameter of the HTTP API: seconds with decimals, or RFC 3339. */
enum err time_text_parse_timestamp(struct slice s, int64_t *ms, struct err_info *info) MUST_USE;
/* A parameter of the HTTP API: seconds with decimals, or a duration. */
enum err time_text_parse_step(struct slice s, int64_t *ms, struct err_info *info) MUST_USE;

void time_text_to_civil(int64_t seconds, struct time_text_civil *civil);
/* Days since 1970-01-01 of a date; month 1 to 12, day may be any. */
int64_t time_text_days(int64_t year, int month, int day);
