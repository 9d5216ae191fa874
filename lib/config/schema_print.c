/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include "base/number.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "config/scalar.h"

/* Block YAML as Go's yaml.v2 writes it: two spaces a level, list items at the level of their key,
 * plain scalars where they read back as the same string, double quotes elsewhere. */

struct printer {
    struct buf *out;
    bool secrets;
};

static void indent(struct printer *p, uint32_t level)
{
    for (uint32_t i = 0; i < level; i++)
        buf_add_cstr(p->out, "  ");
}

/* ---- scalars ---- */

static bool is_number_like(struct slice s)
{
    double v;

    if (number_parse_double(s, &v) == ERR_OK)
        return true;
    return s.len > 1 && s.data[0] == '0' && (s.data[1] == 'o' || s.data[1] == 'b');
}

/* 2026-01-31..., 12:30:45: YAML 1.1 gives these types of their own. */
static bool is_date_or_base60(struct slice s)
{
    size_t digit_count = 0;

    while (digit_count < s.len && (s.data[digit_count] == '_' ||
                                   (s.data[digit_count] >= '0' && s.data[digit_count] <= '9')))
        digit_count++;
    if (digit_count == 0 || digit_count == s.len)
        return false;
    return s.data[digit_count] == ':' || (digit_count == 4 && s.data[4] == '-');
}

/* Words and forms that a reader would not take for a string. */
static bool resolves_to_other(struct slice s)
{
    static const char *const words[] = {"y",     "n",     "yes",  "no", "on",   "off",
                                        "true",  "false", "null", "~",  ".inf", "-.inf",
                                        "+.inf", ".nan",  "<<",   "="};
    char low[8];

    if (s.len == 0 || is_number_like(s))
        return true;
    if (is_date_or_base60(s))
        return true;
    if (s.len >= sizeof(low))
        return false;
    for (size_t i = 0; i < s.len; i++)
        low[i] = s.data[i] >= 'A' && s.data[i] <= 'Z' ? (char)(s.data[i] + 32) : s.data[i];
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (slice_eq_cstr(slice_of(low, s.len), words[i]))
            return true;
    return false;
}

static bool is_plain(struct slice s, bool in_flow)
{
    if (memchr("-?:,[]{}#&*!|>'\"%@` ", s.data[0], 21) != NULL)
        if (s.data[0] != '-' && s.data[0] != '?' && s.data[0] != ':')
            return false;
    if (memchr("-?:", s.data[0], 3) != NULL && (s.len == 1 || s.data[1] == ' '))
        return false;
    if (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == ':' || slice_has_prefix(s, SLICE("---")))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.data[i];

        if ((unsigned char)c < 0x20 || c == 0x7f)
            return false;
        if (c == ':' && i + 1 < s.len && s.data[i + 1] == ' ')
            return false;
        if (c == '#' && i > 0 && s.data[i - 1] == ' ')
            return false;
        if (in_flow && memchr(",[]{}?", c, 6) != NULL)
            return false;
    }
    return utf8_is_valid(s);
}

static bool has_control(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] < 0x20 || s.data[i] == 0x7f)
            return true;
    return !utf8_is_valid(s);
}

static void print_quoted(struct printer *p, struct slice s)
{
    if (has_control(s) || resolves_to_other(s)) {
        utf8_quote(p->out, s);
        return;
    }
    buf_add_byte(p->out, '\'');
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '\'')
            buf_add_byte(p->out, '\'');
        buf_add_byte(p->out, s.data[i]);
    }
    buf_add_byte(p->out, '\'');
}

static void print_text(struct printer *p, struct slice s, bool in_flow)
{
    if (!resolves_to_other(s) && is_plain(s, in_flow))
        buf_add_slice(p->out, s);
    else
        print_quoted(p, s);
}

static void print_url(struct printer *p, struct slice text)
{
    struct buf url;

    buf_init(&url, text.len + 16);
    scalar_print_url(&url, text);
    print_text(p, buf_slice(&url), false);
    buf_fini(&url);
}

static void print_scalar(struct printer *p, const struct schema_value *value, bool in_flow)
{
    switch (value->field->kind) {
    case SCHEMA_BOOL:
        buf_add_cstr(p->out, value->b ? "true" : "false");
        break;
    case SCHEMA_INT:
        number_add_int64(p->out, value->i);
        break;
    case SCHEMA_UINT:
        number_add_uint64(p->out, value->u);
        break;
    case SCHEMA_FLOAT:
        number_add_double(p->out, value->f, NUMBER_G);
        break;
    case SCHEMA_DURATION:
        time_text_add_duration(p->out, value->i);
        break;
    case SCHEMA_SIZE:
        scalar_print_size(p->out, value->i);
        break;
    case SCHEMA_SECRET:
        if (!p->secrets && value->text.len != 0) {
            buf_add_cstr(p->out, "<secret>");
            break;
        }
        print_text(p, value->text, in_flow);
        break;
    case SCHEMA_URL:
        if (p->secrets)
            print_text(p, value->text, in_flow);
        else
            print_url(p, value->text);
        break;
    case SCHEMA_STRING:
    case SCHEMA_PATH:
    case SCHEMA_ENUM:
    case SCHEMA_REGEX:
    case SCHEMA_LABEL:
        print_text(p, value->text, in_flow);
        break;
    case SCHEMA_ANY: /* print_node's */
    case SCHEMA_STRUCT:
        break;
    }
}

