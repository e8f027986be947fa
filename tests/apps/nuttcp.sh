# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='streams to and from the server'
app_programs=nuttcp

app_version() {
	nuttcp -V | head -n 1
}

# The server counts what it got, the client says both.
nuttcp_moved() { # FILE BYTES
	cat "$1"
	awk -v want="$2" '{ for (i = 1; i <= NF; i++) if ($i == "MB") mb = $(i - 1) }
		END { exit !(mb * 1048576 >= want * 0.999) }' "$1"
}

nuttcp_case() { # TEXT OPTIONS...
	nuttcp_text=$1
	shift
	client 40 nuttcp -4 -P "$control" -p "$port" -l 64k -n 6000 "$@" 127.0.0.1 >"$dir/client" 2>&1
	result $? "$nuttcp_text: the client ends well" "$dir/client"
	check "$nuttcp_text: 390 MB have come" nuttcp_moved "$dir/client" 393216000
	by_ring 393216000
}

app_run() {
	control=$(free_port) || exit 1
	port=$(free_port) || exit 1
	serve server nuttcp -S -4 --nofork --single-threaded -P "$control"
	wait_listening "$control" server
	nuttcp_case "to the server"
	nuttcp_case "from the server" -r
	nuttcp_case "from the server, turned round" -F
	end_server server
}
