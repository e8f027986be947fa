/* SPDX-License-Identifier: MIT */
/*
 * The checked stream over lib/socket, with everything below it for real: does
 * every byte arrive once and in order, both ways at the same time, while the
 * guests migrate and the connection is switched at will?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "fresh.h"
#include "socket-world.h"

static uint64_t seed;
static _Atomic bool stop_writing;
static _Atomic uint64_t verified[2];

static uint8_t content(int dir, uint64_t pos)
{
	uint64_t x = (pos >> 3) * 0x9e3779b97f4a7c15u + seed + (uint64_t)dir;

	x ^= x >> 29;
	return (uint8_t)(x >> (8 * (pos & 7)));
}

static unsigned int draw(uint64_t *rng)
{
	*rng = *rng * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(*rng >> 33);
}

static void *writer(void *arg)
{
	int dir = (int)(intptr_t)arg;
	uint64_t pos = 0, rng = seed + 11u + (uint64_t)dir;
	static uint8_t bufs[2][70000];
	uint8_t *buf = bufs[dir];

	while (!stop_writing) {
		size_t n = 1 + draw(&rng) % (draw(&rng) % 8 ? 300 : 70000);

		for (size_t i = 0; i < n; i++)
			buf[i] = content(dir, pos + i);
		guest_send(&w.pair, dir, buf, n);
		pos += n;
	}
	xvmc_sock_shutdown(w.pair.ep[dir], w.pair.fd[dir], SHUT_WR);
	return (void *)(uintptr_t)pos;
}

static void *reader(void *arg)
{
	int dir = (int)(intptr_t)arg;
	uint64_t pos = 0, rng = seed + 17u + (uint64_t)dir;
	static uint8_t bufs[2][70000];
	uint8_t *buf = bufs[dir];

	for (;;) {
		size_t n = 1 + draw(&rng) % (draw(&rng) % 4 ? 500 : 70000);
		ssize_t r = guest_recv(&w.pair, !dir, buf, n, 0);

		if (r == 0)
			return (void *)(uintptr_t)pos;
		if (r < 0) {
			print_error("seed %llu: direction %d at %llu: error %zd\n",
				    (unsigned long long)seed, dir,
				    (unsigned long long)pos, r);
			abort();
		}
		for (ssize_t i = 0; i < r; i++)
			if (buf[i] != content(dir, pos + (uint64_t)i)) {
				print_error("seed %llu: direction %d: wrong byte at %llu\n",
					    (unsigned long long)seed, dir,
					    (unsigned long long)pos + (uint64_t)i);
				abort();
			}
		pos += (uint64_t)r;
		verified[dir] = pos;
	}
}

static void stream_while(void (*act)(uint64_t *rng))
{
	pthread_t wr[2], rd[2];
	uint64_t rng;

	seed = fresh_seed();
	rng = seed;
	for (intptr_t d = 0; d < 2; d++) {
		pthread_create(&wr[d], NULL, writer, (void *)d);
		pthread_create(&rd[d], NULL, reader, (void *)d);
	}
	w.busy = true; /* unless we get to the end */
	act(&rng);
	w.busy = false;
	stop_writing = true;
	for (int d = 0; d < 2; d++) {
		void *sent, *got;

		pthread_join(wr[d], &sent);
		pthread_join(rd[d], &got);
		assert_ptr_equal(sent, got);
	}
	print_message("%llu + %llu bytes, %llu by ring, %llu switches to TCP\n",
		      (unsigned long long)verified[0],
		      (unsigned long long)verified[1],
		      (unsigned long long)(stat_of(0, XVMC_S_RING_RX_BYTES) +
					   stat_of(1, XVMC_S_RING_RX_BYTES)),
		      (unsigned long long)(stat_of(0, XVMC_S_TO_TCP) +
					   stat_of(1, XVMC_S_TO_TCP)));
	assert_true(stat_of(0, XVMC_S_RING_RX_BYTES) > 0);
	assert_true(stat_of(1, XVMC_S_RING_RX_BYTES) > 0);
}

/* For the one who has to find out what went wrong. */
static void describe(void)
{
	for (int i = 0; i < 2; i++) {
		struct xvmc_endpoint *ep = w.pair.ep[i];
		struct conn_t *c = &ep->conn;

		print_error("vm%d: state %u (%s) managed %d asked %d leaving %d (%s) "
			    "pin %d demoted %d want %d held %llx link %llx due %llu\n"
			    "  tx: path %d (%s) attached %d announced %d pending %d "
			    "err %d gate %x waiters %u\n"
			    "  rx: path %d (%s) attached %d gone %d expect %lld "
			    "rcvd %llu skip %llu pull %llu in %zu err %d gate %x "
			    "waiters %u\n",
			    i + 1, ep->state, xvmc_reason_word(ep->reason),
			    xvmc_ep_managed(ep), ep->svc.asked, ep->svc.leaving,
			    xvmc_reason_word(ep->svc.reason), ep->svc.pin,
			    ep->svc.demoted, ep->svc.want_ring,
			    (unsigned long long)ep->svc.held.link,
			    (unsigned long long)c->link,
			    (unsigned long long)ep->svc.due_ns, c->tx.path,
			    xvmc_reason_word(c->tx.reason), c->tx.attached,
			    c->tx.announced, xvmc_conn_tx_pending(c), c->tx.err,
			    ep->tx_gate, ep->tx_waiters, c->rx.path,
			    xvmc_reason_word(c->rx.reason), c->rx.attached,
			    c->rx.gone, (long long)c->rx.expect,
			    (unsigned long long)c->rx.rcvd,
			    (unsigned long long)c->rx.skip,
			    (unsigned long long)c->rx.pull, c->rx.in.len,
			    c->rx.err, ep->rx_gate, ep->rx_waiters);
	}
}

