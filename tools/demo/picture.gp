# SPDX-License-Identifier: MIT
#
# The demo's picture, as demo.svg and demo.png: throughput over time by path.
# From picture.awk: 'series' (seconds, TCP, TCP and ring, in Gbit/s) and
# 'marks.gp'. The caller sets title.

set encoding utf8
set tmargin 6
set rmargin 3
set bmargin 5.5
set title title offset 0, 2.2 font ',14'
set xlabel 'seconds'
set ylabel 'Gbit/s, all connections and both directions'
set grid ytics lc rgb '#d0d0d0'
set tics out nomirror
set border 3
set key at graph 0.5, screen 0.025 center bottom horizontal maxrows 1 samplen 2 width 2
set label 'vm1 on' at graph -0.006, 1.045 right font ',10'
load 'marks.gp'

do for [kind in 'svg png'] {
	if (kind eq 'svg') {
		set terminal svg size 1200,560 font 'sans,11' background '#ffffff'
	} else {
		set terminal pngcairo size 1200,560 font 'sans,11' background '#ffffff'
	}
	set output 'demo.'.kind
	plot 'series' using 1:3 with fillsteps lc rgb '#3f8fc4' fs solid 1 border rgb '#3f8fc4' title 'by ring', \
	     'series' using 1:2 with fillsteps lc rgb '#f09a2e' fs solid 1 border rgb '#f09a2e' title 'by TCP', \
	     NaN with boxes fs solid 0.13 noborder lc rgb '#000000' title 'migration under way'
	unset output
}
