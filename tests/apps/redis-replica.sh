# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='redis, its log and its replica: both must hold what was written, also after a SIGKILL'
app_programs='redis-server redis-benchmark redis-cli'

app_version() {
	redis-server --version | cut -d ' ' -f 1,3
}

# All commands and clients here are quick; PORT comes first.
ask_at() { # PORT COMMAND...
	client 20 redis-cli -p "$@"
}

# shellcheck disable=SC2317 # called by wait_for
answers_at() { # PORT
	[ "$(redis-cli -p "$1" ping 2>/dev/null)" = PONG ]
}

# shellcheck disable=SC2317 # called by wait_for
replica_is_up() {
	redis-cli -p "$port_replica" info replication 2>/dev/null | grep -q '^master_link_status:up'
}

start_master() {
	serve server redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly yes \
		--appendfsync always --enable-debug-command yes --repl-diskless-sync-delay 0 --dir "$dir" \
		--daemonize no
	master=$server
	wait_for 15 answers_at "$port"
	result $? "answers" "$dir/server"
}

fill() { # REQUESTS SIZE
	client 60 redis-benchmark -p "$port" -c 10 -P 8 -n "$1" -r 5000 -d "$2" -t set,lpush,incr --csv
}

digests_agree() {
	ask_at "$port" wait 1 15000
	digest=$(ask_at "$port" debug digest)
	replica_digest=$(ask_at "$port_replica" debug digest)
	keys=$(ask_at "$port" dbsize)
	echo "$keys keys, $digest and $replica_digest"
	[ "$keys" -gt 1000 ] && [ -n "$digest" ] && [ "$digest" = "$replica_digest" ]
}

comes_back_the_same() {
	again=$(ask_at "$port" debug digest)
	echo "$digest and $again"
	[ -n "$digest" ] && [ "$digest" = "$again" ]
}

app_run() {
	port=$(free_port) || exit 1
	port_replica=$(free_port) || exit 1
	start_master
	check "10 connections write" fill 10000 1000
	by_ring 20000000
	mkdir "$dir/replica.d"
	serve replica redis-server --port "$port_replica" --bind 127.0.0.1 --save '' --appendonly no \
		--enable-debug-command yes --replicaof 127.0.0.1 "$port" --dir "$dir/replica.d" --daemonize no
	replica=$server
	wait_for 30 replica_is_up
	result $? "the replica has taken over what there was" "$dir/replica"
	not_by_ring # a master sends that in one piece, by a forked child
	check "10 connections write, with a replica" fill 20000 1000
	by_ring 80000000
	check "the replica holds the same" digests_agree
	check "the log is written anew, which forks" ask_at "$port" bgrewriteaof
	check "10 connections write meanwhile" fill 10000 100
	check "the replica holds the same again" digests_agree
	kill -9 "$master"
	end "$master"
	start_master
	check "what the log says after a SIGKILL is the same" comes_back_the_same
	wait_for 30 replica_is_up
	result $? "the replica finds its master again" "$dir/replica"
	check "and holds the same" digests_agree
	end_server server
	server=$replica
	end_server replica
}
