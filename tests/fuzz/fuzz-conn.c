/* SPDX-License-Identifier: MIT */
/*
 * fuzz-conn: one honest conn_t, and everything a peer can reach of it filled
 * with nonsense: set-up offers, the TCP stream with records in it, the words
 * in the shared pages. The calls come in any order that conn.h allows. What
 * must hold: no crash, no hang, the invariants after each call, memory in
 * bounds, nothing left over. A run follows from its seed; no clock is read.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conn/conn.h"
#include "sim-hv.h"
#include "sim-tcp.h"

#define DEFAULT_SEED 77000000u
#define DEFAULT_RUNS 20000u
#define RESIDUAL_MAX (4u << 20)

/* Guest 0 is the victim. */
static struct fuzz {
	uint64_t seed;
	struct sim_rng rng;
	struct sim_hv hv;
	struct sim_tcp tcp;
	struct xvmc_stats_page stats;
	struct conn_t c;
	uint64_t now;
	/* the peer's */
	struct xvmc_setup_offer offer;
	struct xvmc_share share_r, share_sd;
	struct xvmc_chan chan;
	bool shared;
	uint64_t calls, accepted, refused, rings, resets, wild;
} f;

static void die(const char *what)
{
	fprintf(stderr, "fuzz-conn: seed %" PRIu64 ": %s\n", f.seed, what);
	_exit(1);
}

static void on_signal(int sig)
{
	die(sig == SIGALRM ? "a call does not return" : "a crash");
}

static void check(const char *what)
{
	f.calls++;
	if (!xvmc_conn_validate(&f.c))
		die(what);
	if (f.c.rx.in.cap > RESIDUAL_MAX || f.c.rx.pull > RESIDUAL_MAX ||
	    f.c.rx.skip > RESIDUAL_MAX)
		die("more is owed than a ring holds");
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)sim_below(&f.rng, n);
}

static uint64_t near(uint64_t here)
{
	switch (below(8)) {
	case 0:
		return UINT64_MAX;
	case 1:
		return 0;
	case 2:
		return sim_rand(&f.rng);
	case 3:
	case 4:
		return here;
	default:
		return here + below(10000) - 5000;
	}
}

/* Changes some bytes, or none. */
static void damage(void *p, size_t n)
{
	uint8_t *at = p;

	for (uint32_t i = below(4); i; i--) {
		uint32_t where = below((uint32_t)n);

		at[where] ^= (uint8_t)(1u << below(8));
	}
}

/* ---- set-up ---- */

static void let_go(void)
{
	if (!f.shared)
		return;
	xvmc_hv_unshare(&f.hv.dom[1].hv, &f.share_r);
	xvmc_hv_unshare(&f.hv.dom[1].hv, &f.share_sd);
	xvmc_hv_chan_close(&f.hv.dom[1].hv, &f.chan);
	f.shared = false;
}

static void make_offer(void)
{
	struct xvmc_hv *hv = &f.hv.dom[1].hv;
	uint32_t order = below(SIM_ORDER_MAX + 1);
	uint8_t *sd;

	let_go();
	memset(&f.offer, 0, sizeof(f.offer));
	if (xvmc_hv_share(hv, f.hv.dom[0].domid, 1, true, &f.share_r, f.offer.gref) < 0 ||
	    xvmc_hv_share(hv, f.hv.dom[0].domid, 1 + (1u << order), false,
			  &f.share_sd, f.offer.gref + 1) < 0 ||
	    xvmc_hv_chan_alloc(hv, f.hv.dom[0].domid, &f.chan) < 0)
		die("no memory for the fuzzer itself");
	f.shared = true;
	for (size_t i = 0; i < XVMC_NONCE_LEN; i++)
		f.offer.nonce[i] = (uint8_t)below(256);
	f.offer.nonce[XVMC_NONCE_LEN - 1] &= 0x7f;
	sd = f.share_sd.addr;
	memcpy(sd, f.offer.nonce, XVMC_NONCE_LEN);
	((struct xvmc_spage *)(void *)sd)->magic = XVMC_SPAGE_MAGIC;
	((struct xvmc_spage *)(void *)sd)->version = XVMC_ABI_VERSION;
	((struct xvmc_spage *)(void *)sd)->order = order;
	f.offer.hdr.version = XVMC_ABI_VERSION;
	f.offer.hdr.type = XVMC_SETUP_OFFER;
	f.offer.order = order;
	f.offer.ngrefs = 2 + (1u << order);
	f.offer.hdr.len = (uint16_t)(offsetof(struct xvmc_setup_offer, gref) + 4 * f.offer.ngrefs);
	f.offer.domid = f.hv.dom[1].domid;
	f.offer.port = f.chan.port;
}

