/* SPDX-License-Identifier: MIT */
/*
 * The harness of the conformance programs. Each program does one thing to a
 * TCP connection and prints what it saw, the same on every run; run.sh holds
 * plain TCP, accelerated, continually switched, and preloaded without a peer
 * against each other. Nothing is expected by hand: the kernel is the oracle.
 *
 * A program has either two processes, conf_two(server, client), or both ends
 * in one, conf_pair(). Either way the connection is warmed up first: round
 * trips until it is worth a ring and, where CONF_RING=1 says so, until both
 * directions are on one. What the two ends do is put in order by
 * conf_step(), which waits for the other end by other means than the
 * connection.
 */
#ifndef CONF_H
#define CONF_H

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "xvmc/xvmc.h"

#define CONF_WARM_TRIPS 64
#define CONF_WARM_MS 5000

static const char *conf_role = "";
static int conf_step_fd = -1;
static FILE *conf_out;

#define CONF_UNUSED __attribute__((unused))

CONF_UNUSED static void conf_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* ---- saying what was seen ---- */

CONF_UNUSED __attribute__((format(printf, 1, 2))) static void conf_say(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	fputs(conf_role, conf_out ? conf_out : stdout);
	va_start(ap, fmt);
	vfprintf(conf_out ? conf_out : stdout, fmt, ap);
	va_end(ap);
	fputc('\n', conf_out ? conf_out : stdout);
	fflush(conf_out ? conf_out : stdout);
	errno = saved;
}

CONF_UNUSED __attribute__((noreturn)) static void conf_die(const char *what)
{
	fprintf(stderr, "%s%s: %s\n", conf_role, what, strerror(errno));
	exit(99);
}

/* "recv = 3" or "recv = -1 EAGAIN"; gives r back. */
CONF_UNUSED static long conf_res(const char *what, long r)
{
	if (r == -1)
		conf_say("%s = -1 %s", what, strerrorname_np(errno));
	else
		conf_say("%s = %ld", what, r);
	return r;
}

static const char *conf_bits(unsigned int bits)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} names[] = {
		{ POLLIN, "IN" }, { POLLPRI, "PRI" }, { POLLOUT, "OUT" },
		{ POLLERR, "ERR" }, { POLLHUP, "HUP" }, { POLLNVAL, "NVAL" },
		{ POLLRDNORM, "RDNORM" }, { POLLRDBAND, "RDBAND" },
		{ POLLWRNORM, "WRNORM" }, { POLLWRBAND, "WRBAND" },
		{ POLLRDHUP, "RDHUP" },
	};
	static char buf[128];

	buf[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(bits & names[i].bit))
			continue;
		if (buf[0])
			strcat(buf, "|");
		strcat(buf, names[i].name);
	}
	return buf[0] ? buf : "0";
}

#define CONF_ALL                                                             \
	(POLLIN | POLLOUT | POLLRDHUP | POLLPRI | POLLRDNORM | POLLWRNORM)

/* Says what poll says of fd within ms. */
CONF_UNUSED static void conf_poll(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r = poll(&p, 1, ms);

	conf_say("poll = %d %s", r, conf_bits((unsigned short)p.revents));
}

/* Says what epoll_wait says within ms; the data must be small numbers. */
CONF_UNUSED static int conf_epoll(int epfd, int ms)
{
	struct epoll_event evs[8];
	int r;

	/* What is ready at the same instant may be reported by two waits where
	 * some of it is on rings: a little later it is one. */
	conf_ms(1);
	r = epoll_wait(epfd, evs, 8, ms);

	conf_res("epoll_wait", r);
	/* By data, since the order is nobody's promise. */
	for (uint64_t data = 0; r > 0 && data < 16; data++)
		for (int i = 0; i < r; i++)
			if (evs[i].data.u64 == data)
				conf_say("  %d: %s", (int)data,
					 conf_bits(evs[i].events));
	return r;
}

/* Nothing is reported. While the connection is being switched an edge too
 * many is allowed, as it always is with epoll. */
