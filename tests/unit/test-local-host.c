/* SPDX-License-Identifier: MIT */
/*
 * The pretended machine (lib/hv/local-host*.c): who may do what, what ends
 * with whom, and that nothing is left. No socket, no xvmcd.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fresh.h"
#include "hv/local-host.h"

#define NO_CLEAR UINT64_MAX

struct world {
	struct fresh_marks marks;
	struct xvmc_lh *lh;
	uint32_t host_a, host_b;
	struct xvmc_lh_dom *dom[3];       /* 0 and 1 on A, 2 on B */
	struct xvmc_lh_client client[3];
};

static int setup(void **state)
{
	static struct world w;
	const struct xvmc_lh_limits limits = { .max_grants = 16, .max_ports = 4 };
	static const char *const names[] = { "vm1", "vm2", "vm3" };

	w.marks = fresh_mark();
	assert_int_equal(xvmc_lh_new(&limits, &w.lh), 0);
	assert_int_equal(xvmc_lh_host(w.lh, "A", &w.host_a), 0);
	assert_int_equal(xvmc_lh_host(w.lh, "B", &w.host_b), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(xvmc_lh_dom_create(w.lh, names[i], i < 2 ? w.host_a : w.host_b, true, &w.dom[i]), 0);
		xvmc_lh_client_init(&w.client[i], w.dom[i]);
	}
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	xvmc_lh_free(w->lh);
	fresh_check(w->marks);
	return 0;
}

static int memfd(size_t npages)
{
	int fd = memfd_create("xvmc-test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(npages * XVMC_PAGE_SIZE)), 0);
	return fd;
}

static uint32_t grant(struct world *w, int from, int to, uint32_t npages, bool writable)
{
	uint32_t gref;

	assert_int_equal(xvmc_lh_grant(w->lh, &w->client[from], w->dom[to]->domid, npages, writable, memfd(npages), &gref), 0);
	return gref;
}

static int try_map(struct world *w, int who, int granter, uint32_t gref,
		   uint32_t npages, bool writable, struct xvmc_lh_mapping *ret)
{
	return xvmc_lh_map(w->lh, &w->client[who], w->dom[granter]->domid, gref, npages, writable, NO_CLEAR, ret);
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
		{ "vm1", true }, { "a.b-c_D9", true }, { "", false },
		{ "a b", false }, { "a/b", false }, { "\xc3\xa4", false },
		{ "a\n", false },
		{ "1234567890123456789012345678901", true },
	};
	char full[XVMC_NAME_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[XVMC_NAME_MAX] = "";

		strcpy(name, cases[i].name);
		assert_int_equal(xvmc_lh_name_ok(name), cases[i].ok);
	}
	memset(full, 'a', sizeof(full)); /* no NUL */
	assert_false(xvmc_lh_name_ok(full));
}

static void test_domains(void **state)
{
	struct world *w = *state;
	struct xvmc_board_dom entry;
	struct xvmc_lh_dom *dom;
	uint32_t host;

	assert_int_equal(xvmc_lh_dom_create(w->lh, "vm1", w->host_b, true, &dom), -EEXIST);
	assert_ptr_equal(xvmc_lh_dom_by_name(w->lh, "vm2"), w->dom[1]);
	assert_null(xvmc_lh_dom_by_name(w->lh, "vm9"));
	assert_int_equal(w->dom[0]->domid, 1); /* 0 is dom0 */
	assert_int_equal(w->dom[1]->domid, 2);
	assert_int_equal(xvmc_lh_host(w->lh, "A", &host), 0);
	assert_int_equal(host, w->host_a);
	assert_string_equal(xvmc_lh_host_name(w->lh, w->host_b), "B");
	assert_string_equal(xvmc_lh_host_name(w->lh, 99), "");
	xvmc_lh_dom_entry(w->lh, w->dom[2], &entry);
	assert_int_equal(entry.in_use, 1);
	assert_int_equal(entry.domid, 3);
	assert_string_equal(entry.name, "vm3");
	assert_string_equal(entry.host_name, "B");
	assert_int_equal(entry.flags, XVMC_BOARD_AUTO);
}

