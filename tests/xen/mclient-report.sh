#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The figures of the part mclient as one HTML page: a table, and plots as SVG
# in it. Wants gnuplot. Usage: mclient-report.sh FIGURES.csv PAGE.html
set -u

if [ $# -ne 2 ] || [ ! -r "$1" ]; then
	echo "usage: $0 FIGURES.csv PAGE.html" >&2
	exit 2
fi
csv=$1 page=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# One line for each load: "label plain accelerated", of a column of the table,
# or of the pages that were sent in later rounds than the first.
pairs() { # COLUMN|again
	awk -F , -v column="$1" '
		function again(rounds,    i, n, pages, sum) {
			n = split(rounds, pages, " ")
			for (i = 2; i <= n; i++)
				sum += pages[i]
			return sum
		}
		NR > 1 {
			load = $2 " x " $3 " MB"
			if (!(load in seen)) {
				order[++n] = load
				seen[load] = 1
			}
			value[load, $1] = column == "again" ? again($9) : $column
		}
		END {
			for (i = 1; i <= n; i++)
				printf "\"%s\" %s %s\n", order[i], value[order[i], "plain"] + 0, value[order[i], "accelerated"] + 0
		}' "$csv"
}

plot() { # COLUMN|again TITLE UNIT
	pairs "$1" >"$work/data"
	gnuplot <<END
set terminal svg size 560,320 font "sans,11" background "white"
set output "$work/$1.svg"
set title "$2"
set xlabel "users x size of the attachment of each mail"
set ylabel "$3"
set yrange [0:*]
set border 3
set tics nomirror out
set grid ytics linecolor rgb "#dddddd"
set style data histogram
set style fill solid 0.8 noborder
set boxwidth 0.9
set key above right horizontal
plot "$work/data" using 2:xtic(1) title "TCP" linecolor rgb "#888888", \
	"" using 3 title "xvmc" linecolor rgb "#2060a0"
END
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

plot 4 'Time of the migration, from the command to the end' seconds || exit 1
plot again 'Pages sent again, after the first round' 'pages of 4 KiB' || exit 1
plot 5 'Outage: the longest a client waits for an answer' ms || exit 1
plot 6 'Mails sent during the migration' mails || exit 1
{
	cat <<'END'
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>xvmc: mails during a migration</title>
<style>body { font: 15px sans-serif; max-width: 75em; margin: 2em auto } td, th { padding: .2em .7em; text-align: right }
svg { max-width: 49%; height: auto }</style></head><body>
<h1>A mail server migrates under load</h1>
<p>Users in one guest send mails with an attachment to a server in the other, which is migrated to the same host: on
plain TCP, and by xvmc. Real Xen, emulated by QEMU without KVM, with one CPU for both guests and dom0, next to whatever
else the machine had to do: <b>these are no times of real hardware, and one run of each.</b> Believe the order, not the
size.</p>
<p>What is scaled down from the papers (the guest has 160 MB of memory):</p>
<table>
<tr><th></th><th>papers</th><th>here</th></tr>
<tr><td>users</td><td>4, 8, 12, 16, 20</td><td>as in the table</td></tr>
<tr><td>mails</td><td>n to each of n users</td><td>one after the other by each user, until the migration is over</td></tr>
<tr><td>attachment</td><td>1 MB, 3 MB</td><td>as in the table</td></tr>
<tr><td>pre-copy ends</td><td>after 29 rounds, or at 256 KB</td><td>after 5 rounds, or at 50 pages (xl's own)</td></tr>
</table>
<h2>Figures</h2>
<table>
<tr><th>by</th><th>users</th><th>MB</th><th>time, s</th><th>outage, ms</th><th>mails meanwhile</th><th>rounds</th>
<th>pages</th><th>pages of each round</th></tr>
END
	table
	echo '</table>'
	for column in 4 again 5 6; do
		sed -n '/<svg/,$p' "$work/$column.svg"
	done
	echo '</body></html>'
} >"$page"
for column in 4 again 5 6; do
	[ -s "$work/$column.svg" ] || exit 1
done
echo "$page"
