#!/usr/bin/env python3
"""One connection's stream of replies: whole, in order, and none before its write is durable.

Modes of replies, keys in memory and on the disk, clients that leave or close their half, changes
of the protocol in the middle of a pipeline, the end of the server, a slow disk (by strace, which
delays every fdatasync; without it the cases that need it fail).
"""

import concurrent.futures
import contextlib
import os
import random
import socket
import ssl
import struct
import subprocess
import threading
import time

from harness import HOST, Cases, Failure, PrustDB, check, eventually, run_program
from resp import ConnectionClosed, ReplyError, decode, encode, frame_end

PASSWORD = "correct horse battery"
COLD_COUNT, COLD_BYTES = 400, 16 * 1024
RNG = random.Random(7)
VALUES = {b"cold:%d" % number: RNG.randbytes(COLD_BYTES) for number in range(COLD_COUNT)}
COLD = list(VALUES)


@contextlib.contextmanager
def serving(options, **settings):
    """A server of its own for what may end or block it; filled with keys of which few stay."""
    server = PrustDB(options.binary, variables={
        f"PRUSTDB_{name.upper()}": str(value)
        for name, value in ({"memory_cache": "1MiB"} | settings).items()})
    server.start()
    try:
        with server.connect() as connection:
            for first in range(0, COLD_COUNT, 50):
                words = [word for key in COLD[first:first + 50] for word in (key, VALUES[key])]
                check("fill", connection.call("MSET", *words), b"OK")
        # Afterwards all of it is in the index, and comes into the cache key by key.
        server.stop()
        server.start()
        yield server
    finally:
        server.kill()


def lines(*commands):
    """Encodes commands that are written with blanks between their words."""
    return b"".join(encode(command.split() if isinstance(command, str) else command)
                    for command in commands)


def bulk(value):
    return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)


def array(*items):
    return b"*%d\r\n" % len(items) + b"".join(items)


def receive(connection, byte_count):
    """Returns the next bytes of the stream; what came behind them stays in the buffer."""
    while len(connection.buffer) < byte_count:
        chunk = connection.socket.recv(1 << 18)
        if not chunk:
            raise ConnectionClosed(f"after {len(connection.buffer)} of {byte_count} bytes")
        connection.buffer += chunk
    data = bytes(connection.buffer[:byte_count])
    del connection.buffer[:byte_count]
    return data


def shown(data):
    return repr(bytes(data[:60])) + ("" if len(data) <= 60 else f"... ({len(data)} bytes)")


def exact(name, connection, first, first_replies, second, second_replies):
    """Sends a packet, and another one when the replies to the first that wait for nothing are
    here; then the whole stream must be the expected one, and go on."""
    connection.send(first)
    found = receive(connection, len(first_replies))
    marker = b"end-%d" % RNG.randrange(1 << 30)
    connection.send(second + encode((b"ECHO", marker)))
    expected = first_replies + second_replies + bulk(marker)
    try:
        found += receive(connection, len(expected) - len(found))
    except (TimeoutError, ConnectionClosed) as error:
        raise Failure(f"{name}: expected {shown(expected)}, after {shown(found)}"
                      f"{shown(connection.buffer)} came nothing more: {error}") from None
    found += connection.buffer
    if found != expected:
        place = next((index for index, pair in enumerate(zip(found, expected))
                      if pair[0] != pair[1]), min(len(found), len(expected)))
        raise Failure(f"{name}: at byte {place} expected {shown(expected[place:])}, found "
                      f"{shown(found[place:])}")


# Modes of replies.

def cold(count):
    """Gives (MGET of some keys that are mostly on the disk, its reply)."""
    chosen = RNG.sample(COLD, count)
    return (b"MGET", *chosen), array(*[bulk(VALUES[key]) for key in chosen])


