# SPDX-License-Identifier: MIT
#
# The contract of lib/hv, held against the xen backend by the program that
# holds it against the local one, between two guests. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

contract_run() {
	in_guest A 12 'cd /tmp && test-hv --peer 7001 >peer.log 2>&1 & sleep 1'
	in_guest -t 100 A 11 "cd /tmp && XVMC_TEST_PEER=$dom0_net.12:7001 test-hv" >"$run/contract.log"
	contract_status=$?
	grep -aE '^\[ +FAILED +\] xen_|error:|Error:|fail' "$run/contract.log" | head -n 20 >&2
	contract_ok=$(grep -ac '^\[ *OK \] xen_' "$run/contract.log")
	echo "$contract_ok passed"
	# A run that tried nothing has not passed.
	[ $contract_status -eq 0 ] && [ "$contract_ok" -ge 17 ]
}

# What it says in a guest that lacks nothing, and in one without a device.
contract_doctor() {
	in_guest A 11 'xvmc doctor; mv /dev/xen/gntdev /tmp/; echo "--"; xvmc doctor; mv /tmp/gntdev /dev/xen/' >"$run/doctor.txt"
	sed -n '1,/^--$/p' "$run/doctor.txt" | grep -E '^ok +xen'
	for what in 'a page is shared and copied back' 'an event channel rings'; do
		[ "$(grep -c "^ok  *xen  *$what\$" "$run/doctor.txt")" -eq 1 ] || return 1
	done
	sed '1,/^--$/d' "$run/doctor.txt" | grep -A 1 '^fail  *xen  */dev/xen/gntdev' | grep 'mend: .*modprobe xen-gntdev'
}

contract_kernel() {
	no_complaints 11 && no_complaints 12
}

part_contract() {
	step contract 'tests in a guest' contract_run
	step contract 'xvmc doctor' contract_doctor
	step contract 'kernel has no complaint' contract_kernel
}
