/* SPDX-License-Identifier: MIT */
/*
 * fuzz-calls: poll, select, epoll. Timeouts are short, and what is ready at
 * once is found at once. Sets are nested two deep at most: docs/differences.md
 * says why not deeper. Edges together with one-shot are left out: in switch
 * mode an edge too many would use up the shot.
 */
#include "calls.h"

/* Whether a set with edges in it is readable depends on those without news. */
bool any_edge(int fd)
{
	return file_of(fd) && file_of(fd)->kind == K_EPOLL && w.edges;
}

static int some_ms(void)
{
	return chance(80) ? 0 : (int)below(8);
}

static void act_poll(void)
{
	struct pollfd p[5];
	unsigned int n = 1 + below(chance(50) ? 1 : 5);
	struct timespec ts = { 0 };
	int ms = some_ms(), r;
	bool with_p = chance(30);

	for (unsigned int i = 0; i < n; i++) {
		p[i].fd = chance(80) ? pick_mostly(K_TCP) : pick_any();
		p[i].events = chance(60) ? CONF_ALL : (short)(below(0x800) | below(2) << 13);
		p[i].revents = 0x55;
	}
	ts.tv_nsec = ms * 1000000;
	r = with_p ? ppoll(p, n, &ts, NULL) : poll(p, n, ms);
	for (unsigned int i = 0; r > 0 && i < n; i++)
		r -= p[i].revents && any_edge(p[i].fd);
	say_res(r, "poll(%u, %d)", n, ms);
	for (unsigned int i = 0; i < n; i++)
		conf_say("  %s, %#x: %s", name(p[i].fd), (unsigned int)p[i].events,
			 any_edge(p[i].fd) ? "?" : conf_bits((unsigned short)p[i].revents));
}

static void act_select(void)
{
	int fds[5], n = 1 + (int)below(5), max = 0, ms = some_ms(), r;
	struct timeval tv = { .tv_usec = ms * 1000 };
	struct timespec ts = { .tv_nsec = ms * 1000000 };
	fd_set sets[3];

	for (int s = 0; s < 3; s++)
		FD_ZERO(&sets[s]);
	for (int i = 0; i < n; i++) {
		/* A closed one makes the call say EBADF: not too often. */
		fds[i] = chance(95) ? pick_kind(chance(80) && alive(K_TCP) ? K_TCP : K_NONE) :
				      pick_any();
		if (fds[i] < 0 || fds[i] >= FD_SETSIZE || any_edge(fds[i]))
			fds[i] = 0;
		for (int s = 0; s < 3; s++)
			if (chance(60))
				FD_SET(fds[i], &sets[s]);
		max = fds[i] > max ? fds[i] : max;
	}
	if (chance(3))
		max = -2;
	if (chance(40))
		r = pselect(max + 1, &sets[0], &sets[1], &sets[2], &ts, NULL);
	else
		r = select(max + 1, &sets[0], &sets[1], &sets[2], &tv);
	say_res(r, "select(%d, %d)", n, ms);
	for (int i = 0; r >= 0 && i < n; i++)
		conf_say("  %s: %d %d %d", name(fds[i]), FD_ISSET(fds[i], &sets[0]) != 0,
			 FD_ISSET(fds[i], &sets[1]) != 0, FD_ISSET(fds[i], &sets[2]) != 0);
}

/* ---- epoll ---- */

static uint32_t some_events(int op)
{
	uint32_t ev = 0;

	ev |= chance(80) ? EPOLLIN : 0;
	ev |= chance(50) ? EPOLLOUT : 0;
	ev |= chance(40) ? EPOLLRDHUP : 0;
	ev |= chance(10) ? EPOLLPRI | EPOLLRDNORM | EPOLLWRNORM : 0;
	if (chance(35))
		ev |= EPOLLET;
	else if (chance(25))
		ev |= EPOLLONESHOT;
	else if (op == EPOLL_CTL_ADD && chance(5))
		ev |= EPOLLEXCLUSIVE;
	return ev;
}

/* Not more than two deep. */
static bool may_hold(int epfd, int fd)
{
	struct file *set = file_of(epfd), *f = file_of(fd);

	if (!set || !f || set->kind != K_EPOLL || f->kind != K_EPOLL || set == f)
		return true;
	return set->level == 0 && f->level == 1;
}

