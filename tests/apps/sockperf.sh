# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='round trips, many at once, and a stream, with epoll, poll and select; content checked'
app_programs=sockperf

app_version() {
	sockperf --version | grep -m 1 version
}

# What was sent has been received, and was what it should be.
sockperf_is_whole() { # FILE
	cat "$1"
	grep -q 'Test ended' "$1" && ! grep -qiE 'data integrity test failed|error' "$1" &&
		! grep -q 'dropped messages = [1-9]' "$1"
}

sockperf_case() { # TEXT SUBCOMMAND OPTIONS...
	sockperf_text=$1
	shift
	client 30 sockperf "$@" --tcp -i 127.0.0.1 -p "$port" -t 1 >"$dir/client" 2>&1 </dev/null
	result $? "$sockperf_text: the client ends well" "$dir/client"
	check "$sockperf_text: all has come, and is right" sockperf_is_whole "$dir/client"
}

# Faster than a round trip in 1.7 us, sockperf has no room for what it sends, and gives
# up: so no more than 400,000 of them a second.
app_run() {
	for sockperf_by in epoll poll select; do
		port=$(free_port) || exit 1
		echo "T:127.0.0.1:$port" >"$dir/list"
		serve server sockperf server -f "$dir/list" -F $sockperf_by
		wait_listening "$port" server
		sockperf_case "$sockperf_by, round trips" ping-pong --mps 400000 --data-integrity -m 200
		by_ring 1000000
		sockperf_case "$sockperf_by, sizes at random" ping-pong --mps 400000 -m 2000 -r 1900
		by_ring 1000000
		sockperf_case "$sockperf_by, 5000 messages a second" under-load --mps 5000 -m 300 --reply-every 1
		by_ring 1000000
		sockperf_case "$sockperf_by, one way" throughput -m 1400
		by_ring 10000000
		end_server server
	done
}