def modes(options, kind):
    """SKIP or OFF before a write that waits for the log, with reads of all kinds around it."""
    with serving(options) as server:
        with server.connect() as connection:
            connection.call("MSET", "hot", "1", "b", "0", "c", "0")
        for round_number in range(40):
            (many, many_reply), (few, few_reply) = cold(12), cold(2)
            key = RNG.choice(COLD)
            get, got = (b"GET", key), bulk(VALUES[key])
            if kind == "skip":
                variants = [
                    (["PING", "CLIENT REPLY SKIP", "SET a 1"], ["SET b 1", "SET c 1"],
                     b"+OK\r\n+OK\r\n"),
                    (["PING", "CLIENT REPLY SKIP", "SET a 1"], [many, "SET b 1", get],
                     many_reply + b"+OK\r\n" + got),
                    (["PING", "CLIENT REPLY SKIP", many], ["SET b 1", few, "PING"],
                     b"+OK\r\n" + few_reply + b"+PONG\r\n"),
                    (["PING", "CLIENT REPLY SKIP", "SET a 1"],
                     ["CLIENT REPLY SKIP", many, "CLIENT REPLY SKIP", "INCR n", "GET hot"],
                     bulk(b"1")),
                ]
            else:
                variants = [
                    (["PING", "CLIENT REPLY OFF", "SET a 1"],
                     [many, get, "SET b 1", "CLIENT REPLY ON", few, "PING"],
                     b"+OK\r\n" + few_reply + b"+PONG\r\n"),
                    (["PING", "CLIENT REPLY OFF", "SET a 1", few, get],
                     ["GET hot", many, "INCR n", "NOSUCH", "CLIENT REPLY ON", get, "SET c 1"],
                     b"+OK\r\n" + got + b"+OK\r\n"),
                    (["PING", "CLIENT REPLY OFF"], [many, few, many, "CLIENT REPLY ON", many],
                     b"+OK\r\n" + many_reply),
                    (["PING", "CLIENT REPLY OFF", "SET a 1", "CLIENT REPLY SKIP"],
                     [many, "CLIENT REPLY ON", "CLIENT REPLY SKIP", "GET hot", few],
                     b"+OK\r\n" + few_reply),
                ]
            first, second, expected = variants[round_number % len(variants)]
            with server.connect(timeout=5) as connection:
                exact(f"round {round_number}: {shorts(first)}, then {shorts(second)}", connection,
                      lines(*first), b"+PONG\r\n", lines(*second), expected)
        with server.connect(timeout=5) as connection:
            check("afterwards", connection.call("PING"), b"PONG")
        idles(server)


def long_replies(options):
    """MGET of values that are on the disk, longer than what is sent at once; with and without
    replies, alone and in pipelines."""
    with serving(options) as server:
        for number in range(30):
            many, many_reply = cold((20, 60, 200)[number % 3])
            first, second, expected = [
                (["PING"], [many], many_reply),
                (["PING"], [many, "SET a 1", many, "GET a"],
                 many_reply + b"+OK\r\n" + many_reply + bulk(b"1")),
                (["PING", "CLIENT REPLY OFF", "SET a 1"], [many, "CLIENT REPLY ON", many],
                 b"+OK\r\n" + many_reply),
                (["PING", "CLIENT REPLY SKIP"], [many, many], many_reply)][number % 4]
            with server.connect(timeout=4) as connection:
                try:
                    exact(f"round {number}: {shorts(first + second)}", connection,
                          lines(*first), b"+PONG\r\n", lines(*second), expected)
                except Failure as failure:
                    raise Failure(f"{failure}; another client is "
                                  f"{'' if answers(server) else 'not '}answered") from None
        idles(server)


def answers(server):
    with contextlib.suppress(OSError, ConnectionClosed):
        with server.connect(timeout=2) as connection:
            return connection.call("PING") == b"PONG"
    return False


def shorts(commands):
    """Commands as messages show them."""
    return " ".join(f"`{command}`" if isinstance(command, str) else
                    f"`{command[0].decode()} of {len(command) - 1}`" for command in commands)


