/* SPDX-License-Identifier: MIT */
/*
 * The pair. See conn-pair.h.
 */
#include "conn-pair.h"

#include <errno.h>
#include <string.h>

#define PIECE 65536u

int pair_setup(void **state)
{
	static struct pair p;

	p.marks = fresh_mark();
	p.rng.state = fresh_seed();
	assert_int_equal(sim_hv_open(&p.hv), 0);
	sim_hv_reset(&p.hv, &p.rng);
	sim_tcp_init(&p.tcp, &p.rng, 30000, 30000);
	for (unsigned int i = 0; i < 2; i++) {
		xvmc_conn_init(&p.c[i], &sim_tcp_ops, &p.tcp.sock[i], &p.stats[i]);
		p.c[i].peer_domid = p.hv.dom[!i].domid;
		p.c[i].announce_ns = PAIR_NEVER;
		p.c[i].few = 0; /* all are taken early */
	}
	*state = &p;
	return 0;
}

int pair_teardown(void **state)
{
	struct pair *p = *state;

	for (unsigned int i = 0; i < 2; i++) {
		xvmc_conn_tx_detach(&p->c[i]);
		xvmc_conn_rx_detach(&p->c[i]);
		xvmc_conn_deinit(&p->c[i]);
		assert_int_equal(sim_hv_held(&p->hv, i), 0);
	}
	sim_hv_shut(&p->hv);
	fresh_check(p->marks);
	return 0;
}

void pair_validate(struct pair *p)
{
	sim_hv_settle(&p->hv);
	assert_true(xvmc_conn_validate(&p->c[0]));
	assert_true(xvmc_conn_validate(&p->c[1]));
}

void pair_attach(struct pair *p, unsigned int from, unsigned int order)
{
	struct xvmc_setup_offer offer;

	for (unsigned int i = 0; i < 2; i++)
		p->c[i].peer_domid = p->hv.dom[!i].domid;
	assert_int_equal(xvmc_conn_offer(&p->c[from], &p->hv.dom[from].hv, order, &offer), 0);
	pair_validate(p);
	assert_int_equal(xvmc_conn_accept_offer(&p->c[!from], &p->hv.dom[!from].hv,
						&offer, offer.hdr.len), 0);
	pair_validate(p);
	xvmc_conn_ready(&p->c[from]);
	pair_validate(p);
}

void pair_agree(struct pair *p, unsigned int from)
{
	assert_int_equal(xvmc_conn_tx_announce(&p->c[from], 0), 0);
	pair_validate(p);
	assert_int_equal(xvmc_conn_tx_settle(&p->c[from], 0, false), -EBUSY);
	assert_int_equal(xvmc_conn_rx_ack(&p->c[!from], p->c[!from].tx.sent, 0), 1);
	pair_validate(p);
}

void pair_to_ring(struct pair *p, unsigned int from)
{
	pair_agree(p, from);
	assert_int_equal(xvmc_conn_tx_settle(&p->c[from], 0, false), 0);
	assert_int_equal(p->c[from].tx.path, XVMC_PATH_RING);
	pair_deliver(p);
	xvmc_conn_rx_pump(&p->c[!from]);
	assert_int_equal(p->c[!from].rx.path, XVMC_PATH_RING);
	pair_validate(p);
}

void pair_deliver(struct pair *p)
{
	for (unsigned int side = 0; side < 2; side++)
		while (sim_tcp_in_flight(&p->tcp, side))
			sim_tcp_deliver(&p->tcp, side, true);
}

uint8_t pair_byte(unsigned int from, uint64_t pos)
{
	return (uint8_t)(pos * 151 + (pos >> 8) * 7 + (pos >> 16) + 11 * from);
}

