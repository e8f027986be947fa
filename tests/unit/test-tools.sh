#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The tools as a user meets them: options, exit statuses, messages of one
# line; what xvmc-run does with programs that cannot be accelerated; that
# many xvmc-run at once start one xvmcd. TAP on standard output.
# Usage: test-tools.sh BUILD-DIRECTORY

set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 1
build=$(cd "${1:?build directory}" && pwd) || exit 1
tools=$build/tools
run=$tools/xvmc-run
for tool in "$run" "$tools/xvmc" "$tools/xvmcd/xvmcd" \
	"$tools/bench/xvmc-bench" \
	"$build/preload/libxvmc.so" "$build/tests/unit/past-library" \
	"$build/tests/unit/fork-restart"; do
	if [ ! -x "$tool" ]; then
		echo "Bail out! $tool has not been built"
		exit 1
	fi
done
# shellcheck source=tools/demo/tmpdir.sh
. "$here/../../tools/demo/tmpdir.sh"
work=$(mktemp -d) || exit 1
XVMC_DIR=$work/run
export XVMC_DIR
unset XVMC_DOMAIN XVMC_LOG XVMC_ENABLE XVMC_RULES XVMC_STATS XVMC_TRAP LD_PRELOAD
# shellcheck source=tests/unit/tap.sh
. "$here/tap.sh"

finish() {
	"$tools/xvmc" shutdown >/dev/null 2>&1
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

lines() { wc -l <"$1" | tr -d ' '; }

# Runs a command; the test passes if it ends with this status. Its output is
# in $work/out and $work/err.
ends() { # STATUS NAME COMMAND...
	want=$1 name=$2
	shift 2
	"$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	[ "$got" -eq "$want" ]
	rc=$?
	[ $rc -eq 0 ] || echo "status $got, not $want" >>"$work/err"
	result $rc "$name"
}

# ... and says so in exactly one line on standard error.
refuses() { # STATUS NAME COMMAND...
	want=$1 name=$2
	shift 2
	"$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	[ "$got" -eq "$want" ] && [ "$(lines "$work/err")" -eq 1 ] &&
		[ ! -s "$work/out" ]
	rc=$?
	[ $rc -eq 0 ] || echo "status $got, not $want" >>"$work/err"
	result $rc "$name"
}

says() { # NAME PATTERN: the line refuses() has just seen
	grep -q -- "$2" "$work/err"
	result $? "$1"
}

options() {
	refuses 2 "xvmc: a command is needed" "$tools/xvmc"
	refuses 2 "xvmc: unknown command" "$tools/xvmc" nonsense
	ends 0 "xvmc --help" "$tools/xvmc" --help
	ends 0 "xvmc version" "$tools/xvmc" version
	ends 0 "xvmc version --json" "$tools/xvmc" version --json
	for cmd in ss vms stat promote demote migrate create destroy \
		shutdown doctor version; do
		ends 0 "xvmc $cmd --help" "$tools/xvmc" "$cmd" --help
		refuses 2 "xvmc $cmd: unknown option" "$tools/xvmc" "$cmd" --nonsense
		refuses 2 "xvmc $cmd: too many arguments" "$tools/xvmc" "$cmd" a b c
	done
	refuses 2 "xvmc ss: no number" "$tools/xvmc" ss --pid x1
	refuses 2 "xvmc ss: out of range" "$tools/xvmc" ss --port 65536
	refuses 2 "xvmc ss: no value" "$tools/xvmc" ss --port
	refuses 2 "xvmc ss: value for a flag" "$tools/xvmc" ss --json=1
	refuses 2 "xvmc ss: bad domain" "$tools/xvmc" ss --domain a/b
	refuses 2 "xvmc demote: --id alone" "$tools/xvmc" demote --id 3
	refuses 2 "xvmc migrate: no host" "$tools/xvmc" migrate vm1
	refuses 2 "xvmc migrate: both ways" "$tools/xvmc" migrate vm1 B \
		--unprepared --cancelled
	refuses 2 "xvmc create: name too long" "$tools/xvmc" create \
		0123456789012345678901234567890123456789 A

	ends 0 "xvmc-run --help" "$run" --help
	refuses 2 "xvmc-run: a program is needed" "$run"
	refuses 2 "xvmc-run: unknown option" "$run" --nonsense true
	refuses 2 "xvmc-run: bad domain" "$run" --domain 'a b' true
	refuses 2 "xvmc-run: --order out of range" "$run" --order 9 true
	refuses 2 "xvmc-run: --spin-us no number" "$run" --spin-us=-1 true
	refuses 2 "xvmc-run: --no-spin and --spin-us" "$run" --no-spin \
		--spin-us 5 true
	for tool in "$tools/xvmcd/xvmcd" "$tools"/bench/*; do
		if [ ! -f "$tool" ] || [ ! -x "$tool" ]; then
			continue
		fi
		refuses 2 "${tool##*/}: unknown option" "$tool" --nonsense
		ends 0 "${tool##*/} --help" "$tool" --help
	done
}

