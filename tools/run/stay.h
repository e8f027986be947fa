/* SPDX-License-Identifier: MIT */
/*
 * Running the program as a child, for options that have something to do while
 * it runs or to say when it has ended. Without them xvmc-run becomes the
 * program, and there is nothing between it and who started it.
 *
 * Who waits for xvmc-run cannot tell: signals sent to it go on to the
 * program; it stops, continues and ends as the program does. If xvmc-run is
 * killed, so is the program.
 */
#ifndef XVMC_RUN_STAY_H
#define XVMC_RUN_STAY_H

#include <linux/filter.h>
#include <signal.h>
#include <sys/types.h>

struct stay {
	pid_t pid;    /* the program's */
	int listener; /* of the filter; -1 without one */
	int failed;   /* exec's errno */
	int refused;  /* the filter's errno */
};

/*
 * Starts args[0], under a seccomp filter that notifies if filter is not NULL.
 * 0, or -errno: then failed or refused says whose it is, and there is no
 * child. All signals are blocked in the caller from now on.
 */
int stay_start(char **args, const struct sock_fprog *filter, struct stay *ret_stay);

/*
 * Waits for the end of the program; passes signals on. While it waits,
 * on_input(arg) is called whenever input (or -1) is readable. Returns the
 * wait status.
 */
int stay_wait(const struct stay *stay, int input, void (*on_input)(void *arg), void *arg);

/* Ends as the program did. */
_Noreturn void stay_end(int status);

#endif
