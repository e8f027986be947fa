# SPDX-License-Identifier: MIT
#
# The shortest proof of the whole, and part of `./run test`: xvmcd in dom0 and
# in both guests, one checked stream between them, by ring; one of them is
# migrated under it by `xvmc migrate`; rings again; every byte once and in
# order, no word of a kernel, and nothing left behind. Sourced by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

short_migrate() {
	migrate_prepared vm1 && more_by_ring && echo "$migrate_seen"
}

part_short() {
	step short 'xvmcd everywhere' xvmcd_start || return
	step short 'a stream by ring' stream_rings 5000 short
	step short 'a migration under it' short_migrate
	step short 'the stream is whole' stream_end short
	step short 'nothing is left' nothing_left 11 12
	step short 'kernels say nothing' kernels_silent 11 12
}
