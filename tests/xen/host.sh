# SPDX-License-Identifier: MIT
#
# Xen hosts in QEMU: start, commands in dom0 and in its guests, stop. Sourced
# after common.sh. A host is called A (or B); what it needs is in run/A.*:
# pid, port, serial.log, qemu.log.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

# QEMU 7.2 emulates SMAP in a way that kills dom0 at once, and loses registers
# with XSAVE; both are masked. Later ones do not mind. ERMS says that copying by
# single bytes is fast, which no emulator can make true.
cpu=max,-smap,-xsave,-xsaveopt,-xsavec,-xsaves,-avx,-avx2,-f16c,-fma,-vaes,-vpclmulqdq,-pku,-erms,-fsrm

# Limits are for a machine that has nothing else to do, times this: emulation
# at a low priority gets what the others leave.
patience=${LAB_PATIENCE:-6}
boot_limit_s=$((100 * patience))
command_limit_s=30
end_limit_s=10

host_alive() { # HOST
	kill -0 "$(cat "$run/$1.pid" 2>/dev/null)" 2>/dev/null
}

host_number() { # HOST: its place in the guests' network, too
	case $1 in A) echo 1 ;; B) echo 2 ;; esac
}

a_port() { # TRY
	echo $((20000 + ($$ * 7 + $1 * 1013 + $(date +%s)) % 20000))
}

# How many processors are emulated: three, one for each domain, where this machine has
# two to run them on. One is slower, and known not to hang (one_cpu): for CI's part.
cpus_for() { # PART
	if [ -n "${LAB_CPUS:-}" ]; then
		echo "$LAB_CPUS"
	elif [ "$1" = short ] || [ "$(nproc)" -lt 2 ]; then
		echo 1
	else
		echo 3
	fi
}

# The wire between two hosts, as an option for QEMU: A listens, B connects.
wire() { # HOST
	if [ "$1" = A ]; then
		a_port 9 >"$run/wire.port"
		set -- A listen
	else
		set -- B connect
	fi
	echo "socket,id=wire,$2=127.0.0.1:$(cat "$run/wire.port")"
}

# QEMU 7.2 loses interrupts if its threads run on two CPUs at a time. Entering a
# guest for which an interrupt waits (V_IRQ), the emulated processor's thread sets
# a bit of interrupt_request by one instruction, without the lock; what the other
# thread sets there in that moment, when a timer has run out or a packet has come,
# may be undone by it. If that was the only timer, Xen halts for good. On one CPU
# no instruction is interrupted half-way.
#
# Which one: labs of several build directories at a time should not meet there.
one_cpu() { # HOST
	taskset -cp $$ | awk -v nth=$(($$ + $(host_number "$1"))) '{
		sub(/.*: /, "")
		ranges = split($0, range, ",")
		for (i = 1; i <= ranges; i++) {
			last = split(range[i], end, "-")
			for (cpu = end[1] + 0; cpu <= end[last] + 0; cpu++)
				cpus[n++] = cpu
		}
		print cpus[nth % n]
	}'
}

# Another program may have taken the port meanwhile: QEMU ends at once then.
launch() { # HOST MEMORY DOM0-MEMORY [QEMU-OPTIONS]
	host=$1 memory=$2 dom0_memory=$3
	shift 3
	bound=
	[ "$cpus" -gt 1 ] || bound=$(one_cpu "$host")
	for try in 1 2 3 4 5; do
		port=$(a_port $try)
		rm -f "$run/$host.serial.log" "$run/$host.monitor.in" "$run/$host.monitor.out"
		mkfifo "$run/$host.monitor.in" "$run/$host.monitor.out"
		nice -n 10 ${bound:+taskset -c "$bound"} qemu-system-x86_64 -machine pc -accel tcg,thread=multi -cpu "$cpu" -smp "$cpus" \
			-m "$memory" -nodefaults -display none -no-reboot \
			-kernel "$images/xen" \
			-append "com1=115200,8n1 console=com1 loglvl=all guest_loglvl=all noreboot dom0_mem=${dom0_memory}M,max:${dom0_memory}M dom0_max_vcpus=1 dom0_vcpus_pin spec-ctrl=no xpti=no pv-l1tf=off" \
			-initrd "$images/vmlinuz console=hvc0 mitigations=off random.trust_cpu=on panic=5 lab.host=$host,$images/dom0.cpio" \
			-serial "file:$run/$host.serial.log" \
			-chardev "pipe,id=monitor,path=$run/$host.monitor" -mon chardev=monitor \
			-netdev "user,id=lab,restrict=on,hostfwd=tcp:127.0.0.1:$port-10.0.2.15:$guest_port" \
			-device "virtio-net-pci,netdev=lab,mac=52:54:00:77:00:0$(host_number "$host"),romfile=" "$@" \
			>"$run/$host.qemu.log" 2>&1 &
		echo $! >"$run/$host.pid"
		echo "$port" >"$run/$host.port"
		sleep 1
		host_alive "$host" && return 0
	done
	tail -n 3 "$run/$host.qemu.log" >&2
	die "QEMU does not start"
}

