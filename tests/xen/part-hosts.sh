# SPDX-License-Identifier: MIT
#
# Two hosts: vm1 goes to the other one by a plain `xl migrate` and comes back by
# `xvmc migrate`, under one stream with vm2, which stays. By ring while they are
# together, by TCP while they are not. Another stream begins while they are apart,
# and goes by ring when they are together. Sourced by lab.sh, which has wired host A
# for this.
# shellcheck shell=sh disable=SC2154,SC2034,SC2016 # names of the caller; text for the guests

hosts_boot() {
	boot B || return 1
	in_dom0 B 'until ping -c 1 -W 3 10.77.0.1 >/dev/null 2>&1; do :; done' || {
		echo "host A cannot be reached from host B"
		return 1
	}
	xvmcd_dom0 B
}

hosts_rings() {
	stream_begin 5040 hosts || return 1
	wait_rings 60 || {
		echo "no rings before the migration"
		return 1
	}
	echo "8 of 8 directions by ring"
}

# How far the stream has come, as the sum over both guests and both paths.
hosts_bytes() {
	in_guest A 12 'xvmc ss --json --dir /run/xvmc' |
		awk -F : '/"process"/ { mine = /xvmc-stream/ } mine && /"(ring|tcp)_bytes"/ { n += $2 } END { printf "%.0f\n", n }'
}

hosts_away() {
	migrate vm1 A B || return 1
	hosts_took=$migrate_took
	wait_path TCP 60 || {
		echo "not all by TCP in time"
		return 1
	}
	hosts_before=$(hosts_bytes)
	hosts_tries=0
	while :; do
		hosts_now=$(hosts_bytes)
		[ "$hosts_now" -gt $((hosts_before + 1000000)) ] && break
		hosts_tries=$((hosts_tries + 1))
		[ $hosts_tries -lt 30 ] || {
			echo "the stream does not go on: $hosts_before, $hosts_now bytes"
			return 1
		}
		sleep 1
	done
	wait_path TCP 30 || return 1
	echo "$hosts_took s; 8 of 8 directions by TCP, $((hosts_now - hosts_before)) bytes in the meantime"
}

hosts_apart() {
	stream_begin 5041 apart --rate 1M || return 1
	echo "one more, from one host to the other"
}

# Each guest is alone on its host now: it has nothing with any other.
hosts_alone() {
	left_on A && left_on B && echo "nothing is left on either host"
}

# Prepared: there is nobody on that host to be prepared with, but for itself.
hosts_back() {
	migrate_by=prepared
	migrate vm1 B A || return 1
	hosts_began=$(date +%s)
	streams=2
	wait_rings 90 || {
		echo "no rings again in time after the migration"
		return 1
	}
	hosts_said=$(in_dom0 B "sed -n 's/.*xvmc: //p' /tmp/migrate.log")
	echo "$migrate_took s, rings again $(seconds "$hosts_began") s later, also where there were none; $hosts_said"
	case $hosts_said in *'1 of 1 guests prepared'*) ;; *) return 1 ;; esac
}

part_hosts() {
	step hosts 'a second host' hosts_boot || return
	step hosts 'xvmcd everywhere' xvmcd_start || return
	step hosts 'a stream by ring' hosts_rings
	step hosts 'iperf3 beside it' iperf_begin
	step hosts 'vm1 to the other host' hosts_away
	step hosts 'each alone' hosts_alone
	step hosts 'a stream that begins apart' hosts_apart
	step hosts 'vm1 back again' hosts_back
	step hosts 'iperf3 goes on' iperf_end
	step hosts 'the stream is whole' stream_end hosts
	step hosts 'so is the other' stream_end apart
	step hosts 'nothing is left' nothing_left 11 12
	step hosts 'nothing is left there' left_on B
	step hosts 'kernels' kernels_fine 11 12
}
