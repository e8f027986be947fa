/* SPDX-License-Identifier: MIT */
/*
 * The membership board. Processes have it mapped and look at it at any time,
 * also while no xvmcd runs; so a new xvmcd takes the old file over in place
 * and says nothing new about those who were there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xvmcd.h"

static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Each word a release of its own: none can be seen before the odd seq, nor
 * after the even one. Pairs with the readers' two looks at seq. */
static void store_all(void *to, const void *from, size_t n)
{
	const uint32_t *word = from;
	uint32_t *at = to;

	for (size_t i = 0; i < n / sizeof(*at); i++)
		store(&at[i], word[i]);
}

/* seq is odd from here to write_end. */
static void write_begin(struct xvmc_board *board)
{
	store(&board->seq, board->seq + 1);
}

static void write_end(struct xvmc_board *board)
{
	store(&board->seq, board->seq + 1);
}

void board_put(struct xvmcd *d, const struct xvmc_lh_dom *dom)
{
	struct xvmc_board_dom *to = &d->board->dom[dom->slot], entry;

	xvmc_lh_dom_entry(d->lh, dom, &entry);
	write_begin(d->board);
	store(&d->board->next_domid, xvmc_lh_next_domid(d->lh));
	store_all(&to->host, &entry.host, sizeof(entry) - offsetof(struct xvmc_board_dom, host));
	/* These two are read alone: a domid nobody knows means look at the
	 * incarnation, so it comes last. */
	store(&to->incarnation, entry.incarnation);
	store(&to->domid, entry.domid);
	store(&to->in_use, 1);
	write_end(d->board);
}

void board_clear(struct xvmcd *d, uint32_t slot)
{
	struct xvmc_board_dom *to = &d->board->dom[slot];

	write_begin(d->board);
	store(&to->domid, 0);
	store(&to->in_use, 0);
	store(&to->naddrs, 0);
	write_end(d->board);
}

void board_nets(struct xvmcd *d, const struct xvmc_board_net *nets, uint32_t n)
{
	struct xvmc_board *board = d->board;

	if (n == board->nnets && memcmp(board->net, nets, n * sizeof(*nets)) == 0)
		return;
	write_begin(board);
	store_all(board->net, nets, n * sizeof(*nets));
	store(&board->nnets, n);
	write_end(board);
}

static bool is_ours(const struct xvmcd *d)
{
	return d->board->magic == XVMC_BOARD_MAGIC &&
	       d->board->version == XVMC_AGENT_VERSION && d->board->local == !d->xen;
}

/* Takes over what an earlier xvmcd knew. It may have been killed in the
 * middle of a write: an entry that makes no sense is nobody's. */
static void recover(struct xvmcd *d)
{
	struct xvmc_board *board = d->board;

	if (board->seq & 1)
		store(&board->seq, board->seq + 1);
	xvmc_lh_skip_domids(d->lh, board->next_domid);
	/* On Xen others know better who is here. */
	for (uint32_t i = 0; d->xen && i < XVMC_BOARD_DOMS; i++)
		board_clear(d, i);
	for (uint32_t i = 0; i < XVMC_BOARD_DOMS; i++) {
		struct xvmc_lh_dom *dom;

		if (!board->dom[i].in_use)
			continue;
		if (xvmc_lh_dom_recover(d->lh, i, &board->dom[i]) < 0) {
			board_clear(d, i);
			continue;
		}
		dom = xvmc_lh_dom_by_slot(d->lh, i);
		board_put(d, dom); /* host numbers may have changed */
		log_line("domain %s is still here: domid %u on host %s", dom->name,
			 dom->domid, xvmc_lh_host_name(d->lh, dom->host));
	}
}

static int map_board(struct xvmcd *d, int fd)
{
	int rc;

	/* Memory behind every byte, so that neither we nor a reader faults. */
	rc = posix_fallocate(fd, 0, XVMC_BOARD_SIZE);
	if (rc != 0)
		return -rc;
	d->board = mmap(NULL, XVMC_BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (d->board == MAP_FAILED) {
		d->board = NULL;
		return -errno;
	}
	return 0;
}

int board_open(struct xvmcd *d)
{
	mode_t mode = d->opt.open ? 0644 : 0600;
	char path[128];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/board", d->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	fchmod(fd, mode);
	rc = map_board(d, fd);
	close(fd);
	if (rc < 0)
		return rc;
	d->board_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (d->board_fd < 0)
		return -errno;
	if (is_ours(d)) {
		recover(d);
	} else {
		memset(d->board, 0, XVMC_BOARD_SIZE);
		d->board->version = XVMC_AGENT_VERSION;
		d->board->local = !d->xen;
		d->board->next_domid = xvmc_lh_next_domid(d->lh);
		store(&d->board->magic, XVMC_BOARD_MAGIC);
	}
	store(&d->board->xvmcd_pid, (uint32_t)getpid());
	return 0;
}

void board_close(struct xvmcd *d, bool keep)
{
	if (!d->board)
		return;
	/* The file itself stays: a process may have it mapped without being
	 * connected, and shall see what the next xvmcd writes. */
	for (uint32_t i = 0; i < XVMC_BOARD_DOMS && !keep; i++)
		if (d->board->dom[i].in_use)
			board_clear(d, i);
	store(&d->board->xvmcd_pid, 0);
	munmap(d->board, XVMC_BOARD_SIZE);
	close(d->board_fd);
}
