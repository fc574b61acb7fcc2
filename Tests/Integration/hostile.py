#!/usr/bin/env python3
"""Hostile clients: while they do their worst, a well-behaved client keeps its latency.

Phases: half-open TLS handshakes, thousands of idle connections, readers that never read, huge
declared lengths, garbage after the handshake, plain HTTP and noise on the TLS port, commands sent a
byte at a time. In each phase a well-behaved client measures SET and GET, the server's resident
memory and open files are sampled, and both are held against bounds. Everything runs on loopback.
"""

import collections
import contextlib
import multiprocessing
import os
import random
import socket
import ssl
import threading
import time

from harness import (HOST, Failure, add_server_options, make_server, quantile, raise_open_files,
                     run_program)
from resp import Connection, ConnectionClosed, encode

MIB = 1 << 20
BIG_VALUE_BYTES = MIB

Sample = collections.namedtuple("Sample", "when seconds")


class Probe(threading.Thread):
    """The well-behaved client: SET and GET on one connection, a few hundred times a second."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.connection = server.connect(timeout=60)
        self.samples, self.problem, self.stopping = [], None, threading.Event()

    def run(self):
        number = 0
        try:
            while not self.stopping.is_set():
                key, value = b"probe:%d" % (number % 100), b"%d" % number * 20
                for command, expected in (((b"SET", key, value), b"OK"), ((b"GET", key), value)):
                    began = time.perf_counter()
                    found = self.connection.call(*command)
                    self.samples.append(Sample(time.monotonic(), time.perf_counter() - began))
                    if found != expected:
                        self.problem = f"{command[0].decode()} answered {found!r:.80}"
                        return
                number += 1
                time.sleep(0.002)
        except (OSError, ConnectionClosed) as error:
            self.problem = f"the well-behaved client was cut off: {error}"

    def between(self, began, ended):
        return sorted(s.seconds for s in list(self.samples) if began <= s.when <= ended)


class MemorySampler(threading.Thread):
    """Samples the resident memory of the server ten times a second."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.samples, self.stopping = server, [], threading.Event()

    def run(self):
        while not self.stopping.wait(0.1):
            with contextlib.suppress(OSError):
                self.samples.append(Sample(time.monotonic(), self.server.resident_bytes()))

    def peak(self, began, ended):
        return max((s.seconds for s in list(self.samples) if began <= s.when <= ended), default=0)


def tcp(server):
    connection = socket.create_connection((HOST, server.port), timeout=30)
    connection.settimeout(30)
    return connection


