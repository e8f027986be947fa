# SPDX-License-Identifier: MIT
#
# The shortest proof of the whole: xvmcd in dom0 and in both guests, a checked
# stream between them that goes by ring, a live migration of one of them under
# the stream by a plain `xl migrate`, rings again afterwards, and nothing left
# behind. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

short_ring() {
	stream_begin 5000 20 ring
	wait_rings 60 && short_rings=yes || short_rings=no
	stream_end 120 ring || return 1
	short_by_ring=$(ring_bytes 12)
	echo "$(cat "$run/stream.verdict"); ${short_by_ring:-0} sent by ring from vm2"
	[ "${short_by_ring:-0}" -gt 1000000 ] && [ "$short_rings" = yes ]
}

short_migrate() {
	stream_begin 5001 90 migrate
	wait_rings 60 || {
		echo "no rings before the migration"
		return 1
	}
	migrate vm1
}

part_short() {
	step short 'xvmcd everywhere' xvmcd_start || return
	step short 'a stream by ring' short_ring
	step short 'migration under a stream' short_migrate
	step short 'that stream is whole' stream_end 190 migrate
	step short 'nothing is left' nothing_left 11 12
	step short 'kernels' kernels_fine 11 12
}
