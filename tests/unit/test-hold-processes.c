/* SPDX-License-Identifier: MIT */
/*
 * lib/socket/hold between real processes: is nobody ever on a ring while another
 * one uses the socket that way, and are the sums whole when somebody is alone?
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fresh.h"
#include "socket/hold.h"

#define CHILDREN 4
#define ROUNDS 20000

enum { RX, TX, WAYS };

struct shared {
	struct hold hold;
	/* of each direction */
	_Atomic uint32_t plain[WAYS]; /* processes that use the socket */
	_Atomic uint32_t ring[WAYS];  /* processes on rings */
	_Atomic uint64_t moved[WAYS]; /* bytes, by all and either way */
	_Atomic uint32_t claims, halves, later, asked;
};

/* A process: what it holds and owns, and has moved. */
struct proc {
	struct shared *w;
	uint64_t rnd;
	unsigned int held, mine;
	struct hold_sums sums;
};

static unsigned int dir_of(int way)
{
	return way == RX ? HOLD_RX : HOLD_TX;
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void move(struct proc *p, int way, uint64_t n)
{
	p->sums.of[way == RX ? HOLD_RCVD : HOLD_SENT] += n;
	p->w->moved[way] += n;
}

static bool whole(const struct proc *p, int way)
{
	return p->sums.of[way == RX ? HOLD_RCVD : HOLD_SENT] == p->w->moved[way];
}

/* These are its own now, and all that others have moved there is known. */
static void owns(struct proc *p, unsigned int dirs, const struct hold_sums *given)
{
	for (unsigned int k = 0; k < HOLD_SUMS; k++)
		p->sums.of[k] += given->of[k];
	for (int way = RX; way < WAYS; way++) {
		if (!(dirs & dir_of(way)))
			continue;
		check(p->w->ring[way]++ == 0 && p->w->plain[way] == 0);
		check(whole(p, way));
	}
	p->mine |= dirs;
	p->held |= dirs;
}

static void plain(struct proc *p, int way, uint64_t n)
{
	p->w->plain[way]++;
	check(!p->w->ring[way]);
	move(p, way, n);
	p->w->plain[way]--;
}

static void hold(struct proc *p, unsigned int dirs)
{
	unsigned int new = dirs & ~p->held;
	pid_t owner;

	if (!new)
		return;
	hold_take(&p->w->hold, new);
	p->held |= new;
	/* One that is never woken comes back in the end, and tells. */
	while (!p->mine && (owner = hold_in_way(&p->w->hold, new)))
		check(hold_await(&p->w->hold, new, owner, 5000000000u));
}

/* On rings until somebody takes a hold; what it does not own it uses as all do. */
static void on_rings(struct proc *p, uint32_t n)
{
	struct shared *w = p->w;
	struct hold_sums given;

	for (uint32_t i = 0; i < n && !hold_wanted(&w->hold); i++) {
		if (!(p->mine & HOLD_TX) && fresh_random(&p->rnd, 3) == 0) {
			hold(p, HOLD_TX);
			if (hold_alone_tx(&w->hold) && hold_claim_tx(&w->hold, getpid(), &given)) {
				given.of[HOLD_RCVD] = 0;
				owns(p, HOLD_TX, &given);
				w->later++;
			} else {
				plain(p, TX, 1);
			}
		}
		for (int way = RX; way < WAYS; way++) {
			if (!(p->mine & dir_of(way)))
				continue;
			move(p, way, 3);
			check(whole(p, way));
		}
		if (i % 8 == 0)
			sched_yield(); /* for those who want it */
	}
	w->asked += hold_wanted(&w->hold);
	for (int way = RX; way < WAYS; way++)
		if (p->mine & dir_of(way))
			check(w->ring[way]-- == 1);
	p->mine = 0;
	hold_release(&w->hold);
}

static void one_process(struct shared *w, uint64_t rnd)
{
	struct proc p = { .w = w, .rnd = rnd };

	for (int i = 0; i < ROUNDS; i++) {
		for (uint32_t n = fresh_random(&p.rnd, 4); n; n--) {
			unsigned int dirs = 1 + fresh_random(&p.rnd, 3), mine;
			struct hold_sums given;

			hold(&p, dirs);
			for (int way = RX; way < WAYS; way++)
				if (dirs & dir_of(way))
					plain(&p, way, n);
			mine = hold_claim(&w->hold, getpid(), p.held, &given);
			if (!mine)
				continue;
			owns(&p, mine, &given);
			w->claims++;
			w->halves += mine == HOLD_RX;
			on_rings(&p, fresh_random(&p.rnd, 50));
		}
		hold_give(&w->hold, p.held, &p.sums);
		memset(&p.sums, 0, sizeof(p.sums));
		p.held = 0;
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
	hold_give(&w->hold, HOLD_BOTH, &sums);
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
	print_message("%u claims, %u of one direction, %u of the other later, %u asked for\n",
		      w->claims, w->halves, w->later, w->asked);
	assert_true(w->claims > 100 && w->halves > 10);
	hold_take(&w->hold, HOLD_BOTH);
	assert_int_equal(hold_claim(&w->hold, getpid(), HOLD_BOTH, &sums), HOLD_BOTH);
	assert_int_equal(sums.of[HOLD_SENT], w->moved[TX]);
	assert_int_equal(sums.of[HOLD_RCVD], w->moved[RX]);
	munmap(w, sizeof(*w));
}

/* Whoever waits for an owner that does not leave, comes back when time is over. */
static void test_await(void **state)
{
	struct hold h = { 0 };

	(void)state;
	hold_init(&h, 7);
	hold_take(&h, HOLD_BOTH);
	assert_false(hold_await(&h, HOLD_TX, 7, 1000000));
	assert_true(hold_await(&h, HOLD_BOTH, 8, 1000000000));
	hold_release(&h);
	assert_true(hold_await(&h, HOLD_BOTH, 7, 1000000000));
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
		hold_take(&w->hold, HOLD_BOTH);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(hold_claim(&w->hold, getpid(), HOLD_BOTH, &sums), 0);
	munmap(w, sizeof(*w));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_await),
		cmocka_unit_test(test_killed),
	};

	return fresh_run("hold-processes", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
