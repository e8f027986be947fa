# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='Apache ab against nginx: connections kept and not kept, posts'
app_programs='ab nginx'

app_version() {
	ab -V | sed -n 's/.*\(ApacheBench, Version [0-9.]*\).*/\1/p'
	nginx -v
}

ab_config() {
	nginx_serving 1 <<END
	server {
		listen 127.0.0.1:$port;
		sendfile off;
		location = /post { return 200 "taken"; }
	}
END
}

ab_case() { # TEXT REQUESTS OPTIONS...
	ab_text=$1
	ab_n=$2
	shift 2
	client 60 ab -q -n "$ab_n" "$@" >"$dir/ab" 2>&1
	result $? "$ab_text: ab ends well" "$dir/ab"
	check "$ab_text: every request was answered in full" ab_is_whole
}

ab_is_whole() {
	cat "$dir/ab"
	grep -q "^Complete requests: *$ab_n\$" "$dir/ab" && grep -q '^Failed requests: *0$' "$dir/ab" &&
		! grep -q '^Non-2xx' "$dir/ab"
}

app_run() {
	port=$(free_port) || exit 1
	mkdir "$dir/www"
	random_file "$dir/www/page" 20000
	random_file "$dir/www/upload" 100000
	ab_config >"$dir/nginx.conf"
	serve server nginx -p "$dir" -c "$dir/nginx.conf"
	wait_listening "$port" server
	ab_case "20 connections that are kept" 40000 -c 20 -k "http://127.0.0.1:$port/page"
	by_ring 700000000
	ab_case "10 connections, none kept" 1000 -c 10 "http://127.0.0.1:$port/page"
	not_by_ring
	ab_case "posts of 100 KB" 1000 -c 10 -k -p "$dir/www/upload" "http://127.0.0.1:$port/post"
	by_ring 100000000
	end_server server
}
