/* SPDX-License-Identifier: Apache-2.0 */
#include "main/roles.h"

#include <stdio.h>

static const struct {
    const char *name;
    unsigned role, needs;
} role_table[] = {
    {"scraper", ROLE_SCRAPER, 0}, /* without an ingester they need a remote_write */
    {"distributor", ROLE_DISTRIBUTOR, 0},
    {"ingester", ROLE_INGESTER, 0},
    {"querier", ROLE_QUERIER, ROLE_INGESTER},
    {"all", ROLE_ALL, 0},
};

static const char *role_name(unsigned role)
{
    for (size_t i = 0; i < COUNT_OF(role_table); i++) {
        if (role_table[i].role == role)
            return role_table[i].name;
    }
    return "?";
}

static enum err roles_check_needs(unsigned roles, struct err_info *info)
{
    for (size_t i = 0; i < COUNT_OF(role_table); i++) {
        const unsigned needs = role_table[i].needs;

        if ((roles & role_table[i].role) != role_table[i].role || (roles & needs) == needs)
            continue;
        return err_set(
            info, ERR_BAD_INPUT,
            "target \"%s\" needs \"%s\", which is neither in --target nor has an address: "
            "this version runs both in one process",
            role_table[i].name, role_name(needs));
    }
    return ERR_OK;
}

enum err roles_parse(const struct setting_list *list, unsigned *roles, struct err_info *info)
{
    unsigned set = 0;
    enum err err;

    for (uint32_t i = 0; i < list->count; i++) {
        unsigned role = 0;

        for (size_t j = 0; j < COUNT_OF(role_table); j++) {
            if (slice_eq_cstr(list->items[i], role_table[j].name))
                role = role_table[j].role;
        }
        if (role == 0)
            return err_set(
                info, ERR_BAD_INPUT,
                "unknown target \"%.*s\", known are: all, scraper, distributor, ingester, querier",
                SLICE_ARG(list->items[i]));
        set |= role;
    }
    if (set == 0)
        return err_set(info, ERR_BAD_INPUT, "no target given");
    err = roles_check_needs(set, info);
    if (err == ERR_OK)
        *roles = set;
    return err;
}

void roles_print(unsigned roles, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(role_table) && len < size; i++) {
        if (role_table[i].role != ROLE_ALL && (roles & role_table[i].role) != 0)
            len += (size_t)snprintf(out + len, size - len, "%s%s", len == 0 ? "" : ",",
                                    role_table[i].name);
    }
}
