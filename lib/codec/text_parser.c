/* SPDX-License-Identifier: Apache-2.0 */

/* Prometheus text 0.0.4. Line by line; spaces and tabs are free between the parts of a line, blank
 * lines and comments are skipped, the last line end may be missing. Space before a name belongs to
 * nothing (Prometheus 3.5 takes it into the name; no exporter writes it). */
#include "base/number.h"
#include "base/utf8.h"
#include "codec/exposition_internal.h"

static const char *text_skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

static const char *text_line_end(const char *at, const char *end)
{
    const char *line_end = at == end ? NULL : memchr(at, '\n', (size_t)(end - at));

    return line_end == NULL ? end : line_end;
}

/* The rest of a HELP or TYPE line. */
static bool text_metadata(struct exposition *p, struct exposition_entry *entry, const char *at)
{
    const char *const line_end = text_line_end(at, p->end);
    const char *name_end = exposition_meta_name(at, line_end, &entry->name);

    if (name_end == NULL)
        return exposition_fail(p, at, "expected metric name after HELP or TYPE");
    /* One character parts name and text, whichever it is; more of them are text. */
    entry->text = name_end == line_end ? slice_of(name_end, 0)
                                       : slice_of(name_end + 1, (size_t)(line_end - name_end - 1));
    p->at = line_end == p->end ? line_end : line_end + 1;
    if (entry->kind == EXPOSITION_TYPE) {
        if (!exposition_type_from_text(entry->text, EXPOSITION_TEXT, &p->type))
            return exposition_fail(p, at, "invalid metric type");
        p->family = entry->name;
        entry->type = p->type;
    } else if (!utf8_is_valid(entry->text)) {
        return exposition_fail(p, at, "help text is not valid UTF-8");
    }
    return true;
}

/* HELP or TYPE with space behind: past it; any other comment: NULL. */
static const char *text_keyword(const char *at, const char *end, struct exposition_entry *entry)
{
    const char *word = text_skip_space(at + 1, end);

    if (word == at + 1 || end - word < 5 || (word[4] != ' ' && word[4] != '\t'))
        return NULL;
    if (memcmp(word, "HELP", 4) == 0)
        entry->kind = EXPOSITION_HELP;
    else if (memcmp(word, "TYPE", 4) == 0)
        entry->kind = EXPOSITION_TYPE;
    else
        return NULL;
    return text_skip_space(word + 4, end);
}

/* Value, time and line end behind the series' text. */
static bool text_sample(struct exposition *p, struct exposition_entry *entry, const char *at)
{
    const char *const end = p->end;
    const char *value = text_skip_space(at, end), *value_end = value, *time, *time_end;

    while (value_end < end && *value_end != ' ' && *value_end != '\t' && *value_end != '\n' &&
           *value_end != '{')
        value_end++;
    if (value == value_end)
        return exposition_fail(p, value, "expected value after metric");
    if (exposition_value(slice_of(value, (size_t)(value_end - value)), &entry->v) != ERR_OK)
        return exposition_fail(p, value, "invalid value");
    time = time_end = text_skip_space(value_end, end);
    while (time_end < end && *time_end >= '0' && *time_end <= '9')
        time_end++;
    entry->has_t = time_end != time;
    if (entry->has_t &&
        number_parse_int64(slice_of(time, (size_t)(time_end - time)), &entry->t_ms) != ERR_OK)
        return exposition_fail(p, time, "timestamp out of range");
    at = text_skip_space(time_end, end);
    if (at < end && *at != '\n')
        return exposition_fail(p, at, "expected timestamp or new record");
    p->at = at == end ? at : at + 1;
    return true;
}

static bool text_series(struct exposition *p, struct exposition_entry *entry, const char *at)
{
    const char *const end = p->end;
    const char *series_end = exposition_skip_name(at, end);
    const char *brace = text_skip_space(series_end, end);

    if (series_end == at && *at != '{')
        return exposition_fail(p, at, "expected a valid start token");
    if (brace < end && *brace == '{') {
        series_end = exposition_skip_braces(brace, end);
        if (series_end == NULL)
            return exposition_fail(p, at, "labels without closing brace");
    }
    entry->kind = EXPOSITION_SERIES;
    entry->type = p->type;
    entry->series = slice_of(at, (size_t)(series_end - at));
    return text_sample(p, entry, series_end);
}

bool text_parser_next(struct exposition *p, struct exposition_entry *entry)
{
    while (p->at < p->end) {
        const char *at = text_skip_space(p->at, p->end), *keyword;

        if (at == p->end)
            break;
        if (*at == '\n') {
            p->at = at + 1;
            continue;
        }
        if (*at != '#')
            return text_series(p, entry, at);
        keyword = text_keyword(at, p->end, entry);
        if (keyword != NULL)
            return text_metadata(p, entry, keyword);
        at = text_line_end(at, p->end);
        p->at = at == p->end ? at : at + 1;
    }
    p->at = p->end;
    p->is_done = true;
    return false;
}
