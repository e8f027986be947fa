/* SPDX-License-Identifier: MIT */
/* A daemon that closes 0, 1 and 2 and gets connections there, and forgets that
 * stdio writes to them; another connection is as fast as ever. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	char buf[8] = "";
	int lfd = conf_listen(&sa), out = dup(1), a, b, c, s;

	conf_pair(&a, &b);
	conf_out = fdopen(dup2(out, 60), "w");
	close(out);
	close(0);
	close(1);
	close(2);
	c = conf_connect(&sa);
	s = accept(lfd, NULL, NULL);
	conf_say("numbers %d %d", c, s);
	conf_trips(c, s, 100);
	conf_put(s, "ab", 2);
	printf("cd");
	fflush(stdout);
	conf_put(s, "ef", 2);
	conf_get(c, buf, 6);
	conf_say("%s", buf);
	conf_trip(c, s);
	close(c);
	close(s);
	conf_say("dup %d", c = dup(a));
	conf_say("F_DUPFD %d", s = fcntl(b, F_DUPFD, 0));
	conf_trips(c, s, 100);
	printf("gh");
	fflush(stdout);
	conf_get(a, buf, 2);
	conf_say("%s", buf);
	conf_trip(a, b);
	return 0;
}
