/* SPDX-License-Identifier: MIT */
/*
 * lib/socket with everything below it for real: two guests in one process,
 * each with its own context and service thread, a real xvmcd, real TCP
 * between them. Asks: is a connection promoted, are demotion, close, end of
 * stream and a dead xvmcd what they should be, and do the bytes cross the ring?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "fresh.h"
#include "socket-world.h"

static bool is_plain(int i)
{
	return !xvmc_ep_managed(w.pair.ep[i]);
}

static void test_promotes(void **state)
{
	(void)state;
	ping_until(on_ring, "on the ring");
	assert_true(stat_of(0, XVMC_S_TO_RING) == 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t x = (uint64_t)i, y = 0;

		guest_send(&w.pair, 0, &x, sizeof(x));
		recv_all(1, &y, sizeof(y));
		assert_int_equal(x, y);
	}
	assert_true(stat_of(0, XVMC_S_RING_TX_BYTES) >= 8000);
	assert_true(stat_of(1, XVMC_S_RING_RX_BYTES) >= 8000);
}

static void test_demote_and_promote(void **state)
{
	union agent_msg m = { 0 };
	int tool = agent_tool(&w.xvmcd);

	(void)state;
	ping_until(on_ring, "on the ring");
	m.steer.to = XVMC_PATH_TCP;
	agent_send(tool, XVMC_AG_STEER, &m, sizeof(m.steer));
	ping_until(is_plain, "plain");
	m.steer.to = XVMC_PATH_RING;
	agent_send(tool, XVMC_AG_STEER, &m, sizeof(m.steer));
	ping_until(on_ring, "on the ring again");
	close(tool);
}

/* Many ask at once for the one ring that a process may have. */
static void test_max_rings(void **state)
{
	struct guest_pair more[8];
	uint64_t end;
	char c = 'x';

	(void)state;
	for (int i = 0; i < 2; i++)
		w.ctx[i].opt.max_rings = 1;
	for (int k = 0; k < 8; k++)
		guest_pair_make(&more[k], &w.ctx[0], &w.ctx[1]);
	for (int k = 0; k < 8; k++) {
		for (int i = 0; i < 64; i++) {
			guest_send(&more[k], i % 2, &c, 1);
			assert_int_equal(guest_recv(&more[k], !(i % 2), &c, 1, 0), 1);
		}
	}
	end = os_now_ns() + 10000000000u;
	while (!stat_of(0, XVMC_S_SETUPS) && os_now_ns() < end)
		;
	end = os_now_ns() + 100000000u;
	while (os_now_ns() < end)
		assert_true(stat_of(0, XVMC_S_RINGS) <= 1);
	assert_int_equal(stat_of(0, XVMC_S_RINGS), 1);
	for (int k = 0; k < 8; k++)
		for (int i = 0; i < 2; i++)
			guest_pair_end(&more[k], i);
}

/* ---- promoted in the middle of a call ---- */

static struct guest_pair quiet;
static struct xvmc_libc kernel;

/* The kernel's recv; but the rings are made, and the record comes, after it
 * was called. */
static ssize_t late_recv(int fd, void *buf, size_t n, int flags)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	guest_pair_queue(&quiet);
	while (!xvmc_ep_managed(quiet.ep[1]) || os_ppoll(&pfd, 1, NULL, NULL) != 1)
		;
	return kernel.recv(fd, buf, n, flags);
}

/* What such a call brings back is a record, and no byte of the program's: who
 * does not wait shall not begin to. */
static void test_promoted_within(void **state)
{
	char c;

	(void)state;
	guest_pair_make_nonblock(&quiet, &w.ctx[0], &w.ctx[1]);
	kernel = w.ctx[1].libc;
	w.ctx[1].libc.recv = late_recv;
	assert_int_equal(guest_recv(&quiet, 1, &c, 1, 0), -EAGAIN);
	w.ctx[1].libc = kernel;
	assert_true(xvmc_ep_managed(quiet.ep[1]));
	guest_send(&quiet, 0, "x", 1);
	while (guest_recv(&quiet, 1, &c, 1, 0) == -EAGAIN)
		;
	assert_int_equal(c, 'x');
	for (int i = 0; i < 2; i++)
		guest_pair_end(&quiet, i);
}

static uint64_t backoff_within;

/* The kernel's send; but the rings are made after it was called. */
static ssize_t late_send(int fd, const void *buf, size_t n, int flags)
{
	guest_pair_queue(&quiet);
	while (!*(volatile bool *)&quiet.ep[0]->svc.want_ring)
		;
	usleep(20000); /* in which it would be announced, were we not here */
	backoff_within = quiet.ep[0]->svc.backoff_ns;
	return kernel.send(fd, buf, n, flags);
}

