/* SPDX-License-Identifier: MIT */
/*
 * The peer as a set of requests, carried out here or sent there: one size of
 * message each way.
 */
#include "hv-peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fresh.h"

enum op { SELF, MAP, UNMAP, READ, WRITE, FORCE, BIND, CLOSE, NOTIFY, READABLE, ACK, KEEP, HUSH, COPY };

struct request {
	uint32_t op, owner, n, writable;
	uint64_t at; /* or the byte to clear */
	union {
		uint32_t gref[PEER_GREFS];
		uint8_t data[PEER_BYTES];
	};
};

struct reply {
	int32_t rc;
	uint32_t pad;
	struct xvmc_hv_self self;
	uint8_t data[PEER_BYTES];
};

/* ---- carried out ---- */

static int do_map(struct peer_side *s, const struct request *q)
{
	if (q->n > PEER_GREFS || s->map.priv)
		return -EINVAL;
	return xvmc_hv_map(s->hv, q->owner, q->gref, q->n, q->writable,
			   q->at == UINT64_MAX ? XVMC_HV_NO_CLEAR : (size_t)q->at, &s->map);
}

static int do_bytes(struct peer_side *s, const struct request *q, struct reply *a)
{
	char *mem = s->map.addr;

	if (!mem || q->n > PEER_BYTES || q->at + q->n > s->map.npages * 4096)
		return -EINVAL;
	if (q->op == READ)
		memcpy(a->data, mem + q->at, q->n);
	else
		memcpy(mem + q->at, q->data, q->n);
	return 0;
}

static sigjmp_buf out_of_here;

static void fault(int sig)
{
	siglongjmp(out_of_here, sig);
}

/* The kernel may refuse to make it writable, or the hypervisor the write. */
static int do_force(struct peer_side *s)
{
	volatile char *mem = s->map.addr;

	if (mprotect(s->map.addr, 4096, PROT_READ | PROT_WRITE) < 0)
		return -errno;
	signal(SIGSEGV, fault);
	signal(SIGBUS, fault);
	if (sigsetjmp(out_of_here, 1))
		return -EFAULT;
	mem[0] = 'w';
	return 0;
}

/* Memory of its own, which says what the mapping said. */
static int do_keep(struct peer_side *s)
{
	void *with = xvmc_hv_memory(s->map.npages);
	int rc;

	if (!with)
		return -ENOMEM;
	memcpy(with, s->map.addr, s->map.npages * 4096);
	rc = xvmc_hv_keep_map(s->hv, &s->map, with);
	if (rc < 0)
		xvmc_hv_memory_free(with, s->map.npages);
	return rc;
}

static void carry_out(struct peer_side *s, const struct request *q, struct reply *a)
{
	struct pollfd pfd = { .fd = s->chan.wait_fd, .events = POLLIN };

	a->rc = 0;
	switch (q->op) {
	case SELF:
		a->rc = xvmc_hv_self(s->hv, &a->self);
		break;
	case MAP:
		a->rc = do_map(s, q);
		break;
	case UNMAP:
		xvmc_hv_unmap(s->hv, &s->map);
		break;
	case READ:
	case WRITE:
		a->rc = do_bytes(s, q, a);
		break;
	case FORCE:
		a->rc = do_force(s);
		break;
	case BIND:
		a->rc = xvmc_hv_chan_bind(s->hv, q->owner, q->n, &s->chan);
		break;
	case CLOSE:
		xvmc_hv_chan_close(s->hv, &s->chan);
		break;
	case NOTIFY:
		a->rc = xvmc_hv_notify(s->hv, &s->chan);
		break;
	case READABLE:
		a->rc = poll(&pfd, 1, (int)q->n) == 1 && pfd.revents & POLLIN;
		break;
	case ACK:
		xvmc_hv_chan_ack(s->hv, &s->chan);
		break;
	case KEEP:
		a->rc = do_keep(s);
		break;
	case HUSH:
		xvmc_hv_chan_hush(s->hv, &s->chan);
		break;
	case COPY:
		a->rc = xvmc_hv_copy(s->hv, q->owner, q->gref[0], q->at, a->data, q->n);
		break;
	default:
		a->rc = -ENOSYS;
	}
}

/* ---- asked for ---- */

