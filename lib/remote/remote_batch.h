/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The items under way in a shard as a request of remote write 1.0 or 2.0. By the shard's job: the
 * items of the batch do not change meanwhile. Private to this folder. */

#include "remote/remote_shard.h"

/* Fills shard->body and shard->tally; items older than the receiver's limit are left out. A tally
 * of nothing: there is nothing to send. */
enum err remote_batch_encode(struct remote_shard *shard, struct err_info *info) MUST_USE;

/* Deals the batch out over rounds so that no round has two samples of one series: the n-th sample
 * of a series is in round n. A receiver that refuses a request as a whole for one sample that it
 * has already then takes what is new in it. */
void remote_batch_rounds(struct remote_shard *shard);