CONF_UNUSED static void conf_silent(int epfd)
{
	struct epoll_event ev;
	int r = epoll_wait(epfd, &ev, 1, 20);

	if (r == 1 && getenv("CONF_SWITCH"))
		r = 0;
	conf_say("silent: %s", r == 0 ? "yes" : "no");
}

CONF_UNUSED static void conf_watch(int epfd, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	if (epoll_ctl(epfd, op, fd, &ev) < 0)
		conf_say("epoll_ctl = -1 %s", strerrorname_np(errno));
}

/* ---- small helps ---- */

CONF_UNUSED static double conf_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

CONF_UNUSED static void conf_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
		conf_die("fcntl");
}

/* All n bytes, or the program ends. */
CONF_UNUSED static void conf_put(int fd, const void *buf, size_t n)
{
	const char *p = buf;

	while (n) {
		ssize_t r = send(fd, p, n, MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			conf_die("send");
		p += r;
		n -= (size_t)r;
	}
}

CONF_UNUSED static void conf_get(int fd, void *buf, size_t n)
{
	char *p = buf;

	while (n) {
		ssize_t r = recv(fd, p, n, 0);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			if (r == 0)
				errno = ENODATA;
			conf_die("recv");
		}
		p += r;
		n -= (size_t)r;
	}
}

/* Byte at position pos of a stream that every end can check. */
CONF_UNUSED static uint8_t conf_byte(uint64_t pos)
{
	return (uint8_t)(pos * 31 + (pos >> 8) * 17 + (pos >> 16));
}

CONF_UNUSED static void conf_fill(uint8_t *buf, size_t n, uint64_t pos)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = conf_byte(pos + i);
}

CONF_UNUSED static bool conf_same(const uint8_t *buf, size_t n, uint64_t pos)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != conf_byte(pos + i))
			return false;
	return true;
}

/* Fills a non-blocking socket until it says EAGAIN for good: what is in
 * flight may still make room for a while. Returns how many bytes went. */
CONF_UNUSED static size_t conf_stuff(int fd, uint64_t pos)
{
	uint8_t buf[8192];
	size_t sum = 0;
	int quiet = 0;

	while (quiet < 10) {
		ssize_t r;

		conf_fill(buf, sizeof(buf), pos + sum);
		r = send(fd, buf, sizeof(buf), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r > 0) {
			sum += (size_t)r;
			quiet = 0;
		} else if (errno == EAGAIN) {
			quiet++;
			conf_ms(20);
		} else {
			conf_die("stuff");
		}
	}
	return sum;
}

/* ---- both ends in step ---- */

CONF_UNUSED static void conf_step(void)
{
	char c = 's';

	if (write(conf_step_fd, &c, 1) != 1 || read(conf_step_fd, &c, 1) != 1)
		conf_die("step");
}

/* ---- warming up ---- */

CONF_UNUSED static bool conf_on_ring(int fd)
{
	struct xvmc_fd_info info = { .size = sizeof(info) };
	int (*get)(int, struct xvmc_fd_info *);

	*(void **)&get = dlsym(RTLD_DEFAULT, "xvmc_fd_info");
	return get && get(fd, &info) == 0 && info.tx.path == XVMC_FD_RING &&
	       info.rx.path == XVMC_FD_RING;
}

/* True when the client has seen enough. */
static bool warm_enough(int fd, int trips, double start)
{
	const char *want = getenv("CONF_RING");

	if (trips < CONF_WARM_TRIPS)
		return false;
	if (!want || *want != '1' || conf_on_ring(fd))
		return true;
	if (conf_now() - start > CONF_WARM_MS / 1000.0) {
		fprintf(stderr, "%snot on rings after %d ms\n", conf_role, CONF_WARM_MS);
		exit(98);
	}
	conf_ms(1);
	return false;
}

CONF_UNUSED static void conf_warm_client(int fd)
{
	char msg[64] = "warm";
	double start = conf_now();
	int trips = 0;
	bool enough;

	do {
		enough = warm_enough(fd, trips++, start);
		msg[0] = enough ? 'g' : 'w';
		conf_put(fd, msg, sizeof(msg));
		conf_get(fd, msg, sizeof(msg));
	} while (!enough);
}

