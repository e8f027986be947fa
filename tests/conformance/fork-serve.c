/* SPDX-License-Identifier: MIT */
/* A server that accepts, forks, and closes: the child has the connection to
 * itself, as if it had accepted it. */
#include "serve.h"

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa);
	pid_t client[3], child[3];

	for (int i = 0; i < 3; i++) {
		int fd;

		client[i] = serve_client(&sa, "wt");
		fd = serve_accept(lfd);
		child[i] = conf_fork();
		if (child[i] == 0) {
			close(lfd);
			conf_warm_server(fd);
			serve_trips(fd);
			serve_end(fd);
		}
		conf_res("close", close(fd));
	}
	for (int i = 0; i < 3; i++) {
		conf_wait(client[i]);
		conf_wait(child[i]);
	}
	return 0;
}
