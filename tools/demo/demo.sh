#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The main job with programs nobody here wrote, and with a stream that is
# checked byte by byte while a domain migrates under it. Two domains, vm1 and
# vm2, on host A of a private xvmcd: iperf3, request-response, and redis
# between them, on plain TCP and accelerated; then 8 connections, both
# directions, at full load, while vm1 migrates to host B and back, again and
# again. A table, and one picture.
#
# What the figures are:
#   stream_gbps  one iperf3 stream, what the receiver got
#   rr_us        64-byte request-response on one connection, median round trip
#   redis_rps    redis-benchmark as it comes: 50 connections, no pipelining;
#                set and get. (The table has one connection too.)
#   ring_share   of all bytes of the checked stream, also of those sent while
#                the domains were on different hosts, where only TCP can be
#   switches     moves of one direction of one connection from one path to the
#                other while the stream ran
#   pause_ms     see pauses.awk: for each migration and each direction of each
#                connection, the longest time between two reads around the
#                moment the domain moved. The table has the same for moments at
#                which nothing happened: with so many threads on few CPUs, a
#                thread waits for its turn as well.
#
# Exit status 0: nothing lost, doubled, or wrong; every migration moved the
# connections to TCP when it parted the domains, and back to rings when it
# brought them together; most bytes went by ring; whatever was to be
# accelerated was. 2: wrong options.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
name=demo
build=$here/../../build
out=
json=no
seconds=14
connections=8
measure_s=2

help() {
	cat <<'END'
usage: demo.sh [--build DIR] [--out DIR] [--seconds N] [--json]

  --build DIR    where the programs were built (build)
  --out DIR      where demo.svg and demo.png go (BUILD/demo)
  --seconds N    how long the checked stream runs, 6 to 3600 (14)
  --json         one JSON object instead of the table
  --help
END
}

# shellcheck source=tools/demo/tmpdir.sh
. "$here/tmpdir.sh"
# shellcheck source=tools/demo/common.sh
. "$here/common.sh"
while [ $# -gt 0 ]; do
	case $1 in
	--build | --out | --seconds)
		want_value "$@"
		case $1 in
		--build) build=$2 ;;
		--out) out=$2 ;;
		--seconds)
			want_number "$1" "$2" 6 3600
			seconds=$2
			;;
		esac
		shift
		;;
	--json) json=yes ;;
	--help | -h)
		help
		exit 0
		;;
	*) bad_option "no such option: '$1'; see --help" ;;
	esac
	shift
done
for program in iperf3 redis-server redis-benchmark redis-cli gnuplot; do
	command -v $program >/dev/null || die "$program is missing; ./run demo installs it"
done

status=0
trouble() {
	progress ''
	echo "$name: $1" >&2
	status=1
}

# The same, and all that may explain it is kept.
unwell() {
	trouble "$1"
	[ -n "${keep:-}" ] || echo "$name: what happened is kept in $out/failed" >&2
	keep=$out/failed
}

steps=8
step=0
next_step() {
	step=$((step + 1))
	progress "demo $step/$steps: $1"
}

# What an accelerated measurement moves must go by ring: as many bytes at
# least as it took to win a ring.
ring_begin() {
	ring_before=$(counter ring_tx_bytes)
}

ring_end() { # plain|ring WHAT
	[ "$1" = ring ] || return
	ring_moved=$(($(counter ring_tx_bytes) - ring_before))
	[ $ring_moved -gt 65536 ] || trouble "$2 was not accelerated ($ring_moved bytes by ring)"
}

# ---- programs nobody here wrote, and one of ours ----

# shellcheck disable=SC2317 # called by wait_for
listening() { # FILE
	grep -qsi 'listening' "$1"
}

