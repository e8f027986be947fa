# SPDX-License-Identifier: MIT
#
# A guest is destroyed under load: nothing of it is left while the other one's
# process and its connections live. Then there is a new guest, and rings with it.
# Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

destroy_vm1() {
	stream_begin 5030 destroy || return 1
	wait_rings 30 || {
		echo "no rings before"
		return 1
	}
	in_dom0 A 'xl destroy vm1' || return 1
	# Nobody answers by TCP, and plain TCP would not know why: the client waits.
	# Its connections' pages of vm1's would keep what is left of that, a domain
	# without name, for as long as they are mapped.
	in_dom0 -t 60 A 'tries=0; while xl list | grep "^(null)"; do
		tries=$((tries+1)); [ $tries -lt 100 ] || exit 1; usleep 300000; done; xl list' || {
		in_guest A 12 'tail -n 20 /tmp/xvmc.log; xvmc ss --dir /run/xvmc'
		echo "the destroyed domain does not go away"
		return 1
	}
	# What vm2 had granted to it, and its channels with it, go likewise.
	left_on A || {
		echo "the client's connections hold something of the destroyed guest's"
		return 1
	}
	in_guest A 12 'pidof xvmc-stream >/dev/null && xvmc ss --dir /run/xvmc && [ ! -e /tmp/destroy.status ]' || {
		echo "the client has ended by itself"
		return 1
	}
	in_guest A 12 'pidof iperf3 >/dev/null' || {
		echo "iperf3 has ended by itself"
		return 1
	}
	in_guest A 12 'pids=$(pidof xvmc-stream iperf3) && kill $pids && for tries in 1 2 3 4 5 6 7 8 9 10; do
		pidof xvmc-stream iperf3 >/dev/null || exit 0; sleep 1; done; exit 1' || {
		echo "the clients cannot be ended"
		return 1
	}
	echo "the domain is gone, the client has outlived it"
}

destroy_again() {
	start_guest A vm1 11 && wait_guest A 11 || return 1
	in_guest A 11 'xvmcd --xen --daemon --dir /run/xvmc --log /tmp/xvmcd.log' || return 1
	stream_begin 5031 again || return 1
	wait_rings 30 || {
		echo "no rings with the new guest"
		return 1
	}
	stream_end again
}

part_destroy() {
	step destroy 'xvmcd everywhere' xvmcd_start || return
	step destroy 'iperf3' iperf_begin
	step destroy 'vm1 is destroyed' destroy_vm1
	step destroy 'a new vm1' destroy_again
	step destroy 'nothing is left' nothing_left 11 12
	step destroy 'kernels' kernels_fine 11 12
}
