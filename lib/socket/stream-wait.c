/* SPDX-License-Identifier: MIT */
/*
 * How a stream call waits: a bounded spin with the direction's lock held, then
 * a sleep on its bell without; or, for the rest of a call that goes on on
 * plain TCP, a sleep there. And what makes a connection worth a ring.
 */
#include <errno.h>
#include <pthread.h>

#include "spin.h"
#include "stream.h"

#define STREAM_PAUSES 64
#define STREAM_LITTLE 16384
#define STREAM_SURE 4

/*
 * How many pauses there are from one look to the next. An answer is looked for as
 * often as can be. Where we have sent nothing since the last times, and little has
 * come, it is a stream of small pieces: each look takes the line that says how
 * many there are from the writer's processor, and the fewer looks there are, the
 * faster it gets on.
 */
static int pauses(struct xvmc_endpoint *ep)
{
	uint64_t sent = atomic_load_explicit(&ep->conn.tx.sent, memory_order_relaxed);
	uint64_t rcvd = ep->conn.rx.r.cons;

	if (sent == ep->spun_sent && rcvd - ep->spun_rcvd < STREAM_LITTLE)
		ep->spun_small++;
	else
		ep->spun_small = 0;
	ep->spun_sent = sent;
	ep->spun_rcvd = rcvd;
	return ep->spun_small < STREAM_SURE ? 1 : STREAM_PAUSES;
}

/* rx.lock held: waits a little for the ring to fill. */
bool stream_spin_rx(struct xvmc_endpoint *ep)
{
	struct recver_t *r = &ep->conn.rx.r;
	uint64_t budget, end;
	int n;

	if (ep->conn.rx.path != XVMC_PATH_RING || !ep->conn.rx.attached ||
	    ep->conn.rx.gone)
		return false;
	budget = spin_for(ep->ctx, &ep->spin_rx);
	if (!budget)
		return false;
	end = os_now_ns() + budget;
	n = pauses(ep);
	do {
		for (int i = 0; i < SPIN_LOOKS; i += n) {
			for (int k = 0; k < n; k++)
				spin_relax();
			if (ring_see_prod(r->s) != r->prod) {
				spin_done(ep->ctx, &ep->spin_rx, true, end);
				return true;
			}
		}
		spin_breathe(ep->ctx);
	} while (os_now_ns() < end && !ep->conn.events);
	spin_done(ep->ctx, &ep->spin_rx, false, end);
	return false;
}

/* tx.lock held: waits a little for the ring to drain. */
bool stream_spin_tx(struct xvmc_endpoint *ep)
{
	struct sender_t *s = &ep->conn.tx.s;
	uint64_t budget, end;

	if (ep->conn.tx.path != XVMC_PATH_RING)
		return false;
	budget = spin_for(ep->ctx, &ep->spin_tx);
	if (!budget)
		return false;
	end = os_now_ns() + budget;
	do {
		for (int i = 0; i < SPIN_LOOKS; i++) {
			if (ring_see_cons(s->r) != s->known) {
				spin_done(ep->ctx, &ep->spin_tx, true, end);
				return true;
			}
			spin_relax();
		}
		spin_breathe(ep->ctx);
	} while (os_now_ns() < end && !ep->conn.events);
	spin_done(ep->ctx, &ep->spin_tx, false, end);
	return false;
}

struct sleeper {
	struct visit *v;
	short event;
};

static void sleep_end(void *arg)
{
	struct sleeper *s = arg;

	interrupt_sleep_end(&s->v->in);
	xvmc_ep_wait_end(s->v->ep, s->event);
}

static bool bell_is_eventfd(struct xvmc_endpoint *ep, short event)
{
	return event == POLLIN ? ep->conn.rx.chan.self_ring :
				 ep->conn.tx.chan.self_ring;
}

/*
 * Sleeps on a direction's bell; no lock held, wait_begin done, bell armed.
 * 0: woken; -EINTR; -EAGAIN: deadline. Without a deadline and where the bell
 * is an eventfd, libc's read() is the first sleep of a call: it is a cancella-
 * tion point and honours SA_RESTART exactly as the kernel's recv() does. With a
 * timeout, or after some of the bytes, the kernel's recv() comes back from a
 * signal whatever SA_RESTART says, and so does ppoll.
 */
