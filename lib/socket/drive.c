/* SPDX-License-Identifier: MIT */
/*
 * What one endpoint needs next. drive() looks at everything and does what is
 * due; it may be called at any time, as often as one likes. Calls that wait
 * for something (an acknowledgement, room, the peer's record) return here
 * when the service thread's epoll, the queue, or the clock says so.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "service.h"

#define MS 1000000u
/* A sender that died here is reported dead within this time. */
#define PROOF_NS (1000u * MS)
/* A closed socket is kept so long for records that are under way; and with
 * bytes that the peer's kernel has not acknowledged so long. */
#define CLOSE_NS (100u * MS)
#define CLOSE_MAX (60000ull * MS)
/* Whether the peer still reads our ring is asked at least so often. */
#define DOUBT_MAX (1000u * MS)
/* A peer that is asked to leave its ring, and has not, is asked again. */
#define LEAVE_NS (100u * MS)
/* A guest that has left this host has so long to say over TCP that it has left its
 * rings: then its pages are let go, whether it lives elsewhere or not at all. */
#define LET_GO_NS (1000u * MS)
/* Of those who use a connection in turns each has rings so often. */
#define RESTS_MAX 16u
#define REST_NS (1u * MS)

void drive_leave(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		 enum xvmc_reason why, bool pin)
{
	ep->svc.pin = ep->svc.pin || pin;
	ep->svc.want_ring = false;
	if (ep->svc.leaving)
		return;
	ep->svc.leaving = true;
	ep->svc.reason = why;
	service_log(sv, ep, "leaves", why);
}

static void drive_rx(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	uint32_t sleepers = atomic_load(&ep->rx_gate) & XVMC_GATE_COUNT;
	int r;

	/* A thread that went into the kernel before the connection was managed
	 * shall find the record itself: it is what wakes it. And a recv that a
	 * handler has read past may have part of the next one already. */
	if (!sleepers)
		ep->recv_passed = false;
	if (!sleepers || (c->rx.path == XVMC_PATH_RING && !ep->recv_passed))
		xvmc_conn_rx_pump(c);
	if (ep->svc.watch_rx)
		xvmc_hv_chan_ack(c->hv, &c->rx.chan);
	if (!ep->svc.leaving && !ep->svc.closing) {
		r = endpoint_ack(ep);
		if (r == -EBADMSG)
			drive_leave(sv, ep, XVMC_R_COUNT_MISMATCH, true);
		if (r > 0 && !sleepers)
			xvmc_conn_rx_pump(c);
	}
}

/* rx.lock held. TCP has ended without a record: waits, bounded, for word of
 * how the sender ended. */
static void drive_end(struct xvmc_endpoint *ep, uint64_t now)
{
	struct conn_t *c = &ep->conn;

	if (c->rx.path != XVMC_PATH_RING || !c->rx.eof || c->rx.no_proof)
		return;
	if (!c->rx.eof_ns)
		c->rx.eof_ns = now;
	if (now - c->rx.eof_ns > PROOF_NS)
		c->rx.no_proof = true;
	if (xvmc_conn_rx_ended(c)) {
		c->rx.no_proof = true; /* asked and answered */
		atomic_fetch_or(&c->events, XVMC_EV_RX_CHANGED);
	} else {
		drive_due(ep, now + MS);
	}
}

/*
 * Both locks held. A peer that may be gone, while we write into its ring: its
 * process has ended or it has closed, if it maps the ring no more. Until then
 * it may live, and have only lost its xvmcd, or shut down its half.
 */
static void drive_doubt(struct xvmc_service *sv, struct xvmc_endpoint *ep, uint64_t now)
{
	struct conn_t *c = &ep->conn;
	struct xvmc_ep_svc *s = &ep->svc;

	if (s->tcp_ev & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) && !s->doubt_ns)
		s->doubt_ns = now;
	if (s->unlinked && !s->doubt_ns)
		s->doubt_ns = now;
	if (!s->doubt_ns || s->leaving)
		return;
	if (c->tx.path != XVMC_PATH_RING && !c->tx.announced) {
		if (s->unlinked)
			drive_leave(sv, ep, (enum xvmc_reason)s->unlinked, false);
	} else if (xvmc_conn_reader_gone(c)) {
		drive_leave(sv, ep, XVMC_R_PEER_DIED, true);
	} else {
		uint64_t wait = (now - s->doubt_ns) / 4 + MS;

		drive_due(ep, now + (wait < DOUBT_MAX ? wait : DOUBT_MAX));
	}
}

