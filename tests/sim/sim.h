/* SPDX-License-Identifier: MIT */
/*
 * The simulation of set-up, switch and migration: two guests, some TCP
 * connections between them, and for each end an application (app.c) and what
 * stands for the service thread (service.c). The conn_t under test is the
 * real one; everything around it is played here, one step of one actor at a
 * time, in an order drawn from the seed. No call of lib/conn blocks, so one
 * thread is enough; migrations also strike inside calls (inject.c).
 */
#ifndef SIM_H
#define SIM_H

#include <setjmp.h>

#include "conn/conn.h"
#include "sim-hv.h"
#include "sim-rng.h"
#include "sim-tcp.h"

#define SIM_CONNS 2u
#define SIM_INBOX 64u
#define SIM_FAULTS 12u
#define SIM_TRACE 400u
#define SIM_ARENA (16u * XVMC_PAGE_SIZE) /* an application's buffer */

enum sim_cover {
#define SIM_COVER(name, text) SIM_C_##name,
#include "cover.def"
#undef SIM_COVER
	SIM_C_COUNT
};

/* ---- what happens to a run ---- */

enum sim_fault_kind {
	SIM_F_MIGRATE,
	SIM_F_PREPARE, /* a prepared migration */
	SIM_F_CANCEL,  /* prepared, then given up */
	SIM_F_KILL,
	SIM_F_RELAY,
	SIM_F_DEMOTE,
	SIM_F_NO_MEMORY,
};

enum sim_place {
	SIM_AT_STEP,
	SIM_AT_TCP,    /* inside an operation of the TCP socket */
	SIM_AT_NOTIFY, /* inside a notification */
	SIM_AT_READ,   /* in the middle of the copy to a reader's buffer */
	SIM_AT_WRITE,  /* in the middle of the copy from a writer's buffer */
	SIM_AT_WORD,   /* before an access to a word that both guests see */
	SIM_PLACES
};

/* What an end of the guest must be in the middle of: else the interesting
 * moments, which are short, would hardly ever be hit. */
enum sim_moment {
	SIM_WHEN_ANY,
	SIM_WHEN_ASKED,   /* its announcement is open */
	SIM_WHEN_EXPECT,  /* it expects a record */
	SIM_WHEN_RING,    /* its ring holds bytes nobody has read */
	SIM_WHEN_READING, /* it could read from a ring */
	SIM_WHEN_HALF,    /* half of a record is in TCP */
	SIM_WHEN_REPLAY,  /* a replay waits for room */
	SIM_WHEN_SKIP,    /* it is in the middle of taking a replay */
	SIM_MOMENTS
};

struct sim_fault {
	enum sim_fault_kind kind;
	enum sim_place place;
	enum sim_moment when;
	unsigned int guest;
	uint64_t gap; /* steps since the last one */
};

/* The scenario, drawn from the seed before the first step. */
struct sim_plan {
	unsigned int nconns, order[2];
	size_t sndbuf, rcvbuf;
	unsigned int partial, lose, ack_old;
	bool no_counts, strict, hostile, write_first, untold, brief;
	bool eager;     /* announces though there is nothing left to send */
	bool late_shut; /* shuts down only when the peer closes, or later */
	bool slow;      /* what on_tcp sends waits long in its socket */
	bool unread;    /* both send little, and by their rings */
	/* 1 + a guest, or 0: sends nothing; never announces */
	unsigned int mute, on_tcp;
	unsigned int grants_max, ports_max;
	uint64_t announce_ns, stuck_ns, fail_at;
	unsigned int lazy; /* permille of reads after which the reader rests */
	unsigned int sleepers; /* permille */
	unsigned int drowsy; /* permille of times nobody but the reader looks at TCP */
	unsigned int interleave; /* permille of steps with another one inside */
	uint64_t write_at; /* nobody writes before this time */
	struct sim_fault fault[SIM_FAULTS];
	unsigned int nfaults;
};

/* ---- an end of a connection ---- */

enum sim_sleep {
	SIM_AWAKE,
	SIM_ON_TCP,
	SIM_ON_RING,
	SIM_ON_SWITCH, /* -EBUSY: about a millisecond */
	SIM_IN_KERNEL, /* reader: blocked in recv since before the rings */
	SIM_HOLDING,   /* reader: has returned with bytes nobody counted yet */
};

