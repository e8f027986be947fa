# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='PostgreSQL, a process per connection: pgbench, whose sums must be right; a COPY in and out'
app_programs='pgbench psql'

app_version() {
	pgbench --version
}

# psql's answer to a question.
pg_ask() { # SQL
	client 60 psql -h 127.0.0.1 -p "$port" -U judge -d postgres -AtX -v ON_ERROR_STOP=1 -c "$1"
}

# shellcheck disable=SC2317 # called by wait_for
pg_answers() {
	"$pg_bin/pg_isready" -q -h 127.0.0.1 -p "$port"
}

# Each transaction adds the same to four tables.
pg_transactions() { # CONNECTIONS TRANSACTIONS OPTIONS...
	pg_c=$1
	pg_n=$2
	shift 2
	pg_ask 'truncate pgbench_history; update pgbench_accounts set abalance = 0;
		update pgbench_tellers set tbalance = 0; update pgbench_branches set bbalance = 0' || return
	client 60 pgbench -h 127.0.0.1 -p "$port" -U judge -n -c "$pg_c" -j 2 -t "$pg_n" "$@" postgres || return
	pg_sums=$(pg_ask 'select count(*), sum(delta) = (select sum(abalance) from pgbench_accounts),
		sum(delta) = (select sum(tbalance) from pgbench_tellers),
		sum(delta) = (select sum(bbalance) from pgbench_branches) from pgbench_history')
	echo "transactions and sums: $pg_sums"
	[ "$pg_sums" = "$((pg_c * pg_n))|t|t|t" ]
}

pg_copies() {
	seq 1 3000000 | sed 's/.*/&\tline & of the judge/' >"$dir/rows"
	pg_ask 'create table copied (n int, line text)' &&
		pg_ask '\copy copied from stdin' <"$dir/rows" &&
		pg_ask 'copy (select * from copied order by n) to stdout' >"$dir/rows.back" &&
		same "$dir/rows" "$dir/rows.back"
}

app_run() {
	pg_bin=$(pg_config --bindir 2>/dev/null)
	[ -x "$pg_bin/initdb" ] || pg_bin=$(dirname "$(readlink -f "$(find /usr/lib/postgresql -name initdb | sort -V | tail -n 1)")")
	port=$(free_port) || exit 1
	# shellcheck disable=SC2086 # a command and its options
	check "a new database" $not_root "$pg_bin/initdb" -D "$dir/data" -U judge -A trust --no-sync --no-instructions
	# shellcheck disable=SC2086
	serve server $not_root "$pg_bin/postgres" -D "$dir/data" -p "$port" -k '' \
		-c listen_addresses=127.0.0.1 -c fsync=off
	wait_for 30 pg_answers
	result $? "answers" "$dir/server"
	check "pgbench: tables" client 60 pgbench -h 127.0.0.1 -p "$port" -U judge -i -s 1 -q postgres
	not_by_ring
	check "pgbench: 4 connections, 250 transactions each" pg_transactions 4 250
	check "pgbench: prepared statements" pg_transactions 8 100 --protocol prepared
	by_ring 800000
	check "pgbench: a connection per transaction" pg_transactions 2 50 --connect
	not_by_ring
	check "COPY, three million rows there and back" pg_copies
	by_ring 150000000
	end_server server
}
