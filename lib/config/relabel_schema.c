/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"
#include "config/schema_internal.h"
#include "model/relabel.h"

/* Relabelling rules as sections: upstream's keys and defaults; what a rule may hold is decided by
 * model/relabel.h once the scheme of names is known. */

enum { ACTION_SIZE_MAX = 32 };

/* Actions may be written in any case and are kept in lower case. */
static enum err check_action(struct schema_ctx *ctx, struct schema_value *action)
{
    char low[ACTION_SIZE_MAX];
    const struct slice text = action->text;

    if (text.len == 0)
        return schema_fail(ctx, action, "relabel action cannot be empty");
    if (text.len < sizeof(low)) {
        for (size_t i = 0; i < text.len; i++)
            low[i] = text.data[i] >= 'A' && text.data[i] <= 'Z' ? (char)(text.data[i] + 32)
                                                                : text.data[i];
        low[text.len] = 0;
        for (int i = 0; i < RELABEL_ACTION_COUNT; i++)
            if (strcmp(low, relabel_action_text((enum relabel_action)i)) == 0)
                return schema_set(ctx, action, low);
    }
    return schema_fail(ctx, action, "unknown relabel action \"%.*s\"", SLICE_ARG(text));
}

static enum err check_relabel(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct schema_value *names = schema_get(value, "source_labels");

    for (uint32_t i = 0; i < names->count; i++)
        if (names->items[i].text.len == 0 || !utf8_is_valid(names->items[i].text))
            return schema_fail(ctx, &names->items[i], "\"%.*s\" is not a valid label name",
                               SLICE_ARG(names->items[i].text));
    return check_action(ctx, schema_get(value, "action"));
}

static const struct schema_field relabel_fields[] = {
    STRINGS_FIELD("source_labels", .flags = SCHEMA_FLOW | SCHEMA_SERVED),
    STRING_FIELD("separator", .value = ";", .flags = SCHEMA_KEEP | SCHEMA_SERVED),
    {.key = "regex",
     .kind = SCHEMA_REGEX,
     .value = "(.*)",
     .flags = SCHEMA_HIDE_DEFAULT | SCHEMA_SERVED},
    UINT_FIELD("modulus", .flags = SCHEMA_SERVED),
    STRING_FIELD("target_label", .flags = SCHEMA_SERVED),
    STRING_FIELD("replacement", .value = "$1", .flags = SCHEMA_KEEP | SCHEMA_SERVED),
    STRING_FIELD("action", .value = "replace", .flags = SCHEMA_SERVED),
};

const struct schema_type relabel_schema_type = {
    .name = "relabel_config", SCHEMA_FIELDS(relabel_fields), .check = check_relabel};

static enum err make_rule(struct schema_ctx *ctx, const struct schema_value *value,
                          enum label_scheme scheme, struct relabel_config *config)
{
    const struct schema_value *names = schema_get(value, "source_labels");
    struct relabel_spec spec = relabel_spec_default();
    struct err_info info = {0};
    enum err err = http_config_texts(ctx, names, &spec.source_labels);

    if (err != ERR_OK)
        return err;
    spec.source_label_count = names->count;
    spec.separator = schema_text(value, "separator");
    spec.target_label = schema_text(value, "target_label");
    spec.regex = schema_text(value, "regex");
    spec.replacement = schema_text(value, "replacement");
    spec.action = schema_text(value, "action");
    spec.modulus = schema_get(value, "modulus")->u;
    spec.scheme = scheme;
    err = relabel_init(config, ctx->arena, &spec, &info);
    return err == ERR_OK ? ERR_OK : schema_fail(ctx, value, "%s", err_message(err, &info));
}

enum err relabel_schema_fill(struct schema_ctx *ctx, const struct schema_value *list,
                             enum label_scheme scheme, struct relabel_schema_list *out)
{
    struct relabel_config *configs = ARENA_ARRAY(ctx->arena, struct relabel_config, list->count);

    if (configs == NULL)
        return err_set(ctx->info, ERR_LIMIT, "configuration is too large");
    for (uint32_t i = 0; i < list->count; i++) {
        const enum err err = make_rule(ctx, &list->items[i], scheme, &configs[i]);

        if (err != ERR_OK)
            return err;
    }
    out->items = configs;
    out->count = list->count;
    return ERR_OK;
}
