/* SPDX-License-Identifier: MIT */
/*
 * What the program hands us, looked at as the kernel does before it uses it:
 * addresses, vectors, messages. Not for what only the kernel uses.
 *
 * The kernel says EFAULT to a pointer that leads nowhere; we read and write in
 * user space and would die of it. Whether anything is mapped at an address
 * only a system call could tell, which no send can afford; its range costs
 * nothing, and shows NULL, (void *)-1 and the like.
 */
#ifndef XVMC_PRELOAD_USER_H
#define XVMC_PRELOAD_USER_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* What the kernel moves in one call. */
#define RW_MAX ((size_t)0x7ffff000)

#define USER_LOW 0x8000u /* no kernel maps anything below unless told to */
#if defined(__aarch64__)
#define USER_TOP ((uintptr_t)1 << 52)
#define USER_UNTAG(addr) ((addr) & (((uintptr_t)1 << 56) - 1))
#else
#define USER_TOP ((uintptr_t)1 << 56)
#define USER_UNTAG(addr) (addr)
#endif

/* No address of a program's: the kernel refuses it without looking. */
static inline bool outside(const void *p, size_t n)
{
	uintptr_t addr = USER_UNTAG((uintptr_t)p);

	return n > USER_TOP || addr > USER_TOP - n;
}

/* That, or nothing is there: the kernel refuses it when it comes to it. */
static inline bool nowhere(const void *p, size_t n)
{
	return (uintptr_t)p < USER_LOW || outside(p, n);
}

/* Flags of preadv2 and pwritev2 that a ring can do, or that say nothing to a
 * socket: how to poll a disk, when it is to have the bytes, and where. */
#define RWF_RING (RWF_NOWAIT | RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND)

/* ---- vectors ---- */

/* The kernel does not ask the socket where there is nothing to move. */
static inline bool vec_bytes(const struct iovec *vec, int cnt)
{
	for (int i = 0; i < cnt; i++)
		if (vec[i].iov_len)
			return true;
	return false;
}

/*
 * Looks at a vector as the kernel does before it moves a byte. -EINVAL or
 * -EFAULT; 0: good as it is, *ret_sum long; 1: only for take_over().
 */
static inline int survey(const struct iovec *vec, size_t cnt, size_t *ret_sum)
{
	size_t sum = 0;
	int r = 0;

	for (size_t i = 0; i < cnt; i++) {
		size_t len = vec[i].iov_len;

		if ((ssize_t)len < 0)
			return -EINVAL;
		/* A single one is cut to length first. */
		if (cnt == 1 && len > RW_MAX)
			len = RW_MAX;
		if (outside(vec[i].iov_base, len))
			r = -EFAULT;
		if (r == 0 && ((len && (uintptr_t)vec[i].iov_base < USER_LOW) ||
			       vec[i].iov_len > RW_MAX - sum))
			r = 1;
		sum = len < RW_MAX - sum ? sum + len : RW_MAX;
	}
	*ret_sum = sum;
	return r;
}

/* Copies a vector, up to what one call moves or up to the first buffer that
 * leads nowhere. Returns the count. */
static inline size_t take_over(struct iovec *own, const struct iovec *vec, size_t cnt,
			bool *ret_bad)
{
	size_t left = RW_MAX, n = 0;

	*ret_bad = false;
	for (; n < cnt && left; n++) {
		own[n] = vec[n];
		if (own[n].iov_len > left)
			own[n].iov_len = left;
		*ret_bad = own[n].iov_len && nowhere(own[n].iov_base, own[n].iov_len);
		if (*ret_bad)
			break;
		left -= own[n].iov_len;
	}
	return n;
}

/* ---- vectors and messages as arguments ---- */

/* readv's and writev's own checks: 0 or -errno. */
static inline int check_vec(const struct iovec *vec, int cnt)
{
	if (cnt < 0 || cnt > IOV_MAX)
		return -EINVAL;
	return cnt && nowhere(vec, (size_t)cnt * sizeof(*vec)) ? -EFAULT : 0;
}

/* sendto's address, which the kernel takes over before it ignores it. */
static inline int check_addr(const struct sockaddr *sa, socklen_t len)
{
	if (!sa || len == 0)
		return 0;
	if (len > sizeof(struct sockaddr_storage))
		return -EINVAL;
	return nowhere(sa, len) ? -EFAULT : 0;
}

/* recvmsg's and sendmsg's: too many pieces are EMSGSIZE there, and a name that
 * is too long is cut. */
static inline int check_msg(const struct msghdr *msg, bool sending)
{
	socklen_t len = msg->msg_namelen;
	int r = 0;

	if (msg->msg_name && (int)len < 0)
		return -EINVAL;
	if (len > sizeof(struct sockaddr_storage))
		len = sizeof(struct sockaddr_storage);
	if (sending)
		r = check_addr(msg->msg_name, len);
	if (r < 0)
		return r;
	if (msg->msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	return check_vec(msg->msg_iov, (int)msg->msg_iovlen);
}

#endif
