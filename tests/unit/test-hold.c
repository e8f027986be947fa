/* SPDX-License-Identifier: MIT */
/*
 * lib/socket/hold: the word that says who may use a connection after a fork.
 * Does it go the ways it may go, and no other, from every state it can be in?
 * Between real processes: test-hold-processes.c.
 */
#include <stdlib.h>
#include <string.h>

#include "fresh.h"
#include "socket/hold.h"

#define PROCS 3
#define DEPTH 5
#define WALKS 100000
#define WALK_STEPS 60

/* What the rules say the world is, beside the word. */
struct shadow {
	unsigned int holds[PROCS]; /* HOLD_RX, HOLD_TX */
	bool lost[PROCS]; /* killed, or another program: it gives nothing back */
	int owner; /* -1: none */
	unsigned int owns;
	bool spoilt;
	uint64_t sent[PROCS], rcvd[PROCS], given_sent, given_rcvd;
};

enum step {
	TAKE_RX,
	TAKE_TX,
	TAKE_BOTH,
	GIVE_RX,
	GIVE_TX,
	GIVE_BOTH,
	CLAIM,
	CLAIM_TX,
	RELEASE,
	SPOIL,
	LOSE,
	STEPS
};

static unsigned int seen, claimed, claimed_rx, claimed_later;

static unsigned int dirs_of(enum step step)
{
	return step <= TAKE_BOTH ? step - TAKE_RX + 1u : step - GIVE_RX + 1u;
}

static int holders(const struct shadow *s, unsigned int dir)
{
	int n = 0;

	for (int p = 0; p < PROCS; p++)
		n += (s->holds[p] & dir) != 0;
	return n;
}

/* Nobody else is there, as far as a direction goes. */
static bool only(const struct shadow *s, int p, unsigned int dir)
{
	return (s->holds[p] & dir) && holders(s, dir) == 1;
}

static bool allowed(const struct shadow *s, int p, enum step step)
{
	unsigned int mine = s->owner == p ? s->owns : 0;

	if (s->lost[p])
		return false;
	switch (step) {
	case TAKE_RX:
	case TAKE_TX:
	case TAKE_BOTH:
		return !(s->holds[p] & dirs_of(step));
	case GIVE_RX:
	case GIVE_TX:
	case GIVE_BOTH:
		return (s->holds[p] & dirs_of(step)) == dirs_of(step) &&
		       !(mine & dirs_of(step));
	case CLAIM:
		return s->holds[p] && s->owner != p;
	case CLAIM_TX:
		return s->owner == p && !(mine & HOLD_TX) && (s->holds[p] & HOLD_TX);
	case RELEASE:
		return s->owner == p;
	case LOSE:
		return s->holds[p] != 0;
	default:
		return s->holds[p] && !s->spoilt;
	}
}

static void take(struct shadow *s, int p, unsigned int dirs)
{
	s->holds[p] |= dirs;
	if (dirs & HOLD_RX)
		s->rcvd[p] = (uint64_t)p + 1;
	if (dirs & HOLD_TX)
		s->sent[p] = (uint64_t)p + 10;
}

static void give(struct shadow *s, int p, unsigned int dirs)
{
	s->holds[p] &= ~dirs;
	if (dirs & HOLD_RX) {
		s->given_rcvd += s->rcvd[p];
		s->rcvd[p] = 0;
	}
	if (dirs & HOLD_TX) {
		s->given_sent += s->sent[p];
		s->sent[p] = 0;
	}
}

/* What a claim should come to. */
static unsigned int due(const struct shadow *s, int p)
{
	bool tx = only(s, p, HOLD_TX);

	if (s->owner >= 0 || s->spoilt)
		return 0;
	if (only(s, p, HOLD_RX))
		return tx ? HOLD_BOTH : HOLD_RX;
	return tx && holders(s, HOLD_RX) == 0 ? HOLD_BOTH : 0;
}

/* It has these to itself from now on, with all that others gave back there. */
static void claims(struct shadow *s, int p, unsigned int dirs, const struct hold_sums *sums)
{
	assert_int_equal(sums->of[HOLD_RCVD], dirs & HOLD_RX ? s->given_rcvd : 0);
	assert_int_equal(sums->of[HOLD_SENT], dirs & HOLD_TX ? s->given_sent : 0);
	s->rcvd[p] += sums->of[HOLD_RCVD];
	s->sent[p] += sums->of[HOLD_SENT];
	s->given_rcvd -= sums->of[HOLD_RCVD];
	s->given_sent -= sums->of[HOLD_SENT];
	s->holds[p] |= dirs;
	s->owner = p;
	s->owns |= dirs;
}

static void check_word(const struct hold *h, const struct shadow *s)
{
	pid_t owner = s->owner < 0 ? 0 : 100 + s->owner;

	assert_int_equal(hold_in_way(h, HOLD_RX), owner);
	assert_int_equal(hold_in_way(h, HOLD_BOTH), owner);
	assert_int_equal(hold_in_way(h, HOLD_TX), s->owns & HOLD_TX ? owner : 0);
	if (s->owner >= 0)
		assert_int_equal(hold_wanted(h),
				 holders(s, HOLD_RX) > 1 || ((s->owns & HOLD_TX) &&
							     holders(s, HOLD_TX) > 1));
}

