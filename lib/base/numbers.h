/* SPDX-License-Identifier: MIT */
/*
 * Descriptor numbers. What the kernel makes for us it makes at the lowest free
 * number, which the program has a right to, and may close, or put something
 * else at, while we move ours out of the way. So the two exclude each other:
 *
 * A **maker** gets a descriptor of ours and moves it up: OS_MAKE(call).
 * A **user** is a thread of the program in a call that names numbers or is
 * given the lowest one: between xvmc_numbers_use and xvmc_numbers_used.
 * Many of each may be at work, but not both. Who asks for the limit of numbers,
 * or hands it to another program, is a user as well: a maker may have raised it
 * for a moment (xvmc_os_dup_high).
 * accept, which may wait for hours, is no user: where a maker was at work
 * meanwhile it takes a lower number afterwards, if there is one. (Not so open:
 * to close a second number of a file gives up the locks that the process has on
 * it. But the kernel picks its number before it waits.)
 *
 * Neither waits for ever: a close may take its time, an open wait for a FIFO's
 * other end, a thread for a CPU. After that they go on side by side, as if there
 * were none of this, and nobody waits for the same once more.
 */
#ifndef XVMC_NUMBERS_H
#define XVMC_NUMBERS_H

#include <stdint.h>

/* Between the two no signal handler of the program runs in this thread. */
void xvmc_numbers_make(void);
void xvmc_numbers_made(void);
/* Moves what was just made up, as xvmc_os_high_fd; xvmc_numbers_made. */
int xvmc_numbers_move(int fd);

/* A descriptor that a system call of ours returns, at a high number. */
#define OS_MAKE(call) (xvmc_numbers_make(), xvmc_numbers_move((int)(call)))

/* A duplicate of any descriptor, at a high number at once; -errno. */
int xvmc_numbers_dup(int fd);

void xvmc_numbers_use(void);
void xvmc_numbers_used(void);

/* Before a call that may wait, and after it: the number it gave, or a lower
 * one for the same, if one of ours was in the way. Negative: as it is. */
uint32_t xvmc_numbers_before(void);
int xvmc_numbers_after(int fd, uint32_t before);

/* In the child of a fork, whose parent was a user meanwhile. */
void xvmc_numbers_fork_child(void);

#endif
