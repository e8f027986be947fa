/* SPDX-License-Identifier: MIT */
/*
 * Event channels of the xen backend: one handle, one descriptor, one port
 * per channel, so that a waiter sleeps on exactly the channel it means.
 *
 * Threads:   made and closed by the handle's thread; notify and ack by any.
 * fork:      a child may only close the descriptor [X 8], and only while it
 *            is not stale.
 * exec:      CLOEXEC.
 * migration: the descriptor is stale afterwards and must never be released
 *            again; see xen_chan_close.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include <xenevtchn.h>

#include <xen/sys/evtchn.h> /* wants what the other includes */

#include "base/numbers.h"
#include "base/os.h"
#include "xen.h"

#define DEVICE "/dev/xen/evtchn"

struct xen_chan {
	struct xvmc_list node;
	xenevtchn_handle *xce;
	int fd;
	evtchn_port_t port;
	uint32_t incarnation; /* the guest's when it was bound */
	bool hushed;          /* it is bound no more */
};

/* Descriptors and ports run out under names of their own [hv.h]. */
static int bind_error(int err)
{
	switch (err) {
	case ENOSPC:
		return -ENOBUFS;
	case EMFILE:
	case ENFILE:
		return -EMFILE;
	case EPERM:
	case EACCES:
		return -EACCES;
	case ESRCH:
	case EINVAL:
	case ENOENT:
		return -ENOENT;
	case ENOMEM:
		return -ENOSPC;
	default:
		return -err;
	}
}

/*
 * The descriptor is opened here and not by libxenevtchn, so that it can be
 * moved to a high number first. From then on the library's calls go through
 * libc's read, write and ioctl; inside libxvmc.so those are our own
 * wrappers, which pass descriptors they do not know straight on.
 */
static int chan_new(struct xen_hv *xh, struct xen_chan **ret_chan)
{
	struct xen_chan *c = calloc(1, sizeof(*c));
	int fd;

	if (!c)
		return -ENOSPC;
	fd = OS_MAKE(OS4(SYS_openat, AT_FDCWD, DEVICE,
			 O_RDWR | O_CLOEXEC | O_NONBLOCK, 0));
	if (fd < 0) {
		free(c);
		return bind_error(-fd);
	}
	c->xce = xenevtchn_fdopen(&xen_silent, fd, 0);
	if (!c->xce) {
		os_close(fd);
		free(c);
		return -ENOSPC;
	}
	c->fd = fd;
	c->incarnation = xen_cpuid_incarnation(&xh->cpuid);
	*ret_chan = c;
	return 0;
}

/* Closes the descriptor too. */
static void chan_release(struct xen_chan *c)
{
	xenevtchn_close(c->xce);
	free(c);
}

static int chan_finish(struct xen_hv *xh, struct xen_chan *c, int port, int err,
		       struct xvmc_chan *ret_chan)
{
	if (port < 0) {
		chan_release(c);
		return bind_error(err);
	}
	c->port = (evtchn_port_t)port;
	if (xh->hold) {
		int rc = xh->hold(xh->hold_arg, c->port, c->fd);

		if (rc < 0) {
			xenevtchn_unbind(c->xce, c->port);
			chan_release(c);
			return rc;
		}
	}
	xvmc_list_add(&xh->chans, &c->node);
	ret_chan->wait_fd = c->fd;
	ret_chan->port = c->port;
	ret_chan->self_ring = false;
	ret_chan->priv = c;
	return 0;
}

int xen_chan_alloc(struct xvmc_hv *hv, xvmc_domid_t peer,
		   struct xvmc_chan *ret_chan)
{
	struct xen_hv *xh = (struct xen_hv *)hv;
	int rc, port, keep = errno, err;
	struct xen_chan *c;

	rc = chan_new(xh, &c);
	if (rc < 0)
		return rc;
	port = xenevtchn_bind_unbound_port(c->xce, peer);
	err = errno;
	errno = keep;
	return chan_finish(xh, c, port, err, ret_chan);
}

int xen_chan_bind(struct xvmc_hv *hv, xvmc_domid_t peer, xvmc_port_t peer_port,
		  struct xvmc_chan *ret_chan)
{
	struct xen_hv *xh = (struct xen_hv *)hv;
	int rc, port, keep = errno, err;
	struct xen_chan *c;

	rc = chan_new(xh, &c);
	if (rc < 0)
		return rc;
	port = xenevtchn_bind_interdomain(c->xce, peer, peer_port);
	err = errno;
	errno = keep;
	rc = chan_finish(xh, c, port, err, ret_chan);
	/* Xen rings a new channel once, for what may have been rung before
	 * there was anybody to hear it. Nobody waits yet. */
	if (rc == 0)
		xen_chan_ack(hv, ret_chan);
	return rc;
}

