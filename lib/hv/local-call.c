/* SPDX-License-Identifier: MIT */
/*
 * Talking to xvmcd, the local backend's hypervisor: calls with a bounded
 * wait, and the events that come between or within them.
 */
#include "local-call.h"

#include <errno.h>
#include <string.h>

#include "base/numbers.h"

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

int local_send(int sock, const void *msg, int fd, uint64_t deadline)
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
		local_send(lh->sock, &msg, -1, os_now_ns() + LOCAL_WAIT_NS);
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

/* The answer to a call that nobody waits for any more, if it is one. */
static void too_late(struct local_hv *lh, const struct xvmc_lw_reply *reply)
{
	for (unsigned int i = 0; i < lh->noverdue; i++) {
		uint16_t type = lh->overdue[i].type;

		if (lh->overdue[i].serial != reply->hdr.serial)
			continue;
		lh->overdue[i] = lh->overdue[--lh->noverdue];
		if (reply->hdr.status == 0)
			undo(lh, type, reply->number);
		return;
	}
}

static bool well_formed(const union local_packet *p, ssize_t n)
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
static void play(struct local_hv *lh, const union local_packet *p)
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
		too_late(lh, &p->reply);
		break;
	}
}

/* xvmc_lw_recv, and gives what came along high numbers: all or nothing. */
static ssize_t receive(int sock, union local_packet *p, int *fds, unsigned int *nfds)
{
	unsigned int n = 0;
	ssize_t r;

	xvmc_numbers_make();
	r = xvmc_lw_recv(sock, p, sizeof(*p), fds, nfds);
	for (unsigned int i = 0; r > 0 && i < *nfds; i++) {
		fds[n] = xvmc_os_high_fd(fds[i]);
		n += fds[n] >= 0;
	}
	xvmc_numbers_made();
	if (r > 0 && n < *nfds) {
		local_close_fds(fds, n);
		*nfds = 0;
	}
	return r;
}

/*
 * Takes one packet. Returns 1 with the answer to call serial, 0 for anything
 * else (played), -EAGAIN, or -EIO with the connection closed.
 */
static int take(struct local_hv *lh, uint32_t serial, union local_packet *ret_packet,
		int *ret_fds, unsigned int *ret_nfds)
{
	int fds[XVMC_LW_FDS_MAX];
	unsigned int nfds = 0;
	union local_packet p;
	ssize_t n;

	n = receive(lh->sock, &p, fds, &nfds);
	if (n == -EAGAIN)
		return -EAGAIN;
	if (n <= 0 || !well_formed(&p, n)) {
		if (n > 0)
			local_close_fds(fds, nfds);
		local_disconnect(lh);
		return -EIO;
	}
	if (serial != 0 && p.hdr.serial == serial) {
		*ret_packet = p;
		memcpy(ret_fds, fds, nfds * sizeof(int));
		*ret_nfds = nfds;
		return 1;
	}
	local_close_fds(fds, nfds);
	play(lh, &p);
	return 0;
}

int local_answer(struct local_hv *lh, uint32_t serial, uint64_t deadline,
		 union local_packet *ret_packet, int *ret_fds,
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
	union local_packet p;
	int rc;

	do
		rc = lh->sock < 0 ? -EIO : take(lh, 0, &p, fds, &nfds);
	while (rc == 0);
	return rc == -EAGAIN ? 0 : rc;
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
	if (lh->noverdue == 0)
		return 0;
	rc = local_drain(lh);
	return rc < 0 || lh->noverdue > 0 ? -EIO : 0;
}

static int take_fds(const int *fds, unsigned int nfds, unsigned int want,
		    int *ret_fds)
{
	if (nfds != want) {
		local_close_fds(fds, nfds);
		return -EMFILE;
	}
	if (want > 0)
		memcpy(ret_fds, fds, want * sizeof(int));
	return 0;
}

static int begin(struct local_hv *lh, void *msg, int fd, uint64_t deadline)
{
	struct xvmc_lw_hdr *hdr = msg;
	int rc;

	rc = ready(lh);
	if (rc < 0)
		return rc;
	if (++lh->serial == 0)
		lh->serial = 1;
	hdr->version = XVMC_LW_VERSION;
	hdr->serial = lh->serial;
	rc = local_send(lh->sock, msg, fd, deadline);
	if (rc < 0 && rc != -ETIMEDOUT)
		local_disconnect(lh);
	return rc < 0 ? -EIO : 0;
}

void local_call_begin(struct local_hv *lh, void *msg, int fd,
		      struct local_call *ret_call)
{
	const struct xvmc_lw_hdr *hdr = msg;
	struct local_call call = { .deadline = os_now_ns() + LOCAL_WAIT_NS };

	call.rc = begin(lh, msg, fd, call.deadline);
	call.type = hdr->type;
	call.serial = hdr->serial;
	call.life = lh->life;
	*ret_call = call;
}

int local_call_end(struct local_hv *lh, const struct local_call *call,
		   struct xvmc_lw_reply *ret_reply, unsigned int nfds, int *ret_fds)
{
	int fds[XVMC_LW_FDS_MAX];
	unsigned int got = 0;
	union local_packet p;
	int rc;

	if (call->rc < 0)
		return call->rc;
	/* Gone, and perhaps another one there, since it was sent. */
	if (lh->sock < 0 || lh->life != call->life)
		return -EIO;
	rc = local_answer(lh, call->serial, call->deadline, &p, fds, &got);
	if (rc == -ETIMEDOUT && lh->noverdue < LOCAL_CALLS_MAX)
		lh->overdue[lh->noverdue++] = (struct local_overdue){ call->serial,
								      call->type };
	if (rc < 0)
		return -EIO;
	if (p.hdr.type != XVMC_LW_REPLY || p.hdr.status < 0) {
		local_close_fds(fds, got);
		return p.hdr.type != XVMC_LW_REPLY ? -EIO : p.hdr.status;
	}
	rc = take_fds(fds, got, nfds, ret_fds);
	if (rc < 0) {
		undo(lh, call->type, p.reply.number);
		return rc;
	}
	*ret_reply = p.reply;
	return 0;
}

void local_grant_begin(struct local_hv *lh, const struct local_share *share,
		       struct local_call *ret_call)
{
	struct xvmc_lw_call msg = {
		.hdr = { .type = XVMC_LW_GRANT, .len = sizeof(msg) },
		.peer = share->peer,
		.npages = (uint32_t)share->npages,
		.writable = share->writable,
	};

	local_call_begin(lh, &msg, share->fd, ret_call);
}

int local_grant_end(struct local_hv *lh, struct local_share *share,
		    const struct local_call *call)
{
	struct xvmc_lw_reply reply;
	int rc;

	rc = local_call_end(lh, call, &reply, 0, NULL);
	if (rc < 0)
		return rc;
	share->gref = reply.number;
	share->life = lh->life;
	return 0;
}
