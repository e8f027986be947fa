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
set ylabel "$3"
set yrange [0:*]
set style data histogram
set style fill solid 0.8
set boxwidth 0.9
set key top left
plot "$work/data" using 2:xtic(1) title "TCP" linecolor rgb "#888888", \
	"" using 3 title "xvmc" linecolor rgb "#2060a0"
END
}

table() {
	awk -F , '{
			tag = NR == 1 ? "th" : "td"
			printf "<tr>"
			for (i = 1; i <= NF; i++)
				printf "<%s>%s</%s>", tag, $i, tag
			print "</tr>"
		}' "$csv"
}

plot 4 'migration, from the command to the end' seconds || exit 1
plot again 'pages sent after the first round' pages || exit 1
plot 5 'outage that a client sees' ms || exit 1
plot 6 'mails sent meanwhile' mails || exit 1
{
	cat <<'END'
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>xvmc: mails during a migration</title>
<style>body { font: 15px sans-serif; max-width: 75em; margin: 2em auto } td, th { padding: .2em .7em; text-align: right }
svg { max-width: 49%; height: auto }</style></head><body>
<h1>A mail server migrates under load</h1>
<p>Users in one guest send mails with an attachment to a server in the other, which is migrated to the same host.
Real Xen, emulated by QEMU without KVM, with one CPU for both guests and dom0, next to whatever else the machine had
to do: these are no times of real hardware, and one run of each. Scaled down from the papers: 160 MB of memory, fewer
users, each of them sending until the migration is over.</p>
<table>
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
