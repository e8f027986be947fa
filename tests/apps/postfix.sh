# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='Postfix smtp-source and smtp-sink: mails counted, their contents summed'
app_programs='smtp-source smtp-sink'

app_version() {
	echo "Postfix $(postconf -d -h mail_version)"
}

# What smtp-sink has written: a file per mail, of so many lines that belong to
# the text.
mails_are_there() { # MAILS BYTES
	mails=$(find "$dir/mails" -type f | wc -l)
	find "$dir/mails" -type f -exec cat {} + | tr -d '\r' >"$dir/all-mails"
	text=$(grep -c '^[0-9]*X[X]*$' "$dir/all-mails")
	bytes=$(grep '^[0-9]*X[X]*$' "$dir/all-mails" | wc -c)
	echo "$mails mails, $bytes bytes of text in $text lines; wanted $1 of $2"
	[ "$mails" -eq "$1" ] && [ "$bytes" -ge $(($1 * $2 - $1 * $2 / 20)) ] && [ "$bytes" -le $(($1 * ($2 + 10))) ]
}

smtp_case() { # TEXT MAILS BYTES OPTIONS...
	smtp_text=$1 smtp_mails=$2 smtp_bytes=$3
	shift 3
	rm -rf "$dir/mails"
	mkdir "$dir/mails"
	check "$smtp_text" client 60 smtp-source -c -m "$smtp_mails" -l "$smtp_bytes" "$@" "127.0.0.1:$port"
	check "$smtp_text: all of them there, and whole" mails_are_there "$smtp_mails" "$smtp_bytes"
}

app_run() {
	port=$(free_port) || exit 1
	serve server sh -c "cd '$dir' && exec smtp-sink -u '$(id -un)' -d mails/%M. '127.0.0.1:$port' 100"
	wait_listening "$port" server
	smtp_case "300 mails of 40 KB over 4 connections" 300 40000 -d -s 4
	by_ring 12000000
	smtp_case "40 mails of 2 MB over 2 connections" 40 2000000 -d -s 2
	by_ring 80000000
	smtp_case "50 short connections" 50 1000 -s 2
	not_by_ring
	end_server server
}
