#!/usr/bin/env python3
"""Differential test: the same random commands to Debian's redis-server and to PrustDB.

Both get the same bytes, in pipelines, as RESP arrays and inline, in RESP2 and RESP3; the raw bytes
of every reply are compared. The reference runs plain on loopback, PrustDB over TLS with a client
certificate. Exit status 0: no difference; 1: differences (each with the last commands on its key).
"""

import collections
import os
import random
import socket
import sys
import threading
import time

import differential_protocol
import resp
from differential_commands import (COMMANDS, EXCLUDED, NORMALIZATIONS, UNKNOWN_NAMES,
                                   CommandGenerator, comparison)
from harness import HOST, Failure, PrustDB, Redis, run_program
from resp import Connection, ConnectionClosed, decode, encode

PASSWORD = "reference"
# One database and PrustDB's limit on values, so that the two can be compared at those limits.
REFERENCE_ARGUMENTS = ["--databases", "1", "--proto-max-bulk-len", str(16 * 1024 * 1024)]
TIME_TOLERANCE = {b"TTL": 2, b"EXPIRETIME": 2, b"PTTL": 2000, b"PEXPIRETIME": 2000}
TOO_LONG = b"-ERR string exceeds maximum allowed size"


class Endpoint:
    """Where one of the two servers is and how to become authenticated there."""

    def __init__(self, name, host, port, server=None, password=None):
        self.name, self.host, self.port, self.password = name, host, port, password
        self.server = server

    def connect(self):
        context = self.server.context() if self.server is not None else None
        connection = Connection(self.host, self.port, context, timeout=20.0)
        self.authenticate(connection)
        return connection

    def authenticate(self, connection):
        if self.password is not None and connection.call("AUTH", self.password) != b"OK":
            raise Failure(f"{self.name}: cannot authenticate")

    def context_without_certificate(self):
        return self.server.context(with_certificate=False) if self.server is not None else None


class Session:
    """A pair of connections, one to each server, that always get the same bytes."""

    def __init__(self, endpoints, protocol):
        self.endpoints, self.protocol = endpoints, protocol
        self.connections = []
        self.open()

    def open(self):
        self.close()
        self.connections = [endpoint.connect() for endpoint in self.endpoints]
        if self.protocol == 3:
            for connection in self.connections:
                connection.call("HELLO", "3")

    def close(self):
        for connection in self.connections:
            connection.close()

    def exchange(self, pieces, count):
        """Sends the pieces to both and returns both lists of raw replies."""
        replies = []
        for connection in self.connections:
            try:
                for piece in pieces:
                    connection.send(piece)
            except OSError:
                pass  # What was answered before the connection broke is read below.
        for connection in self.connections:
            got = []
            try:
                for _ in range(count):
                    got.append(connection.reply())
            except ConnectionClosed as error:
                got.append(f"connection closed ({error})")
            except (TimeoutError, socket.timeout):
                got.append("no reply")
            except (resp.ProtocolError, ValueError) as error:
                got.append(f"not RESP: {error}")
            replies.append(got)
        return replies

    def call_both(self, *arguments):
        replies = self.exchange([encode(arguments)], 1)
        return [reply[0] for reply in replies]

    def reset(self):
        """RESET on both; the reference must then authenticate again, a certificate stays."""
        replies = self.call_both("RESET")
        for endpoint, connection in zip(self.endpoints, self.connections):
            endpoint.authenticate(connection)
        self.protocol = 2
        return replies


def same_reply(arguments, a, b):
    """Tells whether the two replies mean the same, by the normalizations that are listed."""
    if a == b:
        return True
    if isinstance(a, str) or isinstance(b, str):
        return False
    kind = comparison(arguments)
    if kind == "remaining time":
        if a[:1] == b":" == b[:1] and int(a[1:]) > 0 and int(b[1:]) > 0:
            return abs(int(a[1:]) - int(b[1:])) <= TIME_TOLERANCE[arguments[0].upper()]
    elif kind == "structure only":
        if a[:1] == b"-" or b[:1] == b"-":
            return False
        empty = (b"$-1\r\n", b"_\r\n", b"*-1\r\n")
        return a[:1] == b[:1] and (a in empty) == (b in empty)
    elif kind == "HELLO":
        return same_hello(a, b)
    elif kind == "set of keys":
        return a[:1] == b[:1] == b"*" and sorted(decode(a)) == sorted(decode(b))
    elif kind == "value limit":
        return a.startswith(TOO_LONG) and b.startswith(TOO_LONG)
    return False


