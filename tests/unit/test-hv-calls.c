/* SPDX-License-Identifier: MIT */
/*
 * The local backend's calls that are sent together, against an xvmcd that does
 * as it is told: it has all three before it answers one, refuses one, ends or
 * falls silent in the middle, or moves the guest there.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fresh.h"
#include "hv/hv.h"
#include "hv/local-wire.h"

#define CALLS 3
#define NPAGES 5u
#define PATIENCE_MS 1500 /* less than a caller's */
#define US 1u
#define PEER 2u

/* What it does, and what it shall hear of that by the end. */
struct orders {
	int refuse;  /* the call that it refuses, or -1 */
	int answers; /* calls that it answers before the next two */
	bool ends;
	bool late; /* the rest of the answers comes when one has been undone */
	bool cut;  /* the instant of a migration, behind the first answer */
	int undone;
};

/* ---- xvmcd's side, a process of its own; its exit status says what is wrong ---- */

enum { FINE, NO_HELLO, NOT_TOGETHER, WRONG_TYPE, WRONG_UNDONE, NO_CUT_DONE };

union heard {
	struct xvmc_lw_hdr hdr;
	struct xvmc_lw_hello hello;
	struct xvmc_lw_call call;
	struct xvmc_lw_word word;
	char room[XVMC_LW_MAX];
};

/* The next message; 0: closed; -1: none in time. */
static ssize_t hear(int sock, union heard *ret_msg, int ms)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	int fds[XVMC_LW_FDS_MAX];
	unsigned int nfds = 0;
	ssize_t n;

	if (poll(&pfd, 1, ms) != 1)
		return -1;
	n = xvmc_lw_recv(sock, ret_msg, sizeof(*ret_msg), fds, &nfds);
	while (n > 0 && nfds > 0)
		close(fds[--nfds]);
	return n;
}

static int memory(unsigned int npages)
{
	int fd = xvmc_lw_memfd("xvmc-test", npages * XVMC_PAGE_SIZE);

	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return fd;
}

static void say_welcome(int sock, uint32_t serial)
{
	struct xvmc_lw_welcome w = {
		.hdr = { XVMC_LW_VERSION, XVMC_LW_WELCOME, sizeof(w), serial, 0 },
		.domid = US,
	};
	int fds[2] = { memory(XVMC_BOARD_SIZE / XVMC_PAGE_SIZE), memory(XVMC_LW_PAGES_MAX) };
	const size_t len = XVMC_LW_PAGES_MAX * XVMC_PAGE_SIZE;
	void *ff = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
	struct xvmc_board *board = mmap(NULL, XVMC_BOARD_SIZE, PROT_READ | PROT_WRITE,
					MAP_SHARED, fds[0], 0);

	memset(ff, 0xff, len);
	board->dom[0].in_use = board->dom[1].in_use = 1;
	board->dom[0].domid = US;
	board->dom[1].domid = PEER;
	xvmc_lw_send(sock, &w, fds, 2);
}

static uint32_t number(int i)
{
	return (uint32_t)(i + 1) << 10; /* which may be a gref as well */
}

static void say_answer(int sock, const union heard *call, int i, bool refuse)
{
	struct xvmc_lw_reply r = {
		.hdr = { XVMC_LW_VERSION, XVMC_LW_REPLY, sizeof(r), call->hdr.serial,
			 refuse ? -ENOSPC : 0 },
		.number = number(i),
		.self = US,
		.peer_slot = 1,
	};
	int fds[2] = { -1, -1 }, nfds = 0;

	if (!refuse && call->hdr.type == XVMC_LW_MAP)
		fds[nfds++] = memory(call->call.npages);
	while (!refuse && nfds < 2 && (call->hdr.type == XVMC_LW_CHAN_ALLOC ||
				       call->hdr.type == XVMC_LW_CHAN_BIND))
		fds[nfds++] = eventfd(0, EFD_CLOEXEC);
	xvmc_lw_send(sock, &r, fds, (unsigned int)nfds);
	while (nfds > 0)
		close(fds[--nfds]);
}

