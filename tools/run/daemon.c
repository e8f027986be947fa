/* SPDX-License-Identifier: MIT */
/*
 * Finding or starting xvmcd. The lock is a file of our own: xvmcd's is held
 * by xvmcd for as long as it runs.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/rundir.h"
#include "xvmc/client.h"
#include "xvmc/paths.h"

#define IDLE_EXIT_S "30"
#define START_TIMEOUT_MS 10000
#define STEP_MS 10

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000l }, NULL);
}

static int answers(const char *dir)
{
	int fd, rc = client_open(dir, &fd);

	if (rc == 0)
		client_close(fd);
	return rc;
}

/* Nothing listens there, as against: something does, and will not talk. */
static int is_absent(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED || rc == -ECONNRESET;
}

static int lock(const char *dir, int *ret_fd)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/start.lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	for (int ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; ms += STEP_MS) {
		if ((errno != EWOULDBLOCK && errno != EINTR) ||
		    ms >= START_TIMEOUT_MS) {
			close(fd);
			return -ETIMEDOUT;
		}
		nap();
	}
	*ret_fd = fd;
	return 0;
}

/* In the child: nothing of the user's terminal, pipes or libraries may stay
 * with an xvmcd that lives longer than the program. */
_Noreturn static void become_xvmcd(const char *path, const char *dir, int err)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
	}
	dup2(err, 2);
	close_range(3, ~0u, 0);
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	unsetenv("LD_PRELOAD");
	execl(path, "xvmcd", "--daemon", "--idle-exit", IDLE_EXIT_S, "--dir",
	      dir, (char *)NULL);
	dprintf(2, "%s: %s\n", path, strerror(errno));
	_exit(127);
}

/* The first line xvmcd wrote; it may hold the pipe open for ever. */
static void first_line(int fd, char *ret_line, size_t size)
{
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	n = read(fd, ret_line, size - 1);
	ret_line[n > 0 ? n : 0] = 0;
	ret_line[strcspn(ret_line, "\n")] = 0;
}

static int spawn(const char *path, const char *dir, char *ret_why, size_t size)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL }, old;
	int err[2], status = 0;
	pid_t pid;

	if (pipe2(err, O_CLOEXEC) != 0)
		return -errno;
	/* Where SIGCHLD is ignored, nobody can be waited for. */
	sigaction(SIGCHLD, &dfl, &old);
	pid = fork();
	if (pid == 0)
		become_xvmcd(path, dir, err[1]);
	close(err[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGCHLD, &old, NULL);
	first_line(err[0], ret_why, size);
	close(err[0]);
	if (pid < 0)
		return -EAGAIN;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static int start(const char *dir, char *ret_why, size_t size)
{
	char path[PATH_MAX];
	int rc;

	if (paths_xvmcd(path) < 0) {
		snprintf(ret_why, size, "xvmcd is not installed beside xvmc-run");
		return -ENOENT;
	}
	rc = spawn(path, dir, ret_why, size);
	if (rc < 0 && !*ret_why)
		snprintf(ret_why, size, "%s did not start", path);
	/* --daemon returns when it listens; or somebody's xvmcd was faster. */
	for (int ms = 0; ms < (rc ? 500 : START_TIMEOUT_MS); ms += STEP_MS) {
		int got = answers(dir);

		if (got == 0)
			return 0;
		if (!is_absent(got))
			break;
		nap();
	}
	if (!*ret_why)
		snprintf(ret_why, size, "xvmcd started but does not answer");
	return rc ? rc : -ETIMEDOUT;
}

int daemon_ensure(const char *dir, char *ret_why, size_t why_size)
{
	int fd, rc;

	ret_why[0] = 0;
	rc = answers(dir);
	if (rc == 0)
		return 0;
	if (!is_absent(rc)) {
		snprintf(ret_why, why_size, "%s/agent.sock: %s", dir,
			 client_strerror(rc));
		return rc;
	}
	if (client_on_xen()) {
		snprintf(ret_why, why_size, "no xvmcd answers in %s; start it as root: xvmcd --daemon --dir %s",
			 dir, dir);
		return rc;
	}
	rc = xvmc_rundir_make(dir);
	if (rc < 0) {
		snprintf(ret_why, why_size, "%s: %s", dir,
			 rc == -EPERM ? "another user's, or open to all" :
					strerror(-rc));
		return rc;
	}
	rc = lock(dir, &fd);
	if (rc < 0) {
		snprintf(ret_why, why_size, "%s/start.lock: %s", dir, strerror(-rc));
		return rc;
	}
	rc = answers(dir); /* another xvmc-run was first */
	if (rc < 0)
		rc = start(dir, ret_why, why_size);
	close(fd);
	return rc;
}

struct where {
	const char *domain;
	char host[XVMC_NAME_MAX];
};

static int note_host(const union client_msg *msg, void *arg)
{
	struct where *w = arg;

	if (strncmp(msg->dom.name, w->domain, XVMC_NAME_MAX) == 0)
		memcpy(w->host, msg->dom.host, XVMC_NAME_MAX - 1);
	return 0;
}

/* CREATE; a domain that exists must be on that host already. */
static int create(int fd, const char *domain, const char *host, char *ret_why,
		  size_t size)
{
	struct xvmc_ag_domop ask = { 0 };
	struct where w = { .domain = domain };
	int rc;

	snprintf(ask.domain, sizeof(ask.domain), "%s", domain);
	snprintf(ask.host, sizeof(ask.host), "%s", host);
	rc = client_ask(fd, XVMC_AG_CREATE, &ask, sizeof(ask), CLIENT_TIMEOUT_MS,
			XVMC_AG_END, NULL, NULL);
	if (rc != -EEXIST)
		return rc;
	rc = client_ask(fd, XVMC_AG_DOMAINS, NULL, 0,
			CLIENT_TIMEOUT_MS, XVMC_AG_DOM, note_host, &w);
	if (rc == 0 && w.host[0] && strcmp(w.host, host) != 0)
		snprintf(ret_why, size, "domain %s is on host %s, not %s: it stays there (xvmc migrate moves it)",
			 domain, w.host, host);
	return rc;
}

int daemon_enter(const char *dir, const char *domain, const char *host,
		 char *ret_why, size_t why_size)
{
	int fd, rc;

	ret_why[0] = 0;
	if (host) {
		rc = client_open(dir, &fd);
		if (rc < 0)
			goto out;
		rc = create(fd, domain, host, ret_why, why_size);
		client_close(fd);
		if (rc < 0)
			goto out;
	}
	rc = client_open_in(dir, domain, &fd);
	if (rc < 0)
		goto out;
	client_close(fd);
	return 0;
out:
	snprintf(ret_why, why_size, "domain %s: %s", domain, client_strerror(rc));
	return rc;
}
