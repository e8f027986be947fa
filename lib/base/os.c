/* SPDX-License-Identifier: MIT */
/*
 * The parts of the door to the kernel that are more than one call.
 */
#include "os.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "section.h"

#if defined(__x86_64__)
long xvmc_os_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
long xvmc_os_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#else
#error "xvmc knows the system call instruction of x86_64 and aarch64 only"
#endif

/* One bit per descriptor; those above stay unmarked, which only means that
 * an application that closes everything may close them. */
#define MARKED_FDS 65536
#define FIRST_HIGH 8192
#define NEAR 16 /* to the limit, where that is too low for these */
#define LEAST_TABLE 128 /* what the kernel lets its first table, of 64, grow to */
static _Atomic uint64_t marks[MARKED_FDS / 64];

int xvmc_os_fd_internal(int fd)
{
	if (fd < 0 || fd >= MARKED_FDS)
		return 0;
	return (marks[fd / 64] >> (fd % 64)) & 1;
}

/* Held where a number of ours comes to be or ceases, so that who holds it sees
 * none that is open and not marked; one maker at a time has the limit raised. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

int os_close(int fd)
{
	int r;

	if (!xvmc_os_fd_internal(fd))
		return (int)OS1(SYS_close, fd);
	section_lock(&making);
	marks[fd / 64] &= ~((uint64_t)1 << (fd % 64));
	r = (int)OS1(SYS_close, fd);
	section_unlock(&making);
	return r;
}

/* The kernel's table before a number of ours was high; 0: none was. */
static _Atomic unsigned int table_before;
/* Calls of this process may be filtered: not known, or yes. */
static _Atomic bool filtered = true;

/* The number behind a key, or none. */
static unsigned int status_number(const char *status, const char *key, unsigned int none)
{
	const char *at = strstr(status, key);
	unsigned int n = 0;

	if (!at)
		return none;
	for (at += strlen(key); *at == '\t' || *at == ' '; at++)
		;
	for (; *at >= '0' && *at <= '9'; at++)
		n = 10 * n + (unsigned int)(*at - '0');
	return n;
}

/* By a maker (numbers.h). Of several the first one to know is right: it makes
 * its number after that. */
static void note_status(void)
{
	unsigned int n, none = 0;
	char buf[2048];
	ssize_t r = -1;
	int fd;

	if (table_before)
		return;
	fd = (int)OS4(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		r = os_read(fd, buf, sizeof(buf) - 1);
		OS1(SYS_close, fd);
	}
	buf[r > 0 ? r : 0] = '\0';
	filtered = status_number(buf, "\nSeccomp:", 1) != 0;
	n = status_number(buf, "\nFDSize:", 0);
	atomic_compare_exchange_strong(&table_before, &none, n ? n : ~0u);
}

bool xvmc_os_filtered(void)
{
	note_status();
	return filtered;
}

static bool open_not_ours(int fd)
{
	return !xvmc_os_fd_internal(fd) && os_fcntl(fd, F_GETFD, 0) >= 0;
}

unsigned int xvmc_os_own_table(void)
{
	unsigned int before = table_before, size = LEAST_TABLE;

	if (!before || before == ~0u)
		return before;
	for (unsigned int fd = FIRST_HIGH - 1; fd >= before; fd--) {
		bool found = open_not_ours((int)fd);

		if (found) { /* or one of ours, about to be marked */
			section_lock(&making);
			found = open_not_ours((int)fd);
			section_unlock(&making);
		}
		if (!found)
			continue;
		while (size <= fd) /* as the kernel lets it grow */
			size *= 2;
		return size;
	}
	return before;
}

/*
 * A number near the end of those there are: what a program counts on, puts
 * something at by dup2, or gets from the kernel, is low. The kernel gives the
 * lowest one from some number on, so the room is doubled until there is one, up
 * to half of all.
 */
static int dup_near(int fd, long end)
{
	for (long room = NEAR;; room *= 2) {
		int high;

		room = room < end / 2 ? room : end / 2;
		high = os_fcntl(fd, F_DUPFD_CLOEXEC, end - room);
		if (high != -EMFILE || room == end / 2)
			return high;
	}
}

static int limit(const struct rlimit *new, struct rlimit *ret_old)
{
	return (int)OS4(SYS_prlimit64, 0, RLIMIT_NOFILE, new, ret_old);
}

/* What somebody else has set meanwhile, from outside, stays. */
static void put_back(const struct rlimit *was, const struct rlimit *more)
{
	struct rlimit now;

	if (limit(NULL, &now) < 0 || now.rlim_cur != more->rlim_cur)
		return;
	now.rlim_cur = was->rlim_cur;
	limit(&now, NULL);
}

/*
 * A number beyond the program's limit, which is raised while it is made: as many
 * are left to the program as there would be without us, and it can put nothing
 * at ours. Whoever asks for the limit, or leaves it to another process, excludes
 * makers (numbers.h). -errno: where it may not be raised, and the like.
 */
static int dup_beyond(int fd, const struct rlimit *lim)
{
	struct rlimit more = *lim, was;
	long from = (long)lim->rlim_cur;
	int high, r;

	if (more.rlim_cur >= more.rlim_max)
		return -EPERM;
	more.rlim_cur = more.rlim_max < MARKED_FDS ? more.rlim_max : MARKED_FDS;
	/* A program may raise its limit later, a little. */
	if (from < FIRST_HIGH && more.rlim_cur >= 2 * FIRST_HIGH)
		from = FIRST_HIGH;
	r = limit(&more, &was);
	if (r < 0)
		return r;
	high = os_fcntl(fd, F_DUPFD_CLOEXEC, from);
	put_back(&was, &more);
	return high;
}

int xvmc_os_dup_high(int fd)
{
	struct rlimit lim = { .rlim_cur = 1024 };
	int high;

	note_status();
	section_lock(&making);
	limit(NULL, &lim);
	if (lim.rlim_cur > 2 * FIRST_HIGH) {
		high = os_fcntl(fd, F_DUPFD_CLOEXEC, FIRST_HIGH);
	} else {
		high = dup_beyond(fd, &lim);
		if (high < 0)
			high = dup_near(fd, (long)lim.rlim_cur);
	}
	section_unlock(&making);
	if (high >= 0 && high < MARKED_FDS)
		marks[high / 64] |= (uint64_t)1 << (high % 64);
	return high;
}

void xvmc_os_fork_child(void)
{
	/* A maker that the fork did not wait for may have had it. */
	pthread_mutex_init(&making, NULL);
}

int xvmc_os_high_fd(int fd)
{
	int high;

	if (fd < 0)
		return fd;
	high = xvmc_os_dup_high(fd);
	OS1(SYS_close, fd);
	return high;
}

int xvmc_os_ncpu(void)
{
	/* Not the affinity mask: pinned to one processor, we may still spin
	 * for a peer on another. */
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (int)n : 1;
}