/* A full board: the longest unused automatic domain can make room. */
static void test_full_board(void **state)
{
	struct world *w = *state;
	struct xvmc_lh_dom *dom = NULL, *first = NULL;
	char name[XVMC_NAME_MAX];
	int n = 0;

	assert_null(xvmc_lh_dom_unused(w->lh)); /* all three have clients */
	for (;; n++) {
		int rc;

		snprintf(name, sizeof(name), "more%d", n);
		rc = xvmc_lh_dom_create(w->lh, name, w->host_a, n > 0, &dom);
		if (rc < 0) {
			assert_int_equal(rc, -ENOSPC);
			break;
		}
		if (n == 1)
			first = dom;
	}
	assert_int_equal(n, (int)XVMC_BOARD_DOMS - 3);
	/* more0 was made by hand: it is nobody's to drop */
	assert_ptr_equal(xvmc_lh_dom_unused(w->lh), first);
	xvmc_lh_dom_use(first);
	assert_ptr_not_equal(xvmc_lh_dom_unused(w->lh), first);
	xvmc_lh_dom_unuse(w->lh, first); /* now the last in the queue */
	assert_string_equal(xvmc_lh_dom_unused(w->lh)->name, "more2");
	xvmc_lh_dom_destroy(w->lh, xvmc_lh_dom_unused(w->lh));
	assert_int_equal(xvmc_lh_dom_create(w->lh, "again", w->host_a, true, &dom), 0);
}

static void test_recover(void **state)
{
	struct world *w = *state;
	struct xvmc_board_dom entry;
	struct xvmc_lh_dom *dom;

	xvmc_lh_dom_entry(w->lh, w->dom[0], &entry);
	assert_int_equal(xvmc_lh_dom_recover(w->lh, 9, &entry), -EEXIST);
	strcpy(entry.name, "old");
	entry.domid = 40;
	entry.incarnation = 5;
	assert_int_equal(xvmc_lh_dom_recover(w->lh, 0, &entry), -EINVAL);
	assert_int_equal(xvmc_lh_dom_recover(w->lh, XVMC_BOARD_DOMS, &entry), -EINVAL);
	entry.naddrs = XVMC_ADDRS_MAX + 1;
	assert_int_equal(xvmc_lh_dom_recover(w->lh, 9, &entry), -EINVAL);
	entry.naddrs = 0;
	entry.host_name[0] = '\0';
	assert_int_equal(xvmc_lh_dom_recover(w->lh, 9, &entry), -EINVAL);
	strcpy(entry.host_name, "C");
	assert_int_equal(xvmc_lh_dom_recover(w->lh, 9, &entry), 0);
	dom = xvmc_lh_dom_by_slot(w->lh, 9);
	assert_int_equal(dom->domid, 40);
	assert_int_equal(dom->incarnation, 5);
	assert_string_equal(xvmc_lh_host_name(w->lh, dom->host), "C");
	/* a domid is not given out twice */
	assert_int_equal(xvmc_lh_next_domid(w->lh), 41);
	xvmc_lh_skip_domids(w->lh, 30);
	assert_int_equal(xvmc_lh_next_domid(w->lh), 41);
}

static void test_grant_and_map(void **state)
{
	struct world *w = *state;
	struct xvmc_lh_mapping m, again;
	uint32_t gref = grant(w, 0, 1, 8, false);

	assert_int_equal(w->dom[0]->ngrants, 8);
	assert_int_equal(try_map(w, 1, 0, gref, 8, false, &m), 0);
	assert_int_equal(m.offset, 0);
	assert_true(fcntl(m.fd, F_GETFD) >= 0);
	/* a part of it, a second time */
	assert_int_equal(try_map(w, 1, 0, gref + 3, 5, false, &again), 0);
	assert_int_equal(again.offset, 3);
	assert_int_not_equal(m.number, again.number);
	assert_int_equal(xvmc_lh_unmap(w->lh, &w->client[0], m.number, true), -ENOENT);
	assert_int_equal(xvmc_lh_unmap(w->lh, &w->client[1], m.number, true), 0);
	assert_int_equal(xvmc_lh_unmap(w->lh, &w->client[1], m.number, true), -ENOENT);
	assert_int_equal(xvmc_lh_ungrant(w->lh, &w->client[1], gref), -ENOENT);
	assert_int_equal(xvmc_lh_ungrant(w->lh, &w->client[0], gref), 0);
	assert_int_equal(xvmc_lh_ungrant(w->lh, &w->client[0], gref), -ENOENT);
	assert_int_equal(w->dom[0]->ngrants, 0);
	assert_int_equal(try_map(w, 1, 0, gref, 8, false, &m), -ENOENT);
}