static int sleep_on_bell(struct visit *v, short event, uint64_t deadline, bool restart)
{
	struct xvmc_endpoint *ep = v->ep;
	bool again = v->in.slept;
	const struct xvmc_libc *libc = &ep->ctx->libc;
	struct pollfd pfd[2];
	struct timespec ts;
	uint64_t count, now;
	int fds[2], n, r;

	xvmc_stat_add(ep->ctx->stats, XVMC_S_SLEEPS, 1);
	n = xvmc_ep_wait_fds(ep, event, fds);
	restart = restart && !deadline;
	if (!interrupt_sleep(&v->in, restart))
		return -EINTR;
	if (n == 1 && restart && !again) {
		ssize_t got = libc->read(fds[0], &count, sizeof(count));

		xvmc_epoll_bell_taken(ep);
		return got < 0 && errno == EINTR ? -EINTR : 0;
	}
	if (deadline) {
		now = os_now_ns();
		if (now >= deadline)
			return -EAGAIN;
		ts.tv_sec = (time_t)((deadline - now) / 1000000000u);
		ts.tv_nsec = (long)((deadline - now) % 1000000000u);
	}
	for (int i = 0; i < n; i++)
		pfd[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	r = libc->ppoll(pfd, (nfds_t)n, deadline ? &ts : NULL,
			interrupt_mask(&v->in, NULL));
	if (r < 0)
		return errno != EINTR || (restart && interrupt_restarts(&v->in)) ?
			       0 : -EINTR;
	for (int i = 0; i < n; i++)
		if (pfd[i].revents && (i > 0 || bell_is_eventfd(ep, event)))
			os_eventfd_drain(fds[i]);
	xvmc_epoll_bell_taken(ep);
	return r == 0 ? -EAGAIN : 0;
}

int stream_sleep(struct visit *v, short event, uint64_t deadline, bool restart)
{
	struct sleeper s = { v, event };
	struct unwind u;
	int saved = errno, r;

	unwind_push(&u, sleep_end, &s);
	r = sleep_on_bell(v, event, deadline, restart);
	unwind_pop(&u, 1);
	errno = saved;
	return r;
}

void visit_begin(struct visit *v)
{
	if (!v->stays)
		atomic_fetch_add(v->inside, 1);
	v->stays = true;
}

void visit_abandon(void *arg)
{
	struct visit *v = arg;

	if (v->gate == POLLIN && v->into)
		visit_torn(v);
	visit_end(v);
	if (xvmc_section.owed) /* of a call within a handler within this one */
		xvmc_ep_put(xvmc_section.owed);
	xvmc_section.owed = v->ep;
}

static bool own_dup(int fd, struct own_fd *ret_own)
{
	ret_own->fd = xvmc_numbers_dup(fd);
	ret_own->made = ret_own->fd >= 0;
	return ret_own->made;
}

void stream_own_close(void *arg)
{
	struct own_fd *own = arg;

	if (own->made)
		os_close(own->fd);
}

bool stream_own_fd(struct xvmc_endpoint *ep, int fd, struct own_fd *ret_own)
{
	if (!own_dup(fd, ret_own))
		ret_own->fd = fd;
	/* The table forgets a number before the kernel does. */
	if (xvmc_fd_peek(ep->ctx, fd) == &ep->obj)
		return true;
	stream_own_close(ret_own);
	if (own_dup(atomic_load(&ep->held_fd), ret_own))
		return true;
	errno = EBADF;
	return false;
}

int stream_sleep_plain(struct xvmc_endpoint *ep, int fd, short event, uint64_t timeo_ns,
		       const struct interrupt *in, bool some)
{
	struct pollfd pfd = { .fd = fd, .events = event };
	struct timespec ts = { (time_t)(timeo_ns / 1000000000u),
			       (long)(timeo_ns % 1000000000u) };
	int r = ep->ctx->libc.ppoll(&pfd, 1, timeo_ns ? &ts : NULL, NULL);

	if (r == 0)
		errno = EAGAIN;
	if (r < 0 && errno == EINTR && !some && !timeo_ns && interrupt_restarts(in))
		return 1;
	return r;
}

void stream_worth_it(struct xvmc_endpoint *ep)
{
	uint32_t want = XVMC_EP_TRACKED;

	if (endpoint_here(ep) && fork_alone(ep) &&
	    atomic_compare_exchange_strong(&ep->state, &want, XVMC_EP_QUEUED))
		xvmc_service_kick(ep);
}
