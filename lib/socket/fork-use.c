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

/* Of both directions: of one that was not claimed they are 0. */
void fork_add_sums(struct conn_t *c, const struct hold_sums *sums)
{
	atomic_fetch_add(&c->tx.sent, sums->of[HOLD_SENT]);
	c->tx.ring_bytes += sums->of[HOLD_TX_RING];
	c->tx.extra += sums->of[HOLD_TX_EXTRA];
	atomic_fetch_add(&c->rx.rcvd, sums->of[HOLD_RCVD]);
	c->rx.ring_bytes += sums->of[HOLD_RX_RING];
	c->rx.extra += sums->of[HOLD_RX_EXTRA];
}

/* tx.lock held: these are held here from now on. */
static void no_lack(struct xvmc_endpoint *ep, unsigned int dirs)
{
	if (dirs & HOLD_RX)
		atomic_fetch_and(&ep->rx_gate, ~XVMC_GATE_LACKS);
	if (dirs & HOLD_TX)
		atomic_fetch_and(&ep->tx_gate, ~XVMC_GATE_LACKS);
}

static unsigned int claim(struct xvmc_endpoint *ep)
{
	struct hold_sums sums;
	struct hold *h = ep->hold;
	unsigned int mine;

	if (xvmc_ep_lacks(ep) == HOLD_BOTH || ep->spoilt || ep->stdio || !ep->nfds)
		return 0;
	if (!h)
		return ep->forked ? 0 : HOLD_BOTH;
	/* Before: who takes a hold from now on rings, and is heard. */
	arena_hear(ep->ctx, ep->hold_arena);
	mine = hold_claim(h, ep->ctx->pid, HOLD_BOTH & ~xvmc_ep_lacks(ep), &sums);
	if (!mine)
		return 0;
	h->link = ep->conn.link;
	h->epid = ep->epid;
	fork_add_sums(&ep->conn, &sums);
	no_lack(ep, mine);
	return mine;
}

bool fork_claim(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	unsigned int mine;

	section_lock(&c->tx.lock); /* of the hold */
	section_lock(&c->rx.lock);
	section_lock(&ep->ctx->lock); /* against a fork */
	mine = claim(ep);
	ep->owned = mine != 0;
	ep->owns_tx = (mine & HOLD_TX) != 0;
	section_unlock(&ep->ctx->lock);
	section_unlock(&c->rx.lock);
	section_unlock(&c->tx.lock);
	return mine;
}

bool fork_owns_tx(struct xvmc_endpoint *ep)
{
	struct hold *h = ep->hold;
	struct hold_sums sums;

	if (!fork_alone_tx(ep))
		return ep->owns_tx;
	section_lock(&ep->ctx->lock); /* against a fork */
	if (ep->owned && hold_claim_tx(h, ep->ctx->pid, &sums)) {
		fork_add_sums(&ep->conn, &sums);
		ep->owns_tx = true;
	}
	section_unlock(&ep->ctx->lock);
	return ep->owns_tx;
}

void fork_release(struct xvmc_endpoint *ep)
{
	section_lock(&ep->ctx->lock);
	if (ep->owned && ep->hold)
		hold_release(ep->hold);
	ep->owned = ep->owns_tx = false;
	section_unlock(&ep->ctx->lock);
}

bool fork_alone(struct xvmc_endpoint *ep)
{
	const struct hold *h = ep->hold;

	return !h || hold_alone(h, HOLD_BOTH & ~xvmc_ep_lacks(ep));
}

