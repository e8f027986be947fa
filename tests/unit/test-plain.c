/* SPDX-License-Identifier: MIT */
/*
 * The way back to plain TCP while the peer wants the ring. The service thread
 * finds a connection idle, and takes more locks to make it plain: by then it may
 * be idle no more. The linker puts functions of ours in between (--wrap): one
 * holds the announcements until we say, another runs in that very moment, has
 * the peer announce its ring, and reads. And a writer that has found no room,
 * which a third sees to, goes on on plain TCP.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "fresh.h"
#include "guests.h"
#include "socket/service.h"
#include "xvmcd.h"

#define BOUND_NS 10000000000u

struct world {
	struct xvmcd_run xvmcd;
	struct xvmc_ctx ctx[2];
	struct guest_pair pair;
	struct xvmc_endpoint *_Atomic ep[2]; /* the pair's, for what stands between */
	_Atomic bool may_announce[2];
	_Atomic bool armed;  /* the next way back of end 0 is the one */
	_Atomic bool passed; /* it has been */
	_Atomic bool followed;
	_Atomic bool strange; /* it read what nobody had sent */
	_Atomic bool no_room; /* for end 0 */
	_Atomic bool not_yet; /* end 0 does not become plain */
	_Atomic bool not_before; /* its reader does not go on */
};

static struct world w;

int __real_xvmc_conn_tx_announce(struct conn_t *c, uint64_t now_ns);
int __wrap_xvmc_conn_tx_announce(struct conn_t *c, uint64_t now_ns);
void __real_xvmc_epoll_ep_lock(struct xvmc_endpoint *ep);
void __wrap_xvmc_epoll_ep_lock(struct xvmc_endpoint *ep);

int __wrap_xvmc_conn_tx_announce(struct conn_t *c, uint64_t now_ns)
{
	for (int i = 0; i < 2; i++)
		if (w.ep[i] && c == &w.ep[i]->conn && !w.may_announce[i])
			return -EAGAIN;
	return __real_xvmc_conn_tx_announce(c, now_ns);
}

ssize_t __real_xvmc_conn_write(struct conn_t *c, struct xvmc_iov *it, int flags);
ssize_t __wrap_xvmc_conn_write(struct conn_t *c, struct xvmc_iov *it, int flags);

ssize_t __wrap_xvmc_conn_write(struct conn_t *c, struct xvmc_iov *it, int flags)
{
	if (w.no_room && w.ep[0] && c == &w.ep[0]->conn)
		return -EAGAIN;
	return __real_xvmc_conn_write(c, it, flags);
}

static void announce_for(uint64_t ns)
{
	struct conn_t *c = &w.ep[1]->conn;

	section_lock(&c->tx.lock);
	c->announce_ns = ns;
	section_unlock(&c->tx.lock);
}

/* The reader finds nothing, but it may follow an announcement, or have followed
 * one that it read with the record that comes next. */
static bool follows(void)
{
	struct conn_t *c = &w.ep[0]->conn;
	bool yes;
	char byte;

	if (guest_recv(&w.pair, 0, &byte, 1, MSG_DONTWAIT) != -EAGAIN)
		w.strange = true; /* nothing was sent */
	section_lock(&c->rx.lock);
	yes = c->rx.expect != XVMC_POS_NONE || c->rx.path == XVMC_PATH_RING;
	section_unlock(&c->rx.lock);
	return yes;
}

void __wrap_xvmc_epoll_ep_lock(struct xvmc_endpoint *ep)
{
	if (ep == w.ep[0] && atomic_exchange(&w.armed, false)) {
		uint64_t end = os_now_ns() + BOUND_NS;

		/* However slow the reader is, the announcement is not
		 * withdrawn. */
		announce_for(BOUND_NS);
		w.may_announce[1] = true;
		while (!w.followed && os_now_ns() < end) {
			xvmc_service_kick(w.ep[1]);
			w.followed = follows();
		}
		announce_for(w.ctx[1].opt.announce_us * 1000u);
		w.passed = true;
	}
	__real_xvmc_epoll_ep_lock(ep);
}

#define TRIES 20

static struct {
	_Atomic bool on;
	_Atomic unsigned int n, soon;
	uint64_t last_ns;
} tries;

bool __real_endpoint_quiet(struct xvmc_endpoint *ep);
bool __wrap_endpoint_quiet(struct xvmc_endpoint *ep);

