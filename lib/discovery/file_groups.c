/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery/file_groups.h"

#include "base/json.h"
#include "base/utf8.h"
#include "base/yaml.h"

enum file_groups_format file_groups_format_of(struct slice path)
{
    return slice_has_suffix(path, SLICE(".json")) || slice_has_suffix(path, SLICE(".JSON"))
               ? FILE_GROUPS_JSON
               : FILE_GROUPS_YAML;
}

static enum err no_room(struct err_info *info)
{
    return err_set(info, ERR_LIMIT, "too large");
}

static enum err check_label(struct slice name, struct slice value, struct err_info *info)
{
    if (!label_name_is_valid(name, LABEL_SCHEME_UTF8))
        return err_set(info, ERR_BAD_INPUT, "\"%.*s\" is not a valid label name", SLICE_ARG(name));
    if (!utf8_is_valid(value))
        return err_set(info, ERR_BAD_INPUT, "\"%.*s\" is not a valid label value",
                       SLICE_ARG(value));
    return ERR_OK;
}

/* Sorts and drops labels without a value. */
static struct label_set finish_labels(struct label *labels, uint32_t count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++)
        if (labels[i].value.len != 0)
            labels[kept++] = labels[i];
    label_sort(labels, kept);
    return (struct label_set){labels, kept};
}

/* ---- YAML ---- */

static enum err yaml_targets(struct arena *arena, const struct yaml_node *node,
                             struct file_group *group, struct err_info *info)
{
    struct slice *targets;

    if (node->kind == YAML_NULL)
        return ERR_OK;
    if (node->kind != YAML_LIST)
        return yaml_error(node, info, "targets: expected a list");
    targets = ARENA_ARRAY(arena, struct slice, node->count);
    if (targets == NULL)
        return no_room(info);
    for (uint32_t i = 0; i < node->count; i++) {
        const enum err err = yaml_get_text(node->items[i], &targets[i], info);

        if (err != ERR_OK)
            return err;
    }
    group->targets = targets;
    group->target_count = node->count;
    return ERR_OK;
}

static enum err yaml_labels(struct arena *arena, const struct yaml_node *node,
                            struct file_group *group, struct err_info *info)
{
    struct label *labels;

    if (node->kind == YAML_NULL)
        return ERR_OK;
    if (node->kind != YAML_MAP)
        return yaml_error(node, info, "labels: expected a mapping");
    labels = ARENA_ARRAY(arena, struct label, node->count);
    if (labels == NULL)
        return no_room(info);
    for (uint32_t i = 0; i < node->count; i++) {
        const struct yaml_entry *entry = &node->entries[i];
        enum err err = yaml_get_text(entry->value, &labels[i].value, info);

        labels[i].name = entry->key;
        if (err == ERR_OK)
            err = check_label(labels[i].name, labels[i].value, info);
        if (err != ERR_OK)
            return err;
    }
    group->labels = finish_labels(labels, node->count);
    return ERR_OK;
}

static enum err yaml_group(struct arena *arena, const struct yaml_node *node,
                           struct file_group *group, struct err_info *info)
{
    enum err err = ERR_OK;

    if (node->kind == YAML_NULL)
        return yaml_error(node, info, "nil target group item found");
    if (node->kind != YAML_MAP)
        return yaml_error(node, info, "expected a mapping with targets and labels");
    for (uint32_t i = 0; err == ERR_OK && i < node->count; i++) {
        const struct yaml_entry *entry = &node->entries[i];

        if (slice_eq(entry->key, SLICE("targets")))
            err = yaml_targets(arena, entry->value, group, info);
        else if (slice_eq(entry->key, SLICE("labels")))
            err = yaml_labels(arena, entry->value, group, info);
        else
            err = yaml_key_error(node, entry, info, "field %.*s not found in a target group",
                                 SLICE_ARG(entry->key));
    }
    return err;
}

static enum err parse_yaml(struct arena *arena, struct slice text, struct file_groups *groups,
                           struct err_info *info)
{
    const struct yaml_options options = {.size_max = FILE_GROUPS_SIZE_MAX};
    struct file_group *items;
    struct yaml_node *root;
    enum err err = yaml_parse(arena, text, &options, &root, info);

