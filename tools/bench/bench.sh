#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Measures programs on plain TCP, on AF_UNIX, and under xvmc-run, side by side
# in one run: every round measures all sides, each second round in reverse
# order, and what is compared are the ratios within a round. No pass or fail
# on time: the exit status says only whether everything worked and whether
# what was to be accelerated really was.
#
# Placement decides more than the socket does: left alone, the scheduler puts
# two programs now on one CPU, now on two, and plain TCP alone differs by a
# factor of ten between the two, since waking a sleeping CPU costs more than
# the whole round trip. So plain programs are measured pinned to one CPU
# together and to one each, and what is accelerated, left free to choose, is
# compared with the faster of the two; beside it stand rows with both sides
# pinned alike.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
build=$here/../../build
rounds=5
seconds=0.3
json=no
chosen=

help() {
	cat <<'END'
usage: bench.sh [--build DIR] [--rounds N] [--seconds T] [--json] [PATTERN...]

  --build DIR    where the programs were built (build)
  --rounds N     how often everything is measured (5)
  --seconds T    how long each measurement takes (0.3)
  --json         one JSON object instead of the table
  --list         the patterns, and what they compare
  --help
exit status: 0, 1 something failed or was not accelerated, 2 wrong options
END
}

# PATTERN  SIDE-A  SIDE-B  TARGET (of B / A)  UNIT  WHAT. A side is a load, where
# it runs, and who runs how, see measure(). 1: all on one CPU; 2: one CPU each;
# w: wherever they like; ?: the faster one of 1 and 2.
patterns() {
	cat <<'END'
noise-1cpu           rr1-plain   rr1-again   -    trips/s  plain TCP twice: the noise, one CPU
noise-2cpu           rr2-plain   rr2-again   -    trips/s  plain TCP twice: the noise, one CPU each
rr                   rr?-plain   rrw-ring    6    trips/s  64-byte request-response, spinning
rr-1cpu              rr1-plain   rr1-ring    1    trips/s  the same on one CPU, where spinning cannot help
rr-2cpu              rr2-plain   rr2-ring    6    trips/s  the same, each pinned to a CPU of its own
rr-asleep            rr1-plain   rr1-asleep  2.2  trips/s  64-byte request-response, XVMC_SPIN_US=0, one CPU
rr-asleep-2cpu       rr2-plain   rr2-asleep  2.2  trips/s  the same, one CPU each: mostly the cost of waking it
stream-64k           64k?-plain  64kw-ring   2    Gbit/s   one direction, 64 KiB writes
stream-64k-1cpu      64k1-plain  64k1-ring   2    Gbit/s   the same, one CPU
stream-1k            1k?-plain   1kw-ring    4    Gbit/s   one direction, 1 KiB writes
stream-1k-1cpu       1k1-plain   1k1-ring    4    Gbit/s   the same, one CPU
redis-c1             c1_?-plain  c1_w-ring   2    req/s    redis-benchmark -c 1, set and get
redis-c1-1cpu        c1_1-plain  c1_1-ring   2    req/s    the same, one CPU
redis-c50            c50_?-plain c50_w-ring  1.4  req/s    redis-benchmark -c 50 -P 1, set and get
redis-c50-1cpu       c50_1-plain c50_1-ring  1.4  req/s    the same, one CPU
unix-rr              rr?-unix    rrw-ring    1    trips/s  against AF_UNIX: request-response, spinning
unix-rr-asleep       rr1-unix    rr1-asleep  1    trips/s  against AF_UNIX: XVMC_SPIN_US=0, one CPU
unix-rr-asleep-2cpu  rr2-unix    rr2-asleep  1    trips/s  against AF_UNIX: XVMC_SPIN_US=0, one CPU each
unix-stream-64k      64k?-unix   64kw-ring   1    Gbit/s   against AF_UNIX: 64 KiB writes
unix-stream-64k-1cpu 64k1-unix   64k1-ring   1    Gbit/s   the same, one CPU
unix-stream-1k       1k?-unix    1kw-ring    1    Gbit/s   against AF_UNIX: 1 KiB writes
unix-stream-1k-1cpu  1k1-unix    1k1-ring    1    Gbit/s   the same, one CPU
half-client          rr1-plain   rr1-client  0.97 trips/s  only the client under xvmc-run: not accelerated
half-server          rr1-plain   rr1-server  0.97 trips/s  only the server under xvmc-run: not accelerated
crr                  crr1-plain  crr1-both   0.97 conns/s  connect, request, response, close
idle                 idle-plain  idle-ring   -    ms/s     CPU time of both processes, 16 idle connections
wait-10k             wait10-ring wait10k-ring 0.67 waits/ms 10 active of 10,010 connections in one epoll, against 10 of 10
wait-10k-young       wait10-young wait10k-young 0.67 waits/ms the same, the idle ones not worth a ring (XVMC_MIN_OPS=1000)
END
}

