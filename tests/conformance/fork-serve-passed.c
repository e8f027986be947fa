/* SPDX-License-Identifier: MIT */
/* A server passes a connection to a worker made before, and forks a child that
 * has inherited it: both serve in turns, and neither is alone. A second
 * connection is its own. */
#include "conf-pass.h"
#include "serve.h"

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
		fd = conf_receive(unix_fd[1]);
		for (int i = 0; i < 2; i++) {
			serve_await(turn[0]);
			serve_trips(fd);
			serve_tell(turn[1]);
		}
		_exit(0);
	}
	client = serve_client(&sa, "tttt");
	fd = serve_accept(lfd);
	conf_pass(unix_fd[0], fd);
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
