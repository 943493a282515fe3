#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what Redis answers, Skein answers, byte for byte, to commands nobody thought of: drawn from
a seed, with options in any order, edges of numbers, binary keys, wrong counts of arguments, and
transactions. Both get the same bytes, in pipelines of drawn length. Left out is what depends on the
moment or is known to differ (docs/design/0006-kv-commands.md).

    tests/redis_random.py SKEIN [SEED [COUNT]]

Exit status: 0 when all replies are equal (or redis-server is not installed: skipped), else 1; the
last line is the one that repeats it.
"""
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

KEYS = [b"a", b"b", b"c", b"d", b"n", b"", b"\x00\xff\r\n key", b"key:1", b"key:2"]
INTEGERS = [b"0", b"1", b"-1", b"2", b"5", b"-5", b"10", b"100", b"9223372036854775807",
            b"-9223372036854775808", b"9223372036854775808", b"01", b"+1", b"-0", b" 1", b"1 ", b"",
            b"x", b"1.0", b"4294967295"]
# Sums of these are exact in binary, too.
FLOATS = [b"0", b"0.5", b"-0.25", b"1.5", b"3.0e3", b"125e-3", b".5", b"5.", b"-", b"nan", b"1e",
          b"x", b"0.0625", b"100", b"1.2.3", b"", b" 1"]
VALUES = INTEGERS + FLOATS + [b"hello", b"\r\n", b"\x00\x01\xfe\xff", b"x" * 300]
# Far enough not to come true, and to be the same second for both.
TIMES = [b"100", b"1000", b"100000", b"0", b"-1", b"9223372036854775807", b"-9223372036854775808",
         b"9223372036854776", b"x", b""]
MOMENTS = [b"4102444800", b"4102444800000", b"1", b"0", b"-1", b"x", b"9223372036854775807"]
PATTERNS = [b"a", b"k*", b"[ab]", b"[^a]", b"key:?", b"\\a", b"[a-c]", b"[z-a]", b"nothing*", b"?"]


def any_of(draw, words):
    return draw.choice(words)


def key(draw):
    return any_of(draw, KEYS)


def small_offset(draw):
    return any_of(draw, [b"0", b"1", b"7", b"8", b"63", b"100", b"-1", b"x", b"4294967296"])


def expiry(draw):
    word = any_of(draw, [b"EX", b"px", b"Exat", b"PXAT"])
    amount = any_of(draw, MOMENTS if b"A" in word.upper() else TIMES)
    if word == b"px" and amount in (b"100", b"1000"):
        amount = b"100000"
    # PXAT with seconds is in the past: the key is gone at once on both.
    return [word, amount]


def set_options(draw):
    words = []
    for _ in range(any_of(draw, [0, 0, 1, 1, 2, 3])):
        words += any_of(draw, [[b"NX"], [b"xx"], [b"GET"], [b"KEEPTTL"], expiry(draw), [b"what"]])
    return words


def getex_options(draw):
    return any_of(draw, [[], expiry(draw), [b"PERSIST"], expiry(draw) + [b"persist"], [b"NX"]])


def expire_options(draw):
    return [any_of(draw, [b"NX", b"XX", b"GT", b"LT", b"what"])
            for _ in range(any_of(draw, [0, 0, 1, 1, 2]))]


def copy_options(draw):
    return any_of(draw, [[], [b"REPLACE"], [b"DB", b"0"], [b"db", any_of(draw, INTEGERS)], [b"x"]])


def bit_range(draw):
    some = [any_of(draw, INTEGERS), any_of(draw, INTEGERS)]
    return any_of(draw, [[], some, some + [b"BIT"], some + [b"byte"], some[:1], some + [b"x"]])


def pairs(draw):
    words = []
    for _ in range(draw.randint(1, 3)):
        words += [key(draw), any_of(draw, VALUES)]
    return words


def keys(draw):
    return [key(draw) for _ in range(draw.randint(1, 4))]


# Name, and what draws its arguments.
COMMANDS = [
    (b"SET", lambda d: [key(d), any_of(d, VALUES)] + set_options(d)),
    (b"set", lambda d: [key(d), any_of(d, VALUES)]),
    (b"SETNX", lambda d: [key(d), any_of(d, VALUES)]),
    (b"SETEX", lambda d: [key(d), any_of(d, TIMES), any_of(d, VALUES)]),
    (b"PSETEX", lambda d: [key(d), any_of(d, [b"100000", b"0", b"x"]), any_of(d, VALUES)]),
    (b"GET", lambda d: [key(d)]),
    (b"GETSET", lambda d: [key(d), any_of(d, VALUES)]),
    (b"GETDEL", lambda d: [key(d)]),
    (b"GETEX", lambda d: [key(d)] + getex_options(d)),
    (b"MGET", keys),
    (b"MSET", pairs),
    (b"MSETNX", pairs),
    (b"APPEND", lambda d: [key(d), any_of(d, VALUES)]),
    (b"STRLEN", lambda d: [key(d)]),
    (b"INCR", lambda d: [key(d)]),
    (b"DECR", lambda d: [key(d)]),
    (b"INCRBY", lambda d: [key(d), any_of(d, INTEGERS)]),
    (b"DECRBY", lambda d: [key(d), any_of(d, INTEGERS)]),
    # A key of its own: large integers would use up the bits of Redis' floats.
    (b"INCRBYFLOAT", lambda d: [b"float", any_of(d, FLOATS)]),
    (b"SET", lambda d: [b"float", any_of(d, FLOATS)] + set_options(d)),
    (b"GETRANGE", lambda d: [key(d), any_of(d, INTEGERS), any_of(d, INTEGERS)]),
    (b"SUBSTR", lambda d: [key(d), any_of(d, INTEGERS), any_of(d, INTEGERS)]),
    (b"SETRANGE", lambda d: [key(d), any_of(d, INTEGERS[:8]), any_of(d, VALUES)]),
    (b"SETBIT", lambda d: [key(d), small_offset(d), any_of(d, [b"0", b"1", b"2", b"x"])]),
    (b"GETBIT", lambda d: [key(d), small_offset(d)]),
    (b"BITCOUNT", lambda d: [key(d)] + bit_range(d)),
    (b"DEL", keys),
    (b"UNLINK", keys),
    (b"EXISTS", keys),
    (b"TOUCH", keys),
    (b"TYPE", lambda d: [key(d)]),
    (b"RENAME", lambda d: [key(d), key(d)]),
    (b"RENAMENX", lambda d: [key(d), key(d)]),
    (b"COPY", lambda d: [key(d), key(d)] + copy_options(d)),
    (b"EXPIRE", lambda d: [key(d), any_of(d, TIMES)] + expire_options(d)),
    (b"PEXPIRE", lambda d: [key(d), any_of(d, [b"100000", b"0", b"-1", b"x"])] + expire_options(d)),
    (b"EXPIREAT", lambda d: [key(d), any_of(d, MOMENTS)] + expire_options(d)),
    (b"PEXPIREAT", lambda d: [key(d), any_of(d, MOMENTS)] + expire_options(d)),
    (b"PERSIST", lambda d: [key(d)]),
    (b"KEYS", lambda d: [any_of(d, PATTERNS)]),
    (b"PING", lambda d: any_of(d, [[], [b"hi"], [b"a", b"b"]])),
    (b"ECHO", lambda d: [any_of(d, VALUES)]),
    (b"SELECT", lambda d: [any_of(d, [b"0", b"99", b"x"])]),
    (b"nothing", keys),
]
# The order of the elements is each server's own.
UNORDERED = {b"KEYS"}
RARE = {b"FLUSHALL": lambda d: any_of(d, [[], [b"ASYNC"], [b"x"]])}


def command(draw):
    if draw.random() < 0.005:
        name = any_of(draw, list(RARE))
        return [name] + RARE[name](draw)
    name, arguments = any_of(draw, COMMANDS)
    words = [name] + arguments(draw)
    if draw.random() < 0.02:
        words = words[:-1] if draw.random() < 0.5 and len(words) > 1 else words + [b"more"]
    return words


def local(words):
    return words[0] in (b"PING", b"ECHO", b"SELECT")


def transaction(draw):
    """MULTI to EXEC. Commands that a node answers itself are refused in one, so none is in it."""
    inside = [words for words in (command(draw) for _ in range(draw.randint(0, 6)))
              if not local(words) and words[0] not in UNORDERED]
    extra = any_of(draw, [[], [], [], [[b"MULTI"]], [[b"DISCARD"]], [[b"EXEC", b"x"]]])
    return [[b"MULTI"]] + inside + extra + [[b"EXEC"]]


def encode(words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=90)
        self.stream = self.socket.makefile("rb")

    def reply(self):
        """One reply, as it came."""
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("the connection ended")
        if line[:1] == b"$" and line != b"$-1\r\n":
            line += self.stream.read(int(line[1:]) + 2)
        if line[:1] == b"*":
            line += b"".join(self.reply() for _ in range(int(line[1:])))
        return line


def start(make_arguments, ready, log, ports):
    """A server on a port that is free: (process, port)."""
    for port in ports:
        with open(log, "wb") as out:
            process = subprocess.Popen(make_arguments(port), stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT)
        until = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < until:
            with open(log, "rb") as text:
                found = re.search(ready, text.read())
            if found:
                return process, int(found.group(1)) if found.groups() else port
            time.sleep(0.05)
        process.kill()
        process.wait()
    raise SystemExit("FAULT: a server does not start; %s" % log)


def compare(draw, count, redis, skein):
    """Faults among the next `count` commands or more: texts."""
    faults = []
    sent = 0
    while sent < count:
        pipeline = []
        for _ in range(draw.randint(1, 12)):
            pipeline += transaction(draw) if draw.random() < 0.1 else [command(draw)]
        data = b"".join(encode(words) for words in pipeline)
        redis.socket.sendall(data)
        skein.socket.sendall(data)
        for words in pipeline:
            wanted, got = redis.reply(), skein.reply()
            if words[0].upper() in UNORDERED:
                wanted, got = (sorted(text.split(b"\r\n")) for text in (wanted, got))
            if wanted != got:
                faults.append("FAULT: %r\n    redis %r\n    skein %r" % (words, wanted, got))
        sent += len(pipeline)
    # What all that left behind. DBSIZE is last: Redis counts what has expired until it is touched.
    left = [[name, k] for k in KEYS + [b"float"] for name in (b"GET", b"TTL")]
    for words in left + [[b"DBSIZE"]]:
        for client in (redis, skein):
            client.socket.sendall(encode(words))
        wanted, got = redis.reply(), skein.reply()
        if wanted != got:
            faults.append("FAULT: in the end %r\n    redis %r\n    skein %r" % (words, wanted, got))
    return faults


def main():
    skein_program = os.path.abspath(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 3000
    if not shutil.which("redis-server"):
        print("skipped: redis-server is not installed")
        return 0
    directory = tempfile.mkdtemp()
    processes = []
    try:
        # Below the range from which the kernel draws.
        first = 10000 + os.getpid() * 7 % 9000
        ports = range(first, first + 800, 97)
        process, redis_port = start(
            lambda port: ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                          "--appendonly", "no", "--databases", "1", "--dir", directory],
            rb"Ready to accept", directory + "/redis.log", ports)
        processes.append(process)
        process, skein_port = start(
            lambda port: [skein_program, "serve", "--node", "1", "--peers",
                          "1=127.0.0.1:%d" % (port + 10000), "--listen", "127.0.0.1:0", "--tick-ms",
                          "10", "--command-timeout-ms", "60000", "--data", directory + "/data"],
            rb"listening.* addr=127\.0\.0\.1:(\d+)", directory + "/skein.log", ports)
        processes.append(process)
        redis, skein = Client(redis_port), Client(skein_port)
        faults = compare(random.Random(seed), count, redis, skein)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        shutil.rmtree(directory)
    for fault in faults[:20]:
        print(fault)
    print("%d commands of seed %d, %s" % (count, seed, "%d faults; again: %s %s %d %d" % (
        len(faults), sys.argv[0], sys.argv[1], seed, count) if faults else "equal replies"))
    return 1 if faults else 0


sys.exit(main())
