/* SPDX-License-Identifier: MIT */
/*
 * A pipe tells: a byte in it is a good end, none is another one.
 */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is asked of the one who called us is not asked of this one; and who
 * waits for the end of its output must not wait for ours. */
static void stand_apart(int fd)
{
	setsid();
	prctl(PR_SET_NAME, "xvmc-guard");
	dup2(fd, 3);
	close_range(4, ~0u, 0);
	for (int i = 0; i < 3; i++) {
		close(i);
		open("/dev/null", O_RDWR);
	}
}

static _Noreturn void watch(int fd, void (*fn)(void *arg), void *arg)
{
	ssize_t n;
	char byte;

	stand_apart(fd);
	do
		n = read(3, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		fn(arg);
	_exit(0);
}

int guard_start(struct guard *ret_guard, void (*fn)(void *arg), void *arg)
{
	sigset_t all, old;
	int fds[2], err;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	/* No signal finds the child unprepared; it has them blocked for good. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid = fork();
	err = errno;
	if (pid == 0) {
		close(fds[1]);
		watch(fds[0], fn, arg);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(fds[0]);
	if (pid < 0) {
		close(fds[1]);
		return -err;
	}
	ret_guard->fd = fds[1];
	ret_guard->pid = pid;
	return 0;
}

void guard_stop(struct guard *guard)
{
	/* It may have been killed, too: no signal for that. */
	void (*old)(int) = signal(SIGPIPE, SIG_IGN);
	ssize_t n = write(guard->fd, "", 1);

	(void)n;
	signal(SIGPIPE, old);
	close(guard->fd);
	while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
