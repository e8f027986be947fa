# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What demo.sh, soak.sh and tests/apps/run-apps.sh share: a private directory
# with an xvmcd of its own, processes that are ended again whatever happens,
# programs in domains. Sourced, as tmpdir.sh; the caller has set `name` (for
# messages) and `build`, reads its options, and calls session_begin.
: "${name:?}" "${build:?}"

die() { # MESSAGE [STATUS]
	progress ''
	echo "$name: $1" >&2
	exit "${2:-1}"
}

# One line that is written again and again on a terminal, else a line each.
progress() { # TEXT; empty: take the line away
	if [ -t 2 ]; then
		printf '\r\033[K%s' "$1" >&2
	elif [ -n "$1" ]; then
		echo "$1" >&2
	fi
}

# ---- options ----

bad_option() { # MESSAGE
	echo "$name: $1" >&2
	exit 2
}

# An option's value, the word after it.
want_value() { # OPTION [VALUE]
	case ${2:---} in
	--*) bad_option "$1 wants a value" ;;
	esac
}

want_number() { # OPTION VALUE MIN MAX
	case $2 in
	'' | *[!0-9]* | 0?* | ????????*) ;;
	*) [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ] || return 0 ;;
	esac
	bad_option "$1 wants a number from $3 to $4, not '$2'"
}

# ---- processes ----

session_pids=

# Runs, and has not merely not been waited for.
alive() { # PID
	[ -d "/proc/$1" ] && ! grep -q '^State:[[:space:]]*[ZX]' "/proc/$1/status" 2>/dev/null
}

# After `command &`: it is ended with the session at the latest.
started() { # PID
	session_pids="$session_pids $1"
}

# Waits for a process of ours to end by itself: its status, or 124.
await() { # PID SECONDS
	await_left=$(($2 * 20))
	while alive "$1"; do
		[ $await_left -gt 0 ] || return 124
		await_left=$((await_left - 1))
		sleep 0.05
	done
	wait "$1"
}

# Ends processes of ours: politely, then not.
end() { # PID...
	for end_pid in "$@"; do
		kill "$end_pid" 2>/dev/null
	done
	for end_pid in "$@"; do
		await "$end_pid" 3 >/dev/null 2>&1
		if alive "$end_pid"; then
			kill -9 "$end_pid" 2>/dev/null
		fi
		wait "$end_pid" 2>/dev/null
	done
	for end_pid in "$@"; do
		session_pids=$(printf '%s' " $session_pids " | sed "s/ $end_pid / /")
	done
}

# ---- the session: a directory, an xvmcd ----

find_programs() {
	build=$(cd "$build" 2>/dev/null && pwd) || die "no such build directory: build first"
	tools=$build/tools
	for program in tools/xvmc tools/xvmc-run tools/xvmcd/xvmcd tools/bench/xvmc-bench \
		tools/bench/xvmc-stream tools/demo/xvmc-shuttle tools/demo/xvmc-standstill; do
		[ -x "$build/$program" ] || die "$build/$program is missing: build first"
	done
}

session_begin() {
	find_programs
	work=$(mktemp -d "$TMPDIR/xvmc-$name.XXXXXX") || exit 1
	trap session_end EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	for variable in $(env | sed -n 's/^\(XVMC_[A-Z_]*\)=.*/\1/p'); do
		unset "$variable"
	done
	unset LD_PRELOAD
	XVMC_DIR=$work/xvmc
	export XVMC_DIR
	LC_ALL=C
	export LC_ALL
	mkdir -m 700 "$XVMC_DIR" || exit 1
}

session_end() {
	trap - EXIT
	trap '' HUP INT TERM
	# shellcheck disable=SC2086 # a list
	[ -z "$session_pids" ] || end $session_pids
	if [ -n "${keep:-}" ]; then
		mkdir -p "$keep" && cp -R "$work/." "$keep/" 2>/dev/null
	fi
	rm -rf "$work"
}

# Waits up to so many seconds for a command to succeed.
wait_for() { # SECONDS COMMAND...
	wait_left=$(($1 * 20))
	shift
	until "$@"; do
		wait_left=$((wait_left - 1))
		[ $wait_left -gt 0 ] || return 1
		sleep 0.05
	done
}

start_xvmcd() {
	"$tools/xvmcd/xvmcd" --dir "$XVMC_DIR" --host A --log "$work/xvmcd.log" &
	xvmcd_pid=$!
	started $xvmcd_pid
	wait_for 10 xvmcd_answers || die "xvmcd does not start: $(tail -n 1 "$work/xvmcd.log")"
}

xvmcd_answers() {
	"$tools/xvmc" vms >/dev/null 2>&1
}

# Becomes a program in a domain; plain: without xvmc. To be called in a
# subshell or in the background.
in_domain() { # DOMAIN plain|ring PROGRAM...
	domain=$1
	how=$2
	shift 2
	if [ "$how" = plain ]; then
		exec "$@"
	fi
	exec "$tools/xvmc-run" --domain "$domain" --host A -- "$@"
}

# A port nobody listens on: the kernel gives one to a program that asks.
free_port() {
	rm -f "$work/port"
	"$tools/bench/xvmc-bench" serve >"$work/port" 2>/dev/null &
	port_pid=$!
	wait_for 10 grep -qs '^listening' "$work/port" || die "no free port"
	end $port_pid
	sed -n 's/^listening //p' "$work/port"
}

# The number behind a key of a JSON text, the first one.
json_number() { # KEY FILE
	tr ',{}' '[\n*]' <"$2" | sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\\(-\\{0,1\\}[0-9.eE+-]*\\).*/\\1/p" |
		head -n 1
}

# A counter, summed over all processes, those that have ended too.
counter() { # KEY
	"$tools/xvmc" stat --json >"$work/stat" 2>/dev/null
	counted=$(json_number "$1" "$work/stat")
	echo "${counted:-0}"
}
