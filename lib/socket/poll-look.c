/* SPDX-License-Identifier: MIT */
/*
 * poll's view of its set: what of it is ready, by what we know and by what
 * the kernel says. Nothing here sleeps.
 */
#include <string.h>

#include "poll.h"

static short poll_bits(short bits, short events)
{
	if (bits & POLLIN)
		bits |= POLLRDNORM;
	if (bits & POLLOUT)
		bits |= POLLWRNORM;
	return bits & (short)(events | POLLERR | POLLHUP);
}

bool poll_managed(const struct poll_entry *e)
{
	/* A set that ever had a managed member, or one in it: there may be a
	 * ring in its inner instance that means nothing any more. */
	return e->ep ? xvmc_ep_managed(e->ep) || e->ep->managed_times != e->managed_times :
		       e->set->inner >= 0 || !xvmc_list_empty(&e->set->nested);
}

void poll_classify(struct poll_call *c)
{
	c->nmanaged = 0;
	for (size_t i = 0; i < c->nent; i++) {
		struct poll_entry *e = &c->ent[i];

		if (e->ep)
			xvmc_sock_use(e->ep, (e->want & POLLIN ? HOLD_RX : 0) |
						     (e->want & POLLOUT ? HOLD_TX : 0));
		if (e->set && atomic_load(&e->set->nsevered))
			epset_claim_severed(e->set);
		/* In this order. */
		e->managed_times = e->ep ? atomic_load(&e->ep->managed_times) : 0;
		e->managed = poll_managed(e);
		c->nmanaged += e->managed;
	}
	c->kernel = c->others || c->nmanaged < c->nent;
}

/* A number that was closed, or leads elsewhere, since the call began: poll
 * asks for whatever it leads to now, as the kernel does when it is woken. */
static short look_elsewhere(int fd, short events)
{
	static const struct timespec zero;
	struct pollfd p = { .fd = fd, .events = events };

	return os_ppoll(&p, 1, &zero, NULL) > 0 ? p.revents : 0;
}

int poll_look(struct poll_call *c, bool arm)
{
	uint64_t rx, tx;
	int n = 0;

	for (size_t i = 0; i < c->nent; i++) {
		struct poll_entry *e = &c->ent[i];
		struct pollfd *p = &c->fds[e->at];
		short bits;

		if (!e->managed)
			continue;
		if (e->ep && xvmc_fd_peek(c->ctx, p->fd) != &e->ep->obj) {
			p->revents = look_elsewhere(p->fd, p->events);
			n += p->revents != 0;
			continue;
		}
		if (e->ep)
			bits = xvmc_ep_poll(e->ep, arm ? e->want : 0, &rx, &tx);
		else
			bits = epset_ready(e->set, arm) ? POLLIN : 0;
		p->revents = poll_bits(bits, p->events);
		n += p->revents != 0;
	}
	return n;
}

void poll_build(struct poll_call *c, bool with_bells)
{
	memcpy(c->kfds, c->fds, c->n * sizeof(*c->kfds));
	c->nk = c->n;
	for (size_t i = 0; i < c->nent; i++) {
		struct poll_entry *e = &c->ent[i];
		struct pollfd *slot = &c->kfds[e->at];

		if (!e->managed || !e->ep)
			continue; /* an epfd stands for itself */
		*slot = (struct pollfd){ .fd = -1 };
		for (short dir = POLLIN; with_bells && dir; dir = dir == POLLIN ? POLLOUT : 0) {
			int bell[2];
			int n = e->want & dir ? xvmc_ep_wait_fds(e->ep, dir, bell) : 0;

			for (int b = 0; b < n; b++) {
				/* The place itself first: the kernel limits
				 * how long a set may be. */
				if (slot->fd >= 0)
					slot = &c->kfds[c->nk++];
				*slot = (struct pollfd){ .fd = bell[b],
							 .events = POLLIN };
			}
		}
	}
}

int poll_kernel(struct poll_call *c)
{
	static const struct timespec zero;

	poll_build(c, false);
	return os_ppoll(c->kfds, c->nk, &zero, NULL);
}

int poll_merge(struct poll_call *c)
{
	int n = 0;

	for (size_t i = 0; i < c->nent; i++) {
		struct poll_entry *e = &c->ent[i];

		/* It became MANAGED meanwhile: what the kernel found readable
		 * may have been a record of the switch. */
		e->managed = e->managed || poll_managed(e);
		if (e->managed && e->set && c->kfds[e->at].revents)
			c->kfds[e->at].revents = epset_kernel(e->set, c->fds[e->at].fd,
							      c->fds[e->at].events);
	}
	poll_look(c, false);
	for (size_t i = 0; i < c->nent; i++) {
		struct poll_entry *e = &c->ent[i];

		if (e->managed && e->ep)
			c->kfds[e->at].revents = c->fds[e->at].revents;
		else if (e->managed)
			c->kfds[e->at].revents |= c->fds[e->at].revents;
	}
	for (nfds_t i = 0; i < c->n; i++) {
		c->fds[i].revents = c->kfds[i].revents;
		n += c->fds[i].revents != 0;
	}
	return n;
}
