/* SPDX-License-Identifier: MIT */
/*
 * Connections that cross an exec: what the old program leaves to the new one.
 * exec.c says why it may be believed. For preload/, which knows what is
 * executed and how.
 */
#ifndef XVMC_SOCKET_EXEC_H
#define XVMC_SOCKET_EXEC_H

#include "socket.h"

/* With the NUL. */
#define EXEC_PATH_MAX 4096
#define EXEC_BY_MAX (EXEC_PATH_MAX + 32)

/* After xvmc_sock_exec: a note for the program that is about to be executed by
 * this path (exec.c) instead of the one it was meant to be by. 0, or -errno:
 * nothing crosses, or nothing can be said of it. */
int xvmc_sock_exec_note(struct xvmc_ctx *ctx, const char *by, const char *path);
/* The exec has failed. */
void xvmc_sock_exec_unnote(struct xvmc_ctx *ctx);
/* At the start of a program that was executed by such a path: takes the note up,
 * if ctx is not NULL, and away. The path that was meant, which is the caller's to
 * free; or NULL: there is none. */
char *xvmc_sock_executed(struct xvmc_ctx *ctx, const char *by);

#endif
