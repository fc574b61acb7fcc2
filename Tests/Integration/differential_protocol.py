"""Bytes that are not well-formed commands, and clients that have not authenticated.

Each case is sent to both servers on a connection of its own; the bytes of the answer and whether
the connection is then closed must be the same.
"""

import random
import time

from resp import Connection, ConnectionClosed, encode

ANSWER_SECONDS = 0.6
DRAIN_SECONDS = 0.02


def _bulk(*parts):
    return encode(list(parts))


# Name, bytes. `PING` at the end of a case shows whether the connection goes on.
CASES = [
    ("empty array", b"*0\r\nPING\r\n"),
    ("negative array", b"*-1\r\nPING\r\n"),
    ("very negative array", b"*-2147483648\r\nPING\r\n"),
    ("array length not a number", b"*abc\r\n"),
    ("array length empty", b"*\r\nPING\r\n"),
    ("array length with a space", b"* 1\r\n$4\r\nPING\r\n"),
    ("array length with a plus", b"*+1\r\n$4\r\nPING\r\n"),
    ("array length above int", b"*2147483648\r\n"),
    ("array length above int64", b"*9223372036854775808\r\n"),
    ("array length never ends", b"*" + b"1" * 70_000),
    ("no bulk", b"*1\r\n+PING\r\n"),
    ("no bulk, printable", b"*2\r\n$3\r\nGET\r\nX1\r\n"),
    ("no bulk, an integer", b"*1\r\n:1\r\n"),
    ("bulk length negative", b"*1\r\n$-1\r\n"),
    ("bulk length not a number", b"*1\r\n$abc\r\n"),
    ("bulk length empty", b"*1\r\n$\r\n"),
    ("bulk length above int64", b"*1\r\n$9223372036854775808\r\n"),
    ("bulk length above every limit", b"*2\r\n$3\r\nGET\r\n$536870913\r\n"),
    ("bulk length with leading zero", b"*1\r\n$04\r\nPING\r\n"),
    ("bulk length never ends", b"*1\r\n$" + b"1" * 70_000),
    ("bulk without its end", b"*1\r\n$4\r\nPINGxxPING\r\n"),
    ("commands before the error run", _bulk("SET", "p", "1") + b"*1\r\n$x\r\n"),
    ("commands after the error do not", b"*1\r\n$x\r\n" + _bulk("PING")),
    ("unfinished", b"*2\r\n$3\r\nGET\r\n$3\r\nab"),
    ("inline", b"PING\r\n"),
    ("inline with LF only", b"PING\nPING\n"),
    ("inline empty lines", b"\r\n\r\n   \r\nPING\r\n"),
    ("inline with spaces", b"  PING   hello  \r\n"),
    ("inline double quotes", b'SET p "a b\\x41\\n\\"c"\r\nGET p\r\n'),
    ("inline single quotes", b"SET p 'a \\' b\\n'\r\nGET p\r\n"),
    ("inline empty quotes", b'SET p ""\r\nGET p\r\n'),
    ("inline unbalanced double", b'GET "p\r\n'),
    ("inline unbalanced single", b"GET 'p\r\n"),
    ("inline text after a quote", b'GET "p"x\r\n'),
    ("inline bad hex", b'ECHO "\\xZZ"\r\n'),
    ("inline tab", b"ECHO\tx\r\n"),
    ("inline never ends", b"x" * 70_000),
    ("inline of 65,000 bytes", b"ECHO " + b"y" * 65_000 + b"\r\n"),
    ("inline quote in the middle", b'ECHO a"b c"\r\n'),
    ("inline unknown", b"NOSUCH a b c\r\n"),
    ("quit", _bulk("QUIT") + _bulk("PING")),
    ("quit with arguments", _bulk("QUIT", "now")),
    ("inline quit", b"QUIT\r\nPING\r\n"),
    ("http get", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("http post", b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("resp3 types in a request", b"%1\r\n+a\r\n+b\r\n"),
    ("reset", _bulk("RESET")),
    ("client reply skip", _bulk("CLIENT", "REPLY", "SKIP") + _bulk("PING") + _bulk("ECHO", "x")),
    ("client reply off and on", _bulk("CLIENT", "REPLY", "OFF") + _bulk("PING")
     + _bulk("CLIENT", "REPLY", "ON") + _bulk("ECHO", "x")),
    ("auth without arguments", _bulk("AUTH") + _bulk("PING")),
    ("auth with three arguments", _bulk("AUTH", "a", "b", "c") + _bulk("PING")),
    ("auth with a wrong name", _bulk("AUTH", "nosuch", "wrong") + _bulk("PING")),
    ("hello with a wrong name",
     _bulk("HELLO", "3", "AUTH", "nosuch", "wrong") + _bulk("GET", "p0")),
]

UNAUTHENTICATED = [
    ("ping", _bulk("PING")),
    ("get", _bulk("GET", "p")),
    ("set, wrong arity", _bulk("SET", "p")),
    ("unknown command", _bulk("NOSUCH", "p")),
    ("hello", _bulk("HELLO")),
    ("hello 3", _bulk("HELLO", "3")),
    ("hello 4", _bulk("HELLO", "4")),
    ("auth without arguments", _bulk("AUTH")),
    ("auth wrong name", _bulk("AUTH", "nosuch", "wrong")),
    ("auth wrong password", _bulk("AUTH", "wrong")),
    ("reset", _bulk("RESET") + _bulk("GET", "p")),
    ("quit", _bulk("QUIT")),
    ("client id", _bulk("CLIENT", "ID")),
    ("many arguments", b"*11\r\n"),
    ("big argument", b"*2\r\n$3\r\nGET\r\n$16385\r\n"),
    ("inline", b"GET p\r\n"),
]


def mutated_cases(rng, count):
    """Returns well-formed pipelines in which one byte was changed, dropped or doubled."""
    cases = []
    for number in range(count):
        raw = bytearray(b"".join(_bulk(*rng.choice([
            ("PING",), ("GET", "p"), ("SET", "p", "v"), ("ECHO", "word"), ("EXISTS", "p", "q")]))
            for _ in range(rng.randint(1, 3))))
        position, what = rng.randrange(len(raw)), rng.randrange(3)
        if what == 0:
            raw[position] = rng.choice(b"\x00 \r\n*$+-:019aZ\xff\"'")
        elif what == 1:
            del raw[position]
        else:
            raw.insert(position, raw[position])
        if b"\x00" in raw:
            continue
        cases.append((f"mutation {number}", bytes(raw)))
    return cases


class _Attempt:
    """One case on one server: connection opened, bytes sent, answer not yet read."""

    def __init__(self, endpoint, payload, authenticated):
        self.problem = None
        self.connection = None
        try:
            if authenticated:
                self.connection = endpoint.connect()
            else:
                self.connection = Connection(
                    endpoint.host, endpoint.port, endpoint.context_without_certificate())
        except (OSError, ConnectionClosed) as error:
            self.problem = f"connection refused: {type(error).__name__}"
            return
        try:
            self.connection.send(payload)
        except OSError:
            pass  # The server may close while a long payload is still being sent.

    def answer(self):
        if self.connection is None:
            return self.problem
        data, closed = self.connection.read_until_quiet(DRAIN_SECONDS)
        self.connection.close()
        return data, closed


def _compare(name, payload, answers, report):
    if answers[0] == answers[1]:
        return 0
    if all(isinstance(answer, tuple) for answer in answers):
        # A server that closes while it still has unread bytes may reset the connection, and the
        # reset may overtake the answer: then only the closing can be compared.
        (data_a, closed_a), (data_b, closed_b) = answers
        if closed_a and closed_b and len(payload) > 60_000 and b"" in (data_a, data_b):
            return 0
    report(f"protocol case '{name}'", payload, answers)
    return 1


def run(endpoints, seed, mutations, report):
    """Runs all cases against both servers; returns (cases, differences, notes)."""
    cases = [(name, payload, True) for name, payload in CASES]
    cases += [(name, payload, True) for name, payload in
              mutated_cases(random.Random(seed), mutations)]
    notes = []
    probe = _Attempt(endpoints[1], b"", authenticated=False)
    answer = probe.answer()
    if isinstance(answer, str) or answer[1]:
        notes.append(f"clients without a certificate: not compared, the server refused ({answer})")
    else:
        cases += [(f"without authentication: {name}", payload, False)
                  for name, payload in UNAUTHENTICATED]
    differences = 0
    for first in range(0, len(cases), 40):
        chunk = cases[first:first + 40]
        # The answers of a chunk are awaited together: "nothing comes" takes time to see.
        open_cases = [(name, payload, [_Attempt(endpoint, payload, authenticated)
                                       for endpoint in endpoints])
                      for name, payload, authenticated in chunk]
        time.sleep(ANSWER_SECONDS)
        for name, payload, attempts in open_cases:
            differences += _compare(name, payload, [a.answer() for a in attempts], report)
    return len(cases), differences, notes
