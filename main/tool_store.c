/* SPDX-License-Identifier: Apache-2.0 */
#include "main/tool_store.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env_real.h"
#include "main/paths.h"
#include "net/env_net.h"

enum { TOOL_PATH_SIZE = 1100 };

/* A server's directory has an identity; without this look a mistyped path would become one. */
enum err tool_store_check(const char *path, struct err_info *info)
{
    char identity[TOOL_PATH_SIZE];
    struct stat st;

    if ((size_t)snprintf(identity, sizeof(identity), "%s/identity", path) >= sizeof(identity) ||
        stat(identity, &st) != 0)
        return err_set(info, ERR_NOT_FOUND, "%s is no data directory of Narthex", path);
    return ERR_OK;
}

enum err tool_store_open(struct tool_store *store, const struct tool_store_options *options,
                         struct err_info *info)
{
    const struct env_net_options env_options = {.reactors = NULL};
    enum err err = options->makes ? paths_check_data_dir(options->path, info)
                                  : tool_store_check(options->path, info);

    if (err != ERR_OK)
        return err;
    *store = (struct tool_store){.db = NULL};
    env_real_init(&store->env);
    log_sink_init(&store->log_sink, STDERR_FILENO, LOG_WARN, LOG_LOGFMT);
    store->log = log_make(&store->log_sink, NULL);
    err = env_net_open(&store->env, &env_options, info);
    if (err != ERR_OK)
        return err;
    store->env.timer = NULL; /* nothing is flushed by itself */
    const struct db_options db_options = {
        .env = &store->env, .log = &store->log, .path = options->path};
    err = db_open(&db_options, &store->db, info);
    if (err != ERR_OK) {
        env_net_stop(&store->env);
        env_net_close(&store->env);
        store->db = NULL;
    }
    return err;
}

enum err tool_store_close(struct tool_store *store, struct err_info *info)
{
    const enum err err = db_stop(store->db, 0);

    env_net_stop(&store->env);
    db_close(store->db);
    env_net_close(&store->env);
    store->db = NULL;
    return err == ERR_OK ? ERR_OK : err_set(info, err, "stopping the storage: %s", err_text(err));
}
