/* SPDX-License-Identifier: MIT */
/*
 * The process's side of the agent protocol.
 */
#include "agent.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/numbers.h"
#include "base/os.h"
#include "base/rundir.h"
#include "vms/vms.h"

#define HELLO_TIMEOUT_S 2
#define OUT_MAX (16u << 20)

static void my_addresses(struct xvmc_ag_hello *hello)
{
	struct ifaddrs *ifs, *it;

	if (getifaddrs(&ifs) != 0)
		return;
	for (it = ifs; it && hello->naddrs < XVMC_ADDRS_MAX; it = it->ifa_next) {
		struct in6_addr ip;
		uint16_t port;
		socklen_t len;

		if (!it->ifa_addr)
			continue;
		len = it->ifa_addr->sa_family == AF_INET ?
			      sizeof(struct sockaddr_in) :
			      sizeof(struct sockaddr_in6);
		if (!vms_addr(it->ifa_addr, len, &ip, &port) ||
		    IN6_IS_ADDR_LOOPBACK(&ip) || IN6_IS_ADDR_LINKLOCAL(&ip) ||
		    (IN6_IS_ADDR_V4MAPPED(&ip) && ip.s6_addr[12] == 127))
			continue;
		hello->addr[hello->naddrs++] = ip;
	}
	freeifaddrs(ifs);
}

/* With one descriptor along, or fd -1. */
static ssize_t send_fd(int sock, const void *buf, size_t len, int fd, int flags)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct iovec vec = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = ctl.room;
		msg.msg_controllen = sizeof(ctl.room);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return os_sendmsg(sock, &msg, MSG_NOSIGNAL | flags);
}

static int send_hello(int fd, const char *domain, int stats_fd)
{
	struct xvmc_ag_hello hello = {
		.hdr = { .version = XVMC_AGENT_VERSION,
			 .type = XVMC_AG_HELLO,
			 .len = sizeof(hello) },
		.role = XVMC_ROLE_APP,
	};
	struct stat st;
	int comm;
	ssize_t r;

	if (stat("/proc/self/ns/net", &st) == 0)
		hello.netns = st.st_ino;
	snprintf(hello.domain, sizeof(hello.domain), "%s", domain);
	comm = OS_MAKE(OS4(SYS_openat, AT_FDCWD, "/proc/self/comm",
			   O_RDONLY | O_CLOEXEC, 0));
	if (comm >= 0) {
		r = os_read(comm, hello.comm, sizeof(hello.comm) - 1);
		if (r > 0 && hello.comm[r - 1] == '\n')
			hello.comm[r - 1] = '\0';
		os_close(comm);
	}
	xvmc_numbers_make(); /* libc's socket for a moment */
	my_addresses(&hello);
	xvmc_numbers_made();
	do
		r = send_fd(fd, &hello, sizeof(hello), stats_fd, 0);
	while (r == -EINTR);
	return r < 0 ? (int)r : 0;
}

int xvmc_agent_open(struct xvmc_agent *agent, const char *dir, const char *domain,
		    int stats_fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = HELLO_TIMEOUT_S };
	ssize_t r;
	int fd;

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/agent.sock", dir) >=
	    (int)sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	fd = OS_MAKE(os_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return fd;
	os_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	os_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	/* No signal of the program's comes here; that by which libc has all threads
	 * change their user does, and with a time limit no call goes on after it. */
	do
		r = os_connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	while (r == -EINTR);
	if (r == 0)
		r = xvmc_rundir_check_server(fd);
	if (r == 0)
		r = send_hello(fd, domain, stats_fd);
	if (r < 0) {
		os_close(fd);
		return (int)r;
	}
	*agent = (struct xvmc_agent){ .fd = fd };
	return 0;
}

int xvmc_agent_welcome(struct xvmc_agent *agent)
{
	union xvmc_agent_msg msg;
	ssize_t r;

	do /* as above */
		r = os_recv(agent->fd, &msg, sizeof(msg), 0);
	while (r == -EINTR);
	if (r < 0)
		return (int)r;
	if ((size_t)r != sizeof(msg.welcome) || msg.hdr.type != XVMC_AG_WELCOME ||
	    msg.hdr.version != XVMC_AGENT_VERSION)
		return -EPROTO;
	agent->self = msg.welcome;
	return 0;
}

