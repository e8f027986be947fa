/* SPDX-License-Identifier: MIT */
/*
 * The fake TCP connection. See sim-tcp.h.
 */
#include "sim-tcp.h"

#include <errno.h>
#include <string.h>

#define MASK (SIM_PIPE_CAP - 1)

void sim_tcp_init(struct sim_tcp *t, struct sim_rng *rng, size_t sndbuf,
		  size_t rcvbuf)
{
	memset(t, 0, sizeof(*t));
	t->rng = rng;
	for (unsigned int side = 0; side < 2; side++) {
		t->sock[side].tcp = t;
		t->sock[side].side = side;
		t->pipe[side].sndbuf = sndbuf;
		t->pipe[side].rcvbuf = rcvbuf;
	}
}

static struct sim_pipe *out_of(const struct sim_sock *s)
{
	return &s->tcp->pipe[s->side];
}

static struct sim_pipe *into(const struct sim_sock *s)
{
	return &s->tcp->pipe[!s->side];
}

static void hook(struct sim_sock *s, bool before)
{
	if (s->tcp->hook)
		s->tcp->hook(s->tcp->hook_arg, s->side, before);
}

/* The bytes under way from s are lost, and the other end hears of it. */
static void send_reset(struct sim_sock *s)
{
	struct sim_sock *other = &s->tcp->sock[!s->side];

	s->reset = true;
	out_of(s)->sent = out_of(s)->arrived;
	if (other->closed || other->reset)
		return;
	other->reset = true;
	other->err = out_of(s)->fin_arrived ? -EPIPE : -ECONNRESET;
	out_of(other)->sent = out_of(other)->arrived;
}

bool sim_tcp_readable(const struct sim_sock *s)
{
	const struct sim_pipe *p = into(s);

	return p->arrived > p->taken || p->fin_arrived || s->reset;
}

bool sim_tcp_writable(const struct sim_sock *s)
{
	const struct sim_pipe *p = out_of(s);

	return s->reset || p->sent - p->arrived < p->sndbuf;
}

bool sim_tcp_in_flight(const struct sim_tcp *t, unsigned int side)
{
	const struct sim_pipe *p = &t->pipe[side];

	if (t->sock[!side].reset && !t->sock[!side].closed)
		return false;
	if (p->sent > p->arrived)
		return t->sock[!side].closed || p->arrived - p->taken < p->rcvbuf;
	return p->fin_sent && !p->fin_arrived;
}

void sim_tcp_deliver(struct sim_tcp *t, unsigned int side, bool all)
{
	struct sim_pipe *p = &t->pipe[side];
	struct sim_sock *to = &t->sock[!side];
	uint64_t n = p->sent - p->arrived;

	if (to->reset && !to->closed)
		return;
	if (n && to->closed) {
		send_reset(to);
		p->sent = p->arrived;
		return;
	}
	if (n > p->rcvbuf - (p->arrived - p->taken))
		n = p->rcvbuf - (p->arrived - p->taken);
	if (n && !all)
		n = sim_size(t->rng, n);
	p->arrived += n;
	if (p->fin_sent && p->arrived == p->sent)
		p->fin_arrived = true;
}

void sim_tcp_close(struct sim_sock *s)
{
	struct sim_pipe *in = into(s);

	if (s->closed)
		return;
	s->closed = true;
	if (in->arrived > in->taken)
		send_reset(s);
	else
		out_of(s)->fin_sent = true;
}

static ssize_t op_send(void *tcp, const struct iovec *vec, size_t cnt, int flags)
{
	struct sim_sock *s = tcp;
	struct sim_pipe *p = out_of(s);
	struct xvmc_iov it = xvmc_iov_make(vec, cnt);
	size_t n, at, first;
	ssize_t r;

	hook(s, true);
	r = s->err;
	s->err = 0;
	if (r < 0)
		goto out;
	r = -EPIPE;
	if (s->reset || p->fin_sent)
		goto out;
	n = p->sndbuf - (p->sent - p->arrived);
	if (n > it.left)
		n = it.left;
	r = -EAGAIN;
	if (!n)
		goto out;
	if (sim_chance(s->tcp->rng, s->tcp->partial))
		n = sim_size(s->tcp->rng, n);
	at = p->sent & MASK;
	first = n < SIM_PIPE_CAP - at ? n : SIM_PIPE_CAP - at;
	s->inside = true;
	xvmc_iov_get(&it, p->buf + at, first);
	xvmc_iov_get(&it, p->buf, n - first);
	s->inside = false;
	p->sent += n;
	p->written += n;
	r = (ssize_t)n;
out:
	hook(s, false);
	return r;
}

static ssize_t op_recv(void *tcp, const struct iovec *vec, size_t cnt, bool peek)
{
	struct sim_sock *s = tcp;
	struct sim_pipe *p = into(s);
	struct xvmc_iov it = xvmc_iov_make(vec, cnt);
	size_t n, at, first;
	ssize_t r;

	hook(s, true);
	n = p->arrived - p->taken;
	if (n > it.left)
		n = it.left;
	if (!n) {
		r = 0;
		if (p->fin_arrived) /* a reset behind the end is not seen */
			goto out;
		r = s->err;
		s->err = 0;
		if (!r && !s->reset)
			r = -EAGAIN;
		goto out;
	}
	if (sim_chance(s->tcp->rng, s->tcp->partial))
		n = sim_size(s->tcp->rng, n);
	at = p->taken & MASK;
	first = n < SIM_PIPE_CAP - at ? n : SIM_PIPE_CAP - at;
	s->inside = true;
	xvmc_iov_put(&it, p->buf + at, first);
	xvmc_iov_put(&it, p->buf, n - first);
	s->inside = false;
	if (!peek)
		p->taken += n;
	r = (ssize_t)n;
out:
	hook(s, false);
	return r;
}

static int op_counts(void *tcp, uint64_t *ret_sent, uint64_t *ret_taken,
		     uint64_t *ret_arrived)
{
	struct sim_sock *s = tcp;

	hook(s, true);
	if (s->tcp->no_counts)
		return -EOPNOTSUPP;
	*ret_sent = out_of(s)->written;
	*ret_taken = into(s)->taken;
	*ret_arrived = into(s)->arrived;
	hook(s, false);
	return 0;
}

static ssize_t op_queued(void *tcp)
{
	struct sim_sock *s = tcp;
	struct sim_pipe *p = into(s);

	hook(s, true);
	hook(s, false);
	return (ssize_t)(p->arrived - p->taken);
}

static void op_shutdown_wr(void *tcp)
{
	struct sim_sock *s = tcp;

	hook(s, true);
	if (!s->reset)
		out_of(s)->fin_sent = true;
	hook(s, false);
}

const struct xvmc_tcp_ops sim_tcp_ops = {
	.send = op_send,
	.recv = op_recv,
	.counts = op_counts,
	.queued = op_queued,
	.shutdown_wr = op_shutdown_wr,
};

ssize_t sim_tcp_send(struct sim_sock *s, const void *buf, size_t n)
{
	struct iovec vec = { .iov_base = (void *)(uintptr_t)buf, .iov_len = n };

	return op_send(s, &vec, 1, 0);
}

ssize_t sim_tcp_recv(struct sim_sock *s, void *buf, size_t n, bool peek)
{
	struct iovec vec = { .iov_base = buf, .iov_len = n };

	return op_recv(s, &vec, 1, peek);
}
