/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the other modules of net see of a reactor: its loop, and hooks for its end. */

#include <uv.h>

#include "net/reactor.h"

/* Runs on the reactor's thread when its loop has ended: closes handles. The loop then runs until
 * all of them are closed. Embedded in its owner. */
struct reactor_exit {
    void (*fn)(struct reactor_exit *hook);
    struct reactor_exit *next; /* private */
};

/* On the reactor's thread only. */
uv_loop_t *reactor_loop(struct reactor *reactor);

/* Any thread, once per hook, before the reactors close. The last one runs first. */
void reactor_on_exit(struct reactor *reactor, struct reactor_exit *hook);

/* A place for the HTTP client's part of this reactor; used on its thread only. */
void **reactor_client_slot(struct reactor *reactor);