static void test_may_not_map(void **state)
{
	struct world *w = *state;
	struct xvmc_lh_mapping m;
	uint32_t ro = grant(w, 0, 1, 4, false), rw = grant(w, 0, 1, 1, true);

	assert_int_equal(try_map(w, 1, 0, ro, 4, true, &m), -EACCES);
	assert_int_equal(try_map(w, 1, 0, rw, 1, true, &m), 0);
	assert_int_equal(try_map(w, 1, 0, rw, 1, false, &m), 0);
	assert_int_equal(try_map(w, 0, 0, ro, 4, false, &m), -EACCES); /* not its own */
	assert_int_equal(try_map(w, 2, 0, ro, 4, false, &m), -ENOENT); /* another host */
	assert_int_equal(try_map(w, 1, 1, ro, 4, false, &m), -ENOENT); /* not that granter's */
	assert_int_equal(try_map(w, 1, 0, ro, 5, false, &m), -ENOENT);
	assert_int_equal(try_map(w, 1, 0, ro, 0, false, &m), -ENOENT);
	assert_int_equal(try_map(w, 1, 0, ro + 4, 1, false, &m), -ENOENT);
	assert_int_equal(try_map(w, 1, 0, ro + 3, UINT32_MAX, false, &m), -ENOENT);
	assert_int_equal(try_map(w, 1, 0, UINT32_MAX, 1, false, &m), -ENOENT);
	assert_int_equal(try_map(w, 1, 0, 0, 1, false, &m), -ENOENT);
	/* a byte to clear: only in what may be written, and inside */
	assert_int_equal(xvmc_lh_map(w->lh, &w->client[1], w->dom[0]->domid, rw, 1, false, 0, &m), -EINVAL);
	assert_int_equal(xvmc_lh_map(w->lh, &w->client[1], w->dom[0]->domid, rw, 1, true, XVMC_PAGE_SIZE, &m), -EINVAL);
}

static void test_grants_run_out(void **state)
{
	struct world *w = *state;
	uint32_t gref, first = grant(w, 0, 1, 10, false);
	struct xvmc_lh_mapping m;
	int fd = memfd(7);

	assert_int_equal(xvmc_lh_grant(w->lh, &w->client[0], w->dom[1]->domid, 7, false, fd, &gref), -ENOSPC);
	assert_int_equal(xvmc_lh_grant(w->lh, &w->client[0], w->dom[2]->domid, 1, false, fd, &gref), -ENOENT);
	assert_int_equal(xvmc_lh_grant(w->lh, &w->client[0], 77, 1, false, fd, &gref), -ENOENT);
	assert_int_equal(xvmc_lh_grant(w->lh, &w->client[0], w->dom[1]->domid, 0, false, fd, &gref), -EINVAL);
	assert_int_equal(xvmc_lh_grant(w->lh, &w->client[0], w->dom[1]->domid, 1025, false, fd, &gref), -EINVAL);
	close(fd); /* still ours: none of these took it */
	gref = grant(w, 1, 0, 16, false); /* the other domain has its own */
	/* mappings are bounded by the same number */
	for (int i = 0; i < 16; i++)
		assert_int_equal(try_map(w, 0, 1, gref, 1, false, &m), 0);
	assert_int_equal(try_map(w, 0, 1, gref, 1, false, &m), -ENOSPC);
	grant(w, 0, 1, 6, false);
	assert_int_equal(w->dom[0]->ngrants, 16);
	assert_int_equal(xvmc_lh_ungrant(w->lh, &w->client[0], first), 0);
	grant(w, 0, 1, 10, true);
}

static char byte_at(int fd, off_t at)
{
	char c = 'x';

	assert_int_equal(pread(fd, &c, 1, at), 1);
	return c;
}