bool fork_alone_tx(struct xvmc_endpoint *ep)
{
	const struct hold *h = ep->hold;

	return h && ep->owned && !ep->owns_tx && !(xvmc_ep_lacks(ep) & HOLD_TX) &&
	       hold_alone_tx(h);
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

void fork_give(struct xvmc_endpoint *ep, unsigned int dirs)
{
	struct conn_t *c = &ep->conn;
	struct hold_sums sums;

	if (!dirs)
		return;
	fork_sums(c, &sums);
	if (dirs & HOLD_TX) {
		atomic_fetch_sub(&c->tx.sent, sums.of[HOLD_SENT]);
		c->tx.ring_bytes = c->tx.extra = 0;
	}
	if (dirs & HOLD_RX) {
		atomic_fetch_sub(&c->rx.rcvd, sums.of[HOLD_RCVD]);
		c->rx.ring_bytes = c->rx.extra = 0;
	}
	hold_give(ep->hold, dirs, &sums);
}

void fork_uncounted(struct xvmc_endpoint *ep)
{
	section_lock(&ep->ctx->lock);
	ep->counted = false;
	section_unlock(&ep->ctx->lock);
}

/* Nobody is in the kernel on a direction of it, nor will be without asking. */
static bool shut_gate(struct xvmc_endpoint *ep, unsigned int dir)
{
	_Atomic uint32_t *gate = dir == HOLD_RX ? &ep->rx_gate : &ep->tx_gate;
	_Atomic uint32_t *inside = dir == HOLD_RX ? &ep->inside_rx : &ep->inside_tx;
	uint32_t old = atomic_fetch_or(gate, XVMC_GATE_LACKS);

	if (!old && !*inside)
		return true;
	if (!(old & XVMC_GATE_LACKS))
		atomic_fetch_and(gate, ~XVMC_GATE_LACKS);
	return false;
}

/* tx.lock held. On plain TCP all who may use a direction here can be made to ask
 * first: what it gives back of what it holds. */
static unsigned int give_back(struct xvmc_endpoint *ep)
{
	unsigned int dirs = 0;

	if (ep->owned || ep->spoilt || ep->stdio || xvmc_ep_managed(ep))
		return 0;
	if (shut_gate(ep, HOLD_RX))
		dirs |= HOLD_RX;
	if (shut_gate(ep, HOLD_TX))
		dirs |= HOLD_TX;
	fork_give(ep, dirs);
	return dirs;
}

void fork_let_go(struct xvmc_endpoint *ep)
{
	/* Who has the lock is using it, or has ended with it. */
	if (!ep->hold || section_trylock(&ep->conn.tx.lock) != 0)
		return;
	give_back(ep);
	if (xvmc_ep_lacks(ep) == HOLD_BOTH)
		fork_closed(ep);
	section_unlock(&ep->conn.tx.lock);
}

int fork_rest(struct xvmc_endpoint *ep)
{
	unsigned int dirs = 0;

	if (!ep->hold)
		return 0;
	if (section_trylock(&ep->conn.tx.lock) != 0)
		return -EBUSY;
	/* In a set it waits all the time, and nothing in a set asks first. */
	if (xvmc_list_empty(&ep->epregs))
		dirs = give_back(ep);
	section_unlock(&ep->conn.tx.lock);
	return (int)dirs;
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
static int ask_owner(struct xvmc_endpoint *ep, unsigned int dirs, pid_t owner)
{
	int bell = ep->hold_arena->bell_fd, r;

	if (bell >= 0) {
		os_eventfd_ring(bell);
		if (hold_await(ep->hold, dirs, owner, BELL_NS))
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
static int await_owner(struct xvmc_endpoint *ep, unsigned int dirs)
{
	uint64_t end = os_now_ns() + escape_ns(ep);
	pid_t owner;

	while ((owner = hold_in_way(ep->hold, dirs))) {
		int r = ask_owner(ep, dirs, owner);

		if (!hold_in_way(ep->hold, dirs))
			break; /* it went in order */
		/* It has died, says xvmcd; or it has not found this one yet. */
		if (r == -ESRCH && OS2(SYS_kill, owner, 0) != -ESRCH)
			r = 0;
		if (r == 0 && os_now_ns() >= end)
			r = -ETIMEDOUT;
		if (r < 0)
			return r;
		hold_await(ep->hold, dirs, owner, 1000000);
	}
	return 0;
}

int xvmc_sock_hold(struct xvmc_endpoint *ep, unsigned int dirs)
{
	int r = 0;

	section_lock(&ep->conn.tx.lock);
	dirs &= xvmc_ep_lacks(ep);
	if (!dirs)
		goto out;
	if (ep->hold) {
		hold_take(ep->hold, dirs);
		/* If it is we who own the way in, nobody owns the way out. */
		if (!ep->owned)
			r = await_owner(ep, dirs);
	} else if (ep->orphan) {
		r = -ENOMEM;
	}
	if (r < 0) {
		/* Whatever the ring holds is out of our reach. */
		os_shutdown(ep->fd, SHUT_RDWR);
		xvmc_stat_add(ep->ctx->stats, XVMC_S_RESETS, 1);
		r = -ECONNRESET;
	}
	no_lack(ep, dirs);
out:
	section_unlock(&ep->conn.tx.lock);
	return r;
}
