/* SPDX-License-Identifier: MIT */
/*
 * For the part mclient: preloaded into libxl's save helper, it decides when
 * pre-copy ends, as the papers have it [S 7], and writes into $LAB_ROUNDS what
 * has been sent when, in bytes, by the clock of /proc/uptime:
 *
 *   round NUMBER BYTES SECONDS   one begins
 *   suspend BYTES SECONDS        the guest is about to be told to
 *   suspended BYTES SECONDS      it has been
 *   at BYTES SECONDS             every second
 *   end BYTES SECONDS
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xenctrl.h>
#include <xenguest.h>

#define ROUNDS_MAX 29u
#define FEW_PAGES 64 /* 256 KB */

typedef int save_fn(xc_interface *xch, int io_fd, uint32_t dom, uint32_t flags,
		    struct save_callbacks *callbacks, xc_stream_type_t stream_type,
		    int recv_fd);

static FILE *out;
static sem_t ended;
static int (*their_suspend)(void *data);

/* What this process has written: the stream to the target, and little else. */
static unsigned long long bytes(void)
{
	unsigned long long n = 0;
	FILE *io = fopen("/proc/self/io", "re");
	char line[80];

	while (io && fgets(line, sizeof(line), io))
		if (sscanf(line, "wchar: %llu", &n) == 1)
			break;
	if (io)
		fclose(io);
	return n;
}

/* A whole line at a time: there are two threads. */
static void note(const char *what)
{
	unsigned long long sent = bytes();
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	fprintf(out, "%s %llu %.3f\n", what, sent, (double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}

static void *every_second(void *arg)
{
	struct timespec next;

	clock_gettime(CLOCK_REALTIME, &next);
	do {
		note("at");
		next.tv_sec++;
	} while (sem_timedwait(&ended, &next) < 0);
	return arg;
}

/* Asked before each round, with its pages (of the first, with all there could
 * be), and after it, with -1. */
static int policy(struct precopy_stats stats, void *data)
{
	char what[32];

	(void)data;
	if (stats.dirty_count >= 0) {
		snprintf(what, sizeof(what), "round %u", stats.iteration);
		note(what);
	}
	if ((stats.dirty_count >= 0 && stats.dirty_count <= FEW_PAGES) ||
	    stats.iteration >= ROUNDS_MAX)
		return XGS_POLICY_STOP_AND_COPY;
	return XGS_POLICY_CONTINUE_PRECOPY;
}

static int suspend(void *data)
{
	int rc;

	note("suspend");
	rc = their_suspend(data);
	note("suspended");
	return rc;
}

int xc_domain_save(xc_interface *xch, int io_fd, uint32_t dom, uint32_t flags,
		   struct save_callbacks *callbacks, xc_stream_type_t stream_type, int recv_fd)
{
	save_fn *save = (save_fn *)dlsym(RTLD_NEXT, "xc_domain_save");
	const char *path = getenv("LAB_ROUNDS");
	struct save_callbacks ours = *callbacks;
	pthread_t clock;
	int rc, err;

	sem_init(&ended, 0, 0);
	out = path ? fopen(path, "we") : NULL;
	if (!out || pthread_create(&clock, NULL, every_second, NULL) != 0)
		return save(xch, io_fd, dom, flags, callbacks, stream_type, recv_fd);
	their_suspend = callbacks->suspend;
	ours.suspend = suspend;
	ours.precopy_policy = policy;
	rc = save(xch, io_fd, dom, flags, &ours, stream_type, recv_fd);
	err = errno;
	sem_post(&ended);
	pthread_join(clock, NULL);
	note("end");
	fclose(out);
	errno = err;
	return rc;
}
