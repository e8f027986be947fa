#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Checks the models in this directory with spin and prints TAP. A model must
# pass: no error, the search complete, every statement reached. A mutant must
# fail, and in the way the table says; so must a SHOW_ row, which claims that
# something never happens. See README.md for what each one is about.
#
# usage: run-models.sh [-o OUTDIR]
#   -o OUTDIR  keep there spin's output, and the trace of each run that
#              fails, as it must or not
#
# Needs spin and a C compiler (CC, default cc); about 1 GB for each of the two
# jobs that run at a time. Exit status: 0, or 1 if a row was not ok.

set -u
LC_ALL=C
export LC_ALL

here=$(cd "$(dirname "$0")" && pwd) || exit 1
outdir=

while getopts o: opt; do
	case $opt in
	o) outdir=$OPTARG ;;
	*)
		echo "usage: ${0##*/} [-o OUTDIR]" >&2
		exit 2
		;;
	esac
done
shift $((OPTIND - 1))
if [ $# -ne 0 ]; then
	echo "usage: ${0##*/} [-o OUTDIR]" >&2
	exit 2
fi

for tool in spin "${CC:-cc}"; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "Bail out! $tool is not installed"
		exit 1
	fi
done

if [ -n "$outdir" ]; then
	mkdir -p "$outdir" || exit 1
	outdir=$(cd "$outdir" && pwd) || exit 1
fi
work=$(mktemp -d) || exit 1

# Background jobs of a script ignore ^C: stop them, and what they run.
cleanup()
{
	trap - EXIT
	trap '' HUP INT TERM
	for f in "$work"/worker.* "$work"/pan.*; do
		[ -f "$f" ] && kill "$(cat "$f")" 2>/dev/null
	done
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'cleanup; exit 1' HUP INT TERM

# model, mutant (- none), search, what must happen:
#   search  safe: assertions and dead ends; live: the model's ltl property
#   passes; or the first error is an assertion, a stop (somebody waits for
#   ever), or a cycle (the ltl property does not hold)
cat >"$work/table" <<'TABLE'
switch - live passes
switch - safe passes
close - live passes
close - safe passes
wake - live passes
wake - safe passes
switch SHOW_RING_AGAIN safe assertion
switch SHOW_WRAP safe assertion
switch NO_TCP_MODE_CHECK safe assertion
switch NO_EXPECT_CHECK safe assertion
switch NO_CONTENT_COMPARE safe assertion
switch NO_CANCEL_CAS safe assertion
switch ACK_BEFORE_EXPECT safe assertion
switch ACK_NO_EPOCH safe assertion
switch ACK_BY_STORE safe assertion
switch WRITE_WHILE_ASKING safe assertion
switch WORD_BEFORE_POSITION safe assertion
switch NO_NONCE_RECHECK safe assertion
switch REPLAY_FROM_SENT safe assertion
switch NO_SKIP safe assertion
switch HINT_UNCHECKED safe assertion
switch PROD_AT_ANNOUNCE safe assertion
switch NO_ROOM_CHECK safe assertion
switch PUBLISH_EARLY safe assertion
switch CONS_EARLY safe assertion
switch READ_UNLOCKED safe assertion
switch PUMP_FOR_READER safe assertion
switch NO_TIMEOUT live cycle
switch NEVER_TOLD live cycle
close WRITER_NO_RECHECK safe assertion
close WAIT_FOR_ROOM_ONLY safe stop
close RING_BEFORE_RECORD safe assertion
close CLOSE_UNLOCKED safe assertion
close CLOSE_NO_RECORD safe assertion
close CLOSE_NO_RECORD_IF_READ safe stop
close FIN_BEFORE_REPLAY safe assertion
close HALF_IS_WHOLE safe assertion
close EOF_NO_LAST_LOOK safe assertion
close EOF_NO_DRAIN safe assertion
close EOF_TRUNCATE safe assertion
close EOF_CUT_REPLAY safe assertion
close TRUST_ZOMBIE safe assertion
close PROD_BEHIND safe stop
wake NO_FENCE_ARM_DATA safe assertion
wake NO_FENCE_ARM_ROOM safe assertion
wake NO_FENCE_PUBLISH safe assertion
wake NO_FENCE_CONSUME safe assertion
wake NO_RELOOK_DATA safe assertion
wake NO_RELOOK_ROOM safe assertion
wake LOOK_BEFORE_PUBLISH safe assertion
wake AT_OFF_BY_ONE safe assertion
wake RUNG_AS_FLAG safe assertion
wake BELL_IS_PULSE safe assertion
wake NO_HANDOVER safe assertion
wake HANDOVER_NO_FENCE safe assertion
wake HANDOVER_NO_RELOOK safe assertion
wake GIVE_UP_QUIETLY safe assertion
wake CLEAR_LATE safe assertion
TABLE
rows=$(grep -c . "$work/table")

# A mutant that stands in a model but not in the table would never be run.
switches_of()
{
	sed -n -e 's|^#ifn\{0,1\}def \([A-Z_]*\) /\*.*|\1|p' \
		-e 's|^#if defined(\([A-Z_]*\)) /\*.*|\1|p' \
		-e 's|^#elif defined(\([A-Z_]*\)) /\*.*|\1|p' "$here/$1.pml" | sort
}
for model in switch close wake; do
	switches_of "$model" >"$work/has"
	awk -v m="$model" '$1 == m && $2 != "-" { print $2 }' \
		"$work/table" | sort >"$work/listed"
	if ! cmp -s "$work/has" "$work/listed"; then
		echo "Bail out! $model.pml and the table do not have the same" \
			"mutants:" "$(comm -3 "$work/has" "$work/listed" |
			tr -s '\t\n' '  ')"
		exit 1
	fi
done

# search WORKER DIR MODEL MUTANT SEARCH: leaves DIR/out. A mutant's search
# ends at its first error, after less time than an optimiser takes.
search()
{
	cd "$2" || return 1
	cp "$here/$3.pml" . || return 1
	if [ "$4" = - ]; then
		define='' cflags='-O2 -DCOLLAPSE' table=24
	else
		define=-D$4 cflags=-O0 table=20
	fi
	if [ "$5" = live ]; then
		pflags=-a
	else
		cflags="$cflags -DNOCLAIM -DSAFETY" pflags=''
	fi
	# shellcheck disable=SC2086 # lists of words
	{
		spin $define -a "$3.pml" >spin.out 2>&1 || return 1
		# the generated code is not ours: its warnings stay unread
		"${CC:-cc}" -w -DMEMLIM=4000 $cflags -o pan pan.c \
			>cc.out 2>&1 || return 1
		# -Q: minutes, for a model that has got out of hand
		./pan -m10000 -w$table -Q10 $pflags >out 2>&1 &
	}
	echo $! >"$work/pan.$1"
	wait $!
	rm -f "$work/pan.$1"
}

# verdict DIR EXPECT: prints nothing, or why the row is not ok
verdict()
{
	if [ ! -s "$1/out" ]; then
		echo "spin or cc failed"
		return
	fi
	if grep -Eq 'too small|out of memory|MEMLIM|time limit|aborted' \
		"$1/out"; then
		echo "the search was cut short"
		return
	fi
	case $(grep '^pan:1: ' "$1/out") in
	'pan:1: assertion violated'*) got=assertion ;;
	'pan:1: invalid end state'*) got=stop ;;
	'pan:1: acceptance cycle'*) got=cycle ;;
	'') got=passes ;;
	*) got=unknown ;;
	esac
	if [ "$got" != "$2" ]; then
		echo "expected $2, spin found $got"
	elif [ "$got" = passes ]; then
		if ! grep -q 'errors: 0$' "$1/out" ||
			grep -q 'Search not completed' "$1/out"; then
			echo "the search did not complete"
		elif sed -n '/^unreached in proctype/,/^unreached in claim/p' \
			"$1/out" | grep 'state [0-9]' | grep -qv -e '-end-'; then
			echo "statements that are never reached"
		fi
	fi
}

