/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tables of this folder share: short forms of fields, and the types and checks that
 * several sections use. */

#include "config/http_config.h"
#include "config/schema.h"
#include "model/labels.h"
#include "model/relabel.h"

#define BOOL_FIELD(k, ...)                                                                         \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_BOOL, ##__VA_ARGS__                                             \
    }
#define INT_FIELD(k, ...)                                                                          \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_INT, ##__VA_ARGS__                                              \
    }
#define UINT_FIELD(k, ...)                                                                         \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_UINT, ##__VA_ARGS__                                             \
    }
#define FLOAT_FIELD(k, ...)                                                                        \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_FLOAT, ##__VA_ARGS__                                            \
    }
#define STRING_FIELD(k, ...)                                                                       \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_STRING, ##__VA_ARGS__                                           \
    }
#define SECRET_FIELD(k, ...)                                                                       \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_SECRET, ##__VA_ARGS__                                           \
    }
#define PATH_FIELD(k, ...)                                                                         \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_PATH, ##__VA_ARGS__                                             \
    }
#define DURATION_FIELD(k, ...)                                                                     \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_DURATION, ##__VA_ARGS__                                         \
    }
#define SIZE_FIELD(k, ...)                                                                         \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_SIZE, ##__VA_ARGS__                                             \
    }
#define URL_FIELD(k, ...)                                                                          \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_URL, ##__VA_ARGS__                                              \
    }
#define STRINGS_FIELD(k, ...)                                                                      \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_STRING, .shape = SCHEMA_LIST, ##__VA_ARGS__                     \
    }
#define ENUM_FIELD(k, w, e, ...)                                                                   \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_ENUM, .words = (w), .word_error = (e), ##__VA_ARGS__            \
    }
#define STRUCT_FIELD(k, t, ...)                                                                    \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_STRUCT, .type = (t), ##__VA_ARGS__                              \
    }
#define STRUCTS_FIELD(k, t, ...)                                                                   \
    {                                                                                              \
        .key = (k), .kind = SCHEMA_STRUCT, .shape = SCHEMA_LIST, .type = (t), ##__VA_ARGS__        \
    }

/* The members of every section that calls out over HTTP, with flags for those served there. */
#define HTTP_CONFIG_FIELDS(served, http2)                                                          \
    STRUCT_FIELD("basic_auth", &http_config_basic_auth_type, .flags = SCHEMA_OPTIONAL | (served)), \
        STRUCT_FIELD("authorization", &http_config_authorization_type,                             \
                     .flags = SCHEMA_OPTIONAL | (served)),                                         \
        STRUCT_FIELD("oauth2", &http_config_oauth2_type, .flags = SCHEMA_OPTIONAL),                \
        SECRET_FIELD("bearer_token", .flags = (served)),                                           \
        PATH_FIELD("bearer_token_file", .flags = (served)),                                        \
        STRUCT_FIELD("tls_config", &http_config_tls_type, .flags = (served)),                      \
        BOOL_FIELD("follow_redirects", .value = "true", .flags = SCHEMA_KEEP | (served)),          \
        BOOL_FIELD("enable_http2", .value = (http2), .flags = SCHEMA_KEEP | (served)),             \
        HTTP_CONFIG_PROXY_FIELDS(served),                                                          \
    {                                                                                              \
        .key = "http_headers", .kind = SCHEMA_STRUCT, .shape = SCHEMA_MAP,                         \
        .type = &http_config_header_type, .flags = (served)                                        \
    }

#define HTTP_CONFIG_PROXY_FIELDS(served)                                                           \
    URL_FIELD("proxy_url", .flags = (served)), STRING_FIELD("no_proxy", .flags = (served)),        \
        BOOL_FIELD("proxy_from_environment", .flags = (served)),                                   \
    {                                                                                              \
        .key = "proxy_connect_header", .kind = SCHEMA_SECRET, .shape = SCHEMA_MAP_LIST             \
    }

extern const struct schema_type http_config_basic_auth_type, http_config_authorization_type,
    http_config_oauth2_type, http_config_tls_type, http_config_header_type;

/* The rules over HTTP_CONFIG_FIELDS of a section. Moves bearer_token to authorization. */
enum err http_config_check(struct schema_ctx *ctx, struct schema_value *value);
/* All of HTTP_CONFIG_FIELDS have their defaults. */
bool http_config_is_default(const struct schema_value *value);
/* Reads the section's HTTP_CONFIG_FIELDS. */
enum err http_config_fill(struct schema_ctx *ctx, const struct schema_value *value,
                          struct http_config *http) MUST_USE;
/* The elements of a list of texts. */
enum err http_config_texts(struct schema_ctx *ctx, const struct schema_value *list,
                           const struct slice **texts) MUST_USE;

extern const struct schema_type relabel_schema_type;

struct relabel_schema_list {
    const struct relabel_config *items;
    uint32_t count;
};
/* Makes the rules of a list; refuses what model/relabel.h refuses. No element is null. */
enum err relabel_schema_fill(struct schema_ctx *ctx, const struct schema_value *list,
                             enum label_scheme scheme, struct relabel_schema_list *out) MUST_USE;

/* static_configs elements. */
extern const struct schema_type discovery_schema_static_type;
/* Checks the discovery lists of a section: none of their elements is null. */
enum err discovery_schema_check_lists(struct schema_ctx *ctx, const struct schema_value *value);
/* No static target of the section has a slash in it. */
enum err discovery_schema_check_targets(struct schema_ctx *ctx, const struct schema_value *value);

