/* SPDX-License-Identifier: MIT */
/*
 * A guest that has left and does not answer: its process is stopped, so that
 * nothing of it comes by TCP but what its kernel says. The other end lets go of its
 * pages while the connection lives, and no byte is lost.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "fresh.h"
#include "guests.h"
#include "xvmcd.h"

#define BOUND_NS 20000000000u

/* What a connection has mapped: two pieces of its own, two of the peer's. */
#define PIECES 4

/* The guest that leaves, vm2, is a process of its own, and does what it is told. */
struct order {
	enum { QUEUE, ON_RING, SEND, RECV, END } what;
	uint32_t n;
};

static struct {
	struct xvmcd_run xvmcd;
	struct xvmc_ctx ctx;
	struct guest_pair pair; /* our end is number 0, in either process */
	uint64_t sent, rcvd;
	pid_t far;
	int to, from;
} w;

/* A byte of what vm1 (0) or vm2 (1) sends. */
static char byte_of(int from, uint64_t pos)
{
	return (char)((pos * 2654435761u >> 11) + (uint64_t)from);
}

static void send_some(int who, uint32_t n)
{
	char buf[4096];

	while (n) {
		uint32_t piece = n < sizeof(buf) ? n : (uint32_t)sizeof(buf);

		for (uint32_t i = 0; i < piece; i++)
			buf[i] = byte_of(who, w.sent + i);
		guest_send(&w.pair, 0, buf, piece);
		w.sent += piece;
		n -= piece;
	}
}

static void recv_some(int who, uint32_t n)
{
	char buf[4096];

	while (n) {
		ssize_t r = guest_recv(&w.pair, 0, buf, n < sizeof(buf) ? n : sizeof(buf), 0);

		assert_true(r > 0);
		for (ssize_t i = 0; i < r; i++)
			assert_int_equal(buf[i], byte_of(!who, w.rcvd + (uint64_t)i));
		w.rcvd += (uint64_t)r;
		n -= (uint32_t)r;
	}
}

static void queue(void)
{
	w.pair.ep[0]->state = XVMC_EP_QUEUED;
	xvmc_service_kick(w.pair.ep[0]);
}

static void wait_rings(void)
{
	uint64_t end = os_now_ns() + BOUND_NS;

	while (!guest_on_ring(&w.pair, 0)) {
		assert_true(os_now_ns() < end);
		usleep(1000);
	}
}

/* ---- vm2 ---- */

static void obey(const struct order *order)
{
	switch (order->what) {
	case QUEUE:
		queue();
		break;
	case ON_RING:
		wait_rings();
		break;
	case SEND:
		send_some(1, order->n);
		break;
	case RECV:
		recv_some(1, order->n);
		break;
	case END:
		guest_pair_end(&w.pair, 0);
		xvmc_ctx_deinit(&w.ctx);
	}
}

static void far_main(int fd, int in, int out)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	struct order order;

	guest_make(&w.ctx, w.xvmcd.dir, "vm2");
	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	xvmc_sock_connected(&w.ctx, fd, (struct sockaddr *)&peer, len);
	w.pair.ctx[0] = &w.ctx;
	w.pair.fd[0] = fd;
	w.pair.ep[0] = xvmc_ep_get(&w.ctx, fd);
	while (read(in, &order, sizeof(order)) == sizeof(order)) {
		obey(&order);
		assert_int_equal(write(out, "", 1), 1);
	}
	_exit(0);
}

/* ---- what it is told ---- */

static void tell(int what, uint32_t n)
{
	const struct order order = { .what = what, .n = n };

	assert_int_equal(write(w.to, &order, sizeof(order)), sizeof(order));
}

static void done(void)
{
	char byte;

	assert_int_equal(read(w.from, &byte, 1), 1);
}

static void freeze(void)
{
	int status;

	kill(w.far, SIGSTOP);
	assert_int_equal(waitpid(w.far, &status, WUNTRACED), w.far);
	assert_true(WIFSTOPPED(status));
}