static bool is_stale(const struct xen_hv *xh, const struct xen_chan *c)
{
	return !c->hushed && xen_cpuid_incarnation(&xh->cpuid) != c->incarnation;
}

/* Unbound, and the holder knows. Only while it is not stale. */
static void unbind(struct xen_hv *xh, struct xen_chan *c)
{
	if (c->hushed)
		return;
	xenevtchn_unbind(c->xce, c->port);
	if (xh->hold)
		xh->hold(xh->hold_arg, c->port, -1);
	c->hushed = true;
}

/*
 * A descriptor bound before a resume must never be released afterwards: the
 * kernel's BUG_ON(irq < 0) would kill this thread in the kernel, and where
 * the port's number is in use again the new owner's channel would go down
 * with it [X 1]. So it stays open, by intent, and is counted: it costs one
 * descriptor a channel and migration. At the end of the process the kernel
 * releases it all the same; that is harmless only because xvmcd's holder has
 * a duplicate. Prepared migrations close before the suspend and lose nothing.
 *
 * The migration may fall between the question and the close. What is left
 * of the gap is a few instructions; the prepared form has none.
 */
void xen_chan_close(struct xvmc_hv *hv, struct xvmc_chan *chan)
{
	struct xen_hv *xh = (struct xen_hv *)hv;
	struct xen_chan *c = chan->priv;
	int keep = errno;

	if (!c)
		return;
	chan->priv = NULL;
	chan->wait_fd = -1;
	xvmc_list_del(&c->node);
	/* Its descriptor stays open on purpose, and c with it: its handle is on
	 * a list of libxen's. */
	if (is_stale(xh, c))
		return;
	unbind(xh, c);
	chan_release(c);
	errno = keep;
}

/* A descriptor with no port: nobody rings, and who rings by it is not heard. It
 * may be released at any time, also after a resume [X 1]. */
void xen_chan_hush(struct xvmc_hv *hv, struct xvmc_chan *chan)
{
	struct xen_hv *xh = (struct xen_hv *)hv;
	struct xen_chan *c = chan->priv;
	int keep = errno;

	if (!is_stale(xh, c))
		unbind(xh, c);
	errno = keep;
}

int xvmc_hv_xen_hold_all(struct xvmc_hv *hv)
{
	struct xen_hv *xh = (struct xen_hv *)hv;
	struct xvmc_list *it, *tmp;
	int rc = 0;

	xvmc_list_each(it, tmp, &xh->chans) {
		struct xen_chan *c = xvmc_list_entry(it, struct xen_chan, node);

		if (!c->hushed && xh->hold && xh->hold(xh->hold_arg, c->port, c->fd) < 0)
			rc = -EIO;
	}
	return rc;
}

void xen_chan_close_all(struct xen_hv *xh)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xh->chans) {
		struct xvmc_chan chan = {
			.priv = xvmc_list_entry(it, struct xen_chan, node),
		};

		xen_chan_close(&xh->hv, &chan);
	}
}

/* In a child of fork: no unbinding, that would unbind the parent's. While
 * the parent lives its descriptor keeps the channel; if the parent is gone
 * and there was a migration, ours is the last and must stay. */
void xen_chan_abandon_all(struct xen_hv *xh)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xh->chans) {
		struct xen_chan *c = xvmc_list_entry(it, struct xen_chan, node);

		xvmc_list_del(&c->node);
		if (!is_stale(xh, c))
			chan_release(c);
	}
}

/*
 * What a message costs is said to the device itself, by as few system calls as
 * can be: libxenevtchn's are libc's, and inside libxvmc.so those are our own
 * wrappers.
 */
int xen_chan_notify(struct xvmc_hv *hv, struct xvmc_chan *chan)
{
	const struct xen_chan *c = chan->priv;
	struct ioctl_evtchn_notify notify = { .port = c->port };

	(void)hv;
	/* It fails only for a port that is not bound any more: silence. */
	os_ioctl(c->fd, IOCTL_EVTCHN_NOTIFY, &notify);
	return 0;
}

/* Takes what has rung, and lets it ring again. One port is bound here, so once is
 * enough; the descriptor does not block, if nothing has. */
void xen_chan_ack(struct xvmc_hv *hv, struct xvmc_chan *chan)
{
	const struct xen_chan *c = chan->priv;
	evtchn_port_t port;

	(void)hv;
	if (os_read(c->fd, &port, sizeof(port)) == (ssize_t)sizeof(port))
		os_write(c->fd, &port, sizeof(port));
}
