# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='a file from the server, and a file to it'
app_programs='ncat cmp'
app_short=yes

app_version() {
	ncat --version | head -n 1
}

# ncat_case TEXT SERVER-OPTION CLIENT-OPTION: one sends, the other receives.
# (Without these options ncat may end before it has sent all, on plain TCP.)
ncat_case() {
	ncat_text=$1
	port=$(free_port) || exit 1
	in_domain vm1 "$(how)" timeout -k 2 40 ncat --listen 127.0.0.1 "$port" "$2" <"$dir/file" \
		>"$dir/server.got" 2>"$dir/server" &
	server=$!
	started $server
	wait_listening "$port" server
	client 40 ncat 127.0.0.1 "$port" "$3" <"$dir/file" >"$dir/client.got" 2>"$dir/client"
	result $? "$ncat_text: the client ends well" "$dir/client"
	await "$server" 10
	result $? "$ncat_text: the server ends well" "$dir/server"
	cat "$dir/client.got" "$dir/server.got" >"$dir/got"
	check "$ncat_text: what was sent has come" same "$dir/file" "$dir/got"
	by_ring 200000000
}

app_run() {
	random_file "$dir/file" 200000000
	ncat_case "to the client" --send-only --recv-only
	ncat_case "to the server" --recv-only --send-only
}
