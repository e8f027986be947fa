/* SPDX-License-Identifier: MIT */
/*
 * Making guests, and connections between them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guests.h"

static const struct xvmc_libc libc_now = {
	.read = read,
	.recvmsg = recvmsg,
	.sendmsg = sendmsg,
	.recv = recv,
	.send = send,
	.ppoll = ppoll,
	.epoll_pwait = epoll_pwait,
};

void guest_make(struct xvmc_ctx *ctx, const char *dir, const char *domain)
{
	setenv("XVMC_DIR", dir, 1);
	assert_int_equal(xvmc_ctx_init(ctx, &libc_now), 0);
	strcpy(ctx->opt.domain, domain);
}

static void pair_make(struct guest_pair *p, struct xvmc_ctx *a, struct xvmc_ctx *b,
		      int accept_flags)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in from;
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(l, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&sa, &len), 0);
	p->fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(p->fd[0], (struct sockaddr *)&sa, sizeof(sa)), 0);
	len = sizeof(from);
	p->fd[1] = accept4(l, (struct sockaddr *)&from, &len, accept_flags);
	assert_true(p->fd[1] >= 0);
	close(l);
	p->ctx[0] = a;
	p->ctx[1] = b;
	xvmc_sock_connected(a, p->fd[0], (struct sockaddr *)&sa, sizeof(sa));
	xvmc_sock_accepted(b, -1, p->fd[1], (struct sockaddr *)&from, sizeof(from),
			   accept_flags);
	for (int i = 0; i < 2; i++) {
		p->ep[i] = xvmc_ep_get(p->ctx[i], p->fd[i]);
		assert_non_null(p->ep[i]);
	}
}

void guest_pair_make(struct guest_pair *p, struct xvmc_ctx *a, struct xvmc_ctx *b)
{
	pair_make(p, a, b, 0);
}

void guest_pair_make_nonblock(struct guest_pair *p, struct xvmc_ctx *a,
			      struct xvmc_ctx *b)
{
	pair_make(p, a, b, SOCK_NONBLOCK);
}

void guest_pair_end(struct guest_pair *p, int i)
{
	if (!p->ep[i])
		return;
	xvmc_sock_close(p->ctx[i], p->fd[i]);
	close(p->fd[i]);
	xvmc_ep_put(p->ep[i]);
	p->ep[i] = NULL;
}

bool guest_on_ring(const struct guest_pair *p, int i)
{
	struct conn_t *c = &p->ep[i]->conn;
	bool yes;

	section_lock(&c->tx.lock);
	section_lock(&c->rx.lock);
	yes = xvmc_ep_managed(p->ep[i]) && c->tx.path == XVMC_PATH_RING &&
	      c->rx.path == XVMC_PATH_RING;
	section_unlock(&c->rx.lock);
	section_unlock(&c->tx.lock);
	return yes;
}

enum xvmc_path guest_tx_path(const struct guest_pair *p, int i)
{
	struct conn_t *c = &p->ep[i]->conn;
	enum xvmc_path path;

	section_lock(&c->tx.lock);
	path = c->tx.path;
	section_unlock(&c->tx.lock);
	return path;
}

void guest_pair_queue(struct guest_pair *p)
{
	for (int i = 0; i < 2; i++) {
		p->ep[i]->state = XVMC_EP_QUEUED;
		xvmc_service_kick(p->ep[i]);
	}
}

void guest_send(struct guest_pair *p, int i, const void *buf, size_t n)
{
	struct iovec vec = { .iov_base = (void *)(uintptr_t)buf, .iov_len = n };

	assert_int_equal(xvmc_sock_send(p->ep[i], p->fd[i], &vec, 1, 0), n);
}

ssize_t guest_recv(struct guest_pair *p, int i, void *buf, size_t n, int flags)
{
	struct iovec vec = { .iov_base = buf, .iov_len = n };

	return xvmc_sock_recv(p->ep[i], p->fd[i], &vec, 1, flags);
}

bool guest_both_on_ring(const struct guest_pair *p)
{
	return guest_on_ring(p, 0) && guest_on_ring(p, 1);
}

void guest_trip(struct guest_pair *p)
{
	static uint64_t x;
	uint64_t y;

	for (int i = 0; i < 2; i++, x++) {
		guest_send(p, i, &x, sizeof(x));
		assert_int_equal(guest_recv(p, !i, &y, sizeof(y), MSG_WAITALL), sizeof(y));
		assert_int_equal(x, y);
	}
}
