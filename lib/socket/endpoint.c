/* SPDX-License-Identifier: MIT */
/*
 * Endpoints: birth when a TCP connection is made that could become eligible,
 * PLAIN and MANAGED, and the bells. The switch is lib/conn's, who decides is
 * service.c's business.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "internal.h"
#include "spin.h"

/* ---- birth and end ---- */

/* ctx->lock held. One that was used before, or a new one. */
static struct xvmc_endpoint *endpoint_alloc(struct xvmc_ctx *ctx)
{
	struct xvmc_endpoint *ep = (struct xvmc_endpoint *)ctx->free_eps;

	if (ep) {
		ctx->free_eps = ep->obj.free_next;
		return ep;
	}
	ep = aligned_alloc(64, (sizeof(*ep) + 63) / 64 * 64);
	if (!ep)
		return NULL;
	memset(ep, 0, sizeof(*ep));
	xvmc_conn_init_locks(&ep->conn);
	return ep;
}

/* What nobody else sees: whoever puts it behind a number orders all of it. A
 * plain assignment to an _Atomic would wait for each word to be out. */
#define SET(field, val) atomic_store_explicit(&(field), (val), memory_order_relaxed)

void endpoint_restart(struct xvmc_endpoint *ep)
{
	struct xvmc_ctx *ctx = ep->ctx;

	SET(ep->state, XVMC_EP_TRACKED);
	SET(ep->reason, XVMC_R_YOUNG);
	SET(ep->nonblock, false);
	SET(ep->fork_idle, false);
	SET(ep->owned, false);
	SET(ep->owns_tx, false);
	SET(ep->pin_wanted, 0);
	SET(ep->steer_wanted, 0);
	SET(ep->return_wanted, false);
	SET(ep->passed, false);
	SET(ep->recv_passed, false);
	SET(ep->bring, false);
	SET(ep->rcv_timeo_ns, 0);
	SET(ep->snd_timeo_ns, 0);
	SET(ep->settings, 0);
	SET(ep->rx_waiters, 0);
	SET(ep->tx_waiters, 0);
	SET(ep->bell_holds, 0);
	SET(ep->inside_rx, 0);
	SET(ep->inside_tx, 0);
	SET(ep->dries, 0);
	SET(ep->close_later, false);
	ep->closed = false;
	SET(ep->linger_ns, 0);
	SET(ep->svc_wants_quiet, false);
	SET(ep->ops_wanted, ctx->opt.min_ops);
	SET(ep->bytes_wanted, ctx->opt.min_bytes);
	SET(ep->io_fd, -1);
	ep->rx_poke_fd = ep->tx_poke_fd = -1;
	SET(ep->held_fd, -1);
	SET(ep->tx_full, false);
	spin_init(ctx, &ep->spin_rx);
	spin_init(ctx, &ep->spin_tx);
	memset(&ep->room, 0, sizeof(ep->room));
	SET(ep->queued, false);
	SET(ep->attended, false);
	memset(&ep->svc, 0, offsetof(struct xvmc_ep_svc, local));
	xvmc_conn_restart(&ep->conn, &endpoint_tcp_ops, ep, ctx->stats);
	ep->conn.announce_ns = (uint64_t)ctx->opt.announce_us * 1000;
}

/* But who is inside: late readers, on their way out. */
static void gate_clear(_Atomic uint32_t *gate)
{
	if (atomic_load_explicit(gate, memory_order_relaxed) & ~XVMC_GATE_COUNT)
		atomic_fetch_and(gate, XVMC_GATE_COUNT);
}

/* Everything but obj and the gates, which a late reader may still touch. */
static void endpoint_reset(struct xvmc_endpoint *ep, struct xvmc_ctx *ctx, int fd)
{
	ep->ctx = ctx;
	SET(ep->fd, fd);
	SET(ep->ops, 0);
	SET(ep->nfds, 1);
	ep->active = false;
	SET(ep->forked, false);
	ep->orphan = false;
	SET(ep->spoilt, false);
	SET(ep->stdio, 0);
	ep->counted = true;
	SET(ep->hold, NULL);
	ep->hold_arena = NULL;
	gate_clear(&ep->rx_gate);
	gate_clear(&ep->tx_gate);
	xvmc_list_init(&ep->epregs);
	endpoint_restart(ep);
}

/* Made, and in the list of all; not yet behind its number. */
static struct xvmc_endpoint *endpoint_new(struct xvmc_ctx *ctx, int fd)
{
	struct xvmc_endpoint *ep;