no_xvmcd() {
	refuses 1 "xvmc ss without xvmcd" "$tools/xvmc" ss
	says "... names the directory" "$XVMC_DIR"
	says "... and the command" "xvmcd --daemon --dir"
	refuses 1 "xvmc stat --json without xvmcd" "$tools/xvmc" stat --json
	refuses 1 "xvmc --dir" "$tools/xvmc" vms --dir "$work/elsewhere"
	says "... names that directory" "$work/elsewhere"
	refuses 1 "a directory with a very long name" "$tools/xvmc" vms --dir \
		"$work/$(printf '%0120d' 0)"
}

programs() {
	program=$(command -v env) # true may be a builtin without a path
	# A PATH with a directory that is closed to us would make it 126.
	refuses 127 "xvmc-run: not found" env PATH=/usr/bin:/bin "$run" no-such-program-anywhere
	refuses 127 "xvmc-run: no such path" "$run" "$work/none"
	refuses 126 "xvmc-run: a directory" "$run" "$work"
	cp "$program" "$work/plain"
	chmod 644 "$work/plain"
	refuses 126 "xvmc-run: not executable" "$run" "$work/plain"

	echo 'int main(int n, char **v) { return n > 1 ? v[1][0] - 48 : 0; }' \
		>"$work/a.c"
	if ${CC:-cc} -static "$work/a.c" -o "$work/static" 2>"$work/err"; then
		refuses 125 "xvmc-run: static program" "$run" "$work/static"
		says "... says why" "statically linked"
		ends 7 "xvmc-run --anyway: static program" "$run" --anyway \
			"$work/static" 7
		printf '#!%s\n' "$work/static" >"$work/script-static"
		chmod +x "$work/script-static"
		refuses 125 "xvmc-run: script for a static program" "$run" \
			"$work/script-static"
		printf '#!/usr/bin/env -S A=1 %s\n' "$work/static" >"$work/script-env"
		chmod +x "$work/script-env"
		refuses 125 "xvmc-run: script for env and a static program" \
			"$run" "$work/script-env"
	else
		result 1 "xvmc-run: static program: it cannot be built"
	fi
	cat >"$work/go.c" <<-'END'
	__asm__(".section .note.go.buildid,\"a\"\n.long 4,4,4\n"
		".asciz \"Go\"\n.byte 0\n.long 0\n.previous\n");
	int main(void) { return 0; }
	END
	if ${CC:-cc} "$work/go.c" -o "$work/go" 2>"$work/err"; then
		refuses 125 "xvmc-run: Go program" "$run" "$work/go"
		says "... says why" "Go program"
	else
		result 1 "xvmc-run: Go program: it cannot be built"
	fi
	printf '#!/no/such/interpreter\n' >"$work/script-none"
	chmod +x "$work/script-none"
	refuses 126 "xvmc-run: script without its interpreter" "$run" \
		"$work/script-none"

	cp "$program" "$work/foreign" # byte 18: the machine; 0xb8 is none of ours
	chmod +x "$work/foreign"
	printf '\270' | dd of="$work/foreign" bs=1 seek=18 conv=notrunc 2>/dev/null
	refuses 125 "xvmc-run: program for another machine" "$run" "$work/foreign"
	printf '\177ELF' >"$work/short"
	chmod +x "$work/short"
	ends 127 "xvmc-run: four bytes of a program" "$run" "$work/short"
	privileged
}

privileged() {
	name="xvmc-run: set-user-ID program"
	cp "$(command -v id)" "$work/suid"
	chmod 755 "$work"
	if ! chown 65534 "$work/suid" 2>/dev/null ||
		! chmod 4755 "$work/suid" ||
		[ "$("$work/suid" -u)" != 65534 ]; then
		skip "$name" "cannot make one here"
		return
	fi
	refuses 125 "$name" "$run" "$work/suid"
	says "... says why" "set-user-ID"
}

