/* SPDX-License-Identifier: MIT */
/* A descriptor to another process and from it, by SCM_RIGHTS. */
#ifndef CONF_PASS_H
#define CONF_PASS_H

#include "conf.h"

CONF_UNUSED static void conf_pass(int unix_fd, int fd)
{
	char c = 'f', ctl[CMSG_SPACE(sizeof(int))] = "";
	struct iovec vec = { &c, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1, .msg_control = ctl,
			      .msg_controllen = sizeof(ctl) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	conf_res("sendmsg", sendmsg(unix_fd, &msg, 0));
}

CONF_UNUSED static int conf_receive(int unix_fd)
{
	char c, ctl[CMSG_SPACE(sizeof(int))];
	struct iovec vec = { &c, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1, .msg_control = ctl,
			      .msg_controllen = sizeof(ctl) };
	int fd = -1;

	if (recvmsg(unix_fd, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

#endif
