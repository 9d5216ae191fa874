/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time_text.h"

#include <math.h>

#include "base/number.h"
#include "base/utf8.h"

enum {
    TIME_TEXT_S_MS = 1000,
    TIME_TEXT_M_MS = 60 * TIME_TEXT_S_MS,
    TIME_TEXT_H_MS = 60 * TIME_TEXT_M_MS,
    TIME_TEXT_D_MS = 24 * TIME_TEXT_H_MS,
    TIME_TEXT_W_MS = 7 * TIME_TEXT_D_MS,
    TIME_TEXT_DAY_S = 86400,
    TIME_TEXT_MESSAGE_PART = 100, /* bytes of an input that a message repeats */
};

#define TIME_TEXT_NS       INT64_C(1000000000)
#define TIME_TEXT_Y_MS     (INT64_C(365) * TIME_TEXT_D_MS)
#define TIME_TEXT_SPAN_MAX (INT64_MAX / 1000000) /* milliseconds whose nanoseconds fit */

/* In the order in which they may follow one another. `exact`: printed only if nothing is left. */
static const struct time_text_unit {
    const char *name;
    int64_t ms;
    bool exact;
} time_text_units[] = {
    {"y", TIME_TEXT_Y_MS, true},
    {"w", TIME_TEXT_W_MS, true},
    {"d", TIME_TEXT_D_MS, false},
    {"h", TIME_TEXT_H_MS, false},
    {"m", TIME_TEXT_M_MS, false},
    {"s", TIME_TEXT_S_MS, false},
    {"ms", 1, false},
};

static struct slice time_text_part(struct slice s)
{
    return slice_of(s.data, s.len < TIME_TEXT_MESSAGE_PART ? s.len : TIME_TEXT_MESSAGE_PART);
}

/* "before "s" after" */
static enum err time_text_fault(struct slice s, struct err_info *info, const char *before,
                                const char *after)
{
    struct buf text;

    buf_init(&text, TIME_TEXT_MESSAGE_PART * 16);
    utf8_quote(&text, time_text_part(s));
    err_set(info, ERR_BAD_INPUT, "%s%.*s%s", before, SLICE_ARG(buf_slice(&text)), after);
    buf_fini(&text);
    return ERR_BAD_INPUT;
}

static bool time_text_is_digit(struct slice s, size_t at)
{
    return at < s.len && s.data[at] >= '0' && s.data[at] <= '9';
}

/* Digits off the front of s; false if there are none. Saturates. */
static bool time_text_take_digits(struct slice *s, int64_t *v)
{
    int64_t value = 0;
    size_t len = 0;

    for (; time_text_is_digit(*s, len); len++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, s->data[len] - '0', &value))
            value = INT64_MAX / 10;
    }
    *s = slice_skip(*s, len);
    *v = value;
    return len > 0;
}

/* All up to the next digit, off the front of s. */
static struct slice time_text_take_unit(struct slice *s)
{
    size_t len = 0;
    struct slice unit;

    while (len < s->len && !time_text_is_digit(*s, len))
        len++;
    unit = slice_of(s->data, len);
    *s = slice_skip(*s, len);
    return unit;
}

/* COUNT_OF(time_text_units): no unit of that name. */
static size_t time_text_find_unit(struct slice name)
{
    size_t i = 0;

    while (i < COUNT_OF(time_text_units) && !slice_eq_cstr(name, time_text_units[i].name))
        i++;
    return i;
}

static enum err time_text_unknown_unit(struct slice unit, struct slice s, struct err_info *info)
{
    struct buf text;

    buf_init(&text, TIME_TEXT_MESSAGE_PART * 32);
    utf8_quote(&text, time_text_part(unit));
    buf_add_cstr(&text, " in duration ");
    utf8_quote(&text, time_text_part(s));
    err_set(info, ERR_BAD_INPUT, "unknown unit %.*s", SLICE_ARG(buf_slice(&text)));
    buf_fini(&text);
    return ERR_BAD_INPUT;
}

enum err time_text_parse_duration(struct slice s, int64_t *ms, struct err_info *info)
{
    struct slice rest = s;
    int64_t total = 0;
    size_t next = 0; /* units from here on may still come */

    if (s.len == 0)
        return err_set(info, ERR_BAD_INPUT, "empty duration string");
    if (slice_eq_cstr(s, "0")) {
        *ms = 0;
        return ERR_OK;
    }
    while (rest.len > 0) {
        int64_t count;
        struct slice name;
        size_t unit;

        if (!time_text_take_digits(&rest, &count))
            return time_text_fault(s, info, "not a valid duration string: ", "");
        name = time_text_take_unit(&rest);
        unit = time_text_find_unit(name);
        if (name.len > 0 && unit == COUNT_OF(time_text_units))
            return time_text_unknown_unit(name, s, info);
        if (name.len == 0 || unit < next)
            return time_text_fault(s, info, "not a valid duration string: ", "");
        next = unit + 1;
        if (__builtin_mul_overflow(count, time_text_units[unit].ms, &count) ||
            __builtin_add_overflow(total, count, &total) || total > TIME_TEXT_SPAN_MAX)
            return err_set(info, ERR_BAD_INPUT, "duration out of range");
    }
    *ms = total;
    return ERR_OK;
}