def same_hello(a, b):
    if a[:1] != b[:1] or a[:1] == b"-":
        return False
    a, b = decode(a), decode(b)
    if isinstance(a, list):
        a, b = (dict(zip(side[::2], side[1::2])) for side in (a, b))
    return list(a) == list(b) and a[b"proto"] == b[b"proto"] and all(
        type(a[field]) is type(b[field]) for field in a)


def encode_inline(arguments, rng):
    """Returns the command as an inline line, quoted in one of the ways that Redis reads."""
    words = []
    for argument in arguments:
        if argument.isalnum() and rng.random() < 0.7:
            words.append(argument)
        elif b"\n" not in argument and b"\r" not in argument and b"\\" not in argument and (
                b"\x00" not in argument and rng.random() < 0.3):
            words.append(b"'" + argument.replace(b"'", b"\\'") + b"'")
        else:
            words.append(b'"' + b"".join(
                b"%c" % c if chr(c).isalnum() and c < 128 else b"\\x%02x" % c
                for c in argument) + b'"')
    return b" ".join(words) + rng.choice([b"\r\n", b"\n"])


class Differ:
    """Runs the comparison, keeps the history per key and prints what differs."""

    def __init__(self, endpoints, seed, differences_max, out=sys.stdout):
        self.endpoints, self.seed, self.out = endpoints, seed, out
        self.rng = random.Random(seed)
        self.differences_max = differences_max
        self.differences = 0
        self.history = collections.defaultdict(lambda: collections.deque(maxlen=8))
        self.coverage = collections.defaultdict(collections.Counter)
        self.sent = 0
        self.sessions = [Session(endpoints, protocol) for protocol in (2, 2, 3, 3)]
        self.generator = CommandGenerator(self.rng, self.known_optional())

    def known_optional(self):
        """Returns the optional commands that the server under test knows."""
        known = set()
        for name in {entry[0] for entry in COMMANDS if entry[3]}:
            reply = self.sessions[0].call_both(name, *["x"] * 9)[1]
            if not reply.startswith(b"-ERR unknown command"):
                known.add(name)
        return known

    def run(self, commands):
        """Sends about `commands` commands; stops early when there are too many differences."""
        while self.sent < commands and self.differences < self.differences_max:
            session = self.rng.choice(self.sessions)
            kind = self.rng.random()
            if kind < 0.02:
                self.compare_scan(session)
            elif kind < 0.04:
                self.batch(session, [self.generator.command(), self.generator.expiring()])
                time.sleep(0.07)
            elif kind < 0.09:
                self.batch(session, self.generator.absolute(), exact=True)
            elif kind < 0.095:
                self.note(session, [b"RESET"], *session.reset())
            else:
                length = self.rng.choice([1, 1, 2, 4, 8, 16, 16, 100])
                self.batch(session, [self.next_command() for _ in range(length)])
        self.compare_everything()

    def next_command(self):
        arguments = self.generator.command()
        if arguments[0].upper() == b"NOSUCH":
            arguments[0] = self.rng.choice(UNKNOWN_NAMES)
        return arguments

    def batch(self, session, commands, exact=False):
        """Sends commands as one pipeline, whole or in pieces, and compares reply by reply."""
        raw = b"".join(
            encode_inline(command, self.rng)
            if self.rng.random() < 0.08 and sum(map(len, command)) < 10_000 and command[0]
            else encode(command) for command in commands)
        replies = session.exchange(self.pieces(raw), len(commands))
        broken = False
        for command, a, b in zip(commands, *replies):
            broken = broken or isinstance(a, str) or isinstance(b, str)
            if command[0].upper() == b"HELLO" and not broken and a[:1] in b"*%":
                session.protocol = 3 if a[:1] == b"%" else 2
            self.note(session, command, a, b, exact)
        if broken or len(replies[0]) != len(replies[1]):
            session.open()

    def pieces(self, raw):
        if self.rng.random() > 0.08 or len(raw) > 20_000:
            return [raw]
        cuts = sorted(self.rng.randrange(len(raw) + 1) for _ in range(self.rng.randint(1, 6)))
        return [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)]) if a < b]

    def note(self, session, command, a, b, exact=False):
        self.sent += 1
        name = command[0].upper()
        known = name.decode("latin-1") if any(name == e[0].encode() for e in COMMANDS) else "other"
        self.coverage[known]["errors" if a[:1] == b"-" else "replies"] += 1
        keys = [argument for argument in command[1:] if argument in self.generator.keys]
        for key in keys:
            self.history[key].append((session.protocol, command, a, b))
        same = a == b if exact else same_reply(command, a, b)
        if not same and not (exact and self.is_relative_in_exact(command, a, b)):
            self.report(f"command {self.sent}, RESP{session.protocol}", command, (a, b), keys)
            self.resynchronize(session, keys)

    @staticmethod
    def is_relative_in_exact(command, a, b):
        """An exact batch may end on a key whose earlier, relative time was kept."""
        if command[0].upper() not in TIME_TOLERANCE:
            return False
        return same_reply(command, a, b) and abs(int(a[1:]) - int(b[1:])) not in (0, 1, 1000)

    def resynchronize(self, session, keys):
        """Deletes the keys on both servers, so that one difference is reported once."""
        try:
            for key in keys:
                session.call_both("DEL", key)
        except OSError:
            session.open()

    def report(self, where, command, replies, keys=()):
        self.differences += 1
        print(f"\ndifference {self.differences} (seed {self.seed}): {where}", file=self.out)
        print(f"  sent     {show(command)}", file=self.out)
        for endpoint, reply in zip(self.endpoints, replies):
            print(f"  {endpoint.name:<8} {show(reply)}", file=self.out)
        for key in list(dict.fromkeys(keys))[:3]:
            print(f"  last commands on {key!r}:", file=self.out)
            for protocol, earlier, a, b in list(self.history[key])[:-1]:
                equal = "" if a == b else f"   | {show(b, 60)}"
                print(f"    RESP{protocol} {show(earlier, 100)} -> {show(a, 60)}{equal}",
                      file=self.out)

    def compare_scan(self, session):
        options = self.generator.scan()
        found = []
        for connection in session.connections:
            cursor, keys, pages = b"0", set(), 0
            while pages == 0 or cursor != b"0":
                reply = connection.call("SCAN", cursor, *options)
                pages += 1
                if isinstance(reply, resp.ReplyError):
                    keys = reply
                    break
                if pages > 10_000:
                    keys = "iteration does not end"
                    break
                cursor, page = reply
                keys.update(page)
            found.append(keys)
        self.sent += 1
        self.coverage["SCAN"]["iterations"] += 1
        if found[0] != found[1]:
            self.report("whole SCAN", [b"SCAN", b"0", *options],
                        [sorted(f) if isinstance(f, set) else f for f in found])

    def compare_everything(self):
        """Compares the whole state at the end: every key, its value, its time, and the count."""
        time.sleep(0.1)
        session = Session(self.endpoints, 2)
        for key in self.generator.keys:
            for command in ([b"GET", key], [b"PTTL", key], [b"TYPE", key]):
                self.note(session, command, *session.call_both(*command))
        self.compare_scan(session)
        a, b = session.call_both("DBSIZE")
        if a != b:
            self.report("DBSIZE at the end", [b"DBSIZE"], (a, b))
        session.close()

    def print_coverage(self):
        print("\nreplies compared, by command:", file=self.out)
        for name, counts in sorted(self.coverage.items()):
            what = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
            print(f"  {name:<12} {what}", file=self.out)

    def close(self):
        for session in self.sessions:
            session.close()


