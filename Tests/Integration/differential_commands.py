"""The commands of the differential test: what is sent, how often, and what is left out and why.

Every generator returns a list of arguments that is mostly well-formed; `CommandGenerator` then
spoils a part of them (arguments dropped, added, exchanged, in another case), so that argument
checks and their order are compared as well.
"""

import time

# How replies that cannot be equal are compared. Everything else is compared byte for byte.
NORMALIZATIONS = {
    "remaining time": "TTL, PTTL, EXPIRETIME, PEXPIRETIME: positive integers may differ by 2 s, as "
                      "the servers took a relative expiry at different moments (times that were "
                      "given absolutely are compared exactly)",
    "structure only": "INFO, COMMAND, CLIENT ID/INFO/LIST, TIME, DBSIZE while running: type of the "
                      "reply (errors byte for byte; DBSIZE exactly at the end)",
    "HELLO": "same fields in the same order, same proto; server, version, id may differ",
    "SCAN": "a whole iteration, as a set of keys; cursors and pages may differ",
    "value limit": "redis runs with proto-max-bulk-len 16 MiB, PrustDB's limit; both must refuse "
                   "with 'ERR string exceeds maximum allowed size', the limit's name may differ",
}

EXCLUDED = {
    "NUL bytes in the lines of the protocol": "Redis ends its C strings there and waits for ever; "
                                               "PrustDB refuses them",
    "bulk strings between 16 and 32 MiB": "PrustDB reads them, names its limit and stays "
                                           "connected",
    "lists, sets, hashes, streams, bitmaps, scripts, pub/sub": "not in the command set",
    "MULTI EXEC DISCARD WATCH": "only for one key, which is not what Redis does",
    "MSETNX RENAME COPY": "atomic over several keys",
    "FLUSHALL FLUSHDB SWAPDB MOVE": "not in the command set",
    "OBJECT DEBUG MEMORY LATENCY SLOWLOG": "about the inside of redis",
    "CONFIG": "settings have other names; what redis-benchmark asks is tested by running it",
    "CLIENT KILL, PAUSE, TRACKING, CACHING, SETINFO": "not in the command set or not in 7.0",
    "AUTH with a right password": "users come from elsewhere; wrong ones are compared",
    "SET ... IFEQ": "not in Redis 7.0; see valkey_extensions.py",
    "keys above 4 KiB, values above 16 MiB, more than 65,536 arguments": "limits of PrustDB with "
                                                                         "errors of their own",
    "KEYS RANDOMKEY LCS TIME": "sent only if the server knows them",
}

SET_OPTIONS = [b"EX", b"PX", b"EXAT", b"PXAT", b"NX", b"XX", b"GET", b"KEEPTTL", b"PERSIST",
               b"GT", b"LT", b"ex", b"Px", b"nx", b"get", b"keepttl"]
INTEGERS = [b"0", b"1", b"-1", b"2", b"10", b"-10", b"100", b"12345", b"2147483647",
            b"-2147483648", b"4294967296", b"9223372036854775807", b"-9223372036854775808",
            b"9223372036854775806", b"-9223372036854775807", b"9223372036854775808",
            b"-9223372036854775809", b"18446744073709551615", b"99999999999999999999999"]
NOT_INTEGERS = [b"", b" 1", b"1 ", b"01", b"+1", b"-0", b"--1", b"1.0", b"1e3", b"abc", b"0x10",
                b"1\x00", b"\xff\xfe", b"1_000", b"nan", b"inf", b"1" * 30]
FLOATS = [b"0.1", b"-0.1", b"3.0", b"3.14159265358979323846", b"1e3", b"1E-3", b"1e17", b"1e18",
          b"123456789012345678", b"0.1e-10", b"5e-324", b"1e300", b"-1e300", b"1e308", b"1e4000",
          b"1e5000", b"-0.0", b"+5.5", b".5", b"5.", b"1e", b"0x1p3", b"0x10", b"1.5abc", b"nan",
          b"inf", b"-inf", b"Infinity", b" 1.5", b"1.5 ", b"99999999999999999.999", b"1e-17",
          b"1e-18", b"0.00000000000000001", b"10.50000", b"1000000.0000000001", b"", b"--1.0",
          b"3.0e003", b"12345678901234567890.12345", b"0." + b"3" * 60, b"9" * 60, b"1" * 300]


