/* SPDX-License-Identifier: MIT */
/*
 * For test-tools.sh: a connection on a ring, and system calls on it that no
 * library sees. What the kernel answers is printed; it must be the same under
 * `xvmc-run --trap`.
 * Usage: past-library nothing | read | child | io_uring | close
 * And, with nothing past the library: pairs, two connections on rings, the
 * second in a child.
 */
#include "../conformance/conf.h"

#include <sys/syscall.h>

static long kernel(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
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
#endif
}

/* The ring is empty, and so is the socket: EAGAIN by either way. */
static void take(int fd)
{
	char c;

	for (int i = 0; i < 3; i++)
		conf_say("%ld", kernel(SYS_recvfrom, fd, (long)&c, 1, MSG_DONTWAIT, 0, 0));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int a, b;
	pid_t pid;

	conf_pair(&a, &b);
	if (!strcmp(what, "read")) {
		take(a);
	} else if (!strcmp(what, "child")) {
		pid = fork();
		if (pid == 0) {
			take(a);
			_exit(3);
		}
		conf_wait(pid);
	} else if (!strcmp(what, "pairs")) {
		pid = fork();
		if (pid == 0) {
			close(a);
			close(b);
			conf_pair(&a, &b);
			conf_trip(a, b);
			_exit(3);
		}
		conf_wait(pid);
	} else if (!strcmp(what, "io_uring")) {
		/* No entries, nowhere to put them: the kernel refuses it. */
		conf_say("%d", kernel(SYS_io_uring_setup, 0, 0, 0, 0, 0, 0) < 0);
	} else if (!strcmp(what, "close")) {
		/* A number of ours that the library follows. */
		int n = dup(a);

		conf_say("%ld", kernel(SYS_close, n, 0, 0, 0, 0, 0));
	} else if (strcmp(what, "nothing") != 0) {
		conf_die("usage");
	}
	conf_trip(a, b);
	close(a);
	close(b);
	return 7;
}
