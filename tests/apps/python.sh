# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='asyncio: an echo server and its clients; http.server and urllib'
app_programs='python3 cmp'
app_short=yes

app_version() {
	python3 --version
}

urllib_fetches() {
	client 60 python3 "$here/fetch.py" "http://127.0.0.1:$port/big" "$dir/got" &&
		same "$dir/www/big" "$dir/got"
}

app_run() {
	serve server python3 -u "$here/echo.py" serve
	wait_for 15 grep -qs "^listening" "$dir/server"
	result $? "asyncio: listens" "$dir/server"
	port=$(sed -n 's/^listening //p' "$dir/server")
	check_by_ring 800000000 "asyncio: 8 connections, 50 MB each, echoed" client 60 python3 "$here/echo.py" stream "$port"
	check_by_ring 1000000 "asyncio: 5 connections, 2000 round trips each" client 60 python3 "$here/echo.py" trips "$port"
	end_server server

	port=$(free_port) || exit 1
	mkdir "$dir/www"
	random_file "$dir/www/big" 50000000
	serve http python3 -u -m http.server "$port" --bind 127.0.0.1 --directory "$dir/www"
	wait_listening "$port" http
	check_by_ring 50000000 "urllib, 50 MB" urllib_fetches
	end_server http
}