class CommandGenerator:
    """Makes commands from a seeded random source."""

    def __init__(self, rng, optional=()):
        self.rng = rng
        self.keys = [b"a", b"b", b"c", b"d", b"e", b"f", b"10", b"key:1", b"", b"k\x00\xff\r\n\"'",
                     b"with space", b"K" * 200, "schlüssel".encode(), b"*[x]?"]
        self.table = [entry for entry in COMMANDS if entry[3] is None or entry[0] in optional]
        self.weights = [entry[1] for entry in self.table]

    def command(self):
        """Returns one command that neither server can see differently because of the time."""
        while True:
            name, _, make, _ = self.rng.choices(self.table, self.weights)[0]
            arguments = [self.spell(name.encode()), *make(self)]
            if self.rng.random() < 0.12:
                arguments = self.spoil(arguments)
            if not is_time_critical(arguments):
                return arguments

    def expiring(self):
        """Returns a command after which a key expires within 30 ms."""
        key, ms = self.key(), b"%d" % self.rng.randint(1, 30)
        at = b"%d" % (int(time.time() * 1000) + self.rng.randint(5, 30))
        return self.rng.choice([
            [b"SET", key, self.value(), b"PX", ms], [b"PSETEX", key, ms, self.value()],
            [b"PEXPIRE", key, ms], [b"PEXPIREAT", key, at], [b"GETEX", key, b"PX", ms],
            [b"SET", key, self.value(), b"PXAT", at], [b"GETEX", key, b"PXAT", at]])

    def absolute(self):
        """Returns commands that set an absolute time and ask for it: compared exactly."""
        key, rng = self.key(), self.rng
        seconds = rng.choice([int(time.time()) + rng.randint(1000, 10**6), 4102444800, 10**11])
        ms = seconds * 1000 + rng.randint(0, 999)
        first = rng.choice([
            [[b"EXPIREAT", key, b"%d" % seconds]], [[b"PEXPIREAT", key, b"%d" % ms]],
            [[b"SET", key, self.value(), b"EXAT", b"%d" % seconds]],
            [[b"SET", key, self.value(), b"PXAT", b"%d" % ms]],
            [[b"GETEX", key, b"PXAT", b"%d" % ms]],
            [[b"SET", key, b"7", b"PXAT", b"%d" % ms], [b"INCR", key], [b"APPEND", key, b"x"],
             [b"SETRANGE", key, b"1", b"y"], [b"GETEX", key]],
            [[b"SET", key, b"1.5", b"PXAT", b"%d" % ms], [b"INCRBYFLOAT", key, b"1"]],
            [[b"SET", key, b"v", b"PXAT", b"%d" % ms], [b"SET", key, b"w", b"KEEPTTL"]],
            [[b"SET", key, b"v", b"PXAT", b"%d" % ms], [b"GETSET", key, b"w"]],
            [[b"SET", key, b"v", b"PXAT", b"%d" % ms], [b"SETNX", key, b"w"]],
            [[b"SET", key, b"v", b"PXAT", b"%d" % ms], [b"PERSIST", key]],
            [[b"SET", key, b"v", b"PXAT", b"%d" % ms], [b"MSET", key, b"w"]],
            [[b"SET", key, b"v"], [b"PEXPIREAT", key, b"%d" % ms],
             [b"PEXPIREAT", key, b"%d" % (ms + rng.randint(-1, 1)), rng.choice(
                 [b"GT", b"LT", b"NX", b"XX"])]],
        ])
        return [*first, [b"PEXPIRETIME", key], [b"EXPIRETIME", key]]

    def spoil(self, arguments):
        """Returns the command with one thing wrong (or only different) about it."""
        rng, arguments = self.rng, list(arguments)
        what = rng.randrange(5)
        if what == 0 and len(arguments) > 1:
            del arguments[rng.randrange(1, len(arguments))]
        elif what == 1:
            arguments.insert(rng.randint(1, len(arguments)), self.junk())
        elif what == 2 and len(arguments) > 1:
            arguments[rng.randrange(1, len(arguments))] = self.junk()
        elif what == 3:
            arguments = arguments[:rng.randint(1, len(arguments))]
        else:
            arguments.append(rng.choice(SET_OPTIONS))
        return arguments

    def spell(self, name):
        """Returns the name of a command in another case, now and then."""
        kind = self.rng.randrange(8)
        if kind == 0:
            return name.lower()
        if kind == 1:
            return bytes(c ^ 0x20 if 65 <= c <= 90 and self.rng.random() < 0.5 else c for c in name)
        return name

    def key(self):
        return self.rng.choice(self.keys)

    def keys_list(self, longest=5):
        return [self.key() for _ in range(self.rng.randint(1, longest))]

    def junk(self):
        return self.rng.choice([self.rng.choice(NOT_INTEGERS), self.rng.choice(INTEGERS),
                                self.rng.choice(SET_OPTIONS), self.rng.choice(FLOATS), b"BOGUS"])

    def integer(self):
        rng, kind = self.rng, self.rng.randrange(10)
        if kind < 5:
            return b"%d" % rng.randint(-1000, 1000)
        if kind < 6:
            return b"%d" % rng.randint(-2**63, 2**63 - 1)
        return rng.choice(INTEGERS) if kind < 9 else rng.choice(NOT_INTEGERS)

    def float(self):
        rng, kind = self.rng, self.rng.randrange(10)
        if kind < 2:
            return b"%.*f" % (rng.randint(0, 18), rng.uniform(-1000, 1000))
        if kind < 4:
            return repr(rng.uniform(-1, 1) * 10 ** rng.randint(-20, 20)).encode()
        if kind < 5:
            return b"%d" % rng.randint(-10**18, 10**18)
        return rng.choice(FLOATS)

    def value(self):
        rng, kind = self.rng, self.rng.randrange(20)
        if kind < 7:
            return self.integer() if kind < 3 else b"%d" % rng.randint(-10**6, 10**6)
        if kind < 9:
            return self.float()
        if kind < 10:
            return b""
        if kind < 13:
            return rng.randbytes(rng.randint(1, 40))
        if kind < 14:
            return rng.randbytes(rng.choice([43, 44, 45, 63, 64, 65, 255, 256, 1023, 4096, 16384]))
        if kind < 15 and rng.random() < 0.2:
            return bytes([rng.randrange(256)]) * rng.choice([16385, 65536, 100_000, 1_000_000])
        return rng.choice([b"hello", b"Hello, World", b"OK", b"+OK\r\n", b"nil", b"foobar\r\n"])

    def offset(self):
        rng, kind = self.rng, self.rng.randrange(10)
        if kind < 7:
            return b"%d" % rng.randint(-20, 20)
        if kind < 8:
            return b"%d" % rng.choice([-100_000, 100_000, 70_000, -70_000])
        return rng.choice(INTEGERS + NOT_INTEGERS[:8])

    def write_offset(self):
        """Returns an offset for SETRANGE: small, or far beyond every limit."""
        rng, kind = self.rng, self.rng.randrange(12)
        if kind < 9:
            return b"%d" % rng.randint(0, 60)
        if kind < 10:
            return b"%d" % rng.choice([100_000, 300_000])
        return rng.choice([b"-1", b"-9223372036854775808", b"9223372036854775807", b"4294967296",
                           b"2147483647", b"536870912", b"abc", b"1.5", b"", b"16777217"])

    def expiry(self, unit):
        """Returns (option's number) for a relative or absolute time in the unit."""
        rng, kind = self.rng, self.rng.randrange(20)
        per_second = 1 if unit in (b"EX", b"EXAT") else 1000
        base = int(time.time()) * per_second if unit in (b"EXAT", b"PXAT") else 0
        if kind < 12:
            return b"%d" % (base + rng.randint(1000 * per_second, 10**7 * per_second))
        if kind < 14:
            return b"%d" % (base - rng.randint(1000 * per_second, 10**6 * per_second))
        if kind < 15:
            return b"%d" % rng.choice([9223372036854775, 9223372036854776, 9223372036854775000,
                                       9223370000000000000, -9223372036854775, 10**15, 10**16])
        return rng.choice(INTEGERS if kind < 18 else NOT_INTEGERS)

    def set_options(self):
        rng, options = self.rng, []
        for _ in range(rng.choice([0, 0, 1, 1, 1, 2, 2, 3, 4])):
            kind = rng.randrange(10)
            if kind < 5:
                unit = rng.choice([b"EX", b"PX", b"EXAT", b"PXAT"])
                options += [self.spell(unit), self.expiry(unit)]
            else:
                options.append(self.spell(rng.choice([b"NX", b"XX", b"GET", b"KEEPTTL"])))
        return options

    def getex_options(self):
        rng = self.rng
        unit = rng.choice([b"EX", b"PX", b"EXAT", b"PXAT", None, b"PERSIST"])
        options = [] if unit is None else [self.spell(unit)]
        if unit not in (None, b"PERSIST"):
            options.append(self.expiry(unit))
        return options + ([b"PERSIST"] if rng.random() < 0.05 else [])

    def expire_options(self):
        count = self.rng.choice([0, 0, 0, 1, 1, 1, 2, 3])
        return [self.spell(self.rng.choice([b"NX", b"XX", b"GT", b"LT", b"GT", b"LT"]))
                for _ in range(count)]

    def scan(self):
        """Returns the options of a SCAN whose whole iteration is compared."""
        rng, options = self.rng, []
        if rng.random() < 0.5:
            options += [b"MATCH", rng.choice([b"*", b"[a-d]", b"key:*", b"?", b"nothing*", b"[^a]",
                                              b"\\*\\[x]\\?", b"*\\?", b"", b"k*", b"[a", b"[a-"])]
        if rng.random() < 0.5:
            options += [b"COUNT", rng.choice([b"1", b"2", b"5", b"10", b"1000", b"4294967295"])]
        if rng.random() < 0.3:
            options += [b"TYPE", rng.choice([b"string", b"STRING", b"list", b"zset", b"hash"])]
        return options

    def scan_once(self):
        rng = self.rng
        cursor = rng.choice([b"0", b"0", b"0", b"abc", b"-1", b"", b"1.5", b" 0",
                             b"99999999999999999999"])
        return [cursor, *rng.choice([[], [b"COUNT", b"0"], [b"COUNT", b"-5"], [b"COUNT", b"x"],
                                     [b"COUNT"], [b"MATCH"], [b"TYPE"], [b"BOGUS", b"1"],
                                     [b"COUNT", b"10", b"MATCH"], self.scan()])]

    def hello(self):
        rng = self.rng
        return rng.choice([[], [b"2"], [b"3"], [b"2"], [b"3"], [b"1"], [b"4"], [b"abc"], [b""],
                           [b"3", b"SETNAME", b"n"], [b"3", b"SETNAME"], [b"2", b"BOGUS"],
                           [b"3", b"SETNAME", b"a b"], [b"3", b"AUTH", b"x"], [b"03"],
                           [b"9223372036854775808"]])

    def client(self):
        rng = self.rng
        name = rng.choice([b"worker-1", b"", b"a b", b"x\n", b"\xff", b"n" * 100])
        return rng.choice([[], [b"ID"], [b"ID", b"x"], [b"GETNAME"], [b"GETNAME", b"x"],
                           [b"SETNAME"], [b"SETNAME", name], [b"setname", name], [b"SETNAME", name],
                           [b"BOGUS"], [b"BOGUS", b"1", b"2"], [b"INFO"], [b"LIST"],
                           [b"LIST", b"BOGUS"], [b"REPLY", b"ON"], [b"REPLY", b"BOGUS"],
                           [b"REPLY"], [b"NO-EVICT", b"ON"], [b"NO-EVICT", b"x"], [b""]])

    def command_command(self):
        return self.rng.choice([[], [b"COUNT"], [b"COUNT", b"x"], [b"BOGUS"], [b"INFO"],
                                [b"INFO", b"get"], [b"INFO", b"nosuch"], [b"DOCS", b"get"],
                                [b"DOCS", b"nosuch"], [b"LIST"], [b"GETKEYS"],
                                [b"GETKEYS", b"GET", b"k"], [b"GETKEYS", b"NOSUCH", b"k"],
                                [b"GETKEYS", b"MSET", b"a", b"1", b"b", b"2"]])

    def unknown(self):
        """Replaces the name too: see `UNKNOWN_NAMES`."""
        return [self.value()[:300] for _ in range(self.rng.randint(0, 6))]


