/* SPDX-License-Identifier: MIT */
/*
 * The calls --trap looks at, and the filter made of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "trap.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "xvmc knows x86_64 and aarch64 only"
#endif

/* Those whose descriptors stand in a list in memory (poll, select, epoll_wait)
 * only wait: what they miss, the program's next read does not. */
static const struct trap_call calls[] = {
#define MOVES(name, a, b)                     \
	{                                     \
		SYS_##name, #name, a, b, true \
	}
#define NUMBER(name, a, b)                     \
	{                                      \
		SYS_##name, #name, a, b, false \
	}
	MOVES(read, 0, -1),
	MOVES(write, 0, -1),
	MOVES(readv, 0, -1),
	MOVES(writev, 0, -1),
	MOVES(preadv2, 0, -1),
	MOVES(pwritev2, 0, -1),
	MOVES(recvfrom, 0, -1),
	MOVES(recvmsg, 0, -1),
	MOVES(recvmmsg, 0, -1),
	MOVES(sendto, 0, -1),
	MOVES(sendmsg, 0, -1),
	MOVES(sendmmsg, 0, -1),
	MOVES(sendfile, 0, 1),
	MOVES(splice, 0, 2),
	MOVES(shutdown, 0, -1),
	MOVES(io_uring_setup, -1, -1),
	NUMBER(close, 0, -1),
	NUMBER(dup, 0, -1),
#ifdef SYS_dup2
	NUMBER(dup2, 0, 1),
#endif
	NUMBER(dup3, 0, 1),
	NUMBER(fcntl, 0, -1),
	NUMBER(ioctl, 0, -1),
	NUMBER(setsockopt, 0, -1),
	NUMBER(epoll_ctl, 2, -1),
#undef MOVES
#undef NUMBER
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

const struct trap_call *trap_call(int nr)
{
	for (size_t i = 0; i < CALLS; i++)
		if (calls[i].nr == nr)
			return &calls[i];
	return NULL;
}

bool trap_call_matters(const struct seccomp_data *data)
{
	int what = (int)data->args[1];

	switch (data->nr) {
	case SYS_ioctl: /* isatty() and the like ask a socket in vain */
		return what == FIONREAD || what == SIOCOUTQ || what == FIONBIO ||
		       what == FIOASYNC;
	case SYS_fcntl:
		return what == F_DUPFD || what == F_DUPFD_CLOEXEC || what == F_SETFL;
	}
	return true;
}

const struct sock_fprog *trap_filter(void)
{
	static struct sock_filter code[CALLS + 6];
	static struct sock_fprog prog;
	unsigned short n = 0;

	/* Another machine's numbers (a 32-bit program) mean other calls. */
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < CALLS; i++)
		code[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)calls[i].nr,
			(unsigned char)(CALLS - i), 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	prog = (struct sock_fprog){ n, code };
	return &prog;
}
