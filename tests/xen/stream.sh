# SPDX-License-Identifier: MIT
#
# What the parts with streams share: xvmcd everywhere, a checked stream from
# vm2 to vm1, what goes by ring, and what is left at the end. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

# A program in a guest, with the library. One emulated wake-up may take longer
# than a switch to a ring waits for the peer, or than a reader may be late.
preloaded='XVMC_ANNOUNCE_US=3000000 XVMC_STUCK_MS=5000 XVMC_LOG=/tmp/xvmc.log XVMC_DIR=/run/xvmc LD_PRELOAD=/xvmc/libxvmc.so'
stream_stall_s=300
# Longer than any part takes: stream_end says when it is enough.
stream_limit_s=7200

# The sum of what the processes of a guest have moved by ring.
ring_bytes() { # NUMBER
	in_guest A "$1" 'xvmc stat --json --dir /run/xvmc' >"$run/stat.$1" || return 1
	awk -F : '/"ring_tx_bytes"/ { n = $2 } END { printf "%.0f\n", n }' "$run/stat.$1"
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

# dom0's part, once a host.
xvmcd_dom0() { # HOST
	in_dom0 "$1" 'pidof xvmcd >/dev/null || { xvmcd --dom0 >/tmp/xvmcd.log 2>&1 & echo $! >/tmp/xvmcd.pid; sleep 1; tail -n 2 /tmp/xvmcd.log; }'
}

# One in each guest; both must have a channel to the other.
xvmcd_start() {
	xvmcd_dom0 A || return 1
	for guest in 11 12; do
		in_guest A $guest 'rm -f /tmp/xvmcd.log; xvmcd --xen --daemon --dir /run/xvmc --log /tmp/xvmcd.log' || return 1
	done
	for guest in 11 12; do
		in_guest -t 20 A $guest 'until grep "control channel" /tmp/xvmcd.log; do usleep 200000; done | tail -n 1' || {
			in_guest A $guest 'tail -n 5 /tmp/xvmcd.log'
			return 1
		}
	done
}

# In good order; dom0's part stays.
xvmcd_stop() {
	for guest in "$@"; do
		in_guest A "$guest" 'pid=$(cat /run/xvmc/xvmcd.lock); kill "$pid"; while grep -qs xvmcd "/proc/$pid/comm"; do usleep 100000; done' || return 1
	done
}

# A server in vm1; the client comes from vm2.
stream_begin() { # PORT NAME [OPTIONS]
	stream_port=$1 stream_name=$2
	shift 2
	in_guest A 11 "cd /tmp; $preloaded xvmc-stream serve --addr 0.0.0.0 --port $stream_port --once >$stream_name.serve 2>&1 &
		until grep -q listening $stream_name.serve; do usleep 200000; done" || return 1
	in_guest A 12 "cd /tmp; rm -f $stream_name.*; { $preloaded xvmc-stream run --connect $dom0_net.11:$stream_port --connections 2 $* --seconds $stream_limit_s --stall $stream_stall_s --json >$stream_name.json 2>$stream_name.err; echo \$? >$stream_name.status; } & sleep 1"
}

# No more bytes; what is under way must arrive, and all must have been right.
stream_end() { # NAME
	in_guest -t 120 A 12 "[ -e /tmp/$1.status ] || kill -USR1 \$(pidof xvmc-stream); until [ -e /tmp/$1.status ]; do usleep 300000; done" || {
		echo "the stream does not end"
		return 1
	}
	stream_says 12 "/tmp/$1.json" || {
		in_guest A 12 "cat /tmp/$1.err"
		return 1
	}
	cat "$run/stream.verdict"
}

# How many directions of a stream's two connections are on this path; both
# guests' processes have four. There may be more than one stream, and other programs.
streams=1
directions='{ labsh run -t 60 10.77.0.11 7000 "xvmc ss --json --dir /run/xvmc"; labsh run -t 60 10.77.0.12 7000 "xvmc ss --json --dir /run/xvmc"; } >/tmp/ss; n=$(awk -v path="\"$path\"" '\''/"process"/ { mine = /xvmc-stream/ } mine && /"path"/ && index($0, path) { n++ } END { print n + 0 }'\'' /tmp/ss)'

wait_path() { # RING|TCP SECONDS
	in_dom0 -t "$2" A "path=$1; until $directions; [ \$n = $((8 * streams)) ]; do usleep 200000; done" && return 0
	in_dom0 A 'cat /tmp/ss' >"$run/ss"
	return 1
}

wait_rings() { # SECONDS
	wait_path RING "$1"
}

# More than what is on its way when a stream goes back to TCP.
enough_bytes=4000000

