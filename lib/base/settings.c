/* SPDX-License-Identifier: Apache-2.0 */
#include "base/settings.h"

#include <stdio.h>

#include "base/number.h"
#include "base/settings_internal.h"
#include "base/time_text.h"

enum { SETTING_SHOWN_MAX = 80, SETTING_NAME_MAX = 200, SETTING_TEXT_MAX = 1 << 20 };

/* Who set a value; a higher rank stays. */
enum setting_rank { SETTING_RANK_DEFAULT, SETTING_RANK_FILE, SETTING_RANK_FLAG };

struct setting_place {
    struct settings_table *table;
    size_t index;
};

/* A numeric value of any type, for comparing with bounds. */
union setting_value {
    bool b;
    int64_t i;
    uint64_t u;
    double d;
    int choice;
};

void settings_init(struct settings *settings, struct arena *arena)
{
    *settings = (struct settings){.arena = arena};
}

enum err settings_parse_size(struct slice s, uint64_t *bytes)
{
    static const char units[] = "KMGTPE";
    struct slice number = s;
    unsigned shift = 0;
    uint64_t count;
    enum err err;

    if (slice_has_suffix(number, SLICE("iB")))
        number.len -= 2;
    else if (slice_has_suffix(number, SLICE("B")))
        number.len -= 1;
    if (number.len > 0) {
        const char *unit = memchr(units, number.data[number.len - 1], sizeof(units) - 1);

        if (unit != NULL) {
            shift = 10 * (unsigned)(unit - units + 1);
            number.len--;
        } else if (number.len + 2 == s.len) {
            return ERR_BAD_INPUT; /* "12iB" */
        }
    }
    err = number_parse_uint64(number, &count);
    if (err != ERR_OK)
        return err;
    if (shift > 0 && count >> (64 - shift) != 0)
        return ERR_TOO_LARGE;
    *bytes = count << shift;
    return ERR_OK;
}

static enum err setting_parse_bool(struct slice text, bool *v)
{
    if (slice_eq_cstr(text, "true") || slice_eq_cstr(text, "1"))
        *v = true;
    else if (slice_eq_cstr(text, "false") || slice_eq_cstr(text, "0"))
        *v = false;
    else
        return ERR_BAD_INPUT;
    return ERR_OK;
}

static enum err setting_parse_choice(const struct setting *setting, struct slice text, int *v)
{
    for (int i = 0; setting->choices[i] != NULL; i++) {
        if (slice_eq_cstr(text, setting->choices[i])) {
            *v = i;
            return ERR_OK;
        }
    }
    return ERR_BAD_INPUT;
}

static enum err setting_parse_value(const struct setting *setting, struct slice text,
                                    union setting_value *v)
{
    switch (setting->type) {
    case SETTING_BOOL:
        return setting_parse_bool(text, &v->b);
    case SETTING_INT:
        return number_parse_int64(text, &v->i);
    case SETTING_SIZE:
        return settings_parse_size(text, &v->u);
    case SETTING_DURATION:
        return time_text_parse_duration(text, &v->i, NULL);
    case SETTING_DOUBLE:
        return number_parse_double(text, &v->d);
    case SETTING_ENUM:
        return setting_parse_choice(setting, text, &v->choice);
    case SETTING_STRING:
    case SETTING_LIST:
        break;
    }
    return ERR_INTERNAL;
}

static const char *setting_type_text(enum setting_type type)
{
    static const char *const texts[] = {
        "true or false", "a whole number", "a size such as 512MB", "a duration such as 2h",
        "a number",      "text",           "one of the choices",   "a list",
    };

    return texts[type];
}

static bool setting_is_below(const struct setting *setting, union setting_value a,
                             union setting_value b)
{
    if (setting->type == SETTING_SIZE)
        return a.u < b.u;
    if (setting->type == SETTING_DOUBLE)
        return a.d < b.d;
    return a.i < b.i;
}

static enum err setting_check_bound(const struct setting *setting, struct slice text,
                                    union setting_value v, struct err_info *info)
{
    union setting_value bound = {0};
    const int shown = text.len < SETTING_SHOWN_MAX ? (int)text.len : SETTING_SHOWN_MAX;
    enum err err;

