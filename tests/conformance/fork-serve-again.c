/* SPDX-License-Identifier: MIT */
/* Children serve one after the other, and end: the parent goes on, and has the
 * connection to itself again. */
#include "serve.h"

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), fd;
	pid_t client, child;

	client = serve_client(&sa, "twtttwt");
	fd = serve_accept(lfd);
	for (int i = 0; i < 2; i++) {
		child = conf_fork();
		if (child == 0) {
			serve_trips(fd);
			if (i == 0)
				exit(0);
			close(fd);
			_exit(0);
		}
		conf_wait(child);
		if (i == 1)
			serve_trips(fd);
		conf_warm_server(fd);
		if (i == 0)
			serve_trips(fd);
	}
	serve_trips(fd);
	conf_res("recv", recv(fd, &lfd, 1, 0));
	conf_res("close", close(fd));
	conf_wait(client);
	return 0;
}