void xvmc_agent_close(struct xvmc_agent *agent)
{
	if (agent->fd >= 0)
		os_close(agent->fd);
	agent->fd = -1;
	agent->broken = false;
	xvmc_bytes_free(&agent->out);
}

/* One message: 0, -EAGAIN, or -EIO. */
static int send_now(struct xvmc_agent *agent, const void *msg, size_t len)
{
	ssize_t r = os_send(agent->fd, msg, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (r == -EAGAIN || r == -EINTR)
		return -EAGAIN;
	if (r == (ssize_t)len)
		return 0;
	agent->broken = true;
	return -EIO;
}

int xvmc_agent_flush(struct xvmc_agent *agent)
{
	if (agent->fd < 0 || agent->broken)
		return -EIO;
	while (agent->out.len) {
		struct xvmc_agent_hdr hdr;
		int r;

		memcpy(&hdr, agent->out.buf + agent->out.off, sizeof(hdr));
		r = send_now(agent, agent->out.buf + agent->out.off, hdr.len);
		if (r == -EAGAIN &&
		    os_now_ns() - agent->out_ns > XVMC_AGENT_PATIENCE_NS) {
			agent->broken = true;
			return -EIO;
		}
		if (r < 0)
			return r;
		xvmc_bytes_drop(&agent->out, hdr.len);
		agent->out_ns = os_now_ns();
	}
	return 0;
}

int xvmc_agent_send(struct xvmc_agent *agent, struct xvmc_agent_hdr *hdr)
{
	int r;

	hdr->version = XVMC_AGENT_VERSION;
	r = xvmc_agent_flush(agent);
	if (r == 0)
		r = send_now(agent, hdr, hdr->len);
	if (r != -EAGAIN)
		return r;
	if (!agent->out.len)
		agent->out_ns = os_now_ns();
	if (agent->out.len + hdr->len > OUT_MAX ||
	    xvmc_bytes_add(&agent->out, hdr, hdr->len) < 0) {
		agent->broken = true;
		return -EIO;
	}
	return 0;
}

int xvmc_agent_hold(struct xvmc_agent *agent, uint32_t port, int fd)
{
	struct xvmc_ag_word word = {
		.hdr = { .version = XVMC_AGENT_VERSION,
			 .type = fd >= 0 ? XVMC_AG_HOLD : XVMC_AG_DROP,
			 .len = sizeof(word) },
		.link = port,
	};
	ssize_t r;

	if (fd < 0)
		return xvmc_agent_send(agent, &word.hdr);
	r = xvmc_agent_flush(agent);
	if (r == 0)
		r = send_fd(agent->fd, &word, sizeof(word), fd, MSG_DONTWAIT);
	return r == (ssize_t)sizeof(word) ? 0 : -EIO;
}

static size_t len_of(uint16_t type)
{
	switch (type) {
	case XVMC_AG_MATCH:
		return sizeof(struct xvmc_ag_match);
	case XVMC_AG_UNLINKED:
	case XVMC_AG_YIELD:
	case XVMC_AG_QUERY:
		return sizeof(struct xvmc_ag_word);
	case XVMC_AG_KEEP:
	case XVMC_AG_PREPARE:
	case XVMC_AG_FINISH:
		return sizeof(struct xvmc_ag_migrate);
	case XVMC_AG_PAGES:
		return sizeof(struct xvmc_ag_pages);
	case XVMC_AG_STEER:
		return sizeof(struct xvmc_ag_steer);
	default:
		return sizeof(struct xvmc_agent_hdr);
	}
}

int xvmc_agent_recv(struct xvmc_agent *agent, union xvmc_agent_msg *ret_msg)
{
	size_t min;
	ssize_t r;

	if (agent->fd < 0)
		return -EIO;
	r = os_recv(agent->fd, ret_msg, sizeof(*ret_msg), MSG_DONTWAIT);
	if (r == -EAGAIN || r == -EINTR)
		return -EAGAIN;
	if (r < (ssize_t)sizeof(ret_msg->hdr) ||
	    ret_msg->hdr.version != XVMC_AGENT_VERSION)
		return -EIO;
	min = ret_msg->hdr.type == XVMC_AG_RELAYED ?
		      offsetof(struct xvmc_ag_relay, body) :
		      len_of(ret_msg->hdr.type);
	if (ret_msg->hdr.len != r || (size_t)r < min)
		return -EIO;
	return 1;
}
