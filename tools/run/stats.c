/* SPDX-License-Identifier: MIT */
/*
 * Taking pages of counters, and adding them up.
 */
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xvmc/abi.h>

#include "base/reason.h"
#include "base/stats.h"

int stats_open(const char *dir, struct stats *ret_stats)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int n, rc;

	*ret_stats = (struct stats){ .fd = -1 };
	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/stats.%d", dir, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	ret_stats->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ret_stats->fd < 0)
		return -errno;
	unlink(sa.sun_path); /* of one with our number that was killed */
	if (bind(ret_stats->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		rc = -errno;
		close(ret_stats->fd);
		return rc;
	}
	memcpy(ret_stats->path, sa.sun_path, sizeof(sa.sun_path));
	return 0;
}

static void keep(struct stats *s, int fd)
{
	const struct xvmc_stats_page **more;
	struct stat st;
	void *p;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < XVMC_PAGE_SIZE)
		return;
	more = reallocarray(s->page, s->n + 1, sizeof(const void *));
	if (!more)
		return;
	s->page = more;
	p = mmap(NULL, XVMC_PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		s->page[s->n++] = p;
}

void stats_take(void *arg)
{
	struct stats *s = arg;

	for (;;) {
		union {
			struct cmsghdr hdr;
			char room[CMSG_SPACE(sizeof(int))];
		} control;
		char word[16];
		struct iovec vec = { word, sizeof(word) };
		struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
		struct cmsghdr *c;
		int fd;

		if (recvmsg(s->fd, &msg, MSG_CMSG_CLOEXEC) < 0)
			return;
		c = CMSG_FIRSTHDR(&msg);
		if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    c->cmsg_len != CMSG_LEN(sizeof(int)))
			continue;
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
		keep(s, fd);
		close(fd);
	}
}

static const char *bytes(uint64_t n, char buf[16])
{
	static const char unit[] = " KMGTPE";
	double v = (double)n;
	int i = 0;

	while (v >= 1000 && unit[i + 1]) {
		v /= 1000;
		i++;
	}
	snprintf(buf, 16, i ? "%.1f %cB" : "%.0f B", v, unit[i]);
	return buf;
}

static void why_not(const uint64_t *sum)
{
	const char *head = "why TCP";

	/* Nobody counts these: they are the rest. */
	if (sum[XVMC_S_TRACKED] > sum[XVMC_S_REGISTERED]) {
		fprintf(stderr, "  %-12s %10" PRIu64 "  %s: %s\n", head,
			sum[XVMC_S_TRACKED] - sum[XVMC_S_REGISTERED],
			xvmc_reason_word(XVMC_R_YOUNG), xvmc_reason_text(XVMC_R_YOUNG));
		head = "";
	}
	for (unsigned int r = 0; r < XVMC_R_COUNT; r++) {
		if (!sum[XVMC_S_REASON0 + r])
			continue;
		fprintf(stderr, "  %-12s %10" PRIu64 "  %s: %s\n", head,
			sum[XVMC_S_REASON0 + r], xvmc_reason_word(r), xvmc_reason_text(r));
		head = "";
	}
}

static void print(const struct stats *s, const char *program)
{
	uint64_t sum[XVMC_S_COUNT] = { 0 };
	char out[16], in[16];

	for (size_t i = 0; i < s->n; i++)
		for (unsigned int k = 0; k < XVMC_S_COUNT; k++)
			sum[k] += atomic_load_explicit(&s->page[i]->value[k],
						       memory_order_relaxed);
	fprintf(stderr, "xvmc-run: stats: %s, %zu process%s\n", program, s->n,
		s->n == 1 ? "" : "es");
	fprintf(stderr, "  %-12s %10s out %10s in\n", "by ring",
		bytes(sum[XVMC_S_RING_TX_BYTES], out), bytes(sum[XVMC_S_RING_RX_BYTES], in));
	fprintf(stderr, "  %-12s %10s out %10s in\n", "by TCP",
		bytes(sum[XVMC_S_TCP_TX_BYTES], out), bytes(sum[XVMC_S_TCP_RX_BYTES], in));
	fprintf(stderr, "  %-12s %10" PRIu64 " followed, %" PRIu64 " registered, %" PRIu64 " times given rings\n",
		"connections", sum[XVMC_S_TRACKED], sum[XVMC_S_REGISTERED],
		sum[XVMC_S_SETUPS]);
	why_not(sum);
}

void stats_close(struct stats *s, const char *program)
{
	stats_take(s);
	unlink(s->path);
	close(s->fd);
	print(s, program);
	free(s->page);
}
