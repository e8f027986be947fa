/* SPDX-License-Identifier: MIT */
/*
 * xvmc-run --trap: which system calls reach a connection without the library
 * knowing. A seccomp filter holds up every call that names a descriptor; a
 * process of its own, the watcher, looks where it was made from and lets it
 * go on, always. Under --trap the library makes its kernel calls from its own
 * code (preload/own.c), so that the address of the instruction tells.
 *
 * trap-calls.c has the calls and the filter, trap-look.c what /proc and xvmcd
 * know of a call, trap-report.c the lines, trap.c the watcher.
 */
#ifndef XVMC_RUN_TRAP_H
#define XVMC_RUN_TRAP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "stay.h"

/* ---- trap-calls.c ---- */

struct trap_call {
	int nr;
	const char *name;
	int fd_arg, fd_arg2; /* where its descriptors are; -1: none */
	bool moves;          /* bytes, or the state of the stream: whoever's
			      * process it is. Else only the number: it counts
			      * where the library knows that number. */
};

const struct trap_call *trap_call(int nr);
/* Some of them only where they ask for what differs between ring and TCP. */
bool trap_call_matters(const struct seccomp_data *data);
/* Notifies of these calls and lets all others pass. Static storage. */
const struct sock_fprog *trap_filter(void);

/* ---- trap-look.c ---- */

struct trap_where {
	pid_t pid; /* the process; seccomp names the thread */
	char comm[17];
	char module[64]; /* file the call was made from */
	uint64_t offset; /* and where in it */
	char conn[160];  /* the connection: addresses, ways */
	int fd;
};

struct trap_look; /* asks and remembers; one thread */

struct trap_look *trap_look_new(const char *dir);
/* True: the call is on a registered connection, or could be on any
 * (io_uring). -errno: it could not be found out. */
int trap_look_at(struct trap_look *look, const struct seccomp_notif *req,
		 const struct trap_call *call, struct trap_where *ret_where);

struct trap_lib; /* where the library is in each process; one thread */

struct trap_lib *trap_lib_new(void);
/* The call comes from libxvmc.so. */
bool trap_lib_made(struct trap_lib *lib, const struct seccomp_notif *req);

/* ---- trap-report.c ---- */

void trap_report(FILE *out, const struct trap_call *call, const struct trap_where *where);
void trap_report_blind(void); /* one that could not be looked at */
void trap_report_counts(FILE *out);

/* ---- trap.c ---- */

struct trap {
	int ctl; /* to the watcher */
};

/* Starts the watcher for this listener, which is closed here. What it has to
 * say goes to path, or to standard error where that is empty. dir: xvmcd's.
 * -errno: then every call of the program would hang. */
int trap_watch(int listener, int out_fd, const char *dir, struct trap *ret_trap);

/* The program has ended: returns when the counts have been written. The
 * watcher stays as long as there are processes under the filter. */
void trap_end(struct trap *trap);

#endif
