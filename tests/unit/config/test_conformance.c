/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env_real.h"
#include "config/prometheus_config.h"

/* Upstream's own sample files: each good one loads, each bad one is refused, and the message names
 * the fault. */

#define DIR_PATH NARTHEX_TEST_DATA "/conformance/config"

static const struct {
    const char *file, *message;
} refusals[] = {
    {"azure_authentication_method.bad.yml", "unknown authentication_type \"invalid\""},
    {"azure_bearertoken_basicauth.bad.yml",
     "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured"},
    {"azure_client_id_missing.bad.yml", "azure SD configuration requires a client_id"},
    {"azure_client_secret_missing.bad.yml", "azure SD configuration requires a client_secret"},
    {"azure_subscription_id_missing.bad.yml", "azure SD configuration requires a subscription_id"},
    {"azure_tenant_id_missing.bad.yml", "azure SD configuration requires a tenant_id"},
    {"bearertoken.bad.yml", "at most one of bearer_token & bearer_token_file must be configured"},
    {"bearertoken_basicauth.bad.yml",
     "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured"},
    {"config_with_deprecated_am_api_config.yml",
     "expected Alertmanager api version to be one of [v2] but got v1"},
    {"dropequal.bad.yml",
     "relabel configuration for dropequal action requires 'target_label' value"},
    {"dropequal1.bad.yml",
     "dropequal action requires only 'source_labels' and 'target_label', and no other fields"},
    {"ec2_filters_empty_values.bad.yml", "EC2 SD configuration filter values cannot be empty"},
    {"ec2_token_file.bad.yml",
     "at most one of bearer_token & bearer_token_file must be configured"},
    {"empty_alert_relabel_config.bad.yml", "empty or null alert relabeling rule"},
    {"empty_alertmanager_relabel_config.bad.yml",
     "empty or null Alertmanager target relabeling rule"},
    {"empty_metric_relabel_config.bad.yml", "empty or null metric relabeling rule"},
    {"empty_rr_config.bad.yml", "empty or null remote read config section"},
    {"empty_rw_config.bad.yml", "empty or null remote write config section"},
    {"empty_rw_relabel_config.bad.yml", "empty or null relabeling rule in remote write config"},
    {"empty_scrape_config.bad.yml", "empty or null scrape config section"},
    {"empty_scrape_config_action.bad.yml", "relabel action cannot be empty"},
    {"empty_static_config.bad.yml", "empty or null section in static_configs"},
    {"empty_target_relabel_config.bad.yml", "empty or null target relabeling rule"},
    {"eureka_invalid_server.bad.yml", "invalid eureka server URL"},
    {"eureka_no_server.bad.yml", "empty or null eureka server"},
    {"hetzner_role.bad.yml", "unknown role"},
    {"http_token_file.bad.yml",
     "at most one of bearer_token & bearer_token_file must be configured"},
    {"http_url_bad_scheme.bad.yml", "URL scheme must be 'http' or 'https'"},
    {"http_url_no_host.bad.yml", "host is missing in URL"},
    {"http_url_no_scheme.bad.yml", "URL scheme must be 'http' or 'https'"},
    {"ionos_datacenter.bad.yml", "datacenter id can't be empty"},
    {"jobname.bad.yml", "job_name is empty"},
    {"jobname_dup.bad.yml", "found multiple scrape configs with job name \"prometheus\""},
    {"keepequal.bad.yml",
     "relabel configuration for keepequal action requires 'target_label' value"},
    {"keepequal1.bad.yml",
     "keepequal action requires only 'source_labels' and 'target_label', and no other fields"},
    {"kubernetes_api_server_with_own_namespace.bad.yml",
     "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously"},
    {"kubernetes_authorization_basicauth.bad.yml",
     "at most one of basic_auth, oauth2 & authorization must be configured"},
    {"kubernetes_bearertoken.bad.yml",
     "at most one of bearer_token & bearer_token_file must be configured"},
    {"kubernetes_bearertoken_basicauth.bad.yml",
     "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured"},
    {"kubernetes_http_config_without_api_server.bad.yml",
     "to use custom HTTP client configuration please provide the 'api_server' URL explicitly"},
    {"kubernetes_kubeconfig_with_apiserver.bad.yml",
     "cannot use 'kubeconfig_file' and 'api_server' simultaneously"},
    {"kubernetes_kubeconfig_with_http_config.bad.yml",
     "cannot use a custom HTTP client configuration together with 'kubeconfig_file'"},
    {"kubernetes_kubeconfig_with_own_namespace.bad.yml",
     "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously"},
    {"kubernetes_namespace_discovery.bad.yml", "field foo not found"},
    {"kubernetes_role.bad.yml", "role"},
    {"kubernetes_selectors_duplicated_role.bad.yml", "duplicated selector role: pod"},
    {"kubernetes_selectors_endpoints.bad.yml",
     "endpoints role supports only pod, service, endpoints selectors"},
    {"kubernetes_selectors_incorrect_selector.bad.yml",
     "invalid selector: 'metadata.status-Running'; can't understand 'metadata.status-Running'"},
    {"kubernetes_selectors_ingress.bad.yml", "ingress role supports only ingress selectors"},
    {"kubernetes_selectors_node.bad.yml", "node role supports only node selectors"},
    {"kubernetes_selectors_pod.bad.yml", "pod role supports only pod, node selectors"},
    {"kubernetes_selectors_service.bad.yml", "service role supports only service selectors"},
    {"labeldrop.bad.yml", "labeldrop action requires only 'regex', and no other fields"},
    {"labeldrop2.bad.yml", "labeldrop action requires only 'regex', and no other fields"},
    {"labeldrop3.bad.yml", "labeldrop action requires only 'regex', and no other fields"},
    {"labeldrop4.bad.yml", "labeldrop action requires only 'regex', and no other fields"},
    {"labeldrop5.bad.yml", "labeldrop action requires only 'regex', and no other fields"},
    {"labelkeep.bad.yml", "labelkeep action requires only 'regex', and no other fields"},
    {"labelkeep2.bad.yml", "labelkeep action requires only 'regex', and no other fields"},
    {"labelkeep3.bad.yml", "labelkeep action requires only 'regex', and no other fields"},
    {"labelkeep4.bad.yml", "labelkeep action requires only 'regex', and no other fields"},
    {"labelkeep5.bad.yml", "labelkeep action requires only 'regex', and no other fields"},
    {"labelmap.bad.yml", "!!binary value contains invalid base64 data"},
    {"labelname.bad.yml", "is not a valid label name"},
    {"labelvalue.bad.yml", "is not a valid label value"},
    {"lightsail_token_file.bad.yml",
     "at most one of bearer_token & bearer_token_file must be configured"},
    {"lowercase.bad.yml",
     "relabel configuration for lowercase action requires 'target_label' value"},
    {"lowercase3.bad.yml", "'replacement' can not be set for lowercase action"},
    {"marathon_authtoken_authorization.bad.yml",
     "marathon_sd: at most one of auth_token, auth_token_file & authorization must be configured"},
    {"marathon_authtoken_authtokenfile.bad.yml",
     "marathon_sd: at most one of auth_token & auth_token_file must be configured"},
    {"marathon_authtoken_basicauth.bad.yml",
     "marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured"},
    {"marathon_authtoken_bearertoken.bad.yml",
     "marathon_sd: at most one of bearer_token, bearer_token_file, auth_token & auth_token_file "
     "must be configured"},
    {"marathon_no_servers.bad.yml", "marathon_sd: must contain at least one Marathon server"},
    {"metric_name_validation_scheme.bad.yml", "unrecognized ValidationScheme: \"invalid_scheme\""},
    {"modulus_missing.bad.yml", "relabel configuration for hashmod requires non-zero modulus"},
    {"oci_authentication_method.bad.yml",
     "oci_sd: unknown auth method \"invalid\", expected \"api_key\" or \"instance_principal\""},
    {"openstack_availability.bad.yml",
     "unknown availability invalid, must be one of admin, internal or public"},
    {"openstack_role.bad.yml", "unknown OpenStack SD role"},
    {"otlp_allow_utf8.bad.yml", "unsupported OTLP translation strategy"},
    {"otlp_allow_utf8.incompatible.yml", "is not allowed when UTF8 is disabled"},
    {"otlp_ignore_resource_attributes_without_promote_all.bad.yml",
     "'ignore_resource_attributes' cannot be configured unless"},
    {"otlp_no_translation.incompatible.yml", "is not allowed when UTF8 is disabled"},
    {"otlp_promote_all_resource_attributes.bad.yml", "cannot be configured simultaneously"},
    {"otlp_sanitize_ignore_resource_attributes.bad.yml", "ignored OTel resource attribute"},
    {"otlp_sanitize_promote_resource_attributes.bad.yml", "promoted OTel resource attribute"},
    {"outscale_no_region.bad.yml", "outscale SD configuration requires a region"},
    {"outscale_no_secret.bad.yml", "one of secret_key & secret_key_file must be configured"},
    {"outscale_two_secrets.bad.yml",
     "at most one of secret_key & secret_key_file must be configured"},
    {"ovhcloud_bad_service.bad.yml", "unknown service: fakeservice"},
    {"ovhcloud_no_secret.bad.yml", "application secret can not be empty"},
    {"puppetdb_bad_url.bad.yml", "host is missing in URL"},
    {"puppetdb_no_query.bad.yml", "query missing"},
    {"puppetdb_no_scheme.bad.yml", "URL scheme must be 'http' or 'https'"},
    {"puppetdb_no_url.bad.yml", "URL is missing"},
    {"puppetdb_token_file.bad.yml",
     "at most one of bearer_token & bearer_token_file must be configured"},
    {"regex.bad.yml", "error parsing regexp"},
    {"remote_read_dup.bad.yml", "found multiple remote read configs with job name \"queue1\""},
    {"remote_read_header.bad.yml",
     "x-prometheus-remote-write-version is a reserved header. It must not be changed"},
    {"remote_read_url_missing.bad.yml", "url for remote_read is empty"},
    {"remote_write_authorization_header.bad.yml",
     "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, "
     "azuread or google_iam parameter"},
    {"remote_write_dup.bad.yml", "found multiple remote write configs with job name \"queue1\""},
    {"remote_write_header.bad.yml",
     "x-prometheus-remote-write-version is a reserved header. It must not be changed"},
    {"remote_write_queue_capacity_zero.bad.yml", "remote write queue capacity must be positive"},
    {"remote_write_queue_max_backoff_less_than_min.bad.yml",
     "remote write queue max_backoff must not be less than min_backoff"},
    {"remote_write_queue_max_samples_per_send_zero.bad.yml",
     "remote write queue max_samples_per_send must be positive"},
    {"remote_write_queue_max_shards_zero.bad.yml",
     "remote write queue max_shards must be positive"},
    {"remote_write_queue_min_shards_greater_than_max.bad.yml",
     "remote write queue min_shards must not be greater than max_shards"},
    {"remote_write_queue_min_shards_zero.bad.yml",
     "remote write queue min_shards must be positive"},
    {"remote_write_url_missing.bad.yml", "url for remote_write is empty"},
    {"remote_write_wrong_msg.bad.yml",
     "invalid protobuf_message value: unknown type for remote write protobuf message "
     "io.prometheus.writet.v2.Request, supported: prometheus.WriteRequest, "
     "io.prometheus.write.v2.Request"},
    {"rules.bad.yml", "invalid rule file path"},
    {"scaleway_no_secret.bad.yml", "one of secret_key & secret_key_file must be configured"},
    {"scaleway_role.bad.yml", "unknown role \"invalid\""},
    {"scaleway_two_secrets.bad.yml",
     "at most one of secret_key & secret_key_file must be configured"},
    {"scrape_body_size_limit.bad.yml", "units: unknown unit  in 100"},
    {"scrape_config_files.bad.yml", "scrape timeout greater than scrape interval"},
    {"scrape_config_files_double_import.bad.yml",
     "found multiple scrape configs with job name \"prometheus\""},
    {"scrape_config_files_duplicate.bad.yml",
     "found multiple scrape configs with job name \"prometheus\""},
    {"scrape_config_files_fallback_scrape_protocol1.bad.yml",
     "invalid fallback_scrape_protocol for scrape config with job name \"node\": unknown scrape "
     "protocol prometheusproto"},
    {"scrape_config_files_fallback_scrape_protocol2.bad.yml", "expected a single value"},
    {"scrape_config_files_glob.bad.yml", "invalid scrape config file path \""},
    {"scrape_config_files_global.bad.yml", "scrape timeout greater than scrape interval"},
    {"scrape_config_files_global_duplicate.bad.yml",
     "found multiple scrape configs with job name \"prometheus\""},
    {"scrape_config_files_scrape_protocols.bad.yml",
     "scrape_protocols: unknown scrape protocol prometheusproto"},
    {"scrape_config_files_scrape_protocols2.bad.yml", "duplicated protocol in scrape_protocols"},
    {"scrape_config_utf8_conflicting.bad.yml",
     "utf8 metric names requested but validation scheme is not set to UTF8"},
    {"scrape_interval.bad.yml", "scrape timeout greater than scrape interval"},
    {"section_key_dup.bad.yml", "\"scrape_configs\" already defined"},
    {"stackit_endpoint.bad.yml", "invalid endpoint"},
    {"static_config.bad.yml", "field targets not found"},
    {"target_label_hashmod_missing.bad.yml",
     "relabel configuration for hashmod action requires 'target_label' value"},
    {"target_label_missing.bad.yml",
     "relabel configuration for replace action requires 'target_label' value"},
    {"tracing_invalid_authorization_header.bad.yml",
     "authorization header configuration is not yet supported"},
    {"tracing_invalid_compression.bad.yml",
     "invalid compression type foo provided, valid options: gzip"},
    {"tracing_invalid_header.bad.yml",
     "x-prometheus-remote-write-version is a reserved header. It must not be changed"},
    {"tracing_missing_endpoint.bad.yml", "tracing endpoint must be set"},
    {"tsdb_chunk_encoding_floats.bad.yml",
     "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted "
     "entirely, got \"xor3\""},
    {"tsdb_chunk_encoding_floats_wrong_case.bad.yml",
     "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted "
     "entirely, got \"XOR\""},
    {"tsdb_chunk_encoding_floats_wrong_case_xor2.bad.yml",
     "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted "
     "entirely, got \"XOR2\""},
    {"tsdb_retention_percentage.bad.yml",
     "'storage.tsdb.retention.percentage' must be in the range [0, 100]"},
    {"tsdb_retention_percentage_negative.bad.yml",
     "'storage.tsdb.retention.percentage' must be in the range [0, 100]"},
    {"tsdb_retention_size.bad.yml",
     "'storage.tsdb.retention.size' must be greater than or equal to 0"},
    {"tsdb_retention_time.bad.yml", "not a valid duration string: \"-1h\""},
    {"unknown_attr.bad.yml", "field consult_sd_configs not found"},
    {"unknown_global_attr.bad.yml", "field nonexistent_field not found"},
    {"uppercase.bad.yml",
     "relabel configuration for uppercase action requires 'target_label' value"},
    {"uppercase3.bad.yml", "'replacement' can not be set for uppercase action"},
    {"url_in_targetgroup.bad.yml", "\"http://bad\" is not a valid hostname"},
    {"uyuni_no_server.bad.yml", "Uyuni SD configuration requires server host"},
    {"uyuni_token_file.bad.yml",
     "at most one of bearer_token & bearer_token_file must be configured"},
};

