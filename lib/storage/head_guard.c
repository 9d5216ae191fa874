/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/head_internal.h"

/* Tickets rise, and lists are in their order: the first guard of a list is its oldest. */

static void guard_link(struct head *head, struct head_guard *guard, enum head_guard_kind kind)
{
    guard->ticket = head->ticket_next++;
    guard->watermark = atomic_load_explicit(&head->watermark, memory_order_relaxed);
    list_push_back(&head->guards[kind], &guard->node);
}

void head_guard_enter(struct head *head, struct head_guard *guard, enum head_guard_kind kind)
{
    pthread_mutex_lock(&head->guards_lock);
    guard_link(head, guard, kind);
    pthread_mutex_unlock(&head->guards_lock);
}

bool head_guard_begin_txn(struct head *head, struct head_guard *guard)
{
    bool begins;

    pthread_mutex_lock(&head->guards_lock);
    begins = !head->stopping;
    if (begins) {
        guard_link(head, guard, HEAD_GUARD_TXN);
        head->txn_live_count++;
    }
    pthread_mutex_unlock(&head->guards_lock);
    return begins;
}

void head_guard_end_txn(struct head *head)
{
    struct env *env = head->options.env;
    struct env_op *stopped = NULL;

    pthread_mutex_lock(&head->guards_lock);
    ASSERT(head->txn_live_count > 0);
    if (--head->txn_live_count == 0) {
        stopped = head->stop_waiter;
        head->stop_waiter = NULL;
    }
    pthread_mutex_unlock(&head->guards_lock);
    if (stopped != NULL)
        env_complete(env, stopped, ERR_OK);
}

static uint64_t guard_oldest(const struct head *head, enum head_guard_kind kind)
{
    const struct list_node *node = list_first(&head->guards[kind]);

    return node == NULL ? UINT64_MAX : CONTAINER_OF(node, struct head_guard, node)->ticket;
}

void head_guard_leave(struct head *head, struct head_guard *guard, enum head_guard_kind kind)
{
    struct head_waiter *ready = NULL;

    pthread_mutex_lock(&head->guards_lock);
    list_remove(&guard->node);
    if (kind == HEAD_GUARD_READER) {
        const uint64_t oldest = guard_oldest(head, HEAD_GUARD_READER);

        for (struct head_waiter **at = &head->waiters; *at != NULL;) {
            struct head_waiter *waiter = *at;

            if (waiter->ticket > oldest) {
                at = &waiter->next;
                continue;
            }
            *at = waiter->next;
            waiter->next = ready;
            ready = waiter;
        }
    }
    pthread_mutex_unlock(&head->guards_lock);
    while (ready != NULL) {
        struct head_waiter *next = ready->next; /* its owner may be gone after this */

        env_complete(head->options.env, &ready->op, ERR_OK);
        ready = next;
    }
}

uint64_t head_guard_ticket(struct head *head)
{
    uint64_t ticket;

    pthread_mutex_lock(&head->guards_lock);
    ticket = head->ticket_next++;
    pthread_mutex_unlock(&head->guards_lock);
    return ticket;
}

bool head_guard_passed(struct head *head, uint64_t ticket)
{
    bool passed;

    pthread_mutex_lock(&head->guards_lock);
    passed = true;
    for (int kind = 0; kind < HEAD_GUARD_KINDS; kind++)
        passed = passed && guard_oldest(head, (enum head_guard_kind)kind) >= ticket;
    pthread_mutex_unlock(&head->guards_lock);
    return passed;
}

/* Takes a waiter back that was not completed. False: it has been or is being completed. */
static bool waiter_withdraw(struct head *head, struct head_waiter *waiter)
{
    bool found = false;

    pthread_mutex_lock(&head->guards_lock);
    for (struct head_waiter **at = &head->waiters; *at != NULL && !found; at = &(*at)->next) {
        if (*at != waiter)
            continue;
        *at = waiter->next;
        found = true;
        break;
    }
    pthread_mutex_unlock(&head->guards_lock);
    return found;
}

enum err head_guard_wait_readers(struct head *head, uint64_t ticket, uint64_t deadline_ns)
{
    struct head_waiter waiter = {.ticket = ticket};
    enum err err;

    pthread_mutex_lock(&head->guards_lock);
    if (guard_oldest(head, HEAD_GUARD_READER) >= ticket) {
        pthread_mutex_unlock(&head->guards_lock);
        return ERR_OK;
    }
    waiter.next = head->waiters;
    head->waiters = &waiter;
    pthread_mutex_unlock(&head->guards_lock);
    err = env_wait(head->options.env, &waiter.op, deadline_ns);
    if (err != ERR_DEADLINE || waiter_withdraw(head, &waiter))
        return err;
    return env_wait(head->options.env, &waiter.op, 0); /* it is being completed just now */
}
