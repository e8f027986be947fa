/* SPDX-License-Identifier: MIT */
/*
 * fuzz-calls: the calls that move bytes. How many are on the way is bounded,
 * so that plain TCP always has room for all of them and what it says does not
 * depend on the sizes of its buffers; act_stuff is the exception.
 */
#include <sys/sendfile.h>

#include "calls.h"

/* ---- one buffer ---- */

static void act_send(void)
{
	int fd = pick_stream(), flags = send_flags();
	size_t n = send_length(fd);
	long r;

	put(w.buf, n);
	r = chance(50) ? send(fd, w.buf, n, flags) : sendto(fd, w.buf, n, flags, NULL, 0);
	sent(fd, r);
	say_res(r, "send(%s, %zu, %s)", name(fd), n, flags_text(flags));
}

static void act_write(void)
{
	int fd = pick_stream();
	size_t n = send_length(fd);
	long r;

	put(w.buf, n);
	r = write(fd, w.buf, n);
	sent(fd, r);
	say_res(r, "write(%s, %zu)", name(fd), n);
}

static void act_recv(void)
{
	int fd = pick_stream(), flags = recv_flags();
	size_t n = recv_length(fd);
	long r;

	r = recv(fd, w.buf, n, flags);
	say_got(fd, r, n, flags, "recv");
}

static void act_recvfrom(void)
{
	int fd = pick_stream(), flags = recv_flags();
	struct sockaddr_storage sa = { .ss_family = 77 };
	socklen_t len = chance(80) ? sizeof(sa) : below(20);
	size_t n = recv_length(fd);
	long r;

	r = recvfrom(fd, w.buf, n, flags, (struct sockaddr *)&sa, &len);

	say_got(fd, r, n, flags, "recvfrom");
	if (r >= 0)
		conf_say("  family %d length %d", sa.ss_family, (int)len);
}

static void act_read(void)
{
	int fd = pick_stream();
	size_t n = recv_length(fd);
	long r;

	r = read(fd, w.buf, n);

	say_got(fd, r, n, 0, "read");
}

/* ---- several buffers ---- */

/* Cuts n bytes of w.buf into pieces, some of them empty. */
static int cut(struct iovec *vec, int most, size_t n)
{
	int cnt = 1 + (int)below((uint32_t)most);
	uint8_t *p = w.buf;

	for (int i = 0; i < cnt; i++) {
		size_t one = i == cnt - 1 ? n : below((uint32_t)n + 1);

		vec[i] = (struct iovec){ p, one };
		p += one;
		n -= one;
	}
	return cnt;
}

static void act_writev(void)
{
	int fd = pick_stream();
	size_t n = send_length(fd);
	struct iovec vec[6];
	long r;

	put(w.buf, n);
	r = chance(70) ? writev(fd, vec, cut(vec, 6, n)) :
			 pwritev2(fd, vec, cut(vec, 6, n), -1, chance(50) ? RWF_NOWAIT : 0);
	sent(fd, r);
	say_res(r, "writev(%s, %zu)", name(fd), n);
}

static void act_readv(void)
{
	int fd = pick_stream();
	size_t n = recv_length(fd);
	struct iovec vec[6];
	long r;

	r = chance(70) ? readv(fd, vec, cut(vec, 6, n)) :
			 preadv2(fd, vec, cut(vec, 6, n), -1, chance(50) ? RWF_NOWAIT : 0);

	say_got(fd, r, n, 0, "readv");
}

static void act_sendmsg(void)
{
	int fd = pick_stream(), flags = send_flags();
	size_t n = send_length(fd);
	struct iovec vec[6];
	struct msghdr msg = { .msg_iov = vec, .msg_iovlen = (size_t)cut(vec, 6, n) };
	struct sockaddr_in sa = w.closed_port;
	char junk[64] = "";
	long r;

	if (chance(5)) {
		msg.msg_name = &sa;
		msg.msg_namelen = sizeof(sa);
	}
	if (chance(5)) {
		msg.msg_control = junk;
		msg.msg_controllen = below(64);
	}
	put(w.buf, n);
	r = sendmsg(fd, &msg, flags);
	sent(fd, r);
	say_res(r, "sendmsg(%s, %zu, %s%s%s)", name(fd), n, flags_text(flags),
		msg.msg_name ? ", name" : "", msg.msg_control ? ", control" : "");
}

