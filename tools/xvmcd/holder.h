/* SPDX-License-Identifier: MIT */
/*
 * The holder: a process that keeps a duplicate of every event channel's
 * descriptor of this guest. A descriptor that was bound before a migration
 * must never be released after it: the kernel's BUG_ON would kill whoever
 * releases it, an application at its exit, say [X 1]. While somebody has a
 * duplicate it is not released; so the holder never ends while it has one
 * that a migration has made stale, whatever becomes of xvmcd.
 *
 * It costs a process of a few pages, and a descriptor per channel.
 */
#ifndef XVMCD_HOLDER_H
#define XVMCD_HOLDER_H

#include <stdint.h>
#include <sys/types.h>

/* Forks it, before there are threads. The socket is xvmcd's way to say what
 * follows; when it closes, the holder waits a minute for nothing in
 * particular, and ends if it holds nothing stale. */
int holder_start(uint32_t (*incarnation)(void), int *ret_sock, pid_t *ret_pid);

/* owner: who has the channel, 0: xvmcd; port: which. fd is duplicated. */
int holder_hold(int sock, uint32_t owner, uint32_t port, int fd);

/* The channel was unbound in an orderly way: nothing to keep. */
void holder_drop(int sock, uint32_t owner, uint32_t port);

/* The owner's process has ended. */
void holder_forget(int sock, uint32_t owner);

#endif