static void do_accept(void)
{
	struct xvmc_setup_offer bad;
	size_t len;
	int r;

	if (f.c.rx.have_map_r)
		return;
	make_offer();
	bad = f.offer;
	len = bad.hdr.len;
	if (below(3) == 0)
		damage(&bad, len);
	if (below(20) == 0)
		damage(f.share_sd.addr, 32);
	if (below(20) == 0)
		for (size_t i = 0; i < sizeof(bad); i++)
			((uint8_t *)&bad)[i] = (uint8_t)below(256);
	if (below(20) == 0)
		bad.hdr.len = (uint16_t)(len = below(sizeof(bad) + 1));
	r = xvmc_conn_accept_offer(&f.c, &f.hv.dom[0].hv, &bad, len);
	if (r == 0)
		f.accepted++;
	else
		f.refused++;
	if (r < 0 && (f.c.rx.have_map_r || f.c.rx.have_map_sd || f.c.rx.have_chan))
		die("a refused offer left something");
	check("accept");
}

static void do_offer(void)
{
	struct xvmc_setup_offer offer;

	if (f.c.tx.have_share)
		return;
	f.c.peer_domid = f.hv.dom[1].domid;
	if (xvmc_conn_offer(&f.c, &f.hv.dom[0].hv, below(SIM_ORDER_MAX + 1), &offer) == 0 &&
	    below(2)) {
		f.c.tx.s.r->alive = 1;
		xvmc_conn_ready(&f.c);
	}
	check("offer");
}

/* ---- the victim's calls ---- */

static void do_read(void)
{
	static uint8_t buf[20000];
	struct iovec vec[2] = { { buf, below(9000) }, { buf + 9000, 1 + below(9000) } };
	struct xvmc_iov it = xvmc_iov_make(vec, 2);
	size_t all = it.left;
	ssize_t r = xvmc_conn_read(&f.c, &it, below(4) == 0);

	if (r > (ssize_t)all)
		die("a read gave more than was asked for");
	check("read");
}

static void do_write(void)
{
	static uint8_t buf[20000];
	struct iovec vec = { buf, 1 + below(sizeof(buf)) };
	struct xvmc_iov it = xvmc_iov_make(&vec, 1);
	ssize_t r = xvmc_conn_write(&f.c, &it, 0);

	if (r == 0 || r > (ssize_t)vec.iov_len)
		die("a write took nothing, or too much");
	check("write");
	if (r == -EAGAIN && f.c.tx.path == XVMC_PATH_RING) {
		xvmc_sender_arm(&f.c.tx.s, below(9000));
		check("arm for room");
	}
}

static void do_switch(void)
{
	f.now += below(2000000);
	switch (below(8)) {
	case 0:
		xvmc_conn_tx_leave(&f.c, XVMC_R_LRU, below(2));
		break;
	case 1:
		if (below(8) == 0)
			xvmc_conn_tx_abandon(&f.c, XVMC_R_CLOSE);
		break;
	case 2:
		xvmc_conn_tx_settle(&f.c, f.now, below(2));
		break;
	case 3:
		xvmc_conn_ready(&f.c);
		break;
	case 4:
		xvmc_conn_tx_flush(&f.c);
		break;
	default:
		xvmc_conn_tx_announce(&f.c, f.now);
	}
	check("switch");
}

