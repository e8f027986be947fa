#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Real Xen in QEMU: builds images, boots a host with two PVH guests, runs the
# parts asked for, and takes everything down again. `./run lab` installs what
# this needs, builds, and calls it. README.md says what it proves.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
build=$root/build
format=text
keep=no
chosen=
ssh_host=

# shellcheck source=tests/xen/common.sh
. "$root/tests/xen/common.sh"

parts() {
	cat <<'END'
short     a checked stream between the guests by ring, and one migration under it; in ./run test
contract  the hypervisor port's contract tests, between two guests, on the xen backend
both      four migrations under one stream, of either guest
restart   xvmcd killed in either guest, under a stream
destroy   a guest destroyed under load
hosts     from one host to another and back, under a stream
prepared  migrations by `xvmc migrate`: nothing is mapped when they suspend
cancel    one that fails when all is prepared: the guest stays, and its rings
twenty    twenty migrations under one stream
compare   netfront, xvmc and libvchan side by side; emulated: ratios only
mclient   mails under a migration, plain and accelerated: CSV and an HTML page
hvm       a stream between two HVM guests, and migrations under it
hostile   a guest that lies: addresses, garbage, references; quotas; a pause
END
}

help() {
	cat <<'END'
usage: lab.sh [--build DIR] [--json|--tap] [--keep] [--ssh HOST] [PART...]

  --list   the parts; without any, all of them
  --json   the results as JSON on standard output
  --tap    the results as TAP, each when it is there
  --keep   leave the host running (build/lab/run/A.pid) and say how to reach it
  --ssh    the guests are made on this real Xen host, root's by ssh; all parts but
           hosts and hvm
Logs: build/lab/run
END
}

while [ $# -gt 0 ]; do
	case $1 in
	--build)
		[ $# -ge 2 ] || die "--build wants a directory" 2
		build=$2
		shift
		;;
	--ssh)
		case ${2-} in '' | -*) die "--ssh wants a host" 2 ;; esac
		ssh_host=$2
		shift
		;;
	--json | --tap) format=${1#--} ;;
	--keep) keep=yes ;;
	--list)
		parts
		exit 0
		;;
	--help | -h)
		help
		exit 0
		;;
	-*) die "no such option: '$1'; see --help" 2 ;;
	*)
		if ! parts | awk -v name="$1" '$1 == name { found = 1 } END { exit !found }'; then
			die "no such part: '$1'; see --list" 2
		fi
		chosen="$chosen $1"
		;;
	esac
	shift
done
[ -n "$chosen" ] || chosen=$(parts | awk -v ssh="$ssh_host" 'ssh == "" || ($1 != "hosts" && $1 != "hvm") { print $1 }')
if [ -n "$ssh_host" ]; then
	case " $(echo "$chosen" | tr '\n' ' ') " in
	*" hosts "* | *" hvm "*) die "hosts and hvm are for the emulator" 2 ;;
	esac
fi
build=$(cd "$build" 2>/dev/null && pwd) || die "no such build directory: build first"
# shellcheck source=tests/xen/common.sh
. "$root/tests/xen/common.sh" # now that build is known
# shellcheck source=tests/xen/host.sh
. "$here/host.sh"
# shellcheck source=tests/xen/ssh.sh
. "$here/ssh.sh"
# shellcheck source=tests/xen/hang.sh
. "$here/hang.sh"
# shellcheck source=tests/xen/stream.sh
. "$here/stream.sh"
# shellcheck source=tests/xen/iperf.sh
. "$here/iperf.sh"

mkdir -p "$lab" || exit 1
# One lab at a time in a build directory: they share the images.
exec 9>"$lab/lock"
flock -n 9 || die "another lab runs in $lab"
rm -rf "$run"
mkdir -p "$run" || exit 1

end() {
	status=$?
	trap - EXIT
	stop_host A
	stop_host B
	[ -z "$ssh_host" ] || [ $keep = yes ] || ssh_end
	exit $status
}
trap end EXIT
trap 'exit 1' HUP INT TERM

# ---- results ----

results=$run/results
: >"$results"

# One line a result: part, name, passed or failed, seconds, what was seen.
result() { # PART NAME STATUS SECONDS TEXT
	word=passed
	[ "$3" -eq 0 ] || word=failed
	printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$word" "$4" "$5" >>"$results"
	printf '%-9s %-28s %-6s %4s s  %s\n' "$1" "$2" "$word" "$4" "$5" >&2
	[ "$format" != tap ] || as_tap "$1: $2 ($4 s): $5" "$word"
}

# With the last commands and what they said, where it has failed.
as_tap() { # TEXT passed|failed
	case $2 in
	passed) echo "ok $(wc -l <"$results") - $1" | tr '#' ' ' ;;
	failed)
		echo "not ok $(wc -l <"$results") - $1" | tr '#' ' '
		tail -n 11 "$run/commands.log" 2>/dev/null | cut -c 1-200 | sed 's/^/#   /'
		;;
	esac
}

count_failed() {
	awk -F '\t' '$3 == "failed" { n++ } END { print n + 0 }' "$results"
}

