/* SPDX-License-Identifier: MIT */
/*
 * Talking to xvmcd, the local backend's hypervisor: calls with a bounded
 * wait, the events that come between or within them, and living on when
 * xvmcd ends and another one takes its place.
 */
#include "local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/os.h"

#define WAIT_NS 2000000000u
#define RETRY_NS 1000000000u /* after one that hung */

static void close_fds(const int *fds, unsigned int nfds)
{
	while (nfds > 0)
		os_close(fds[--nfds]);
}

/* Sleeps until the socket has one of events or the deadline passes. */
static int wait_for(int sock, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd pfd = { .fd = sock, .events = events };
		uint64_t now = os_now_ns();
		struct timespec ts;
		int n;

		if (now >= deadline)
			return -ETIMEDOUT;
		ts.tv_sec = (time_t)((deadline - now) / 1000000000u);
		ts.tv_nsec = (long)((deadline - now) % 1000000000u);
		n = os_ppoll(&pfd, 1, &ts, NULL);
		if (n > 0)
			return 0;
		if (n < 0 && n != -EINTR)
			return n;
	}
}

static int send_within(int sock, const void *msg, int fd, uint64_t deadline)
{
	int rc;

	for (;;) {
		rc = xvmc_lw_send(sock, msg, &fd, fd >= 0);
		if (rc != -EAGAIN)
			return rc;
		rc = wait_for(sock, POLLOUT, deadline);
		if (rc < 0)
			return rc;
	}
}

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
	fd = (int)OS1(SYS_inotify_init1, IN_CLOEXEC | IN_NONBLOCK);
	if (fd >= 0)
		fd = xvmc_os_high_fd(fd);
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
	lh->overdue = 0;
	if (lh->life > 0)
		look_out(lh);
}

void local_tell(struct local_hv *lh, uint16_t type, uint32_t number)
{
	local_tell_at(lh, type, number, 0);
}

void local_tell_at(struct local_hv *lh, uint16_t type, uint32_t number,
		   uint32_t at)
{
	struct xvmc_lw_word msg = {
		.hdr = { .version = XVMC_LW_VERSION, .type = type, .len = sizeof(msg) },
		.number = number,
		.pad = at,
	};

	if (lh->sock >= 0)
		send_within(lh->sock, &msg, -1, os_now_ns() + WAIT_NS);
}

/* A call succeeded that nobody waits for any more. */
static void undo(struct local_hv *lh, uint16_t type, uint32_t number)
{
	switch (type) {
	case XVMC_LW_GRANT:
		local_tell(lh, XVMC_LW_UNGRANT, number);
		break;
	case XVMC_LW_MAP:
		local_tell(lh, XVMC_LW_UNMAP, number);
		break;
	case XVMC_LW_CHAN_ALLOC:
	case XVMC_LW_CHAN_BIND:
		local_tell(lh, XVMC_LW_CHAN_CLOSE, number);
		break;
	}
}

union packet {
	struct xvmc_lw_hdr hdr;
	struct xvmc_lw_welcome welcome;
	struct xvmc_lw_reply reply;
	struct xvmc_lw_word word;
	char room[XVMC_LW_MAX];
};

static bool well_formed(const union packet *p, ssize_t n)
{
	size_t len = sizeof(p->word);

	if (n < (ssize_t)sizeof(p->hdr) || p->hdr.len != n ||
	    p->hdr.version != XVMC_LW_VERSION)
		return false;
	if (p->hdr.type == XVMC_LW_WELCOME)
		len = sizeof(p->welcome);
	else if (p->hdr.type == XVMC_LW_REPLY)
		len = sizeof(p->reply);
	return (size_t)n == len;
}

