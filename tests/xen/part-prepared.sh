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

prepared_migrate() { # NAME
	migrate_by=prepared
	migrate_again "$1"
	prepared_status=$?
	migrate_by=plain
	prepared_said=$(in_dom0 A "sed -n 's/.*xvmc: //p' /tmp/migrate.log")
	[ $prepared_status -eq 0 ] || return 1
	case $prepared_said in
	*'2 of 2 guests prepared'*) ;;
	*)
		echo "not all were prepared: $prepared_said"
		return 1
		;;
	esac
	echo "$migrate_seen; $prepared_said"
}

# The warning that a plain migration costs for each page.
prepared_kernels() {
	kernels_fine 11 12 || return 1
	echo "$warnings warnings by gntdev"
	[ "$warnings" -eq 0 ]
}

part_prepared() {
	step prepared 'xvmcd everywhere' xvmcd_start || return
	step prepared 'a stream by ring' prepared_rings
	step prepared 'vm1 is migrated' prepared_migrate vm1
	step prepared 'vm2 is migrated' prepared_migrate vm2
	step prepared 'the stream is whole' stream_end prepared
	step prepared 'nothing is left' nothing_left 11 12
	step prepared 'nothing was mapped' prepared_kernels
}