die() {
	echo "bench.sh: $1" >&2
	exit "${2:-1}"
}

while [ $# -gt 0 ]; do
	case $1 in
	--build | --rounds | --seconds)
		[ $# -ge 2 ] || die "$1 wants a value" 2
		case $1 in
		--build) build=$2 ;;
		--rounds) rounds=$2 ;;
		--seconds) seconds=$2 ;;
		esac
		shift
		;;
	--json) json=yes ;;
	--list)
		patterns | awk '{ printf "%-20s", $1; for (i = 6; i <= NF; i++) printf " %s", $i; print "" }'
		exit 0 ;;
	--help) help && exit 0 ;;
	-*) die "no such option: '$1'; see --help" 2 ;;
	*)
		patterns | awk -v name="$1" '$1 == name { found = 1 } END { exit !found }' ||
			die "no such pattern: '$1'; see --list" 2
		chosen="$chosen $1"
		;;
	esac
	shift
done
case $rounds in
'' | *[!0-9]* | 0*) die "--rounds wants a number from 1 on, not '$rounds'" 2 ;;
esac
case $seconds in
'' | . | *[!0-9.]* | *.*.*) die "--seconds wants a number, not '$seconds'" 2 ;;
esac

build=$(cd "$build" 2>/dev/null && pwd) || die "no such build directory"
bench=$build/tools/bench/xvmc-bench
run=$build/tools/xvmc-run
xvmc=$build/tools/xvmc
for program in "$bench" "$run" "$xvmc"; do
	[ -x "$program" ] || die "$program is missing: not built?"
done

# shellcheck source=tools/demo/tmpdir.sh
. "$here/../demo/tmpdir.sh"
tmp=$(mktemp -d) || exit 1
XVMC_DIR=$tmp/xvmc
export XVMC_DIR
unset XVMC_SPIN_US
mkdir "$XVMC_DIR" || exit 1
pids=
status=0

