/* SPDX-License-Identifier: MIT */
/*
 * Registrations that move from the kernel to us and back, as the endpoint
 * becomes MANAGED and PLAIN; the hot list.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "epoll.h"

/* ---- the hot list ---- */

/* The set's lock held: a load and a store will do. */
static void count_hot(struct xvmc_epset *set, uint32_t by)
{
	uint32_t n = atomic_load_explicit(&set->nhot, memory_order_relaxed);

	atomic_store_explicit(&set->nhot, n + by, memory_order_relaxed);
}

void epreg_heat(struct xvmc_epreg *reg)
{
	reg->misses = 0;
	if (!reg->managed || reg->fired || xvmc_list_linked(&reg->hot_link))
		return;
	xvmc_list_add(&reg->set->hot, &reg->hot_link);
	count_hot(reg->set, 1);
}

void epreg_cool(struct xvmc_epreg *reg)
{
	if (!xvmc_list_linked(&reg->hot_link))
		return;
	xvmc_list_del(&reg->hot_link);
	count_hot(reg->set, -1u);
}

/* A hot member may be ready. Where somebody sleeps, or another epoll watches
 * this one, it is looked at here, so that nobody is woken for nothing. */
void epreg_news(struct xvmc_epreg *reg)
{
	struct xvmc_epset *set = reg->set;

	if (!atomic_load(&set->sleepers) && !atomic_load(&set->watched))
		return;
	if (!xvmc_list_linked(&reg->hot_link))
		return;
	if (epreg_look(reg, true, false))
		epset_wake(set);
	else
		epreg_cool(reg);
}

/* ---- to us and back ---- */

static int kernel_mod(struct xvmc_epreg *reg)
{
	struct epoll_event kev = epreg_kernel_event(reg);
	int r = os_epoll_ctl(reg->set->kfd, EPOLL_CTL_MOD, reg->fd, &kev);

	if (r == -EINVAL && (reg->events & EPOLLEXCLUSIVE)) {
		/* Registered before we knew it for a connection. */
		r = os_epoll_ctl(reg->set->kfd, EPOLL_CTL_DEL, reg->fd, NULL);
		if (r == 0)
			r = os_epoll_ctl(reg->set->kfd, EPOLL_CTL_ADD, reg->fd, &kev);
	}
	return r;
}

static void to_list(struct xvmc_epreg *reg, struct xvmc_list *head)
{
	xvmc_list_del(&reg->set_link);
	xvmc_list_add(head, &reg->set_link);
}

/* The bells may hold rings from before they were ours, and would make the
 * epfd readable for nothing: take them now. */
static void take_old_rings(struct xvmc_epset *set)
{
	struct epoll_event evs[EPREG_BELLS];
	int n = os_epoll_pwait(set->inner, evs, EPREG_BELLS, 0, NULL);

	for (int i = 0; i < n; i++) {
		struct xvmc_epreg *reg = epreg_of(evs[i].data.u64);

		if (reg && reg->kind == EPREG_ENDPOINT) {
			epreg_heat(reg);
			epreg_news(reg);
		}
	}
}

/* 0; -EAGAIN: the endpoint is not MANAGED; -EBADF, -ENOENT: the kernel has no
 * such registration (any more); -EMFILE ...: no means to wait for it. */
int epreg_manage(struct xvmc_epreg *reg)
{
	struct xvmc_epset *set = reg->set;
	int r;

	if (reg->managed)
		return 0;
	r = epset_open_inner(set);
	if (r < 0)
		return r;
	if (!xvmc_ep_bell_hold(reg->ep))
		return -EAGAIN;
	r = epreg_add_bells(reg);
	if (r == 0) {
		reg->managed = reg->own_data = true;
		r = kernel_mod(reg);
		if (r < 0) {
			reg->managed = false;
			reg->own_data = (reg->events & EPOLLONESHOT) != 0;
			epreg_remove_bells(reg);
		}
	}
	if (r < 0) {
		xvmc_ep_bell_release(reg->ep);
		return r;
	}
	to_list(reg, &set->managed);
	atomic_fetch_add(&set->nmanaged, 1);
	reg->since = atomic_fetch_add(&set->takeovers, 1) + 1;
	atomic_fetch_add(&set->moves, 1);
	/* An edge the kernel held ready may just have been lost: as if
	 * nothing had been reported yet. */
	reg->last_rx = reg->last_tx = 0;
	reg->last_dries = (uint8_t)(reg->ep->dries - 1);
	reg->last_bits = 0;
	epreg_heat(reg);
	epreg_news(reg);
	take_old_rings(set);
	return 0;
}