# The xvmcd that run in our directory, by their command lines.
xvmcd_pids() {
	for f in /proc/[0-9]*/cmdline; do
		case $({ tr '\0' ' ' <"$f"; } 2>/dev/null) in
		*xvmcd*"--dir $XVMC_DIR "*) f=${f#/proc/} && echo "${f%/*}" ;;
		esac
	done
}

xvmcds() { xvmcd_pids | wc -l | tr -d ' '; }

starting() {
	pids=''
	i=0
	while [ $i -lt 8 ]; do
		"$run" --domain "d$i" --host A sh -c 'sleep 1; exit 3' \
			</dev/null >"$work/out.$i" 2>&1 &
		pids="$pids $!"
		i=$((i + 1))
	done
	sleep 0.7
	alive=$(xvmcds)
	bad=0
	for p in $pids; do
		wait "$p"
		[ $? -eq 3 ] || bad=$((bad + 1))
	done
	cat "$work"/out.* >"$work/err"
	[ "$bad" -eq 0 ]
	result $? "eight xvmc-run at once: all programs ran"
	[ ! -s "$work/err" ]
	result $? "... without a word"
	echo "$alive xvmcd run" >"$work/err"
	[ "$alive" -eq 1 ]
	result $? "... and one xvmcd was started"
	ends 0 "xvmc vms" "$tools/xvmc" vms
	grep -q '^d7 ' "$work/out"
	result $? "... shows the domains"
	ends 0 "an xvmcd that runs is used" "$run" --require --verbose true
	[ "$(xvmcds)" -eq 1 ]
	result $? "... and no second one started"
	ends 0 "xvmc vms --json" "$tools/xvmc" vms --json
	grep -q '"domain":.*"local"' "$work/out"
	result $? "... shows the default domain"
	refuses 1 "xvmc create: exists already" "$tools/xvmc" create d1 A
	refuses 1 "xvmc migrate: no such domain" "$tools/xvmc" migrate none B
	refuses 1 "xvmc destroy: no such domain" "$tools/xvmc" destroy none
	ends 0 "xvmc migrate" "$tools/xvmc" migrate d1 B --json
	ends 0 "xvmc-run --host with a domain that is elsewhere" "$run" \
		--domain d1 --host A true
	says "... says so" "it stays there"
	ends 0 "xvmc destroy" "$tools/xvmc" destroy d1
	ends 0 "xvmc ss" "$tools/xvmc" ss
	ends 0 "xvmc ss --json" "$tools/xvmc" ss --json
	ends 0 "xvmc stat --json" "$tools/xvmc" stat --json
	grep -q '"ring_tx_bytes":' "$work/out"
	result $? "... has the counters"
	ends 0 "xvmc stat --per-process --json" "$tools/xvmc" stat \
		--per-process --json
	ends 0 "xvmc stat --prometheus" "$tools/xvmc" stat --prometheus
	is_exposition
	result $? "... has counters, and nothing that is no exposition"
	ends 0 "xvmc stat --prometheus --per-process" "$tools/xvmc" stat \
		--prometheus --per-process
	refuses 2 "xvmc stat --prometheus --json" "$tools/xvmc" stat --prometheus --json
	ends 0 "xvmc promote" "$tools/xvmc" promote
	ends 0 "xvmc demote" "$tools/xvmc" demote
	refuses 1 "xvmc demote: no such process" "$tools/xvmc" demote --pid $$
}

# Each line is HELP, TYPE, or a sample; each sample's name has been announced.
# shellcheck disable=SC2317 # called before result
is_exposition() {
	awk '
		/^# HELP [a-z_]+ .+$/ { next }
		/^# TYPE [a-z_]+ (counter|gauge)$/ { known[$3] = 1; next }
		/^[a-z_]+({[a-z]+="[^"]*"(,[a-z]+="[^"]*")*})? [0-9]+$/ {
			name = $0
			sub(/[ {].*/, "", name)
			if (!(name in known)) exit bad = 1
			n++
			next
		}
		{ print "line " NR ": " $0; exit bad = 1 }
		END { exit bad || n < 20 || !("xvmc_ring_tx_bytes_total" in known) }' "$work/out"
}

