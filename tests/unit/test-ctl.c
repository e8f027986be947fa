/* SPDX-License-Identifier: MIT */
/*
 * The control channel between two xvmcd (tools/xvmcd/ctl.c), on the local
 * backend: frames of all sizes both ways, a reader that does not read, and a
 * peer that writes nonsense. Its inside is included, so that the test can be
 * that peer.
 */
#include <string.h>

#include "../../tools/xvmcd/ctl.c"
#include "hv-world.h"

static uint32_t grefs[CTL_PAGES];
static struct ctl *leader, *follower;

static int setup_ctl(void **state)
{
	struct world *w;
	uint32_t port;

	setup_local(state);
	w = *state;
	assert_int_equal(ctl_share(w->hv[0], w->domid[1], &leader, grefs, &port), 0);
	assert_int_equal(ctl_map(w->hv[1], w->domid[0], grefs, port, &follower), 0);
	return 0;
}

static int teardown_ctl(void **state)
{
	ctl_free(leader);
	ctl_free(follower);
	return teardown(state);
}

static void fill(uint8_t *body, size_t len, uint32_t n)
{
	for (size_t i = 0; i < len; i++)
		body[i] = (uint8_t)(n * 31 + i);
}

static void expect(struct ctl *ctl, uint32_t n, size_t len)
{
	uint8_t body[CTL_BODY_MAX], want[CTL_BODY_MAX];
	uint32_t agent;
	size_t got;

	assert_int_equal(ctl_recv(ctl, &agent, body, &got), 1);
	assert_int_equal(agent, n);
	assert_int_equal(got, len);
	fill(want, len, n);
	assert_memory_equal(body, want, len);
}

static void nothing(struct ctl *ctl)
{
	uint8_t body[CTL_BODY_MAX];
	uint32_t agent;
	size_t len;

	assert_int_equal(ctl_recv(ctl, &agent, body, &len), 0);
}

static void garbage(struct ctl *ctl)
{
	uint8_t body[CTL_BODY_MAX];
	uint32_t agent;
	size_t len;

	assert_int_equal(ctl_recv(ctl, &agent, body, &len), -EPROTO);
}

/* Many times around the ring, in both directions. */
static void test_frames(void **state)
{
	uint8_t body[CTL_BODY_MAX];

	(void)state;
	nothing(leader);
	nothing(follower);
	for (uint32_t n = 0; n < 2000; n++) {
		size_t len = n * 37 % (CTL_BODY_MAX + 1);

		fill(body, len, n);
		assert_int_equal(ctl_send(n % 3 ? leader : follower, n, body, len), 0);
		expect(n % 3 ? follower : leader, n, len);
		nothing(leader);
		nothing(follower);
	}
	assert_int_equal(ctl_send(leader, 1, body, CTL_BODY_MAX + 1), -EMSGSIZE);
}

/* More than the ring holds waits, in order; much more is refused. */
static void test_slow_reader(void **state)
{
	uint8_t body[1000];
	uint32_t sent = 0;
	int rc;

	(void)state;
	do {
		fill(body, sizeof(body), sent);
		rc = ctl_send(leader, sent, body, sizeof(body));
	} while (rc == 0 && ++sent < 5000);
	assert_int_equal(rc, -ENOBUFS);
	assert_true((uint64_t)sent * sizeof(body) > SIZE);
	for (uint32_t n = 0; n < sent; n++) {
		expect(follower, n, sizeof(body));
		ctl_ack(leader); /* as its bell would have it do */
	}
	nothing(follower);
}

/* The bell is rung when there is something to read, and when there is room. */
static void test_bell(void **state)
{
	uint8_t body[CTL_BODY_MAX] = { 0 };

	(void)state;
	assert_false(readable(ctl_fd(follower), 0));
	assert_int_equal(ctl_send(leader, 1, body, 10), 0);
	assert_true(readable(ctl_fd(follower), 1000));
	assert_false(readable(ctl_fd(leader), 0));
	for (int i = 0; i < 20; i++)
		assert_int_equal(ctl_send(leader, 1, body, sizeof(body)), 0);
	while (follower->cons < SIZE / 2) {
		uint32_t agent;
		size_t len;

		assert_int_equal(ctl_recv(follower, &agent, body, &len), 1);
	}
	assert_true(readable(ctl_fd(leader), 1000));
}

/* Nothing that a peer writes makes us read outside, or go on. */
static void test_bad_index(void **state)
{
	(void)state;
	leader->p0->prod[0].word = SIZE + 1;
	garbage(follower);
	leader->p0->prod[0].word = UINT64_MAX; /* as a lost mapping reads */
	garbage(follower);
	/* a reader that claims more than was ever sent: nothing is written */
	follower->p0->cons[0].word = 12345;
	assert_int_equal(ctl_send(leader, 1, "x", 1), 0);
	assert_int_equal(leader->queued, sizeof(struct header) + 1);
}

static void test_bad_frame(void **state)
{
	struct header h = { .len = CTL_BODY_MAX + 1 };

	(void)state;
	memcpy(leader->ring[0], &h, sizeof(h));
	leader->p0->prod[0].word = SIZE;
	garbage(follower);
	h.len = UINT32_MAX;
	memcpy(leader->ring[0], &h, sizeof(h));
	garbage(follower);
}

/* A frame that was copied while the mapping went is not believed [X 3]. */
static void test_lost_mapping(void **state)
{
	(void)state;
	assert_int_equal(ctl_send(leader, 1, "xyz", 3), 0);
	leader->p0->nonce.word = UINT64_MAX;
	garbage(follower);
}

int main(int argc, char **argv)
{
#define C(name) cmocka_unit_test_setup_teardown(name, setup_ctl, teardown_ctl)
	const struct CMUnitTest tests[] = {
		C(test_frames),	   C(test_slow_reader), C(test_bell),
		C(test_bad_index), C(test_bad_frame),	C(test_lost_mapping),
	};

	return fresh_run("xvmcd, control channel", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
