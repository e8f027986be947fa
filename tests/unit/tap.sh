# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# How a test in shell says what it found: TAP on standard output. Sourced.
# $work/out and $work/err, where they exist, say more of what failed.
# shellcheck disable=SC2154 # work: of the caller

count=0
failed=0

result() { # STATUS NAME
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
		return
	fi
	failed=$((failed + 1))
	echo "not ok $count - $2"
	cat "$work/out" "$work/err" 2>/dev/null | sed 's/^/#   /'
}

skip() { # NAME WHY
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# The last line of a test: its status is the test's.
all_said() {
	echo "1..$count"
	[ "$failed" -eq 0 ]
}
