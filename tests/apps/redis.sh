# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='redis-server, redis-benchmark, redis-cli; a big value; saving, which forks'
app_programs='redis-server redis-benchmark redis-cli cmp'
app_short=yes

app_version() {
	redis-server --version | cut -d " " -f 1,3
}

# shellcheck disable=SC2317 # called by wait_for
redis_answers() {
	[ "$(redis-cli -p "$port" ping 2>/dev/null)" = PONG ]
}

ask() { # COMMAND...
	client 20 redis-cli -p "$port" "$@"
}

# INCR so many times: the server must have counted each of them.
redis_counts() { # CONNECTIONS REQUESTS OPTIONS...
	redis_c=$1
	redis_n=$2
	shift 2
	ask del counter:__rand_int__ >/dev/null
	client 60 redis-benchmark -p "$port" -c "$redis_c" -n "$redis_n" -t incr --csv "$@" || return
	[ "$(ask get counter:__rand_int__)" = "$redis_n" ]
}

redis_case() { # CONNECTIONS REQUESTS OPTIONS...
	check_by_ring $(($2 * 50)) "redis-benchmark: $*: each request counted" redis_counts "$@"
}

big_value_there() {
	random_file "$dir/big" 100000000
	[ "$(ask -x set big <"$dir/big")" = OK ]
}

big_value_back() {
	ask --raw get big | head -c 100000000 >"$dir/big.back"
	same "$dir/big" "$dir/big.back"
}

saves_while_busy() {
	in_domain vm2 "$(how)" timeout 60 redis-benchmark -p "$port" -c 10 -n 60000 -t incr --csv \
		>"$dir/busy" 2>&1 &
	busy=$!
	started $busy
	redis_saves=0
	while alive $busy; do
		redis_answer=$(ask bgsave)
		case $redis_answer in
		*started*) redis_saves=$((redis_saves + 1)) ;;
		*progress*) ;;
		*)
			echo "bgsave: $redis_answer"
			return 1
			;;
		esac
		sleep 0.05
	done
	echo "$redis_saves saves"
	wait $busy && [ $redis_saves -gt 0 ] && ask info persistence | grep -q 'rdb_last_bgsave_status:ok'
}

app_run() {
	port=$(free_port) || exit 1
	serve server redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no \
		--dir "$dir" --daemonize no
	wait_for 15 redis_answers
	result $? "answers" "$dir/server"
	redis_case 1 20000
	redis_case 50 50000
	redis_case 10 400000 -P 16
	# In one blocking write of redis-cli's, the first of its connection.
	check "a value of 100 MB, there" big_value_there
	by_ring 100000000
	check "a value of 100 MB, and back" big_value_back
	by_ring 100000000
	check "saves, which forks, while it is busy" saves_while_busy
	by_ring 3000000
	end_server server
}