CONF_UNUSED static void conf_warm_server(int fd)
{
	char msg[64];

	do {
		conf_get(fd, msg, sizeof(msg));
		conf_put(fd, msg, sizeof(msg));
	} while (msg[0] != 'g');
}

/* ---- making connections ---- */

CONF_UNUSED static int conf_listen(struct sockaddr_in *ret_sa)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, 16) < 0 || getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		conf_die("listen");
	*ret_sa = sa;
	return fd;
}

CONF_UNUSED static int conf_connect(const struct sockaddr_in *sa)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		conf_die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* Both ends in this process, warm. */
CONF_UNUSED static void conf_pair(int *ret_a, int *ret_b)
{
	struct sockaddr_in sa;
	double start = conf_now();
	int lfd = conf_listen(&sa), trips = 0, one = 1;
	char msg[64] = "warm";
	bool enough;

	alarm(30);
	*ret_a = conf_connect(&sa);
	*ret_b = accept(lfd, NULL, NULL);
	if (*ret_b < 0)
		conf_die("accept");
	setsockopt(*ret_b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(lfd);
	do { /* once more after it is enough: the ring's first bytes */
		enough = warm_enough(*ret_a, trips++, start);
		conf_put(*ret_a, msg, sizeof(msg));
		conf_get(*ret_b, msg, sizeof(msg));
		conf_put(*ret_b, msg, sizeof(msg));
		conf_get(*ret_a, msg, sizeof(msg));
	} while (!enough);
}

static void conf_copy(int fd, FILE *to)
{
	char buf[4096];
	ssize_t r;

	while ((r = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)r, to);
}

/*
 * Server and client in two processes over a warm connection. What the server
 * says is printed after what the client says.
 */
CONF_UNUSED static int conf_two(void (*server)(int fd), void (*client)(int fd))
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), step[2], out[2], status, fd, one = 1;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, step) < 0 || pipe(out) < 0)
		conf_die("socketpair");
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		conf_die("fork");
	if (pid == 0) {
		alarm(30);
		conf_role = "S: ";
		close(out[0]);
		close(step[0]);
		conf_out = fdopen(out[1], "w");
		conf_step_fd = step[1];
		fd = accept(lfd, NULL, NULL);
		if (fd < 0)
			conf_die("accept");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		close(lfd);
		conf_warm_server(fd);
		server(fd);
		fclose(conf_out);
		exit(0);
	}
	alarm(30);
	conf_role = "C: ";
	close(out[1]);
	close(step[1]);
	close(lfd);
	conf_step_fd = step[0];
	fd = conf_connect(&sa);
	conf_warm_client(fd);
	client(fd);
	fflush(stdout);
	conf_copy(out[0], stdout);
	if (waitpid(pid, &status, 0) != pid)
		conf_die("waitpid");
	if (status) {
		fprintf(stderr, "the server ended with status %#x\n",
			(unsigned int)status);
		return 1;
	}
	return 0;
}

/* ---- threads that sleep in a call ---- */

struct conf_sleeper {
	pthread_t thread;
	_Atomic pid_t tid;
	long (*call)(void);
	long result;
	int error;
};

CONF_UNUSED static void *conf_sleeper_main(void *arg)
{
	struct conf_sleeper *s = arg;

	s->tid = gettid();
	s->result = s->call();
	s->error = errno;
	return NULL;
}

static char conf_state(pid_t tid)
{
	char path[64], buf[512] = "", *p;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 'X';
	if (read(fd, buf, sizeof(buf) - 1) < 0)
		buf[0] = '\0';
	close(fd);
	p = strrchr(buf, ')');
	return p ? p[2] : 'X';
}

/* Waits until the thread sleeps, and goes on sleeping, in the kernel. */
CONF_UNUSED static void conf_asleep(pid_t tid)
{
	int quiet = 0;

	for (int i = 0; i < 1000 && quiet < 5; i++) {
		char state = conf_state(tid);

		if (state == 'X' || state == 'Z')
			return;
		quiet = state == 'S' ? quiet + 1 : 0;
		conf_ms(3);
	}
}

