#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs the suites one after the other, counts what each says of itself, and
# ends with a line 'N passed, N failed'. A suite that ends with an error but
# without a failed test, or without having run all the tests it announced,
# counts as one failure more. `./run test` builds first and calls this.
set -u

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
build=$root/build
under=
soak_seconds=20
fuzz_seconds=60
suite_limit_s=900
lab_limit_s=360

suites() {
	cat <<'END'
lint         shellcheck; what uses what; pages; builds by gcc and clang without a warning
unit         unit tests, simulation, fuzzing: all that meson knows of
asan         the same under AddressSanitizer and UBSan
model        the models, by spin, and the mutants that must fail
run          ./run, its options
nightly      .ci/nightly, its options and its table
tools        xvmc, xvmc-run: options, messages, what they do without xvmcd
system       units, udev rule, modules for a Xen host: installed, and understood?
stream       does the checked stream notice what it should?
fuzz         random calls for a minute: rings, switches and TCP must agree
conformance  the same programs on TCP and on rings must agree
apps         real programs, plain, accelerated, switched all the time
bench        does every kind of measurement work? (not: how fast)
demo         a short demo: its result, its JSON, its pictures
soak         the checked stream for 20 s with something happening every 20 ms
lab          two guests of real Xen, in QEMU: a stream by ring, a migration under it
END
}

help() {
	cat <<'END'
usage: run-tests.sh [--build DIR] [--under asan|tsan|valgrind] [SUITE...]

  --list       the suites, and what they are about
  --tap SUITE  only this one, and its TAP
Standard output ends with 'N passed, N failed'. Logs: DIR/logs/test-SUITE.log
END
}

die() {
	echo "run-tests.sh: $1" >&2
	exit "${2:-1}"
}

chosen=
tap=
while [ $# -gt 0 ]; do
	case $1 in
	--build | --under | --tap)
		[ $# -ge 2 ] || die "$1 wants a value" 2
		case $1 in
		--build) build=$2 ;;
		--under) under=$2 ;;
		--tap) tap=$2 ;;
		esac
		shift
		;;
	--list)
		suites
		exit 0
		;;
	--help | -h)
		help
		exit 0
		;;
	-*) die "no such option: '$1'; see --help" 2 ;;
	*)
		suites | awk -v name="$1" '$1 == name { found = 1 } END { exit !found }' ||
			die "no such suite: '$1'; see --list" 2
		chosen="$chosen $1"
		;;
	esac
	shift
done
case $under in
'' | asan | tsan | valgrind) ;;
*) die "--under wants asan, tsan or valgrind, not '$under'" 2 ;;
esac
build=$(cd "$build" 2>/dev/null && pwd) || die "no such build directory: build first"
logs=$build/logs
mkdir -p "$logs" || exit 1
[ -n "$chosen" ] || chosen=$(suites | awk '{ print $1 }')

work=$(mktemp -d) || exit 1
# Logs may quote this; nothing of ours may be read by the tests from outside.
for variable in $(env | sed -n 's/^\(XVMC_[A-Z_]*\)=.*/\1/p'); do
	unset "$variable"
