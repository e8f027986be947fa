# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='TLS: curl from nginx, and from openssl s_server'
app_programs='nginx curl openssl cmp'

app_version() {
	openssl version | cut -d ' ' -f 1,2
	nginx -v
	curl --version | head -n 1 | cut -d ' ' -f 1,2
}

tls_nginx_config() {
	nginx_serving 2 <<END
	ssl_certificate $dir/cert.pem;
	ssl_certificate_key $dir/key.pem;
	server { listen 127.0.0.1:$port ssl; }
END
}

tls_curl() { # SECONDS ARGUMENTS...
	tls_s=$1
	shift
	client "$tls_s" curl --silent --show-error --fail --cacert "$dir/cert.pem" "$@"
}

tls_fetch() { # PORT
	tls_curl 60 -o "$dir/big.got" "https://localhost:$1/big" && same "$dir/www/big" "$dir/big.got"
}

tls_fetch_many() {
	tls_curl 60 "https://localhost:$port/small?[1-1000]" >"$dir/many" || return
	n=0
	while [ $n -lt 1000 ]; do
		cat "$dir/www/small"
		n=$((n + 1))
	done >"$dir/many.want"
	same "$dir/many" "$dir/many.want"
}

app_run() {
	port=$(free_port) || exit 1
	port_openssl=$(free_port) || exit 1
	mkdir "$dir/www"
	random_file "$dir/www/big" 200000000
	random_file "$dir/www/small" 1000
	check "a certificate" openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost -keyout "$dir/key.pem" -out "$dir/cert.pem"
	tls_nginx_config >"$dir/nginx.conf"
	serve server nginx -p "$dir" -c "$dir/nginx.conf"
	wait_listening "$port" server
	check "curl, 200 MB from nginx" tls_fetch "$port"
	by_ring 200000000
	check "curl, 1000 requests on one connection to nginx" tls_fetch_many
	by_ring 1000000
	end_server server

	serve s_server sh -c "cd '$dir/www' && exec openssl s_server -quiet -WWW -accept 127.0.0.1:$port_openssl \
		-cert '$dir/cert.pem' -key '$dir/key.pem'"
	wait_listening "$port_openssl" s_server
	check "curl, 200 MB from s_server" tls_curl 60 --http0.9 -o "$dir/big.got" "https://localhost:$port_openssl/big"
	check "curl, 200 MB from s_server: the same" same "$dir/www/big" "$dir/big.got"
	by_ring 200000000
	end_server s_server
}
