/* SPDX-License-Identifier: MIT */
/*
 * Sleeping and waking at one ring: one producer, and two threads of the
 * consumer's process that share its doorbell. It answers: does anybody sleep
 * for ever although there is data, or room, for him; and does everything
 * come to rest when there is nothing to do? What the bytes are, and what a
 * switch or a migration does to a sleeper, is not here: he sleeps on the TCP
 * fd as well, and close.pml and switch.pml wake him there.
 *
 * Memory is that of x86: each processor's stores wait in a buffer, in order,
 * until some time later they reach memory, and loads do not wait for them.
 * A full fence waits until the buffer is empty. So does a locked
 * instruction, hence taking the lock, and a system call that rings.
 */
#ifndef BYTES
#define BYTES 4
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#define STORES 2 /* in a store buffer */

/* Words in shared memory, and who writes them. */
#define PROD 0    /* the producer */
#define CONS 1    /* the consumer */
#define DATA_AT 2 /* the consumer: ring when prod >= data_at; 0: awake */
#define ROOM_AT 3 /* the producer: ring when cons >= room_at; 0: awake */
byte mem[4];

chan buffer0 = [STORES] of { byte, byte }; /* the producer's */
chan buffer1 = [STORES] of { byte, byte }; /* the consumer threads' */
chan buffer2 = [STORES] of { byte, byte };

/* Doorbells: rung before the sleep, they are not lost; many rings are one. */
bool bell_data;
bool bell_room;

#define STORE(word, value) buffer!word(value)
#define FENCE empty(buffer)

#ifdef BELL_IS_PULSE /* a ring wakes who sleeps now, and is gone */
#define RING(bell, sleepers) atomic { FENCE -> bell = (sleepers > 0) }
#else
#define RING(bell, sleepers) atomic { FENCE -> bell = true }
#endif

byte room_sleepers, data_sleepers; /* how many are in the kernel just now */
bool rested;

active proctype processors()
{
	byte word, value;

end:	do
	:: atomic { buffer0?word(value) -> mem[word] = value; word = 0; value = 0 }
	:: atomic { buffer1?word(value) -> mem[word] = value; word = 0; value = 0 }
	:: atomic { buffer2?word(value) -> mem[word] = value; word = 0; value = 0 }
	od
}

/* ---------------------------------------------------------- producer -- */

byte sent; /* private to the producer, as everything in its proctype */

#ifdef AT_OFF_BY_ONE /* rings one byte after the one that was waited for */
#define REACHED(value, at) (value > at)
#else
#define REACHED(value, at) (value >= at)
#endif

active proctype producer()
{
	byte cons, at;
	byte rung; /* data_at for which the consumer's bell was rung */
	chan buffer = buffer0;

	do
	:: atomic { sent == BYTES -> break }
	:: atomic { sent < BYTES -> cons = mem[CONS] }
	   if
	   :: atomic { sent - cons < SLOTS -> cons = 0 }
	   :: atomic { sent - cons >= SLOTS -> cons = 0 }
		/* [tx_wait_room] arm, fence, look again, sleep */
		STORE(ROOM_AT, sent + 1 - SLOTS);
#ifndef NO_FENCE_ARM_ROOM /* looks again before others can see it armed */
		FENCE;
#endif
#ifndef NO_RELOOK_ROOM /* arms and sleeps */
		cons = mem[CONS];
#endif
		if
		:: atomic { sent - cons < SLOTS -> cons = 0 }
		:: atomic { sent - cons >= SLOTS ->
			cons = 0;
			room_sleepers++;
end_room:		bell_room -> bell_room = false;
			room_sleepers--
		   }
		fi;
		STORE(ROOM_AT, 0);
		goto again
	   fi;
	   /* [tx_publish] prod, fence, who sleeps? */
#ifdef LOOK_BEFORE_PUBLISH /* asks who sleeps, then publishes */
	   at = mem[DATA_AT];
#endif
	   atomic {
		STORE(PROD, sent + 1);
		sent++
	   }
#ifndef LOOK_BEFORE_PUBLISH
#ifndef NO_FENCE_PUBLISH /* asks who sleeps before others can see prod */
	   FENCE;
#endif
	   at = mem[DATA_AT];
#endif
#ifdef RUNG_AS_FLAG /* remembers that it rang, until it sees nobody asleep */
	   if
	   :: atomic { at == 0 -> rung = 0 }
	   :: else
	   fi;
#define RUNG (rung != 0)
#else
#define RUNG (rung == at)
#endif
	   if
	   :: atomic { at != 0 && REACHED(sent, at) && !RUNG -> rung = at; at = 0 }
		RING(bell_data, data_sleepers)
	   :: atomic { !(at != 0 && REACHED(sent, at) && !RUNG) -> at = 0 }
	   fi;
again:	   skip
	od
}

