# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='Node.js: an HTTP server and a client that keeps its connections; streams echoed by net, checked'
app_programs=node

app_version() {
	echo "node $(node --version)"
}

app_run() {
	serve server node "$here/node.js" serve
	wait_for 30 grep -qs '^listening' "$dir/server"
	result $? "listens" "$dir/server"
	ports=$(sed -n 's/^listening //p' "$dir/server")
	port=${ports% *}
	check "8 streams echoed, 64 MB each" client 60 node "$here/node.js" stream "$port" 8 64000000
	by_ring 1024000000
	check "HTTP, 4000 requests over 4 connections" client 60 node "$here/node.js" http "${ports#* }" 4 4000
	by_ring 4000000
	check "HTTP, bodies of 5 MB there and back" client 60 node "$here/node.js" bodies "${ports#* }" 2 40
	by_ring 400000000
	end_server server
}
