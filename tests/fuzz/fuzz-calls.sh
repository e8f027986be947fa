#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs fuzz-calls with seed after seed: on plain TCP, accelerated (ring), and
# accelerated while its connections are moved all the time (switch), and holds
# what it prints against plain TCP. A seed whose plain runs differ from each
# other says nothing and is counted as unsteady. At a difference: the seed, the
# first line that differs, the shortest list of calls found that still shows
# it, and how to run it again. See README.md.
set -u

usage() {
	cat <<'END2'
usage: fuzz-calls.sh [--build DIR] [OPTIONS]

  --minutes N | --seconds N   how long; 10 minutes
  --seed N    the first seed; the others follow it. By the clock if not given
  --runs N    so many seeds at most
  --calls N   the calls of each script; 150
  --only LIST these calls of the script only, as in 3,5-9
  --mode M    ring or switch; both
  --stop      at the first difference
  --quick     differences are not made shorter
END2
}

die() {
	echo "fuzz-calls.sh: $1" >&2
	exit "${2:-1}"
}

whole() { # OPTION VALUE
	case $2 in
	'' | *[!0-9]*) die "$1 wants a whole number, not '$2'" 2 ;;
	esac
}

here=$(cd "$(dirname "$0")" && pwd) || exit 1
build=$here/../../build
seconds=600 seed='' runs=0 calls=150 only='' modes='ring switch' stop='' quick=''
while [ $# -gt 0 ]; do
	case $1 in
	--build | --minutes | --seconds | --seed | --runs | --calls | --only | --mode)
		[ $# -ge 2 ] || die "$1 wants a value" 2
		case $1 in
		--minutes | --seconds | --seed | --runs | --calls) whole "$1" "$2" ;;
		esac
		case $1 in
		--build) build=$2 ;;
		--minutes) seconds=$(($2 * 60)) ;;
		--seconds) seconds=$2 ;;
		--seed) seed=$2 ;;
		--runs) runs=$2 ;;
		--calls) calls=$2 ;;
		--only) only=$2 ;;
		--mode)
			modes=$2
			case $modes in
			ring | switch) ;;
			*) die "--mode is ring or switch, not '$modes'" 2 ;;
			esac
			;;
		esac
		shift
		;;
	--stop) stop=1 ;;
	--quick) quick=1 ;;
	--help | -h)
		usage
		exit 0
		;;
	*) die "no such option: '$1'; see --help" 2 ;;
	esac
	shift
done
[ -n "$seed" ] || seed=$(date +%s)
build=$(cd "$build" 2>/dev/null && pwd) || die "no such build directory: build first"
prog=$build/tests/fuzz/fuzz-calls
tools=$build/tools
for file in "$prog" "$tools/xvmc-run" "$tools/xvmc"; do
	[ -x "$file" ] || die "$file has not been built"
done
# shellcheck source=tools/demo/tmpdir.sh
. "$here/../../tools/demo/tmpdir.sh"
work=$(mktemp -d) || exit 1
XVMC_DIR=$work/run
export XVMC_DIR
unset XVMC_DOMAIN XVMC_ENABLE XVMC_MIN_OPS LD_PRELOAD CONF_RING CONF_SWITCH

finish() {
	"$tools/xvmc" shutdown >/dev/null 2>&1
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# One run: what it printed, and how it ended, in $work/FILE.
run() { # MODE FILE CALL-LIST
	set -- "$1" "$2" -s "$seed" -n "$calls" ${3:+-o "$3"}
	how=$1
	out=$work/$2
	shift 2
	case $how in
	plain) timeout -s KILL 60 "$prog" "$@" ;;
	# A connection goes to its ring where the script says so, and else never.
	ring) CONF_RING=1 XVMC_MIN_OPS=1000000 XVMC_MIN_BYTES=1000000000 \
		timeout -s KILL 60 "$tools/xvmc-run" -- "$prog" "$@" ;;
	switch) CONF_SWITCH=1 timeout -s KILL 60 "$tools/xvmc-run" -- "$prog" "$@" ;;
	esac >"$out" 2>"$out.err" </dev/null
	echo "status $?" >>"$out"
}

