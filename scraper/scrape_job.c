/* SPDX-License-Identifier: Apache-2.0 */
#include "scraper/scrape_job.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "base/number.h"
#include "remote/remote_http.h"

enum { ACCEPT_SIZE_MAX = 1024, FIXED_HEADER_COUNT = 3 };

struct counted {
    struct scrape_job job;
    _Atomic uint32_t refs;
    char accept[ACCEPT_SIZE_MAX];
};

/* ---- Accept ---- */

static const char *const media_types[SCRAPE_PROTOCOL_COUNT] = {
    [SCRAPE_PROTOCOL_OPENMETRICS_1_0_0] = "application/openmetrics-text;version=1.0.0",
    [SCRAPE_PROTOCOL_OPENMETRICS_0_0_1] = "application/openmetrics-text;version=0.0.1",
    [SCRAPE_PROTOCOL_TEXT_1_0_0] = "text/plain;version=1.0.0",
    [SCRAPE_PROTOCOL_TEXT_0_0_4] = "text/plain;version=0.0.4",
};

static const char *escaping_text(enum name_escaping escaping)
{
    switch (escaping) {
    case ESCAPE_UNDERSCORES:
        return "underscores";
    case ESCAPE_DOTS:
        return "dots";
    case ESCAPE_VALUES:
        return "values";
    case ESCAPE_ALLOW_UTF8:
        break;
    }
    return "allow-utf-8";
}

/* The wanted formats, most wanted first, each a tenth less than the one before. The protobuf format
 * is left out: it cannot be read yet. */
static void make_accept(const struct scrape_config *scrape, struct buf *out)
{
    unsigned weight = SCRAPE_PROTOCOL_COUNT;

    for (uint32_t i = 0; i < scrape->protocol_count; i++) {
        const enum scrape_protocol protocol = scrape->protocols[i];

        if (media_types[protocol] == NULL)
            continue;
        buf_add_cstr(out, media_types[protocol]);
        if (protocol == SCRAPE_PROTOCOL_OPENMETRICS_1_0_0 || protocol == SCRAPE_PROTOCOL_TEXT_1_0_0)
            buf_printf(out, ";escaping=%s", escaping_text(scrape->name_escaping));
        buf_printf(out, ";q=0.%u,", weight);
        weight--;
    }
    buf_printf(out, "*/*;q=0.%u", weight);
}

/* ---- clients and headers ---- */

enum err scrape_job_unix_client(const struct scrape_job *job, const char *path,
                                struct http_client **client, struct err_info *info)
{
    return remote_http_client(&job->scrape->http,
                              &(struct remote_http_options){.reactors = job->shared->reactors,
                                                            .user_agent = job->shared->user_agent,
                                                            .unix_socket = path},
                              client, info);
}

enum err scrape_job_headers(const struct scrape_job *job, const struct target *target,
                            struct arena *arena, struct scrape_headers *out, struct err_info *info)
{
    const struct http_config *http = &job->scrape->http;
    struct remote_http_headers headers;
    char timeout[NUMBER_TEXT_SIZE];
    enum err err = remote_http_headers_init(&headers, http, FIXED_HEADER_COUNT, arena);

    if (err != ERR_OK)
        return err_set(info, err, "headers are too large");
    remote_http_add_header(&headers, SLICE("Accept"), job->accept);
    if (!job->scrape->enable_compression)
        remote_http_add_header(&headers, SLICE("Accept-Encoding"), SLICE("identity"));
    remote_http_add_header(
        &headers, SLICE("X-Prometheus-Scrape-Timeout-Seconds"),
        arena_copy(arena, slice_of(timeout,
                                   number_format_double(timeout, (double)target->timeout_ms / 1000,
                                                        NUMBER_FIXED))));
    err = remote_http_headers_add(&headers, http, job->shared->env, info);
    *out = (struct scrape_headers){headers.items, headers.count};
    return err;
}

/* ---- life ---- */

enum err scrape_job_new(const struct scrape_shared *shared, struct prometheus_config *config,
                        const struct scrape_config *scrape, struct scrape_job **job,
                        struct err_info *info)
{
    struct counted *counted = mem_zalloc(1, sizeof(*counted));
    struct buf accept;
    enum err err;

    counted->job = (struct scrape_job){
        .shared = shared,
        .config = prometheus_config_ref(config),
        .scrape = scrape,
        .offset_seed = target_offset_seed(shared->hostname, config->global.external_labels),
        .has_files = remote_http_has_files(&scrape->http)};
    atomic_init(&counted->refs, 1);
    buf_init(&accept, ACCEPT_SIZE_MAX);
    make_accept(scrape, &accept);
    ASSERT(accept.err == ERR_OK);
    memcpy(counted->accept, accept.data, accept.len);
    counted->job.accept = slice_of(counted->accept, accept.len);
    buf_fini(&accept);
    err = scrape_job_unix_client(&counted->job, NULL, &counted->job.client, info);
    if (err != ERR_OK) {
        err_prefix(info, "scrape job \"%.*s\"", SLICE_ARG(scrape->job_name));
        scrape_job_unref(&counted->job);
        return err;
    }
    *job = &counted->job;
    return ERR_OK;
}

struct scrape_job *scrape_job_ref(struct scrape_job *job)
{
    struct counted *counted = CONTAINER_OF(job, struct counted, job);

    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return job;
}

void scrape_job_unref(struct scrape_job *job)
{
    struct counted *counted;

    if (job == NULL)
        return;
    counted = CONTAINER_OF(job, struct counted, job);
    if (atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) != 1)
        return;
    http_client_free(job->client);
    prometheus_config_unref(job->config);
    mem_free(counted);
}
