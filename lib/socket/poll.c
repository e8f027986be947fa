/* SPDX-License-Identifier: MIT */
/*
 * poll and ppoll. A set without an endpoint is the kernel's own business.
 * Otherwise the kernel's ppoll still does the sleeping, on the application's
 * descriptors, with the bells in place of those that are MANAGED. Timeouts,
 * EINTR and the signal mask are therefore the kernel's: the mask is applied
 * in the sleep and nowhere else, so a signal it blocks stays pending while
 * we spin. One that no mask blocks is handled while we spin, without EINTR,
 * as if it had come just before the call.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/unwind.h"
#include "poll.h"
#include "spin.h"

#define STACK_FDS 256u
#define STACK_ENTRIES 64u
#define SPIN_MEMBERS 16u

#define LOOK_AGAIN INT_MIN /* a round's result: something has changed */

static short bells_for(short events)
{
	short want = 0;

	if (events & (POLLIN | POLLRDNORM | POLLRDHUP | POLLPRI))
		want |= POLLIN;
	if (events & (POLLOUT | POLLWRNORM))
		want |= POLLOUT;
	return want ? want : POLLIN; /* HUP and ERR ring there */
}

/* ---- entering and leaving the endpoints' doors ---- */

static void leave_doors(struct poll_call *c)
{
	section_enter();
	inside_end(&c->waits);
	for (size_t i = 0; i < c->nent; i++) {
		struct poll_entry *e = &c->ent[i];

		if (e->waiting && e->ep)
			xvmc_ep_wait_end(e->ep, e->want);
		else if (e->waiting)
			atomic_fetch_sub(&e->set->sleepers, 1);
		e->waiting = false;
		if (e->gated && xvmc_ep_gate_exit(&e->ep->rx_gate)) {
			/* It became MANAGED while we were in there, and the
			 * service thread waited for us to come out. */
			e->managed = true;
			endpoint_reader_left(e->ep);
		}
		e->gated = false;
	}
	section_leave();
}

static void call_end(void *arg)
{
	struct poll_call *c = arg;

	interrupt_sleep_end(&c->in);
	leave_doors(c);
	for (size_t i = 0; i < c->nent; i++)
		xvmc_obj_put(c->ctx, c->ent[i].ep ? &c->ent[i].ep->obj :
						    &c->ent[i].set->obj);
	free(c->heap);
}

/* False: a PLAIN endpoint turned out to be MANAGED; look again. */
static bool enter_gates(struct poll_call *c)
{
	bool all = true;

	section_enter();
	inside_begin(&c->waits, NULL, c);
	for (size_t i = 0; i < c->nent && all; i++) {
		struct poll_entry *e = &c->ent[i];

		if (!e->ep || e->managed || !(e->want & POLLIN))
			continue;
		all = e->gated = xvmc_ep_gate_enter(&e->ep->rx_gate);
	}
	section_leave();
	return all;
}

/* False: a MANAGED endpoint has become PLAIN; look again. */
static bool hold_bells(struct poll_call *c)
{
	for (size_t i = 0; i < c->nent; i++) {
		struct poll_entry *e = &c->ent[i];

		if (!e->managed)
			continue;
		if (e->ep && !xvmc_ep_wait_begin(e->ep, e->want))
			return false;
		if (e->set)
			atomic_fetch_add(&e->set->sleepers, 1);
		e->waiting = true;
		if (!e->ep)
			continue;
		if (e->want & POLLIN)
			xvmc_ep_wait_clear(e->ep, POLLIN);
		if (e->want & POLLOUT)
			xvmc_ep_wait_clear(e->ep, POLLOUT);
		xvmc_epoll_bell_taken(e->ep);
	}
	return true;
}

/* ---- spinning ---- */

static uint64_t spin_budget(struct poll_call *c)
{
	uint64_t most = 0;

	if (c->nmanaged > SPIN_MEMBERS)
		return 0;
	for (size_t i = 0; i < c->nent; i++) {
		struct poll_entry *e = &c->ent[i];
		uint64_t one = e->managed && e->ep ?
				       spin_for(c->ctx, &e->ep->spin_rx) : 0;

		if (one > most)
			most = one;
	}
	return most;
}

