#!/bin/sh
# SPDX-License-Identifier: MIT
#
# .ci/nightly: its options, what it makes of steps that pass, fail and say
# nothing, its table and its JSON. In a tree of its own, where what the steps
# run are stubs that note how they were called. TAP on standard output.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tests=0
failed=0
nightly=$work/tree/.ci/nightly

mkdir -p "$work/tree/.ci" "$work/tree/tests/conformance" || exit 1
cp "$root/.ci/nightly" "$nightly" || exit 1
: >"$work/fails"
# Says what the real one would say last, and fails if fails has its first word.
cat >"$work/tree/run" <<END
#!/bin/sh
echo "\${0##*/} \$*" >>"$work/calls"
case \$1 in
fuzz) echo 'fuzz-calls: 7 seeds of 150 calls; 0 differ from plain TCP, 0 unsteady' ;;
sanitize) echo '31 passed, 0 failed' ;;
soak) echo '{"ok":true,"switches":{"to_ring":5,"to_tcp":6},"ring_share":0.9,"bytes_verified":77}' ;;
lab) echo 'lab: 40 results, 0 failed, 9 s; logs: nowhere' ;;
*)
	echo 'ok 1 - one'
	grep -qx "\$1" "$work/fails" && echo 'not ok 2 - a "broken" one' && exit 1
	echo 'not ok 2 - two # TODO known'
	;;
esac
! grep -qx "\$1" "$work/fails"
END
cp "$work/tree/run" "$work/tree/tests/conformance/run.sh"
chmod +x "$work/tree/run" "$work/tree/tests/conformance/run.sh"

result() { # STATUS NAME
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tests - $2"
		return
	fi
	failed=$((failed + 1))
	echo "not ok $tests - $2"
	sed 's/^/#   /' "$work/out" "$work/err" "$work/calls"
}

nightly() { # ARGUMENTS...
	: >"$work/calls"
	"$nightly" "$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
}

refuses() { # ARGUMENTS...
	nightly "$@"
	[ $got -eq 2 ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] && [ ! -s "$work/calls" ]
	result $? "$*: refused in one line, nothing is run"
}

called() { # WORDS...: as one line
	grep -qxF -e "$*" "$work/calls"
}

said() { # PATTERN
	grep -qE -e "$1" "$work/out"
}

for option in --help --list; do
	nightly $option
	[ $got -eq 0 ] && [ -s "$work/out" ] && [ ! -s "$work/err" ] && [ ! -s "$work/calls" ]
	result $? "$option: says so, and runs nothing"
done
refuses nonsense
refuses --nonsense
refuses build
refuses --seed
refuses --seed x
refuses --seed 12345678

nightly
[ $got -eq 0 ] && said '^12 passed, 0 failed$' && [ "$(wc -l <"$work/out")" -eq 13 ]
result $? "all steps, a line each"
[ "$(head -n 1 "$work/calls")" = "run build" ]
result $? "it is built first"
seed=$(sed -n 's/^nightly: seed \([0-9]*\)$/\1/p' "$work/err")
[ -n "$seed" ] && called "run fuzz --minutes 10 --mode ring --seed $seed" &&
	called "run soak --minutes 30 --seed $seed"
result $? "the seed that is printed is the one"
said '^fuzz-ring +passed +[0-9]+ s  7 seeds' && said '^tsan +passed .* 31 passed, 0 failed$' &&
	said '^soak .*to_ring 5.*ring_share 0.9, bytes_verified 77' && said '^lab .* 40 results, 0 failed' &&
	said '^conformance +passed .* 1 passed, 0 failed, 1 known$'
result $? "what each step has seen"

nightly --short --seed 4
[ $got -eq 0 ] && said '^9 passed, 0 failed$' && grep -q 'left out by --short: tsan valgrind lab' "$work/err"
result $? "--short says what it leaves out"
called run test run system
result $? "--short: some suites, barely started"
called run fuzz --seconds 5 --mode ring --seed 4 && ! grep -q lab "$work/calls"
result $? "--short: less of the rest"
nightly --short lab
[ $got -eq 0 ] && called run lab contract && ! grep -q fuzz "$work/calls"
result $? "a step that is named is run"

echo apps >"$work/fails"
nightly apps soak
[ $got -eq 1 ] && said '^apps +failed ' && said '^soak +passed ' && said '^2 passed, 1 failed$'
result $? "a step that fails: the others are run, the exit status says so"
said 'not ok 2 - a "broken" one' && said 'again: ./run apps ' && said 'log: .*nightly-apps.log' && ! said TODO
result $? "what failed, how to run it again, and where its log is"

nightly --json apps soak
[ $got -eq 1 ] && python3 - "$work/out" <<'END' 2>>"$work/err"
import json, sys
night = json.load(open(sys.argv[1]))
assert (night["passed"], night["failed"], night["short"]) == (2, 1, False), night
assert [(s["step"], s["passed"]) for s in night["steps"]] == [("build", True), ("apps", False), ("soak", True)]
assert all(isinstance(s["seconds"], int) and s["command"] for s in night["steps"])
END
result $? "--json"
grep -q '^apps  *failed' "$work/err"
result $? "--json: the table is on standard error"

echo build >"$work/fails"
nightly soak
[ $got -eq 1 ] && said '^build +failed ' && ! called run soak
result $? "without a build nothing else is run"

echo "1..$tests"
[ $failed -eq 0 ]
