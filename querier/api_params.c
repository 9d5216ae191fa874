/* SPDX-License-Identifier: Apache-2.0 */
#include "querier/api_params.h"

#include "base/buf.h"
#include "base/number.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "model/labels.h"
#include "promql/parser.h"

enum { API_MATCHERS_MAX = 1000 };

enum err api_param_time(const struct http_params *params, const char *name, int64_t *t_ms,
                        struct err_info *info)
{
    const struct slice text = http_params_get(params, name);
    enum err err;

    if (text.len == 0)
        return ERR_OK;
    err = time_text_parse_timestamp(text, t_ms, info);
    if (err != ERR_OK)
        err_prefix(info, "invalid parameter \"%s\": invalid time value for '%s'", name, name);
    return err;
}

enum err api_param_time_required(const struct http_params *params, const char *name, int64_t *t_ms,
                                 struct err_info *info)
{
    const enum err err = time_text_parse_timestamp(http_params_get(params, name), t_ms, info);

    if (err != ERR_OK)
        err_prefix(info, "invalid parameter \"%s\"", name);
    return err;
}

enum err api_param_duration(const struct http_params *params, const char *name, int64_t *ms,
                            struct err_info *info)
{
    const struct slice text = http_params_get(params, name);
    enum err err;

    if (text.len == 0)
        return ERR_OK;
    err = time_text_parse_step(text, ms, info);
    if (err != ERR_OK)
        err_prefix(info, "invalid parameter \"%s\"", name);
    return err;
}

enum err api_param_limit(const struct http_params *params, uint32_t *limit, struct err_info *info)
{
    const struct slice text = http_params_get(params, "limit");
    int64_t v;

    if (text.len == 0)
        return ERR_OK;
    if (number_parse_int64(text, &v) != ERR_OK)
        return err_set(info, ERR_BAD_INPUT,
                       "invalid parameter \"limit\": cannot parse \"%.*s\" to an integer",
                       SLICE_ARG(text));
    if (v < 0)
        return err_set(info, ERR_BAD_INPUT,
                       "invalid parameter \"limit\": limit must be non-negative");
    *limit = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
    return ERR_OK;
}

enum err api_param_matchers(const struct http_params *params, struct arena *arena,
                            struct matcher_list **lists, uint32_t *count, struct err_info *info)
{
    struct matcher_list *out;
    struct slice text;
    size_t index = 0;
    uint32_t n = 0;

    while (http_params_next(params, "match[]", &index, &text))
        n++;
    if (n > API_MATCHERS_MAX)
        return err_set(info, ERR_BAD_INPUT,
                       "invalid parameter \"match[]\": %u selectors, the limit is %d", n,
                       API_MATCHERS_MAX);
    out = ARENA_ARRAY(arena, struct matcher_list, n);
    if (out == NULL)
        return err_set(info, ERR_LIMIT, "no memory left for the selectors");
    index = 0;
    for (uint32_t i = 0; http_params_next(params, "match[]", &index, &text); i++) {
        const enum err err = promql_parse_selector(arena, text, &out[i], info);

        if (err != ERR_OK)
            return err;
    }
    *lists = out;
    *count = n;
    return ERR_OK;
}

/* One "_hex_" or "__" at raw.data[*at] == '_'. False: not of that form. */
static bool name_unescape_one(struct slice raw, size_t *at, char *out, size_t *len)
{
    size_t i = *at + 1;
    uint32_t code = 0;

    if (i < raw.len && raw.data[i] == '_') {
        out[(*len)++] = '_';
        *at = i + 1;
        return true;
    }
    for (; i < raw.len && i - *at <= 6 && number_hex_digit(raw.data[i]) >= 0; i++)
        code = code << 4 | (uint32_t)number_hex_digit(raw.data[i]);
    if (i == *at + 1 || i >= raw.len || raw.data[i] != '_' || code > 0x10ffff ||
        (code >= 0xd800 && code < 0xe000))
        return false;
    *len += utf8_encode(out + *len, code);
    *at = i + 1;
    return true;
}

/* The "values" escaping of names: U__ in front, _ as __, other characters as _hex_. What is not of
 * that form is taken as it is, as upstream does. */
static struct slice name_unescape(struct slice raw, struct arena *arena)
{
    char *out;
    size_t len = 0;

    if (!slice_has_prefix(raw, SLICE("U__")))
        return raw;
    out = arena_alloc(arena, raw.len + 4);
    if (out == NULL)
        return raw;
    for (size_t i = 3; i < raw.len;) {
        if (raw.data[i] != '_')
            out[len++] = raw.data[i++];
        else if (!name_unescape_one(raw, &i, out, &len))
            return raw;
    }
    return slice_of(out, len);
}

enum err api_param_label_name(struct slice raw, struct arena *arena, struct slice *name,
                              struct err_info *info)
{
    const struct slice decoded = name_unescape(raw, arena);

    if (!label_name_is_valid(decoded, LABEL_SCHEME_UTF8))
        return err_set(info, ERR_BAD_INPUT, "invalid label name: \"%.*s\"", SLICE_ARG(decoded));
    *name = decoded;
    return ERR_OK;
}