# 0: ready; 1: it will not be, and hang.sh knows why.
wait_ready() { # HOST
	began=$(date +%s)
	while [ "$(seconds "$began")" -lt $boot_limit_s ]; do
		grep -aq 'LAB: ready' "$run/$1.serial.log" 2>/dev/null && return 0
		if grep -aq 'LAB: failed' "$run/$1.serial.log" 2>/dev/null; then
			grep -a 'LAB: failed' "$run/$1.serial.log" | tail -n 1 >"$hung"
			return 1
		fi
		host_alive "$1" || break
		sleep 0.3
	done
	has_hung || echo "host $1 does not boot" >"$hung"
	return 1
}

# One that hangs does not always end when it is asked to.
kill_host() { # PID
	kill_began=$(date +%s)
	kill "$1" 2>/dev/null
	while kill -0 "$1" 2>/dev/null; do
		[ "$(seconds "$kill_began")" -lt $end_limit_s ] || kill -9 "$1" 2>/dev/null
		sleep 0.1
	done
}

# Returns when nothing of it runs any more.
stop_host() { # HOST
	pid=$(cat "$run/$1.pid" 2>/dev/null) || return 0
	rm -f "$run/$1.pid" "$run/$1.port" # it ends because we want it to
	kill_host "$pid"
	while kill -0 "$(cat "$run/$1.watch" 2>/dev/null)" 2>/dev/null; do
		sleep 0.1
	done
}

start_host() { # HOST MEMORY DOM0-MEMORY [QEMU-OPTIONS]
	launch "$@" || return 1
	# By exec: a redirected function keeps what it redirects, under other numbers,
	# and who reads our output waits for the last who has it.
	{
		exec >/dev/null 2>&1
		watch_host "$1"
	} &
	echo $! >"$run/$1.watch"
	wait_ready "$1"
}

reach() { # SECONDS HOST COMMAND
	if [ -n "$ssh_host" ]; then
		reach_by_ssh "$1" "$3"
	else
		"$labsh" run -t "$1" 127.0.0.1 "$(cat "$run/$2.port")" "$3"
	fi
}

# Commands take an optional -t SECONDS first. Their output is kept, too.
in_dom0() { # [-t SECONDS] HOST COMMAND
	limit=$command_limit_s
	if [ "$1" = -t ]; then
		limit=$2
		shift 2
	fi
	{
		printf -- '--- %s dom0 %s: %s\n' "$(date +%T)" "$1" "$(printf %s "$2" | tr '\n' ' ')"
		reach $((limit * patience)) "$1" "$2" 2>&1
		status=$?
		[ $status -eq 0 ] || echo "--- status $status"
		echo $status >"$run/status"
	} >"$run/command.out"
	cat "$run/command.out" >>"$run/commands.log"
	grep -av '^---' "$run/command.out"
	return "$(cat "$run/status")"
}

# The command goes on its way in quotes, whatever is in it.
quote() {
	printf "'"
	printf '%s' "$1" | sed "s/'/'\\\\''/g"
	printf "'"
}

in_guest() { # [-t SECONDS] HOST NUMBER COMMAND
	wait_s=$command_limit_s
	if [ "$1" = -t ]; then
		wait_s=$2
		shift 2
	fi
	in_dom0 -t $((wait_s + 5)) "$1" \
		"labsh run -t $((wait_s * patience)) $dom0_net.$2 $guest_port $(quote "$3")"
}

guest_kind=pvh
start_guest() { # HOST NAME NUMBER
	in_dom0 -t 60 "$1" "guest $2 $3 $guest_kind" >"$run/$2.create.log" && return 0
	tail -n 5 "$run/$2.create.log" >&2
	return 1
}

wait_guest() { # HOST NUMBER
	in_dom0 -t 90 "$1" "until labsh run -t 5 $dom0_net.$2 $guest_port true 2>/dev/null; do usleep 300000; done" >/dev/null
}