    if (setting->min != NULL) {
        err = setting_parse_value(setting, slice_from_cstr(setting->min), &bound);
        ASSERT(err == ERR_OK);
        if (setting_is_below(setting, v, bound))
            return err_set(info, ERR_BAD_INPUT, "%s: %.*s is below the minimum of %s",
                           setting->name, shown, text.data, setting->min);
    }
    if (setting->max != NULL) {
        err = setting_parse_value(setting, slice_from_cstr(setting->max), &bound);
        ASSERT(err == ERR_OK);
        if (setting_is_below(setting, bound, v))
            return err_set(info, ERR_BAD_INPUT, "%s: %.*s is above the maximum of %s",
                           setting->name, shown, text.data, setting->max);
    }
    return ERR_OK;
}

static enum err setting_bad_value(const struct setting *setting, struct slice text,
                                  struct err_info *info)
{
    const int shown = text.len < SETTING_SHOWN_MAX ? (int)text.len : SETTING_SHOWN_MAX;
    char choices[ERR_MESSAGE_SIZE] = "";
    size_t len = 0;

    if (setting->choices == NULL)
        return err_set(info, ERR_BAD_INPUT, "%s: \"%.*s\" is not %s", setting->name, shown,
                       text.len > 0 ? text.data : "", setting_type_text(setting->type));
    for (int i = 0; setting->choices[i] != NULL && len < sizeof(choices); i++)
        len += (size_t)snprintf(choices + len, sizeof(choices) - len, "%s%s", i > 0 ? ", " : "",
                                setting->choices[i]);
    return err_set(info, ERR_BAD_INPUT, "%s: \"%.*s\" is not one of %s", setting->name, shown,
                   text.len > 0 ? text.data : "", choices);
}

static void *setting_member(struct setting_place place)
{
    return (char *)place.table->target + place.table->items[place.index].offset;
}

static const struct setting *setting_of(struct setting_place place)
{
    return &place.table->items[place.index];
}

/* Adds one item; a list set anew by a higher rank starts empty (the caller has seen to that). */
static enum err setting_list_add(struct settings *settings, struct setting_place place,
                                 struct slice item, struct err_info *info)
{
    struct setting_list *list = setting_member(place);
    const struct setting *setting = setting_of(place);
    int choice;
    struct slice *items;

    if (setting->choices != NULL && setting_parse_choice(setting, item, &choice) != ERR_OK)
        return setting_bad_value(setting, item, info);
    items = arena_grow(settings->arena, list->items, list->count * sizeof(*items),
                       (list->count + 1) * sizeof(*items));
    if (items == NULL)
        return err_set(info, ERR_LIMIT, "%s: the list is too long", setting->name);
    items[list->count] = arena_copy(settings->arena, item);
    if (items[list->count].data == NULL)
        return err_set(info, ERR_LIMIT, "%s: the list is too long", setting->name);
    list->items = items;
    list->count++;
    return ERR_OK;
}

static enum err setting_list_add_text(struct settings *settings, struct setting_place place,
                                      struct slice text, struct err_info *info)
{
    while (text.len > 0) {
        const bool is_whole = (setting_of(place)->flags & SETTING_WHOLE) != 0;
        const char *comma = is_whole ? NULL : memchr(text.data, ',', text.len);
        const struct slice item = {text.data,
                                   comma == NULL ? text.len : (size_t)(comma - text.data)};
        const enum err err = item.len == 0 ? ERR_OK : setting_list_add(settings, place, item, info);

        if (err != ERR_OK)
            return err;
        text = slice_skip(text, comma == NULL ? text.len : item.len + 1);
    }
    return ERR_OK;
}

static void setting_store(const struct setting *setting, void *member, union setting_value v)
{
    switch (setting->type) {
    case SETTING_BOOL:
        *(bool *)member = v.b;
        break;
    case SETTING_INT:
    case SETTING_DURATION:
        *(int64_t *)member = v.i;
        break;
    case SETTING_SIZE:
        *(uint64_t *)member = v.u;
        break;
    case SETTING_DOUBLE:
        *(double *)member = v.d;
        break;
    case SETTING_ENUM:
        *(int *)member = v.choice;
        break;
    case SETTING_STRING:
    case SETTING_LIST:
        break;
    }
}

static enum err setting_assign(struct settings *settings, struct setting_place place,
                               struct slice text, struct err_info *info)
{
    const struct setting *setting = setting_of(place);
    union setting_value v = {0};
    enum err err;

