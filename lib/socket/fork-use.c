/* SPDX-License-Identifier: MIT */
/*
 * A connection that other processes may have open since a fork: what this one
 * does with its hold (hold.h) on it. A process that holds alone behaves as if
 * it had made the connection: the service thread claims it before it makes
 * rings. One that finds an owner asks it to leave its rings first: by the bell
 * of their arena, and where nobody hears that, by xvmcd.
 */
#include <errno.h>

#include "arena.h"
#include "event/agent.h"

/* The bell is given so long before xvmcd is asked. */
#define BELL_NS 20000000u

/* ---- the service thread's side ---- */

void fork_add_sums(struct conn_t *c, const struct hold_sums *sums)
{
	atomic_fetch_add(&c->tx.sent, sums->of[HOLD_SENT]);
	c->tx.ring_bytes += sums->of[HOLD_TX_RING];
	c->tx.extra += sums->of[HOLD_TX_EXTRA];
	atomic_fetch_add(&c->rx.rcvd, sums->of[HOLD_RCVD]);
	c->rx.ring_bytes += sums->of[HOLD_RX_RING];
	c->rx.extra += sums->of[HOLD_RX_EXTRA];
}

static bool claim(struct xvmc_endpoint *ep)
{
	struct hold_sums sums;
	struct hold *h = ep->hold;

	if (ep->inherited || ep->spoilt || ep->stdio || !ep->nfds)
		return false;
	if (!h)
		return !ep->forked;
	/* Before: who takes a hold from now on rings, and is heard. */
	arena_hear(ep->ctx, ep->hold_arena);
	if (!hold_claim(h, ep->ctx->pid, &sums))
		return false;
	h->link = ep->conn.link;
	h->epid = ep->epid;
	fork_add_sums(&ep->conn, &sums);
	return true;
}

bool fork_claim(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	bool mine;

	section_lock(&c->tx.lock); /* of the hold */
	section_lock(&c->rx.lock);
	section_lock(&ep->ctx->lock); /* against a fork */
	mine = claim(ep);
	ep->owned = mine;
	section_unlock(&ep->ctx->lock);
	section_unlock(&c->rx.lock);
	section_unlock(&c->tx.lock);
	return mine;
}

void fork_release(struct xvmc_endpoint *ep)
{
	section_lock(&ep->ctx->lock);
	if (ep->owned && ep->hold)
		hold_release(ep->hold);
	ep->owned = false;
	section_unlock(&ep->ctx->lock);
}

bool fork_alone(struct xvmc_endpoint *ep)
{
	const struct hold *h = ep->hold;

	return !h || hold_alone(h);
}

bool fork_wanted(struct xvmc_endpoint *ep)
{
	const struct hold *h = ep->hold;

	return ep->owned && h && hold_wanted(h);
}

bool fork_shared(struct xvmc_endpoint *ep)
{
	const struct hold *h = ep->hold;

	return ep->forked && !(h && hold_sole(h));
}

/* ---- giving it back ---- */

void fork_closed(struct xvmc_endpoint *ep)
{
	section_lock(&ep->ctx->lock); /* a fork counts before or after */
	if (ep->counted)
		hold_closed(ep->hold);
	ep->counted = false;
	section_unlock(&ep->ctx->lock);
}

void fork_sums(const struct conn_t *c, struct hold_sums *ret_sums)
{
	*ret_sums = (struct hold_sums){ .of = {
		[HOLD_SENT] = c->tx.sent,
		[HOLD_TX_RING] = c->tx.ring_bytes,
		[HOLD_TX_EXTRA] = c->tx.extra,
		[HOLD_RCVD] = c->rx.rcvd,
		[HOLD_RX_RING] = c->rx.ring_bytes,
		[HOLD_RX_EXTRA] = c->rx.extra,
	} };
}

void fork_give(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	struct hold_sums sums;

	fork_sums(c, &sums);
	atomic_fetch_sub(&c->tx.sent, sums.of[HOLD_SENT]);
	atomic_fetch_sub(&c->rx.rcvd, sums.of[HOLD_RCVD]);
	c->tx.ring_bytes = c->tx.extra = c->rx.ring_bytes = c->rx.extra = 0;
	hold_give(ep->hold, &sums);
}

void fork_uncounted(struct xvmc_endpoint *ep)
{
	section_lock(&ep->ctx->lock);
	ep->counted = false;
	section_unlock(&ep->ctx->lock);
}

/* Nobody is in the kernel on it, nor will be without asking. */
static bool shut_gates(struct xvmc_endpoint *ep)
{
	uint32_t rx, tx;

	ep->inherited = true;
	rx = atomic_fetch_or(&ep->rx_gate, XVMC_GATE_MANAGED);
	tx = atomic_fetch_or(&ep->tx_gate, XVMC_GATE_MANAGED);
	if (!rx && !tx && !ep->inside)
		return true;
	atomic_fetch_and(&ep->rx_gate, ~XVMC_GATE_MANAGED);
	atomic_fetch_and(&ep->tx_gate, ~XVMC_GATE_MANAGED);
	ep->inherited = false;
	return false;
}

/* On plain TCP, and all who may use it here ask first: from now on, if true. */
static bool may_give(struct xvmc_endpoint *ep)
{
	return !ep->owned && !ep->spoilt && !ep->stdio && !xvmc_ep_managed(ep) &&
	       shut_gates(ep);
}

