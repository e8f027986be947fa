#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Real programs, nobody's here, between two domains of a private xvmcd: plain,
# accelerated, and accelerated with all connections sent to TCP and back to
# rings all the time. The results must be the same, and in the latter two the
# bytes must really have gone by ring: what falls back silently would pass
# everything else.
#
# A program is a file NAME.sh here, which sets app_programs (what must be
# installed) and app_about, and defines app_run and app_version. It starts
# servers with serve and clients with client, and says with check and by_ring
# what must be true. app_short=yes: it is in the tests that run all the time.
# app_tcp=TEXT says why no bytes can go by ring, where that is so.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
name=run-apps.sh
build=$here/../../build
json=no
page=
short=no
chosen=
modes='plain accelerated switched'
chosen_modes=

help() {
	cat <<'END'
usage: run-apps.sh [--build DIR] [--mode MODE]... [--short] [--json]
                   [--page FILE] [NAME...]

  --build DIR  where the programs were built (build)
  --mode MODE  plain, accelerated, or switched (all three)
  --short      those of ./run test, in less than a minute
  --json       one JSON object instead of TAP
  --page FILE  writes the table of docs/compatibility.md there, when all
               programs have run in all modes
  --list       the names
  --help
END
}

app_names() {
	for file in "$here"/*.sh; do
		file=${file##*/}
		[ "$file" = run-apps.sh ] || echo "${file%.sh}"
	done
}

# shellcheck source=tools/demo/tmpdir.sh
. "$here/../../tools/demo/tmpdir.sh"
# shellcheck source=tools/demo/common.sh
. "$here/../../tools/demo/common.sh"
while [ $# -gt 0 ]; do
	case $1 in
	--build | --mode | --page)
		want_value "$@"
		case $1 in
		--build) build=$2 ;;
		--page) page=$2 ;;
		--mode)
			case " $modes " in
			*" $2 "*) chosen_modes="$chosen_modes $2" ;;
			*) bad_option "--mode is plain, accelerated or switched, not '$2'" ;;
			esac
			;;
		esac
		shift
		;;
	--json) json=yes ;;
	--short) short=yes ;;
	--list)
		for app in $(app_names); do
			printf '%-12s %s\n' "$app" "$(sed -n "s/^app_about='\\(.*\\)'$/\\1/p" "$here/$app.sh")"
		done
		exit 0
		;;
	--help | -h)
		help
		exit 0
		;;
	-*) bad_option "no such option: '$1'; see --help" ;;
	*)
		app_names | grep -qxF -e "$1" || bad_option "no such program: '$1'; see --list"
		chosen="$chosen $1"
		;;
	esac
	shift
done

app_is_short() { # NAME
	grep -qx 'app_short=yes' "$here/$1.sh"
}

[ -z "$chosen$chosen_modes" ] && [ $short = no ] || page=
if [ -z "$chosen" ]; then
	for app in $(app_names); do
		[ $short = no ] || app_is_short "$app" || continue
		chosen="$chosen $app"
	done
fi
chosen_modes=${chosen_modes:-$modes}
# Where Debian keeps what administrators start, also for those who are not.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# ---- results ----

tests=0
failed=0

json_text() { # TEXT
	printf '%s' "$1" | tr '\n\t' '  ' | sed 's/[\\"]/\\&/g'
}

result() { # STATUS TEXT [FILE with what explains a failure]
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		verdict=ok
	else
		verdict='not ok'
		failed=$((failed + 1))
	fi
	printf '%s{"app":"%s","mode":"%s","check":"%s","ok":%s}' "$([ $tests -eq 1 ] || echo ,)" \
		"$app" "$mode" "$(json_text "$2")" \
		"$([ "$verdict" = ok ] && echo true || echo false)" >>"$work/json"
	if [ $json = no ]; then
		echo "$verdict $tests - $app $mode: $2"
	fi
	if [ "$verdict" != ok ] && [ -s "${3:-}" ]; then
		tail -n 15 "$3" | cut -c 1-200 | sed 's/^/#   /' >&3
	fi
}

check() { # TEXT COMMAND...
	check_text=$1
	shift
	"$@" >"$dir/check" 2>&1
	result $? "$check_text" "$dir/check"
}

same() { # FILE FILE
	cmp "$1" "$2"
}

# ---- what the programs use ----

how() {
	if [ "$mode" = plain ]; then echo plain; else echo ring; fi
}

# serve LOG COMMAND...: in vm1, in the background; its pid is in $server.
serve() {
	serve_log=$1
	shift
	in_domain vm1 "$(how)" "$@" </dev/null >"$dir/$serve_log" 2>&1 &
	server=$!
	started $server
}

