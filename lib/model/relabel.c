/* SPDX-License-Identifier: Apache-2.0 */
#include "model/relabel.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/number.h"
#include "base/regex.h"
#include "base/utf8.h"

enum {
    RELABEL_TEXT_SIZE_MAX = 1 << 20, /* one expanded name or value */
    RELABEL_CAPTURE_MAX = REGEX_GROUP_MAX + 1,
};

static const char *const relabel_actions[] = {
#define XX(name, text) [RELABEL_##name] = text,
    RELABEL_ACTION_LIST(XX)
#undef XX
};

static const struct slice relabel_default_regex = {"(.*)", 4};
static const struct slice relabel_default_replacement = {"$1", 2};
static const struct slice relabel_default_separator = {";", 1};

struct relabel_spec relabel_spec_default(void)
{
    return (struct relabel_spec){.separator = relabel_default_separator,
                                 .regex = relabel_default_regex,
                                 .replacement = relabel_default_replacement,
                                 .action = SLICE("replace"),
                                 .scheme = LABEL_SCHEME_UTF8};
}

const char *relabel_action_text(enum relabel_action action)
{
    ASSERT((unsigned)action < RELABEL_ACTION_COUNT);
    return relabel_actions[action];
}

static bool relabel_find_action(struct slice text, enum relabel_action *action)
{
    for (unsigned i = 0; i < RELABEL_ACTION_COUNT; i++) {
        if (strlen(relabel_actions[i]) == text.len &&
            strncasecmp(relabel_actions[i], text.data, text.len) == 0) {
            *action = (enum relabel_action)i;
            return true;
        }
    }
    return false;
}

static bool relabel_has_group(struct slice text)
{
    return text.len != 0 && memchr(text.data, '$', text.len) != NULL;
}

static size_t relabel_word(struct slice text)
{
    size_t n = 0;

    while (n < text.len && (label_name_is_legacy(slice_of(text.data + n, 1)) ||
                            (n > 0 && text.data[n] >= '0' && text.data[n] <= '9')))
        n++;
    return n;
}

/* A legacy label name in which parts may be $name, ${name}, $1 or ${1}. */
static bool relabel_is_legacy_template(struct slice text)
{
    size_t at = 0;

    while (at < text.len) {
        const bool is_group = text.data[at] == '$';
        const bool is_braced = is_group && at + 1 < text.len && text.data[at + 1] == '{';
        size_t n;

        at += (size_t)is_group + (size_t)is_braced;
        n = relabel_word(slice_skip(text, at));
        while (is_group && at + n < text.len && text.data[at + n] >= '0' &&
               text.data[at + n] <= '9')
            n++;
        if (n == 0 && !(at > 0 && !is_group && text.data[at] >= '0' && text.data[at] <= '9'))
            return false;
        at += n == 0 ? 1 : n;
        if (is_braced && (at == text.len || text.data[at++] != '}'))
            return false;
    }
    return text.len != 0;
}

static bool relabel_template_is_valid(struct slice text, enum label_scheme scheme)
{
    /* UTF-8 names may hold $ and braces themselves. */
    if (scheme == LABEL_SCHEME_UTF8)
        return label_name_is_valid(text, scheme);
    return relabel_is_legacy_template(text);
}

static bool relabel_is_equal_action(enum relabel_action action)
{
    return action == RELABEL_KEEP_EQUAL || action == RELABEL_DROP_EQUAL;
}

static bool relabel_is_case_action(enum relabel_action action)
{
    return action == RELABEL_LOWERCASE || action == RELABEL_UPPERCASE;
}

static enum err relabel_check_target(enum relabel_action action, const struct relabel_spec *spec,
                                     struct err_info *info)
{
    const bool needs_target = action == RELABEL_REPLACE || action == RELABEL_HASHMOD ||
                              relabel_is_case_action(action) || relabel_is_equal_action(action);
    bool is_valid;

