#!/bin/sh
# SPDX-License-Identifier: MIT
# What is made of symbols.def: `symbols.sh map DEF` prints the linker's
# version script, `symbols.sh page DEF` prints docs/syscalls.md.
set -eu

what=$1
def=$2

map() {
	echo '{'
	echo '  global:'
	sed -n -e 's/^XVMC_SYM([^,]*, \([A-Za-z0-9_]*\), .*/    \1;/p' \
		-e 's/^XVMC_ALIAS(\([A-Za-z0-9_]*\), .*/    \1;/p' "$def"
	for f in xvmc_fd_info xvmc_promote xvmc_demote; do
		echo "    $f;"
	done
	echo '  local: *;'
	echo '};'
}

page() {
	cat <<'PAGE'
# What libxvmc.so does to each call

This page is made from `preload/symbols.def` by `preload/symbols.sh page`.

A call on a descriptor that is no followed TCP connection goes straight to
libc. The table says what happens on one that is: *ring or TCP* means that
the bytes take whichever way the connection uses at that moment, with the
same results. *To TCP for good first* means that the connection leaves its
ring, losing nothing, before the call is made, and stays on TCP.

Not interposed, because there is nothing to do: `bind`, `listen`,
`getsockname`, `getpeername`, `fork` (followed by `pthread_atfork`), `pread`,
`pwrite` and `lseek` (a socket has no position), `tee`, `vmsplice`.

Not seen at all: static programs, programs that issue system calls by
themselves (Go), and `/proc/self/fd`, which lists the library's own
descriptors (high numbers, close-on-exec).

PAGE
	for g in bytes waiting life escape signals process; do
		case $g in
		bytes) echo '## Bytes' ;;
		waiting) echo '## Waiting' ;;
		life) echo '## Connections and descriptors' ;;
		escape) echo '## stdio' ;;
		signals) echo '## Signals' ;;
		process) echo '## Processes' ;;
		esac
		echo
		echo '| call | on a followed connection |'
		echo '|---|---|'
		sed -n "s/^XVMC_SYM([^,]*, \\([A-Za-z0-9_]*\\), .*, $g, \"\\(.*\\)\")\$/| \`\\1\` | \\2 |/p" "$def"
		echo
	done
	echo '## Other names'
	echo
	# The backquotes are for the page, not for the shell.
	# shellcheck disable=SC2016
	sed -n 's/^XVMC_ALIAS(\([A-Za-z0-9_]*\), \([a-z0-9_]*\))$/`\1` is `\2`./p' "$def"
}

case $what in
map) map ;;
page) page ;;
*)
	echo "usage: symbols.sh map|page symbols.def" >&2
	exit 2
	;;
esac
