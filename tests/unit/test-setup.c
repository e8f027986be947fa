/* SPDX-License-Identifier: MIT */
/*
 * The messages of a set-up, as one end sees them: what it makes before it is
 * asked, and for what it is asked then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fresh.h"
#include "socket-world.h"

#define PATIENCE_NS 10000000000u

static bool on_rings(void)
{
	return guest_on_ring(&w.pair, 0) && guest_on_ring(&w.pair, 1);
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
	assert_int_equal(ring_size(1), XVMC_PAGE_SIZE << w.ctx[1].opt.order);
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
static int other_end(union agent_msg *ret_match)
{
	union agent_msg m;
	struct stat st;
	int sock;

	assert_int_equal(stat("/proc/self/ns/net", &st), 0);
	sock = agent_hello(&w.xvmcd, XVMC_ROLE_APP, "vm2", st.st_ino, &m);
	memset(&m, 0, sizeof(m));
	m.reg.epid = 1;
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

/* Its pages are there before it is asked for them; what is offered to it before
 * it was asked is refused all the same. */
static void test_offer_before_ask(void **state)
{
	struct xvmc_setup_offer offer = {
		.hdr = { .version = XVMC_ABI_VERSION,
			 .type = XVMC_SETUP_OFFER,
			 .len = offsetof(struct xvmc_setup_offer, gref) + 3 * sizeof(uint32_t) },
		.ngrefs = 3,
	};
	struct xvmc_setup_word why;
	union agent_msg m;
	int sock = other_end(&m);
	uint64_t link = m.match.link;

	(void)state;
	relay(sock, link, &offer.hdr);
	relayed(sock, XVMC_SETUP_ASK, &m);
	memcpy(&why, relayed(sock, XVMC_SETUP_REFUSE, &m), sizeof(why));
	assert_int_equal(why.reason, XVMC_R_BAD_OFFER);
	close(sock);
}

/* Asked twice: the second time is one too many. */
static void test_asks_twice(void **state)
{
	struct xvmc_setup_ask ask = {
		.hdr = { .version = XVMC_ABI_VERSION,
			 .type = XVMC_SETUP_ASK,
			 .len = sizeof(ask) },
		.order_max = XVMC_RING_ORDER_MAX,
	};
	struct xvmc_setup_offer offer;
	struct xvmc_setup_word why;
	struct xvmc_hv_self self;
	union agent_msg m;
	int sock = other_end(&m);
	uint64_t link = m.match.link;
	struct xvmc_hv_local_spec spec = { w.xvmcd.dir, "vm2" };
	struct xvmc_hv *hv;

	(void)state;
	assert_int_equal(xvmc_hv_open_local(&spec, &hv), 0);
	assert_int_equal(xvmc_hv_self(hv, &self), 0);
	xvmc_hv_close(hv);
	ask.domid = self.domid;
	relay(sock, link, &ask.hdr);
	relay(sock, link, &ask.hdr);
	relayed(sock, XVMC_SETUP_ASK, &m);
	memcpy(&offer, relayed(sock, XVMC_SETUP_OFFER, &m), offsetof(struct xvmc_setup_offer, gref));
	assert_int_equal(offer.order, w.ctx[0].opt.order);
	memcpy(&why, relayed(sock, XVMC_SETUP_REFUSE, &m), sizeof(why));
	assert_int_equal(why.reason, XVMC_R_BAD_OFFER);
	close(sock);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_smaller_than_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offer_before_ask, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asks_twice, setup, teardown),
	};

	return fresh_run("setup", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
