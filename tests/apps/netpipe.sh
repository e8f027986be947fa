# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='NetPIPE: round trips of all sizes up to 1 MB, their content checked'
app_programs=NPtcp

app_version() {
	dpkg-query -W -f 'NetPIPE ${Version}\n' netpipe-tcp
}

# netpipe_case TEXT OPTIONS...: both ends get the same.
netpipe_case() {
	netpipe_text=$1
	shift
	port=$(free_port) || exit 1
	in_domain vm1 "$(how)" timeout -k 2 60 NPtcp -P "$port" "$@" >"$dir/server" 2>&1 </dev/null &
	server=$!
	started $server
	wait_for 15 listens "$port"
	(cd "$dir" && client 60 NPtcp -h 127.0.0.1 -P "$port" "$@" -o "$dir/np.out") >"$dir/client" 2>&1
	result $? "$netpipe_text: the client ends well" "$dir/client"
	await "$server" 10
	result $? "$netpipe_text: the server ends well" "$dir/server"
}

# Every size was checked, up to the last one.
whole() { # FILE
	cat "$1"
	[ "$(grep -c ' times -->' "$1")" -gt 30 ] && grep -q ' 786433 bytes' "$1" &&
		! grep ' times -->' "$1" | grep -vq 'Integrity check passed'
}

app_run() {
	netpipe_case "round trips" -n 30 -u 1048576
	by_ring 100000000
	netpipe_case "both ways at once" -n 30 -2 -u 1048576
	by_ring 100000000
	netpipe_case "content" -n 10 -i -u 1048576
	check "content: every size is as it was sent" whole "$dir/client"
	by_ring 10000000
}
