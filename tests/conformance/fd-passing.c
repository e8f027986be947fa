/* SPDX-License-Identifier: MIT */
/* A connection passed to another process by SCM_RIGHTS. */
#include "conf.h"

static void pass(int unix_fd, int fd)
{
	char c = 'f', ctl[CMSG_SPACE(sizeof(int))] = "";
	struct iovec vec = { &c, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1, .msg_control = ctl,
			      .msg_controllen = sizeof(ctl) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	conf_res("sendmsg", sendmsg(unix_fd, &msg, 0));
}

static int receive(int unix_fd)
{
	char c, ctl[CMSG_SPACE(sizeof(int))];
	struct iovec vec = { &c, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1, .msg_control = ctl,
			      .msg_controllen = sizeof(ctl) };
	int fd = -1;

	if (recvmsg(unix_fd, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static void server(int fd)
{
	char buf[16];

	conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
	conf_put(fd, "reply", 5);
	conf_res("recv", recv(fd, buf, 1, 0));
}

static void client(int fd)
{
	int sv[2], status;
	char buf[16];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		conf_die("socketpair");
	conf_put(fd, "abc", 3);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(fd);
		close(sv[0]);
		fd = receive(sv[1]);
		conf_put(fd, "def", 3);
		conf_get(fd, buf, 5);
		_exit(memcmp(buf, "reply", 5) ? 1 : 0);
	}
	pass(sv[0], fd);
	close(fd);
	waitpid(pid, &status, 0);
	conf_say("child: %d", status);
}

int main(void)
{
	return conf_two(server, client);
}
