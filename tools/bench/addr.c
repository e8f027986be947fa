/* SPDX-License-Identifier: MIT */
/*
 * Addresses, listening and connecting for the measuring programs. Sockets
 * are set up as an ordinary program would: no special buffer sizes.
 */
#include "addr.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

int addr_tcp(int family, const char *host, unsigned port, struct addr *ret_addr)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	char service[16];

	if (port > 65535)
		return -EINVAL;
	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(host, service, &hints, &found))
		return -EADDRNOTAVAIL;
	memset(ret_addr, 0, sizeof(*ret_addr));
	memcpy(&ret_addr->name, found->ai_addr, found->ai_addrlen);
	ret_addr->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

int addr_unix(const char *path, struct addr *ret_addr)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	if (!*path || strlen(path) >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path, path, strlen(path) + 1);
	memset(ret_addr, 0, sizeof(*ret_addr));
	memcpy(&ret_addr->name, &name, sizeof(name));
	ret_addr->len = sizeof(name);
	return 0;
}

int addr_parse(const char *text, struct addr *ret_addr)
{
	const char *colon = strrchr(text, ':');
	char host[256];
	size_t len;
	uint64_t port;

	if (strncmp(text, "unix:", 5) == 0)
		return addr_unix(text + 5, ret_addr);
	if (!colon || parse_u64(colon + 1, 1, 65535, &port) < 0)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	return addr_tcp(AF_UNSPEC, host, (unsigned)port, ret_addr);
}

int addr_listen(const struct addr *addr)
{
	const struct sockaddr *name = (const struct sockaddr *)&addr->name;
	int one = 1;
	int fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (name->sa_family == AF_UNIX)
		unlink(((const struct sockaddr_un *)name)->sun_path);
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, name, addr->len) < 0 || listen(fd, 1024) < 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	return fd;
}

int addr_connect(const struct addr *addr)
{
	const struct sockaddr *name = (const struct sockaddr *)&addr->name;
	int fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, name, addr->len) < 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	if (name->sa_family != AF_UNIX)
		addr_nodelay(fd);
	return fd;
}

unsigned addr_port(int listen_fd)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);

	if (getsockname(listen_fd, (struct sockaddr *)&name, &len) < 0)
		return 0;
	if (name.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&name)->sin_port);
	if (name.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&name)->sin6_port);
	return 0;
}

void addr_nodelay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}
