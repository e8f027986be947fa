# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='a file from the server, a file to it, both at once'
app_programs='ncat cmp'

# ncat_case TEXT FILE-OF-SERVER FILE-OF-CLIENT: each sends its file, or
# nothing if it is empty; each must get the other's, and both must end.
ncat_case() {
	ncat_text=$1
	port=$(free_port)
	in_domain vm1 "$(how)" timeout -k 2 40 ncat --listen 127.0.0.1 "$port" <"$2" >"$dir/server.got" \
		2>"$dir/server" &
	server=$!
	started $server
	wait_listening "$port" server
	client 40 ncat 127.0.0.1 "$port" <"$3" >"$dir/client.got" 2>"$dir/client"
	result $? "$ncat_text: the client ends well" "$dir/client"
	await "$server" 10
	result $? "$ncat_text: the server ends well" "$dir/server"
	check "$ncat_text: the client got what was sent" same "$2" "$dir/client.got"
	check "$ncat_text: the server got what was sent" same "$3" "$dir/server.got"
	by_ring "$(cat "$2" "$3" | wc -c)"
}

app_run() {
	: >"$dir/none"
	random_file "$dir/one" 50000000
	random_file "$dir/other" 50000000
	ncat_case "to the client" "$dir/one" "$dir/none"
	ncat_case "to the server" "$dir/none" "$dir/one"
	ncat_case "both ways" "$dir/one" "$dir/other"
}