def show(value, length=400):
    if isinstance(value, list):
        text = " ".join(show(item, 160) for item in value)
    elif isinstance(value, tuple):
        text = f"{show(value[0])}{', closed' if value[1] else ', open'}"
    else:
        text = value if isinstance(value, str) else repr(value)[1:]
    return text if len(text) <= length else f"{text[:length]}... ({len(text)} characters)"


def compare(endpoints, options, out=sys.stdout):
    """Runs the whole comparison of two endpoints; returns the number of differences."""
    differ = Differ(endpoints, options.seed, options.max_differences, out)
    began = time.monotonic()
    differ.run(options.commands)
    cases, _, notes = differential_protocol.run(
        endpoints, options.seed, options.mutations, lambda *what: differ.report(*what))
    if out is sys.stdout:
        differ.print_coverage()
        for note in notes:
            print(f"note: {note}", file=out)
    differ.close()
    print(f"{differ.sent} replies and {cases} protocol cases compared in "
          f"{time.monotonic() - began:.0f} s, {differ.differences} differences "
          f"(seed {options.seed})", file=out)
    return differ.differences


class AlteringProxy(threading.Thread):
    """Passes replies on and alters one in `every`: what the test must be able to find."""

    def __init__(self, target_port, every):
        super().__init__(daemon=True)
        self.target_port, self.every, self.count, self.altered = target_port, every, 0, 0
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        while True:
            client, _ = self.listener.accept()
            upstream = socket.create_connection((HOST, self.target_port))
            for work in ((self.copy, client, upstream), (self.alter, upstream, client)):
                threading.Thread(target=work[0], args=work[1:], daemon=True).start()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def alter(self, source, target):
        buffer = bytearray()
        try:
            while data := source.recv(1 << 16):
                buffer += data
                while (end := resp.frame_end(buffer)) > 0:
                    target.sendall(self.maybe_altered(bytes(buffer[:end])))
                    del buffer[:end]
            target.close()
        except OSError:
            pass

    def maybe_altered(self, raw):
        self.count += 1
        if self.count % self.every == 0 and len(raw) > 4:
            self.altered += 1
            return raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:]
        return raw


