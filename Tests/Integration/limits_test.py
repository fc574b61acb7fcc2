#!/usr/bin/env python3
"""Every bound that a client can reach: at it all is well, one past it an error names it.

And what is within the bounds must not disturb others: an argument of 31 MiB, a pattern that takes
long, a client that does not read.
"""

import concurrent.futures
import contextlib
import re
import select
import socket
import ssl
import threading
import time

from harness import (HOST, AdminConnection, Cases, Failure, PrustDB, check, eventually,
                     run_program)
from hostile import Probe
from resp import ConnectionClosed, ReplyError, decode, encode

KIB, MIB = 1 << 10, 1 << 20
KEY_MAX, VALUE_MAX, ARGUMENTS_MAX, COMMAND_MAX, INLINE_MAX = 4096, 16 * MIB, 65536, 32 * MIB, 65536
BIG = b"-" * (31 * MIB)
# A wait of others that is no stall, unless the machine itself is slower (see `stall_of`).
STALL_SECONDS = 0.04


def names(name, reply, word):
    """Fails unless the reply is an error with the name of the limit."""
    if not (isinstance(reply, ReplyError) and word in reply):
        raise Failure(f"{name}: expected an error that names {word}, found {reply!r:.120}")


def is_open(connection):
    with contextlib.suppress(ConnectionClosed, OSError):
        return connection.call("PING") == b"PONG"
    return False


def closes(name, connection, timeout):
    """Waits until the server closes the connection; returns the seconds that this took."""
    began = time.monotonic()
    connection.socket.settimeout(timeout)
    try:
        while connection.socket.recv(1 << 18):
            pass
    except TimeoutError:
        raise Failure(f"{name}: still open after {timeout:g} s") from None
    except (ConnectionError, ssl.SSLError):
        pass
    return time.monotonic() - began


