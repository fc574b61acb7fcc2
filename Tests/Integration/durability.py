#!/usr/bin/env python3
"""Durability: no acknowledged write is lost or changed by `kill -9` at random moments.

Sixty-four TLS connections write, each its own keys, and keep a journal of what was attempted and
what was acknowledged. The server is killed at a random moment, started again, and every key is
read back: it must hold the last acknowledged write or one that was attempted after it. What was
read becomes the state from which the next round goes on, so a write that was once seen lost must
not come back either.
"""

import asyncio
import pathlib
import random
import ssl
import statistics
import time

import resp
from harness import (HOST, Failure, add_server_options, make_server, run_program)
from resp import ConnectionClosed, encode

PIPELINE_MAX = 8

# Keys of the planted violations: the names of no writer's keys.
PLANTED_LOST, PLANTED_CHANGED = b"d:planted:lost", b"d:planted:changed"


class Journal:
    """What one key may hold: a settled state and the writes that were sent after it."""

    __slots__ = ("settled", "attempts", "acknowledged")

    def __init__(self):
        self.settled = None      # Value at the last read-back or acknowledgement; None: no key.
        self.attempts = []       # Values sent since, in order, not (yet) acknowledged.
        self.acknowledged = 0

    def attempt(self, value):
        self.attempts.append(value)

    def acknowledge(self):
        """The oldest outstanding write was acknowledged: nothing before it may come back."""
        self.settled = self.attempts.pop(0)
        self.acknowledged += 1

    def latest(self):
        """Returns the value that the next write follows (outstanding writes included)."""
        return self.attempts[-1] if self.attempts else self.settled

    def judge(self, found):
        """Returns None, "lost" or "changed" for the value found, and settles on it."""
        outcome = None
        if found != self.settled and found not in self.attempts:
            is_lost = found is None or (self.settled is not None and len(found) > 20
                                        and found[:20] < self.settled[:20])
            outcome = "lost" if is_lost else "changed"
        self.settled, self.attempts = found, []
        return outcome


