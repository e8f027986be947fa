#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does each room use only those above it in the table of
# docs/architecture.md? What breaks that is printed, a line for each include.
# usage: rooms.sh SOURCE_ROOT
set -u

cd "${1:?source root}" || exit 1
grep -rn '^#include [<"]' lib preload | awk -F : '
	NR == FNR {
		if (match($0, /^\| `[a-z\/]+` \|/))
			place[substr($0, 4, RLENGTH - 6)] = ++rooms
		next
	}
	{
		room = $1
		sub(/\/[^\/]*$/, "", room)
		match($3, /[<"][^>"]*/)
		header = substr($3, RSTART + 1, RLENGTH - 1)
		used = header
		sub(/\/[^\/]*$/, "", used)
		if (header ~ /^xen/ && $1 !~ /^lib\/hv\/xen/)
			wrong("only lib/hv/xen* knows Xen")
		else if (!(room in place))
			wrong(room " is not in the table")
		else if (("lib/" used) in place && place["lib/" used] > place[room])
			wrong("lib/" used " stands below " room)
	}
	function wrong(why) {
		print $1 ":" $2 ": " header ": " why
		n++
	}
	END {
		if (rooms < 10)
			print "no table of rooms in docs/architecture.md"
		exit rooms < 10 || n > 0
	}' docs/architecture.md -
