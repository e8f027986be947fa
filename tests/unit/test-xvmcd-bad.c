/* SPDX-License-Identifier: MIT */
/*
 * Bad input to xvmcd, by hand and at random: it says so and hangs up, lives,
 * and nobody else notices.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/reason.h"
#include "hv/local-wire.h"
#include "xvmcd-talk.h"

/* A malformed message: END{-EPROTO}, closed; nobody else notices. */
static void refused(struct world *w, int sock, const void *msg, size_t len)
{
	union agent_msg answer;

	assert_int_equal(send(sock, msg, len, MSG_NOSIGNAL), len);
	agent_expect(sock, XVMC_AG_END, &answer);
	assert_int_equal(answer.hdr.status, -EPROTO);
	agent_expect_end(sock);
	close(sock);
}

static void test_bad_hello(void **state)
{
	struct world *w = *state;
	static const char *const bad_names[] = { "a b", "../x", "\xff", "a\tb" };
	const struct xvmc_ag_hello good = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_HELLO, .len = sizeof(good) },
		.role = XVMC_ROLE_APP,
		.domain = "vm1",
	};
	struct xvmc_ag_hello bad;
	struct xvmc_agent_hdr list = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_LIST, .len = sizeof(list) };

#define BAD(change)                                              \
	do {                                                     \
		bad = good;                                      \
		change;                                          \
		refused(w, agent_connect(&w->run), &bad, sizeof(bad)); \
	} while (0)
	BAD(bad.hdr.version = XVMC_AGENT_VERSION + 1);
	BAD(bad.hdr.len--);
	BAD(bad.hdr.len++);
	BAD(bad.hdr.type = 0);
	BAD(bad.hdr.type = 999);
	BAD(bad.hdr.type = XVMC_AG_REGISTER);
	BAD(bad.role = 0);
	BAD(bad.role = 3);
	BAD(bad.naddrs = XVMC_ADDRS_MAX + 1);
	BAD(bad.domain[0] = '\0');
	BAD(memset(bad.domain, 'a', sizeof(bad.domain)));
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++)
		BAD(strcpy(bad.domain, bad_names[i]));
	refused(w, agent_connect(&w->run), &good, sizeof(good) - 1);
	refused(w, agent_connect(&w->run), &good, 4);
	refused(w, agent_connect(&w->run), &list, sizeof(list)); /* before hello */
	refused(w, agent_app(&w->run, "vm1"), &good, sizeof(good)); /* twice */
	refused(w, agent_app(&w->run, "vm1"), &list, sizeof(list)); /* a tool's */
}

static void test_bad_messages(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	char big[XVMC_AGENT_MAX + 100] = { 0 };
	struct xvmc_agent_hdr *hdr = (struct xvmc_agent_hdr *)(void *)big;
	struct xvmc_ag_register again = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_REGISTER, .len = sizeof(again) }, .epid = 1
	};
	struct xvmc_ag_word unlink_ = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_UNLINK, .len = sizeof(unlink_) }, .reason = 9999
	};
	int sock;

	/* longer than any message */
	*hdr = (struct xvmc_agent_hdr){ .version = XVMC_AGENT_VERSION, .type = XVMC_AG_RELAY, .len = sizeof(big) };
	refused(w, agent_app(&w->run, "vm3"), big, sizeof(big));
	/* a relay with less than a header, or more than the largest */
	hdr->len = offsetof(struct xvmc_ag_relay, body) + 7;
	refused(w, agent_app(&w->run, "vm3"), big, hdr->len);
	hdr->len = offsetof(struct xvmc_ag_relay, body) + XVMC_SETUP_MAX + 1;
	refused(w, agent_app(&w->run, "vm3"), big, hdr->len);
	/* the same epid twice */
	sock = agent_app(&w->run, "vm3");
	reg(sock, 1, 9, true);
	refused(w, sock, &again, sizeof(again));
	/* a reason nobody knows */
	refused(w, agent_app(&w->run, "vm3"), &unlink_, sizeof(unlink_));
	/* what xvmcd itself says is not for it to hear */
	for (uint16_t type = XVMC_AG_WELCOME; type <= XVMC_AG_SHORT; type++) {
		hdr->type = type;
		hdr->len = sizeof(struct xvmc_ag_word);
		refused(w, agent_app(&w->run, "vm3"), big, hdr->len);
	}
	/* the couple has noticed nothing */
	expect_quiet(w, c.a);
	expect_quiet(w, c.b);
}

