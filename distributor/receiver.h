/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* receiver: remote write 1.0 and 2.0 over HTTP. A request becomes one transaction; the answer
 * follows when it is durable: 204 all stored, 400 with counts and first reasons for what was
 * refused (the rest is stored), 4xx for a request that cannot be read (nothing is stored), 5xx
 * where a repetition may succeed (nothing is stored).
 *
 *   body -> receive.h: series in place -> alias table -> add ... -> commit -> answer
 *
 * Answers to 2.0 also say how many samples, histograms and exemplars were written; those to 1.0
 * must not, since senders take that for a partial failure. 503 names a time to wait.
 *
 * Threads: handlers run on reactors, for larger bodies on the ingest pool. */

struct distributor;
struct http_server;
struct receiver;

struct receiver *receiver_new(struct distributor *distributor);
void receiver_free(struct receiver *receiver);
void receiver_add_routes(struct receiver *receiver, struct http_server *server);
/* What was checked by other rules than today's is looked at again. */
void receiver_forget_aliases(struct receiver *receiver);