/* Both locks held, on the way to TCP. */
static void drive_let_go(struct xvmc_service *sv, struct xvmc_endpoint *ep, uint64_t now)
{
	uint64_t *since = &ep->svc.gone_ns;

	if (!*since)
		return;
	if (now - *since < LET_GO_NS) {
		drive_due(ep, *since + LET_GO_NS);
	} else if (xvmc_conn_let_go(&ep->conn) == 0) {
		service_log(sv, ep, "lets go of the peer's pages", ep->svc.reason);
		*since = 0;
	} else {
		*since = now; /* no memory: again in a while */
		drive_due(ep, now + LET_GO_NS);
	}
}

static void watches(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	struct xvmc_ep_svc *s = &ep->svc;

	/* The bells only while the peer's mapping of our pages, or an announcement,
	 * is to be seen or answered; in the ring they ring for the application, and
	 * at the end by us, for those who are to leave. */
	service_watch(sv, ep, c->rx.chan.wait_fd, TAG_RX_BELL, &s->watch_rx,
		      c->rx.have_chan && c->rx.path == XVMC_PATH_TCP &&
			      c->rx.expect == XVMC_POS_NONE && !s->leaving &&
			      !s->closing);
	service_watch(sv, ep, c->tx.chan.wait_fd, TAG_TX_BELL, &s->watch_tx,
		      c->tx.have_chan &&
			      (c->tx.announced || (!c->tx.attached && !s->leaving)));
	service_watch(sv, ep, ep->io_fd, TAG_TCP, &s->watch_tcp, ep->io_fd >= 0);
}

/* Bytes the peer's kernel does not have yet: a reset would take them. */
static bool unsent(const struct xvmc_endpoint *ep)
{
	int outq = 0;

	return ep->io_fd >= 0 && os_ioctl(ep->io_fd, SIOCOUTQ, &outq) == 0 && outq > 0;
}

/* Both locks held: is everything of the rings over? */
static bool all_over(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	uint64_t now = os_now_ns();

	if (!ep->svc.leaving && !ep->svc.closing)
		return false;
	/* Threads that are still inside have no number to go on with; and who
	 * closes it has yet to say so to the peer. */
	if (ep->close_later || (ep->svc.closing && !ep->closed))
		return false;
	if (ep->svc.closing && ep->svc.lingers && !c->rx.err &&
	    (!c->rx.eof || (ep->linger_ns && unsent(ep))) && !xvmc_conn_rx_early(c)) {
		if (!ep->svc.close_ns)
			ep->svc.close_ns = now;
		if (now - ep->svc.close_ns < (unsent(ep) ? CLOSE_MAX : CLOSE_NS)) {
			drive_due(ep, now + MS + (now - ep->svc.close_ns) / 16);
			return false;
		}
	}
	/* What the kernel has to say of a failure is right once it is told. */
	if (!ep->svc.closing && xvmc_conn_failed(c) && !c->untold && !c->untold_pipe &&
	    xvmc_conn_rx_ready(c) <= 0)
		return true;
	if (ep->svc.closing ? xvmc_conn_tx_pending(c) && !c->tx.err :
			      !xvmc_conn_tx_idle(c) || !xvmc_conn_rx_idle(c))
		return false;
	/* An error stays with us: the kernel would call it end of stream. */
	return ep->svc.closing || !(xvmc_conn_rx_early(c) || c->rx.skip || c->rx.pull ||
				    c->rx.err || c->untold || c->untold_pipe);
}

/* Both locks and epoll's held: back to the kernel alone. False: not yet. */
static bool make_plain(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;

	/* Nothing is taken apart before that is sure: a set that has given
	 * its bells back would hear no more of a ring. */
	if (!endpoint_quiet(ep))
		return false;
	xvmc_epoll_ep_plain(ep);
	service_watch(sv, ep, c->rx.chan.wait_fd, TAG_RX_BELL, &ep->svc.watch_rx, false);
	service_watch(sv, ep, c->tx.chan.wait_fd, TAG_TX_BELL, &ep->svc.watch_tx, false);
	service_watch(sv, ep, ep->io_fd, TAG_TCP, &ep->svc.watch_tcp, false);
	if (ep->svc.lingers && ep->io_fd >= 0 && xvmc_conn_rx_early(c))
		endpoint_reset_on_close(ep); /* nobody will read these */
	endpoint_unmanage(ep);
	return true;
}

/* No lock held. Whoever read or wrote since all was over may have begun anew,
 * so it is looked at again under all the locks. */
static bool try_plain(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	bool done;

	xvmc_epoll_ep_lock(ep);
	section_lock(&c->tx.lock);
	section_lock(&c->rx.lock);
	done = all_over(ep) && make_plain(sv, ep);
	section_unlock(&c->rx.lock);
	section_unlock(&c->tx.lock);
	xvmc_epoll_ep_unlock(ep);
	if (!done)
		drive_due(ep, os_now_ns() + MS);
	return done;
}

