# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='rsync: a tree of files from its daemon and to it, changed and sent again'
app_programs='rsync'

app_version() {
	rsync --version | head -n 1 | cut -d ' ' -f 1-4
}

# Names and contents of all files of a tree.
tree_sum() { # DIRECTORY
	(cd "$1" && find . -type f -exec sha256sum {} + | sort)
}

trees_agree() { # DIRECTORY DIRECTORY
	tree_sum "$1" >"$dir/sum1"
	tree_sum "$2" >"$dir/sum2"
	[ "$(wc -l <"$dir/sum1")" -eq 101 ] && same "$dir/sum1" "$dir/sum2"
}

rsync_case() { # TEXT FROM TO TREE TREE
	check "$1" client 60 rsync --archive --checksum --no-owner --no-group --delete "$2" "$3"
	check "$1: the same files" trees_agree "$4" "$5"
}

app_run() {
	port=$(free_port) || exit 1
	mkdir "$dir/tree" "$dir/back" "$dir/there"
	# The receiving end is two processes, one that reads and one that writes:
	# before it is on a ring they have come to terms.
	random_file "$dir/tree/big" 200000000
	n=0
	while [ $n -lt 100 ]; do
		n=$((n + 1))
		random_file "$dir/tree/small$n" $((n * 300))
	done
	cat >"$dir/rsyncd.conf" <<-END
		use chroot = no
		pid file = $dir/rsyncd.pid
		lock file = $dir/rsyncd.lock
		uid = $(id -u)
		gid = $(id -g)
		[tree]
		path = $dir/tree
		[there]
		path = $dir/there
		read only = no
	END
	serve server rsync --daemon --no-detach --address=127.0.0.1 --port="$port" --config="$dir/rsyncd.conf" \
		--log-file="$dir/rsyncd.log"
	wait_listening "$port" server
	not_by_ring
	rsync_case "from the daemon" "rsync://127.0.0.1:$port/tree/" "$dir/back/" "$dir/tree" "$dir/back"
	by_ring 100000000
	rsync_case "to the daemon" "$dir/tree/" "rsync://127.0.0.1:$port/there/" "$dir/tree" "$dir/there"
	by_ring 100000000
	random_file "$dir/middle" 100000
	dd if="$dir/middle" of="$dir/tree/big" bs=1000 seek=9999 conv=notrunc 2>/dev/null
	rsync_case "what has changed, to the daemon" "$dir/tree/" "rsync://127.0.0.1:$port/there/" "$dir/tree" "$dir/there"
	end_server server
}