static void do_step(struct hold *h, struct shadow *s, int p, enum step step)
{
	struct hold_sums sums = { .of = { [HOLD_SENT] = s->sent[p], [HOLD_RCVD] = s->rcvd[p] } };
	unsigned int mine;
	bool alone;

	switch (step) {
	case TAKE_RX:
	case TAKE_TX:
	case TAKE_BOTH:
		hold_take(h, dirs_of(step));
		take(s, p, dirs_of(step));
		break;
	case GIVE_RX:
	case GIVE_TX:
	case GIVE_BOTH:
		hold_give(h, dirs_of(step), &sums);
		give(s, p, dirs_of(step));
		break;
	case CLAIM:
		mine = due(s, p);
		assert_int_equal(hold_alone(h, s->holds[p]), mine != 0);
		assert_int_equal(hold_claim(h, 100 + p, s->holds[p], &sums), mine);
		if (mine)
			claims(s, p, mine, &sums);
		claimed += mine != 0;
		claimed_rx += mine == HOLD_RX;
		break;
	case CLAIM_TX:
		alone = only(s, p, HOLD_TX) && only(s, p, HOLD_RX) && !s->spoilt;
		assert_int_equal(hold_claim_tx(h, 100 + p, &sums), alone);
		if (!alone)
			break;
		sums.of[HOLD_RCVD] = 0;
		assert_int_equal(sums.of[HOLD_SENT], s->given_sent);
		s->sent[p] += s->given_sent;
		s->given_sent = 0;
		s->owns = HOLD_BOTH;
		claimed_later++;
		break;
	case RELEASE:
		hold_release(h);
		s->owner = -1;
		s->owns = 0;
		break;
	case LOSE:
		s->lost[p] = true;
		break;
	default:
		hold_spoil(h);
		s->spoilt = true;
	}
	check_word(h, s);
	seen++;
}

static void walk(const struct hold *h, const struct shadow *s, int depth)
{
	for (int p = 0; depth && p < PROCS; p++) {
		for (enum step step = 0; step < STEPS; step++) {
			struct hold h2;
			struct shadow s2 = *s;

			if (!allowed(s, p, step))
				continue;
			memcpy(&h2, h, sizeof(h2));
			do_step(&h2, &s2, p, step);
			walk(&h2, &s2, depth - 1);
		}
	}
}

static void begin(struct hold *h, struct shadow *s, bool owned)
{
	memset(h, 0, sizeof(*h));
	*s = (struct shadow){ .owner = owned ? 0 : -1, .owns = owned ? HOLD_BOTH : 0 };
	hold_init(h, owned ? 100 : 0); /* forked by one who has rings, or not */
	take(s, 0, HOLD_BOTH);
}

static void test_every_order(void **state)
{
	struct shadow s;
	struct hold h;

	(void)state;
	for (int owned = 0; owned < 2; owned++) {
		begin(&h, &s, owned);
		walk(&h, &s, DEPTH);
	}
	print_message("%u steps, %u claims, %u of them of one direction\n", seen, claimed,
		      claimed_rx);
	assert_true(claimed > 1000 && claimed_rx > 1000);
}

/* Fewer orders, of more steps. */
static void test_long_walks(void **state)
{
	uint64_t rnd = fresh_seed();

	(void)state;
	claimed_rx = claimed_later = 0;
	for (int i = 0; i < WALKS; i++) {
		struct shadow s;
		struct hold h;

		begin(&h, &s, i % 2);
		for (int n = 0; n < WALK_STEPS; n++) {
			int p = (int)fresh_random(&rnd, PROCS);
			enum step step = (enum step)fresh_random(&rnd, STEPS);

			/* What is for good would be all there is. */
			if (allowed(&s, p, step) &&
			    (step < SPOIL || fresh_random(&rnd, 1000) == 0))
				do_step(&h, &s, p, step);
		}
	}
	print_message("%u claims of one direction, %u of the other later\n", claimed_rx,
		      claimed_later);
	assert_true(claimed_rx > 1000 && claimed_later > 100);
}

/* Who has it open is counted apart, and never too low. */
static void test_open(void **state)
{
	struct hold h = { 0 };

	(void)state;
	hold_init(&h, 7);
	assert_true(hold_sole(&h));
	hold_open(&h);
	hold_open(&h);
	hold_closed(&h);
	assert_false(hold_sole(&h));
	hold_closed(&h);
	assert_true(hold_sole(&h));
	assert_int_equal(hold_in_way(&h, HOLD_TX), 7);
}

/* Holds that are never given back, more than there is room to count. */
static void test_too_many(void **state)
{
	struct hold_sums sums = { .of = { 0 } };
	struct hold h = { 0 };

	(void)state;
	for (unsigned int dir = HOLD_RX; dir <= HOLD_TX; dir <<= 1) {
		hold_init(&h, 0);
		for (unsigned int n = 0; n < 0x7fff; n++)
			hold_take(&h, dir);
		assert_int_equal(hold_in_way(&h, HOLD_BOTH), 0);
		for (unsigned int n = 0; n < 0x7ffe; n++) /* all but one give back */
			hold_give(&h, dir, &sums);
		assert_false(hold_alone(&h, HOLD_BOTH));
		assert_int_equal(hold_claim(&h, 5, HOLD_BOTH, &sums), 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_order),
		cmocka_unit_test(test_long_walks),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_open),
	};

	return fresh_run("hold", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
