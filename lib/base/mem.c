/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

static void *mem_check(void *ptr, size_t size)
{
    if (ptr == NULL) {
        fprintf(stderr, "out of memory: %zu bytes asked\n", size);
        abort();
    }
    return ptr;
}

void *mem_alloc(size_t size)
{
    ASSERT(size > 0);
    return mem_check(malloc(size), size);
}

void *mem_zalloc(size_t count, size_t size)
{
    ASSERT(count > 0 && size > 0);
    return mem_check(calloc(count, size), size);
}

void *mem_realloc(void *ptr, size_t size)
{
    ASSERT(size > 0);
    return mem_check(realloc(ptr, size), size);
}

void *mem_alloc_aligned(size_t align, size_t size)
{
    void *ptr = NULL;

    ASSERT(size > 0);
    if (posix_memalign(&ptr, align, size) != 0)
        ptr = NULL;
    return mem_check(ptr, size);
}

void *mem_alloc_huge(size_t count)
{
    void *ptr = mem_alloc_aligned(MEM_HUGE_SIZE, count * MEM_HUGE_SIZE);

    (void)madvise(ptr, count * MEM_HUGE_SIZE, MADV_HUGEPAGE); /* advice: without it, small pages */
    return ptr;
}

char *mem_copy_text(const char *data, size_t len)
{
    char *copy = mem_alloc(len + 1);

    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

void mem_free(void *ptr)
{
    free(ptr);
}