static bool glance(struct poll_call *c)
{
	for (size_t i = 0; i < c->nent; i++) {
		struct poll_entry *e = &c->ent[i];

		if (e->managed && e->ep && xvmc_ep_glance(e->ep, e->want))
			return true;
	}
	return false;
}

/* True if it pays to look at everything once more. */
static bool spin(struct poll_call *c)
{
	uint64_t budget = spin_budget(c);
	uint64_t start, now, kernel;
	bool hit = false;

	if (!budget)
		return false;
	start = now = kernel = os_now_ns();
	if (c->deadline - start < budget)
		budget = c->deadline > start ? c->deadline - start : 0;
	c->late = true;
	while (!hit && now - start < budget) {
		size_t looks = SPIN_LOOKS / c->nmanaged + 1;

		while (looks-- && !hit) {
			hit = glance(c);
			spin_relax();
		}
		if (!hit)
			spin_breathe(c->ctx);
		now = os_now_ns();
		if (!hit && c->kernel && now - kernel > SPIN_KERNEL_NS) {
			hit = poll_kernel(c) != 0;
			kernel = now;
		}
	}
	for (size_t i = 0; i < c->nent; i++)
		if (c->ent[i].managed && c->ent[i].ep)
			spin_done(c->ctx, &c->ent[i].ep->spin_rx, hit, start + budget);
	return hit;
}

/* ---- one round ---- */

/* Every descriptor of the set is ours or none: nothing to ask the kernel. */
static int ours_alone(struct poll_call *c, int n)
{
	for (nfds_t i = 0; i < c->n; i++)
		if (c->fds[i].fd < 0)
			c->fds[i].revents = 0;
	return n;
}

static int libc_ppoll(struct poll_call *c, struct pollfd *fds, nfds_t n)
{
	const struct timespec *left = c->timeout;
	struct timespec buf;
	int r, saved = errno;

	if (c->late)
		left = deadline_left(c->deadline, &buf);
	c->late = true;
	if (!interrupt_sleep(&c->in, false))
		return -EINTR;
	r = c->ctx->libc.ppoll(fds, n, left, interrupt_mask(&c->in, c->sigmask));
	if (r < 0)
		r = -errno;
	interrupt_sleep_end(&c->in);
	errno = saved;
	return r;
}

static bool expired(struct poll_call *c)
{
	return c->deadline == 0 || (c->late && deadline_passed(c->deadline));
}

/* All endpoints of the set are PLAIN. */
static int round_plain(struct poll_call *c)
{
	bool changed = false;
	int r, n = 0;

	if (!enter_gates(c)) {
		leave_doors(c);
		return LOOK_AGAIN;
	}
	r = libc_ppoll(c, c->fds, c->n);
	leave_doors(c);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->nent; i++)
		changed |= poll_managed(&c->ent[i]);
	if (!changed)
		return r;
	memcpy(c->kfds, c->fds, c->n * sizeof(*c->kfds));
	n = poll_merge(c);
	return n || r == 0 ? n : LOOK_AGAIN;
}

static int round_managed(struct poll_call *c)
{
	int n = poll_look(c, false), r;

	if (n == 0 && !expired(c) && spin(c))
		n = poll_look(c, false);
	if (!c->kernel && (n || expired(c)))
		return ours_alone(c, n);
	if (n || expired(c)) {
		r = poll_kernel(c);
		if (r < 0)
			return r;
		n = poll_merge(c);
		if (n || expired(c))
			return n;
	}
	if (!hold_bells(c) || !enter_gates(c) || poll_look(c, true)) {
		leave_doors(c);
		return LOOK_AGAIN;
	}
	poll_build(c, true);
	r = libc_ppoll(c, c->kfds, c->nk);
	leave_doors(c);
	if (r < 0)
		return r;
	n = poll_merge(c);
	return n || r == 0 ? n : LOOK_AGAIN;
}

/* ---- the call ---- */

