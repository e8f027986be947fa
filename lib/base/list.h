/* SPDX-License-Identifier: MIT */
/*
 * An intrusive doubly linked list. A zeroed node is in no list.
 */
#ifndef XVMC_LIST_H
#define XVMC_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct xvmc_list {
	struct xvmc_list *next, *prev;
};

static inline void xvmc_list_init(struct xvmc_list *head)
{
	head->next = head->prev = head;
}

static inline bool xvmc_list_linked(const struct xvmc_list *node)
{
	return node->next != NULL;
}

static inline bool xvmc_list_empty(const struct xvmc_list *head)
{
	return head->next == head;
}

static inline void xvmc_list_add(struct xvmc_list *head, struct xvmc_list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* No-op for a node in no list. */
static inline void xvmc_list_del(struct xvmc_list *node)
{
	if (!node->next)
		return;
	node->next->prev = node->prev;
	node->prev->next = node->next;
	node->next = node->prev = NULL;
}

#define xvmc_list_entry(node, type, member) \
	((type *)(void *)((char *)(node) - offsetof(type, member)))

/* The body may delete the current node, no other. */
#define xvmc_list_each(it, tmp, head)                             \
	for ((it) = (head)->next, (tmp) = (it)->next; (it) != (head); \
	     (it) = (tmp), (tmp) = (it)->next)

#endif
