# SPDX-License-Identifier: MIT
#
# netperf's three patterns between the same two guests in one run: by netfront
# and netback, by xvmc, and by libvchan (vchan-bench.c). What is printed are
# medians of rounds in which the three take turns, and ratios to the first.
# Emulated: only ratios mean anything, and not much. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

compare_rounds=3
compare_s=4

# One figure, from vm2, or nothing.
compare_net() { # PRELOAD PORT PATTERN BYTES
	in_guest A 12 "cd /tmp; $1 xvmc-bench $3 --addr $dom0_net.11 --port $2 --bytes $4 --seconds $compare_s --warm 2"
}

# A server takes one client.
compare_vchan() { # PATTERN BYTES
	in_guest A 11 "cd /tmp; vchan-bench serve $compare_domid_12 >vchan.serve 2>&1 &
		until grep -q . vchan.serve; do usleep 100000; done" || return 1
	in_guest A 12 "cd /tmp; vchan-bench $1 $compare_domid_11 $2 $compare_s" || {
		in_guest A 11 'cat /tmp/vchan.serve; kill $(pidof vchan-bench)'
		return 1
	}
}

# Lines of "way pattern bytes figure" go to compare.csv.
compare_one() { # WAY PATTERN BYTES
	case $1 in
	netfront) compare_net '' 5100 "$2" "$3" ;;
	xvmc) compare_net "$preloaded" 5101 "$2" "$3" ;;
	xvmc-1M) compare_net "XVMC_RING_ORDER=8 $preloaded" 5101 "$2" "$3" ;;
	xvmc-spin) compare_net "XVMC_SPIN_US=500 $preloaded" 5103 "$2" "$3" ;;
	xvmc-asleep) compare_net "XVMC_SPIN_US=0 $preloaded" 5104 "$2" "$3" ;;
	libvchan) compare_vchan "$2" "$3" ;;
	esac >"$run/compare.out" || {
		head -n 3 "$run/compare.out"
		return 1
	}
	compare_figure=$(sed -n 's/.*"\(per_s\|gbit_s\)":\([0-9.]*\).*/\2/p' "$run/compare.out" | head -n 1)
	[ -n "$compare_figure" ] || {
		echo "$1 says nothing of $2"
		return 1
	}
	echo "$1,$2,$3,$compare_figure" >>"$run/compare.csv"
}

compare_start() {
	xvmcd_start >/dev/null || return 1
	compare_domid_11=$(in_dom0 A 'xl domid vm1')
	compare_domid_12=$(in_dom0 A 'xl domid vm2')
	for compare_with in "5100: " "5101:$preloaded" "5103:XVMC_SPIN_US=500 $preloaded" "5104:XVMC_SPIN_US=0 $preloaded"; do
		in_guest A 11 "cd /tmp; ${compare_with#*:} xvmc-bench serve --addr 0.0.0.0 --port ${compare_with%%:*} >bench.serve 2>&1 &
			until grep -q listening bench.serve; do usleep 100000; done; rm bench.serve" || return 1
	done
	# A step runs in a shell of its own.
	echo "$compare_domid_11 $compare_domid_12" | tee "$run/compare.domids"
}

# On one CPU whoever waits for the other end has to wait until it has that CPU: the
# larger the ring the rarer. libvchan's ring is as large as xvmc's by default.
compare_pattern() { # PATTERN BYTES UNIT
	compare_ways='netfront xvmc xvmc-spin xvmc-1M libvchan'
	[ "$1" = stream ] || compare_ways='netfront xvmc xvmc-asleep xvmc-spin libvchan'
	read -r compare_domid_11 compare_domid_12 <"$run/compare.domids"
	compare_round=1
	compare_ring=$(ring_bytes 12)
	while [ $compare_round -le $compare_rounds ]; do
		for compare_way in $compare_ways; do
			compare_one "$compare_way" "$1" "$2" || return 1
		done
		compare_round=$((compare_round + 1))
	done
	compare_ring=$(($(ring_bytes 12) - compare_ring))
	# What was measured as xvmc must have been rings, not TCP under another name.
	[ $compare_ring -gt $((compare_rounds * $2 * 100)) ] || {
		echo "only $compare_ring bytes went by ring"
		return 1
	}
	# Guests have one processor: who spins yields it.
	[ "$1" != rr ] || in_guest A 11 'xvmc stat --json --dir /run/xvmc' |
		awk -F : '/"spin_hits"/ { n = $2 + 0 } END { exit !(n > 0) }' || {
		echo 'no sleep was spared'
		return 1
	}
	grep ",$1,$2," "$run/compare.csv" | sort -t , -k 1,1 -k 4,4n | awk -F , -v unit="$3" -v ways="$compare_ways" '
		{ figure[$1, ++n[$1]] = $4 }
		function median(way) { return figure[way, int((n[way] + 1) / 2)] }
		END {
			for (i = 1; i <= split(ways, way, " "); i++)
				printf "%s %.4g (%.1f x), ", way[i], median(way[i]), median(way[i]) / median("netfront")
			print unit
		}'
}

# From when a connection has become worth a ring until it is on one, both ways, as
# its program in vm2 sees it (setups.c): the first of a process, those that come one
# after the other, those that come at once.
setup_rounds=${LAB_SETUP_ROUNDS:-12}
setup_many=8
compare_setup() {
	# Of as many at once as before, whose pages may not all be free yet.
	for guest in 11 12; do
		in_guest A $guest 'echo 8192 >/sys/module/xen_gntalloc/parameters/limit' || return 1
	done
	in_guest A 11 "cd /tmp; $preloaded setups serve 5102 >setup.serve 2>&1 &
		until grep -q listening setup.serve; do usleep 200000; done" || return 1
	in_guest -t 300 A 12 "cd /tmp; $preloaded setups run $dom0_net.11 5102 $setup_rounds $setup_many" >"$run/setup" || {
		tail -n 1 "$run/setup"
		return 1
	}
	in_guest A 11 'kill $(pidof setups)'
	sort -k 1,1 -k 2,2n "$run/setup" | awk '{ ms[$1, ++n[$1]] = $2 }
		function say(what, text) {
			return sprintf("%s %.0f ms (%.0f to %.0f)", text, ms[what, int((n[what] + 1) / 2)],
				ms[what, 1], ms[what, n[what]])
		}
		END {
			if (!n["first"] || !n["one"] || !n["many"]) exit 1
			printf "%s, %s, %s\n", say("one", "one at a time"), say("many", "'"$setup_many"' at once"),
				say("first", "the first of a process")
		}'
}

compare_stop() {
	in_guest A 11 'kill $(pidof xvmc-bench); while pidof xvmc-bench; do usleep 100000; done' || return 1
	nothing_left 11 12
}

part_compare() {
	: >"$run/compare.csv"
	step compare 'servers' compare_start || return
	for compare_what in ${LAB_COMPARE:-setup 64k 1k rr}; do
		case $compare_what in
		setup) step compare 'set-up of a connection' compare_setup ;;
		64k) step compare 'stream, writes of 64 KiB' compare_pattern stream 65536 Gbit/s ;;
		1k) step compare 'stream, writes of 1 KiB' compare_pattern stream 1024 Gbit/s ;;
		rr) step compare 'request-response, 64 bytes' compare_pattern rr 64 a-second ;;
		esac
	done
	step compare 'nothing is left' compare_stop
	step compare 'kernels' kernels_fine 11 12
	say "compare: medians of $compare_rounds rounds of $compare_s s; emulated CPUs: $cpus, no KVM: ratios, not speeds ($run/compare.csv)"
}
