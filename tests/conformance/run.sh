#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs every conformance program (a) plain, (b) accelerated, (c) accelerated
# while its connections are moved to TCP and back every few milliseconds, and
# (d) with the library but without an xvmcd, and compares what they print with
# (a). Of (b), (c) and (d) only (b) must prove that bytes crossed rings. TAP
# on standard output.
# Usage: run.sh [-k] BUILD-DIRECTORY [PROGRAM[:MODE]...]
#   -k  keep the work directory and say where it is
#   MODE is ring, switch or alone; CONF_REPEAT=N runs each so many times.

set -u
keep=
if [ "${1-}" = -k ]; then
	keep=1
	shift
fi
here=$(cd "$(dirname "$0")" && pwd) || exit 1
build=$(cd "${1:?build directory}" && pwd) || exit 1
shift
tools=$build/tools
lib=$build/preload/libxvmc.so
progs=$build/tests/conformance
for f in "$tools/xvmc-run" "$tools/xvmc" "$lib"; do
	if [ ! -x "$f" ]; then
		echo "Bail out! $f has not been built"
		exit 1
	fi
done
# shellcheck source=tools/demo/tmpdir.sh
. "$here/../../tools/demo/tmpdir.sh"
work=$(mktemp -d) || exit 1
XVMC_DIR=$work/run
export XVMC_DIR
case $lib in
*[\ :]*) # ld.so preloads nothing with such a name
	ln -s "$lib" "$work/libxvmc.so"
	lib=$work/libxvmc.so
	;;
esac
unset XVMC_DOMAIN XVMC_LOG XVMC_ENABLE LD_PRELOAD CONF_RING
repeat=${CONF_REPEAT:-1}
limit=${CONF_TIMEOUT:-20}
count=0
failed=0
mover=

finish() {
	: >"$work/stop"
	[ -z "$mover" ] || wait "$mover" 2>/dev/null
	"$tools/xvmc" shutdown >/dev/null 2>&1
	if [ -n "$keep" ]; then
		echo "# kept: $work"
	else
		rm -rf "$work"
	fi
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

ring_bytes() {
	"$tools/xvmc" stat --json 2>/dev/null |
		sed -n 's/.*"ring_tx_bytes":[^0-9]*\([0-9]*\).*/\1/p' | head -n 1
}

# What is known to differ, always or now and then, and why: counted apart,
# never as passed. Whoever mends one takes it off the list.
known() { # NAME
	case $1 in
	"fork-raw "*) echo "_Fork and the clone system call are not followed: docs/differences.md" ;;
	esac
}

verdict() { # STATUS NAME FILE-OF-COMMENT
	count=$((count + 1))
	if [ "$1" -ne 0 ] && [ -n "$(known "$2")" ]; then
		echo "not ok $count - $2 # TODO $(known "$2")"
		head -n 30 "$3" | sed 's/^/#   /'
	elif [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		failed=$((failed + 1))
		echo "not ok $count - $2"
		head -n 30 "$3" | sed 's/^/#   /'
	fi
}

# Moves everything to TCP and back until told to stop: by a file, since a
# signal to a shell that has just been forked may be lost.
move() {
	while [ ! -e "$work/stop" ]; do
		"$tools/xvmc" demote
		sleep 0.004
		"$tools/xvmc" promote
		sleep 0.004
	done >/dev/null 2>&1
}

# Runs a program in a mode: output in $work/NAME.MODE, status returned.
run() { # NAME MODE
	prog=$progs/conf-$1
	out=$work/$1.$2
	case $2 in
	plain)
		timeout -k 2 "$limit" "$prog" >"$out" 2>"$out.err" </dev/null
		;;
	ring)
		CONF_RING=1 timeout -k 2 "$limit" "$tools/xvmc-run" -- "$prog" \
			>"$out" 2>"$out.err" </dev/null
		;;
	switch)
		move &
		mover=$!
		CONF_SWITCH=1 timeout -k 2 "$limit" "$tools/xvmc-run" -- "$prog" \
			>"$out" 2>"$out.err" </dev/null
		rc=$?
		: >"$work/stop"
		wait "$mover" 2>/dev/null
		mover=
		rm -f "$work/stop"
		"$tools/xvmc" promote >/dev/null 2>&1
		return $rc
		;;
	alone)
		XVMC_DIR=$work/none LD_PRELOAD=$lib timeout -k 2 "$limit" "$prog" \
			>"$out" 2>"$out.err" </dev/null
		;;
	esac
}

check() { # NAME MODE
	i=0
	while [ $i -lt "$repeat" ]; do
		i=$((i + 1))
		before=$(ring_bytes)
		run "$1" "$2"
		rc=$?
		{
			[ $rc -eq "$plain_rc" ] || echo "status $rc, plain $plain_rc"
			diff "$work/$1.plain" "$work/$1.$2"
			if [ "$2" = ring ] &&
				[ "$(ring_bytes)" -le "${before:-0}" ]; then
				echo "no bytes crossed a ring"
			fi
		} >"$work/why"
		if [ -s "$work/why" ]; then
			cat "$work/$1.$2.err" >>"$work/why"
			verdict 1 "$1 $2" "$work/why"
			return
		fi
	done
	verdict 0 "$1 $2" /dev/null
}

if [ $# -eq 0 ]; then
	for f in "$progs"/conf-*; do
		case $f in
		*.p) ;;
		*) set -- "$@" "$(basename "$f" | sed 's/^conf-//')" ;;
		esac
	done
fi
# One xvmcd for all.
"$tools/xvmc-run" -- true 2>"$work/err" || cat "$work/err"
modes_n=0
for arg; do
	if [ ! -x "$progs/conf-${arg%%:*}" ]; then
		echo "Bail out! no such program: '${arg%%:*}'"
		exit 1
	fi
	case $arg in
	*:*) modes_n=$((modes_n + 1)) ;;
	*) modes_n=$((modes_n + 3)) ;;
	esac
done
echo "1..$modes_n"
for arg; do
	name=${arg%%:*}
	modes='ring switch alone'
	[ "$name" = "$arg" ] || modes=${arg#*:}
	run "$name" plain
	plain_rc=$?
	for mode in $modes; do
		check "$name" "$mode"
	done
done
[ $failed -eq 0 ]