    if (text.len > SETTING_TEXT_MAX)
        return err_set(info, ERR_BAD_INPUT, "%s: the value is too long", setting->name);
    if (setting->type == SETTING_LIST)
        return setting_list_add_text(settings, place, text, info);
    if (setting->type == SETTING_STRING) {
        const struct slice copy = arena_copy(settings->arena, text);

        if (copy.data == NULL)
            return err_set(info, ERR_LIMIT, "%s: no memory left", setting->name);
        *(struct slice *)setting_member(place) = copy;
        return ERR_OK;
    }
    if (setting_parse_value(setting, text, &v) != ERR_OK)
        return setting_bad_value(setting, text, info);
    if (setting->min != NULL || setting->max != NULL) {
        err = setting_check_bound(setting, text, v, info);
        if (err != ERR_OK)
            return err;
    }
    setting_store(setting, setting_member(place), v);
    return ERR_OK;
}

/* Readies a setting for a value of this rank: false if a higher one has it. */
static bool setting_claim(struct setting_place place, enum setting_rank rank)
{
    uint8_t *old = &place.table->ranks[place.index];

    if (*old > rank)
        return false;
    if (*old < rank && setting_of(place)->type == SETTING_LIST)
        *(struct setting_list *)setting_member(place) = (struct setting_list){0};
    *old = (uint8_t)rank;
    return true;
}

void settings_add(struct settings *settings, const struct setting *items, size_t count,
                  void *target)
{
    struct settings_table *table = ARENA_NEW(settings->arena, struct settings_table);
    struct settings_table **at = &settings->tables;

    ASSERT(table != NULL);
    *table = (struct settings_table){.items = items, .count = count, .target = target};
    table->ranks = ARENA_ARRAY(settings->arena, uint8_t, count);
    ASSERT(table->ranks != NULL);
    while (*at != NULL)
        at = &(*at)->next;
    *at = table;
    for (size_t i = 0; i < count; i++) {
        const struct setting_place place = {table, i};
        enum err err;

        ASSERT(items[i].type != SETTING_ENUM || items[i].choices != NULL);
        if (items[i].type == SETTING_STRING)
            *(struct slice *)setting_member(place) = SLICE("");
        if (items[i].type == SETTING_LIST)
            *(struct setting_list *)setting_member(place) = (struct setting_list){0};
        if (items[i].value == NULL) {
            setting_store(&items[i], setting_member(place), (union setting_value){0});
            continue;
        }
        err = setting_assign(settings, place, slice_from_cstr(items[i].value), NULL);
        ASSERT(err == ERR_OK); /* a default within its own bounds */
    }
}

static bool setting_find(const struct settings *settings, struct slice name,
                         struct setting_place *place)
{
    for (struct settings_table *table = settings->tables; table != NULL; table = table->next) {
        for (size_t i = 0; i < table->count; i++) {
            if (slice_eq_cstr(name, table->items[i].name)) {
                *place = (struct setting_place){table, i};
                return true;
            }
        }
    }
    return false;
}

static bool setting_find_letter(const struct settings *settings, char letter,
                                struct setting_place *place)
{
    for (struct settings_table *table = settings->tables; table != NULL; table = table->next) {
        for (size_t i = 0; i < table->count; i++) {
            if (letter != '\0' && table->items[i].letter == letter) {
                *place = (struct setting_place){table, i};
                return true;
            }
        }
    }
    return false;
}

/* ---- flags ---- */

/* One flag as it stands in argv. */
struct setting_flag {
    struct setting_place place;
    struct slice value; /* behind '=' */
    bool has_value;
    bool negated; /* --no-NAME */
};

static enum err setting_read_flag(const struct settings *settings, const char *text,
                                  struct setting_flag *flag, struct err_info *info)
{
    struct slice name = slice_from_cstr(text + 2);
    const char *equals = memchr(name.data, '=', name.len);

    *flag = (struct setting_flag){0};
    if (equals != NULL) {
        flag->has_value = true;
        flag->value = slice_from_cstr(equals + 1);
        name.len = (size_t)(equals - name.data);
    }
    if (setting_find(settings, name, &flag->place))
        return ERR_OK;
    if (slice_has_prefix(name, SLICE("no-")) && !flag->has_value &&
        setting_find(settings, slice_skip(name, 3), &flag->place) &&
        setting_of(flag->place)->type == SETTING_BOOL) {
        flag->negated = true;
        return ERR_OK;
    }
    return err_set(info, ERR_BAD_INPUT, "unknown flag --%.*s", SLICE_ARG(name));
}

static enum err setting_apply_flag(struct settings *settings, struct setting_flag flag,
                                   struct err_info *info)
{
    if (setting_of(flag.place)->type == SETTING_BOOL && !flag.has_value)
        flag.value = flag.negated ? SLICE("false") : SLICE("true");
    setting_claim(flag.place, SETTING_RANK_FLAG);
    return setting_assign(settings, flag.place, flag.value, info);
}

