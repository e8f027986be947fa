/* SPDX-License-Identifier: MIT */
/* A connection goes to a child and comes back; a file and both ends of a
 * connection in one message. */
#include "conf.h"

static void pass(int via, const int *fds, int n)
{
	char c = 'f', ctl[CMSG_SPACE(4 * sizeof(int))] = "";
	struct iovec vec = { &c, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1, .msg_control = ctl,
			      .msg_controllen = CMSG_SPACE((size_t)n * sizeof(int)) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
	memcpy(CMSG_DATA(cm), fds, (size_t)n * sizeof(int));
	if (sendmsg(via, &msg, 0) != 1)
		conf_die("sendmsg");
}

static void take(int via, int *fds, int n)
{
	char c, ctl[CMSG_SPACE(4 * sizeof(int))];
	struct iovec vec = { &c, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1, .msg_control = ctl,
			      .msg_controllen = sizeof(ctl) };

	if (recvmsg(via, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		conf_die("recvmsg");
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), (size_t)n * sizeof(int));
}

int main(void)
{
	int a, b, sv[2], fds[3];
	char buf[8] = "";
	pid_t pid;

	conf_pair(&a, &b);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		conf_die("socketpair");
	pid = conf_fork();
	if (pid == 0) {
		close(a);
		close(b);
		take(sv[1], fds, 3);
		conf_put(fds[0], "child", 5);
		conf_get(fds[1], buf, 5);
		pass(sv[1], fds, 3);
		_exit(memcmp(buf, "child", 5) ? 1 : 0);
	}
	fds[0] = a;
	fds[1] = b;
	fds[2] = conf_file(4);
	pass(sv[0], fds, 3);
	close(a);
	close(b);
	close(fds[2]);
	take(sv[0], fds, 3);
	conf_wait(pid);
	conf_say("cloexec %d", fcntl(fds[0], F_GETFD));
	conf_trip(fds[0], fds[1]);
	conf_res("read", read(fds[2], buf, 8));
	close(fds[0]);
	conf_res("recv", recv(fds[1], buf, 8, 0));
	return 0;
}
