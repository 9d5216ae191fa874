/* SPDX-License-Identifier: Apache-2.0 */

/* Parts of a date, UTC, from seconds since 1970. Days are counted from 1 March of year 0, so that
 * the leap day is the last of its year. */

#include <math.h>

#include "promql/calendar.h"

enum { DAY_SECONDS = 86400, DAYS_TO_1970 = 719468, ERA_DAYS = 146097, ERA_YEARS = 400 };

/* As conversion does on amd64: out of range gives the smallest number. */
static int64_t whole_seconds(double v)
{
    if (!(v >= -9223372036854775808.0 && v < 9223372036854775808.0))
        return INT64_MIN;
    return (int64_t)v;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

struct date {
    int64_t year, day, second; /* day: since 1970; second: of the day */
    int month, day_of_month;   /* from 1 */
};

static struct date date_of(double v)
{
    const int64_t seconds = whole_seconds(v);
    const int64_t day = floor_div(seconds, DAY_SECONDS);
    const int64_t shifted = day + DAYS_TO_1970;
    const int64_t era = floor_div(shifted, ERA_DAYS);
    const int64_t in_era = shifted - era * ERA_DAYS;
    const int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / (ERA_DAYS - 1)) / 365;
    const int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    const int month = (int)((5 * in_year + 2) / 153); /* 0: March */

    return (struct date){
        .year = year + era * ERA_YEARS + (month >= 10),
        .day = day,
        .second = seconds - day * DAY_SECONDS,
        .month = month < 10 ? month + 3 : month - 9,
        .day_of_month = (int)(in_year - (153 * month + 2) / 5) + 1,
    };
}

double promql_calendar_minute(double v)
{
    return (double)(date_of(v).second / 60 % 60);
}

double promql_calendar_hour(double v)
{
    return (double)(date_of(v).second / 3600);
}

double promql_calendar_day_of_week(double v)
{
    const int64_t day = (date_of(v).day + 4) % 7; /* 1970 began on a Thursday */

    return (double)(day < 0 ? day + 7 : day);
}

double promql_calendar_day_of_month(double v)
{
    return date_of(v).day_of_month;
}

double promql_calendar_day_of_year(double v)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    const struct date date = date_of(v);

    return before[date.month - 1] + date.day_of_month + (date.month > 2 && is_leap(date.year));
}

double promql_calendar_days_in_month(double v)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const struct date date = date_of(v);

    return days[date.month - 1] + (date.month == 2 && is_leap(date.year));
}

double promql_calendar_month(double v)
{
    return date_of(v).month;
}

double promql_calendar_year(double v)
{
    return (double)date_of(v).year;
}