done
unset LD_PRELOAD
runner=
finish() {
	trap - EXIT
	trap '' HUP INT TERM
	[ -z "$runner" ] || kill "$runner" 2>/dev/null
	wait
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# ---- the suites: each writes TAP; 'meson' is translated ----

# One test that is a command: its name, then what it says if it fails.
test_is() { # NAME COMMAND...
	test_name=$1
	shift
	tests=$((tests + 1))
	if "$@" >"$work/out" 2>&1; then
		echo "ok $tests - $test_name"
	else
		echo "not ok $tests - $test_name"
		tail -n 40 "$work/out" | sed 's/^/#   /'
	fi
}

suite_lint() {
	test_is "shellcheck" "$root/run" lint shell
	test_is "rooms use only what stands above them" "$root/run" lint rooms
	test_is "the pages say what the lists say" "$root/run" lint docs
	test_is "gcc: no warnings" "$root/run" lint gcc
	test_is "clang: no warnings" "$root/run" lint clang
	echo "1..$tests"
}

# meson's own account of what it ran, as TAP. Tests that are TAP themselves
# are in there one by one.
suite_unit() {
	set -- -C "$build" --no-rebuild --print-errorlogs
	[ -z "$under" ] || set -- "$@" --no-suite unwatched
	case $under in
	asan)
		ASAN_OPTIONS=detect_stack_use_after_return=1:$(printenv ASAN_OPTIONS)
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
		export ASAN_OPTIONS UBSAN_OPTIONS
		set -- "$@" -t 5
		;;
	tsan)
		TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$root/tests/unit/tsan.supp
		export TSAN_OPTIONS
		# The simulation and fuzz-conn have one thread each.
		set -- "$@" -t 10 --suite unit
		;;
	valgrind)
		# The simulation lets a memcpy fault, and go on.
		set -- "$@" -t 30 --wrapper \
			"valgrind -q --vex-iropt-register-updates=allregs-at-mem-access --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite"
		;;
	esac
	rm -f "$build"/meson-logs/testlog*.junit.xml
	meson test "$@" 2>&1 | sed 's/^/# /'
	# One element per line; attributes may contain anything but '<'.
	cat "$build"/meson-logs/testlog*.junit.xml 2>/dev/null | tr '\n' ' ' | sed 's/</\n</g' | awk '
		function flush() {
			if (name != "")
				print (bad ? "not ok " : "ok ") ++n " - " name (skip ? " # SKIP" : "")
			name = ""
			bad = skip = 0
		}
		function attribute(key,    value) {
			if (!match($0, " " key "=\"[^\"]*\""))
				return ""
			value = substr($0, RSTART, RLENGTH)
			sub(/^[^"]*"/, "", value)
			sub(/"$/, "", value)
			return value
		}
		/^<testcase / { flush(); name = attribute("classname") " " attribute("name") }
		/^<failure/ || /^<error/ { bad = 1 }
		/^<skipped/ { skip = 1 }
		END { flush(); print "1.." n + 0 }'
}

# The others take longer: CONTRIBUTING.md says when.
suite_asan() {
	test_is "units, simulation and fuzzing under asan and ubsan" "$root/run" sanitize asan
	echo "1..$tests"
}

suite_model() {
	"$root/tests/model/run-models.sh"
}

suite_run() {
	"$root/tests/unit/test-run.sh"
}

suite_nightly() {
	"$root/tests/unit/test-nightly.sh"
}

suite_tools() {
	"$root/tests/unit/test-tools.sh" "$build"
}

suite_system() {
	"$root/tests/unit/test-system.sh" "$build"
}

suite_stream() {
	"$root/tests/unit/stream-checker.sh" "$build"
}

suite_conformance() {
	"$root/tests/conformance/run.sh" "$build"
}

# The same scripts each time, so that it is a change which makes a difference;
# ./run fuzz takes new ones. A seed that differs is printed, with the command
# that repeats it.
suite_fuzz() {
	test_is "random calls: as plain TCP" "$root/tests/fuzz/fuzz-calls.sh" --build "$build" \
		--seconds $fuzz_seconds --seed 1 --stop
	grep '^fuzz-calls: ' "$work/out" | sed 's/^/# /'
	echo "1..$tests"
}

suite_apps() {
	"$root/tests/apps/run-apps.sh" --build "$build" --short
}

suite_bench() {
	test_is "all kinds of measurement work, and rings are used" "$root/tools/bench/bench.sh" \
		--build "$build" --rounds 1 --seconds 0.3 rr rr-asleep stream-64k stream-1k redis-c1 \
		unix-rr half-client half-server crr
	echo "1..$tests"
}

demo_json_is_right() {
	python3 - "$work/demo.json" <<'END'
import json, sys
demo = json.load(open(sys.argv[1]))
three = {"tcp", "ring", "ratio"}
want = {"stream_gbps": three, "rr_us": {"tcp_p50", "ring_p50", "ratio"}, "redis_rps": three,
        "migrations": None, "switches": None, "bytes_verified": None, "bytes_lost": None,
        "bytes_duplicated": None, "ring_share": None, "pause_ms": {"p50", "p99", "max"}}
assert set(demo) == set(want), set(demo) ^ set(want)
for key, inner in want.items():
    if inner:
        assert set(demo[key]) == inner, (key, demo[key])
        assert all(isinstance(n, (int, float)) for n in demo[key].values()), demo[key]
    else:
        assert isinstance(demo[key], (int, float)), key
assert demo["migrations"] >= 6 and demo["bytes_lost"] == demo["bytes_duplicated"] == 0, demo
END
}

demo_pictures_are_there() {
	[ "$(head -c 4 "$work/demo/demo.png" | od -An -c | tr -d ' ')" = '211PNG' ] &&
		grep -q '</svg>' "$work/demo/demo.svg"
}

run_demo() {
	"$root/tools/demo/demo.sh" --build "$build" --out "$work/demo" --seconds 8 --json >"$work/demo.json"
}

suite_demo() {
	test_is "the demo" run_demo
	test_is "its JSON" demo_json_is_right
	test_is "its pictures" demo_pictures_are_there
	echo "1..$tests"
}

suite_soak() {
	test_is "the checked stream, a switch every 20 ms for $soak_seconds s: every byte once, in order" \
		"$root/tools/demo/soak.sh" --build "$build" --seconds $soak_seconds
	sed 's/^/# /' "$work/out"
	echo "1..$tests"
}

# Steps depend on each other: the first that fails is the one to look at. Where the
# emulator has hung it is begun anew, as long as there is time.
suite_lab() {
	LAB_PATIENCE=${LAB_PATIENCE:-3} "$root/tests/xen/lab.sh" --build "$build" --tap short
}

# ---- counting ----

# PASSED FAILED SKIPPED of a log, and failures the log does not mention.
count() { # LOG STATUS
	awk -v status="$2" '
		/^not ok / { if (/# TODO/) skipped++; else failed++ } # known, see there
		/^ok / { if (/# *SKIP/) skipped++; else passed++ }
		/^1\.\.[0-9]/ { plan = substr($1, 4) + 0; planned = 1 }
		/^Bail out!/ { bail = 1 }
		END {
			if (bail || !planned || plan != passed + failed + skipped || passed + failed + skipped == 0)
				failed++
			else if (status != 0 && !failed)
				failed++
			print passed + 0, failed + 0, skipped + 0
		}' "$1"
}

if [ -n "$tap" ]; then
	tests=0
	suites | awk -v name="$tap" '$1 == name { found = 1 } END { exit !found }' ||
		die "no such suite: '$tap'; see --list" 2
	"suite_$tap"
	exit
fi

passed=0
failed=0
skipped=0
for suite in $chosen; do
	log=$logs/test-$suite.log
	begun=$(date +%s)
	limit_s=$suite_limit_s
	[ "$suite" != lab ] || limit_s=$lab_limit_s
	[ ! -t 2 ] || printf '\r\033[K%s ...' "$suite" >&2
	timeout -k 10 $limit_s "$0" --build "$build" --under "$under" --tap "$suite" \
		>"$log" 2>&1 </dev/null &
	runner=$!
	wait $runner
	status=$?
	runner=
	[ $status -ne 124 ] || echo "Bail out! not done after $limit_s s" >>"$log"
	[ ! -t 2 ] || printf '\r\033[K' >&2
	counts=$(count "$log" $status)
	# shellcheck disable=SC2086 # three numbers
	set -- $counts
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
	printf '%-12s %4s passed %3s failed' "$suite" "$1" "$2"
	[ "$3" -eq 0 ] || printf ' %2s skipped' "$3"
	printf ' %5s s\n' $(($(date +%s) - begun))
	if [ "$2" -gt 0 ]; then
		# What failed, with what it says about it.
		awk '/^not ok / { show = 12 } /^Bail out!/ { show = 1 } /^ok / { show = 0 }
			show-- > 0 { print "    " $0; n++ } n > 60 { exit }' "$log"
		# cmocka says it before, among all that went well.
		[ "$suite" != unit ] || grep -E '^# (\[  ERROR|\[   LINE|\[  FAILED  \] test|.*seed)' "$log" |
			sed 's/^/    /' | head -n 40
		echo "    log: $log"
	fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
