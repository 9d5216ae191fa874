/* SPDX-License-Identifier: Apache-2.0 */

/* The labels of a raw series text, taken apart: for series seen for the first time, so every byte
 * is checked here. */
#include <string.h>

#include "base/number.h"
#include "base/utf8.h"
#include "codec/exposition_internal.h"

enum {
    LABEL_ROOM = 8,
    LABEL_COUNT_MAX = 1 << 16, /* of one series; tenants' own limits are far below */
    EXCERPT_MAX = 80,
};

/* Where the parse of one text stands. */
struct label_parse {
    const char *at, *end;
    struct slice text;
    const struct label_syntax *syntax;
    struct arena *arena;
    struct label *items;
    uint32_t count, cap;
    bool has_name;
    struct err_info *info;
};

static enum err label_fail(const struct label_parse *parse, const char *what)
{
    const size_t len = parse->text.len < EXCERPT_MAX ? parse->text.len : (size_t)EXCERPT_MAX;

    return err_set(parse->info, ERR_BAD_INPUT, "%s while parsing: \"%.*s\"", what, (int)len,
                   parse->text.data);
}

static bool label_skip_space(struct label_parse *parse)
{
    if (!parse->syntax->is_openmetrics) {
        while (parse->at < parse->end && (*parse->at == ' ' || *parse->at == '\t'))
            parse->at++;
    }
    return parse->at < parse->end;
}

struct slice exposition_unescape(struct slice s, bool with_quotes, struct arena *arena)
{
    char *text, *to;

    if (s.len == 0 || memchr(s.data, '\\', s.len) == NULL)
        return s;
    text = to = arena_alloc(arena, s.len);
    if (text == NULL)
        return (struct slice){NULL, 0};
    for (size_t i = 0; i < s.len; i++) {
        const char next = i + 1 < s.len ? s.data[i + 1] : '\0';

        if (s.data[i] != '\\' || (next != '\\' && next != 'n' && !(with_quotes && next == '"'))) {
            *to++ = s.data[i];
            continue;
        }
        *to++ = next == 'n' ? '\n' : next;
        i++;
    }
    return slice_of(text, (size_t)(to - text));
}

static enum err label_add(struct label_parse *parse, struct slice name, struct slice value)
{
    if (parse->count == parse->cap) {
        const uint32_t cap = parse->cap * 2 + LABEL_ROOM;
        struct label *items;

        if (parse->count >= LABEL_COUNT_MAX)
            return label_fail(parse, "too many labels");
        items = arena_grow(parse->arena, parse->items, parse->cap * sizeof(*items),
                           cap * sizeof(*items));
        if (items == NULL)
            return err_set(parse->info, ERR_LIMIT, "no memory for labels");
        parse->items = items;
        parse->cap = cap;
    }
    name = exposition_unescape(name, true, parse->arena);
    value = exposition_unescape(value, true, parse->arena);
    if (parse->arena->err != ERR_OK)
        return err_set(parse->info, ERR_LIMIT, "no memory for labels");
    parse->items[parse->count++] = (struct label){name, value};
    return ERR_OK;
}

/* A quoted string at the cursor, without its quotes. */
static enum err label_quoted(struct label_parse *parse, struct slice *text)
{
    const char *past = exposition_skip_quoted(parse->at, parse->end);

    if (past == NULL)
        return label_fail(parse, "string without closing quote");
    *text = slice_of(parse->at + 1, (size_t)(past - parse->at - 2));
    parse->at = past;
    return ERR_OK;
}

/* The `le` of a histogram and the `quantile` of a summary in one form: "1" becomes "1.0". */
static enum err label_normalise(struct label_parse *parse)
{
    struct label *label = &parse->items[parse->count - 1];
    const enum metric_type type = parse->syntax->type;
    char text[NUMBER_TEXT_SIZE];
    double v;
    size_t len;

    if (!(type == METRIC_TYPE_HISTOGRAM && slice_eq(label->name, SLICE("le"))) &&
        !(type == METRIC_TYPE_SUMMARY && slice_eq(label->name, SLICE("quantile"))))
        return ERR_OK;
    if (number_parse_double(label->value, &v) != ERR_OK)
        return ERR_OK;
    len = number_format_double(text, v, NUMBER_OM);
    if (slice_eq(slice_of(text, len), label->value))
        return ERR_OK;
    label->value = arena_copy(parse->arena, slice_of(text, len));
    return label->value.data == NULL ? err_set(parse->info, ERR_LIMIT, "no memory for labels")
                                     : ERR_OK;
}

/* ="value" behind a label's name. */
static enum err label_value(struct label_parse *parse, struct slice name)
{
    struct slice value = {NULL, 0};
    enum err err;