# The first difference, or nothing. An edge too many is allowed where it is
# marked so ('~' instead of '!'), and edges without news ('?') may come and go.
compare() { # FILE
	awk -v other="$work/$1" '
		function fetch() { return (getline line <other) > 0 ? line : "(nothing)" }
		function same(a, b) {
			return a == b || (a ~ /^!/ && b ~ /^~/ && substr(a, 2) == substr(b, 2))
		}
		{
			if (/^[?]/)
				next
			got = fetch()
			while (got ~ /^[?]/ || (!same($0, got) && got ~ /^~/))
				got = fetch()
			if ($0 ~ /^[0-9-]/)
				call = $0
			if (!same($0, got)) {
				if (call != $0)
					print "  in:    " call
				print "  plain: " $0
				print "  here:  " got
				exit
			}
		}' "$work/plain"
}

# ---- making it shorter ----

# True if these calls differ from plain TCP, which agrees with itself. What
# does so only now and then has several tries.
still_differs() { # MODE CALL-LIST
	run plain again "$2"
	run plain plain "$2"
	[ -z "$(compare again)" ] || return 1
	for _ in 1 2 3; do
		run "$1" other "$2"
		[ -z "$(compare other)" ] || return 0
	done
	return 1
}

# Leaves out ever smaller pieces of the list, one number per line.
shorten() { # MODE LAST-CALL
	seq 0 "$2" >"$work/list"
	piece=$((($2 + 2) / 2))
	while [ $piece -ge 1 ]; do
		from=1
		while [ $from -le "$(wc -l <"$work/list")" ]; do
			sed "$from,$((from + piece - 1))d" "$work/list" >"$work/less"
			if [ -s "$work/less" ] && still_differs "$1" "$(paste -s -d, "$work/less")"; then
				mv "$work/less" "$work/list"
			else
				from=$((from + piece))
			fi
		done
		piece=$((piece / 2))
	done
	paste -s -d, "$work/list"
}

difference() { # MODE TEXT
	again=0
	for _ in 1 2 3 4 5; do
		run "$1" other "$only"
		[ -z "$(compare other)" ] || again=$((again + 1))
	done
	echo "not as plain TCP: seed $seed, $1; again in $again of 5 runs"
	echo "$2"
	cp "$work/other.err" "$work/err"
	short=$only
	last=$(echo "$2" | sed -n 's/^  [a-z]*: *0*\([0-9][0-9]*\) .*/\1/p' | head -n 1)
	if [ -z "$quick$only" ] && [ $again -gt 0 ] && [ -n "$last" ]; then
		short=$(shorten "$1" "$last")
		still_differs "$1" "$short" && {
			echo "shorter:"
			sed 's/^/  /' "$work/plain"
			compare other
		}
	fi
	echo "  replay: fuzz-calls.sh --seed $seed --runs 1 --mode $1 --calls $calls${short:+ --only $short}"
}

# ---- seed after seed ----

"$tools/xvmc-run" -- true || die "xvmc-run does not work"
end=$(($(date +%s) + seconds))
done=0 unsteady=0 differ=0
echo "fuzz-calls: from seed $seed, for $seconds s"
while [ "$(date +%s)" -lt $end ]; do
	run plain plain "$only"
	[ "$(tail -n 1 "$work/plain")" = 'status 0' ] || {
		cat "$work/plain.err" >&2
		die "seed $seed: on plain TCP: $(tail -n 1 "$work/plain")"
	}
	for mode in $modes; do
		run "$mode" other "$only"
		text=$(compare other)
		[ -n "$text" ] || continue
		for _ in 1 2 3; do
			run plain again "$only"
			[ -z "$(compare again)" ] || break
		done
		if [ -n "$(compare again)" ]; then
			unsteady=$((unsteady + 1))
			echo "seed $seed: plain TCP is not of one mind"
			compare again
			break
		fi
		differ=$((differ + 1))
		difference "$mode" "$text"
		[ -z "$stop" ] || break 2
		run plain plain "$only"
	done
	done=$((done + 1))
	seed=$((seed + 1))
	[ ! -t 2 ] || printf '\r\033[K%d seeds, %d differ, %d s left' $done $differ $((end - $(date +%s))) >&2
	[ $done -ne "$runs" ] || break
done
[ ! -t 2 ] || printf '\r\033[K' >&2
echo "fuzz-calls: $done seeds of $calls calls; $differ differ from plain TCP, $unsteady unsteady"
[ $done -gt 0 ] && [ $differ -eq 0 ]
