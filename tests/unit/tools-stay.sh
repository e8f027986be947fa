# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# For test-tools.sh: the options with which xvmc-run stays while the program
# runs. Uses its variables and functions.
# shellcheck disable=SC2154,SC2016 # build, tools, run, work; expands when it runs

past=$build/tests/unit/past-library

# Who waits for xvmc-run sees what the program does.
stays() {
	ends 3 "--trap: the program's status" "$run" --trap sh -c 'exit 3'
	[ ! -s "$work/err" ]
	result $? "... and nothing is said where there is nothing"
	sh -c '"$@"; echo $?' sh "$run" --trap sh -c 'kill -KILL $$' \
		>"$work/out" 2>"$work/err" </dev/null
	[ "$(cat "$work/out")" = 137 ]
	result $? "--trap: the program's signal"
	for closed in '<&-' '<&- >&-' '<&- >&- 2>&-'; do
		ends 3 "--trap: $closed" sh -c "\"\$@\" $closed" sh \
			"$run" --trap="$work/closed" sh -c 'exit 3'
	done
	ends 0 "... which the program finds like that" sh -c '"$@" <&-' sh \
		"$run" --trap="$work/closed" sh -c '[ ! -e /proc/$$/fd/0 ]'
	refuses 126 "--trap: not executable" "$run" --trap "$work/plain"
	refuses 2 "--trap: no file's name" "$run" --trap= true
	refuses 1 "--trap: a file that cannot be written" "$run" \
		--trap="$work/none/file" true

	refuses 1 "--trap under --trap" "$run" --trap "$run" --trap true

	# Signals go on to it.
	mkfifo "$work/ready"
	"$run" --trap sh -c 'trap "exit 5" TERM; echo >"$1"; while :; do sleep 0.05; done' \
		sh "$work/ready" >"$work/out" 2>"$work/err" </dev/null &
	pid=$!
	read -r _ <"$work/ready"
	kill -TERM $pid
	wait $pid
	[ $? -eq 5 ]
	result $? "--trap: a signal to xvmc-run is the program's"

	# What it leaves behind goes on, with its calls let through.
	"$run" --trap="$work/left" sh -c '
		(read -r x <"$1"; echo "$x" >"$1.answer") &' sh "$work/ready" \
		>/dev/null 2>"$work/err" </dev/null
	mkfifo "$work/ready.answer"
	echo word >"$work/ready"
	[ "$(cat "$work/ready.answer")" = word ]
	result $? "--trap: a process that outlives the program goes on"
}

# NAME FILE: 'past-library WHAT' does the same with and without --trap, which
# writes FILE.
same_with_trap() { # NAME WHAT OPTION...
	name=$1 what=$2
	shift 2
	CONF_RING=1 "$run" "$past" "$what" >"$work/plain-out" 2>"$work/err" </dev/null
	rm -f "$work/trap"
	CONF_RING=1 "$@" "$run" --trap="$work/trap" "$past" "$what" >"$work/out" \
		2>>"$work/err" </dev/null
	[ $? -eq 7 ] && [ ! -s "$work/err" ] && cmp -s "$work/out" "$work/plain-out"
	rc=$?
	cat "$work/trap" >>"$work/err"
	result $rc "$name: the program cannot tell"
}

trap_says() { # NAME PATTERN
	grep -q -- "$2" "$work/trap"
	result $? "$1"
}

traps() {
	same_with_trap "--trap, nothing passes by" nothing
	[ -e "$work/trap" ] && [ ! -s "$work/trap" ]
	result $? "... nothing is reported"
	same_with_trap "--trap, a read by hand" read
	trap_says "... is reported, with place and connection" \
		'^xvmc-run: trap: past-library\[[0-9]*\] recvfrom([0-9]*) past the library, at past-library+0x[0-9a-f]*: 127.0.0.1:[0-9]* > 127.0.0.1:[0-9]* (out by ring, in by ring)$'
	[ "$(grep -c 'past the library' "$work/trap")" -eq 1 ]
	result $? "... once"
	trap_says "... and counted" ' 3 recvfrom at past-library+0x'
	same_with_trap "--trap, a child's read by hand" child
	trap_says "... is reported" 'recvfrom([0-9]*) past the library'
	same_with_trap "--trap, io_uring" io_uring
	trap_says "... is reported" 'io_uring_setup() past the library'
	same_with_trap "--trap, a close by hand" close
	trap_says "... is reported" ' close([0-9]*) past the library'

	# Without the rights of root the filter needs no_new_privs.
	without='setpriv --bounding-set -sys_admin'
	# shellcheck disable=SC2086 # words
	[ "$(id -u)" -eq 0 ] || without=
	# shellcheck disable=SC2086 # words
	same_with_trap "--trap without rights" read $without
	trap_says "... reports" 'recvfrom([0-9]*) past the library'
	# shellcheck disable=SC2086 # words
	$without "$run" --trap grep NoNewPrivs: /proc/self/status >"$work/out" 2>"$work/err"
	[ "$(tr -d ' \t' <"$work/out")" = NoNewPrivs:1 ]
	result $? "... and the program can gain none"
}