/* ---- the tree ---- */

static bool is_shown(const struct schema_value *value)
{
    if ((value->field->flags & SCHEMA_HIDE_DEFAULT) != 0)
        return !schema_is_default(value);
    return (value->field->flags & SCHEMA_KEEP) != 0 || !schema_is_zero(value);
}

static bool has_shown(const struct schema_value *value)
{
    for (uint32_t i = 0; i < value->count; i++)
        if (is_shown(&value->items[i]))
            return true;
    return false;
}

static void print_fields(struct printer *p, const struct schema_value *value, uint32_t level,
                         bool first_inline);

static void print_flow(struct printer *p, const struct schema_value *value)
{
    buf_add_cstr(p->out, " [");
    for (uint32_t i = 0; i < value->count; i++) {
        if (i != 0)
            buf_add_cstr(p->out, ", ");
        print_scalar(p, &value->items[i], true);
    }
    buf_add_cstr(p->out, "]\n");
}

static void print_list(struct printer *p, const struct schema_value *value, uint32_t level)
{
    if (value->count == 0) {
        buf_add_cstr(p->out, " []\n");
        return;
    }
    if ((value->field->flags & SCHEMA_FLOW) != 0) {
        print_flow(p, value);
        return;
    }
    buf_add_byte(p->out, '\n');
    for (uint32_t i = 0; i < value->count; i++) {
        indent(p, level);
        buf_add_cstr(p->out, "- ");
        if (value->field->kind == SCHEMA_STRUCT) {
            if (has_shown(&value->items[i]))
                print_fields(p, &value->items[i], level + 1, true);
            else
                buf_add_cstr(p->out, "{}\n");
            continue;
        }
        print_scalar(p, &value->items[i], false);
        buf_add_byte(p->out, '\n');
    }
}

/* What follows "key:" of YAML that the schema does not look into, as the file has it. */
static void print_node(struct printer *p, const struct yaml_node *node, uint32_t level)
{
    switch (node->kind) {
    case YAML_MAP:
        buf_add_cstr(p->out, node->count == 0 ? " {}\n" : "\n");
        for (uint32_t i = 0; i < node->count; i++) {
            indent(p, level + 1);
            print_text(p, node->entries[i].key, false);
            buf_add_byte(p->out, ':');
            print_node(p, node->entries[i].value, level + 1);
        }
        return;
    case YAML_LIST:
        buf_add_cstr(p->out, node->count == 0 ? " []\n" : "\n");
        for (uint32_t i = 0; i < node->count; i++) {
            indent(p, level);
            buf_add_byte(p->out, '-');
            print_node(p, node->items[i], level + 1);
        }
        return;
    case YAML_NULL:
        buf_add_cstr(p->out, " null\n");
        return;
    case YAML_SCALAR:
        buf_add_byte(p->out, ' ');
        if (node->quoted)
            print_text(p, node->text, false);
        else
            buf_add_slice(p->out, node->text);
        buf_add_byte(p->out, '\n');
        return;
    }
}

/* What follows "key:". */
static void print_content(struct printer *p, const struct schema_value *value, uint32_t level)
{
    switch (value->shape) {
    case SCHEMA_LIST:
        print_list(p, value, level);
        return;
    case SCHEMA_MAP:
    case SCHEMA_MAP_LIST:
        buf_add_cstr(p->out, value->count == 0 ? " {}\n" : "\n");
        for (uint32_t i = 0; i < value->count; i++) {
            indent(p, level + 1);
            print_text(p, value->items[i].key, false);
            buf_add_byte(p->out, ':');
            print_content(p, &value->items[i], level + 1);
        }
        return;
    case SCHEMA_ONE:
        break;
    }
    if (value->field->kind == SCHEMA_ANY && value->node != NULL) {
        print_node(p, value->node, level);
    } else if (value->field->kind != SCHEMA_STRUCT) {
        buf_add_byte(p->out, ' ');
        print_scalar(p, value, false);
        buf_add_byte(p->out, '\n');
    } else if (has_shown(value)) {
        buf_add_byte(p->out, '\n');
        print_fields(p, value, level + 1, false);
    } else {
        buf_add_cstr(p->out, " {}\n");
    }
}

static void print_fields(struct printer *p, const struct schema_value *value, uint32_t level,
                         bool first_inline)
{
    bool is_inline = first_inline;

    for (uint32_t i = 0; i < value->count; i++) {
        const struct schema_value *item = &value->items[i];

        if (!is_shown(item))
            continue;
        if (!is_inline)
            indent(p, level);
        is_inline = false;
        buf_add_cstr(p->out, item->field->key);
        buf_add_byte(p->out, ':');
        print_content(p, item, level);
    }
}

void schema_print(const struct schema_value *value, const struct schema_print_options *options,
                  struct buf *out)
{
    struct printer p = {.out = out, .secrets = options->secrets};

    print_fields(&p, value, 0, false);
}