enum err settings_parse_flags(struct settings *settings, int argc, char **argv,
                              struct settings_args *args, struct err_info *info)
{
    bool flags_ended = false;

    *args = (struct settings_args){.items = argv};
    for (int i = 0; i < argc; i++) {
        struct setting_flag flag = {0};
        const struct slice arg = slice_from_cstr(argv[i]);
        enum err err = ERR_OK;

        if (flags_ended || arg.len < 2 || arg.data[0] != '-') {
            args->items[args->count++] = argv[i];
            continue;
        }
        if (slice_eq_cstr(arg, "--")) {
            flags_ended = true;
            continue;
        }
        if (slice_eq_cstr(arg, "-h") || slice_eq_cstr(arg, "--help")) {
            args->help = true;
            continue;
        }
        if (arg.data[1] == '-')
            err = setting_read_flag(settings, argv[i], &flag, info);
        else if (arg.len != 2 || !setting_find_letter(settings, arg.data[1], &flag.place))
            err = err_set(info, ERR_BAD_INPUT, "unknown flag %s", argv[i]);
        if (err != ERR_OK)
            return err;
        if (!flag.has_value && setting_of(flag.place)->type != SETTING_BOOL) {
            if (i + 1 == argc)
                return err_set(info, ERR_BAD_INPUT, "flag %s needs a value", argv[i]);
            flag.value = slice_from_cstr(argv[++i]);
            flag.has_value = true;
        }
        err = setting_apply_flag(settings, flag, info);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* ---- the file ---- */

static enum err setting_apply_node(struct settings *settings, struct setting_place place,
                                   const struct yaml_node *node, struct err_info *info)
{
    const struct setting *setting = setting_of(place);
    struct err_info fault = {{0}};
    enum err err = ERR_OK;

    if ((setting->flags & SETTING_FLAG_ONLY) != 0)
        return yaml_error(node, info, "%s can be set by its flag only", setting->name);
    if (!setting_claim(place, SETTING_RANK_FILE))
        return ERR_OK;
    if (node->kind == YAML_LIST && setting->type == SETTING_LIST) {
        for (uint32_t i = 0; i < node->count && err == ERR_OK; i++) {
            struct slice item;

            err = yaml_get_text(node->items[i], &item, info);
            if (err != ERR_OK)
                return err;
            err = setting_list_add(settings, place, item, &fault);
        }
    } else {
        struct slice text;

        if (node->kind == YAML_LIST || node->kind == YAML_MAP)
            return yaml_error(node, info, "%s: expected %s", setting->name,
                              setting_type_text(setting->type));
        err = yaml_get_text(node, &text, info);
        if (err != ERR_OK)
            return err;
        if (node->kind != YAML_NULL) /* a key without a value leaves the default */
            err = setting_assign(settings, place, text, &fault);
    }
    return err == ERR_OK ? ERR_OK : yaml_error(node, info, "%s", err_message(err, &fault));
}

/* Recursive over nested maps, whose depth yaml_parse bounds. `prefix` is "" or ends in a dot. */
static enum err setting_apply_map(struct settings *settings, const struct yaml_node *map,
                                  const char *prefix, struct err_info *info)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct yaml_entry *entry = &map->entries[i];
        char name[SETTING_NAME_MAX];
        const int len = snprintf(name, sizeof(name), "%s%.*s", prefix, SLICE_ARG(entry->key));
        struct setting_place place;
        enum err err;

        if (len < 0 || (size_t)len + 2 > sizeof(name))
            return yaml_key_error(map, entry, info, "setting name is too long");
        if (setting_find(settings, slice_of(name, (size_t)len), &place)) {
            err = setting_apply_node(settings, place, entry->value, info);
        } else if (entry->value->kind == YAML_MAP) {
            memcpy(name + len, ".", 2);
            err = setting_apply_map(settings, entry->value, name, info);
        } else {
            err = yaml_key_error(map, entry, info, "unknown setting \"%s\"", name);
        }
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err settings_parse_yaml(struct settings *settings, const struct yaml_node *map,
                             struct err_info *info)
{
    if (map->kind == YAML_NULL)
        return ERR_OK;
    if (map->kind != YAML_MAP)
        return yaml_error(map, info, "expected a mapping of settings");
    return setting_apply_map(settings, map, "", info);
}
