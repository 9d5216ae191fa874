/* SPDX-License-Identifier: Apache-2.0 */
/* Settings as people read them: help, documentation, present values. */
#include "base/number.h"
#include "base/settings.h"
#include "base/settings_internal.h"
#include "base/time_text.h"

enum { SETTING_PRINT_MAX = 1 << 20, SETTING_HELP_WIDTH = 80 };

static void setting_print_size(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;

    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < COUNT_OF(units)) {
        bytes /= 1024;
        unit++;
    }
    number_add_uint64(out, bytes);
    buf_add_cstr(out, units[unit]);
}

static void setting_print_value(struct buf *out, const struct setting *setting, const void *member)
{
    const struct setting_list *list = member;

    if ((setting->flags & SETTING_SECRET) != 0) {
        buf_add_cstr(out, "<secret>");
        return;
    }
    switch (setting->type) {
    case SETTING_BOOL:
        buf_add_cstr(out, *(const bool *)member ? "true" : "false");
        break;
    case SETTING_INT:
        number_add_int64(out, *(const int64_t *)member);
        break;
    case SETTING_SIZE:
        setting_print_size(out, *(const uint64_t *)member);
        break;
    case SETTING_DURATION:
        time_text_add_duration(out, *(const int64_t *)member);
        break;
    case SETTING_DOUBLE:
        number_add_double(out, *(const double *)member, NUMBER_G);
        break;
    case SETTING_STRING:
        buf_add_slice(out, *(const struct slice *)member);
        break;
    case SETTING_ENUM:
        buf_add_cstr(out, setting->choices[*(const int *)member]);
        break;
    case SETTING_LIST:
        for (uint32_t i = 0; i < list->count; i++) {
            if (i > 0)
                buf_add_byte(out, ',');
            buf_add_slice(out, list->items[i]);
        }
        break;
    }
}

void settings_visit(const struct settings *settings, settings_visit_fn *fn, void *owner)
{
    struct buf text;

    buf_init(&text, SETTING_PRINT_MAX);
    for (const struct settings_table *table = settings->tables; table != NULL;
         table = table->next) {
        for (size_t i = 0; i < table->count; i++) {
            const struct setting *setting = &table->items[i];

            buf_reset(&text);
            setting_print_value(&text, setting, (const char *)table->target + setting->offset);
            fn(owner, setting, buf_slice(&text));
        }
    }
    buf_fini(&text);
}

/* Words of `text` on lines of at most SETTING_HELP_WIDTH, each line indented by eight. */
static void setting_print_wrapped(struct buf *out, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        const size_t word = strcspn(text, " ");

        if (column > 0 && column + 1 + word > SETTING_HELP_WIDTH) {
            buf_add_byte(out, '\n');
            column = 0;
        }
        buf_add_cstr(out, column == 0 ? "        " : " ");
        buf_add(out, text, word);
        column += word + 1;
        text += word + (text[word] == ' ' ? 1 : 0);
    }
    buf_add_byte(out, '\n');
}

static const char *setting_print_type(const struct setting *setting)
{
    static const char *const texts[] = {"BOOL",   "NUMBER", "SIZE",   "DURATION",
                                        "NUMBER", "TEXT",   "CHOICE", "LIST"};

    return texts[setting->type];
}

/* "a, b, c", or nothing. */
static void setting_print_choices(struct buf *out, const struct setting *setting)
{
    for (int i = 0; setting->choices != NULL && setting->choices[i] != NULL; i++)
        buf_printf(out, "%s%s", i > 0 ? ", " : "", setting->choices[i]);
}

static void setting_print_help(struct buf *out, const struct setting *setting)
{
    buf_add_cstr(out, "  ");
    if (setting->letter != '\0')
        buf_printf(out, "-%c, ", setting->letter);
    if (setting->type == SETTING_BOOL)
        buf_printf(out, "--[no-]%s\n", setting->name);
    else
        buf_printf(out, "--%s=%s\n", setting->name,
                   setting->value != NULL && setting->value[0] != '\0'
                       ? setting->value
                       : setting_print_type(setting));
    setting_print_wrapped(out, setting->help);
    if (setting->choices != NULL) {
        buf_add_cstr(out, "        One of: ");
        setting_print_choices(out, setting);
        buf_add_byte(out, '\n');
    }
    if (setting->min != NULL || setting->max != NULL)
        buf_printf(out, "        From %s to %s.\n", setting->min != NULL ? setting->min : "any",
                   setting->max != NULL ? setting->max : "any");
}

void settings_write_help(const struct settings *settings, struct buf *out)
{
    for (const struct settings_table *table = settings->tables; table != NULL;
         table = table->next) {
        for (size_t i = 0; i < table->count; i++) {
            if ((table->items[i].flags & SETTING_HIDDEN) == 0)
                setting_print_help(out, &table->items[i]);
        }
    }
}

static void setting_print_row(struct buf *out, const struct setting *setting)
{
    buf_printf(out, "| `%s` | %s | ", setting->name, setting_print_type(setting));
    if (setting->value != NULL && setting->value[0] != '\0')
        buf_printf(out, "`%s`", setting->value);
    buf_add_cstr(out, " | ");
    if (setting->min != NULL || setting->max != NULL)
        buf_printf(out, "%s to %s", setting->min != NULL ? setting->min : "any",
                   setting->max != NULL ? setting->max : "any");
    setting_print_choices(out, setting);
    buf_printf(out, " | %s | %s |\n",
               (setting->flags & SETTING_FLAG_ONLY) != 0    ? "flag only"
               : (setting->flags & SETTING_RELOADABLE) != 0 ? "reloadable"
                                                            : "",
               setting->help);
}

void settings_write_markdown(const struct settings *settings, struct buf *out)
{
    buf_add_cstr(out, "| name | type | default | range | | what it does |\n"
                      "|---|---|---|---|---|---|\n");
    for (const struct settings_table *table = settings->tables; table != NULL;
         table = table->next) {
        for (size_t i = 0; i < table->count; i++) {
            if ((table->items[i].flags & SETTING_HIDDEN) == 0)
                setting_print_row(out, &table->items[i]);
        }
    }
}
