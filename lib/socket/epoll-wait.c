/* SPDX-License-Identifier: MIT */
/*
 * epoll_wait. A set without MANAGED members is the kernel's alone, but what
 * the kernel returns is always scanned for our own data: a member may become
 * MANAGED while we sleep. A set with some: the hot list first, then the
 * kernel, a bounded spin, and then sleep in the kernel with every bell armed.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/unwind.h"
#include "epoll.h"
#include "interrupt.h"
#include "spin.h"

#define SPIN_MEMBERS 128u  /* with more, spinning finds too little */
#define KERNEL_EVERY 16u   /* waits that hot members alone may satisfy */
#define KERNEL_NS 50000u   /* and for how long */

/* Of a set, when its kernel was asked and what came of it: of what several
 * threads write there at the same time, any will do. */
#define HINT(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define SET_HINT(field, val) __atomic_store_n(&(field), (val), __ATOMIC_RELAXED)

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

struct wait {
	struct xvmc_ctx *ctx;
	struct xvmc_epset *set;
	int epfd;
	struct epoll_event *evs;
	int max;
	const struct timespec *timeout; /* as the caller gave it */
	const sigset_t *sigmask;
	uint64_t deadline;
	bool late;         /* some of the timeout has passed */
	bool counted;      /* among set->sleepers */
	bool foreign;      /* woken by what only another process can answer */
	struct interrupt in;
};

/* ---- what the kernel says ---- */

/* One event with our own data. True if it is to be reported. */
static bool translate_one(struct wait *w, struct epoll_event *ev, bool *ret_inner,
			  bool *ret_nested)
{
	struct xvmc_epreg *reg = epreg_of(ev->data.u64);

	if (!reg)
		return false;
	if (reg->kind == EPREG_INNER && reg->set == w->set)
		*ret_inner = true;
	if (reg->kind == EPREG_FOREIGN)
		w->foreign = true;
	if (reg->kind == EPREG_NESTED && reg->set == w->set)
		return *ret_nested = true;
	if (reg->kind != EPREG_ENDPOINT || reg->set != w->set)
		return false;
	if (reg->managed) {
		/* HUP or ERR of the TCP socket, or readiness from before it
		 * became MANAGED: either way, look. */
		epreg_heat(reg);
		return false;
	}
	if (reg->events & EPOLLONESHOT) {
		if (reg->fired)
			return false;
		reg->fired = true;
	}
	ev->data = reg->data;
	return true;
}

/* Of sets in this one, what is true; no lock held. */
static int translate_nested(struct wait *w, struct epoll_event *evs, int n)
{
	const struct xvmc_epolls *e = w->ctx->epolls;
	int k = 0;

	for (int i = 0; i < n; i++)
		if (!epreg_is_ours(e, evs[i].data.u64) ||
		    epset_nested_event(w->set, &evs[i]))
			evs[k++] = evs[i];
	return k;
}

/* Takes what is ours out of evs; returns how many are left. */
static int translate(struct wait *w, struct epoll_event *evs, int n)
{
	const struct xvmc_epolls *e = w->ctx->epolls;
	bool inner = false, nested = false;
	int i, k = 0;

	for (i = 0; i < n && !epreg_is_ours(e, evs[i].data.u64); i++)
		;
	if (i == n)
		return n;
	section_lock(&w->set->lock);
	for (i = 0; i < n; i++)
		if (!epreg_is_ours(e, evs[i].data.u64) ||
		    translate_one(w, &evs[i], &inner, &nested))
			evs[k++] = evs[i];
	section_unlock(&w->set->lock);
	if (inner)
		epset_harvest(w->set);
	return nested ? translate_nested(w, evs, k) : k;
}

/* With room for all that a wait may return: hot members alone may do for the
 * next ones. */
static void kernel_asked(struct xvmc_epset *set, uint64_t now)
{
	SET_HINT(set->since_kernel, 0);
	SET_HINT(set->kernel_ns, now);
}

