/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/db_internal.h"

enum {
    RETRY_MS_MIN = 2000, /* after a failure; doubles up to the maximum */
    RETRY_MS_MAX = 60000,
};

void db_slot_init(struct db_slot *slot)
{
    slot->is_taken = slot->is_closed = false;
    list_init(&slot->waiters);
}

enum err db_slot_take(struct db *db, struct db_slot *slot, uint64_t deadline_ns)
{
    struct env *env = db->options.env;
    struct db_wait wait = {0};

    pthread_mutex_lock(&db->lock);
    const bool is_closed = slot->is_closed;
    const bool is_free = !slot->is_taken;
    if (!is_closed && is_free)
        slot->is_taken = true;
    else if (!is_closed)
        list_push_back(&slot->waiters, &wait.node);
    pthread_mutex_unlock(&db->lock);
    if (is_closed)
        return ERR_CLOSED;
    if (is_free)
        return ERR_OK;
    enum err err = env_wait(env, &wait.op, deadline_ns);
    if (err != ERR_DEADLINE)
        return err;
    pthread_mutex_lock(&db->lock);
    const bool is_waiting = list_node_is_linked(&wait.node);
    if (is_waiting)
        list_remove(&wait.node);
    pthread_mutex_unlock(&db->lock);
    /* No longer in the list: the slot is being handed to us this moment. */
    return is_waiting ? ERR_DEADLINE : env_wait(env, &wait.op, 0);
}

void db_slot_give(struct db *db, struct db_slot *slot)
{
    struct list_node *node;

    pthread_mutex_lock(&db->lock);
    node = list_pop_front(&slot->waiters);
    if (node == NULL)
        slot->is_taken = false;
    pthread_mutex_unlock(&db->lock);
    if (node != NULL)
        env_complete(db->options.env, &CONTAINER_OF(node, struct db_wait, node)->op, ERR_OK);
}

void db_slot_close(struct db *db, struct db_slot *slot)
{
    struct list_node *node;

    do {
        pthread_mutex_lock(&db->lock);
        slot->is_closed = true;
        node = list_pop_front(&slot->waiters);
        pthread_mutex_unlock(&db->lock);
        if (node != NULL)
            env_complete(db->options.env, &CONTAINER_OF(node, struct db_wait, node)->op,
                         ERR_CLOSED);
    } while (node != NULL);
}

uint64_t db_retry_note(struct db *db, struct db_retry *retry)
{
    uint64_t wait_ms = RETRY_MS_MIN;

    for (uint32_t i = 0; i < retry->failures_in_row && wait_ms < RETRY_MS_MAX; i++)
        wait_ms *= 2;
    wait_ms = wait_ms < RETRY_MS_MAX ? wait_ms : RETRY_MS_MAX;
    retry->failures_in_row++;
    atomic_store(&retry->not_before_ns, db_now_ns(db) + wait_ms * DB_NS_PER_MS);
    return wait_ms * DB_NS_PER_MS;
}

void db_retry_clear(struct db_retry *retry)
{
    retry->failures_in_row = 0;
    atomic_store(&retry->not_before_ns, 0);
}

bool db_retry_waits(struct db *db, struct db_retry *retry)
{
    const uint64_t not_before_ns = atomic_load(&retry->not_before_ns);

    return not_before_ns != 0 && db_now_ns(db) < not_before_ns;
}