static void say_cut(int sock)
{
	struct xvmc_lw_word cut = {
		.hdr = { XVMC_LW_VERSION, XVMC_LW_CUT, sizeof(cut), 0, 0 },
		.number = 7,
	};

	xvmc_lw_send(sock, &cut, NULL, 0);
}

/* Which call the word takes back; -1: none. */
static int undoes(const struct xvmc_lw_word *word)
{
	for (int i = 0; i < CALLS; i++)
		if (word->number == number(i) && (word->hdr.type == XVMC_LW_UNGRANT ||
						  word->hdr.type == XVMC_LW_UNMAP ||
						  word->hdr.type == XVMC_LW_CHAN_CLOSE))
			return i;
	return -1;
}

static int serve(int listener, const struct orders *o)
{
	int sock = accept(listener, NULL, NULL);
	bool undone[CALLS] = { false };
	union heard call[CALLS], msg;
	int i, n = 0, cuts = 0;

	if (hear(sock, &msg, PATIENCE_MS) <= 0 || msg.hdr.type != XVMC_LW_HELLO)
		return NO_HELLO;
	say_welcome(sock, msg.hdr.serial);
	for (i = 0; i < CALLS; i++)
		if (hear(sock, &call[i], PATIENCE_MS) <= 0)
			return NOT_TOGETHER;
	if ((call[0].hdr.type != XVMC_LW_GRANT && call[0].hdr.type != XVMC_LW_MAP) ||
	    call[1].hdr.type != call[0].hdr.type)
		return WRONG_TYPE;
	for (i = 0; i < o->answers; i++) {
		say_answer(sock, &call[i], i, i == o->refuse);
		if (i == 0 && o->cut)
			say_cut(sock);
	}
	if (o->ends)
		return FINE;
	while (hear(sock, &msg, 5000) > 0) {
		int which = undoes(&msg.word);

		cuts += msg.hdr.type == XVMC_LW_CUT_DONE;
		if (which < 0)
			continue;
		if (undone[which])
			return WRONG_UNDONE;
		undone[which] = true;
		n++;
		for (; o->late && i < CALLS; i++)
			say_answer(sock, &call[i], i, false);
	}
	if (cuts != o->cut)
		return NO_CUT_DONE;
	return n == o->undone ? FINE : WRONG_UNDONE;
}

/* ---- ours ---- */

struct server {
	char dir[64];
	pid_t pid;
	struct fresh_marks marks;
};

static struct xvmc_hv *begin(struct server *s, const struct orders *o)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct xvmc_hv_local_spec spec = { s->dir, "vm1" };
	struct xvmc_hv *hv;
	int sock;

	s->marks = fresh_mark();
	strcpy(s->dir, "/tmp/xvmc-test-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/" XVMC_LW_SOCKET, s->dir);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(sock, 1), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0)
		_exit(serve(sock, o));
	close(sock);
	assert_int_equal(xvmc_hv_open_local(&spec, &hv), 0);
	return hv;
}

static void finish(struct server *s, struct xvmc_hv *hv)
{
	char path[128];
	int status;

	xvmc_hv_close(hv);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_int_equal(status, FINE << 8);
	snprintf(path, sizeof(path), "%s/" XVMC_LW_SOCKET, s->dir);
	unlink(path);
	assert_int_equal(rmdir(s->dir), 0);
	fresh_check(s->marks);
}

static int offer(struct xvmc_hv *hv, struct xvmc_offered *ret_offered)
{
	xvmc_gref_t grefs[1 + NPAGES] = { 0 };
	int rc = xvmc_hv_offer(hv, PEER, NPAGES, ret_offered, grefs);

	if (rc == 0) {
		assert_int_equal(grefs[0], number(0));
		for (uint32_t i = 0; i < NPAGES; i++)
			assert_int_equal(grefs[1 + i], number(1) + i);
		assert_int_equal(ret_offered->chan.port, number(2));
	}
	return rc;
}

