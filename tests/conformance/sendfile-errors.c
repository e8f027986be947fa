/* SPDX-License-Identifier: MIT */
/* What sendfile refuses. */
#include <sys/sendfile.h>

#include "conf.h"

int main(void)
{
	int a, b, p[2], file = conf_file(100), zero = open("/dev/zero", O_RDONLY);
	int wronly = open("/dev/null", O_WRONLY);
	off_t pos = -1, start = 0;
	char buf[128];

	conf_pair(&a, &b);
	if (pipe(p) < 0 || write(p[1], "abc", 3) != 3)
		conf_die("pipe");
	conf_res("from a pipe", sendfile(a, p[0], NULL, 3));
	conf_res("from a device", sendfile(a, zero, NULL, 3));
	conf_res("from a socket", sendfile(a, b, NULL, 3));
	conf_res("write-only", sendfile(a, wronly, NULL, 3));
	conf_res("negative", sendfile(a, file, &pos, 3));
	conf_res("bad offset", sendfile(a, file, conf_nowhere(), 3));
	conf_res("pipe, offset", sendfile(a, p[0], &start, 3));
	conf_nonblock(b, true);
	conf_res("recv", recv(b, buf, 128, 0));
	conf_nonblock(b, false);
	conf_stuff(a, 0);
	conf_nonblock(a, true);
	lseek(file, 50, SEEK_SET);
	conf_res("full", sendfile(a, file, NULL, 50));
	conf_say("position %ld", (long)lseek(file, 0, SEEK_CUR));
	return 0;
}