/* That is no reason to wait with the ring: who leaves says so. */
static void test_writer_within(void **state)
{
	uint64_t end = os_now_ns() + 10000000000u;
	char c;

	(void)state;
	guest_pair_make(&quiet, &w.ctx[0], &w.ctx[1]);
	kernel = w.ctx[0].libc;
	w.ctx[0].libc.send = late_send;
	guest_send(&quiet, 0, "x", 1);
	w.ctx[0].libc = kernel;
	assert_int_equal(backoff_within, 0);
	assert_int_equal(guest_recv(&quiet, 1, &c, 1, 0), 1);
	while (guest_tx_path(&quiet, 0) != XVMC_PATH_RING)
		assert_true(os_now_ns() < end);
	for (int i = 0; i < 2; i++)
		guest_pair_end(&quiet, i);
}

/* ---- one write that takes longer than it takes to make rings ---- */

#define LONG_WRITE (64u << 20)

static uint8_t byte_at(size_t pos)
{
	return (uint8_t)(pos * 31 + (pos >> 12));
}

static void *write_long(void *arg)
{
	uint8_t *all = malloc(LONG_WRITE);
	struct iovec vec = { all, LONG_WRITE };

	(void)arg;
	for (size_t i = 0; all && i < LONG_WRITE; i++)
		all[i] = byte_at(i);
	if (!all || xvmc_sock_send(w.pair.ep[0], w.pair.fd[0], &vec, 1, 0) != LONG_WRITE)
		abort();
	free(all);
	return NULL;
}

static void test_long_write_moves(void **state)
{
	static const struct timespec ms = { .tv_nsec = 1000000 };
	static uint8_t buf[65536];
	pthread_t thread;

	(void)state;
	w.busy = true;
	assert_int_equal(pthread_create(&thread, NULL, write_long, NULL), 0);
	for (size_t pos = 0; pos < LONG_WRITE;) {
		ssize_t r = guest_recv(&w.pair, 1, buf, sizeof(buf), 0);

		assert_true(r > 0);
		for (ssize_t i = 0; i < r; i++)
			assert_true(buf[i] == byte_at(pos + (size_t)i));
		pos += (size_t)r;
		/* Half a second for the rings to be made. */
		if (pos < LONG_WRITE / 2 && !stat_of(1, XVMC_S_RING_RX_BYTES))
			nanosleep(&ms, NULL);
	}
	pthread_join(thread, NULL);
	w.busy = false;
	assert_true(stat_of(0, XVMC_S_RING_TX_BYTES) >= LONG_WRITE / 4);
}

/* ---- a reader that does not read ---- */

/* Sends what goes without waiting, until nothing has gone for so many looks or
 * the direction is on TCP. */
static size_t stuff(size_t pos, int looks, bool until_tcp)
{
	static const struct timespec ms = { .tv_nsec = 1000000 };
	struct xvmc_endpoint *ep = w.pair.ep[0];
	static uint8_t buf[16384];

	for (int i = 0; i < looks && !(until_tcp && guest_tx_path(&w.pair, 0) == XVMC_PATH_TCP); i++) {
		struct iovec vec = { buf, sizeof(buf) };
		ssize_t r;

		for (size_t k = 0; k < sizeof(buf); k++)
			buf[k] = byte_at(pos + k);
		r = xvmc_sock_send(ep, w.pair.fd[0], &vec, 1, MSG_DONTWAIT);
		assert_true(r > 0 || r == -EAGAIN);
		if (r > 0)
			i = 0;
		else
			nanosleep(&ms, NULL);
		pos += r > 0 ? (size_t)r : 0;
	}
	return pos;
}

/* It is out, and stays so however slow we are. */
static void await_announcement(struct xvmc_endpoint *ep)
{
	uint64_t end = os_now_ns() + 10000000000u;
	bool out = false;

	while (!out && os_now_ns() < end) {
		section_lock(&ep->conn.tx.lock);
		out = ep->conn.tx.announced;
		if (out)
			ep->conn.patience = 100000;
		section_unlock(&ep->conn.tx.lock);
	}
	assert_true(out);
}

/* Who has left a full ring, and filled TCP as well, comes back as soon as the
 * reader goes on: not by the clock alone, for what is written until then goes
 * by TCP. */
