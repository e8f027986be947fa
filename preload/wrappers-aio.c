/* SPDX-License-Identifier: MIT */
/*
 * POSIX aio: libc's own threads move the bytes, by calls nobody sees. What a
 * request is about goes to TCP for good first. An error that the kernel has
 * told us it would not tell libc again: such a request fails here, in the way
 * libc has them fail.
 */
#include <stdlib.h>
#include <string.h>

#include "preload.h"

_Static_assert(sizeof(struct aiocb) == sizeof(struct aiocb64), "they are one");

struct call {
	void (*fn)(union sigval);
	union sigval value;
};

static void *make_call(void *arg)
{
	struct call call = *(struct call *)arg;

	free(arg);
	call.fn(call.value);
	return NULL;
}

static void call_by_thread(const struct sigevent *sig)
{
	struct call *call = malloc(sizeof(*call));
	pthread_attr_t own, *attr = sig->sigev_notify_attributes;
	pthread_t thread;

	if (!call)
		return;
	*call = (struct call){ sig->sigev_notify_function, sig->sigev_value };
	pthread_attr_init(&own);
	pthread_attr_setdetachstate(&own, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, attr ? attr : &own, make_call, call) != 0)
		free(call);
	pthread_attr_destroy(&own);
}

static void notify(const struct sigevent *sig)
{
	siginfo_t info;

	if (sig->sigev_notify == SIGEV_THREAD) {
		call_by_thread(sig);
	} else if (sig->sigev_notify == SIGEV_SIGNAL) {
		memset(&info, 0, sizeof(info));
		info.si_signo = sig->sigev_signo;
		info.si_code = SI_ASYNCIO;
		info.si_pid = os_getpid();
		info.si_uid = getuid();
		info.si_value = sig->sigev_value;
		OS3(SYS_rt_sigqueueinfo, info.si_pid, info.si_signo, &info);
	}
}

/* Has the request failed before it is made? Then that is noted in it. */
static bool failed(struct aiocb *cb, bool reads)
{
	ENDPOINT(ep, cb->aio_fildes);
	int err;

	if (!ep || !tables_are_ours(the_ctx()))
		return false;
	preload_escape(ep, XVMC_R_UNFOLLOWED);
	err = -xvmc_sock_untold(ep, cb->aio_fildes, reads);
	if (!err)
		return false;
	cb->__return_value = -1;
	__atomic_store_n(&cb->__error_code, err, __ATOMIC_RELEASE);
	return true;
}

static int one(struct aiocb *cb, bool reads)
{
	int saved = errno;

	if (!failed(cb, reads))
		return reads ? REAL(aio_read)(cb) : REAL(aio_write)(cb);
	notify(&cb->aio_sigevent);
	errno = saved;
	return 0;
}

EXPORT int aio_read(struct aiocb *cb)
{
	return one(cb, true);
}

EXPORT int aio_write(struct aiocb *cb)
{
	return one(cb, false);
}

/* Those that have failed are nothing to do for libc. */
EXPORT int lio_listio(int mode, struct aiocb *const list[], int n, struct sigevent *sig)
{
	int *was = n > 0 ? calloc((size_t)n, sizeof(*was)) : NULL;
	bool any = false;
	int r;

	for (int i = 0; i < n; i++) {
		if (!list[i] || list[i]->aio_lio_opcode == LIO_NOP)
			continue;
		if (!was) {
			preload_escape_fd(list[i]->aio_fildes, XVMC_R_UNFOLLOWED);
		} else if (failed(list[i], list[i]->aio_lio_opcode == LIO_READ)) {
			was[i] = list[i]->aio_lio_opcode + 1; /* one of them is 0 */
			list[i]->aio_lio_opcode = LIO_NOP;
			any = true;
		}
	}
	r = REAL(lio_listio)(mode, list, n, sig);
	for (int i = 0; any && i < n; i++)
		if (was[i])
			list[i]->aio_lio_opcode = was[i] - 1;
	free(was);
	if (r == 0 && any && mode == LIO_WAIT) {
		errno = EIO;
		r = -1;
	}
	return r;
}

EXPORT int aio_read64(struct aiocb64 *cb)
{
	return aio_read((struct aiocb *)cb);
}

EXPORT int aio_write64(struct aiocb64 *cb)
{
	return aio_write((struct aiocb *)cb);
}

EXPORT int lio_listio64(int mode, struct aiocb64 *const list[], int n, struct sigevent *sig)
{
	return lio_listio(mode, (struct aiocb *const *)list, n, sig);
}
