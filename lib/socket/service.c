/* SPDX-License-Identifier: MIT */
/*
 * The service thread: one per process, made with the first endpoint that is
 * worth a ring, so that a program that never meets a peer has no thread, no
 * descriptor and no socket of ours. It sleeps in epoll unless something is
 * due; zero CPU when idle.
 */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/prompt.h"

#define EVENTS 64
#define RECONNECT_NS 1000000000u
/* Messages that wait for xvmcd are tried again so soon. */
#define QUEUE_NS 5000000u
#define SERVICE_STACK (256u * 1024u)

enum { ON_KICK = 1, ON_AGENT = 2, ON_HV = 3, ON_BELL = 4 };

void service_log(struct xvmc_service *sv, const struct xvmc_endpoint *ep,
		 const char *what, unsigned int reason)
{
	unsigned long long now = os_now_ns() / 1000;
	char line[256];
	int n, fd;

	if (!sv->ctx->opt.log[0])
		return;
	if (ep)
		n = snprintf(line, sizeof(line),
			     "%llu pid %d conn %u: %s (%s), sent %llu (ring %llu), received %llu (ring %llu)\n",
			     now, (int)sv->pid, ep->epid, what, xvmc_reason_word(reason),
			     (unsigned long long)ep->conn.tx.sent,
			     (unsigned long long)ep->conn.tx.ring_bytes,
			     (unsigned long long)ep->conn.rx.rcvd,
			     (unsigned long long)ep->conn.rx.ring_bytes);
	else
		n = snprintf(line, sizeof(line), "%llu pid %d: %s (%s)\n", now,
			     (int)sv->pid, what, xvmc_reason_word(reason));
	fd = OS_MAKE(OS4(SYS_openat, AT_FDCWD, sv->ctx->opt.log,
			 O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
	if (fd < 0)
		return;
	os_write(fd, line, (size_t)n);
	os_close(fd);
}

void service_watch(struct xvmc_service *sv, struct xvmc_endpoint *ep, int fd,
		   enum service_tag tag, bool *watched, bool on)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLET |
			  (tag == TAG_TCP ? EPOLLOUT | EPOLLRDHUP : 0u),
		.data.u64 = (uint64_t)(uintptr_t)ep | tag,
	};

	if (*watched == on)
		return;
	*watched = on;
	os_epoll_ctl(sv->epfd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &ev);
}

static void watch_own(struct xvmc_service *sv, int fd, unsigned int what)
{
	struct epoll_event ev = { .events = EPOLLIN,
				  .data.u64 = what << 2 | TAG_SERVICE };

	os_epoll_ctl(sv->epfd, EPOLL_CTL_ADD, fd, &ev);
}

/* ---- xvmcd and the hypervisor ---- */

static void lose_xvmcd(struct xvmc_service *sv, uint64_t now)
{
	struct xvmc_list *it, *tmp;

	service_log(sv, NULL, "xvmcd is gone", XVMC_R_NO_XVMCD);
	xvmc_agent_close(&sv->agent);
	sv->reconnect_ns = now + RECONNECT_NS / 10;
	sv->prepare.active = false;
	xvmc_list_each(it, tmp, &sv->known) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc_link);

		ep->svc.told_xvmcd = false;
		if (ep->state == XVMC_EP_REGISTERED) {
			ep->reason = XVMC_R_NO_XVMCD;
			ep->state = XVMC_EP_QUEUED;
		}
		/* Half-made rings will never be finished; rings in use need
		 * no xvmcd. */
		if (ep->svc.asked && !ep->conn.tx.attached) {
			drive_leave(sv, ep, XVMC_R_NO_XVMCD, false);
			xvmc_service_kick(ep);
		}
	}
}

static int hold_chan(void *arg, xvmc_port_t port, int fd)
{
	struct xvmc_service *sv = arg;

	return xvmc_agent_hold(&sv->agent, port, fd);
}

