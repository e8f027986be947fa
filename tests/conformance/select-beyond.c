/* SPDX-License-Identifier: MIT */
/* A bit beyond the kernel's table of descriptors is not looked at; one within it
 * that is closed is EBADF. */
#include "conf.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define BITS 4096

static unsigned long rd[BITS / 64];

static int table(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	int n = 0;

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "FDSize: %d", &n) != 1)
		;
	if (f)
		fclose(f);
	return n;
}

/* Asks for fd and for one more. */
static void ask(const char *what, int fd, int more)
{
	struct timeval none = { 0 };
	struct timespec no_time = { 0 };

	for (int p = 0; p < 2; p++) {
		memset(rd, 0, sizeof(rd));
		rd[fd / 64] |= 1ul << fd % 64;
		rd[more / 64] |= 1ul << more % 64;
		conf_res(what, p ? pselect(more + 1, (void *)rd, NULL, NULL, &no_time, NULL) :
				   select(more + 1, (void *)rd, NULL, NULL, &none));
		conf_say("  %d %d", !!(rd[fd / 64] & 1ul << fd % 64),
			 !!(rd[more / 64] & 1ul << more % 64));
	}
}

static void all(void)
{
	int size = table(), p[2], a, b;

	if (size < 64 || 2 * size + 64 > BITS)
		conf_die("FDSize");
	conf_pair(&a, &b);
	if (pipe(p) < 0 || write(p[1], "x", 1) != 1)
		conf_die("pipe");
	conf_put(a, "x", 1);
	ask("a connection", b, size);
	ask("a connection, and far", b, 2 * size + 1);
	ask("a connection, and closed", b, size - 1);
	ask("a pipe", p[0], size);
	ask("a pipe, and closed", p[0], size - 1);
	/* The table grows to twice as much. */
	if (dup2(p[0], size) != size)
		conf_die("dup2");
	ask("grown", b, size);
	ask("grown, and closed", b, 2 * size - 1);
	ask("grown, and far", b, 2 * size);
}

/* In a process of its own: a child's table is as long as what it gets needs. */
static void in_child(const struct rlimit *lim)
{
	pid_t child = fork();

	if (child == 0) {
		setrlimit(RLIMIT_NOFILE, lim);
		all();
		exit(0);
	}
	waitpid(child, NULL, 0);
}

/* With the usual limit, and with as many descriptors as there may be: whatever
 * else the process holds lies elsewhere then. Each with the table that we are
 * started with, with one of 256, and with the kernel's first one, of 64: they do
 * not grow alike. */
int main(void)
{
	struct rlimit most, usual;
	const int ends[] = { -1, 200, 10 };

	getrlimit(RLIMIT_NOFILE, &most);
	usual = (struct rlimit){ 1024, most.rlim_max };
	most.rlim_cur = most.rlim_max;
	for (int i = 0; i < 3; i++) {
		if (ends[i] >= 0 && (dup2(0, ends[i]) != ends[i] ||
				     close_range((unsigned int)ends[i] + 1, ~0u, 0) < 0))
			conf_die("close_range");
		in_child(&usual);
		in_child(&most);
	}
	return 0;
}