def processor_seconds(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idles(server):
    """Without work the server takes no processor time."""
    eventually("the server idles", lambda: takes_nothing(server), timeout=3)


def takes_nothing(server):
    before = processor_seconds(server)
    time.sleep(0.3)
    return processor_seconds(server) - before < 0.1


# A slow log.

@contextlib.contextmanager
def slow_syncs(server, seconds):
    """Delays each fdatasync of the server."""
    with subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-p",
                           str(server.process.pid), "-e", "trace=fdatasync", "-e",
                           f"inject=fdatasync:delay_enter={int(seconds * 1e6)}"],
                          stdin=subprocess.DEVNULL, start_new_session=True) as tracer:
        try:
            eventually("strace works", lambda: is_traced(server, tracer))
            yield
        finally:
            tracer.terminate()


def is_traced(server, tracer):
    if tracer.poll() is not None:
        raise Failure(f"strace ended with status {tracer.returncode}")
    for task in os.listdir(f"/proc/{server.process.pid}/task"):
        with open(f"/proc/{server.process.pid}/task/{task}/status", encoding="ascii") as status:
            if "TracerPid:\t0\n" in status.read():
                return False
    return True


def no_early_acknowledgement(options):
    """A write is acknowledged after a sync that began after it, whatever was silent before it."""
    delay = 0.12
    problems = []
    with serving(options) as server, slow_syncs(server, delay):
        for first in (["PING", "CLIENT REPLY SKIP", "SET a 1"], ["PING", "SET a 1"],
                      ["PING", "CLIENT REPLY OFF", "SET a 1", "CLIENT REPLY SKIP"]):
            with server.connect() as connection:
                connection.send(lines(*first))
                receive(connection, len(b"+PONG\r\n"))
                is_off = "CLIENT REPLY OFF" in first
                is_loud = len(first) == 2
                # The sync of `a` has begun when half of it is over, and then `b` must wait.
                time.sleep(delay / 2)
                connection.send(lines(*(["CLIENT REPLY ON"] if is_off else []), "SET b 1",
                                      "SET c 1"))
                sent = time.monotonic()
                if is_off or is_loud:
                    receive(connection, len(b"+OK\r\n"))
                receive(connection, 5)
                waited = time.monotonic() - sent
                if waited < delay:
                    problems.append(f"{', '.join(first)}, then SET b: acknowledged after "
                                    f"{waited * 1000:.0f} ms, a sync takes {delay * 1000:.0f} ms")
    if problems:
        raise Failure("; ".join(problems))


def order_with_slow_log(options):
    """Writes that wait, reads that need not, reads from the disk: replies come in order."""
    with serving(options, limits_pipeline=100) as server, slow_syncs(server, 0.03):
        with server.connect() as connection, server.connect() as other:
            connection.call("SET", "hot", "h")
            commands, expected = [], []
            for number in range(400):
                key = RNG.choice(COLD)
                command, reply = RNG.choice([
                    (("SET", f"s:{number}", number), b"+OK\r\n"),
                    (("GET", "hot"), bulk(b"h")), (("PING",), b"+PONG\r\n"),
                    (("GET", key), bulk(VALUES[key])), (("STRLEN", key), b":%d\r\n" % COLD_BYTES),
                    cold(3), (("ECHO", f"{number}"), bulk(b"%d" % number)),
                    (("EXISTS", "no", key), b":1\r\n")])
                commands.append(encode(command))
                expected.append(reply)
            began = time.monotonic()
            for first in range(0, len(commands), 25):
                connection.send(b"".join(commands[first:first + 25]))
                if first == 100:
                    check("another client", other.call("GET", "hot"), b"h")
            for number, reply in enumerate(expected):
                found = connection.reply()
                if found != reply:
                    raise Failure(f"reply {number} to {shown(commands[number])}: expected "
                                  f"{shown(reply)}, found {shown(found)}")
            if time.monotonic() - began < 0.03:
                raise Failure("the log was not slow")


