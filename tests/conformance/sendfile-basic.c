/* SPDX-License-Identifier: MIT */
/* sendfile: with and without a position, beyond the end, and much. */
#include <sys/sendfile.h>

#include "conf.h"

#define SIZE 600000u

static void server(int fd)
{
	conf_drain(fd);
}

static void client(int fd)
{
	int file = conf_file(SIZE);
	off_t pos = 0;
	size_t sum = 0;
	ssize_t r;

	conf_res("sendfile", sendfile(fd, file, NULL, 100));
	conf_say("position %ld", (long)lseek(file, 0, SEEK_CUR));
	pos = 100;
	conf_res("sendfile", sendfile(fd, file, &pos, 200));
	conf_say("position %ld offset %ld", (long)lseek(file, 0, SEEK_CUR), (long)pos);
	conf_res("nothing", sendfile(fd, file, &pos, 0));
	lseek(file, 300, SEEK_SET);
	for (sum = 300; sum < SIZE; sum += (size_t)r) {
		r = sendfile(fd, file, NULL, SIZE);
		if (r <= 0)
			break;
	}
	conf_say("sum %zu position %ld", sum, (long)lseek(file, 0, SEEK_CUR));
	conf_res("at the end", sendfile(fd, file, NULL, 10));
	pos = SIZE + 5;
	conf_res("behind the end", sendfile(fd, file, &pos, 10));
	conf_say("offset %ld", (long)pos);
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
