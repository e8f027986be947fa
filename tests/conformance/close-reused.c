/* SPDX-License-Identifier: MIT */
/* A number that was a connection's becomes something else's, and back. */
#include "conf.h"

int main(void)
{
	int a, b, c, d, p[2];
	char buf[8];

	conf_pair(&a, &b);
	close(a);
	conf_res("recv", recv(b, buf, 1, 0));
	if (pipe(p) < 0)
		conf_die("pipe");
	conf_say("same number: %s", p[0] == a ? "yes" : "no");
	conf_res("write", write(p[1], "pipe", 4));
	conf_res("read", read(p[0], buf, 8));
	conf_res("recv", recv(p[0], buf, 8, 0));
	close(p[0]);
	close(p[1]);
	close(b);
	conf_pair(&c, &d);
	conf_trip(c, d);
	close(c);
	close(d);
	conf_say("file");
	a = conf_file(100);
	conf_res("read", read(a, buf, 8));
	conf_res("lseek", lseek(a, 0, SEEK_CUR));
	return 0;
}
