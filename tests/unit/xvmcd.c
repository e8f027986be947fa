/* SPDX-License-Identifier: MIT */
/*
 * Starting and speaking to a real xvmcd.
 */
#include "xvmcd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fresh.h"

#define ARGS_MAX 20
#define WAIT_MS 5000

static const char *program(void)
{
	const char *env = getenv("XVMC_XVMCD");

	return env ? env : XVMCD_PATH;
}

static void exec_xvmcd(const char *const *args)
{
	/* A test that dies leaves no daemon behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(program(), (char *const *)args);
	perror(program());
	_exit(127);
}

static void start(struct xvmcd_run *run, va_list ap)
{
	const char *args[ARGS_MAX] = { "xvmcd", "--dir", run->dir, "--ready-fd" };
	const char *log = getenv("XVMC_TEST_LOG") ? "-" : "/dev/null";
	char fd[12], c;
	int ready[2], n = 5;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	snprintf(fd, sizeof(fd), "%d", ready[1]);
	args[4] = fd;
	args[n++] = "--log";
	args[n++] = log;
	while (n < ARGS_MAX - 1 && (args[n] = va_arg(ap, const char *)))
		n++;
	args[n] = NULL;
	run->pid = fork();
	assert_true(run->pid >= 0);
	if (run->pid == 0) {
		struct rlimit lim = { run->nofile, run->nofile };

		if (run->nofile)
			setrlimit(RLIMIT_NOFILE, &lim);
		fcntl(ready[1], F_SETFD, 0);
		exec_xvmcd(args);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(read(ready[0], &c, 1), 0); /* it has closed its end */
	close(ready[0]);
}

void xvmcd_start(struct xvmcd_run *run, ...)
{
	va_list ap;

	run->nofile = 0;
	strcpy(run->dir, "/tmp/xvmc-test-XXXXXX");
	assert_non_null(mkdtemp(run->dir));
	va_start(ap, run);
	start(run, ap);
	va_end(ap);
}

void xvmcd_restart(struct xvmcd_run *run, ...)
{
	va_list ap;

	va_start(ap, run);
	start(run, ap);
	va_end(ap);
}

int xvmcd_kill(struct xvmcd_run *run, int sig)
{
	int status;

	kill(run->pid, sig);
	assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
	run->pid = 0;
	return status;
}

void xvmcd_stop(struct xvmcd_run *run)
{
	static const char *const names[] = { "agent.sock", "hv.sock", "board", "xvmcd.lock", "xvmcd.log" };
	char path[96];

	if (run->pid > 0) {
		int status = xvmcd_kill(run, SIGTERM);

		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", run->dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(run->dir), 0);
}

int xvmcd_main(char *ret_out, size_t size, ...)
{
	const char *args[ARGS_MAX] = { "xvmcd" };
	size_t have = 0;
	int out[2], n = 1, status;
	va_list ap;
	ssize_t got;
	pid_t pid;

	va_start(ap, size);
	while (n < ARGS_MAX - 1 && (args[n] = va_arg(ap, const char *)))
		n++;
	va_end(ap);
	args[n] = NULL;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(out[1], 1);
		dup2(out[1], 2);
		exec_xvmcd(args);
	}
	close(out[1]);
	while (have < size - 1 && (got = read(out[0], ret_out + have, size - 1 - have)) > 0)
		have += (size_t)got;
	ret_out[have] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* ---- agent.sock ---- */

int agent_connect(const struct xvmcd_run *run)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(sock >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/agent.sock", run->dir);
	assert_int_equal(connect(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return sock;
}

void agent_send(int sock, uint16_t type, void *msg, size_t len)
{
	struct xvmc_agent_hdr *hdr = msg;

	hdr->version = XVMC_AGENT_VERSION;
	hdr->type = type;
	hdr->len = (uint16_t)len;
	assert_int_equal(send(sock, msg, len, MSG_NOSIGNAL), len);
}

size_t agent_recv(int sock, union agent_msg *ret_msg)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	ssize_t n;

	if (poll(&pfd, 1, WAIT_MS) != 1)
		fail_msg("nothing came");
	n = recv(sock, ret_msg, sizeof(*ret_msg), 0);
	if (n <= 0)
		return 0;
	assert_true((size_t)n >= sizeof(ret_msg->hdr));
	assert_int_equal(ret_msg->hdr.len, n);
	assert_int_equal(ret_msg->hdr.version, XVMC_AGENT_VERSION);
	return (size_t)n;
}

bool agent_quiet(int sock)
{
	union agent_msg msg;
	ssize_t n;

	do
		n = recv(sock, &msg, sizeof(msg), MSG_DONTWAIT);
	while (n > 0 && msg.hdr.type == XVMC_AG_VMS);
	return n < 0 && errno == EAGAIN;
}

void agent_expect(int sock, uint16_t type, union agent_msg *ret_msg)
{
	do
		if (agent_recv(sock, ret_msg) == 0)
			fail_msg("closed, instead of message %u", type);
	while (ret_msg->hdr.type == XVMC_AG_VMS && type != XVMC_AG_VMS);
	if (ret_msg->hdr.type != type)
		fail_msg("message %u (status %d) instead of %u",
			 ret_msg->hdr.type, ret_msg->hdr.status, type);
}

void agent_expect_end(int sock)
{
	union agent_msg msg;

	while (agent_recv(sock, &msg) > 0)
		;
}

int agent_hello(const struct xvmcd_run *run, uint32_t role, const char *domain,
		uint64_t netns, union agent_msg *ret_welcome)
{
	struct xvmc_ag_hello msg = { .role = role, .netns = netns, .comm = "test" };
	int sock = agent_connect(run);

	strcpy(msg.domain, domain);
	agent_send(sock, XVMC_AG_HELLO, &msg, sizeof(msg));
	agent_expect(sock, XVMC_AG_WELCOME, ret_welcome);
	return sock;
}

int agent_app(const struct xvmcd_run *run, const char *domain)
{
	union agent_msg msg;

	return agent_hello(run, XVMC_ROLE_APP, domain, 1, &msg);
}

int agent_tool(const struct xvmcd_run *run)
{
	union agent_msg msg;

	return agent_hello(run, XVMC_ROLE_TOOL, "", 0, &msg);
}

int agent_domop(int tool, uint16_t type, const char *domain, const char *host,
		uint32_t how, uint32_t precopy_ms)
{
	struct xvmc_ag_domop op = { .how = how, .precopy_ms = precopy_ms };
	union agent_msg msg;

	op.hdr.serial = 7;
	strcpy(op.domain, domain);
	strcpy(op.host, host);
	agent_send(tool, type, &op, sizeof(op));
	agent_expect(tool, XVMC_AG_END, &msg);
	assert_int_equal(msg.hdr.serial, 7);
	return msg.hdr.status;
}

/* What was sent before is handled in the round of the loop that accepts this
 * connection, or earlier; its hello at the earliest in the next one. (For up
 * to 32 messages a connection: then others have their turn.) */
void agent_sync(const struct xvmcd_run *run)
{
	close(agent_tool(run));
}
