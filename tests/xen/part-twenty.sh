# SPDX-License-Identifier: MIT
#
# Twenty migrations in a row under one stream, to the same host: of either
# guest by turns, prepared and plain by turns. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

part_twenty() {
	step twenty 'xvmcd everywhere' xvmcd_start || return
	step twenty 'a stream' stream_begin 5070 twenty || return
	step twenty 'iperf3 beside it' iperf_begin
	for twenty in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		case $((twenty % 4)) in
		1) migrate_by=prepared twenty_who=vm1 ;;
		2) migrate_by=prepared twenty_who=vm2 ;;
		3) migrate_by=plain twenty_who=vm1 ;;
		0) migrate_by=plain twenty_who=vm2 ;;
		esac
		step twenty "$twenty: $twenty_who, $migrate_by" migrate_again "$twenty_who" || break
	done
	migrate_by=plain
	step twenty 'iperf3 goes on' iperf_end
	step twenty 'the stream is whole' stream_end twenty
	step twenty 'nothing is left' nothing_left 11 12
	step twenty 'kernels' kernels_fine 11 12
}
