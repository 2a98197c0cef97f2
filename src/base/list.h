#ifndef TC_BASE_LIST_H
#define TC_BASE_LIST_H

#include <stdbool.h>

/* An intrusive doubly linked ring: the head is a node too; an unlinked node points to itself. */
struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *node)
{
    node->next = node->prev = node;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Takes a node out of whatever ring it is in; harmless for an unlinked one. */
static inline void list_unlink(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#define list_first(head, type, member) container_of((head)->next, type, member)

/* Safe against unlinking `node` itself, not its successor. */
#define list_each(node, head)                                                                                          \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);                                  \
         node = node##_next, node##_next = node->next)

#endif