fail_open() {
	echo hello >"$work/file"
	ends 0 "no directory can be made: the program runs" "$run" \
		--dir "$work/file/x" true
	says "... with a warning" "without acceleration"
	[ "$(lines "$work/err")" -eq 1 ]
	result $? "... of one line"
	refuses 124 "... but not with --require" "$run" --dir "$work/file/x" \
		--require true
	mkdir -m 777 "$work/open"
	chmod 777 "$work/open"
	ends 0 "a directory open to all is not used" "$run" --dir "$work/open" true
	says "... with a warning" "without acceleration"
}

doctor() {
	ends 0 "xvmc doctor" "$tools/xvmc" doctor
	grep -q '^ok *xvmcd' "$work/out"
	result $? "... sees xvmcd"
	ends 0 "xvmc doctor --json" "$tools/xvmc" doctor --json
	grep -q '"ok":' "$work/out"
	result $? "... is JSON"
	ends 1 "xvmc doctor: directory open to all" "$tools/xvmc" doctor \
		--dir "$work/open"
	grep -q 'mend: chmod' "$work/out"
	result $? "... and what mends it"
	ends 0 "xvmc doctor: few descriptors" prlimit --nofile=64:64 \
		"$tools/xvmc" doctor
	grep -q '^warn *files' "$work/out"
	result $? "... are seen"
}

# A connection that gets no ring, for want of event channels: doctor sees it, unless
# it looks while that is tried once more.
scarce() {
	mkdir "$work/few"
	"$tools/xvmcd/xvmcd" --dir "$work/few" --max-ports 1 >"$work/few.log" 2>&1 &
	xvmcd=$!
	"$run" --dir "$work/few" --domain d1 "$tools/bench/xvmc-bench" serve >"$work/few.port" 2>&1 &
	server=$!
	until port=$(sed -n 's/^listening //p' "$work/few.port") && [ -n "$port" ]; do
		kill -0 $server || break
		sleep 0.1
	done
	"$run" --dir "$work/few" --domain d2 "$tools/bench/xvmc-bench" rr --port "$port" \
		--seconds 600 >/dev/null 2>&1 &
	client=$!
	until "$tools/xvmc" doctor --dir "$work/few" >"$work/out" 2>"$work/err" &&
		grep -q '^warn *peers .*out of event channels' "$work/out"; do
		kill -0 $client || break
		sleep 0.1
	done
	grep -A 1 '^warn *peers .*out of event channels' "$work/out" >"$work/peers"
	grep -q 'mend: xvmcd --max-ports' "$work/peers"
	result $? "xvmc doctor: what gives more event channels"
	kill $client $server $xvmcd
	wait $client $server $xvmcd
}

ending() {
	ends 0 "xvmc shutdown" "$tools/xvmc" shutdown
	refuses 1 "xvmc ss after it" "$tools/xvmc" ss
	refuses 1 "xvmc shutdown again" "$tools/xvmc" shutdown
	ends 0 "xvmc doctor without xvmcd" "$tools/xvmc" doctor
	ends 0 "xvmc-run starts another" "$run" --require true
}

manual() { # PAGE COMMAND...
	page=$here/../../docs/man/$1
	shift
	"$@" --help 2>&1 | grep -oE -- '--[a-z0-9-]+' | sort -u >"$work/options"
	sed 's/\\-/-/g' "$page" >"$work/page" # no pipe, which grep -q would break
	while read -r option; do
		grep -qE -- "$option([^a-z0-9-]|\$)" "$work/page" ||
			echo "no word of $option"
	done <"$work/options" >"$work/out" 2>"$work/err"
	[ -s "$work/options" ] && [ ! -s "$work/out" ] && [ ! -s "$work/err" ]
	result $? "$(basename "$page"): all options of $(basename "$*")"
}

# What a command says of its options the manual page says too.
manuals() {
	manual xvmc-run.1 "$run"
	manual xvmcd.8 "$tools/xvmcd/xvmcd"
	for cmd in ss vms stat promote demote migrate create destroy shutdown doctor version; do
		manual xvmc.1 "$tools/xvmc" $cmd
	done
}

# ld.so cannot be told of a path with a blank in it.
blank() {
	mkdir -p "$work/a b/tools/xvmcd" "$work/a b/preload"
	cp "$run" "$work/a b/tools/"
	cp "$tools/xvmcd/xvmcd" "$work/a b/tools/xvmcd/"
	cp "$build/preload/libxvmc.so" "$work/a b/preload/"
	ends 7 "from a directory with a blank in its name: on rings" \
		env CONF_RING=1 "$work/a b/tools/xvmc-run" "$past" nothing
	[ ! -s "$work/err" ]
	result $? "... and nothing is said"
}

