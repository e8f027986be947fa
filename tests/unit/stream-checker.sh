#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the checked stream notice? xvmc-stream runs through faulty-proxy, which
# loses, doubles, reorders, alters bytes, mixes streams up, cuts a stream
# short, stalls it. Each must be noticed, named, and counted to the byte; and
# nothing must be found where nothing is wrong. Plain TCP only.
#
# usage: stream-checker.sh BUILD_DIR        (TAP on standard output)
set -u

if [ $# -ne 1 ]; then
	echo "usage: $0 BUILD_DIR" >&2
	exit 2
fi
stream=$1/tools/bench/xvmc-stream
proxy=$1/tools/bench/faulty-proxy
tmp=$(mktemp -d) || exit 1
tests=0
failures=0
server_pid=
proxy_pid=

stop() {
	if [ -n "$1" ]; then
		kill "$1" 2>/dev/null
		wait "$1" 2>/dev/null
	fi
}

finish() {
	stop "$proxy_pid"
	stop "$server_pid"
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP PIPE

# The port a program has written to the file as 'listening PORT'.
port_of() {
	tries=100
	while [ $tries -gt 0 ]; do
		port=$(sed -n 's/^listening //p' "$1")
		if [ -n "$port" ]; then
			echo "$port"
			return
		fi
		sleep 0.05
		tries=$((tries - 1))
	done
	echo "Bail out! nothing listens"
	exit 1
}

start_server() {
	stop "$server_pid"
	"$stream" serve >"$tmp/server" 2>"$tmp/server.err" &
	server_pid=$!
	server_port=$(port_of "$tmp/server") || exit 1
}

# run_through "PROXY OPTIONS" "RUN OPTIONS": sets status; result in $tmp/json.
run_through() {
	: >"$tmp/proxy"
	# The options are words.
	# shellcheck disable=SC2086
	"$proxy" --connect "127.0.0.1:$server_port" --at 200000 $1 >"$tmp/proxy" 2>"$tmp/proxy.err" &
	proxy_pid=$!
	proxy_port=$(port_of "$tmp/proxy") || exit 1
	# shellcheck disable=SC2086
	timeout 60 "$stream" run --connect "127.0.0.1:$proxy_port" --json --seed 7 \
		--seconds 0.5 --connections 4 $2 >"$tmp/json" 2>"$tmp/err"
	status=$?
	stop "$proxy_pid"
	proxy_pid=
}

# One of the totals of the result, which come before the rows.
counter() {
	sed "s/\"rows\".*//" "$tmp/json" | sed -n "s/.*\"bytes_$1\":\\([0-9]*\\).*/\\1/p"
}

say() {
	tests=$((tests + 1))
	if [ "$1" = ok ]; then
		echo "ok $tests - $2"
		return
	fi
	failures=$((failures + 1))
	echo "not ok $tests - $2"
	sed 's/^/# /' "$tmp/err" "$tmp/server.err" | tail -n 30
	sed 's/"rows".*//; s/^/# /' "$tmp/json"
}

# expect NAME STATUS [COUNTER=VALUE | COUNTER+]...: a counter not named must
# be 0; '+' wants more than 0.
expect() {
	name=$1
	good=ok
	[ "$status" -eq "$2" ] || good="exit status $status, not $2"
	shift 2
	for kind in lost duplicated reordered corrupted crossed truncated; do
		want=0
		for word in "$@"; do
			case $word in
			"$kind="*) want=${word#*=} ;;
			"$kind+") want=+ ;;
			esac
		done
		got=$(counter "$kind")
		case $want in
		+) [ "${got:-0}" -gt 0 ] || good="bytes_$kind is '$got'" ;;
		*) [ "${got:-none}" = "$want" ] || good="bytes_$kind is '$got', not $want" ;;
		esac
	done
	if [ "$good" = ok ]; then
		say ok "$name"
	else
		say no "$name: $good"
	fi
}

# A stall has no totals: status, and the positions on standard error.
expect_stalled() {
	if [ "$status" -eq 3 ] && grep -q 'stalled' "$tmp/err" &&
		grep -q 'here: *connection 0' "$tmp/err" &&
		grep -q 'there: *connection 0' "$tmp/err" &&
		grep -q '"stalled":true' "$tmp/json"; then
		say ok "$1"
	else
		say no "$1: exit status $status, not 3, or no positions"
	fi
}

