# SPDX-License-Identifier: MIT
#
# A prepared migration that fails when all is prepared: the receiver dies, or
# the save helper itself, which has told the guests to wait. The guest goes on as
# the domain it was, by ring again, and can be migrated later. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

cancel_rings() {
	stream_begin 5060 cancel || return 1
	wait_rings 60 || {
		echo "no rings before the migration"
		return 1
	}
	echo "8 of 8 directions by ring"
}

# What is killed as soon as dom0 has asked the guests to prepare: the command
# prints process numbers. What the receiver had built of the domain is xl's to
# leave and ours to remove.
cancel_migrate() { # COMMAND
	cancel_old=$(in_dom0 A 'xl domid vm1')
	in_dom0 -t 200 A "rm -f /tmp/receive.pid
		(until xenstore-read /local/domain/$cancel_old/xvmc/migrate/$cancel_old 2>/dev/null | grep -q prepare; do usleep 20000; done
		kill -9 \$($1)) &
		watcher=\$!
		xvmc migrate --prepare-ms $prepare_ms --command vm1 'echo \$\$ >/tmp/receive.pid; exec xl migrate-receive' >/tmp/migrate.log 2>&1 && { cat /tmp/migrate.log; exit 1; }
		kill \$watcher 2>/dev/null
		xl destroy vm1--incoming 2>/dev/null; true" || {
		echo "the migration has not failed"
		return 1
	}
	cancel_new=$(in_dom0 A 'xl domid vm1')
	[ "$cancel_new" = "$cancel_old" ] || {
		echo "vm1 was domain $cancel_old and is $cancel_new"
		return 1
	}
	# Nobody waits for the suspend any more.
	in_dom0 -t 10 A 'while xenstore-ls /local/domain | grep -A 1 "migrate = " | grep -qE "= \"[0-9a-f]+ (keep|prepare)"; do usleep 200000; done' || {
		echo "the guests are still told of it"
		return 1
	}
	cancel_began=$(date +%s)
	wait_rings 90 || {
		echo "no rings again in time"
		return 1
	}
	cancel_seen="still domain $cancel_old; rings again $(seconds "$cancel_began") s later"
	echo "$cancel_seen"
}

cancel_receiver() {
	cancel_migrate 'cat /tmp/receive.pid' || return 1
	in_dom0 A "grep 'guests prepared' /tmp/migrate.log" >/dev/null || {
		echo "it has failed before the preparation"
		return 1
	}
	echo "$cancel_seen"
}

# Not the one that stands beside it for this case.
cancel_helper() {
	cancel_migrate 'for pid in $(pidof libxl-save-helper); do
		grep -q -- --save-domain /proc/$pid/cmdline && [ "$(cat /proc/$pid/comm)" != xvmc-guard ] && echo $pid
		done'
}

part_cancel() {
	step cancel 'xvmcd everywhere' xvmcd_start || return
	step cancel 'a stream by ring' cancel_rings
	step cancel 'iperf3 beside it' iperf_begin
	step cancel 'the receiver is killed' cancel_receiver
	step cancel 'the save helper is killed' cancel_helper
	step cancel 'and the next does not' migrate_again vm1
	step cancel 'iperf3 goes on' iperf_end
	step cancel 'the stream is whole' stream_end cancel
	step cancel 'nothing is left' nothing_left 11 12
	step cancel 'kernels' kernels_fine 11 12
}
