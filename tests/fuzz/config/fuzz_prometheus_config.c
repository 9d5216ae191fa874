/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "config/prometheus_config.h"

/* What loads can be printed, and what does not has a message. */

static void on_unserved(void *owner, struct slice file, uint32_t line, struct slice path)
{
    (void)owner;
    (void)file;
    (void)line;
    ASSERT(path.len != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct prometheus_config_options options = {0};
    struct prometheus_config *config;
    struct err_info info = {0};
    struct buf out;

    if (prometheus_config_parse(&options, slice_of(data, size), &config, &info) != ERR_OK) {
        ASSERT(info.message[0] != 0);
        return 0;
    }
    buf_init(&out, 16 << 20);
    prometheus_config_print(config, &out);
    prometheus_config_unserved(config, on_unserved, NULL);
    buf_fini(&out);
    prometheus_config_unref(config);
    return 0;
}
