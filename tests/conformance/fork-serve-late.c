/* SPDX-License-Identifier: MIT */
/* The parent closes its copy long after the child has begun to serve. */
#include "serve.h"

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), fd, served[2], closed[2];
	pid_t client, child;

	if (pipe(served) < 0 || pipe(closed) < 0)
		conf_die("pipe");
	client = serve_client(&sa, "twt");
	fd = serve_accept(lfd);
	child = conf_fork();
	if (child == 0) {
		serve_trips(fd);
		serve_tell(served);
		serve_await(closed);
		conf_warm_server(fd);
		serve_trips(fd);
		serve_end(fd);
	}
	serve_await(served);
	conf_res("close", close(fd));
	serve_tell(closed);
	conf_wait(client);
	conf_wait(child);
	return 0;
}
