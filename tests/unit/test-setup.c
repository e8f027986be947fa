/* SPDX-License-Identifier: MIT */
/*
 * A set-up, as one end sees it: what it offers as soon as it is matched, what it
 * refuses, and how it learns that its pages are mapped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fresh.h"
#include "socket-world.h"

#define PATIENCE_NS 10000000000u
#define USUAL 6u

static bool on_rings(void)
{
	return guest_both_on_ring(&w.pair);
}

static size_t ring_size(int i)
{
	return w.pair.ep[i]->conn.tx.s.size;
}

/* Who has set its socket's receive buffer has no larger ring; the other
 * direction is what it would have been. */
static void test_smaller_than_made(void **state)
{
	uint64_t end = os_now_ns() + PATIENCE_NS;
	int bytes = 8192; /* the kernel takes twice as much */
	char c = 'x';

	(void)state;
	for (int i = 0; i < 2; i++)
		w.ctx[i].opt.order = USUAL;
	assert_int_equal(setsockopt(w.pair.fd[1], SOL_SOCKET, SO_RCVBUF, &bytes,
				    sizeof(bytes)), 0);
	while (!on_rings() && os_now_ns() < end) {
		for (int i = 0; i < 2; i++) {
			guest_send(&w.pair, i, &c, 1);
			assert_int_equal(guest_recv(&w.pair, !i, &c, 1, 0), 1);
		}
	}
	assert_true(on_rings());
	assert_int_equal(ring_size(0), 16384);
	assert_int_equal(ring_size(1), XVMC_PAGE_SIZE << USUAL);
	for (int i = 0; i < 100000; i++) {
		uint64_t x = (uint64_t)i, y = 0;

		guest_send(&w.pair, i % 2, &x, sizeof(x));
		assert_int_equal(guest_recv(&w.pair, !(i % 2), &y, sizeof(y), 0), sizeof(y));
		assert_int_equal(x, y);
	}
}

/* ---- the other end by hand ---- */

static struct xvmc_ag_addr addr_of(int (*get)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct xvmc_ag_addr addr = { 0 };

	assert_int_equal(get(w.pair.fd[1], (struct sockaddr *)&ss, &len), 0);
	assert_true(vms_addr((struct sockaddr *)&ss, len, &addr.ip, &addr.port));
	return addr;
}

/* Registers the second end, which the library does not see in use. */
static int other_end(uint32_t pages_max, union agent_msg *ret_match)
{
	union agent_msg m;
	struct stat st;
	int sock;

	assert_int_equal(stat("/proc/self/ns/net", &st), 0);
	sock = agent_hello(&w.xvmcd, XVMC_ROLE_APP, "vm2", st.st_ino, &m);
	memset(&m, 0, sizeof(m));
	m.reg.epid = 1;
	m.reg.pages_max = pages_max;
	m.reg.local = addr_of(getsockname);
	m.reg.remote = addr_of(getpeername);
	agent_send(sock, XVMC_AG_REGISTER, &m, sizeof(m.reg));
	for (uint32_t i = 0; i < w.ctx[0].opt.min_ops; i++) {
		char c = 'x';

		guest_send(&w.pair, 0, &c, 1);
		assert_int_equal(recv(w.pair.fd[1], &c, 1, MSG_WAITALL), 1);
	}
	agent_expect(sock, XVMC_AG_MATCH, ret_match);
	return sock;
}

static void relay(int sock, uint64_t link, const struct xvmc_setup_hdr *body)
{
	union agent_msg m = { .relay = { .epid = 1, .link = link } };

	memcpy(m.relay.body, body, body->len);
	agent_send(sock, XVMC_AG_RELAY, &m, offsetof(struct xvmc_ag_relay, body) + body->len);
}

static const void *relayed(int sock, uint16_t type, union agent_msg *m)
{
	struct xvmc_setup_hdr hdr;

	agent_expect(sock, XVMC_AG_RELAYED, m);
	memcpy(&hdr, m->relay.body, sizeof(hdr));
	assert_int_equal(hdr.type, type);
	return m->relay.body;
}

static void offered(int sock, struct xvmc_setup_offer *ret_offer)
{
	union agent_msg m;
	const void *body = relayed(sock, XVMC_SETUP_OFFER, &m);

	memcpy(ret_offer, body, m.relay.hdr.len - offsetof(struct xvmc_ag_relay, body));
}

static void expect_refused(int sock, enum xvmc_reason why)
{
	struct xvmc_setup_word word;
	union agent_msg m;

	memcpy(&word, relayed(sock, XVMC_SETUP_REFUSE, &m), sizeof(word));
	assert_int_equal(word.reason, why);
}

