# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about='OpenSSH: sshd of our own; files by ssh, sftp and rsync over ssh'
app_programs='sshd ssh sftp ssh-keygen rsync'

app_version() {
	ssh -V
}

ssh_do() { # PROGRAM ARGUMENTS...
	ssh_program=$1
	shift
	client 60 "$ssh_program" -F "$dir/ssh_config" "$@"
}

ssh_both_ways() {
	ssh_do ssh judge cat <"$dir/big" >"$dir/big.back" && same "$dir/big" "$dir/big.back"
}

sftp_both_ways() {
	printf 'put %s %s\nget %s %s\n' "$dir/big" "$dir/big.there" "$dir/big.there" "$dir/big.again" |
		ssh_do sftp -b - judge && same "$dir/big" "$dir/big.there" && same "$dir/big" "$dir/big.again"
}

rsync_over_ssh() {
	client 60 rsync --checksum -e "ssh -F $dir/ssh_config" "$dir/big" "judge:$dir/big.rsync" &&
		same "$dir/big" "$dir/big.rsync"
}

app_run() {
	port=$(free_port) || exit 1
	random_file "$dir/big" 30000000
	check "keys" ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
	check "keys of the server" ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
	cat >"$dir/sshd_config" <<-END
		ListenAddress 127.0.0.1:$port
		HostKey $dir/host
		AuthorizedKeysFile $dir/key.pub
		StrictModes no
		UsePAM no
		PidFile none
		PasswordAuthentication no
		PermitRootLogin prohibit-password
		Subsystem sftp internal-sftp
	END
	cat >"$dir/ssh_config" <<-END
		Host judge
		HostName 127.0.0.1
		Port $port
		User $(id -un)
		IdentityFile $dir/key
		IdentitiesOnly yes
		BatchMode yes
		StrictHostKeyChecking no
		UserKnownHostsFile $dir/known_hosts
		LogLevel ERROR
	END
	# sshd wants this directory of root's.
	ssh_made=
	if [ "$(id -u)" -eq 0 ] && [ ! -d /run/sshd ]; then
		mkdir -m 755 /run/sshd && ssh_made=yes
	fi
	serve server "$(command -v sshd)" -D -e -f "$dir/sshd_config"
	wait_listening "$port" server
	not_by_ring
	check "ssh, 30 MB through cat" ssh_both_ways
	by_ring 60000000
	check "sftp, 30 MB there and back" sftp_both_ways
	by_ring 60000000
	check "rsync over ssh, 30 MB" rsync_over_ssh
	by_ring 30000000
	end_server server
	[ -z "$ssh_made" ] || rmdir /run/sshd
}
