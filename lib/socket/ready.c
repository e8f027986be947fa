/* SPDX-License-Identifier: MIT */
/*
 * Readiness of a MANAGED endpoint: what poll() would say of it, the glance a
 * spinner takes, and the ioctl questions (how much is there?).
 */
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "inside.h"

/* As the kernel does: writable when a good part of the buffer is free. */
static size_t writable_room(const struct sender_t *s)
{
	return s->size / 4;
}

static short tcp_poll(struct xvmc_endpoint *ep, short events)
{
	static const struct timespec zero;
	struct pollfd pfd = { .fd = ep->io_fd, .events = events };

	return os_ppoll(&pfd, 1, &zero, NULL) > 0 ? pfd.revents : 0;
}

/* It became PLAIN under our hands: the kernel knows all. */
static short tcp_poll_plain(struct xvmc_endpoint *ep)
{
	static const struct timespec zero;
	struct pollfd pfd = { .fd = ep->fd,
			      .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI };

	return os_ppoll(&pfd, 1, &zero, NULL) > 0 ? pfd.revents : 0;
}

bool endpoint_rx_ended(struct xvmc_endpoint *ep)
{
	const struct conn_rx *rx = &ep->conn.rx;

	if (rx->err)
		return true;
	return rx->path == XVMC_PATH_RING ? xvmc_conn_rx_ended(&ep->conn) :
					    tcp_poll(ep, POLLRDHUP) != 0;
}

static short poll_rx(struct xvmc_endpoint *ep, bool arm, uint64_t *ret_pos)
{
	struct conn_t *c = &ep->conn;
	struct conn_rx *rx = &c->rx;
	short ev = 0;
	int inq = 0;
	bool ring, ended;
	ssize_t n;

	xvmc_conn_rx_follow(c);
	ring = rx->path == XVMC_PATH_RING;
	ended = xvmc_conn_rx_ended(c); /* which may turn out to be a reset */
	n = xvmc_conn_rx_ready(c);
	if (n == 0 && ring && arm && rx->attached && !rx->gone &&
	    xvmc_conn_rx_arm(c, 1))
		n = xvmc_conn_rx_ready(c);
	if (ring && n == 0 && c->hv && !rx->gone && !rx->kept &&
	    xvmc_hv_incarnation(c->hv) != c->incarnation)
		atomic_fetch_or(&c->events, XVMC_EV_GONE);
	if (n > 0)
		ev |= POLLIN;
	/* What came before the error can still be read. */
	if (rx->err || n < 0)
		ev |= POLLIN | POLLOUT | POLLRDHUP | POLLHUP |
		      (rx->err && !c->untold ? 0 : POLLERR);
	if (ring) {
		/* End of stream counts once the ring is empty, as it would
		 * once the socket's queue is; RDHUP at once, as the kernel. */
		if (ended)
			ev |= POLLIN | POLLRDHUP;
		*ret_pos = rx->rcvd + (n > 0 ? (uint64_t)n - rx->front.len : 0);
		return ev;
	}
	if (!(ev & POLLIN)) {
		if (rx->expect == rx->rcvd && !inside_others(ep))
			xvmc_conn_rx_pump(c);
		if (rx->path == XVMC_PATH_RING)
			return poll_rx(ep, arm, ret_pos);
	}
	/* The service thread sees every edge of the TCP socket and pokes us:
	 * looking after its edge, we miss nothing. */
	if (rx->expect != rx->rcvd && !rx->skip)
		ev |= tcp_poll(ep, POLLIN | POLLRDHUP | POLLPRI);
	os_ioctl(ep->io_fd, SIOCINQ, &inq);
	*ret_pos = rx->rcvd + rx->in.len + (inq > 0 ? (uint64_t)inq : 0);
	return ev;
}

static short poll_tx(struct xvmc_endpoint *ep, bool arm, uint64_t *ret_pos)
{
	struct conn_t *c = &ep->conn;
	struct conn_tx *tx = &c->tx;
	short ev = 0;
	int outq = 0;

	/* All but EPIPE were the end of both halves, told or not. */
	if (tx->err)
		return (short)(POLLOUT | (tx->err != -EPIPE ? POLLHUP : 0) |
			       (c->untold || c->untold_pipe ? POLLERR | POLLHUP : 0));
	if (tx->shut && !tx->fin_owed)
		return POLLOUT; /* a write would not wait */
	/* Of the ring, too: as long as TCP does not take the record that says so,
	 * no write gets there. Who sleeps is poked when it has. */
	if (xvmc_conn_tx_pending(c) && xvmc_conn_tx_flush(c) == -EAGAIN) {
		*ret_pos = tx->path == XVMC_PATH_RING ? tx->s.known : tx->sent;
		return 0;
	}
	if (tx->path == XVMC_PATH_RING) {
		size_t want = writable_room(&tx->s);
		ssize_t room = xvmc_sender_room(&tx->s, want);

		if (room >= 0 && (size_t)room < want && arm &&
		    xvmc_conn_tx_arm(c, want))
			room = xvmc_sender_room(&tx->s, want);
		if (room < 0 || (size_t)room >= want)
			ev |= POLLOUT;
		*ret_pos = tx->s.known;
		return ev;
	}
	os_ioctl(ep->io_fd, SIOCOUTQ, &outq);
	*ret_pos = tx->sent - (outq > 0 && (uint64_t)outq < tx->sent ? (uint64_t)outq : 0);
	return tcp_poll(ep, POLLOUT);
}

