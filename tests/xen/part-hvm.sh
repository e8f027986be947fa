# SPDX-License-Identifier: MIT
#
# What `short` does, with HVM guests: their kernel is started by a device model
# (Debian's qemu-system-xen) in dom0. A plain migration and a prepared one.
# Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

# As their kernels see it.
guests_are() { # pvh|hvm
	guests_want=$(echo "$1" | tr '[:lower:]' '[:upper:]')
	for guest in 11 12; do
		guests_kind=$(in_guest A $guest 'cat /sys/hypervisor/guest_type')
		[ "$guests_kind" = "$guests_want" ] || {
			echo "one is $guests_kind"
			return 1
		}
	done
	echo "both are $guests_want"
}

# Their device models have had the lowest priority until here (dom0/device-model);
# but in a migration libxl waits ten seconds for one's answer, and no longer.
hvm_guests() {
	guests_anew hvm && in_dom0 A 'renice -n -19 -p $(pidof xen-qemu-system-i386)' >/dev/null
}

part_hvm() {
	step hvm 'two HVM guests' hvm_guests || return
	step hvm 'they are HVM' guests_are hvm
	step hvm 'xvmcd everywhere' xvmcd_start || return
	step hvm 'a stream by ring' stream_rings 5080 hvm
	step hvm 'a plain migration' migrate_again vm1
	step hvm 'a prepared migration' migrate_prepared vm2
	step hvm 'by ring again' more_by_ring
	step hvm 'the stream is whole' stream_end hvm
	step hvm 'nothing is left' nothing_left 11 12
	step hvm 'kernels' kernels_fine 11 12
	step hvm 'PVH guests again' guests_anew pvh
}
