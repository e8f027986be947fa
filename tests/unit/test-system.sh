#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What is installed, and whether those it is for can read it: systemd's units,
# modprobe's and systemd's lists. Nothing is started or loaded. TAP on standard
# output.
# Usage: test-system.sh BUILD-DIRECTORY
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
root=$here/../..
build=$(cd "${1:?build directory}" && pwd) || exit 1
system=$root/tools/system
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# shellcheck source=tests/unit/tap.sh
. "$here/tap.sh"

have() { # PROGRAM NAME: or that test has failed
	PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null && return 0
	result 1 "$2: $1 is missing"
	return 1
}

: >"$work/out"
if [ ! -e "$build/tools/system/xvmcd.service" ]; then
	skip "all of it" "this build has no xen backend"
	all_said
	exit
fi

# ---- units ----

# The program is not installed on this machine: the build's stands for it.
for unit in xvmcd xvmcd-dom0; do
	sed "s|^ExecStart=[^ ]*/xvmcd |ExecStart=\"$build/tools/xvmcd/xvmcd\" |" \
		"$build/tools/system/$unit.service" >"$work/$unit.service"
	grep -q "^ExecStart=\"$build/tools/xvmcd/xvmcd\" --" "$work/$unit.service"
	result $? "$unit.service starts xvmcd"
	have systemd-analyze "systemd takes $unit.service" || continue
	systemd-analyze verify --man=no --recursive-errors=no "$work/$unit.service" >"$work/out" 2>&1
	status=$?
	[ ! -s "$work/out" ] || status=1
	result $status "systemd takes $unit.service"
done

# Its options are options of xvmcd: with --help behind them it ends well.
for unit in xvmcd xvmcd-dom0; do
	# shellcheck disable=SC2046 # words
	"$build/tools/xvmcd/xvmcd" $(sed -n 's/^ExecStart=[^ ]* //p' "$work/$unit.service") --help >"$work/out" 2>&1
	result $? "xvmcd takes the options in $unit.service"
done

# A check that cannot fail is none.
if have systemd-analyze "systemd does not take nonsense"; then
	sed 's/^\[Service\]/&\nRestart=sometimes/' "$work/xvmcd.service" >"$work/bad.service"
	systemd-analyze verify --man=no --recursive-errors=no "$work/bad.service" >"$work/out" 2>&1
	[ -s "$work/out" ]
	result $? "systemd does not take nonsense"
fi

# ---- lists ----

if have modprobe "modprobe takes its list"; then
	PATH=$PATH:/usr/sbin:/sbin modprobe --showconfig --config "$system/modprobe.conf" >"$work/out" 2>&1
	grep -q '^options xen_gntalloc limit=65536$' "$work/out"
	result $? "modprobe takes its list"
fi
if have systemd-sysusers "systemd-sysusers takes its list"; then
	mkdir -p "$work/root/etc"
	systemd-sysusers --root="$work/root" "$system/sysusers.conf" >"$work/out" 2>&1
	grep -q '^xvmc:' "$work/root/etc/group"
	result $? "systemd-sysusers takes its list"
fi
# The devices and the modules that make them.
for device in evtchn gntdev gntalloc; do
	grep -v '^#' "$system/60-xvmc.rules" | grep -q "xen/$device" &&
		grep -q "^xen-$device\$" "$system/modules-load.conf"
	result $? "$device: a module and a rule"
done

# ---- installed ----

meson install -C "$build" --no-rebuild --quiet --destdir "$work/installed" >"$work/out" 2>&1
result $? "meson installs"
for file in systemd/system/xvmcd.service systemd/system/xvmcd-dom0.service udev/rules.d/60-xvmc.rules \
	modules-load.d/xvmc.conf modprobe.d/xvmc.conf sysusers.d/xvmc.conf; do
	find "$work/installed" -path "*/lib/$file" >"$work/out"
	[ -s "$work/out" ]
	result $? "... $file"
done
# The one it starts is the one that is installed.
find "$work/installed" -name xvmcd.service -exec sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' {} + >"$work/out"
[ -x "$work/installed$(cat "$work/out")" ]
result $? "... and the xvmcd that it names"
all_said
