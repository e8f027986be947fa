# SPDX-License-Identifier: MIT
#
# One stream, four migrations: vm1, vm2, and each once more. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

part_both() {
	step both 'xvmcd everywhere' xvmcd_start || return
	step both 'a stream' stream_begin 5010 both || return
	step both 'iperf3 beside it' iperf_begin
	for name in vm1 vm2 vm1 vm2; do
		step both "migration of $name" migrate_again $name
	done
	step both 'iperf3 goes on' iperf_end
	step both 'the stream is whole' stream_end both
	step both 'nothing is left' nothing_left 11 12
	step both 'kernels' kernels_fine 11 12
}
