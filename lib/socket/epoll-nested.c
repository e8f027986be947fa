/* SPDX-License-Identifier: MIT */
/*
 * Sets in sets. To the kernel a set with rings is readable when a bell in it
 * has rung and nobody has taken the ring, though it may mean nothing by now;
 * and so are all sets that it is in. So a registration of a set is made with
 * our data, and what the kernel says of it is believed when every set below
 * has been looked through, and it still says so.
 */
#include <errno.h>

#include "epoll.h"

#define DEEP 6      /* the kernel allows five sets in each other */
#define CHILDREN 64 /* of one set; more are left to the kernel */
#define TRIES 100

/* ---- registrations ---- */

static struct xvmc_epreg *find(struct xvmc_epset *set, const struct xvmc_epset *inside,
			       int fd)
{
	for (struct xvmc_list *it = set->nested.next; it != &set->nested; it = it->next) {
		struct xvmc_epreg *reg =
			xvmc_list_entry(it, struct xvmc_epreg, set_link);

		if (reg->inside == inside && reg->fd == fd)
			return reg;
	}
	return NULL;
}

/* epoll_lock held. Without memory the program's own data go to the kernel. */
static int add(struct xvmc_epset *set, struct xvmc_epset *inside, int epfd, int fd,
	       struct epoll_event *ev)
{
	struct xvmc_epreg *reg = epreg_new(set->ctx->epolls, EPREG_NESTED);
	struct epoll_event kev = *ev;
	int r;

	if (!reg)
		return os_epoll_ctl(epfd, EPOLL_CTL_ADD, fd, ev);
	reg->fd = fd;
	reg->set = set;
	reg->inside = inside;
	reg->events = ev->events;
	reg->data = ev->data;
	kev.data.u64 = epreg_tag(reg);
	r = os_epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &kev);
	if (r < 0) {
		epreg_free(set->ctx->epolls, reg);
		return r;
	}
	section_lock(&set->lock);
	xvmc_list_add(&set->nested, &reg->set_link);
	xvmc_list_add(&inside->outers, &reg->ep_link);
	section_unlock(&set->lock);
	return 0;
}

static int modify(struct xvmc_epreg *reg, int epfd, struct epoll_event *ev)
{
	struct epoll_event kev = *ev;
	int r;

	kev.data.u64 = epreg_tag(reg);
	section_lock(&reg->set->lock);
	r = os_epoll_ctl(epfd, EPOLL_CTL_MOD, reg->fd, &kev);
	if (r == 0) {
		reg->events = ev->events;
		reg->data = ev->data;
	}
	section_unlock(&reg->set->lock);
	return r;
}

static void drop(struct xvmc_epreg *reg)
{
	struct xvmc_epset *set = reg->set;

	section_lock(&set->lock);
	epreg_drop(reg);
	section_unlock(&set->lock);
}

int epset_ctl_nested(struct xvmc_epset *set, struct xvmc_epset *inside, int epfd,
		     int op, int fd, struct epoll_event *ev)
{
	struct xvmc_epreg *reg;
	int r;

	section_lock(&set->ctx->epoll_lock);
	reg = find(set, inside, fd);
	if (op == EPOLL_CTL_ADD && !reg) {
		r = add(set, inside, epfd, fd, ev);
	} else if (op == EPOLL_CTL_MOD && reg) {
		r = modify(reg, epfd, ev);
	} else {
		r = os_epoll_ctl(epfd, op, fd, ev);
		if (reg && op == EPOLL_CTL_DEL)
			drop(reg);
	}
	section_unlock(&set->ctx->epoll_lock);
	if (r == 0 && op == EPOLL_CTL_ADD) {
		/* From here on its bells are armed, and who is ready now wakes
		 * those who wait outside. */
		atomic_store(&inside->watched, true);
		epset_ready(inside, true);
	}
	return r;
}

void epset_drop_nested(struct xvmc_epset *set)
{
	while (!xvmc_list_empty(&set->nested))
		drop(xvmc_list_entry(set->nested.next, struct xvmc_epreg, set_link));
	while (!xvmc_list_empty(&set->outers))
		drop(xvmc_list_entry(set->outers.next, struct xvmc_epreg, ep_link));
}

/* ---- what the kernel says ---- */

/* The sets within, looked through, and their bells, in case one rings again. */
struct within {
	int n;
	struct pollfd bells[1 + CHILDREN]; /* the first is the set's own number */
};

static void look_through(struct xvmc_epset *set, struct within *w, int deep)
{
	struct xvmc_epset *inside[CHILDREN];
	int n = 0;

	section_lock(&set->lock);
	for (struct xvmc_list *it = set->nested.next; it != &set->nested && n < CHILDREN;
	     it = it->next)
		inside[n++] = xvmc_list_entry(it, struct xvmc_epreg, set_link)->inside;
	section_unlock(&set->lock);
	/* Sets live in memory that is never given back: one that has been closed
	 * meanwhile is looked at in vain. */
	for (int i = 0; i < n; i++) {
		if (deep < DEEP)
			look_through(inside[i], w, deep + 1);
		if (!epset_ready(inside[i], true) && inside[i]->inner >= 0 &&
		    w->n <= CHILDREN)
			w->bells[w->n++] = (struct pollfd){ .fd = inside[i]->inner,
							    .events = POLLIN };
	}
}

static bool rings(const struct within *w)
{
	for (int i = 1; i < w->n; i++)
		if (w->bells[i].revents)
			return true;
	return false;
}

short epset_kernel(struct xvmc_epset *set, int fd, short events)
{
	static const struct timespec zero;
	struct within w;

	for (int i = 0; i < TRIES; i++) {
		w.n = 1;
		w.bells[0] = (struct pollfd){ .fd = fd, .events = events };
		look_through(set, &w, 0);
		if (epset_ready(set, false))
			return 0;
		if (set->inner >= 0 && w.n <= CHILDREN)
			w.bells[w.n++] = (struct pollfd){ .fd = set->inner,
							  .events = POLLIN };
		if (os_ppoll(w.bells, (nfds_t)w.n, &zero, NULL) < 1)
			return 0;
		if (!rings(&w))
			return w.bells[0].revents;
	}
	return 0;
}

bool epset_nested_event(struct xvmc_epset *set, struct epoll_event *ev)
{
	struct xvmc_epset *inside = NULL;
	struct epoll_event kev;
	struct xvmc_epreg *reg;
	int fd = -1;

	section_lock(&set->lock);
	reg = epreg_of(ev->data.u64);
	if (reg && reg->kind == EPREG_NESTED && reg->set == set) {
		inside = reg->inside;
		fd = reg->fd;
		kev = (struct epoll_event){ .events = reg->events,
					    .data.u64 = ev->data.u64 };
		ev->data = reg->data;
	}
	section_unlock(&set->lock);
	if (!inside)
		return false;
	if (epset_kernel(inside, fd, POLLIN) || epset_ready(inside, true))
		return true;
	if (kev.events & EPOLLONESHOT) /* it has not been told after all */
		os_epoll_ctl(epset_kernel_fd(set), EPOLL_CTL_MOD, fd, &kev);
	return false;
}