/* To those who wait for it to change (escape.c). */
static void tell_state(struct xvmc_endpoint *ep)
{
	OS3(SYS_futex, &ep->state, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

/* Where nobody uses it here, whoever asked is alone. */
static void rest(struct xvmc_endpoint *ep)
{
	int r;

	section_lock(&ep->ctx->epoll_lock);
	r = fork_rest(ep);
	section_unlock(&ep->ctx->epoll_lock);
	/* It may be the other direction that is used here. */
	ep->svc.rest_owed = r == -EBUSY;
	if (ep->svc.rest_owed)
		drive_due(ep, os_now_ns() + REST_NS);
}

static void became_plain(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	enum xvmc_reason why = ep->svc.reason;

	if (why == XVMC_R_DEMOTED && !ep->svc.demoted)
		why = XVMC_R_PEER_LEFT; /* promoted again meanwhile */
	if (ep->svc.closing)
		why = XVMC_R_CLOSE;
	known_no_ring(sv, ep);
	grow_left(ep, why);
	ep->svc.leaving = ep->svc.asked = false;
	ep->svc.leave_ns = 0;
	ep->svc.tcp_ev = ep->svc.unlinked = 0;
	ep->svc.doubt_ns = ep->svc.gone_ns = 0;
	ep->reason = why;
	ep->conn.rx.hand_over = false;
	service_log(sv, ep, "is plain TCP again", why);
	fork_release(ep);
	if (ep->svc.yield && !ep->svc.pin) {
		ep->svc.yield = false;
		link_withdraw(sv, ep, XVMC_R_FORK);
		/* Two that use it in turns would ask each other all the time. */
		if (ep->svc.rests++ < RESTS_MAX)
			rest(ep);
		return;
	}
	if (link_for_want(why) && !ep->svc.pin) {
		link_withdraw(sv, ep, why);
		tell_state(ep);
		return;
	}
	link_ended(sv, ep, why);
	/* xvmcd may have gone, or be another one, since it was registered. */
	ep->state = ep->svc.pin	      ? XVMC_EP_PINNED :
		    ep->svc.told_xvmcd ? XVMC_EP_REGISTERED :
					 XVMC_EP_QUEUED;
	tell_state(ep);
	link_held(sv, ep);
}

/* The link ended before both rings were there. */
static void abort_setup(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;

	section_lock(&c->tx.lock);
	section_lock(&c->rx.lock);
	xvmc_conn_tx_detach(c);
	xvmc_conn_rx_detach(c);
	if (ep->io_fd >= 0)
		os_close(ep->io_fd);
	ep->io_fd = -1;
	section_unlock(&c->rx.lock);
	section_unlock(&c->tx.lock);
	became_plain(sv, ep);
}

static void forget(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	link_unregister(sv, ep);
	link_held_end(ep);
	known_del(sv, ep);
	xvmc_ep_put(ep); /* the service's reference: ep may be gone now */
}

static void drive_managed(struct xvmc_service *sv, struct xvmc_endpoint *ep,
			  uint64_t now)
{
	struct conn_t *c = &ep->conn;
	bool over;
	uint32_t ev;

	section_lock(&c->tx.lock);
	section_lock(&c->rx.lock);
	if (!ep->svc.leaving)
		c->rx.hand_over = fork_shared(ep);
	drive_rx(sv, ep);
	drive_end(ep, now);
	ev = atomic_exchange(&c->events, 0);
	if (ev & XVMC_EV_CLOSED) {
		xvmc_conn_tx_abandon(c, XVMC_R_PEER_DIED);
		drive_leave(sv, ep, XVMC_R_CLOSE, true);
	}
	if (ev & XVMC_EV_GONE) {
		if (!c->rx.kept)
			c->rx.gone = true;
		drive_leave(sv, ep, c->rx.reason == XVMC_R_BAD_INDEX ?
					    XVMC_R_BAD_INDEX :
					    XVMC_R_MIGRATE_SELF, false);
	}
	if (ev & XVMC_EV_FOLLOW)
		drive_leave(sv, ep, (enum xvmc_reason)c->rx.reason, false);
	if (atomic_exchange(&ep->passed, false) && c->rx.path == XVMC_PATH_RING)
		drive_leave(sv, ep, XVMC_R_MANY_WAITERS, false);
	drive_doubt(sv, ep, now);
	if (ep->svc.leaving) {
		uint32_t records = c->switches;

		xvmc_conn_tx_leave(c, (enum xvmc_reason)ep->svc.reason,
				   !(ev & XVMC_EV_FOLLOW));
		/* Where no record asks the peer for the same, a word does: an
		 * announcement may have been given up just now. xvmcd may be a
		 * new one, whom nobody has told of the link yet. */
		if (!c->rx.kept && c->switches == records && c->rx.path == XVMC_PATH_RING) {
			if (now >= ep->svc.leave_ns + LEAVE_NS) {
				ep->svc.leave_ns = now;
				link_say(sv, ep, XVMC_SETUP_LEAVE, ep->svc.reason);
			}
			drive_due(ep, ep->svc.leave_ns + LEAVE_NS);
		}
		drive_let_go(sv, ep, now);
	}
	drive_tx(sv, ep, now);
	drive_stuck(sv, ep, now);
	grow_look(sv, ep);
	ev |= atomic_exchange(&c->events, 0);
	/* Those who sleep on the bells do not see the TCP socket's edges. */
	if (ep->svc.tcp_ev && c->rx.path == XVMC_PATH_TCP)
		ev |= XVMC_EV_RX_CHANGED;
	if (ep->svc.tcp_ev && c->tx.path == XVMC_PATH_TCP)
		ev |= XVMC_EV_TX_CHANGED;
	ep->svc.tcp_ev = 0;
	if (ep->svc.leaving && ep->bring && !(ep->rx_gate & XVMC_GATE_COUNT))
		xvmc_conn_rx_bring(c);
	watches(sv, ep);
	/* What came before the watch was on. */
	if (ep->svc.watch_rx && !ep->svc.leaving && !ep->svc.closing &&
	    endpoint_ack(ep) > 0)
		watches(sv, ep);
	if (ev & (XVMC_EV_RX_CHANGED | XVMC_EV_CLOSED))
		endpoint_poke_rx(ep);
	if (ev & XVMC_EV_TX_CHANGED)
		endpoint_poke_tx(ep);
	over = all_over(ep);
	section_unlock(&c->rx.lock);
	section_unlock(&c->tx.lock);
	if (over && try_plain(sv, ep)) {
		atomic_fetch_sub(&ep->ctx->stats->value[XVMC_S_RINGS], 1);
		became_plain(sv, ep);
		return;
	}
	if (ep->bring)
		tell_state(ep);
	if (ev)
		xvmc_epoll_ep_changed(ep);
}

/* One that is not held here (hold.h) is no more than asked about. */
static bool is_managed(struct xvmc_endpoint *ep)
{
	bool yes;

	section_lock(&ep->conn.tx.lock);
	yes = xvmc_ep_managed(ep);
	section_unlock(&ep->conn.tx.lock);
	return yes;
}

/* False: it is closed, and forgotten. */
static bool drive_on(struct xvmc_service *sv, struct xvmc_endpoint *ep, uint64_t now)
{
	uint32_t pin = atomic_exchange(&ep->pin_wanted, 0);
	uint32_t steer = atomic_exchange(&ep->steer_wanted, 0);
	bool back = atomic_exchange(&ep->return_wanted, false);

	ep->svc.due_ns = 0;
	ep->svc.closing = ep->nfds == 0 && !ep->close_later;
	if (back && endpoint_return(ep))
		ep->svc.pin = false;
	if (pin) {
		ep->conn.rx.hand_over = true;
		ep->svc.pin = true;
		if (ep->svc.asked || is_managed(ep))
			drive_leave(sv, ep, (enum xvmc_reason)pin, true);
	}
	if (ep->svc.yield && ep->svc.asked) {
		ep->conn.rx.hand_over = true;
		drive_leave(sv, ep, XVMC_R_FORK, false);
	} else {
		ep->svc.yield = false; /* it is left already */
	}
	if (steer)
		link_steer(sv, ep, (enum xvmc_path)(steer - 1));
	if (is_managed(ep)) {
		drive_managed(sv, ep, now);
		if (is_managed(ep))
			return true;
	}
	if (ep->svc.leaving || (ep->svc.closing && ep->svc.asked))
		abort_setup(sv, ep);
	if (ep->svc.closing) {
		forget(sv, ep);
		return false;
	}
	if (ep->svc.pin && ep->state != XVMC_EP_PINNED) {
		ep->reason = pin ? pin : ep->svc.reason;
		link_unregister(sv, ep);
		ep->state = XVMC_EP_PINNED;
		tell_state(ep);
		return true;
	}
	if (ep->svc.rest_owed)
		rest(ep);
	if ((xvmc_ep_lacks(ep) & HOLD_RX) && !fork_alone(ep) && !ep->svc.asked &&
	    (ep->state == XVMC_EP_QUEUED || ep->state == XVMC_EP_REGISTERED))
		link_withdraw(sv, ep, XVMC_R_FORK);
	if (ep->state == XVMC_EP_QUEUED)
		link_register(sv, ep);
	return true;
}

void drive(struct xvmc_service *sv, struct xvmc_endpoint *ep, uint64_t now)
{
	if (drive_on(sv, ep, now))
		known_due(sv, ep);
}
