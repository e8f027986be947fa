#!/bin/sh
# SPDX-License-Identifier: MIT
#
# ./run as somebody meets it who mistypes: one clear line, exit status 2, and
# nothing installed or built before it; and what a build says. TAP on standard
# output.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
root=$here/../..
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# shellcheck source=tests/unit/tap.sh
. "$here/tap.sh"

# It ends with that status; on 2 with one line on standard error and nothing
# on standard output, else with something there and no complaint.
ends() { # STATUS ARGUMENTS...
	want=$1
	shift
	"$root/run" "$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	[ $got -eq "$want" ] &&
		if [ "$want" -eq 2 ]; then
			[ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ]
		else
			[ -s "$work/out" ] && [ ! -s "$work/err" ]
		fi
	result $? "./run $*: $want"
}

ends 0
ends 0 help
ends 0 --help
for command in demo bench test apps soak fuzz; do
	ends 0 $command --help
done
for command in test apps bench lab; do
	ends 0 $command --list
done
ends 2 nonsense
ends 2 --nonsense
ends 2 build now
ends 2 clean everything
ends 2 lint everything
ends 0 lab --help
ends 2 lab nonsense
ends 2 lab short nonsense
ends 2 lab --nonsense
ends 2 lab --ssh
ends 2 sanitize msan
for command in demo bench test apps soak fuzz; do
	ends 2 $command --nonsense
done
ends 2 demo now
ends 2 demo --seconds
ends 2 demo --seconds 5
ends 2 demo --seconds x
ends 2 fuzz --minutes x
ends 2 fuzz --mode fast
ends 2 soak --minutes 0
ends 2 soak --mode fast
ends 2 test nonsense
ends 2 apps nonsense

# What the compiler warns of is seen, though it is no error.
mkdir "$work/small"
cp "$root/run" "$work/small/"
echo "project('small', 'c', default_options: ['warning_level=2'])
executable('small', 'small.c')" >"$work/small/meson.build"
echo 'int main(void) { int idle; return 0; }' >"$work/small/small.c"
"$work/small/run" build >"$work/out" 2>"$work/err" </dev/null
status=$?
grep -q 'warning: .*idle' "$work/err" || status=1
result $status "./run build shows warnings"

all_said