/* Plays an event or a late answer. */
static void play(struct local_hv *lh, const union packet *p)
{
	switch (p->hdr.type) {
	case XVMC_LW_PRECOPY:
		local_snapshot(lh);
		break;
	case XVMC_LW_CUT:
		local_cut(lh);
		lh->domid = __atomic_load_n(&lh->board->dom[lh->slot].domid, __ATOMIC_ACQUIRE);
		local_tell(lh, XVMC_LW_CUT_DONE, p->word.number);
		break;
	case XVMC_LW_REPLY:
		if (p->hdr.serial != lh->overdue)
			break;
		lh->overdue = 0;
		if (p->hdr.status == 0)
			undo(lh, lh->overdue_type, p->reply.number);
		break;
	}
}

/*
 * Takes one packet. Returns 1 with the answer to call serial, 0 for anything
 * else (played), -EAGAIN, or -EIO with the connection closed.
 */
static int take(struct local_hv *lh, uint32_t serial, union packet *ret_packet,
		int *ret_fds, unsigned int *ret_nfds)
{
	int fds[XVMC_LW_FDS_MAX];
	unsigned int nfds = 0;
	union packet p;
	ssize_t n;

	n = xvmc_lw_recv(lh->sock, &p, sizeof(p), fds, &nfds);
	if (n == -EAGAIN)
		return -EAGAIN;
	if (n <= 0 || !well_formed(&p, n)) {
		if (n > 0)
			close_fds(fds, nfds);
		local_disconnect(lh);
		return -EIO;
	}
	if (serial != 0 && p.hdr.serial == serial) {
		*ret_packet = p;
		memcpy(ret_fds, fds, nfds * sizeof(int));
		*ret_nfds = nfds;
		return 1;
	}
	close_fds(fds, nfds);
	play(lh, &p);
	return 0;
}

/* Waits for the answer to call serial. 0, -EIO (gone), -ETIMEDOUT. */
static int answer(struct local_hv *lh, uint32_t serial, uint64_t deadline,
		  union packet *ret_packet, int *ret_fds,
		  unsigned int *ret_nfds)
{
	int rc;

	for (;;) {
		rc = take(lh, serial, ret_packet, ret_fds, ret_nfds);
		if (rc == 1)
			return 0;
		if (rc == -EAGAIN)
			rc = wait_for(lh->sock, POLLIN, deadline);
		if (rc < 0)
			return rc;
	}
}

int local_drain(struct local_hv *lh)
{
	unsigned int nfds;
	int fds[XVMC_LW_FDS_MAX];
	union packet p;
	int rc;

	do
		rc = lh->sock < 0 ? -EIO : take(lh, 0, &p, fds, &nfds);
	while (rc == 0);
	return rc == -EAGAIN ? 0 : rc;
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
	lh->ff_fd = xvmc_os_high_fd(fd);
	return lh->ff_fd < 0 ? lh->ff_fd : 0;
}

