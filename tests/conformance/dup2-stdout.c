/* SPDX-License-Identifier: MIT */
/* Standard output becomes a connection: what stdio writes keeps its place
 * among what send sends. */
#include "conf.h"

static void server(int fd)
{
	char buf[64] = "";

	conf_res("recv", recv(fd, buf, 39, MSG_WAITALL));
	conf_say("%s", buf);
	conf_res("recv", recv(fd, buf, 1, 0));
}

static void client(int fd)
{
	int keep = dup(1);

	conf_put(fd, "one ", 4);
	dup2(fd, 1);
	printf("two %d ", 2);
	fflush(stdout);
	conf_put(fd, "three ", 6);
	puts("four");
	fputs("five ", stdout);
	fflush(stdout);
	conf_put(fd, "six ", 4);
	if (write(1, "seven ", 6) != 6)
		conf_die("write");
	dup2(keep, 1);
	conf_put(fd, "end", 3);
	shutdown(fd, SHUT_WR);
}

int main(void)
{
	return conf_two(server, client);
}
