/* SPDX-License-Identifier: MIT */
/* Standard input becomes a connection and is read by stdio. */
#include "conf.h"

static void server(int fd)
{
	char line[64];

	dup2(fd, 0);
	close(fd);
	while (fgets(line, sizeof(line), stdin))
		conf_say("%.*s", (int)strcspn(line, "\n"), line);
	conf_say("eof %d error %d", !!feof(stdin), !!ferror(stdin));
}

static void client(int fd)
{
	conf_put(fd, "first\nsecond\n", 13);
	conf_put(fd, "third", 5);
	conf_put(fd, " line\n", 6);
	shutdown(fd, SHUT_WR);
	conf_res("recv", recv(fd, (char[1]){ 0 }, 1, 0));
}

int main(void)
{
	return conf_two(server, client);
}
