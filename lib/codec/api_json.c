/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/api_json.h"

#include "base/json.h"
#include "base/number.h"

enum {
    API_FLUSH_SIZE = 64 << 10,
    API_ANNOTATION_MAX = 10, /* of a kind, as upstream */
    API_POINT_SIZE = NUMBER_TEXT_SIZE + NUMBER_INT_SIZE + 16,
    NS_PER_S = 1000000000,
};

void api_json_init(struct api_json *api, struct buf *out)
{
    *api = (struct api_json){.out = out, .flush_size = API_FLUSH_SIZE};
}

/* Hands over what has gathered. false: nothing more need be written. */
static bool api_continue(struct api_json *api)
{
    if (api->err == ERR_OK && api->out->err != ERR_OK)
        api->err = api->out->err;
    if (api->err == ERR_OK && api->flush != NULL && api->out->len >= api->flush_size)
        api->err = api->flush(api, api->owner);
    return api->err == ERR_OK;
}

void api_json_open(struct api_json *api)
{
    buf_add_cstr(api->out, "{\"status\":\"success\",\"data\":");
}

/* The texts of one kind; past the limit only how many more there are. */
static void api_annotations(struct buf *out, const struct annotations *annotations, bool warnings)
{
    const uint32_t count = warnings ? annotations->warning_count : annotations->info_count;
    uint32_t written = 0;

    if (count == 0)
        return;
    buf_add_cstr(out, warnings ? ",\"warnings\":[" : ",\"infos\":[");
    for (const struct annotation *a = annotations->first; a != NULL; a = a->next) {
        if (a->is_warning != warnings || written == API_ANNOTATION_MAX)
            continue;
        if (written++ != 0)
            buf_add_byte(out, ',');
        json_quote(out, a->text, true);
    }
    if (count > written)
        buf_printf(out, ",\"%u more %s annotations omitted\"", count - written,
                   warnings ? "warning" : "info");
    buf_add_byte(out, ']');
}

void api_json_close(struct api_json *api, const struct annotations *annotations)
{
    if (annotations != NULL) {
        api_annotations(api->out, annotations, true);
        api_annotations(api->out, annotations, false);
    }
    buf_add_byte(api->out, '}');
    (void)api_continue(api);
}

const char *api_json_error_type(enum err err)
{
    switch (err_http_status(err)) {
    case 400:
    case 405:
    case 409:
    case 413:
    case 415:
        return "bad_data";
    case 401:
        return "unauthorized";
    case 403:
        return "forbidden";
    case 404:
        return "not_found";
    case 422:
        return "execution";
    case 429:
        return "too_many_requests";
    case 499:
        return "canceled";
    case 503:
        return err == ERR_DEADLINE ? "timeout" : "unavailable";
    default:
        return "internal";
    }
}

