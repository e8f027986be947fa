/* SPDX-License-Identifier: MIT */
/*
 * What the program has set of a socket and our own waiting goes by: O_NONBLOCK
 * and the two timeouts. The kernel has the truth, which another process may
 * change as well; calls look at our copy. Who changes it in a process that has
 * shared it since a fork counts that beside the hold, where the others see it.
 */
#include "internal.h"

static bool is_nonblock(int fd)
{
	int flags = os_fcntl(fd, F_GETFL, 0);

	return flags >= 0 && (flags & O_NONBLOCK);
}

/* Another thread may be changing what we copy, and copying it as well: who has
 * written it down looks again, so that what stays is what came last. */
static void note_nonblock(struct xvmc_endpoint *ep, int fd)
{
	bool now = is_nonblock(fd), noted;

	do {
		ep->nonblock = noted = now;
		now = is_nonblock(fd);
	} while (now != noted);
}

static uint64_t timeo_ns(int fd, int name)
{
	struct timeval tv = { 0 };
	socklen_t len = sizeof(tv);

	os_getsockopt(fd, SOL_SOCKET, name, &tv, &len);
	return (uint64_t)tv.tv_sec * 1000000000u + (uint64_t)tv.tv_usec * 1000u;
}

static void note_timeo(_Atomic uint64_t *ret_ns, int fd, int name)
{
	uint64_t now = timeo_ns(fd, name), noted;

	do {
		*ret_ns = noted = now;
		now = timeo_ns(fd, name);
	} while (now != noted);
}

void settings_begin(struct xvmc_endpoint *ep, int fd, int flags)
{
	ep->nonblock = flags < 0 ? is_nonblock(fd) : (flags & SOCK_NONBLOCK) != 0;
}

void settings_note(struct xvmc_endpoint *ep, int fd)
{
	note_nonblock(ep, fd);
	note_timeo(&ep->rcv_timeo_ns, fd, SO_RCVTIMEO);
	note_timeo(&ep->snd_timeo_ns, fd, SO_SNDTIMEO);
}

void settings_again(struct xvmc_endpoint *ep, int fd)
{
	/* Before: who changes them meanwhile counts once more. */
	ep->settings = atomic_load(&ep->hold->settings);
	settings_note(ep, fd);
}

/* The kernel has it already. */
static void tell_others(struct xvmc_endpoint *ep)
{
	if (ep->hold)
		atomic_fetch_add(&ep->hold->settings, 1);
}

void xvmc_sock_sockopt_changed(struct xvmc_endpoint *ep, int fd, int level, int name)
{
	if (level != SOL_SOCKET)
		return;
	if (name == SO_RCVTIMEO || name == SO_SNDTIMEO)
		tell_others(ep);
	if (name == SO_RCVTIMEO)
		note_timeo(&ep->rcv_timeo_ns, fd, SO_RCVTIMEO);
	if (name == SO_SNDTIMEO)
		note_timeo(&ep->snd_timeo_ns, fd, SO_SNDTIMEO);
}

void xvmc_sock_set_nonblock(struct xvmc_endpoint *ep, bool on)
{
	ep->nonblock = on;
	tell_others(ep);
}