static void act_epoll_ctl(void)
{
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD,
				   EPOLL_CTL_MOD, EPOLL_CTL_DEL };
	int epfd = chance(95) ? pick_kind(K_EPOLL) : pick_any();
	int fd = chance(80) ? pick_mostly(K_TCP) : pick_any();
	int op = chance(98) ? ops[below(6)] : (int)below(20);
	struct epoll_event ev = { .events = some_events(op), .data.u64 = (uint64_t)w.at };
	bool nowhere = chance(1);
	int r;

	if (!may_hold(epfd, fd))
		return;
	r = epoll_ctl(epfd, op, fd, nowhere ? NULL : &ev);
	say_res(r, "epoll_ctl(%s, %d, %s, %s%s%s%s)%s", name(epfd), op, name(fd),
		conf_bits(ev.events & 0xffff), ev.events & EPOLLET ? "|ET" : "",
		ev.events & EPOLLONESHOT ? "|ONESHOT" : "",
		ev.events & EPOLLEXCLUSIVE ? "|EXCLUSIVE" : "", nowhere ? " NULL" : "");
	if (r < 0)
		return;
	w.regs[w.at] = (struct reg){ .fd = fd, .file = file_of(fd), .edge = ev.events & EPOLLET };
	w.edges |= w.regs[w.at].edge;
	if (file_of(fd))
		file_of(fd)->ever[fd] = true;
}

/*
 * How an event is said. An edge is news if it has a bit that was not reported
 * since the registration was made, or there are bytes of which some have come
 * since, or a send has found no room: '!'. The kernel reports some without news, too, whenever
 * anything wakes the socket (bytes that were read meanwhile, a shutdown of our
 * own): '?'. And where a connection is switched or has left its ring an edge
 * too many is allowed: '~'. fuzz-calls.sh lets these two come and go.
 */
static char mark(struct reg *reg, uint32_t events)
{
	struct file *f = reg->file;
	uint64_t came = f && f->kind == K_TCP ? w.conns[f->conn].sent[!f->end] : 0;
	bool news = (events & ~reg->told) != 0 || (events & EPOLLIN && came != reg->came);

	if (f && f->kind == K_EPOLL && w.edges)
		return '?';
	if (!reg->edge)
		return ' ';
	if (!news)
		return '?';
	reg->told |= events;
	if (events & EPOLLIN)
		reg->came = came;
	return w.switches || (w.rings && (file_of(reg->fd) != f || !conf_on_ring(reg->fd))) ?
		       '~' : '!';
}

static int by_data(const void *a, const void *b)
{
	const struct epoll_event *x = a, *y = b;

	return (x->data.u64 > y->data.u64) - (x->data.u64 < y->data.u64);
}

static void act_epoll_wait(void)
{
	struct epoll_event evs[64];
	int epfd = chance(95) ? pick_kind(K_EPOLL) : pick_any(), ms = some_ms(), r, level = 0;
	int max = chance(97) ? 64 : (int)below(2) - 1;
	struct timespec ts = { .tv_nsec = ms * 1000000 };
	char marks[64];

	/* What is ready at the same instant may be reported by two waits. */
	conf_ms(1);
	switch (below(3)) {
	case 0:
		r = epoll_pwait2(epfd, evs, max, &ts, NULL);
		break;
	case 1:
		r = epoll_pwait(epfd, evs, max, ms, NULL);
		break;
	default:
		r = epoll_wait(epfd, evs, max, ms);
	}
	qsort(evs, r > 0 ? (size_t)r : 0, sizeof(evs[0]), by_data);
	for (int i = 0; i < r; i++) {
		if (evs[i].data.u64 >= CALLS)
			conf_die("an event of nobody's");
		marks[i] = mark(&w.regs[evs[i].data.u64], evs[i].events);
		level += marks[i] == ' ';
	}
	say_res(r < 0 ? r : level, "epoll_wait(%s, %d, %d)", name(epfd), max, ms);
	for (int i = 0; i < r; i++)
		conf_say("%c %d: %s", marks[i], (int)evs[i].data.u64, conf_bits(evs[i].events));
}

const struct action wait_actions[] = {
	{ 14, act_poll },
	{ 6, act_select },
	{ 12, act_epoll_ctl },
	{ 14, act_epoll_wait },
	{ 0, NULL },
};
