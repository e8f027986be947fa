/* SPDX-License-Identifier: MIT */
/*
 * Finding xvmcd, the local backend's hypervisor, and living on when it ends
 * and another one takes its place.
 */
#include "local-call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/numbers.h"
#include "base/rundir.h"

static int await(struct local_hv *lh, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return os_epoll_ctl(lh->wait_fd, EPOLL_CTL_ADD, fd, &ev);
}

/* wait_fd shall be readable when a new xvmcd gives its socket the name; it
 * renames it into place. Without that, the next call finds it. */
static void look_out(struct local_hv *lh)
{
	int fd;

	if (lh->look_fd >= 0)
		return;
	fd = OS_MAKE(OS1(SYS_inotify_init1, IN_CLOEXEC | IN_NONBLOCK));
	if (fd < 0)
		return;
	if (OS3(SYS_inotify_add_watch, fd, lh->dir, IN_MOVED_TO) < 0 ||
	    await(lh, fd) < 0)
		os_close(fd);
	else
		lh->look_fd = fd;
}

static void look_no_more(struct local_hv *lh)
{
	if (lh->look_fd >= 0)
		os_close(lh->look_fd);
	lh->look_fd = -1;
}

void local_disconnect(struct local_hv *lh)
{
	if (lh->sock >= 0)
		os_close(lh->sock); /* leaves wait_fd's set by itself */
	lh->sock = -1;
	lh->noverdue = 0;
	if (lh->life > 0)
		look_out(lh);
}

/* Maps the board, or looks whether it is still the one we have mapped.
 * Returns 1 if it is another one. */
static int take_board(struct local_hv *lh, int fd)
{
	void *at = lh->board;
	struct stat st;
	void *addr;

	if (OS2(SYS_fstat, fd, &st) < 0 || st.st_size < (off_t)XVMC_BOARD_SIZE)
		return -EIO;
	if (at && st.st_dev == lh->board_dev && st.st_ino == lh->board_ino)
		return 0;
	/* In place: other threads read it at any time. */
	addr = mmap(at, XVMC_BOARD_SIZE, PROT_READ,
		    MAP_SHARED | (at ? MAP_FIXED : 0), fd, 0);
	if (addr == MAP_FAILED)
		return -ENOSPC;
	lh->board = addr;
	lh->board_dev = st.st_dev;
	lh->board_ino = st.st_ino;
	return at != NULL;
}

/* The pages of 0xFF are the first xvmcd's for good. */
static int take_ff(struct local_hv *lh, int fd)
{
	int rc;

	if (lh->ff_fd >= 0) {
		os_close(fd);
		return 0;
	}
	rc = xvmc_lw_check_memfd(fd, 0, XVMC_LW_PAGES_MAX);
	if (rc < 0) {
		os_close(fd);
		return rc;
	}
	lh->ff_fd = fd;
	return 0;
}

static int take_welcome(struct local_hv *lh, const struct xvmc_lw_welcome *w,
			const int *fds, unsigned int nfds)
{
	int rc, moved;

	if (w->hdr.status < 0 || nfds != 2 || w->slot >= XVMC_BOARD_DOMS) {
		local_close_fds(fds, nfds);
		return w->hdr.status < 0 ? w->hdr.status : nfds < 2 ? -EMFILE :
								      -EIO;
	}
	moved = take_board(lh, fds[0]);
	os_close(fds[0]);
	rc = take_ff(lh, fds[1]);
	if (moved < 0 || rc < 0)
		return moved < 0 ? moved : rc;
	/* We migrated, or our domain was ended, while nobody could tell us. */
	if (moved || (lh->domid != 0 && lh->domid != w->domid))
		local_cut(lh);
	lh->slot = w->slot;
	lh->domid = w->domid;
	lh->life++;
	return 0;
}

static int hello(struct local_hv *lh)
{
	struct xvmc_lw_hello msg = {
		.hdr = { .version = XVMC_LW_VERSION, .type = XVMC_LW_HELLO, .len = sizeof(msg) },
		.domid = lh->domid,
	};
	uint64_t deadline = os_now_ns() + LOCAL_WAIT_NS;
	int fds[XVMC_LW_FDS_MAX];
	unsigned int nfds = 0;
	union local_packet p;
	int rc;

	memcpy(msg.domain, lh->domain, sizeof(msg.domain));
	msg.hdr.serial = ++lh->serial;
	rc = local_send(lh->sock, &msg, -1, deadline);
	if (rc == 0)
		rc = local_answer(lh, lh->serial, deadline, &p, fds, &nfds);
	if (rc == -ETIMEDOUT)
		lh->retry_at = os_now_ns() + LOCAL_RETRY_NS;
	if (rc < 0)
		return -EIO;
	if (p.hdr.type != XVMC_LW_WELCOME) {
		local_close_fds(fds, nfds);
		return -EIO;
	}
	return take_welcome(lh, &p.welcome, fds, nfds);
}

static int open_socket(const char *dir)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock, rc, n;

	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/" XVMC_LW_SOCKET, dir);
	if (n < 0 || n >= (int)sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	sock = OS_MAKE(os_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (sock < 0)
		return sock;
	rc = os_connect(sock, (struct sockaddr *)&sa, sizeof(sa));
	if (rc == 0) /* whoever answers could hand us any memory */
		rc = xvmc_rundir_check_server(sock);
	if (rc < 0) {
		os_close(sock);
		return rc == -ECONNREFUSED ? -ENOENT : rc;
	}
	return sock;
}

/* Another xvmcd knows nothing of our grants. Those with a byte to clear at our
 * end are granted again, so that somebody sees to it; peers that have them
 * mapped do not notice. */
static void grant_again(struct local_hv *lh)
{
	struct xvmc_list *it, *tmp;
	struct local_call call;

	xvmc_list_each(it, tmp, &lh->shares) {
		struct local_share *share = xvmc_list_entry(it, struct local_share, node);

		if (share->cut || !share->clear || share->life == lh->life)
			continue;
		if (lh->sock < 0)
			return;
		local_grant_begin(lh, share, &call);
		if (local_grant_end(lh, share, &call) < 0)
			return;
		local_tell_at(lh, XVMC_LW_OWNER_CLEAR, share->gref,
			      (uint32_t)share->clear_byte);
	}
}

int local_connect(struct local_hv *lh)
{
	char events[512];
	int rc;

	if (lh->look_fd >= 0)
		os_read(lh->look_fd, events, sizeof(events)); /* said once */
	if (lh->retry_at != 0 && os_now_ns() < lh->retry_at)
		return -EIO;
	lh->retry_at = 0;
	lh->sock = open_socket(lh->dir);
	if (lh->sock < 0) {
		rc = lh->sock;
		lh->sock = -1;
		return lh->life > 0 ? -EIO : rc;
	}
	rc = hello(lh);
	if (rc == 0)
		rc = await(lh, lh->sock);
	if (rc < 0) {
		local_disconnect(lh);
		return rc;
	}
	look_no_more(lh);
	grant_again(lh);
	return 0;
}