/* Good ones that are not called so. */
static const char *const accepted[] = {
    "agent_mode.with_alert_manager.yml",
    "agent_mode.with_alert_relabels.yml",
    "agent_mode.with_remote_reads.yml",
    "agent_mode.with_rule_files.yml",
    "agent_mode.without_remote_writes.yml",
    "otlp_empty.yml",
    "scrape_config_default_validation_mode.yml",
    "scrape_config_global_validation_mode.yml",
    "scrape_config_local_global_validation_mode.yml",
    "scrape_config_local_infer_escaping.yml",
    "scrape_config_local_validation_mode.yml",
};

static enum err load(const char *file, bool agent, struct prometheus_config **config,
                     struct err_info *info)
{
    static struct env env;
    char path[512];
    struct prometheus_config_options options = {.env = &env, .path = path, .agent = agent};

    env_real_init(&env);
    snprintf(path, sizeof(path), "%s/%s", DIR_PATH, file);
    return prometheus_config_load(&options, config, info);
}

static const char *refusal_of(const char *file)
{
    for (size_t i = 0; i < COUNT_OF(refusals); i++)
        if (strcmp(refusals[i].file, file) == 0)
            return refusals[i].message;
    return NULL;
}

static bool is_accepted(const char *file)
{
    for (size_t i = 0; i < COUNT_OF(accepted); i++)
        if (strcmp(accepted[i], file) == 0)
            return true;
    return strstr(file, ".good.yml") != NULL;
}

