/* SPDX-License-Identifier: MIT */
/*
 * conn_t [S 2]: one TCP connection with its two directions, each on TCP or on
 * its ring, and the switch between them (docs/protocol.md, "The switch").
 *
 * This room knows nothing of descriptors, threads that sleep, or epoll: it
 * reads and writes the TCP socket through struct xvmc_tcp_ops, which the
 * simulator replaces. No call here ever blocks.
 *
 * Threads:   tx_* under tx.lock, rx_* under rx.lock; where both are needed,
 *            tx.lock is taken first. The locks are the caller's business.
 * fork:      a child calls nothing here.
 * migration: the service thread calls xvmc_conn_tx_leave(); the receive path
 *            notices by itself and reports XVMC_EV_GONE.
 */
#ifndef XVMC_CONN_H
#define XVMC_CONN_H

#include <pthread.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "base/stats.h"
#include "hv/hv.h"
#include "xfer/recver.h"
#include "xfer/sender.h"

/*
 * The TCP socket under a connection. All non-blocking: a count, 0 for end of
 * stream (recv, peek), -EAGAIN, or another -errno.
 */
struct xvmc_tcp_ops {
	ssize_t (*send)(void *tcp, const struct iovec *vec, size_t cnt, int flags);
	ssize_t (*recv)(void *tcp, const struct iovec *vec, size_t cnt, bool peek);
	/* What the kernel itself counted: bytes written to the socket, bytes
	 * read from it, bytes that arrived. -EOPNOTSUPP: it does not say;
	 * -EAGAIN: too busy to say, try again; -EPIPE: it does not say, and
	 * nothing can be written to it any more. */
	int (*counts)(void *tcp, uint64_t *ret_sent, uint64_t *ret_taken,
		      uint64_t *ret_arrived);
	/* Bytes that arrived and were not read, or -errno. */
	ssize_t (*queued)(void *tcp);
	void (*shutdown_wr)(void *tcp);
};

/* What the caller has to see to after a call; or'ed into conn_t.events. */
#define XVMC_EV_RX_CHANGED 0x01u /* readers shall look again */
#define XVMC_EV_TX_CHANGED 0x02u /* writers shall look again */
#define XVMC_EV_FOLLOW 0x04u     /* the peer asks: leave the ring too */
#define XVMC_EV_GONE 0x08u       /* the mapping is gone: we have migrated */
#define XVMC_EV_PENDING 0x10u    /* bytes wait for room in the TCP socket */
#define XVMC_EV_CLOSED 0x20u     /* the peer will never read again */

#define XVMC_PATIENCE 16u

struct conn_tx {
	pthread_mutex_t lock;
	enum xvmc_path path;
	uint8_t reason;             /* enum xvmc_reason: why this path */
	_Atomic uint64_t sent;      /* bytes taken from the application */
	struct sender_t s;
	struct xvmc_share share_r, share_sd; /* R-page; S-page and data */
	struct xvmc_chan chan;
	bool attached;  /* the peer has mapped our pages: the ring may be used */
	bool have_share, have_chan;
	bool announced;
	bool refused; /* nobody acknowledged it in time: set here, cleared by who
		       * announces, so that the next one can wait */
	uint64_t ann_pos, ann_ns;
	uint64_t ann_wait_ns; /* since when a writer waits for it, or since the
			       * reader was last seen to come; or 0 */
	uint64_t ann_cons;    /* how far the reader was then */
	uint32_t ann_waits;   /* how often it was seen to come */
	uint32_t epoch;
	uint32_t leave_epoch; /* to be said once that record is out, or 0 */
	bool asked; /* it asks the peer to leave its ring, too */
	/* what must go out on TCP before anything else: records, then replay */
	uint8_t head[2 * sizeof(struct xvmc_record)];
	uint8_t head_len, head_off;
	uint64_t replay_pos, replay_end; /* positions in our own ring */
	bool fin_owed; /* shutdown(SHUT_WR) follows the pending bytes; set only
			* when tx_leave has put the last record there */
	bool shut;     /* shutdown(SHUT_WR) by the program */
	_Atomic bool unread; /* abandoned, and the peer had not read all of it */
	_Atomic int err; /* -errno for every later write */
	uint64_t ring_bytes; /* application bytes that went by the ring */
	uint64_t extra;      /* records and replays written to TCP */
};

