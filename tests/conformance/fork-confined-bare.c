/* SPDX-License-Identifier: MIT */
/*
 * A child confines itself to the calls it is going to make, and no others that
 * do the same: as sshd does for whom it does not know yet. Its parent has the
 * connection on rings, keeps it open meanwhile, and goes on with it.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "serve.h"

#define ALLOW(nr)                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##nr, 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void confine(void)
{
	static const struct rlimit few = { 1, 1 }; /* poll compares */
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(read),
		ALLOW(write),
#ifdef SYS_poll
		ALLOW(poll),
#else
		ALLOW(ppoll),
#endif
		ALLOW(getpid),
		ALLOW(futex),
		ALLOW(exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };

	if (setrlimit(RLIMIT_NOFILE, &few) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		conf_die("confine");
}

/* As serve_trips. */
static void trips(int fd)
{
	uint8_t buf[SERVE_MAX];
	uint64_t pos = 0;

	for (int i = 0; i < SERVE_TRIPS; i++) {
		size_t n = serve_len(i), have = 0;

		while (have < n) {
			struct pollfd pfd = { .fd = fd, .events = POLLIN };
			ssize_t r;

			if (poll(&pfd, 1, -1) != 1)
				_exit(80);
			r = read(fd, buf + have, n - have);
			if (r <= 0)
				_exit(81);
			have += (size_t)r;
		}
		if (!conf_same(buf, n, pos) || write(fd, buf, n) != (ssize_t)n)
			_exit(82);
		pos += n;
	}
}

static void server(const struct sockaddr_in *sa, int lfd, bool warm)
{
	pid_t client = serve_client(sa, warm ? "wtwt" : "twt"), pid;
	int fd = serve_accept(lfd);

	if (warm)
		conf_warm_server(fd);
	pid = conf_fork();
	if (pid == 0) {
		confine();
		trips(fd);
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

	alarm(60);
	server(&sa, lfd, false);
	server(&sa, lfd, true);
	return 0;
}
