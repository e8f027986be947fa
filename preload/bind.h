/* SPDX-License-Identifier: MIT */
/*
 * libc's own functions, REAL(name)(...), bound when first used.
 */
#ifndef XVMC_PRELOAD_BIND_H
#define XVMC_PRELOAD_BIND_H

#include <aio.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef void (*old_handler)(int); /* of signal() and the like */

enum sym {
#define XVMC_SYM(ret, name, params, group, text) SYM_##name,
#define XVMC_ALIAS(name, target)
#include "symbols.def"
#undef XVMC_SYM
	SYM_COUNT
};

#define XVMC_SYM(ret, name, params, group, text) typedef ret(*sym_##name) params;
#include "symbols.def"
#undef XVMC_SYM
#undef XVMC_ALIAS

typedef void (*sym_any)(void);

extern _Atomic(sym_any) bind_table[SYM_COUNT];

/* Finds libc's function; never NULL. Any thread, any moment: see bind.c. */
sym_any bind_symbol(enum sym sym);

/* Our own in place of libc's, for `xvmc-run --trap`; NULL: none. own.c */
sym_any bind_own(enum sym sym);

static inline sym_any bind_get(enum sym sym)
{
	sym_any f = atomic_load_explicit(&bind_table[sym], memory_order_acquire);

	return __builtin_expect(f != NULL, 1) ? f : bind_symbol(sym);
}

#define REAL(name) ((sym_##name)bind_get(SYM_##name))

#endif
