#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the simulation notice? lib/conn and lib/xfer are copied, one line of the
# copy is broken, and the simulation is built and run with it. Each mutant
# must be caught within the default run; the copy without a change must not.
#
# usage: mutants.sh SOURCE_ROOT [CC]        (TAP on standard output)
set -u

if [ $# -lt 1 ]; then
	echo "usage: $0 SOURCE_ROOT [CC]" >&2
	exit 2
fi
root=$1
cc=${2:-${CC:-cc}}
here=$root/tests/sim
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
tests=0
failures=0

compile() {
	# $1: source, $2: object
	$cc -std=gnu11 -D_GNU_SOURCE -O1 -fno-strict-aliasing -w \
		-Dclock_gettime=sim_clock_gettime -Dmalloc=sim_malloc \
		-include "$here/sim-atomic.h" \
		-I"$root/include" -I"$tmp/lib" -I"$here" -c "$1" -o "$2"
}

lib="conn/conn conn/record conn/setup conn/switch-rx conn/switch-tx
xfer/recver xfer/sender base/reason base/stats"

fresh() {
	rm -rf "$tmp/lib"
	mkdir -p "$tmp/lib" && cp -r "$root/lib/base" "$root/lib/conn" \
		"$root/lib/hv" "$root/lib/xfer" "$tmp/lib/"
}

link_sim() {
	$cc -o "$tmp/sim" "$tmp"/*.o -pthread
}

say() {
	tests=$((tests + 1))
	if [ "$1" = ok ]; then
		echo "ok $tests - $2"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $2"
	fi
}

object() {
	echo "$tmp/lib-$(echo "$1" | tr / -).o"
}

# mutant NAME FILE SED_SCRIPT: the script must change the file.
mutant() {
	fresh
	sed -e "$3" "$root/lib/$2.$(suffix "$2")" >"$tmp/lib/$2.$(suffix "$2")"
	if cmp -s "$root/lib/$2.$(suffix "$2")" "$tmp/lib/$2.$(suffix "$2")"; then
		say no "$1: the line is not there any more"
		return
	fi
	if [ "$(suffix "$2")" = h ]; then
		changed=$lib
	else
		changed=$2
	fi
	for f in $changed; do
		if ! compile "$tmp/lib/$f.c" "$(object "$f")" 2>"$tmp/err"; then
			say no "$1: does not compile"
			sed 's/^/# /' "$tmp/err"
			return
		fi
	done
	link_sim
	timeout 100 "$tmp/sim" >"$tmp/out" 2>&1
	status=$?
	if [ $status -eq 1 ]; then
		say ok "$1"
		tail -n 1 "$tmp/out" | sed 's/^/# /'
	else
		say no "$1: not caught, exit status $status"
	fi
	for f in $changed; do
		compile "$root/lib/$f.c" "$(object "$f")"
	done
}

suffix() {
	if [ -f "$root/lib/$1.c" ] && [ "$1" != conn/bytes ]; then
		echo c
	else
		echo h
	fi
}

fresh
for f in "$here"/*.c; do
	compile "$f" "$tmp/$(basename "$f" .c).o" || exit 1
done
for f in $lib; do
	compile "$root/lib/$f.c" "$(object "$f")" || exit 1
done
link_sim || exit 1
