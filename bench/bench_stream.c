/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_stream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/http_gunzip.h"

enum {
    RECORDING_SIZE_MAX = 64 << 20,
    LINE_SIZE = 1 << 16,
    POINTS_MAX = 512,
    RECORDED_MAX = 4096,
    LABELS_MAX = 32,
};

enum recorded_kind { RECORDED_CONSTANT, RECORDED_COUNTER, RECORDED_GAUGE };

struct recorded {
    enum recorded_kind kind;
    bool is_histogram, is_node, is_uname;
    double constant;
    double scale; /* values are ints / scale; 0: fv */
    int64_t iv[POINTS_MAX];
    double fv[POINTS_MAX];
    int64_t step, span, low;
    struct label labels[LABELS_MAX]; /* with name and job, without instance */
    uint32_t label_count;
};

struct host {
    uint64_t id;
    int16_t *way;
    int64_t offset_ms;
};

struct bench_stream {
    struct bench_stream_options options;
    struct arena arena;
    struct recorded *recorded;
    uint32_t recorded_count, point_count;
    struct host *hosts;
    struct bench_series *series;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) ^
                 (b + UINT64_C(0x632be59bd9b4e019)) * UINT64_C(0xff51afd7ed558ccd);

    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static double unit(uint64_t h)
{
    return (double)(h >> 11) / (double)(UINT64_C(1) << 53);
}

/* ---- the recording ---- */

/* Digits behind the point of a shortest decimal. */
static int decimals_of(const char *text, size_t len)
{
    int decimals = 0;
    bool behind = false;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == 'e' || text[i] == 'E')
            return decimals - (int)strtol(text + i + 1, NULL, 10);
        decimals += behind;
        if (text[i] == '.')
            behind = true;
    }
    return decimals;
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

static void prepare(struct recorded *r, const double *v, uint32_t count, int decimals)
{
    bool rises = true;
    bool same = true;
    bool special = false;
    double largest = 0;

    for (uint32_t i = 0; i < count; i++) {
        special |= !isfinite(v[i]);
        rises &= i == 0 || v[i] >= v[i - 1];
        same &= v[i] == v[0];
        largest = fmax(largest, fabs(v[i]));
    }
    r->constant = v[0];
    if (count == 1 || (same && !special))
        return;
    r->kind = rises && !special ? RECORDED_COUNTER : RECORDED_GAUGE;
    memcpy(r->fv, v, count * sizeof(*v));
    const double scale = pow(10, decimals > 0 ? decimals : 0);
    if (special || decimals > 9 || largest * scale > 1e15)
        return;
    r->scale = scale;
    int64_t high = INT64_MIN;
    r->low = INT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        r->iv[i] = (int64_t)llround(v[i] * scale);
        r->low = r->iv[i] < r->low ? r->iv[i] : r->low;
        high = r->iv[i] > high ? r->iv[i] : high;
        r->step = gcd(r->step, r->iv[i]);
    }
    r->step = r->step == 0 ? 1 : r->step;
    r->span = (high - r->low) / r->step + 1;
}

static struct slice copy_text(struct arena *arena, const char *text)
{
    return arena_copy(arena, slice_from_cstr(text));
}

static void add_label(struct recorded *r, struct slice name, struct slice value)
{
    if (r->label_count == LABELS_MAX)
        abort();
    r->labels[r->label_count++] = (struct label){name, value};
}

/* name=value,name=value with backslashes before what would end a part. */
static void split_labels(struct bench_stream *stream, struct recorded *r, const char *text)
{
    char part[LINE_SIZE];
    struct slice name = {0};
    size_t len = 0;

    for (;; text++) {
        if (*text == '\\' && text[1] != '\0') {
            text++;
            part[len++] = (char)(*text == 'n' ? '\n' : *text == 't' ? '\t' : *text);
        } else if (*text == '=' && name.len == 0) {
            name = arena_copy(&stream->arena, slice_of(part, len));
            len = 0;
        } else if (*text == ',' || *text == '\0') {
            if (name.len > 0)
                add_label(r, name, arena_copy(&stream->arena, slice_of(part, len)));
            name.len = len = 0;
            if (*text == '\0')
                return;
        } else {
            part[len++] = *text;
        }
    }
}