# Numbers 0 to 2 closed: nothing of ours is written to for standard error, or led
# to /dev/null.
closed() {
	for how in '<&-' '<&- >&-' '<&- >&- 2>&-'; do
		ends 0 "xvmcd --daemon $how" sh -c "\"\$@\" $how" sh \
			"$tools/xvmcd/xvmcd" --daemon --dir "$work/numbers"
		ends 0 "... answers" "$tools/xvmc" ss --dir "$work/numbers"
		ends 0 "... ends" "$tools/xvmc" shutdown --dir "$work/numbers"
	done
}

# What makes sockets in a directory of its own does so wherever TMPDIR leads.
works_in() { # NAME TMPDIR
	mkdir -p "$2"
	ends 0 "conformance, $1" env TMPDIR="$2" "$here/../conformance/run.sh" "$build" eof:ring
	ends 0 "random calls, $1" env TMPDIR="$2" "$here/../fuzz/fuzz-calls.sh" \
		--build "$build" --seed 1 --runs 1 --calls 5
	ends 0 "bench, $1" env TMPDIR="$2" "$here/../../tools/bench/bench.sh" \
		--build "$build" --rounds 1 --seconds 1 rr
	ends 0 "soak, $1" env TMPDIR="$2" "$here/../../tools/demo/soak.sh" \
		--build "$build" --seconds 2
}

# A gap of 160 ms, 100 of them the machine's; and one of 120, all ours.
stall_account() {
	printf '100,190,0\n150,200,1\n' >"$work/standstill"
	printf '230,160,3,to_client\n400,120,3,to_server\n' >"$work/pauses"
	awk -f "$here/../../tools/demo/stalls.awk" "$work/standstill" "$work/pauses" >"$work/out" 2>"$work/err"
	[ "$(cat "$work/out")" = '"machine":{"standstills":1,"longest_ms":100.000},"stalls":{"over_100_ms":1,"max_ms":120.000}' ]
	result $? "what the machine stood still is not the stream's stall"
}

# shellcheck source=tests/unit/tools-stay.sh
. "$here/tools-stay.sh"
# shellcheck source=tests/unit/tools-toolstack.sh
. "$here/tools-toolstack.sh"

# Which CPUs a process may use, as its kernel says it.
cpus() { sed -n 's/^Cpus_allowed:[[:space:]]*//p' "/proc/$1/status"; }

confined() {
	name="xvmcd is not confined to the CPU of who starts it"
	usual=$XVMC_DIR
	XVMC_DIR=$work/confined
	all=$(taskset -c 0-8191 sed -n 's/^Cpus_allowed:[[:space:]]*//p' /proc/self/status)
	one=$(taskset -cp $$ | sed 's/.*[ :]\([0-9]*\)[-,0-9]*$/\1/')
	taskset -c "$one" chrt -b 0 "$run" true
	daemon=$(xvmcd_pids)
	[ -n "$daemon" ] && [ "$(cpus "$daemon")" = "$all" ]
	result $? "$name"
	chrt -p "$daemon" | grep -q SCHED_OTHER
	result $? "... nor scheduled as that is"
	"$tools/xvmc" shutdown
	XVMC_DIR=$usual
}

# Who has a connection on a ring leaves it for another process, though xvmcd,
# which the peer is asked through, is not the one of before.
restarted() {
	mkfifo "$work/begin"
	: >"$work/out"
	CONF_RING=1 XVMC_ESCAPE_MS=15000 "$run" -- "$build/tests/unit/fork-restart" \
		>"$work/out" 2>"$work/err" <"$work/begin" &
	pid=$!
	exec 3>"$work/begin"
	n=0
	until grep -q ready "$work/out" || [ $n -eq 100 ]; do
		n=$((n + 1))
		sleep 0.1
	done
	"$tools/xvmc" shutdown
	"$run" true 3>&-
	echo go >&3
	exec 3>&-
	wait $pid && grep -q 'same 1' "$work/out"
	result $? "a process reads what another had on a ring, by a new xvmcd"
}

options
manuals
no_xvmcd
restarted
programs
stall_account
confined
starting
stays
traps
counted
rules
fail_open
doctor
scarce
toolstack
ending
blank
closed
works_in "in a TMPDIR longer than a socket's name" "$work/$(printf '%0100d' 0)"
works_in "in a TMPDIR with a blank" "$work/a b"
all_said
