/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What settings.c and settings_print.c share. */

#include "base/settings.h"

struct settings_table {
    struct settings_table *next; /* in the order of settings_add */
    const struct setting *items; /* borrowed */
    size_t count;
    void *target;   /* borrowed */
    uint8_t *ranks; /* enum setting_rank per item */
};
