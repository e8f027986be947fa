/* SPDX-License-Identifier: MIT */
/*
 * How a stream ends: close() while another thread is in the middle of a
 * blocking write, or the sending process killed at any instruction; with
 * either guest migrated at any instruction before or after. It answers: is
 * what the receiver reports true? EOF means that it delivered every byte the
 * sender published; RESET means that the sender was killed and that the
 * receiver's mapping no longer led to the sender's pages. There is no third
 * outcome, and one of the two always comes.
 *
 * The direction begins on TCP, with a switch to the ring at position ENTER
 * acknowledged. How that comes about, and coming back a second time, is
 * switch.pml. Conventions are those of switch.pml; a record is two cells
 * here, so that a kill can leave half of one on the wire.
 */
#ifndef BYTES
#define BYTES 4
#endif
#define ENTER 1 /* the announced position */
#define SLOTS 2
#define WIRE 3

#define NOWHERE 255 /* no position; also what a hole reads as */

mtype = {
	APP,
	TO_RING_1, TO_RING_2, /* the two halves of a record */
	TO_TCP_1, TO_TCP_2,
	TCP, RING,            /* paths */
	PENDING, EOF, RESET   /* what the application is told */
};

chan wire = [WIRE] of { mtype, byte, byte }; /* kind, position, length */
bool fin; /* the kernel's FIN follows what is on the wire */

/*
 * page[0] is the sender's; page[1] is what the receiver still maps when the
 * sender's guest has left. died: the proof that the process which owned
 * these very pages has ended. Without it a zombie's memory looks alive, its
 * nonce is right, and its prod is short by what was published since.
 */
typedef pages {
	byte prod;
	byte cons;
	byte slot[SLOTS];
	bool died;
};
pages page[2];

#define LIVE 0
#define ZOMBIE 1
#define HOLE 2
byte view = LIVE; /* where the receiver's mapping leads */
#define SEEN page[view]
#define PROD_SEEN (view == HOLE -> NOWHERE : SEEN.prod)

bool told;   /* the sender knows of the migration */
bool killed;

/* The sender's private truth, under the tx lock. */
mtype tx_path = TCP;
byte sent; /* accepted from the application: in TCP or published */
byte known;
bool closing;
bool owed; /* a record waits for room in TCP with the ring in use already */
bool tx_lock;

mtype outcome = PENDING;

/* ------------------------------------------------------------ sender -- */

inline look_at_cons()
{
	if
	:: page[0].cons > known -> known = page[0].cons
	:: else
	fi
}

#define ROOM (sent - known < SLOTS || sent - page[0].cons < SLOTS)

/*
 * [tx_leave_ring] under the tx lock, held from the record to the last byte
 * of the replay; TCP may be full at each step.
 */
inline tx_leave_ring()
{
	atomic { nfull(wire) -> wire!TO_TCP_1(0, 0) }
	atomic { nfull(wire) ->
		look_at_cons();
		wire!TO_TCP_2(known, sent - known);
		i = known
	}
	do
	:: atomic { i < sent && nfull(wire) ->
		wire!APP(page[0].slot[i % SLOTS], 0);
		i++
	   }
	:: atomic { i >= sent ->
		tx_path = TCP;
		i = 0;
		break
	   }
	od
}

/*
 * One blocking write of BYTES bytes. It waits without the lock, and whatever
 * woke it, it looks at everything again: closing, the path, the room.
 */
