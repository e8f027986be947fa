/* SPDX-License-Identifier: MIT */
/*
 * hv.sock: the hypercalls of processes. Checks each message's form and hands
 * it to the pretended machine, which decides.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/local-wire.h"
#include "xvmcd.h"

union call {
	struct xvmc_lw_hdr hdr;
	struct xvmc_lw_hello hello;
	struct xvmc_lw_call call;
	struct xvmc_lw_word word;
};

static struct hvc *hvc_of(struct conn *conn)
{
	return (struct hvc *)conn;
}

/* The pages a mapping consists of after a migration: one copy for all. */
int hv_make_ff(int *ret_fd)
{
	const size_t len = XVMC_LW_PAGES_MAX * XVMC_PAGE_SIZE;
	void *addr;
	int fd, rc;

	fd = xvmc_lw_memfd("xvmc-ff", len);
	if (fd < 0)
		return fd;
	addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED) {
		rc = -errno;
		goto fail;
	}
	memset(addr, 0xff, len);
	munmap(addr, len);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
		rc = -errno;
		goto fail;
	}
	*ret_fd = fd;
	return 0;
fail:
	close(fd);
	return rc;
}

void hv_send_word(struct hvc *hvc, uint16_t type, uint32_t number)
{
	struct xvmc_lw_word msg = {
		.hdr = { .version = XVMC_LW_VERSION, .type = type, .len = sizeof(msg) },
		.number = number,
	};

	conn_send(&hvc->conn, &msg, NULL, 0);
}

static struct xvmc_lw_reply reply_to(const union call *c, int status)
{
	return (struct xvmc_lw_reply){
		.hdr = { .version = XVMC_LW_VERSION,
			 .type = XVMC_LW_REPLY,
			 .len = sizeof(struct xvmc_lw_reply),
			 .serial = c->hdr.serial,
			 .status = status },
	};
}

static void hello(struct hvc *hvc, const union call *c)
{
	struct xvmcd *d = hvc->conn.d;
	struct xvmc_lw_welcome msg = {
		.hdr = { .version = XVMC_LW_VERSION,
			 .type = XVMC_LW_WELCOME,
			 .len = sizeof(msg),
			 .serial = c->hdr.serial },
	};
	const int fds[2] = { d->board_fd, d->ff_fd };
	struct xvmc_lh_dom *dom;

	msg.hdr.status = xvmc_lh_name_ok(c->hello.domain) ? dom_get(d, c->hello.domain, &dom) : -EINVAL;
	if (msg.hdr.status < 0) {
		conn_send(&hvc->conn, &msg, NULL, 0);
		conn_finish(&hvc->conn);
		return;
	}
	xvmc_lh_client_init(&hvc->client, dom);
	hvc->welcome = true;
	msg.domid = dom->domid;
	msg.incarnation = dom->incarnation;
	msg.slot = dom->slot;
	conn_send(&hvc->conn, &msg, fds, 2);
}

/* fds[0] is taken over on success. */
static int grant(struct hvc *hvc, const struct xvmc_lw_call *c, int *fds,
		 unsigned int nfds, struct xvmc_lw_reply *reply)
{
	int rc;

	/* A descriptor that did not fit into our table looks like none. */
	if (nfds != 1)
		return nfds == 0 ? -EMFILE : -EINVAL;
	if (c->npages == 0 || c->npages > XVMC_LW_PAGES_MAX)
		return -EINVAL;
	rc = xvmc_lw_check_memfd(fds[0], 0, c->npages);
	if (rc == 0)
		rc = xvmc_lh_grant(hvc->conn.d->lh, &hvc->client, c->peer, c->npages,
				   c->writable, fds[0], &reply->number);
	if (rc == 0)
		fds[0] = -1;
	return rc;
}

static int map(struct hvc *hvc, const struct xvmc_lw_call *c,
	       struct xvmc_lw_reply *reply, int *ret_fd)
{
	struct xvmc_lh_mapping mapping;
	int rc;

	rc = xvmc_lh_map(hvc->conn.d->lh, &hvc->client, c->peer, c->number,
			 c->npages, c->writable, c->clear_byte, &mapping);
	if (rc < 0)
		return rc;
	reply->number = mapping.number;
	reply->offset = mapping.offset;
	*ret_fd = mapping.fd;
	return 0;
}

/* An event channel is two eventfds: one for each side to sleep on. Blocking,
 * so that a read sleeps; their counters never fill up in practice. */
static int new_eventfds(int *ret_fds)
{
	int own, peer;

	own = eventfd(0, EFD_CLOEXEC);
	if (own < 0)
		return -errno;
	peer = eventfd(0, EFD_CLOEXEC);
	if (peer < 0) {
		int rc = -errno;

		close(own);
		return rc;
	}
	ret_fds[0] = own;
	ret_fds[1] = peer;
	return 0;
}

static int chan_alloc(struct hvc *hvc, const struct xvmc_lw_call *c,
		      struct xvmc_lh_channel *ret_channel)
{
	int fds[2], rc;

	rc = new_eventfds(fds);
	if (rc < 0)
		return rc;
	rc = xvmc_lh_chan_alloc(hvc->conn.d->lh, &hvc->client, c->peer, fds, ret_channel);
	if (rc < 0) {
		close(fds[0]);
		close(fds[1]);
	}
	return rc;
}

