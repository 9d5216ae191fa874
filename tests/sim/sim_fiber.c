/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_fiber.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sim/sim_internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SIM_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIM_TSAN 1
#endif
#endif

#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SIM_TSAN
#include <sanitizer/tsan_interface.h>
#endif

enum { SIM_GUARD_SIZE = 4096 };

struct sim *sim_running;

/* ---- what the sanitizers want to know about stacks ---- */

static void sim_asan_leave(void **fake_stack, const void *to, size_t to_size)
{
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(fake_stack, to, to_size);
#else
    (void)fake_stack, (void)to, (void)to_size;
#endif
}

static void sim_asan_enter(void *fake_stack, struct sim_fibers *from_main)
{
#ifdef SIM_ASAN
    const void *bottom = NULL;
    size_t size = 0;

    __sanitizer_finish_switch_fiber(fake_stack, &bottom, &size);
    if (from_main != NULL && from_main->main_stack == NULL) {
        from_main->main_stack = bottom;
        from_main->main_stack_size = size;
    }
#else
    (void)fake_stack, (void)from_main;
#endif
}

static void sim_tsan_switch(void *to)
{
#ifdef SIM_TSAN
    __tsan_switch_to_fiber(to, 0);
#else
    (void)to;
#endif
}

static void sim_stack_clean(struct sim_fiber *fiber)
{
#ifdef SIM_ASAN
    __asan_unpoison_memory_region(fiber->stack, SIM_FIBER_STACK_SIZE);
#endif
#ifdef SIM_TSAN
    if (fiber->tsan_fiber != NULL)
        __tsan_destroy_fiber(fiber->tsan_fiber);
    fiber->tsan_fiber = __tsan_create_fiber(0);
#endif
    fiber->asan_fake_stack = NULL;
}

/* ---- switching ---- */

/* From the scheduler into a fiber, until it gives way. */
static void sim_switch_in(struct sim *sim, struct sim_fiber *fiber)
{
    struct sim_fibers *fibers = &sim->fibers;

    fibers->current = fiber;
    sim_running = sim;
#ifdef SIM_TSAN
    fibers->main_tsan_fiber = __tsan_get_current_fiber();
#endif
    sim_asan_leave(&fibers->main_fake_stack, fiber->stack, SIM_FIBER_STACK_SIZE);
    sim_tsan_switch(fiber->tsan_fiber);
    swapcontext(&fibers->main_context, &fiber->context);
    sim_asan_enter(fibers->main_fake_stack, NULL);
    sim_running = NULL;
    fibers->current = NULL;
}

/* From the current fiber to the scheduler. */
static void sim_switch_out(struct sim *sim)
{
    struct sim_fibers *fibers = &sim->fibers;
    struct sim_fiber *fiber = fibers->current;
    const bool ended = fiber->state == SIM_FIBER_ENDED;

    sim_asan_leave(ended ? NULL : &fiber->asan_fake_stack, fibers->main_stack,
                   fibers->main_stack_size);
    sim_tsan_switch(fibers->main_tsan_fiber);
    swapcontext(&fiber->context, &fibers->main_context);
    sim_asan_enter(fiber->asan_fake_stack, fibers);
}

/* The first function on every stack. */
static void sim_fiber_main(void)
{
    struct sim *sim = sim_running;
    struct sim_fiber *fiber = sim->fibers.current;

    sim_asan_enter(NULL, &sim->fibers);
    fiber->fn(fiber->arg);
    ASSERT(fiber->locks_held == 0);
    fiber->state = SIM_FIBER_ENDED;
    sim_switch_out(sim);
    ASSERT(false); /* an ended fiber is never chosen */
}

/* ---- fibers ---- */

void sim_fibers_init(struct sim_fibers *fibers)
{
    *fibers = (struct sim_fibers){0};
    list_init(&fibers->all);
    list_init(&fibers->idle);
}

static void sim_fiber_retire(struct sim_fibers *fibers, struct sim_fiber *fiber)
{
    list_remove(&fiber->node);
    list_push_front(&fibers->idle, &fiber->node);
    fibers->count--;
    if (!fiber->is_daemon)
        fibers->test_count--;
}

void sim_fibers_drop(struct sim_fibers *fibers)
{
    ASSERT(fibers->current == NULL);
    LIST_EACH(&fibers->all, node)
    {
        sim_fiber_retire(fibers, CONTAINER_OF(node, struct sim_fiber, node));
    }
    ASSERT(fibers->count == 0);
    ASSERT(fibers->test_count == 0);
}

void sim_fibers_fini(struct sim_fibers *fibers)
{
    sim_fibers_drop(fibers);
    LIST_EACH(&fibers->idle, node)
    {
        struct sim_fiber *fiber = CONTAINER_OF(node, struct sim_fiber, node);

        sim_stack_clean(fiber);
#ifdef SIM_TSAN
        __tsan_destroy_fiber(fiber->tsan_fiber);
#endif
        munmap(fiber->stack - SIM_GUARD_SIZE, SIM_FIBER_STACK_SIZE + SIM_GUARD_SIZE);
        mem_free(fiber);
    }
}