    if (!needs_target)
        return ERR_OK;
    if (spec->target_label.len == 0)
        return err_set(info, ERR_BAD_INPUT,
                       "relabel configuration for %s action requires 'target_label' value",
                       relabel_actions[action]);
    if (action == RELABEL_REPLACE && relabel_has_group(spec->target_label))
        is_valid = relabel_template_is_valid(spec->target_label, spec->scheme);
    else
        is_valid = label_name_is_valid(spec->target_label, spec->scheme);
    if (!is_valid)
        return err_set(info, ERR_BAD_INPUT, "\"%.*s\" is invalid 'target_label' for %s action",
                       SLICE_ARG(spec->target_label), relabel_actions[action]);
    return ERR_OK;
}

/* Fields that an action has no use for must be left at their defaults. */
static enum err relabel_check_unused(enum relabel_action action, const struct relabel_spec *spec,
                                     struct err_info *info)
{
    const bool has_replacement = !slice_eq(spec->replacement, relabel_default_replacement);
    const bool has_separator = !slice_eq(spec->separator, relabel_default_separator);
    const bool has_regex = !slice_eq(spec->regex, relabel_default_regex);
    const bool has_modulus = spec->modulus != 0;

    if (relabel_is_case_action(action) && has_replacement)
        return err_set(info, ERR_BAD_INPUT, "'replacement' can not be set for %s action",
                       relabel_actions[action]);
    if (relabel_is_equal_action(action) &&
        (has_regex || has_modulus || has_separator || has_replacement))
        return err_set(
            info, ERR_BAD_INPUT,
            "%s action requires only 'source_labels' and 'target_label', and no other fields",
            relabel_actions[action]);
    if ((action == RELABEL_LABEL_DROP || action == RELABEL_LABEL_KEEP) &&
        (spec->source_label_count != 0 || spec->target_label.len != 0 || has_modulus ||
         has_separator || has_replacement))
        return err_set(info, ERR_BAD_INPUT, "%s action requires only 'regex', and no other fields",
                       relabel_actions[action]);
    return ERR_OK;
}

static enum err relabel_check(enum relabel_action action, const struct relabel_spec *spec,
                              struct err_info *info)
{
    enum err err;

    if (action == RELABEL_HASHMOD && spec->modulus == 0)
        return err_set(info, ERR_BAD_INPUT,
                       "relabel configuration for hashmod requires non-zero modulus");
    for (uint32_t i = 0; i < spec->source_label_count; i++) {
        if (!label_name_is_valid(spec->source_labels[i], spec->scheme))
            return err_set(info, ERR_BAD_INPUT, "\"%.*s\" is not a valid label name",
                           SLICE_ARG(spec->source_labels[i]));
    }
    err = relabel_check_target(action, spec, info);
    if (err != ERR_OK)
        return err;
    if (action == RELABEL_LABEL_MAP && !relabel_template_is_valid(spec->replacement, spec->scheme))
        return err_set(info, ERR_BAD_INPUT, "\"%.*s\" is invalid 'replacement' for %s action",
                       SLICE_ARG(spec->replacement), relabel_actions[action]);
    return relabel_check_unused(action, spec, info);
}

static void relabel_on_reset(void *regex)
{
    regex_free(regex);
}

static enum err relabel_copy(struct relabel_config *config, struct arena *arena,
                             const struct relabel_spec *spec)
{
    struct slice *names = ARENA_ARRAY(arena, struct slice, spec->source_label_count);

    for (uint32_t i = 0; names != NULL && i < spec->source_label_count; i++)
        names[i] = arena_copy(arena, spec->source_labels[i]);
    config->source_labels = names;
    config->source_label_count = spec->source_label_count;
    config->separator = arena_copy(arena, spec->separator);
    config->target_label = arena_copy(arena, spec->target_label);
    config->regex_text = arena_copy(arena, spec->regex);
    config->replacement = arena_copy(arena, spec->replacement);
    return arena->err;
}

