# SPDX-License-Identifier: MIT
#
# What the demo's counters say: how much went by which path, and whether every
# migration moved every connection. Input: xvmc-shuttle's samples, then its
# events; -v directions=N: that many were to be moved. Output: KEY=VALUE, and
# 'trouble TEXT' for what is not as it must be.
#
# The plan has a count before and after each migration. A migration that parts
# the domains must leave no direction on a ring; one that brings them together
# must bring back nearly all of them: for a moment one may be on TCP because
# its reader had not read for a while.

BEGIN { FS = "," }

FNR == 1 && NR > 1 { file = 1 }

!file && FNR > 1 {
	n++
	ms[n] = $1
	ring[n] = $2
	tcp[n] = $3
	to_ring[n] = $6
	to_tcp[n] = $7
}

file && $3 != 0 { print "trouble " $4 " " $5 " failed (" $3 ")" }

file && $4 == "count" {
	after(at($1), $5)
	last = at($1)
	last_ring = $5
}

file && $4 == "migrate" {
	migrations++
	host = $6
	moved = $2
}

END {
	if (n < 2 || !migrations) {
		print "trouble the counters were not sampled"
		n = 1
	}
	print "migrations=" migrations + 0
	print "to_ring=" to_ring[n] - to_ring[1]
	print "to_tcp=" to_tcp[n] - to_tcp[1]
	print "switches=" to_ring[n] - to_ring[1] + to_tcp[n] - to_tcp[1]
	all = share(1, n)
	printf "ring_share=%.3f\n", all
	together = together_ring + together_tcp
	printf "ring_share_together=%.3f\n", (together ? together_ring / together : 0)
	if (all <= 0.5)
		print "trouble less than half of the bytes went by ring"
}

# The last sample before that moment.
function at(t,    i) {
	for (i = n; i > 1 && ms[i] > t; i--)
		;
	return i
}

# Of the bytes between two samples, those by ring.
function share(from, to,    r, t) {
	r = ring[to] - ring[from]
	t = tcp[to] - tcp[from]
	return r + t > 0 ? r / (r + t) : 0
}

# A count: now is its sample. What has the migration before it done?
function after(now, on_ring,    since) {
	since = migrations ? at(moved) : 1
	if (!migrations || host == "A") {
		together_ring += ring[now] - ring[since]
		together_tcp += tcp[now] - tcp[since]
		if (on_ring < directions * 3 / 4)
			complain("only " on_ring " of " directions " directions are on rings")
		else if (to_ring[now] - to_ring[migrations ? last : 1] < on_ring)
			complain("directions on rings that nobody has moved there")
		else if (share(since, now) <= 0.5)
			complain("less than half of the bytes went by ring")
	} else if (on_ring > 0) {
		complain(on_ring " directions still on rings")
	} else if (to_tcp[now] - to_tcp[last] < last_ring) {
		complain("fewer moves to TCP than directions that were on rings")
	}
}

function complain(text) {
	print "trouble " (migrations ? "after migration " migrations ", to host " host : \
		"before the first migration") ": " text
}
