/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing it, and the commonest calls.
 */
#include <poll.h>
#include <unistd.h>

#include "hv-world.h"

struct xvmc_hv *open_local(const struct world *w, const char *domain)
{
	const struct xvmc_hv_local_spec spec = { w->run.dir, domain };
	struct xvmc_hv *hv;

	assert_int_equal(xvmc_hv_open_local(&spec, &hv), 0);
	return hv;
}

int open_local_again(const struct world *w, struct world *ret_own)
{
	const struct xvmc_hv_local_spec spec = { w->run.dir, "vm1" };

	return xvmc_hv_open_local(&spec, &ret_own->hv[0]);
}

void look_who(struct world *w)
{
	struct xvmc_hv_self self;

	for (int i = 0; i < 2 && w->hv[i]; i++) {
		assert_int_equal(xvmc_hv_self(w->hv[i], &self), 0);
		assert_int_equal(self.incarnation, xvmc_hv_incarnation(w->hv[i]));
		w->domid[i] = self.domid;
	}
}

int setup_local(void **state)
{
	static struct world w;

	w.marks = fresh_mark();
	xvmcd_start(&w.run, "--max-grants", "512", "--max-ports", "32", NULL);
	w.daemon_fds = fresh_count_fds(w.run.pid);
	w.hv[0] = open_local(&w, "vm1");
	w.hv[1] = open_local(&w, "vm2");
	look_who(&w);
	w.peer.sock = -1;
	w.peer.side.hv = w.hv[1];
	w.peer.owner = w.domid[0];
	*state = &w;
	return 0;
}

int setup_xen(void **state)
{
	static struct world w = { .xen = true };
	struct xvmc_hv_self self;

	w.marks = fresh_mark();
	assert_int_equal(xvmc_hv_open_xen(&w.hv[0]), 0);
	assert_int_equal(peer_connect(&w.peer), 0);
	look_who(&w);
	w.peer.owner = w.domid[0];
	peer_self(&w.peer, &self);
	assert_int_not_equal(self.domid, w.domid[0]);
	w.domid[1] = self.domid;
	*state = &w;
	return 0;
}

int teardown(void **state)
{
	struct world *w = *state;

	xvmc_hv_close(w->hv[0]);
	xvmc_hv_close(w->hv[1]);
	if (w->xen) {
		close(w->peer.sock);
	} else {
		if (w->run.pid)
			fresh_wait_fds(w->run.pid, w->daemon_fds);
		xvmcd_stop(&w->run);
	}
	fresh_check(w->marks);
	return 0;
}

void share(struct world *w, size_t npages, bool writable,
		  struct xvmc_share *ret_share, xvmc_gref_t *ret_grefs)
{
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[1], npages, writable, ret_share, ret_grefs), 0);
	assert_int_equal(ret_share->npages, npages);
	assert_int_equal((uintptr_t)ret_share->addr % PAGE, 0);
}

int try_map(struct world *w, const xvmc_gref_t *grefs, size_t n,
		   bool writable, struct xvmc_map *ret_map)
{
	return xvmc_hv_map(w->hv[1], w->domid[0], grefs, n, writable, XVMC_HV_NO_CLEAR, ret_map);
}

void channel(struct world *w, struct xvmc_chan *ret_a, struct xvmc_chan *ret_b)
{
	assert_int_equal(xvmc_hv_chan_alloc(w->hv[0], w->domid[1], ret_a), 0);
	assert_int_equal(xvmc_hv_chan_bind(w->hv[1], w->domid[0], ret_a->port, ret_b), 0);
}

void peer_channel(struct world *w, struct xvmc_chan *ret_a)
{
	assert_int_equal(xvmc_hv_chan_alloc(w->hv[0], w->domid[1], ret_a), 0);
	assert_int_equal(peer_bind(&w->peer, ret_a->port), 0);
}

bool readable(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1 && pfd.revents & POLLIN;
}

void sync_hv(struct world *w, int i)
{
	struct xvmc_chan chan;

	assert_int_equal(xvmc_hv_chan_alloc(w->hv[i], w->domid[!i], &chan), 0);
	xvmc_hv_chan_close(w->hv[i], &chan);
}

void reach_again(struct xvmc_hv *hv)
{
	while (xvmc_hv_dispatch(hv) < 0)
		assert_true(readable(xvmc_hv_event_fd(hv), 5000));
}