static bool call_begin(struct poll_call *c, struct poll_entry *ent, struct pollfd *kfds)
{
	size_t most = 0;

	for (nfds_t i = 0; i < c->n; i++)
		most += c->fds[i].fd >= 0 && xvmc_fd_peek(c->ctx, c->fds[i].fd);
	c->ent = ent;
	c->kfds = kfds;
	if (most > STACK_ENTRIES || c->n + 3 * most > STACK_FDS) {
		c->heap = malloc(most * sizeof(*ent) +
				 (c->n + 3 * most) * sizeof(*kfds));
		if (!c->heap)
			return false;
		c->ent = c->heap;
		c->kfds = (struct pollfd *)(void *)(c->ent + most);
	}
	for (nfds_t i = 0; i < c->n; i++) {
		struct pollfd *p = &c->fds[i];
		struct xvmc_obj *obj = p->fd < 0 || c->nent == most ? NULL :
				       xvmc_fd_get(c->ctx, p->fd);
		struct poll_entry *e = &c->ent[c->nent];

		if (!obj) {
			c->others |= p->fd >= 0;
			continue;
		}
		*e = (struct poll_entry){ .at = i, .want = bells_for(p->events) };
		if (obj->kind == XVMC_OBJ_ENDPOINT)
			e->ep = (struct xvmc_endpoint *)(void *)obj;
		else
			e->set = (struct xvmc_epset *)(void *)obj;
		c->others |= e->set != NULL;
		c->nent++;
	}
	return true;
}

static int __attribute__((noinline))
poll_known(struct xvmc_ctx *ctx, struct pollfd *fds, nfds_t n,
	   const struct timespec *timeout, const sigset_t *sigmask)
{
	struct poll_entry ent[STACK_ENTRIES];
	struct pollfd kfds[STACK_FDS];
	struct poll_call c = {
		.ctx = ctx, .fds = fds, .n = n,
		.timeout = timeout, .sigmask = sigmask,
	};
	struct unwind u;
	int r;

	interrupt_begin(&c.in);
	if (!call_begin(&c, ent, kfds))
		return -ENOMEM;
	unwind_push(&u, call_end, &c);
	if (!timeout || timeout->tv_sec || timeout->tv_nsec)
		c.deadline = deadline_of(timeout);
	do {
		poll_classify(&c);
		r = c.nmanaged ? round_managed(&c) : round_plain(&c);
	} while (r == LOOK_AGAIN);
	unwind_pop(&u, 1);
	return r;
}

bool xvmc_poll_concerns(struct xvmc_ctx *ctx, const struct pollfd *fds, nfds_t n)
{
	for (nfds_t i = 0; i < n; i++)
		if (xvmc_fd_peek(ctx, fds[i].fd) || xvmc_os_fd_internal(fds[i].fd))
			return true;
	return false;
}

static bool names_internal(const struct pollfd *fds, nfds_t n)
{
	for (nfds_t i = 0; i < n; i++)
		if (xvmc_os_fd_internal(fds[i].fd))
			return true;
	return false;
}

/* Descriptors of the library's own are closed for the program: it asks for a
 * number in their place that no descriptor can have. */
static int poll_hiding(struct xvmc_ctx *ctx, struct pollfd *fds, nfds_t n,
		       const struct timespec *timeout, const sigset_t *sigmask)
{
	struct pollfd *copy = malloc(n * sizeof(*copy));
	struct unwind u;
	int r;

	if (!copy)
		return -ENOMEM;
	for (nfds_t i = 0; i < n; i++) {
		copy[i] = fds[i];
		if (xvmc_os_fd_internal(fds[i].fd))
			copy[i].fd = INT_MAX;
	}
	unwind_push(&u, free, copy);
	r = xvmc_poll(ctx, copy, n, timeout, sigmask);
	for (nfds_t i = 0; i < n && r >= 0; i++)
		fds[i].revents = copy[i].revents;
	unwind_pop(&u, 1);
	return r;
}

int xvmc_poll(struct xvmc_ctx *ctx, struct pollfd *fds, nfds_t n,
	      const struct timespec *timeout, const sigset_t *sigmask)
{
	struct poll_call c = { .ctx = ctx, .timeout = timeout, .sigmask = sigmask };

	if (names_internal(fds, n))
		return poll_hiding(ctx, fds, n, timeout, sigmask);
	if (!xvmc_poll_concerns(ctx, fds, n) ||
	    (timeout && !timespec_valid(timeout)))
		return libc_ppoll(&c, fds, n);
	return poll_known(ctx, fds, n, timeout, sigmask);
}