# Keys in memory and on the disk.

def step(rng, model, prefix):
    """Gives (command, its reply by the model) and changes the model."""
    key = b"%b%d" % (prefix, rng.randrange(300))
    old = model.get(key)
    kind = rng.randrange(10)
    if kind < 3:
        return (b"GET", key), bulk(old)
    if kind == 3:
        more = [b"%b%d" % (prefix, rng.randrange(320)) for _ in range(8)]
        return (b"MGET", *more), array(*[bulk(model.get(name)) for name in more])
    if kind == 4:
        return (b"STRLEN", key), b":%d\r\n" % len(old or b"")
    if kind == 5:
        return (b"GETRANGE", key, b"10", b"19"), bulk((old or b"")[10:20])
    if kind == 6:
        model[key] = rng.randbytes(rng.choice((10, 5000)))
        return (b"SET", key, model[key]), b"+OK\r\n"
    if kind == 7:
        model[key] = (old or b"") + b"+"
        return (b"APPEND", key, b"+"), b":%d\r\n" % len(model[key])
    if kind == 8:
        model.pop(key, None)
        return (b"DEL", key), b":%d\r\n" % (old is not None)
    model[key] = b"%d" % rng.randrange(100)
    return (b"GETSET", key, model[key]), bulk(old)


def against_model(server, number, rng, prefix, model):
    """Sends pipelines of random commands and holds each reply against the model."""
    with server.connect(timeout=10) as connection:
        for _ in range(12):
            pairs = [step(rng, model, prefix) for _ in range(60)]
            connection.send(b"".join(encode(command) for command, _ in pairs))
            for place, (command, reply) in enumerate(pairs):
                found = connection.reply()
                if found != reply:
                    raise Failure(f"client {number}: reply {place} to {shown(encode(command))}: "
                                  f"expected {shown(reply)}, found {shown(found)}")


def hot_and_cold(options):
    """Six clients at once, each against a model of its own keys, of which few are in memory."""
    clients = []
    for number in range(6):
        rng, prefix = random.Random(number), b"m%d:" % number
        clients.append((number, rng, prefix, {
            b"%b%d" % (prefix, key): rng.randbytes(5000) for key in range(300)}))
    with serving(options) as server:
        with server.connect() as connection:
            for *_, model in clients:
                connection.call("MSET", *[word for pair in model.items() for word in pair])
        server.stop()
        server.start()
        with concurrent.futures.ThreadPoolExecutor(6) as executor:
            running = [executor.submit(against_model, server, *client) for client in clients]
        for future in running:
            future.result()
        misses = server.metrics()["prustdb_cache_misses_total"]
    if misses < 500:
        raise Failure(f"only {misses:.0f} reads went to the disk: the test shows nothing")


# Clients that leave.

