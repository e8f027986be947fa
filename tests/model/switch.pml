/* SPDX-License-Identifier: MIT */
/*
 * The switch, one direction of one connection: bytes move between the TCP
 * stream and the ring, back and forth, while either guest may be migrated at
 * any instruction. It answers: is every byte delivered once, in order, and
 * does the last one always arrive? How a stream ends is close.pml; who wakes
 * whom is wake.pml.
 *
 * Byte number i of the stream carries the value i, so a loss, a repeat or a
 * swap shows at once. Nothing here loops without using up a budget: each run
 * is finite, and `finish` needs no fairness.
 *
 * Names in [] are the functions in lib/conn which do what the atom does. An
 * atomic block is one access to shared memory, one system call, or private
 * work under a lock; whatever must survive an interruption is several.
 *
 * Each #ifdef or #ifndef with a comment behind it is a mutant: the comment
 * says what it breaks, and run-models.sh sees to it that spin notices. SHOW_
 * is no mutant; it claims that something worth checking never happens.
 */
#ifndef BYTES
#define BYTES 3 /* length of the stream */
#endif
#ifndef MOVES
#define MOVES 1 /* guests migrated */
#endif
#ifndef DEMOTIONS
#define DEMOTIONS 1 /* returns to TCP for other causes than migration */
#endif
#ifndef ANNOUNCEMENTS
#define ANNOUNCEMENTS 3
#endif
#define SETUPS 2 /* sets of pages, each with its own nonce */
#define SLOTS 2  /* ring size, bytes */
#define WIRE 4   /* what TCP holds: socket buffers and network */

#define NOWHERE 255 /* no position; also what a hole reads as: 0xff */
#define HOLE 254    /* a mapping with nothing behind it */

mtype = {
	APP, TO_RING, TO_TCP,              /* on the wire: a byte, a record */
	TCP, RING,                         /* where a direction travels */
	QUIET, ANNOUNCED, ACKED, CANCELLED /* the announcement word */
};

/*
 * The TCP stream: kind, position, length, set-up (stands for the nonce),
 * epoch. A record is one cell; close.pml cuts records in half.
 */
chan wire = [WIRE] of { mtype, byte, byte, byte, byte };

/*
 * What a set-up shares. ann and epoch are one 64-bit word. page[k] belongs
 * to the sender. When the sender's guest migrates, the sender takes page[k]
 * with it, and what the receiver still maps, the zombie's memory, becomes
 * page[SETUPS + k].
 */
typedef pages {
	byte prod;
	byte cons;
	byte slot[SLOTS];
	byte ann_pos;
	mtype ann = QUIET;
	byte epoch;
};
pages page[4]; /* 2 * SETUPS */

/* Where the receiver's mapping of set-up k leads: k, SETUPS + k, HOLE. */
byte view[SETUPS];
bool owner_left[SETUPS]; /* for assertions only: the sender's guest moved */

byte offered; /* set-ups made; the newest is offered - 1 */
byte told;    /* set-ups the sender knows to be gone */
bool demote;  /* somebody asked the sender to return to TCP */

#define CUR (offered - 1)
#define MINE page[CUR]
#define SEEN(k) page[view[k]]
#define PROD_SEEN(k) (view[k] == HOLE -> NOWHERE : SEEN(k).prod)

/* The sender's private truth; one thread at a time, under the tx lock. */
mtype tx_path = TCP;
byte sent;
byte known;  /* the peer has consumed this much, checked */
bool asking; /* an announcement of ours is open */
byte epoch;  /* of the last announcement */

/* The receiver's private truth. */
mtype rx_path = TCP;
byte rcvd;             /* position up to which bytes were taken in */
byte given;            /* position up to which the application has them */
byte expect = NOWHERE; /* here a record may come */
byte expect_setup, expect_epoch; /* of expect, then of the ring in use */
byte answered;         /* epoch of the last announcement looked at */
byte discard;          /* replayed bytes to discard */
byte replay;           /* replayed bytes still on the wire */
bool rx_dead;          /* the nonce was wrong: this ring is gone */
bool rx_lock;
chan residual = [4] of { byte }; /* replayed bytes the app has not asked for */

/* ------------------------------------------------------------ sender -- */

/* The cons word is a hint: it may be old, so it never moves known back. */
inline look_at_cons()
{
	if
#ifdef HINT_UNCHECKED /* takes cons as it stands, however old it may be */
	:: known = MINE.cons
#else
	:: MINE.cons > known -> assert(MINE.cons <= sent); known = MINE.cons
	:: else
#endif
	fi
}

#ifdef NO_ROOM_CHECK /* reclaims ring space before cons passed it */
#define ROOM true
#else
#define ROOM (sent - known < SLOTS || sent - MINE.cons < SLOTS)
#endif

