# SPDX-License-Identifier: MIT
#
# A real Xen host in place of the emulated one: commands in dom0 by ssh, as
# root. dom0's image of the lab is unpacked there, in a directory of its own,
# and every command runs in that as its root, with the host's /proc, /sys, /dev,
# /run and /var/log/xen: so it finds the same programs at the same places. These
# are mounted in a mount namespace of each command's own, and gone with it. The
# toolstack is the lab's, so the hypervisor must be of the same version. Sourced
# by lab.sh, after host.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

# As the host itself sees it. One connection for all of them: its other end may be
# an emulated processor, that takes a minute to shake hands. The name of its socket
# must be short.
by_ssh() { # SECONDS COMMAND
	[ -s "$run/ssh.socket" ] || mktemp -d /tmp/xvmc-ssh.XXXXXX >"$run/ssh.socket" || return 125
	timeout "$1" ssh -o BatchMode=yes -o ControlMaster=auto -o ControlPersist=600 \
		-o ControlPath="$(cat "$run/ssh.socket")/s" "$ssh_host" "$2"
}

# In the lab's root there; where that is has been written down.
reach_by_ssh() { # SECONDS COMMAND
	by_ssh "$1" "$(cat "$run/ssh.dir")/enter $(quote "$2")" </dev/null
}

# Runs there: in a root directory, with what is the host's.
enter='#!/bin/sh
exec unshare -m sh -c '\''
	mount --make-rprivate / 2>/dev/null
	for dir in proc sys dev run var/log/xen; do
		mount --rbind "/$dir" "$1/$dir" || exit 125
	done
	export PATH=/sbin:/bin:/usr/sbin:/usr/bin:/lab:/xvmc
	exec chroot "$1" /bin/sh -c "$2"'\'' sh "${0%/*}" "$1"
'

# Says which Xen it is. Guests are put on a bridge of the lab's own.
ssh_boot() {
	ssh_version=$(by_ssh 200 'xl info xen_version' </dev/null) || {
		echo "no Xen answers at $ssh_host"
		return 1
	}
	case $ssh_version in
	"$xen_version".*) ;;
	*)
		echo "$ssh_host has Xen $ssh_version, and the lab's toolstack is of $xen_version"
		return 1
		;;
	esac
	by_ssh 60 'mktemp -d /var/tmp/xvmc-lab.XXXXXX' </dev/null >"$run/ssh.dir" || return 1
	ssh_dir=$(cat "$run/ssh.dir")
	tar -C "$images/dom0" -cf - . | gzip -1 |
		by_ssh 600 "mkdir -p /var/log/xen && cd $ssh_dir && gzip -d | tar -xf -" || {
		echo "the lab's root does not get there"
		return 1
	}
	printf '%s' "$enter" | by_ssh 60 "cat >$ssh_dir/enter && chmod 755 $ssh_dir/enter" || return 1
	reach_by_ssh 120 "[ -d /sys/class/net/$bridge ] || { brctl addbr $bridge && ip addr add $dom0_net.1/24 dev $bridge && : >/tmp/bridge; }
		ip link set $bridge up
		for module in xen-gntdev xen-gntalloc xen-evtchn; do modprobe \$module 2>/dev/null; done; true" || return 1
	echo "Xen $ssh_version at $ssh_host"
}

# Nothing of the lab's is left there.
ssh_end() {
	[ -s "$run/ssh.dir" ] || return 0
	reach_by_ssh 200 "for name in vm1 vm2; do xl destroy \$name 2>/dev/null; done
		[ ! -e /tmp/xvmcd.pid ] || kill \$(cat /tmp/xvmcd.pid)
		[ ! -e /tmp/bridge ] || { ip link set $bridge down; brctl delbr $bridge; }" >/dev/null 2>&1
	ssh_dir=$(cat "$run/ssh.dir")
	by_ssh 200 "if grep ' $ssh_dir/' /proc/mounts; then exit 1; fi; rm -rf $ssh_dir" </dev/null ||
		say "$ssh_dir at $ssh_host could not be removed"
	ssh_socket=$(cat "$run/ssh.socket")
	timeout 20 ssh -o ControlPath="$ssh_socket/s" -O exit "$ssh_host" 2>/dev/null
	rm -rf "$ssh_socket"
}
