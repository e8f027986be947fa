/* SPDX-License-Identifier: MIT */
/* fdopen: lines by stdio, which no wrapper sees. */
#include "conf.h"

static void server(int fd)
{
	char buf[32];
	FILE *f = fdopen(fd, "r+");

	while (fgets(buf, sizeof(buf), f)) {
		buf[strcspn(buf, "\n")] = '\0';
		conf_say("%s", buf);
		fseek(f, 0, SEEK_CUR);
		fprintf(f, "got %s\n", buf);
		fflush(f);
	}
	conf_res("fclose", fclose(f));
}

static void client(int fd)
{
	char buf[32];

	for (int i = 0; i < 3; i++) {
		dprintf(fd, "line %d\n", i);
		conf_get(fd, buf, 11);
		conf_say("%.10s", buf);
	}
	shutdown(fd, SHUT_WR);
	conf_res("recv", recv(fd, buf, 1, 0));
}

int main(void)
{
	return conf_two(server, client);
}
