#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The checked stream for a long time, with a migration or a forced switch
# every 20 ms: of either domain, prepared, unprepared, or cancelled; all
# connections asked to TCP, or back to rings. Which, is drawn from a seed,
# which is printed: the same seed does the same again, as far as the scheduler
# lets it. How long the machine itself stood still meanwhile is measured, too.
#
# Exit status 0: every byte arrived once and in order, nothing stalled, and
# connections really moved all the time. If not, everything that may explain
# it is kept. 2: wrong options.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
name=soak
build=$here/../../build
seconds=60
seed=
connections=8
every_ms=20
how=ring
mode=mixed

help() {
	cat <<'END'
usage: soak.sh [--build DIR] [--minutes N | --seconds N] [--seed N]
               [--connections N] [--mode stream|rr|mixed] [--every-ms N] [--plain]

  --build DIR      where the programs were built (build)
  --minutes N      how long, 1 to 10000 (1)
  --seconds N      the same in seconds
  --seed N         of the content, the sizes, and what happens when (random)
  --connections N  1 to 256 (8)
  --mode MODE      streams, request-response, or some of both (mixed)
  --every-ms N     from one migration or switch to the next, 1 to 60000 (20)
  --plain          without xvmc, and nothing happens: the gaps that the machine
                   itself makes
  --help
One JSON object on standard output.
END
}

# shellcheck source=tools/demo/tmpdir.sh
. "$here/tmpdir.sh"
# shellcheck source=tools/demo/common.sh
. "$here/common.sh"
while [ $# -gt 0 ]; do
	case $1 in
	--build | --minutes | --seconds | --seed | --connections | --mode | --every-ms)
		want_value "$@"
		case $1 in
		--build) build=$2 ;;
		--minutes)
			want_number "$1" "$2" 1 10000
			seconds=$(($2 * 60))
			;;
		--seconds)
			want_number "$1" "$2" 1 600000
			seconds=$2
			;;
		--seed)
			want_number "$1" "$2" 0 9999999
			seed=$2
			;;
		--connections)
			want_number "$1" "$2" 1 256
			connections=$2
			;;
		--mode)
			case $2 in
			stream | rr | mixed) mode=$2 ;;
			*) bad_option "--mode is stream, rr or mixed, not '$2'" ;;
			esac
			;;
		--every-ms)
			want_number "$1" "$2" 1 60000
			every_ms=$2
			;;
		esac
		shift
		;;
	--plain) how=plain ;;
	--json) ;; # it is always JSON
	--help | -h)
		help
		exit 0
		;;
	*) bad_option "no such option: '$1'; see --help" ;;
	esac
	shift
done
if [ -z "$seed" ]; then
	seed=$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')
	seed=$((seed % 10000000))
fi

# What happens, without end: half migrations, half forced switches. Where the
# domains are after each step is known, for nothing here fails.
plan() {
	awk -v seed="$seed" -v every="$every_ms" '
	function pick(n) { return int(rand() * n) }
	BEGIN {
		srand(seed)
		split("prepared unprepared cancelled", how, " ")
		at["vm1"] = at["vm2"] = "A"
		for (;;) {
			if (rand() < 0.5) {
				# All to TCP is soon followed by all to rings.
				demoted = demoted ? rand() < 0.3 : rand() < 0.5
				print every, demoted ? "demote" : "promote"
				continue
			}
			domain = "vm" 1 + pick(2)
			apart = at["vm1"] != at["vm2"]
			h = rand() < 0.1 ? 3 : 1 + pick(2)
			# Apart, mostly together again; rarely to a third host.
			to = apart && rand() < 0.9 ? at[domain == "vm1" ? "vm2" : "vm1"] : \
				substr("ABC", 1 + pick(3), 1)
			if (to == at[domain])
				to = to == "A" ? "B" : "A"
			print every, "migrate", domain, to, how[h], rand() < 0.2 ? pick(10) : 0
			if (h != 3)
				at[domain] = to
		}
	}'
}

# For the one who has to find out: where everything stands.
post_mortem() {
	"$tools/xvmc" ss --bytes >"$work/ss.txt" 2>&1
	"$tools/xvmc" stat >"$work/stat.txt" 2>&1
	"$tools/xvmc" vms >"$work/vms.txt" 2>&1
	for pid in $server $client; do
		for task in /proc/"$pid"/task/*; do
			echo "$task $(cat "$task/comm" "$task/wchan" "$task/syscall" 2>/dev/null | tr '\n' ' ')"
		done
		ls -l "/proc/$pid/fd"
	done >"$work/tasks.txt" 2>&1
}

# What the stream found; nothing if it did not come to its end.
found() { # KEY
	found=$(json_number "$1" "$work/stream")
	echo "${found:-0}"
}

# The number behind OUTER.KEY.
found_in() { # OUTER KEY
	sed -n "s/.*\"$1\":{\\([^}]*\\)}.*/{\\1}/p" "$work/stream" >"$work/part"
	found_part=$(json_number "$2" "$work/part")
	echo "${found_part:-0}"
}

# What the machine itself did to the gaps; two members of the object.
stalls() {
	sort -t , -k 1,1n "$work/standstill" |
		awk -f "$here/stalls.awk" - "$work/pauses.client" "$work/pauses.server"
}

done_count() { # PATTERN of a line of the events
	grep -c "$1" "$work/events"
}

