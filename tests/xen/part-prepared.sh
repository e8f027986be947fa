# SPDX-License-Identifier: MIT
#
# `xvmc migrate` in dom0: all guests leave their rings right before the
# suspend, so that nothing is mapped or bound when it comes, and no kernel has
# anything to say about it afterwards. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

prepared_rings() {
	stream_begin 5050 prepared || return 1
	wait_rings 60 || {
		echo "no rings before the migration"
		return 1
	}
	echo "8 of 8 directions by ring"
}

part_prepared() {
	step prepared 'xvmcd everywhere' xvmcd_start || return
	step prepared 'a stream by ring' prepared_rings
	step prepared 'iperf3 beside it' iperf_begin
	step prepared 'vm1 is migrated' migrate_prepared vm1
	step prepared 'vm2 is migrated' migrate_prepared vm2
	step prepared 'iperf3 goes on' iperf_end
	step prepared 'the stream is whole' stream_end prepared
	step prepared 'nothing is left' nothing_left 11 12
	step prepared 'nothing was mapped' kernels_silent 11 12
}