# Runs a step of a part: a function; what it prints last is what was seen. No
# step is taken on a host that has hung, and what fails on one is no result.
step() { # PART NAME FUNCTION [ARGUMENTS]
	! has_hung || return 1
	step_part=$1 step_name=$2
	shift 2
	step_began=$(date +%s)
	seen=$(exec 9>&- && "$@")
	step_status=$?
	if [ $step_status -ne 0 ] && blame_emulator; then
		return 1
	fi
	result "$step_part" "$step_name" $step_status "$(seconds "$step_began")" \
		"$(printf '%s\n' "$seen" | tail -n 1)"
	return $step_status
}

as_json() {
	awk -F '\t' 'function q(s) { gsub(/[\\"]/, "\\\\&", s); gsub(/[^ -~]/, " ", s); return "\"" s "\"" }
		BEGIN { printf "{\"results\":[" }
		{ printf "%s{\"part\":%s,\"name\":%s,\"passed\":%s,\"seconds\":%s,\"seen\":%s}", (NR > 1 ? "," : ""),
			q($1), q($2), ($3 == "passed" ? "true" : "false"), $4, q($5) }
		END { print "]}" }' "$results"
}

# ---- a host with two guests ----

is_chosen() { # PART
	case " $(echo "$chosen" | tr '\n' ' ') " in *" $1 "*) return 0 ;; esac
	return 1
}

make_images() {
	if is_chosen hvm; then
		sh "$here/images.sh" "$build" hvm
	else
		sh "$here/images.sh" "$build"
	fi
}

# A device model for each HVM guest takes memory of dom0's.
boot() { # HOST
	if [ -n "$ssh_host" ]; then
		ssh_boot
		return
	fi
	set -- "$1" 1280 512
	! is_chosen hvm || set -- "$1" 1664 896
	# The wire is only there if a part wants the second host; the card on it
	# would be one more thing to emulate.
	if is_chosen hosts; then
		set -- "$@" -netdev "$(wire "$1")" \
			-device "virtio-net-pci,netdev=wire,mac=52:54:00:77:01:0$(host_number "$1"),romfile="
	fi
	start_host "$@" || return 1
	grep -a 'LAB: ready' "$run/$1.serial.log" | sed 's/.*LAB: //' | tr -d '\r'
}

start_guests() {
	if ! start_guest A vm1 11 || ! start_guest A vm2 12 || ! wait_guest A 11 || ! wait_guest A 12; then
		echo "the guests do not come up"
		return 1
	fi
	in_dom0 A "xl list | awk '\$1 ~ /^vm/ { print \$1, \"domid\", \$2 }' | tr '\n' ' '"
}

# Nothing of ours runs in them yet: if they do not come up it is not our doing.
two_guests() {
	start_guests && return 0
	[ -n "$ssh_host" ] || has_hung || echo "the guests do not come up" >"$hung"
	return 1
}

# Others, of this kind, in their place.
# shellcheck disable=SC2016 # for dom0
guests_anew() { # pvh|hvm
	in_dom0 A 'for name in vm1 vm2; do xl destroy $name 2>/dev/null; done
		while xl list | grep -q "vm[12]\|^(null)"; do usleep 200000; done' || return 1
	guest_kind=$1
	start_guests
}

# What a guest's kernel says when something of ours hurts it (a segfault may be
# meant: the contract has one). The log is emptied: nothing is blamed twice.
no_complaints() { # NUMBER
	in_guest A "$1" 'dmesg -c' >"$run/dmesg.$1" || return 1
	cat "$run/dmesg.$1" >>"$run/dmesg.$1.log"
	grep -aE 'BUG|Oops|WARNING|general protection' "$run/dmesg.$1" | head -n 5 >"$run/complaints"
	cat "$run/complaints"
	[ ! -s "$run/complaints" ]
}

# ---- the parts ----

for part in $chosen; do
	# shellcheck source=/dev/null
	. "$here/part-$part.sh"
done

up() {
	until step lab boot boot A && step lab guests two_guests; do
		again || return 1
	done
}

run_part() { # PART
	if [ -z "$ssh_host" ] && [ "$cpus" != "$(cpus_for "$1")" ]; then
		stop_host A
		stop_host B
		cpus=$(cpus_for "$1")
		up || return 1
	fi
	while "part_$1"; has_hung; do
		again && up || return 1
	done
}

began=$(date +%s)
# shellcheck disable=SC2086 # words
set -- $chosen
cpus=$(cpus_for "$1")
if step lab images make_images && up; then
	for part in $chosen; do
		run_part "$part" || break
	done
fi
for host in A B; do
	host_alive $host || continue
	in_dom0 $host 'dmesg; xl dmesg; xl list; tail -n 200 /var/log/xen/*.log /var/log/xen/console/*' >"$run/dom0.$host.log" 2>&1
	[ $keep = yes ] || continue
	say "host $host runs on: $labsh run 127.0.0.1 $(cat "$run/$host.port") COMMAND; kill $(cat "$run/$host.pid") ends it"
	rm -f "$run/$host.pid"
done
failed=$(count_failed)
case $format in
json) as_json ;;
tap) echo "1..$(wc -l <"$results")" ;;
esac
say "$(wc -l <"$results") results, $failed failed, $(seconds "$began") s; logs: $run"
[ "$failed" -eq 0 ]