static int take_welcome(struct local_hv *lh, const struct xvmc_lw_welcome *w,
			const int *fds, unsigned int nfds)
{
	int rc, moved;

	if (w->hdr.status < 0 || nfds != 2 || w->slot >= XVMC_BOARD_DOMS) {
		close_fds(fds, nfds);
		return w->hdr.status < 0 ? w->hdr.status : nfds < 2 ? -EMFILE : -EIO;
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
	uint64_t deadline = os_now_ns() + WAIT_NS;
	int fds[XVMC_LW_FDS_MAX];
	unsigned int nfds = 0;
	union packet p;
	int rc;

	memcpy(msg.domain, lh->domain, sizeof(msg.domain));
	msg.hdr.serial = ++lh->serial;
	rc = send_within(lh->sock, &msg, -1, deadline);
	if (rc == 0)
		rc = answer(lh, lh->serial, deadline, &p, fds, &nfds);
	if (rc == -ETIMEDOUT)
		lh->retry_at = os_now_ns() + RETRY_NS;
	if (rc < 0)
		return -EIO;
	if (p.hdr.type != XVMC_LW_WELCOME) {
		close_fds(fds, nfds);
		return -EIO;
	}
	return take_welcome(lh, &p.welcome, fds, nfds);
}

/* Whoever answers could hand us any memory: only our own user or root. */
static int check_server(int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int rc;

	rc = os_getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	if (rc < 0)
		return rc;
	if (cred.uid != 0 && cred.uid != (uid_t)OS0(SYS_geteuid))
		return -EACCES;
	return 0;
}

static int open_socket(const char *dir)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock, rc, n;

	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/" XVMC_LW_SOCKET, dir);
	if (n < 0 || n >= (int)sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	sock = os_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock >= 0)
		sock = xvmc_os_high_fd(sock);
	if (sock < 0)
		return sock;
	rc = os_connect(sock, (struct sockaddr *)&sa, sizeof(sa));
	if (rc == 0)
		rc = check_server(sock);
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

	xvmc_list_each(it, tmp, &lh->shares) {
		struct local_share *share = xvmc_list_entry(it, struct local_share, node);

		if (share->cut || !share->clear || share->life == lh->life)
			continue;
		if (lh->sock < 0 || local_grant(lh, share) < 0)
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

/* Ready for a call: connected, and not behind with an earlier one. */
static int ready(struct local_hv *lh)
{
	int rc;

	if (lh->sock < 0) {
		rc = local_connect(lh);
		if (rc < 0)
			return rc;
	}
	if (lh->overdue == 0)
		return 0;
	rc = local_drain(lh);
	return rc < 0 || lh->overdue != 0 ? -EIO : 0;
}

/* Gives the answer's descriptors high numbers. */
static int take_fds(const int *fds, unsigned int nfds, unsigned int want,
		    int *ret_fds)
{
	int high[XVMC_LW_FDS_MAX];

	if (nfds != want) {
		close_fds(fds, nfds);
		return -EMFILE;
	}
	for (unsigned int i = 0; i < want; i++) {
		high[i] = xvmc_os_high_fd(fds[i]);
		if (high[i] < 0) {
			int rc = high[i];

			close_fds(high, i);
			close_fds(fds + i + 1, want - i - 1);
			return rc;
		}
	}
	if (want > 0)
		memcpy(ret_fds, high, want * sizeof(int));
	return 0;
}

int local_call(struct local_hv *lh, void *msg, int fd,
	       struct xvmc_lw_reply *ret_reply, unsigned int nfds,
	       int *ret_fds)
{
	uint64_t deadline = os_now_ns() + WAIT_NS;
	struct xvmc_lw_hdr *hdr = msg;
	int fds[XVMC_LW_FDS_MAX];
	unsigned int got = 0;
	union packet p;
	int rc;

	rc = ready(lh);
	if (rc < 0)
		return rc;
	if (++lh->serial == 0)
		lh->serial = 1;
	hdr->version = XVMC_LW_VERSION;
	hdr->serial = lh->serial;
	rc = send_within(lh->sock, msg, fd, deadline);
	if (rc < 0) {
		if (rc != -ETIMEDOUT)
			local_disconnect(lh);
		return -EIO;
	}
	rc = answer(lh, hdr->serial, deadline, &p, fds, &got);
	if (rc == -ETIMEDOUT) {
		lh->overdue = hdr->serial;
		lh->overdue_type = hdr->type;
	}
	if (rc < 0)
		return -EIO;
	if (p.hdr.type != XVMC_LW_REPLY || p.hdr.status < 0) {
		close_fds(fds, got);
		return p.hdr.type != XVMC_LW_REPLY ? -EIO : p.hdr.status;
	}
	rc = take_fds(fds, got, nfds, ret_fds);
	if (rc < 0) {
		undo(lh, hdr->type, p.reply.number);
		return rc;
	}
	*ret_reply = p.reply;
	return 0;
}

int local_grant(struct local_hv *lh, struct local_share *share)
{
	struct xvmc_lw_call msg = {
		.hdr = { .type = XVMC_LW_GRANT, .len = sizeof(msg) },
		.peer = share->peer,
		.npages = (uint32_t)share->npages,
		.writable = share->writable,
	};
	struct xvmc_lw_reply reply;
	int rc;

	rc = local_call(lh, &msg, share->fd, &reply, 0, NULL);
	if (rc < 0)
		return rc;
	share->gref = reply.number;
	share->life = lh->life;
	return 0;
}
