/* SPDX-License-Identifier: MIT */
/*
 * fork: the parent keeps its rings, the child may use every socket over TCP.
 *
 * After a fork two processes hold the same TCP socket, and only one of them
 * may read or write it by anything but plain calls. A word in memory both
 * share says who: FREE (nobody has claimed it), OWNER (the parent has rings,
 * or is about to), SHARED (a child used it: plain TCP for good). A child that
 * only closes an inherited connection never touches the word. One that uses
 * it moves FREE to SHARED; where it finds OWNER it has xvmcd ask the parent
 * to leave its rings first.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>

#include "event/agent.h"
#include "internal.h"

enum { WORD_FREE = 0, WORD_OWNER = 1, WORD_SHARED = 2 };

/* One more fork, one more arena of words for the endpoints that have none. */
static void give_words(struct xvmc_ctx *ctx)
{
	struct xvmc_list *it, *tmp;
	_Atomic uint32_t *words;
	size_t n = 0, i = 0;

	xvmc_list_each(it, tmp, &ctx->eps)
		n += !xvmc_list_entry(it, struct xvmc_endpoint, all_link)->fork_word;
	if (!n)
		return;
	words = mmap(NULL, n * sizeof(*words), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (words == MAP_FAILED)
		words = NULL;
	xvmc_list_each(it, tmp, &ctx->eps) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, all_link);

		ep->forked = ep->fork_idle = true;
		if (!ep->fork_word && words) {
			ep->fork_word = &words[i++];
			*ep->fork_word = ep->state >= XVMC_EP_LINKED &&
							 ep->state != XVMC_EP_PINNED ?
						 WORD_OWNER :
						 WORD_FREE;
		}
	}
}

void xvmc_ctx_fork_prepare(struct xvmc_ctx *ctx)
{
	section_lock(&ctx->epoll_lock);
	xvmc_epoll_fork_prepare(ctx);
	section_lock(&ctx->service_lock);
	section_lock(&ctx->lock);
	give_words(ctx);
}

void xvmc_ctx_fork_parent(struct xvmc_ctx *ctx)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &ctx->eps) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, all_link);

		ep->forked = ep->fork_idle = true;
	}
	section_unlock(&ctx->lock);
	section_unlock(&ctx->service_lock);
	xvmc_epoll_fork_parent(ctx);
	section_unlock(&ctx->epoll_lock);
}

/* Locks that other threads of the parent held are nobody's here. */
static void fresh_locks(struct xvmc_endpoint *ep)
{
	pthread_mutex_init(&ep->conn.tx.lock, NULL);
	pthread_mutex_init(&ep->conn.rx.lock, NULL);
}

static void disown(struct xvmc_endpoint *ep)
{
	fresh_locks(ep);
	ep->inherited = true;
	ep->parent_pid = ep->ctx->pid;
	ep->queued = false;
	memset(&ep->work_link, 0, sizeof(ep->work_link));
	memset(&ep->svc_link, 0, sizeof(ep->svc_link));
	if (ep->io_fd >= 0)
		os_close(ep->io_fd);
	if (ep->rx_poke_fd >= 0)
		os_close(ep->rx_poke_fd);
	if (ep->tx_poke_fd >= 0)
		os_close(ep->tx_poke_fd);
	ep->io_fd = ep->rx_poke_fd = ep->tx_poke_fd = -1;
	endpoint_let_go(ep);
	/* The channels' descriptors are the hypervisor handle's: it closes
	 * them in xvmc_hv_abandon. The pages do not exist in this process. */
	ep->conn.tx.have_chan = ep->conn.tx.have_share = ep->conn.tx.attached = false;
	ep->conn.rx.have_chan = ep->conn.rx.attached = false;
	ep->conn.rx.have_map_r = ep->conn.rx.have_map_sd = false;
	/* Every call comes by xvmc_sock_inherited_use first. */
	ep->rx_gate = ep->tx_gate = XVMC_GATE_MANAGED;
	ep->rx_waiters = ep->tx_waiters = ep->bell_holds = ep->inside = 0;
}

void xvmc_ctx_fork_child(struct xvmc_ctx *ctx)
{
	struct xvmc_list *it, *tmp;

	pthread_mutex_init(&ctx->lock, NULL);
	pthread_mutex_init(&ctx->service_lock, NULL);
	pthread_mutex_init(&ctx->epoll_lock, NULL);
	xvmc_list_each(it, tmp, &ctx->eps)
		disown(xvmc_list_entry(it, struct xvmc_endpoint, all_link));
	xvmc_epoll_fork_child(ctx);
	service_forget(ctx);
	stats_fork_child(ctx);
	ctx->pid = os_getpid();
	ctx->ncpu = xvmc_os_ncpu();
	/* Of the locks above: from here on handlers run again. */
	xvmc_section_fork_child();
}