finish() {
	for pid in $pids; do
		kill "$pid" 2>/dev/null
	done
	for pid in $pids; do
		wait "$pid" 2>/dev/null
	done
	"$xvmc" shutdown >/dev/null 2>&1
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP PIPE

# Two of the CPUs we may use; the server stays on one, the client joins it
# or not.
cpus=$(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' | awk -F - '
	{ for (i = $1; i <= ($2 == "" ? $1 : $2) && n < 2; i++) { print i; n++ } }')
client_cpu=$(echo "$cpus" | sed -n 1p)
server_cpu=$(echo "$cpus" | sed -n 2p)
[ -n "$server_cpu" ] || die "wants two CPUs"

# shellcheck source-path=SCRIPTDIR source=bench-sides.sh
. "$here/bench-sides.sh"

# What is measured: the chosen patterns, and the sides they need.
patterns >"$tmp/all"
if [ -n "$chosen" ]; then
	for name in $chosen; do
		awk -v name="$name" '$1 == name' "$tmp/all"
	done >"$tmp/patterns"
else
	cp "$tmp/all" "$tmp/patterns"
fi
# Sorted, what is compared is measured close together.
sides=$(awk '{ print $2; print $3 }' "$tmp/patterns" |
	sed 's/\(.*\)?\(.*\)/\11\2 \12\2/' | tr ' ' '\n' | sort -u)
reversed=
for side in $sides; do
	reversed="$side $reversed"
done
case $sides in
*c1_* | *c50_*)
	for program in redis-server redis-benchmark redis-cli; do
		command -v $program >/dev/null ||
			die "$program is missing: install redis-server and redis-tools"
	done
	;;
esac

# Bytes that have gone through rings so far.
ring_bytes() {
	"$xvmc" stat --json 2>/dev/null | tr -d "\t " | tr ",{}" "[\n*]" >"$tmp/stat"
	ring=$(number ring_tx_bytes "$tmp/stat")
	echo "${ring:-0}"
}

# At least half of it; where the program itself counts, while it measures, nine
# tenths.
enough_ring() {
	if [ -n "$told" ]; then
		ring_grown=$told
		[ "$ring_grown" -ge $((moved * 9 / 10)) ]
	else
		ring_grown=$(($(ring_bytes) - ring_before))
		[ "$ring_grown" -ge $((moved / 2)) ]
	fi
}

# One side of one round: a line in $tmp/values.SIDE, and in $tmp/trouble.SIDE
# what went wrong.
take() {
	value=
	moved=0
	told=
	ring_before=$(ring_bytes)
	if ! measure "$1" || [ -z "$value" ]; then
		echo "FAILED: $(tail -n 1 "$tmp/err")" >>"$tmp/trouble.$1"
		return
	fi
	if [ $accelerated = yes ]; then
		# Counters may arrive a moment later.
		tries_left=10
		while ! enough_ring && [ $tries_left -gt 0 ]; do
			sleep 0.05
			tries_left=$((tries_left - 1))
		done
		enough_ring ||
			echo "NOT ACCELERATED: $ring_grown of $moved bytes by ring" >>"$tmp/trouble.$1"
	fi
	echo "$round $value" >>"$tmp/values.$1"
}

progress() {
	if [ -t 2 ]; then
		printf '\r\033[K%s' "$1" >&2
	fi
}

round=1
while [ $round -le "$rounds" ]; do
	order=$sides
	[ $((round % 2)) -eq 0 ] && order=$reversed
	for side in $order; do
		case $side in
		idle-* | wait*) [ $round -eq 1 ] || continue ;;
		esac
		progress "round $round of $rounds: $side"
		take "$side"
	done
	round=$((round + 1))
done
progress ''

median_of() {
	sort -k 2 -n "$tmp/values.$1" 2>/dev/null |
		awk '{ v[NR] = $2 } END { print NR ? v[int((NR + 1) / 2)] : 0 }'
}

# The faster one of LOAD?-HOW.
best() {
	one=${1%%\?*}1${1#*\?}
	two=${1%%\?*}2${1#*\?}
	printf '%s %s\n%s %s\n' "$one" "$(median_of "$one")" "$two" "$(median_of "$two")" |
		sort -k 2 -n | tail -n 1 | cut -d ' ' -f 1
}

# A row of the result, fields by tabs: PATTERN, A, B, UNIT, median A, median B,
# median ratio, its min and max, target, verdict, WHAT.
row() {
	touch "$tmp/values.$2" "$tmp/values.$3"
	trouble=$(cat "$tmp/trouble.$2" "$tmp/trouble.$3" 2>/dev/null | head -n 1)
	awk -v name="$1" -v a_name="$2" -v b_name="$3" -v target="$4" -v unit="$5" -v what="$6" \
		-v trouble="$trouble" '
		function sort(x, n,    i, j, t) {
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && x[j - 1] > x[j]; j--) {
					t = x[j]; x[j] = x[j - 1]; x[j - 1] = t
				}
		}
		function median(x, n) {
			if (n == 0) return 0
			return n % 2 ? x[(n + 1) / 2] : (x[n / 2] + x[n / 2 + 1]) / 2
		}
		NR == FNR { a[++na] = $2; by_round[$1] = $2; next }
		{ b[++nb] = $2; if (by_round[$1] > 0) r[++nr] = $2 / by_round[$1] }
		END {
			sort(a, na); sort(b, nb); sort(r, nr)
			ma = median(a, na); mb = median(b, nb)
			ratio = ma > 0 ? mb / ma : 0
			verdict = "-"
			if (name == "idle") verdict = mb <= 1 ? "met" : "missed"
			else if (target != "-") verdict = ratio >= target ? "met" : "missed"
			if (trouble != "") verdict = trouble
			printf "%s\t%s\t%s\t%s\t%.10g\t%.10g\t%.4f\t%.4f\t%.4f\t%s\t%s\t%s\n", name, a_name,
				b_name, unit, ma, mb, ratio, r[1], r[nr], target, verdict, what
		}' "$tmp/values.$2" "$tmp/values.$3"
}

while read -r name a b target unit what; do
	case $a in
	*\?*) a=$(best "$a") ;;
	esac
	row "$name" "$a" "$b" "$target" "$unit" "$what"