/* A look without sleeping. A result of the kernel's, translated. */
static int kernel_look(struct wait *w, struct epoll_event *evs, int max)
{
	int n = os_epoll_pwait(w->epfd, evs, max, 0, NULL);

	SET_HINT(w->set->since_kernel, 0);
	return n > 0 ? translate(w, evs, n) : n;
}

static int ms_left(const struct timespec *left)
{
	if (!left)
		return -1;
	if (left->tv_sec >= INT32_MAX / 1000)
		return INT32_MAX;
	return (int)(left->tv_sec * 1000 + (left->tv_nsec + 999999) / 1000000);
}

/* Sleeps; the caller is counted as a sleeper. -errno, or translated. *ret_woken:
 * the kernel returned something, be it only ours. */
static int kernel_sleep(struct wait *w, bool *ret_woken)
{
	const struct timespec *left = w->timeout;
	const sigset_t *mask;
	struct timespec buf;
	int n = -1, saved = errno;

	if (w->late)
		left = deadline_left(w->deadline, &buf);
	w->late = true;
	if (!interrupt_sleep(&w->in, false))
		return -EINTR;
	mask = interrupt_mask(&w->in, w->sigmask);
	errno = ENOSYS;
	/* Milliseconds will do unless the caller counts finer. */
	if (w->timeout && w->timeout->tv_nsec % 1000000) {
		n = (int)OS6(SYS_epoll_pwait2, w->epfd, w->evs, w->max, left,
			     mask, _NSIG / 8);
		errno = n < 0 ? -n : 0;
	}
	if (n < 0 && errno == ENOSYS)
		n = w->ctx->libc.epoll_pwait(w->epfd, w->evs, w->max,
					     ms_left(left), mask);
	if (n < 0)
		n = -errno;
	interrupt_sleep_end(&w->in);
	errno = saved;
	*ret_woken = n > 0;
	if (n >= 0 && w->set)
		kernel_asked(w->set, os_now_ns());
	return n > 0 && w->set ? translate(w, w->evs, n) : n;
}

/* ---- waiting on a set with managed members ---- */

/* Does somebody else need to know what stays hot when we return? */
static bool shared(struct xvmc_epset *set)
{
	return atomic_load(&set->sleepers) || atomic_load(&set->watched);
}

/* The look at both worlds without sleeping. */
static int gather(struct wait *w)
{
	struct xvmc_epset *set = w->set;
	uint32_t as_of = atomic_load(&set->takeovers);
	bool others = shared(set);
	uint64_t now = os_now_ns();
	uint32_t waits = HINT(set->since_kernel) + 1;
	int room, got, n = 0;

	SET_HINT(set->since_kernel, waits);
	if (waits >= KERNEL_EVERY || HINT(set->filled) ||
	    now - HINT(set->kernel_ns) > KERNEL_NS) {
		/* The kernel's turn, with all the room that hot members do not
		 * need now; half of it is theirs if they do. */
		kernel_asked(set, now);
		section_lock(&set->lock);
		n = epset_count(set, w->max / 2);
		section_unlock(&set->lock);
		n = kernel_look(w, w->evs, w->max - n);
		if (n < 0)
			return n;
	}
	section_lock(&set->lock);
	room = w->max - n;
	got = epset_collect(set, as_of, w->evs + n, room, others);
	/* Who has room for few must not hear of the hot members alone. */
	SET_HINT(set->filled, room > 0 && got == room);
	n += got;
	if (n && others && set->nhot)
		epset_wake(set);
	section_unlock(&set->lock);
	return n;
}

static bool glance(struct xvmc_epset *set)
{
	bool hit = false;

	for (struct xvmc_list *it = set->managed.next; it != &set->managed;
	     it = it->next) {
		struct xvmc_epreg *reg =
			xvmc_list_entry(it, struct xvmc_epreg, set_link);
		short news = epreg_wants(reg);

		/* Of an edge-triggered member what was so already is no news: it
		 * need not have been drained. Level-triggered, what is so now
		 * was not so when the wait began. */
		if (reg->events & EPOLLET)
			news &= (short)~reg->last_bits;
		if (news && !reg->fired && xvmc_ep_glance_held(reg->ep, news)) {
			epreg_heat(reg);
			hit = true;
		}
	}
	return hit;
}