void time_text_add_duration(struct buf *out, int64_t ms)
{
    uint64_t left = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;

    if (ms == 0) {
        buf_add_cstr(out, "0s");
        return;
    }
    if (ms < 0)
        buf_add_byte(out, '-');
    for (size_t i = 0; i < COUNT_OF(time_text_units); i++) {
        const uint64_t unit = (uint64_t)time_text_units[i].ms;

        if (left < unit || (time_text_units[i].exact && left % unit != 0))
            continue;
        number_add_uint64(out, left / unit);
        buf_add_cstr(out, time_text_units[i].name);
        left %= unit;
    }
}

/* Days of a civil date and back: years begin in March here, so that the leap day comes last; 400
 * of them are an era of 146,097 days. */
int64_t time_text_days(int64_t year, int month, int day)
{
    const int64_t y = month <= 2 ? year - 1 : year;
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t year_of_era = y - era * 400;
    const int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

void time_text_to_civil(int64_t seconds, struct time_text_civil *civil)
{
    int64_t days = seconds / TIME_TEXT_DAY_S;
    int64_t second = seconds % TIME_TEXT_DAY_S;
    int64_t era, day_of_era, year_of_era, day_of_year, month;

    if (second < 0) {
        second += TIME_TEXT_DAY_S;
        days--;
    }
    civil->weekday = (int)(((days + 4) % 7 + 7) % 7);
    civil->hour = (int)(second / 3600);
    civil->minute = (int)(second / 60 % 60);
    civil->second = (int)(second % 60);
    era = (days + 719468 >= 0 ? days + 719468 : days + 719468 - 146096) / 146097;
    day_of_era = days + 719468 - era * 146097;
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    month = (5 * day_of_year + 2) / 153;
    civil->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    civil->month = (int)(month < 10 ? month + 3 : month - 9);
    civil->year = year_of_era + era * 400 + (civil->month <= 2);
    civil->year_day = (int)(days - time_text_days(civil->year, 1, 1)) + 1;
}

static int time_text_month_days(int64_t year, int month)
{
    const int64_t next =
        month == 12 ? time_text_days(year + 1, 1, 1) : time_text_days(year, month + 1, 1);

    return (int)(next - time_text_days(year, month, 1));
}

/* Exactly `width` digits and then `after` (0: nothing), off the front. */
static bool time_text_take_field(struct slice *s, unsigned width, char after, int *v)
{
    int value = 0;

    for (unsigned i = 0; i < width; i++) {
        if (!time_text_is_digit(*s, i))
            return false;
        value = value * 10 + (s->data[i] - '0');
    }
    *s = slice_skip(*s, width);
    if (after != '\0') {
        if (s->len == 0 || s->data[0] != after)
            return false;
        *s = slice_skip(*s, 1);
    }
    *v = value;
    return true;
}

/* ".123": nanoseconds; more digits than nine are dropped. */
static bool time_text_take_fraction(struct slice *s, int64_t *ns)
{
    int64_t unit = TIME_TEXT_NS;
    size_t len = 1;

    *ns = 0;
    if (s->len == 0 || (s->data[0] != '.' && s->data[0] != ','))
        return true;
    for (; time_text_is_digit(*s, len); len++) {
        unit /= 10;
        *ns += unit * (s->data[len] - '0');
    }
    *s = slice_skip(*s, len);
    return len > 1;
}

/* "Z" or "+01:00", which must be all that is left. */
static bool time_text_take_zone(struct slice s, int64_t *offset_s)
{
    int hours, minutes;
    const char sign = s.len > 0 ? s.data[0] : '\0';

    *offset_s = 0;
    if (slice_eq_cstr(s, "Z"))
        return true;
    if (sign != '+' && sign != '-')
        return false;
    s = slice_skip(s, 1);
    if (!time_text_take_field(&s, 2, ':', &hours) || !time_text_take_field(&s, 2, '\0', &minutes) ||
        s.len != 0 || hours > 24 || minutes > 60)
        return false;
    *offset_s = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

static bool time_text_read_rfc3339(struct slice s, int64_t *seconds, int64_t *ns)
{
    int year, month, day, hour, minute, second;
    int64_t offset_s;

    if (!time_text_take_field(&s, 4, '-', &year) || !time_text_take_field(&s, 2, '-', &month) ||
        !time_text_take_field(&s, 2, 'T', &day) || !time_text_take_field(&s, 2, ':', &hour) ||
        !time_text_take_field(&s, 2, ':', &minute) || !time_text_take_field(&s, 2, '\0', &second))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > time_text_month_days(year, month) ||
        hour > 23 || minute > 59 || second > 59)
        return false;
    if (!time_text_take_fraction(&s, ns) || !time_text_take_zone(s, &offset_s))
        return false;
    *seconds = time_text_days(year, month, day) * TIME_TEXT_DAY_S + hour * 3600 + minute * 60 +
               second - offset_s;
    return true;
}

enum err time_text_parse_rfc3339(struct slice s, int64_t *ns, struct err_info *info)
{
    int64_t seconds, fraction, total;

    if (!time_text_read_rfc3339(s, &seconds, &fraction))
        return time_text_fault(s, info, "not a valid RFC 3339 time: ", "");
    if (__builtin_mul_overflow(seconds, TIME_TEXT_NS, &total) ||
        __builtin_add_overflow(total, fraction, &total))
        return time_text_fault(s, info, "time out of range: ", "");
    *ns = total;
    return ERR_OK;
}

static void time_text_add_seconds(struct buf *out, int64_t seconds)
{
    struct time_text_civil civil;

    time_text_to_civil(seconds, &civil);
    buf_printf(out, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)civil.year, civil.month,
               civil.day, civil.hour, civil.minute, civil.second);
}

