# SPDX-License-Identifier: MIT
#
# What the parts with streams share: xvmcd everywhere, a checked stream from
# vm2 to vm1, what goes by ring, and what is left at the end. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

# A program in a guest, with the library. A switch to a ring waits a
# millisecond for the peer, as long as one emulated wake-up may take.
preloaded='XVMC_ANNOUNCE_US=100000 XVMC_LOG=/tmp/xvmc.log XVMC_DIR=/run/xvmc LD_PRELOAD=/xvmc/libxvmc.so'
stream_stall_s=100

# The sum of what the processes of a guest have moved by ring.
ring_bytes() { # NUMBER
	in_guest A "$1" 'xvmc stat --json --dir /run/xvmc' >"$run/stat.$1" || return 1
	sed -n 's/.*"ring_tx_bytes":[[:space:]]*\([0-9]*\).*/\1/p' "$run/stat.$1" | head -n 1
}

# What the checked stream says of itself, from a guest's file.
stream_says() { # NUMBER FILE
	in_guest A "$1" "cat $2" >"$run/stream.json" || return 1
	for key in bytes_verified bytes_lost bytes_duplicated bytes_reordered bytes_corrupted bytes_crossed bytes_truncated; do
		sed -n "s/.*\"$key\":[[:space:]]*\([0-9]*\).*/$key \1/p" "$run/stream.json" | head -n 1
	done >"$run/stream.figures"
	[ "$(wc -l <"$run/stream.figures")" -eq 7 ] || return 1
	awk '$1 == "bytes_verified" { n = $2 } $1 != "bytes_verified" { bad += $2 }
		END { printf "%.0f bytes verified, %.0f lost, doubled or wrong\n", n, bad; exit !(n > 0 && bad == 0) }' \
		"$run/stream.figures" >"$run/stream.verdict" && grep -q '"ok": *true' "$run/stream.json"
}

# dom0's part once, and one in each guest; both must have a channel to the other.
xvmcd_start() {
	in_dom0 A 'pidof xvmcd >/dev/null || { xvmcd --dom0 >/tmp/xvmcd.log 2>&1 & sleep 1; tail -n 2 /tmp/xvmcd.log; }' || return 1
	for guest in 11 12; do
		in_guest A $guest 'rm -f /tmp/xvmcd.log; xvmcd --xen --daemon --dir /run/xvmc --log /tmp/xvmcd.log' || return 1
	done
	for guest in 11 12; do
		in_guest A $guest 'tries=0; until grep -q "control channel" /tmp/xvmcd.log; do
			tries=$((tries+1)); [ $tries -lt 100 ] || { tail -n 5 /tmp/xvmcd.log; exit 1; }; usleep 100000; done
			grep "control channel" /tmp/xvmcd.log | tail -n 1' || return 1
	done
}

# In good order; dom0's part stays.
xvmcd_stop() {
	for guest in "$@"; do
		in_guest A "$guest" 'pid=$(cat /run/xvmc/xvmcd.lock); kill "$pid"; while grep -qs xvmcd "/proc/$pid/comm"; do usleep 100000; done' || return 1
	done
}

# A server in vm1; the client comes from vm2.
stream_begin() { # PORT SECONDS NAME
	in_guest A 11 "cd /tmp; $preloaded xvmc-stream serve --addr 0.0.0.0 --port $1 --once >$3.serve 2>&1 & sleep 1"
	in_guest A 12 "cd /tmp; rm -f $3.*; { $preloaded xvmc-stream run --connect $dom0_net.11:$1 --connections 2 --seconds $2 --stall $stream_stall_s --json >$3.json 2>$3.err; echo \$? >$3.status; } & sleep 1"
}

stream_end() { # SECONDS NAME
	in_guest -t "$1" A 12 "until [ -e /tmp/$2.status ]; do sleep 1; done" || {
		echo "the stream does not end"
		return 1
	}
	stream_says 12 "/tmp/$2.json" || {
		in_guest A 12 "cat /tmp/$2.err"
		return 1
	}
	cat "$run/stream.verdict"
}

# Both guests' processes must use rings in both directions: what is sent and
# what is received by ring grows in either.
by_ring() {
	for guest in 11 12; do
		in_guest A $guest 'xvmc ss --json --dir /run/xvmc' >"$run/ss.$guest" || return 1
	done
	grep -oh '"path":[[:space:]]*"RING"' "$run/ss.11" "$run/ss.12" | wc -l
}

wait_rings() { # SECONDS
	wait_until=$(($(date +%s) + $1))
	while [ "$(date +%s)" -lt $wait_until ]; do
		[ "$(by_ring)" = 8 ] && return 0
		sleep 1
	done
	return 1
}

# A plain `xl migrate` to the same host, and rings again: the guest becomes
# another domain.
migrate() { # NAME
	migrate_old=$(in_dom0 A "xl domid $1")
	migrate_began=$(date +%s)
	in_dom0 -t 200 A "xl migrate -s '' $1 'xl migrate-receive' >/tmp/migrate.log 2>&1 || { tail -n 5 /tmp/migrate.log; exit 1; }" || return 1
	migrate_took=$(seconds "$migrate_began")
	migrate_new=$(in_dom0 A "xl domid $1")
	[ "$migrate_new" != "$migrate_old" ] || {
		echo "$1 is still domain $migrate_old"
		return 1
	}
	migrate_began=$(date +%s)
	wait_rings 90 || {
		echo "no rings again within 90 s of the migration"
		return 1
	}
	echo "$1: domid $migrate_old -> $migrate_new in $migrate_took s, rings again $(seconds "$migrate_began") s later"
}

# After the last process has ended, and xvmcd: nothing may be left in the
# hypervisor but what each guest has with dom0, and no zombie.
nothing_left() { # NUMBER...
	xvmcd_stop "$@" || return 1
	in_dom0 A 'xl dmesg -c >/dev/null; xl debug-keys g; sleep 1
		xl dmesg | awk "/grant-table for remote d/ { g = \$5 } \$2 ~ /^\[0x/ && \$3 != 0 { print \"grant of\", g, \"to\", \$3 }"
		for d in $(xl list | awk "NR > 2 { print \$2 }"); do lsevtchn $d | grep "Remote Domain [1-9]" | sed "s/^/domain $d: /"; done
		xl list | grep "^(null)"' >"$run/left"
	head -n 5 "$run/left" >&2
	echo "$(wc -l <"$run/left") things left"
	[ ! -s "$run/left" ]
}

# Unmapping what a migration has made a hole of costs a kernel warning a page
# [X 3]: counted, and no more than that. Anything else is wrong.
kernels_fine() { # NUMBER...
	warnings=0
	for guest in "$@"; do
		in_guest A "$guest" 'dmesg -c' >"$run/dmesg.$guest" || return 1
		cat "$run/dmesg.$guest" >>"$run/dmesg.$guest.log"
		warnings=$((warnings + $(grep -ac 'WARNING.*gntdev' "$run/dmesg.$guest")))
		if grep -aE 'kernel BUG|Oops|general protection|segfault|WARNING' "$run/dmesg.$guest" | grep -av 'WARNING.*gntdev'; then
			return 1
		fi
	done
	echo "no BUG; $warnings warnings by gntdev, for pages that were unmapped after the migration"
}
