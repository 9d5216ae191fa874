/* SPDX-License-Identifier: Apache-2.0 */
#include "model/limits.h"

enum { LIMITS_TEXT_MAX = 32 };

struct limits limits_default(void)
{
    return (struct limits){
        .label_count_max = 100,
        .label_name_size_max = 1024,
        .label_value_size_max = 16 * 1024,
        .histogram_bucket_count_max = 1024,
        .request_size_max = 32 << 20, /* as the remote-write receiver of Prometheus */
        .request_series_count_max = 1 << 20,
        .future_ms_max = 10 * 60 * 1000,
        .query_sample_count_max = 50 * 1000 * 1000,
        .query_concurrency_max = 20,
    };
}

static enum err limits_check_size(size_t size, uint32_t max, const char *what, struct slice name,
                                  struct err_info *info)
{
    if (max == 0 || size <= max)
        return ERR_OK;
    if (name.len > LIMITS_TEXT_MAX)
        name.len = LIMITS_TEXT_MAX;
    return err_set(info, ERR_LIMIT, "%s \"%.*s\" has %zu bytes, the limit is %u", what,
                   SLICE_ARG(name), size, max);
}

enum err limits_check_labels(const struct limits *limits, struct label_set set,
                             struct err_info *info)
{
    if (limits->label_count_max != 0 && set.count > limits->label_count_max)
        return err_set(info, ERR_LIMIT, "series has %u labels, the limit is %u", set.count,
                       limits->label_count_max);
    for (uint32_t i = 0; i < set.count; i++) {
        const struct label *label = &set.items[i];
        enum err err = limits_check_size(label->name.len, limits->label_name_size_max, "label name",
                                         label->name, info);

        if (err == ERR_OK)
            err = limits_check_size(label->value.len, limits->label_value_size_max,
                                    "value of label", label->name, info);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}
