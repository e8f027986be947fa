#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Measures programs on plain TCP, on AF_UNIX, and under xvmc-run, side by side
# in one run: every round measures all sides, each second round in reverse
# order, and what is compared are the ratios within a round. No pass or fail
# on time: the exit status says only whether everything worked and whether
# what was to be accelerated really was.
#
# Both programs are pinned: to one CPU together, or to two. Left alone, the
# scheduler puts them now this way, now that, and plain TCP alone differs by
# a factor of ten between the two: waking a sleeping CPU costs more than the
# whole round trip.
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

# PATTERN  SIDE-A  SIDE-B  TARGET (of B / A)  UNIT  WHAT. A side is a load, the
# number of CPUs, and who runs how: see measure().
patterns() {
	cat <<'END'
noise-1cpu           rr1-plain   rr1-again   -    trips/s  plain TCP twice: the noise, one CPU
noise-2cpu           rr2-plain   rr2-again   -    trips/s  plain TCP twice: the noise, two CPUs
rr                   rr2-plain   rr2-ring    6    trips/s  64-byte request-response, spinning
rr-strict            rr1-plain   rr2-ring    6    trips/s  the same against TCP where it is fastest, on one CPU
rr-1cpu              rr1-plain   rr1-ring    1    trips/s  spinning allowed where it cannot help: both on one CPU
rr-asleep            rr1-plain   rr1-asleep  2.2  trips/s  64-byte request-response, XVMC_SPIN_US=0, one CPU
rr-asleep-2cpu       rr2-plain   rr2-asleep  2.2  trips/s  the same, two CPUs: mostly the cost of waking a CPU
stream-64k           64k2-plain  64k2-ring   2    Gbit/s   one direction, 64 KiB writes
stream-64k-1cpu      64k1-plain  64k1-ring   2    Gbit/s   the same, one CPU
stream-1k            1k2-plain   1k2-ring    4    Gbit/s   one direction, 1 KiB writes
stream-1k-1cpu       1k1-plain   1k1-ring    4    Gbit/s   the same, one CPU
redis-c1             c1_2-plain  c1_2-ring   2    req/s    redis-benchmark -c 1, set and get
redis-c1-1cpu        c1_1-plain  c1_1-ring   2    req/s    the same, one CPU
redis-c50            c50_2-plain c50_2-ring  1.4  req/s    redis-benchmark -c 50 -P 1, set and get
redis-c50-1cpu       c50_1-plain c50_1-ring  1.4  req/s    the same, one CPU
unix-rr              rr2-unix    rr2-ring    1    trips/s  against AF_UNIX: request-response, spinning
unix-rr-asleep       rr1-unix    rr1-asleep  1    trips/s  against AF_UNIX: XVMC_SPIN_US=0, one CPU
unix-rr-asleep-2cpu  rr2-unix    rr2-asleep  1    trips/s  against AF_UNIX: XVMC_SPIN_US=0, two CPUs
unix-stream-64k      64k2-unix   64k2-ring   1    Gbit/s   against AF_UNIX: 64 KiB writes
unix-stream-64k-1cpu 64k1-unix   64k1-ring   1    Gbit/s   the same, one CPU
unix-stream-1k       1k2-unix    1k2-ring    1    Gbit/s   against AF_UNIX: 1 KiB writes
unix-stream-1k-1cpu  1k1-unix    1k1-ring    1    Gbit/s   the same, one CPU
half-client          rr1-plain   rr1-client  0.97 trips/s  only the client under xvmc-run: not accelerated
half-server          rr1-plain   rr1-server  0.97 trips/s  only the server under xvmc-run: not accelerated
crr                  crr1-plain  crr1-both   0.97 conns/s  connect, request, response, close
idle                 idle-plain  idle-ring   -    ms/s     CPU time of both processes, 16 idle connections
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
		exit 0
		;;
	--help)
		help
		exit 0
		;;
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
trap 'exit 1' INT TERM HUP

