/* SPDX-License-Identifier: MIT */
/*
 * The TCP socket beneath an endpoint, as lib/conn asks for it: it moves bytes,
 * counts them, and says what is queued.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/ioctl.h>

#include "internal.h"

static ssize_t ep_tcp_send(void *tcp, const struct iovec *vec, size_t cnt, int flags)
{
	struct xvmc_endpoint *ep = tcp;
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)vec,
			      .msg_iovlen = cnt };

	return os_sendmsg(ep->io_fd, &msg, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t ep_tcp_recv(void *tcp, const struct iovec *vec, size_t cnt, bool peek)
{
	struct xvmc_endpoint *ep = tcp;
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)vec,
			      .msg_iovlen = cnt };

	return os_recvmsg(ep->io_fd, &msg, MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
}

/* The counters and the queues are read by several calls: they belong together
 * only if nothing was acknowledged and nothing arrived in between. */
#define COUNTS_TRIES 16

/* Of tcpi_state; <netinet/tcp.h> has the names, and not all the fields. */
enum {
	KERNEL_ESTABLISHED = 1,
	KERNEL_FIN_WAIT1 = 4,
	KERNEL_CLOSE_WAIT = 8,
	KERNEL_LAST_ACK = 9,
	KERNEL_CLOSING = 11,
};

static int tcp_info_now(int fd, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);
	int r;

	memset(info, 0, sizeof(*info));
	r = os_getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len);
	if (r < 0)
		return r;
	/* Meaningful only while both halves are open (a FIN counts as a byte)
	 * and on kernels that have the counters. */
	if (info->tcpi_state != KERNEL_ESTABLISHED &&
	    info->tcpi_state != KERNEL_CLOSE_WAIT)
		return -EPIPE;
	if (info->tcpi_state != KERNEL_ESTABLISHED ||
	    len < offsetof(struct tcp_info, tcpi_bytes_received) + 8)
		return -EOPNOTSUPP;
	return 0;
}

bool endpoint_end_unacked(const struct xvmc_endpoint *ep)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return os_getsockopt(ep->io_fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       (info.tcpi_state == KERNEL_FIN_WAIT1 ||
		info.tcpi_state == KERNEL_CLOSING || info.tcpi_state == KERNEL_LAST_ACK);
}

bool endpoint_tcp_full(const struct xvmc_endpoint *ep)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);

	/* Not as poll sees it: that wants a third to be free. */
	return os_getsockopt(ep->io_fd, SOL_SOCKET, SO_MEMINFO, mem, &len) == 0 &&
	       len > SK_MEMINFO_WMEM_QUEUED * sizeof(mem[0]) &&
	       mem[SK_MEMINFO_WMEM_QUEUED] >= mem[SK_MEMINFO_SNDBUF];
}

static int ep_tcp_counts(void *tcp, uint64_t *ret_sent, uint64_t *ret_taken,
			 uint64_t *ret_arrived)
{
	struct xvmc_endpoint *ep = tcp;
	struct tcp_info info, again;
	int fd = ep->io_fd, outq = 0, inq = 0, r;

	r = tcp_info_now(fd, &info);
	for (int i = 0; r == 0 && i < COUNTS_TRIES; i++) {
		r = os_ioctl(fd, SIOCOUTQ, &outq);
		if (r == 0)
			r = os_ioctl(fd, SIOCINQ, &inq);
		if (r == 0)
			r = tcp_info_now(fd, &again);
		if (r < 0)
			return r;
		if (again.tcpi_bytes_acked == info.tcpi_bytes_acked &&
		    again.tcpi_bytes_received == info.tcpi_bytes_received) {
			/* The SYN of the connecting side counts as a byte
			 * that was acknowledged. */
			*ret_sent = info.tcpi_bytes_acked - (ep->active ? 1 : 0) +
				    (uint64_t)outq;
			*ret_arrived = info.tcpi_bytes_received;
			*ret_taken = info.tcpi_bytes_received - (uint64_t)inq;
			return 0;
		}
		info = again;
	}
	return r < 0 ? r : -EAGAIN;
}

static ssize_t ep_tcp_queued(void *tcp)
{
	struct xvmc_endpoint *ep = tcp;
	int n = 0, r = os_ioctl(ep->io_fd, SIOCINQ, &n);

	return r < 0 ? r : n;
}

static void ep_tcp_shutdown_wr(void *tcp)
{
	struct xvmc_endpoint *ep = tcp;

	os_shutdown(ep->io_fd, SHUT_WR);
}

const struct xvmc_tcp_ops endpoint_tcp_ops = {
	.send = ep_tcp_send,
	.recv = ep_tcp_recv,
	.counts = ep_tcp_counts,
	.queued = ep_tcp_queued,
	.shutdown_wr = ep_tcp_shutdown_wr,
};
