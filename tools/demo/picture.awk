# SPDX-License-Identifier: MIT
#
# Data and marks for picture.gp. Input: xvmc-shuttle's events, then its
# samples. Writes the throughput to the file given as -v data=FILE (seconds,
# Gbit/s by TCP, Gbit/s by both paths, one line for each sample), and gnuplot
# commands for the marks to standard output.

BEGIN { FS = "," }

FNR == 1 && NR > 1 { file = 1 }

!file && $4 == "migrate" {
	n++
	begin[n] = $1
	end[n] = $2
	host[n] = $6
	how[n] = $7
}

file && FNR == 2 {
	start = $1
	before = $1
	ring = $2
	tcp = $3
}

# What was sent since the sample before.
file && FNR > 2 && $1 > before {
	s = ($1 - before) / 1000
	by_ring = ($2 - ring) * 8 / 1e9 / s
	by_tcp = ($3 - tcp) * 8 / 1e9 / s
	printf "%.3f %.4f %.4f\n", (before - start) / 1000, by_tcp, by_tcp + by_ring > data
	if (by_tcp + by_ring > top)
		top = by_tcp + by_ring
	before = $1
	ring = $2
	tcp = $3
}

END {
	last = (before - start) / 1000
	printf "%.3f %.4f %.4f\n", last, by_tcp, by_tcp + by_ring > data
	printf "set xrange [0:%.2f]\nset yrange [0:%.2f]\n", last, (top > 0 ? top * 1.3 : 1)
	stay(0, seconds(end[1]), "A")
	for (i = 1; i <= n; i++) {
		printf "set object rect from %.3f, graph 0 to %.3f, graph 1 front fc rgb '#000000' " \
			"fs transparent solid 0.13 noborder\n", seconds(begin[i]), seconds(end[i])
		printf "set arrow from %.3f, graph 0 to %.3f, graph 1.075 nohead front lc rgb '#202020' lw 1.4\n", \
			seconds(end[i]), seconds(end[i])
		printf "set label '%s' at %.3f, graph 0.985 right rotate by 90 offset character -1.1, 0 " \
			"front font ',10' tc rgb '#202020'\n", how[i], seconds(end[i])
		stay(seconds(end[i]), i < n ? seconds(end[i + 1]) : last, host[i])
	}
}

function seconds(ms) {
	return (ms - start) / 1000
}

# A strip above: where vm1 was. vm2 is always on A.
function stay(from, to, where) {
	printf "set object rect from %.3f, graph 1.015 to %.3f, graph 1.075 behind noclip fc rgb '%s' " \
		"fs solid border rgb '#ffffff'\n", from, to, (where == "A" ? "#cfe3f2" : "#fbe3c0")
	printf "set label '%s' at %.3f, graph 1.045 center font ',10'\n", \
		"host " where, (from + to) / 2
}
