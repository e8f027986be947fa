/* SPDX-License-Identifier: MIT */
/*
 * What a script works with: numbers, the open files behind them, connections
 * and how many bytes are on the way in each. All of it follows from the seed
 * and from what the calls returned, never from how xvmc works.
 */
#include "calls.h"

#define MOST 60 /* descriptors at a time */

struct world w;

uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint32_t below(uint32_t n)
{
	w.state = mix(w.state);
	return (uint32_t)((w.state >> 32) * n >> 32);
}

bool chance(uint32_t percent)
{
	return below(100) < percent;
}

struct file *file_of(int fd)
{
	return fd >= 0 && fd < NUMBERS && w.num[fd] >= 0 ? &w.files[w.num[fd]] : NULL;
}

int file_new(enum kind kind)
{
	if (w.nfiles == FILES)
		conf_die("too many files");
	w.files[w.nfiles] = (struct file){ .kind = kind, .conn = -1 };
	return w.nfiles++;
}

void number_set(int fd, int file)
{
	if (fd < 0 || fd >= NUMBERS)
		conf_die("a number beyond all others");
	if (w.num[fd] >= 0)
		number_gone(fd);
	w.num[fd] = file;
	w.files[file].refs++;
}

/* In switch mode a number of the library's own may be the lowest free one for
 * a moment (known to tests/conformance/run.sh as dup-lowest). */
int number_new(int fd, int file)
{
	int want = 3;

	while (w.num[want] >= 0)
		want++;
	if (fd != want) {
		fprintf(stderr, "call %d: number %d instead of %d\n", w.at, fd, want);
		for (int ms = 0; ms < 100 && fcntl(want, F_GETFD) >= 0; ms++)
			conf_ms(1);
		if (!w.switches || dup2(fd, want) != want || close(fd) != 0)
			conf_die("not the lowest number");
	}
	number_set(want, file);
	return want;
}

static int number_of(int file)
{
	for (int fd = 0; fd < NUMBERS; fd++)
		if (w.num[fd] >= 0 && w.num[fd] == file)
			return fd;
	return -1;
}

int peer_of(int fd)
{
	struct file *f = file_of(fd);

	return f && f->kind == K_TCP ? number_of(w.conns[f->conn].file[!f->end]) : -1;
}

static void end_gone(struct file *f)
{
	struct conn *c = &w.conns[f->conn];
	int end = f->end;

	c->file[end] = -1;
	c->unsure = true;
	/* Unread bytes make it a reset. */
	if (c->sent[!end] != c->got[end] && number_of(c->file[!end]) >= 0)
		wait_refused(number_of(c->file[!end]));
}

void number_gone(int fd)
{
	struct file *f = file_of(fd);

	if (!f)
		return;
	w.num[fd] = -1;
	if (--f->refs == 0 && f->kind == K_TCP)
		end_gone(f);
}

void dissolved(int fd)
{
	struct file *f = file_of(fd);

	end_gone(f);
	f->kind = K_FRESH;
	f->bound = false;
}

int lowest(int from)
{
	while (from < NUMBERS && w.num[from] >= 0)
		from++;
	return from;
}

bool comes_back(int fd, int as)
{
	struct file *f = file_of(fd);

	return f && as >= 0 && as < NUMBERS && file_of(as) != f && f->ever[as];
}

/* ---- choosing ---- */

static int nth(enum kind kind, int n)
{
	for (int fd = 0; fd < NUMBERS; fd++) {
		struct file *f = file_of(fd);

		if (f && (kind == K_NONE || f->kind == kind) && n-- == 0)
			return fd;
	}
	return -1;
}

int alive(enum kind kind)
{
	int n = 0;

	while (nth(kind, n) >= 0)
		n++;
	return n;
}

int pick_kind(enum kind kind)
{
	int n = alive(kind);

	return n ? nth(kind, (int)below((uint32_t)n)) : -1;
}

int pick_any(void)
{
	static const int odd[] = { -1, -2, INT32_MAX, INT32_MIN, 1023, 500 };
	uint32_t r = below(100);

	if (r < 90)
		return pick_kind(K_NONE);
	if (r < 96)
		return 100 + (int)below(60); /* never the lowest free one: numbers.h */
	return odd[below(6)];
}

int pick_mostly(enum kind kind)
{
	int fd = chance(75) ? pick_kind(kind) : -1;

	return fd >= 0 ? fd : pick_any();
}

bool crowded(void)
{
	return alive(K_NONE) > MOST || w.nfiles > FILES - 20 || w.nconns > CONNS - 4;
}

const char *name(int fd)
{
	static const char *const kinds[] = { "none", "tcp", "fresh", "listen", "udp", "unix",
					     "pipe-r", "pipe-w", "event", "file", "epoll", "dev" };
	static char buf[4][40];
	static int turn;
	struct file *f = file_of(fd);
	char *s = buf[++turn % 4];

	if (!f)
		snprintf(s, 40, "%d -", fd);
	else if (f->kind == K_TCP)
		snprintf(s, 40, "%d tcp%d%c", fd, f->conn, 'a' + f->end);
	else
		snprintf(s, 40, "%d %s", fd, kinds[f->kind]);
	return s;
}

unsigned int on_the_way(int fd, bool in)
{
	struct file *f = file_of(fd);
	struct conn *c;
	uint64_t n;

	if (!f || f->kind != K_TCP)
		return 0;
	c = &w.conns[f->conn];
	n = c->sent[f->end ^ in] - c->got[f->end ^ !in];
	return n > BUFFER ? 0 : (unsigned int)n;
}

