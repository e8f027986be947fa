#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Do the pages say what the lists say? Each reason, counter and number among the
# options has its row in docs/operations.md, each variable its place in
# xvmc-environment(7), and a file that is named is there. What is not true is
# printed.
# usage: docs.sh SOURCE_ROOT
# shellcheck disable=SC2016,SC2013 # Markdown's backquotes; words
set -u

cd "${1:?source root}" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
: >"$work/false"

# The rows of one list, which must all be there.
rows() { # LIST.def PATTERN ROW: sed's, of one line
	sed -n "s/^$2\$/$3/p" "lib/base/$1" | while read -r row; do
		echo "$row" >>"$work/rows"
		grep -qxF -- "$row" docs/operations.md ||
			echo "docs/operations.md lacks, of lib/base/$1: $row" >>"$work/false"
	done
}

rows reason.def 'XVMC_REASON([A-Z_]*, "\([^"]*\)", "\([^"]*\)")' '| `\1` | \2 |'
rows stats.def 'XVMC_STAT([A-Z_]*, "\([^"]*\)", "\([^"]*\)")' '| `\1` | \2 |'
rows options.def 'XVMC_OPT([a-z_]*, "\([A-Z_]*\)", \([0-9]*\), \([0-9]*\), \([0-9]*\), "\([^"]*\)")' \
	'| `\1` | \2 | \3 to \4 | \5 |'
lists=$(grep -c '^XVMC_\(REASON\|STAT\|OPT\)(' lib/base/reason.def lib/base/stats.def \
	lib/base/options.def | awk -F : '{ n += $2 } END { print n }')
[ "$(wc -l <"$work/rows")" -eq "$lists" ] || echo "docs.sh cannot read all of lib/base/*.def" >>"$work/false"

for variable in $(sed -n 's/^XVMC_OPT[_A-Z]*([a-z_]*, "\([A-Z_]*\)".*/\1/p' lib/base/options.def); do
	grep -q "^\.BR* .*$variable" docs/man/xvmc-environment.7 ||
		echo "xvmc-environment(7) lacks $variable" >>"$work/false"
done

# Between backquotes, with a folder of ours in front; NAME stands for many.
for page in README.md CONTRIBUTING.md docs/*.md; do
	for file in $(grep -oE '`(docs|include|lib|preload|tests|tools)/[A-Za-z0-9_./*-]+`' "$page" |
		tr -d '`' | grep -v NAME); do
		ls -d "$file" >/dev/null 2>&1 || echo "$page: there is no $file" >>"$work/false"
	done
	for file in $(grep -oE '\]\([A-Za-z0-9_./-]+' "$page" | sed 's/^](//' | grep -v '^https*$'); do
		[ -e "$(dirname "$page")/$file" ] || echo "$page: there is no $file" >>"$work/false"
	done
done
cat "$work/false"
[ ! -s "$work/false" ]
