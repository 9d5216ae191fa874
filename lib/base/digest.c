/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <openssl/evp.h>

#include "base/assert.h"
#include "base/endian.h"

enum { DIGEST_MD5_SIZE = 16 };

uint64_t digest_md5_tail(struct slice bytes)
{
    uint8_t sum[DIGEST_MD5_SIZE];
    unsigned len = 0;
    const int ok = EVP_Digest(bytes.data, bytes.len, sum, &len, EVP_md5(), NULL);

    ASSERT(ok == 1);
    ASSERT(len == DIGEST_MD5_SIZE);
    return endian_get_u64be(sum + DIGEST_MD5_SIZE - 8);
}

void digest_sha256(uint8_t out[DIGEST_SHA256_SIZE], struct slice bytes)
{
    unsigned len = 0;
    const int ok = EVP_Digest(bytes.data, bytes.len, out, &len, EVP_sha256(), NULL);

    ASSERT(ok == 1);
    ASSERT(len == DIGEST_SHA256_SIZE);
}

void digest_hex(char *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}
