/* SPDX-License-Identifier: MIT */
/*
 * VMs[]: a snapshot of the board, swapped under RCU [S 2] [X 8].
 */
#include "vms.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <urcu-bp.h>

#include "base/numbers.h"
#include "base/os.h"
#include "base/section.h"

struct vms_table {
	uint32_t seq;
	uint32_t nnets;
	struct xvmc_board_net net[XVMC_BOARD_NETS];
	size_t n;
	struct in6_addr ip[]; /* all that lead to a guest, sorted */
};

struct vms {
	const struct xvmc_board *board;
	struct vms_table *table; /* RCU */
	pthread_mutex_t lock;    /* one rebuilds */
};

static uint32_t board_seq(const struct xvmc_board *board)
{
	return atomic_load_explicit((const _Atomic uint32_t *)&board->seq,
				    memory_order_acquire);
}

/* A consistent copy of the board; -EAGAIN while xvmcd keeps writing. */
static int board_copy(const struct xvmc_board *board, struct xvmc_board *copy)
{
	for (int i = 0; i < 1000; i++) {
		uint32_t seq = board_seq(board);

		if (seq & 1)
			continue;
		memcpy(copy, board, sizeof(*copy));
		atomic_thread_fence(memory_order_acquire);
		if (board_seq(board) == seq) {
			copy->seq = seq;
			return 0;
		}
	}
	return -EAGAIN;
}

static int by_ip(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct in6_addr));
}

static struct vms_table *build(const struct vms *vms)
{
	struct xvmc_board *copy = malloc(sizeof(*copy));
	struct vms_table *t = NULL;

	if (!copy || board_copy(vms->board, copy) < 0)
		goto out;
	t = malloc(sizeof(*t) + sizeof(t->ip[0]) * XVMC_BOARD_DOMS * XVMC_ADDRS_MAX);
	if (!t)
		goto out;
	t->seq = copy->seq;
	t->nnets = copy->local			    ? 0 :
		   copy->nnets < XVMC_BOARD_NETS ? copy->nnets :
						   XVMC_BOARD_NETS;
	memcpy(t->net, copy->net, sizeof(t->net));
	t->n = 0;
	for (unsigned int i = 0; i < XVMC_BOARD_DOMS; i++) {
		const struct xvmc_board_dom *dom = &copy->dom[i];

		/* A Xen guest cannot map what it grants to itself. */
		if (!copy->local && dom->flags & XVMC_BOARD_SELF)
			continue;
		for (unsigned int k = 0; dom->in_use && k < dom->naddrs &&
					 k < XVMC_ADDRS_MAX; k++)
			t->ip[t->n++] = dom->addr[k];
	}
	qsort(t->ip, t->n, sizeof(t->ip[0]), by_ip);
out:
	free(copy);
	return t;
}

static void refresh(struct vms *vms)
{
	struct vms_table *old, *t;

	if (section_trylock(&vms->lock) != 0)
		return; /* somebody else does it */
	old = vms->table;
	if (!old || old->seq != board_seq(vms->board)) {
		t = build(vms);
		if (t) {
			rcu_assign_pointer(vms->table, t);
			synchronize_rcu();
			free(old);
		}
	}
	section_unlock(&vms->lock);
}

int vms_open(const char *dir, struct vms **ret_vms)
{
	char path[256];
	struct xvmc_board *board;
	struct vms *vms;
	int fd;

	if (snprintf(path, sizeof(path), "%s/board", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = OS_MAKE(OS4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0));
	if (fd < 0)
		return fd;
	board = mmap(NULL, XVMC_BOARD_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (board != MAP_FAILED) {
		off_t size = OS3(SYS_lseek, fd, 0, SEEK_END);

		if (size < (off_t)XVMC_BOARD_SIZE ||
		    board->magic != XVMC_BOARD_MAGIC ||
		    board->version != XVMC_AGENT_VERSION) {
			munmap(board, XVMC_BOARD_SIZE);
			board = MAP_FAILED;
		}
	}
	os_close(fd);
	if (board == MAP_FAILED)
		return -ENOENT;
	vms = calloc(1, sizeof(*vms));
	if (!vms) {
		munmap(board, XVMC_BOARD_SIZE);
		return -ENOMEM;
	}
	vms->board = board;
	pthread_mutex_init(&vms->lock, NULL);
	*ret_vms = vms;
	return 0;
}

void vms_close(struct vms *vms)
{
	if (!vms)
		return;
	munmap((void *)(uintptr_t)vms->board, XVMC_BOARD_SIZE);
	free(vms->table);
	pthread_mutex_destroy(&vms->lock);
	free(vms);
}

static bool is_loopback(const struct in6_addr *ip)
{
	return IN6_IS_ADDR_LOOPBACK(ip) ||
	       (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == 127);
}

static bool on_net(const struct xvmc_board_net *net, const struct in6_addr *ip)
{
	uint32_t bytes = net->bits / 8, rest = net->bits % 8;

	/* A network of one has nobody else; nobody arrives at our own address. */
	if (net->bits == 0 || net->bits >= 128 || IN6_ARE_ADDR_EQUAL(&net->addr, ip))
		return false;
	return memcmp(&net->addr, ip, bytes) == 0 &&
	       (net->addr.s6_addr[bytes] ^ ip->s6_addr[bytes]) >> (8 - rest) == 0;
}

static enum vms_who who(const struct vms_table *t, const struct in6_addr *ip)
{
	if (bsearch(ip, t->ip, t->n, sizeof(t->ip[0]), by_ip))
		return VMS_GUEST;
	for (uint32_t i = 0; i < t->nnets; i++)
		if (on_net(&t->net[i], ip))
			return VMS_ABSENT;
	return VMS_NOBODY;
}

enum vms_who vms_look(struct vms *vms, const struct in6_addr *ip, uint32_t *ret_seq)
{
	const struct vms_table *t;
	enum vms_who found;

	*ret_seq = board_seq(vms->board);
	/* Processes of one board share the loopback address; which domain is
	 * at the other end turns out when both ends have registered. In a Xen
	 * guest it is this one. */
	if (is_loopback(ip))
		return vms->board->local ? VMS_GUEST : VMS_NOBODY;
	rcu_read_lock();
	t = rcu_dereference(vms->table);
	if (!t || t->seq != board_seq(vms->board)) {
		rcu_read_unlock();
		refresh(vms);
		rcu_read_lock();
		t = rcu_dereference(vms->table);
	}
	/* It may be older than the board: somebody else is at it. */
	found = t ? who(t, ip) : VMS_NOBODY;
	*ret_seq = t ? t->seq : 1; /* odd: the board's at no time one can look */
	rcu_read_unlock();
	return found;
}

uint32_t vms_seq(const struct vms *vms)
{
	return board_seq(vms->board);
}

bool vms_addr(const struct sockaddr *sa, socklen_t len, struct in6_addr *ret_ip,
	      uint16_t *ret_port)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (len >= sizeof(in) && sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		memset(ret_ip, 0, sizeof(*ret_ip));
		ret_ip->s6_addr[10] = ret_ip->s6_addr[11] = 0xff;
		memcpy(&ret_ip->s6_addr[12], &in.sin_addr, 4);
		*ret_port = ntohs(in.sin_port);
		return true;
	}
	if (len >= sizeof(in6) && sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		*ret_ip = in6.sin6_addr;
		*ret_port = ntohs(in6.sin6_port);
		return true;
	}
	return false;
}
