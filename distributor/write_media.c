/* SPDX-License-Identifier: Apache-2.0 */
#include "distributor/write_media.h"

#include <strings.h>

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_skip(s, 1);
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* What stands before the first `separator`, without the blanks around it; *rest is what follows. */
static struct slice take_part(struct slice *rest, char separator)
{
    const char *found = rest->len == 0 ? NULL : memchr(rest->data, separator, rest->len);
    const size_t len = found == NULL ? rest->len : (size_t)(found - rest->data);
    const struct slice part = {rest->data, len};

    *rest = slice_skip(*rest, found == NULL ? len : len + 1);
    return trim(part);
}

static bool eq_folded(struct slice s, const char *text)
{
    return s.len == strlen(text) && (s.len == 0 || strncasecmp(s.data, text, s.len) == 0);
}

static struct slice unquote(struct slice s)
{
    if (s.len >= 2 && s.data[0] == '"' && s.data[s.len - 1] == '"')
        return slice_of(s.data + 1, s.len - 2);
    return s;
}

/* "application/x-protobuf;proto=NAME"; other parameters say nothing. false: something else. */
static bool message_of(struct slice content_type, bool *is_version2)
{
    struct slice rest = content_type;

    *is_version2 = false;
    if (content_type.len == 0)
        return true;
    if (!eq_folded(take_part(&rest, ';'), "application/x-protobuf"))
        return false;
    while (rest.len > 0) {
        struct slice value = take_part(&rest, ';');
        const struct slice name = take_part(&value, '=');

        if (!eq_folded(name, "proto"))
            continue;
        value = unquote(trim(value));
        *is_version2 = slice_eq_cstr(value, "io.prometheus.write.v2.Request");
        if (!*is_version2 && !slice_eq_cstr(value, "prometheus.WriteRequest"))
            return false;
    }
    return true;
}

enum err write_media_read(struct slice content_type, struct slice content_encoding,
                          struct write_media *media, struct err_info *info)
{
    const struct slice encoding = trim(content_encoding);
    struct write_media read = {0};

    if (!message_of(trim(content_type), &read.is_version2))
        return err_set(info, ERR_UNSUPPORTED,
                       "content type \"%.*s\" is not taken, expected application/x-protobuf "
                       "(prometheus.WriteRequest or io.prometheus.write.v2.Request)",
                       SLICE_ARG(content_type));
    read.is_zstd = eq_folded(encoding, "zstd");
    if (!read.is_zstd && encoding.len != 0 && !eq_folded(encoding, "snappy"))
        return err_set(info, ERR_UNSUPPORTED,
                       "content encoding \"%.*s\" is not taken, expected snappy or zstd",
                       SLICE_ARG(content_encoding));
    *media = read;
    return ERR_OK;
}