enum err relabel_init(struct relabel_config *config, struct arena *arena,
                      const struct relabel_spec *spec, struct err_info *info)
{
    struct relabel_config made = {.scheme = spec->scheme, .modulus = spec->modulus};
    struct regex *regex = NULL;
    enum err err;

    if (spec->action.len == 0)
        return err_set(info, ERR_BAD_INPUT, "relabel action cannot be empty");
    if (!relabel_find_action(spec->action, &made.action))
        return err_set(info, ERR_BAD_INPUT, "unknown relabel action \"%.*s\"",
                       SLICE_ARG(spec->action));
    err = relabel_check(made.action, spec, info);
    if (err != ERR_OK)
        return err;
    err = regex_new(spec->regex, &regex, info);
    if (err != ERR_OK)
        return err;
    if (arena_on_reset(arena, relabel_on_reset, regex) != ERR_OK) {
        regex_free(regex);
        return err_set(info, ERR_LIMIT, "no memory for a relabel rule");
    }
    if (relabel_copy(&made, arena, spec) != ERR_OK)
        return err_set(info, ERR_LIMIT, "no memory for a relabel rule");
    made.regex = regex;
    made.is_default_regex = slice_eq(spec->regex, relabel_default_regex);
    made.target_has_group = relabel_has_group(spec->target_label);
    made.replacement_has_group = relabel_has_group(spec->replacement);
    made.is_copy =
        made.is_default_regex && slice_eq(spec->replacement, relabel_default_replacement);
    *config = made;
    return ERR_OK;
}

/* val: the joined source labels. One label is borrowed as it is. */
static struct slice relabel_join(const struct relabel_config *config, struct label_builder *builder)
{
    size_t size = 0;
    char *text, *at;

    if (config->source_label_count == 0)
        return (struct slice){NULL, 0};
    if (config->source_label_count == 1)
        return label_builder_get(builder, config->source_labels[0]);
    for (uint32_t i = 0; i < config->source_label_count; i++)
        size += label_builder_get(builder, config->source_labels[i]).len + config->separator.len;
    text = at = arena_alloc(builder->arena, size);
    if (text == NULL) {
        builder->err = ERR_LIMIT;
        return (struct slice){NULL, 0};
    }
    for (uint32_t i = 0; i < config->source_label_count; i++) {
        const struct slice value = label_builder_get(builder, config->source_labels[i]);

        if (i != 0 && config->separator.len != 0) {
            memcpy(at, config->separator.data, config->separator.len);
            at += config->separator.len;
        }
        if (value.len != 0)
            memcpy(at, value.data, value.len);
        at += value.len;
    }
    return slice_of(text, (size_t)(at - text));
}

/* What the buffer holds, moved into the builder's arena. */
static struct slice relabel_take(struct buf *buf, struct label_builder *builder)
{
    struct slice text = arena_copy(builder->arena, buf_slice(buf));

    if (buf->err != ERR_OK || (text.data == NULL && buf->len != 0)) {
        builder->err = ERR_LIMIT;
        text = (struct slice){NULL, 0};
    }
    buf_fini(buf);
    return text;
}

static struct slice relabel_expand(const struct relabel_config *config, struct slice template,
                                   const struct slice *groups, struct label_builder *builder)
{
    struct buf buf;

    if (!relabel_has_group(template))
        return template;
    buf_init(&buf, RELABEL_TEXT_SIZE_MAX);
    regex_expand(config->regex, template, groups, &buf);
    return relabel_take(&buf, builder);
}

static void relabel_replace(const struct relabel_config *config, struct slice val,
                            struct label_builder *builder)
{
    struct slice groups[RELABEL_CAPTURE_MAX];
    struct slice target = config->target_label;

