# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='memcached with four threads: values of all sizes set and got, by connections that check them'
app_programs='memcached python3'

app_version() {
	memcached --version
}

app_run() {
	port=$(free_port) || exit 1
	serve server memcached -u "$(id -un)" -l 127.0.0.1 -p "$port" -U 0 -t 4 -m 256
	wait_listening "$port" server
	check "8 connections, 2000 small values each" client 60 python3 "$here/memcached.py" "$port" 8 2000 200
	by_ring 3000000
	check "4 connections, 200 values of up to 500 KB each" client 60 python3 "$here/memcached.py" "$port" 4 200 500000
	by_ring 300000000
	check "counting by 8 connections" client 60 python3 "$here/memcached.py" "$port" 8 2000 0
	by_ring 500000
	end_server server
}
