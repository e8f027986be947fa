/* SPDX-License-Identifier: MIT */
/*
 * The numbers 0 to 2, should a program be started with some of them closed: what
 * it opens itself must not get them, for they are read, written and led elsewhere
 * as what they are called. Called first in main; an exec closes them again.
 */
#ifndef XVMC_TOOLS_STANDARD_H
#define XVMC_TOOLS_STANDARD_H

#include <fcntl.h>
#include <unistd.h>

/* Who writes there is told EBADF, as if it were closed. */
static inline void standard_hold(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

#endif
