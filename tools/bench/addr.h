/* SPDX-License-Identifier: MIT */
/*
 * Where the measuring programs listen and connect: TCP over IPv4 or IPv6,
 * or an AF_UNIX stream socket for comparison.
 */
#ifndef BENCH_ADDR_H
#define BENCH_ADDR_H

#include <sys/socket.h>

struct addr {
	struct sockaddr_storage name;
	socklen_t len;
};

/* TCP. host may be NULL: the loopback address. Numeric hosts and names.
 * family: AF_INET, AF_INET6 or AF_UNSPEC. 0 or -errno. */
int addr_tcp(int family, const char *host, unsigned port, struct addr *ret_addr);
int addr_unix(const char *path, struct addr *ret_addr);

/* "HOST:PORT", "[V6]:PORT" or "unix:PATH". 0 or -errno. */
int addr_parse(const char *text, struct addr *ret_addr);

/* Listening socket or -errno. An AF_UNIX path left over is replaced. */
int addr_listen(const struct addr *addr);
/* Connected blocking socket, TCP_NODELAY if it is TCP; or -errno. */
int addr_connect(const struct addr *addr);

/* The port a listening TCP socket has got; 0 for AF_UNIX. */
unsigned addr_port(int listen_fd);
void addr_nodelay(int fd);

#endif