/* Waits until both directions have moved n more bytes. */
static void progress(uint64_t n)
{
	uint64_t from[2] = { verified[0], verified[1] };
	uint64_t end = os_now_ns() + 10000000000u;

	while (verified[0] < from[0] + n || verified[1] < from[1] + n) {
		static const struct timespec ms = { .tv_nsec = 1000000 };

		os_ppoll(NULL, 0, &ms, NULL);
		if (os_now_ns() > end) {
			describe();
			fail_msg("seed %llu: the stream stalled",
				 (unsigned long long)seed);
		}
	}
}

/* Waits until both directions have used their rings. */
static void progress_on_ring(void)
{
	uint64_t from[2] = { stat_of(0, XVMC_S_RING_RX_BYTES),
			     stat_of(1, XVMC_S_RING_RX_BYTES) };
	uint64_t end = os_now_ns() + 10000000000u;

	while (stat_of(0, XVMC_S_RING_RX_BYTES) < from[0] + 1000 ||
	       stat_of(1, XVMC_S_RING_RX_BYTES) < from[1] + 1000) {
		progress(1);
		if (os_now_ns() > end) {
			describe();
			fail_msg("seed %llu: not back on the rings",
				 (unsigned long long)seed);
		}
	}
}

static void act_migrate(uint64_t *rng)
{
	static const char *const doms[2] = { "vm1", "vm2" };
	int tool = agent_tool(&w.xvmcd);
	int host[2] = { 0, 0 };

	for (int i = 0; i < 40; i++) {
		unsigned int who = draw(rng) % 2, how = draw(rng) % 3;
		char name[2] = { (char)('A' + (host[who] ^ 1)), '\0' };

		progress(10000 + draw(rng) % 200000);
		if (host[0] == host[1])
			progress_on_ring();
		assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, doms[who], name,
					     how, draw(rng) % 3), 0);
		if (how != XVMC_MIGRATE_CANCELLED)
			host[who] ^= 1;
	}
	progress(10000);
	close(tool);
}

static void act_steer(uint64_t *rng)
{
	int tool = agent_tool(&w.xvmcd);

	for (int i = 0; i < 60; i++) {
		union agent_msg m = { 0 };

		m.steer.to = i % 2 ? XVMC_PATH_RING : XVMC_PATH_TCP;
		progress(1000 + draw(rng) % 100000);
		if (i % 2 == 0)
			progress_on_ring();
		agent_send(tool, XVMC_AG_STEER, &m, sizeof(m.steer));
	}
	progress(10000);
	close(tool);
}

/* Whatever comes, without waiting for the last one to have its effect. */
static void act_everything(uint64_t *rng)
{
	static const char *const doms[2] = { "vm1", "vm2" };
	static const char *const hosts[3] = { "A", "B", "C" };
	const char *env = getenv("XVMC_TEST_STEPS");
	int steps = env ? atoi(env) : 200;
	int tool = agent_tool(&w.xvmcd), steer = agent_tool(&w.xvmcd);

	for (int i = 0; i < steps; i++) {
		struct timespec nap = { .tv_nsec = draw(rng) % 20000000 };
		union agent_msg m = { 0 };

		os_ppoll(NULL, 0, &nap, NULL);
		if (draw(rng) % 2) {
			m.steer.to = draw(rng) % 3 ? XVMC_PATH_RING : XVMC_PATH_TCP;
			agent_send(steer, XVMC_AG_STEER, &m, sizeof(m.steer));
			continue;
		}
		agent_domop(tool, XVMC_AG_MIGRATE, doms[draw(rng) % 2],
			    hosts[draw(rng) % 8 ? 0 : draw(rng) % 3], draw(rng) % 3,
			    draw(rng) % 8);
	}
	progress(10000);
	close(tool);
	close(steer);
}

static void test_stream_everything(void **state)
{
	(void)state;
	stream_while(act_everything);
}

static void test_stream_migrations(void **state)
{
	(void)state;
	stream_while(act_migrate);
	assert_true(stat_of(0, XVMC_S_MIGRATIONS) + stat_of(1, XVMC_S_MIGRATIONS) > 10);
}

static void test_stream_forced_switches(void **state)
{
	(void)state;
	stream_while(act_steer);
	assert_true(stat_of(0, XVMC_S_TO_TCP) > 5);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stream_migrations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_forced_switches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_everything, setup, teardown),
	};

	return fresh_run("socket-stream", tests, sizeof(tests) / sizeof(tests[0]), argc,
			 argv);
}