static void do_receive(void)
{
	switch (below(6)) {
	case 0:
		xvmc_conn_rx_ready(&f.c);
		break;
	case 1:
		if (f.c.rx.path == XVMC_PATH_RING && f.c.rx.attached && !f.c.rx.gone)
			xvmc_recver_arm(&f.c.rx.r, 1 + below(100));
		break;
	case 2:
		f.c.rx.no_proof = f.c.rx.eof;
		xvmc_conn_rx_ended(&f.c);
		break;
	case 3:
		xvmc_conn_rx_ack(&f.c, f.c.tx.sent, below(2));
		break;
	default:
		xvmc_conn_rx_pump(&f.c);
	}
	check("receive");
	f.rings += f.c.rx.path == XVMC_PATH_RING;
}

static void do_detach(void)
{
	if (below(10) == 0 && xvmc_conn_tx_idle(&f.c))
		xvmc_conn_tx_detach(&f.c);
	if (below(10) == 0 && xvmc_conn_rx_idle(&f.c) && !f.c.rx.err)
		xvmc_conn_rx_detach(&f.c);
	check("detach");
}

/* ---- the peer's ---- */

static void their_words(void)
{
	struct xvmc_spage *s = f.share_sd.addr;
	struct xvmc_rpage *r = f.c.tx.share_r.addr;
	const struct conn_tx *tx = &f.c.tx;

	if (f.shared && below(2)) {
		s->prod = near(f.c.rx.rcvd);
		s->room_at = near(f.c.rx.rcvd);
		if (below(3) == 0)
			damage(s, 256);
		if (below(30) == 0)
			memset(s, 0xff, sizeof(*s));
	}
	if (tx->have_share) {
		if (tx->announced && below(2))
			r->announce ^= XVMC_ANN_ACKED ^ XVMC_ANN_ANNOUNCED;
		r->cons = below(2) ? tx->s.known : near(tx->s.prod);
		r->data_at = near(tx->s.prod);
		if (below(4) == 0)
			damage((uint8_t *)r + 2048, 72);
		if (below(30) == 0)
			memset(r, 0xff, sizeof(*r));
	}
	f.wild++;
}

static void their_announcement(void)
{
	struct xvmc_spage *s = f.share_sd.addr;
	struct xvmc_rpage *r = f.share_r.addr;
	const struct conn_rx *rx = &f.c.rx;
	uint32_t epoch = rx->epoch + below(3);

	if (!f.shared)
		return;
	s->ann_pos = below(3) ? f.tcp.pipe[1].written + rx->ring_bytes - rx->extra :
				near(rx->rcvd);
	s->ann_rcvd = below(3) ? 0 : near(f.c.tx.sent);
	s->ann_epoch = epoch;
	r->announce = (uint64_t)epoch << 32 | XVMC_ANN_ANNOUNCED;
	r->owner = (uint8_t)below(3);
}

static void their_bytes(void)
{
	uint8_t buf[3000];
	size_t n = 1 + below(sizeof(buf));
	const struct conn_rx *rx = &f.c.rx;
	bool ring = rx->path == XVMC_PATH_TCP;
	struct xvmc_record rec;
	uint64_t pos, len;
	uint32_t epoch;

	if (below(3) == 0 && !(rx->expect == rx->rcvd)) {
		for (size_t i = 0; i < n; i++)
			buf[i] = (uint8_t)below(256);
		sim_tcp_send(&f.tcp.sock[1], buf, n);
		return;
	}
	if (ring && rx->expect != rx->rcvd)
		return;
	if (below(8) == 0)
		ring = !ring;
	epoch = ring ? rx->expect_epoch : rx->epoch + 1;
	if (below(10) == 0)
		epoch = (uint32_t)near(epoch);
	pos = below(10) ? rx->rcvd : near(rx->rcvd);
	len = ring ? 0 : below(3000);
	if (below(8) == 0)
		len = near(len);
	xvmc_record_make(&rec, rx->nonce, epoch, ring ? XVMC_PATH_RING : XVMC_PATH_TCP,
			 XVMC_R_CLOSE, below(256), pos, len);
	if (below(15) == 0)
		damage(&rec, sizeof(rec));
	sim_tcp_send(&f.tcp.sock[1], &rec, below(15) ? sizeof(rec) : below(sizeof(rec)));
}

