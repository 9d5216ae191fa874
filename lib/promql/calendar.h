/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Parts of a date in UTC; v is seconds since 1970, its fraction cut off. Months and days of month
 * and year count from 1, days of the week from 0, a Sunday. */

#include <stdbool.h>
#include <stdint.h>

double promql_calendar_minute(double v);
double promql_calendar_hour(double v);
double promql_calendar_day_of_week(double v);
double promql_calendar_day_of_month(double v);
double promql_calendar_day_of_year(double v);
double promql_calendar_days_in_month(double v);
double promql_calendar_month(double v);
double promql_calendar_year(double v);
