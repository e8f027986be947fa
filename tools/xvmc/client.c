/* SPDX-License-Identifier: MIT */
/*
 * Talking to xvmcd from a tool. What it sends is checked before it is used:
 * a stranger may sit on the socket.
 */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/rundir.h"

static int connect_to(const char *dir, int *ret_fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, rc;

	rc = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/agent.sock", dir);
	if (rc < 0 || (size_t)rc >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

static int hello(int fd, const char *domain)
{
	struct xvmc_ag_hello msg = { .role = XVMC_ROLE_TOOL };
	union client_msg answer;
	struct stat st;
	int rc;

	snprintf(msg.domain, sizeof(msg.domain), "%s", domain);
	snprintf(msg.comm, sizeof(msg.comm), "%s", program_invocation_short_name);
	if (stat("/proc/self/ns/net", &st) == 0)
		msg.netns = st.st_ino;
	if (*domain)
		msg.naddrs = client_addrs(msg.addr, XVMC_ADDRS_MAX);
	rc = client_send(fd, XVMC_AG_HELLO, &msg, sizeof(msg));
	if (rc < 0)
		return rc;
	rc = client_recv(fd, CLIENT_TIMEOUT_MS, &answer);
	if (rc < 0)
		return rc;
	if (answer.hdr.type == XVMC_AG_END && answer.hdr.status < 0)
		return answer.hdr.status;
	return answer.hdr.type == XVMC_AG_WELCOME ? answer.hdr.status : -EPROTO;
}

int client_open_in(const char *dir, const char *domain, int *ret_fd)
{
	int fd = -1, rc;

	rc = connect_to(dir, &fd);
	if (rc < 0)
		return rc;
	rc = hello(fd, domain);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

int client_open(const char *dir, int *ret_fd)
{
	return client_open_in(dir, "", ret_fd);
}

void client_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int client_send(int fd, uint16_t type, void *msg, size_t len)
{
	struct xvmc_agent_hdr *hdr = msg;
	ssize_t n;

	hdr->version = XVMC_AGENT_VERSION;
	hdr->type = type;
	hdr->len = (uint16_t)len;
	do
		n = send(fd, msg, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EPIPE ? -ECONNRESET : -errno;
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int wait_readable(int fd, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms, left;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do {
		left = end - now_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

int client_recv(int fd, int timeout_ms, union client_msg *ret_msg)
{
	ssize_t n;
	int rc;

	rc = wait_readable(fd, timeout_ms);
	if (rc < 0)
		return rc;
	/* What a shorter message does not fill reads as zero. */
	memset(ret_msg, 0, sizeof(*ret_msg));
	do
		n = recv(fd, ret_msg, sizeof(*ret_msg), MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ECONNRESET;
	if ((size_t)n < sizeof(ret_msg->hdr) || (size_t)n > sizeof(*ret_msg) ||
	    ret_msg->hdr.len != n || ret_msg->hdr.version != XVMC_AGENT_VERSION)
		return -EPROTO;
	return 0;
}

static size_t row_size(uint16_t type)
{
	switch (type) {
	case XVMC_AG_ROW:
		return sizeof(struct xvmc_ag_row);
	case XVMC_AG_DOM:
		return sizeof(struct xvmc_ag_dom);
	case XVMC_AG_STATS_ROW:
		return sizeof(struct xvmc_ag_stats);
	default:
		return sizeof(struct xvmc_agent_hdr);
	}
}

int client_ask(int fd, uint16_t type, void *msg, size_t len, int timeout_ms,
	       uint16_t row_type, client_row_fn row, void *arg)
{
	struct xvmc_agent_hdr bare = { 0 };
	union client_msg got;
	int rc;

	rc = client_send(fd, type, msg ? msg : &bare, msg ? len : sizeof(bare));
	if (rc < 0)
		return rc;
	for (;;) {
		rc = client_recv(fd, timeout_ms, &got);
		if (rc < 0)
			return rc;
		if (got.hdr.type == XVMC_AG_END)
			return got.hdr.status < 0 ? got.hdr.status : 0;
		if (got.hdr.type != row_type || !row)
			continue; /* news for everyone, such as VMS */
		if (got.hdr.len < row_size(row_type))
			return -EPROTO;
		rc = row(&got, arg);
		if (rc < 0)
			return rc;
	}
}

/* v4-mapped, or false for an address that says nothing about the host. */
static bool addr_of(const struct ifaddrs *ifa, struct in6_addr *ret_addr)
{
	const struct sockaddr *sa = ifa->ifa_addr;

	if (!sa)
		return false;
	if (sa->sa_family == AF_INET) {
		struct in_addr ip = ((const struct sockaddr_in *)sa)->sin_addr;

		if ((ntohl(ip.s_addr) >> 24) == 127 || ip.s_addr == 0)
			return false;
		memset(ret_addr, 0, sizeof(*ret_addr));
		ret_addr->s6_addr[10] = ret_addr->s6_addr[11] = 0xff;
		memcpy(&ret_addr->s6_addr[12], &ip, sizeof(ip));
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		*ret_addr = ((const struct sockaddr_in6 *)sa)->sin6_addr;
		return !IN6_IS_ADDR_LOOPBACK(ret_addr) &&
		       !IN6_IS_ADDR_LINKLOCAL(ret_addr) &&
		       !IN6_IS_ADDR_UNSPECIFIED(ret_addr);
	}
	return false;
}

uint32_t client_addrs(struct in6_addr *ret_addrs, uint32_t max)
{
	struct ifaddrs *list;
	uint32_t n = 0, i;

	if (getifaddrs(&list) != 0)
		return 0;
	for (struct ifaddrs *ifa = list; ifa && n < max; ifa = ifa->ifa_next) {
		struct in6_addr addr;

		if (!addr_of(ifa, &addr))
			continue;
		for (i = 0; i < n; i++)
			if (IN6_ARE_ADDR_EQUAL(&ret_addrs[i], &addr))
				break;
		if (i == n)
			ret_addrs[n++] = addr;
	}
	freeifaddrs(list);
	return n;
}

bool client_on_xen(void)
{
	char type[8] = "";
	FILE *f;

	if (access("/proc/xen", F_OK) == 0)
		return true;
	f = fopen("/sys/hypervisor/type", "re");
	if (!f)
		return false;
	if (!fgets(type, sizeof(type), f))
		type[0] = 0;
	fclose(f);
	return strncmp(type, "xen", 3) == 0;
}

int client_dir(const char *dir, char *ret_dir)
{
	size_t n;

	if (!dir)
		return xvmc_rundir(ret_dir);
	n = strlen(dir);
	if (n >= XVMC_RUNDIR_MAX)
		return -ENAMETOOLONG;
	memcpy(ret_dir, dir, n + 1);
	return 0;
}

const char *client_strerror(int rc)
{
	switch (-rc) {
	case ENOENT:
	case ECONNREFUSED:
		return "no xvmcd answers";
	case EACCES:
		return "no right to speak to its xvmcd";
	case ETIMEDOUT:
		return "xvmcd does not answer in time";
	case ECONNRESET:
		return "xvmcd went away";
	case EPROTO:
		return "what answers is no xvmcd of this version";
	default:
		return strerror(-rc);
	}
}