done <"$tmp/patterns" >"$tmp/rows"
for file in "$tmp"/trouble.*; do
	[ -e "$file" ] && status=1
done

# SIDE: its command, without this machine's paths.
command_of() {
	if [ -e "$tmp/command.$1" ]; then
		sed "s|$tmp|\$TMP|g" "$tmp/command.$1"
	else
		echo "(not run)"
	fi
}

print_table() {
	awk -F '\t' -v rounds="$rounds" '
		BEGIN {
			printf "%-20s %-8s %12s %12s %7s  %-13s %7s  %s\n", "pattern", "unit", "A", "B",
				"B/A", "min..max", "target", "result"
		}
		{
			target = $1 == "idle" ? "B <= 1" : ($10 == "-" ? "-" : ">= " $10)
			ratio = $1 == "idle" ? "-" : sprintf("%.2f", $7)
			range = $1 == "idle" ? "-" : sprintf("%.2f..%.2f", $8, $9)
			f = $5 > 1000 ? "%12.0f" : "%12.3f"
			printf "%-20s %-8s " f " " f " %7s  %-13s %7s  %s\n", $1, $4, $5, $6, ratio, range,
				target, $11
		}' "$tmp/rows"
	echo
	echo "medians of $rounds rounds of $seconds s; min..max of the ratios within a round."
	awk -F '\t' '{ printf "%-20s %s: A %s, B %s\n", $1, $12, $2, $3 }' "$tmp/rows"
	echo
	for side in $sides; do
		printf '%-12s %s\n' "$side" "$(command_of "$side")"
	done
	echo
	echo "CPUs: servers on $server_cpu; clients there too (rr1, ...) or on $client_cpu (rr2, ...);" \
		"rrw, ... on both."
}

escaped() {
	sed 's/\\/\\\\/g; s/"/\\"/g'
}

print_json() {
	ok=true
	[ $status -eq 0 ] || ok=false
	printf '{"ok":%s,"rounds":%s,"seconds":%s,"patterns":[' "$ok" "$rounds" "$seconds"
	escaped <"$tmp/rows" | awk -F '\t' '{
		idle = $1 == "idle"
		printf "%s{\"pattern\":\"%s\",\"what\":\"%s\",\"unit\":\"%s\",\"a\":\"%s\",\"b\":\"%s\",", \
			(NR > 1 ? "," : ""), $1, $12, $4, $2, $3
		printf "\"a_median\":%s,\"b_median\":%s,", $5, $6
		printf "\"ratio\":%s,\"ratio_min\":%s,\"ratio_max\":%s,\"target\":%s,\"result\":\"%s\"}", \
			(idle ? "null" : $7), (idle ? "null" : $8), (idle ? "null" : $9), \
			($10 == "-" ? "null" : $10), $11
	}'
	printf '],"sides":['
	comma=
	for side in $sides; do
		touch "$tmp/values.$side"
		printf '%s{"side":"%s","command":"%s","values":[%s]}' "$comma" "$side" \
			"$(command_of "$side" | escaped)" \
			"$(awk '{ printf "%s%s", (NR > 1 ? "," : ""), $2 }' "$tmp/values.$side")"
		comma=,
	done
	printf ']}\n'
}

if [ $json = yes ]; then
	print_json
else
	print_table
fi
[ $status -eq 0 ]
