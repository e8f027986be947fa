/* SPDX-License-Identifier: MIT */
/*
 * lib/socket/hold: the word that says who may use a connection after a fork.
 * Does it go the ways it may go, and no other, from every state it can be in?
 * And between real processes: is nobody ever on rings while another one uses
 * the socket, and are the sums whole when somebody is alone?
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fresh.h"
#include "socket/hold.h"

/* ---- every order of steps ---- */

#define PROCS 3
#define DEPTH 7

/* What the rules say the world is, beside the word. */
struct shadow {
	bool holds[PROCS];
	bool lost[PROCS]; /* killed, or another program: it gives nothing back */
	int owner; /* -1: none */
	bool spoilt;
	uint64_t mine[PROCS], given;
};

enum step { TAKE, GIVE, CLAIM, RELEASE, SPOIL, LOSE, STEPS };

static unsigned int seen, claimed;

static int holders(const struct shadow *s)
{
	int n = 0;

	for (int p = 0; p < PROCS; p++)
		n += s->holds[p];
	return n;
}

static bool allowed(const struct shadow *s, int p, enum step step)
{
	if (s->lost[p])
		return false;
	switch (step) {
	case TAKE:
		return !s->holds[p];
	case GIVE:
	case CLAIM:
		return s->holds[p] && s->owner != p;
	case RELEASE:
		return s->owner == p;
	case LOSE:
		return s->holds[p];
	default:
		return s->holds[p] && !s->spoilt;
	}
}

static void do_step(struct hold *h, struct shadow *s, int p, enum step step)
{
	struct hold_sums sums = { .of = { 0 } };
	bool alone = s->owner < 0 && !s->spoilt && holders(s) == 1;

	switch (step) {
	case TAKE:
		hold_take(h);
		s->holds[p] = true;
		s->mine[p] = (uint64_t)p + 1;
		break;
	case GIVE:
		sums.of[HOLD_RCVD] = s->mine[p];
		hold_give(h, &sums);
		s->holds[p] = false;
		s->given += s->mine[p];
		s->mine[p] = 0;
		break;
	case CLAIM:
		assert_int_equal(hold_alone(h), alone);
		assert_int_equal(hold_claim(h, 100 + p, &sums), alone);
		if (!alone)
			break;
		assert_int_equal(sums.of[HOLD_RCVD], s->given);
		assert_int_equal(sums.of[HOLD_SENT], 0);
		s->mine[p] += s->given;
		s->given = 0;
		s->owner = p;
		claimed++;
		break;
	case RELEASE:
		hold_release(h);
		s->owner = -1;
		break;
	case LOSE:
		s->lost[p] = true;
		break;
	default:
		hold_spoil(h);
		s->spoilt = true;
	}
	assert_int_equal(hold_wanted(h), holders(s) > 1);
	assert_int_equal(hold_owner(h), s->owner < 0 ? 0 : 100 + s->owner);
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

static void test_every_order(void **state)
{
	struct shadow s = { .holds = { true }, .owner = -1 };
	struct hold h = { 0 };

	(void)state;
	hold_init(&h, 0);
	walk(&h, &s, DEPTH);
	memset(&h, 0, sizeof(h));
	hold_init(&h, 100); /* forked by one who has rings */
	s.owner = 0;
	walk(&h, &s, DEPTH);
	print_message("%u steps, %u claims\n", seen, claimed);
	assert_true(claimed > 1000);
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
	assert_int_equal(hold_owner(&h), 7);
}

/* Holds that are never given back, more than there is room to count. */
static void test_too_many(void **state)
{
	struct hold_sums sums;
	struct hold h = { 0 };

	(void)state;
	hold_init(&h, 0);
	h.word = 0x7fffffff;
	hold_take(&h);
	h.word -= 0x7ffffffe; /* all but one have given back */
	assert_false(hold_alone(&h));
	assert_false(hold_claim(&h, 5, &sums));
}

/* ---- several processes ---- */

#define CHILDREN 4
#define ROUNDS 20000

struct shared {
	struct hold hold;
	_Atomic uint32_t plain; /* processes that use the socket */
	_Atomic uint32_t ring;  /* processes on rings */
	_Atomic uint64_t moved; /* bytes, by all and either way */
	_Atomic uint32_t claims, asked;
};

static void move(struct shared *w, struct hold_sums *sums, uint64_t n)
{
	sums->of[HOLD_SENT] += n;
	w->moved += n;
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* Alone: on rings until somebody takes a hold. */
static void on_rings(struct shared *w, struct hold_sums *sums, uint32_t n)
{
	check(w->ring++ == 0 && w->plain == 0);
	check(sums->of[HOLD_SENT] == w->moved);
	w->claims++;
	for (uint32_t i = 0; i < n; i++) {
		move(w, sums, 3);
		check(sums->of[HOLD_SENT] == w->moved);
		if (hold_wanted(&w->hold)) {
			w->asked++;
			break;
		}
	}
	check(w->ring-- == 1);
	hold_release(&w->hold);
}

static void one_process(struct shared *w, uint64_t rnd)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct hold_sums sums = { .of = { 0 } }, given;

		pid_t owner;

		hold_take(&w->hold);
		/* One that is never woken comes back in the end, and tells. */
		while ((owner = hold_owner(&w->hold)))
			check(hold_await(&w->hold, owner, 5000000000u));
		for (uint32_t n = fresh_random(&rnd, 4); n; n--) {
			w->plain++;
			check(!w->ring);
			move(w, &sums, n);
			w->plain--;
			if (!hold_claim(&w->hold, getpid(), &given))
				continue;
			for (unsigned int k = 0; k < HOLD_SUMS; k++)
				sums.of[k] += given.of[k];
			on_rings(w, &sums, fresh_random(&rnd, 50));
		}
		hold_give(&w->hold, &sums);
	}
}

static struct shared *share(void)
{
	struct shared *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(w, MAP_FAILED);
	hold_init(&w->hold, 0);
	return w;
}

static void test_processes(void **state)
{
	struct hold_sums sums = { .of = { 0 } };
	uint64_t rnd = fresh_seed();
	struct shared *w = share();
	pid_t pid[CHILDREN];
	int status;

	(void)state;
	hold_give(&w->hold, &sums);
	for (int i = 0; i < CHILDREN; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			one_process(w, rnd + (uint64_t)i);
			_exit(0);
		}
	}
	for (int i = 0; i < CHILDREN; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	print_message("%u claims, %u asked for\n", w->claims, w->asked);
	assert_true(w->claims > 100);
	hold_take(&w->hold);
	assert_true(hold_claim(&w->hold, getpid(), &sums));
	assert_int_equal(sums.of[HOLD_SENT], w->moved);
	munmap(w, sizeof(*w));
}

/* Whoever waits for an owner that does not leave, comes back when time is over. */
static void test_await(void **state)
{
	struct hold h = { 0 };

	(void)state;
	hold_init(&h, 7);
	hold_take(&h);
	assert_false(hold_await(&h, 7, 1000000));
	assert_true(hold_await(&h, 8, 1000000000));
	hold_release(&h);
	assert_true(hold_await(&h, 7, 1000000000));
}

/* A process that is killed gives nothing back: nobody is alone again. */
static void test_killed(void **state)
{
	struct hold_sums sums = { .of = { 0 } };
	struct shared *w = share();
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		hold_take(&w->hold);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(hold_claim(&w->hold, getpid(), &sums));
	munmap(w, sizeof(*w));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_order),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_await),
		cmocka_unit_test(test_killed),
	};

	return fresh_run("hold", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
