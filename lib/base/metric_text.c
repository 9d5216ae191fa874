/* SPDX-License-Identifier: Apache-2.0 */
/* Exposition: all rows of all tables, sorted by name, as text 0.0.4 or OpenMetrics 1.0. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/metric_internal.h"
#include "base/number.h"

struct metric_emit {
    struct buf *out;
    const struct metric_desc *desc;
    enum metric_format format;
};

/* A label value in the exposition formats: \\, \" and \n. */
static void metric_add_label_value(struct buf *out, struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        const char c = value.data[i];

        if (c == '\n') {
            buf_add_cstr(out, "\\n");
        } else {
            if (c == '\\' || c == '"')
                buf_add_byte(out, '\\');
            buf_add_byte(out, c);
        }
    }
}

void metric_add_labels(struct buf *out, const struct metric_desc *desc, const struct slice *values)
{
    const char *name = desc->labels;

    for (int i = 0; name != NULL; i++) {
        const char *comma = strchr(name, ',');
        const size_t len = comma == NULL ? strlen(name) : (size_t)(comma - name);

        ASSERT(i < METRIC_LABELS_MAX);
        if (i > 0)
            buf_add_byte(out, ',');
        buf_add(out, name, len);
        buf_add_cstr(out, "=\"");
        metric_add_label_value(out, values[i]);
        buf_add_byte(out, '"');
        name = comma == NULL ? NULL : comma + 1;
    }
}

/* One table row with the struct it is about, for sorting. */
struct metric_row {
    const struct metric_desc *desc;
    const void *metrics;
    size_t order; /* of registration */
};

static const char *metric_type_text(const struct metric_desc *desc)
{
    switch (desc->kind) {
    case METRIC_COUNTER:
    case METRIC_COUNTER_FN:
    case METRIC_COUNTER_COLLECT:
        return "counter";
    case METRIC_GAUGE:
    case METRIC_GAUGE_FN:
    case METRIC_GAUGE_COLLECT:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    }
    return "unknown";
}

/* OpenMetrics names the family of a counter without _total, which its sample must have. */
static size_t metric_family_name_len(const struct metric_desc *desc, enum metric_format format)
{
    const struct slice name = slice_from_cstr(desc->name);

    if (format == METRIC_OPENMETRICS && strcmp(metric_type_text(desc), "counter") == 0 &&
        slice_has_suffix(name, SLICE("_total")))
        return name.len - strlen("_total");
    return name.len;
}

static void metric_write_head(struct buf *out, const struct metric_desc *desc,
                              enum metric_format format)
{
    const int len = (int)metric_family_name_len(desc, format);

    buf_printf(out, "# HELP %.*s ", len, desc->name);
    for (const char *at = desc->help; at != NULL && *at != '\0'; at++) {
        if (*at == '\n')
            buf_add_cstr(out, "\\n");
        else if (*at == '\\' || (*at == '"' && format == METRIC_OPENMETRICS))
            buf_printf(out, "\\%c", *at);
        else
            buf_add_byte(out, *at);
    }
    buf_printf(out, "\n# TYPE %.*s %s\n", len, desc->name, metric_type_text(desc));
}

/* What comes between the name and the value; labels is "" or printed ones, le likewise. */
struct metric_sample {
    const char *suffix, *labels, *le;
};

static void metric_write_sample(const struct metric_emit *emit, struct metric_sample sample,
                                double v)
{
    const char *parts[] = {emit->desc->fixed, sample.labels, sample.le};
    const char *separator = "{";
    const bool is_om = emit->format == METRIC_OPENMETRICS;

    buf_add_cstr(emit->out, emit->desc->name);
    if (is_om && strcmp(metric_type_text(emit->desc), "counter") == 0 &&
        !slice_has_suffix(slice_from_cstr(emit->desc->name), SLICE("_total")))
        buf_add_cstr(emit->out, "_total");
    buf_add_cstr(emit->out, sample.suffix);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (parts[i] == NULL || parts[i][0] == '\0')
            continue;
        buf_add_cstr(emit->out, separator);
        buf_add_cstr(emit->out, parts[i]);
        separator = ",";
    }
    buf_add_cstr(emit->out, separator[0] == ',' ? "} " : " ");
    number_add_double(emit->out, v, is_om ? NUMBER_OM : NUMBER_G);
    buf_add_byte(emit->out, '\n');
}

static void metric_write_histogram(const struct metric_emit *emit, const char *labels,
                                   const struct metric_histogram *histogram)
{
    const struct metric_buckets *buckets = histogram->buckets;
    uint64_t counts[METRIC_BUCKETS_MAX + 1];
    uint64_t cumulated = 0;

    for (uint32_t i = 0; i <= buckets->count; i++)
        counts[i] = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    for (uint32_t i = 0; i <= buckets->count; i++) {
        char le[NUMBER_TEXT_SIZE + 8] = "le=\"+Inf\"";

        if (i < buckets->count) {
            const size_t len =
                number_format_double(le + 4, buckets->bounds[i],
                                     emit->format == METRIC_OPENMETRICS ? NUMBER_OM : NUMBER_G);

            memcpy(le + 4 + len, "\"", 2);
        }
        cumulated += counts[i];
        metric_write_sample(emit, (struct metric_sample){"_bucket", labels, le}, (double)cumulated);
    }
    metric_write_sample(emit, (struct metric_sample){"_sum", labels, ""},
                        metric_from_bits(atomic_load(&histogram->sum_bits)));
    metric_write_sample(emit, (struct metric_sample){"_count", labels, ""}, (double)cumulated);
}