def send_all(connection, data):
    """Sends although the server may have closed; what it said before can still be read."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        connection.send(data)


def started(options, **settings):
    """Starts a server with settings in its environment: limits_arguments is limits.arguments."""
    server = PrustDB(options.binary, variables={
        f"PRUSTDB_{name.upper()}": str(value) for name, value in settings.items()})
    server.start()
    return server


# Sizes.

def keys(server):
    at, past = b"k" * KEY_MAX, b"k" * (KEY_MAX + 1)
    with server.connect() as connection:
        check("SET", connection.call("SET", at, "v"), b"OK")
        check("GET", connection.call("GET", at), b"v")
        check("SCAN", connection.call("SCAN", "0", "MATCH", at, "COUNT", "100000")[1], [at])
        for words in (("SET", past, "v"), ("GET", past), ("DEL", past), ("DEL", "a", past),
                      ("MGET", "a", past), ("EXISTS", past, "a"), ("MSET", "a", "1", past, "1"),
                      ("INCR", past), ("EXPIRE", past, "10"), ("APPEND", past, "v"),
                      ("TTL", past), ("STRLEN", past), ("SCAN", "0", "MATCH", past)):
            names(" ".join(map(str, words))[:20], connection.call(*words), "key-bytes")
        check("no part of MSET", connection.call("GET", "a"), None)
        check("DEL", connection.call("DEL", at), 1)


def values(server):
    at, past = b"v" * VALUE_MAX, b"v" * (VALUE_MAX + 1)
    with server.connect() as connection:
        check("SET", connection.call("SET", "k", at), b"OK")
        check("GET", connection.call("GET", "k") == at, True)
        check("SETRANGE", connection.call("SETRANGE", "k", VALUE_MAX - 1, "w"), VALUE_MAX)
        for words in (("APPEND", "k", "x"), ("SETRANGE", "k", VALUE_MAX, "x"), ("SET", "k", past),
                      ("MSET", "a", "1", "k", past), ("SETEX", "k", "10", past),
                      ("GETSET", "k", past), ("SETNX", "b", past), ("APPEND", "b", past),
                      ("SETRANGE", "b", str(1 << 40), "x")):
            reply = connection.call(*words)
            names(" ".join(map(str, words))[:20], reply, "value-bytes")
        check("still there", connection.call("GETRANGE", "k", VALUE_MAX - 2, -1), b"vw")
        check("nothing else", connection.call("EXISTS", "a", "b"), 0)
        check("DEL", connection.call("DEL", "k"), 1)


def whole_commands(server):
    """The bytes of all arguments together."""
    rest = COMMAND_MAX - VALUE_MAX - len("MSETab")
    with server.connect() as connection:
        check("at", connection.call("MSET", "a", b"x" * VALUE_MAX, "b", b"y" * rest), b"OK")
        check("DEL", connection.call("DEL", "a", "b"), 2)
    with server.connect() as connection:
        head = encode(("MSET", "a", b"x" * VALUE_MAX, "b"))
        connection.send(head.replace(b"*4", b"*5", 1) + b"$%d\r\n" % (rest + 1))
        names("one past", decode(connection.reply()), "command-bytes")
        closes("one past", connection, 5)


def arguments(options, server):
    """The default in full, and a small one by the environment."""
    with server.connect() as connection:
        check("at", connection.call("EXISTS", *["k"] * (ARGUMENTS_MAX - 1)), 0)
        connection.send(b"*%d\r\n" % (ARGUMENTS_MAX + 1))
        names("one past", decode(connection.reply()), "limits.arguments")
        closes("one past", connection, 5)
    server = started(options, limits_arguments=16)
    with server.connect() as connection:
        check("at 16", connection.call("EXISTS", *["k"] * 15), 0)
        connection.send(encode(["EXISTS"] + ["k"] * 16))
        names("17", decode(connection.reply()), "limits.arguments")
        closes("17", connection, 5)
    limits = {limit["name"]: limit["value"] for limit in server.admin("GET", "/v1/limits")
              if limit.get("setting")}
    check("what the admin API says", limits["arguments"], 16)
    server.stop()


def words_of_lines(options):
    """The limit of arguments is one for commands that come as a line, too."""
    server = started(options, limits_arguments=16)
    with server.connect() as connection:
        connection.send(b"EXISTS" + b" k" * 15 + b"\r\n")
        check("16", decode(connection.reply()), 0)
        connection.send(b"EXISTS" + b" k" * 16 + b"\r\n")
        names("17", decode(connection.reply()), "limits.arguments")
    server.stop()


def inline_commands(server):
    def line(byte_count, end=b"\r\n"):
        return b"ECHO " + b"x" * (byte_count - 5 - len(end)) + end

    with server.connect() as connection:
        connection.send(line(INLINE_MAX))
        check("at", decode(connection.reply()), b"x" * (INLINE_MAX - 7))
        check("and on", is_open(connection), True)
    for name, data in (("one past, no end", line(INLINE_MAX + 1, b"")),
                       ("twice, no end", line(2 * INLINE_MAX, b"")),
                       ("three times", line(3 * INLINE_MAX))):
        with server.connect() as connection:
            send_all(connection, data)
            names(name, decode(connection.reply()), "too big inline request")
            closes(name, connection, 5)


def inline_at_once(server):
    """One past the bound, CR LF not counted, is refused also when the end comes with it."""
    for byte_count in (INLINE_MAX + 3, INLINE_MAX + 1000, INLINE_MAX + 30000):
        with server.connect() as connection:
            send_all(connection, b"ECHO " + b"x" * (byte_count - 7) + b"\r\n")
            names(f"{byte_count} bytes", decode(connection.reply()), "too big inline request")


def administration(server):
    """Names, passwords, prefixes, roles of a user, bodies of the admin API."""
    def create(expected, path="/v1/users", **body):
        answer = server.admin("POST", path, {"name": "x", "roles": []} | body
                              if path == "/v1/users" else body, expected=expected)
        if expected == 201:
            server.admin("DELETE", f"{path}/{answer['name']}")
        return answer

    create(201, name="n" * 64)
    create(400, name="n" * 65)
    create(201, password="p" * 8)
    create(400, password="p" * 7)
    create(201, password="p" * 512)
    create(400, password="p" * 513)
    role = {"path": "/v1/roles", "name": "r", "verbs": ["read"]}
    create(201, **role, prefixes=[f"{number}:" for number in range(64)])
    create(409, **role, prefixes=[f"{number}:" for number in range(65)])
    create(201, **role, prefixes=["p" * KEY_MAX])
    create(400, **role, prefixes=["p" * (KEY_MAX + 1)])
    server.admin("POST", "/v1/users", {"name": "x" * (MIB - 25), "roles": []}, expected=400)
    connection = AdminConnection(server, over_socket=True)
    status, answer = connection.request("POST", "/v1/users", {"name": "x" * MIB, "roles": []})
    check("a body past 1 MiB", (status, answer["error"]["code"]), (413, "body-too-large"))
    connection.close()


# Connections.

def connections(options, logs):
    """By a settings file: five from one address, eight in all; freed when they are closed."""
    server = PrustDB(options.binary)
    server.start()
    server.stop()
    settings = server.directory / "prustdb.yaml"
    settings.write_text(
        f"data-dir: {server.data_directory}\nlisten: {HOST}:{server.port}\n"
        f"advertise: {HOST}:{server.port}\nmetrics.listen: {HOST}:{server.metrics_port}\n"
        "limits:\n    connections: 8\n    connections-per-address: 5\n")
    server.command = lambda: [str(server.binary), "--config", str(settings)]
    server.start()

    def opens(source):
        with contextlib.suppress(OSError, ConnectionClosed):
            connection = server.connect_as(server.credentials, source, timeout=5)
            if is_open(connection):
                return connection
        return None

    def rejected():
        metrics = server.metrics()
        return [metrics[f'prustdb_connections_rejected_total{{reason="{reason}"}}']
                for reason in ("per_address", "limit")]

    held = {"127.0.0.1": [opens("127.0.0.1") for _ in range(5)]}
    check("at the limit of an address", all(held["127.0.0.1"]), True)
    check("one past it", opens("127.0.0.1"), None)
    check("what was counted", rejected(), [1, 0])
    held["127.0.0.2"] = [opens("127.0.0.2") for _ in range(3)]
    check("at the limit of all", all(held["127.0.0.2"]), True)
    check("one past it", opens("127.0.0.3"), None)
    check("what was counted", rejected(), [1, 1])
    check("those there are work", all(is_open(connection) for group in held.values()
                                      for connection in group), True)
    held["127.0.0.2"].pop().close()
    eventually("freed for all", lambda: opens("127.0.0.3") is not None)
    check("an address is still full", opens("127.0.0.1"), None)
    for group in held.values():
        for connection in group:
            connection.close()
    eventually("all closed", lambda: server.metrics()["prustdb_connections"] == 0)
    for _ in range(20):
        connection = eventually("again and again", lambda: opens("127.0.0.1"))
        connection.close()
    server.stop()
    logs.append(server.log_entries())


def connections_named(logs):
    """The client sees no more than a closed connection: the log must say why."""
    if not logs:
        raise Failure("the case `connections` did not come to its end")
    lines = [entry["line"] for entry in logs[0] if entry.get("event") == "PDB0203"]
    for limit in ("limits.connections", "limits.connections-per-address"):
        if not any(re.search(limit + r"(\s|$)", line) for line in lines):
            raise Failure(f"no entry PDB0203 that names {limit}, as the catalogue promises")


def handshakes(options):
    """One more than limits.handshakes closes the oldest; each ends after its time."""
    server = started(options, limits_handshakes=4, tls_handshake_timeout="1s")
    began = time.monotonic()
    held = [socket.create_connection((HOST, server.port), timeout=5) for _ in range(4)]
    eventually("four", lambda: server.metrics()["prustdb_connections"] == 4)
    held.append(socket.create_connection((HOST, server.port), timeout=5))
    check("the oldest", held[0].recv(100), b"")
    if time.monotonic() - began > 0.9:
        raise Failure("the oldest handshake was ended by its time, not by the limit")
    with server.connect() as connection:
        check("a complete one", is_open(connection), True)
    for connection in held[1:]:
        check("after its time", connection.recv(100), b"")
        connection.close()
    server.stop()


def pipelines(options, server):
    """Far more commands in one write than may wait for their replies: all answered, in order."""
    small = started(options, limits_pipeline=16)
    for target, count in ((small, 3000), (server, 25_000)):
        commands, expected = [], []
        for number in range(count):
            word = str(number)
            commands += [("SET", f"p:{number % 50}", word), ("GET", f"p:{number % 50}"),
                         ("ECHO", word), ("INCR", "p:n")][number % 4:number % 4 + 1]
            expected += [b"OK", None, word.encode(), number // 4 + 1][number % 4:number % 4 + 1]
        with target.connect() as connection:
            replies = connection.pipeline(commands)
        found = [reply if number % 4 != 1 else None for number, reply in enumerate(replies)]
        check(f"replies to {count} commands", found == expected, True)
    small.stop()


def idle_timeout(options):
    server = started(options, limits_idle_timeout="1s")
    active, quiet, silent = server.connect(), server.connect(), server.connect()
    check("before", is_open(quiet), True)
    stop = threading.Event()
    answers = []

    def stay_active():
        while not stop.wait(0.2):
            answers.append(is_open(active))

    thread = threading.Thread(target=stay_active)
    thread.start()
    try:
        for name, connection in (("one that was used", quiet), ("one that never was", silent)):
            closes(name, connection, 5)
        check("was closed early", len(answers) >= 3, True)
    finally:
        stop.set()
        thread.join(10)
    check("one that is used", all(answers), True)
    check("counted", server.metrics()["prustdb_connections_idle_closed_total"], 2)
    server.stop()


def login_deadline(options):
    """Who has not logged in when limits.login-timeout is over is closed, busy or not."""
    server = started(options, limits_login_timeout="1s")
    password = "correct horse"
    server.admin("POST", "/v1/users", {"name": "u", "roles": ["readonly"], "password": password})
    off = server.make_client("off", ["readonly"])
    server.admin("POST", "/v1/users/off/disable")
    known, logged = server.connect(), server.connect_as(None)
    check("AUTH", logged.call("AUTH", "u", password), b"OK")
    strangers = {"silent": server.connect_as(None), "busy": server.connect_as(None),
                 "wrong": server.connect_as(None), "disabled": server.connect_as(off)}
    strangers["wrong"].call("AUTH", "u", "wrong-password")
    began = time.monotonic()

    def stay_busy():
        with contextlib.suppress(OSError, ConnectionClosed):
            while time.monotonic() < began + 5:
                strangers["busy"].call("RESET")
                time.sleep(0.05)
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        busy = executor.submit(stay_busy)
        for name in ("silent", "wrong", "disabled"):
            closes(name, strangers[name], 5)
        check("a busy stranger was closed", busy.result(), True)
    if time.monotonic() - began < 0.5:
        raise Failure("closed before the time was over")
    check("with a certificate", is_open(known), True)
    check("with a password", is_open(logged), True)
    server.stop()


def waiting_passwords(options):
    """Of many passwords at one time at most 64 wait; the others are told so at once."""
    server = started(options, auth_attempts=10000)
    guests = [server.connect_as(None) for _ in range(80)]
    for guest in guests:
        guest.call("PING")  # What TLS sends at first is read, so that only answers wake us.
    for number, guest in enumerate(guests):
        guest.send(encode(("AUTH", f"u{number}", "wrong-password")))
    busy, refused, deadline = 0, 0, time.monotonic() + 5
    waiting = {guest.socket: guest for guest in guests}
    while busy < 8 and waiting and time.monotonic() < deadline:
        for ready in select.select(list(waiting), [], [], 0.1)[0]:
            reply = decode(waiting.pop(ready).reply())
            busy += "too many passwords" in reply
            refused += reply.startswith("WRONGPASS")
    server.kill()
    # Two at a time are checked: some are done before the last one comes.
    if busy < 8 or refused > 64:
        raise Failure(f"of 80 passwords {busy} were refused for their number, {refused} checked")


# Clients that do not read.

def fill_big(server):
    with server.connect() as connection:
        for name, byte_count in (("big", MIB), ("huge", VALUE_MAX)):
            check("SET", connection.call("SET", name, b"v" * byte_count), b"OK")


def unread_replies(options):
    """Memory stays within limits.output-buffer for each client that does not read."""
    server = started(options, limits_output_buffer="32MiB")
    fill_big(server)
    before = server.resident_bytes()
    slow = [server.connect() for _ in range(6)]
    for connection in slow:
        connection.send(encode(("GET", "big")) * 100)
    with server.connect() as other:
        peak, asked = 0, time.monotonic()
        while time.monotonic() < asked + 1:
            check("another client", other.call("GET", "missing"), None)
            peak = max(peak, server.resident_bytes() - before)
            time.sleep(0.02)
        reply = other.call("MGET", *["huge"] * 3)
        names("MGET of 48 MiB", reply, "limits.output-buffer")
    if peak > (6 * 33 + 32) * MIB:
        raise Failure(f"memory grew by {peak // MIB} MiB for six clients that do not read")
    # Who reads after all gets all.
    for _ in range(100):
        check("a late reader", len(slow[0].reply()), MIB + 12)
    for connection in slow:
        connection.close()
    server.stop()


def stalled_clients(options):
    """A client that takes nothing of its replies for a while is closed, one that reads slowly not.
    """
    server = started(options, limits_stall_timeout="2s")
    fill_big(server)
    slow, reading = [server.connect() for _ in range(4)], server.connect(timeout=60)
    for connection in (*slow, reading):
        connection.send(encode(("GET", "big")) * (60 if connection is reading else 1000))
    taken = []

    def read_slowly():
        with contextlib.suppress(OSError, ConnectionClosed):
            while len(taken) < 60:
                taken.append(len(reading.reply()))
                time.sleep(0.05)

    thread = threading.Thread(target=read_slowly)
    thread.start()
    try:
        eventually("those that do not read are closed",
                   lambda: server.metrics()["prustdb_connections"] == 1, timeout=8)
        check("counted", server.metrics()["prustdb_connections_stall_closed_total"], 4)
    finally:
        thread.join(30)
    check("replies to a client that reads slowly", len(taken), 60)
    server.stop()


def output_of_all(options):
    """Above limits.output-total those with the most unread replies are closed, others stay."""
    server = started(options, limits_output_total="64MiB", server_threads=1)
    fill_big(server)
    small, large = server.connect(), [server.connect() for _ in range(12)]
    small.send(encode(("GET", "big")) * 8)
    for connection in large:
        connection.send(encode(("GET", "huge")) * 4)
    eventually("some are closed", lambda: server.metrics()[
        "prustdb_connections_output_closed_total"] >= 1, timeout=6)
    closed = server.metrics()["prustdb_connections_output_closed_total"]
    if closed > 10:
        raise Failure(f"{closed:.0f} of 12 were closed, not only those above the limit")
    for _ in range(8):
        check("the one with the least", len(small.reply()), MIB + 12)
    for connection in large:
        connection.close()
    server.stop()


# What is allowed and must not disturb.

def peak_bytes(server, work):
    """Runs the work; returns the peak of the resident memory over what there was before."""
    process = f"/proc/{server.process.pid}"
    with open(f"{process}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    before = server.resident_bytes()
    work()
    with open(f"{process}/status", encoding="ascii") as status:
        peak = next(line for line in status if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * KIB - before


def stall_of(probe, connection, command):
    """Runs one command; returns the longest wait of others meanwhile."""
    began = time.monotonic()
    connection.send(encode(command))
    connection.reply()
    # A sample is there once it has its answer: the next two have come after ours.
    count = len(probe.samples) + 2
    eventually("the undisturbed client goes on", lambda: len(probe.samples) >= count)
    return probe.between(began, time.monotonic())[-1]


def with_probe(server, work):
    probe = Probe(server)
    probe.start()
    try:
        eventually("the undisturbed client works", lambda: len(probe.samples) > 50)
        work(probe)
    finally:
        probe.stopping.set()
        probe.join(30)
    if probe.problem is not None:
        raise Failure(probe.problem)


def long_version(options):
    """31 MiB of '-' as a version: an error, soon, and without much memory."""
    server = started(options)
    problems = []

    def work():
        with server.connect(timeout=2) as connection:
            connection.call("SET", "k", "v")
            seconds = []
            # What the machine does may be slow once; what the daemon does is so always.
            while len(seconds) < 3 and min(seconds, default=1) > 0.2:
                connection.send(encode(("SET", "k", "v", "IFVER", BIG)))
                began = time.monotonic()
                names("SET IFVER", decode(connection.reply()), "version")
                seconds.append(time.monotonic() - began)
            if min(seconds) > 0.2:
                problems.append(f"answered after {min(seconds) * 1000:.0f} ms")

    try:
        peak = peak_bytes(server, work)
        if peak > 200 * MIB:
            problems.append(f"{peak // MIB} MiB more memory")
        if problems:
            raise Failure("; ".join(problems))
        server.stop()
    except TimeoutError:
        raise Failure("no answer within 2 s") from None
    finally:
        server.kill()


def long_arguments(options):
    """No command with 31 MiB of arguments stalls others more than one that is cheap to refuse."""
    server, problems = started(options), []
    commands = {
        "INFO": ("INFO", BIG), "INFO, many": ("INFO", *[b"x" * 1000] * 31_000),
        "AT": ("AT", BIG, "PING"), "EXPLAIN AT": ("EXPLAIN", "AT", BIG, "GET", "k"),
        "HELLO": ("HELLO", "3", "SETNAME", BIG), "CLIENT": ("CLIENT", "SETNAME", BIG),
        "COMMAND": ("COMMAND", "INFO", BIG), "unknown": (BIG,),
    }

    def work(probe):
        with server.connect() as connection:
            control = min(stall_of(probe, connection, ("GET", BIG)) for _ in range(3))
            bound = max(STALL_SECONDS, 3 * control)
            for name, command in commands.items():
                # What the machine does may be slow once; what the daemon does is so always.
                stalls = [stall_of(probe, connection, command)]
                while min(stalls) > bound and len(stalls) < 3:
                    stalls.append(stall_of(probe, connection, command))
                if min(stalls) > bound:
                    problems.append(f"{name} <31 MiB> stalls others for "
                                    f"{min(stalls) * 1000:.0f} ms, {bound * 1000:.0f} are allowed")

    with_probe(server, work)
    server.stop()
    if problems:
        raise Failure("; ".join(problems))


def long_patterns(server):
    """SCAN with a pattern that is tried at every place of long keys: each step is short."""
    problems, count = [], 200
    with server.connect() as connection:
        for number in range(count):
            connection.call("SET", b"a" * (KEY_MAX - 6) + b"%06d" % number, "v")

    def walk(connection, probe, pattern):
        """Walks for a while; returns the longest step and the longest wait of others."""
        cursor, longest, began = b"0", 0, time.monotonic()
        for _ in range(20):
            step = time.monotonic()
            cursor, found = connection.call("SCAN", cursor, "MATCH", pattern, "COUNT", "1000")
            check("matches", found, [])
            longest = max(longest, time.monotonic() - step)
            if cursor == b"0" or longest > 0.25:
                break
        return longest, probe.between(began, time.monotonic())[-1]

    def work(probe):
        with server.connect() as connection:
            for pattern in (b"*" + b"a" * 2000 + b"b", b"*" + b"[a-z]" * 400 + b"!",
                            b"*a" * 2000 + b"*b"):
                tries = []
                for _ in range(2):
                    tries.append(walk(connection, probe, pattern))
                    if max(tries[-1]) <= 0.25 or max(tries[-1]) > 1:
                        break
                if max(tries[-1]) > 0.25:
                    problems.append(f"{pattern[:8].decode()}...: a step of "
                                    f"{tries[-1][0] * 1000:.0f} ms, others waited for "
                                    f"{tries[-1][1] * 1000:.0f} ms")

    with_probe(server, work)
    with server.connect() as connection:
        check("matches", len(connection.call("SCAN", "0", "MATCH", "*00019?", "COUNT",
                                             "100000")[1]), 10)
    if problems:
        raise Failure("; ".join(problems))


def main(parser):
    cases = Cases(parser)
    options = cases.options
    server = PrustDB(options.binary)
    server.start()
    logs = []
    # These wait for timers of the server, and take no processor meanwhile.
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        for name, case in (("clients that stall", stalled_clients),
                           ("deadline of the log-in", login_deadline),
                           ("idle timeout", idle_timeout),
                           ("handshakes", handshakes)):
            executor.submit(cases.run, name, case, options)
        for name, case, *more in [
                ("connections", connections, options, logs),
                ("connections, named", connections_named, logs),
                ("bytes of a key", keys, server),
                ("arguments", arguments, options, server),
                ("lines", inline_commands, server),
                ("lines at once", inline_at_once, server),
                ("words of lines", words_of_lines, options),
                ("names and passwords", administration, server)]:
            cases.run(name, case, *more)
    for name, case, *more in [
            ("bytes of a value", values, server),
            ("bytes of a command", whole_commands, server),
            ("pipelines", pipelines, options, server),
            ("unread replies", unread_replies, options),
            ("unread replies of all", output_of_all, options),
            ("a version of 31 MiB", long_version, options),
            ("arguments of 31 MiB", long_arguments, options),
            ("patterns that take long", long_patterns, server),
            ("passwords that wait", waiting_passwords, options)]:
        cases.run(name, case, *more)
    cases.run("the end", server.stop)
    return cases.finish("limits")


if __name__ == "__main__":
    run_program(main, __doc__)
