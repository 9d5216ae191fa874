/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "config/scalar.h"
#include "config/schema_internal.h"

/* Discovery kinds that read a cloud's inventory. Defaults and refusals are upstream's. */

#define TYPE(id, text, table, fn)                                                                  \
    const struct schema_type discovery_schema_##id##_type = {                                      \
        .name = (text), SCHEMA_FIELDS(table), .check = (fn)}

#define REFRESH_FIELD DURATION_FIELD("refresh_interval", .value = "1m", .flags = SCHEMA_KEEP)
#define PORT_FIELD    INT_FIELD("port", .value = "80", .flags = SCHEMA_KEEP)

/* The texts of required keys: {key, refusal} ... The first that is empty is the fault. */
struct required {
    const char *key, *message;
};

static enum err check_required(struct schema_ctx *ctx, const struct schema_value *value,
                               const struct required *required, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!schema_has(value, required[i].key))
            return schema_fail(ctx, value, "%s", required[i].message);
    return ERR_OK;
}

/* ---- AWS ---- */

static const char *const aws_roles[] = {"ec2", "ecs", "elasticache", "lightsail",
                                        "msk", "rds", NULL};

static const struct schema_field aws_filter_fields[] = {
    STRING_FIELD("name", .flags = SCHEMA_KEEP),
    STRINGS_FIELD("values", .flags = SCHEMA_KEEP),
};
static const struct schema_type aws_filter_type = {.name = "filters",
                                                   SCHEMA_FIELDS(aws_filter_fields)};

#define AWS_FIELDS                                                                                 \
    STRING_FIELD("region", .flags = SCHEMA_KEEP), STRING_FIELD("endpoint", .flags = SCHEMA_KEEP),  \
        STRING_FIELD("access_key"), SECRET_FIELD("secret_key"), STRING_FIELD("profile"),           \
        STRING_FIELD("role_arn"), STRING_FIELD("external_id"),                                     \
        DURATION_FIELD("refresh_interval", .value = "1m"), PORT_FIELD

static enum err check_aws(struct schema_ctx *ctx, struct schema_value *value)
{
    if (!schema_has(value, "role"))
        return schema_fail(ctx, value, "unknown AWS SD role \"\"");
    return http_config_check(ctx, value);
}

static const struct schema_field aws_fields[] = {
    ENUM_FIELD("role", aws_roles, "unknown AWS SD role \"%.*s\"", .flags = SCHEMA_KEEP),
    AWS_FIELDS,
    HTTP_CONFIG_FIELDS(0, "true"),
    STRUCTS_FIELD("filters", &aws_filter_type),
    STRINGS_FIELD("clusters"),
};
TYPE(aws, "aws_sd_configs", aws_fields, check_aws);

static enum err check_ec2(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct schema_value *filters = schema_get(value, "filters");

    for (uint32_t i = 0; i < filters->count; i++)
        if (schema_get(&filters->items[i], "values")->count == 0)
            return schema_fail(ctx, &filters->items[i],
                               "EC2 SD configuration filter values cannot be empty");
    return http_config_check(ctx, value);
}

static const struct schema_field ec2_fields[] = {
    AWS_FIELDS,
    STRUCTS_FIELD("filters", &aws_filter_type, .flags = SCHEMA_KEEP),
    HTTP_CONFIG_FIELDS(0, "true"),
};
TYPE(ec2, "ec2_sd_configs", ec2_fields, check_ec2);

static const struct schema_field lightsail_fields[] = {
    AWS_FIELDS,
    HTTP_CONFIG_FIELDS(0, "true"),
};
TYPE(lightsail, "lightsail_sd_configs", lightsail_fields, http_config_check);

static const struct schema_field ecs_fields[] = {
    AWS_FIELDS,
    STRINGS_FIELD("clusters"),
    INT_FIELD("request_concurrency", .value = "20"),
    HTTP_CONFIG_FIELDS(0, "true"),
};
TYPE(ecs, "ecs_sd_configs", ecs_fields, http_config_check);

