/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "scraper/scrape_append.h"
#include "support/fake_appender.h"

/* The first byte chooses format, limits and honor switches. The rest is a body that is scraped
 * twice, then nothing, as a loop does: a body that fails leaves nothing but markers, one that does
 * not is known from the cache the second time, and the last scrape marks each tracked series. */

static const char yaml[] = "scrape_configs:\n"
                           "- job_name: a\n"
                           "  metric_relabel_configs:\n"
                           "  - {action: drop, source_labels: [__name__], regex: 'x.*'}\n"
                           "  - {action: labelmap, regex: 'l(.+)', replacement: 'm$1'}\n"
                           "- job_name: b\n"
                           "  honor_labels: true\n"
                           "  honor_timestamps: false\n"
                           "  sample_limit: 3\n"
                           "  label_limit: 5\n"
                           "  extra_scrape_metrics: true\n"
                           "- job_name: c\n"
                           "  track_timestamps_staleness: true\n"
                           "  metric_name_validation_scheme: legacy\n";

struct setting {
    struct prometheus_config *config;
    struct target *targets[3];
    struct hash_key key;
};

static struct setting *make_setting(void)
{
    static struct setting setting;
    const struct prometheus_config_options options = {0};
    const uint8_t seed[HASH_KEY_SEED_SIZE] = {0};

    if (setting.config != NULL)
        return &setting;
    hash_key_init(&setting.key, seed);
    ASSERT(prometheus_config_parse(&options, slice_from_cstr(yaml), &setting.config, NULL) ==
           ERR_OK);
    for (int i = 0; i < 3; i++) {
        const struct label own = {SLICE("__address__"), SLICE("h:1")};
        const struct target_source source = {.scrape = &setting.config->scrapes[i],
                                             .own = {&own, 1}};

        ASSERT(target_new(&source, &setting.targets[i], NULL) == ERR_OK);
    }
    return &setting;
}

static void on_done(void *owner, const struct append_result *result)
{
    (void)owner;
    ASSERT(result->err == ERR_OK);
}

struct run {
    struct scrape_append append;
    struct scrape_report report;
    struct fake_appender fake;
};

static void begin(struct run *run)
{
    const struct append_options options = {.tenant = run->append.tenant, .origin = APPEND_SCRAPE};

    ASSERT(appender_begin(&run->fake.base, &options, &run->append.txn, NULL) == ERR_OK);
}

static bool scrape(struct run *run, struct slice content_type, struct slice body)
{
    struct scrape_append *append = &run->append;
    struct err_info info = {0};
    enum err err;

    append->scraped_count = append->relabelled_count = append->added_series_count = 0;
    append->has_sample_limit_fault = append->has_label_limit_fault = false;
    begin(run);
    err = scrape_append_body(append, content_type, body, &info);
    ASSERT((err == ERR_OK) == (info.message[0] == 0));
    ASSERT(append->relabelled_count <= append->scraped_count);
    if (err != ERR_OK) {
        append_abort(append->txn);
        begin(run);
    }
    scrape_append_stale(append, err == ERR_OK);
    scrape_append_report(append, &run->report, false);
    append_commit(append->txn, on_done, NULL);
    scrape_cache_settle(append->cache, (struct scrape_cache_outcome){.is_stored = true,
                                                                     .is_complete = err == ERR_OK});
    append->t_ms += 1000;
    return err == ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct setting *setting = make_setting();
    struct scrape_cache cache;
    struct arena scratch;
    struct slice content_type, body;
    struct run run = {0};
    bool is_good;

    if (size == 0)
        return 0;
    content_type = data[0] & 4 ? SLICE("application/openmetrics-text") : SLICE("text/plain");
    body = slice_of(data + 1, size - 1);
    fake_appender_init(&run.fake);
    scrape_cache_init(&cache, &setting->key);
    arena_init(&scratch, NULL, 16 << 20);
    run.append = (struct scrape_append){.scrape = &setting->config->scrapes[data[0] % 3],
                                        .target = setting->targets[data[0] % 3],
                                        .tenant = SLICE("t"),
                                        .hash_key = &setting->key,
                                        .cache = &cache,
                                        .scratch = &scratch,
                                        .t_ms = 1000};
    is_good = scrape(&run, content_type, body);
    ASSERT(scrape(&run, content_type, body) == is_good);
    ASSERT(!is_good || run.append.added_series_count == 0);
    ASSERT(scrape(&run, SLICE(""), SLICE("")));
    for (uint32_t i = 0; i < cache.count; i++)
        ASSERT(!cache.items[i]->is_tracked);
    arena_fini(&scratch);
    scrape_cache_fini(&cache);
    fake_appender_fini(&run.fake);
    return 0;
}