static int check_file(const char *file)
{
    const char *refusal = refusal_of(file);
    struct prometheus_config *config = NULL;
    struct err_info info = {0};
    const enum err err = load(file, false, &config, &info);
    int failed = 0;

    if (refusal == NULL && !is_accepted(file)) {
        print_error("%s: no expectation\n", file);
        failed = 1;
    } else if (refusal == NULL && err != ERR_OK) {
        print_error("%s: refused: %s\n", file, err_message(err, &info));
        failed = 1;
    } else if (refusal != NULL && err == ERR_OK) {
        print_error("%s: accepted, expected: %s\n", file, refusal);
        failed = 1;
    } else if (refusal != NULL && strstr(info.message, refusal) == NULL &&
               strstr(info.message, "...") == NULL) {
        print_error("%s: %s\n  expected: %s\n", file, info.message, refusal);
        failed = 1;
    }
    if (err == ERR_OK)
        prometheus_config_unref(config);
    return failed;
}

static void test_all_files(void **state)
{
    DIR *dir = opendir(DIR_PATH);
    const struct dirent *entry;
    int failed = 0, count = 0;

    (void)state;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strstr(entry->d_name, ".yml") == NULL)
            continue;
        failed += check_file(entry->d_name);
        count++;
    }
    closedir(dir);
    assert_int_equal(failed, 0);
    assert_true(count > 200);
}