def leave(connection, way):
    """Closes in one of three ways: orderly, without close_notify, with a reset."""
    if way == 0:
        with contextlib.suppress(OSError, ssl.SSLError):
            connection.socket.settimeout(0.001)
            connection.socket.unwrap()
    elif way == 1:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def leaving(options):
    """Two hundred clients leave while their command is on a disk thread or a password thread."""
    with serving(options, auth_attempts=1000) as server:
        server.admin("POST", "/v1/users", {"name": "u", "roles": ["readonly"],
                                           "password": PASSWORD})
        with server.connect() as connection:
            # Once everything, so that files that stay open are open.
            connection.pipeline([cold(12)[0]] * 20)
            connection.pipeline([("SCAN", "0", "COUNT", "100000"), ("DBSIZE",)])
        eventually("nobody", lambda: server.metrics()["prustdb_connections"] == 0)
        files, memory = server.open_files(), server.resident_bytes()
        for number in range(200):
            kind = ("cold", "scan", "login", "cold", "size", "scan", "cold", "scan", "cold",
                    "size")[number % 10]
            if kind == "login":
                connection = server.connect_as(None)
                connection.send(encode(("AUTH", "u", PASSWORD + "x" * (number % 2))))
            else:
                connection = server.connect()
                connection.send({"cold": encode(cold(12)[0]) * 20, "size": encode(("DBSIZE",)),
                                 "scan": encode(("SCAN", "0", "COUNT", "100000"))}[kind])
            leave(connection, number % 3)
            if number % 50 == 0:
                with server.connect(timeout=5) as connection:
                    check("meanwhile", connection.call("GET", COLD[number]), VALUES[COLD[number]])
        eventually("all gone", lambda: server.metrics()["prustdb_connections"] == 0, timeout=10)
        eventually(f"open files are {files} again", lambda: server.open_files() <= files)
        with server.connect_as(None, timeout=10) as connection:
            check("AUTH", connection.call("AUTH", "u", PASSWORD), b"OK")
            check("GET", connection.call("GET", COLD[7]), VALUES[COLD[7]])
            check("SCAN", len(connection.call("SCAN", "0", "COUNT", "100000")[1]), COLD_COUNT)
        idles(server)
        if server.resident_bytes() > memory + (256 << 20):
            raise Failure(f"{(server.resident_bytes() - memory) >> 20} MiB more memory")
        server.stop()


# Clients that close their half.

class HalfClosing:
    """A client that says all it has to say at once, ends its half, and reads to the end."""

    def __init__(self, server, timeout=5.0):
        self.plain = socket.create_connection((HOST, server.port), timeout)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = server.context().wrap_bio(self.incoming, self.outgoing, server_hostname=HOST)
        self.turn(self.tls.do_handshake)

    def turn(self, work):
        """Runs a step of TLS, with as many bytes of the peer as it needs."""
        while True:
            try:
                return work()
            except ssl.SSLWantReadError:
                pass
            finally:
                if self.outgoing.pending:
                    with contextlib.suppress(BrokenPipeError):
                        self.plain.sendall(self.outgoing.read())
            data = self.plain.recv(1 << 18)
            if data:
                self.incoming.write(data)
            else:
                self.incoming.write_eof()

    def say(self, data, notifies, shuts):
        self.tls.write(data)
        if notifies:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.unwrap()
        self.plain.sendall(self.outgoing.read())
        if shuts:
            self.plain.shutdown(socket.SHUT_WR)

    def read_to_end(self):
        """Returns (what came, how it ended)."""
        data = bytearray()
        while True:
            try:
                chunk = self.turn(lambda: self.tls.read(1 << 18))
            except ssl.SSLZeroReturnError:
                return bytes(data), "close_notify"
            except (ssl.SSLError, ConnectionError) as error:
                return bytes(data), type(error).__name__
            except TimeoutError:
                return bytes(data), "nothing more, not closed"
            if not chunk:
                return bytes(data), "close_notify"
            data += chunk


def half_closing(options, notifies, shuts):
    """Every command that was sent before the end is run and answered, then the server closes."""
    problems = []
    with serving(options) as server:
        with server.connect() as connection:
            connection.call("SET", "hot", "h")
        few, few_reply = cold(10)
        packets = {
            "in memory": (["GET hot"] * 50, bulk(b"h") * 50),
            "writes": ([f"SET w:{number} 1" for number in range(100)], b"+OK\r\n" * 100),
            "on the disk": ([few, "GET hot"] * 10, (few_reply + bulk(b"h")) * 10),
            "mixed": ([few, "SET w:last 1", "PING", few, "GET w:last"],
                      few_reply + b"+OK\r\n+PONG\r\n" + few_reply + bulk(b"1")),
        }
        for name, (commands, expected) in packets.items():
            client = HalfClosing(server)
            client.say(lines(*commands), notifies, shuts)
            found, end = client.read_to_end()
            client.plain.close()
            if found != expected:
                count, place = 0, 0
                while 0 <= place < len(found):
                    place = frame_end(found, place)
                    count += place > 0
                problems.append(f"{name}: {count} of {len(commands)} replies, then {end}")
            elif end == "nothing more, not closed":
                problems.append(f"{name}: all replies, but the server does not close")
        with server.connect() as connection:
            written = connection.call("EXISTS", *[f"w:{number}" for number in range(100)])
            eventually("nobody is left", lambda: server.metrics()["prustdb_connections"] == 1)
        if written != 100:
            problems.append(f"{written} of 100 writes were done")
    if problems:
        raise Failure("; ".join(problems))


