/* SPDX-License-Identifier: MIT */
/*
 * Of the programs in which a server leaves the connection to its child and
 * ends: what the child does with it, and the client.
 */
#ifndef CONF_DAEMON_H
#define CONF_DAEMON_H

#include "conf.h"

static void serve(int fd)
{
	char buf[16] = "";

	alarm(20);
	conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
	conf_say("%s", buf);
	conf_put(fd, "answer", 6);
	conf_res("recv", recv(fd, buf, 1, 0));
}

static void client(int fd)
{
	char buf[16] = "";

	conf_get(fd, buf, 6);
	conf_say("%s", buf);
	conf_ms(50); /* the parents are gone */
	conf_put(fd, "please", 6);
	conf_get(fd, buf, 6);
	conf_say("%s", buf);
	close(fd);
}

#endif