static int open_hv(struct xvmc_service *sv)
{
	const struct xvmc_hv_local_spec spec = { .dir = sv->ctx->opt.dir,
						 .domain = sv->ctx->opt.domain };
	int r;

	if (!sv->agent.self.xen)
		return xvmc_hv_open_local(&spec, &sv->hv);
	r = xvmc_hv_open_xen(&sv->hv);
	if (r < 0)
		return r;
	xvmc_hv_xen_holder(sv->hv, hold_chan, sv);
	if (xvmc_os_ncpu() < 2 && !xvmc_os_filtered())
		sv->ctx->spins = XVMC_SPINS_YIELDING;
	return 0;
}

/* Opened once: the handle finds a restarted xvmcd by itself. */
static int have_hv(struct xvmc_service *sv)
{
	int r;

	if (sv->hv && sv->agent.self.xen)
		xvmc_hv_xen_hold_all(sv->hv);
	if (sv->hv)
		return 0;
	r = open_hv(sv);
	if (r < 0)
		sv->hv = NULL;
	else if (xvmc_hv_event_fd(sv->hv) >= 0)
		watch_own(sv, xvmc_hv_event_fd(sv->hv), ON_HV);
	return r;
}

static void register_all(struct xvmc_service *sv)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &sv->known) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc_link);
		uint32_t state = ep->state;

		if (state == XVMC_EP_QUEUED || state == XVMC_EP_LINKED) {
			link_register(sv, ep);
			ep->state = state == XVMC_EP_LINKED ? state :
							      XVMC_EP_REGISTERED;
		}
	}
}

/* What is worth a ring is on its way to xvmcd before we know whether that will
 * have us: it may have found the other end by then. */
static void connect_xvmcd(struct xvmc_service *sv, uint64_t now)
{
	const struct xvmc_options *opt = &sv->ctx->opt;

	sv->reconnect_ns = now + RECONNECT_NS;
	if (xvmc_agent_open(&sv->agent, opt->dir, opt->domain, sv->ctx->stats_memfd) < 0)
		return;
	register_all(sv);
	if (xvmc_agent_welcome(&sv->agent) < 0 || have_hv(sv) < 0) {
		lose_xvmcd(sv, now);
		sv->reconnect_ns = now + RECONNECT_NS;
		return;
	}
	watch_own(sv, sv->agent.fd, ON_AGENT);
	service_log(sv, NULL, "connected to xvmcd", XVMC_R_NONE);
}

static void read_agent(struct xvmc_service *sv, uint64_t now)
{
	int r;

	do {
		r = xvmc_agent_recv(&sv->agent, &sv->msg);
		if (r > 0)
			link_message(sv, &sv->msg);
	} while (r > 0);
	if (r == -EIO)
		lose_xvmcd(sv, now);
}

/* ---- the loop ---- */

static struct xvmc_endpoint *next_work(struct xvmc_service *sv)
{
	struct xvmc_endpoint *ep = NULL;

	section_lock(&sv->work_lock);
	if (!xvmc_list_empty(&sv->work)) {
		ep = xvmc_list_entry(sv->work.next, struct xvmc_endpoint, work_link);
		xvmc_list_del(&ep->work_link);
		atomic_store(&ep->queued, false);
	}
	section_unlock(&sv->work_lock);
	return ep;
}

/* The queue's reference becomes ours with the first visit. */
static void attend(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	if (xvmc_list_linked(&ep->svc_link)) {
		drive(sv, ep, os_now_ns());
	} else {
		known_add(sv, ep);
		atomic_store(&ep->attended, true);
		atomic_fetch_add(&ep->obj.users, 1);
		drive(sv, ep, os_now_ns());
	}
	xvmc_ep_put(ep);
}

