/* SPDX-License-Identifier: MIT */
/*
 * select and pselect, by way of poll. Only sets that hold a descriptor we
 * know come here; the kernel answers all others itself.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "socket.h"
#include "spin.h"

/* Which of poll's events answer which of select's three questions: the
 * kernel's POLLIN_SET, POLLOUT_SET and POLLEX_SET. */
#define ASK_IN (POLLRDNORM | POLLRDBAND | POLLIN)
#define ASK_OUT (POLLWRBAND | POLLWRNORM | POLLOUT)
#define ASK_EX POLLPRI
#define TELL_IN (ASK_IN | POLLHUP | POLLERR)
#define TELL_OUT (ASK_OUT | POLLERR)
#define TELL_EX POLLPRI

#define STACK_FDS 256

#define WORD_BITS ((int)(sizeof(long) * CHAR_BIT))

/* A set is as long as n says; FD_SETSIZE does not bind the kernel. */
static bool has(const fd_set *set, int fd)
{
	const unsigned long *words = (const unsigned long *)(const void *)set;

	return set && (words[fd / WORD_BITS] >> (fd % WORD_BITS) & 1u);
}

static void put(fd_set *set, int fd)
{
	unsigned long *words = (unsigned long *)(void *)set;

	words[fd / WORD_BITS] |= 1ul << (fd % WORD_BITS);
}

static void clear(fd_set *set, int n)
{
	if (set)
		memset(set, 0, (size_t)((n + WORD_BITS - 1) / WORD_BITS) *
				       sizeof(long));
}

static unsigned long word(const fd_set *set, int i)
{
	return set ? ((const unsigned long *)(const void *)set)[i] : 0;
}

/* The next member of any set from fd on, n if there is none. */
static int next_fd(int fd, int n, const fd_set *rd, const fd_set *wr, const fd_set *ex)
{
	while (fd < n) {
		int i = fd / WORD_BITS;
		unsigned long w = (word(rd, i) | word(wr, i) | word(ex, i)) >>
				  (fd % WORD_BITS);

		if (w) {
			fd += __builtin_ctzl(w);
			return fd < n ? fd : n;
		}
		fd = (i + 1) * WORD_BITS;
	}
	return n;
}

bool xvmc_select_concerns(struct xvmc_ctx *ctx, int n, const fd_set *rd,
			  const fd_set *wr, const fd_set *ex)
{
	for (int fd = next_fd(0, n, rd, wr, ex); fd < n;
	     fd = next_fd(fd + 1, n, rd, wr, ex))
		if (xvmc_fd_peek(ctx, fd))
			return true;
	return false;
}

static nfds_t to_poll(struct pollfd *pfd, int n, const fd_set *rd,
		      const fd_set *wr, const fd_set *ex)
{
	nfds_t k = 0;

	for (int fd = next_fd(0, n, rd, wr, ex); fd < n;
	     fd = next_fd(fd + 1, n, rd, wr, ex)) {
		pfd[k] = (struct pollfd){ .fd = fd };
		if (has(rd, fd))
			pfd[k].events |= ASK_IN;
		if (has(wr, fd))
			pfd[k].events |= ASK_OUT;
		if (has(ex, fd))
			pfd[k].events |= ASK_EX;
		k++;
	}
	return k;
}

/* The bits of select's answer for one descriptor: 1 in, 2 out, 4 ex. */
static int answer(const struct pollfd *p)
{
	int bits = 0;

	if ((p->events & ASK_IN) && (p->revents & TELL_IN))
		bits |= 1;
	if ((p->events & ASK_OUT) && (p->revents & TELL_OUT))
		bits |= 2;
	if ((p->events & ASK_EX) && (p->revents & TELL_EX))
		bits |= 4;
	return bits;
}

/*
 * How many bits are ready; -EBADF. Where there are none, what made poll
 * return (HUP, which only a reader is told of) can only say so again: it is
 * taken out of the set.
 */
static int count(struct pollfd *pfd, nfds_t k)
{
	int sum = 0;

	for (nfds_t i = 0; i < k; i++) {
		if (pfd[i].revents & POLLNVAL)
			return -EBADF;
		sum += __builtin_popcount((unsigned int)answer(&pfd[i]));
	}
	for (nfds_t i = 0; i < k && !sum; i++)
		if (pfd[i].revents)
			pfd[i].fd = -1;
	return sum;
}

static void from_poll(const struct pollfd *pfd, nfds_t k, int n, fd_set *rd,
		      fd_set *wr, fd_set *ex)
{
	clear(rd, n);
	clear(wr, n);
	clear(ex, n);
	for (nfds_t i = 0; i < k; i++) {
		int bits = answer(&pfd[i]);

		if (bits & 1)
			put(rd, pfd[i].fd);
		if (bits & 2)
			put(wr, pfd[i].fd);
		if (bits & 4)
			put(ex, pfd[i].fd);
	}
}

struct heap {
	void *p;
};

static void heap_free(struct heap *h)
{
	free(h->p);
}

int xvmc_select(struct xvmc_ctx *ctx, int n, fd_set *rd, fd_set *wr, fd_set *ex,
		struct timespec *timeout, const sigset_t *sigmask)
{
	struct heap heap __attribute__((cleanup(heap_free))) = { NULL };
	struct pollfd stack[STACK_FDS], *pfd = stack;
	uint64_t deadline;
	struct timespec left;
	nfds_t k;
	int r, sum = 0;

	if (n < 0 || (timeout && !timespec_valid(timeout)))
		return -EINVAL;
	deadline = deadline_of(timeout);
	if (timeout)
		left = *timeout;
	if (n > STACK_FDS) {
		heap.p = malloc((size_t)n * sizeof(*pfd));
		if (!heap.p)
			return -ENOMEM;
		pfd = heap.p;
	}
	k = to_poll(pfd, n, rd, wr, ex);
	do {
		r = xvmc_poll(ctx, pfd, k, timeout ? &left : NULL, sigmask);
		sum = r > 0 ? count(pfd, k) : r;
		if (timeout && deadline_left(deadline, &left))
			*timeout = left;
	} while (r > 0 && sum == 0);
	if (sum >= 0)
		from_poll(pfd, k, n, rd, wr, ex);
	return sum;
}