struct conn_rx {
	pthread_mutex_t lock;
	enum xvmc_path path;
	uint8_t reason;
	_Atomic uint64_t rcvd; /* bytes given to the application, or in front */
	struct recver_t r;
	struct xvmc_map map_r, map_sd;
	struct xvmc_chan chan;
	bool attached; /* mapped */
	bool have_map_r, have_map_sd, have_chan;
	_Atomic bool gone; /* the mapping reads 0xFF: do not look at it again */
	_Atomic bool kept; /* a copy of our own is in the mapping's place: it says
			    * nothing new, and is not lost when we migrate */
	uint64_t expect; /* a record is due at this position, or XVMC_POS_NONE */
	uint32_t expect_epoch, epoch;
	uint32_t odd_epoch; /* of an announcement whose counts were wrong, or 0 */
	uint8_t nonce[XVMC_NONCE_LEN];
	/* Who was told that there is something to read shall find it, though
	 * the ring vanish and the replay take its time: the next byte of the
	 * stream, if held_pos is the position it has. */
	uint64_t held_pos;
	uint8_t held;
	uint64_t skip; /* replayed bytes still to be discarded */
	uint64_t pull; /* replayed bytes still to be taken off TCP eagerly */
	struct xvmc_bytes in; /* raw TCP bytes taken early, before the kernel's */
	/* The next of the stream, before all else: counted as received, and not
	 * given to the application, which has only peeked at them. */
	struct xvmc_bytes front;
	bool hand_over;       /* others may read the socket (fork, exec): leave replayed
			       * bytes in the kernel, and no record behind unread ones */
	bool eof;             /* TCP said end of stream */
	bool cut;             /* bytes are lost, and no reader has been told */
	_Atomic bool end_told; /* poll has shown it, whatever lies before it */
	bool no_proof;        /* and nobody will tell how the sender ended */
	uint64_t eof_ns;      /* since when; the service thread's */
	_Atomic int err;      /* -errno from TCP, or ours: nothing comes any more */
	uint64_t ring_bytes;  /* application bytes that came by the ring */
	uint64_t extra;       /* records and discarded bytes taken off TCP */
};

struct conn_t {
	uint16_t local_port, remote_port;
	xvmc_domid_t peer_domid;
	uint64_t link; /* xvmcd's number for the pair of ends; 0: none */
	bool strict;
	uint32_t incarnation; /* ours, when the rings were made */
	const struct xvmc_tcp_ops *tcp;
	void *tcp_arg;
	struct xvmc_hv *hv;
	struct xvmc_stats_page *stats;
	_Atomic uint32_t events; /* XVMC_EV_* */
	_Atomic int untold; /* -errno that the program has not been told yet, or 0 */
	_Atomic bool told; /* the kernel has told it: what follows is no news */
	_Atomic bool untold_pipe; /* EPIPE likewise: poll shows it, no read does */
	uint64_t announce_ns;    /* how long a writer waits for an announcement */
	uint32_t patience;       /* one that no writer waits for may take so much
				  * longer: so often that */
	/* So few bytes, which may be another program's to read before long,
	 * shall be the kernel's alone: a replay is left there, and no record is
	 * let in behind them. */
	uint64_t few;
	uint32_t switches;       /* in both directions, for `xvmc ss` */
	struct conn_tx tx;
	struct conn_rx rx;
};

void xvmc_conn_init(struct conn_t *c, const struct xvmc_tcp_ops *tcp,
		    void *tcp_arg, struct xvmc_stats_page *stats);
/* The two halves of it, for memory that is one connection after the other: late
 * callers may still take a lock to find that it is another's now, so the locks
 * are made once (and again in a forked child), and stay. */