static const struct schema_field clusters_fields[] = {
    AWS_FIELDS,
    STRINGS_FIELD("clusters"),
    INT_FIELD("request_concurrency", .value = "10"),
    HTTP_CONFIG_FIELDS(0, "true"),
};
TYPE(elasticache, "elasticache_sd_configs", clusters_fields, http_config_check);
TYPE(msk, "msk_sd_configs", clusters_fields, http_config_check);

static const struct schema_field rds_fields[] = {
    AWS_FIELDS,
    STRINGS_FIELD("clusters"),
    STRUCTS_FIELD("filters", &aws_filter_type, .flags = SCHEMA_KEEP),
    INT_FIELD("request_concurrency", .value = "10"),
    HTTP_CONFIG_FIELDS(0, "true"),
};
TYPE(rds, "rds_sd_configs", rds_fields, http_config_check);

/* ---- Azure, Google, Oracle, OpenStack ---- */

static enum err check_azure(struct schema_ctx *ctx, struct schema_value *value)
{
    static const char *const methods[] = {"OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"};
    static const struct required oauth[] = {
        {"tenant_id", "azure SD configuration requires a tenant_id"},
        {"client_id", "azure SD configuration requires a client_id"},
        {"client_secret", "azure SD configuration requires a client_secret"},
    };
    const struct slice method = schema_text(value, "authentication_method");
    enum err err = ERR_OK;

    if (!schema_has(value, "subscription_id"))
        return schema_fail(ctx, value, "azure SD configuration requires a subscription_id");
    if (slice_eq(method, SLICE("OAuth")))
        err = check_required(ctx, value, oauth, COUNT_OF(oauth));
    if (err != ERR_OK)
        return err;
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (slice_eq_cstr(method, methods[i]))
            return http_config_check(ctx, value);
    return schema_fail(ctx, value,
                       "unknown authentication_type \"%.*s\". Supported types are \"OAuth\", "
                       "\"ManagedIdentity\", \"SDK\" or \"WorkloadIdentity\"",
                       SLICE_ARG(method));
}

static const struct schema_field azure_fields[] = {
    STRING_FIELD("environment", .value = "AzurePublicCloud"),
    PORT_FIELD,
    STRING_FIELD("subscription_id", .flags = SCHEMA_KEEP),
    STRING_FIELD("tenant_id"),
    STRING_FIELD("client_id"),
    SECRET_FIELD("client_secret"),
    DURATION_FIELD("refresh_interval", .value = "5m"),
    STRING_FIELD("authentication_method", .value = "OAuth"),
    STRING_FIELD("resource_group"),
    HTTP_CONFIG_FIELDS(0, "true"),
};
TYPE(azure, "azure_sd_configs", azure_fields, check_azure);

static enum err check_gce(struct schema_ctx *ctx, struct schema_value *value)
{
    static const struct required required[] = {
        {"project", "GCE SD configuration requires a project"},
        {"zone", "GCE SD configuration requires a zone"},
    };

    return check_required(ctx, value, required, COUNT_OF(required));
}

static const struct schema_field gce_fields[] = {
    STRING_FIELD("project", .flags = SCHEMA_KEEP),
    STRING_FIELD("zone", .flags = SCHEMA_KEEP),
    STRING_FIELD("filter"),
    DURATION_FIELD("refresh_interval", .value = "1m"),
    PORT_FIELD,
    STRING_FIELD("tag_separator", .value = ","),
};
TYPE(gce, "gce_sd_configs", gce_fields, check_gce);

static enum err check_oci_auth(struct schema_ctx *ctx, const struct schema_value *value)
{
    static const struct required api_key[] = {
        {"tenancy", "oci_sd: api_key auth requires tenancy"},
        {"user", "oci_sd: api_key auth requires user"},
        {"fingerprint", "oci_sd: api_key auth requires fingerprint"},
        {"key_file", "oci_sd: api_key auth requires key_file"},
    };
    const struct slice auth = schema_text(value, "auth");

