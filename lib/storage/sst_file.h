/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The env's files for sst.cc: env.h speaks C11 (atomics), which C++ cannot include. Private to the
 * door. Functions and threads as in env.h; each is a fault point. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct env;
struct env_file;

enum err sst_file_create(struct env *env, const char *path, struct env_file **file) MUST_USE;
enum err sst_file_open(struct env *env, const char *path, struct env_file **file) MUST_USE;
enum err sst_file_write(struct env_file *file, uint64_t offset, const void *data,
                        size_t size) MUST_USE;
enum err sst_file_sync(struct env_file *file) MUST_USE;
enum err sst_file_read(struct env_file *file, uint64_t offset, void *data, size_t size,
                       size_t *got) MUST_USE;
enum err sst_file_size(struct env_file *file, uint64_t *size) MUST_USE;
/* Takes file. */
enum err sst_file_close(struct env_file *file);

#ifdef __cplusplus
}
#endif
