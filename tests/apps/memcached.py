# SPDX-License-Identifier: MIT
"""Sets values in memcached and gets them back, by several threads at once;
with a SIZE of 0 they all count up one number.

usage: memcached.py PORT CONNECTIONS TIMES SIZE
"""
import random
import socket
import sys
import threading

failures = []


class Client:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=40)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")

    def say(self, data):
        self.sock.sendall(data)
        return self.file.readline()

    def set(self, key, value):
        answer = self.say(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
        assert answer == b"STORED\r\n", answer

    def get(self, key):
        answer = self.say(b"get %s\r\n" % key).split()
        assert answer[:3] == [b"VALUE", key, b"0"], answer
        value = self.file.read(int(answer[3]))
        assert self.file.read(2) == b"\r\n" and self.file.readline() == b"END\r\n", "no end"
        return value


def values(port, who, times, size):
    client = Client(port)
    known = {}
    for i in range(times):
        key = b"%d-%d" % (who, random.randrange(20))
        known[key] = random.randbytes(random.randint(0, size))
        client.set(key, known[key])
        key = random.choice(list(known))
        assert client.get(key) == known[key], f"{key}: another value, time {i}"


def count(port, times):
    client = Client(port)
    for _ in range(times):
        assert client.say(b"incr counter 1\r\n").strip().isdigit()


def guarded(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        failures.append(repr(error))


def main():
    port, connections, times, size = map(int, sys.argv[1:])
    if size == 0:
        Client(port).set(b"counter", b"0")
    threads = []
    for who in range(connections):
        what = (values, port, who, times, size) if size else (count, port, times)
        threads.append(threading.Thread(target=guarded, args=what))
        threads[-1].start()
    for thread in threads:
        thread.join()
    if size == 0 and not failures:
        got = int(Client(port).get(b"counter"))
        if got != connections * times:
            failures.append(f"counted {got}, not {connections * times}")
    if failures:
        raise SystemExit("\n".join(failures))


main()