    if (slice_eq(auth, SLICE("api_key"))) {
        const enum err err = check_required(ctx, value, api_key, COUNT_OF(api_key));

        if (err == ERR_OK && schema_has(value, "key_passphrase") &&
            schema_has(value, "key_passphrase_file"))
            return schema_fail(ctx, value,
                               "oci_sd: at most one of key_passphrase and key_passphrase_file "
                               "must be configured");
        return err;
    }
    if (!slice_eq(auth, SLICE("instance_principal")))
        return schema_fail(ctx, value,
                           "oci_sd: unknown auth method \"%.*s\", expected \"api_key\" or "
                           "\"instance_principal\"",
                           SLICE_ARG(auth));
    if (schema_has(value, "tenancy") || schema_has(value, "user") ||
        schema_has(value, "fingerprint") || schema_has(value, "key_file") ||
        schema_has(value, "key_passphrase") || schema_has(value, "key_passphrase_file"))
        return schema_fail(ctx, value,
                           "oci_sd: instance_principal auth must not have tenancy, user, "
                           "fingerprint, key_file, key_passphrase, or key_passphrase_file set");
    return ERR_OK;
}

static enum err check_oci(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct schema_value *compartments = schema_get(value, "compartments");
    enum err err;

    if (!schema_has(value, "region"))
        return schema_fail(ctx, value, "oci_sd: region is required");
    err = check_oci_auth(ctx, value);
    if (err != ERR_OK)
        return err;
    for (uint32_t i = 0; i < compartments->count; i++)
        if (compartments->items[i].text.len == 0)
            return schema_fail(ctx, &compartments->items[i],
                               "oci_sd: compartments[%u] must not be empty", i);
    if (schema_int(value, "refresh_interval") <= 0)
        return schema_fail(ctx, value, "oci_sd: refresh_interval must be positive, got 0s");
    return http_config_check(ctx, value);
}

static const struct schema_field oci_fields[] = {
    STRING_FIELD("auth", .value = "api_key"),
    STRING_FIELD("tenancy"),
    STRING_FIELD("user"),
    STRING_FIELD("fingerprint"),
    PATH_FIELD("key_file"),
    SECRET_FIELD("key_passphrase"),
    PATH_FIELD("key_passphrase_file"),
    STRING_FIELD("region", .flags = SCHEMA_KEEP),
    STRINGS_FIELD("compartments"),
    HTTP_CONFIG_FIELDS(0, "true"),
    PORT_FIELD,
    REFRESH_FIELD,
};
TYPE(oci, "oci_sd_configs", oci_fields, check_oci);

static const char *const openstack_roles[] = {"hypervisor", "instance", "loadbalancer", NULL};

static enum err check_openstack(struct schema_ctx *ctx, struct schema_value *value)
{
    static const struct required required[] = {
        {"role", "role missing (one of: instance, hypervisor, loadbalancer)"},
        {"region", "openstack SD configuration requires a region"},
    };
    const struct slice availability = schema_text(value, "availability");

    if (!slice_eq(availability, SLICE("public")) && !slice_eq(availability, SLICE("internal")) &&
        !slice_eq(availability, SLICE("admin")))
        return schema_fail(ctx, value,
                           "unknown availability %.*s, must be one of admin, internal or public",
                           SLICE_ARG(availability));
    return check_required(ctx, value, required, COUNT_OF(required));
}

static const struct schema_field openstack_fields[] = {
    STRING_FIELD("identity_endpoint", .flags = SCHEMA_KEEP),
    STRING_FIELD("username", .flags = SCHEMA_KEEP),
    STRING_FIELD("userid", .flags = SCHEMA_KEEP),
    SECRET_FIELD("password", .flags = SCHEMA_KEEP),
    STRING_FIELD("project_name", .flags = SCHEMA_KEEP),
    STRING_FIELD("project_id", .flags = SCHEMA_KEEP),
    STRING_FIELD("domain_name", .flags = SCHEMA_KEEP),
    STRING_FIELD("domain_id", .flags = SCHEMA_KEEP),
    STRING_FIELD("application_credential_name", .flags = SCHEMA_KEEP),
    STRING_FIELD("application_credential_id", .flags = SCHEMA_KEEP),
    SECRET_FIELD("application_credential_secret", .flags = SCHEMA_KEEP),
    ENUM_FIELD("role", openstack_roles, "unknown OpenStack SD role \"%.*s\"", .flags = SCHEMA_KEEP),
    STRING_FIELD("region", .flags = SCHEMA_KEEP),
    REFRESH_FIELD,
    PORT_FIELD,
    BOOL_FIELD("all_tenants"),
    STRUCT_FIELD("tls_config", &http_config_tls_type),
    STRING_FIELD("availability", .value = "public"),
};
TYPE(openstack, "openstack_sd_configs", openstack_fields, check_openstack);