    if (err != ERR_OK || root->kind == YAML_NULL)
        return err;
    if (root->kind != YAML_LIST)
        return yaml_error(root, info, "expected a list of target groups");
    items = ARENA_ARRAY(arena, struct file_group, root->count);
    if (items == NULL)
        return no_room(info);
    for (uint32_t i = 0; err == ERR_OK && i < root->count; i++)
        err = yaml_group(arena, root->items[i], &items[i], info);
    *groups = (struct file_groups){items, root->count};
    return err;
}

/* ---- JSON ---- */

static enum err json_targets(struct arena *arena, const struct json_value *value,
                             struct file_group *group, struct err_info *info)
{
    struct slice *targets;

    if (value->kind == JSON_NULL)
        return ERR_OK;
    if (value->kind != JSON_ARRAY)
        return err_set(info, ERR_BAD_INPUT, "targets: expected an array");
    targets = ARENA_ARRAY(arena, struct slice, value->count);
    if (targets == NULL)
        return no_room(info);
    for (uint32_t i = 0; i < value->count; i++) {
        if (value->items[i].kind != JSON_STRING)
            return err_set(info, ERR_BAD_INPUT, "targets: item %u is no string", i);
        targets[i] = value->items[i].text;
    }
    group->targets = targets;
    group->target_count = value->count;
    return ERR_OK;
}

static enum err json_labels(struct arena *arena, const struct json_value *value,
                            struct file_group *group, struct err_info *info)
{
    struct label *labels;

    if (value->kind == JSON_NULL)
        return ERR_OK;
    if (value->kind != JSON_OBJECT)
        return err_set(info, ERR_BAD_INPUT, "labels: expected an object");
    labels = ARENA_ARRAY(arena, struct label, value->count);
    if (labels == NULL)
        return no_room(info);
    for (uint32_t i = 0; i < value->count; i++) {
        const struct json_entry *entry = &value->members[i];
        enum err err;

        if (entry->value.kind != JSON_STRING)
            return err_set(info, ERR_BAD_INPUT, "labels: \"%.*s\" is no string",
                           SLICE_ARG(entry->key));
        labels[i] = (struct label){entry->key, entry->value.text};
        err = check_label(labels[i].name, labels[i].value, info);
        if (err != ERR_OK)
            return err;
    }
    group->labels = finish_labels(labels, value->count);
    return ERR_OK;
}

static enum err json_group(struct arena *arena, const struct json_value *value,
                           struct file_group *group, struct err_info *info)
{
    enum err err = ERR_OK;

    if (value->kind == JSON_NULL)
        return err_set(info, ERR_BAD_INPUT, "nil target group item found");
    if (value->kind != JSON_OBJECT)
        return err_set(info, ERR_BAD_INPUT, "expected an object with targets and labels");
    for (uint32_t i = 0; err == ERR_OK && i < value->count; i++) {
        const struct json_entry *entry = &value->members[i];

        if (slice_eq(entry->key, SLICE("targets")))
            err = json_targets(arena, &entry->value, group, info);
        else if (slice_eq(entry->key, SLICE("labels")))
            err = json_labels(arena, &entry->value, group, info);
        else
            err = err_set(info, ERR_BAD_INPUT, "unknown field \"%.*s\"", SLICE_ARG(entry->key));
    }
    return err;
}

static enum err parse_json(struct arena *arena, struct slice text, struct file_groups *groups,
                           struct err_info *info)
{
    const struct json_options options = {.size_max = FILE_GROUPS_SIZE_MAX};
    struct file_group *items;
    struct json_value *root;
    enum err err = json_parse(arena, text, &options, &root, info);

    if (err != ERR_OK || root->kind == JSON_NULL)
        return err;
    if (root->kind != JSON_ARRAY)
        return err_set(info, ERR_BAD_INPUT, "expected an array of target groups");
    items = ARENA_ARRAY(arena, struct file_group, root->count);
    if (items == NULL)
        return no_room(info);
    for (uint32_t i = 0; err == ERR_OK && i < root->count; i++) {
        err = json_group(arena, &root->items[i], &items[i], info);
        if (err != ERR_OK)
            err_prefix(info, "group %u", i);
    }
    *groups = (struct file_groups){items, root->count};
    return err;
}

enum err file_groups_parse(struct arena *arena, struct slice text, enum file_groups_format format,
                           struct file_groups *groups, struct err_info *info)
{
    *groups = (struct file_groups){0};
    return format == FILE_GROUPS_JSON ? parse_json(arena, text, groups, info)
                                      : parse_yaml(arena, text, groups, info);
}
