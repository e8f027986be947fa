/* SPDX-License-Identifier: MIT */
/*
 * fuzz-calls, what its files share: the descriptors there are and what stands
 * behind each, the numbers a call draws, and how a line is said. How it works
 * as a whole is in README.md.
 */
#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

#include "../conformance/conf.h"

#define NUMBERS 200 /* descriptors from 0 up that we may have */
#define FILES 400   /* open files in the life of a script */
#define CONNS 100
#define BUDGET 24000u /* bytes on the way in one direction, at most */
#define BUFFER (1u << 20)
#define CALLS 1000

enum kind {
	K_NONE,
	K_TCP, /* connected, perhaps no more */
	K_FRESH,
	K_LISTEN,
	K_UDP,
	K_UNIX,
	K_PIPE_R,
	K_PIPE_W,
	K_EVENT,
	K_FILE,
	K_EPOLL,
	K_DEV, /* /dev/null */
};

/* An open file, in the kernel's sense: what dup shares. */
struct file {
	enum kind kind;
	int refs;
	int conn, end;        /* K_TCP */
	bool bound;           /* K_FRESH */
	int queue[8], queued; /* K_LISTEN: the files that wait to be accepted */
	bool ever[NUMBERS];   /* was registered with an epoll by this number */
	int level;            /* K_EPOLL: 0 may hold 1 */
};

struct conn {
	int file[2]; /* -1: gone */
	uint64_t sent[2], got[2];
	bool unsure; /* no more counting: bytes were lost to a reset */
};

/* An epoll registration: what it has been told. */
struct reg {
	int fd;
	struct file *file; /* which was fd then; a number may be used again */
	bool edge;
	uint32_t told;
	uint64_t came;
};

extern struct world {
	uint64_t seed;
	int at;           /* the call */
	uint64_t state;   /* of its random numbers */
	int num[NUMBERS]; /* what leads where; -1: closed */
	struct file files[FILES];
	int nfiles;
	struct conn conns[CONNS];
	int nconns;
	struct reg regs[CALLS]; /* by the epoll_ctl of this call */
	bool edges;             /* somebody has asked for them */
	bool rings, switches;   /* accelerated; and moved all the time */
	int (*promote)(int), (*demote)(int);
	int (*raw_poll)(struct pollfd *, nfds_t, int);
	unsigned long steered;
	bool threads; /* libc has made some, for a while */
	bool confined; /* nothing gets to a ring any more */
	struct sockaddr_in closed_port; /* nobody listens there */
	struct sockaddr_in own;         /* we do, for pair_new, by: */
#define OWN_LISTENER 191
	uint8_t buf[BUFFER];
} w;

/* calls-world.c: what there is */
uint64_t mix(uint64_t x);
uint32_t below(uint32_t n);
bool chance(uint32_t percent);
struct file *file_of(int fd);
int file_new(enum kind kind);
void number_set(int fd, int file);
/* A number that has just been handed out: it must be the lowest free one. */
int number_new(int fd, int file);
void number_gone(int fd);
int pick_kind(enum kind kind); /* or -1 */
int pick_any(void);            /* of any kind, perhaps closed or nonsense */
int pick_mostly(enum kind kind);
int peer_of(int fd); /* a number of the connection's other end, or -1 */
const char *name(int fd);
unsigned int on_the_way(int fd, bool in); /* bytes, by what we counted */
int alive(enum kind kind);
__attribute__((format(printf, 2, 3))) void say_res(long r, const char *fmt, ...);
void pair_new(bool warm);
void world_begin(void);
void steer(void);
/* For what a child has sent. */
void wait_came(int conn, int end);
/* What is sent to one who has closed is answered by a reset: so too. */
void wait_refused(int fd);
/* Enough of everything: no more is to be made. */
bool crowded(void);
/* To a number of its own above those that scripts have. */
void high(int fd, int want);
/* The lowest free number from there on. */
int lowest(int from);
/* The same file under a number it was registered by, and closed, before:
 * docs/differences.md. */
bool comes_back(int fd, int as);
/* The connection is a socket without one again. */
void dissolved(int fd);

/* calls-draw.c: for the calls that move bytes */
int pick_stream(void);
void put(uint8_t *buf, size_t n); /* some bytes */
unsigned int hash(const uint8_t *buf, long n);
size_t send_length(int fd); /* not more than there is room for */
size_t recv_length(int fd);
int send_flags(void);
int recv_flags(void);
const char *flags_text(int flags);
/* Notes what a call has moved, r as the call says. */
void sent(int fd, long r);
void got(int fd, long r);
/* After a read: notes what came, and says it. */
void say_got(int fd, long r, size_t want, int flags, const char *what);

/* calls-wait.c: whether fd is a set that may have edges without news */
bool any_edge(int fd);

/* The calls: calls-bytes.c, calls-ways.c, calls-wait.c, calls-life.c,
 * calls-child.c, calls-rare.c */
struct action {
	int weight;
	void (*act)(void);
};
extern const struct action bytes_actions[], ways_actions[], wait_actions[], life_actions[],
	child_actions[], rare_actions[];

#endif