    if (config->is_default_regex && !config->target_has_group) {
        if (config->is_copy)
            label_builder_set(builder, target, val);
        else if (!config->replacement_has_group)
            label_builder_set(builder, target, config->replacement);
        if (config->is_copy || !config->replacement_has_group)
            return;
    }
    if (!regex_capture(config->regex, val, groups, regex_group_count(config->regex) + 1))
        return;
    if (config->target_has_group) {
        target = relabel_expand(config, target, groups, builder);
        if (!label_name_is_valid(target, config->scheme))
            return;
    }
    label_builder_set(builder, target,
                      relabel_expand(config, config->replacement, groups, builder));
}

static void relabel_case(const struct relabel_config *config, struct slice val,
                         struct label_builder *builder)
{
    struct buf buf;

    buf_init(&buf, RELABEL_TEXT_SIZE_MAX);
    if (config->action == RELABEL_LOWERCASE)
        utf8_to_lower(&buf, val);
    else
        utf8_to_upper(&buf, val);
    label_builder_set(builder, config->target_label, relabel_take(&buf, builder));
}

static void relabel_hashmod(const struct relabel_config *config, struct slice val,
                            struct label_builder *builder)
{
    char digits[NUMBER_INT_SIZE];
    const size_t len = number_format_uint64(digits, digest_md5_tail(val) % config->modulus);
    const struct slice text = arena_copy(builder->arena, slice_of(digits, len));

    if (text.data == NULL)
        builder->err = ERR_LIMIT;
    else
        label_builder_set(builder, config->target_label, text);
}

/* A copy of the items, so that they can be walked while the builder changes. */
static struct label_set relabel_snapshot(struct label_builder *builder)
{
    const struct label_set set = label_builder_set_view(builder);
    struct label *items = arena_alloc(builder->arena, set.count * sizeof(*items));

    if (items == NULL) {
        builder->err = ERR_LIMIT;
        return (struct label_set){NULL, 0};
    }
    if (set.count != 0)
        memcpy(items, set.items, set.count * sizeof(*items));
    return (struct label_set){items, set.count};
}

static void relabel_names(const struct relabel_config *config, struct label_builder *builder)
{
    const struct label_set set = relabel_snapshot(builder);
    struct slice groups[RELABEL_CAPTURE_MAX];
    const uint32_t group_count = regex_group_count(config->regex) + 1;

    for (uint32_t i = 0; i < set.count; i++) {
        const struct label *label = &set.items[i];

        if (config->action == RELABEL_LABEL_MAP) {
            if (regex_capture(config->regex, label->name, groups, group_count))
                label_builder_set(builder,
                                  relabel_expand(config, config->replacement, groups, builder),
                                  label->value);
        } else if (regex_match(config->regex, label->name) ==
                   (config->action == RELABEL_LABEL_DROP)) {
            label_builder_del(builder, label->name);
        }
    }
}

static bool relabel_apply_one(const struct relabel_config *config, struct label_builder *builder)
{
    const struct slice val = relabel_join(config, builder);

    switch (config->action) {
    case RELABEL_KEEP:
        return regex_match(config->regex, val);
    case RELABEL_DROP:
        return !regex_match(config->regex, val);
    case RELABEL_KEEP_EQUAL:
        return slice_eq(label_builder_get(builder, config->target_label), val);
    case RELABEL_DROP_EQUAL:
        return !slice_eq(label_builder_get(builder, config->target_label), val);
    case RELABEL_REPLACE:
        relabel_replace(config, val, builder);
        break;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        relabel_case(config, val, builder);
        break;
    case RELABEL_HASHMOD:
        relabel_hashmod(config, val, builder);
        break;
    case RELABEL_LABEL_MAP:
    case RELABEL_LABEL_DROP:
    case RELABEL_LABEL_KEEP:
        relabel_names(config, builder);
        break;
    case RELABEL_ACTION_COUNT:
        break;
    }
    return true;
}

bool relabel_apply(const struct relabel_config *configs, uint32_t count,
                   struct label_builder *builder)
{
    for (uint32_t i = 0; i < count && builder->err == ERR_OK; i++) {
        if (!relabel_apply_one(&configs[i], builder))
            return false;
    }
    return true;
}
