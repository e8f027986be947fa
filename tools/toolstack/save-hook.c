/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into libxl's save helper by xvmc-save-helper: the moment shortly
 * before a guest is suspended for its migration, which xl itself tells nobody
 * of [S 6]. The guest runs while we wait here, so this is no downtime.
 *
 * What goes wrong here is said and passed over: the migration goes on as a
 * plain `xl migrate`, which loses nothing either.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenctrl.h>
#include <xenguest.h>

#include "announce.h"
#include "base/os.h"
#include "guard.h"
#include "last-round.h"

/* Guests answer in milliseconds; one that hangs may cost this much. */
#define WAIT_MS 5000u

typedef int save_fn(xc_interface *xch, int io_fd, uint32_t dom, uint32_t flags,
		    struct save_callbacks *callbacks, xc_stream_type_t stream_type,
		    int recv_fd);

static struct hook {
	struct announce announce;
	struct guard guard;
	struct last_round round;
	int (*suspend)(void *data);
	uint32_t wait_ms;
} hook;

/* By xl's own channel: standard output is the helper's. */
static void say(const char *text)
{
	fprintf(stderr, "xvmc: %s\n", text);
}

static uint32_t wait_ms(void)
{
	const char *text = getenv("XVMC_PREPARE_MS");
	unsigned long ms = text ? strtoul(text, NULL, 10) : WAIT_MS;

	return ms <= 600000 ? (uint32_t)ms : WAIT_MS;
}

static void leave(void *arg)
{
	uint64_t begin = os_now_ns();
	uint32_t late = announce_prepare(&hook.announce, hook.wait_ms);
	char text[96];

	(void)arg;
	snprintf(text, sizeof(text), "domid %u: %u of %u guests prepared, %.1f ms",
		 hook.announce.mover, hook.announce.n - late, hook.announce.n,
		 (double)(os_now_ns() - begin) / 1e6);
	say(text);
}

static int policy(struct precopy_stats stats, void *data)
{
	(void)data; /* xl's, and in hook.round */
	return last_round_decide(&hook.round, stats);
}

static int suspend(void *data)
{
	last_round_end(&hook.round);
	return hook.suspend(data);
}

/* The callbacks' layout follows Xen's minor version; this one was compiled
 * for XVMC_XENGUEST. */
static bool fits(void)
{
	void *lib = dlopen(XVMC_XENGUEST, RTLD_LAZY | RTLD_NOLOAD);

	if (lib)
		dlclose(lib);
	return lib != NULL;
}

/* The helper was killed. Without this its word would stand, and the guests wait
 * for the suspend, off their rings, as long as they have patience. */
static void take_back(void *arg)
{
	struct xen_store *store;

	if (xen_store_open(&store) == 0)
		announce_end(arg, store);
}

static int save_prepared(save_fn *save, xc_interface *xch, int io_fd, uint32_t dom,
			 uint32_t flags, const struct save_callbacks *callbacks, int recv_fd)
{
	struct save_callbacks ours = *callbacks;
	struct xen_store *store;
	int rc, err;

	announce_new(&hook.announce, dom);
	/* Before xenstore, which may make a thread. */
	rc = guard_start(&hook.guard, take_back, &hook.announce);
	if (rc < 0) {
		say("no guard: the guests are not told");
		return save(xch, io_fd, dom, flags, &ours, XC_STREAM_PLAIN, recv_fd);
	}
	rc = xen_store_open(&store);
	if (rc < 0) {
		say("no xenstore: the guests are not told");
		guard_stop(&hook.guard);
		return save(xch, io_fd, dom, flags, &ours, XC_STREAM_PLAIN, recv_fd);
	}
	hook.wait_ms = wait_ms();
	hook.round = (struct last_round){
		.policy = callbacks->precopy_policy,
		.policy_data = callbacks->data,
		.leave = leave,
	};
	ours.precopy_policy = policy;
	hook.suspend = callbacks->suspend;
	ours.suspend = suspend;
	announce_begin(&hook.announce, store);
	rc = save(xch, io_fd, dom, flags, &ours, XC_STREAM_PLAIN, recv_fd);
	err = errno;
	announce_end(&hook.announce, store);
	xen_store_close(store);
	guard_stop(&hook.guard);
	errno = err;
	return rc;
}

/* Instead of libxenguest's. */
__attribute__((visibility("default"))) int xc_domain_save(xc_interface *xch, int io_fd, uint32_t dom, uint32_t flags,
							  struct save_callbacks *callbacks,
							  xc_stream_type_t stream_type, int recv_fd)
{
	save_fn *save = (save_fn *)dlsym(RTLD_NEXT, "xc_domain_save");

	if (!save) {
		errno = ENOSYS;
		return -1;
	}
	/* Checkpointed streams suspend again and again. */
	if (stream_type == XC_STREAM_PLAIN && fits())
		return save_prepared(save, xch, io_fd, dom, flags, callbacks, recv_fd);
	say("not this kind of migration, or not this Xen (" XVMC_XENGUEST "): the guests are not told");
	return save(xch, io_fd, dom, flags, callbacks, stream_type, recv_fd);
}
