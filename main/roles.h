/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The roles of a process, as --target names them. A plain value. */

#include "base/err.h"
#include "base/settings.h"

enum role {
    ROLE_SCRAPER = 1 << 0,
    ROLE_DISTRIBUTOR = 1 << 1,
    ROLE_INGESTER = 1 << 2,
    ROLE_QUERIER = 1 << 3,
    ROLE_ALL = (1 << 4) - 1,
};

/* The set that a list names; "all" is every role. BAD_INPUT names a role that is not known, or one
 * that the set needs and neither has nor has an address for. */
enum err roles_parse(const struct setting_list *list, unsigned *roles,
                     struct err_info *info) MUST_USE;

/* "scraper,distributor,ingester,querier" for a log line; at most size bytes. */
void roles_print(unsigned roles, char *out, size_t size);
