/* SPDX-License-Identifier: MIT */
/*
 * fuzz-calls: how descriptors come and go, what is asked of them and set.
 * TCP_NODELAY stays on, and buffers stay large: when Nagle's bytes go and how
 * many fit is not what is asked here.
 */
#include <linux/sockios.h>
#include <sys/eventfd.h>

#include "calls.h"

/* libc has them, its headers do not. */
int __connect(int fd, const struct sockaddr *sa, socklen_t len);
int __close(int fd);
int __dup2(int from, int to);
int __fcntl(int fd, int cmd, ...);

/* ---- coming ---- */

static void act_socket(void)
{
	int flags = (chance(50) ? SOCK_NONBLOCK : 0) | (chance(50) ? SOCK_CLOEXEC : 0);
	int fd, type = SOCK_STREAM | flags;
	struct timeval tv = { .tv_usec = 20000 };

	if (chance(5)) {
		say_res(socket(AF_INET, 99, 0), "socket(bad)");
		return;
	}
	if (crowded())
		return;
	fd = socket(AF_INET, type, 0);
	say_res(fd < 0 ? fd : 0, "socket");
	fd = number_new(fd, file_new(K_FRESH));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static void act_bind(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = pick_mostly(K_FRESH), r;
	socklen_t len = chance(90) ? sizeof(sa) : below(20);

	if (file_of(fd) && file_of(fd)->kind == K_UNIX)
		return;
	r = bind(fd, (struct sockaddr *)&sa, len);
	if (r == 0 && file_of(fd))
		file_of(fd)->bound = true;
	say_res(r, "bind(%s, %d)", name(fd), (int)len);
}

static void act_listen(void)
{
	int fd = pick_mostly(K_FRESH), r;

	r = listen(fd, 16);
	say_res(r, "listen(%s)", name(fd));
	if (r == 0 && file_of(fd) && file_of(fd)->kind == K_FRESH)
		file_of(fd)->kind = K_LISTEN;
}

static void connected(int fd, struct file *lf)
{
	int one = 1;

	file_of(fd)->kind = K_TCP;
	file_of(fd)->conn = w.nconns;
	file_of(fd)->end = 0;
	w.conns[w.nconns++] = (struct conn){ .file = { w.num[fd], -1 } };
	lf->queue[lf->queued++] = w.num[fd];
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void act_connect(void)
{
	int fd = chance(80) ? pick_kind(K_FRESH) : pick_mostly(K_TCP), lfd = pick_kind(K_LISTEN), r;
	struct file *f = file_of(fd), *lf = file_of(lfd);
	struct sockaddr_in sa = w.closed_port;
	socklen_t len = sizeof(sa);
	bool there = lf && lf->queued < 8 && chance(80);

	if (crowded() || (f && f->kind != K_FRESH && f->kind != K_TCP && f->kind != K_LISTEN))
		return;
	if (there && getsockname(lfd, (struct sockaddr *)&sa, &len) < 0)
		conf_die("getsockname");
	len = chance(95) ? sizeof(sa) : below(16);
	r = chance(80) ? connect(fd, (struct sockaddr *)&sa, len) :
			 __connect(fd, (struct sockaddr *)&sa, len);
	if (there && f && f->kind == K_FRESH && (r == 0 || errno == EINPROGRESS)) {
		say_res(r, "connect(%s, %s)", name(fd), name(lfd));
		connected(fd, lf);
		return;
	}
	say_res(r, "connect(%s, %s)", name(fd), there ? name(lfd) : "nobody");
	/* The refusal has come, if it was not waited for. */
	if (f && r < 0 && errno == EINPROGRESS)
		conf_ms(1);
}

static void act_accept(void)
{
	int lfd = chance(90) ? pick_kind(K_LISTEN) : pick_any(), fd;
	struct file *lf = file_of(lfd);
	struct sockaddr_storage sa = { .ss_family = 77 };
	socklen_t len = sizeof(sa);
	int flags = chance(50) ? SOCK_NONBLOCK : 0, one = 1, mine;
	struct timeval tv = { .tv_usec = 20000 };
	struct file *peer;

	if (crowded())
		return;
	fd = chance(50) ? accept4(lfd, (struct sockaddr *)&sa, &len, flags) : accept(lfd, NULL, NULL);
	say_res(fd < 0 ? fd : 0, "accept(%s)", name(lfd));
	if (fd < 0)
		return;
	mine = file_new(K_TCP);
	if (!lf || !lf->queued)
		conf_die("accepted what never connected");
	peer = &w.files[lf->queue[0]];
	memmove(lf->queue, lf->queue + 1, sizeof(lf->queue) - sizeof(lf->queue[0]));
	lf->queued--;
	w.files[mine].conn = peer->conn;
	w.files[mine].end = 1;
	fd = number_new(fd, mine);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	w.conns[peer->conn].file[1] = mine;
}

static void act_pair(void)
{
	if (!crowded() && (alive(K_TCP) < 4 || chance(20)))
		pair_new(chance(80) && !w.confined);
}

static void act_other(void)
{
	int fd;

	if (crowded())
		return;
	if (chance(50)) {
		fd = eventfd(0, EFD_NONBLOCK);
		say_res(fd < 0 ? fd : 0, "eventfd");
		number_new(fd, file_new(K_EVENT));
	} else {
		fd = chance(50) ? epoll_create1(0) : epoll_create((int)below(3));
		say_res(fd < 0 ? fd : 0, "epoll_create");
		if (fd < 0)
			return;
		number_new(fd, file_new(K_EPOLL));
		w.files[w.nfiles - 1].level = (int)below(2);
	}
}

/* ---- going, and going twice ---- */

static void act_close(void)
{
	int fd = chance(60) ? pick_mostly(K_TCP) : pick_any(), r;
	const char *what;

	/* Of the library's own: none of ours. */
	if (chance(5))
		fd = 8192 + (int)below(60);
	what = name(fd);
	r = chance(80) ? close(fd) : __close(fd);
	say_res(r, "close(%s)", what);
	if (r == 0)
		number_gone(fd);
}

static void act_dup(void)
{
	int fd = pick_mostly(K_TCP), from = (int)below(60), r;

	if (crowded())
		return;
	if (chance(50)) {
		if (comes_back(fd, lowest(3)))
			return;
		r = dup(fd);
		say_res(r < 0 ? r : 0, "dup(%s)", name(fd));
		if (r >= 0)
			number_new(r, (int)(file_of(fd) - w.files));
		return;
	}
	from = from < 3 ? 3 : from;
	if (comes_back(fd, lowest(from)))
		return;
	r = fcntl(fd, chance(50) ? F_DUPFD : F_DUPFD_CLOEXEC, from);
	say_res(r < 0 ? r : 0, "F_DUPFD(%s, %d)", name(fd), from);
	if (r >= 0)
		number_set(r, (int)(file_of(fd) - w.files));
}

static void act_dup2(void)
{
	int fd = pick_mostly(K_TCP), as = chance(80) ? 3 + (int)below(60) : pick_any(), r;
	bool three = chance(40);
	const char *onto;

	if (chance(5))
		as = 8192 + (int)below(60);
	if ((as < 3 || as >= NUMBERS - 20) && !(as < 0 || (as >= 8192 && !file_of(fd))))
		return;
	if (crowded() || comes_back(fd, as))
		return;
	onto = name(as);
	r = three ? dup3(fd, as, chance(50) ? O_CLOEXEC : 0) : chance(70) ? dup2(fd, as) : __dup2(fd, as);
	say_res(r, "dup%d(%s, %s)", three ? 3 : 2, name(fd), onto);
	if (r >= 0 && r != fd)
		number_set(r, (int)(file_of(fd) - w.files));
}

static void act_shutdown(void)
{
	int fd = pick_mostly(K_TCP), how = chance(70) ? SHUT_WR : (int)below(5) - 1, r;

	if (file_of(fd) && file_of(fd)->kind == K_LISTEN)
		return;
	r = shutdown(fd, how);
	say_res(r, "shutdown(%s, %d)", name(fd), how);
}

/* ---- asking and setting ---- */

static void act_fcntl(void)
{
	int fd = pick_mostly(K_TCP), flags;
	struct file *f = file_of(fd);
	bool on = chance(50);

	switch (below(6)) {
	case 5: /* nobody is set to hear of it */
		flags = fcntl(fd, F_GETFL);
		if (!chance(10) || flags < 0 || !f || f->kind != K_TCP)
			return;
		say_res(fcntl(fd, F_SETFL, flags ^ O_ASYNC), "F_SETFL(%s, O_ASYNC)", name(fd));
		break;
	case 0:
		say_res(chance(50) ? fcntl(fd, F_GETFD) : __fcntl(fd, F_GETFD), "F_GETFD(%s)", name(fd));
		break;
	case 1:
		say_res(fcntl(fd, 4711), "F_4711(%s)", name(fd));
		break;
	case 2:
		say_res(fcntl(fd, F_GETFL), "F_GETFL(%s)", name(fd));
		break;
	default:
		flags = fcntl(fd, F_GETFL);
		if (flags >= 0 && f && f->kind != K_TCP)
			return;
		flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
		say_res(fcntl(fd, F_SETFL, flags), "F_SETFL(%s, %d)", name(fd), on);
	}
}

static void act_ioctl(void)
{
	int fd = pick_mostly(K_TCP), n = -1, r;
	struct file *f = file_of(fd);

	switch (below(6)) {
	case 0:
		/* How many: until TCP's acknowledgement has come, nobody knows. */
		say_res(ioctl(fd, SIOCOUTQ, &n), "SIOCOUTQ(%s)", name(fd));
		break;
	case 1:
		say_res(ioctl(fd, SIOCATMARK, &n), "SIOCATMARK(%s)", name(fd));
		break;
	case 2:
		if (f && f->kind != K_TCP)
			return;
		n = chance(50);
		say_res(ioctl(fd, FIONBIO, &n), "FIONBIO(%s, %d)", name(fd), n);
		break;
	default:
		r = ioctl(fd, FIONREAD, &n);
		say_res(r, "FIONREAD(%s)", name(fd));
		conf_say("  %d", n);
	}
}

static void act_getsockopt(void)
{
	static const struct {
		int level, name;
		const char *text;
	} opts[] = {
		{ SOL_SOCKET, SO_ERROR, "SO_ERROR" },
		{ SOL_SOCKET, SO_ERROR, "SO_ERROR" },
		{ SOL_SOCKET, SO_ERROR, "SO_ERROR" },
		{ SOL_SOCKET, SO_TYPE, "SO_TYPE" },
		{ SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN" },
		{ SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT" },
		{ SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE" },
		{ IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY" },
		{ IPPROTO_TCP, 4711, "TCP_4711" },
		{ 4711, 1, "4711" },
	};
	int fd = pick_mostly(K_TCP), value = -1, r;
	uint32_t i = below(sizeof(opts) / sizeof(opts[0]));
	socklen_t len = chance(90) ? sizeof(value) : below(4);

	r = getsockopt(fd, opts[i].level, opts[i].name, &value, &len);
	say_res(r, "getsockopt(%s, %s)", name(fd), opts[i].text);
	conf_say("  %#x, length %d", (unsigned int)value, (int)len);
}

static void act_setsockopt(void)
{
	int fd = pick_mostly(K_TCP), value = 1, level = SOL_SOCKET, opt, r;
	struct timeval tv = { .tv_usec = 1000 * (1 + (int)below(20)) };
	struct linger linger = { .l_onoff = chance(60) };
	const void *p = &value;
	socklen_t len = sizeof(value);

	switch (below(9)) {
	case 0:
		opt = SO_RCVTIMEO;
		p = &tv, len = sizeof(tv);
		break;
	case 1:
		opt = SO_SNDTIMEO;
		p = &tv, len = sizeof(tv);
		break;
	case 2:
	case 3:
		opt = SO_LINGER;
		p = &linger, len = sizeof(linger);
		break;
	case 4:
	case 5:
		opt = SO_RCVLOWAT;
		value = chance(50) ? 1 : (int)below(300);
		break;
	case 6:
		opt = SO_KEEPALIVE;
		break;
	case 7:
		level = IPPROTO_TCP;
		opt = chance(50) ? TCP_QUICKACK : 4711;
		break;
	default:
		opt = chance(50) ? SO_OOBINLINE : 4711;
	}
	if (chance(4))
		len = 2;
	r = setsockopt(fd, level, opt, p, len);
	say_res(r, "setsockopt(%s, %d, %d, %d)", name(fd), level, opt,
		p == &value ? value : opt == SO_LINGER ? linger.l_onoff :
							 -1);
}

static void act_names(void)
{
	struct sockaddr_storage sa = { .ss_family = 77 };
	socklen_t len = chance(80) ? sizeof(sa) : below(20);
	int fd = pick_mostly(K_TCP), r;
	bool own = chance(50);

	r = own ? getsockname(fd, (struct sockaddr *)&sa, &len) :
		  getpeername(fd, (struct sockaddr *)&sa, &len);
	say_res(r, "get%sname(%s)", own ? "sock" : "peer", name(fd));
	conf_say("  family %d length %d", sa.ss_family, (int)len);
}

const struct action life_actions[] = {
	{ 2, act_socket },
	{ 1, act_bind },
	{ 1, act_listen },
	{ 3, act_connect },
	{ 3, act_accept },
	{ 4, act_pair },
	{ 1, act_other },
	{ 4, act_close },
	{ 4, act_dup },
	{ 4, act_dup2 },
	{ 3, act_shutdown },
	{ 5, act_fcntl },
	{ 5, act_ioctl },
	{ 4, act_getsockopt },
	{ 4, act_setsockopt },
	{ 2, act_names },
	{ 0, NULL },
};
