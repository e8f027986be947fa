/* SPDX-License-Identifier: MIT */
/*
 * A close that meets the service thread: while rings are made, while a number
 * is duplicated, before its addresses are asked for. The linker puts functions
 * of ours in between (--wrap), which hold one of the two until the other is
 * where it would do harm.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fresh.h"
#include "socket-world.h"
#include "socket/service.h"

#define BOUND_NS 10000000000u

int __real_endpoint_manage(struct xvmc_endpoint *ep);
int __wrap_endpoint_manage(struct xvmc_endpoint *ep);
int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);
int __real_xvmc_numbers_dup(int fd);
int __wrap_xvmc_numbers_dup(int fd);
int __real_link_register(struct xvmc_service *sv, struct xvmc_endpoint *ep);
int __wrap_link_register(struct xvmc_service *sv, struct xvmc_endpoint *ep);

static bool await(const _Atomic bool *what)
{
	uint64_t end = os_now_ns() + BOUND_NS;

	while (!*what && os_now_ns() < end)
		;
	return *what;
}

/* From one end to the other, where nothing else is under way. */
static void pass(int from)
{
	char byte = 'x';

	guest_send(&w.pair, from, &byte, 1);
	assert_int_equal(guest_recv(&w.pair, !from, &byte, 1, 0), 1);
}

static void exchange_until(const _Atomic bool *what)
{
	uint64_t end = os_now_ns() + BOUND_NS;

	while (!*what && os_now_ns() < end) {
		pass(0);
		pass(1);
	}
	assert_true(*what);
}

/* ---- while rings are made ---- */

static struct {
	_Atomic bool armed;   /* the next rings of end 0 are the ones */
	_Atomic bool making;  /* they are about to be made ... */
	_Atomic bool closing; /* ... this thread closes ... */
	pthread_t closer;
	_Atomic bool at_door; /* ... has seen that they are not made, and waits ... */
	_Atomic bool made;    /* ... for them to be */
} rings;

int __wrap_endpoint_manage(struct xvmc_endpoint *ep)
{
	int r;

	if (!rings.armed || ep != w.pair.ep[0] || !atomic_exchange(&rings.armed, false))
		return __real_endpoint_manage(ep);
	rings.making = true;
	await(&rings.at_door);
	r = __real_endpoint_manage(ep);
	rings.made = true;
	return r;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
	if (rings.closing && !rings.made && pthread_equal(pthread_self(), rings.closer) &&
	    lock == &w.pair.ep[0]->conn.tx.lock) {
		rings.at_door = true;
		await(&rings.made);
	}
	return __real_pthread_mutex_lock(lock);
}

/* Who closes finds that the rings are not made, and when it has the lock they
 * are: the peer is told of the end all the same. */
static void test_made_within_close(void **state)
{
	uint64_t end = os_now_ns() + BOUND_NS;
	ssize_t r;
	char byte;

	(void)state;
	rings.armed = true;
	exchange_until(&rings.making);
	rings.closer = pthread_self();
	rings.closing = true;
	guest_pair_end(&w.pair, 0);
	assert_true(rings.at_door && rings.made);
	do
		r = guest_recv(&w.pair, 1, &byte, 1, MSG_DONTWAIT);
	while (r == -EAGAIN && os_now_ns() < end);
	assert_int_equal(r, 0);
}

/* ---- while a number is duplicated ---- */

static struct {
	_Atomic bool armed;
	_Atomic bool done;     /* the number is another file's now */
	_Atomic bool compared; /* the duplicate has been made */
	_Atomic bool right;    /* of the connection */
	int both[2];           /* lead to the connection: */
	int closed, other;     /* one is closed */
	int pipe[2];
	pthread_t closer;
} number;

static void *replace_number(void *arg)
{
	(void)arg;
	xvmc_sock_close(&w.ctx[0], number.closed);
	dup2(number.pipe[0], number.closed); /* closes it first */
	number.done = true;
	return NULL;
}

/* Somebody sleeps until it is free: glibc's own word for that. */
static bool is_waited_for(const pthread_mutex_t *lock)
{
	return __atomic_load_n(&lock->__data.__lock, __ATOMIC_ACQUIRE) > 1;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

int __wrap_xvmc_numbers_dup(int fd)
{
	uint64_t end = os_now_ns() + BOUND_NS;
	int own;

	if ((fd != number.both[0] && fd != number.both[1]) ||
	    !atomic_exchange(&number.armed, false))
		return __real_xvmc_numbers_dup(fd);
	number.closed = fd;
	number.other = number.both[fd == number.both[0]];
	pthread_create(&number.closer, NULL, replace_number, NULL);
	while (!number.done && !is_waited_for(&w.pair.ep[0]->conn.tx.lock) && os_now_ns() < end)
		;
	own = __real_xvmc_numbers_dup(fd);
	number.right = same_file(own, number.other);
	number.compared = true;
	return own;
}

/* Another thread closes the number that the service thread is about to
 * duplicate, and something else is there at once. */
static void test_number_replaced(void **state)
{
	char byte;
	int n = 0;

	(void)state;
	assert_int_equal(pipe(number.pipe), 0);
	number.both[0] = w.pair.fd[0];
	number.both[1] = dup(w.pair.fd[0]);
	xvmc_sock_dup(&w.ctx[0], number.both[0], number.both[1]);
	number.armed = true;
	/* Not used any more once the service thread knows of it. */
	while (w.pair.ep[0]->state == XVMC_EP_TRACKED)
		pass(0);
	for (; w.pair.ep[1]->state == XVMC_EP_TRACKED; n++)
		guest_send(&w.pair, 1, "", 1);
	assert_true(await(&number.compared));
	pthread_join(number.closer, NULL);
	assert_true(number.right);
	w.pair.fd[0] = number.other;
	close(number.closed);
	close(number.pipe[0]);
	close(number.pipe[1]);
	/* No record is let in behind what is unread. */
	while (n-- > 0)
		recv_all(0, &byte, 1);
	while (!guest_on_ring(&w.pair, 0))
		pass(1);
}

/* ---- before its addresses are asked for ---- */

static struct {
	_Atomic bool armed;
	_Atomic bool passed;
	int result;
	bool known;
	int foreign;
} last;

int __wrap_link_register(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	int fd = w.pair.fd[0];

	if (!last.armed || ep != w.pair.ep[0] || !atomic_exchange(&last.armed, false))
		return __real_link_register(sv, ep);
	if (!xvmc_sock_close(&w.ctx[0], fd))
		dup2(last.foreign, fd);
	last.result = __real_link_register(sv, ep);
	last.known = ep->svc.have_addrs;
	last.passed = true;
	return last.result;
}

/* The last number is closed, and another connection has it, when the service
 * thread wants to know its addresses: it does not take those. */
static void test_registered_after_close(void **state)
{
	struct guest_pair foreign;

	(void)state;
	guest_pair_make(&foreign, &w.ctx[0], &w.ctx[1]);
	last.foreign = foreign.fd[0];
	last.armed = true;
	while (w.pair.ep[0]->state == XVMC_EP_TRACKED)
		pass(0);
	assert_true(await(&last.passed));
	assert_int_equal(last.result, -ENOTCONN);
	assert_false(last.known);
	for (int i = 0; i < 2; i++)
		guest_pair_end(&foreign, i);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_within_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_number_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registered_after_close, setup, teardown),
	};

	return fresh_run("closing", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
