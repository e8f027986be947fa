/* SPDX-License-Identifier: MIT */
/*
 * xvmc doctor's checks of Xen: devices, limits, and whether the hypervisor does what
 * a connection needs of it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "hv/hv.h"

static const struct xen_dev {
	const char *path, *module;
} xen_devs[] = {
	{ "/dev/xen/evtchn", "sudo modprobe xen-evtchn" },
	{ "/dev/xen/gntdev", "sudo modprobe xen-gntdev" },
	{ "/dev/xen/gntalloc", "sudo modprobe xen-gntalloc" },
};

/* A connection takes 66 pages with rings of the usual size. */
#define GNTALLOC_FEW 4096u

/* A guest's event channels, if nobody has said otherwise; many of them. */
#define CHANNELS 1023u
#define CHANNELS_MANY 900u

/* An event channel rings within microseconds. */
#define HEARD_MS 1000

static void gntalloc_limit(struct doctor *d)
{
	FILE *f = fopen("/sys/module/xen_gntalloc/parameters/limit", "re");
	unsigned int limit = 0;

	if (!f)
		return; /* said above: the module is missing */
	if (fscanf(f, "%u", &limit) == 1 && limit < GNTALLOC_FEW)
		doctor_say(d, DOCTOR_WARN, "xen",
			   DOCTOR_MORE_PAGES,
			   "gntalloc shares %u pages in all: %u connections; others stay on TCP", limit, limit / 66);
	else
		doctor_say(d, DOCTOR_OK, "xen", NULL, "gntalloc shares up to %u pages", limit);
	fclose(f);
}

/* Each that is in use is an interrupt of the kernel's. */
static void channels_in_use(struct doctor *d)
{
	FILE *f = fopen("/proc/interrupts", "re");
	unsigned int n = 0;
	char *line = NULL;
	size_t size = 0;

	if (!f)
		return;
	while (getline(&line, &size, f) > 0)
		n += strstr(line, " xen-") != NULL;
	free(line);
	fclose(f);
	if (n >= CHANNELS_MANY)
		doctor_say(d, DOCTOR_WARN, "xen", DOCTOR_MORE_CHANNELS,
			   "%u event channels are in use; a guest has %u if its configuration does not say otherwise",
			   n, CHANNELS);
	else
		doctor_say(d, DOCTOR_OK, "xen", NULL, "%u event channels are in use", n);
}

/* What Xen has to do for a connection, done once with ourselves: a page is shared and
 * copied back, which needs no peer, as mapping it would. */
static int try_grant(struct xvmc_hv *hv, xvmc_domid_t self)
{
	static const char said[] = "xvmc doctor";
	char heard[sizeof(said)] = "";
	struct xvmc_share share;
	xvmc_gref_t gref;
	int rc = xvmc_hv_share(hv, self, 1, false, &share, &gref);

	if (rc < 0)
		return rc;
	memcpy(share.addr, said, sizeof(said));
	rc = xvmc_hv_copy(hv, self, gref, 0, heard, sizeof(heard));
	xvmc_hv_unshare(hv, &share);
	return rc == 0 && memcmp(heard, said, sizeof(said)) != 0 ? -EIO : rc;
}

static int try_ring(struct xvmc_hv *hv, struct xvmc_chan *from, const struct xvmc_chan *to)
{
	struct pollfd pfd = { .fd = to->wait_fd, .events = POLLIN };
	int rc = xvmc_hv_notify(hv, from);

	if (rc < 0)
		return rc;
	return poll(&pfd, 1, HEARD_MS) == 1 ? 0 : -ETIMEDOUT;
}

static int try_channel(struct xvmc_hv *hv, xvmc_domid_t self)
{
	struct xvmc_chan ours, theirs;
	int rc = xvmc_hv_chan_alloc(hv, self, &ours);

	if (rc < 0)
		return rc;
	rc = xvmc_hv_chan_bind(hv, self, ours.port, &theirs);
	if (rc == 0) {
		rc = try_ring(hv, &ours, &theirs);
		xvmc_hv_chan_close(hv, &theirs);
	}
	xvmc_hv_chan_close(hv, &ours);
	return rc;
}

static void report(struct doctor *d, const char *what, int rc)
{
	if (rc < 0)
		doctor_say(d, DOCTOR_FAIL, "xen", "sudo dmesg | grep -i -e xen -e gnt",
			   "%s: %s", what, strerror(-rc));
	else
		doctor_say(d, DOCTOR_OK, "xen", NULL, "%s", what);
}

static void try_hypervisor(struct doctor *d)
{
	struct xvmc_hv_self self;
	struct xvmc_hv *hv;
	int rc = xvmc_hv_open_xen(&hv);

	if (rc < 0) {
		report(d, "the hypervisor can be called", rc);
		return;
	}
	rc = xvmc_hv_self(hv, &self);
	report(d, "this guest knows its number", rc);
	if (rc == 0) {
		report(d, "a page is shared and copied back", try_grant(hv, self.domid));
		report(d, "an event channel rings", try_channel(hv, self.domid));
	}
	xvmc_hv_close(hv);
}

/* Can it be used? */
static bool check_device(struct doctor *d, const struct xen_dev *dev)
{
	if (access(dev->path, F_OK) != 0) {
		doctor_say(d, DOCTOR_FAIL, "xen", dev->module, "%s does not exist", dev->path);
		return false;
	}
	if (access(dev->path, R_OK | W_OK) != 0) {
		doctor_say(d, DOCTOR_FAIL, "xen",
			   "sudo chgrp xvmc /dev/xen/*; sudo chmod g+rw /dev/xen/*; sudo usermod -aG xvmc $USER",
			   "%s may not be opened by this user", dev->path);
		return false;
	}
	doctor_say(d, DOCTOR_OK, "xen", NULL, "%s", dev->path);
	return true;
}

void doctor_xen(struct doctor *d)
{
	bool devices = XVMC_HAVE_XEN;

	if (!d->xen) {
		doctor_say(d, DOCTOR_OK, "xen", NULL,
			   "none here: domains are those of the local backend");
		return;
	}
	if (!XVMC_HAVE_XEN)
		doctor_say(d, DOCTOR_FAIL, "xen",
			   "sudo apt install libxen-dev; meson setup --reconfigure build; ninja -C build",
			   "this build has no xen backend");
	if (xvmc_hv_xen_pv())
		doctor_say(d, DOCTOR_FAIL, "xen", "type = \"pvh\" in its xl configuration",
			   "a PV guest must map nothing of another's: everything stays on TCP");
	for (size_t i = 0; i < sizeof(xen_devs) / sizeof(xen_devs[0]); i++)
		devices = check_device(d, &xen_devs[i]) && devices;
	gntalloc_limit(d);
	channels_in_use(d);
	if (devices)
		try_hypervisor(d);
}
