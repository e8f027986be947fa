# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='streams: there, back, four at a time, both ways at once'
app_programs=iperf3
app_short=yes

app_version() {
	iperf3 --version | head -n 1 | cut -d " " -f 1,2
}

# Sent and received by one kind of stream agree, but for what was under way.
iperf_agrees() { # FILE SUFFIX
	iperf_sent=$(sed -n "/\"sum_sent$2\"/,/}/p" "$1" | sed -n 's/.*"bytes":[[:space:]]*\([0-9]*\).*/\1/p')
	iperf_got=$(sed -n "/\"sum_received$2\"/,/}/p" "$1" | sed -n 's/.*"bytes":[[:space:]]*\([0-9]*\).*/\1/p')
	echo "sent ${iperf_sent:-nothing}, received ${iperf_got:-nothing}"
	[ "${iperf_sent:-0}" -gt 1000000 ] && [ "$iperf_got" -le "$iperf_sent" ] &&
		[ "$iperf_got" -ge $((iperf_sent - iperf_sent / 20 - 16000000)) ]
}

iperf_case() { # TEXT OPTIONS...
	iperf_text=$1
	shift
	client 20 iperf3 --client 127.0.0.1 --port "$port" --time 1 --json "$@" >"$dir/iperf" 2>&1
	result $? "$iperf_text" "$dir/iperf"
	check "$iperf_text: what was sent was received" iperf_agrees "$dir/iperf" ''
	by_ring "${iperf_sent:-0}"
}

app_run() {
	port=$(free_port) || exit 1
	serve server iperf3 --server --bind 127.0.0.1 --port "$port"
	wait_listening "$port" server
	iperf_case "one stream"
	iperf_case "reverse" --reverse
	iperf_case "four streams" --parallel 4
	iperf_case "both ways" --bidir
	check "both ways: the way back too" iperf_agrees "$dir/iperf" _bidir_reverse
	iperf_case "small writes" --length 1K
	end_server server
}
