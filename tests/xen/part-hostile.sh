# SPDX-License-Identifier: MIT
#
# Guests that lie, and guests that run out: addresses that are another's,
# garbage on the control channel, references and ports that are none, quotas
# that are used up, a peer or a xenstored that stands still. The others stay on
# TCP, with a reason, or go back to rings, and are alive all the time. Sourced
# by lab.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

# ---- what a guest may say of itself ----

# vm2 tries to be vm1 in xenstore, wherever it may be believed.
hostile_store() {
	hostile_one=$(in_dom0 A 'xl domid vm1') hostile_two=$(in_dom0 A 'xl domid vm2')
	hostile_got=$(in_guest A 12 "
		for node in /local/domain/0/backend/vif/$hostile_two/0/ip xvmc/peers/$hostile_one xvmc/migrate/$hostile_one \
				/local/domain/$hostile_one/xvmc/peers/$hostile_two /local/domain/$hostile_one/data/xvmc/ctl-$hostile_two; do
			xenstore-write \$node $dom0_net.11 2>/dev/null && echo \"could write \$node\"
		done
		for node in name ip device/vif/0/ip data/xvmc/ip data/xvmc/name; do xenstore-write \$node $dom0_net.11 2>/dev/null; done
		xenstore-write data/xvmc/version 'vm1 $dom0_net.11'; true")
	sleep 2
	hostile_heard=$(in_dom0 A "xenstore-read /local/domain/$hostile_one/xvmc/peers/$hostile_two")
	echo "$hostile_got vm1 hears of: $hostile_heard"
	[ -z "$hostile_got" ] && [ "$hostile_heard" = "vm2 $dom0_net.12" ]
}

# It calls from an address that dom0 has not given it: heard, but by TCP.
hostile_address() {
	hostile_before=$(ring_bytes 12) || return 1
	in_guest A 12 "ip addr add 10.77.0.99/24 dev eth0 && ip route add $dom0_net.11/32 dev eth0 src 10.77.0.99" &&
		stream_begin 5090 address --rate 1M || return 1
	sleep 10
	in_guest A 11 'netstat -tn | grep 10.77.0.99' >/dev/null || {
		echo "it does not call from there"
		return 1
	}
	stream_end address >/dev/null || return 1
	in_guest A 12 "ip route del $dom0_net.11/32; ip addr del 10.77.0.99/24 dev eth0" || return 1
	hostile_by_ring=$(($(ring_bytes 12) - hostile_before))
	echo "$(cat "$run/stream.verdict"); $hostile_by_ring bytes by ring"
	[ "$hostile_by_ring" -eq 0 ]
}

# Two guests with one address in their configuration: then it is nobody's.
hostile_twice() {
	stream_rings 5091 twice || return 1
	hostile_ip=/local/domain/0/backend/vif/$(in_dom0 A 'xl domid vm2')/0/ip
	in_dom0 A "xenstore-write $hostile_ip $dom0_net.11" || return 1
	wait_path TCP 60 || {
		echo "still by ring"
		return 1
	}
	in_dom0 A "grep 'claimed twice' /tmp/xvmcd.log | tail -n 1; xenstore-write $hostile_ip $dom0_net.12" || return 1
	wait_rings 90 || {
		echo "no rings again"
		return 1
	}
	stream_end twice
}

# ---- what runs out, and who stands still ----

# No page more may be granted: by TCP, and rings when there is room again.
hostile_quota() {
	in_guest A 12 'cat /sys/module/xen_gntalloc/parameters/limit >/tmp/limit; echo 20 >/sys/module/xen_gntalloc/parameters/limit' || return 1
	stream_begin 5092 quota --rate 1M || return 1
	in_guest -t 30 A 12 'until xvmc ss --json --dir /run/xvmc | grep -q no-grants; do usleep 300000; done' || {
		in_guest A 12 'xvmc ss --dir /run/xvmc' | tail -n 2
		return 1
	}
	stream_end quota || return 1
	in_guest A 12 'cat /tmp/limit >/sys/module/xen_gntalloc/parameters/limit' || return 1
	stream_rings 5093 again >/dev/null && stream_end again
}

# Why does vm2 write by TCP?
hostile_ask() {
	hostile_began=$(date +%s)
	in_guest A 12 'xvmc ss --json --dir /run/xvmc' >"$run/ss"
	hostile_took=$(seconds "$hostile_began")
	hostile_why=$(grep -A 1 '"path":[[:space:]]*"TCP"' "$run/ss" | sed -n 's/.*"reason":[[:space:]]*"\([a-z-]*\)".*/\1/p' | sort -u | tr '\n' ' ')
	[ -n "$hostile_why" ]
}

# The peer does nothing for a minute. Whoever writes goes to TCP, and says
# why; tools answer; and in the end every byte is there.
hostile_pause() {
	stream_begin 5094 pause || return 1
	wait_rings 60 && more_by_ring || return 1
	in_dom0 A 'xl pause vm1' || return 1
	sleep 30
	hostile_tries=0
	# Who does not answer xvmcd within half a second is left out of the list.
	until hostile_ask || [ "$hostile_tries" -ge 5 ]; do
		hostile_tries=$((hostile_tries + 1))
	done
	sleep 30
	in_dom0 A 'xl unpause vm1' || return 1
	wait_rings 90 || {
		echo "no rings again"
		return 1
	}
	stream_end pause || return 1
	echo "$(cat "$run/stream.verdict"); meanwhile on TCP: $hostile_why; xvmc ss took $hostile_took s"
	[ -n "$hostile_why" ] && [ "$hostile_took" -lt $((5 * patience)) ]
}

# ---- xenstore ----

# vm2's xvmcd cannot say, or hear, what it has to: it says so, answers, does not burn
# its processor, and when there is room again, there are rings.
hostile_store_full() { # NAME PORT FILL WHAT-IT-SAYS EMPTY
	stream_rings "$2" "$1" >/dev/null && xvmcd_stop 12 || return 1
	in_guest -t 120 A 12 "$3" || return 1
	in_guest A 12 'rm /tmp/xvmcd.log' && hostile_back 12 || return 1
	in_guest -t 30 A 12 "until grep '$4' /tmp/xvmcd.log; do usleep 300000; done" || {
		in_guest A 12 'tail -n 3 /tmp/xvmcd.log'
		return 1
	}
	hostile_ticks=$(in_guest -t 20 A 12 'pid=$(cat /run/xvmc/xvmcd.lock)
		ticks() { awk "{ print \$14 + \$15 }" "/proc/$pid/stat"; }
		from=$(ticks); sleep 5; xvmc vms --dir /run/xvmc >/dev/null && echo $(($(ticks) - from))') || {
		echo 'it does not answer'
		return 1
	}
	in_guest -t 60 A 12 "$5" || return 1
	wait_rings 90 || {
		echo 'no rings again'
		return 1
	}
	stream_end "$1" >/dev/null || return 1
	echo "$(cat "$run/stream.verdict"); xvmcd took $hostile_ticks ticks in 5 s"
	[ "$hostile_ticks" -lt 250 ]
}

# 128 in all: in tens until some are refused, and one by one until the next one is.
# Each fires once when all of its process are there.
hostile_watches() {
	hostile_store_full watches 5097 '
		hold() { # NAME NUMBER
			name=$1 number=$2
			set --
			while [ $# -lt "$number" ]; do set -- "$@" "data/${name}_$#"; done
			: >"/tmp/hold.$name"
			xenstore-watch "$@" >"/tmp/hold.$name" 2>&1 &
			until [ "$(grep -c "^data/" "/tmp/hold.$name")" -ge "$number" ]; do
				kill -0 $! 2>/dev/null || return 1
				usleep 50000
			done
		}
		for many in 10 1; do
			n=0
			while hold "w${many}_$n" $many; do n=$((n + 1)); done
		done' \
		'xenstore: no watch' 'kill $(pidof xenstore-watch)'
}

hostile_nodes() {
	hostile_store_full nodes 5098 '
		i=0
		while [ $i -lt 100 ]; do
			set --
			while [ $# -lt 100 ]; do set -- "$@" "data/fill/$i/$#" x; done
			i=$((i + 1))
			xenstore-write "$@" 2>/dev/null || break
		done
		i=0
		while xenstore-write "data/fill/$i" x 2>/dev/null; do i=$((i + 1)); done' \
		'xenstore: .*tried every second' 'xenstore-rm data/fill'
}

# Rings need nothing of it, once they are there.
hostile_stands() {
	stream_rings 5099 stands >/dev/null || return 1
	in_dom0 A 'kill -STOP $(pidof xenstored)' || return 1
	sleep 10
	hostile_moved=$(more_by_ring)
	hostile_rc=$?
	hostile_began=$(date +%s)
	in_guest A 12 'xvmc ss --dir /run/xvmc >/dev/null' || hostile_rc=1
	hostile_took=$(seconds "$hostile_began")
	in_dom0 A 'kill -CONT $(pidof xenstored)' || return 1
	stream_end stands >/dev/null || return 1
	echo "$(cat "$run/stream.verdict"); $hostile_moved; xvmc ss took $hostile_took s"
	[ $hostile_rc -eq 0 ] && [ "$hostile_took" -lt $((5 * patience)) ]
}

# ---- one whose xvmcd is another ----

# Is the other one's xvmcd as it was? By its process, descriptors, memory.
hostile_state() { # NUMBER
	in_guest A "$1" 'pid=$(cat /run/xvmc/xvmcd.lock); echo $pid $(ls /proc/$pid/fd | wc -l) $(sed -n "s/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p" /proc/$pid/status)'
}

hostile_nonsense() { # NUMBER: how often it has said so
	in_guest A "$1" 'grep -c "nonsense on the control channel" /tmp/xvmcd.log; true'
}

# vm2 follows, or vm1 leads: the trick is played, and then the victim is asked.
hostile_trick() { # lead|follow TRICK
	case $1 in
	lead) hostile_from=11 hostile_to=12 hostile_of=vm2 ;;
	follow) hostile_from=12 hostile_to=11 hostile_of=vm1 ;;
	esac
	hostile_domid=$(in_dom0 A "xl domid $hostile_of")
	hostile_before=$(hostile_state "$hostile_to")
	hostile_lines=$(hostile_nonsense "$hostile_to")
	in_guest A "$hostile_from" "cd /tmp; rm -f hostile.*; { timeout 900 hostile $1 $hostile_domid $2 >hostile.out 2>&1; echo \$? >hostile.status; } &"
	hostile_began=$(date +%s)
	hostile_slow=0
	until in_guest A "$hostile_from" '[ -e /tmp/hostile.status ]'; do
		hostile_asked=$(date +%s)
		in_guest A "$hostile_to" 'xvmc vms --dir /run/xvmc >/dev/null' || {
			echo "xvmcd does not answer"
			return 1
		}
		[ "$(seconds "$hostile_asked")" -le "$hostile_slow" ] || hostile_slow=$(seconds "$hostile_asked")
	done
	hostile_said=$(in_guest A "$hostile_from" 'cat /tmp/hostile.out; exit $(cat /tmp/hostile.status)') || {
		echo "$hostile_said"
		return 1
	}
	hostile_after=$(hostile_state "$hostile_to")
	echo "$hostile_said; xvmcd's pid, descriptors, KiB: $hostile_before -> $hostile_after; answers in $hostile_slow s"
	case $2 in
	index | length)
		[ "$(hostile_nonsense "$hostile_to")" -gt "$hostile_lines" ] || {
			echo "it was not noticed"
			return 1
		}
		;;
	esac
	# shellcheck disable=SC2086 # three numbers and three
	set -- $hostile_before $hostile_after
	[ "$1" = "$4" ] && [ "$5" -le "$2" ] && [ "$6" -le $(($3 + 8192)) ]
}