active proctype writer()
{
	{
	do
	/* all written, or EPIPE, or a short count */
	:: atomic { !owed && (sent == BYTES || (closing && !tx_lock)) -> break }
	:: atomic { !tx_lock && !closing && tx_path == TCP && sent < BYTES &&
		    sent != ENTER && nfull(wire) ->
		wire!APP(sent, 0);
		sent++
	   }
	/* [tx_enter_ring] the whole record is in TCP before the ring is used */
#ifdef RING_BEFORE_RECORD /* uses the ring while the record waits for TCP */
	:: atomic { !tx_lock && !closing && tx_path == TCP && sent == ENTER &&
		    known == 0 ->
		owed = true;
		known = sent;
		tx_path = RING
	   }
	:: atomic { owed && !tx_lock && len(wire) + 2 <= WIRE ->
		wire!TO_RING_1(0, 0);
		wire!TO_RING_2(ENTER, 0);
		owed = false
	   }
#else
	:: atomic { !tx_lock && !closing && tx_path == TCP && sent == ENTER &&
		    known == 0 && nfull(wire) ->
		tx_lock = true;
		wire!TO_RING_1(0, 0)
	   }
	   atomic { nfull(wire) ->
		wire!TO_RING_2(sent, 0);
		known = sent;
		tx_path = RING;
		tx_lock = false
	   }
#endif
	/* back from the ring before a byte went into it */
	:: atomic { !tx_lock && !closing && tx_path == TCP && sent == ENTER &&
		    known == ENTER && nfull(wire) ->
		wire!APP(sent, 0);
		sent++
	   }
#ifdef WRITER_NO_RECHECK /* finds room, then acts on what it found */
	:: atomic { !closing && tx_path == RING && sent < BYTES && ROOM }
	   atomic { !tx_lock ->
#elif defined(WAIT_FOR_ROOM_ONLY) /* nothing but room wakes the writer */
	:: atomic { !tx_lock && !closing && tx_path == RING && sent < BYTES }
	   atomic { !tx_lock && ROOM ->
		if
		:: closing || tx_path != RING -> goto again
		:: else
		fi;
#else
	:: atomic { !tx_lock && !closing && tx_path == RING && sent < BYTES &&
		    ROOM ->
#endif
		tx_lock = true;
		look_at_cons();
		page[0].slot[sent % SLOTS] = sent
	   }
	   atomic {
		sent++;
		page[0].prod = sent;
		tx_lock = false
	   }
#ifdef WAIT_FOR_ROOM_ONLY
again:	   skip
#endif
	od
	} unless { killed }
}

/* Another thread of the same process closes the connection. */
active proctype closer()
{
	byte i;

	{
#ifdef CLOSE_UNLOCKED /* does not wait for the writer to leave the lock */
	closing = true;
#else
	atomic { !tx_lock && !owed ->
		tx_lock = true;
		closing = true
	}
#endif
#ifdef FIN_BEFORE_REPLAY /* lets the kernel close, then writes the record */
	fin = true;
#endif
	if
#if defined(CLOSE_NO_RECORD) /* leaves it to the receiver to empty the ring */
	:: true
#elif defined(CLOSE_NO_RECORD_IF_READ) /* none if all is consumed */
	:: atomic { tx_path == RING && page[0].cons != sent }
	   tx_leave_ring()
	:: atomic { tx_path == TCP || page[0].cons == sent }
#else
	:: atomic { tx_path == RING }
	   tx_leave_ring()
	:: atomic { tx_path == TCP }
#endif
	fi;
	atomic {
		fin = true;
		tx_lock = false
	}
	} unless { killed }
}

/* The sender's service thread: out of the ring when a guest has moved. */
active proctype service()
{
	byte i;

end:	{
	atomic { told && tx_path == RING && !tx_lock && !closing && !owed ->
		tx_lock = true
	}
	tx_leave_ring();
	tx_lock = false
	} unless { killed }
}

/* ---------------------------------------------------------- receiver -- */

#define MISSING (replay > discard -> replay - discard : 0)

inline report(what)
{
	/* the truth, told by somebody who sees both sides */
	if
	:: what == EOF -> assert(rcvd == sent)
	:: what == RESET -> assert(killed && view != LIVE)
	fi;
	outcome = what
}

/*
 * [rx_ring_read] the copying half: one byte out of the ring at rcvd, ok says
 * whether the nonce was still good afterwards.
 */
inline rx_ring_copy()
{
	atomic {
		if
		:: view == HOLE -> v = NOWHERE
		:: else -> v = SEEN.slot[rcvd % SLOTS]
		fi
	}
	atomic {
		if
		:: view == HOLE -> ok = false
		:: else ->
			assert(v == rcvd);
			rcvd++;
			ok = true
		fi;
		v = 0
	}
}

active proctype receiver()
{
	mtype kind;
	byte pos, length; /* a cell */
	byte rcvd;
	byte replay, discard;
	byte p, v;
	byte limit; /* the stream's end, if a record told it */
	bool dead, ok;
	mtype path = TCP;

	do
	/* [rx_pump] a cell off the wire */
	:: atomic { wire?kind(pos, length) ->
		if
		:: kind == APP && path == TCP && replay == 0 ->
			assert(pos == rcvd);
			rcvd++
		:: kind == APP && path == TCP && replay > 0 ->
			replay--;
			if
			:: discard > 0 -> assert(pos < rcvd); discard--
			:: else -> assert(pos == rcvd); rcvd++
			fi
		:: kind == TO_RING_1 -> assert(rcvd == ENTER && path == TCP)
		:: kind == TO_RING_2 ->
			assert(pos == rcvd);
			path = RING
#ifdef HALF_IS_WHOLE /* acts on a record before all of it is there */
		:: kind == TO_TCP_1 -> path = TCP
		:: kind == TO_TCP_2 ->
#else
		:: kind == TO_TCP_1 -> assert(path == RING)
		:: kind == TO_TCP_2 ->
#endif
			assert(pos <= rcvd && rcvd <= pos + length);
			path = TCP;
			replay = length;
			discard = rcvd - pos
		fi;
		kind = 0;
		pos = 0;
		length = 0
	   }

	/* [rx_ring_read] */
	:: atomic { path == RING && !dead && PROD_SEEN > rcvd }
	   rx_ring_copy();
	   if
	   :: atomic { ok && view != HOLE -> SEEN.cons = rcvd; ok = false }
	   :: atomic { ok && view == HOLE -> ok = false }
	   :: atomic { !ok -> dead = true }
	   fi

#ifdef EOF_NO_LAST_LOOK /* saw the ring empty, then the end: that was all */
	:: atomic { path == RING && PROD_SEEN == rcvd }
	   if
	   :: atomic { empty(wire) && fin -> report(EOF); goto out }
	   :: else
	   fi
#endif

	/* recv() says 0, and half a record is none */
	:: atomic { empty(wire) && fin -> break }
	od;

	/* [rx_eof] which end is this? */
	if
	/* on TCP with nothing owed, or owed only what we have: the end */
#ifdef EOF_CUT_REPLAY /* does not ask whether the replay was complete */
	:: atomic { path == TCP -> report(EOF) }
#else
	:: atomic { path == TCP && MISSING == 0 -> report(EOF) }

	/* the replay was cut: the record told the end, the ring has the rest */
	:: atomic { path == TCP && MISSING > 0 ->
		limit = rcvd + MISSING;
		goto drain
	   }
#endif
	/* no record: the sender was killed. What is in the ring counts. */
	:: atomic { path == RING -> limit = NOWHERE }

#ifdef EOF_NO_DRAIN /* no record: reset, whatever the ring may hold */
	   atomic { report(RESET); goto out }
#endif
	   /*
	    * All of it only if these are the pages the process died with.
	    * The proof may come a little after the FIN; if it does not come
	    * in time, they are not.
	    */
	   if
#ifdef TRUST_ZOMBIE /* a good nonce is proof enough */
	   :: atomic { view != HOLE -> goto drain }
#else
	   :: atomic { view != HOLE && SEEN.died -> goto drain }
	   :: atomic { view == ZOMBIE && !SEEN.died -> report(RESET) }
#endif
#ifdef EOF_TRUNCATE /* nothing more can be read, so that is the end */
	   :: atomic { view == HOLE -> report(EOF) }
#else
	   :: atomic { view == HOLE -> report(RESET) }
#endif
	   fi
	fi;
	goto out;

drain:	/* look at the ring once more, now that nothing can be added */
	atomic { p = PROD_SEEN }
	if
	:: atomic { view == HOLE -> report(RESET); goto out }
	:: atomic { view != HOLE }
	fi;
	if
#ifdef PROD_BEHIND /* takes a prod of an earlier use of the ring for an end */
	:: atomic { limit == NOWHERE -> limit = p }
#else
	:: atomic { limit == NOWHERE -> limit = (p > rcvd -> p : rcvd) }
#endif
	:: atomic { limit != NOWHERE && p >= limit }
	:: atomic { limit != NOWHERE && p < limit -> report(RESET); goto out }
	fi;
	do
	:: atomic { rcvd == limit -> report(EOF); break }
	:: atomic { rcvd < limit }
	   rx_ring_copy();
	   if
	   :: atomic { ok -> ok = false }
	   :: atomic { !ok -> report(RESET); break }
	   fi
	od;
out:	skip
}

/* ------------------------------------------------------- the world -- */

/* Guests migrate: the sender's, the receiver's, one after the other. */
active proctype world()
{
	do
	:: atomic { view == LIVE ->
		page[1].prod = page[0].prod;
		page[1].slot[0] = page[0].slot[0];
		page[1].slot[1] = page[0].slot[1];
		page[1].died = page[0].died;
		view = ZOMBIE;
		/* the receiver's word may be old in the sender's new memory */
		do
		:: page[0].cons > 0 -> page[0].cons--
		:: break
		od
	   }
	   told = true
	:: atomic { view != HOLE -> view = HOLE }
	   told = true
	:: break
	od
}

/* The sending process is killed, or is not. */
active proctype killer()
{
	if
	:: killed = true;
	   /* its kernel: the connection's FIN, the proof in its pages */
	   if
	   :: fin = true; page[0].died = true
	   :: page[0].died = true; fin = true
	   fi
	:: true
	fi
}

ltl finish { <> (outcome != PENDING) }
