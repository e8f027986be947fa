# SPDX-License-Identifier: MIT
#
# The papers' experiment [S 7]: a mail server in vm1, and n users in vm2 who
# send n mails each, with an attachment of F MB, while vm1 is migrated: on plain
# TCP, and accelerated. Mails and migration begin together; pre-copy ends when
# the papers' does (rounds.c). Nobody waits for the mails that have not been sent
# when the migration is over. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

# The papers' loads; with one CPU for all, the least and the most of them.
mclient_users() {
	if [ "$cpus" -gt 1 ]; then
		echo "${LAB_MCLIENT_USERS:-4 8 12 16 20}"
	else
		echo "${LAB_MCLIENT_USERS:-4 20}"
	fi
}
mclient_mb=${LAB_MCLIENT_MB:-1 3}
# What a guest has [dom0/guest].
mclient_memory_pages=$((160 * 256))

# The server, and one who only asks and waits for the answer (outage.c). The server
# is patient: it hangs up after 100 s without a word otherwise, which may be one
# turn here.
mclient_serve() { # ENVIRONMENT
	in_guest A 11 "cd /tmp; rm -f watch.serve
		$1 smtp-sink -u root -t 7200 0.0.0.0:2525 200 >sink 2>&1 &
		$1 outage serve 2526 >watch.serve 2>&1 &
		until grep -q listening watch.serve && netstat -ltn | grep -q :2525; do usleep 200000; done" || return 1
	in_guest A 12 "cd /tmp; rm -f watch.*
		{ $1 outage run $dom0_net.11 2526 >watch.ms 2>watch.err; echo \$? >watch.status; } &"
	[ -z "$1" ] ||
		in_guest -t 60 A 12 'until xvmc ss --json --dir /run/xvmc | grep -A 1 "\"tx\"" | grep -q RING; do usleep 300000; done'
}

# Prints the uptimes of dom0 at the migration's beginning and end.
mclient_migrate() { # HELPER USERS-COMMAND
	in_dom0 -t 400 A "labsh run -t 60 $dom0_net.12 $guest_port 'cd /tmp; $2 </dev/null >mails 2>&1 &' || exit 1
		read -r begin rest </proc/uptime
		export LIBXL_SAVE_HELPER=$1 XVMC_XEN_HELPER=/lab/rounds-helper LAB_ROUNDS=/tmp/rounds XVMC_PREPARE_MS=$prepare_ms
		xl migrate -s '' vm1 'slow-link $mclient_link | xl migrate-receive' >/tmp/migrate.log 2>&1 || exit 1
		read -r end rest </proc/uptime; echo \$begin \$end"
}

# How many were sent until now, if none has failed.
mclient_mails() {
	in_guest A 12 "tr '\\r' '\\n' </tmp/mails" >"$run/mails" || return 1
	! grep -a fatal "$run/mails" && awk '/^[0-9]+$/ { n = $1 } END { print n + 0 }' "$run/mails"
}

# What has left vm2's programs until now: "bytes-by-ring bytes-by-TCP".
mclient_ways() {
	in_guest A 12 'xvmc stat --json --dir /run/xvmc' |
		awk -F : '/"ring_tx_bytes"/ { ring = $2 } /"tcp_tx_bytes"/ { tcp = $2 } END { printf "%.0f %.0f\n", ring, tcp }'
}

mclient_unload() {
	in_guest -t 120 A 12 '[ -z "$(pidof smtp-source)" ] || kill $(pidof smtp-source)
		kill $(pidof outage); until [ -e /tmp/watch.status ]; do usleep 300000; done' || return 1
	in_guest A 11 'kill $(pidof smtp-sink); while pidof smtp-sink outage >/dev/null; do usleep 300000; done'
}

# Of what librounds wrote: "seconds of stop-and-copy,rounds,pages of all,of memory,
# pages of each round". The last one is stop-and-copy.
mclient_rounds() { # FILE
	awk -v memory=$mclient_memory_pages '
		function pages(from, to) { return int((to - from) / 4096) }
		$1 == "round" { at[n++] = $3 }
		$1 == "suspend" { last = $2 }
		$1 == "suspended" { copy = $2; since = $3 }
		$1 == "end" {
			at[n] = last
			for (i = 0; i < n; i++)
				text = text pages(at[i], at[i + 1]) " "
			all = pages(at[0], $2)
			printf "%.2f,%d,%d,%.2f,%s%d\n", $3 - since, n + 1, all, all / memory, text, pages(copy, $2)
		}' "$1"
}

