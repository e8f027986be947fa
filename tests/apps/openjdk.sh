# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='OpenJDK: an NIO selector that echoes; channels and blocking sockets that check what comes back'
app_programs='java javac'

app_version() {
	java -version 2>&1 | head -n 1
}

app_run() {
	check "compiles" javac -d "$dir" "$here/Echo.java"
	serve server java -Xmx512m -cp "$dir" Echo serve
	wait_for 30 grep -qs '^listening' "$dir/server"
	result $? "listens" "$dir/server"
	port=$(sed -n 's/^listening //p' "$dir/server")
	check "blocking sockets, 4 with 64 MB each" client 60 java -Xmx1g -cp "$dir" Echo sockets "$port" 4 64000000
	by_ring 512000000
	check "a selector, 4 channels with 64 MB each" client 60 java -Xmx1g -cp "$dir" Echo channels "$port" 4 64000000
	by_ring 512000000
	check "4 threads, 2000 round trips each" client 60 java -Xmx1g -cp "$dir" Echo trips "$port" 4 2000
	by_ring 1000000
	check "a reader ended by close from another thread" client 60 java -Xmx1g -cp "$dir" Echo closes "$port" 5 0
	not_by_ring
	kill "$server"
	await "$server" 10
	java_status=$?
	[ $java_status -eq 143 ] # what the JVM makes of SIGTERM
	result $? "the server ends when told to" "$dir/server"
	end "$server"
}