static void network(void)
{
	uint32_t side = below(2), how = below(2);
	uint8_t sink[4096];

	switch (below(60)) {
	case 0:
		sim_tcp_close(&f.tcp.sock[1]);
		break;
	case 1:
		sim_hv_migrate(&f.hv, side, how);
		f.c.peer_domid = f.hv.dom[1].domid;
		break;
	default:
		sim_tcp_deliver(&f.tcp, side, how);
		sim_tcp_recv(&f.tcp.sock[1], sink, sizeof(sink), false);
	}
	sim_hv_settle(&f.hv);
}

/* ---- runs ---- */

static void (*const acts[])(void) = {
	do_accept, do_offer, do_read,	 do_read,     do_write,
	do_write,  do_switch, do_switch, do_receive,  do_receive,
	do_receive, do_detach, their_words, their_bytes, their_bytes,
	their_announcement, network, network,
};

static void run(uint64_t seed)
{
	size_t sndbuf, rcvbuf;

	f.seed = seed;
	f.rng.state = sim_mix(seed);
	f.now = 1000;
	sim_hv_reset(&f.hv, &f.rng);
	sndbuf = 1 + below(20000);
	rcvbuf = 1 + below(20000);
	sim_tcp_init(&f.tcp, &f.rng, sndbuf, rcvbuf);
	f.tcp.partial = below(300);
	f.tcp.no_counts = below(3) == 0;
	f.shared = false;
	xvmc_conn_init(&f.c, &sim_tcp_ops, &f.tcp.sock[0], &f.stats);
	f.c.peer_domid = f.hv.dom[1].domid;
	f.c.strict = below(4) == 0;
	f.c.announce_ns = below(2) ? UINT64_MAX / 2 : 0;
	alarm(20);
	for (uint32_t i = 50 + below(400); i; i--)
		acts[below(sizeof(acts) / sizeof(acts[0]))]();
	alarm(0);
	f.resets += f.c.rx.err != 0;
	xvmc_conn_tx_detach(&f.c);
	xvmc_conn_rx_detach(&f.c);
	xvmc_conn_deinit(&f.c);
	let_go();
	if (sim_hv_held(&f.hv, 0))
		die("something is left over");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "runs", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	const char *env = getenv("FUZZ_SEED");
	uint64_t seed = env && *env ? strtoull(env, NULL, 10) : DEFAULT_SEED;
	uint64_t runs = DEFAULT_RUNS;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?') {
			fprintf(stderr, "usage: fuzz-conn [--seed N] [--runs N]\n");
			return 2;
		}
		if (c == 's')
			seed = strtoull(optarg, NULL, 10);
		if (c == 's')
			runs = 1;
		else
			runs = strtoull(optarg, NULL, 10);
	}
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	signal(SIGABRT, on_signal);
	signal(SIGALRM, on_signal);
	if (sim_hv_open(&f.hv) < 0)
		return 77;
	printf("fuzz-conn: %" PRIu64 " runs from seed %" PRIu64 "\n", runs, seed);
	fflush(stdout);
	for (uint64_t i = 0; i < runs; i++)
		run(seed + i);
	printf("fuzz-conn: %" PRIu64 " calls; offers %" PRIu64 " accepted, %" PRIu64
	       " refused; %" PRIu64 " looks from within a ring; %" PRIu64
	       " resets; %" PRIu64 " times words rewritten\n",
	       f.calls, f.accepted, f.refused, f.rings, f.resets, f.wild);
	sim_hv_shut(&f.hv);
	/* A run that came nowhere near the code has tested nothing. */
	return runs >= DEFAULT_RUNS &&
	       !(f.accepted && f.refused && f.rings > 10000 && f.resets > 100);
}
