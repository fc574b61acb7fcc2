#!/usr/bin/env python3
"""What PrustDB has and Redis 7.0 lacks: SET ... IFEQ, as Valkey 8.1 defines it.

`SET key value IFEQ expected` sets only if the key holds exactly the expected value. It answers OK
or nil; with GET it answers the value that was there (nil for none) whether or not it was set. NX,
XX and IFEQ exclude each other.
"""

import time

from harness import Failure, PrustDB, run_program
from resp import ReplyError, encode

OK, NIL, GONE = b"OK", None, None
SYNTAX = ReplyError("ERR syntax error")

# Name, value before (None: no key), command after SET k, reply, value afterwards.
TABLE = [
    ("equal", "old", "new IFEQ old", OK, b"new"),
    ("not equal", "old", "new IFEQ other", NIL, b"old"),
    ("no key", None, "new IFEQ old", NIL, GONE),
    ("no key, empty expected", None, "new IFEQ ''", NIL, GONE),
    ("empty value, empty expected", "", "new IFEQ ''", OK, b"new"),
    ("value to empty", "old", "'' IFEQ old", OK, b""),
    ("lower case", "old", "new ifeq old", OK, b"new"),
    ("prefix is not equal", "old", "new IFEQ ol", NIL, b"old"),
    ("longer is not equal", "old", "new IFEQ olde", NIL, b"old"),
    ("case matters", "old", "new IFEQ OLD", NIL, b"old"),
    ("numbers are compared as bytes", "10", "new IFEQ 010", NIL, b"10"),
    ("number, equal", "10", "11 IFEQ 10", OK, b"11"),
    ("number, another spelling", "1.0", "new IFEQ 1", NIL, b"1.0"),
    ("expected is the word NX", "NX", "new IFEQ NX", OK, b"new"),
    ("GET, equal", "old", "new IFEQ old GET", b"old", b"new"),
    ("GET first, equal", "old", "new GET IFEQ old", b"old", b"new"),
    ("GET, not equal", "old", "new IFEQ other GET", b"old", b"old"),
    ("GET, no key", None, "new IFEQ old GET", NIL, GONE),
    ("EX, equal", "old", "new IFEQ old EX 100", OK, b"new"),
    ("EX before, equal", "old", "new EX 100 IFEQ old", OK, b"new"),
    ("KEEPTTL, equal", "old", "new IFEQ old KEEPTTL", OK, b"new"),
    ("with NX", "old", "new IFEQ old NX", SYNTAX, b"old"),
    ("with XX", "old", "new IFEQ old XX", SYNTAX, b"old"),
    ("NX before", "old", "new NX IFEQ old", SYNTAX, b"old"),
    ("XX before", "old", "new XX IFEQ old", SYNTAX, b"old"),
    ("nothing expected", "old", "new IFEQ", SYNTAX, b"old"),
    ("nothing expected after GET", "old", "new GET IFEQ", SYNTAX, b"old"),
    ("bad time is reported, nothing set", "old", "new IFEQ old EX 0",
     ReplyError("ERR invalid expire time in 'set' command"), b"old"),
    ("bad time comes before the comparison", "old", "new IFEQ other EX abc",
     ReplyError("ERR value is not an integer or out of range"), b"old"),
    ("EX and KEEPTTL", "old", "new IFEQ old EX 100 KEEPTTL", SYNTAX, b"old"),
]


def words(text):
    return ["" if word == "''" else word for word in text.split()]


def check(name, found, expected):
    if found != expected or type(found) is not type(expected):
        raise Failure(f"{name}: expected {expected!r}, found {found!r}")


def run_table(connection):
    for protocol in ("2", "3"):
        connection.call("HELLO", protocol)
        for name, before, command, reply, after in TABLE:
            connection.call("DEL", "k")
            if before is not None:
                connection.call("SET", "k", before)
            check(f"{name} (RESP{protocol})", connection.call("SET", "k", *words(command)), reply)
            check(f"{name} (RESP{protocol}), value", connection.call("GET", "k"), after)


def run_expiry(connection):
    """The time of a key goes with a plain IFEQ, stays with KEEPTTL, stays when nothing was set."""
    connection.call("SET", "k", "a", "EX", "1000")
    connection.call("SET", "k", "b", "IFEQ", "wrong")
    check("time after IFEQ that did not match", 900 < connection.call("TTL", "k") <= 1000, True)
    connection.call("SET", "k", "b", "IFEQ", "a", "KEEPTTL")
    check("time after IFEQ KEEPTTL", 900 < connection.call("TTL", "k") <= 1000, True)
    connection.call("SET", "k", "c", "IFEQ", "b")
    check("time after IFEQ", connection.call("TTL", "k"), -1)
    connection.call("SET", "k", "d", "IFEQ", "c", "PX", "500000")
    check("time after IFEQ PX", 0 < connection.call("PTTL", "k") <= 500_000, True)
    connection.call("SET", "k", "e", "IFEQ", "d", "EXAT", "1")
    check("a time in the past removes the key", connection.call("EXISTS", "k"), 0)
    connection.call("SET", "k", "a", "PX", "20")
    time.sleep(0.05)
    check("an expired value is not equal", connection.call("SET", "k", "b", "IFEQ", "a"), NIL)


def run_binary(connection):
    values = [bytes(range(256)), b"\r\n", b"\x00", b"x" * 1_000_000, b"x" * 999_999 + b"y"]
    connection.call("SET", "k", values[0])
    for old, new in zip(values, values[1:]):
        check("binary, not equal", connection.call("SET", "k", new, "IFEQ", old + b"\x00"), NIL)
        check("binary, equal", connection.call("SET", "k", new, "IFEQ", old), OK)
        check("binary, value", connection.call("GET", "k"), new)


def run_race(server):
    """Eight clients compare and set a counter in pipelines: every success must count once."""
    clients, rounds = [server.connect() for _ in range(8)], 200
    clients[0].call("SET", "race", "0")
    successes = 0
    for number in range(rounds):
        for client in clients:
            client.send(encode(["SET", "race", number + 1, "IFEQ", number]))
        won = sum(client.reply() == b"+OK\r\n" for client in clients)
        if won != 1:
            raise Failure(f"race: {won} of 8 clients won round {number}")
        successes += won
    check("race, final value", clients[0].call("GET", "race"), b"%d" % successes)
    for client in clients:
        client.close()


def main(parser):
    parser.add_argument("--binary", help="the daemon (default .build/release/prustdb)")
    options = parser.parse_args()
    server = PrustDB(options.binary)
    server.start()
    with server.connect() as connection:
        run_table(connection)
        run_expiry(connection)
        run_binary(connection)
    run_race(server)
    server.stop()
    print(f"valkey extensions: {2 * len(TABLE)} cases, expiry, binary, race: as in Valkey 8.1")
    return 0


if __name__ == "__main__":
    run_program(main, __doc__)
