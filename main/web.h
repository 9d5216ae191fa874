/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The routes that belong to no role: /metrics, /-/ready, /-/healthy, /-/reload, /-/quit, /version,
 * /api/v1/status and the administrative ones that only say whether they are on. Threads: handlers
 * on reactors; what changes the server runs on the thread that waits for its signals. */

#include <stdatomic.h>

#include "base/env.h"
#include "base/metric.h"
#include "main/flags.h"
#include "net/http_server.h"
#include "net/signals.h"

struct web;

struct web_options {
    struct env *env;
    struct metric_registry *metrics;
    const struct flags *flags;
    struct signals *signals;
    /* Reloads the configuration; a failure leaves the old one in force and says why. */
    enum err (*reload)(void *owner, struct err_info *info);
    /* Appends the configuration in force, secrets left out. */
    void (*print_config)(void *owner, struct buf *out);
    void *owner;
};

struct web *web_new(const struct web_options *options);
void web_free(struct web *web);
/* Those that are there before the server is ready, too. */
void web_add_routes(struct web *web, struct http_server *server);

/* From when on /-/ready says so, and until when reloads are taken. */
void web_set_ready(struct web *web, bool ready);

/* Reloads once and answers all requests that have asked for it so far. On the thread that got
 * SIGNALS_RELOAD, which a request for a reload raises as SIGHUP does. */
void web_reload(struct web *web);