	section_lock(&ctx->lock);
	ep = endpoint_alloc(ctx);
	if (ep) {
		endpoint_reset(ep, ctx, fd);
		ep->epid = ++ctx->next_epid;
		xvmc_list_add(&ctx->eps, &ep->all_link);
	}
	section_unlock(&ctx->lock);
	return ep;
}

void endpoint_free(struct xvmc_ctx *ctx, struct xvmc_endpoint *ep)
{
	section_lock(&ctx->lock);
	xvmc_list_del(&ep->all_link);
	if (ep->hold) { /* takes the lock itself */
		section_unlock(&ctx->lock);
		fork_end(ep);
		section_lock(&ctx->lock);
	}
	xvmc_conn_deinit(&ep->conn);
	ep->obj.free_next = ctx->free_eps;
	ctx->free_eps = &ep->obj;
	section_unlock(&ctx->lock);
}

/* The library's table of VMs[] comes with the first connection after xvmcd
 * has published its board; one look at the file system a second until then. */
static struct vms *get_vms(struct xvmc_ctx *ctx)
{
	struct vms *vms = atomic_load_explicit(&ctx->vms, memory_order_acquire);
	uint64_t now;

	if (vms)
		return vms;
	now = os_now_ns();
	section_lock(&ctx->lock);
	vms = ctx->vms;
	if (!vms && now >= ctx->vms_retry_ns) {
		ctx->vms_retry_ns = now + 1000000000u;
		if (vms_open(ctx->opt.dir, &vms) == 0)
			ctx->vms = vms;
		else
			vms = NULL;
	}
	section_unlock(&ctx->lock);
	return vms;
}

bool endpoint_is_tcp(int fd)
{
	int protocol = 0;
	socklen_t len = sizeof(protocol);

	return os_getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
	       protocol == IPPROTO_TCP;
}

/* What the user's rules say. Where there are none, nothing is asked. */
static bool allowed(struct xvmc_ctx *ctx, int fd, const struct in6_addr *peer,
		    uint16_t peer_port)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	struct in6_addr ip;
	uint16_t port = 0;

	if (!ctx->rules.n)
		return true;
	if (os_getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		vms_addr((struct sockaddr *)&ss, len, &ip, &port);
	if (xvmc_rules_allow(&ctx->rules, peer, port, peer_port))
		return true;
	xvmc_stat_add(ctx->stats, XVMC_S_REASON0 + XVMC_R_RULE, 1);
	return false;
}

/* tcp: it is; else the kernel is asked. flags: SOCK_NONBLOCK or not; -1: to be
 * asked as well. */
static void track(struct xvmc_ctx *ctx, int fd, const struct sockaddr *sa,
		  socklen_t len, bool active, bool tcp, int flags)
{
	struct xvmc_endpoint *ep;
	enum vms_who who;
	struct in6_addr ip;
	uint16_t port;
	struct vms *vms;
	uint32_t seq;

	if (!ctx->opt.enable || ctx->ended || (unsigned int)fd >= ctx->nfds ||
	    !vms_addr(sa, len, &ip, &port))
		return;
	vms = get_vms(ctx);
	who = vms ? vms_look(vms, &ip, &seq) : VMS_NOBODY;
	if (who == VMS_NOBODY)
		return;
	if (xvmc_fd_peek(ctx, fd)) /* a second connect on the same socket */
		return;
	if ((!tcp && !endpoint_is_tcp(fd)) || !allowed(ctx, fd, &ip, port))
		return;
	ep = endpoint_new(ctx, fd);
	if (!ep)
		return;
	ep->active = active;
	ep->absent = who == VMS_ABSENT;
	ep->absent_seq = seq;
	ep->absent_ip = ip;
	settings_begin(ep, fd, flags);
	xvmc_stat_add(ctx->stats, XVMC_S_TRACKED, 1);
	xvmc_obj_init(&ep->obj, XVMC_OBJ_ENDPOINT);
	fdtab_set(ctx, fd, &ep->obj);
}

void xvmc_sock_connected(struct xvmc_ctx *ctx, int fd, const struct sockaddr *sa,
			 socklen_t len)
{
	uint8_t made = xvmc_fd_made_of(ctx, fd);

	if (made & XVMC_MADE_TCP)
		track(ctx, fd, sa, len, true, true,
		      made & XVMC_MADE_NONBLOCK ? SOCK_NONBLOCK : 0);
	else
		track(ctx, fd, sa, len, true, false, -1);
}

void xvmc_sock_accepted(struct xvmc_ctx *ctx, int listener, int fd,
			const struct sockaddr *sa, socklen_t len, int flags)
{
	bool tcp = (xvmc_fd_made_of(ctx, listener) & XVMC_MADE_TCP) != 0;

	track(ctx, fd, sa, len, false, tcp, flags);
}

