# SPDX-License-Identifier: MIT
#
# An emulated host stops for good once in a while, at boot or later, without a
# word; an emulated guest, too. That says nothing of xvmc: the part is begun
# anew, from the boot, four times at most in a run of the lab, and the reason is
# printed. What fails while all of them are alive has failed, and so has what
# a kernel complains of. Sourced by lab.sh, after host.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

# dom0 says on its console every few seconds that it lives.
silence_s=$((20 * patience))
hung=$run/hung # why; not there: nothing has
retries=4

has_hung() {
	[ -s "$hung" ]
}

says_nothing() { # HOST
	[ $(($(date +%s) - $(stat -c %Y "$run/$1.serial.log"))) -ge $silence_s ]
}

# What its processor and its interrupt controllers are at, for whoever looks into
# it: halted (HLT=1) with a bit in the APIC's IRR is an interrupt that was lost.
emulator_state() { # HOST
	timeout 5 cat "$run/$1.monitor.out" >>"$run/$1.state.log" &
	timeout 5 sh -c 'printf "info registers\ninfo lapic\ninfo pic\n" >"$1"' sh "$run/$1.monitor.in"
	wait $!
}

# Ends a host that has stopped, so that nobody waits for it any longer. Beside
# everything else, until the host is ended in good order.
watch_host() { # HOST
	while host_alive "$1"; do
		sleep 1
		says_nothing "$1" || continue
		emulator_state "$1"
		echo "host $1 has said nothing for $silence_s s" >"$hung"
		kill_host "$(cat "$run/$1.pid")"
	done
	[ ! -e "$run/$1.pid" ] || has_hung || echo "QEMU has ended by itself: host $1" >"$hung"
}

# The guests that have stopped without a word of their kernel.
silent_guests() { # HOST
	in_dom0 -t 40 "$1" "for name in vm1 vm2; do
		xl domid \$name >/dev/null 2>&1 || continue
		labsh run -t $((10 * patience)) $dom0_net.1\${name#vm} $guest_port true && continue
		grep -aqE 'BUG|Oops|panic|general protection' /var/log/xen/console/guest-\$name.log || echo \$name
		done; true"
}

# Was it the emulator that made a step fail?
blame_emulator() {
	has_hung && return 0
	for host in A B; do
		[ -e "$run/$host.pid" ] || continue
		guests=$(silent_guests $host)
		case $?:$guests in
		0:) ;;
		0:*) echo "no answer, and no word of a kernel, from $guests on host $host" | tr '\n' ' ' >"$hung" ;;
		*) echo "dom0 of host $host does not answer" >"$hung" ;;
		esac
	done
	has_hung
}

# Is there another try? If so, everything is taken down for it.
again() {
	has_hung || return 1
	say "the emulator has hung: $(cat "$hung")"
	if [ $retries -eq 0 ]; then
		result lab emulator 1 0 "$(cat "$hung")"
		return 1
	fi
	for host in A B; do
		[ -e "$run/$host.serial.log" ] || continue
		grep -av 'LAB: alive' "$run/$host.serial.log" | tail -n 8 >&2
		mv "$run/$host.serial.log" "$run/$host.serial.hung.$retries.log"
		stop_host $host
	done
	retries=$((retries - 1))
	rm -f "$hung"
	say "once more from the boot; after that $retries more times"
}
