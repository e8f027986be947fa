#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does the simulation notice? lib/conn and lib/xfer are copied, one line of the
# copy is broken, and the simulation is built and run with it. Each mutant
# must be caught within the default run; the copy without a change must not.
#
# usage: mutants.sh SOURCE_ROOT [CC [WORDS]]   (TAP on standard output)
# WORDS: only the mutants with these in their name.
set -u

if [ $# -lt 1 ]; then
	echo "usage: $0 SOURCE_ROOT [CC [WORDS]]" >&2
	exit 2
fi
root=$1
cc=${2:-${CC:-cc}}
only=${3:-}
here=$root/tests/sim
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
tests=0
failures=0

compile() {
	# $1: source, $2: object
	$cc -std=gnu11 -D_GNU_SOURCE -O1 -fno-strict-aliasing -w \
		-Dclock_gettime=sim_clock_gettime -Dmalloc=sim_malloc \
		-include "$here/sim-atomic.h" \
		-I"$root/include" -I"$tmp/lib" -I"$here" -c "$1" -o "$2"
}

lib="conn/conn conn/let-go conn/record conn/setup conn/rx-peek conn/rx-raw conn/rx-read conn/switch-rx
conn/switch-tx hv/hv xfer/recver xfer/sender base/reason base/stats"

fresh() {
	rm -rf "${tmp:?}/lib"
	mkdir -p "$tmp/lib" && cp -r "$root/lib/base" "$root/lib/conn" \
		"$root/lib/hv" "$root/lib/xfer" "$tmp/lib/"
}

link_sim() {
	$cc -o "$tmp/sim" "$tmp"/*.o -pthread
}

say() {
	tests=$((tests + 1))
	if [ "$1" = ok ]; then
		echo "ok $tests - $2"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $2"
	fi
}

object() {
	echo "$tmp/lib-$(echo "$1" | tr / -).o"
}

# mutant NAME FILE SED_SCRIPT: the script must change the file.
mutant() {
	case $1 in
	*"$only"*) ;;
	*) return ;;
	esac
	fresh
	sed -e "$3" "$root/lib/$2.$(suffix "$2")" >"$tmp/lib/$2.$(suffix "$2")"
	if cmp -s "$root/lib/$2.$(suffix "$2")" "$tmp/lib/$2.$(suffix "$2")"; then
		say no "$1: the line is not there any more"
		return
	fi
	if [ "$(suffix "$2")" = h ]; then
		changed=$lib
	else
		changed=$2
	fi
	for f in $changed; do
		if ! compile "$tmp/lib/$f.c" "$(object "$f")" 2>"$tmp/err"; then
			say no "$1: does not compile"
			sed 's/^/# /' "$tmp/err"
			return
		fi
	done
	link_sim
	timeout 100 "$tmp/sim" >"$tmp/out" 2>&1
	status=$?
	if [ $status -eq 1 ]; then
		say ok "$1"
		tail -n 1 "$tmp/out" | sed 's/^/# /'
	else
		say no "$1: not caught, exit status $status"
	fi
	for f in $changed; do
		compile "$root/lib/$f.c" "$(object "$f")"
	done
}

suffix() {
	if [ -f "$root/lib/$1.c" ] && [ "$1" != base/bytes ]; then
		echo c
	else
		echo h
	fi
}

fresh
for f in "$here"/*.c; do
	compile "$f" "$tmp/$(basename "$f" .c).o" || exit 1
done
for f in $lib; do
	compile "$root/lib/$f.c" "$(object "$f")" || exit 1
done
link_sim || exit 1

if timeout 100 "$tmp/sim" >"$tmp/out" 2>&1; then
	say ok "no change, nothing found"
else
	say no "no change, and yet something is found"
	tail -n 3 "$tmp/out" | sed 's/^/# /'
fi

tx=conn/switch-tx
rx=conn/switch-rx
raw=conn/rx-raw
read=conn/rx-read
mutant "claims that all was consumed" $tx \
	's/len = tx->s.prod - tx->s.known;/tx->s.known = tx->s.prod; len = 0;/'
mutant "sends no replay" $tx \
	's/tx->replay_end = tx->s.prod;/tx->replay_end = tx->s.known;/'
mutant "replays from the beginning of the ring" $tx \
	's/size_t at = tx->replay_pos \&.*/size_t at = 0;/'
mutant "cancels without compare-and-swap" $tx \
	's/if (!ring_decide(.*CANCELLED))/ring_store64(\&tx->s.r->announce, ring_ann_word(tx->epoch, XVMC_ANN_CANCELLED), memory_order_release); if (0)/'
mutant "enters the ring without an answer" $tx \
	's/if (state != XVMC_ANN_ACKED ||/if (/'
mutant "believes an old R-page that its reader is gone" $tx \
	'/^bool xvmc_conn_reader_gone/,/^}/s/return rx->attached.*/return true;/; s/^.*ring_nonce_matches(rx->r.s, rx->r.nonce);$//'
mutant "the way back has the epoch of the way in" $tx \
	'/^void xvmc_conn_tx_leave/,/^}/s/tx->epoch++;//'
mutant "uses the ring before the record is out" $tx \
	'/^ssize_t xvmc_conn_write/,/tx->path/s/if (xvmc_conn_tx_pending(c)) {/if (0) {/'
mutant "shuts down before the replay" $tx \
	'/^int xvmc_conn_tx_flush/,/^}/s/while (tx->head_off < tx->head_len) {/if (tx->fin_owed) c->tcp->shutdown_wr(c->tcp_arg);\n&/'
mutant "drops a replay when the peer closes" $tx \
	'/^void xvmc_conn_tx_abandon/,/^}/s/if (tx->path != XVMC_PATH_RING)/tx->head_off = tx->head_len = 0; tx->replay_pos = tx->replay_end; &/'
mutant "writes a record to a socket nobody reads" $tx \
	'/^void xvmc_conn_tx_leave/,/^}/s/if (gone \&\& !len) {/if (0) {/'
mutant "enters a ring whose reader has closed" $tx \
	'/^int xvmc_conn_tx_settle/,/^}/s/ || xvmc_conn_reader_gone(c)) {/) {/'
mutant "announces after its own end" $tx \
	'/^int xvmc_conn_tx_announce/,/^}/s/if (tx->shut || /if (/'
mutant "a record that went out in part went out" $tx \
	's/tx->head_off = (uint8_t)(tx->head_off + r);/tx->head_off = tx->head_len;/'
mutant "rings nobody for bytes" $tx \
	'/^static ssize_t write_ring/,/^}/s/if (ring) {/if (0) {/'
mutant "does not say that a record is out" $tx \
	'/^int xvmc_conn_tx_flush/,/^}/s/if (waited)/if (0)/'
mutant "announces with bytes pending" $tx \
	's/xvmc_conn_tx_pending(c) || tx->err)/tx->err)/'
mutant "does not count records" $tx \
	's/c->tx.extra += (uint64_t)r;//'
mutant "keeps an error from the reader" $tx \
	's/xvmc_conn_keep_error(c, err);/;/'

mutant "acknowledges while in the ring" $rx \
	'/^int xvmc_conn_rx_ack/,/^}/s/rx->path != XVMC_PATH_TCP ||//'
mutant "acknowledges within a replay" $rx \
	'/^int xvmc_conn_rx_ack/,/^}/s/rx->skip || rx->pull ||//'
mutant "acknowledges with a residual" $rx \
	'/^int xvmc_conn_rx_ack/,/^}/s/rx->in.len ||//'
mutant "counts a zombie's announcement as wrong" $rx \
	's/if (rx->odd_epoch == ann.epoch)/if (0)/'
mutant "delivers replayed bytes twice" $rx \
	's/rx->skip = rx->rcvd - rec.pos;/rx->skip = 0;/'
mutant "does not compare contents" $rx \
	's/if (memcmp(rec.nonce, rx->nonce, cmp) != 0) {/if (0) {/'
mutant "reads past the expected record" $read \
	's/if (max > rx->expect - rx->rcvd)/if (0)/'
mutant "a late reader keeps the record" $read \
	's/keep = rx->expect - rx->rcvd;/;/'
mutant "takes a zombie's page for the truth" $read \
	's/if (owner == XVMC_OWNER_ALIVE || /if (/'
mutant "a lost mapping is the end of the stream" $read \
	'/^static ssize_t read_ring/,/^}/s/return -ECONNRESET;/return 0;/'
mutant "a cut replay is the end of the stream" $read \
	'/^static ssize_t read_kernel/,/^}/s/if (r == 0 \&\& rx->pull)/if (0)/'
mutant "closes without a word to the writer" $rx \
	'/^void xvmc_conn_rx_stop/,/^}/s/ring_stop_reading(rx->r.r);/;/'
mutant "does not look for a cut replay's rest in the ring" $rx \
	'/^int rx_cut_replay/,/^}/s/if (ring_holds_more(c)) {/if (0) {/'
mutant "resets where nothing is missing" $rx \
	's/if (rx->pull <= rx->skip) {/if (0) {/'
mutant "delivers half a record" $rx \
	'/^int rx_at_expected/,/^}/s/xvmc_bytes_free(&rx->in);//'
mutant "forgets an error it was told" $raw \
	's/c->rx.err = err;//'
mutant "does not count what it discards" $raw \
	's/rx->extra += n;//'
mutant "rings nobody for room" $read \
	'/^static ssize_t read_ring/,/^}/s/if (ring) {/if (0) {/'

mutant "does not look at the nonce after the copy" xfer/recver \
	's/if (!ring_nonce_matches(rx->s, rx->nonce)).*B4.*/if (0)/'
mutant "believes any prod" xfer/recver \
	's/if (prod - rx->cons > rx->size)/if (0)/'
mutant "takes an older prod for a lie" xfer/recver \
	's/if (prod <= rx->prod)/if (prod == rx->prod)/; s/if (prod - rx->cons > rx->size)/if (prod < rx->prod || prod - rx->cons > rx->size)/'
mutant "does not look again after arming for data" xfer/recver \
	'/^bool xvmc_recver_arm/,/^}/s/look(rx) < 0/0/'
mutant "gives room back before the copy" xfer/recver \
	's/xvmc_iov_put(&to, rx->data + at, n);/ring_release(rx->r, pos + n); &/'
mutant "rings for room once only" xfer/recver \
	's/at == rx->rung/rx->rung/'
mutant "believes any cons" xfer/sender \
	's/if (cons > tx->prod)/if (0)/'
mutant "believes an older cons" xfer/sender \
	's/if (cons > tx->known)/if (1)/'
mutant "does not look again after arming for room" xfer/sender \
	'/^bool xvmc_sender_arm/,/^}/s/xvmc_sender_look(tx) < 0/0/'
mutant "publishes before the copy" xfer/sender \
	's/xvmc_iov_get(it, tx->data + at, n);/ring_publish(tx->s, tx->prod + n); &/'
mutant "rings for data once only" xfer/sender \
	's/at == tx->rung/tx->rung/'
mutant "writes past the end of the ring" xfer/sender \
	'/^ssize_t xvmc_sender_write/,/^}/s/if (n > tx->size - at)/if (0)/'
mutant "writes one byte too many" xfer/sender \
	's/uint64_t room = tx->size - (tx->prod - tx->known);/uint64_t room = tx->size - (tx->prod - tx->known) + 1;/'

mutant "lets go of bytes nobody has read" xfer/recver \
	's/memcpy(data, rx->data, rx->size);/;/'
mutant "lets go without a word to the sender" xfer/recver \
	's/ring_forsake(rx->r);/;/'
mutant "lets go, and believes a later prod" xfer/recver \
	's/ring_publish(s, prod);/ring_publish(s, ring_see_prod(rx->s));/'
mutant "lets go of a replay" conn/let-go \
	's/memcpy(to.sd, tx->share_sd.addr.*/;/'
mutant "stays in a ring that was let go" $tx \
	'/^static ssize_t write_ring/,/^}/s/if (tx->s.forsaken)/if (0)/'
mutant "detaches with a replay pending" conn/setup \
	's/(!xvmc_conn_tx_pending(c) || c->tx.err)/1/'
mutant "detaches while it expects a record" conn/setup \
	's/c->rx.expect == XVMC_POS_NONE)/1)/'
mutant "leaks a channel" conn/setup \
	's/xvmc_hv_chan_close(c->hv, &rx->chan);/;/'
mutant "leaks a share when out of ports" hv/hv \
	's/xvmc_hv_unshare(hv, &offered->sd);/;/'
mutant "leaks a mapping when out of ports" hv/hv \
	's/xvmc_hv_unmap(hv, &accepted->r);/;/'

echo "1..$tests"
[ "$failures" -eq 0 ]
