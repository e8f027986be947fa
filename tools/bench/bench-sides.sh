# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# The sides that bench.sh compares: how each program is started, where, and
# which figure is taken from what it prints. Read by bench.sh, which sets
# tmp, pids, bench, run, seconds, client_cpu and server_cpu, and uses value,
# moved, accelerated and told, the bytes by ring where the program counts them.
: "${tmp:?}" "${bench:?}" "${run:?}" "${seconds:?}" "${client_cpu:?}" "${server_cpu:?}"

# The first number behind a key of a JSON text.
number() {
	sed -n "s/.*\"$1\": *\\([0-9.][0-9.]*\\).*/\\1/p" "$2" | head -n 1
}

# as CPU HOW PROGRAM...: becomes the program. HOW is plain, ring, wide (ring,
# not pinned), or asleep; always in a subshell, whose process it takes over.
as() {
	cpu=$1
	how=$2
	shift 2
	[ "$how" = wide ] && cpu=$client_cpu,$server_cpu
	case $how in
	ring | wide) set -- "$run" -- "$@" ;;
	asleep) set -- env XVMC_SPIN_US=0 "$run" -- "$@" ;;
	esac
	exec taskset -c "$cpu" "$@"
}

as_text() {
	case $1 in
	ring | wide) printf 'xvmc-run -- ' ;;
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

# by_wait SIDE HOW CONNECTIONS: idle ones beside 10 active ones. As many of
# them are on rings as there are descriptors for.
by_wait() {
	note "$1" "$2" "its own" xvmc-bench wait --connections "$3"
	(case $1 in
	*-young) export XVMC_MIN_OPS=1000 XVMC_MIN_BYTES=1000000000 ;;
	esac
	as "$client_cpu" "$2" "$bench" wait --connections "$3" --trips 40 \
		--seconds "$seconds" --warm 2) >"$tmp/out" 2>"$tmp/err" || return 1
	value=$(number per_ms "$tmp/out")
	moved=$(number bytes_moved "$tmp/out")
	told=$(number ring_bytes "$tmp/out")
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
	*w-ring | idle-ring | wait*-ring | wait*-young) set -- "$1" wide wide && accelerated=yes ;;
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
	c1_2*) by_redis "$1" "$on" "$2" 15000 -c 1 ;;
	c1_*) by_redis "$1" "$on" "$2" 100000 -c 1 ;;
	c50*) by_redis "$1" "$on" "$2" 150000 -c 50 -P 1 ;;
	idle*) by_idle "$1" "$2" ;;
	wait10-*) by_wait "$1" "$2" 0 ;;
	wait10k-*) by_wait "$1" "$2" 10000 ;;
	esac
}
