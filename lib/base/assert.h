/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Assertions for our own mistakes: on in release, a failed one prints where and aborts with a
 * stack. Never for bytes from disk or wire, never for what the world does: those are `enum err`.
 * One condition each, no side effects in it. */

#include <assert.h>

#define STATIC_ASSERT(cond, why) static_assert(cond, why)

#define ASSERT(cond)                                                                               \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            assert_failed(#cond, __FILE__, __LINE__);                                              \
    } while (0)

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define COUNT_OF(array)                 (sizeof(array) / sizeof((array)[0]))
#define MUST_USE                        __attribute__((warn_unused_result))

#ifdef __cplusplus
extern "C" {
#endif

/* Prints the condition and a backtrace to stderr, then aborts. */
void assert_failed(const char *cond, const char *file, int line) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif
