/* SPDX-License-Identifier: MIT */
/* splice: a pipe into a connection and a connection into a pipe; tee. */
#include "conf.h"

static void server(int fd)
{
	char buf[64] = "";
	int p[2];

	if (pipe(p) < 0)
		conf_die("pipe");
	conf_res("splice", splice(fd, NULL, p[1], NULL, 5, 0));
	conf_res("read", read(p[0], buf, 64));
	conf_say("%.5s", buf);
	conf_res("recv", recv(fd, buf, 64, MSG_WAITALL));
	conf_say("%.12s", buf);
	conf_res("splice at the end", splice(fd, NULL, p[1], NULL, 5, 0));
}

static void client(int fd)
{
	int p[2], q[2];

	if (pipe(p) < 0 || pipe(q) < 0)
		conf_die("pipe");
	conf_put(fd, "hello", 5);
	conf_res("write", write(p[1], "through pipe", 12));
	conf_res("tee", tee(p[0], q[1], 7, 0));
	conf_res("splice", splice(q[0], NULL, fd, NULL, 7, SPLICE_F_MORE));
	conf_put(fd, " ", 1);
	conf_res("splice", splice(p[0], NULL, fd, NULL, 4, 0));
	shutdown(fd, SHUT_WR);
	conf_res("recv", recv(fd, (char[1]){ 0 }, 1, 0));
}

int main(void)
{
	return conf_two(server, client);
}