/* ---- smaller clouds ---- */

static const char *const digitalocean_roles[] = {"droplets", "databases", NULL};

static enum err check_digitalocean(struct schema_ctx *ctx, struct schema_value *value)
{
    if (!schema_has(value, "role"))
        return schema_fail(ctx, value, "role missing (one of: droplets, databases)");
    return http_config_check(ctx, value);
}

static const struct schema_field digitalocean_fields[] = {
    HTTP_CONFIG_FIELDS(0, "true"),
    REFRESH_FIELD,
    PORT_FIELD,
    ENUM_FIELD("role", digitalocean_roles, "unknown DigitalOcean SD role \"%.*s\"",
               .value = "droplets", .flags = SCHEMA_KEEP),
};
TYPE(digitalocean, "digitalocean_sd_configs", digitalocean_fields, check_digitalocean);

static const char *const hetzner_roles[] = {"robot", "hcloud", NULL};

static enum err check_hetzner(struct schema_ctx *ctx, struct schema_value *value)
{
    if (!schema_has(value, "role"))
        return schema_fail(ctx, value, "role missing (one of: robot, hcloud)");
    return http_config_check(ctx, value);
}

static const struct schema_field hetzner_fields[] = {
    HTTP_CONFIG_FIELDS(0, "true"),
    REFRESH_FIELD,
    PORT_FIELD,
    ENUM_FIELD("role", hetzner_roles, "unknown role \"%.*s\"", .flags = SCHEMA_KEEP),
    STRING_FIELD("label_selector"),
};
TYPE(hetzner, "hetzner_sd_configs", hetzner_fields, check_hetzner);

static enum err check_ionos(struct schema_ctx *ctx, struct schema_value *value)
{
    if (!schema_has(value, "datacenter_id"))
        return schema_fail(ctx, value, "datacenter id can't be empty");
    return http_config_check(ctx, value);
}

static const struct schema_field ionos_fields[] = {
    STRING_FIELD("datacenter_id", .flags = SCHEMA_KEEP),
    HTTP_CONFIG_FIELDS(0, "true"),
    REFRESH_FIELD,
    PORT_FIELD,
};
TYPE(ionos, "ionos_sd_configs", ionos_fields, check_ionos);

static const struct schema_field linode_fields[] = {
    HTTP_CONFIG_FIELDS(0, "true"),
    REFRESH_FIELD,
    PORT_FIELD,
    STRING_FIELD("tag_separator", .value = ","),
    STRING_FIELD("region"),
};
TYPE(linode, "linode_sd_configs", linode_fields, http_config_check);

static const struct schema_field vultr_fields[] = {
    HTTP_CONFIG_FIELDS(0, "true"),
    REFRESH_FIELD,
    PORT_FIELD,
};
TYPE(vultr, "vultr_sd_configs", vultr_fields, http_config_check);

static enum err check_secret_key(struct schema_ctx *ctx, const struct schema_value *value)
{
    const bool has_key = schema_has(value, "secret_key");
    const bool has_file = schema_has(value, "secret_key_file");

    if (!has_key && !has_file)
        return schema_fail(ctx, value, "one of secret_key & secret_key_file must be configured");
    if (has_key && has_file)
        return schema_fail(ctx, value,
                           "at most one of secret_key & secret_key_file must be configured");
    return ERR_OK;
}

static enum err check_outscale(struct schema_ctx *ctx, struct schema_value *value)
{
    static const struct required required[] = {
        {"region", "outscale SD configuration requires a region"},
        {"access_key", "outscale SD configuration requires access_key"},
    };
    enum err err = check_required(ctx, value, required, COUNT_OF(required));