expect_usage() {
	lines=$(wc -l <"$tmp/err")
	if [ "$status" -eq 2 ] && [ "$lines" -eq 1 ]; then
		say ok "$1"
	else
		say no "$1: exit status $status, $lines lines"
	fi
}

start_server

run_through "--fault none" ""
expect "nothing wrong" 0
if [ "$(counter verified)" -gt 1000000 ]; then
	say ok "and much verified"
else
	say no "and much verified"
fi
run_through "--fault none" "--mode rr"
expect "nothing wrong, request-response" 0
run_through "--fault none" "--mode mixed --connections 16"
expect "nothing wrong, mixed, 16 connections" 0
run_through "--fault none" "--rate 20M"
expect "nothing wrong, slowed down" 0

# Ended long before its time, at both ends.
for mode in stream rr mixed; do
	: >"$tmp/json"
	timeout 60 "$stream" run --connect "127.0.0.1:$server_port" --json --seed 7 \
		--seconds 50 --connections 4 --mode $mode >"$tmp/json" 2>"$tmp/err" &
	run_pid=$!
	sleep 1
	kill -USR1 "$(ps -o pid= --ppid $run_pid | tr -d ' ')"
	wait $run_pid
	status=$?
	expect "told to end early, $mode" 0
	if [ "$(counter verified)" -gt 10000 ] &&
		sed -n 's/.*"seconds":\([0-9]*\)\..*/\1/p' "$tmp/json" | head -n 1 | awk '{ exit !($1 < 40) }'; then
		say ok "and ended early, $mode"
	else
		say no "and ended early, $mode"
	fi
done

for direction in up down; do
	to="--direction $direction"
	for length in 1 7 8 1000 300000; do
		run_through "--fault lose --length $length $to" ""
		expect "lost $length $direction" 1 lost=$length
		run_through "--fault duplicate --length $length $to" ""
		expect "duplicated $length $direction" 1 duplicated=$length
		run_through "--fault corrupt --length $length $to" ""
		expect "corrupted $length $direction" 1 corrupted=$length
	done
	for length in 16 1000 300000; do
		run_through "--fault reorder --length $length $to" ""
		expect "reordered $length $direction" 1 reordered=$length
	done
	# Less than an aligned word cannot be told from bytes altered.
	run_through "--fault reorder --length 1 $to" ""
	expect "two bytes swapped $direction" 1 corrupted=2
	run_through "--fault insert --length 999 $to" ""
	expect "999 foreign bytes $direction" 1 corrupted=999
	run_through "--fault cross --length 1000 $to" ""
	expect "bytes of another connection $direction" 1 corrupted+ crossed+
	run_through "--fault truncate $to" ""
	expect "cut short $direction" 1 lost+ truncated+
	run_through "--fault stall $to" "--stall 1"
	expect_stalled "stalled $direction"
	run_through "--fault lose --connection 2 --at 20000 $to" "--stall 1 --mode rr"
	expect_stalled "lost in request-response: a stall $direction"
done
for connection in 1 2 3 4; do
	run_through "--fault lose --length 5 --connection $connection" ""
	expect "lost on connection $connection" 1 lost=5
done
run_through "--fault reset" ""
if [ "$status" -eq 1 ] && grep -q 'errno":104' "$tmp/json"; then
	say ok "reset"
else
	say no "reset: exit status $status, or no ECONNRESET"
fi
run_through "--fault none" ""
expect "nothing wrong after all this, same server" 0

for words in "" "walk" "run" "run --connect nowhere" "run --seed" "run --connections 0 --connect [::1]:1" \
	"run --mode fast --connect 127.0.0.1:1" "run --what" "serve me" "run --seconds x"; do
	# shellcheck disable=SC2086
	"$stream" $words >"$tmp/json" 2>"$tmp/err"
	status=$?
	expect_usage "wrong options: '$words'"
done

echo "1..$tests"
[ "$failures" -eq 0 ]
