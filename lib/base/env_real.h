/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The real clock, randomness and files of env.h: clock_gettime, getrandom, and plain system calls
 * at offsets. Locks are fcntl's open-file-description locks. */

#include "base/env.h"

/* Fills env->clock and env->fs and leaves the rest as it is. */
void env_real_init(struct env *env);