    if (err == ERR_OK)
        err = check_secret_key(ctx, value);
    if (err == ERR_OK && !schema_has(value, "endpoint")) {
        char endpoint[256];

        snprintf(endpoint, sizeof(endpoint), "https://api.%.*s.outscale.com/api/v1",
                 SLICE_ARG(schema_text(value, "region")));
        err = schema_set(ctx, schema_get(value, "endpoint"), endpoint);
    }
    return err != ERR_OK ? err : http_config_check(ctx, value);
}

static const struct schema_field outscale_fields[] = {
    STRING_FIELD("endpoint"),
    STRING_FIELD("region", .value = "eu-west-2", .flags = SCHEMA_KEEP),
    STRING_FIELD("access_key", .flags = SCHEMA_KEEP),
    SECRET_FIELD("secret_key", .flags = SCHEMA_KEEP),
    PATH_FIELD("secret_key_file", .flags = SCHEMA_KEEP),
    DURATION_FIELD("refresh_interval", .value = "1m"),
    PORT_FIELD,
    HTTP_CONFIG_FIELDS(0, "true"),
};
TYPE(outscale, "outscale_sd_configs", outscale_fields, check_outscale);

static enum err check_ovhcloud(struct schema_ctx *ctx, struct schema_value *value)
{
    static const struct required required[] = {
        {"endpoint", "endpoint can not be empty"},
        {"application_key", "application key can not be empty"},
        {"application_secret", "application secret can not be empty"},
        {"consumer_key", "consumer key can not be empty"},
    };
    const struct slice service = schema_text(value, "service");
    const enum err err = check_required(ctx, value, required, COUNT_OF(required));

    if (err == ERR_OK && !slice_eq(service, SLICE("dedicated_server")) &&
        !slice_eq(service, SLICE("vps")))
        return schema_fail(ctx, value, "unknown service: %.*s", SLICE_ARG(service));
    return err;
}

static const struct schema_field ovhcloud_fields[] = {
    STRING_FIELD("endpoint", .value = "ovh-eu", .flags = SCHEMA_KEEP),
    STRING_FIELD("application_key", .flags = SCHEMA_KEEP),
    SECRET_FIELD("application_secret", .flags = SCHEMA_KEEP),
    SECRET_FIELD("consumer_key", .flags = SCHEMA_KEEP),
    REFRESH_FIELD,
    STRING_FIELD("service", .flags = SCHEMA_KEEP),
};
TYPE(ovhcloud, "ovhcloud_sd_configs", ovhcloud_fields, check_ovhcloud);

static const char *const scaleway_roles[] = {"baremetal", "instance", NULL};

/* SCW and 17 capital letters or digits. */
static bool is_scaleway_key(struct slice key)
{
    if (key.len != 20 || !slice_has_prefix(key, SLICE("SCW")))
        return false;
    for (size_t i = 3; i < key.len; i++)
        if (!((key.data[i] >= 'A' && key.data[i] <= 'Z') ||
              (key.data[i] >= '0' && key.data[i] <= '9')))
            return false;
    return true;
}

static enum err check_scaleway(struct schema_ctx *ctx, struct schema_value *value)
{
    static const struct required required[] = {
        {"role", "role missing (one of: instance, baremetal)"},
        {"project_id", "project_id is mandatory"},
    };
    enum err err = check_required(ctx, value, required, COUNT_OF(required));

    if (err == ERR_OK)
        err = check_secret_key(ctx, value);
    if (err != ERR_OK)
        return err;
    if (!schema_has(value, "access_key"))
        return schema_fail(ctx, value, "access_key is mandatory");
    if (!is_scaleway_key(schema_text(value, "access_key")))
        return schema_fail(ctx, value,
                           "scaleway-sdk-go: invalid access key format, expected "
                           "SCWXXXXXXXXXXXXXXXXX");
    if (schema_has(value, "secret_key") && !scalar_is_uuid(schema_text(value, "secret_key")))
        return schema_fail(ctx, value,
                           "scaleway-sdk-go: invalid secret key format, expected a UUID");
    if (!scalar_is_uuid(schema_text(value, "project_id")))
        return schema_fail(ctx, value,
                           "scaleway-sdk-go: invalid project ID format, expected a UUID");
    return http_config_check(ctx, value);
}