#ifdef WRITE_WHILE_ASKING /* goes on writing to TCP with O announced */
#define MAY_WRITE true
#else
#define MAY_WRITE !asking
#endif

active proctype sender()
{
	byte i;

end:	do
	/* the application writes, and this direction is on TCP */
	:: atomic { tx_path == TCP && MAY_WRITE && sent < BYTES && nfull(wire) ->
		wire!APP(sent, 0, 0, 0);
		sent++
	   }

	/*
	 * [tx_announce] position first, then the word that makes it valid.
	 * The owner writes its own pages, wherever its guest runs by now.
	 */
	:: atomic { tx_path == TCP && !asking && offered > told &&
		    epoch < ANNOUNCEMENTS ->
		epoch++;
		asking = true;
#ifdef WORD_BEFORE_POSITION /* publishes the word, then the position */
		MINE.ann = ANNOUNCED;
		MINE.epoch = epoch
	   }
	   MINE.ann_pos = sent;
#else
		MINE.ann_pos = sent;
#ifdef PROD_AT_ANNOUNCE /* moves prod up to O before the switch is agreed */
		MINE.prod = sent
#endif
	   }
	   atomic {
		MINE.ann = ANNOUNCED;
		MINE.epoch = epoch
	   }
#endif

#ifndef NO_TIMEOUT /* waits for the answer as long as it takes */
	/* [tx_cancel] no answer in time: one compare-and-swap decides */
	:: atomic { asking && MINE.ann == ANNOUNCED ->
#ifdef NO_CANCEL_CAS /* tests, then stores over whatever came meanwhile */
		skip
	   }
	   atomic {
#endif
		MINE.ann = CANCELLED;
		asking = false
	   }
#endif

	/* [tx_enter_ring] acknowledged: the record, then the ring */
	:: atomic { asking && MINE.ann == ACKED && nfull(wire) ->
		wire!TO_RING(MINE.ann_pos, 0, CUR, epoch);
		asking = false;
		known = MINE.ann_pos;
		tx_path = RING
	   }

	/* the application writes, and this direction is on the ring */
	:: atomic { tx_path == RING && sent < BYTES && ROOM ->
		look_at_cons();
#ifdef PUBLISH_EARLY /* prod before the byte is in its slot */
		MINE.prod = sent + 1
	   }
	   atomic {
		MINE.slot[sent % SLOTS] = sent;
		sent++
	   }
#else
		MINE.slot[sent % SLOTS] = sent
	   }
	   atomic {
		sent++;
		MINE.prod = sent
	   }
#endif

	/*
	 * [tx_leave_ring] record, the bytes the peer may not have, then on
	 * over TCP. The replay is read from the sender's own pages.
	 */
	:: atomic { tx_path == RING && (demote || CUR < told) && nfull(wire) ->
		demote = false;
		look_at_cons();
#ifdef REPLAY_FROM_SENT /* claims that all that was sent was consumed */
		known = sent;
#endif
		wire!TO_TCP(known, sent - known, CUR, epoch);
		i = known
	   }
	   do
	   :: atomic { i < sent && nfull(wire) ->
		wire!APP(MINE.slot[i % SLOTS], 0, 0, 0);
		i++
	      }
	   :: atomic { i == sent ->
		tx_path = TCP;
		i = 0;
		break
	      }
	   od
	od
}

/* ---------------------------------------------------------- receiver -- */

inline give(v)
{
	assert(v == given);
	given++
}

/*
 * [rx_pump] what to do with the cell (kind, pos, length, k, ep) just taken
 * off the wire: private work under the rx lock. First its half for plain TCP.
 *
 * At the expected position the content decides. An app byte there means that
 * the acknowledgement never reached the sender, and that takes a migration of
 * its guest: the compare-and-swap on both sides sees to it.
 */
inline rx_pump_tcp()
{
	if
#ifdef NO_CONTENT_COMPARE /* whatever comes at O is the record */
	:: expect == rcvd ->
#else
	:: expect == rcvd && kind == TO_RING ->
		assert(k == expect_setup && ep == expect_epoch && pos == rcvd);
#endif
		rx_path = RING;
		expect = NOWHERE
	:: else ->
		if
		:: expect <= rcvd ->
			assert(owner_left[expect_setup]);
			forget_expect()
		:: else
		fi;
		assert(kind == APP && pos == rcvd);
		rcvd++;
		give(pos)
	fi;
	clear_cell()
}