static void op(uint16_t type, const char *host)
{
	int tool = agent_tool(&w.xvmcd);

	assert_int_equal(agent_domop(tool, type, "vm2", host, XVMC_MIGRATE_UNPREPARED, 0), 0);
	close(tool);
}

/* Nothing is shared any more, and the connection is not back at plain TCP: it has
 * yet to hear from the peer. */
static void wait_let_go(int maps)
{
	uint64_t end = os_now_ns() + BOUND_NS;

	while (fresh_count_maps() != maps) {
		assert_true(os_now_ns() < end);
		usleep(10000);
	}
	assert_true(xvmc_ep_managed(w.pair.ep[0]));
}

static int setup(void **state)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int l = socket(AF_INET, SOCK_STREAM, 0), to[2], from[2];
	socklen_t len = sizeof(sa);

	(void)state;
	xvmcd_start(&w.xvmcd, NULL);
	assert_int_equal(bind(l, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	w.far = fork();
	if (w.far == 0) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		close(to[1]);
		assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
		far_main(fd, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	w.to = to[1];
	w.from = from[0];
	guest_make(&w.ctx, w.xvmcd.dir, "vm1");
	w.pair.ctx[0] = &w.ctx;
	w.pair.fd[0] = accept(l, (struct sockaddr *)&sa, &len);
	assert_true(w.pair.fd[0] >= 0);
	close(l);
	xvmc_sock_accepted(&w.ctx, -1, w.pair.fd[0], (struct sockaddr *)&sa, len, 0);
	w.pair.ep[0] = xvmc_ep_get(&w.ctx, w.pair.fd[0]);
	assert_non_null(w.pair.ep[0]);
	tell(QUEUE, 0);
	queue();
	done();
	wait_rings();
	tell(ON_RING, 0);
	done();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_pair_end(&w.pair, 0);
	kill(w.far, SIGKILL);
	waitpid(w.far, NULL, 0);
	xvmc_ctx_deinit(&w.ctx);
	xvmcd_stop(&w.xvmcd);
	close(w.to);
	close(w.from);
	return 0;
}

/* Bytes of either in the rings that nobody has read, and vm2 stands still when that
 * is done to it: vm1 lets go of its pages. */
static void half_way(uint16_t type, const char *host)
{
	int maps = fresh_count_maps();

	tell(SEND, 60000);
	done();
	recv_some(0, 10000);
	send_some(0, 30000);
	freeze();
	op(type, host);
	wait_let_go(maps - PIECES);
}

/* It runs on elsewhere, and has not got to saying so. */
static void test_moved(void **state)
{
	(void)state;
	half_way(XVMC_AG_MIGRATE, "B");
	recv_some(0, 50000);
	send_some(0, 1000);
	kill(w.far, SIGCONT);
	tell(SEND, 70000);
	recv_some(0, 70000);
	done();
	tell(RECV, 31000);
	done();
	tell(END, 0);
	done();
}

/* What it had not said before is said over TCP, from what is left of our pages. */
static void test_moved_reading_late(void **state)
{
	(void)state;
	half_way(XVMC_AG_MIGRATE, "B");
	kill(w.far, SIGCONT);
	tell(RECV, 30000);
	done();
	tell(SEND, 100000);
	recv_some(0, 150000);
	done();
}

/* It does not run any more. To its peer, TCP has not been told. */
static void test_destroyed(void **state)
{
	char byte = 0;
	ssize_t r;

	(void)state;
	half_way(XVMC_AG_DESTROY, "");
	recv_some(0, 50000);
	assert_int_equal(guest_recv(&w.pair, 0, &byte, 1, MSG_DONTWAIT), -EAGAIN);
	assert_true(xvmc_ep_managed(w.pair.ep[0]));
	/* As TCP does with what its kernel had, and nobody had read. */
	kill(w.far, SIGKILL);
	do
		r = guest_recv(&w.pair, 0, &byte, 1, 0);
	while (r == -EAGAIN);
	assert_int_equal(r, -ECONNRESET);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved_reading_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_destroyed, setup, teardown),
	};

	return fresh_run("gone", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
