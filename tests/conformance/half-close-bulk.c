/* SPDX-License-Identifier: MIT */
/* Much is sent and the half closed; the answer comes after all was read. */
#include "conf.h"

#define SIZE 700000u

static void server(int fd)
{
	conf_drain(fd);
	conf_put(fd, "read it all", 11);
	conf_res("close", close(fd));
}

static void client(int fd)
{
	static uint8_t buf[SIZE];

	conf_fill(buf, SIZE, 0);
	conf_put(fd, buf, SIZE);
	conf_res("WR", shutdown(fd, SHUT_WR));
	conf_res("recv", recv(fd, buf, 11, MSG_WAITALL));
	conf_say("%.11s", (char *)buf);
	conf_res("recv", recv(fd, buf, 11, 0));
}

int main(void)
{
	return conf_two(server, client);
}