void api_json_error(struct api_json *api, enum err err, const char *message)
{
    buf_printf(api->out,
               "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":", api_json_error_type(err));
    json_quote(api->out, slice_from_cstr(message), true);
    buf_add_byte(api->out, '}');
    (void)api_continue(api);
}

void api_json_labels(struct buf *out, struct label_set labels)
{
    buf_add_byte(out, '{');
    for (uint32_t i = 0; i < labels.count; i++) {
        if (i != 0)
            buf_add_byte(out, ',');
        json_quote(out, labels.items[i].name, false);
        buf_add_byte(out, ':');
        json_quote(out, labels.items[i].value, false);
    }
    buf_add_byte(out, '}');
}

/* At most NUMBER_INT_SIZE + 4 bytes. */
static size_t api_format_time(char *to, int64_t t_ms)
{
    const uint64_t abs_ms = t_ms < 0 ? -(uint64_t)t_ms : (uint64_t)t_ms;
    const unsigned rest_ms = (unsigned)(abs_ms % 1000);
    size_t len = 0;

    if (t_ms < 0)
        to[len++] = '-';
    len += number_format_uint64(to + len, abs_ms / 1000);
    if (rest_ms != 0) {
        to[len++] = '.';
        to[len++] = (char)('0' + rest_ms / 100);
        to[len++] = (char)('0' + rest_ms / 10 % 10);
        to[len++] = (char)('0' + rest_ms % 10);
    }
    return len;
}

void api_json_time(struct buf *out, int64_t t_ms)
{
    char text[NUMBER_INT_SIZE + 8];

    buf_add(out, text, api_format_time(text, t_ms));
}

/* [t,"v"] */
static void api_point(struct buf *out, const struct query_point *point)
{
    char *to = buf_reserve(out, API_POINT_SIZE);
    size_t len = 0;

    if (to == NULL)
        return;
    to[len++] = '[';
    len += api_format_time(to + len, point->t_ms);
    to[len++] = ',';
    to[len++] = '"';
    len += number_format_double(to + len, point->v, NUMBER_API);
    to[len++] = '"';
    to[len++] = ']';
    out->len += len;
}

static void api_histogram_point(struct buf *out, const struct query_point *point)
{
    buf_add_byte(out, '[');
    api_json_time(out, point->t_ms);
    buf_add_byte(out, ',');
    api_json_histogram(out, point->histogram);
    buf_add_byte(out, ']');
}

/* ,"values":[...] or ,"histograms":[...]; nothing if there is no point of the kind. */
static void api_points(struct api_json *api, const struct query_series *series, bool histograms)
{
    struct buf *out = api->out;
    bool is_first = true;

    for (uint32_t i = 0; i < series->point_count; i++) {
        const struct query_point *point = &series->points[i];

        if ((point->histogram != NULL) != histograms)
            continue;
        if (is_first)
            buf_add_cstr(out, histograms ? ",\"histograms\":[" : ",\"values\":[");
        else
            buf_add_byte(out, ',');
        is_first = false;
        if (histograms)
            api_histogram_point(out, point);
        else
            api_point(out, point);
        if (i % 1024 == 1023 && !api_continue(api))
            return;
    }
    if (!is_first)
        buf_add_byte(out, ']');
}

static void api_series(struct api_json *api, const struct query_series *series,
                       enum query_value value)
{
    struct buf *out = api->out;

    buf_add_cstr(out, "{\"metric\":");
    api_json_labels(out, series->labels);
    if (value == QUERY_MATRIX) {
        api_points(api, series, false);
        api_points(api, series, true);
    } else if (series->points[0].histogram != NULL) {
        buf_add_cstr(out, ",\"histogram\":");
        api_histogram_point(out, &series->points[0]);
    } else {
        buf_add_cstr(out, ",\"value\":");
        api_point(out, &series->points[0]);
    }
    buf_add_byte(out, '}');
}

/* [t,"v"] of a scalar or a string, whose time is a plain JSON number. */
static void api_single(struct api_json *api, const struct query_result *result)
{
    char text[NUMBER_TEXT_SIZE];
    struct buf *out = api->out;

    buf_add_byte(out, '[');
    number_add_double(out, (double)result->scalar.t_ms / 1000, NUMBER_API);
    buf_add_byte(out, ',');
    if (result->value == QUERY_STRING)
        json_quote(out, result->string, true);
    else
        json_quote(out, slice_of(text, number_format_double(text, result->scalar.v, NUMBER_FIXED)),
                   true);
    buf_add_byte(out, ']');
}

static void api_seconds(struct buf *out, const char *key, uint64_t ns)
{
    buf_add_cstr(out, key);
    number_add_double(out, (double)ns / NS_PER_S, NUMBER_API);
}

static void api_stats(struct buf *out, const struct query_stats *stats)
{
    api_seconds(out, ",\"stats\":{\"timings\":{\"evalTotalTime\":", stats->eval_ns);
    api_seconds(out, ",\"innerEvalTime\":", stats->eval_ns);
    api_seconds(out, ",\"execQueueTime\":", stats->queue_ns);
    api_seconds(out, ",\"execTotalTime\":", stats->queue_ns + stats->eval_ns);
    buf_add_cstr(out, "},\"samples\":{\"totalQueryableSamples\":");
    number_add_uint64(out, stats->read.samples);
    buf_add_cstr(out, "},\"storage\":{\"series\":");
    number_add_uint64(out, stats->read.series);
    buf_add_cstr(out, ",\"chunks\":");
    number_add_uint64(out, stats->read.chunks);
    buf_add_cstr(out, ",\"bytes\":");
    number_add_uint64(out, stats->read.bytes);
    buf_add_cstr(out, "},\"peakBytes\":");
    number_add_uint64(out, stats->peak_bytes);
    buf_add_byte(out, '}');
}

void api_json_result(struct api_json *api, const struct query_result *result, bool with_stats)
{
    static const char *const types[] = {[QUERY_SCALAR] = "scalar",
                                        [QUERY_STRING] = "string",
                                        [QUERY_VECTOR] = "vector",
                                        [QUERY_MATRIX] = "matrix"};

    buf_printf(api->out, "{\"resultType\":\"%s\",\"result\":", types[result->value]);
    if (result->value == QUERY_SCALAR || result->value == QUERY_STRING) {
        api_single(api, result);
    } else {
        buf_add_byte(api->out, '[');
        for (uint32_t i = 0; i < result->series_count && api_continue(api); i++) {
            if (i != 0)
                buf_add_byte(api->out, ',');
            api_series(api, &result->series[i], result->value);
        }
        buf_add_byte(api->out, ']');
    }
    if (with_stats)
        api_stats(api->out, &result->stats);
    buf_add_byte(api->out, '}');
    (void)api_continue(api);
}
