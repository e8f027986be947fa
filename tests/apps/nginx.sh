# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='nginx with forked workers; wrk, curl; files with and without sendfile'
app_programs='nginx wrk curl cmp python3'
app_short=yes

app_version() {
	nginx -v
	wrk --version | head -n 1 | cut -d " " -f 1,2
	curl --version | head -n 1 | cut -d " " -f 1,2
}

nginx_config() {
	nginx_serving 2 <<END
	server { listen 127.0.0.1:$port; sendfile off; }
	server { listen 127.0.0.1:$port_sendfile; sendfile on; }
END
}

wrk_is_content() { # THREADS CONNECTIONS
	client 20 wrk -t "$1" -c "$2" -d 2s "http://127.0.0.1:$port/small" >"$dir/wrk" 2>&1 || return
	cat "$dir/wrk"
	requests=$(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' "$dir/wrk")
	[ "${requests:-0}" -gt 100 ] && ! grep -qE 'Socket errors|Non-2xx' "$dir/wrk"
}

fetch() { # PORT
	client 60 curl --silent --show-error --fail -o "$dir/big.got" "http://127.0.0.1:$1/big" &&
		same "$dir/www/big" "$dir/big.got"
}

# Standard input, which is small, so many times.
repeat() {
	python3 -c 'import sys; sys.stdout.buffer.write(sys.stdin.buffer.read() * int(sys.argv[1]))' "$1"
}

# 3000 requests over one connection.
fetch_many() {
	client 60 curl --silent --show-error --fail "http://127.0.0.1:$port/small?[1-3000]" >"$dir/many" &&
		repeat 3000 <"$dir/www/small" >"$dir/many.want" &&
		same "$dir/many" "$dir/many.want"
}

# As many connections as requests: too short for a ring.
fetch_short() {
	for i in 1 2 3 4 5 6 7 8 9 10; do
		client 20 curl --silent --show-error --fail "http://127.0.0.1:$port/small?$i" >"$dir/short" &&
			same "$dir/short" "$dir/www/small" || return
	done
}

# New workers take over, the old ones finish what they have.
reload() {
	in_domain vm2 "$(how)" timeout 60 curl --silent --show-error --fail --limit-rate 30M \
		-o "$dir/big.reload" "http://127.0.0.1:$port/big" >"$dir/reload" 2>&1 &
	reload_client=$!
	started $reload_client
	for i in 1 2 3; do
		sleep 0.3
		kill -HUP "$server"
	done
	if ! wait $reload_client; then
		cat "$dir/reload"
		return 1
	fi
	same "$dir/www/big" "$dir/big.reload"
}

app_run() {
	port=$(free_port) || exit 1
	port_sendfile=$(free_port) || exit 1
	mkdir "$dir/www"
	random_file "$dir/www/big" 50000000
	random_file "$dir/www/small" 1000
	nginx_config >"$dir/nginx.conf"
	serve server nginx -p "$dir" -c "$dir/nginx.conf"
	wait_listening "$port" server
	check "wrk, 16 connections" wrk_is_content 2 16
	by_ring $((${requests:-0} * 1000))
	check_by_ring 50000000 "curl, 50 MB without sendfile" fetch "$port"
	check "curl, 50 MB with sendfile" fetch "$port_sendfile"
	not_by_ring
	check_by_ring 3000000 "curl, 3000 requests on one connection" fetch_many
	check "curl, 10 short connections" fetch_short
	not_by_ring
	check "reloads while it serves" reload
	not_by_ring # a reader this slow is on TCP most of the time
	check_by_ring 50000000 "curl, 50 MB from the new workers" fetch "$port"
	end_server server
}