static int take(struct xvmc_hv *hv, struct xvmc_accepted *ret_accepted)
{
	const xvmc_gref_t grefs[1 + NPAGES] = { 9 << 10, 5 << 10, (5 << 10) + 1,
						(5 << 10) + 2, (5 << 10) + 3, (5 << 10) + 4 };

	return xvmc_hv_accept(hv, PEER, grefs, 1 + NPAGES, 128, 77, ret_accepted);
}

/* Either way to have three calls on the way: what it says, and apart again if it
 * has come about. */
static int both_ways(bool offers, struct xvmc_hv *hv)
{
	struct xvmc_accepted a;
	struct xvmc_offered o;
	int rc = offers ? offer(hv, &o) : take(hv, &a);

	if (rc == 0 && offers)
		xvmc_hv_withdraw(hv, &o);
	else if (rc == 0)
		xvmc_hv_leave(hv, &a);
	return rc;
}

static void test_together(void **state)
{
	const struct orders o = { .refuse = -1, .answers = CALLS, .undone = CALLS };
	struct server s;

	(void)state;
	for (int offers = 0; offers < 2; offers++) {
		struct xvmc_hv *hv = begin(&s, &o);

		assert_int_equal(both_ways(offers, hv), 0);
		finish(&s, hv);
	}
}

/* All or nothing, and nothing stays where one is refused. */
static void test_refused(void **state)
{
	struct orders o = { .answers = CALLS, .undone = CALLS - 1 };
	struct server s;

	(void)state;
	for (int i = 0; i < 2 * CALLS; i++) {
		struct xvmc_hv *hv;

		o.refuse = i / 2;
		hv = begin(&s, &o);
		assert_int_equal(both_ways(i % 2, hv), -ENOSPC);
		finish(&s, hv);
	}
}

static void test_ends(void **state)
{
	struct orders o = { .refuse = -1, .ends = true };
	struct server s;

	(void)state;
	for (int i = 0; i < 2 * CALLS; i++) {
		struct xvmc_hv *hv;

		o.answers = i / 2;
		hv = begin(&s, &o);
		assert_int_equal(both_ways(i % 2, hv), -EIO);
		finish(&s, hv);
	}
}

/* It falls silent: bounded, and what it did after all is undone. */
static void test_late(void **state)
{
	const struct orders o = { .refuse = -1, .answers = 1, .late = true, .undone = CALLS };
	struct server s;

	(void)state;
	for (int offers = 0; offers < 2; offers++) {
		struct xvmc_hv *hv = begin(&s, &o);
		struct pollfd pfd = { .fd = xvmc_hv_event_fd(hv), .events = POLLIN };

		assert_int_equal(both_ways(offers, hv), -EIO);
		assert_int_equal(poll(&pfd, 1, 5000), 1);
		/* the two come one behind the other */
		for (int i = 0; i < 100 && poll(&pfd, 1, 100) == 1; i++)
			assert_int_equal(xvmc_hv_dispatch(hv), 0);
		finish(&s, hv);
	}
}

/* What was mapped by then is gone, like every other page of a peer's. */
static void test_moved_between(void **state)
{
	const struct orders o = { .refuse = -1, .answers = CALLS, .cut = true, .undone = CALLS };
	struct xvmc_accepted a;
	struct server s;
	struct xvmc_hv *hv = begin(&s, &o);

	(void)state;
	assert_int_equal(take(hv, &a), 0);
	assert_int_equal(*(volatile uint8_t *)a.r.addr, 0xff);
	xvmc_hv_leave(hv, &a);
	finish(&s, hv);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_together), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ends),	 cmocka_unit_test(test_late),
		cmocka_unit_test(test_moved_between),
	};

	return fresh_run("hv, calls together", tests, sizeof(tests) / sizeof(tests[0]),
			 argc, argv) != 0;
}