UNKNOWN_NAMES = [b"NOSUCH", b"GETT", b"SE", b"", b"get2", b"\xff\xfe", b"a\r\nb", b"x" * 200,
                 b"GET ", b"SET\x00", b"N" * 127, b"N" * 128, b"N" * 129, b"hosts", b"POSTS"]


def _pairs(g):
    arguments = []
    for _ in range(g.rng.randint(1, 4)):
        arguments += [g.key(), g.value()]
    return arguments if g.rng.random() < 0.9 else arguments[:-1]


# Name, weight, arguments, and for commands that DESIGN.md does not list "optional": these are sent
# only when the server knows them.
COMMANDS = [
    ("SET", 14, lambda g: [g.key(), g.value(), *g.set_options()], None),
    ("GET", 8, lambda g: [g.key()], None),
    ("GETSET", 2, lambda g: [g.key(), g.value()], None),
    ("GETEX", 4, lambda g: [g.key(), *g.getex_options()], None),
    ("GETDEL", 2, lambda g: [g.key()], None),
    ("SETNX", 2, lambda g: [g.key(), g.value()], None),
    ("SETEX", 2, lambda g: [g.key(), g.expiry(b"EX"), g.value()], None),
    ("PSETEX", 2, lambda g: [g.key(), g.expiry(b"PX"), g.value()], None),
    ("MGET", 3, lambda g: g.keys_list(), None),
    ("MSET", 3, _pairs, None),
    ("DEL", 2, lambda g: g.keys_list(3), None),
    ("UNLINK", 1, lambda g: g.keys_list(3), None),
    ("EXISTS", 2, lambda g: g.keys_list(), None),
    ("TOUCH", 1, lambda g: g.keys_list(), None),
    ("INCR", 3, lambda g: [g.key()], None),
    ("DECR", 3, lambda g: [g.key()], None),
    ("INCRBY", 4, lambda g: [g.key(), g.integer()], None),
    ("DECRBY", 4, lambda g: [g.key(), g.integer()], None),
    ("INCRBYFLOAT", 8, lambda g: [g.key(), g.float()], None),
    ("APPEND", 4, lambda g: [g.key(), g.value()], None),
    ("STRLEN", 3, lambda g: [g.key()], None),
    ("GETRANGE", 5, lambda g: [g.key(), g.offset(), g.offset()], None),
    ("SUBSTR", 1, lambda g: [g.key(), g.offset(), g.offset()], None),
    ("SETRANGE", 4, lambda g: [g.key(), g.write_offset(), g.value()], None),
    ("EXPIRE", 4, lambda g: [g.key(), g.expiry(b"EX"), *g.expire_options()], None),
    ("PEXPIRE", 4, lambda g: [g.key(), g.expiry(b"PX"), *g.expire_options()], None),
    ("EXPIREAT", 4, lambda g: [g.key(), g.expiry(b"EXAT"), *g.expire_options()], None),
    ("PEXPIREAT", 4, lambda g: [g.key(), g.expiry(b"PXAT"), *g.expire_options()], None),
    ("TTL", 3, lambda g: [g.key()], None),
    ("PTTL", 3, lambda g: [g.key()], None),
    ("EXPIRETIME", 2, lambda g: [g.key()], None),
    ("PEXPIRETIME", 2, lambda g: [g.key()], None),
    ("PERSIST", 3, lambda g: [g.key()], None),
    ("TYPE", 2, lambda g: [g.key()], None),
    ("SCAN", 2, lambda g: g.scan_once(), None),
    ("DBSIZE", 1, lambda g: [], None),
    ("PING", 2, lambda g: g.rng.choice([[], [g.value()], [b"a", b"b"]]), None),
    ("ECHO", 1, lambda g: [g.value()], None),
    ("SELECT", 1, lambda g: [g.rng.choice([b"0", b"0", b"1", b"-1", b"abc", b"9" * 11])], None),
    ("HELLO", 1, lambda g: g.hello(), None),
    ("CLIENT", 2, lambda g: g.client(), None),
    ("COMMAND", 1, lambda g: g.command_command(), None),
    ("INFO", 0.3, lambda g: g.rng.choice([[], [b"server"], [b"nosuch"], [b"all"]]), None),
    ("NOSUCH", 2, lambda g: g.unknown(), None),
    ("KEYS", 1, lambda g: [g.rng.choice([b"*", b"[a-c]", b"key:*", b"?", b"no*"])], "optional"),
    ("RANDOMKEY", 0.5, lambda g: [], "optional"),
    ("LCS", 0.5, lambda g: [g.key(), g.key()], "optional"),
    ("TIME", 0.5, lambda g: [], "optional"),
]