/* Attends to all whose time has come; returns milliseconds until the next. */
static int timers(struct xvmc_service *sv)
{
	uint64_t now = os_now_ns(), next = UINT64_MAX;
	struct xvmc_list *it, *tmp;
	int queued = sv->agent.fd < 0 ? 0 : xvmc_agent_flush(&sv->agent);

	if (queued == -EIO)
		lose_xvmcd(sv, now);
	if (queued == -EAGAIN)
		next = now + QUEUE_NS;
	if (sv->agent.fd < 0) {
		if (now >= sv->reconnect_ns)
			connect_xvmcd(sv, now);
		if (sv->agent.fd < 0 && sv->reconnect_ns < next)
			next = sv->reconnect_ns;
	}
	xvmc_list_each(it, tmp, &sv->due) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc.due_link);

		if (ep->svc.due_ns <= now) {
			atomic_fetch_add(&ep->obj.users, 1);
			attend(sv, ep);
		}
	}
	/* drive() may have set new times, and dropped endpoints */
	xvmc_list_each(it, tmp, &sv->due) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc.due_link);

		if (ep->svc.due_ns < next)
			next = ep->svc.due_ns;
	}
	link_prepared(sv, now);
	if (sv->prepare.active && sv->prepare.deadline_ns < next)
		next = sv->prepare.deadline_ns;
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int)((next - now + 999999) / 1000000);
}

/* Another process may want one of those that we own. */
static void on_bell(struct xvmc_service *sv)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &sv->known) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc_link);

		if (fork_wanted(ep)) {
			ep->svc.yield = true;
			xvmc_service_kick(ep);
		}
	}
}

void service_hear(struct xvmc_ctx *ctx, int fd, bool on)
{
	/* Nobody empties a bell: each ring is an edge for all who hear it. */
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET,
				  .data.u64 = ON_BELL << 2 | TAG_SERVICE };

	if (ctx->service && fd >= 0)
		os_epoll_ctl(ctx->service->epfd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
			     fd, &ev);
}

static void on_event(struct xvmc_service *sv, const struct epoll_event *ev)
{
	uint64_t data = ev->data.u64;
	struct xvmc_endpoint *ep;

	if ((data & 3) == TAG_SERVICE) {
		if (data >> 2 == ON_KICK)
			os_eventfd_drain(sv->kick_fd);
		else if (data >> 2 == ON_AGENT)
			read_agent(sv, os_now_ns());
		else if (data >> 2 == ON_BELL)
			on_bell(sv);
		else if (sv->hv)
			xvmc_hv_dispatch(sv->hv);
		return;
	}
	/* Valid: a watched endpoint is in sv->known, which holds a reference,
	 * and forgetting one takes its watches off first. */
	ep = (struct xvmc_endpoint *)(uintptr_t)(data & ~(uint64_t)3);
	if (!xvmc_list_linked(&ep->svc_link))
		return;
	if ((data & 3) == TAG_TCP)
		ep->svc.tcp_ev |= ev->events;
	drive(sv, ep, os_now_ns());
}

static bool have_work(struct xvmc_service *sv)
{
	bool yes;

	section_lock(&sv->work_lock);
	yes = !xvmc_list_empty(&sv->work);
	section_unlock(&sv->work_lock);
	return yes;
}

static void *service_main(void *arg)
{
	struct xvmc_service *sv = arg;
	struct epoll_event evs[EVENTS];
	struct xvmc_endpoint *ep;

	xvmc_prompt();
	/* Whoever starts us holds it, until ctx->service says that we are here. */
	section_lock(&sv->ctx->service_lock);
	section_unlock(&sv->ctx->service_lock);
	while (!atomic_load(&sv->stop)) {
		int ms, n;

		/* Before the first look at xvmcd: it is to hear of these. */
		while ((ep = next_work(sv)))
			attend(sv, ep);
		ms = timers(sv);
		n = os_epoll_pwait(sv->epfd, evs, EVENTS, have_work(sv) ? 0 : ms, NULL);
		for (int i = 0; i < n; i++)
			on_event(sv, &evs[i]);
	}
	return NULL;
}

/* ---- start and stop ---- */

/* False: it is in the queue already. */
static bool enqueue(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	if (atomic_exchange(&ep->queued, true))
		return false;
	atomic_fetch_add(&ep->obj.users, 1);
	section_lock(&sv->work_lock);
	xvmc_list_add(&sv->work, &ep->work_link);
	section_unlock(&sv->work_lock);
	return true;
}

