/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_route.h"

#include <string.h>

#include "base/mem.h"

/* The text up to the next slash; *path moves behind it. *path begins with a slash. */
static struct slice route_segment(struct slice *path)
{
    const struct slice rest = slice_skip(*path, 1);
    const char *slash = rest.len == 0 ? NULL : memchr(rest.data, '/', rest.len);
    const size_t len = slash == NULL ? rest.len : (size_t)(slash - rest.data);

    *path = slice_skip(rest, len);
    return slice_of(rest.data, len);
}

static void route_parse(struct http_route_entry *entry)
{
    struct slice path = slice_from_cstr(entry->route.path);
    size_t param_count = 0;

    ASSERT(path.len > 0 && path.data[0] == '/');
    entry->literal = path;
    while (path.len > 0) {
        struct http_segment *segment = &entry->segments[entry->segment_count++];

        ASSERT(entry->segment_count <= HTTP_ROUTE_SEGMENT_MAX);
        segment->text = route_segment(&path);
        if (slice_eq_cstr(segment->text, "*")) {
            ASSERT(path.len == 0);
            segment->kind = HTTP_SEGMENT_REST;
        } else if (slice_has_prefix(segment->text, SLICE("{"))) {
            ASSERT(slice_has_suffix(segment->text, SLICE("}")));
            segment->kind = HTTP_SEGMENT_PARAM;
        } else {
            continue;
        }
        entry->literal = slice_of(NULL, 0);
        param_count++;
    }
    ASSERT(param_count <= HTTP_PATH_PARAM_MAX);
}

/* Whether a goes before b. */
static bool route_is_before(const struct http_route_entry *a, const struct http_route_entry *b)
{
    for (size_t i = 0; i < a->segment_count && i < b->segment_count; i++)
        if (a->segments[i].kind != b->segments[i].kind)
            return a->segments[i].kind < b->segments[i].kind;
    return false;
}

void http_route_table_fini(struct http_route_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        mem_free(table->entries[i]);
    mem_free(table->entries);
    *table = (struct http_route_table){0};
}

void http_route_add(struct http_route_table *table, const struct http_route *route)
{
    struct http_route_entry *entry = mem_zalloc(1, sizeof(*entry));
    size_t at = table->count;

    ASSERT(route->handler != NULL);
    entry->route = *route;
    if (entry->route.name == NULL)
        entry->route.name = route->path;
    route_parse(entry);
    table->entries = mem_realloc(table->entries, (table->count + 1) * sizeof(table->entries[0]));
    while (at > 0 && route_is_before(entry, table->entries[at - 1])) {
        table->entries[at] = table->entries[at - 1];
        at--;
    }
    table->entries[at] = entry;
    table->count++;
}

static bool route_match(const struct http_route_entry *entry, struct slice path,
                        struct slice *params)
{
    size_t param_count = 0;

    if (entry->literal.len > 0)
        return slice_eq(entry->literal, path);
    for (size_t i = 0; i < entry->segment_count; i++) {
        const struct http_segment *segment = &entry->segments[i];
        struct slice text;

        if (path.len == 0)
            return false;
        if (segment->kind == HTTP_SEGMENT_REST) {
            params[param_count] = slice_skip(path, 1);
            return true;
        }
        text = route_segment(&path);
        if (segment->kind == HTTP_SEGMENT_PARAM) {
            if (text.len == 0)
                return false;
            params[param_count++] = text;
        } else if (!slice_eq(segment->text, text)) {
            return false;
        }
    }
    return path.len == 0;
}

struct http_route_entry *http_route_find(const struct http_route_table *table, unsigned method,
                                         struct slice path,
                                         struct slice params[HTTP_PATH_PARAM_MAX],
                                         unsigned *allowed)
{
    struct http_route_entry *preflight = NULL;

    *allowed = 0;
    if (path.len == 0 || path.data[0] != '/')
        return NULL;
    for (size_t i = 0; i < table->count; i++) {
        struct http_route_entry *entry = table->entries[i];

        if (!route_match(entry, path, params))
            continue;
        if ((entry->route.methods & method) != 0)
            return entry;
        *allowed |= entry->route.methods;
        if ((entry->route.flags & HTTP_ROUTE_CORS) == 0)
            continue;
        *allowed |= HTTP_OPTIONS;
        if (method == HTTP_OPTIONS && preflight == NULL)
            preflight = entry;
    }
    return preflight;
}
