# SPDX-License-Identifier: MIT
#
# The papers' experiment [S 7]: a mail server in vm1, n users in vm2 who send
# mails with an attachment of F MB, and vm1 is migrated under that, on plain
# TCP and accelerated. Scaled: each user sends mails on one connection until
# the migration is over, in place of n mails, because an emulated migration
# takes as long as many of these; n and F are smaller; the guest has 160 MB.
# Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

mclient_users=${LAB_MCLIENT_USERS:-4 8}
mclient_mb=${LAB_MCLIENT_MB:-1 3}

# The server, the users, and one who only asks and waits for the answer: what
# he waits longest is the outage that clients see. The server is patient: it
# hangs up after 100 s without a word otherwise, which may be one turn here.
mclient_load() { # ENVIRONMENT USERS MB
	in_guest A 11 "cd /tmp; rm -f watch.serve
		$1 smtp-sink -u root -t 7200 0.0.0.0:2525 200 >sink 2>&1 &
		$1 xvmc-stream serve --addr 0.0.0.0 --port 2526 --once >watch.serve 2>&1 &
		until grep -q listening watch.serve && netstat -ltn | grep -q :2525; do usleep 200000; done" || return 1
	in_guest A 12 "cd /tmp; rm -f mails watch.*
		$1 smtp-source -c -d -s $2 -m 1000000 -l $(($3 * 1000000)) -f user@vm2 -t user@vm1 $dom0_net.11:2525 >mails 2>&1 &
		{ $1 xvmc-stream run --connect $dom0_net.11:2526 --connections 1 --mode rr --rate 100K --seconds $stream_limit_s \
			--stall $stream_stall_s --pauses watch.pauses --json >watch.json 2>watch.err; echo \$? >watch.status; } &
		until [ \$(tr '\\r' '\\n' <mails | sed '/^\$/d' | tail -n 1) -gt $2 ] 2>/dev/null; do usleep 300000; done"
}

# All users' connections, and the watcher's, or none.
mclient_path() { # USERS RING|TCP
	[ "$2" = RING ] || return 0
	in_guest -t 60 A 12 "until [ \$(xvmc ss --json --dir /run/xvmc | grep -A 1 '\"tx\"' | grep -c RING) -gt $1 ]; do usleep 300000; done"
}

mclient_mails() {
	in_guest A 12 "tr '\\r' '\\n' </tmp/mails | sed -n '/^[0-9][0-9]*\$/p' | tail -n 1"
}

mclient_unload() {
	in_guest -t 120 A 12 'kill $(pidof smtp-source); kill -USR1 $(pidof xvmc-stream)
		until [ -e /tmp/watch.status ]; do usleep 300000; done' || return 1
	in_guest A 11 'kill $(pidof smtp-sink); while pidof smtp-sink xvmc-stream >/dev/null; do usleep 300000; done'
}

# By librounds, in dom0: "rounds,pages of all,pages of each". The guest is
# suspended before or during the last one.
mclient_rounds() {
	in_dom0 A 'cat /tmp/rounds' |
		awk '$1 == "round" { at[n++] = $3 }
			$1 == "end" { at[n] = $2 }
			END {
				for (i = 0; i < n; i++)
					text = text (i ? " " : "") int((at[i + 1] - at[i]) / 4096)
				printf "%d,%d,%s\n", n, int((at[n] - at[0]) / 4096), text
			}'
}

# The longest gap between two answers, in milliseconds.
mclient_outage() {
	in_guest A 12 'cat /tmp/watch.pauses' |
		awk -F , '$2 + 0 > max { max = $2 } END { printf "%.0f\n", max }'
}

mclient_one() { # plain|accelerated USERS MB
	case $1 in
	plain) mclient_with='' mclient_want=TCP mclient_helper=/lab/rounds-helper ;;
	*) mclient_with=$preloaded mclient_want=RING mclient_helper=/xvmc/xvmc-save-helper ;;
	esac
	mclient_load "$mclient_with" "$2" "$3" || {
		echo "no mails"
		return 1
	}
	mclient_path "$2" $mclient_want || {
		echo "not all users are on rings"
		return 1
	}
	mclient_before=$(mclient_mails)
	mclient_time=$(in_dom0 -t 300 A "read -r begin rest </proc/uptime
		export LIBXL_SAVE_HELPER=$mclient_helper XVMC_XEN_HELPER=/lab/rounds-helper LAB_ROUNDS=/tmp/rounds XVMC_PREPARE_MS=$prepare_ms
		xl migrate -s '' vm1 'xl migrate-receive' >/tmp/migrate.log 2>&1 || exit 1
		read -r end rest </proc/uptime; echo \$begin \$end" | awk '{ printf "%.1f\n", $2 - $1 }')
	mclient_sent=$(($(mclient_mails) - mclient_before))
	in_guest A 12 'grep fatal /tmp/mails' && return 1
	mclient_unload || {
		echo "the watcher does not end"
		return 1
	}
	stream_says 12 /tmp/watch.json || return 1
	mclient_figures=$(mclient_rounds)
	mclient_max=$(mclient_outage)
	echo "$1,$2,$3,$mclient_time,$mclient_max,$mclient_sent,$mclient_figures" >>"$run/mclient.csv"
	echo "$mclient_time s, outage $mclient_max ms, $mclient_sent mails meanwhile; rounds, pages, of each: $mclient_figures"
	# Without the migration or its rounds there is nothing to report.
	[ -n "$mclient_time" ] && [ "${mclient_figures%%,*}" -gt 1 ]
}

part_mclient() {
	echo 'kind,users,mb,t_mig_s,outage_ms,mails,rounds,pages,pages_of_each_round' >"$run/mclient.csv"
	step mclient 'xvmcd everywhere' xvmcd_start || return
	for users in $mclient_users; do
		for mb in $mclient_mb; do
			for kind in plain accelerated; do
				step mclient "$users users, $mb MB, $kind" mclient_one $kind "$users" "$mb"
			done
		done
	done
	step mclient 'report' sh "$here/mclient-report.sh" "$run/mclient.csv" "$run/mclient.html"
	step mclient 'nothing is left' nothing_left 11 12
	step mclient 'kernels' kernels_fine 11 12
}