hostile_back() { # NUMBER
	in_guest A "$1" 'xvmcd --xen --daemon --dir /run/xvmc --log /tmp/xvmcd.log'
}

hostile_after() {
	hostile_back 11 || return 1
	stream_rings 5096 after && stream_end after
}

part_hostile() {
	# The lower domid must be vm1's.
	step hostile 'guests anew' guests_anew pvh || return
	step hostile 'xvmcd everywhere' xvmcd_start || return
	step hostile 'what it writes of itself' hostile_store
	step hostile 'an address it has not' hostile_address
	step hostile 'an address two have' hostile_twice
	step hostile 'no page to grant' hostile_quota
	step hostile 'a minute of pause' hostile_pause
	step hostile 'no watch in xenstore' hostile_watches
	step hostile 'no node in xenstore' hostile_nodes
	step hostile 'xenstored stands still' hostile_stands
	step hostile 'xvmcd of vm2 ends' xvmcd_stop 12 || return
	for trick in index length noise claim crowd flood; do
		step hostile "it follows: $trick" hostile_trick follow $trick
	done
	step hostile 'xvmcd of vm2 is back' hostile_back 12
	step hostile 'xvmcd of vm1 ends' xvmcd_stop 11 || return
	for trick in index length noise offer; do
		step hostile "it leads: $trick" hostile_trick lead $trick
	done
	step hostile 'good guests again' hostile_after
	step hostile 'nothing is left' nothing_left 11 12
	step hostile 'kernels' kernels_fine 11 12
}
