/* SPDX-License-Identifier: MIT */
/*
 * Threads that do little at a time, and for which others wait: the service
 * thread, xvmcd. Since Linux 6.12 a thread may say how long its slices of a
 * processor are to be, and one with short slices, when it wakes, takes the
 * processor from one that has long ones. It gets no more of it for that.
 */
#ifndef XVMC_PROMPT_H
#define XVMC_PROMPT_H

/* The calling thread is such a one from now on. Nothing is done where it has no
 * slices (real-time), or the kernel does not know of this, or calls are filtered. */
void xvmc_prompt(void);

#endif