static void metric_write_value(const struct metric_emit *emit, const char *labels,
                               const void *value)
{
    const struct metric_desc *desc = emit->desc;

    if (desc->kind == METRIC_HISTOGRAM) {
        metric_write_histogram(emit, labels, value);
    } else if (desc->kind == METRIC_COUNTER) {
        const double scale = desc->scale == 0 ? 1 : desc->scale;

        metric_write_sample(emit, (struct metric_sample){"", labels, ""},
                            (double)metric_get(value) * scale);
    } else {
        metric_write_sample(emit, (struct metric_sample){"", labels, ""}, metric_gauge_get(value));
    }
}

static void metric_write_row(struct metric_emit *emit, const struct metric_row *row)
{
    struct metric_family *family;

    if (row->desc->collect != NULL) {
        row->desc->collect(row->metrics, emit);
        return;
    }
    if (row->desc->read != NULL) {
        metric_write_sample(emit, (struct metric_sample){"", "", ""},
                            row->desc->read(row->metrics));
        return;
    }
    if (row->desc->labels == NULL) {
        metric_write_value(emit, "", metric_member(row->desc, row->metrics));
        return;
    }
    family = *(struct metric_family **)metric_member(row->desc, row->metrics);
    pthread_mutex_lock(&family->lock);
    LIST_EACH(&family->children, node)
    {
        const struct metric_child *child = CONTAINER_OF(node, struct metric_child, node);

        metric_write_value(emit, child->labels, child->value);
    }
    pthread_mutex_unlock(&family->lock);
}

void metric_emit_value(struct metric_emit *emit, const struct slice *values, double value)
{
    struct buf labels;

    buf_init(&labels, 1 << 20);
    metric_add_labels(&labels, emit->desc, values);
    buf_add_byte(&labels, '\0');
    metric_write_sample(emit, (struct metric_sample){"", labels.data, ""}, value);
    buf_fini(&labels);
}

static int metric_row_cmp(const void *left, const void *right)
{
    const struct metric_row *a = left;
    const struct metric_row *b = right;
    const int order = strcmp(a->desc->name, b->desc->name);

    if (order != 0)
        return order;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* All rows, sorted by name; the lock is held. The caller frees them. */
static struct metric_row *metric_sorted_rows(const struct metric_registry *registry, size_t *count)
{
    struct metric_row *rows;
    size_t total = 0, at = 0;

    LIST_EACH(&registry->groups, node)
    {
        total += CONTAINER_OF(node, struct metric_group, node)->count;
    }
    rows = mem_alloc((total + 1) * sizeof(*rows));
    LIST_EACH(&registry->groups, node)
    {
        const struct metric_group *group = CONTAINER_OF(node, struct metric_group, node);

        for (size_t i = 0; i < group->count; i++, at++)
            rows[at] = (struct metric_row){&group->descs[i], group->metrics, at};
    }
    qsort(rows, total, sizeof(*rows), metric_row_cmp);
    *count = total;
    return rows;
}

void metric_write(struct metric_registry *registry, enum metric_format format, struct buf *out)
{
    struct metric_row *rows;
    size_t count;

    pthread_mutex_lock(&registry->lock);
    rows = metric_sorted_rows(registry, &count);
    for (size_t i = 0; i < count; i++) {
        struct metric_emit emit = {.out = out, .desc = rows[i].desc, .format = format};

        if (i == 0 || strcmp(rows[i].desc->name, rows[i - 1].desc->name) != 0)
            metric_write_head(out, rows[i].desc, format);
        metric_write_row(&emit, &rows[i]);
    }
    pthread_mutex_unlock(&registry->lock);
    mem_free(rows);
    if (format == METRIC_OPENMETRICS)
        buf_add_cstr(out, "# EOF\n");
}

const char *metric_content_type(enum metric_format format)
{
    return format == METRIC_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
               : "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
}

/* Takes what comes before `sign` off the front of s, the sign too; spaces around it are cut. */
static struct slice metric_take_part(struct slice *s, char sign)
{
    const char *end = s->len == 0 ? NULL : memchr(s->data, sign, s->len);
    struct slice part = {s->data, end == NULL ? s->len : (size_t)(end - s->data)};

    *s = slice_skip(*s, end == NULL ? s->len : part.len + 1);
    while (part.len > 0 && part.data[0] == ' ')
        part = slice_skip(part, 1);
    while (part.len > 0 && part.data[part.len - 1] == ' ')
        part.len--;
    return part;
}

enum metric_format metric_format_from_accept(struct slice accept)
{
    double best[2] = {0, 0}; /* by enum metric_format */

    while (accept.len > 0) {
        struct slice item = metric_take_part(&accept, ',');
        const struct slice type = metric_take_part(&item, ';');
        enum metric_format format = METRIC_TEXT;
        double q = 1;

        if (slice_eq_cstr(type, "application/openmetrics-text"))
            format = METRIC_OPENMETRICS;
        else if (!slice_eq_cstr(type, "text/plain") && !slice_eq_cstr(type, "*/*"))
            continue;
        while (item.len > 0) {
            const struct slice parameter = metric_take_part(&item, ';');

            if (slice_has_prefix(parameter, SLICE("q=")) &&
                number_parse_double_decimal(slice_skip(parameter, 2), &q) != ERR_OK)
                q = 0;
        }
        if (q > best[format])
            best[format] = q;
    }
    return best[METRIC_OPENMETRICS] > best[METRIC_TEXT] ? METRIC_OPENMETRICS : METRIC_TEXT;
}