static bool read_line(struct bench_stream *stream, char *line)
{
    struct recorded *r = &stream->recorded[stream->recorded_count];
    char *fields[5];
    double v[POINTS_MAX];
    uint32_t count = 0;
    int decimals = 0;
    char *rest = line;

    for (int i = 0; i < 5; i++) {
        fields[i] = rest;
        rest += strcspn(rest, "\t");
        if ((*rest == '\0') != (i == 4))
            return false;
        if (i < 4)
            *rest++ = '\0';
    }
    for (char *at = fields[4]; *at != '\0' && count < POINTS_MAX;) {
        char *end;

        v[count++] = strtod(at, &end);
        const int d = decimals_of(at, (size_t)(end - at));
        decimals = d > decimals ? d : decimals;
        at = end + (*end == ' ');
    }
    if (count == 0 || stream->recorded_count == RECORDED_MAX)
        return false;
    stream->point_count = count > stream->point_count ? count : stream->point_count;
    r->is_node = strcmp(fields[0], "node") == 0;
    r->is_histogram = strcmp(fields[1], "histogram") == 0;
    r->is_uname = strcmp(fields[2], "node_uname_info") == 0;
    add_label(r, SLICE("__name__"), copy_text(&stream->arena, fields[2]));
    add_label(r, SLICE("job"), copy_text(&stream->arena, fields[0]));
    split_labels(stream, r, fields[3]);
    prepare(r, v, count, decimals);
    stream->recorded_count++;
    return true;
}

/* The whole file, a NUL after it. */
static bool read_file(const char *path, struct buf *out)
{
    struct http_gunzip *gunzip = http_gunzip_new();
    FILE *file = fopen(path, "rb");
    char bytes[8192];
    bool good = file != NULL;
    size_t len;

    while (good && (len = fread(bytes, 1, sizeof(bytes), file)) > 0)
        good = http_gunzip_write(gunzip, slice_of(bytes, len), out) == ERR_OK;
    good = good && http_gunzip_is_whole(gunzip);
    http_gunzip_free(gunzip);
    if (file != NULL)
        (void)fclose(file);
    buf_add_byte(out, '\0');
    return good && out->err == ERR_OK;
}

static bool read_recording(struct bench_stream *stream)
{
    struct buf text;

    buf_init(&text, RECORDING_SIZE_MAX);
    bool good = read_file(stream->options.path, &text);
    for (char *line = text.data; good && *line != '\0';) {
        char *end = line + strcspn(line, "\n");
        const bool is_last = *end == '\0';

        *end = '\0';
        good = line[0] == '#' || line[0] == '\0' || read_line(stream, line);
        line = is_last ? end : end + 1;
    }
    buf_fini(&text);
    return good && stream->recorded_count > 0;
}

/* ---- hosts and series ---- */

static uint64_t name_hash(const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(1099511628211);
    return hash;
}

static void make_host(struct bench_stream *stream, uint32_t index)
{
    const int count = (int)stream->point_count;
    struct host *host = &stream->hosts[index];
    char name[32];

    (void)snprintf(name, sizeof(name), "host-%05u", index + 1);
    host->id = mix(name_hash(name), 1);
    host->offset_ms = (int64_t)(mix(host->id, 3) % (uint64_t)stream->options.step_ms);
    host->way = ARENA_ARRAY(&stream->arena, int16_t, stream->options.ticks + 2);
    int pos = (int)(mix(host->id, 2) % (uint64_t)count);
    int dir = (host->id & 1) == 0 ? -1 : 1;
    for (uint32_t i = 0; i < stream->options.ticks + 2; i++) {
        host->way[i] = (int16_t)pos;
        if (mix(host->id, i + (UINT64_C(1) << 20)) % 24 == 0)
            dir = -dir;
        if (pos + dir < 0 || pos + dir >= count)
            dir = -dir;
        pos += dir;
    }
}

