/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The heap. Running out aborts: limits and budgets refuse work before memory is asked for. */

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Uninitialised memory; never NULL; size > 0. The caller frees it with mem_free. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* Zeroed memory for count objects. */
void *mem_zalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* Takes ptr (may be NULL) and gives a block of `size` bytes with its content. */
void *mem_realloc(void *ptr, size_t size) __attribute__((returns_nonnull));
/* Uninitialised memory at a multiple of `align`, a power of two of at least 8. */
void *mem_alloc_aligned(size_t align, size_t size) __attribute__((malloc, returns_nonnull));
enum { MEM_HUGE_SIZE = 2 << 20 };

/* Uninitialised memory for what is touched all over: `count` times MEM_HUGE_SIZE, aligned to that,
 * in huge pages where the system gives them. */
void *mem_alloc_huge(size_t count) __attribute__((malloc, returns_nonnull));
/* A copy of `len` bytes with a NUL after them. */
char *mem_copy_text(const char *data, size_t len) __attribute__((returns_nonnull));
/* Takes ptr; NULL is fine. */
void mem_free(void *ptr);

#ifdef __cplusplus
}
#endif
