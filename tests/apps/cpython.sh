# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # of run-apps.sh
app_about="the tests CPython has for its sockets, selectors, asyncio, ssl and what builds on them: each as when it runs plain"
app_programs=/usr/bin/python3.11

# Without those of machines: VSOCK wants a host that answers, and waits for it.
cpython_tests='test_socket test_selectors test_epoll test_select test_poll test_socketserver
	test_httplib test_ftplib test_smtplib test.test_asyncio.test_streams
	test.test_asyncio.test_sock_lowlevel test.test_asyncio.test_server
	test.test_asyncio.test_sendfile test.test_asyncio.test_buffered_proto
	test.test_asyncio.test_sslproto'
cpython_alone='test_ssl test_multiprocessing_fork'
cpython_some='*ThreadedTests* *ThreadedEchoServer* *Listener* *PicklingConnections* *TestConnection*'

app_version() {
	/usr/bin/python3.11 --version
}

cpython_run() { # XML TESTS AND OPTIONS...
	cpython_xml=$1
	shift
	# Every connection is worth a ring at once: they are short.
	(
		XVMC_MIN_OPS=1
		export XVMC_MIN_OPS
		cd "$dir" && in_domain vm1 "$(how)" timeout -k 2 400 /usr/bin/python3.11 -m test -j 2 -u network \
			--timeout 90 --ignore '*VSOCK*' --junit-xml "$cpython_xml" "$@"
	)
}

# What became of each test, a line each.
cpython_outcomes() { # XML...
	python3 - "$@" <<'END'
import sys
import xml.etree.ElementTree as tree

for name in sys.argv[1:]:
    for case in tree.parse(name).iter("testcase"):
        bad = [e.tag for e in case if e.tag in ("failure", "error")]
        print(case.get("name"), bad[0] if bad else "skipped" if case.find("skipped") is not None else "passed")
END
}

cpython_same() { # plain's outcomes, these
	echo "$(wc -l <"$2") tests; those that differ:"
	[ "$(grep -c ' passed$' "$2")" -gt 1000 ] || return
	diff "$1" "$2"
}

cpython_all() { # OUTCOMES
	# shellcheck disable=SC2086 # lists of words
	cpython_run "$dir/1.xml" $cpython_tests
	set -f
	for word in $cpython_some; do
		set -- "$@" -m "$word"
	done
	set +f
	cpython_outcomes_file=$1
	shift
	# shellcheck disable=SC2086
	cpython_run "$dir/2.xml" "$@" $cpython_alone
	cpython_outcomes "$dir/1.xml" "$dir/2.xml" | sort >"$cpython_outcomes_file"
	grep -c ' passed$' "$cpython_outcomes_file"
}

app_run() {
	if [ "$mode" = plain ] || [ ! -s "$work/cpython.plain" ]; then
		cpython_mode=$mode
		mode=plain
		cpython_all "$work/cpython.plain" >"$dir/log" 2>&1
		result $? "plain, $(tail -n 1 "$dir/log") tests passed" "$dir/log"
		mode=$cpython_mode
	fi
	if [ "$mode" != plain ]; then
		cpython_all "$dir/outcomes" >"$dir/log" 2>&1
		result $? "$(tail -n 1 "$dir/log") tests passed" "$dir/log"
		check "every test as plain" cpython_same "$work/cpython.plain" "$dir/outcomes"
		brief_by_ring 1000000
	fi
}
