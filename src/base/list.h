/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"
#include "skein/list.h"

/*
 * Intrusive doubly linked list. A link that is zeroed or was removed is *loose*: removing it again
 * does nothing, so objects can always be deinitialised.
 */

static inline void
list_init(struct skein_list *head)
{
    head->next = head->prev = head;
}

static inline bool
list_is_empty(const struct skein_list *head)
{
    return head->next == head;
}

static inline bool
list_is_linked(const struct skein_list *link)
{
    return link->next != NULL;
}

static inline void
list_insert_between(struct skein_list *link, struct skein_list *prev, struct skein_list *next)
{
    skein_assert(!link->next);
    link->prev = prev;
    link->next = next;
    prev->next = link;
    next->prev = link;
}

static inline void
list_push_back(struct skein_list *head, struct skein_list *link)
{
    list_insert_between(link, head->prev, head);
}

static inline void
list_push_front(struct skein_list *head, struct skein_list *link)
{
    list_insert_between(link, head, head->next);
}

static inline void
list_remove(struct skein_list *link)
{
    if (!link->next)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link->prev = NULL;
}

/* list_pop_front - the first link, removed; NULL when the list is empty. */
static inline struct skein_list *
list_pop_front(struct skein_list *head)
{
    if (list_is_empty(head))
        return NULL;
    struct skein_list *link = head->next;
    list_remove(link);
    return link;
}

#define LIST_ENTRY(link, type, member) BASE_CONTAINER_OF(link, type, member)

#define list_for_each(link, head) \
    for (struct skein_list *link = (head)->next; link != (head); link = link->next)
/* The current link may be removed in the body. */
#define list_for_each_safe(link, head)                                                      \
    for (struct skein_list *link = (head)->next, *link##_next = link->next; link != (head); \
         link = link##_next, link##_next = link->next)

#endif