# row N MODEL MUTANT SEARCH EXPECT WORKER: one line of TAP in $work/N.tap
row()
{
	dir=$work/$1
	mkdir "$dir"
	(search "$6" "$dir" "$2" "$3" "$4")
	why=$(verdict "$dir" "$5")
	states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$dir/out" \
		2>/dev/null)
	name=$2
	[ "$3" = - ] || name="$2 $3"
	if [ -n "$why" ]; then
		echo "not ok $1 - $name ($4): $why"
	elif [ "$5" = passes ]; then
		echo "ok $1 - $name ($4) passes ($states states)"
	elif [ "${3#SHOW_}" != "$3" ]; then
		echo "ok $1 - $name happens as it should ($states states)"
	else
		echo "ok $1 - $name fails as it must ($states states)"
	fi >"$work/$1.tap.new"
	if [ -n "$outdir" ]; then
		keep=$outdir/$1-$2-$3-$4
		cat "$dir/spin.out" "$dir/cc.out" "$dir/out" >"$keep.out" \
			2>/dev/null
		rm -f "$keep.trace"
		if [ -f "$dir/$2.pml.trail" ]; then
			define=
			[ "$3" = - ] || define=-D$3
			# shellcheck disable=SC2086 # nothing, or one word
			(cd "$dir" && spin $define -t -p -g "$2.pml" \
				>"$keep.trace" 2>&1)
		fi
	fi
	rm -rf "$dir"
	mv "$work/$1.tap.new" "$work/$1.tap"
}

# Each worker goes through the whole table and takes what nobody has taken.
worker()
{
	n=0
	while read -r model mutant how expect; do
		n=$((n + 1))
		mkdir "$work/taken.$n" 2>/dev/null || continue
		row "$n" "$model" "$mutant" "$how" "$expect" "$1"
	done <"$work/table"
}

echo "TAP version 13"
echo "1..$rows"
worker 1 &
echo $! >"$work/worker.1"
worker 2 &
echo $! >"$work/worker.2"
wait
rm -f "$work"/worker.*

bad=0
n=0
while [ "$n" -lt "$rows" ]; do
	n=$((n + 1))
	[ -f "$work/$n.tap" ] || echo "not ok $n - did not run" >"$work/$n.tap"
	cat "$work/$n.tap"
	case $(cat "$work/$n.tap") in
	ok*) ;;
	*) bad=$((bad + 1)) ;;
	esac
done
if [ "$bad" -ne 0 ]; then
	echo "# $bad of $rows not ok" >&2
	exit 1
fi