/* ---- saying ---- */

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
	(void)sig;
	pipes = pipes + 1;
}

void say_res(long r, const char *fmt, ...)
{
	char what[400];
	va_list ap;
	int saved = errno;
	const char *sig = pipes ? " SIGPIPE" : "";

	pipes = 0;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (r == -1)
		conf_say("%03d %s = -1 %s%s", w.at, what, strerrorname_np(saved), sig);
	else
		conf_say("%03d %s = %ld%s", w.at, what, r, sig);
	errno = saved;
}

/* ---- connections ---- */

static void guard(int fd)
{
	struct timeval tv = { .tv_usec = 20000 };
	int one = 1;

	/* A call that would sleep for ever sleeps for this long. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (chance(50))
		conf_nonblock(fd, true);
}

void pair_new(bool warm)
{
	int fa = file_new(K_TCP), fb = file_new(K_TCP), trips = 0, one = 1;
	int a = number_new(conf_connect(&w.own), fa);
	int b = number_new(accept(OWN_LISTENER, NULL, NULL), fb);
	double start = conf_now();
	char msg[64] = "warm";

	setsockopt(b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (w.nconns == CONNS)
		conf_die("too many connections");
	w.conns[w.nconns] = (struct conn){ .file = { fa, fb } };
	w.files[fa].conn = w.files[fb].conn = w.nconns++;
	w.files[fb].end = 1;
	if (warm && w.promote) {
		w.promote(a);
		w.promote(b);
	}
	do {
		conf_put(a, msg, sizeof(msg));
		conf_get(b, msg, sizeof(msg));
		conf_put(b, msg, sizeof(msg));
		conf_get(a, msg, sizeof(msg));
	} while (warm && !(warm_enough(a, ++trips, start) && warm_enough(b, trips, start)));
	guard(a);
	guard(b);
	say_res(w.nconns - 1, "pair%s", warm ? " warm" : "");
}

void wait_refused(int fd)
{
	struct pollfd p = { .fd = fd };

	w.raw_poll(&p, 1, 300); /* plain TCP's comes late on a busy machine, too */
}

static void wait_bytes(int fd, int most_ms)
{
	int n = 0;

	for (int ms = 0; ms < most_ms; ms++) {
		ioctl(fd, FIONREAD, &n);
		if (n >= (int)on_the_way(fd, true))
			return;
		conf_ms(1);
	}
}

void wait_came(int conn, int end)
{
	int fd = number_of(w.conns[conn].file[!end]);

	if (w.rings && fd >= 0)
		wait_bytes(fd, 1000);
}

/* ---- switch mode ---- */

/* Moves a connection, as `xvmc demote` and `xvmc promote` would, and lets some
 * time go by. Draws from numbers of its own: the calls are the same in all
 * modes. */
void steer(void)
{
	uint64_t saved = w.state;
	int fd;

	if (!w.switches || !w.promote || !w.demote)
		return;
	w.state = mix(w.seed ^ mix((uint64_t)w.at + 1000003));
	fd = chance(40) ? pick_kind(K_TCP) : -1;
	if (fd >= 0) {
		struct file *f = file_of(fd);
		int (*to)(int) = chance(50) ? w.demote : w.promote;

		w.steered++;
		for (int n = 0; n < NUMBERS; n++)
			if (file_of(n) && file_of(n)->kind == K_TCP && file_of(n)->conn == f->conn)
				to(n);
		if (chance(70))
			usleep(below(3) ? below(300) : below(5000));
	}
	w.state = saved;
}

/* ---- beginning ---- */

static void add(enum kind kind, int fd)
{
	if (fd < 0)
		conf_die("setting up");
	number_new(fd, file_new(kind));
}

void high(int fd, int want)
{
	if (fd < 0 || dup2(fd, want) != want || close(fd) < 0)
		conf_die("setting up");
}

/* What the kernel's sendfile has in its queues changes with the file: nobody
 * is to write to it. */
static int file_to_read(void)
{
	char path[40];
	int fd = conf_file(20000), again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY);
	close(fd);
	return again;
}

void world_begin(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	struct sigaction sa = { .sa_handler = on_pipe };
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	int two[2], fd;

	sigaction(SIGPIPE, &sa, NULL);
	*(void **)&w.promote = dlsym(RTLD_DEFAULT, "xvmc_promote");
	*(void **)&w.demote = dlsym(RTLD_DEFAULT, "xvmc_demote");
	*(void **)&w.raw_poll = dlsym(libc, "poll");
	for (fd = 0; fd < NUMBERS; fd++)
		w.num[fd] = -1;
	closefrom(3);
	fd = conf_listen(&w.closed_port);
	close(fd);
	high(conf_listen(&w.own), OWN_LISTENER);
	pair_new(true);
	if (chance(70))
		pair_new(true);
	if (chance(30))
		pair_new(false);
	fd = conf_listen(&in);
	conf_nonblock(fd, true);
	add(K_LISTEN, fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	in.sin_port = 0;
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) < 0 ||
	    connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0)
		conf_die("udp");
	add(K_UDP, fd);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, two) < 0)
		conf_die("socketpair");
	add(K_UNIX, two[0]);
	add(K_UNIX, two[1]);
	if (pipe2(two, O_NONBLOCK) < 0)
		conf_die("pipe");
	add(K_PIPE_R, two[0]);
	add(K_PIPE_W, two[1]);
	high(file_to_read(), 190); /* tmpfile had a number of its own */
	number_set(190, file_new(K_FILE));
	for (int level = 0; level < 2; level++) {
		add(K_EPOLL, epoll_create1(0));
		w.files[w.nfiles - 1].level = level;
	}
}