/* It offers without having heard anything of the other end but MATCH, and no
 * larger a ring than that end has said. */
static void test_offers_at_once(void **state)
{
	struct xvmc_setup_offer offer;
	union agent_msg m;
	int sock = other_end(4, &m);

	(void)state;
	offered(sock, &offer);
	assert_int_equal(offer.order, 2);
	assert_int_equal(offer.ngrefs, 2 + 4);
	close(sock);
}

/* Nothing said is no limit; nor is nonsense. */
static void test_any_size(void **state)
{
	const uint32_t said[] = { 0, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		struct xvmc_setup_offer offer;
		union agent_msg m;
		int sock = other_end(said[i], &m);

		offered(sock, &offer);
		assert_int_equal(offer.order, w.ctx[0].opt.order);
		close(sock);
		if (i == 0) {
			assert_int_equal(teardown(state), 0);
			assert_int_equal(setup(state), 0);
		}
	}
}

static void test_bad_offer(void **state)
{
	struct xvmc_setup_offer offer = {
		.hdr = { .version = XVMC_ABI_VERSION,
			 .type = XVMC_SETUP_OFFER,
			 .len = offsetof(struct xvmc_setup_offer, gref) + 3 * sizeof(uint32_t) },
		.ngrefs = 4,
	};
	union agent_msg m;
	int sock = other_end(0, &m);
	uint64_t link = m.match.link;

	(void)state;
	relay(sock, link, &offer.hdr);
	offered(sock, &offer);
	expect_refused(sock, XVMC_R_BAD_OFFER);
	close(sock);
}

/* Step 5 is no message: it announces once the page says that it is mapped, and
 * the channel has rung. */
static void ready_by_page(bool rings)
{
	struct xvmc_hv_local_spec spec = { w.xvmcd.dir, "vm2" };
	struct xvmc_setup_offer theirs, ours = {
		.hdr = { .version = XVMC_ABI_VERSION,
			 .type = XVMC_SETUP_OFFER,
			 .len = offsetof(struct xvmc_setup_offer, gref) + 3 * sizeof(uint32_t) },
		.nonce = "fifteen letters",
		.ngrefs = 3,
	};
	uint64_t end = os_now_ns() + PATIENCE_NS;
	struct xvmc_accepted in;
	struct xvmc_offered out;
	struct xvmc_rpage *r;
	struct sender_t s;
	struct xvmc_hv_self self;
	union agent_msg m;
	int sock = other_end(0, &m);
	struct xvmc_hv *hv;

	assert_int_equal(xvmc_hv_open_local(&spec, &hv), 0);
	assert_int_equal(xvmc_hv_self(hv, &self), 0);
	assert_int_equal(xvmc_hv_offer(hv, m.match.peer_domid, 2, &out, ours.gref), 0);
	xvmc_sender_init(&s, out.sd.addr, out.r.addr, (uint8_t *)out.sd.addr + XVMC_PAGE_SIZE,
			 0, ours.nonce);
	ours.domid = self.domid;
	ours.port = out.chan.port;
	relay(sock, m.match.link, &ours.hdr);
	while (!ring_reader_lives(s.r) && os_now_ns() < end)
		sched_yield();
	assert_true(ring_reader_lives(s.r)); /* ours is mapped */

	offered(sock, &theirs);
	assert_int_equal(xvmc_hv_accept(hv, theirs.domid, theirs.gref, theirs.ngrefs,
					offsetof(struct xvmc_rpage, alive), theirs.port, &in), 0);
	r = in.r.addr;
	assert_int_equal(ring_ann_state(r, 1), XVMC_ANN_NONE);
	ring_start_reading(r);
	if (rings)
		assert_int_equal(xvmc_hv_notify(hv, &in.chan), 0);
	while (ring_ann_state(r, 1) != XVMC_ANN_ANNOUNCED && os_now_ns() < end)
		sched_yield();
	assert_int_equal(ring_ann_state(r, 1), XVMC_ANN_ANNOUNCED);
	xvmc_hv_close(hv);
	close(sock);
}

static void test_ready_by_page(void **state)
{
	(void)state;
	ready_by_page(true);
}

/* Who sleeps on the same bell has taken that: it is seen all the same. */
static void test_ready_unheard(void **state)
{
	(void)state;
	ready_by_page(false);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_smaller_than_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offers_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_offer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ready_by_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ready_unheard, setup, teardown),
	};

	return fresh_run("setup", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
