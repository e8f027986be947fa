/* SPDX-License-Identifier: MIT */
/* A server passes a connection to a worker made before, and forks a child that
 * has inherited it: both serve in turns, and neither is alone. A second
 * connection is its own. */
#include "serve.h"

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

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), fd, unix_fd[2], turn[2][2];
	pid_t client, worker, child;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, unix_fd) < 0 || pipe(turn[0]) < 0 ||
	    pipe(turn[1]) < 0)
		conf_die("pipe");
	worker = conf_fork();
	if (worker == 0) {
		fd = receive(unix_fd[1]);
		for (int i = 0; i < 2; i++) {
			serve_await(turn[0]);
			serve_trips(fd);
			serve_tell(turn[1]);
		}
		_exit(0);
	}
	client = serve_client(&sa, "tttt");
	fd = serve_accept(lfd);
	pass(unix_fd[0], fd);
	child = conf_fork();
	if (child == 0) {
		for (int i = 0; i < 2; i++) {
			serve_trips(fd);
			serve_tell(turn[0]);
			serve_await(turn[1]);
		}
		serve_end(fd);
	}
	conf_res("close", close(fd));
	conf_wait(client);
	conf_wait(child);
	conf_wait(worker);
	client = serve_client(&sa, "wt");
	fd = serve_accept(lfd);
	conf_warm_server(fd);
	serve_trips(fd);
	close(fd);
	conf_wait(client);
	return 0;
}
