# SPDX-License-Identifier: MIT
#
# xvmcd killed, in the guest that leads and in the one that follows, under a
# stream. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

# Three seconds without it, and then rings as before.
restart_one() { # NUMBER
	wait_rings 30 || {
		echo "no rings before it is killed"
		return 1
	}
	in_guest A "$1" 'kill -9 "$(cat /run/xvmc/xvmcd.lock)"; sleep 3; xvmcd --xen --daemon --dir /run/xvmc --log /tmp/xvmcd.log' || return 1
	restart_began=$(date +%s)
	wait_rings 30 || {
		echo "no rings in time"
		return 1
	}
	echo "rings $(seconds "$restart_began") s after it is back"
}

part_restart() {
	step restart 'xvmcd everywhere' xvmcd_start || return
	step restart 'a stream' stream_begin 5020 restart || return
	step restart 'iperf3 beside it' iperf_begin
	step restart 'killed in vm1' restart_one 11
	step restart 'killed in vm2' restart_one 12
	step restart 'iperf3 goes on' iperf_end
	step restart 'the stream is whole' stream_end restart
	step restart 'nothing is left' nothing_left 11 12
	step restart 'kernels' kernels_fine 11 12
}