struct sim_app {
	uint64_t key, total, sent; /* what it writes */
	uint64_t rcvd;             /* what it was given and found right */
	uint64_t window;           /* may be ahead of what came back by so much */
	bool shuts_down;           /* or closes at once */
	bool wr_done, rd_done, closing;
	int wr_err, rd_err;
	enum sim_sleep rd, wr;
	uint64_t rd_bell, wr_bell, rd_changed, wr_changed; /* as seen */
	uint64_t rd_until, wr_until, full_since;
	size_t held;
	uint64_t wr_want; /* room it sleeps for */
};

struct sim_svc {
	uint64_t link;
	uint32_t gen; /* the relay's when we registered */
	bool registered;
	bool stale_tx, stale_rx, unlink, no_more;
	bool prepare, prepared;
	bool asked, offer_due;
	uint64_t ask_at, announce_at;
	unsigned int order_max, cancels;
	uint64_t tx_bell, rx_bell, bell_at;
	uint32_t events, incarnation, board_seen;
	uint64_t notice_at;
	/* closing: when it began, what was under way to us then, and how long
	 * the socket is kept at least */
	uint64_t stop_step, mark, close_at;
	bool marked;
};

struct sim_end {
	struct sim *sim;
	struct sim_end *peer;
	struct sim_sock *sock;
	unsigned int guest, number;
	bool killed, closed, evil;
	bool cut;       /* killed with a record or a replay on its way */
	uint64_t truth; /* killed: bytes it had accepted */
	uint64_t rx_changed, tx_changed; /* how often events said so */
	bool was_announced, was_ring, was_eof, ringed;
	uint64_t was_expect;
	struct sim_app app;
	struct sim_svc svc;
	struct conn_t c;
};

struct sim_conn {
	struct sim_tcp tcp;
	struct sim_end end[2];
	/* what the xvmcds know */
	bool reg[2];
	uint64_t told[2], link;
};

/* ---- between the guests: the two xvmcd as one ---- */

enum sim_msg_kind { SIM_M_MATCH, SIM_M_UNLINKED, SIM_M_RELAYED, SIM_M_PREPARE, SIM_M_FINISH };

/* What MATCH says in life of the other end; its number is none of the protocol's. */
#define SIM_SETUP_ASK 2u

struct sim_setup_ask {
	struct xvmc_setup_hdr hdr;
	uint32_t domid;
	uint32_t order_max;
};

struct sim_msg {
	enum sim_msg_kind kind;
	uint64_t link;
	uint32_t domid;
	size_t len;
	union {
		struct xvmc_setup_hdr hdr;
		struct sim_setup_ask ask;
		struct xvmc_setup_offer offer;
		struct xvmc_setup_word word;
		uint8_t raw[XVMC_SETUP_MAX];
	} body;
};

struct sim_inbox {
	struct sim_msg msg[SIM_INBOX];
	unsigned int head, n;
};

struct sim_relay {
	bool up;
	uint64_t up_at;
	uint32_t gen;
	uint64_t next_link;
	struct sim_inbox inbox[SIM_CONNS][2];
	/* the board: what the world knows of the guests by now */
	struct { uint32_t domid; unsigned int host; bool alive; uint64_t at; } board[2];
	uint32_t serial;
	/* a preparation under way */
	const struct sim_fault *prep;
	uint64_t prep_until;
};

/* What a lying peer holds (evil.c). */
struct sim_evil {
	struct xvmc_share share_r, share_sd;
	struct xvmc_map map_r;
	struct xvmc_chan tx_chan, rx_chan;
	struct sender_t tx;
	uint8_t nonce[XVMC_NONCE_LEN];
	bool shared, mapped;
	uint32_t epoch;
	unsigned int patience; /* steps until it goes */
};

/* ---- a run ---- */

struct sim_event {
	uint64_t step, now;
	const char *fmt;
	long arg[5];
};

struct sim {
	uint64_t seed, now, step;
	struct sim_rng rng;
	struct sim_plan plan;
	struct sim_hv hv;
	struct sim_relay relay;
	struct sim_conn conn[SIM_CONNS];
	struct sim_evil evil;
	struct xvmc_stats_page stats[2];
	unsigned int nfaults;   /* carried out so far */
	const struct sim_fault *armed; /* waits for its place */
	const struct sim_fault *late;  /* to be carried out after this step */
	uint64_t armed_step, wait_step, last_step;
	unsigned int word_skip; /* accesses until something comes in between ... */
	bool word_answer;       /* ... first of all the peer's acknowledgement */
	struct sim_end *actor;  /* whose step it is */
	bool nested;            /* a step inside another guest's step */
	sigjmp_buf killed;      /* where a process goes that ends inside a call */
	uint8_t *arena, *guard; /* guard: the first byte not to be touched */
	bool tracing;
	bool excused; /* out of memory at a place where that means a reset */
	unsigned int no_memory; /* this malloc fails, counted down */
	uint64_t cover[SIM_C_COUNT];
	struct sim_event trace[SIM_TRACE];
	uint64_t ntrace;
};