/* For first, which the thread finds in its queue: what it says to xvmcd before
 * it waits is that. */
static int service_start(struct xvmc_ctx *ctx, struct xvmc_endpoint *first)
{
	struct xvmc_service *sv = calloc(1, sizeof(*sv));
	struct xvmc_endpoint *ep;
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	if (!sv)
		return -ENOMEM;
	sv->ctx = ctx;
	sv->pid = os_getpid();
	sv->agent.fd = -1;
	xvmc_list_init(&sv->work);
	xvmc_list_init(&sv->known);
	xvmc_list_init(&sv->due);
	xvmc_list_init(&sv->rings);
	pthread_mutex_init(&sv->work_lock, NULL);
	sv->epfd = OS_MAKE(os_epoll_create(EPOLL_CLOEXEC));
	sv->kick_fd = OS_MAKE(os_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (sv->epfd < 0 || sv->kick_fd < 0) {
		r = -EMFILE;
		goto fail;
	}
	watch_own(sv, sv->kick_fd, ON_KICK);
	stats_share(ctx);
	enqueue(sv, first);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, SERVICE_STACK);
	/* No signal of the application's is ever handled on our thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&sv->thread, &attr, service_main, sv);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r < 0)
		goto fail;
	ctx->service = sv;
	return 0;
fail:
	while ((ep = next_work(sv)))
		xvmc_ep_put(ep);
	if (sv->epfd >= 0)
		os_close(sv->epfd);
	if (sv->kick_fd >= 0)
		os_close(sv->kick_fd);
	free(sv);
	return r;
}

void xvmc_service_kick(struct xvmc_endpoint *ep)
{
	struct xvmc_ctx *ctx = ep->ctx;
	struct xvmc_service *sv;

	if (ctx->ended || atomic_load(&ep->queued))
		return;
	sv = atomic_load_explicit(&ctx->service, memory_order_acquire);
	if (!sv) {
		section_lock(&ctx->service_lock);
		if (!ctx->service && service_start(ctx, ep) < 0)
			ep->reason = XVMC_R_NO_THREAD;
		sv = ctx->service;
		section_unlock(&ctx->service_lock);
		if (!sv)
			return;
	}
	/* The thread looks at its queue before it sleeps. */
	if (enqueue(sv, ep) && !pthread_equal(pthread_self(), sv->thread))
		os_eventfd_ring(sv->kick_fd);
}

/* The references of the queue, and those to closed connections that the thread
 * kept for a while: their rings go with the hypervisor's handle. */
static void drop_all(struct xvmc_service *sv)
{
	struct xvmc_list *it, *tmp;
	struct xvmc_endpoint *ep;

	while ((ep = next_work(sv)))
		xvmc_ep_put(ep);
	xvmc_list_each(it, tmp, &sv->known) {
		ep = xvmc_list_entry(it, struct xvmc_endpoint, svc_link);
		if (ep->io_fd >= 0)
			os_close(ep->io_fd);
		ep->io_fd = -1;
		link_held_end(ep);
		known_del(sv, ep);
		xvmc_ep_put(ep);
	}
}

void service_stop(struct xvmc_ctx *ctx)
{
	struct xvmc_service *sv = ctx->service;

	if (!sv)
		return;
	atomic_store(&sv->stop, true);
	os_eventfd_ring(sv->kick_fd);
	pthread_join(sv->thread, NULL);
	drop_all(sv);
	xvmc_agent_close(&sv->agent);
	xvmc_hv_close(sv->hv);
	os_close(sv->epfd);
	os_close(sv->kick_fd);
	ctx->service = NULL;
	free(sv);
}

void service_forget(struct xvmc_ctx *ctx)
{
	struct xvmc_service *sv = ctx->service;

	if (!sv)
		return;
	ctx->service = NULL;
	os_close(sv->epfd);
	os_close(sv->kick_fd);
	if (sv->agent.fd >= 0)
		os_close(sv->agent.fd);
	xvmc_hv_abandon(sv->hv);
}