/* Waits a little, looking at few members. The lock is given up between two
 * batches of looks. Returns what came, 0 for nothing. */
static int spin(struct wait *w)
{
	struct xvmc_epset *set = w->set;
	uint64_t budget = spin_for(w->ctx, &set->spin);
	uint64_t start, now, kernel;
	bool rang = false;
	int n = 0;

	if (!budget || set->nmanaged > SPIN_MEMBERS)
		return 0;
	start = now = kernel = os_now_ns();
	if (w->deadline - start < budget)
		budget = w->deadline > start ? w->deadline - start : 0;
	w->late = true;
	while (n == 0 && !rang && now - start < budget) {
		int looks = (int)(SPIN_LOOKS / (set->nmanaged + 1)) + 1;

		section_lock(&set->lock);
		while (looks-- && n == 0) {
			if (glance(set))
				n = epset_collect(set, set->takeovers, w->evs, w->max, false);
			else
				spin_relax();
		}
		section_unlock(&set->lock);
		if (n == 0)
			spin_breathe(w->ctx);
		now = os_now_ns();
		if (n == 0 && now - kernel > SPIN_KERNEL_NS) {
			uint32_t hot = set->nhot;

			n = kernel_look(w, w->evs, w->max);
			kernel = now;
			rang = n == 0 && set->nhot > hot;
		}
	}
	spin_done(w->ctx, &set->spin, n > 0 || rang, start + budget);
	return n;
}

/* Arms every hot member for the last time and counts us as a sleeper.
 * Returns what has become ready meanwhile. */
static int arm_and_count(struct wait *w)
{
	struct xvmc_epset *set = w->set;
	int n;

	section_lock(&set->lock);
	/* Counted before the last look: pairs with epset_wake. */
	atomic_fetch_add(&set->sleepers, 1);
	w->counted = true;
	n = epset_collect(set, set->takeovers, w->evs, w->max, true);
	section_unlock(&set->lock);
	return n;
}

static void uncount(struct wait *w)
{
	if (w->counted)
		atomic_fetch_sub(&w->set->sleepers, 1);
	w->counted = false;
}

static void wait_end(void *arg)
{
	struct wait *w = arg;

	interrupt_sleep_end(&w->in);
	if (!w->set)
		return;
	uncount(w);
	xvmc_obj_put(w->ctx, &w->set->obj);
}

static bool is_zero(const struct timespec *ts)
{
	return ts && ts->tv_sec == 0 && ts->tv_nsec == 0;
}

/* What is left on the hot list is somebody else's, if there is anybody. */
static int leave(struct wait *w, int n)
{
	uncount(w);
	if (n > 0 && w->set->nhot && shared(w->set)) {
		section_lock(&w->set->lock);
		epset_wake(w->set);
		section_unlock(&w->set->lock);
	}
	return n;
}

/* A shared instance keeps telling us about another process's bells. */
static void nap(void)
{
	struct timespec ts = { 0, 1000000 };

	OS4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL);
}

/* Nothing was ready, and the caller does not want to wait (any longer). */
static int last_look(struct wait *w)
{
	struct xvmc_epset *set = w->set;
	int n = kernel_look(w, w->evs, w->max);

	if (n == 0) {
		section_lock(&set->lock);
		n = epset_collect(set, set->takeovers, w->evs, w->max, shared(set));
		section_unlock(&set->lock);
	}
	return leave(w, n);
}