def client_hello(server):
    """Returns the bytes with which a TLS client begins."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = server.context().wrap_bio(incoming, outgoing, server_hostname=HOST)
    with contextlib.suppress(ssl.SSLWantReadError):
        handshake.do_handshake()
    return outgoing.read()


class Phases:
    """What the hostile clients do; each phase returns the sockets that it keeps open."""

    def __init__(self, server, options):
        self.server, self.options = server, options
        self.rng = random.Random(options.seed)
        self.kept = []
        self.note = ""

    def keep(self, connection):
        self.kept.append(connection)
        return connection

    def nothing(self):
        time.sleep(self.options.seconds)

    def half_open_handshakes(self):
        """A third says nothing, a third half of a ClientHello, a third a whole one and no more."""
        hello = client_hello(self.server)
        for number in range(self.options.half_open):
            with contextlib.suppress(OSError):
                connection = self.keep(tcp(self.server))
                connection.sendall((b"", hello[:len(hello) // 2], hello)[number % 3])
        self.note = self.newcomers()

    def newcomers(self):
        """Tries to connect as an honest newcomer now and then; returns what became of it."""
        ended, seconds, refused = time.monotonic() + self.options.seconds, [], 0
        while time.monotonic() < ended:
            began = time.monotonic()
            try:
                self.server.connect(timeout=10).close()
                seconds.append(time.monotonic() - began)
            except (OSError, ConnectionClosed):
                refused += 1
            time.sleep(0.05)
        worst = max(seconds, default=0) * 1000
        return (f" (new clients: {len(seconds)} connected, slowest {worst:.0f} ms, "
                f"{refused} refused)")

    def idle_connections(self):
        """Handshakes in several processes, then silence."""
        context = multiprocessing.get_context("fork")
        share = self.options.idle // 4
        ready, release = context.Semaphore(0), context.Event()
        counts = context.Array("i", 4)
        children = [context.Process(target=hold_connections, daemon=True,
                                    args=(self.server, share, ready, release, counts, index))
                    for index in range(4)]
        for child in children:
            child.start()
        self.idle_release, self.idle_children, self.idle_counts = release, children, counts
        for child in children:
            while not ready.acquire(timeout=1):
                if not child.is_alive():
                    break

    def idle_held(self):
        """All of them connected; nothing happens on them."""
        time.sleep(self.options.seconds)

    def idle_released(self):
        self.idle_release.set()
        for child in self.idle_children:
            child.join(60)
        time.sleep(1)

    def slow_readers(self):
        """Each asks for a value of 1 MiB thousands of times and never reads an answer."""
        request = encode((b"GET", b"big")) * 2000
        for _ in range(self.options.slow_readers):
            with contextlib.suppress(OSError, ConnectionClosed):
                connection = self.keep(self.server.connect())
                connection.socket.settimeout(0.05)
                with contextlib.suppress(OSError):
                    connection.send(request)
        time.sleep(self.options.seconds)

    def huge_lengths(self):
        """Lengths are announced, and little or nothing follows."""
        announcements = [
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16777216\r\nx",
            b"*65536\r\n$3\r\nGET\r\n",
            b"*65536\r\n" + b"$1\r\nx\r\n" * 2000,
            b"*1048576\r\n",
            b"*2147483647\r\n",
            b"*2\r\n$3\r\nGET\r\n$536870912\r\n",
            b"*2\r\n$3\r\nGET\r\n$2147483647\r\n",
            b"*2\r\n$3\r\nGET\r\n$9223372036854775807\r\n",
        ]
        for number in range(self.options.huge):
            with contextlib.suppress(OSError, ConnectionClosed):
                connection = self.keep(self.server.connect())
                connection.send(announcements[number % len(announcements)])
        time.sleep(self.options.seconds)

    def garbage(self):
        """Random bytes after the handshake, random bytes and HTTP instead of it, old TLS."""
        ended = time.monotonic() + self.options.seconds
        self.garbage_sent = 0
        while time.monotonic() < ended:
            noise = self.rng.randbytes(self.rng.randint(1, 5000))
            with contextlib.suppress(OSError, ConnectionClosed):
                with self.server.connect() as connection:
                    connection.send(self.rng.choice([noise, b"*" + noise, b"$" + noise]))
                    connection.read_until_quiet(0.005)
            for start in (noise, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + noise,
                          b"\x16\x03\x01\xff\xff\x01", b"PING\r\n"):
                with contextlib.suppress(OSError):
                    with tcp(self.server) as connection:
                        connection.sendall(start)
                        connection.settimeout(0.005)
                        connection.recv(100)
            self.garbage_sent += 6

    def byte_at_a_time(self):
        """Well-formed commands, a byte each in a TLS record of its own; all must be answered."""
        request = encode((b"SET", b"slow", b"v"))
        connections = [self.keep(self.server.connect()) for _ in range(100)]
        for position in range(len(request)):
            for connection in connections:
                connection.send(request[position:position + 1])
            time.sleep(self.options.seconds / len(request) / 2)
        for connection in connections:
            reply = connection.reply()
            if reply != b"+OK\r\n":
                raise Failure(f"a command sent a byte at a time was answered {reply!r}")

    def connection_storm(self):
        """Connect, handshake, drop without a goodbye, as fast as one process can."""
        ended = time.monotonic() + self.options.seconds
        while time.monotonic() < ended:
            with contextlib.suppress(OSError, ConnectionClosed):
                connection = self.server.connect()
                connection.send(b"*1\r\n$4\r\nPING")
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                             b"\x01\0\0\0\0\0\0\0")
                connection.close()

    def drop_kept(self):
        for connection in self.kept:
            with contextlib.suppress(OSError):
                connection.close()
        self.kept = []


def hold_connections(server, count, ready, release, counts, index):
    """Opens connections in a process of its own and holds them until told to let go."""
    raise_open_files()
    context, held = server.context(), []
    for _ in range(count):
        try:
            connection = Connection(HOST, server.port, context, timeout=60)
            if connection.call("PING") != b"PONG":
                break
            held.append(connection)
            counts[index] = len(held)
        except (OSError, ConnectionClosed):
            break
    ready.release()
    release.wait(600)
    os._exit(0)  # The parent's exit handlers, which stop the server, are not for a child.


class Verdicts:
    """The table: a line for each phase, and whether it kept its bounds."""

    def __init__(self, server, options):
        self.server, self.options = server, options
        self.base = None
        self.failures = []
        print(f"{'phase':<24} {'ops':>6} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} "
              f"{'RSS MiB':>8} {'files':>6}  verdict")

    def line(self, name, latencies, peak, allowed_p99, note=""):
        p50, p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
        problems = []
        if self.base is not None:
            if not latencies:
                problems.append("no operation was answered")
            if p99 > allowed_p99:
                problems.append(f"p99 above {allowed_p99 * 1000:.0f} ms")
            if peak > self.base[1] + self.options.memory_mib * MIB:
                problems.append(f"memory grew by more than {self.options.memory_mib} MiB")
        else:
            self.base = (p99, peak)
        self.failures += [f"{name}: {problem}" for problem in problems]
        print(f"{name:<24} {len(latencies):>6} {p50 * 1000:>8.2f} {p99 * 1000:>8.2f} "
              f"{(latencies[-1] if latencies else 0) * 1000:>8.2f} {peak / MIB:>8.0f} "
              f"{self.server.open_files():>6}  {'; '.join(problems) or 'ok'}{note}", flush=True)

    def held_p99(self):
        return max(self.options.latency_factor * self.base[0], self.options.latency_ms / 1000)


def run_phases(server, options):
    phases = Phases(server, options)
    probe, memory = Probe(server), MemorySampler(server)
    probe.start()
    memory.start()
    verdicts = Verdicts(server, options)
    storm = options.storm_ms / 1000
    plan = [
        ("undisturbed", phases.nothing, 0),
        ("half-open handshakes", phases.half_open_handshakes, None),
        ("idle, connecting", phases.idle_connections, storm),
        ("idle, held", phases.idle_held, None),
        ("idle, released", phases.idle_released, storm),
        ("slow readers", phases.slow_readers, None),
        ("huge lengths", phases.huge_lengths, None),
        ("garbage and http", phases.garbage, None),
        ("byte at a time", phases.byte_at_a_time, None),
        ("connection storm", phases.connection_storm, storm),
        ("undisturbed again", phases.nothing, None),
    ]
    for name, phase, bound in plan:
        began = time.monotonic()
        phase()
        ended = time.monotonic()
        if probe.problem is not None:
            raise Failure(f"{name}: {probe.problem}")
        if server.process.poll() is not None:
            raise Failure(f"{name}: the server ended:\n{server.log_tail()}")
        allowed = bound if bound is not None else verdicts.held_p99()
        note, phases.note = phases.note, ""
        if name == "idle, held":
            held = sum(phases.idle_counts)
            note = f" ({held} connections held)"
            if held < options.idle // 4 * 4:
                verdicts.failures.append(f"only {held} of {options.idle} connections were accepted")
        verdicts.line(name, probe.between(began, ended), memory.peak(began, ended), allowed, note)
        phases.drop_kept()
    probe.stopping.set()
    memory.stopping.set()
    probe.join()
    return verdicts.failures


def check_afterwards(server, files_before):
    """Everything is closed again, and the data is there."""
    deadline = time.monotonic() + 60
    while server.open_files() > files_before + 20 and time.monotonic() < deadline:
        time.sleep(0.2)
    failures = []
    if server.open_files() > files_before + 20:
        failures.append(f"{server.open_files()} open files remain, {files_before} before")
    with server.connect() as connection:
        if connection.call("GET", "big") != b"v" * BIG_VALUE_BYTES:
            failures.append("the big value changed")
    return failures


def print_metrics(before, after):
    """Shows what the metrics saw: the samples about connections and handshakes that moved."""
    words = ("connection", "handshake", "protocol", "rejected", "refused", "limit", "denied")
    for name in sorted(after):
        moved = after[name] - before.get(name, 0)
        if moved and any(word in name for word in words) and "_bucket" not in name:
            print(f"  metric {name} {before.get(name, 0):.0f} -> {after[name]:.0f}")


def main(parser):
    add_server_options(parser)
    parser.add_argument("--seconds", type=float, default=5, help="of each phase")
    parser.add_argument("--half-open", type=int, default=3000)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--slow-readers", type=int, default=50)
    parser.add_argument("--huge", type=int, default=400)
    parser.add_argument("--memory-mib", type=int, default=1024,
                        help="bound: growth of resident memory over the undisturbed server")
    parser.add_argument("--latency-factor", type=float, default=10)
    parser.add_argument("--latency-ms", type=float, default=50,
                        help="bound: p99 is at most this or the factor times the undisturbed p99")
    parser.add_argument("--storm-ms", type=float, default=250,
                        help="bound on p99 while thousands of handshakes share the processors")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"open files allowed: {raise_open_files()}")
    # All clients come from one address here, as they would not elsewhere.
    server = make_server(options, arguments=["--set", "limits.connections-per-address=20000"])
    server.start()
    with server.connect() as connection:
        connection.call("SET", "big", b"v" * BIG_VALUE_BYTES)
    files_before, metrics_before = server.open_files(), server.metrics()
    failures = run_phases(server, options)
    failures += check_afterwards(server, files_before)
    print_metrics(metrics_before, server.metrics())
    if server.name == "prustdb" and not any(
            "handshake" in name for name in server.metrics()):
        failures.append("no metric counts TLS handshakes")
    server.stop()
    if failures:
        raise Failure("hostile clients: " + "; ".join(failures))
    print("hostile clients: PASS")
    return 0


if __name__ == "__main__":
    run_program(main, __doc__)