run_iperf() { # plain|ring
	port=$(free_port) || exit 1
	in_domain vm1 "$1" iperf3 --server --one-off --forceflush --bind 127.0.0.1 --port "$port" \
		>"$work/iperf-server.$1" 2>&1 &
	server=$!
	started $server
	wait_for 10 listening "$work/iperf-server.$1" || trouble "iperf3 does not start"
	ring_begin
	(in_domain vm2 "$1" timeout 30 iperf3 --client 127.0.0.1 --port "$port" --time $measure_s --json) \
		>"$work/iperf.$1" 2>&1 || trouble "iperf3 failed ($1): $(json_text error "$work/iperf.$1")"
	end $server
	ring_end "$1" iperf3
	# Of all bits_per_second, the one in sum_received.
	sed -n '/"sum_received"/,/}/p' "$work/iperf.$1" >"$work/iperf-sum"
	awk -v bits="$(json_number bits_per_second "$work/iperf-sum")" \
		'BEGIN { printf "%.2f\n", bits / 1e9 }' >"$work/figure.stream.$1"
}

json_text() { # KEY FILE
	sed -n "s/.*\"$1\":[[:space:]]*\"\\([^\"]*\\)\".*/\\1/p" "$2" | head -n 1
}

run_rr() { # plain|ring
	in_domain vm1 "$1" "$tools/bench/xvmc-bench" serve >"$work/rr-server.$1" 2>"$work/err" &
	server=$!
	started $server
	wait_for 10 listening "$work/rr-server.$1" || trouble "xvmc-bench serve does not start"
	port=$(sed -n 's/^listening //p' "$work/rr-server.$1")
	ring_begin
	(in_domain vm2 "$1" timeout 30 "$tools/bench/xvmc-bench" rr --bytes 64 --port "$port" \
		--seconds $measure_s) >"$work/rr.$1" 2>"$work/err" ||
		trouble "request-response failed ($1): $(tail -n 1 "$work/err")"
	end $server
	ring_end "$1" request-response
	rr=$(json_number p50_us "$work/rr.$1")
	echo "${rr:-0}" >"$work/figure.rr.$1"
}

# shellcheck disable=SC2317 # called by wait_for
pong() {
	[ "$(redis-cli -p "$1" ping 2>/dev/null)" = PONG ]
}

# Requests per second, set and get together.
redis_rate() { # plain|ring CONNECTIONS REQUESTS
	(in_domain vm2 "$1" timeout 60 redis-benchmark -p "$port" -c "$2" -n "$3" -t set,get --csv) \
		2>"$work/err" | tr -d '"' | awk -F , '
		$1 == "SET" || $1 == "GET" { n++; t += $2 > 0 ? 1 / $2 : 1e9 }
		END { printf "%d\n", n == 2 ? 2 / t : 0 }'
}

run_redis() { # plain|ring
	port=$(free_port) || exit 1
	in_domain vm1 "$1" redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no \
		--dir "$work" --daemonize no >"$work/redis.$1" 2>&1 &
	server=$!
	started $server
	wait_for 10 pong "$port" || trouble "redis-server does not start"
	for clients in 1 50; do
		rate=$(redis_rate "$1" $clients 4000)
		ring_begin
		# About as many requests as take so long.
		rate=$(redis_rate "$1" $clients $((rate * measure_s / 4 + 4000)))
		ring_end "$1" "redis-benchmark -c $clients"
		[ "$rate" -gt 0 ] || trouble "redis-benchmark -c $clients failed ($1): $(tail -n 1 "$work/err")"
		echo "$rate" >"$work/figure.redis$clients.$1"
	done
	end $server
}

# ---- the checked stream ----

# The plan for xvmc-shuttle: vm1 to B and back, so many times, prepared and
# unprepared. Twice as long with vm2 on A as away from it. Milliseconds from
# line to line; at full length 1100 and 1700.
plan() {
	awk -v s="$seconds" 'BEGIN {
		pairs = int((s - 2.5) / 2.8)
		if (pairs < 3) pairs = 3
		scale = (s - 2.5) / 2.8 / pairs
		precopy = int(200 * (scale < 1 ? scale : 1))
		away = 1100 * scale
		together = 1700 * scale
		split("prepared unprepared", how)
		for (i = 0; i < pairs; i++) {
			printf "%d count\n0 migrate vm1 B %s %d\n", i ? together : 1500, how[i % 2 + 1], precopy
			printf "%d count\n0 migrate vm1 A %s %d\n", away, how[int(i / 2) % 2 + 1], precopy
		}
		printf "%d count\n0 wait\n", together * 0.7
	}'
}