# Commands on the connection.

def versions(options):
    """HELLO in the middle of pipelines, with replies that wait for the log and for the disk."""
    hello = {2: b"*14\r\n", 3: b"%7\r\n"}
    null = {2: b"$-1\r\n", 3: b"_\r\n"}
    with serving(options) as server:
        with server.connect() as connection, server.connect() as other:
            other.call("HELLO", "3")
            commands, kinds, version = [], [], 2
            for number in range(120):
                few, few_reply = cold(2)
                kind = RNG.choice(("hello", "null", "cold", "write", "ping", "nulls"))
                if kind == "hello":
                    version = RNG.choice((2, 3))
                    commands.append(f"HELLO {version}")
                    kinds.append((version, hello[version]))
                else:
                    command, reply = {
                        "null": ("GET no", null[version]), "cold": (few, few_reply),
                        "write": (f"SET v:{number} 1", b"+OK\r\n"), "ping": ("PING", b"+PONG\r\n"),
                        "nulls": ((b"MGET", b"no", few[1], b"no"),
                                  array(null[version], bulk(VALUES[few[1]]), null[version])),
                    }[kind]
                    commands.append(command)
                    kinds.append((version, reply))
            connection.send(lines(*commands))
            other.send(lines(*["GET no", cold(5)[0]] * 40))
            for place, (version, reply) in enumerate(kinds):
                found = connection.reply()
                fits = found.startswith(reply) if commands[place][:5] == "HELLO" else (
                    found == reply)
                if not fits:
                    raise Failure(f"reply {place} in RESP{version} to {commands[place]!r:.60}: "
                                  f"expected {shown(reply)}, found {shown(found)}")
            for place in range(80):
                found = other.reply()
                if place % 2 == 0:
                    check("the null of another client in RESP3", found, b"_\r\n")
            for words, code in ((("HELLO", "4"), "NOPROTO"), (("HELLO", "x"), "ERR"),
                                (("HELLO", "3", "NONSENSE"), "ERR")):
                reply = connection.call(*words)
                check(f"{' '.join(words)}", isinstance(reply, ReplyError)
                      and reply.startswith(code), True)


def reset(options):
    """RESET makes the connection new: name, protocol, mode of replies, level, user."""
    with serving(options) as server:
        server.admin("POST", "/v1/users", {"name": "u", "roles": ["readwrite"],
                                           "password": PASSWORD})
        few, few_reply = cold(3)
        with server.connect(timeout=5) as connection:
            packet = lines("HELLO 3", "CLIENT SETNAME me", "AT quorum", "CLIENT REPLY OFF",
                           "SET a 1", few, "RESET", "GET no", "CLIENT GETNAME", few, "SET a 2",
                           "GET a")
            connection.send(packet)
            check("HELLO", decode(connection.reply())[b"proto"], 3)
            for _ in range(2):
                check("OK", connection.reply(), b"+OK\r\n")
            for expected in (b"+RESET\r\n", b"$-1\r\n", b"$-1\r\n", few_reply, b"+OK\r\n",
                             bulk(b"2")):
                check("after RESET", connection.reply(), expected)
            check("level", b"strong" in connection.call("EXPLAIN", "GET", "a"), True)
        with server.connect_as(None, timeout=5) as connection:
            replies = connection.pipeline([("AUTH", "u", PASSWORD), ("SET", "a", "3"),
                                           ("RESET",), ("GET", "a"), ("AUTH", "u", PASSWORD),
                                           ("GET", "a")])
            check("with a password", replies, [b"OK", b"OK", b"RESET",
                                               "NOAUTH Authentication required.", b"OK", b"3"])