# client SECONDS COMMAND...: in vm2; a program that takes longer has failed.
client() {
	client_s=$1
	shift
	(in_domain vm2 "$(how)" timeout -k 2 "$client_s" "$@")
}

# Whether somebody listens, without connecting.
# shellcheck disable=SC2317 # called by wait_for
listens() { # PORT
	grep -q ": [0-9A-F]*:$(printf %04X "$1") 0*:0000 0A " /proc/net/tcp /proc/net/tcp6
}

wait_listening() { # PORT LOG
	wait_for 15 listens "$1"
	result $? "listens" "$dir/$2"
}

# The server is to have survived, and to end when it is told to.
end_server() { # LOG
	alive "$server"
	result $? "the server still runs" "$dir/$1"
	kill "$server" 2>/dev/null
	await "$server" 5 2>/dev/null # where the shell says how it ended
	! alive "$server"
	result $? "the server ends when told to" "$dir/$1"
	end "$server"
}

# What has gone by ring since the last call: at least half of BYTES where
# programs are accelerated, nothing where they are plain. With all connections
# sent to TCP all the time it may be little; that is added up.
by_ring() { # BYTES
	ring_enough "$1"
	ring_counted
	ring_judged "$1"
}

# The same where each connection is for one request, mail, transaction or test:
# it is over before it could be on rings for long. No part of the page's share.
brief_by_ring() { # BYTES
	ring_enough "$1"
	not_by_ring
	ring_judged "$1"
}

ring_judged() { # BYTES
	if [ "$mode" = switched ]; then
		ring_sum=$((ring_sum + ring_part))
		switched_sum=$((switched_sum + switched_part))
		return
	fi
	[ "$ring_ok" -eq 1 ]
	result $? "$ring_part of $1 bytes by ring"
}

# Into the share of the page, whatever it is: all that the connections moved, from
# their first byte on.
ring_counted() {
	long_ring=$((long_ring + ring_part))
	long_tcp=$((long_tcp + tcp_part))
	not_by_ring
}

ring_enough() { # BYTES
	for try in 1 2 3; do
		count_ring
		case $mode in
		plain) ring_ok=$((ring_part == 0)) ;;
		accelerated) ring_ok=$((ring_part > 0 && ring_part >= $1 / 2)) ;;
		switched) ring_ok=1 ;;
		esac
		[ "$ring_ok" -eq 0 ] || return 0
		sleep 0.$try # counters may arrive a moment later
	done
	return 1
}

# check and by_ring of one transfer. It may be over before a busy machine gives
# the connection its rings: then it is done again. It must succeed each time.
check_by_ring() { # BYTES TEXT COMMAND...
	ring_want=$1
	check_text=$2
	shift 2
	for again in yes yes yes yes no; do
		"$@" >"$dir/check" 2>&1
		check_rc=$?
		if [ "$check_rc" -ne 0 ] || [ $again = no ] || ring_enough "$ring_want"; then
			break
		fi
		ring_counted
	done
	result "$check_rc" "$check_text" "$dir/check"
	by_ring "$ring_want"
}

# Bytes that a switch said again over TCP have not gone by ring.
read_counters() {
	"$tools/xvmc" stat --json >"$work/counters" 2>/dev/null
	ring_now=$(json_number ring_tx_bytes "$work/counters")
	tcp_now=$(json_number tcp_tx_bytes "$work/counters")
	replay_now=$(json_number replay_bytes "$work/counters")
	ring_now=$((${ring_now:-0} - ${replay_now:-0}))
	tcp_now=$((${tcp_now:-0} + ${replay_now:-0}))
	switched_now=$(json_number switches_to_tcp "$work/counters")
	switched_now=${switched_now:-0}
}

count_ring() {
	read_counters
	ring_part=$((ring_now - ring_before))
	tcp_part=$((tcp_now - tcp_before))
	switched_part=$((switched_now - switched_before))
}

# The same, where it does not matter: short connections, sendfile.
not_by_ring() {
	read_counters
	ring_before=$ring_now
	tcp_before=$tcp_now
	switched_before=$switched_now
}

# Before a program that does not run for root: it is another user to itself,
# and the same to everybody else.
# shellcheck disable=SC2034 # some programs use it
if [ "$(id -u)" -eq 0 ]; then
	not_root='unshare --user --map-user=1000 --map-group=1000 --'
else
	not_root=
fi