run_stream() {
	in_domain vm1 ring "$tools/bench/xvmc-stream" serve --once --pauses "$work/pauses.server" \
		>"$work/stream-server" 2>"$work/stream-server.err" &
	server=$!
	started $server
	wait_for 10 listening "$work/stream-server" || die "xvmc-stream serve does not start"
	port=$(sed -n 's/^listening //p' "$work/stream-server")
	plan >"$work/plan"
	in_domain vm2 ring timeout $((seconds + 60)) "$tools/bench/xvmc-stream" run \
		--connect "127.0.0.1:$port" --connections $connections --seconds "$seconds" --json \
		--pauses "$work/pauses.client" >"$work/stream" 2>"$work/stream.err" &
	client=$!
	started $client
	timeout $((seconds + 60)) "$tools/demo/xvmc-shuttle" --samples "$work/samples" \
		--every-ms 50 --events "$work/events" <"$work/plan" 2>"$work/shuttle.err" &
	shuttle=$!
	started $shuttle
	step=$((step + 1))
	said=
	while alive $client; do
		moves=$(grep -c ',migrate,' "$work/events" 2>/dev/null)
		# On a terminal always, else when there is news.
		if [ -t 2 ] || [ "$moves" != "$said" ]; then
			progress "demo $step/$steps: checked stream, $seconds s at full load; vm1 has migrated ${moves:-0} times"
			said=$moves
		fi
		sleep 0.5
	done
	wait $client || unwell "the checked stream failed (seed $(sed -n 's/^seed //p' "$work/stream.err")): $(sed '/^seed/d' "$work/stream.err" | head -n 1)"
	await $shuttle 30 || trouble "the migrations failed: $(tail -n 1 "$work/shuttle.err")"
	await $server 10 || unwell "xvmc-stream serve failed: $(tail -n 1 "$work/stream-server.err")"
}

# ---- what came of it ----

# Files of KEY=VALUE for the shell.
judge() {
	awk -f "$here/judge.awk" -v directions=$((2 * connections)) "$work/samples" "$work/events" \
		>"$work/judged" || return 1
	for side in client server; do
		sed "s/\$/,$side/" "$work/pauses.$side" 2>/dev/null
	done >"$work/pauses"
	awk -f "$here/pauses.awk" -v directions=$((2 * connections)) "$work/events" "$work/pauses" \
		>>"$work/judged"
	sed -n 's/^trouble //p' "$work/judged" >"$work/troubles"
	while read -r line; do
		trouble "$line"
	done <"$work/troubles"
	sed '/^trouble /d' "$work/judged" >"$work/figures"
}

figure() { # NAME
	sed -n "s/^$1=//p" "$work/figures"
}

measured() { # WHAT plain|ring
	cat "$work/figure.$1.$2" 2>/dev/null || echo 0
}

ratio() { # WHAT [down: less is better]
	awk -v a="$(measured "$1" plain)" -v b="$(measured "$1" ring)" -v down="${2:-}" \
		'BEGIN { r = down ? (b > 0 ? a / b : 0) : (a > 0 ? b / a : 0); printf "%.2f", r }'
}

bytes() { # lost, ...
	n=$(json_number "bytes_$1" "$work/stream")
	echo "${n:-0}"
}

lost() {
	echo $(($(bytes lost) + $(bytes truncated)))
}

triple() { # KEY WHAT [down]
	printf '"%s":{"tcp":%s,"ring":%s,"ratio":%s}' "$1" "$(measured "$2" plain)" \
		"$(measured "$2" ring)" "$(ratio "$2" "${3:-}")"
}