    if (!label_skip_space(parse) || *parse->at != '=')
        return label_fail(parse, "expected equal");
    parse->at++;
    if (!label_skip_space(parse) || *parse->at != '"')
        return label_fail(parse, "expected label value");
    err = label_quoted(parse, &value);
    if (err != ERR_OK)
        return err;
    if (parse->syntax->is_openmetrics && value.len != 0 &&
        memchr(value.data, '\n', value.len) != NULL)
        return label_fail(parse, "line end in a label value");
    if (!utf8_is_valid(value))
        return label_fail(parse, "invalid UTF-8 label value");
    err = label_add(parse, name, value);
    return err == ERR_OK ? label_normalise(parse) : err;
}

/* One label, or a quoted metric name. */
static enum err label_one(struct label_parse *parse)
{
    const bool is_quoted = *parse->at == '"';
    struct slice name = {NULL, 0};

    if (is_quoted) {
        const enum err err = label_quoted(parse, &name);

        if (err != ERR_OK)
            return err;
    } else {
        const char *const start = parse->at;

        while (parse->at < parse->end && *parse->at != ':' &&
               (exposition_skip_name(parse->at, parse->at + 1) != parse->at ||
                (parse->at > start && *parse->at >= '0' && *parse->at <= '9')))
            parse->at++;
        name = slice_of(start, (size_t)(parse->at - start));
        if (name.len == 0)
            return label_fail(parse, "expected label name");
    }
    if (!label_skip_space(parse))
        return label_fail(parse, "expected equal");
    if (!is_quoted || parse->syntax->is_exemplar || (*parse->at != ',' && *parse->at != '}'))
        return label_value(parse, name);
    if (parse->has_name)
        return label_fail(parse, "metric name already set");
    parse->has_name = true;
    return label_add(parse, SLICE(LABEL_METRIC_NAME), name);
}

/* From behind the opening brace to behind the closing one. */
static enum err label_list(struct label_parse *parse)
{
    bool after_comma = true;

    for (;;) {
        enum err err;

        if (!label_skip_space(parse))
            return label_fail(parse, "expected label name");
        if (*parse->at == '}') {
            parse->at++;
            return ERR_OK;
        }
        if (!after_comma && parse->syntax->is_openmetrics)
            return label_fail(parse, "expected comma or brace close");
        err = label_one(parse);
        if (err != ERR_OK)
            return err;
        after_comma = label_skip_space(parse) && *parse->at == ',';
        parse->at += after_comma;
    }
}

enum err exposition_parse_labels(struct slice text, const struct label_syntax *syntax,
                                 struct arena *arena, struct label_set *labels,
                                 struct err_info *info)
{
    struct label_parse parse = {.at = text.data,
                                .end = text.data + text.len,
                                .text = text,
                                .syntax = syntax,
                                .arena = arena,
                                .info = info};
    const char *name_end = exposition_skip_name(parse.at, parse.end);
    enum err err = ERR_OK;

    if (name_end != parse.at) {
        parse.has_name = true;
        err = label_add(&parse, SLICE(LABEL_METRIC_NAME),
                        slice_of(parse.at, (size_t)(name_end - parse.at)));
        parse.at = name_end;
    }
    if (err == ERR_OK && label_skip_space(&parse)) {
        ASSERT(*parse.at == '{');
        parse.at++;
        err = label_list(&parse);
    }
    if (err != ERR_OK)
        return err;
    if (parse.at != parse.end)
        return label_fail(&parse, "text after the closing brace");
    if (!parse.has_name && !syntax->is_exemplar)
        return label_fail(&parse, "metric name not set");
    *labels = (struct label_set){parse.items, parse.count};
    return ERR_OK;
}

enum err exposition_labels(const struct exposition *p, const struct exposition_entry *entry,
                           struct arena *arena, struct label_set *labels, struct err_info *info)
{
    const struct label_syntax syntax = {
        .is_openmetrics = p->options.format == EXPOSITION_OPENMETRICS, .type = entry->type};
    struct label_set set, all;
    struct label *items;
    uint32_t kept = 0;
    enum err err = exposition_parse_labels(entry->series, &syntax, arena, &set, info);

    if (err != ERR_OK)
        return err;
    all = set;
    items = (struct label *)(uintptr_t)set.items; /* made above, in the arena */
    for (uint32_t i = 0; i < set.count; i++) {
        if (items[i].value.len != 0 || items[i].name.len == 0) {
            const struct label label = items[i];

            items[i] = items[kept];
            items[kept++] = label;
        }
    }
    label_sort(items, kept);
    set.count = kept;
    err = label_set_check(set, p->options.scheme, info);
    if (err == ERR_OK && p->options.keeps_empty)
        label_sort(items, all.count);
    if (err == ERR_OK)
        *labels = p->options.keeps_empty ? all : set;
    return err;
}