bool endpoint_here(struct xvmc_endpoint *ep)
{
	struct vms *vms = atomic_load_explicit(&ep->ctx->vms, memory_order_acquire);
	uint32_t seq;

	if (!atomic_load_explicit(&ep->absent, memory_order_relaxed))
		return true;
	if (vms_seq(vms) == atomic_load_explicit(&ep->absent_seq, memory_order_relaxed))
		return false;
	if (vms_look(vms, &ep->absent_ip, &seq) == VMS_GUEST)
		atomic_store_explicit(&ep->absent, false, memory_order_relaxed);
	else
		atomic_store_explicit(&ep->absent_seq, seq, memory_order_relaxed);
	return !atomic_load_explicit(&ep->absent, memory_order_relaxed);
}

struct xvmc_endpoint *endpoint_found(struct xvmc_ctx *ctx, int fd, bool active)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	if (os_getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		return NULL;
	track(ctx, fd, (const struct sockaddr *)&ss, len, active, false, -1);
	return xvmc_ep_get(ctx, fd);
}

/* ---- PLAIN and MANAGED ---- */

static void shut_gates(struct xvmc_endpoint *ep)
{
	atomic_fetch_add(&ep->managed_times, 1);
	atomic_fetch_or(&ep->rx_gate, XVMC_GATE_MANAGED);
	atomic_fetch_or(&ep->tx_gate, XVMC_GATE_MANAGED);
}

int endpoint_manage(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;

	if (!c->tx.chan.self_ring)
		ep->tx_poke_fd = OS_MAKE(os_eventfd(0, EFD_CLOEXEC));
	if (!c->rx.chan.self_ring)
		ep->rx_poke_fd = OS_MAKE(os_eventfd(0, EFD_CLOEXEC));
	if ((!c->tx.chan.self_ring && ep->tx_poke_fd < 0) ||
	    (!c->rx.chan.self_ring && ep->rx_poke_fd < 0))
		return -EMFILE;
	section_lock(&c->tx.lock);
	if (ep->io_fd < 0) { /* closed meanwhile */
		section_unlock(&c->tx.lock);
		return -EBADF;
	}
	settings_note(ep, ep->io_fd);
	shut_gates(ep);
	section_unlock(&c->tx.lock);
	if (xvmc_epoll_ep_managed(ep) < 0) {
		/* A set that holds it could not wait for it. */
		atomic_fetch_and(&ep->rx_gate, ~XVMC_GATE_MANAGED);
		atomic_fetch_and(&ep->tx_gate, ~XVMC_GATE_MANAGED);
		return -EMFILE;
	}
	return 0;
}

bool endpoint_quiet(struct xvmc_endpoint *ep)
{
	/* Waiters count themselves first and look at the gate then; we do it
	 * the other way round. Meanwhile PLAIN calls are right: all is idle. */
	atomic_store(&ep->svc_wants_quiet, true);
	atomic_fetch_and(&ep->rx_gate, ~XVMC_GATE_MANAGED);
	atomic_fetch_and(&ep->tx_gate, ~XVMC_GATE_MANAGED);
	if (!ep->rx_waiters && !ep->tx_waiters) {
		atomic_store(&ep->svc_wants_quiet, false);
		return true;
	}
	shut_gates(ep);
	endpoint_poke_rx(ep);
	endpoint_poke_tx(ep);
	return false;
}

void endpoint_unmanage(struct xvmc_endpoint *ep)
{
	xvmc_conn_tx_detach(&ep->conn);
	xvmc_conn_rx_detach(&ep->conn);
	if (ep->tx_poke_fd >= 0)
		os_close(ep->tx_poke_fd);
	if (ep->rx_poke_fd >= 0)
		os_close(ep->rx_poke_fd);
	if (ep->io_fd >= 0)
		os_close(ep->io_fd);
	ep->io_fd = ep->rx_poke_fd = ep->tx_poke_fd = -1;
	ep->tx_full = false;
}

int endpoint_ack(struct xvmc_endpoint *ep)
{
	uint32_t readers = atomic_load(&ep->rx_gate) & XVMC_GATE_COUNT;
	uint32_t writers = atomic_load(&ep->tx_gate) & XVMC_GATE_COUNT;

	/* The child may be about to read what came by TCP, and could not if
	 * a record were behind it; who ends will not read one. */
	if (ep->fork_idle || ep->ctx->ended)
		return 0;
	if (fork_shared(ep))
		ep->conn.rx.hand_over = true;
	/* What a writer inside the kernel has sent so far, nobody knows, nor what
	 * other processes have. */
	return xvmc_conn_rx_ack(&ep->conn,
				writers || !ep->owns_tx ? UINT64_MAX : ep->conn.tx.sent,
				readers);
}