random_file() { # FILE BYTES
	head -c "$2" /dev/urandom >"$1"
}

# What nginx is to be told, whatever it serves: that is read from standard input.
# Its workers are to have the rights of the one who runs this.
nginx_serving() { # WORKERS
	[ "$(id -u)" -ne 0 ] || echo "user root root;"
	cat <<END
daemon off;
worker_processes $1;
pid $dir/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path $dir/body;
	proxy_temp_path $dir/proxy;
	fastcgi_temp_path $dir/fastcgi;
	uwsgi_temp_path $dir/uwsgi;
	scgi_temp_path $dir/scgi;
	keepalive_requests 1000000;
	root $dir/www;
$(cat)
}
END
}

# ---- all of them ----

# All to TCP, and soon back, about 25 times a second.
start_switching() {
	awk 'BEGIN { for (;;) print "20 demote\n5 promote\n60 demote\n5 promote\n100 demote\n5 promote" }' \
		2>/dev/null | "$tools/demo/xvmc-shuttle" --events "$work/switching" 2>/dev/null &
	switching=$!
	started $switching
	ring_sum=0
	switched_sum=0
}

run_app() {
	dir=$work/$app-$mode
	mkdir "$dir" || exit 1
	read_counters
	ring_first=$ring_now
	tcp_first=$tcp_now
	switched_first=$switched_now
	long_ring=0
	long_tcp=0
	not_by_ring
	[ "$mode" != switched ] || start_switching
	app_run
	if [ "$mode" = switched ]; then
		alive "$switching"
		result $? "connections were switched all the time"
		end "$switching"
		if [ -z "$app_tcp" ]; then
			[ "$ring_sum" -gt 100000 ] && [ "$switched_sum" -gt 3 ]
			result $? "$ring_sum bytes by ring, $switched_sum times to TCP"
		fi
	fi
	alive "$xvmcd_pid"
	result $? "xvmcd still runs" "$work/xvmcd.log"
	read_counters
	printf '%s{"app":"%s","mode":"%s","ring_bytes":%s,"tcp_bytes":%s,"long_ring_bytes":%s,"long_tcp_bytes":%s,"switches":%s}' \
		"$([ -s "$work/runs" ] && echo ,)" "$app" "$mode" $((ring_now - ring_first)) \
		$((tcp_now - tcp_first)) $long_ring $long_tcp $((switched_now - switched_first)) >>"$work/runs"
	rm -rf "$dir"
}

# What ran, and where, for the page.
note_program() {
	printf '%s{"app":"%s","about":"%s","tcp":"%s","version":"%s"}' "$([ -s "$work/programs" ] && echo ,)" \
		"$app" "$(json_text "$app_about")" "$(json_text "$app_tcp")" "$(json_text "$(app_version 2>&1 </dev/null)")" >>"$work/programs"
}

system() {
	sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release
	echo "Linux $(uname -r | sed 's/[^0-9.].*//') on $(uname -m), $(getconf _NPROCESSORS_ONLN) processors"
}

everything() {
	printf '{"passed":%s,"failed":%s,"system":"%s","programs":[%s],"runs":[%s],"checks":[%s]}\n' \
		$((tests - failed)) $failed "$(json_text "$(system | paste -sd , | sed 's/,/, /')")" "$(cat "$work/programs")" \
		"$(cat "$work/runs")" "$(cat "$work/json")"
}

session_begin
start_xvmcd
for domain in vm1 vm2; do
	"$tools/xvmc" create $domain A || die "no domains"
done
: >"$work/json"
: >"$work/runs"
: >"$work/programs"
if [ $json = yes ]; then
	exec 3>&2
else
	exec 3>&1
fi

use_app() { # NAME
	app=$1
	app_about=
	app_programs=
	app_tcp=
	# shellcheck source=/dev/null
	. "$here/$app.sh"
}

# All are looked for before the first one runs.
for app in $chosen; do
	use_app "$app"
	for program in $app_programs; do
		command -v "$program" >/dev/null || die "$app: $program is missing; ./run apps installs it"
	done
done
for app in $chosen; do
	use_app "$app"
	note_program
	for mode in $chosen_modes; do
		[ ! -t 2 ] || progress "$app $mode"
		run_app
	done
done
progress ''
if [ $json = yes ]; then
	everything
else
	echo "1..$tests"
fi
if [ -n "$page" ]; then
	everything >"$work/all.json"
	python3 "$here/page.py" "$work/all.json" >"$work/page" || die "no page"
	cp "$work/page" "$page" || die "cannot write $page"
fi
[ $failed -eq 0 ]
