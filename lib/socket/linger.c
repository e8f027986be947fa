/* SPDX-License-Identifier: MIT */
/*
 * SO_LINGER: how long close() waits for what is sent to arrive. The kernel sees
 * to it where the program's descriptor is the last one of the socket. Where the
 * service thread keeps ours for a while we wait in its stead, for the same: that
 * the peer's kernel has acknowledged all of it, the end included. Nothing is
 * left in a ring by then, for who closes says the rest again over TCP.
 */
#include <errno.h>

#include "internal.h"

/* Looked at again so soon, and the later the longer it has lasted. */
#define LOOK_MIN 50000u
#define LOOK_MAX 5000000u

uint64_t linger_ns(const struct xvmc_endpoint *ep)
{
	struct linger how = { 0 };
	socklen_t len = sizeof(how);

	os_getsockopt(ep->io_fd, SOL_SOCKET, SO_LINGER, &how, &len);
	return how.l_onoff ? (unsigned int)how.l_linger * 1000000000ull : LINGER_NONE;
}

void linger_begin(struct xvmc_endpoint *ep, uint64_t ns)
{
	static const struct linger off;

	if (ns == LINGER_NONE)
		return;
	/* The service thread's close is not to wait. */
	os_setsockopt(ep->io_fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	ep->linger_ns = ns;
}

static bool on_its_way(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	bool yes;

	section_lock(&c->tx.lock);
	yes = ep->io_fd >= 0 && !c->tx.err &&
	      (xvmc_conn_tx_pending(c) || endpoint_end_unacked(ep));
	section_unlock(&c->tx.lock);
	return yes;
}

void xvmc_sock_linger(struct xvmc_endpoint *ep)
{
	uint64_t ns = ep->linger_ns, start, now;
	/* As the kernel's wait: every handler ends it, and O_NONBLOCK does not. */
	uint32_t handlers = xvmc_section.ran;

	if (!ns)
		return;
	start = now = os_now_ns();
	while (now - start < ns && xvmc_section.ran == handlers && on_its_way(ep)) {
		uint64_t look = (now - start) / 8;
		struct timespec ts = { 0 };

		look = look < LOOK_MIN ? LOOK_MIN : look > LOOK_MAX ? LOOK_MAX : look;
		if (look > ns - (now - start))
			look = ns - (now - start);
		ts.tv_nsec = (long)look;
		if (os_ppoll(NULL, 0, &ts, NULL) == -EINTR)
			break;
		now = os_now_ns();
	}
	ep->linger_ns = 0; /* now the service thread may be done with it */
}