void xvmc_conn_init_locks(struct conn_t *c);
void xvmc_conn_restart(struct conn_t *c, const struct xvmc_tcp_ops *tcp,
		       void *tcp_arg, struct xvmc_stats_page *stats);
/* Both directions must be detached, or the process is in a forked child. */
void xvmc_conn_deinit(struct conn_t *c);

/* The invariants of both directions; the caller holds both locks. */
bool xvmc_conn_validate(const struct conn_t *c);

/* For lib/conn itself: notes what the caller has to see to. */
static inline void xvmc_conn_want(struct conn_t *c, uint32_t events)
{
	atomic_fetch_or(&c->events, events);
}

/* ---- set-up and tear-down (setup.c) [S 3] [S 4] ---- */

/* Step 3: makes and grants the pages of our direction and an event channel,
 * and builds the message of step 4. Service thread, tx.lock held. */
int xvmc_conn_offer(struct conn_t *c, struct xvmc_hv *hv, unsigned int order,
		    struct xvmc_setup_offer *ret_offer);

/* Step 5: checks the peer's offer, binds and maps. rx.lock held.
 * -EPROTO: it makes no sense; -ENOENT: it is from another domain than the
 * one we were matched with (which may have migrated since); -EBUSY: the old ring is still in use. */
int xvmc_conn_accept_offer(struct conn_t *c, struct xvmc_hv *hv,
			   const struct xvmc_setup_offer *offer, size_t len);

/* Step 5 at the sender: has the peer mapped, as the R-page says? True once.
 * tx.lock held. */
bool xvmc_conn_ready(struct conn_t *c);

/* Bytes the ring of a direction has room for; 0: there is none. Its lock held. */
static inline uint32_t xvmc_conn_tx_size(const struct conn_t *c)
{
	return c->tx.attached ? (uint32_t)c->tx.s.size : 0;
}

static inline uint32_t xvmc_conn_rx_size(const struct conn_t *c)
{
	return c->rx.attached ? (uint32_t)c->rx.r.size : 0;
}

/* True when the direction is on TCP and nothing of its ring is needed any
 * more, so that it may be detached. Lock of the direction held. */
bool xvmc_conn_tx_idle(const struct conn_t *c);
bool xvmc_conn_rx_idle(const struct conn_t *c);

/* Releases pages, mappings, channels. Service thread, lock held; idle, or
 * the connection is being thrown away. */
void xvmc_conn_tx_detach(struct conn_t *c);
void xvmc_conn_rx_detach(struct conn_t *c);

/*
 * The guest that the rings led to has left this host, and does not say over TCP
 * that it has left the rings: its pages are let go, and ours are taken back. What
 * it had put into its ring can still be read, what it has not read of ours can
 * still be said again, from copies in their place. The ways stay as they are: a
 * record that comes after all is right. Service thread, both locks held. 0;
 * -EBUSY: our direction has not left its ring; -ENOMEM and the like: later.
 */
int xvmc_conn_let_go(struct conn_t *c);

/* ---- sending (switch-tx.c), tx.lock held ---- */

/*
 * Writes application bytes by whichever way is current.
 * Returns a count >= 1; -EAGAIN: no room (ring or TCP); -EBUSY: a switch is
 * being agreed, look again within a millisecond; or another -errno.
 */
ssize_t xvmc_conn_write(struct conn_t *c, struct xvmc_iov *it, int flags);

/*
 * The same in the usual case, into the ring: n bytes, all of them, or none (0)
 * where anything has to be seen to first, or there is no room.
 */
size_t xvmc_conn_write_now(struct conn_t *c, const void *buf, size_t n);

/* After this -errno a TCP socket is closed in both directions. */
bool xvmc_conn_ends(int err);

/* TCP has failed, of which a reader or a writer may have heard. */
static inline bool xvmc_conn_failed(const struct conn_t *c)
{
	return (c->rx.err && !c->rx.cut) || xvmc_conn_ends(c->tx.err);
}