static void test_back_when_read_again(void **state)
{
	struct xvmc_endpoint *ep = w.pair.ep[0];
	uint64_t end = os_now_ns() + 10000000000u;
	static uint8_t got[65536];
	size_t sent;

	(void)state;
	ping_until(on_ring, "on the ring");
	sent = stuff(0, 10000, true);
	assert_int_equal(guest_tx_path(&w.pair, 0), XVMC_PATH_TCP);
	section_lock(&ep->conn.tx.lock);
	ep->svc.try_ns = os_now_ns() + 3600000000000u;
	section_unlock(&ep->conn.tx.lock);
	sent = stuff(sent, 100, false);
	await_announcement(ep);
	for (size_t pos = 0; pos < sent;) {
		ssize_t r = guest_recv(&w.pair, 1, got, sizeof(got), 0);

		assert_true(r > 0);
		for (ssize_t i = 0; i < r; i++)
			assert_true(got[i] == byte_at(pos + (size_t)i));
		pos += (size_t)r;
	}
	/* Without a byte more than what was written before. */
	while (guest_tx_path(&w.pair, 0) != XVMC_PATH_RING && os_now_ns() < end)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_int_equal(guest_tx_path(&w.pair, 0), XVMC_PATH_RING);
}

static void test_close_delivers_all(void **state)
{
	static char big[100000];
	static char got[sizeof(big)];

	(void)state;
	ping_until(on_ring, "on the ring");
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7);
	guest_send(&w.pair, 0, big, sizeof(big));
	guest_pair_end(&w.pair, 0);
	recv_all(1, got, sizeof(got));
	assert_memory_equal(big, got, sizeof(big));
	assert_int_equal(guest_recv(&w.pair, 1, got, 1, 0), 0);
}

static void test_half_close(void **state)
{
	char c;

	(void)state;
	ping_until(on_ring, "on the ring");
	guest_send(&w.pair, 0, "x", 1);
	assert_int_equal(xvmc_sock_shutdown(w.pair.ep[0], w.pair.fd[0], SHUT_WR), 0);
	recv_all(1, &c, 1);
	assert_int_equal(c, 'x');
	assert_int_equal(guest_recv(&w.pair, 1, &c, 1, 0), 0);
	guest_send(&w.pair, 1, "y", 1);
	recv_all(0, &c, 1);
	assert_int_equal(c, 'y');
}

/* A reset that a write has met, and the reading half not yet: who is told of
 * HUP is told of all that goes with it. */
static void test_reset_seen_by_half(void **state)
{
	struct xvmc_endpoint *ep = w.pair.ep[0];
	uint64_t rx, tx;
	short bits;

	(void)state;
	ping_until(on_ring, "on the ring");
	section_lock(&ep->conn.tx.lock);
	ep->conn.tx.err = -ECONNRESET;
	ep->conn.tx.path = XVMC_PATH_TCP;
	ep->conn.untold = -ECONNRESET;
	section_unlock(&ep->conn.tx.lock);
	bits = xvmc_ep_poll(ep, 0, &rx, &tx);
	assert_int_equal(bits, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
}

static void test_xvmcd_dies(void **state)
{
	char c;

	(void)state;
	ping_until(on_ring, "on the ring");
	xvmcd_kill(&w.xvmcd, SIGKILL);
	for (int i = 0; i < 1000; i++) {
		guest_send(&w.pair, i & 1, "z", 1);
		recv_all(!(i & 1), &c, 1);
	}
	assert_true(on_ring(0) && on_ring(1));
	xvmcd_restart(&w.xvmcd, NULL);
	for (int i = 0; i < 1000; i++) {
		guest_send(&w.pair, i & 1, "z", 1);
		recv_all(!(i & 1), &c, 1);
	}
	assert_true(on_ring(0) && on_ring(1));
}

static void steer_both(enum xvmc_path to)
{
	for (int i = 0; i < 2; i++) {
		atomic_store(&w.pair.ep[i]->steer_wanted, 1u + to);
		xvmc_service_kick(w.pair.ep[i]);
	}
}

/* A connection that has left its rings while there was no xvmcd is told to
 * the next one like any other. */
static void test_leaves_without_xvmcd(void **state)
{
	(void)state;
	ping_until(on_ring, "on the ring");
	xvmcd_kill(&w.xvmcd, SIGKILL);
	steer_both(XVMC_PATH_TCP);
	ping_until(is_plain, "plain");
	steer_both(XVMC_PATH_RING);
	xvmcd_restart(&w.xvmcd, NULL);
	ping_until(on_ring, "on the ring again");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_promotes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_demote_and_promote, setup, teardown),
		cmocka_unit_test_setup_teardown(test_max_rings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_promoted_within, setup, teardown),
		cmocka_unit_test_setup_teardown(test_writer_within, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_write_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back_when_read_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_delivers_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_seen_by_half, setup, teardown),
		cmocka_unit_test_setup_teardown(test_xvmcd_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leaves_without_xvmcd, setup, teardown),
	};

	return fresh_run("socket", tests, sizeof(tests) / sizeof(tests[0]), argc,
			 argv);
}
