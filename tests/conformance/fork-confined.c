/* SPDX-License-Identifier: MIT */
/* A child that serves confines itself: a filter kills it if it makes any other
 * call than it needs, or than libraries are used to make. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "serve.h"

#define ALLOW(nr)                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##nr, 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void confine(bool by_number)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(read),
		ALLOW(write),
		ALLOW(sendto),
		ALLOW(recvfrom),
		ALLOW(close),
		ALLOW(getpid),
		ALLOW(futex),
		ALLOW(exit),
		ALLOW(exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (by_number ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) :
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		conf_die("seccomp");
}

/* On rings before, or a child that has never used the connection. */
static void child(int fd, int i)
{
	if (i % 2) {
		conf_warm_server(fd);
		serve_trips(fd);
	}
	confine(i / 2);
	serve_trips(fd);
	serve_trips(fd);
	serve_end(fd);
}

/* It ends, and the parent has the connection to itself. */
static void then_parent(const struct sockaddr_in *sa, int lfd)
{
	pid_t client = serve_client(sa, "twt"), pid;
	int fd = serve_accept(lfd);

	pid = conf_fork();
	if (pid == 0) {
		confine(false);
		serve_trips(fd);
		_exit(0);
	}
	conf_wait(pid);
	conf_warm_server(fd);
	serve_trips(fd);
	close(fd);
	conf_wait(client);
}

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa);

	for (int i = 0; i < 4; i++) {
		pid_t client = serve_client(&sa, i % 2 ? "wttt" : "tt"), pid;
		int fd = serve_accept(lfd);

		pid = conf_fork();
		if (pid == 0)
			child(fd, i);
		conf_res("close", close(fd));
		conf_wait(client);
		conf_wait(pid);
	}
	then_parent(&sa, lfd);
	return 0;
}
