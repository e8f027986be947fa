/* SPDX-License-Identifier: MIT */
/*
 * The short way: a call that a ring can do at once, under the direction's lock
 * and nothing else. Most calls of a busy connection are of this kind, and what
 * they would spend on a reference, on the gate, and on leaving in order when
 * cancelled is as much as the rest of them.
 *
 * The lock is enough: who closes the connection, makes it plain, moves its
 * stream, or gives it to another process holds it as well; and the memory of an
 * endpoint, with its locks, is never anything else than an endpoint. So what is
 * behind the number while we hold the lock stays what it is. [S 5]
 */
#include "internal.h"

/* One of its locks held: is it still the one, and nothing to be seen to? */
static bool usual(struct xvmc_endpoint *ep, int fd, unsigned int dir)
{
	return xvmc_fd_peek(ep->ctx, fd) == &ep->obj && xvmc_ep_managed(ep) &&
	       !(xvmc_ep_lacks(ep) & dir) && !ep->fork_idle && !ep->closed &&
	       !atomic_load_explicit(&ep->conn.events, memory_order_relaxed);
}

size_t xvmc_ep_send_now(struct xvmc_endpoint *ep, int fd, const struct iovec *vec)
{
	size_t r = 0;

	if (section_trylock(&ep->conn.tx.lock) != 0)
		return 0;
	if (usual(ep, fd, HOLD_TX))
		r = xvmc_conn_write_now(&ep->conn, vec->iov_base, vec->iov_len);
	if (r && ep->tx_waiters)
		endpoint_poke_tx(ep);
	section_unlock(&ep->conn.tx.lock);
	if (r)
		endpoint_events(ep); /* it may have left the ring */
	return r;
}

size_t xvmc_ep_recv_now(struct xvmc_endpoint *ep, int fd, const struct iovec *vec)
{
	size_t r = 0;

	if (section_trylock(&ep->conn.rx.lock) != 0)
		return 0;
	if (usual(ep, fd, HOLD_RX))
		r = xvmc_conn_read_now(&ep->conn, vec->iov_base, vec->iov_len);
	if (r && ep->rx_waiters)
		endpoint_rx_taken(ep);
	if (r && r < vec->iov_len && ep->bell_holds)
		atomic_fetch_add_explicit(&ep->dries, 1, memory_order_release);
	section_unlock(&ep->conn.rx.lock);
	return r;
}
