/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_params.h"

#include <string.h>

#include "base/number.h"

/* Decodes into out, which has room for text.len bytes; gives the end, or NULL at a broken escape,
 * whose start *bad then is. */
static char *params_decode(char *out, struct slice text, char plus, struct slice *bad)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        if (c == '+') {
            c = plus;
        } else if (c == '%') {
            const int high = i + 2 < text.len ? number_hex_digit(text.data[i + 1]) : -1;
            const int low = high >= 0 ? number_hex_digit(text.data[i + 2]) : -1;

            if (low < 0) {
                *bad = slice_of(text.data + i, text.len - i < 3 ? text.len - i : 3);
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        *out++ = c;
    }
    return out;
}

static struct slice params_cut(struct slice *rest, char at)
{
    const char *found = rest->len == 0 ? NULL : memchr(rest->data, at, rest->len);
    const size_t len = found == NULL ? rest->len : (size_t)(found - rest->data);
    const struct slice head = slice_of(rest->data, len);

    *rest = slice_skip(*rest, found == NULL ? len : len + 1);
    return head;
}

static size_t params_count(struct slice text)
{
    size_t count = 0;

    while (text.len > 0)
        if (params_cut(&text, '&').len > 0)
            count++;
    return count;
}

static enum err params_parse_one(struct slice text, char **out, struct http_param *item,
                                 struct err_info *info)
{
    struct slice parts[2], bad = {NULL, 0};
    struct slice *decoded[2] = {&item->name, &item->value};

    if (memchr(text.data, ';', text.len) != NULL)
        return err_set(info, ERR_BAD_INPUT, "invalid semicolon separator in query");
    parts[1] = text;
    parts[0] = params_cut(&parts[1], '=');
    for (int i = 0; i < 2; i++) {
        char *end = params_decode(*out, parts[i], ' ', &bad);

        if (end == NULL)
            return err_set(info, ERR_BAD_INPUT, "invalid URL escape \"%.*s\"", SLICE_ARG(bad));
        *decoded[i] = slice_of(*out, (size_t)(end - *out));
        *out = end;
    }
    return ERR_OK;
}

enum err http_params_parse(struct http_params *params, struct slice text, struct arena *arena,
                           struct err_info *info)
{
    const size_t count = params_count(text);
    struct http_param *items;
    size_t done = params->count;
    char *out;

    if (count == 0)
        return ERR_OK;
    if (count > HTTP_PARAMS_COUNT_MAX - params->count)
        return err_set(info, ERR_LIMIT, "more than %d parameters", HTTP_PARAMS_COUNT_MAX);
    items = ARENA_ARRAY(arena, struct http_param, params->count + count);
    out = arena_alloc(arena, text.len);
    if (items == NULL || out == NULL)
        return err_set(info, ERR_LIMIT, "parameters too large");
    if (params->count > 0)
        memcpy(items, params->items, params->count * sizeof(items[0]));
    while (text.len > 0) {
        const struct slice one = params_cut(&text, '&');
        enum err err;

        if (one.len == 0)
            continue;
        err = params_parse_one(one, &out, &items[done++], info);
        if (err != ERR_OK)
            return err;
    }
    ASSERT(done == params->count + count);
    params->items = items;
    params->count = done;
    return ERR_OK;
}

bool http_params_next(const struct http_params *params, const char *name, size_t *index,
                      struct slice *value)
{
    while (*index < params->count) {
        const struct http_param *item = &params->items[(*index)++];

        if (slice_eq_cstr(item->name, name)) {
            *value = item->value;
            return true;
        }
    }
    return false;
}

struct slice http_params_get(const struct http_params *params, const char *name)
{
    struct slice value = {NULL, 0};
    size_t index = 0;

    return http_params_next(params, name, &index, &value) ? value : slice_of(NULL, 0);
}

bool http_params_has(const struct http_params *params, const char *name)
{
    struct slice value;
    size_t index = 0;

    return http_params_next(params, name, &index, &value);
}

enum err http_params_decode_path(struct slice text, struct arena *arena, struct slice *out)
{
    struct slice bad;
    char *data = arena_alloc(arena, text.len);
    char *end;

    if (data == NULL)
        return ERR_LIMIT;
    end = params_decode(data, text, '+', &bad);
    if (end == NULL)
        return ERR_BAD_INPUT;
    *out = slice_of(data, (size_t)(end - data));
    return ERR_OK;
}
