# SPDX-License-Identifier: MIT
#
# A program that knows nothing of all this, beside the checked stream: iperf3, from vm2
# to vm1, on one connection through all of a part. Sourced by lab.sh, after stream.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

# Slow enough to leave the emulated processors to the others.
iperf_rate=4M

# What it says of each second in which something was sent.
iperf_seconds() {
	in_guest A 12 "grep -c 'sec .* [KMG]Bytes' /tmp/iperf.out"
}

iperf_begin() {
	in_guest A 11 "cd /tmp; rm -f iperf.serve
		$preloaded iperf3 --server --one-off --port 5200 --forceflush >iperf.serve 2>&1 &
		until grep -qs listening iperf.serve; do usleep 200000; done" || return 1
	in_guest A 12 "cd /tmp; rm -f iperf.status
		{ $preloaded iperf3 --client $dom0_net.11 --port 5200 --time $stream_limit_s --bitrate $iperf_rate --length 16K \\
			--interval 1 --forceflush >iperf.out 2>&1; echo \$? >iperf.status; } &
		until grep -qs 'sec .* [KMG]Bytes' iperf.out; do [ ! -e iperf.status ] || { tail -n 3 iperf.out; exit 1; }; usleep 200000; done" || return 1
	echo "$iperf_rate bit/s"
}

# It runs yet, and sends, and has done so by ring; then it is told to end.
iperf_end() {
	iperf_before=$(iperf_seconds)
	iperf_began=$(date +%s)
	until [ "$(iperf_seconds)" -gt "$iperf_before" ]; do
		if in_guest A 12 '[ -e /tmp/iperf.status ]' || [ "$(seconds "$iperf_began")" -gt $((30 * patience)) ]; then
			in_guest A 12 'tail -n 3 /tmp/iperf.out'
			return 1
		fi
	done
	iperf_ways=$(in_guest A 12 'xvmc ss --json --dir /run/xvmc' | awk -F : '
		/"process"/ { mine = /iperf3/ }
		mine && /"ring_bytes"/ { ring += $2 }
		mine && /"(ring|tcp)_bytes"/ { all += $2 }
		END { printf "%.0f bytes, %.0f by ring\n", all, ring; exit !(ring > 1000000) }') || {
		echo "iperf3: $iperf_ways"
		return 1
	}
	in_guest -t 60 A 12 'kill $(pidof iperf3); until [ -e /tmp/iperf.status ]; do usleep 200000; done' || return 1
	in_guest -t 60 A 11 'while pidof iperf3 >/dev/null; do usleep 200000; done' || {
		echo "iperf3's server does not end"
		return 1
	}
	echo "$iperf_ways"
}