static bool all(int sock, void *buf, size_t len, bool out)
{
	for (char *p = buf; len > 0;) {
		ssize_t n = out ? send(sock, p, len, MSG_NOSIGNAL) : recv(sock, p, len, 0);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static struct request q;
static struct reply a;

static int ask(struct peer *p, enum op op)
{
	q.op = op;
	q.owner = p->owner;
	if (p->sock < 0)
		carry_out(&p->side, &q, &a);
	else if (!all(p->sock, &q, sizeof(q), true) || !all(p->sock, &a, sizeof(a), false))
		fail_msg("the peer's guest does not answer");
	return a.rc;
}

void peer_self(struct peer *p, struct xvmc_hv_self *ret_self)
{
	assert_int_equal(ask(p, SELF), 0);
	*ret_self = a.self;
}

int peer_map(struct peer *p, const xvmc_gref_t *grefs, size_t n, bool writable,
	     size_t clear_byte)
{
	assert_true(n <= PEER_GREFS);
	memcpy(q.gref, grefs, n * sizeof(*grefs));
	q.n = (uint32_t)n;
	q.writable = writable;
	q.at = clear_byte == XVMC_HV_NO_CLEAR ? UINT64_MAX : clear_byte;
	return ask(p, MAP);
}

void peer_unmap(struct peer *p)
{
	assert_int_equal(ask(p, UNMAP), 0);
}

int peer_copy(struct peer *p, xvmc_gref_t gref, size_t at, void *ret_buf, size_t len)
{
	int rc;

	assert_true(len <= PEER_BYTES);
	q.gref[0] = gref;
	q.at = at;
	q.n = (uint32_t)len;
	rc = ask(p, COPY);
	memcpy(ret_buf, a.data, len);
	return rc;
}

void peer_read(struct peer *p, size_t at, void *buf, size_t len)
{
	q.at = at;
	q.n = (uint32_t)len;
	assert_int_equal(ask(p, READ), 0);
	memcpy(buf, a.data, len);
}

void peer_write(struct peer *p, size_t at, const void *buf, size_t len)
{
	q.at = at;
	q.n = (uint32_t)len;
	memcpy(q.data, buf, len);
	assert_int_equal(ask(p, WRITE), 0);
}

int peer_force(struct peer *p)
{
	return ask(p, FORCE);
}

int peer_bind(struct peer *p, xvmc_port_t port)
{
	q.n = port;
	return ask(p, BIND);
}

void peer_close(struct peer *p)
{
	ask(p, CLOSE);
}

void peer_notify(struct peer *p)
{
	assert_int_equal(ask(p, NOTIFY), 0);
}

bool peer_readable(struct peer *p, int ms)
{
	q.n = (uint32_t)ms;
	return ask(p, READABLE) == 1;
}

void peer_ack(struct peer *p)
{
	ask(p, ACK);
}

int peer_keep(struct peer *p)
{
	return ask(p, KEEP);
}

void peer_hush(struct peer *p)
{
	ask(p, HUSH);
}

/* ---- the way there ---- */

int peer_connect(struct peer *p)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	const char *where = getenv("XVMC_TEST_PEER");
	char ip[32] = "";
	unsigned int port;

	if (!where)
		return -ENOENT;
	if (sscanf(where, "%31[0-9.]:%u", ip, &port) != 2 ||
	    inet_pton(AF_INET, ip, &sa.sin_addr) != 1)
		return -EINVAL;
	sa.sin_port = htons((uint16_t)port);
	p->sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(p->sock, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return 0;
	close(p->sock);
	p->sock = -1;
	return -errno;
}

static void serve_one(int sock)
{
	struct peer_side side = { 0 };

	if (xvmc_hv_open_xen(&side.hv) < 0)
		_exit(1);
	while (all(sock, &q, sizeof(q), false)) {
		carry_out(&side, &q, &a);
		if (!all(sock, &a, sizeof(a), true))
			break;
	}
	xvmc_hv_close(side.hv);
	_exit(0);
}

int peer_serve(const char *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(sock, 16) < 0) {
		perror("test-hv: --peer");
		return 1;
	}
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int c = accept4(sock, NULL, NULL, SOCK_CLOEXEC);

		if (c >= 0 && fork() == 0)
			serve_one(c);
		if (c >= 0)
			close(c);
	}
}