ssize_t pair_write(struct pair *p, unsigned int from, size_t n)
{
	static uint8_t buf[PIECE];
	struct iovec vec = { .iov_base = buf, .iov_len = n };
	struct xvmc_iov it = xvmc_iov_make(&vec, 1);
	uint64_t pos = p->c[from].tx.sent;
	ssize_t r;

	assert_true(n <= sizeof(buf));
	for (size_t i = 0; i < n; i++)
		buf[i] = pair_byte(from, pos + i);
	r = xvmc_conn_write(&p->c[from], &it, 0);
	pair_validate(p);
	assert_int_equal(p->c[from].tx.sent, pos + (r > 0 ? (uint64_t)r : 0));
	return r;
}

ssize_t pair_read(struct pair *p, unsigned int at, size_t n, bool peek)
{
	static uint8_t buf[PIECE];
	struct iovec vec = { .iov_base = buf, .iov_len = n };
	struct xvmc_iov it = xvmc_iov_make(&vec, 1);
	uint64_t pos = p->c[at].rx.rcvd;
	ssize_t r;

	assert_true(n <= sizeof(buf));
	r = xvmc_conn_read(&p->c[at], &it, peek);
	pair_validate(p);
	for (ssize_t i = 0; i < r; i++)
		assert_int_equal(buf[i], pair_byte(!at, pos + (uint64_t)i));
	assert_int_equal(p->c[at].rx.rcvd, pos + (r > 0 && !peek ? (uint64_t)r : 0));
	return r;
}

void pair_read_all(struct pair *p, unsigned int at, size_t n)
{
	while (n) {
		ssize_t r;

		pair_deliver(p);
		xvmc_conn_rx_pump(&p->c[at]);
		pair_validate(p);
		r = pair_read(p, at, n, false);
		if (r == -EAGAIN && xvmc_conn_tx_pending(&p->c[!at])) {
			xvmc_conn_tx_flush(&p->c[!at]);
			continue;
		}
		assert_true(r > 0);
		n -= (size_t)r;
	}
}

void pair_kill(struct pair *p, unsigned int who)
{
	p->tcp.pipe[!who].taken = p->tcp.pipe[!who].arrived;
	sim_tcp_close(&p->tcp.sock[who]);
	sim_hv_kill(&p->hv, who);
	while (sim_hv_settle(&p->hv))
		;
	/* What it held is gone; the conn_t that is left is only a memory. */
	p->c[who].tx.have_share = p->c[who].tx.have_chan = false;
	p->c[who].rx.have_map_r = p->c[who].rx.have_map_sd = p->c[who].rx.have_chan = false;
	p->c[who].tx.attached = p->c[who].rx.attached = false;
	p->c[who].tx.path = XVMC_PATH_TCP;
	p->c[who].tx.announced = false;
	p->c[who].tx.replay_end = p->c[who].tx.replay_pos;
	pair_deliver(p);
}

uint32_t pair_events(struct pair *p, unsigned int at)
{
	return atomic_exchange(&p->c[at].events, 0);
}

void pair_renew(struct pair *p)
{
	sim_hv_kill(&p->hv, 0);
	sim_hv_kill(&p->hv, 1);
	xvmc_conn_deinit(&p->c[0]);
	xvmc_conn_deinit(&p->c[1]);
	sim_hv_reset(&p->hv, &p->rng);
	sim_tcp_init(&p->tcp, &p->rng, 30000, 30000);
	memset(p->stats, 0, sizeof(p->stats));
	for (unsigned int i = 0; i < 2; i++) {
		xvmc_conn_init(&p->c[i], &sim_tcp_ops, &p->tcp.sock[i], &p->stats[i]);
		p->c[i].announce_ns = PAIR_NEVER;
		p->c[i].few = 0;
	}
}

void pair_drain(struct pair *p, size_t n)
{
	xvmc_conn_rx_pump(&p->c[1]);
	pair_validate(p);
	while (n) {
		ssize_t r = pair_read(p, 1, n, false);

		assert_true(r > 0);
		n -= (size_t)r;
	}
}
