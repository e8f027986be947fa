/* SPDX-License-Identifier: MIT */
/*
 * Of the programs in which children use a connection and come to an end: the
 * server, which answers whoever asks.
 */
#ifndef CONF_FORK_BESIDE_H
#define CONF_FORK_BESIDE_H

#include "conf.h"

static void serve(int fd, int times)
{
	char buf[16] = "";

	for (int i = 0; i < times; i++) {
		conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
		conf_say("%s", buf);
		conf_put(fd, "answer", 6);
	}
	conf_res("recv", recv(fd, buf, 1, 0));
}

/* The parent's turn. */
static void ask(int fd)
{
	char buf[8];

	conf_put(fd, "parent", 6);
	conf_get(fd, buf, 6);
}

#endif