def leaving_with_quit(options):
    """QUIT at the end of a pipeline: all replies, its own, the end; what follows is not run."""
    with serving(options) as server:
        few, few_reply = cold(10)
        for number in range(10):
            commands, replies = [], b""
            for place in range(50):
                command, reply = ((f"SET q:{place} {number}", b"+OK\r\n"), (few, few_reply),
                                  (f"GET q:{place - 2}", None))[place % 3]
                commands.append(command)
                replies += bulk(b"%d" % number) if reply is None else reply
            with server.connect(timeout=5) as connection:
                connection.send(lines(*commands, "QUIT", f"SET q:late:{number} 1", "PING"))
                found, is_closed = connection.read_until_quiet(5)
            if found != replies + b"+OK\r\n" or not is_closed:
                raise Failure(f"round {number}: {len(found)} bytes of {len(replies) + 5}, "
                              f"closed: {is_closed}")
        with server.connect() as connection:
            check("after QUIT", connection.call("EXISTS", *[f"q:late:{number}" for number in
                                                            range(10)]), 0)
        with server.connect_as(None) as connection:
            check("QUIT of a stranger", connection.call("QUIT"), b"OK")


def stopping(options):
    """SIGTERM while twelve clients write: what was acknowledged is there after the restart."""
    server = PrustDB(options.binary)
    for turn in range(3):
        server.start()
        acknowledged, problems = [0] * 12, []

        def client(number, turn=turn, acknowledged=acknowledged, problems=problems):
            try:
                with server.connect(timeout=10) as connection:
                    while True:
                        first = acknowledged[number]
                        replies = connection.pipeline(
                            [("SET", f"t:{turn}:{number}:{first + place}", first + place)
                             for place in range(7)])
                        for reply in replies:
                            if reply != b"OK":
                                return
                            acknowledged[number] += 1
            except (OSError, ConnectionClosed):
                pass
            except Exception as error:  # pylint: disable=broad-exception-caught
                problems.append(f"{type(error).__name__}: {error}")

        threads = [threading.Thread(target=client, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        eventually("clients write", lambda counts=acknowledged: min(counts) > 50, timeout=20)
        server.stop()
        for thread in threads:
            thread.join(20)
        check("problems of clients", problems, [])
        server.start()
        with server.connect() as connection:
            for number, count in enumerate(acknowledged):
                names = [f"t:{turn}:{number}:{place}" for place in range(count)]
                found = connection.call("MGET", *names)
                lost = [name for name, value, place in zip(names, found, range(count))
                        if value != b"%d" % place]
                check(f"lost of {count} acknowledged", lost, [])
        server.stop()


def main(parser):
    cases = Cases(parser)
    options = cases.options
    for name, case, *more in [
            ("replies skipped", modes, "skip"),
            ("replies off", modes, "off"),
            ("long replies from the disk", long_replies),
            ("no early acknowledgement", no_early_acknowledgement),
            ("order while the log is slow", order_with_slow_log),
            ("keys in memory and on the disk", hot_and_cold),
            ("clients that leave", leaving),
            ("half-close by close_notify", half_closing, True, False),
            ("half-close by close_notify and FIN", half_closing, True, True),
            ("versions in pipelines", versions),
            ("RESET", reset),
            ("QUIT", leaving_with_quit),
            ("SIGTERM while clients write", stopping)]:
        cases.run(name, case, options, *more)
    return cases.finish("session")


if __name__ == "__main__":
    run_program(main, __doc__)