/* -EAGAIN: woken for nothing, look again. */
static int wait_managed(struct wait *w)
{
	uint32_t as_of;
	bool woken;
	int n = gather(w);

	if (n)
		return n;
	if (is_zero(w->timeout) || (w->late && deadline_passed(w->deadline)))
		return last_look(w);
	n = spin(w);
	if (n)
		return leave(w, n);
	n = arm_and_count(w);
	if (n)
		return leave(w, n);
	as_of = atomic_load(&w->set->takeovers);
	n = kernel_sleep(w, &woken);
	uncount(w);
	if (n < 0 || !woken)
		return n;
	if (n == 0)
		return -EAGAIN;
	/* What room is left is for those whose bells rang. */
	section_lock(&w->set->lock);
	n += epset_collect(w->set, as_of, w->evs + n, w->max - n, false);
	section_unlock(&w->set->lock);
	return leave(w, n);
}

/* No member is managed: the kernel's call, and a scan. -EAGAIN: as above. */
static int wait_plain(struct wait *w)
{
	bool woken;
	int n;

	/* Counted before nmanaged is looked at: pairs with epreg_manage. */
	atomic_fetch_add(&w->set->sleepers, 1);
	w->counted = true;
	if (atomic_load(&w->set->nmanaged)) {
		uncount(w);
		return -EAGAIN;
	}
	n = kernel_sleep(w, &woken);
	uncount(w);
	return n == 0 && woken ? -EAGAIN : n;
}

static int wait_kernel(struct wait *w)
{
	bool woken;

	w->late = false;
	return kernel_sleep(w, &woken);
}

/* A member moved meanwhile, and may have been in neither look: both once more.
 * What was there before comes again, so one event is left of those that the
 * program cannot tell apart. */
static int look_again(struct wait *w, int n)
{
	struct xvmc_epset *set = w->set;
	int old = n, more = kernel_look(w, w->evs + n, w->max - n), i;

	if (more < 0)
		return n;
	section_lock(&set->lock);
	more += epset_collect(set, set->takeovers, w->evs + n + more,
			      w->max - n - more, shared(set));
	section_unlock(&set->lock);
	for (int k = old; k < old + more; k++) {
		for (i = 0; i < n && w->evs[i].data.u64 != w->evs[k].data.u64; i++)
			;
		if (i == n)
			w->evs[n++] = w->evs[k];
		else
			w->evs[i].events |= w->evs[k].events;
	}
	return leave(w, n);
}

static int wait_set(struct wait *w)
{
	uint32_t moves;
	int n;

	if (w->set->nsevered)
		epset_claim_severed(w->set);
	if (is_zero(w->timeout))
		w->deadline = 0;
	else
		w->deadline = deadline_of(w->timeout);
	do {
		moves = atomic_load(&w->set->moves);
		n = atomic_load(&w->set->nmanaged) ? wait_managed(w) :
						     wait_plain(w);
		if (n > 0 && n < w->max && atomic_load(&w->set->moves) != moves)
			n = look_again(w, n);
		if (n == -EAGAIN && w->foreign)
			nap();
		w->foreign = false;
	} while (n == -EAGAIN && !is_zero(w->timeout));
	return n == -EAGAIN ? 0 : n;
}

int xvmc_epoll_pwait(struct xvmc_ctx *ctx, int epfd, struct epoll_event *evs,
		     int max, const struct timespec *timeout,
		     const sigset_t *sigmask)
{
	struct xvmc_obj *obj = xvmc_fd_get(ctx, epfd);
	struct wait w = {
		.ctx = ctx, .epfd = epfd, .evs = evs, .max = max,
		.timeout = timeout, .sigmask = sigmask,
	};
	struct unwind u;
	int r;

	if (obj && obj->kind != XVMC_OBJ_EPSET) {
		xvmc_obj_put(ctx, obj);
		obj = NULL;
	}
	w.set = (struct xvmc_epset *)(void *)obj;
	interrupt_begin(&w.in);
	unwind_push(&u, wait_end, &w);
	if (!obj || max <= 0 || !evs || (timeout && !timespec_valid(timeout)))
		r = wait_kernel(&w);
	else
		r = wait_set(&w);
	unwind_pop(&u, 1);
	return r;
}