bool fork_claim(struct xvmc_endpoint *ep)
{
	uint32_t word = WORD_FREE;

	if (!ep->fork_word)
		return !ep->forked;
	return atomic_compare_exchange_strong(ep->fork_word, &word, WORD_OWNER) ||
	       word == WORD_OWNER;
}

void fork_release(struct xvmc_endpoint *ep, bool shared)
{
	if (ep->fork_word)
		atomic_store(ep->fork_word, shared ? WORD_SHARED : WORD_FREE);
}

/* Other messages may come first: this is a process like any other. */
static int await_end(struct xvmc_agent *agent, uint64_t end)
{
	union xvmc_agent_msg msg;

	for (;;) {
		bool queued = xvmc_agent_flush(agent) == -EAGAIN;
		struct pollfd pfd = {
			.fd = agent->fd,
			.events = (short)(POLLIN | (queued ? POLLOUT : 0)),
		};
		uint64_t now = os_now_ns(), left = end > now ? end - now : 0;
		struct timespec ts = { .tv_sec = (time_t)(left / 1000000000u),
				       .tv_nsec = (long)(left % 1000000000u) };
		int r;

		if (os_ppoll(&pfd, 1, &ts, NULL) != 1)
			return -ETIMEDOUT;
		r = xvmc_agent_recv(agent, &msg);
		if (r == 1 && msg.hdr.type == XVMC_AG_END)
			return msg.hdr.status;
		if (r < 0 && r != -EAGAIN)
			return r;
	}
}

/* The parent has rings: xvmcd asks it to leave them and answers when it has. */
static int adopt(struct xvmc_endpoint *ep)
{
	struct xvmc_ctx *ctx = ep->ctx;
	struct xvmc_agent agent = { .fd = -1 };
	struct xvmc_ag_adopt msg = {
		.hdr = { .type = XVMC_AG_ADOPT, .len = sizeof(msg) },
		.pid = (uint32_t)ep->parent_pid,
		.epid = ep->epid,
		.link = ep->conn.link,
	};
	int r;

	r = xvmc_agent_open(&agent, ctx->opt.dir, ctx->opt.domain, -1);
	if (r == 0)
		r = xvmc_agent_send(&agent, &msg.hdr);
	if (r == 0)
		r = await_end(&agent, os_now_ns() +
					      (uint64_t)ctx->opt.escape_ms * 1000000u);
	xvmc_agent_close(&agent);
	return r;
}

int xvmc_sock_inherited_use(struct xvmc_endpoint *ep)
{
	uint32_t word = WORD_FREE;
	int r = 0;

	section_lock(&ep->conn.tx.lock);
	if (!ep->inherited)
		goto out;
	if (ep->fork_word) {
		static const struct timespec ms = { .tv_nsec = 1000000 };
		uint64_t end = os_now_ns() +
			       (uint64_t)ep->ctx->opt.escape_ms * 1000000u;

		/* The owner may be leaving its rings, or making new ones,
		 * while we ask: then xvmcd knows of no such link. It is not
		 * done before the word says so: until then bytes of the stream
		 * may be in its hands. */
		while (!atomic_compare_exchange_strong(ep->fork_word, &word,
						       WORD_SHARED) &&
		       word == WORD_OWNER && r == 0) {
			r = adopt(ep);
			if (r == -ESRCH && *ep->fork_word != WORD_OWNER)
				r = 0; /* it went in order */
			if (r == 0 && os_now_ns() >= end)
				r = -ETIMEDOUT;
			if (r == 0 && *ep->fork_word == WORD_OWNER)
				OS4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ms, NULL);
			word = WORD_FREE;
		}
		if (r < 0) {
			/* Whatever the ring holds is out of our reach. */
			os_shutdown(ep->fd, SHUT_RDWR);
			xvmc_stat_add(ep->ctx->stats, XVMC_S_RESETS, 1);
			r = -ECONNRESET;
		}
	}
	ep->inherited = false;
	ep->reason = XVMC_R_FORK;
	ep->state = XVMC_EP_PINNED;
	atomic_fetch_and(&ep->rx_gate, ~XVMC_GATE_MANAGED);
	atomic_fetch_and(&ep->tx_gate, ~XVMC_GATE_MANAGED);
out:
	section_unlock(&ep->conn.tx.lock);
	return r;
}