/* Has a thread make the call, and comes back when it sleeps in it. */
CONF_UNUSED static void conf_start(struct conf_sleeper *s, long (*call)(void))
{
	s->tid = 0;
	s->call = call;
	if (pthread_create(&s->thread, NULL, conf_sleeper_main, s) != 0)
		conf_die("pthread_create");
	while (!s->tid)
		conf_ms(1);
	conf_asleep(s->tid);
}

CONF_UNUSED static long conf_join(struct conf_sleeper *s, const char *what)
{
	pthread_join(s->thread, NULL);
	errno = s->error;
	return conf_res(what, s->result);
}

struct conf_later {
	pthread_t thread;
	pthread_t whom;
	_Atomic pid_t tid; /* of the thread that is about to sleep */
	int fd;
	const char *text; /* sent to fd, or: */
	int sig;          /* the signal for the thread */
};

CONF_UNUSED static void *conf_later_main(void *arg)
{
	struct conf_later *l = arg;

	conf_asleep(l->tid);
	if (l->sig)
		pthread_kill(l->whom, l->sig);
	if (l->text && l->sig)
		conf_asleep(l->tid);
	if (l->text)
		conf_put(l->fd, l->text, strlen(l->text));
	return NULL;
}

/* When the caller sleeps: a signal for it, if sig; when it sleeps (again):
 * text to fd, if any. pthread_join(l->thread) when it has come. */
CONF_UNUSED static void conf_later(struct conf_later *l, int sig, int fd, const char *text)
{
	*l = (struct conf_later){ .whom = pthread_self(), .tid = gettid(), .fd = fd,
				  .text = text, .sig = sig };
	if (pthread_create(&l->thread, NULL, conf_later_main, l) != 0)
		conf_die("pthread_create");
}

/* ---- signals that are counted ---- */

static volatile sig_atomic_t conf_signals;

CONF_UNUSED static void conf_on_signal(int sig)
{
	(void)sig;
	conf_signals = conf_signals + 1;
}

CONF_UNUSED static void conf_count(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = conf_on_signal, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
}

/* ---- more small helps ---- */

/* A pointer that leads nowhere, and that no compiler knows to. */
CONF_UNUSED static void *conf_nowhere(void)
{
	static void *volatile p = (void *)64;

	return p;
}

/* The connection ends by a reset. */
CONF_UNUSED static void conf_reset(int fd)
{
	static const struct linger reset = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

/* Reads to the end and says what came: so many bytes of conf_byte(). */
CONF_UNUSED static void conf_drain(int fd)
{
	static uint8_t buf[65536];
	uint64_t pos = 0;
	bool same = true;
	ssize_t r;

	while ((r = recv(fd, buf, sizeof(buf), 0)) > 0) {
		same = same && conf_same(buf, (size_t)r, pos);
		pos += (uint64_t)r;
	}
	conf_res("end", r);
	conf_say("bytes %llu same %d", (unsigned long long)pos, same);
}

/* A file of n bytes of conf_byte(), at its beginning, without a name. */
CONF_UNUSED static int conf_file(size_t n)
{
	FILE *f = tmpfile();
	int fd;

	if (!f)
		conf_die("tmpfile");
	for (size_t i = 0; i < n; i++)
		fputc(conf_byte(i), f);
	fflush(f);
	fd = dup(fileno(f));
	fclose(f);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* A child that does not outlive its use, whatever happens. */
CONF_UNUSED static pid_t conf_fork(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		conf_die("fork");
	if (pid == 0)
		alarm(20);
	return pid;
}

/* How it ended. */
CONF_UNUSED static void conf_wait(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		conf_die("waitpid");
	if (WIFSIGNALED(status))
		conf_say("child: SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		conf_say("child: %d", WEXITSTATUS(status));
}

/* A round trip between two ends that this process holds. */
CONF_UNUSED static void conf_trip(int a, int b)
{
	char buf[8] = "";

	conf_put(a, "ping", 4);
	conf_get(b, buf, 4);
	conf_put(b, "pong", 4);
	conf_get(a, buf + 4, 4);
	conf_say("trip: %.8s", buf);
}

#endif