# Two of the CPUs we may use; the server stays on one, the client joins it
# or not.
cpus=$(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' | awk -F - '
	{ for (i = $1; i <= ($2 == "" ? $1 : $2) && n < 2; i++) { print i; n++ } }')
client_cpu=$(echo "$cpus" | sed -n 1p)
server_cpu=$(echo "$cpus" | sed -n 2p)
[ -n "$server_cpu" ] || die "wants two CPUs"

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
sides=$(awk '{ print $2; print $3 }' "$tmp/patterns" | sort -u)
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

# The first number behind a key of a JSON text.
number() {
	sed -n "s/.*\"$1\": *\\([0-9.][0-9.]*\\).*/\\1/p" "$2" | head -n 1
}

# Bytes that have gone through rings so far.
ring_bytes() {
	"$xvmc" stat --json 2>/dev/null | tr ',{}' '[\n*]' >"$tmp/stat"
	ring=$(number ring_tx_bytes "$tmp/stat")
	echo "${ring:-0}"
}

# as CPU HOW PROGRAM...: becomes the program. HOW is plain, ring, or asleep;
# always in a subshell, whose process it takes over.
as() {
	cpu=$1
	how=$2
	shift 2
	case $how in
	ring) set -- "$run" -- "$@" ;;
	asleep) set -- env XVMC_SPIN_US=0 "$run" -- "$@" ;;
	esac
	exec taskset -c "$cpu" "$@"
}

as_text() {
	case $1 in
	ring) printf 'xvmc-run -- ' ;;
	asleep) printf 'XVMC_SPIN_US=0 xvmc-run -- ' ;;
	esac
}

# Waits up to 10 s for a command to succeed.
wait_for() {
	tries=100
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

listening() {
	grep -q '^listening' "$tmp/server.$1"
}

# bench_server HOW: one for all rounds, its port in $tmp/port.HOW.
bench_server() {
	[ -e "$tmp/port.$1" ] && return 0
	: >"$tmp/server.$1"
	if [ "$1" = unix ]; then
		as "$server_cpu" plain "$bench" serve --family unix --path "$tmp/socket" \
			>"$tmp/server.$1" &
	else
		as "$server_cpu" "$1" "$bench" serve >"$tmp/server.$1" &
	fi
	pids="$pids $!"
	wait_for listening "$1" || die "the server does not start ($1)"
	sed -n 's/^listening //p' "$tmp/server.$1" >"$tmp/port.$1"
}

pong() {
	[ "$(redis-cli -p "$1" ping 2>/dev/null)" = PONG ]
}

redis_server() {
	[ -e "$tmp/port.redis-$1" ] && return 0
	port=$((20000 + $$ % 10000))
	[ "$1" = ring ] && port=$((port + 1))
	while pong $port; do
		port=$((port + 10))
	done
	as "$server_cpu" "$1" redis-server --port $port --bind 127.0.0.1 --save '' --appendonly no \
		--dir "$tmp" >"$tmp/redis.$1" 2>&1 &
	pids="$pids $!"
	wait_for pong $port || die "redis-server does not start: $(tail -n 1 "$tmp/redis.$1")"
	echo $port >"$tmp/port.redis-$1"
}

# note SIDE HOW SERVER-TEXT CLIENT WORDS...: the command, for the report.
note() {
	[ -e "$tmp/command.$1" ] && return
	noted=$1
	words="$(as_text "$2")$4"
	server_text=$3
	shift 4
	printf '%s %s  (server: %s)\n' "$words" "$*" "$server_text" >"$tmp/command.$noted"
}

# by_bench SIDE CPU SERVER HOW KEY ARGUMENTS...: one figure of xvmc-bench.
by_bench() {
	bench_side=$1
	client=$2
	server=$3
	client_how=$4
	key=$5
	shift 5
	bench_server "$server"
	if [ "$server" = unix ]; then
		set -- "$@" --family unix --path "$tmp/socket"
	else
		set -- "$@" --port "$(cat "$tmp/port.$server")"
	fi
	note "$bench_side" "$client_how" "$(as_text "$server")xvmc-bench serve" xvmc-bench "$@"
	(as "$client" "$client_how" "$bench" "$@") >"$tmp/out" 2>"$tmp/err" || return 1
	value=$(number "$key" "$tmp/out")
	moved=$(number bytes_moved "$tmp/out")
}

timed() {
	by_bench "$@" --seconds "$seconds" --warm 0.1
}

# by_redis SIDE CPU HOW REQUESTS-PER-SECOND ARGUMENTS...
by_redis() {
	redis_side=$1
	client=$2
	redis_how=$3
	requests=$(awk -v n="$4" -v s="$seconds" 'BEGIN { printf "%d", n * s }')
	shift 4
	redis_server "$redis_how"
	set -- redis-benchmark -p "$(cat "$tmp/port.redis-$redis_how")" "$@" \
		-n "$requests" -t set,get --csv
	note "$redis_side" "$redis_how" "$(as_text "$redis_how")redis-server" "$@"
	(as "$client" "$redis_how" "$@") >"$tmp/out" 2>"$tmp/err" || return 1
	# "SET","25000.00",...: both tests have the same number of requests.
	value=$(tr -d '"' <"$tmp/out" | awk -F, '
		$1 == "SET" || $1 == "GET" { n++; t += 1 / $2 }
		END { if (n == 2) printf "%.1f", 2 / t }')
	# A SET moves 50 bytes, a GET 45.
	moved=$((requests * 95))
}

by_idle() {
	by_bench "$1" "$client_cpu" "$2" "$2" seconds idle --seconds 2 --warm 0.3 \
		--connections 16 --trips 2000 || return 1
	# Both programs, user and system, per second.
	value=$(tr ',{}' '[\n*]' <"$tmp/out" | awk -F : '
		/cpu_user_s|cpu_sys_s/ { cpu += $2 }
		/"seconds"/ { t = $2 }
		END { printf "%.4f", cpu * 1000 / t }')
}

# One side, once: sets value, moved, and whether it is to be accelerated.
measure() {
	accelerated=no
	# How the server and the client run.
	case $1 in
	*-plain | *-again) set -- "$1" plain plain ;;
	*-unix) set -- "$1" unix plain ;;
	*-client) set -- "$1" plain ring ;;
	*-server) set -- "$1" ring plain ;;
	*-both) set -- "$1" ring ring ;;
	*-ring) set -- "$1" ring ring && accelerated=yes ;;
	*-asleep) set -- "$1" asleep asleep && accelerated=yes ;;
	esac
	case $1 in
	*1-*) on=$server_cpu ;;
	*) on=$client_cpu ;;
	esac
	case $1 in
	rr*) timed "$1" "$on" "$2" "$3" per_s rr --bytes 64 ;;
	64k*) timed "$1" "$on" "$2" "$3" gbit_s stream --bytes 64K ;;
	1k*) timed "$1" "$on" "$2" "$3" gbit_s stream --bytes 1K ;;
	crr*) timed "$1" "$on" "$2" "$3" per_s crr --bytes 64 ;;
	c1_1*) by_redis "$1" "$on" "$2" 50000 -c 1 ;;
	c1_2*) by_redis "$1" "$on" "$2" 15000 -c 1 ;;
	c50*) by_redis "$1" "$on" "$2" 60000 -c 50 -P 1 ;;
	idle*) by_idle "$1" "$2" ;;
	esac
}

