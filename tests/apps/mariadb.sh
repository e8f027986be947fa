# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='MariaDB, a thread per connection: rows counted and summed, mariadb-slap, a dump there and back'
app_programs='mariadbd mariadb mariadb-dump mariadb-slap mariadb-install-db'

app_version() {
	mariadbd --version
}

# shellcheck disable=SC2317 # called by wait_for
mariadb_answers() {
	mariadb-admin --no-defaults -h 127.0.0.1 -P "$port" -u judge -pjudge ping
}

mariadb_do() { # PROGRAM OPTIONS...
	mariadb_program=$1
	shift
	client 60 "$mariadb_program" --no-defaults --protocol=tcp -h 127.0.0.1 -P "$port" -u judge -pjudge "$@"
}

# Each of 4 connections inserts 1000 rows, a statement each.
mariadb_inserts() {
	seq 1 1000 | sed "s/.*/insert into texts values (&, repeat('&', 50));/" >"$dir/inserts"
	inserting=
	for i in 1 2 3 4; do
		mariadb_do mariadb judge <"$dir/inserts" &
		inserting="$inserting $!"
		started $!
	done
	for i in $inserting; do
		wait "$i" || return
	done
	mariadb_sums=$(mariadb_do mariadb -N judge -e 'select count(*), sum(n), sum(length(text)) from texts')
	echo "$mariadb_sums"
	# 9 of one digit, 90 of two, 900 of three, 1 of four
	[ "$mariadb_sums" = "$(printf '4000\t%s\t%s' $((4 * 500500)) $((4 * 50 * (9 + 180 + 2700 + 4))))" ]
}

mariadb_dumps() {
	mariadb_do mariadb judge -e "create table big as
		select seq n, repeat(md5(seq), 20) text from seq_1_to_30000" || return
	mariadb_do mariadb-dump --skip-comments --skip-dump-date judge big >"$dir/dump" &&
		mariadb_do mariadb judge2 <"$dir/dump" &&
		mariadb_do mariadb-dump --skip-comments --skip-dump-date judge2 big >"$dir/dump2" &&
		[ "$(wc -c <"$dir/dump")" -gt 15000000 ] && same "$dir/dump" "$dir/dump2"
}

app_run() {
	port=$(free_port) || exit 1
	check "a new database" mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$dir/data" \
		--auth-root-authentication-method=normal --skip-test-db
	cat >"$dir/init.sql" <<-'END'
		create user judge@'127.0.0.1' identified by 'judge';
		grant all on *.* to judge@'127.0.0.1';
		create database judge;
		create database judge2;
		create table judge.texts (n int, text varchar(300));
	END
	serve server mariadbd --no-defaults --user="$(id -un)" --datadir="$dir/data" --port="$port" \
		--bind-address=127.0.0.1 --socket="$dir/socket" --pid-file="$dir/pid" --init-file="$dir/init.sql" \
		--innodb-flush-log-at-trx-commit=0 --skip-log-bin --skip-name-resolve
	wait_for 60 mariadb_answers >/dev/null 2>&1
	result $? "answers" "$dir/server"
	check "4 connections insert 1000 rows each" mariadb_inserts
	by_ring 400000
	check "mariadb-slap, 8 connections, 4000 queries" mariadb_do mariadb-slap --auto-generate-sql \
		--concurrency=8 --number-of-queries=4000 --auto-generate-sql-load-type=mixed
	by_ring 1000000
	check "a dump of 19 MB, read in again" mariadb_dumps
	by_ring 50000000
	end_server server
}
