/* SPDX-License-Identifier: MIT */
/*
 * A process's side of the agent protocol (lib/event/agent.c) against a xvmcd
 * that is played here: one that does not read costs nobody any time, loses no
 * message, and is given up if it stays so. And what the service thread says to it
 * first.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "event/agent.h"
#include "fresh.h"
#include "guests.h"

struct fake {
	char dir[64];
	int lfd, fd; /* fd: the connection */
	struct timespec slow; /* so long until it says WELCOME */
	pthread_t thread;
};

/* Says WELCOME, and nothing more. */
static void *welcome(void *arg)
{
	struct xvmc_ag_welcome msg = {
		.hdr = { .version = XVMC_AGENT_VERSION,
			 .type = XVMC_AG_WELCOME,
			 .len = sizeof(msg) },
		.domid = 7,
	};
	struct fake *fake = arg;
	char hello[4096];

	fake->fd = accept(fake->lfd, NULL, NULL);
	while (nanosleep(&fake->slow, &fake->slow) != 0)
		;
	if (fake->fd < 0 || recv(fake->fd, hello, sizeof(hello), 0) <= 0 ||
	    send(fake->fd, &msg, sizeof(msg), 0) != sizeof(msg))
		return NULL;
	return fake;
}

static void fake_begin(struct fake *fake, uid_t uid, void *(*run)(void *))
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	uid_t self = geteuid();

	strcpy(fake->dir, "/tmp/xvmc-test-agent.XXXXXX");
	assert_non_null(mkdtemp(fake->dir));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/agent.sock", fake->dir);
	fake->lfd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(fake->lfd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(seteuid(uid), 0);
	assert_int_equal(listen(fake->lfd, 1), 0);
	assert_int_equal(seteuid(self), 0);
	assert_int_equal(pthread_create(&fake->thread, NULL, run, fake), 0);
}

static void fake_remove(const struct fake *fake)
{
	const char *const names[] = { "agent.sock", "board" };
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", fake->dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(fake->dir), 0);
}

/* Returns what xvmc_agent_open says of one that listens as this user. */
static int fake_listen(struct fake *fake, struct xvmc_agent *agent, uid_t uid)
{
	void *ok;
	int r;

	fake_begin(fake, uid, welcome);
	*agent = (struct xvmc_agent){ .fd = -1 };
	r = xvmc_agent_open(agent, fake->dir, "vm1", -1);
	if (r == 0)
		r = xvmc_agent_welcome(agent);
	assert_int_equal(pthread_join(fake->thread, &ok), 0);
	assert_ptr_equal(ok, r == 0 ? fake : NULL);
	fake_remove(fake);
	return r;
}

static void fake_open(struct fake *fake, struct xvmc_agent *agent)
{
	assert_int_equal(fake_listen(fake, agent, geteuid()), 0);
	assert_int_equal(agent->self.domid, 7);
}

static void fake_close(struct fake *fake, struct xvmc_agent *agent)
{
	xvmc_agent_close(agent);
	assert_int_equal(agent->fd, -1);
	close(fake->fd);
	close(fake->lfd);
}

static int say(struct xvmc_agent *agent, uint64_t n)
{
	struct xvmc_ag_word word = {
		.hdr = { .type = XVMC_AG_UNLINK, .len = sizeof(word) },
		.link = n,
	};

	return xvmc_agent_send(agent, &word.hdr);
}

static void assert_hears(struct fake *fake, uint64_t n)
{
	struct xvmc_ag_word word;

	assert_int_equal(recv(fake->fd, &word, sizeof(word), 0), sizeof(word));
	assert_int_equal(word.hdr.type, XVMC_AG_UNLINK);
	assert_int_equal(word.link, n);
}

/* Far more than a socket holds; all of it comes, in order. */
static void test_queue(void **state)
{
	struct xvmc_agent agent;
	struct fake fake = { .fd = -1 };
	uint64_t heard = 0;

	(void)state;
	fake_open(&fake, &agent);
	for (uint64_t n = 0; n < 20000; n++)
		assert_int_equal(say(&agent, n), 0);
	assert_true(agent.out.len > 0);
	assert_int_equal(xvmc_agent_flush(&agent), -EAGAIN);
	assert_int_equal(say(&agent, 20000), 0);
	while (heard <= 20000) {
		assert_hears(&fake, heard++);
		assert_true(xvmc_agent_flush(&agent) != -EIO);
	}
	assert_int_equal(agent.out.len, 0);
	fake_close(&fake, &agent);
}

/* It does not read for too long, or too much is queued: broken, and stays so. */
static void test_patience(void **state)
{
	struct xvmc_agent agent;
	struct fake fake = { .fd = -1 };
	uint64_t n = 0;

	(void)state;
	fake_open(&fake, &agent);
	while (!agent.out.len)
		assert_int_equal(say(&agent, n++), 0);
	agent.out_ns -= XVMC_AGENT_PATIENCE_NS / 2;
	assert_int_equal(say(&agent, n++), 0);
	agent.out_ns -= XVMC_AGENT_PATIENCE_NS;
	assert_int_equal(say(&agent, n), -EIO);
	assert_true(agent.broken);
	assert_hears(&fake, 0); /* too late */
	assert_int_equal(xvmc_agent_flush(&agent), -EIO);
	fake_close(&fake, &agent);

	fake_open(&fake, &agent);
	for (n = 0; say(&agent, n) == 0; n++)
		assert_true(n < 10000000);
	assert_true(agent.broken);
	fake_close(&fake, &agent);
}