class Writer:
    """One connection: writes its keys in pipelines until the server goes away."""

    def __init__(self, number, seed, key_count, value_max):
        self.number, self.value_max = number, value_max
        self.rng = random.Random(f"{seed}:{number}")
        self.journals = {f"d:{number}:{key}".encode(): Journal() for key in range(key_count)}
        self.keys = list(self.journals)
        self.sequence = 0

    def next_write(self, key):
        """Returns (command, value that the key has afterwards) for one random write."""
        kind = self.rng.random()
        if kind < 0.08:
            return [b"DEL", key], None
        before = self.journals[key].latest()
        if kind < 0.16 and before is not None and before.isdigit() and len(before) < 15:
            return [b"INCR", key], b"%d" % (int(before) + 1)
        if kind < 0.20:
            value = b"%d" % self.rng.randrange(10**6)
            return [b"SET", key, value], value
        if kind < 0.26 and before is not None and len(before) < 4096:
            tail = self.rng.randbytes(8)
            return [b"APPEND", key, tail], before + tail
        self.sequence += 1
        # The sequence number stands first, so that an older value is told from a damaged one.
        value = b"%020d" % self.sequence + self.rng.randbytes(self.rng.randint(0, self.value_max))
        if kind < 0.5:
            return [b"SET", key, value], value
        return [b"MSET", key, value], value

    async def run(self, open_connection):
        try:
            reader, writer = await open_connection()
        except (OSError, ssl.SSLError):
            return
        try:
            while True:
                keys = self.rng.sample(self.keys, self.rng.randint(1, PIPELINE_MAX))
                await self.write_batch(reader, writer, keys)
        except (ConnectionClosed, OSError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()

    async def write_batch(self, reader, writer, keys):
        commands = []
        for key in keys:
            command, value = self.next_write(key)
            self.journals[key].attempt(value)
            commands.append(encode(command))
        writer.write(b"".join(commands))
        for key in keys:
            reply = await resp.read_reply(reader)
            if isinstance(reply, resp.ReplyError):
                raise Failure(f"a write was refused: {reply}")
            self.journals[key].acknowledge()


class Campaign:
    """Rounds of load, kill, restart and read-back over one server."""

    def __init__(self, server, options):
        self.server, self.options = server, options
        self.rng = random.Random(options.seed)
        self.context = server.context()
        self.writers = [Writer(number, options.seed, options.keys, options.value_bytes)
                        for number in range(options.connections)]
        self.ready_seconds, self.problems = [], []

    async def open_connection(self):
        return await asyncio.open_connection(HOST, self.server.port, ssl=self.context,
                                             limit=1 << 22)

    async def load(self, seconds):
        """Writes with all connections, then kills the server under them."""
        tasks = [asyncio.create_task(writer.run(self.open_connection)) for writer in self.writers]
        await asyncio.sleep(seconds)
        self.server.kill()
        done, pending = await asyncio.wait(tasks, timeout=30)
        for task in pending:
            task.cancel()
        for task in done:
            if task.exception() is not None:
                raise task.exception()
        if pending:
            raise Failure("a connection did not notice that the server was gone")

    def read_back(self, number):
        """Reads every key and judges it; returns the number of keys read."""
        count = 0
        with self.server.connect() as connection:
            for writer in self.writers:
                found = connection.pipeline([[b"GET", key] for key in writer.keys])
                for key, value in zip(writer.keys, found):
                    self.judge(number, writer.journals[key], key, value)
                count += len(found)
        return count

    def judge(self, number, journal, key, value):
        settled, attempts = journal.settled, len(journal.attempts)
        if isinstance(value, resp.ReplyError):
            raise Failure(f"round {number}: GET {key.decode()} answered {value}")
        outcome = journal.judge(value)
        if outcome is not None:
            self.problems.append((number, key, outcome, settled, value, attempts))

    def acknowledged(self):
        return sum(j.acknowledged for w in self.writers for j in w.journals.values())

    def plant(self):
        """Pretends two acknowledgements under keys that no writer touches: of a write that was
        never sent, and of another value than the one that was."""
        for key, value in ((PLANTED_LOST, b"never sent"), (PLANTED_CHANGED, b"acknowledged")):
            journal = self.writers[0].journals[key] = Journal()
            self.writers[0].keys.append(key)
            journal.attempt(value)
            journal.acknowledge()
        with self.server.connect() as connection:
            connection.pipeline([[b"SET", PLANTED_CHANGED, b"another"]])

    def run(self):
        for number in range(1, self.options.rounds + 1):
            before = self.acknowledged()
            seconds = self.rng.uniform(self.options.shortest, self.options.longest)
            asyncio.run(self.load(seconds))
            unsure = sum(len(j.attempts) for w in self.writers for j in w.journals.values())
            self.ready_seconds.append(self.server.start(timeout=120))
            if self.options.plant and number == 1:
                self.plant()
            keys = self.read_back(number)
            print(f"round {number:>3}: killed after {seconds:4.2f} s, "
                  f"{self.acknowledged() - before:>6} writes acknowledged, {unsure:>4} open, "
                  f"ready in {self.ready_seconds[-1]:5.2f} s, {keys} keys read, "
                  f"{len(self.problems)} wrong so far", flush=True)
            if len(self.problems) > 20:
                break
        self.report()

    def report(self):
        for number, key, outcome, settled, value, attempts in self.problems[:20]:
            print(f"  round {number}: {key.decode()} {outcome}: acknowledged {brief(settled)}, "
                  f"found {brief(value)}, {attempts} attempts after it")
        counts = {kind: sum(p[2] == kind for p in self.problems) for kind in ("lost", "changed")}
        ready = sorted(self.ready_seconds)
        print(f"rounds {len(ready)}, connections {len(self.writers)}, "
              f"acknowledged {self.acknowledged()}, lost {counts['lost']}, "
              f"changed {counts['changed']}, restart to ready median "
              f"{statistics.median(ready):.2f} s, max {ready[-1]:.2f} s (seed {self.options.seed})")
        if self.problems:
            raise Failure(f"{len(self.problems)} acknowledged writes lost or changed")
        if self.acknowledged() == 0:
            raise Failure("no write was acknowledged: nothing was tested")


def brief(value):
    if value is None:
        return "no key"
    return f"{value[:24]!r} ({len(value)} bytes)"


def big_value(number):
    return b"%020d" % number + b"." * 80


def load_many(server, count):
    """Sets `count` keys of 100 bytes over four connections in pipelines."""
    connections = [server.connect(timeout=120) for _ in range(4)]
    began, batch = time.monotonic(), 1000
    for first in range(0, count, batch * len(connections)):
        sent = []
        for index, connection in enumerate(connections):
            numbers = range(first + index * batch, min(count, first + (index + 1) * batch))
            if numbers:
                connection.send(b"".join(
                    encode([b"SET", b"big:%d" % n, big_value(n)]) for n in numbers))
                sent.append((connection, len(numbers)))
        for connection, expected in sent:
            for _ in range(expected):
                if connection.reply() != b"+OK\r\n":
                    raise Failure("a SET of the big load was refused")
    for connection in connections:
        connection.close()
    return time.monotonic() - began


def measure_restart(server, count, seed):
    """Loads many keys, measures restart to ready after `kill -9` and SIGTERM, checks a sample."""
    seconds = load_many(server, count)
    print(f"{count} keys of 100 bytes set in {seconds:.1f} s")
    rng = random.Random(seed)
    for what, stop in (("kill -9", server.kill), ("SIGTERM", server.stop)):
        stop()
        ready = server.start(timeout=300)
        with server.connect() as connection:
            numbers = [rng.randrange(count) for _ in range(min(10_000, count))]
            found = connection.pipeline([[b"GET", b"big:%d" % number] for number in numbers])
        wrong = sum(value != big_value(number) for value, number in zip(found, numbers))
        print(f"restart to ready with {count} keys after {what}: {ready:.2f} s, "
              f"{len(numbers)} keys read back, {wrong} wrong")
        if wrong:
            raise Failure(f"{wrong} of {len(numbers)} keys wrong after {what}")


def main(parser):
    add_server_options(parser)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--keys", type=int, default=100, help="keys of each connection")
    parser.add_argument("--value-bytes", type=int, default=1000, help="longest value")
    parser.add_argument("--shortest", type=float, default=0.2, help="seconds before a kill")
    parser.add_argument("--longest", type=float, default=2.0)
    parser.add_argument("--million", type=int, default=0, metavar="KEYS",
                        help="measure restart to ready with so many keys afterwards")
    parser.add_argument("--seed", type=int, default=int(time.time()) & 0xFFFFFF)
    parser.add_argument("--plant", action="store_true",
                        help="pretend acknowledgements: the test must then fail")
    options = parser.parse_args()
    server = make_server(options, durable=True)
    print(f"server {server.name}, log {server.log_path}, data in "
          f"{pathlib.Path(getattr(server, 'data_directory', server.directory))}")
    server.start()
    campaign = Campaign(server, options)
    if options.rounds:
        campaign.run()
    if options.million:
        measure_restart(server, options.million, options.seed)
    server.stop()
    return 0


if __name__ == "__main__":
    run_program(main, __doc__)