void fork_let_go(struct xvmc_endpoint *ep)
{
	/* Who has the lock is using it, or has ended with it. */
	if (!ep->hold || section_trylock(&ep->conn.tx.lock) != 0)
		return;
	if (ep->inherited) {
		fork_closed(ep);
	} else if (may_give(ep)) {
		fork_give(ep);
		fork_closed(ep);
	}
	section_unlock(&ep->conn.tx.lock);
}

bool fork_rest(struct xvmc_endpoint *ep)
{
	bool done;

	if (!ep->hold || section_trylock(&ep->conn.tx.lock) != 0)
		return false;
	/* In a set it waits all the time, and nothing in a set asks first. */
	done = !ep->inherited && xvmc_list_empty(&ep->epregs) && may_give(ep);
	if (done)
		fork_give(ep);
	section_unlock(&ep->conn.tx.lock);
	return done;
}

void fork_spoil(struct xvmc_endpoint *ep)
{
	struct hold *h;

	/* Pairs with give_hold: a fork that does not see this has stored the
	 * hold before. */
	atomic_store(&ep->spoilt, true);
	section_lock(&ep->ctx->lock);
	exec_note_stale(ep->ctx);
	section_unlock(&ep->ctx->lock);
	h = atomic_load(&ep->hold);
	if (h)
		hold_spoil(h);
}

/* ---- the first use ---- */

/* Other messages may come first: this is a process like any other. */
static int await_end(struct xvmc_agent *agent, uint64_t end)
{
	union xvmc_agent_msg msg;

	for (;;) {
		bool queued = xvmc_agent_flush(agent) == -EAGAIN;
		struct pollfd pfd = {
			.fd = agent->fd,
			.events = (short)(POLLIN | (queued ? POLLOUT : 0)),
		};
		uint64_t now = os_now_ns(), left = end > now ? end - now : 0;
		struct timespec ts = { .tv_sec = (time_t)(left / 1000000000u),
				       .tv_nsec = (long)(left % 1000000000u) };
		int r;

		if (os_ppoll(&pfd, 1, &ts, NULL) != 1)
			return -ETIMEDOUT;
		r = xvmc_agent_recv(agent, &msg);
		if (r == 1 && msg.hdr.type == XVMC_AG_END)
			return msg.hdr.status;
		if (r < 0 && r != -EAGAIN)
			return r;
	}
}

/* xvmcd asks the owner to leave its rings, and answers when it has. */
static int ask_xvmcd(struct xvmc_endpoint *ep, pid_t owner)
{
	struct xvmc_ctx *ctx = ep->ctx;
	struct xvmc_agent agent = { .fd = -1 };
	struct xvmc_ag_adopt msg = {
		.hdr = { .type = XVMC_AG_ADOPT, .len = sizeof(msg) },
		.pid = (uint32_t)owner,
		.epid = ep->hold->epid,
		.link = ep->hold->link,
	};
	int r;

	r = xvmc_agent_open(&agent, ctx->opt.dir, ctx->opt.domain, -1);
	if (r == 0)
		r = xvmc_agent_send(&agent, &msg.hdr);
	if (r == 0)
		r = xvmc_agent_welcome(&agent);
	if (r == 0)
		r = await_end(&agent, os_now_ns() + escape_ns(ep));
	xvmc_agent_close(&agent);
	return r;
}

/*
 * Asks once: 0, if it is worth a look at the word and another try. Where there
 * is a bell xvmcd need not be within reach (a child may have another root
 * directory, or no descriptors left); it knows, though, of one that has died.
 */
static int ask_owner(struct xvmc_endpoint *ep, pid_t owner)
{
	int bell = ep->hold_arena->bell_fd, r;

	if (bell >= 0) {
		os_eventfd_ring(bell);
		if (hold_await(ep->hold, owner, BELL_NS))
			return 0;
	}
	if (!ep->ctx->opt.enable) /* confined: one call more might be too many */
		return bell >= 0 ? 0 : -ENOTCONN;
	r = ask_xvmcd(ep, owner);
	return bell >= 0 && r != -ESRCH ? 0 : r;
}

/*
 * The owner may be leaving its rings, or making new ones, while we ask: then
 * xvmcd knows of no such link. It is not done before the word says so: until
 * then bytes of the stream may be in its hands.
 */
static int await_owner(struct xvmc_endpoint *ep)
{
	uint64_t end = os_now_ns() + escape_ns(ep);
	pid_t owner;

	while ((owner = hold_owner(ep->hold))) {
		int r = ask_owner(ep, owner);

		if (!hold_owner(ep->hold))
			break; /* it went in order */
		if (r == 0 && os_now_ns() >= end)
			r = -ETIMEDOUT;
		if (r < 0)
			return r;
		hold_await(ep->hold, owner, 1000000);
	}
	return 0;
}

int xvmc_sock_inherited_use(struct xvmc_endpoint *ep)
{
	int r = 0;

	section_lock(&ep->conn.tx.lock);
	if (!ep->inherited)
		goto out;
	if (ep->hold) {
		hold_take(ep->hold);
		r = await_owner(ep);
	} else if (ep->orphan) {
		r = -ENOMEM;
	}
	if (r < 0) {
		/* Whatever the ring holds is out of our reach. */
		os_shutdown(ep->fd, SHUT_RDWR);
		xvmc_stat_add(ep->ctx->stats, XVMC_S_RESETS, 1);
		r = -ECONNRESET;
	}
	/* In this order: who finds it MANAGED finds it inherited, too. */
	atomic_fetch_and(&ep->rx_gate, ~XVMC_GATE_MANAGED);
	atomic_fetch_and(&ep->tx_gate, ~XVMC_GATE_MANAGED);
	ep->inherited = false;
out:
	section_unlock(&ep->conn.tx.lock);
	return r;
}