def self_test(options):
    """Shows that equal servers pass and that an altered reply is found."""
    servers = [Redis([*REFERENCE_ARGUMENTS, "--tls-auth-clients", "optional"], password=PASSWORD)
               for _ in range(2)]
    for server in servers:
        server.start()
    reference = Endpoint("redis", HOST, servers[0].plain_port, password=PASSWORD)
    other = Endpoint("redis-2", HOST, servers[1].port, servers[1], password=PASSWORD)
    if compare([reference, other], options) != 0:
        raise Failure("redis differs from redis: the test itself is wrong")
    for server in servers:
        server.stop()
        server.start()
    proxy = AlteringProxy(servers[1].plain_port, every=options.alter_every)
    proxy.start()
    other = Endpoint("altered", HOST, proxy.port, password=PASSWORD)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        try:
            found = compare([reference, other], options, nowhere)
        except Failure:
            found = 1  # The altered reply was one that the test needs to begin with.
    print(f"self-test: {proxy.altered} of {proxy.count} replies altered, {found} differences found")
    if proxy.altered == 0 or found == 0:
        raise Failure("altered replies were not found")
    return 0


def main(parser):
    parser.add_argument("--binary", help="the daemon (default .build/release/prustdb)")
    parser.add_argument("--seed", type=int, default=int(time.time()) & 0xFFFFFF)
    parser.add_argument("--commands", type=int, default=20_000)
    parser.add_argument("--mutations", type=int, default=200,
                        help="pipelines with one byte wrong")
    parser.add_argument("--max-differences", type=int, default=20)
    parser.add_argument("--self-test", action="store_true",
                        help="redis against redis must pass, against altered replies must fail")
    parser.add_argument("--alter-every", type=int, default=400)
    parser.add_argument("--list", action="store_true",
                        help="print what is compared how, and what is not, and end")
    options = parser.parse_args()
    for title, table in (("normalized", NORMALIZATIONS), ("excluded", EXCLUDED)):
        for name, reason in table.items():
            print(f"{title}: {name}: {reason}")
    if options.list:
        return 0
    if options.self_test:
        return self_test(options)
    reference = Redis(REFERENCE_ARGUMENTS, password=PASSWORD)
    subject = PrustDB(options.binary)
    for server in (reference, subject):
        server.start()
    endpoints = [Endpoint("redis", HOST, reference.plain_port, password=PASSWORD),
                 Endpoint("prustdb", HOST, subject.port, subject)]
    differences = compare(endpoints, options)
    subject.stop()
    return 1 if differences else 0


if __name__ == "__main__":
    run_program(main, __doc__)
