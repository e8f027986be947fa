# SPDX-License-Identifier: MIT
#
# The shortest proof of the whole: xvmcd in dom0 and in both guests, a checked
# stream between them that goes by ring, a live migration of one of them under
# the stream by a plain `xl migrate`, rings again afterwards, and nothing left
# behind. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

short_ring() {
	stream_begin 5000 ring || return 1
	wait_rings 30 && short_rings=yes || short_rings=no
	short_tries=0
	until [ "$(ring_bytes 12)" -gt 1000000 ] || [ $short_tries -ge 20 ]; do
		short_tries=$((short_tries + 1))
	done
	stream_end ring || return 1
	short_by_ring=$(ring_bytes 12)
	echo "$(cat "$run/stream.verdict"); $short_by_ring sent by ring from vm2"
	[ "$short_by_ring" -gt 1000000 ] && [ "$short_rings" = yes ]
}

short_migrate() {
	stream_begin 5001 migrate || return 1
	wait_rings 30 || {
		echo "no rings before the migration"
		return 1
	}
	migrate_again vm1
}

part_short() {
	step short 'xvmcd everywhere' xvmcd_start || return
	step short 'a stream by ring' short_ring
	step short 'migration under a stream' short_migrate
	step short 'that stream is whole' stream_end migrate
	step short 'nothing is left' nothing_left 11 12
	step short 'kernels' kernels_fine 11 12
}
