# SPDX-License-Identifier: MIT
#
# The shortest proof of the whole: xvmcd in dom0 and in both guests, a checked
# stream between them that goes by ring, a live migration of one of them under
# the stream by a plain `xl migrate`, rings again afterwards, and nothing left
# behind. Sourced by lab.sh.
# shellcheck shell=sh

# A program in a guest, with the library.
preloaded='XVMC_DIR=/run/xvmc LD_PRELOAD=/xvmc/libxvmc.so'

short_start() {
	in_dom0 A 'xvmcd --dom0 >/tmp/xvmcd.log 2>&1 & sleep 1; tail -n 2 /tmp/xvmcd.log' || return 1
	for guest in 11 12; do
		in_guest A $guest 'xvmcd --xen --daemon --dir /run/xvmc --log /tmp/xvmcd.log' || return 1
	done
	# Both have a channel to the other as soon as dom0 has said who is here.
	for guest in 11 12; do
		in_guest A $guest 'tries=0; until grep -q "control channel" /tmp/xvmcd.log; do
			tries=$((tries+1)); [ $tries -lt 100 ] || { tail -n 5 /tmp/xvmcd.log; exit 1; }; usleep 100000; done
			grep "control channel" /tmp/xvmcd.log | tail -n 1' || return 1
	done
}

# The sum of what the processes of a guest have moved by ring.
ring_bytes() { # NUMBER
	in_guest A "$1" 'xvmc stat --json --dir /run/xvmc' >"$run/stat.$1" || return 1
	sed -n 's/.*"ring_tx_bytes": *\([0-9]*\).*/\1/p' "$run/stat.$1" | head -n 1
}

# What the checked stream says of itself, from a guest's file.
stream_says() { # NUMBER FILE
	in_guest A "$1" "cat $2" >"$run/stream.json" || return 1
	for key in bytes_verified bytes_lost bytes_duplicated bytes_reordered bytes_corrupted bytes_truncated; do
		sed -n "s/.*\"$key\": *\([0-9]*\).*/$key \1/p" "$run/stream.json" | head -n 1
	done >"$run/stream.figures"
	[ "$(wc -l <"$run/stream.figures")" -eq 6 ] || return 1
	awk '$1 == "bytes_verified" { n = $2 } $1 != "bytes_verified" { bad += $2 }
		END { printf "%d bytes verified, %d wrong\n", n, bad; exit !(n > 0 && bad == 0) }' "$run/stream.figures"
}

short_ring() {
	in_guest A 11 "cd /tmp; $preloaded xvmc-stream serve --addr 0.0.0.0 --port 5000 --once >serve.out 2>&1 & sleep 1"
	in_guest -t 120 A 12 "cd /tmp; $preloaded xvmc-stream run --connect $dom0_net.11:5000 --connections 2 --seconds 10 --stall 40 --json >ring.json 2>ring.err; status=\$?; cat ring.err >&2; exit \$status" || return 1
	stream_says 12 /tmp/ring.json || return 1
	short_by_ring=$(ring_bytes 12)
	echo "$(cat "$run/stream.figures" | head -n 1), ${short_by_ring:-0} sent by ring"
	[ "${short_by_ring:-0}" -gt 100000 ]
}

part_short() {
	step short 'xvmcd everywhere' short_start || return
	step short 'a stream by ring' short_ring
}