/* The connection's error, once: -errno, or 0 if there is none or the program has
 * heard of it. known: one that it has just been told by the kernel, or 0. */
int xvmc_conn_tell(struct conn_t *c, int known);
/* Keeps an error for whoever asks first, unless the kernel has told one. */
void xvmc_conn_keep_error(struct conn_t *c, int err);

/* A write of no bytes, which hears of a broken connection all the same. */
int xvmc_conn_write_nothing(struct conn_t *c);

/* TCP -> RING, first half: announces our position. 0; -EAGAIN: not now;
 * -EPIPE: never, TCP is shut down for writing or the reader has let go of the
 * ring; -EBADMSG: count mismatch. */
int xvmc_conn_tx_announce(struct conn_t *c, uint64_t now_ns);

/* Second half: 0: entered the ring; -EBUSY: no answer yet;
 * -ECANCELED: given up (time is over, or give_up). */
int xvmc_conn_tx_settle(struct conn_t *c, uint64_t now_ns, bool give_up);

/* When an announcement that is out is given up, in os_now_ns's time. */
uint64_t xvmc_conn_tx_deadline(const struct conn_t *c);

/*
 * RING -> TCP, for whatever reason: record and replay are put before all that
 * follows. both: ask the peer to do the same. Never fails, never blocks.
 * Where the receiver is gone and has read everything there is no record: it
 * would meet a closed socket, and the reset would take with it what the peer
 * still had on its way to us. Where it has not read everything, the reset is
 * what TCP would have done.
 */
void xvmc_conn_tx_leave(struct conn_t *c, enum xvmc_reason why, bool both);

/* The peer has closed or died: nobody will ever read the ring. Goes to TCP
 * without a record, so that the kernel answers the next write as it always
 * does, and a peer's end of stream stays one. */
void xvmc_conn_tx_abandon(struct conn_t *c, enum xvmc_reason why);

/* The receiver of our ring is known to read it no more: its process has ended,
 * or its program has closed the connection. tx.lock held. */
bool xvmc_conn_reader_gone(const struct conn_t *c);

/* Pushes pending records and replay into TCP. 0: all out; -EAGAIN. */
int xvmc_conn_tx_flush(struct conn_t *c);

static inline bool xvmc_conn_tx_pending(const struct conn_t *c)
{
	return c->tx.head_off < c->tx.head_len ||
	       c->tx.replay_pos < c->tx.replay_end || c->tx.fin_owed;
}

/* ---- receiving (rx-*.c, switch-rx.c), rx.lock held ---- */

/*
 * Reads application bytes by whichever way is current. Returns a count >= 1,
 * 0 at end of stream, -EAGAIN, or another -errno.
 */
ssize_t xvmc_conn_read(struct conn_t *c, struct xvmc_iov *it, bool peek);

/* The same in the usual case, from the ring: at least one byte and at most n; 0
 * where there is none, or anything has to be seen to first. */
size_t xvmc_conn_read_now(struct conn_t *c, void *buf, size_t n);

/* The program has closed: says in the R-page that nobody reads the ring any
 * more, so that the peer writes no record to a closed socket. */
void xvmc_conn_rx_stop(struct conn_t *c);

/* A record is due behind bytes that the application has not read: takes those
 * off TCP, so that the record can be read. */
void xvmc_conn_rx_bring(struct conn_t *c);

/* Reads whatever records TCP holds and pulls replayed bytes. Sets events. */
void xvmc_conn_rx_pump(struct conn_t *c);

/*
 * A reader from before the switch came back from the kernel with n bytes in
 * vec: those past the expected record go back into the stream.
 * Returns how many are the application's, or -EAGAIN where none are.
 */
ssize_t xvmc_conn_rx_took(struct conn_t *c, const struct iovec *vec, size_t cnt,
			  size_t n);

/*
 * The same for a reader who has not come back, but may have taken bytes by now.
 * alone: nobody else is inside the kernel. 1: it has, and *ret_keep of them are
 * the application's; 0: it has not; -EAGAIN: that cannot be known. rx.lock held.
 */