void endpoint_reset_on_close(struct xvmc_endpoint *ep)
{
	static const struct linger reset = { .l_onoff = 1 };

	os_setsockopt(ep->io_fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/* ---- bells ---- */

static void poke(const struct xvmc_chan *chan, int poke_fd)
{
	if (chan->self_ring)
		os_eventfd_ring(chan->wait_fd);
	else if (poke_fd >= 0)
		os_eventfd_ring(poke_fd);
}

void endpoint_reader_left(struct xvmc_endpoint *ep)
{
	xvmc_service_kick(ep);
	section_lock(&ep->conn.rx.lock);
	if (xvmc_ep_managed(ep) && ep->rx_waiters)
		endpoint_poke_rx(ep);
	section_unlock(&ep->conn.rx.lock);
}

void endpoint_poke_rx(struct xvmc_endpoint *ep)
{
	if (ep->conn.rx.have_chan)
		poke(&ep->conn.rx.chan, ep->rx_poke_fd);
}

void endpoint_rx_taken(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;

	if (xvmc_conn_rx_ready(c) != 0 ||
	    (c->rx.path == XVMC_PATH_RING && c->rx.attached && xvmc_conn_rx_arm(c, 1)))
		endpoint_poke_rx(ep);
}

void endpoint_poke_tx(struct xvmc_endpoint *ep)
{
	if (ep->conn.tx.have_chan)
		poke(&ep->conn.tx.chan, ep->tx_poke_fd);
}

void endpoint_events(struct xvmc_endpoint *ep)
{
	uint32_t ev = atomic_load_explicit(&ep->conn.events, memory_order_relaxed);

	if (!ev)
		return;
	/* The service thread takes the rest and clears them. */
	xvmc_service_kick(ep);
}

bool xvmc_ep_wait_begin(struct xvmc_endpoint *ep, short events)
{
	if (events & POLLIN)
		atomic_fetch_add(&ep->rx_waiters, 1);
	if (events & POLLOUT)
		atomic_fetch_add(&ep->tx_waiters, 1);
	/* Counted first: who finds it MANAGED now keeps it so. */
	if (xvmc_ep_managed(ep))
		return true;
	if (events & POLLIN)
		atomic_fetch_sub(&ep->rx_waiters, 1);
	if (events & POLLOUT)
		atomic_fetch_sub(&ep->tx_waiters, 1);
	return false;
}

static void wait_left(struct xvmc_endpoint *ep, uint32_t left)
{
	if (!left && atomic_load(&ep->svc_wants_quiet))
		xvmc_service_kick(ep);
}

void xvmc_ep_wait_end(struct xvmc_endpoint *ep, short events)
{
	uint32_t left;

	if (events & POLLIN) {
		/* We may have taken the ring another sleeper needed. */
		left = atomic_fetch_sub(&ep->rx_waiters, 1) - 1;
		if (left && xvmc_ep_glance(ep, POLLIN))
			endpoint_poke_rx(ep);
		wait_left(ep, left);
	}
	if (events & POLLOUT) {
		left = atomic_fetch_sub(&ep->tx_waiters, 1) - 1;
		if (left && xvmc_ep_glance(ep, POLLOUT))
			endpoint_poke_tx(ep);
		wait_left(ep, left);
	}
}

bool xvmc_ep_bell_hold(struct xvmc_endpoint *ep)
{
	atomic_fetch_add(&ep->bell_holds, 1);
	if (xvmc_ep_managed(ep))
		return true;
	atomic_fetch_sub(&ep->bell_holds, 1);
	return false;
}

void xvmc_ep_bell_release(struct xvmc_endpoint *ep)
{
	wait_left(ep, atomic_fetch_sub(&ep->bell_holds, 1) - 1);
}

int xvmc_ep_wait_fds(struct xvmc_endpoint *ep, short event, int ret_fds[2])
{
	const struct xvmc_chan *chan =
		event == POLLIN ? &ep->conn.rx.chan : &ep->conn.tx.chan;
	int poke_fd = event == POLLIN ? ep->rx_poke_fd : ep->tx_poke_fd;

	ret_fds[0] = chan->wait_fd;
	if (chan->self_ring)
		return 1;
	ret_fds[1] = poke_fd;
	return 2;
}

void xvmc_ep_wait_clear(struct xvmc_endpoint *ep, short event)
{
	int fds[2];
	int n = xvmc_ep_wait_fds(ep, event, fds);

	/* A bell that is no eventfd is emptied when it is armed. */
	os_eventfd_drain(fds[n - 1]);
}