void time_text_add_rfc3339_ns(struct buf *out, int64_t ns)
{
    int64_t seconds = ns / TIME_TEXT_NS;
    int64_t fraction = ns % TIME_TEXT_NS;
    int width = 9;

    if (fraction < 0) {
        fraction += TIME_TEXT_NS;
        seconds--;
    }
    time_text_add_seconds(out, seconds);
    for (; width > 0 && fraction % 10 == 0; width--)
        fraction /= 10;
    if (width > 0)
        buf_printf(out, ".%0*lld", width, (long long)fraction);
    buf_add_byte(out, 'Z');
}

void time_text_add_rfc3339_ms(struct buf *out, int64_t ms)
{
    int64_t seconds = ms / 1000;
    int64_t fraction = ms % 1000;

    if (fraction < 0) {
        fraction += 1000;
        seconds--;
    }
    time_text_add_seconds(out, seconds);
    buf_printf(out, ".%03dZ", (int)fraction);
}

/* Upstream's way to write "since ever" and "for ever", which no 64-bit nanoseconds hold. */
static bool time_text_read_bound(struct slice s, int64_t *ms)
{
    if (slice_eq_cstr(s, "-292273086-05-16T16:47:06Z"))
        *ms = -INT64_C(9223372036854774) * 1000;
    else if (slice_eq_cstr(s, "292277025-08-18T07:12:54.999999999Z"))
        *ms = INT64_C(9223372036854774) * 1000 + 999;
    else
        return false;
    return true;
}

enum err time_text_parse_timestamp(struct slice s, int64_t *ms, struct err_info *info)
{
    double seconds, whole, fraction;
    int64_t whole_s, part_ns;

    if (number_parse_double(s, &seconds) == ERR_OK) {
        fraction = modf(seconds, &whole);
        if (!(fabs(whole) < 9.2e15))
            return time_text_fault(s, info, "cannot parse ", " to a valid timestamp");
        /* Milliseconds are rounded apart from the seconds, as upstream does. */
        *ms = (int64_t)whole * 1000 + (int64_t)round(fraction * 1000);
        return ERR_OK;
    }
    if (time_text_read_rfc3339(s, &whole_s, &part_ns)) {
        *ms = whole_s * 1000 + part_ns / 1000000;
        return ERR_OK;
    }
    if (time_text_read_bound(s, ms))
        return ERR_OK;
    return time_text_fault(s, info, "cannot parse ", " to a valid timestamp");
}

enum err time_text_parse_step(struct slice s, int64_t *ms, struct err_info *info)
{
    double seconds;

    if (number_parse_double(s, &seconds) == ERR_OK) {
        /* Through nanoseconds, cut, then to milliseconds, cut: as a Go time.Duration. */
        const double ns = seconds * 1e9;

        if (!(fabs(ns) < 0x1p63))
            return time_text_fault(s, info, "cannot parse ",
                                   " to a valid duration. It overflows int64");
        *ms = (int64_t)ns / 1000000;
        return ERR_OK;
    }
    if (time_text_parse_duration(s, ms, NULL) != ERR_OK)
        return time_text_fault(s, info, "cannot parse ", " to a valid duration");
    return ERR_OK;
}