/* Fields of a section that discovers targets, in upstream's order. */
#define DISCOVERY_FIELDS                                                                           \
    STRUCTS_FIELD("aws_sd_configs", &discovery_schema_aws_type),                                   \
        STRUCTS_FIELD("azure_sd_configs", &discovery_schema_azure_type),                           \
        STRUCTS_FIELD("consul_sd_configs", &discovery_schema_consul_type),                         \
        STRUCTS_FIELD("digitalocean_sd_configs", &discovery_schema_digitalocean_type),             \
        STRUCTS_FIELD("dns_sd_configs", &discovery_schema_dns_type),                               \
        STRUCTS_FIELD("docker_sd_configs", &discovery_schema_docker_type),                         \
        STRUCTS_FIELD("dockerswarm_sd_configs", &discovery_schema_dockerswarm_type),               \
        STRUCTS_FIELD("ec2_sd_configs", &discovery_schema_ec2_type),                               \
        STRUCTS_FIELD("ecs_sd_configs", &discovery_schema_ecs_type),                               \
        STRUCTS_FIELD("elasticache_sd_configs", &discovery_schema_elasticache_type),               \
        STRUCTS_FIELD("eureka_sd_configs", &discovery_schema_eureka_type),                         \
        STRUCTS_FIELD("file_sd_configs", &discovery_schema_file_type, .flags = SCHEMA_SERVED),     \
        STRUCTS_FIELD("gce_sd_configs", &discovery_schema_gce_type),                               \
        STRUCTS_FIELD("hetzner_sd_configs", &discovery_schema_hetzner_type),                       \
        STRUCTS_FIELD("http_sd_configs", &discovery_schema_http_type),                             \
        STRUCTS_FIELD("ionos_sd_configs", &discovery_schema_ionos_type),                           \
        STRUCTS_FIELD("kubernetes_sd_configs", &discovery_schema_kubernetes_type),                 \
        STRUCTS_FIELD("kuma_sd_configs", &discovery_schema_kuma_type),                             \
        STRUCTS_FIELD("lightsail_sd_configs", &discovery_schema_lightsail_type),                   \
        STRUCTS_FIELD("linode_sd_configs", &discovery_schema_linode_type),                         \
        STRUCTS_FIELD("marathon_sd_configs", &discovery_schema_marathon_type),                     \
        STRUCTS_FIELD("msk_sd_configs", &discovery_schema_msk_type),                               \
        STRUCTS_FIELD("nerve_sd_configs", &discovery_schema_nerve_type),                           \
        STRUCTS_FIELD("nomad_sd_configs", &discovery_schema_nomad_type),                           \
        STRUCTS_FIELD("oci_sd_configs", &discovery_schema_oci_type),                               \
        STRUCTS_FIELD("openstack_sd_configs", &discovery_schema_openstack_type),                   \
        STRUCTS_FIELD("outscale_sd_configs", &discovery_schema_outscale_type),                     \
        STRUCTS_FIELD("ovhcloud_sd_configs", &discovery_schema_ovhcloud_type),                     \
        STRUCTS_FIELD("puppetdb_sd_configs", &discovery_schema_puppetdb_type),                     \
        STRUCTS_FIELD("rds_sd_configs", &discovery_schema_rds_type),                               \
        STRUCTS_FIELD("scaleway_sd_configs", &discovery_schema_scaleway_type),                     \
        STRUCTS_FIELD("serverset_sd_configs", &discovery_schema_serverset_type),                   \
        STRUCTS_FIELD("stackit_sd_configs", &discovery_schema_stackit_type),                       \
        STRUCTS_FIELD("static_configs", &discovery_schema_static_type, .flags = SCHEMA_SERVED),    \
        STRUCTS_FIELD("triton_sd_configs", &discovery_schema_triton_type),                         \
        STRUCTS_FIELD("uyuni_sd_configs", &discovery_schema_uyuni_type),                           \
        STRUCTS_FIELD("vultr_sd_configs", &discovery_schema_vultr_type)

extern const struct schema_type discovery_schema_aws_type, discovery_schema_azure_type,
    discovery_schema_consul_type, discovery_schema_digitalocean_type, discovery_schema_dns_type,
    discovery_schema_docker_type, discovery_schema_dockerswarm_type, discovery_schema_ec2_type,
    discovery_schema_ecs_type, discovery_schema_elasticache_type, discovery_schema_eureka_type,
    discovery_schema_file_type, discovery_schema_gce_type, discovery_schema_hetzner_type,
    discovery_schema_http_type, discovery_schema_ionos_type, discovery_schema_kubernetes_type,
    discovery_schema_kuma_type, discovery_schema_lightsail_type, discovery_schema_linode_type,
    discovery_schema_marathon_type, discovery_schema_msk_type, discovery_schema_nerve_type,
    discovery_schema_nomad_type, discovery_schema_oci_type, discovery_schema_openstack_type,
    discovery_schema_outscale_type, discovery_schema_ovhcloud_type, discovery_schema_puppetdb_type,
    discovery_schema_rds_type, discovery_schema_scaleway_type, discovery_schema_serverset_type,
    discovery_schema_stackit_type, discovery_schema_triton_type, discovery_schema_uyuni_type,
    discovery_schema_vultr_type;

extern const struct schema_type prometheus_schema_storage_type, prometheus_schema_tracing_type,
    prometheus_schema_sigv4_type, prometheus_schema_remote_write_type,
    prometheus_schema_remote_read_type, prometheus_schema_otlp_type;

/* The whole file. */
extern const struct schema_type prometheus_schema_type;
/* A file of scrape_config_files. */
extern const struct schema_type prometheus_schema_scrape_file_type;
/* What a scrape section takes over from `global`, and the rules that need both. */
enum err prometheus_schema_check_scrape(struct schema_ctx *ctx, const struct schema_value *global,
                                        struct schema_value *scrape);
/* The scheme of names of a section or of `global`. */
enum label_scheme prometheus_schema_name_scheme(const struct schema_value *value);