static void test_agent_mode(void **state)
{
    static const char *const refused[] = {
        "agent_mode.with_alert_manager.yml", "agent_mode.with_alert_relabels.yml",
        "agent_mode.with_remote_reads.yml", "agent_mode.with_rule_files.yml"};
    struct prometheus_config *config;
    struct err_info info;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        info = (struct err_info){0};
        check_err_info(ERR_BAD_INPUT, load(refused[i], true, &config, &info), &info);
        check_message("is not allowed in agent mode", &info);
    }
    info = (struct err_info){0};
    check_err_info(ERR_OK, load("agent_mode.good.yml", true, &config, &info), &info);
    prometheus_config_unref(config);
}

/* What is printed loads again and prints the same. */
static void check_round_trip(const char *file)
{
    struct prometheus_config *config, *again;
    struct err_info info = {0};
    struct buf first, second;
    const struct prometheus_config_options options = {0};

    buf_init(&first, 1 << 20);
    buf_init(&second, 1 << 20);
    check_err_info(ERR_OK, load(file, false, &config, &info), &info);
    prometheus_config_print(config, &first);
    check_err_info(ERR_OK, prometheus_config_parse(&options, buf_slice(&first), &again, &info),
                   &info);
    prometheus_config_print(again, &second);
    if (!slice_eq(buf_slice(&first), buf_slice(&second)))
        fail_msg("%s prints differently the second time:\n%.*s\n---\n%.*s", file,
                 SLICE_ARG(buf_slice(&first)), SLICE_ARG(buf_slice(&second)));
    prometheus_config_unref(config);
    prometheus_config_unref(again);
    buf_fini(&first);
    buf_fini(&second);
}

static void test_print_round_trip(void **state)
{
    (void)state;
    check_round_trip("roundtrip.good.yml");
    check_round_trip("kubernetes_selectors_pod.good.yml");
    check_round_trip("otlp_promote_scope_metadata.good.yml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_files),
        cmocka_unit_test(test_agent_mode),
        cmocka_unit_test(test_print_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