report() { # true|false
	awk -F, -v OFS= 'NR == 2 { for (i = 1; i <= NF; i++) first[i] = $i }
		{ for (i = 1; i <= NF; i++) last[i] = $i }
		END {
			ring = last[2] - first[2]
			tcp = last[3] - first[3]
			printf "ring_share=%.4f\n", (ring + tcp > 0 ? ring / (ring + tcp) : 0)
			print "to_ring=", last[6] - first[6]
			print "to_tcp=", last[7] - first[7]
		}' "$work/samples" >"$work/figures"
	ring_share=$(sed -n 's/^ring_share=//p' "$work/figures")
	to_ring=$(sed -n 's/^to_ring=//p' "$work/figures")
	to_tcp=$(sed -n 's/^to_tcp=//p' "$work/figures")
	printf '{"ok":%s,"seed":%s,"seconds":%s,"connections":%s,"mode":"%s","plain":%s,"every_ms":%s,' \
		"$1" "$seed" "$seconds" "$connections" "$mode" \
		"$([ $how = plain ] && echo true || echo false)" "$every_ms"
	printf '"migrations":{"prepared":%s,"unprepared":%s,"cancelled":%s},' \
		"$(done_count ',0,migrate,.*,prepared,')" "$(done_count ',0,migrate,.*,unprepared,')" \
		"$(done_count ',0,migrate,.*,cancelled,')"
	printf '"forced":{"demote":%s,"promote":%s},"refused":%s,' "$(done_count ',0,demote')" \
		"$(done_count ',0,promote')" "$(done_count ',-[0-9]*,[a-z]')"
	printf '"switches":{"to_ring":%s,"to_tcp":%s},"ring_share":%s,' \
		"${to_ring:-0}" "${to_tcp:-0}" "${ring_share:-0}"
	printf '"stalled":%s,' "$(grep -q '"stalled":true' "$work/stream" && echo true || echo false)"
	for key in verified lost duplicated reordered corrupted crossed truncated; do
		printf '"bytes_%s":%s,' $key "$(found bytes_$key)"
	done
	printf '"gap_ms":{"p50":%s,"p99":%s,"max":%s},' "$(found_in gap_ms p50)" \
		"$(found_in gap_ms p99)" "$(found_in gap_ms max)"
	printf '"gaps_over_ms":{"1":%s,"2":%s,"10":%s,"100":%s},' "$(found_in gaps_over_ms 1)" \
		"$(found_in gaps_over_ms 2)" "$(found_in gaps_over_ms 10)" "$(found_in gaps_over_ms 100)"
	printf '%s}\n' "$(stalls)"
}

listening() {
	grep -qs '^listening' "$work/stream-server"
}

session_begin
echo "soak: seed $seed, $seconds s" >&2
start_xvmcd
for domain in vm1 vm2; do
	"$tools/xvmc" create $domain A >"$work/err" 2>&1 || die "$(cat "$work/err")"
done
in_domain vm1 $how "$tools/bench/xvmc-stream" serve --once \
	--pauses "$work/pauses.server" --pause-ms 10 >"$work/stream-server" \
	2>"$work/stream-server.err" &
server=$!
started $server
wait_for 10 listening || die "xvmc-stream serve does not start"
in_domain vm2 $how "$tools/bench/xvmc-stream" run --seed "$seed" --json --mode "$mode" \
	--connect "127.0.0.1:$(sed -n 's/^listening //p' "$work/stream-server")" \
	--pauses "$work/pauses.client" --pause-ms 10 \
	--connections "$connections" --seconds "$seconds" >"$work/stream" 2>"$work/stream.err" &
client=$!
started $client
"$tools/demo/xvmc-standstill" --seconds "$seconds" >"$work/standstill" &
started $!
shuttle=
: >"$work/events"
: >"$work/samples"
if [ $how = ring ]; then
	plan 2>/dev/null | "$tools/demo/xvmc-shuttle" --samples "$work/samples" \
		--every-ms 1000 --events "$work/events" --seconds "$seconds" \
		2>"$work/shuttle.err" &
	shuttle=$!
	started $shuttle
fi

# The stream watches itself: 10 s without progress on any connection, and it
# ends. This is for the case that it cannot even do that.
deadline=$(($(date +%s) + seconds + 60))
ok=true
trouble() {
	progress ''
	echo "$name: $1" >&2
	ok=false
}
begun=$(date +%s)
while alive $client; do
	now=$(date +%s)
	if [ "$now" -gt $deadline ]; then
		trouble "the stream does not end"
		post_mortem
		end $client
		break
	fi
	if [ -t 2 ]; then
		progress "soak $((now - begun))/$seconds s, $(wc -l <"$work/events") migrations and switches"
	fi
	# A stalled stream waits a few seconds for the other end's account.
	if [ ! -e "$work/ss.txt" ] && grep -q stalled "$work/stream.err"; then
		post_mortem
	fi
	sleep 0.5
done
progress ''
wait $client || trouble "the checked stream failed: $(sed '/^seed/d' "$work/stream.err" | head -n 1)"
if [ $ok = false ] && [ ! -e "$work/ss.txt" ]; then
	post_mortem
fi
await $server 10 || trouble "the other end failed: $(tail -n 1 "$work/stream-server.err")"
[ -z "$shuttle" ] || await $shuttle 15 ||
	trouble "the migrations failed: $(tail -n 1 "$work/shuttle.err")"
alive "$xvmcd_pid" || trouble "xvmcd has ended"
report true >"$work/report"
# In every second something must have moved.
if [ -n "$shuttle" ] &&
	{ [ "${to_ring:-0}" -le "$seconds" ] || [ "${to_tcp:-0}" -le "$seconds" ]; }; then
	trouble "hardly anything was switched: ${to_ring:-0} to rings, ${to_tcp:-0} to TCP"
fi
report $ok
if [ $ok = false ]; then
	keep=$build/soak-$seed
	echo "$name: what happened is kept in $keep" >&2
	exit 1
fi