/* ---------------------------------------------------------- consumer -- */

/* Private to the consumer's process, under the rx lock. */
bool rx_lock;
byte rcvd;
byte waiting;   /* threads that wait for data */
byte rung_room; /* room_at for which the producer's bell was rung */
byte give_ups = 1; /* time-outs and signals still to come */
byte working = 2;  /* threads that read, or will read again */

#define LOCK atomic { !rx_lock && FENCE -> rx_lock = true }
#define UNLOCK atomic { FENCE -> rx_lock = false }

/*
 * [rx_leave] whoever leaves while others wait leaves them a way to wake: the
 * bell, if there is something for them already; else an armed data_at.
 */
inline leave()
{
	if
#ifdef NO_HANDOVER /* they have armed once, that must do */
	:: true
#else
	:: atomic { waiting == 0 }
	:: atomic { waiting > 0 -> prod = mem[PROD] }
		if
		:: atomic { prod > rcvd -> prod = 0 }
			RING(bell_data, data_sleepers)
		:: atomic { prod <= rcvd -> prod = 0 }
			STORE(DATA_AT, rcvd + 1);
#ifndef HANDOVER_NO_FENCE /* looks again before others can see it armed */
			FENCE;
#endif
#ifdef HANDOVER_NO_RELOOK /* arms for them and goes */
			skip
#else
			if
			:: atomic { mem[PROD] > rcvd }
				RING(bell_data, data_sleepers)
			:: atomic { mem[PROD] <= rcvd }
			fi
#endif
		fi
#endif
	fi;
#ifdef CLEAR_LATE /* takes its own data_at back on the way out */
	STORE(DATA_AT, 0);
#endif
	UNLOCK
}

proctype consumer(chan buffer)
{
	byte prod, at;

	do
	/* a thread may turn to something else for good */
	:: atomic { working--; break }
	:: LOCK;
look:	   atomic { prod = mem[PROD] }
	   if
	   :: atomic { prod > rcvd -> prod = 0 }
	   :: atomic { prod <= rcvd -> prod = 0; waiting++ }
		/* [rx_wait_data] arm, fence, look again, sleep unlocked */
		STORE(DATA_AT, rcvd + 1);
#ifndef NO_FENCE_ARM_DATA /* looks again before others can see it armed */
		FENCE;
#endif
		if
#ifndef NO_RELOOK_DATA /* arms and sleeps */
		:: atomic { mem[PROD] > rcvd -> waiting-- }
			STORE(DATA_AT, 0)
		:: atomic { mem[PROD] <= rcvd }
#else
		:: true ->
#endif
			UNLOCK;
			data_sleepers++;
end_data:		if
			:: atomic { bell_data ->
				bell_data = false;
				data_sleepers-- }
				LOCK;
				waiting--;
				STORE(DATA_AT, 0);
				goto look
			:: atomic { give_ups > 0 ->
				give_ups--;
				data_sleepers-- }
				LOCK;
				waiting--;
				STORE(DATA_AT, 0);
#ifdef GIVE_UP_QUIETLY /* a thread that took nothing owes nothing */
				UNLOCK;
#else
				leave();
#endif
				goto again
			fi
		fi
	   fi;
	   /* [rx_ring_read] cons, fence, who sleeps? */
	   atomic {
		STORE(CONS, rcvd + 1);
		rcvd++
	   }
#ifndef NO_FENCE_CONSUME /* asks who sleeps before others can see cons */
	   FENCE;
#endif
	   at = mem[ROOM_AT];
	   if
	   :: atomic { at != 0 && REACHED(rcvd, at) && rung_room != at ->
		rung_room = at;
		at = 0 }
		RING(bell_room, room_sleepers)
	   :: atomic { !(at != 0 && REACHED(rcvd, at) && rung_room != at) ->
		at = 0 }
	   fi;
	   leave();
again:	   skip
	od
}

init {
	atomic {
		run consumer(buffer1);
		run consumer(buffer2)
	}
}

/* ------------------------------------------------------- the judge -- */

/* When nothing moves any more, nobody sleeps who has something to do. */
active proctype judge()
{
	atomic { timeout ->
		assert(!(data_sleepers > 0 && sent > rcvd));
		assert(!(room_sleepers > 0 && sent - rcvd < SLOTS));
		assert(working == 0 || rcvd == BYTES);
		assert(!rx_lock);
		rested = true
	}
}

ltl rest { <> rested }