_RELATIVE_MS = {b"EX": 1000, b"PX": 1}
_ABSOLUTE_MS = {b"EXAT": 1000, b"PXAT": 1}
_EXPIRE_COMMANDS = {b"EXPIRE": b"EX", b"PEXPIRE": b"PX", b"EXPIREAT": b"EXAT",
                    b"PEXPIREAT": b"PXAT", b"SETEX": b"EX", b"PSETEX": b"PX"}
_CRITICAL_MS = 200_000


def is_time_critical(arguments):
    """Tells whether a key could expire between the two servers' clocks while the test runs."""
    name = arguments[0].upper()
    if name in _EXPIRE_COMMANDS:
        return len(arguments) > 2 and _is_soon(_EXPIRE_COMMANDS[name], arguments[2])
    if name in (b"SET", b"GETEX"):
        first = 3 if name == b"SET" else 2
        return any(_is_soon(option.upper(), number)
                   for option, number in zip(arguments[first:], arguments[first + 1:]))
    return False


def _is_soon(unit, number):
    try:
        count = int(number)
    except ValueError:
        return False
    if unit in _RELATIVE_MS:
        return 0 < count * _RELATIVE_MS[unit] < _CRITICAL_MS
    if unit in _ABSOLUTE_MS:
        return abs(count * _ABSOLUTE_MS[unit] - time.time() * 1000) < _CRITICAL_MS
    return False


def comparison(arguments):
    """Returns the name of the normalization for this command's reply, or None for byte for byte."""
    name = arguments[0].upper()
    sub = arguments[1].upper() if len(arguments) > 1 else b""
    if name in (b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME"):
        return "remaining time"
    if name in (b"INFO", b"COMMAND", b"DBSIZE", b"TIME", b"RANDOMKEY", b"SCAN"):
        return "structure only"
    if name == b"CLIENT" and sub in (b"ID", b"INFO", b"LIST"):
        return "structure only"
    if name == b"HELLO":
        return "HELLO"
    if name == b"KEYS":
        return "set of keys"
    if name in (b"SETRANGE", b"APPEND"):
        return "value limit"
    return None
