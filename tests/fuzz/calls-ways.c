/* SPDX-License-Identifier: MIT */
/*
 * fuzz-calls: the same calls by their other names and other ways to the same
 * bytes: libc's second names, the fortified ones, system calls by number,
 * stdio, asynchronous input and output, bytes held back and bytes out of line.
 * What sends a connection to TCP for good is rare, or no script would see much
 * of rings.
 */
#include <aio.h>
#include <sys/syscall.h>

#include "calls.h"

/* libc has them, its headers do not. */
ssize_t __read(int fd, void *buf, size_t n);
ssize_t __write(int fd, const void *buf, size_t n);
ssize_t __send(int fd, const void *buf, size_t n, int flags);
int __poll(struct pollfd *fds, nfds_t n, int ms);
int __select(int n, fd_set *rd, fd_set *wr, fd_set *ex, struct timeval *tv);
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
		       struct sockaddr *sa, socklen_t *len);
int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts,
		const sigset_t *mask, size_t room);
int __dprintf_chk(int fd, int flag, const char *fmt, ...);

static void act_read_ways(void)
{
	static const char *const names[] = { "__read", "__read_chk", "__recv_chk", "__recvfrom_chk",
					     "preadv64v2", "SYS_read", "SYS_recvfrom", "SYS_readv" };
	int fd = pick_mostly(K_TCP);
	size_t n = recv_length(fd);
	struct iovec vec = { w.buf, n };
	uint32_t way = below(8);
	long r;

	switch (way) {
	case 0:
		r = __read(fd, w.buf, n);
		break;
	case 1:
		r = __read_chk(fd, w.buf, n, BUFFER);
		break;
	case 2:
		r = __recv_chk(fd, w.buf, n, BUFFER, 0);
		break;
	case 3:
		r = __recvfrom_chk(fd, w.buf, n, BUFFER, 0, NULL, NULL);
		break;
	case 4:
		r = preadv64v2(fd, &vec, 1, -1, 0);
		break;
	case 5:
		r = syscall(SYS_read, fd, w.buf, n);
		break;
	case 6:
		r = syscall(SYS_recvfrom, fd, w.buf, n, MSG_DONTWAIT, NULL, NULL);
		break;
	default:
		r = syscall(SYS_readv, fd, &vec, 1);
	}
	say_got(fd, r, n, 0, names[way]);
}

static void act_write_ways(void)
{
	static const char *const names[] = { "__write", "__send", "pwritev64v2", "SYS_write",
					     "SYS_sendto", "SYS_writev" };
	int fd = pick_mostly(K_TCP);
	size_t n = send_length(fd);
	struct iovec vec = { w.buf, n };
	uint32_t way = below(6);
	long r;

	put(w.buf, n);
	switch (way) {
	case 0:
		r = __write(fd, w.buf, n);
		break;
	case 1:
		r = __send(fd, w.buf, n, MSG_NOSIGNAL);
		break;
	case 2:
		r = pwritev64v2(fd, &vec, 1, -1, 0);
		break;
	case 3:
		r = syscall(SYS_write, fd, w.buf, n);
		break;
	case 4:
		r = syscall(SYS_sendto, fd, w.buf, n, MSG_NOSIGNAL, NULL, 0);
		break;
	default:
		r = syscall(SYS_writev, fd, &vec, 1);
	}
	sent(fd, r);
	say_res(r, "%s(%s, %zu)", names[way], name(fd), n);
}

/* Of one descriptor. */
static void act_wait_ways(void)
{
	static const char *const names[] = { "__poll", "__poll_chk", "__ppoll_chk", "SYS_ppoll",
					     "__select" };
	int fd = pick_mostly(K_TCP), r;
	struct pollfd p = { .fd = fd, .events = CONF_ALL, .revents = 0x55 };
	struct timeval tv = { 0 };
	struct timespec ts = { 0 };
	uint32_t way = below(5);
	fd_set rd, wr;

	if (any_edge(fd))
		return;
	switch (way) {
	case 0:
		r = __poll(&p, 1, 0);
		break;
	case 1:
		r = __poll_chk(&p, 1, 0, sizeof(p));
		break;
	case 2:
		r = __ppoll_chk(&p, 1, &ts, NULL, sizeof(p));
		break;
	case 3:
		r = (int)syscall(SYS_ppoll, &p, 1, &ts, NULL, 8);
		break;
	default:
		if (fd < 0 || fd >= FD_SETSIZE)
			return;
		FD_ZERO(&rd);
		FD_SET(fd, &rd);
		wr = rd;
		r = __select(fd + 1, &rd, &wr, NULL, &tv);
		p.revents = r < 0 ? 0 : (short)((FD_ISSET(fd, &rd) ? POLLIN : 0) |
						(FD_ISSET(fd, &wr) ? POLLOUT : 0));
	}
	say_res(r, "%s(%s): %s", names[way], name(fd), conf_bits((unsigned short)p.revents));
}

/* Bytes that TCP may hold back, and at once what lets go of them: when it would
 * by itself is up to its timers. */