/* kernel_too: it has the registration still, and shall report by it again. */
static void unmanage(struct xvmc_epreg *reg, bool kernel_too)
{
	struct xvmc_epset *set = reg->set;

	if (!reg->managed)
		return;
	epreg_cool(reg);
	epreg_remove_bells(reg);
	reg->managed = false;
	reg->own_data = (reg->events & EPOLLONESHOT) != 0;
	to_list(reg, &set->regs);
	atomic_fetch_sub(&set->nmanaged, 1);
	xvmc_ep_bell_release(reg->ep);
	if (!kernel_too)
		return;
	if (reg->parked) {
		os_epoll_ctl(set->kfd, EPOLL_CTL_DEL, reg->fd, NULL);
		epreg_drop(reg);
	} else if (kernel_mod(reg) < 0) {
		epreg_drop(reg);
	}
	atomic_fetch_add(&set->moves, 1);
}

void epreg_drop(struct xvmc_epreg *reg)
{
	struct xvmc_epset *set = reg->set;

	unmanage(reg, false);
	if (reg->severed)
		atomic_fetch_sub(&set->nsevered, 1);
	if (reg->own_fd)
		os_close(reg->fd);
	xvmc_list_del(&reg->ep_link);
	xvmc_list_del(&reg->set_link);
	epreg_free(set->ctx->epolls, reg);
}

static int move_to(struct xvmc_epreg *reg, int fd)
{
	struct epoll_event kev = epreg_kernel_event(reg);
	int r = os_epoll_ctl(reg->set->kfd, EPOLL_CTL_ADD, fd, &kev);

	if (r < 0)
		return r;
	os_epoll_ctl(reg->set->kfd, EPOLL_CTL_DEL, reg->fd, NULL);
	reg->fd = fd;
	return 0;
}

/*
 * To the kernel a registration is a file and a number, and nobody can name it
 * any more once the number is closed: neither the program nor we, who have to
 * hand it over and back. So it goes on under a duplicate of our own, which
 * lives as long as the program has any number of the connection.
 */
int epreg_rekey(struct xvmc_epreg *reg)
{
	struct xvmc_epset *set = reg->set;
	int fd, was = reg->fd, r = set->kfd < 0 ? epset_open_kernel(set) : 0;

	if (r < 0)
		return r;
	fd = xvmc_numbers_dup(was);
	if (fd < 0)
		return fd;
	r = move_to(reg, fd);
	if (r < 0) {
		os_close(fd);
		return r;
	}
	reg->was = was;
	reg->own_fd = true;
	return 0;
}

int epreg_rekey_back(struct xvmc_epreg *reg)
{
	int own = reg->fd, r = move_to(reg, reg->was);

	if (r < 0)
		return r;
	os_close(own);
	reg->own_fd = false;
	return 0;
}

/* ---- what the service thread says ---- */

/* Calls fn for every registration of ep, under both locks. Stops at the first
 * result that is not 0. */
static int each_reg(struct xvmc_endpoint *ep, int (*fn)(struct xvmc_epreg *reg))
{
	struct xvmc_list *it, *tmp;
	int r = 0;

	xvmc_list_each(it, tmp, &ep->epregs) {
		struct xvmc_epreg *reg =
			xvmc_list_entry(it, struct xvmc_epreg, ep_link);
		struct xvmc_epset *set = reg->set;

		section_lock(&set->lock);
		r = fn(reg);
		section_unlock(&set->lock);
		if (r)
			break;
	}
	return r;
}

static int take_over(struct xvmc_epreg *reg)
{
	int r;

	/* Severed: the kernel's instance is another process's, too, and this
	 * one has not waited on it since the fork. */
	r = reg->fd < 0 || reg->severed ? 0 : epreg_manage(reg);
	if (r == -ENOENT || r == -EBADF) {
		epreg_drop(reg); /* a stale note */
		r = 0;
	}
	return r;
}

static int give_back(struct xvmc_epreg *reg)
{
	unmanage(reg, true);
	return 0;
}

static int heat_up(struct xvmc_epreg *reg)
{
	if (reg->managed) {
		epreg_heat(reg);
		epreg_news(reg);
	}
	return 0;
}

/*
 * The kernel has reported this number by the program's own data, so whether a
 * one-shot has fired is not in our books. It is in the kernel's, which /proc
 * shows: of one that has it waits for nothing any more, else at least for these
 * two. Where that cannot be read it counts as armed.
 */
