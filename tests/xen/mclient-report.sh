#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The figures of the part mclient as one HTML page: a table, and plots as SVG
# in it, laid out as the papers have them: time, pages and outage against the
# number of mails, one plot for each size of attachment; and what has been sent
# in each while of the migration under the highest load. Wants gnuplot.
# Usage: mclient-report.sh FIGURES.csv OVER-TIME.csv KILOBYTES-A-SECOND PAGE.html
set -u

if [ $# -ne 4 ] || [ ! -r "$1" ] || [ ! -r "$2" ]; then
	echo "usage: $0 FIGURES.csv OVER-TIME.csv KILOBYTES-A-SECOND PAGE.html" >&2
	exit 2
fi
csv=$1 time_csv=$2 link=$3 page=$4
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

sizes() {
	awk -F , 'NR > 1 && !seen[$4]++ { print $4 }' "$csv"
}

# "mails figure", of one way and one size.
line() { # KIND MB COLUMN
	awk -F , -v kind="$1" -v mb="$2" -v column="$3" \
		'$1 == kind && $4 == mb { print $3, $column }' "$csv" | sort -n
}

# What goes before each plot.
style() { # NAME TITLE XLABEL YLABEL
	cat <<END
set terminal svg size 560,320 font "sans,11" background "white"
set output "$work/$1.svg"
set title "$2"
set xlabel "$3"
set ylabel "$4"
set yrange [0:*]
set border 3
set tics nomirror out
set grid ytics linecolor rgb "#dddddd"
set key above right horizontal
END
}

plots=
against_mails() { # NAME COLUMN TITLE UNIT
	for mb in $(sizes); do
		line plain "$mb" "$2" >"$work/plain"
		line accelerated "$mb" "$2" >"$work/accelerated"
		{
			style "$1-$mb" "$3, F = $mb MB" 'mails (n x n)' "$4"
			echo "set xtics ($(awk '{ printf "%s\"%d\" %d", sep, $1, $1; sep = ", " }' "$work/plain"))"
			echo "plot \"$work/plain\" with linespoints pt 5 lc rgb \"#888888\" title \"TCP\", \
				\"$work/accelerated\" with linespoints pt 7 lc rgb \"#2060a0\" title \"xvmc\""
		} | gnuplot || exit 1
		plots="$plots $1-$mb"
	done
}

# Megabytes in each fifteenth of the longer migration.
over_time() {
	load=$(awk -F , 'NR > 1 && $3 * $4 > most { most = $3 * $4; what = $2 "," $4 } END { print what }' "$csv")
	step=$(awk -F , -v users_mb="$load" '$2 "," $3 == users_mb && $4 > max { max = $4 } END { print int(max / 15) + 1 }' "$time_csv")
	for kind in plain accelerated; do
		awk -F , -v kind=$kind -v users_mb="$load" -v step="$step" '
			$1 == kind && $2 "," $3 == users_mb { while ($4 >= at + step) { print at + step, $5 - sent; sent = $5; at += step } last = $5 }
			END { print at + step, last - sent }' "$time_csv" >"$work/$kind"
	done
	{
		style over-time "Data over the network, n = ${load%,*}, F = ${load#*,} MB" seconds "MB in each $step s"
		echo "plot \"$work/plain\" with linespoints pt 5 lc rgb \"#888888\" title \"TCP\", \
			\"$work/accelerated\" with linespoints pt 7 lc rgb \"#2060a0\" title \"xvmc\""
	} | gnuplot || exit 1
	plots="$plots over-time"
}

table() {
	awk -F , '{
			if (NR == 1)
				next
			printf "<tr><td>%s</td>", $1 == "plain" ? "TCP" : "xvmc"
			for (i = 2; i <= NF; i++)
				printf "<td>%s</td>", $i
			print "</tr>"
		}' "$csv"
}

against_mails time 5 'Time of the migration' seconds
against_mails pages 11 'Pages sent in all rounds' 'pages of 4 KiB'
against_mails outage 6 'The longest a client waits' ms
against_mails mails 7 'Mails sent until the migration is over' mails
over_time
{
	cat <<'END'
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>xvmc: mails during a migration</title>
<style>body { font: 15px sans-serif; max-width: 75em; margin: 2em auto } td, th { padding: .2em .7em; text-align: right }
svg { max-width: 49%; height: auto }</style></head><body>
<h1>A mail server migrates under load</h1>
<p>n users in one guest send n mails each, with an attachment of F MB, to a server in the other, which is migrated to
the same host meanwhile: on plain TCP, and by xvmc. Real Xen, emulated by QEMU without KVM, with one CPU for both guests
and dom0, next to whatever else the machine had to do: <b>these are no times of real hardware, and one run of each.</b>
As in the papers, pre-copy ends after 29 rounds, or when no more than 256 KB are left. Scaled: the guest has 160 MB of
memory, and the server throws the mails away.</p>
END
	echo "<p>The migration goes over a link of $link KB/s.</p>"
	for plot in $plots; do
		[ -s "$work/$plot.svg" ] || exit 1
		sed -n '/<svg/,$p' "$work/$plot.svg"
	done
	cat <<'END'
<h2>Figures</h2>
<table>
<tr><th>by</th><th>n</th><th>mails</th><th>F, MB</th><th>T<sub>mig</sub>, s</th><th>outage, ms</th><th>sent until then</th>
<th>by ring, %</th><th>stop-and-copy, s</th><th>rounds</th><th>V<sub>mig</sub>, pages</th><th>R<sub>d</sub></th>
<th>pages of each round</th></tr>
END
	table
	echo '</table></body></html>'
} >"$page" || exit 1
echo "$page"
