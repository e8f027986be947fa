/* SPDX-License-Identifier: MIT */
/*
 * The page of counters: private until somebody else has to read it. From then
 * on a memfd, which xvmcd gets with HELLO, and `xvmc-run --stats` by a message
 * to its socket (XVMC_STATS); the counts outlive the process there.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "internal.h"

/* xvmc-run has an ear for nothing else; one that is stopped must not stop us. */
static const struct timeval hand_timeout = { .tv_usec = 200000 };

/* One datagram: "xvmc-stats" and the descriptor. */
static void hand_over(const char *path, int page_fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr hdr;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .hdr = { .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS,
			       .cmsg_len = CMSG_LEN(sizeof(int)) } };
	char word[] = "xvmc-stats";
	struct iovec vec = { word, sizeof(word) };
	struct msghdr msg = { .msg_name = &sa, .msg_namelen = sizeof(sa), .msg_iov = &vec, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path))
		return;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	memcpy(CMSG_DATA(&control.hdr), &page_fd, sizeof(int));
	fd = OS_MAKE(os_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return;
	os_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &hand_timeout, sizeof(hand_timeout));
	os_sendmsg(fd, &msg, MSG_NOSIGNAL);
	os_close(fd);
}

void stats_share(struct xvmc_ctx *ctx)
{
	struct xvmc_stats_page *old = ctx->stats;
	void *p;
	int fd;

	if (ctx->stats_memfd >= 0)
		return;
	fd = OS_MAKE(os_memfd("xvmc-stats", MFD_CLOEXEC));
	if (fd < 0)
		return;
	if (OS2(SYS_ftruncate, fd, XVMC_PAGE_SIZE) != 0 ||
	    os_write(fd, old, sizeof(*old)) != (ssize_t)sizeof(*old)) {
		os_close(fd);
		return;
	}
	/* In place: everyone's pointer stays right. Counts of the last
	 * microsecond may be lost. */
	p = mmap(old, XVMC_PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED) {
		os_close(fd);
		return;
	}
	ctx->stats_memfd = fd;
	if (ctx->opt.stats[0])
		hand_over(ctx->opt.stats, fd);
}

/* What the parent counted is the parent's. */
void stats_fork_child(struct xvmc_ctx *ctx)
{
	if (ctx->stats_memfd >= 0) {
		os_close(ctx->stats_memfd);
		ctx->stats_memfd = -1;
	}
	mmap(ctx->stats, XVMC_PAGE_SIZE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (ctx->opt.stats[0])
		stats_share(ctx);
}