bool __wrap_endpoint_quiet(struct xvmc_endpoint *ep)
{
	uint64_t now = os_now_ns();

	if (tries.on && ep == w.ep[0]) {
		tries.soon += now - tries.last_ns < 900000;
		tries.last_ns = now;
		tries.n++;
	}
	return !(w.not_yet && ep == w.ep[0]) && __real_endpoint_quiet(ep);
}

static int setup(void **state)
{
	(void)state;
	xvmcd_start(&w.xvmcd, NULL);
	guest_make(&w.ctx[0], w.xvmcd.dir, "vm1");
	guest_make(&w.ctx[1], w.xvmcd.dir, "vm2");
	guest_pair_make(&w.pair, &w.ctx[0], &w.ctx[1]);
	for (int i = 0; i < 2; i++)
		w.ep[i] = w.pair.ep[i];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		guest_pair_end(&w.pair, i);
	for (int i = 0; i < 2; i++)
		xvmc_ctx_deinit(&w.ctx[i]);
	xvmcd_stop(&w.xvmcd);
	return 0;
}

/* One message each way; what arrives is what was sent. */
static void exchange(uint64_t x)
{
	for (int i = 0; i < 2; i++) {
		uint64_t y = 0;

		guest_send(&w.pair, i, &x, sizeof(x));
		for (size_t n = 0; n < sizeof(y);) {
			ssize_t r = guest_recv(&w.pair, !i, (char *)&y + n,
					       sizeof(y) - n, 0);

			assert_true(r > 0);
			n += (size_t)r;
		}
		assert_int_equal(x, y);
	}
}

static bool both_managed(void)
{
	return xvmc_ep_managed(w.pair.ep[0]) && xvmc_ep_managed(w.pair.ep[1]);
}

static bool sends_by_ring(struct xvmc_endpoint *ep)
{
	bool yes;

	section_lock(&ep->conn.tx.lock);
	yes = ep->conn.tx.path == XVMC_PATH_RING;
	section_unlock(&ep->conn.tx.lock);
	return yes;
}

static bool reads_by_ring(struct xvmc_endpoint *ep)
{
	bool yes;

	section_lock(&ep->conn.rx.lock);
	yes = ep->conn.rx.path == XVMC_PATH_RING;
	section_unlock(&ep->conn.rx.lock);
	return yes;
}

static void test_announced_on_the_way(void **state)
{
	uint64_t end = os_now_ns() + BOUND_NS, x = 0x0101010101010101u;

	(void)state;
	while (!both_managed() && os_now_ns() < end)
		exchange(x++);
	assert_true(both_managed());
	w.armed = true;
	w.pair.ep[0]->steer_wanted = XVMC_PATH_TCP + 1;
	xvmc_service_kick(w.pair.ep[0]);
	while (!w.passed && os_now_ns() < end)
		usleep(1000); /* nothing is sent, so there is nothing to read */
	assert_true(w.followed);
	assert_false(w.strange);
	for (int i = 0; i < 2000; i++)
		exchange(x++);
}

#define MUCH 8000000u

static void *send_much(void *arg)
{
	static char much[MUCH];
	struct iovec vec = { much, sizeof(much) };

	*(ssize_t *)arg = xvmc_sock_send(w.pair.ep[0], w.pair.fd[0], &vec, 1, 0);
	return NULL;
}

/* A blocking send that has slept, and sent nothing, when the connection becomes
 * plain: it still sends all of it. */
static void test_sent_after_the_way(void **state)
{
	uint64_t end = os_now_ns() + BOUND_NS, x = 0;
	static char buf[65536];
	ssize_t sent = 0, r;
	size_t sum = 0;
	pthread_t t;

	(void)state;
	while (!both_managed() && os_now_ns() < end)
		exchange(x++);
	assert_true(both_managed());
	w.no_room = true;
	assert_int_equal(pthread_create(&t, NULL, send_much, &sent), 0);
	while (!w.pair.ep[0]->tx_waiters && os_now_ns() < end)
		;
	w.pair.ep[0]->steer_wanted = XVMC_PATH_TCP + 1;
	xvmc_service_kick(w.pair.ep[0]);
	while (sum < MUCH) {
		r = guest_recv(&w.pair, 1, buf, sizeof(buf), MSG_DONTWAIT);
		if (r > 0)
			sum += (size_t)r;
		else
			assert_true(r == -EAGAIN && os_now_ns() < end);
	}
	pthread_join(t, NULL);
	assert_int_equal(sent, MUCH);
}

#define PART 100u

static void *recv_whole(void *arg)
{
	char buf[2 * PART];

	*(ssize_t *)arg = guest_recv(&w.pair, 0, buf, sizeof(buf), MSG_WAITALL);
	return NULL;
}

