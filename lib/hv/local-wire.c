/* SPDX-License-Identifier: MIT */
/*
 * Carrying the local backend's messages and descriptors.
 */
#include "local-wire.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/numbers.h"
#include "base/os.h"

#define SCM_FDS_MAX 8u /* room for more than we take, so that we close them */

union control {
	struct cmsghdr hdr;
	char room[CMSG_SPACE(SCM_FDS_MAX * sizeof(int))];
};

int xvmc_lw_send(int sock, const void *msg, const int *fds, unsigned int nfds)
{
	const struct xvmc_lw_hdr *hdr = msg;
	struct iovec iov = { .iov_base = (void *)msg, .iov_len = hdr->len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control ctl;
	ssize_t n;

	if (nfds > 0) {
		struct cmsghdr *c;

		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = &ctl;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	do
		n = os_sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n == -EINTR);
	return n < 0 ? (int)n : 0;
}

/* Collects what came along; more than wanted is closed at once. */
static unsigned int take_fds(struct msghdr *mh, int *ret_fds)
{
	unsigned int nfds = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (nfds < XVMC_LW_FDS_MAX)
				ret_fds[nfds++] = fd;
			else
				os_close(fd);
		}
	}
	return nfds;
}

ssize_t xvmc_lw_recv(int sock, void *ret_buf, size_t size, int *ret_fds,
		     unsigned int *ret_nfds)
{
	struct iovec iov = { .iov_base = ret_buf, .iov_len = size };
	union control ctl;
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &ctl,
			     .msg_controllen = sizeof(ctl) };
	int fds[XVMC_LW_FDS_MAX];
	unsigned int nfds;
	ssize_t n;

	do
		n = os_recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n == -EINTR);
	if (n < 0)
		return n;
	nfds = take_fds(&mh, fds);
	if (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		while (nfds > 0)
			os_close(fds[--nfds]);
	if (mh.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	memcpy(ret_fds, fds, nfds * sizeof(int));
	*ret_nfds = nfds;
	return n;
}

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

static int reserve(int fd, size_t len)
{
	int rc = (int)OS2(SYS_ftruncate, fd, len);

	while (rc == 0) {
		rc = (int)OS4(SYS_fallocate, fd, 0, 0, len);
		if (rc != -EINTR)
			break;
		rc = 0;
	}
	return rc;
}

int xvmc_lw_memfd(const char *name, size_t len)
{
	struct rlimit lim;
	int fd, rc;

	/* Beyond this limit the kernel would not only refuse: it would send
	 * the application SIGXFSZ. */
	if (OS4(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &lim) == 0 &&
	    lim.rlim_cur != RLIM_INFINITY && lim.rlim_cur < len)
		return -ENOSPC;
	fd = OS_MAKE(os_memfd(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
	if (fd == -EINVAL)
		fd = OS_MAKE(os_memfd(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
	rc = fd < 0 ? fd : reserve(fd, len);
	if (rc < 0 && fd >= 0)
		os_close(fd);
	if (rc == -ENFILE)
		return -EMFILE;
	if (rc == -ENOMEM)
		return -ENOSPC;
	return rc < 0 ? rc : fd;
}

int xvmc_lw_check_memfd(int fd, size_t offset, size_t npages)
{
	const int need = F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat st;
	int seals;

	seals = os_fcntl(fd, F_GET_SEALS, 0);
	if (seals < 0 || (seals & need) != need)
		return -EACCES;
	if (OS2(SYS_fstat, fd, &st) < 0)
		return -EACCES;
	/* What was never allocated is allocated by touching it, and that can
	 * fail: with SIGBUS. */
	if ((uint64_t)st.st_size < (uint64_t)(offset + npages) * XVMC_PAGE_SIZE ||
	    (uint64_t)st.st_blocks * 512 < (uint64_t)st.st_size)
		return -EACCES;
	return 0;
}