static void act_held_back(void)
{
	int fd = pick_kind(K_TCP), on = 1, off = 0, r;
	size_t n = send_length(fd) / 2, more = send_length(fd) / 2;
	bool cork = chance(50);

	/* The reset that the first is answered by may come after the second. */
	if (fd < 0 || !more || peer_of(fd) < 0)
		return;
	put(w.buf, n + more);
	if (cork)
		say_res(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)), "cork(%s)", name(fd));
	r = (int)send(fd, w.buf, n, MSG_NOSIGNAL | (cork ? 0 : MSG_MORE));
	sent(fd, r);
	say_res(r, "send(%s, %zu, %s)", name(fd), n, cork ? "corked" : "MORE");
	r = (int)send(fd, w.buf + n, more, MSG_NOSIGNAL | MSG_DONTWAIT);
	sent(fd, r);
	say_res(r, "send(%s, %zu)", name(fd), more);
	if (cork)
		say_res(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off)), "uncork(%s)", name(fd));
}

/* ---- to TCP for good ---- */

/* An urgent byte, by itself, which is read, and read past, at once: it is in no
 * count of what is on the way. */
static void act_urgent(void)
{
	int fd = pick_kind(K_TCP), peer = peer_of(fd), in_line = 0, r;
	struct pollfd p = { .fd = peer, .events = POLLPRI };
	socklen_t len = sizeof(in_line);
	char byte = '!';

	if (peer < 0 || on_the_way(fd, false) || w.conns[file_of(fd)->conn].unsure || !chance(10))
		return;
	if (getsockopt(peer, SOL_SOCKET, SO_OOBINLINE, &in_line, &len) < 0)
		conf_die("SO_OOBINLINE");
	r = (int)send(fd, &byte, 1, MSG_OOB | MSG_NOSIGNAL);
	say_res(r, "send(%s, OOB)", name(fd));
	if (r == 1)
		w.raw_poll(&p, 1, 300);
	r = (int)recv(peer, &byte, 1, MSG_OOB | MSG_DONTWAIT);
	say_res(r, "recv(%s, OOB) %c, in line %d", name(peer), byte, in_line);
	r = (int)recv(peer, w.buf, 1, MSG_DONTWAIT);
	say_res(r, "recv(%s) behind it", name(peer));
}

static void act_dprintf(void)
{
	int fd = pick_mostly(K_TCP), r;
	size_t n = send_length(fd) % 500;

	if (!chance(20))
		return;
	memset(w.buf, 'p', n);
	w.buf[n] = '\0';
	r = chance(50) ? dprintf(fd, "%s", (char *)w.buf) : __dprintf_chk(fd, 1, "%s", (char *)w.buf);
	sent(fd, r);
	say_res(r, "dprintf(%s, %zu)", name(fd), n);
}

/* Writes, and closes the number. */
static void act_fdopen(void)
{
	int fd = pick_kind(K_TCP), r, ended;
	size_t n = send_length(fd) % 500;
	bool read_too = chance(50);
	FILE *f;

	if (!chance(20) || fd < 0)
		return;
	f = fdopen(fd, read_too ? "r+" : "w");
	if (!f)
		conf_die("fdopen");
	memset(w.buf, 'f', n);
	setvbuf(f, NULL, _IOFBF, 4096);
	r = (int)fwrite(w.buf, 1, n, f);
	ended = fflush(f);
	sent(fd, ended == 0 ? r : 0);
	say_res(r, "fdopen(%s), %zu", name(fd), n);
	ended = fclose(f);
	number_gone(fd);
	say_res(ended, "fclose");
}

static void await(const struct aiocb *cb)
{
	while (aio_error(cb) == EINPROGRESS)
		aio_suspend(&cb, 1, NULL);
}

static void act_aio(void)
{
	/* They outlive the call, should it fail half way. */
	static struct aiocb cb;
	struct aiocb *list[1] = { &cb };
	int fd = pick_mostly(K_TCP), r;
	bool out = chance(50), by_list = chance(30);
	size_t n = out ? send_length(fd) : recv_length(fd);
	long moved;

	if (!chance(20) || any_edge(fd))
		return;
	w.threads = true;
	put(w.buf, n);
	memset(&cb, 0, sizeof(cb));
	cb.aio_fildes = fd;
	cb.aio_buf = w.buf;
	cb.aio_nbytes = n;
	cb.aio_lio_opcode = out ? LIO_WRITE : LIO_READ;
	cb.aio_sigevent.sigev_notify = SIGEV_NONE;
	r = by_list ? lio_listio(LIO_NOWAIT, list, 1, NULL) : out ? aio_write(&cb) : aio_read(&cb);
	if (r < 0) {
		say_res(r, "aio(%s)", name(fd));
		return;
	}
	await(&cb);
	errno = aio_error(&cb);
	moved = aio_return(&cb);
	if (!out) {
		say_got(fd, moved, n, 0, "aio_read");
		return;
	}
	sent(fd, moved);
	say_res(moved, "aio_write(%s, %zu)", name(fd), n);
}

const struct action ways_actions[] = {
	{ 8, act_read_ways },
	{ 6, act_write_ways },
	{ 3, act_wait_ways },
	{ 2, act_held_back },
	{ 1, act_urgent },
	{ 1, act_dprintf },
	{ 1, act_fdopen },
	{ 1, act_aio },
	{ 0, NULL },
};