/* It goes away. */
static void test_gone(void **state)
{
	union xvmc_agent_msg msg;
	struct xvmc_agent agent;
	struct fake fake = { .fd = -1 };

	(void)state;
	fake_open(&fake, &agent);
	assert_int_equal(xvmc_agent_recv(&agent, &msg), -EAGAIN);
	assert_int_equal(close(fake.fd), 0);
	fake.fd = -1;
	assert_int_equal(say(&agent, 1), -EIO);
	assert_int_equal(xvmc_agent_recv(&agent, &msg), -EIO);
	fake_close(&fake, &agent);
	assert_int_equal(say(&agent, 1), -EIO);
	assert_int_equal(xvmc_agent_recv(&agent, &msg), -EIO);
}

/* Another user's: it learns nothing of us, and we believe it nothing. */
static void test_foreign(void **state)
{
	struct xvmc_agent agent;
	struct fake fake = { .fd = -1 };

	(void)state;
	if (geteuid() != 0)
		skip(); /* nobody else can be had */
	assert_int_equal(fake_listen(&fake, &agent, 65534), -EACCES);
	assert_int_equal(agent.fd, -1);
	fake_close(&fake, &agent);
}

/* Says nothing before it has heard of the connection; what it says then is no
 * WELCOME, and nobody is there to be asked again. */
static void *reserved(void *arg)
{
	struct xvmc_agent_hdr end = { .version = XVMC_AGENT_VERSION,
				      .type = XVMC_AG_END,
				      .len = sizeof(end),
				      .status = -ENOSPC };
	struct fake *fake = arg;
	union xvmc_agent_msg msg;
	struct pollfd pfd;

	fake->fd = accept(fake->lfd, NULL, NULL);
	pfd = (struct pollfd){ .fd = fake->fd, .events = POLLIN };
	close(fake->lfd);
	if (recv(fake->fd, &msg, sizeof(msg), 0) <= 0 || msg.hdr.type != XVMC_AG_HELLO ||
	    poll(&pfd, 1, 1500) != 1 || recv(fake->fd, &msg, sizeof(msg), 0) <= 0 ||
	    msg.hdr.type != XVMC_AG_REGISTER ||
	    send(fake->fd, &end, sizeof(end), 0) != sizeof(end))
		return NULL;
	while (recv(fake->fd, &msg, sizeof(msg), 0) > 0)
		;
	return fake;
}

static void put_board(const struct fake *fake)
{
	static const struct xvmc_board board = { .magic = XVMC_BOARD_MAGIC,
						 .version = XVMC_AGENT_VERSION,
						 .local = 1 };
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/board", fake->dir);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, XVMC_BOARD_SIZE), 0);
	assert_int_equal(pwrite(fd, &board, sizeof(board), 0), sizeof(board));
	close(fd);
}

/* A connection that is worth a ring is registered at once, whatever will be said
 * to HELLO; if that is no, it is as if there were no xvmcd. */
static void test_registers_first(void **state)
{
	static char buf[1 << 17];
	struct xvmc_ctx ctx = { 0 };
	struct guest_pair p;
	struct fake fake = { .fd = -1 };
	ssize_t n, sum;
	void *ok;

	(void)state;
	fake_begin(&fake, geteuid(), reserved);
	put_board(&fake);
	guest_make(&ctx, fake.dir, "vm1");
	guest_pair_make(&p, &ctx, &ctx);
	guest_send(&p, 0, buf, sizeof(buf));
	assert_int_equal(pthread_join(fake.thread, &ok), 0);
	assert_ptr_equal(ok, &fake);
	for (sum = 0; sum < (ssize_t)sizeof(buf); sum += n) {
		n = guest_recv(&p, 1, buf, sizeof(buf), 0);
		assert_true(n > 0);
	}
	for (int i = 0; i < 5000 && p.ep[0]->state != XVMC_EP_QUEUED; i++)
		usleep(1000);
	assert_int_equal(p.ep[0]->state, XVMC_EP_QUEUED);
	assert_int_equal(p.ep[0]->reason, XVMC_R_NO_XVMCD);
	guest_pair_end(&p, 0);
	guest_pair_end(&p, 1);
	close(fake.fd);
	xvmc_ctx_deinit(&ctx);
	fake_remove(&fake);
}

struct opening {
	struct fake fake;
	struct xvmc_agent agent;
	_Atomic bool done;
};

static void *open_it(void *arg)
{
	struct opening *o = arg;

	fake_open(&o->fake, &o->agent);
	o->done = true;
	return NULL;
}

/* A thread that has the process change its user interrupts all others. (Which run
 * on stacks of their own: valgrind does not grow the first one for a signal.) */
static void test_user_changes(void **state)
{
	struct opening o = { .fake.slow.tv_nsec = 50000000 };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, open_it, &o), 0);
	while (!o.done) {
		assert_int_equal(seteuid(geteuid()), 0);
		usleep(500);
	}
	pthread_join(thread, NULL);
	fake_close(&o.fake, &o.agent);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_user_changes),
		cmocka_unit_test(test_registers_first),
	};

	return fresh_run("agent", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