static void act_recvmsg(void)
{
	int fd = pick_stream(), flags = recv_flags();
	size_t n = recv_length(fd);
	struct iovec vec[6];
	struct sockaddr_storage sa = { .ss_family = 77 };
	char control[100];
	struct msghdr msg = { .msg_iov = vec, .msg_iovlen = (size_t)cut(vec, 6, n) };
	long r;

	if (chance(30)) {
		msg.msg_name = &sa;
		msg.msg_namelen = chance(50) ? sizeof(sa) : below(20);
	}
	if (chance(30)) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
	}
	msg.msg_flags = 0x1234;
	r = recvmsg(fd, &msg, flags);
	say_got(fd, r, n, flags, "recvmsg");
	if (r >= 0)
		conf_say("  family %d length %d control %zu flags %#x", sa.ss_family,
			 (int)msg.msg_namelen, (size_t)msg.msg_controllen, (unsigned int)msg.msg_flags);
}

static void act_sendmmsg(void)
{
	int fd = pick_stream(), flags = send_flags(), cnt = 1 + (int)below(3), r;
	struct mmsghdr msgs[3] = { 0 };
	struct iovec vec[3];
	struct file *f = file_of(fd);

	/* The reset that the first is answered by may come after the second. */
	if (f && f->kind == K_TCP && w.conns[f->conn].file[!f->end] < 0)
		return;
	for (int i = 0; i < cnt; i++) {
		vec[i] = (struct iovec){ w.buf, send_length(fd) / 3 };
		msgs[i].msg_hdr.msg_iov = &vec[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	put(w.buf, BUDGET);
	r = sendmmsg(fd, msgs, (unsigned int)cnt, flags);
	for (int i = 0; i < r; i++)
		sent(fd, msgs[i].msg_len);
	say_res(r, "sendmmsg(%s, %d, %s)", name(fd), cnt, flags_text(flags));
	for (int i = 0; i < r; i++)
		conf_say("  %u", msgs[i].msg_len);
}

/* Two messages that hold less than there is: the first is full. */
static void act_recvmmsg(void)
{
	int fd = pick_stream(), flags = recv_flags() & ~MSG_PEEK, r;
	unsigned int there = on_the_way(fd, true), one = there / 3;
	struct mmsghdr msgs[2] = { 0 };
	struct timespec ts = { .tv_sec = 1 }; /* asked after each */
	struct iovec vec[2];
	long sum = 0;

	for (int i = 0; i < 2; i++) {
		vec[i] = (struct iovec){ w.buf + (size_t)i * one, one };
		msgs[i].msg_hdr.msg_iov = &vec[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	r = recvmmsg(fd, msgs, 2, flags | MSG_WAITALL, chance(50) ? &ts : NULL);
	for (int i = 0; i < r; i++) {
		memmove(w.buf + sum, vec[i].iov_base, msgs[i].msg_len);
		sum += msgs[i].msg_len;
	}
	got(fd, sum);
	say_res(r < 0 ? r : sum, "recvmmsg(%s, 2 * %u, %s) #%06x", name(fd), one,
		flags_text(flags), flags & MSG_TRUNC ? 0 : hash(w.buf, sum));
}

/* ---- from and to elsewhere ---- */

static void act_sendfile(void)
{
	int out = pick_stream(), in = pick_kind(K_FILE);
	size_t n = send_length(out);
	off_t off = below(21000);
	bool at = chance(60);
	long r = sendfile(out, in, at ? &off : NULL, n);

	sent(out, r);
	say_res(r, "sendfile(%s, %s, %zu)", name(out), name(in), n);
	conf_say("  offset %ld", at ? (long)off : (long)lseek(in, 0, SEEK_CUR));
	if (in >= 0 && chance(50))
		lseek(in, below(20000), SEEK_SET);
}

/* By a pipe of its own, which begins and ends empty. */
static void act_splice_in(void)
{
	int fd = pick_stream(), p[2];
	size_t n = send_length(fd) % 4000;
	long r;

	if (pipe2(p, O_NONBLOCK) < 0)
		conf_die("pipe");
	put(w.buf, n);
	if (n && write(p[1], w.buf, n) != (long)n)
		conf_die("pipe");
	r = splice(p[0], NULL, fd, NULL, 5000, SPLICE_F_NONBLOCK);
	close(p[0]);
	close(p[1]);
	sent(fd, r);
	say_res(r, "splice(pipe of %zu, %s)", n, name(fd));
}

static void act_splice_out(void)
{
	int fd = pick_stream(), p[2];
	unsigned int there = on_the_way(fd, true);
	long r, n = 0;

	if (pipe2(p, O_NONBLOCK) < 0)
		conf_die("pipe");
	there = there < 1000 ? there : 1000;
	/* How many packets fit into a pipe is not what is asked here. */
	do {
		r = splice(fd, NULL, p[1], NULL, 1000 - (size_t)n, SPLICE_F_NONBLOCK);
		if (r > 0 && read(p[0], w.buf + n, (size_t)r) == r)
			n += r;
	} while (r > 0 && n < there);
	close(p[0]);
	close(p[1]);
	got(fd, n);
	say_res(n ? n : r, "splice(%s, pipe) #%06x", name(fd), hash(w.buf, n));
}

/* TCP, too, may have to ask again before it hears of room. */
#define STUFF_MS 4000

/* Until there is no more room; then everything is read at the other end. */
static void act_stuff(void)
{
	int fd = pick_kind(K_TCP), peer = peer_of(fd);
	size_t n = 0, all = 0;
	struct file *f = file_of(fd);
	struct pollfd p;
	unsigned int before;
	double end;
	long r;

	if (!f || peer < 0 || w.conns[f->conn].unsure)
		return;
	before = on_the_way(fd, false);
	put(w.buf, 60000);
	while ((r = send(fd, w.buf, 60000, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		n += (size_t)r;
	for (int i = 0; n && i < CALLS; i++)
		if (w.regs[i].file == f)
			w.regs[i].told = 0; /* room is news then */
	say_res(r, "stuff(%s)", name(fd));
	p = (struct pollfd){ .fd = peer, .events = POLLIN };
	end = conf_now() + STUFF_MS / 1000.0;
	while (all < n + before && poll(&p, 1, STUFF_MS) == 1) {
		r = recv(peer, w.buf, BUFFER, MSG_DONTWAIT);
		/* After shutdown(SHUT_RD) nothing is no end: more may come. */
		if (r < 0 || (r == 0 && conf_now() > end))
			break;
		all += (size_t)r;
	}
	w.conns[f->conn].sent[f->end] += n;
	w.conns[f->conn].got[!f->end] += all;
	conf_say("  all came: %s", all == n + before ? "yes" : "no");
	p = (struct pollfd){ .fd = fd, .events = POLLOUT };
	conf_say("  room: %d", poll(&p, 1, STUFF_MS));
}

/* ---- nonsense ---- */

static void act_bad(void)
{
	int fd = pick_stream();
	static struct iovec vec[2000];
	volatile int minus = -1; /* which no compiler is to know */
	struct msghdr msg = { .msg_iov = vec, .msg_iovlen = 2000 };
	long r;

	vec[0] = (struct iovec){ w.buf, 10 };
	vec[1] = (struct iovec){ w.buf, (size_t)-1 };
	switch (below(9)) {
	case 0:
		say_res(send(fd, conf_nowhere(), 5, MSG_NOSIGNAL), "send(%s, nowhere)", name(fd));
		break;
	case 1:
		r = recv(fd, conf_nowhere(), 5, MSG_DONTWAIT);
		say_res(r, "recv(%s, nowhere)", name(fd));
		break;
	case 2:
		say_res(writev(fd, vec, 2), "writev(%s, endless)", name(fd));
		break;
	case 3:
		say_res(readv(fd, vec, minus), "readv(%s, -1)", name(fd));
		break;
	case 4:
		say_res(writev(fd, vec, 1025), "writev(%s, 1025)", name(fd));
		break;
	case 5:
		say_res(sendmsg(fd, &msg, MSG_NOSIGNAL), "sendmsg(%s, 2000 pieces)", name(fd));
		break;
	case 6:
		say_res(recvmsg(fd, conf_nowhere(), MSG_DONTWAIT), "recvmsg(%s, nowhere)", name(fd));
		break;
	case 7:
		r = preadv2(fd, vec, 1, -1, 0x4000);
		say_res(r, "preadv2(%s, odd)", name(fd));
		got(fd, r);
		break;
	default:
		r = preadv2(fd, vec, 1, below(2) ? 5 : -7, 0);
		say_res(r, "preadv2(%s, offset)", name(fd));
		got(fd, r);
	}
}

const struct action bytes_actions[] = {
	{ 22, act_send },
	{ 12, act_write },
	{ 20, act_recv },
	{ 4, act_recvfrom },
	{ 12, act_read },
	{ 6, act_writev },
	{ 6, act_readv },
	{ 6, act_sendmsg },
	{ 6, act_recvmsg },
	{ 2, act_sendmmsg },
	{ 3, act_recvmmsg },
	{ 3, act_sendfile },
	{ 1, act_splice_in },
	{ 1, act_splice_out },
	{ 1, act_stuff },
	{ 4, act_bad },
	{ 0, NULL },
};