short xvmc_ep_poll(struct xvmc_endpoint *ep, short arm, uint64_t *ret_rx_pos,
		   uint64_t *ret_tx_pos)
{
	struct conn_t *c = &ep->conn;
	short ev = 0;
	bool full;

	*ret_rx_pos = *ret_tx_pos = 0;
	xvmc_sock_use(ep, HOLD_RX);
	section_lock(&c->rx.lock);
	if (!xvmc_ep_managed(ep)) {
		section_unlock(&c->rx.lock);
		return tcp_poll_plain(ep);
	}
	ev |= poll_rx(ep, (arm & POLLIN) != 0, ret_rx_pos);
	section_unlock(&c->rx.lock);
	section_lock(&c->tx.lock);
	if (!xvmc_ep_managed(ep)) { /* in between */
		section_unlock(&c->tx.lock);
		return tcp_poll_plain(ep);
	}
	ev |= poll_tx(ep, (arm & POLLOUT) != 0, ret_tx_pos);
	full = c->tx.path == XVMC_PATH_RING && !(ev & POLLOUT) && (arm & POLLOUT);
	section_unlock(&c->tx.lock);
	if ((ev & (POLLHUP | POLLERR)) == POLLHUP) {
		/* Between the two looks a reader may have met the error. */
		section_lock(&c->rx.lock);
		if (c->untold)
			ev |= POLLERR;
		section_unlock(&c->rx.lock);
	}
	/* Or the reset came between them: nothing comes either, then. */
	if (ev & POLLHUP)
		ev |= POLLIN | POLLRDHUP;
	if (ev & (POLLRDHUP | POLLHUP))
		c->rx.end_told = true;
	if (full && !atomic_exchange(&ep->tx_full, true))
		xvmc_service_kick(ep);
	endpoint_events(ep);
	return ev;
}

bool xvmc_ep_glance(struct xvmc_endpoint *ep, short events)
{
	struct conn_t *c = &ep->conn;
	bool yes = false;

	/* A held lock means that somebody is at it: look again later. */
	if ((events & POLLIN) && section_trylock(&c->rx.lock) == 0) {
		struct conn_rx *rx = &c->rx;

		if (rx->path == XVMC_PATH_RING && rx->attached && !rx->gone)
			yes = ring_see_prod(rx->r.s) != rx->r.cons;
		yes = yes || xvmc_conn_rx_early(c) || rx->eof || rx->err ||
		      xvmc_conn_rx_left(c);
		section_unlock(&c->rx.lock);
	}
	if (!yes && (events & POLLOUT) && section_trylock(&c->tx.lock) == 0) {
		struct conn_tx *tx = &c->tx;

		if (tx->path == XVMC_PATH_RING && tx->attached)
			yes = tx->s.size - (tx->s.prod - ring_see_cons(tx->s.r)) >=
			      writable_room(&tx->s);
		else
			yes = true;
		section_unlock(&c->tx.lock);
	}
	return yes;
}

/* Reads what others write under the locks, on purpose: a stale value only
 * makes us look again. */
__attribute__((no_sanitize("thread")))
bool xvmc_ep_glance_held(struct xvmc_endpoint *ep, short events)
{
	const struct conn_rx *rx = &ep->conn.rx;
	const struct conn_tx *tx = &ep->conn.tx;

	if (ep->conn.events)
		return true;
	if (events & POLLIN) {
		if (rx->path != XVMC_PATH_RING || !rx->attached || rx->gone ||
		    rx->eof || rx->err)
			return true;
		if (rx->front.len || ring_see_prod(rx->r.s) != rx->rcvd ||
		    ring_see_left(rx->r.s) > rx->epoch)
			return true;
	}
	if (events & POLLOUT) {
		if (tx->path != XVMC_PATH_RING || !tx->attached || tx->err)
			return true;
		if (tx->s.size - (tx->sent - ring_see_cons(tx->s.r)) >=
		    writable_room(&tx->s))
			return true;
	}
	return false;
}

int xvmc_sock_error(struct xvmc_endpoint *ep, int known)
{
	bool pipe;
	int err;

	/* An attempt to connect may fail and be made again. */
	if (known && !xvmc_ep_managed(ep))
		return known;
	pipe = atomic_exchange(&ep->conn.untold_pipe, false);
	err = -xvmc_conn_tell(&ep->conn, -known);
	endpoint_events(ep);
	return err ? err : pipe ? EPIPE : 0;
}

void xvmc_sock_untell(struct xvmc_endpoint *ep, int err)
{
	if (err == -ECONNRESET || err == -ETIMEDOUT || err == -EHOSTUNREACH ||
	    err == -ENETUNREACH)
		ep->conn.untold = err;
}

int xvmc_sock_ioctl(struct xvmc_endpoint *ep, unsigned long req, void *arg)
{
	struct conn_t *c = &ep->conn;
	int *val = arg;
	int r = 0;

	xvmc_sock_use(ep, req == FIONREAD ? HOLD_RX : req == SIOCOUTQ ? HOLD_TX : HOLD_BOTH);
	if (!xvmc_ep_managed(ep))
		return -ENOTTY;
	if (req == FIONREAD) {
		section_lock(&c->rx.lock);
		/* Before the ring there may be a record that nobody has taken
		 * since the last byte of TCP was read. */
		if (c->rx.path == XVMC_PATH_TCP && c->rx.expect == c->rx.rcvd &&
		    !inside_others(ep))
			xvmc_conn_rx_pump(c);
		*val = (int)xvmc_conn_rx_count(c);
		section_unlock(&c->rx.lock);
	} else if (req == SIOCOUTQ) {
		section_lock(&c->tx.lock);
		if (c->tx.path == XVMC_PATH_RING) {
			xvmc_sender_look(&c->tx.s);
			*val = (int)(c->tx.s.prod - c->tx.s.known);
		} else {
			r = -ENOTTY;
		}
		section_unlock(&c->tx.lock);
	} else {
		r = -ENOTTY;
	}
	endpoint_events(ep);
	return r;
}