static int label_order(const void *a, const void *b)
{
    return slice_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static int series_order(const void *a, const void *b)
{
    return label_set_cmp(((const struct bench_series *)a)->labels,
                         ((const struct bench_series *)b)->labels);
}

static void make_series(struct bench_stream *stream, uint32_t index)
{
    struct bench_series *series = &stream->series[index];
    const struct recorded *r = &stream->recorded[index % stream->recorded_count];
    struct label *labels = ARENA_ARRAY(&stream->arena, struct label, r->label_count + 1);
    char text[40];

    series->host = index / stream->recorded_count;
    series->recorded = index % stream->recorded_count;
    memcpy(labels, r->labels, r->label_count * sizeof(*labels));
    (void)snprintf(text, sizeof(text), "host-%05u:%d", series->host + 1, r->is_node ? 9100 : 9090);
    labels[r->label_count] = (struct label){SLICE("instance"), copy_text(&stream->arena, text)};
    text[strcspn(text, ":")] = '\0';
    for (uint32_t i = 0; r->is_uname && i < r->label_count; i++)
        if (slice_eq_cstr(labels[i].name, "nodename"))
            labels[i].value = copy_text(&stream->arena, text);
    qsort(labels, r->label_count + 1, sizeof(*labels), label_order);
    series->labels = (struct label_set){labels, r->label_count + 1};
}

struct bench_stream *bench_stream_new(const struct bench_stream_options *options)
{
    struct bench_stream *stream = mem_zalloc(1, sizeof(*stream));

    stream->options = *options;
    arena_init(&stream->arena, NULL, 0);
    stream->recorded = mem_zalloc(RECORDED_MAX, sizeof(*stream->recorded));
    if (!read_recording(stream)) {
        bench_stream_free(stream);
        return NULL;
    }
    const uint32_t host_count =
        (options->series + stream->recorded_count - 1) / stream->recorded_count;
    stream->hosts = mem_zalloc(host_count, sizeof(*stream->hosts));
    stream->series = mem_zalloc(options->series, sizeof(*stream->series));
    for (uint32_t i = 0; i < host_count; i++)
        make_host(stream, i);
    for (uint32_t i = 0; i < options->series; i++)
        make_series(stream, i);
    qsort(stream->series, options->series, sizeof(*stream->series), series_order);
    return stream;
}

void bench_stream_free(struct bench_stream *stream)
{
    if (stream == NULL)
        return;
    arena_fini(&stream->arena);
    mem_free(stream->recorded);
    mem_free(stream->hosts);
    mem_free(stream->series);
    mem_free(stream);
}

const struct bench_series *bench_stream_series(const struct bench_stream *stream, uint32_t *count)
{
    *count = stream->options.series;
    return stream->series;
}

/* ---- samples ---- */

/* Where a walker is: it came from `a` over `b` to `c`, at tick k. */
struct step {
    uint64_t host, id, k;
    int a, b, c;
};

static int low_of(int a, int b)
{
    return a < b ? a : b;
}

static int high_of(int a, int b)
{
    return a > b ? a : b;
}

static uint64_t draw(const struct step *s)
{
    return mix(s->host ^ s->id << 32, s->k);
}

static double next_counter_ints(const struct recorded *r, const struct step *s, uint64_t *state)
{
    if (s->k == 0) {
        *state = (uint64_t)(r->iv[0] * (int64_t)(1 + mix(s->host, 1) % 9));
        return (double)(int64_t)*state / r->scale;
    }
    int64_t d = r->iv[high_of(s->b, s->c)] - r->iv[low_of(s->b, s->c)];
    const int64_t e = r->iv[high_of(s->a, s->b)] - r->iv[low_of(s->a, s->b)];
    if (r->is_histogram) {
        const uint64_t h = mix(s->host, s->k + (UINT64_C(1) << 40));

        d = (int64_t)((double)d * (0.6 + 0.8 * unit(h)) + unit(mix(h, 9)));
    } else if (e != d) {
        d += (int64_t)round((unit(draw(s)) - .5) * fabs((double)(d - e)) / (double)r->step) *
             r->step;
    }
    *state += (uint64_t)(d > 0 ? d : 0);
    return (double)(int64_t)*state / r->scale;
}

static double next_counter_floats(const struct recorded *r, const struct step *s, uint64_t *state,
                                  double last)
{
    double x = sample_value_from_bits(*state);

    if (s->k == 0) {
        x = r->fv[0] + (double)(mix(s->host, 1) % 9) * (last - r->fv[0]);
    } else {
        double d = r->fv[high_of(s->b, s->c)] - r->fv[low_of(s->b, s->c)];
        const double e = r->fv[high_of(s->a, s->b)] - r->fv[low_of(s->a, s->b)];

        if (r->is_histogram)
            d *= 0.6 + 0.8 * unit(mix(s->host, s->k + (UINT64_C(1) << 40)));
        else
            d += (unit(draw(s)) - .5) * fabs(d - e);
        x += fmax(d, 0);
    }
    *state = sample_value_bits(x);
    return x;
}

static double next_gauge(const struct recorded *r, const struct step *s)
{
    if (r->scale > 0) {
        int64_t v = r->iv[s->c];
        const int64_t e = r->iv[s->b];

        if (e != v) {
            v += (int64_t)round((unit(draw(s)) - .5) * fabs((double)(v - e)) / (double)r->step) *
                 r->step;
            v = v > (r->low < 0 ? r->low : 0) ? v : (r->low < 0 ? r->low : 0);
        }
        const int64_t shift = (int64_t)(mix(s->host, s->id) % (uint64_t)r->span);
        return (double)(v + r->step * shift) / r->scale;
    }
    const double v = r->fv[s->c];
    const double e = r->fv[s->b];
    if (v == e || isnan(v) || isnan(e) || isinf(v - e))
        return v;
    return v + (unit(draw(s)) - .5) * fabs(v - e);
}

static double constant_of(const struct recorded *r, uint64_t host)
{
    if (r->constant < 1e6 || r->constant != trunc(r->constant) || r->constant > 1e15)
        return r->constant;
    return r->constant + (double)(mix(host, 7) % 100000) * 4096; /* sizes, boot times */
}

void bench_stream_read(const struct bench_stream *stream, const struct bench_series *series,
                       struct sample *samples)
{
    const struct bench_stream_options *options = &stream->options;
    const struct recorded *r = &stream->recorded[series->recorded];
    const struct host *host = &stream->hosts[series->host];
    uint64_t state = 0;

    for (uint32_t k = 0; k < options->ticks; k++) {
        const struct step step = {host->id,     series->recorded, k,
                                  host->way[k], host->way[k + 1], host->way[k + 2]};
        struct sample *sample = &samples[k];

        sample->t_ms = options->start_ms + (int64_t)k * options->step_ms + host->offset_ms;
        if (options->jitter_ms > 0)
            sample->t_ms += (int64_t)(mix(host->id, k + 1000) % options->jitter_ms);
        if (r->kind == RECORDED_CONSTANT)
            sample->v = constant_of(r, host->id);
        else if (r->kind == RECORDED_GAUGE)
            sample->v = next_gauge(r, &step);
        else if (r->scale > 0)
            sample->v = next_counter_ints(r, &step, &state);
        else
            sample->v = next_counter_floats(r, &step, &state, r->fv[stream->point_count - 1]);
    }
}
