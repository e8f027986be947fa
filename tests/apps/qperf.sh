# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='a stream and round trips, several sizes'
app_programs=qperf

app_version() {
	qperf --version | head -n 1
}

qperf_says() { # TEST UNIT SIZE
	client 30 qperf 127.0.0.1 -lp "$port" -ip "$port_data" -t 1 -m "$3" "$1" >"$dir/client" 2>&1 </dev/null || {
		cat "$dir/client"
		return 1
	}
	cat "$dir/client"
	grep -qE "= +[0-9.]+ ($2)" "$dir/client"
}

app_run() {
	port=$(free_port) || exit 1
	port_data=$(free_port) || exit 1
	serve server qperf -lp "$port"
	wait_listening "$port" server
	for qperf_size in 1 1K 64K; do
		check "a stream of $qperf_size" qperf_says tcp_bw '[KMG]?B/sec|[KMG]?b/sec' $qperf_size
		by_ring 1000000
		check "round trips of $qperf_size" qperf_says tcp_lat '[mun]s|sec' $qperf_size
		by_ring 10000
	done
	end_server server
}
