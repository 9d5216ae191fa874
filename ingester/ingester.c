/* SPDX-License-Identifier: Apache-2.0 */
#include "ingester/ingester.h"

#include <stdio.h>

#include "base/mem.h"
#include "net/http_server.h"
#include "storage/db.h"

enum {
    INGESTER_FLUSH_WAIT_S = 600,
    INGESTER_LATE_MS_MIN = 3600 * 1000,
};

/* Upstream's rule, half a block range, is an hour at the default range. With short ranges it would
 * let one sample from a clock that is ahead shut out all others. */
static int64_t late_ms_max(int64_t block_range_ms)
{
    return block_range_ms / 2 > INGESTER_LATE_MS_MIN ? block_range_ms / 2 : INGESTER_LATE_MS_MIN;
}

const struct setting ingester_setting_table[] = {
    {"storage.block_range", SETTING_DURATION, offsetof(struct ingester_settings, block_range_ms),
     .value = "2h", .min = "1s", .max = "31d",
     .help = "Time range of one block; windows are aligned to it and flushed at one and a half."},
    {"storage.block_range_max", SETTING_DURATION,
     offsetof(struct ingester_settings, block_range_ms_max), .value = "31d", .min = "1s",
     .max = "1y",
     .help = "Blocks are merged into longer ones up to this range, and up to a tenth of the "
             "retention."},
    {"storage.tsdb.retention.time", SETTING_DURATION,
     offsetof(struct ingester_settings, retention_ms), .value = "0", .min = "0", .max = "100y",
     .flags = SETTING_FLAG_ONLY,
     .help = "Blocks that end so long before the newest one are removed. 0: never. The "
             "configuration file's storage.tsdb.retention.time goes before it."},
    {"storage.tsdb.retention.size", SETTING_SIZE,
     offsetof(struct ingester_settings, retention_size), .value = "0", .max = "1EiB",
     .flags = SETTING_FLAG_ONLY,
     .help = "The oldest blocks are removed while log and blocks are larger than this. 0: never. "
             "The configuration file's storage.tsdb.retention.size goes before it."},
    {"storage.series_max", SETTING_INT, offsetof(struct ingester_settings, series_max),
     .value = "0", .min = "0", .max = "1000000000",
     .help = "Most series in memory; new ones are refused. 0: no limit."},
    {"storage.wal_segment_size", SETTING_SIZE, offsetof(struct ingester_settings, wal_segment_size),
     .value = "32MiB", .min = "64KiB", .max = "1GiB", .help = "Size of one preallocated log file."},
    {"storage.checkpoint_size", SETTING_SIZE, offsetof(struct ingester_settings, checkpoint_size),
     .value = "256MiB", .min = "64KiB", .max = "1TiB",
     .help = "Bytes of log after which a checkpoint is written, which bounds the replay."},
    {"storage.low_space", SETTING_SIZE, offsetof(struct ingester_settings, low_space_size),
     .value = "64MiB", .min = "0", .max = "1PiB",
     .help =
         "Free space under which writes are refused, so that reads and flushes go on. 0: never."},
};
const size_t ingester_setting_count = COUNT_OF(ingester_setting_table);

struct ingester {
    struct ingester_options options;
    struct log log;
    struct db *db; /* owned */
};

enum err ingester_open(const struct ingester_options *options, struct ingester **out,
                       struct err_info *info)
{
    const struct ingester_settings *settings = options->settings;
    struct ingester *ingester = mem_zalloc(1, sizeof(*ingester));
    enum err err;

    ingester->options = *options;
    ingester->log = log_make((struct log_sink *)options->log_sink, "storage");
    err = db_open(
        &(struct db_options){.env = options->env,
                             .log = &ingester->log,
                             .registry = options->metrics,
                             .path = options->path,
                             .block_range_ms = settings->block_range_ms,
                             .compact_range_ms_max = settings->block_range_ms_max,
                             .retention = {settings->retention_ms, settings->retention_size},
                             .wal_segment_size = settings->wal_segment_size,
                             .low_space_bytes = settings->low_space_size,
                             .checkpoint_bytes = settings->checkpoint_size,
                             .future_ms_max = options->future_ms_max,
                             .late_ms_max = late_ms_max(settings->block_range_ms),
                             .series_max = (uint64_t)settings->series_max},
        &ingester->db, info);
    if (err != ERR_OK) {
        mem_free(ingester);
        return err;
    }
    *out = ingester;
    return ERR_OK;
}

enum err ingester_stop(struct ingester *ingester, uint64_t deadline_ns)
{
    return db_stop(ingester->db, deadline_ns);
}

void ingester_free(struct ingester *ingester)
{
    if (ingester == NULL)
        return;
    db_close(ingester->db);
    mem_free(ingester);
}

struct appender *ingester_appender(struct ingester *ingester)
{
    return db_appender(ingester->db);
}

struct source *ingester_source(struct ingester *ingester)
{
    return db_source(ingester->db);
}

void ingester_set_exemplar_max(struct ingester *ingester, int64_t max)
{
    db_set_exemplar_max(ingester->db, max <= 0 ? 0 : max > UINT32_MAX ? UINT32_MAX : (uint32_t)max);
}

struct db *ingester_db(struct ingester *ingester)
{
    return ingester->db;
}

const struct hash_key *ingester_hash_key(const struct ingester *ingester)
{
    return db_hash_key(ingester->db);
}

void ingester_set_retention(struct ingester *ingester, int64_t time_ms, uint64_t size_bytes)
{
    const struct ingester_settings *settings = ingester->options.settings;

    db_set_retention(ingester->db,
                     &(struct db_retention){
                         .time_ms = time_ms > 0 ? time_ms : settings->retention_ms,
                         .size_bytes = size_bytes > 0 ? size_bytes : settings->retention_size});
}

static void on_flush(struct http_request *req)
{
    struct ingester *ingester = req->owner;
    struct err_info info = {{0}};
    char text[ERR_MESSAGE_SIZE + 32];
    const struct db_flush_options options = {
        .all = true,
        .deadline_ns = req->start_ns + (uint64_t)INGESTER_FLUSH_WAIT_S * 1000000000,
        .cancelled = &req->is_gone,
    };
    const enum err err = db_flush(ingester->db, &options, &info);

    if (err == ERR_OK) {
        http_respond(req, &(struct http_response){.status = 204});
        return;
    }
    if (err != ERR_CANCELLED)
        log_error(&ingester->log, "flush failed", F_ERR(err, &info));
    snprintf(text, sizeof(text), "flush failed: %s\n", err_message(err, &info));
    http_respond_text(req, err_http_status(err), text);
}

void ingester_add_routes(struct ingester *ingester, struct http_server *server)
{
    http_server_route(server, &(struct http_route){.methods = HTTP_POST,
                                                   .path = "/ingester/flush",
                                                   .handler = on_flush,
                                                   .owner = ingester,
                                                   .pool = ENV_POOL_BACKGROUND});
}
