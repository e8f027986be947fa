/* SPDX-License-Identifier: MIT */
/* sendfile out of a connection: into a pipe it works, into a file not. */
#include <sys/sendfile.h>

#include "conf.h"

int main(void)
{
	int a, b, p[2], file = conf_file(0);
	char buf[16] = "";

	conf_pair(&a, &b);
	if (pipe(p) < 0)
		conf_die("pipe");
	conf_put(a, "abcdef", 6);
	conf_poll(b, POLLIN, 2000);
	conf_res("to a file", sendfile(file, b, NULL, 3));
	conf_res("to a pipe", sendfile(p[1], b, NULL, 3));
	conf_res("read", read(p[0], buf, 16));
	conf_say("%s", buf);
	conf_res("recv", recv(b, buf, 3, MSG_DONTWAIT));
	conf_say("%s", buf);
	return 0;
}
