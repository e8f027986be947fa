/* SPDX-License-Identifier: MIT */
/*
 * A set's inner instance, which holds the bells of its MANAGED members and is
 * itself a member of the program's epoll; and the number by which we reach
 * that.
 */
#include <errno.h>
#include <sys/eventfd.h>

#include "epoll.h"

/* ---- the program's instance ---- */

/* A number that leads to the set now. The one it was made with nearly always;
 * a program may have duplicated it and closed the first. */
static int epset_number(struct xvmc_epset *set)
{
	struct xvmc_ctx *ctx = set->ctx;

	if (xvmc_fd_peek(ctx, set->epfd) == &set->obj)
		return set->epfd;
	for (int fd = 0; fd < 65536 && (size_t)fd < ctx->nfds; fd++) {
		if (xvmc_fd_peek(ctx, fd) == &set->obj) {
			set->epfd = fd;
			return fd;
		}
	}
	return -EBADF;
}

int epset_kernel_fd(struct xvmc_epset *set)
{
	return set->kfd >= 0 ? set->kfd : epset_number(set);
}

int epset_open_kernel(struct xvmc_epset *set)
{
	int fd = epset_number(set), kfd;

	if (fd < 0)
		return fd;
	kfd = xvmc_numbers_dup(fd);
	if (kfd < 0)
		return kfd;
	if (xvmc_fd_peek(set->ctx, fd) != &set->obj) {
		os_close(kfd); /* it was closed under our hands */
		return -EBADF;
	}
	set->kfd = kfd;
	return 0;
}

/* ---- the inner instance ---- */

int epset_open_inner(struct xvmc_epset *set)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct xvmc_epreg *mark;
	int inner, flag, r;

	if (set->inner >= 0)
		return 0;
	if (set->kfd < 0) {
		r = epset_open_kernel(set);
		if (r < 0)
			return r;
	}
	mark = epreg_new(set->ctx->epolls, EPREG_INNER);
	if (!mark)
		return -ENOMEM;
	mark->set = set;
	inner = OS_MAKE(os_epoll_create(EPOLL_CLOEXEC));
	flag = OS_MAKE(os_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	ev.data.u64 = epreg_tag(mark);
	r = inner < 0 ? inner : flag < 0 ? flag :
	    os_epoll_ctl(inner, EPOLL_CTL_ADD, flag, &ev);
	ev.events = EPOLLIN;
	if (r == 0)
		r = os_epoll_ctl(set->kfd, EPOLL_CTL_ADD, inner, &ev);
	if (r < 0) {
		if (inner >= 0)
			os_close(inner);
		if (flag >= 0)
			os_close(flag);
		epreg_free(set->ctx->epolls, mark);
		return r;
	}
	set->inner = inner;
	set->flag = flag;
	set->mark = mark;
	return 0;
}

void epset_wake(struct xvmc_epset *set)
{
	/* Pairs with the sleeper, who counts himself before he looks at the
	 * hot list for the last time. */
	if (set->flag >= 0 &&
	    (atomic_load(&set->sleepers) || atomic_load(&set->watched)))
		os_eventfd_ring(set->flag);
}

/* ---- bells ---- */

void epreg_remove_bells(struct xvmc_epreg *reg)
{
	for (int i = 0; i < reg->nbells; i++) {
		os_epoll_ctl(reg->set->inner, EPOLL_CTL_DEL, reg->bell[i], NULL);
		if (reg->dup_bells & 1u << i)
			os_close(reg->bell[i]);
	}
	reg->nbells = 0;
	reg->dup_bells = 0;
}

static int add_bell(struct xvmc_epreg *reg, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET,
				  .data.u64 = epreg_tag(reg) };
	int r = os_epoll_ctl(reg->set->inner, EPOLL_CTL_ADD, fd, &ev);
	bool dup = false;

	if (r == -EEXIST) {
		/* The same connection by another number in the same set: to
		 * the kernel a second number is a second registration. */
		fd = xvmc_numbers_dup(fd);
		if (fd < 0)
			return fd;
		dup = true;
		r = os_epoll_ctl(reg->set->inner, EPOLL_CTL_ADD, fd, &ev);
		if (r < 0)
			os_close(fd);
	}
	if (r < 0)
		return r;
	reg->bell[reg->nbells] = fd;
	reg->dup_bells |= (uint8_t)(dup ? 1u << reg->nbells : 0);
	reg->nbells++;
	return 0;
}

/* Both directions always, whatever the application waits for now: it changes
 * its mind often, and what nobody armed does not ring. */
int epreg_add_bells(struct xvmc_epreg *reg)
{
	static const short dirs[] = { POLLIN, POLLOUT };
	int fds[2], r = 0;

	for (size_t d = 0; d < 2; d++) {
		int n = xvmc_ep_wait_fds(reg->ep, dirs[d], fds);

		for (int i = 0; i < n && r == 0; i++)
			r = add_bell(reg, fds[i]);
	}
	if (r < 0)
		epreg_remove_bells(reg);
	return r;
}