int xvmc_conn_rx_settle(struct conn_t *c, const struct iovec *vec, size_t cnt,
			bool alone, size_t *ret_keep);

/*
 * And one that never will: its thread was torn out of the recv, by
 * pthread_cancel or a jump. The application's bytes are lost with it, as on TCP;
 * ours are kept. Where it cannot be known what was taken, and a record is
 * expected, the stream ends with ECONNRESET. rx.lock held.
 */
void xvmc_conn_rx_torn(struct conn_t *c, const struct iovec *vec, size_t cnt, bool alone);

/*
 * Looks for an announcement and acknowledges it if it can be followed; then
 * notifies the peer. sent: how far our own direction is, or UINT64_MAX where
 * that is not known. sleepers: threads that are inside the kernel on the TCP
 * socket from before the connection was managed; with two or more the record
 * might not wake them all. Returns 1: acknowledged; 0: nothing to do, or not
 * now; -EBADMSG: the two ends count differently, do not try again.
 */
int xvmc_conn_rx_ack(struct conn_t *c, uint64_t sent, unsigned int sleepers);

/* In ring mode: has the stream ended, so that a read need not wait? False
 * while TCP has ended but nobody has said how the sender did. */
bool xvmc_conn_rx_ended(struct conn_t *c);

/* Bytes the application could read now without touching the TCP socket's
 * queue; >0, 0, or -errno (then a read reports it). What it says is kept: a
 * read that follows finds at least one byte, wherever the stream goes. */
ssize_t xvmc_conn_rx_ready(struct conn_t *c);
/* Path RING: the same, not less than what the ring holds at this moment, and
 * only that. */
ssize_t xvmc_conn_rx_in_ring(struct conn_t *c);
/* How many bytes could be read now, wherever they are. */
size_t xvmc_conn_rx_count(struct conn_t *c);
/* Taken early for the application: the connection cannot do without us. */
static inline bool xvmc_conn_rx_early(const struct conn_t *c)
{
	return c->rx.in.len || c->rx.front.len;
}

/* Does the sender say that it has left the ring? Then the record is in TCP, or
 * its end: who looks there need not wait until the service thread has. */
static inline bool xvmc_conn_rx_left(const struct conn_t *c)
{
	const struct conn_rx *rx = &c->rx;

	return rx->path == XVMC_PATH_RING && rx->attached && !rx->gone &&
	       ring_see_left(rx->r.s) > rx->epoch;
}

/* If so, looks at TCP. True: the stream goes on there, or has ended. */
bool xvmc_conn_rx_follow(struct conn_t *c);

/*
 * Arms the bell of a direction for want bytes (of data, of room) and looks
 * again; lock of the direction held, path RING, attached. True: no need to
 * sleep. What rang before is taken first, so that the next ring can come.
 */
static inline bool xvmc_conn_rx_arm(struct conn_t *c, size_t want)
{
	xvmc_hv_chan_ack(c->hv, &c->rx.chan);
	return xvmc_recver_arm(&c->rx.r, want);
}

static inline bool xvmc_conn_tx_arm(struct conn_t *c, size_t want)
{
	xvmc_hv_chan_ack(c->hv, &c->tx.chan);
	/* A record that waits for room in TCP goes first, however much there
	 * is in the ring; XVMC_EV_TX_CHANGED says when it is out. */
	if (xvmc_conn_tx_pending(c))
		return false;
	return xvmc_sender_arm(&c->tx.s, want);
}

/* ---- records (record.c) ---- */

void xvmc_record_make(struct xvmc_record *rec, const uint8_t nonce[XVMC_NONCE_LEN],
		      uint32_t epoch, enum xvmc_path target, unsigned int cause,
		      unsigned int flags, uint64_t pos, uint64_t len);
/* True if rec is one that a correct peer with this nonce may have written. */
bool xvmc_record_check(const struct xvmc_record *rec,
		       const uint8_t nonce[XVMC_NONCE_LEN]);

#endif