static void test_clear_byte(void **state)
{
	struct world *w = *state;
	struct xvmc_lh_mapping m;
	int fd = memfd(2), look = dup(fd);
	uint32_t gref;

	assert_int_equal(pwrite(fd, "abcd", 4, XVMC_PAGE_SIZE), 4);
	assert_int_equal(xvmc_lh_grant(w->lh, &w->client[0], w->dom[1]->domid, 2, true, fd, &gref), 0);
	assert_int_equal(xvmc_lh_map(w->lh, &w->client[1], w->dom[0]->domid, gref + 1, 1, true, 2, &m), 0);
	/* the grant may go first */
	assert_int_equal(xvmc_lh_ungrant(w->lh, &w->client[0], gref), 0);
	assert_int_equal(byte_at(look, XVMC_PAGE_SIZE + 2), 'c');
	xvmc_lh_client_end(w->lh, &w->client[1]);
	assert_int_equal(byte_at(look, XVMC_PAGE_SIZE + 2), 0);
	assert_int_equal(byte_at(look, XVMC_PAGE_SIZE + 1), 'b');
	assert_int_equal(byte_at(look, XVMC_PAGE_SIZE + 3), 'd');
	close(look);
}

/* The owner's byte: cleared when the owner ends here, by nothing else. */
static void test_owner_clear(void **state)
{
	struct world *w = *state;
	uint32_t gref[3], ro = grant(w, 0, 1, 1, false);
	int look[3];

	for (int i = 0; i < 3; i++) {
		int fd = memfd(2);

		look[i] = dup(fd);
		assert_int_equal(pwrite(fd, "abc", 3, 4999), 3);
		assert_int_equal(xvmc_lh_grant(w->lh, &w->client[i % 2], w->dom[1]->domid, 2, true, fd, &gref[i]), 0);
	}
	assert_int_equal(xvmc_lh_owner_clear(w->lh, &w->client[0], ro, 0), -EINVAL);
	assert_int_equal(xvmc_lh_owner_clear(w->lh, &w->client[1], gref[0], 5000), -ENOENT);
	assert_int_equal(xvmc_lh_owner_clear(w->lh, &w->client[0], gref[0], 8192), -EINVAL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(xvmc_lh_owner_clear(w->lh, &w->client[i % 2], gref[i], 5000), 0);
	assert_int_equal(xvmc_lh_ungrant(w->lh, &w->client[0], gref[2]), 0);
	xvmc_lh_dom_move(w->lh, w->dom[1], w->host_a);
	xvmc_lh_client_end(w->lh, &w->client[0]);
	xvmc_lh_client_end(w->lh, &w->client[1]);
	assert_int_equal(byte_at(look[0], 5000), 0);   /* ended */
	assert_int_equal(byte_at(look[0], 4999), 'a');
	assert_int_equal(byte_at(look[1], 5000), 'b'); /* moved before */
	assert_int_equal(byte_at(look[2], 5000), 'b'); /* unshared before */
	for (int i = 0; i < 3; i++)
		close(look[i]);
}

static void alloc_fds(int fds[2])
{
	fds[0] = memfd(1);
	fds[1] = memfd(1);
}

static void test_channels(void **state)
{
	struct world *w = *state;
	struct xvmc_lh_channel a, b;
	int fds[2];

	alloc_fds(fds);
	assert_int_equal(xvmc_lh_chan_alloc(w->lh, &w->client[0], w->dom[2]->domid, fds, &a), -ENOENT);
	assert_int_equal(xvmc_lh_chan_alloc(w->lh, &w->client[0], w->dom[1]->domid, fds, &a), 0);
	assert_int_equal(a.peer_slot, w->dom[1]->slot);
	assert_int_equal(xvmc_lh_chan_bind(w->lh, &w->client[0], w->dom[0]->domid, a.port, &b), -EACCES);
	assert_int_equal(xvmc_lh_chan_bind(w->lh, &w->client[2], w->dom[0]->domid, a.port, &b), -ENOENT);
	assert_int_equal(xvmc_lh_chan_bind(w->lh, &w->client[1], w->dom[0]->domid, a.port + 1, &b), -ENOENT);
	assert_int_equal(xvmc_lh_chan_bind(w->lh, &w->client[1], w->dom[1]->domid, a.port, &b), -ENOENT);
	assert_int_equal(xvmc_lh_chan_bind(w->lh, &w->client[1], w->dom[0]->domid, a.port, &b), 0);
	/* crossed over, and ours now */
	assert_int_equal(b.fds[0], a.fds[1]);
	assert_int_equal(b.fds[1], a.fds[0]);
	assert_int_equal(b.peer_slot, w->dom[0]->slot);
	close(b.fds[0]);
	close(b.fds[1]);
	assert_int_equal(xvmc_lh_chan_bind(w->lh, &w->client[1], w->dom[0]->domid, a.port, &b), -ENOENT);
	assert_int_equal(xvmc_lh_chan_close(w->lh, &w->client[1], a.port), -ENOENT);
	assert_int_equal(xvmc_lh_chan_close(w->lh, &w->client[0], a.port), 0);
	assert_int_equal(xvmc_lh_chan_close(w->lh, &w->client[0], a.port), -ENOENT);
	assert_int_equal(w->dom[0]->nports, 0);
	assert_int_equal(w->dom[1]->nports, 1);
}

static void test_ports_run_out(void **state)
{
	struct world *w = *state;
	struct xvmc_lh_channel c, b;
	int fds[2];

	for (int i = 0; i < 4; i++) {
		alloc_fds(fds);
		assert_int_equal(xvmc_lh_chan_alloc(w->lh, &w->client[0], w->dom[1]->domid, fds, &c), 0);
	}
	alloc_fds(fds);
	assert_int_equal(xvmc_lh_chan_alloc(w->lh, &w->client[0], w->dom[1]->domid, fds, &b), -ENOBUFS);
	assert_int_equal(xvmc_lh_chan_close(w->lh, &w->client[0], c.port), 0);
	assert_int_equal(xvmc_lh_chan_alloc(w->lh, &w->client[0], w->dom[1]->domid, fds, &b), 0);
	/* the binder's own limit; the channel can still be bound afterwards */
	for (int i = 0; i < 4; i++) {
		alloc_fds(fds);
		assert_int_equal(xvmc_lh_chan_alloc(w->lh, &w->client[1], w->dom[0]->domid, fds, &c), 0);
	}
	assert_int_equal(xvmc_lh_chan_bind(w->lh, &w->client[1], w->dom[0]->domid, b.port, &c), -ENOBUFS);
	assert_int_equal(xvmc_lh_chan_close(w->lh, &w->client[1], c.port), 0);
	assert_int_equal(xvmc_lh_chan_bind(w->lh, &w->client[1], w->dom[0]->domid, b.port, &c), 0);
	close(c.fds[0]);
	close(c.fds[1]);
}

static void test_move(void **state)
{
	struct world *w = *state;
	struct xvmc_lh_mapping m;
	struct xvmc_lh_channel c;
	uint32_t mine = grant(w, 0, 1, 1, true), theirs, old = w->dom[0]->domid;
	int fd = memfd(1), look = dup(fd), fds[2];

	assert_int_equal(pwrite(fd, "a", 1, 0), 1);
	assert_int_equal(xvmc_lh_grant(w->lh, &w->client[1], old, 1, true, fd, &theirs), 0);
	assert_int_equal(xvmc_lh_map(w->lh, &w->client[0], w->dom[1]->domid, theirs, 1, true, 0, &m), 0);
	alloc_fds(fds);
	assert_int_equal(xvmc_lh_chan_alloc(w->lh, &w->client[0], w->dom[1]->domid, fds, &c), 0);
	xvmc_lh_dom_move(w->lh, w->dom[0], w->host_a); /* to the same host */
	assert_int_equal(w->dom[0]->domid, 4);
	assert_int_equal(w->dom[0]->incarnation, 1);
	assert_int_equal(w->dom[0]->ngrants, 0);
	assert_int_equal(w->dom[0]->nports, 0);
	assert_int_equal(w->dom[0]->nmaps, 0);
	/* nobody cleared the byte: the mover's mapping did not end, it is lost */
	assert_int_equal(byte_at(look, 0), 'a');
	close(look);
	/* what was granted by or to the old domid is no more */
	assert_int_equal(xvmc_lh_map(w->lh, &w->client[1], old, mine, 1, false, NO_CLEAR, &m), -ENOENT);
	assert_int_equal(try_map(w, 1, 0, mine, 1, false, &m), -ENOENT);
	assert_int_equal(try_map(w, 0, 1, theirs, 1, false, &m), -EACCES);
	assert_int_equal(xvmc_lh_chan_bind(w->lh, &w->client[1], old, c.port, &c), -ENOENT);
	assert_int_equal(xvmc_lh_ungrant(w->lh, &w->client[0], mine), -ENOENT);
	/* and new life begins */
	mine = grant(w, 0, 1, 2, true);
	assert_int_equal(try_map(w, 1, 0, mine, 2, true, &m), 0);
	xvmc_lh_dom_move(w->lh, w->dom[0], w->host_b);
	mine = grant(w, 0, 2, 1, true);
	assert_int_equal(try_map(w, 2, 0, mine, 1, true, &m), 0);
	assert_int_equal(w->dom[0]->incarnation, 2);
}

/* Random operations; counts stay what the objects say, and nothing is left
 * at the end (the teardown looks). */
static void test_random(void **state)
{
	struct world *w = *state;
	uint64_t seed = fresh_seed();
	uint32_t grefs[3] = { 0 }, maps[3] = { 0 }, ports[3] = { 0 };

	for (int i = 0; i < 100000; i++) {
		uint32_t a = fresh_random(&seed, 3), b = fresh_random(&seed, 3);
		struct xvmc_lh_mapping m;
		struct xvmc_lh_channel c;
		int fd, fds[2];

		switch (fresh_random(&seed, 9)) {
		case 0:
			fd = memfd(4);
			if (xvmc_lh_grant(w->lh, &w->client[a], w->dom[b]->domid, 1 + fresh_random(&seed, 4), true, fd, &grefs[a]) < 0)
				close(fd);
			break;
		case 1:
			xvmc_lh_ungrant(w->lh, &w->client[a], grefs[b]);
			break;
		case 2:
		case 3:
			if (xvmc_lh_map(w->lh, &w->client[a], w->dom[b]->domid, grefs[b], 1, true, 5, &m) == 0)
				maps[a] = m.number;
			break;
		case 4:
			xvmc_lh_unmap(w->lh, &w->client[a], maps[b], true);
			break;
		case 5:
			alloc_fds(fds);
			if (xvmc_lh_chan_alloc(w->lh, &w->client[a], w->dom[b]->domid, fds, &c) == 0) {
				ports[a] = c.port;
			} else {
				close(fds[0]);
				close(fds[1]);
			}
			break;
		case 6:
			if (xvmc_lh_chan_bind(w->lh, &w->client[a], w->dom[b]->domid, ports[b], &c) == 0) {
				close(c.fds[0]);
				close(c.fds[1]);
			}
			break;
		case 7:
			xvmc_lh_chan_close(w->lh, &w->client[a], ports[b]);
			break;
		case 8:
			if (fresh_random(&seed, 10) == 0) {
				xvmc_lh_dom_move(w->lh, w->dom[a], fresh_random(&seed, 2) ? w->host_a : w->host_b);
			} else if (fresh_random(&seed, 10) == 0) {
				xvmc_lh_client_end(w->lh, &w->client[a]);
				assert_int_equal(w->dom[a]->ngrants + w->dom[a]->nmaps + w->dom[a]->nports, 0);
				xvmc_lh_client_init(&w->client[a], w->dom[a]);
			}
			break;
		}
		assert_true(w->dom[a]->ngrants <= 16 && w->dom[a]->nports <= 4 && w->dom[a]->nmaps <= 16);
	}
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_names), T(test_domains), T(test_full_board),
		T(test_recover), T(test_grant_and_map), T(test_may_not_map),
		T(test_grants_run_out), T(test_clear_byte), T(test_owner_clear), T(test_channels),
		T(test_ports_run_out), T(test_move), T(test_random),
	};

	return fresh_run("local-host", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