mclient_one() { # plain|accelerated USERS MB
	case $1 in
	plain) mclient_with='' mclient_helper=/lab/rounds-helper ;;
	*) mclient_with=$preloaded mclient_helper=/xvmc/xvmc-save-helper ;;
	esac
	mclient_serve "$mclient_with" || {
		echo "no server, or no ring to it"
		return 1
	}
	mclient_before=$(mclient_ways)
	mclient_times=$(mclient_migrate $mclient_helper "$mclient_with smtp-source -c -d -s $2 -m $(($2 * $2)) \
		-l $(($3 * 1000000)) -f user@vm2 -t user@vm1 $dom0_net.11:2525") || {
		in_dom0 A 'tail -n 3 /tmp/migrate.log'
		return 1
	}
	mclient_after=$(mclient_ways)
	mclient_sent=$(mclient_mails) || {
		echo "mails have failed"
		return 1
	}
	mclient_ring=$(echo "$mclient_before $mclient_after" |
		awk '{ ring = $3 - $1; all = ring + $4 - $2; printf "%.0f\n", all ? 100 * ring / all : 0 }')
	in_dom0 A 'cat /tmp/rounds' >"$run/rounds.$1.$2.$3"
	mclient_unload || {
		echo "the watcher does not end"
		return 1
	}
	mclient_max=$(in_guest A 12 'cat /tmp/watch.ms /tmp/watch.err; [ "$(cat /tmp/watch.status)" = 0 ]') || {
		echo "the watcher: $mclient_max"
		return 1
	}
	mclient_figures=$(mclient_rounds "$run/rounds.$1.$2.$3")
	mclient_t=$(echo "$mclient_times" | awk '{ printf "%.1f\n", $2 - $1 }')
	echo "$1,$2,$(($2 * $2)),$3,$mclient_t,$mclient_max,$mclient_sent,$mclient_ring,$mclient_figures" >>"$run/mclient.csv"
	awk -v begin="${mclient_times%% *}" -v OFS=, -v who="$1,$2,$3" \
		'{ printf "%s,%.2f,%.2f\n", who, $NF - begin, $(NF - 1) / 1e6 }' "$run/rounds.$1.$2.$3" >>"$run/mclient-time.csv"
	echo "$mclient_t s, outage $mclient_max ms, $mclient_sent mails meanwhile, $mclient_ring % by ring; stop-and-copy s, rounds, pages, of memory, of each round: $mclient_figures"
	# Without the migration or its rounds there is nothing to report.
	[ -n "$mclient_figures" ] && { [ "$1" = plain ] || [ "$mclient_ring" -ge 50 ]; }
}

# Both by dom0: the migration, and the network of those on TCP.
mclient_start() {
	xvmcd_start && in_dom0 A 'xl sched-credit2 -d Domain-0 -w 1024'
}

# What the papers say of it, of the highest load.
mclient_verdict() {
	awk -F , 'NR > 1 && $3 * $4 >= most { most = of[$1] = $3 * $4; t[$1] = $5; out[$1] = $6; pages[$1] = $11; what = $2 " users, " $4 " MB" }
		END { if (!most || of["plain"] != of["accelerated"]) exit 1
			printf "%s: time %+.0f %%, pages %+.0f %%, outage %+.0f %%\n", what,
			(t["accelerated"] / t["plain"] - 1) * 100, (pages["accelerated"] / pages["plain"] - 1) * 100,
			(out["accelerated"] / out["plain"] - 1) * 100 }' "$run/mclient.csv"
}

part_mclient() {
	# KB a second. The migration is to the same host: without a link it would be
	# bound by the processor that it shares with those on TCP, who need dom0 for it
	# (and with the guests, if there is one for all).
	mclient_link=${LAB_MCLIENT_LINK:-2000}
	[ "$cpus" -lt 3 ] || mclient_link=${LAB_MCLIENT_LINK:-10000}
	echo 'kind,users,mails,mb,t_mig_s,outage_ms,sent,ring_pct,stop_and_copy_s,rounds,v_mig_pages,r_d,pages_of_each_round' >"$run/mclient.csv"
	echo 'kind,users,mb,seconds,sent_mb' >"$run/mclient-time.csv"
	step mclient 'xvmcd everywhere' mclient_start || return
	for users in $(mclient_users); do
		for mb in $mclient_mb; do
			for kind in plain accelerated; do
				step mclient "$users users, $mb MB, $kind" mclient_one $kind "$users" "$mb"
			done
		done
	done
	step mclient 'the highest load' mclient_verdict
	step mclient 'report' sh "$here/mclient-report.sh" "$run/mclient.csv" "$run/mclient-time.csv" "$mclient_link" "$run/mclient.html"
	in_dom0 A 'xl sched-credit2 -d Domain-0 -w 256'
	step mclient 'nothing is left' nothing_left 11 12
	step mclient 'kernels' kernels_fine 11 12
}