static void channel(struct hvc *hvc, const union call *c)
{
	const struct xvmc_lw_call *call = &c->call;
	bool bind = c->hdr.type == XVMC_LW_CHAN_BIND;
	struct xvmc_lw_reply reply = reply_to(c, 0);
	struct xvmc_lh_channel chan;
	int rc;

	rc = bind ? xvmc_lh_chan_bind(hvc->conn.d->lh, &hvc->client, call->peer,
				      call->number, &chan) :
		    chan_alloc(hvc, call, &chan);
	if (rc < 0) {
		reply.hdr.status = rc;
		conn_send(&hvc->conn, &reply, NULL, 0);
		return;
	}
	reply.number = chan.port;
	reply.self = hvc->client.dom->domid;
	reply.peer_slot = chan.peer_slot;
	conn_send(&hvc->conn, &reply, chan.fds, 2);
	if (bind) {
		/* Both sides have theirs. */
		close(chan.fds[0]);
		close(chan.fds[1]);
	}
}

static void call(struct hvc *hvc, const union call *c, int *fds,
		 unsigned int nfds)
{
	struct xvmc_lh *lh = hvc->conn.d->lh;
	struct xvmc_lw_reply reply = reply_to(c, 0);
	int fd = -1, status = 0;

	switch (c->hdr.type) {
	case XVMC_LW_GRANT:
		status = grant(hvc, &c->call, fds, nfds, &reply);
		break;
	case XVMC_LW_MAP:
		status = map(hvc, &c->call, &reply, &fd);
		break;
	case XVMC_LW_UNGRANT:
		status = xvmc_lh_ungrant(lh, &hvc->client, c->word.number);
		break;
	case XVMC_LW_OWNER_CLEAR:
		status = xvmc_lh_owner_clear(lh, &hvc->client, c->word.number,
					     c->word.pad);
		break;
	case XVMC_LW_UNMAP:
		status = xvmc_lh_unmap(lh, &hvc->client, c->word.number,
				       c->word.pad != XVMC_LW_NOT_CLEARED);
		break;
	case XVMC_LW_CHAN_CLOSE:
		status = xvmc_lh_chan_close(lh, &hvc->client, c->word.number);
		break;
	}
	if (c->hdr.serial == 0)
		return;
	reply.hdr.status = status;
	conn_send(&hvc->conn, &reply, &fd, fd >= 0);
}

/* The length each type must have; 0: no such message from a process. */
static size_t wanted(uint16_t type)
{
	switch (type) {
	case XVMC_LW_HELLO:
		return sizeof(struct xvmc_lw_hello);
	case XVMC_LW_GRANT:
	case XVMC_LW_MAP:
	case XVMC_LW_CHAN_ALLOC:
	case XVMC_LW_CHAN_BIND:
		return sizeof(struct xvmc_lw_call);
	case XVMC_LW_UNGRANT:
	case XVMC_LW_UNMAP:
	case XVMC_LW_CHAN_CLOSE:
	case XVMC_LW_CUT_DONE:
	case XVMC_LW_OWNER_CLEAR:
		return sizeof(struct xvmc_lw_word);
	default:
		return 0;
	}
}

static void message(struct conn *conn, const void *msg, size_t len, int *fds,
		    unsigned int nfds)
{
	struct hvc *hvc = hvc_of(conn);
	const union call *c = msg;

	if (len < sizeof(c->hdr) || c->hdr.len != len ||
	    c->hdr.version != XVMC_LW_VERSION || wanted(c->hdr.type) != len ||
	    (c->hdr.type == XVMC_LW_HELLO) == hvc->welcome) {
		log_line("pid %d: malformed hypercall", (int)conn->pid);
		conn_kill(conn);
		return;
	}
	switch (c->hdr.type) {
	case XVMC_LW_HELLO:
		hello(hvc, c);
		break;
	case XVMC_LW_CHAN_ALLOC:
	case XVMC_LW_CHAN_BIND:
		channel(hvc, c);
		break;
	case XVMC_LW_CUT_DONE:
		migrate_cut_done(hvc, c->word.number);
		break;
	default:
		call(hvc, c, fds, nfds);
	}
}

void hv_detach(struct hvc *hvc)
{
	migrate_forget_hvc(hvc);
	if (hvc->welcome)
		xvmc_lh_client_end(hvc->conn.d->lh, &hvc->client);
	hvc->welcome = false;
}

static void ended(struct conn *conn)
{
	struct hvc *hvc = hvc_of(conn);

	hv_detach(hvc);
	conn_done(conn);
	conn->d->nconns--;
	free(hvc);
}

static const struct conn_ops hv_ops = { .message = message, .ended = ended };

int hv_accept(struct xvmcd *d, int sock)
{
	struct hvc *hvc = calloc(1, sizeof(*hvc));
	int rc;

	if (!hvc) {
		close(sock);
		return -ENOMEM;
	}
	rc = conn_init(&hvc->conn, d, sock, &hv_ops);
	if (rc < 0) {
		free(hvc);
		return rc;
	}
	xvmc_list_add(&d->hvs, &hvc->conn.node);
	d->nconns++;
	return 0;
}
