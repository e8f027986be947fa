#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Real Xen in QEMU: builds images, boots a host with two PVH guests, runs the
# parts asked for, and takes everything down again. `./run lab` installs what
# this needs, builds, and calls it. README.md says what it proves.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
build=$root/build
json=no
keep=no
chosen=

# shellcheck source=tests/xen/common.sh
. "$root/tests/xen/common.sh"

parts() {
	cat <<'END'
contract  the hypervisor port's contract tests, between two guests, on the xen backend
short     a checked stream between the guests by ring, and one migration under it
both      four migrations under one stream, of either guest
restart   xvmcd killed in either guest, under a stream
destroy   a guest destroyed under load
hosts     from one host to another and back, under a stream
prepared  migrations by `xvmc migrate`: nothing is mapped when they suspend
cancel    one that fails when all is prepared: the guest stays, and its rings
twenty    twenty migrations under one stream
compare   netfront, xvmc and libvchan side by side; emulated: ratios only
mclient   mails under a migration, plain and accelerated: CSV and an HTML page
END
}

# In the issue, and not here yet.
planned="hvm"

help() {
	cat <<'END'
usage: lab.sh [--build DIR] [--json] [--keep] [PART...]

  --list   the parts; without any, all of them
  --json   the results as JSON on standard output
  --keep   leave the host running (build/lab/run/A.pid) and say how to reach it
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
	--json) json=yes ;;
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
			case " $planned " in
			*" $1 "*) die "the part '$1' is not written yet; --list says which are" 2 ;;
			esac
			die "no such part: '$1'; see --list" 2
		fi
		chosen="$chosen $1"
		;;
	esac
	shift
done
[ -n "$chosen" ] || chosen=$(parts | awk '{ print $1 }')
build=$(cd "$build" 2>/dev/null && pwd) || die "no such build directory: build first"
# shellcheck source=tests/xen/common.sh
. "$root/tests/xen/common.sh" # now that build is known
# shellcheck source=tests/xen/host.sh
. "$here/host.sh"
# shellcheck source=tests/xen/stream.sh
. "$here/stream.sh"

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
	exit $status
}
trap end EXIT
trap 'exit 1' HUP INT TERM

# ---- results ----

results=$run/results
: >"$results"
failed=0

# One line a result: part, name, passed or failed, seconds, what was seen.
result() { # PART NAME STATUS SECONDS TEXT
	word=passed
	[ "$3" -eq 0 ] || word=failed
	[ "$3" -eq 0 ] || failed=$((failed + 1))
	printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$word" "$4" "$5" >>"$results"
	printf '%-9s %-28s %-6s %4s s  %s\n' "$1" "$2" "$word" "$4" "$5" >&2
}

# Runs a step of a part: a function; what it prints last is what was seen.
step() { # PART NAME FUNCTION [ARGUMENTS]
	step_part=$1 step_name=$2
	shift 2
	step_began=$(date +%s)
	seen=$("$@" 9>&-)
	step_status=$?
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

# The wire is only there if a part wants the second host; the card on it would
# be one more thing to emulate.
wired() {
	case " $(echo "$chosen" | tr '\n' ' ') " in *' hosts '*) return 0 ;; esac
	return 1
}

boot() { # HOST
	set -- "$1" 1280 512
	if wired; then
		set -- "$@" -netdev "$(wire "$1")" \
			-device "virtio-net-pci,netdev=wire,mac=52:54:00:77:01:0$(host_number "$1"),romfile="
	fi
	start_host "$@" 9>&- || return 1
	grep -a 'LAB: ready' "$run/$1.serial.log" | sed 's/.*LAB: //' | tr -d '\r'
}

two_guests() {
	start_guest A vm1 11 && start_guest A vm2 12 && wait_guest A 11 && wait_guest A 12 || return 1
	in_dom0 A "xl list | awk '\$1 ~ /^vm/ { print \$1, \"domid\", \$2 }' | tr '\n' ' '"
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

began=$(date +%s)
step lab images sh "$here/images.sh" "$build" || exit 1
step lab boot boot A || exit 1
if step lab guests two_guests; then
	for part in $chosen; do
		"part_$part"
	done
fi
for host in A B; do
	host_alive $host || continue
	in_dom0 $host 'dmesg; xl dmesg; xl list; tail -n 200 /var/log/xen/console/*' >"$run/dom0.$host.log" 2>&1
	[ $keep = yes ] || continue
	say "host $host runs on: $labsh run 127.0.0.1 $(cat "$run/$host.port") COMMAND; kill $(cat "$run/$host.pid") ends it"
	rm -f "$run/$host.pid"
done
[ $json = no ] || as_json
say "$(wc -l <"$results") results, $failed failed, $(seconds "$began") s; logs: $run"
[ $failed -eq 0 ]
