/* SPDX-License-Identifier: MIT */
/* Two children serve in turns; when one has closed, the other is alone. */
#include "serve.h"

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), fd, turn[2][2];
	pid_t client, child[2];

	if (pipe(turn[0]) < 0 || pipe(turn[1]) < 0)
		conf_die("pipe");
	client = serve_client(&sa, "tttwt");
	fd = serve_accept(lfd);
	child[0] = conf_fork();
	if (child[0] == 0) {
		serve_trips(fd);
		serve_tell(turn[1]);
		serve_await(turn[0]);
		serve_trips(fd);
		close(fd);
		serve_tell(turn[1]);
		serve_await(turn[0]);
		_exit(0);
	}
	child[1] = conf_fork();
	if (child[1] == 0) {
		serve_await(turn[1]);
		serve_trips(fd);
		serve_tell(turn[0]);
		serve_await(turn[1]);
		conf_warm_server(fd);
		serve_trips(fd);
		serve_tell(turn[0]);
		serve_end(fd);
	}
	conf_res("close", close(fd));
	conf_wait(client);
	for (int i = 0; i < 2; i++)
		conf_wait(child[i]);
	return 0;
}
