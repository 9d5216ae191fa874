/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/calendar.h"

#include "base/time_text.h"

/* As conversion does on amd64: out of range gives the smallest number. */
static int64_t whole_seconds(double v)
{
    if (!(v >= -9223372036854775808.0 && v < 9223372036854775808.0))
        return INT64_MIN;
    return (int64_t)v;
}

static struct time_text_civil civil_of(double v)
{
    /* What upstream gives for NaN and infinities: its calendar wraps around to 2^63 seconds. */
    static const struct time_text_civil wrapped = {.year = INT64_C(292277026596),
                                                   .month = 12,
                                                   .day = 4,
                                                   .hour = 15,
                                                   .minute = 30,
                                                   .second = 8,
                                                   .weekday = 0,
                                                   .year_day = 339};
    const int64_t seconds = whole_seconds(v);
    struct time_text_civil civil;

    if (seconds == INT64_MIN)
        return wrapped;
    time_text_to_civil(seconds, &civil);
    return civil;
}

double promql_calendar_minute(double v)
{
    return civil_of(v).minute;
}

double promql_calendar_hour(double v)
{
    return civil_of(v).hour;
}

double promql_calendar_day_of_week(double v)
{
    return civil_of(v).weekday;
}

double promql_calendar_day_of_month(double v)
{
    return civil_of(v).day;
}

double promql_calendar_day_of_year(double v)
{
    return civil_of(v).year_day;
}

double promql_calendar_days_in_month(double v)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const struct time_text_civil civil = civil_of(v);
    const int64_t year = civil.year;
    const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[civil.month - 1] + (civil.month == 2 && is_leap);
}

double promql_calendar_month(double v)
{
    return civil_of(v).month;
}

double promql_calendar_year(double v)
{
    return (double)civil_of(v).year;
}
