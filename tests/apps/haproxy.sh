# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='haproxy with two threads before nginx: HTTP and plain TCP, wrk and curl'
app_programs='haproxy nginx wrk curl cmp'

app_version() {
	haproxy -v | head -n 1 | cut -d ' ' -f 1-3
	nginx -v
}

haproxy_nginx_config() {
	nginx_serving 1 <<END
	server { listen 127.0.0.1:$port_behind; sendfile off; }
END
}

haproxy_config() {
	cat <<END
global
	nbthread 2
	maxconn 200
defaults
	timeout connect 10s
	timeout client 30s
	timeout server 30s
	option http-keep-alive
frontend web
	mode http
	bind 127.0.0.1:$port
	default_backend web
backend web
	mode http
	http-reuse always
	server nginx 127.0.0.1:$port_behind
listen tunnel
	mode tcp
	bind 127.0.0.1:$port_tunnel
	server nginx 127.0.0.1:$port_behind
END
}

haproxy_wrk() { # PORT
	client 20 wrk -t 2 -c 8 -d 2s "http://127.0.0.1:$1/small" >"$dir/wrk" 2>&1 || return
	cat "$dir/wrk"
	requests=$(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' "$dir/wrk")
	[ "${requests:-0}" -gt 100 ] && ! grep -qE 'Socket errors|Non-2xx' "$dir/wrk"
}

haproxy_fetch() { # PORT
	client 60 curl --silent --show-error --fail -o "$dir/big.got" "http://127.0.0.1:$1/big" &&
		same "$dir/www/big" "$dir/big.got"
}

# 1000 requests over one connection, each the same file.
haproxy_fetch_many() {
	client 60 curl --silent --show-error --fail "http://127.0.0.1:$port/small?[1-1000]" >"$dir/many" &&
		for _ in 1 2 3 4 5 6 7 8 9 10; do cat "$dir/www/small"; done >"$dir/ten" &&
		for _ in 1 2 3 4 5 6 7 8 9 10; do cat "$dir/ten"; done >"$dir/hundred" &&
		for _ in 1 2 3 4 5 6 7 8 9 10; do cat "$dir/hundred"; done >"$dir/many.want" &&
		same "$dir/many" "$dir/many.want"
}

app_run() {
	port=$(free_port) || exit 1
	port_behind=$(free_port) || exit 1
	port_tunnel=$(free_port) || exit 1
	mkdir "$dir/www"
	random_file "$dir/www/big" 50000000
	random_file "$dir/www/small" 1000
	haproxy_nginx_config >"$dir/nginx.conf"
	haproxy_config >"$dir/haproxy.cfg"
	serve nginx nginx -p "$dir" -c "$dir/nginx.conf"
	nginx=$server
	wait_listening "$port_behind" nginx
	serve server haproxy -db -f "$dir/haproxy.cfg"
	wait_listening "$port" server
	check "wrk, 8 connections, HTTP" haproxy_wrk "$port"
	by_ring $((${requests:-0} * 2000))
	check "wrk, 8 connections, TCP" haproxy_wrk "$port_tunnel"
	by_ring $((${requests:-0} * 2000))
	check "curl, 50 MB, HTTP" haproxy_fetch "$port"
	by_ring 100000000
	check "curl, 50 MB, TCP" haproxy_fetch "$port_tunnel"
	by_ring 100000000
	check "curl, 1000 requests on one connection" haproxy_fetch_many
	by_ring 2000000
	end_server server
	server=$nginx
	end_server nginx
}
