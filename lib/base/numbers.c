/* SPDX-License-Identifier: MIT */
/*
 * Who makes descriptors and who uses their numbers: two counts. Each side adds
 * itself to its own and looks at the other's then, so of two that meet at
 * least one sees the other. A maker stays and waits; a user steps back.
 */
#include "numbers.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "os.h"
#include "section.h"

#define NAP_NS 200000
#define MAKER_NAPS 100 /* 20 ms and more: a thread in a slow close or open */
#define USER_NAPS 5000 /* a second: makers never wait for anything else */

static _Atomic uint32_t makers, users, makes;
/* Users whom a maker has given up waiting for; they may be there for hours. */
static _Atomic uint32_t slow;
/* Of the users, this thread, which may be interrupted and become a maker. */
static __thread uint32_t mine __attribute__((tls_model("initial-exec")));

static void nap(_Atomic uint32_t *word, uint32_t val)
{
	struct timespec ts = { .tv_nsec = NAP_NS };

	OS4(SYS_futex, word, FUTEX_WAIT_PRIVATE, val, &ts);
}

void xvmc_numbers_make(void)
{
	uint32_t n;
	int i;

	section_enter();
	atomic_fetch_add(&makes, 1);
	atomic_fetch_add(&makers, 1); /* pairs with xvmc_numbers_use */
	for (i = 0; (n = users) > mine + slow && i < MAKER_NAPS; i++)
		nap(&users, n);
	if (i == MAKER_NAPS)
		slow = n - mine;
}

void xvmc_numbers_made(void)
{
	if (atomic_fetch_sub(&makers, 1) == 1)
		OS3(SYS_futex, &makers, FUTEX_WAKE_PRIVATE, INT32_MAX);
	section_leave();
}

int xvmc_numbers_move(int fd)
{
	int high = xvmc_os_high_fd(fd);

	xvmc_numbers_made();
	return high;
}

int xvmc_numbers_dup(int fd)
{
	int high;

	/* Never low; but marked before anybody can close what has no mark. */
	xvmc_numbers_make();
	high = xvmc_os_dup_high(fd);
	xvmc_numbers_made();
	return high;
}

void xvmc_numbers_use(void)
{
	uint32_t n;

	for (int i = 0;; i++) {
		atomic_fetch_add(&users, 1); /* pairs with xvmc_numbers_make */
		n = makers;
		if (!n || i == USER_NAPS)
			break;
		atomic_fetch_sub(&users, 1);
		nap(&makers, n);
	}
	mine++;
}

void xvmc_numbers_used(void)
{
	uint32_t left;

	mine--;
	left = atomic_fetch_sub(&users, 1) - 1;
	if (slow > left)
		slow = left;
}

uint32_t xvmc_numbers_before(void)
{
	uint32_t n = makes;

	return makers ? n - 1 : n;
}

int xvmc_numbers_after(int fd, uint32_t before)
{
	int low, flags;

	if (fd < 0 || before == makes)
		return fd;
	xvmc_numbers_use();
	flags = os_fcntl(fd, F_GETFD, 0);
	low = os_fcntl(fd, flags & FD_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	if (low >= 0)
		OS1(SYS_close, low < fd ? fd : low);
	xvmc_numbers_used();
	return low >= 0 && low < fd ? low : fd;
}

void xvmc_numbers_fork_child(void)
{
	makers = slow = 0;
	users = mine;
	xvmc_os_fork_child();
}