# By ring from now on, of what vm2 sends.
more_by_ring() {
	ring_from=$(ring_bytes 12) || return 1
	ring_began=$(date +%s)
	while ring_now=$(ring_bytes 12) && [ $((ring_now - ring_from)) -lt $enough_bytes ]; do
		[ "$(seconds "$ring_began")" -lt $((60 * patience)) ] || {
			echo "only $((ring_now - ring_from)) bytes went by ring"
			return 1
		}
	done
	echo "$ring_now bytes of vm2's by ring"
}

# A stream, all of it by ring; slow enough to leave the emulated processor to
# a migration.
stream_rings() { # PORT NAME
	stream_begin "$1" "$2" --rate 4M || return 1
	wait_rings 60 || {
		echo "no rings in time"
		return 1
	}
	more_by_ring
}

# What a receiver of `xl migrate` is called with: on the same host, or by the
# lab's own connection to the other one.
receiver() { # FROM TO
	if [ "$1" = "$2" ]; then
		echo 'xl migrate-receive'
	else
		echo "labsh run -i -t 3600 $dom0_net.$(host_number "$2") $guest_port 'exec xl migrate-receive 2>/tmp/receive.log'"
	fi
}

# The guest becomes another domain. By a plain `xl migrate`, or prepared by
# `xvmc migrate`.
migrate_by=plain
# How long guests may take to leave their rings: it is no downtime, and they
# answer as soon as they have.
prepare_ms=300000
migrate() { # NAME FROM TO
	migrate_old=$(in_dom0 "$2" "xl domid $1")
	migrate_began=$(date +%s)
	case $migrate_by in
	prepared) migrate_command="xvmc migrate --prepare-ms $prepare_ms --command" ;;
	*) migrate_command="xl migrate -s ''" ;;
	esac
	in_dom0 -t 200 "$2" "$migrate_command $1 $(quote "$(receiver "$2" "$3")") >/tmp/migrate.log 2>&1 || { tail -n 5 /tmp/migrate.log; exit 1; }" || return 1
	migrate_took=$(seconds "$migrate_began")
	migrate_new=$(in_dom0 "$3" "xl domid $1")
	if [ -z "$migrate_new" ] || [ "$2:$migrate_old" = "$3:$migrate_new" ]; then
		echo "$1 is still domain $migrate_old"
		return 1
	fi
}

# To the same host, and rings again.
migrate_again() { # NAME
	migrate "$1" A A || return 1
	migrate_began=$(date +%s)
	wait_rings 90 || {
		echo "no rings again in time after the migration"
		return 1
	}
	migrate_seen="$1: domid $migrate_old -> $migrate_new in $migrate_took s, rings again $(seconds "$migrate_began") s later"
	echo "$migrate_seen"
}

# By `xvmc migrate`, for which all guests must have answered.
migrate_prepared() { # NAME
	migrate_by=prepared
	migrate_again "$1"
	migrate_status=$?
	migrate_by=plain
	[ $migrate_status -eq 0 ] || return 1
	migrate_said=$(in_dom0 A "sed -n 's/.*xvmc: //p' /tmp/migrate.log")
	case $migrate_said in
	*'2 of 2 guests prepared'*) ;;
	*)
		echo "not all were prepared: $migrate_said"
		return 1
		;;
	esac
	migrate_seen="$migrate_seen; $migrate_said"
	echo "$migrate_seen"
}

# What the hypervisor of a host has of one guest with another: grants, event
# channels, dead domains. It goes a moment after its users.
left_on() { # HOST
	in_dom0 "$1" 'tries=0; while :; do
		{ xl dmesg -c >/dev/null; xl debug-keys g; sleep 1
		xl dmesg | awk "/grant-table for remote d/ { g = \$5 } \$2 ~ /^\[0x/ && \$3 != 0 { print \"grant of\", g, \"to\", \$3 }"
		for d in $(xl list | awk "NR > 2 { print \$2 }"); do lsevtchn $d | grep "Remote Domain [1-9]" | sed "s/^/domain $d: /"; done
		xl list | grep "^(null)"; } >/tmp/left
		tries=$((tries+1)); [ -s /tmp/left ] && [ $tries -lt 10 ] || break; done; cat /tmp/left' >"$run/left.$1"
	head -n 5 "$run/left.$1" >&2
	echo "host $1: $(wc -l <"$run/left.$1") things left"
	[ ! -s "$run/left.$1" ]
}

# After the last process has ended, and xvmcd: nothing may be left in the
# hypervisor but what each guest has with dom0, and no zombie.
nothing_left() { # NUMBER...
	xvmcd_stop "$@" || return 1
	left_on A
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

# Where nothing was mapped at a suspend there is nothing to warn of.
kernels_silent() { # NUMBER...
	kernels_fine "$@" || return 1
	[ "$warnings" -eq 0 ]
}