static struct sim_fiber *sim_fiber_map(void)
{
    struct sim_fiber *fiber = mem_zalloc(1, sizeof(*fiber));
    char *memory = mmap(NULL, SIM_FIBER_STACK_SIZE + SIM_GUARD_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int result;

    ASSERT(memory != MAP_FAILED);
    result = mprotect(memory, SIM_GUARD_SIZE, PROT_NONE);
    ASSERT(result == 0);
    fiber->stack = memory + SIM_GUARD_SIZE;
    return fiber;
}

/* Apart, because compilers are careful around getcontext. */
static void sim_context_make(ucontext_t *context, char *stack)
{
    const int result = getcontext(context);

    ASSERT(result == 0);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = SIM_FIBER_STACK_SIZE;
    context->uc_link = NULL;
    makecontext(context, sim_fiber_main, 0);
}

struct sim_fiber *sim_fiber_new(struct sim *sim, const char *name, sim_fiber_fn *fn, void *arg)
{
    struct sim_fibers *fibers = &sim->fibers;
    struct list_node *idle = list_pop_front(&fibers->idle);
    struct sim_fiber *fiber =
        idle != NULL ? CONTAINER_OF(idle, struct sim_fiber, node) : sim_fiber_map();

    ASSERT(fibers->count < SIM_FIBER_MAX);
    sim_stack_clean(fiber);
    fiber->state = SIM_FIBER_READY;
    fiber->name = name;
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->locks_held = 0;
    fiber->is_daemon = false;
    fiber->wait_key = NULL;
    sim_context_make(&fiber->context, fiber->stack);
    list_push_back(&fibers->all, &fiber->node);
    fibers->count++;
    fibers->test_count++;
    return fiber;
}

bool sim_wait(struct sim *sim, const void *key, const char *why, uint64_t due_ns)
{
    struct sim_fiber *fiber = sim->fibers.current;

    ASSERT(fiber != NULL);
    fiber->state = SIM_FIBER_WAITING;
    fiber->wait_key = key;
    fiber->wait_why = why;
    fiber->due_ns = due_ns;
    fiber->timed_out = false;
    sim_switch_out(sim);
    return !fiber->timed_out;
}

void sim_wake(struct sim *sim, const void *key)
{
    LIST_EACH(&sim->fibers.all, node)
    {
        struct sim_fiber *fiber = CONTAINER_OF(node, struct sim_fiber, node);

        if (fiber->state == SIM_FIBER_WAITING && fiber->wait_key == key)
            fiber->state = SIM_FIBER_READY;
    }
}

void sim_yield(struct sim *sim)
{
    ASSERT(sim->fibers.current != NULL);
    sim_switch_out(sim);
}

void sim_sleep(struct sim *sim, uint64_t ns)
{
    sim_wait(sim, NULL, "sleep", sim->now_ns + ns);
}

bool sim_fibers_turn(struct sim *sim)
{
    struct sim_fiber *ready[SIM_FIBER_MAX];
    struct sim_fiber *chosen;
    uint32_t count = 0, index;

    LIST_EACH(&sim->fibers.all, node)
    {
        struct sim_fiber *fiber = CONTAINER_OF(node, struct sim_fiber, node);

        if (fiber->state == SIM_FIBER_READY)
            ready[count++] = fiber;
    }
    if (count == 0)
        return false;
    index = (uint32_t)sim_below(sim, count);
    sim_note(sim, (uint64_t)count << 32 | index);
    chosen = ready[index];
    sim_switch_in(sim, chosen);
    if (chosen->state == SIM_FIBER_ENDED)
        sim_fiber_retire(&sim->fibers, chosen);
    return true;
}

uint64_t sim_fibers_next_due(const struct sim *sim)
{
    uint64_t due_ns = UINT64_MAX;

    LIST_EACH(&sim->fibers.all, node)
    {
        const struct sim_fiber *fiber = CONTAINER_OF(node, struct sim_fiber, node);

        if (fiber->state == SIM_FIBER_WAITING && fiber->due_ns < due_ns)
            due_ns = fiber->due_ns;
    }
    return due_ns;
}

void sim_fibers_expire(struct sim *sim)
{
    LIST_EACH(&sim->fibers.all, node)
    {
        struct sim_fiber *fiber = CONTAINER_OF(node, struct sim_fiber, node);

        if (fiber->state == SIM_FIBER_WAITING && fiber->due_ns <= sim->now_ns) {
            fiber->state = SIM_FIBER_READY;
            fiber->timed_out = true;
        }
    }
}

void sim_print_fibers(const struct sim *sim)
{
    static const char *const states[] = {"ready", "waits for", "ended"};

    LIST_EACH(&sim->fibers.all, node)
    {
        const struct sim_fiber *fiber = CONTAINER_OF(node, struct sim_fiber, node);

        fprintf(stderr, "  %s %s %s, %u locks held\n", fiber->name, states[fiber->state],
                fiber->state == SIM_FIBER_WAITING ? fiber->wait_why : "", fiber->locks_held);
    }
}
