# SPDX-License-Identifier: MIT
#
# `xvmc migrate` by the toolstack, with an xl and a save helper of ours in
# place of Xen's: what they are called with. Sourced by test-tools.sh.
# shellcheck shell=sh disable=SC2154 # names of the caller

# shellcheck disable=SC2317 # called by ends and refuses
with_xl() { # STATUS-OF-XL ARGUMENTS
	xl_status=$1
	shift
	env PATH="$work/xen:$PATH" WORK="$work" XL_STATUS="$xl_status" LD_BIND_NOW=1 \
		XVMC_XEN_HELPER="$work/xen/libxl-save-helper" "$tools/xvmc" migrate "$@"
}

called() { # NAME LINE...
	name=$1
	shift
	printf '%s\n' "$@" >"$work/want"
	cmp -s "$work/want" "$work/calls"
	result $? "$name"
}

toolstack() {
	refuses 2 "xvmc migrate: --ssh is not for the local backend" "$tools/xvmc" \
		migrate --ssh ssh d1 B
	if [ ! -e "$tools/toolstack/xvmc-save-helper" ]; then
		skip "xvmc migrate --toolstack" "this build has no xen backend"
		return
	fi
	mkdir "$work/xen"
	# shellcheck disable=SC2016 # expands when it runs
	printf '#!/bin/sh\n%s\n' 'echo "save helper $*: ${LD_PRELOAD##*/}" >>"$WORK/calls"' \
		>"$work/xen/libxl-save-helper"
	# shellcheck disable=SC2016
	printf '#!/bin/sh\n%s\n' 'echo "xl $*; ${XVMC_PREPARE_MS:-no wait}" >"$WORK/calls"
		echo what xl says
		[ -z "${LIBXL_SAVE_HELPER:-}" ] || "$LIBXL_SAVE_HELPER" --save-domain 5 7
		[ -z "${LIBXL_SAVE_HELPER:-}" ] || "$LIBXL_SAVE_HELPER" --restore-domain 6
		exit "$XL_STATUS"' >"$work/xen/xl"
	chmod 755 "$work"/xen/*

	ends 0 "xvmc migrate --toolstack" with_xl 0 --toolstack vm1 there
	called "... calls xl, and prepares" "xl migrate vm1 there; 5000" \
		"save helper --save-domain 5 7: libxvmc-save-hook.so" "save helper --restore-domain 6: "
	says "... passes on what xl says, aside" "what xl says"
	grep -q '^vm1: now on host there' "$work/out"
	result $? "... says what has been done"
	ends 0 "xvmc migrate --json --command --prepare-ms" with_xl 0 --toolstack --json --command \
		--prepare-ms 70 'a guest' 'xl migrate-receive'
	called "... calls xl with it" "xl migrate -s  a guest xl migrate-receive; 70" \
		"save helper --save-domain 5 7: libxvmc-save-hook.so" "save helper --restore-domain 6: "
	ends 0 "xvmc migrate --unprepared" with_xl 0 --toolstack --unprepared vm1 there
	called "... is a plain xl migrate" "xl migrate vm1 there; no wait"
	ends 0 "xvmc migrate --ssh" with_xl 0 --toolstack --unprepared --ssh 'ssh -p 7' vm1 there
	called "... is xl's -s" "xl migrate -s ssh -p 7 vm1 there; no wait"
	ends 1 "xvmc migrate where xl fails" with_xl 3 --toolstack vm1 there
	says "... says so" "xl has not migrated vm1"
	refuses 2 "xvmc migrate --ssh --command" with_xl 0 --toolstack --ssh ssh --command vm1 there
	refuses 2 "xvmc migrate --toolstack --cancelled" with_xl 0 --toolstack --cancelled vm1 there
}