/* One that never reads does not hold up the others, nor eat memory. */
static void test_slow_reader(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	struct xvmc_ag_relay msg = { .epid = 10, .link = c.link };
	int other = agent_app(&w->run, "vm3");
	union agent_msg answer;
	bool ended = false;

	for (int i = 0; i < 20000 && !ended; i++) {
		agent_send(c.a, XVMC_AG_RELAY, &msg, sizeof(msg));
		if (i % 100 == 0) {
			agent_sync(&w->run);
			while (!agent_quiet(c.a))
				ended = true; /* UNLINKED: b was let go */
			if (ended)
				break;
		}
	}
	assert_true(ended);
	reg(other, 1, 7, true);
	reg(other, 2, 7, false);
	agent_expect(other, XVMC_AG_MATCH, &answer);
	agent_expect_end(c.b);
}

static int hv_connect(struct world *w)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/hv.sock", w->run.dir);
	assert_int_equal(connect(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return sock;
}

static int hv_hello(struct world *w, const char *domain, uint32_t *ret_domid)
{
	struct xvmc_lw_hello msg = {
		.hdr = { .version = 1, .type = XVMC_LW_HELLO, .len = sizeof(msg), .serial = 1 },
	};
	struct xvmc_lw_welcome answer;
	int sock = hv_connect(w), fds[2];
	unsigned int nfds;
	struct pollfd pfd = { .fd = sock, .events = POLLIN };

	strcpy(msg.domain, domain);
	assert_int_equal(xvmc_lw_send(sock, &msg, NULL, 0), 0);
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(xvmc_lw_recv(sock, &answer, sizeof(answer), fds, &nfds), sizeof(answer));
	assert_int_equal(answer.hdr.status, 0);
	assert_int_equal(nfds, 2);
	close(fds[0]);
	close(fds[1]);
	*ret_domid = answer.domid;
	return sock;
}

static int hv_grant(int sock, uint32_t peer, uint32_t npages, const int *fds, unsigned int nfds)
{
	struct xvmc_lw_call msg = {
		.hdr = { .version = 1, .type = XVMC_LW_GRANT, .len = sizeof(msg), .serial = 9 },
		.peer = peer,
		.npages = npages,
	};
	struct xvmc_lw_reply answer;
	struct pollfd pfd = { .fd = sock, .events = POLLIN };

	assert_int_equal(xvmc_lw_send(sock, &msg, fds, nfds), 0);
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(recv(sock, &answer, sizeof(answer), 0), sizeof(answer));
	assert_int_equal(answer.hdr.serial, 9);
	return answer.hdr.status;
}

static void test_bad_grants(void **state)
{
	struct world *w = *state;
	uint32_t domid;
	int sock = hv_hello(w, "vm1", &domid), fd, pipefd[2], many[2];

	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	assert_int_equal(hv_grant(sock, domid, 1, NULL, 0), -EMFILE);
	assert_int_equal(hv_grant(sock, domid, 1, pipefd, 1), -EACCES);
	assert_int_equal(hv_grant(sock, domid, 1, pipefd, 2), -EINVAL);
	fd = memfd_create("xvmc-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(hv_grant(sock, domid, 2, &fd, 1), -EACCES); /* could shrink */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(hv_grant(sock, domid, 2, &fd, 1), -EACCES); /* could grow */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(hv_grant(sock, domid, 2, &fd, 1), -EACCES); /* has holes */
	assert_int_equal(posix_fallocate(fd, 0, 8192), 0);
	assert_int_equal(hv_grant(sock, domid, 3, &fd, 1), -EACCES); /* too small */
	assert_int_equal(hv_grant(sock, domid, 0, &fd, 1), -EINVAL);
	assert_int_equal(hv_grant(sock, domid, 2, &fd, 1), 0);
	many[0] = many[1] = fd;
	assert_int_equal(hv_grant(sock, domid, 2, many, 2), -EINVAL);
}

static void test_bad_hypercalls(void **state)
{
	struct world *w = *state;
	struct xvmc_lw_call call = {
		.hdr = { .version = 1, .type = XVMC_LW_MAP, .len = sizeof(call), .serial = 1 },
	};
	struct xvmc_lw_hello hello = {
		.hdr = { .version = 1, .type = XVMC_LW_HELLO, .len = sizeof(hello), .serial = 1 },
		.domain = "bad name",
	};
	struct xvmc_lw_welcome answer;
	uint32_t domid;
	int sock;

#define CLOSED(s, msg, len)                                             \
	do {                                                            \
		sock = (s);                                             \
		assert_int_equal(send(sock, &(msg), (len), MSG_NOSIGNAL), len); \
		assert_true(recv(sock, &answer, sizeof(answer), 0) <= 0); \
		close(sock);                                            \
	} while (0)
	CLOSED(hv_connect(w), call, sizeof(call)); /* before hello */
	sock = hv_connect(w);
	send(sock, &hello, sizeof(hello), 0);
	assert_int_equal(recv(sock, &answer, sizeof(answer), 0), sizeof(answer));
	assert_int_equal(answer.hdr.status, -EINVAL);
	assert_int_equal(recv(sock, &answer, sizeof(answer), 0), 0);
	strcpy(hello.domain, "vm1");
	CLOSED(hv_hello(w, "vm1", &domid), hello, sizeof(hello)); /* twice */
	call.hdr.version = 7;
	CLOSED(hv_hello(w, "vm1", &domid), call, sizeof(call));
	call.hdr.version = 1;
	call.hdr.type = 77;
	CLOSED(hv_hello(w, "vm1", &domid), call, sizeof(call));
	call.hdr.type = XVMC_LW_MAP;
	CLOSED(hv_hello(w, "vm1", &domid), call, sizeof(call) - 1);
	call.hdr.len = 12;
	CLOSED(hv_hello(w, "vm1", &domid), call, sizeof(call));
}

/* What goes to everybody may have come, nothing else. */
static void only_news(int sock)
{
	union agent_msg msg;

	while (recv(sock, &msg, sizeof(msg), MSG_DONTWAIT) > 0)
		switch (msg.hdr.type) {
		case XVMC_AG_VMS:
		case XVMC_AG_QUERY:
		case XVMC_AG_KEEP:
		case XVMC_AG_FINISH:
			break;
		default:
			fail_msg("message %u came", msg.hdr.type);
		}
}

enum { APP, TOOL, HV, ENDS };

#define NENDS 8

/* Lengths that some message has. */
static const size_t lengths[] = {
	sizeof(struct xvmc_ag_register), sizeof(struct xvmc_ag_word),
	sizeof(struct xvmc_ag_row),      sizeof(struct xvmc_ag_domop),
	sizeof(struct xvmc_agent_hdr),   sizeof(struct xvmc_lw_call),
	sizeof(struct xvmc_lw_word),     sizeof(struct xvmc_ag_relay),
};

union noise {
	struct xvmc_agent_hdr hdr;
	struct xvmc_ag_domop op;
	unsigned char room[XVMC_AGENT_MAX + 64];
};

/* Mostly a header that fits, mostly zeroes. Returns the length to send. */
static size_t make_noise(uint64_t *seed, int kind, union noise *ret_msg)
{
	size_t len;

	for (size_t i = 0; i < sizeof(ret_msg->room); i++)
		ret_msg->room[i] = (unsigned char)(fresh_random(seed, 4) ? 0 : fresh_random(seed, 256));
	if (fresh_random(seed, 8))
		len = lengths[fresh_random(seed, sizeof(lengths) / sizeof(lengths[0]))];
	else
		len = sizeof(ret_msg->hdr) + fresh_random(seed, sizeof(*ret_msg) - sizeof(ret_msg->hdr));
	if (len == sizeof(ret_msg->op)) {
		memset(&ret_msg->op, 0, sizeof(ret_msg->op));
		snprintf(ret_msg->op.domain, sizeof(ret_msg->op.domain), "fz%u", fresh_random(seed, 4));
		snprintf(ret_msg->op.host, sizeof(ret_msg->op.host), "H%u", fresh_random(seed, 3));
		ret_msg->op.how = fresh_random(seed, 4);
		ret_msg->op.precopy_ms = fresh_random(seed, 10);
	}
	/* the hypercalls' serial is where this protocol has its status */
	ret_msg->hdr = (struct xvmc_agent_hdr){
		.version = kind == HV ? 1 : XVMC_AGENT_VERSION,
		.type = (uint16_t)fresh_random(seed, kind == HV ? 12 : 44),
		.len = (uint16_t)(fresh_random(seed, 50) ? len : fresh_random(seed, 2000)),
		.status = (int32_t)fresh_random(seed, 100),
	};
	/* ending it, or steering the couple, is no bad input */
	if (ret_msg->hdr.type == XVMC_AG_SHUTDOWN || ret_msg->hdr.type == XVMC_AG_STEER)
		ret_msg->hdr.type = XVMC_AG_LIST;
	return len;
}

static int open_end(struct world *w, uint64_t *seed, int *ret_kind)
{
	const char *name = fresh_random(seed, 2) ? "fz1" : "fz2";
	uint32_t domid;

	*ret_kind = (int)fresh_random(seed, ENDS);
	return *ret_kind == APP  ? agent_app(&w->run, name) :
	       *ret_kind == TOOL ? agent_tool(&w->run) :
				   hv_hello(w, name, &domid);
}

/* Takes all that came; false: hung up. */
static bool drain(int sock)
{
	char buf[XVMC_AGENT_MAX];
	ssize_t n;

	do
		n = recv(sock, buf, sizeof(buf), MSG_DONTWAIT);
	while (n > 0);
	return n < 0 && errno == EAGAIN;
}

/* Random messages from random ends, some with a descriptor: whatever happens,
 * xvmcd lives, and who behaves is served. */
static void test_fuzz(void **state)
{
	struct world *w = *state;
	uint64_t seed = fresh_seed();
	struct couple c = couple(w);
	int socks[NENDS], kinds[NENDS];

	for (int i = 0; i < NENDS; i++)
		socks[i] = -1;
	for (int i = 0; i < 30000; i++) {
		uint32_t k = fresh_random(&seed, NENDS);
		union noise msg;
		size_t len;
		int fd = -1;

		if (socks[k] < 0)
			socks[k] = open_end(w, &seed, &kinds[k]);
		len = make_noise(&seed, kinds[k], &msg);
		if (fresh_random(&seed, 6) == 0)
			fd = memfd_create("xvmc-fz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (fd >= 0 && msg.hdr.len == len)
			xvmc_lw_send(socks[k], &msg, &fd, 1);
		else
			send(socks[k], &msg, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (fd >= 0)
			close(fd);
		if (!drain(socks[k])) {
			close(socks[k]);
			socks[k] = -1;
		}
	}
	agent_sync(&w->run);
	only_news(c.a);
	only_news(c.b);
	relay(c.a, 10, c.link, "all is well");
	expect_relayed(c.b, 20, c.link, "all is well");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(test_bad_hello),
		T(test_bad_messages),
		T(test_slow_reader),
		T(test_bad_grants),
		T(test_bad_hypercalls),
		T(test_fuzz),
	};

	return fresh_run("xvmcd, bad input", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