/* The same of a read that waits for all. */
static void test_read_after_the_way(void **state)
{
	uint64_t end = os_now_ns() + BOUND_NS, x = 0;
	char part[PART] = "";
	uint64_t before;
	ssize_t got = 0;
	pthread_t t;

	(void)state;
	while (!both_managed() && os_now_ns() < end)
		exchange(x++);
	assert_true(both_managed());
	assert_int_equal(pthread_create(&t, NULL, recv_whole, &got), 0);
	while (!w.pair.ep[0]->rx_waiters && os_now_ns() < end)
		;
	w.pair.ep[0]->steer_wanted = XVMC_PATH_TCP + 1;
	xvmc_service_kick(w.pair.ep[0]);
	while ((xvmc_ep_managed(w.pair.ep[0]) || xvmc_ep_managed(w.pair.ep[1])) &&
	       os_now_ns() < end)
		;
	before = w.pair.ep[0]->conn.rx.rcvd;
	guest_send(&w.pair, 1, part, PART);
	while (w.pair.ep[0]->conn.rx.rcvd < before + PART && os_now_ns() < end)
		;
	guest_send(&w.pair, 1, part, PART);
	pthread_join(t, NULL);
	assert_int_equal(got, 2 * PART);
}

/* Somebody who sleeps on a bell is called, and does not come for a while: the
 * service thread does not call again at once, woken by the bell it rings. */
static void test_leaves_its_bell_late(void **state)
{
	uint64_t end = os_now_ns() + BOUND_NS, x = 0;
	struct xvmc_endpoint *ep = w.pair.ep[0];

	(void)state;
	while (!both_managed() && os_now_ns() < end)
		exchange(x++);
	assert_true(both_managed());
	assert_true(xvmc_ep_wait_begin(ep, POLLIN));
	tries.on = true;
	ep->steer_wanted = XVMC_PATH_TCP + 1;
	xvmc_service_kick(ep);
	while (tries.n < TRIES && os_now_ns() < end)
		usleep(1000);
	tries.on = false;
	xvmc_ep_wait_end(ep, POLLIN);
	assert_in_range(tries.n, TRIES, UINT32_MAX);
	/* But for what else there was to be told. */
	assert_in_range(tries.soon, 0, TRIES / 2);
	while (xvmc_ep_managed(ep) && os_now_ns() < end)
		usleep(1000);
	assert_false(xvmc_ep_managed(ep));
	exchange(x);
}

/* The service thread has driven an endpoint since it was asked. */
static void await_drive(struct xvmc_endpoint *ep)
{
	uint64_t end = os_now_ns() + BOUND_NS;

	/* The second one begins when the first one is done. */
	for (int i = 0; i < 2; i++) {
		ep->steer_wanted = XVMC_PATH_RING + 1;
		xvmc_service_kick(ep);
		while (ep->steer_wanted && os_now_ns() < end)
			;
		assert_false(ep->steer_wanted);
	}
}

/* The last number has just gone, and the thread that closes has not told the
 * peer yet: nobody takes the rings apart before that. */
static void test_driven_within_close(void **state)
{
	uint64_t end = os_now_ns() + BOUND_NS, x = 0x0202020202020202u;
	struct xvmc_endpoint *ep = w.pair.ep[0];
	char byte;
	ssize_t r;

	(void)state;
	w.may_announce[0] = w.may_announce[1] = true;
	while (os_now_ns() < end &&
	       !(both_managed() && sends_by_ring(ep) && reads_by_ring(ep)))
		exchange(x++);
	assert_true(both_managed());
	atomic_fetch_sub(&ep->nfds, 1);
	await_drive(ep);
	assert_true(xvmc_ep_managed(ep));
	atomic_fetch_add(&ep->nfds, 1);
	guest_pair_end(&w.pair, 0);
	do
		r = guest_recv(&w.pair, 1, &byte, 1, 0);
	while (r == -EAGAIN && os_now_ns() < end);
	assert_int_equal(r, 0);
}

static ssize_t send_some(const void *buf, size_t n)
{
	struct iovec vec = { .iov_base = (void *)(uintptr_t)buf, .iov_len = n };

	return xvmc_sock_send(w.pair.ep[0], w.pair.fd[0], &vec, 1, MSG_DONTWAIT);
}

/* TCP is full when the ring is agreed on, so that the record has to wait: what
 * poll says of room is what a write finds, before and after. */
