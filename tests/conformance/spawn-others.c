/* SPDX-License-Identifier: MIT */
/* popen, system and posix_spawn in a program with connections: they know
 * nothing of each other. */
#include "conf.h"

int main(void)
{
	char buf[64] = "";
	int a, b, c, d;
	FILE *f;

	conf_pair(&a, &b);
	conf_pair(&c, &d);
	fcntl(c, F_SETFD, FD_CLOEXEC);
	fcntl(d, F_SETFD, FD_CLOEXEC);
	conf_put(a, "unread", 6);
	fflush(stdout);
	conf_res("system", system("echo from the shell"));
	conf_res("system", system("exit 3") >> 8);
	f = popen("echo from popen; exit 5", "r");
	conf_say("%s", fgets(buf, sizeof(buf), f) ? "a line" : "nothing");
	conf_res("pclose", pclose(f) >> 8);
	f = popen("cat", "w");
	fprintf(f, "to popen\n");
	conf_res("pclose", pclose(f));
	conf_res("recv", recv(b, buf, 6, MSG_WAITALL));
	conf_trip(a, b);
	conf_trip(c, d);
	return 0;
}
