# SPDX-License-Identifier: MIT
#
# The gaps over 100 ms, and the longest, without what the machine stood still of
# them: it may have had no processor to give. Input: xvmc-standstill's lines
# 'from_ms,to_ms,cpu', in their order; then 'end_ms,gap_ms,connection,direction' of
# xvmc-stream --pauses, both ends. Output: a piece of a JSON object.

BEGIN { FS = "," }

NF == 3 { # on one processor it may go on where it ends on another
	if (n && $1 <= to[n]) {
		to[n] = to[n] > $2 ? to[n] : $2
	} else {
		from[++n] = $1
		to[n] = $2
	}
}

NF == 4 {
	stall = $2
	for (i = 1; i <= n; i++) {
		low = from[i] > $1 - $2 ? from[i] : $1 - $2
		high = to[i] < $1 ? to[i] : $1
		if (high > low)
			stall -= high - low
	}
	over += stall > 100
	max = stall > max ? stall : max
}

END {
	for (i = 1; i <= n; i++)
		longest = to[i] - from[i] > longest ? to[i] - from[i] : longest
	printf "\"machine\":{\"standstills\":%d,\"longest_ms\":%.3f},", n, longest
	printf "\"stalls\":{\"over_100_ms\":%d,\"max_ms\":%.3f}", over, max
}