static bool has_fired(struct xvmc_epset *set, int fd)
{
	char path[40], buf[1024], *line, *end;
	bool there = false, armed = false;
	size_t have = 0;
	int file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", epset_kernel_fd(set));
	file = OS_MAKE(OS4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0));
	while (file >= 0) {
		ssize_t r = os_read(file, buf + have, sizeof(buf) - 1 - have);
		unsigned int events;
		int number;

		if (r <= 0)
			break;
		have += (size_t)r;
		buf[have] = '\0';
		for (line = buf; (end = strchr(line, '\n')); line = end + 1) {
			if (sscanf(line, "tfd: %d events: %x", &number, &events) != 2 || number != fd)
				continue;
			there = true;
			armed = armed || (events & (EPOLLERR | EPOLLHUP));
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
	}
	if (file >= 0)
		os_close(file);
	return there && !armed;
}

static void adopt_early(struct xvmc_epolls *e, struct xvmc_endpoint *ep)
{
	if (xvmc_fd_peek(ep->ctx, ep->fd) != &ep->obj)
		return;
	for (struct xvmc_list *it = e->sets.next; it != &e->sets; it = it->next) {
		struct xvmc_epset *set =
			xvmc_list_entry(it, struct xvmc_epset, all_link);
		struct xvmc_epreg *reg = epreg_find_early(set, ep->fd);

		if (!reg)
			continue;
		if (reg->events & EPOLLONESHOT)
			reg->fired = has_fired(set, ep->fd);
		epreg_adopt(reg, ep);
	}
}

int xvmc_epoll_ep_managed(struct xvmc_endpoint *ep)
{
	struct xvmc_ctx *ctx = ep->ctx;
	int r = 0;

	section_lock(&ctx->epoll_lock);
	if (ctx->epolls) {
		adopt_early(ctx->epolls, ep);
		r = ctx->epolls->blind ? -ENOMEM : each_reg(ep, take_over);
		if (r == -EAGAIN)
			r = 0;
		if (r < 0)
			each_reg(ep, give_back);
	}
	section_unlock(&ctx->epoll_lock);
	return r;
}

void xvmc_epoll_ep_lock(struct xvmc_endpoint *ep)
{
	section_lock(&ep->ctx->epoll_lock);
	for (struct xvmc_list *it = ep->epregs.next; it != &ep->epregs; it = it->next) {
		struct xvmc_epset *set =
			xvmc_list_entry(it, struct xvmc_epreg, ep_link)->set;

		/* It may be in there by several numbers. */
		if (!set->held)
			section_lock(&set->lock);
		set->held = true;
	}
}

void xvmc_epoll_ep_plain(struct xvmc_endpoint *ep)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &ep->epregs)
		unmanage(xvmc_list_entry(it, struct xvmc_epreg, ep_link), true);
}

/* Not by the registrations, which may have gone. */
void xvmc_epoll_ep_unlock(struct xvmc_endpoint *ep)
{
	struct xvmc_epolls *e = ep->ctx->epolls;

	for (struct xvmc_list *it = e ? e->sets.next : NULL; e && it != &e->sets;
	     it = it->next) {
		struct xvmc_epset *set =
			xvmc_list_entry(it, struct xvmc_epset, all_link);

		if (set->held)
			section_unlock(&set->lock);
		set->held = false;
	}
	section_unlock(&ep->ctx->epoll_lock);
}

void xvmc_epoll_ep_changed(struct xvmc_endpoint *ep)
{
	section_lock(&ep->ctx->epoll_lock);
	each_reg(ep, heat_up);
	section_unlock(&ep->ctx->epoll_lock);
}

static int room_awaited(struct xvmc_epreg *reg)
{
	uint64_t rx, tx;

	if (!reg->managed || reg->fired || !(reg->events & EPOLLET) ||
	    !(epreg_wants(reg) & POLLOUT))
		return 0;
	reg->last_bits &= (short)~POLLOUT;
	if (xvmc_ep_poll(reg->ep, POLLOUT, &rx, &tx) & POLLOUT)
		heat_up(reg);
	return 0;
}

void xvmc_epoll_ep_blocked(struct xvmc_endpoint *ep)
{
	section_lock(&ep->ctx->epoll_lock);
	each_reg(ep, room_awaited);
	section_unlock(&ep->ctx->epoll_lock);
}