/* And its half for ring mode and for the bytes that follow TO_TCP. */
inline rx_pump_replay()
{
	if
	:: rx_path == RING ->
		/* in ring mode TCP carries nothing but the way back */
		assert(kind == TO_TCP && k == expect_setup && ep == expect_epoch);
		assert(pos <= rcvd && rcvd <= pos + length);
		rx_path = TCP;
		rx_dead = false;
		replay = length;
#ifndef NO_SKIP /* delivers the whole replay, had or not */
		discard = rcvd - pos;
#endif
		forget_expect()
	:: else ->
		assert(kind == APP);
		replay--;
		if
		:: discard > 0 ->
			assert(pos < rcvd);
			discard--
		:: else ->
			/* a ring's worth of buffer is all we promised */
			assert(len(residual) < SLOTS);
			assert(pos == rcvd);
			residual!pos;
			rcvd++
		fi
	fi;
	clear_cell()
}

inline forget_expect()
{
	expect = NOWHERE;
	expect_setup = 0;
	expect_epoch = 0
}

inline clear_cell()
{
	kind = 0;
	pos = 0;
	length = 0;
	k = 0;
	ep = 0
}

/* A thread of the application that reads, and goes on reading. */
active proctype reader()
{
	mtype kind;
	byte pos, length, k, ep; /* a cell */
	byte p;               /* prod, read once */
	byte v;

end:	do
	/*
	 * On TCP, nothing in the way: recv() without the lock, as long as
	 * the application likes to block in it. Then one look at expect.
	 */
	:: atomic { rx_path == TCP && replay == 0 && empty(residual) ->
end_recv:	wire?kind(pos, length, k, ep);
		assert(rx_path == TCP && replay == 0 && empty(residual))
	   }
	   if
	   :: atomic { expect == NOWHERE ->
		assert(kind == APP && pos == rcvd) }
	      atomic {
		rcvd++;
		give(pos);
		kind = 0;
		pos = 0
	      }
	   :: atomic { expect != NOWHERE }
	      atomic {
		!rx_lock;
		rx_pump_tcp()
	      }
	   fi

	/* bytes which the service thread has put by come first */
	:: atomic { residual?v ->
		give(v);
		v = 0
	   }

	/*
	 * [rx_ring_read] prod once, range, copy, nonce, and only then is it
	 * ours. prod behind rcvd is no lie: it is the value of an earlier
	 * use of the ring, and means empty.
	 */
	:: atomic { rx_path == RING && !rx_dead &&
		    PROD_SEEN(expect_setup) > rcvd && !rx_lock ->
#ifndef READ_UNLOCKED /* a record may be handled between copy and commit */
		rx_lock = true;
#endif
		assert(empty(residual));
		p = PROD_SEEN(expect_setup);
	   }
	   atomic {
#ifdef CONS_EARLY /* gives the slot back before it was copied out */
		if
		:: view[expect_setup] != HOLE -> SEEN(expect_setup).cons = rcvd + 1
		:: else
		fi
	   }
	   atomic {
#endif
		if
		:: view[expect_setup] == HOLE -> v = NOWHERE
		:: else -> v = SEEN(expect_setup).slot[rcvd % SLOTS]
		fi
	   }
	   if
#ifdef NO_NONCE_RECHECK /* believes the copy */
	   :: atomic { true ->
#else
	   :: atomic { view[expect_setup] == HOLE ->
		rx_dead = true;
		p = 0;
		v = 0
	      }
	   :: atomic { view[expect_setup] != HOLE ->
		assert(p <= rcvd + SLOTS);
#endif
#ifdef SHOW_RING_AGAIN /* a ring of a later set-up serves, after a migration */
		assert(!(expect_setup == 1 && owner_left[0]));
#endif
#ifdef SHOW_WRAP /* a slot of the ring is used a second time */
		assert(!(rcvd == SLOTS && epoch == 1 && MINE.ann_pos == 0));
#endif
		rcvd++;
		p = 0;
		give(v);
		v = 0
	      }
#ifndef CONS_EARLY
	      /* a word written into a hole is gone; into a zombie, unread */
	      atomic {
		if
		:: view[expect_setup] != HOLE -> SEEN(expect_setup).cons = rcvd
		:: else
		fi
	      }
#endif
	   fi;
#ifndef READ_UNLOCKED
	   rx_lock = false
#else
	   skip
#endif
	od
}

#ifdef NO_TCP_MODE_CHECK /* acknowledges while still in ring mode */
#define ACK_PATH true
#else
#define ACK_PATH rx_path == TCP
#endif
#ifdef NO_EXPECT_CHECK /* acknowledges with an earlier record still to come */
#define ACK_EXPECT true
#else
#define ACK_EXPECT (expect == NOWHERE || expect < rcvd)
#endif
#define WORD_SEEN(k) (view[k] == HOLE -> QUIET : SEEN(k).ann)

inline set_expect()
{
	expect = pos;
	expect_setup = k;
	expect_epoch = ep
}

#ifdef ACK_NO_EPOCH /* compares the state but not the epoch */
#define ACK_MATCHES true
#else
#define ACK_MATCHES SEEN(k).epoch == ep
#endif
#ifdef ACK_BY_STORE /* acknowledges without looking what the word is now */
#define ACK_UNCHANGED true
#else
#define ACK_UNCHANGED (SEEN(k).ann == ANNOUNCED && ACK_MATCHES)
#endif

/* The receiver's service thread. */
active proctype service()
{
	mtype kind;
	byte pos, length, k, ep;

end:	do
	/*
	 * [rx_ack] the word, the position, expect, then compare-and-swap;
	 * each announcement is answered once.
	 */
	:: atomic { offered > 0 && !rx_lock && ACK_PATH && ACK_EXPECT &&
		    WORD_SEEN(CUR) == ANNOUNCED &&
		    SEEN(CUR).epoch != answered ->
		rx_lock = true;
		k = CUR;
		ep = SEEN(k).epoch;
		answered = ep
	   }
	   atomic {
		pos = (view[k] == HOLE -> NOWHERE : SEEN(k).ann_pos)
	   }
	   if
	   :: atomic { pos == NOWHERE || pos < rcvd ->
		/* a hole, or bytes beyond O were read: long decided */
		skip
	      }
	   :: atomic { pos != NOWHERE && pos >= rcvd ->
#ifndef ACK_BEFORE_EXPECT /* lets the record come before it is expected */
		set_expect()
#endif
	      }
	      atomic {
		if
		:: view[k] != HOLE && ACK_UNCHANGED -> SEEN(k).ann = ACKED
#ifdef ACK_BEFORE_EXPECT
			; goto late
#endif
		:: else -> forget_expect()
		fi
	      }
#ifdef ACK_BEFORE_EXPECT
	      goto out;
late:	      atomic { set_expect() }
out:	      skip
#endif
	   fi;
	   atomic {
		rx_lock = false;
		pos = 0;
		k = 0;
		ep = 0
	   }

#ifdef PUMP_FOR_READER /* takes the record to RING off TCP for the reader */
	:: atomic { !rx_lock && rx_path == TCP && replay == 0 &&
		    expect == rcvd && empty(residual) && nempty(wire) ->
		wire?kind(pos, length, k, ep);
		rx_pump_tcp()
	   }
#endif
	/*
	 * Records in ring mode and what is replayed: pulled off eagerly. Not
	 * in plain TCP: there the reader may sit in recv(), and only a cell
	 * that it takes itself brings it out.
	 */
	:: atomic { !rx_lock && (rx_path == RING || replay > 0) && nempty(wire) ->
		wire?kind(pos, length, k, ep);
		rx_pump_replay()
	   }
	od
}

/* ------------------------------------------------------- the world -- */

/*
 * The sender's guest goes. What it wrote itself is exact in its new memory.
 * What the receiver wrote may be older than the truth, never newer: cons,
 * and an acknowledgement that nobody will ever see.
 */
inline move_sender()
{
	k = 0;
	do
	:: k < offered ->
		owner_left[k] = true;
		if
		:: view[k] == k ->
			page[SETUPS + k].prod = page[k].prod;
			page[SETUPS + k].slot[0] = page[k].slot[0];
			page[SETUPS + k].slot[1] = page[k].slot[1];
			page[SETUPS + k].ann_pos = page[k].ann_pos;
			page[SETUPS + k].ann = page[k].ann;
			page[SETUPS + k].epoch = page[k].epoch;
			view[k] = SETUPS + k
		:: else
		fi;
		do
		:: page[k].cons > 0 -> page[k].cons--
		:: break
		od;
		if
		:: page[k].ann == ACKED -> page[k].ann = ANNOUNCED
		:: true
		fi;
		k++
	:: else -> break
	od
}

/* The receiver's guest goes: from one instruction to the next, holes. */
inline move_receiver()
{
	k = 0;
	do
	:: k < offered -> view[k] = HOLE; k++
	:: else -> break
	od
}

active proctype world()
{
	byte k, moves, demotions;

	atomic {
		do
		:: k < SETUPS -> view[k] = k; k++
		:: else -> break
		od;
		k = 0
	}
	do
	/* a (further) set-up is complete: both ends hold new pages */
	:: atomic { offered < SETUPS && tx_path == TCP && !asking ->
		offered++
	   }
	:: atomic { demotions < DEMOTIONS && tx_path == RING ->
		demotions++;
		demote = true
	   }
	/* a migration; the sender hears of it later, but hear it will */
	:: atomic { moves < MOVES && offered > told ->
		moves++;
		if
		:: move_sender()
		:: move_receiver()
		fi
	   }
#ifdef NEVER_TOLD /* no news of the migration reaches the sender */
	   break
#else
	   told = k
#endif
	:: break
	od
}

ltl finish { <> (given == BYTES) }
