# SPDX-License-Identifier: MIT
#
# The pauses that migrations cause, and those that come without. Input:
# xvmc-shuttle's events; then lines 't_ms,gap_ms,connection,direction' of
# xvmc-stream --pauses, both ends, one for each time over 1 ms between two
# reads; -v directions=N: that many there are. Output: KEY=VALUE in ms.
#
# A window is the time from the end of a migration's pre-copy phase, when the
# domain is about to be suspended, to 100 ms after the migration has ended.
# A direction's pause in it is the longest time between two of its reads that
# overlaps the window: 1 ms if none was longer. pause_p50, _p99, _max are
# taken over all directions and all migrations. The quiet ones are the same
# over windows of the same length halfway between two migrations, when
# everything goes by ring, or everything by TCP.

BEGIN { FS = "," }

FNR == 1 && NR > 1 { file = 1 }

!file && $4 == "migrate" {
	begin = $1
	length_ms = $2 + 100 - (begin + $8)
	if (ended)
		window(host == "A" ? "quiet_ring" : "quiet_tcp", (ended + begin - length_ms) / 2, length_ms)
	else
		window("quiet_ring", begin - 200 - length_ms, length_ms)
	window("pause", begin + $8, length_ms)
	ended = $2
	host = $6
}

file {
	for (i = 1; i <= windows; i++)
		if ($1 > from[i] && $1 - $2 < to[i] && $2 > longest[i, $3 $4])
			longest[i, $3 $4] = $2
}

END {
	for (key in longest) {
		split(key, part, SUBSEP)
		what = kind[part[1]]
		value[what, ++n[what]] = longest[key]
	}
	split("pause quiet_ring quiet_tcp", kinds, " ")
	for (k = 1; k <= 3; k++)
		quantiles(kinds[k])
}

function window(what, start, len) {
	windows++
	kind[windows] = what
	from[windows] = start
	to[windows] = start + len
	of[what]++
}

function quantiles(what,    total, i, j, v, rank50, rank99) {
	total = of[what] * directions
	while (n[what] < total)
		value[what, ++n[what]] = 1
	for (i = 2; i <= n[what]; i++) {
		v = value[what, i]
		for (j = i; j > 1 && value[what, j - 1] > v; j--)
			value[what, j] = value[what, j - 1]
		value[what, j] = v
	}
	rank50 = int(total * 0.5 + 0.999999)
	rank99 = int(total * 0.99 + 0.999999)
	printf "%s_p50=%.2f\n", what, value[what, rank50]
	printf "%s_p99=%.2f\n", what, value[what, rank99]
	printf "%s_max=%.2f\n", what, value[what, total]
}