static void test_record_waits(void **state)
{
	uint64_t end = os_now_ns() + BOUND_NS, x = 0x0303030303030303u, rx, tx;
	struct xvmc_endpoint *ep = w.pair.ep[0];
	static char buf[65536];
	size_t sent = 0, got = 0;
	ssize_t r;

	(void)state;
	while (!both_managed() && os_now_ns() < end)
		exchange(x++);
	assert_true(both_managed());
	while ((r = send_some(buf, sizeof(buf))) > 0)
		sent += (size_t)r;
	assert_int_equal(r, -EAGAIN);
	w.may_announce[0] = true;
	while (!sends_by_ring(ep) && os_now_ns() < end)
		xvmc_service_kick(ep);
	assert_true(sends_by_ring(ep));
	while (got < sent || !got) {
		bool room = xvmc_ep_poll(ep, POLLOUT, &rx, &tx) & POLLOUT;

		r = send_some(buf, 1);
		assert_true(r == 1 || (r == -EAGAIN && !room));
		sent += r == 1;
		r = guest_recv(&w.pair, 1, buf, sizeof(buf), MSG_DONTWAIT);
		assert_true(r > 0 || r == -EAGAIN);
		got += r > 0 ? (size_t)r : 0;
		if (r < 0 && os_now_ns() > end)
			fail_msg("%zu of %zu bytes", got, sent);
		if (got > 4 * sizeof(buf) && sent - got < sizeof(buf))
			break; /* it goes by the ring */
	}
}

/* ---- a new link before the old one is left ---- */

/* All of them have done what they were told until now. */
static void list(int tool)
{
	union agent_msg m = { 0 };

	agent_send(tool, XVMC_AG_LIST, &m, sizeof(m.hdr));
	do
		agent_recv(tool, &m);
	while (m.hdr.type != XVMC_AG_END);
}

static bool set_up_twice(void)
{
	return w.ctx[0].stats->value[XVMC_S_SETUPS] >= 2;
}

void __real_xvmc_ep_wait_end(struct xvmc_endpoint *ep, short events);
void __wrap_xvmc_ep_wait_end(struct xvmc_endpoint *ep, short events);

/* Who has slept on the old ring's bell gets no CPU before the new ring is there. */
void __wrap_xvmc_ep_wait_end(struct xvmc_endpoint *ep, short events)
{
	uint64_t end = os_now_ns() + BOUND_NS;

	__real_xvmc_ep_wait_end(ep, events);
	while (w.not_before && ep == w.ep[0] && !set_up_twice() && os_now_ns() < end)
		usleep(1000);
}

static void *read_one(void *arg)
{
	char c;

	*(_Atomic bool *)arg = guest_recv(&w.pair, 0, &c, 1, 0) == 1;
	return NULL;
}

/* The peer's guest has migrated, and offers its ring anew, while we still leave the
 * old one: the offer waits. What is made of it is looked after like any other: who
 * sleeps for bytes that come by TCP is woken. */
static void test_held_offer(void **state)
{
	uint64_t end = os_now_ns() + BOUND_NS, x = 0x0606060606060606u;
	int tool = agent_tool(&w.xvmcd);
	_Atomic bool read = false;
	pthread_t t;

	(void)state;
	while (!both_managed() && os_now_ns() < end)
		exchange(x++);
	assert_true(both_managed());
	assert_int_equal(pthread_create(&t, NULL, read_one, (void *)&read), 0);
	while (!w.ep[0]->rx_waiters && os_now_ns() < end)
		usleep(1000);
	w.not_yet = w.not_before = true;
	assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, "vm2", "A",
				     XVMC_MIGRATE_UNPREPARED, 0), 0);
	while (w.ctx[1].stats->value[XVMC_S_MIGRATIONS] == 0 && os_now_ns() < end)
		usleep(1000);
	while (w.ep[1]->state != XVMC_EP_LINKED && os_now_ns() < end)
		usleep(1000);
	assert_int_equal(w.ep[1]->state, XVMC_EP_LINKED);
	list(tool); /* its offer has gone out */
	list(tool); /* and come in */
	w.not_yet = false;
	xvmc_service_kick(w.ep[0]);
	while (!(set_up_twice() && w.ep[0]->rx_waiters) && os_now_ns() < end)
		usleep(1000);
	assert_true(set_up_twice());
	guest_send(&w.pair, 1, "x", 1);
	while (!read && os_now_ns() < end)
		usleep(1000);
	assert_true(read);
	pthread_join(t, NULL);
	close(tool);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_announced_on_the_way, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_driven_within_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leaves_its_bell_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_record_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sent_after_the_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_after_the_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_held_offer, setup, teardown),
	};

	return fresh_run("plain", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