static const struct schema_field scaleway_fields[] = {
    STRING_FIELD("project_id", .flags = SCHEMA_KEEP),
    STRING_FIELD("api_url", .value = "https://api.scaleway.com"),
    STRING_FIELD("zone", .value = "fr-par-1", .flags = SCHEMA_KEEP),
    STRING_FIELD("access_key", .flags = SCHEMA_KEEP),
    SECRET_FIELD("secret_key", .flags = SCHEMA_KEEP),
    PATH_FIELD("secret_key_file", .flags = SCHEMA_KEEP),
    STRING_FIELD("name_filter"),
    STRINGS_FIELD("tags_filter"),
    HTTP_CONFIG_FIELDS(0, "true"),
    REFRESH_FIELD,
    PORT_FIELD,
    ENUM_FIELD("role", scaleway_roles, "unknown role \"%.*s\"", .flags = SCHEMA_KEEP),
};
TYPE(scaleway, "scaleway_sd_configs", scaleway_fields, check_scaleway);

static enum err check_stackit(struct schema_ctx *ctx, struct schema_value *value)
{
    const struct slice endpoint = schema_text(value, "endpoint");
    struct err_info info = {0};
    struct scalar_url url;

    if (endpoint.len == 0 && !schema_has(value, "region"))
        return schema_fail(ctx, value, "stackit_sd: endpoint and region missing");
    if (scalar_parse_url(endpoint, &url, &info) != ERR_OK)
        return schema_fail(ctx, value, "stackit_sd: invalid endpoint \"%.*s\": %s",
                           SLICE_ARG(endpoint), info.message);
    return http_config_check(ctx, value);
}

static const struct schema_field stackit_fields[] = {
    HTTP_CONFIG_FIELDS(0, "true"),
    STRING_FIELD("project", .flags = SCHEMA_KEEP),
    DURATION_FIELD("refresh_interval", .value = "1m"),
    INT_FIELD("port", .value = "80"),
    STRING_FIELD("region", .value = "eu01"),
    STRING_FIELD("endpoint"),
    SECRET_FIELD("service_account_key"),
    SECRET_FIELD("private_key"),
    STRING_FIELD("service_account_key_path"),
    STRING_FIELD("private_key_path"),
    STRING_FIELD("credentials_file_path"),
};
TYPE(stackit, "stackit_sd_configs", stackit_fields, check_stackit);

static enum err check_triton(struct schema_ctx *ctx, struct schema_value *value)
{
    static const struct required required[] = {
        {"account", "triton SD configuration requires an account"},
        {"dns_suffix", "triton SD configuration requires a dns_suffix"},
        {"endpoint", "triton SD configuration requires an endpoint"},
        {"refresh_interval",
         "triton SD configuration requires RefreshInterval to be a positive integer"},
    };
    const struct slice role = schema_text(value, "role");

    if (!slice_eq(role, SLICE("container")) && !slice_eq(role, SLICE("cn")))
        return schema_fail(ctx, value,
                           "triton SD configuration requires role to be 'container' or 'cn'");
    return check_required(ctx, value, required, COUNT_OF(required));
}

static const struct schema_field triton_fields[] = {
    STRING_FIELD("account", .flags = SCHEMA_KEEP),
    STRING_FIELD("role", .value = "container", .flags = SCHEMA_KEEP),
    STRING_FIELD("dns_suffix", .flags = SCHEMA_KEEP),
    STRING_FIELD("endpoint", .flags = SCHEMA_KEEP),
    STRINGS_FIELD("groups"),
    INT_FIELD("port", .value = "9163", .flags = SCHEMA_KEEP),
    DURATION_FIELD("refresh_interval", .value = "1m"),
    STRUCT_FIELD("tls_config", &http_config_tls_type),
    INT_FIELD("version", .value = "1", .flags = SCHEMA_KEEP),
};
TYPE(triton, "triton_sd_configs", triton_fields, check_triton);
