/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: socket options. The kernel has them all, and answers; some are about
 * bytes that only TCP has, so that the connection goes there first.
 */
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "preload.h"

#ifndef TCP_ZEROCOPY_RECEIVE
#define TCP_ZEROCOPY_RECEIVE 35
#endif
#ifndef TCP_INQ
#define TCP_INQ 36
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

EXPORT int getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	int rc;

	if (level == IPPROTO_TCP && name == TCP_ZEROCOPY_RECEIVE && known(fd))
		preload_escape_fd(fd, XVMC_R_TCP_ONLY);
	rc = REAL(getsockopt)(fd, level, name, val, len);
	if (level == SOL_SOCKET && name == SO_ERROR && rc == 0 &&
	    *len == sizeof(int)) {
		ENDPOINT(ep, fd);

		if (ep) /* the kernel may have told us what was the program's */
			*(int *)val = xvmc_sock_error(ep, *(int *)val);
	}
	return rc;
}

/* Options of TCP's whose effect is on bytes that only TCP has. */
static bool tcp_only(int level, int name)
{
	return level == IPPROTO_TCP &&
	       (name == TCP_ULP || name == TCP_REPAIR || name == TCP_INQ);
}

/* Those of sockets: on what comes from now on. */
static bool from_now_on(int level, int name, const void *val, socklen_t len)
{
	if (level != SOL_SOCKET || !val)
		return false;
	switch (name) {
	case SO_TIMESTAMP:
	case SO_TIMESTAMPNS:
	case SO_TIMESTAMPING:
	case SO_ATTACH_FILTER:
	case SO_ATTACH_BPF:
		return true;
	case SO_RCVLOWAT:
		return len >= sizeof(int) && *(const int *)val > 1;
	case SO_RCVTIMEO:
	case SO_SNDTIMEO:
		/* "At once", which getsockopt shows as "never". */
		return len >= sizeof(struct timeval) &&
		       ((const struct timeval *)val)->tv_sec < 0;
	}
	return false;
}

EXPORT int setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	int saved, r;

	/* TCP_NODELAY and its like are TCP's own affair. */
	if (!known(fd) || (level != SOL_SOCKET && !tcp_only(level, name)))
		return REAL(setsockopt)(fd, level, name, val, len);
	ENDPOINT(ep, fd);
	if (!ep)
		return REAL(setsockopt)(fd, level, name, val, len);
	if (tcp_only(level, name))
		preload_escape(ep, XVMC_R_TCP_ONLY);
	if (from_now_on(level, name, val, len))
		preload_escape_here(ep, XVMC_R_TCP_ONLY);
	r = REAL(setsockopt)(fd, level, name, val, len);
	saved = errno;
	if (r == 0)
		xvmc_sock_sockopt_changed(ep, fd, level, name);
	errno = saved;
	return r;
}