enough_ring() {
	ring_grown=$(($(ring_bytes) - ring_before))
	[ "$ring_grown" -ge $((moved / 2)) ]
}

# One side of one round: a line in $tmp/values.SIDE, and in $tmp/trouble.SIDE
# what went wrong.
take() {
	value=
	moved=0
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
		idle-*) [ $round -eq 1 ] || continue ;;
		esac
		progress "round $round of $rounds: $side"
		take "$side"
	done
	round=$((round + 1))
done
progress ''

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
	echo "CPUs: servers on $server_cpu; clients there too (rr1, ...), or on $client_cpu (rr2, ...)."
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
			NR > 1 ? "," : "", $1, $12, $4, $2, $3
		printf "\"a_median\":%s,\"b_median\":%s,", $5, $6
		printf "\"ratio\":%s,\"ratio_min\":%s,\"ratio_max\":%s,\"target\":%s,\"result\":\"%s\"}", \
			idle ? "null" : $7, idle ? "null" : $8, idle ? "null" : $9, \
			$10 == "-" ? "null" : $10, $11
	}'
	printf '],"sides":['
	comma=
	for side in $sides; do
		touch "$tmp/values.$side"
		printf '%s{"side":"%s","command":"%s","values":[%s]}' "$comma" "$side" \
			"$(command_of "$side" | escaped)" \
			"$(awk '{ printf "%s%s", NR > 1 ? "," : "", $2 }' "$tmp/values.$side")"
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
