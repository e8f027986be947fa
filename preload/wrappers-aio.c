/* SPDX-License-Identifier: MIT */
/*
 * POSIX aio: libc's own threads move the bytes, by calls nobody sees. What a
 * request is about goes to TCP for good first.
 */
#include "preload.h"

EXPORT int aio_read(struct aiocb *cb)
{
	preload_escape_fd(cb->aio_fildes, XVMC_R_UNFOLLOWED);
	return REAL(aio_read)(cb);
}

EXPORT int aio_write(struct aiocb *cb)
{
	preload_escape_fd(cb->aio_fildes, XVMC_R_UNFOLLOWED);
	return REAL(aio_write)(cb);
}

EXPORT int lio_listio(int mode, struct aiocb *const list[], int n, struct sigevent *sig)
{
	for (int i = 0; i < n; i++)
		if (list[i])
			preload_escape_fd(list[i]->aio_fildes, XVMC_R_UNFOLLOWED);
	return REAL(lio_listio)(mode, list, n, sig);
}

EXPORT int aio_read64(struct aiocb64 *cb)
{
	preload_escape_fd(cb->aio_fildes, XVMC_R_UNFOLLOWED);
	return REAL(aio_read64)(cb);
}

EXPORT int aio_write64(struct aiocb64 *cb)
{
	preload_escape_fd(cb->aio_fildes, XVMC_R_UNFOLLOWED);
	return REAL(aio_write64)(cb);
}

EXPORT int lio_listio64(int mode, struct aiocb64 *const list[], int n, struct sigevent *sig)
{
	for (int i = 0; i < n; i++)
		if (list[i])
			preload_escape_fd(list[i]->aio_fildes, XVMC_R_UNFOLLOWED);
	return REAL(lio_listio64)(mode, list, n, sig);
}