# ---- --stats, --rule ----

table_says() { # NAME PATTERN
	grep -Eq -- "$2" "$work/err"
	result $? "$1"
}

counted() {
	CONF_RING=1
	export CONF_RING
	ends 7 "--stats: the program's status" "$run" --stats "$past" nothing
	[ "$(cat "$work/out")" = 'trip: pingpong' ]
	result $? "... and its output"
	table_says "... names the program" "^xvmc-run: stats: $past, 1 process\$"
	table_says "... what went by ring" '^  by ring +[1-9][0-9.]* K?B out +[1-9]'
	table_says "... what by TCP" '^  by TCP +[1-9]'
	table_says "... the connections" \
		'^  connections +2 followed, 2 registered, 2 times given rings$'
	table_says "... and why TCP" '^  why TCP +[1-9][0-9]*  close: '
	ends 7 "--stats with a child" "$run" --stats "$past" pairs
	table_says "... counts both, each once" \
		'^  connections +4 followed, 4 registered, 4 times given rings$'
	# shellcheck disable=SC2016 # expands when it runs
	sh -c '"$@"; echo $?' sh "$run" --stats sh -c 'kill -KILL $$' \
		>"$work/out" 2>"$work/err" </dev/null
	[ "$(cat "$work/out")" = 137 ]
	result $? "--stats: a killed program's status"
	table_says "... and table" '^  by ring'
	ls "$XVMC_DIR" >"$work/err"
	! grep -q '^stats' "$work/err"
	result $? "--stats leaves nothing behind"
	unset CONF_RING

	"$tools/xvmc" shutdown >/dev/null 2>&1
	CONF_RING=1 "$run" "$past" pairs >/dev/null 2>&1
	"$tools/xvmc" stat --json >"$work/err" 2>&1
	grep -q '"tracked":[^0-9]*4[^0-9]' "$work/err"
	result $? "xvmc stat: what a forked child's parent counted is not counted twice"
}

# Whether the connection of past-library, from and to 127.0.0.1, had a ring.
ruled() { # YES-OR-NO NAME RULE...
	want=$1 name=$2
	shift 2
	"$run" --stats "$@" "$past" nothing >"$work/out" 2>"$work/err" </dev/null
	rc=$?
	if [ "$want" = yes ]; then
		grep -q ' 2 followed' "$work/err" && ! grep -q ' rule: ' "$work/err"
	else
		grep -q ' 0 followed' "$work/err" && grep -Eq ' 2  rule: ' "$work/err"
	fi && [ $rc -eq 7 ]
	result $? "--rule, $name"
}

rules() {
	refuses 2 "--rule: nonsense" "$run" --rule nonsense true
	refuses 2 "--rule: a port too high" "$run" --rule 'tcp :65536' true
	refuses 2 "--rule: two in one" "$run" --rule 'tcp;ring' true
	refuses 2 "--rule: nothing" "$run" --rule '' true
	ruled no "none" -r tcp
	ruled no "by address" -r 'tcp 127.0.0.0/8'
	ruled yes "another address" -r 'tcp 128.0.0.0/8'
	ruled no "by port" -r 'tcp :1-65535'
	ruled yes "another port" -r 'tcp :1'
	ruled yes "the first decides" -r 'ring 127.0.0.1:1-65535' -r tcp
	ruled no "the first decides, and speaks of others" -r 'ring 127.0.0.2' -r tcp
	XVMC_RULES='tcp :nonsense' "$run" --stats "$past" nothing >"$work/out" 2>"$work/err"
	grep -q ' 2 followed' "$work/err"
	result $? "XVMC_RULES that makes no sense is ignored"
	ends 0 "... doctor runs" env XVMC_RULES='tcp :nonsense' "$tools/xvmc" doctor
	grep -q 'XVMC_ variables are out of range' "$work/out"
	result $? "... and says so"
}