print_json() {
	printf '{%s,%s,%s,' "$(triple stream_gbps stream)" "$(triple rr_us rr down |
		sed 's/"tcp"/"tcp_p50"/; s/"ring"/"ring_p50"/')" "$(triple redis_rps redis50)"
	printf '"migrations":%s,"switches":%s,"bytes_verified":%s,"bytes_lost":%s,"bytes_duplicated":%s,' \
		"$(figure migrations)" "$(figure switches)" "$(bytes verified)" "$(lost)" "$(bytes duplicated)"
	printf '"ring_share":%s,"pause_ms":{"p50":%s,"p99":%s,"max":%s}}\n' \
		"$(figure ring_share)" "$(figure pause_p50)" "$(figure pause_p99)" "$(figure pause_max)"
}

row() { # TEXT UNIT WHAT [down]
	printf '%-32s %-8s %12s %12s %7sx\n' "$1" "$2" "$(measured "$3" plain)" "$(measured "$3" ring)" \
		"$(ratio "$3" "${4:-}")"
}

pause_row() { # TEXT PREFIX
	printf '  %-44s %8s %8s %8s\n' "$1" "$(figure "$2_p50")" "$(figure "$2_p99")" "$(figure "$2_max")"
}

print_table() {
	printf '%-32s %-8s %12s %12s %8s\n' 'between vm1 and vm2 on host A' '' 'TCP' 'rings' 'better'
	row 'iperf3, one stream' Gbit/s stream
	row 'request-response, 64 B, median' us rr down
	row 'redis-benchmark -c 1' req/s redis1
	row 'redis-benchmark -c 50' req/s redis50
	cat <<END

checked stream: $connections connections, both directions, $seconds s; vm1 migrated $(figure migrations) times
  bytes verified $(bytes verified), lost $(lost), doubled $(bytes duplicated), wrong $(($(bytes corrupted) + $(bytes reordered)))
  by ring: $(percent ring_share) of all bytes, $(percent ring_share_together) of those sent with both on host A
  directions moved: $(figure to_tcp) to TCP, $(figure to_ring) to rings, by $(figure migrations) migrations and the start
END
	printf '  %-44s %8s %8s %8s\n' 'longest pause of each connection, ms:' median p99 max
	pause_row 'when vm1 moved' pause
	pause_row 'when nothing happened, by ring' quiet_ring
	pause_row 'when nothing happened, by TCP' quiet_tcp
	echo
	echo "picture: $out/demo.svg and demo.png"
}

percent() { # NAME
	awk -v x="$(figure "$1")" 'BEGIN { printf "%.0f %%", 100 * x }'
}

picture() {
	if ! awk -f "$here/picture.awk" -v data="$work/series" "$work/events" "$work/samples" \
		>"$work/marks.gp" ||
		! (cd "$work" && gnuplot -e "title='$1'" "$here/picture.gp") >"$work/gnuplot.log" 2>&1 ||
		! cp "$work/demo.svg" "$work/demo.png" "$out/"; then
		trouble "no picture: $(tail -n 1 "$work/gnuplot.log")"
	fi
}

session_begin
out=${out:-$build/demo}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
start_xvmcd
for domain in vm1 vm2; do
	"$tools/xvmc" create $domain A >"$work/err" 2>&1 || die "$(cat "$work/err")"
done
for how in plain ring; do
	case $how in
	plain) by='plain TCP' ;;
	ring) by='accelerated' ;;
	esac
	next_step "iperf3, $by"
	run_iperf $how
	next_step "request-response, $by"
	run_rr $how
	next_step "redis, $by"
	run_redis $how
done
run_stream
judge || die "no figures"
next_step "picture"
picture "$connections checked connections between vm1 and vm2 at full load: vm1 migrates, vm2 stays on host A"
progress ''
if [ $json = yes ]; then
	print_json
else
	print_table
fi
exit $status
