# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='files there and back, an echo, a relay of a relay, half-closed ends'
app_programs='socat cmp'

app_version() {
	socat -V | sed -n 's/^\(socat version [0-9.]*\).*/\1/p'
}

# One connection: what the client's standard input holds comes out at the
# server, and what the server's file holds at the client, until both have ended.
both_ways() { # BLOCK
	port=$(free_port) || return
	in_domain vm1 "$(how)" timeout -k 2 60 socat -b "$1" -t 20 "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr" \
		"OPEN:$dir/up!!CREATE:$dir/down.got" >"$dir/server" 2>&1 &
	server=$!
	started $server
	wait_for 15 listens "$port" || return
	client 60 socat -b "$1" -t 20 "OPEN:$dir/down!!CREATE:$dir/up.got" "TCP:127.0.0.1:$port" || return
	await "$server" 10 || return
	same "$dir/up" "$dir/up.got" && same "$dir/down" "$dir/down.got"
}

# The far end is another program: what goes in comes back.
echoes() { # PORT
	client 60 socat -t 20 - "TCP:127.0.0.1:$1" <"$dir/down" >"$dir/echo.got" &&
		same "$dir/down" "$dir/echo.got"
}

app_run() {
	random_file "$dir/up" 50000000
	random_file "$dir/down" 40000000
	check "two files at once, each its way" both_ways 8192
	by_ring 90000000
	check "the same in pieces of a prime length" both_ways 1009
	by_ring 90000000
	port=$(free_port) || exit 1
	serve server socat "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork" EXEC:cat
	wait_listening "$port" server
	check "an echo by a child for each connection" echoes "$port"
	not_by_ring
	relay=$(free_port) || exit 1
	in_domain vm2 "$(how)" socat "TCP-LISTEN:$relay,bind=127.0.0.1,reuseaddr" "TCP:127.0.0.1:$port" \
		>"$dir/relay" 2>&1 &
	relay_pid=$!
	started $relay_pid
	wait_listening "$relay" relay
	check "the echo through a relay" echoes "$relay"
	not_by_ring
	await $relay_pid 10
	result $? "the relay ends with its connection" "$dir/relay"
	end_server server
}
