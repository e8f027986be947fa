/* SPDX-License-Identifier: MIT */
/*
 * A child that is the program, and a parent that stands for it.
 *
 * The child shares memory and descriptor table with us until its exec: a
 * filter's listener appears in our table by itself. It could not be sent: once
 * the filter is there, sending is what the filter holds up.
 */
#include "stay.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1ul << 5)
#endif

#define STACK_SIZE (512 * 1024) /* execvp builds paths and arguments on it */

struct child {
	char **args;
	const struct sock_fprog *filter;
	struct stay *stay;
	sigset_t mask;
	struct sigaction chld;
};

static int install(const struct sock_fprog *filter)
{
	static const unsigned long flags[] = {
		/* A signal does not interrupt a call that is being looked at. */
		SECCOMP_FILTER_FLAG_NEW_LISTENER |
			SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
		SECCOMP_FILTER_FLAG_NEW_LISTENER, /* before Linux 5.19 */
	};
	long fd = -1;

	for (int i = 0; i < 2 && fd < 0; i++) {
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[i], filter);
		/* Only root may have a filter and programs that gain rights. */
		if (fd < 0 && errno == EACCES &&
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
			fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[i],
				     filter);
		if (fd < 0 && errno != EINVAL)
			break;
	}
	return (int)fd;
}

static int child_main(void *arg)
{
	struct child *c = arg;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGCHLD, &c->chld, NULL);
	sigprocmask(SIG_SETMASK, &c->mask, NULL);
	if (c->filter) {
		c->stay->listener = install(c->filter);
		if (c->stay->listener < 0) {
			c->stay->refused = errno;
			_exit(1);
		}
	}
	execvp(c->args[0], c->args);
	c->stay->failed = errno;
	_exit(1);
}

int stay_start(char **args, const struct sock_fprog *filter, struct stay *ret_stay)
{
	static const struct sigaction dfl = { .sa_handler = SIG_DFL };
	struct child child = { .args = args, .filter = filter, .stay = ret_stay };
	sigset_t all;
	char *stack;

	*ret_stay = (struct stay){ .pid = -1, .listener = -1 };
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &child.mask);
	/* Where SIGCHLD is ignored, nobody can be waited for. */
	sigaction(SIGCHLD, &dfl, &child.chld);
	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return -ENOMEM;
	ret_stay->pid = clone(child_main, stack + STACK_SIZE,
			      CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &child);
	munmap(stack, STACK_SIZE);
	if (ret_stay->pid < 0)
		return -errno;
	if (!ret_stay->failed && !ret_stay->refused)
		return 0;
	while (waitpid(ret_stay->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (ret_stay->listener >= 0)
		close(ret_stay->listener);
	return ret_stay->failed ? -ret_stay->failed : -ret_stay->refused;
}

/* True when the program has ended. */
static bool look(pid_t pid, int *ret_status)
{
	while (waitpid(pid, ret_status, WNOHANG | WUNTRACED) == pid) {
		if (!WIFSTOPPED(*ret_status))
			return true;
		/* The terminal's way of stopping is the shell's business: it
		 * has to see us stopped. It continues the whole group. */
		if (WSTOPSIG(*ret_status) == SIGTSTP ||
		    WSTOPSIG(*ret_status) == SIGTTIN ||
		    WSTOPSIG(*ret_status) == SIGTTOU) {
			raise(SIGSTOP);
			kill(pid, SIGCONT);
		}
	}
	return false;
}

/* What the terminal sends it sends to the program, too. */
static void pass_on(pid_t pid, const struct signalfd_siginfo *info)
{
	if (info->ssi_signo != SIGCHLD && info->ssi_code <= 0)
		kill(pid, (int)info->ssi_signo);
}

int stay_wait(const struct stay *stay, int input, void (*on_input)(void *arg), void *arg)
{
	struct signalfd_siginfo info;
	struct pollfd pfd[2] = { { .events = POLLIN }, { input, POLLIN, 0 } };
	sigset_t all;
	int status = 0;

	sigfillset(&all);
	pfd[0].fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	while (!look(stay->pid, &status)) {
		if (pfd[0].fd < 0) { /* no descriptor: signals wait, then */
			waitid(P_PID, (id_t)stay->pid, NULL, WEXITED | WSTOPPED | WNOWAIT);
			continue;
		}
		poll(pfd, 2, -1);
		while (read(pfd[0].fd, &info, sizeof(info)) == sizeof(info))
			pass_on(stay->pid, &info);
		if (pfd[1].revents)
			on_input(arg);
	}
	close(pfd[0].fd);
	return status;
}

void stay_end(int status)
{
	if (WIFSIGNALED(status)) {
		static const struct rlimit none;
		static const struct sigaction dfl = { .sa_handler = SIG_DFL };
		sigset_t sig;

		setrlimit(RLIMIT_CORE, &none); /* it has left one already */
		sigaction(WTERMSIG(status), &dfl, NULL);
		sigemptyset(&sig);
		sigaddset(&sig, WTERMSIG(status));
		raise(WTERMSIG(status));
		sigprocmask(SIG_UNBLOCK, &sig, NULL);
		exit(128 + WTERMSIG(status));
	}
	exit(WEXITSTATUS(status));
}