#define SIM_ENDS(s) (2 * (s)->plan.nconns)

static inline struct sim_end *sim_end(struct sim *s, unsigned int i)
{
	return &s->conn[i / 2].end[i % 2];
}

static inline void sim_count(struct sim *s, enum sim_cover what)
{
	s->cover[what]++;
}

static inline struct sim_dom *sim_dom(const struct sim_end *e)
{
	return &e->sim->hv.dom[e->guest];
}

/* ---- report.c ---- */

void sim_trace(struct sim *s, const char *fmt, long a, long b, long c, long d, long e);
_Noreturn void sim_fail(struct sim *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- check.c: after each call on an end ---- */

void sim_check_end(struct sim_end *e, const char *what);
/* The reader was told: end of stream, or an error. Is it true? */
void sim_check_eof(struct sim_end *e);
void sim_check_error(struct sim_end *e, int err, bool reading);
/* When all is over. */
void sim_check_over(struct sim *s);
void sim_fill(uint64_t key, uint64_t pos, uint8_t *buf, size_t n);
void sim_compare(struct sim_end *e, const uint8_t *buf, size_t n, const char *what);

/* ---- app.c ---- */

/* One step of the reader or the writer; false: it sleeps or is done. */
bool sim_reader_step(struct sim_end *e);
bool sim_writer_step(struct sim_end *e);
/* When a sleeper wants to wake by itself; UINT64_MAX: never. */
uint64_t sim_app_timer(const struct sim_end *e);

/* ---- service.c, setup.c ---- */

bool sim_service_step(struct sim_end *e);
/* It looks for an announcement now, whether it has heard of one or not. */
void sim_service_answer(struct sim_end *e);
uint64_t sim_service_timer(const struct sim_end *e);
void sim_service_drop(struct sim_end *e, enum xvmc_reason why, bool both);
bool sim_setup_ask(struct sim_end *e);
bool sim_setup_offer(struct sim_end *e);
bool sim_setup_inbox(struct sim_end *e);
void sim_setup_leave(struct sim_end *e);

/* ---- relay.c ---- */

void sim_relay_start(struct sim *s);
void sim_relay_register(struct sim_end *e);
/* The link has ended, or the end altogether: the other end hears of it. */
void sim_relay_unlink(struct sim_end *e);
void sim_relay_unregister(struct sim_end *e);
bool sim_relay_send(struct sim_end *e, const void *body, size_t len);
bool sim_relay_take(struct sim_end *e, struct sim_msg *ret_msg);
void sim_relay_kill(struct sim *s);
void sim_relay_prepare(struct sim *s, const struct sim_fault *f);
bool sim_relay_coresident(const struct sim_end *e);
bool sim_relay_step(struct sim *s);
uint64_t sim_relay_timer(const struct sim *s);

/* ---- inject.c: faults ---- */

int sim_inject_open(struct sim *s); /* once per process */
void sim_inject_start(struct sim *s);
void sim_inject_do(struct sim *s, const struct sim_fault *f);
/* Between steps: what is due, what waited for a place in vain. */
void sim_inject_due(struct sim *s);
/* Perhaps somebody else's step comes inside the next one. */
void sim_inject_weave(struct sim *s);
bool sim_inject_over(const struct sim *s);
/* May a guest still migrate in this run? */
bool sim_inject_moves(const struct sim *s);
/* The reader's buffer, or the writer's filled with the next n bytes. Where a
 * fault is due in the middle of a copy, touching the buffer's middle brings it
 * about. sim_inject_unguard afterwards. */
uint8_t *sim_inject_buffer(struct sim_end *e, enum sim_place place, size_t n);
void sim_inject_unguard(struct sim *s);
/* Where a thread inside the kernel has its bytes. */
uint8_t *sim_inject_held(struct sim_end *e);

/* ---- evil.c ---- */

bool sim_evil_step(struct sim_end *e);

/* ---- run.c ---- */

/* One step of one actor, chosen by chance, of guest only (-1: of any).
 * False: nobody could do anything. */
bool sim_step_any(struct sim *s, int guest);
void sim_run(struct sim *s, uint64_t seed, uint64_t fail_at);

/* ---- plan.c ---- */

void sim_plan_draw(struct sim *s);

/* ---- os.c: time and chance as lib/ sees them ---- */

void sim_os_set(struct sim *s);

#endif
