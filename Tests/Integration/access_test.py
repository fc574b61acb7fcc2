#!/usr/bin/env python3
"""Who may do what: logging in, its limits, roles on every command, changes at once, the trail.

The commands come from the server's own list: one that the table below does not know is a failure,
so that no command is added without a decision on who may run it.
"""

import concurrent.futures
import contextlib
import threading
import time

from harness import (HOST, AdminConnection, Cases, Failure, PrustDB, check, eventually, quantile,
                     run_program)
from hostile import Probe
from resp import ConnectionClosed, ReplyError, encode

PASSWORD, WRONG = "correct horse battery", "wrong-password-1"
WRONGPASS, NOAUTH, NOPERM = "WRONGPASS", "NOAUTH", "NOPERM"

# What each command needs. "read+write": it writes, and its answer tells something of the value.
# KEY stands for a key, ANOTHER for a second one; a command may have several forms. "walk": it reads
# many keys, and shows those with the user's prefixes; "count": it counts them, or is refused to
# users with prefixes.
COMMANDS = {
    "exists": ("read", ["EXISTS KEY", "EXISTS KEY ANOTHER"]),
    "expiretime": ("read", ["EXPIRETIME KEY"]),
    "get": ("read", ["GET KEY"]),
    "getrange": ("read", ["GETRANGE KEY 0 -1"]),
    "mget": ("read", ["MGET KEY", "MGET KEY ANOTHER"]),
    "pexpiretime": ("read", ["PEXPIRETIME KEY"]),
    "pttl": ("read", ["PTTL KEY"]),
    "strlen": ("read", ["STRLEN KEY"]),
    "substr": ("read", ["SUBSTR KEY 0 -1"]),
    "touch": ("read", ["TOUCH KEY", "TOUCH KEY ANOTHER"]),
    "ttl": ("read", ["TTL KEY"]),
    "type": ("read", ["TYPE KEY"]),
    "scan": ("walk", ["SCAN 0", "SCAN 0 MATCH * COUNT 100"]),
    "dbsize": ("count", ["DBSIZE"]),
    "del": ("write", ["DEL KEY", "DEL KEY ANOTHER"]),
    "expire": ("write", ["EXPIRE KEY 1000"]),
    "expireat": ("write", ["EXPIREAT KEY 4102444800"]),
    "mset": ("write", ["MSET KEY 8", "MSET KEY 8 ANOTHER 8"]),
    "persist": ("write", ["PERSIST KEY"]),
    "pexpire": ("write", ["PEXPIRE KEY 1000000"]),
    "pexpireat": ("write", ["PEXPIREAT KEY 4102444800000"]),
    "psetex": ("write", ["PSETEX KEY 1000000 8"]),
    "set": ("write", ["SET KEY 8", "SET KEY 8 XX", "SET KEY 8 NX", "SET KEY 8 EX 1000"]),
    "setex": ("write", ["SETEX KEY 1000 8"]),
    "setnx": ("write", ["SETNX KEY 8"]),
    "unlink": ("write", ["UNLINK KEY", "UNLINK KEY ANOTHER"]),
    "append": ("read+write", ["APPEND KEY 1"]),
    "decr": ("read+write", ["DECR KEY"]),
    "decrby": ("read+write", ["DECRBY KEY 2"]),
    "getdel": ("read+write", ["GETDEL KEY"]),
    "getex": ("read+write", ["GETEX KEY", "GETEX KEY EX 1000"]),
    "getset": ("read+write", ["GETSET KEY 8"]),
    "incr": ("read+write", ["INCR KEY"]),
    "incrby": ("read+write", ["INCRBY KEY 2"]),
    "incrbyfloat": ("read+write", ["INCRBYFLOAT KEY 2"]),
    "setrange": ("read+write", ["SETRANGE KEY 0 8"]),
    "config": ("admin", ["CONFIG GET save"]),
    "at": ("none", ["AT strong PING"]),
    "client": ("none", ["CLIENT ID", "CLIENT INFO"]),
    "command": ("none", ["COMMAND COUNT", "COMMAND GETKEYS GET other:1"]),
    "echo": ("none", ["ECHO x"]),
    "explain": ("read", ["EXPLAIN GET KEY", "EXPLAIN AT strong GET KEY"]),
    "info": ("none", ["INFO"]),
    "ping": ("none", ["PING"]),
    "select": ("none", ["SELECT 0"]),
    "time": ("none", ["TIME"]),
    # These work without being known; the last of them end what the connection was.
    "hello": ("open", ["HELLO 2"]),
    "auth": ("open", [f"AUTH helper {PASSWORD.replace(' ', '_')}"]),
    "reset": ("open", ["RESET"]),
    "quit": ("open", ["QUIT"]),
}
# Forms that need other verbs than their command does otherwise.
MORE_FORMS = [
    ("read+write", "SET KEY 8 GET"), ("read+write", "SET KEY 8 XX GET"),
    ("read+write", "SET KEY 8 IFEQ 5"), ("admin", "CLIENT LIST"),
    ("read", "AT strong GET KEY"), ("write", "AT strong SET KEY 8"),
    ("write", "EXPLAIN SET KEY 8"), ("read+write", "EXPLAIN INCRBY KEY 2"),
    ("read+write", "AT strong GETDEL KEY"),
]

EVERYTHING = ("app:", "other:")
# Users of the table of permissions: roles, and where each verb is allowed.
ROLES = [
    {"name": "app", "verbs": ["read", "write"], "prefixes": ["app:"]},
    {"name": "app-reader", "verbs": ["read"], "prefixes": ["app:"]},
    {"name": "app-writer", "verbs": ["write"], "prefixes": ["app:"]},
    {"name": "writer", "verbs": ["write"]},
    {"name": "operator", "verbs": ["admin"]},
]
USERS = {
    "u-admin": (["admin"], {"read": EVERYTHING, "write": EVERYTHING, "admin": EVERYTHING}),
    "u-readwrite": (["readwrite"], {"read": EVERYTHING, "write": EVERYTHING}),
    "u-readonly": (["readonly"], {"read": EVERYTHING}),
    "u-app": (["app"], {"read": ("app:",), "write": ("app:",)}),
    "u-app-reader": (["app-reader"], {"read": ("app:",)}),
    "u-app-writer": (["app-writer"], {"write": ("app:",)}),
    "u-writer": (["writer"], {"write": EVERYTHING}),
    "u-operator": (["operator"], {"admin": EVERYTHING}),
    "u-reads-all": (["readonly", "app-writer"], {"read": EVERYTHING, "write": ("app:",)}),
    "u-nothing": ([], {}),
}
KEYS = ["app:1", "app:2", "other:1", "other:2"]


def begins(name, reply, code):
    if not (isinstance(reply, ReplyError) and reply.startswith(code)):
        raise Failure(f"{name}: expected an error {code}, found {reply!r:.200}")


def is_refused(reply):
    """True for NOPERM, also inside of the answer of EXPLAIN."""
    if isinstance(reply, (list, dict)):
        items = reply if isinstance(reply, list) else reply.values()
        return any(is_refused(item) for item in items)
    return isinstance(reply, ReplyError) and reply.startswith(NOPERM)


def make_user(server, name, roles=("readwrite",), password=PASSWORD):
    body = {"name": name, "roles": list(roles)} | ({"password": password} if password else {})
    server.admin("POST", "/v1/users", body)


def log_in(server, name, password=PASSWORD, source=HOST):
    """Returns a connection that was opened without certificate and logged in."""
    connection = server.connect_as(None, source)
    check(f"AUTH {name}", connection.call("AUTH", name, password), b"OK")
    return connection


# Logging in.

def logins(server):
    make_user(server, "login")
    make_user(server, "off")
    make_user(server, "certificate-only", password=None)
    server.admin("POST", "/v1/users/off/disable")
    refused = [("login", WRONG), ("login", ""), ("nobody", PASSWORD), ("off", PASSWORD),
               ("certificate-only", PASSWORD), ("login", PASSWORD + "x"), ("login", "x" * 513)]
    with server.connect_as(None) as connection:
        for number, (name, password) in enumerate(refused):
            words = [("AUTH", name, password), ("HELLO", "3", "AUTH", name, password)][number % 2]
            begins(" ".join(words)[:60], connection.call(*words), WRONGPASS)
            begins("GET after it", connection.call("GET", "k"), NOAUTH)
        begins("AUTH PASSWORD", connection.call("AUTH", PASSWORD), WRONGPASS)
        check("AUTH, right", connection.call("AUTH", "login", PASSWORD), b"OK")
        check("GET after it", connection.call("GET", "k"), None)
        begins("AUTH, wrong, later", connection.call("AUTH", "login", WRONG), WRONGPASS)
        check("GET after that", connection.call("GET", "k"), None)
    for version in ("2", "3"):
        with server.connect_as(None) as connection:
            begins("HELLO alone", connection.call("HELLO", version), NOAUTH)
            words = ("HELLO", version, "AUTH", "login", PASSWORD, "SETNAME", "me")
            answer = connection.call(*words)
            pairs = dict(zip(answer[::2], answer[1::2])) if version == "2" else answer
            check(f"HELLO {version} AUTH", pairs.get(b"proto"), int(version))
            check("GETNAME", connection.call("CLIENT", "GETNAME"), b"me")
            connection.send(encode(("GET", "missing")))
            check("null", connection.reply(), b"_\r\n" if version == "3" else b"$-1\r\n")
    with server.connect() as connection:
        check("AUTH over a certificate", connection.call("AUTH", "login", PASSWORD), b"OK")
        check("user", b"user=login" in connection.call("CLIENT", "INFO"), True)
        check("RESET", connection.call("RESET"), b"RESET")
        check("user after RESET", b"user=admin" in connection.call("CLIENT", "INFO"), True)


def nothing_before_login(server):
    """Without certificate and password every command but the open ones is refused."""
    with server.connect() as known:
        names = known.call("COMMAND", "LIST")
    with server.connect_as(None) as connection:
        for name in names:
            needs, forms = COMMANDS[name.decode()]
            if needs == "open":
                continue
            for form in forms:
                begins(form, connection.call(*placements(form)[0][0]), NOAUTH)
        begins("HELLO 3", connection.call("HELLO", "3"), NOAUTH)
        check("RESET", connection.call("RESET"), b"RESET")
        check("QUIT", connection.call("QUIT"), b"OK")
    with server.connect_as(None) as connection:
        connection.send(b"*11\r\n")
        begins("11 arguments", ReplyError(connection.reply()[1:].decode()), "ERR Protocol error")
    with server.connect_as(None) as connection:
        connection.send(b"*2\r\n$4\r\nECHO\r\n$16385\r\n")
        begins("16385 bytes", ReplyError(connection.reply()[1:].decode()), "ERR Protocol error")


# Limits of attempts.

def throttling(options):
    """Two attempts a minute for an address and name, twenty for an address."""
    server = PrustDB(options.binary, variables={"PRUSTDB_AUTH_ATTEMPTS": "2"})
    server.start()
    for name in ("victim", "friend"):
        make_user(server, name)
    with server.connect_as(None) as connection:
        for _ in range(4):
            check("a right password", connection.call("AUTH", "victim", PASSWORD), b"OK")
    with server.connect_as(None) as connection:
        for _ in range(2):
            begins("attempt", connection.call("AUTH", "victim", WRONG), WRONGPASS)
        refusals = [connection.call("AUTH", "victim", WRONG),
                    connection.call("AUTH", "victim", PASSWORD),
                    connection.call("HELLO", "3", "AUTH", "victim", PASSWORD)]
        for refusal in refusals:
            if not isinstance(refusal, ReplyError) or "auth.attempts" not in refusal:
                raise Failure(f"the attempt past the limit was answered {refusal!r:.200}")
        begins("still nobody", connection.call("GET", "k"), NOAUTH)
        check("another name", connection.call("AUTH", "friend", PASSWORD), b"OK")
    log_in(server, "victim", source="127.0.0.2").close()
    storm_of_attempts(server)
    server.stop()


def storm_of_attempts(server):
    """Four connections guess as fast as they can; who is logged in does not feel it."""
    probe = Probe(server)
    probe.start()
    eventually("the undisturbed client works", lambda: len(probe.samples) > 200)
    middle = time.monotonic()
    answers = []

    def guess(number):
        with server.connect_as(None, "127.0.0.3") as connection:
            while time.monotonic() < middle + 8 and len(answers) < 300:
                name = f"guess-{number}-{len(answers)}"
                answers.append(connection.call("AUTH", name, WRONG))

    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        list(executor.map(guess, range(4)))
    over = time.monotonic()
    probe.stopping.set()
    probe.join(10)
    if probe.problem is not None:
        raise Failure(f"during a storm of logins: {probe.problem}")
    tried = sum(answer.startswith(WRONGPASS) for answer in answers)
    throttled = sum("auth.attempts" in answer for answer in answers)
    # One attempt more every three seconds.
    if not 20 <= tried <= 21 + (over - middle) / 3:
        raise Failure(f"{tried} passwords were checked for an address, 20 a minute are allowed")
    check("attempts past the limit", throttled, len(answers) - tried)
    if throttled < 100:
        raise Failure(f"only {throttled} attempts were refused in {over - middle:.0f} s")
    before, during = (quantile(probe.between(*span), 0.99)
                      for span in ((0, middle), (middle, over)))
    if during > max(10 * before, 0.1):
        raise Failure(f"p99 of others is {during * 1000:.0f} ms during a storm of logins, "
                      f"{before * 1000:.0f} ms before")


# Roles.

def fill(connection):
    """Makes the keys what they were, whatever the last command did."""
    replies = connection.pipeline([("DEL", *KEYS), ("DBSIZE",), ("MSET", *[
        word for key in KEYS for word in (key, "5")])])
    check("other keys, and MSET", replies[1:], [0, b"OK"])


def is_allowed(needs, prefixes, allowed):
    """Whether a user may run a form on keys with these prefixes; `None` when both would do."""
    if needs in ("none", "open"):
        return True
    if needs == "admin":
        return "admin" in allowed
    if needs == "count" and allowed.get("read") not in (None, EVERYTHING):
        return None
    if needs in ("walk", "count"):
        return bool(allowed.get("read"))
    return all(prefix in allowed.get(verb, ()) for verb in needs.split("+") for prefix in prefixes)


def forms_of(names):
    """Gives (needs, form) for each form of each command, those that end the session last."""
    forms = [(needs, form) for name, (needs, variants) in COMMANDS.items() if name in names
             for form in variants] + MORE_FORMS
    return sorted(forms, key=lambda pair: pair[0] == "open")


def placements(form):
    """Gives (words, prefixes of the keys) for each way to put keys into a form."""
    words = form.split()
    if "KEY" not in words:
        return [(words, ())]
    choices = [("app:", "app:"), ("other:", "other:")]
    if "ANOTHER" in words:
        choices += [("app:", "other:"), ("other:", "app:")]
    return [([{"KEY": first + "1", "ANOTHER": second + "2"}.get(word, word) for word in words],
             (first, second) if "ANOTHER" in words else (first,)) for first, second in choices]


def permissions_of(name, connection, admin, names):
    """Runs every form as one user; gives what was decided wrongly."""
    allowed, wrong = USERS[name][1], []
    for needs, form in forms_of(names):
        for words, prefixes in placements(form):
            fill(admin)
            expected = is_allowed(needs, prefixes, allowed)
            words = [word.replace("_", " ") if word.startswith("correct") else word
                     for word in words]
            reply = connection.call(*words)
            text = f"{name}: {' '.join(words)}"
            if expected and (is_refused(reply) or isinstance(reply, ReplyError)):
                wrong.append(f"{text}: must be allowed, answered {reply!r:.80}")
            elif expected is False and not is_refused(reply):
                wrong.append(f"{text}: must be refused, answered {reply!r:.60}")
            elif expected is False and admin.pipeline(
                    [("MGET", *KEYS), ("TTL", KEYS[0])]) != [[b"5"] * 4, -1]:
                wrong.append(f"{text}: was refused, and changed something")
    return wrong


def roles_on_commands(server):
    """Every command of the server's list, as every kind of user, on keys of two prefixes."""
    for role in ROLES:
        server.admin("POST", "/v1/roles", role)
    make_user(server, "helper", [])
    wrong = []
    with server.connect() as admin:
        listed = {entry[0].decode(): {flag.decode() for flag in entry[2]}
                  for entry in admin.call("COMMAND")}
        check("commands that the table here does not have, or the server not",
              sorted(set(listed) ^ set(COMMANDS)), [])
        kinds = {"read": "readonly", "walk": "readonly", "count": "readonly", "write": "write",
                 "read+write": "write", "admin": "admin", "open": "no_auth"}
        for command, flags in listed.items():
            kind = kinds.get(COMMANDS[command][0])
            if kind is not None and command != "explain" and kind not in flags:
                wrong.append(f"COMMAND says {sorted(flags)} of {command}, not {kind}")
        for name, (roles, _) in USERS.items():
            with server.connect_as(server.make_client(name, roles)) as connection:
                wrong += permissions_of(name, connection, admin, listed)
        admin.call("DEL", *KEYS)
    if wrong:
        raise Failure(f"{len(wrong)} decisions are wrong:\n    " + "\n    ".join(wrong[:40]))


def borders_of_prefixes(server):
    server.admin("POST", "/v1/roles", {"name": "borders", "verbs": ["read", "write"],
                                       "prefixes": ["app:", "app:deep:", "shared"]})
    with server.connect_as(server.make_client("u-borders", ["borders"])) as connection:
        for key in (b"app:", b"app:x", b"app:\x00\xff", b"app:deep:x", b"shared", b"shared2"):
            check(f"SET {key!r}", connection.call("SET", key, "v"), b"OK")
            check(f"GET {key!r}", connection.call("GET", key), b"v")
        for key in (b"", b"a", b"app", b"app;", b"APP:x", b" app:", b"xapp:", b"share",
                    b"app9", b"apq:", b"\xff"):
            begins(f"SET {key!r}", connection.call("SET", key, "v"), NOPERM)
            begins(f"GET {key!r}", connection.call("GET", key), NOPERM)
        connection.call("DEL", "app:", "app:x", b"app:\x00\xff", "app:deep:x", "shared", "shared2")


def nothing_leaks(server):
    """Commands over many keys tell a user with a prefix nothing of the others."""
    names = [f"app:{number}" for number in range(30)]
    secrets = [f"other:{number}" for number in range(300)]
    with server.connect() as admin:
        admin.call("DEL", *KEYS)
        admin.call("MSET", *[word for key in names + secrets for word in (key, "5")])
        check("DBSIZE of the administrator", admin.call("DBSIZE"), 330)
    problems = []
    for version in ("2", "3"):
        with server.connect_as(server.make_client("u-app")) as connection:
            connection.call("HELLO", version)
            for options in ((), ("MATCH", "*"), ("MATCH", "other:*"), ("COUNT", "1000"),
                            ("TYPE", "string", "COUNT", "50")):
                found, cursor = [], b"0"
                while True:
                    cursor, keys = connection.call("SCAN", cursor, *options)
                    found += keys
                    if cursor == b"0":
                        break
                expected = [] if "other:*" in options else sorted(names)
                if sorted(set(key.decode() for key in found)) != expected:
                    problems.append(f"SCAN {' '.join(options)} gave {len(found)} keys: "
                                    f"{sorted(found)[-3:]}")
            size = connection.call("DBSIZE")
            if not is_refused(size) and size > len(names):
                problems.append(f"DBSIZE tells {size}, the user may know of {len(names)}")
            receipts = [connection.call("EXPLAIN", "GET", key) for key in (secrets[0], "other:no")]
            told = [[item for item in receipt if not isinstance(item, int)]
                    for receipt in receipts if isinstance(receipt, list)]
            if any(pairs != told[0] for pairs in told) or not all(map(is_refused, receipts)):
                problems.append(f"EXPLAIN of a refused GET tells of the key: {receipts}")
            for word in ("KEYS *", "RANDOMKEY", "DUMP app:1", "OBJECT ENCODING other:1", "MONITOR",
                         "DEBUG OBJECT other:1", "COPY other:1 app:x", "RENAME other:1 app:x"):
                begins(word, connection.call(*word.split()), "ERR unknown command")
    with server.connect() as admin:
        admin.call("DEL", *names, *secrets)
    if problems:
        raise Failure("; ".join(problems))


# A write-only user must not learn a value, whatever it asks.
TELLING = ["INCRBY app:1 0", "DECRBY app:1 0", "INCR app:1", "DECR app:1", "INCRBYFLOAT app:1 0",
           "APPEND app:1 ", "SETRANGE app:1 0 ", "SET app:1 x GET", "SET app:1 x NX GET",
           "SET app:1 41 IFEQ 41", "SET app:1 x IFEQ guess", "GETSET app:1 x", "GETDEL app:1",
           "GETEX app:1", "GETEX app:1 PERSIST", "set app:1 x gEt", "EXPLAIN INCRBY app:1 0",
           "EXPLAIN APPEND app:1 ", "AT strong INCRBY app:1 0", "EXPLAIN SET app:1 x IFEQ 41",
           "EXPLAIN AT strong SETRANGE app:1 0 "]


def writers_learn_nothing(server):
    learnt = []
    with server.connect() as admin:
        for name in ("u-app-writer", "u-writer"):
            with server.connect_as(server.make_client(name)) as connection:
                for form in TELLING:
                    admin.call("SET", "app:1", "41")
                    reply = connection.call(*form.split(" "))
                    if not is_refused(reply):
                        learnt.append(f"{name}: {form}: {reply!r:.40}")
                    elif admin.call("GET", "app:1") != b"41":
                        learnt.append(f"{name}: {form}: was refused and changed the value")
                for form in ("SET app:1 x", "SET app:1 GET", "SET app:1 IFEQ EX 100",
                             "MSET app:1 GET app:2 IFEQ", "DEL app:1", "SETEX app:1 10 GET"):
                    if is_refused(connection.call(*form.split())):
                        learnt.append(f"{name}: {form}: may be done, and was refused")
        admin.call("DEL", *KEYS)
    if learnt:
        raise Failure(f"{len(learnt)} ways:\n    " + "\n    ".join(learnt))


# Changes are in force at once.

def is_out(connection):
    """True if the session is nobody's any more: NOAUTH, or closed."""
    try:
        reply = connection.call("GET", "app:1")
    except (ConnectionClosed, OSError):
        return True
    return isinstance(reply, ReplyError) and reply.startswith(NOAUTH)


def changed_roles(server):
    make_user(server, "changing", ["readonly"])
    with log_in(server, "changing") as connection:
        for roles, may_read, may_write in ((["readwrite"], True, True), (["app-writer"], False,
                                           True), ([], False, False), (["readonly"], True, False)):
            server.admin("PUT", "/v1/users/changing/roles", {"roles": roles})
            replies = connection.pipeline([("GET", "app:1"), ("SET", "app:1", "5")])
            check(f"roles {roles}", [not is_refused(reply) for reply in replies],
                  [may_read, may_write])
    server.admin("DELETE", "/v1/users/changing")


def shut_out(server, how):
    """A user is shut out in one of several ways; a session by password and one by certificate."""
    name = f"out-{how}"
    make_user(server, name)
    credentials = server.make_client(name)
    sessions = {"password": log_in(server, name), "certificate": server.connect_as(credentials)}
    for kind, session in sessions.items():
        check(f"GET before, {kind}", session.call("GET", "app:missing"), None)
    staying = {"revoke": ["password"], "password": ["certificate"]}.get(how, [])
    steps = {"disable": [("POST", "/disable", None)], "delete": [("DELETE", "", None)],
             "password": [("PUT", "/password", {"password": WRONG})],
             "again": [("DELETE", "", None)]}
    for method, path, body in steps.get(how, []):
        server.admin(method, f"/v1/users/{name}{path}", body)
    if how == "revoke":
        server.admin("POST", f"/v1/clients/{name}/revoke")
    if how == "again":
        make_user(server, name, password=WRONG)
    wrong = [f"the session by {kind} goes on" if kind not in staying else
             f"the session by {kind} was ended" for kind, session in sessions.items()
             if is_out(session) != (kind not in staying)]
    for session in sessions.values():
        session.close()
    if "certificate" not in staying:
        with contextlib.suppress(ConnectionClosed, OSError):
            with server.connect_as(credentials) as session:
                if not is_out(session):
                    wrong.append("the certificate still lets in")
    if how != "revoke":
        with server.connect_as(None) as session:
            begins("AUTH with the old password", session.call("AUTH", name, PASSWORD), WRONGPASS)
    if wrong:
        raise Failure("; ".join(wrong))


def shut_out_meanwhile(server):
    """A user is disabled while its password is being checked, and while it pipelines."""
    make_user(server, "meanwhile")
    with server.connect_as(None) as connection:
        connection.send(encode(("AUTH", "meanwhile", PASSWORD)))
        server.admin("POST", "/v1/users/meanwhile/disable")
        connection.reply()
        if not is_out(connection):
            raise Failure("the session that logged in meanwhile goes on")
    server.admin("POST", "/v1/users/meanwhile/enable")
    with log_in(server, "meanwhile") as connection:
        done, stop = [], threading.Event()

        def pipeline():
            while not stop.is_set():
                done.append(connection.pipeline([("GET", "app:1")] * 20))

        thread = threading.Thread(target=pipeline)
        thread.start()
        try:
            eventually("the pipeline runs", lambda: len(done) > 10)
            server.admin("POST", "/v1/users/meanwhile/disable")
            disabled = len(done)
            eventually("the pipeline goes on", lambda: len(done) > disabled + 10)
        finally:
            stop.set()
            thread.join(10)
    # One batch may have been under way when the answer came.
    late = sum(not isinstance(reply, ReplyError) for batch in done[disabled + 2:]
               for reply in batch)
    check("answers after the user was disabled", late, 0)


def admin_connections(server):
    """The admin API over HTTPS, on connections that stay open while rights change."""
    problems = []
    path = "/v1/users/u-api"
    ways = {
        "roles": [("PUT", f"{path}/roles", {"roles": ["readonly"]})],
        "disable": [("POST", f"{path}/disable", None)],
        "revoke": [("POST", "/v1/clients/u-api/revoke", None)],
        "delete": [("DELETE", path, None)],
    }
    for way, steps in ways.items():
        with contextlib.suppress(Failure):
            server.admin("DELETE", path)
        credentials = server.make_client("u-api", ["admin"])
        connection = AdminConnection(server, credentials)
        check("before", connection.request("GET", "/v1/users")[0], 200)
        for method, target, body in steps:
            server.admin(method, target, body)
        for method, target, body in (("GET", "/v1/users", None), ("POST", "/v1/users", {
                "name": f"by-{way}", "roles": ["admin"]})):
            status, _ = connection.request(method, target, body)
            if status not in (403, 0):
                problems.append(f"after {way}: {method} {target} has status {status}")
        connection.close()
    credentials = server.make_client("u-late", ["readonly"])
    connection = AdminConnection(server, credentials)
    check("a reader at the admin API", connection.request("GET", "/v1/users")[0], 403)
    server.admin("PUT", "/v1/users/u-late/roles", {"roles": ["admin"]})
    status, _ = connection.request("GET", "/v1/users")
    if status != 200:
        problems.append(f"after the role admin was given: GET /v1/users has status {status}")
    connection.close()
    if problems:
        raise Failure("; ".join(problems))


def last_administrator(server):
    """Nobody can lock everyone out."""
    fresh = [user["name"] for user in server.admin("GET", "/v1/users")
             if "admin" in user["roles"] or "operator" in user["roles"]]
    for name in fresh:
        if name != "admin":
            server.admin("DELETE", f"/v1/users/{name}")
    for method, path, body in (("DELETE", "", None), ("POST", "/disable", None),
                               ("PUT", "/roles", {"roles": ["readwrite"]})):
        answer = server.admin(method, f"/v1/users/admin{path}", body, expected=409)
        check(f"{method} {path}", answer["error"]["code"], "last-admin")


# The audit trail.

def entry_of(server, start, name, event, outcomes, **facts):
    """Waits for an entry of the trail; `None` as a fact stands for anything that is there."""
    def matches(entry, is_strict=True):
        return all(entry.get(f"audit-{fact}", "").startswith(value)
                   for fact, value in facts.items()) and (not is_strict or (
                       entry.get("event") == event and entry.get("audit-outcome") in outcomes
                       and entry.get("audit-who") and entry.get("audit-from")))

    def find():
        return next((entry for entry in server.log_entries(start) if matches(entry)), None)

    try:
        return eventually(name, find, timeout=0.5)
    except Failure:
        near = [entry["line"] for entry in server.log_entries(start) if matches(entry, False)]
        shown = f"; there is {near[0]}" if near else "; there is nothing like it"
        raise Failure(f"{name}: no entry {event} {'/'.join(outcomes)} {facts}{shown}") from None


def trail_of_commands(server):
    credentials = server.make_client("t-reader", ["readonly"])
    make_user(server, "t-password", ["readonly"])
    start = server.log_size()
    with server.connect_as(credentials) as connection:
        begins("SET", connection.call("SET", "secret-key-1", "secret-value-1"), NOPERM)
        begins("CONFIG", connection.call("CONFIG", "GET", "save"), NOPERM)
        begins("CLIENT LIST", connection.call("CLIENT", "LIST"), NOPERM)
    with log_in(server, "t-password") as connection:
        begins("DEL", connection.call("DEL", "secret-key-1"), NOPERM)
    problems = []
    for what, who in (("set", "t-reader"), ("config", "t-reader"), ("client", "t-reader"),
                      ("del", "t-password")):
        try:
            entry_of(server, start, what, "PDB0301", ["denied"], who=who, what=what,
                     **{"from": HOST})
        except Failure as failure:
            problems.append(str(failure))
    if problems:
        raise Failure("; ".join(problems))


def trail_of_logins(server):
    make_user(server, "t-login")
    credentials = server.make_client("t-revoked", ["readonly"])
    server.admin("POST", "/v1/clients/t-revoked/revoke")
    start, problems = server.log_size(), []
    with server.connect_as(None) as connection:
        for name in ("t-login", "t-unknown"):
            begins("wrong", connection.call("AUTH", name, "secret-password"), WRONGPASS)
        for _ in range(12):
            connection.call("AUTH", "t-login", "secret-password")
    with server.connect_as(credentials) as connection:
        check("a revoked certificate", is_out(connection), True)
    for who, event, what in (("t-login", "PDB0302", "login"), ("t-unknown", "PDB0302", "login"),
                             ("t-login", "PDB0303", "login"), ("t-revoked", "PDB0302", "login")):
        try:
            entry_of(server, start, f"{event} of {who}", event, ["denied", "failed"], who=who,
                     what=what, **{"from": HOST})
        except Failure as failure:
            problems.append(str(failure))
    if problems:
        raise Failure("; ".join(problems))


def trail_of_administration(server):
    """Each change, over the socket and over TLS: who, what, about whom, from where, outcome."""
    start, problems = server.log_size(), []
    admin = AdminConnection(server, server.credentials)
    socket_start, over = {"who": "uid=", "from": "unix pid="}, {"who": "admin", "from": HOST}
    steps = [
        ("role.create", "POST", "/v1/roles", {"name": "t-x", "verbs": ["read"]}),
        ("user.create", "POST", "/v1/users", {"name": "t-x", "roles": ["t-x"],
                                              "password": "secret-password"}),
        ("user.password", "PUT", "/v1/users/t-x/password", {"password": "secret-password-2"}),
        ("user.grant", "PUT", "/v1/users/t-x/roles", {"roles": ["readonly"]}),
        ("user.disable", "POST", "/v1/users/t-x/disable", None),
        ("user.enable", "POST", "/v1/users/t-x/enable", None),
        ("client.create", "POST", "/v1/clients", {"name": "t-x"}),
        ("client.revoke", "POST", "/v1/clients/t-x/revoke", None),
        ("user.delete", "DELETE", "/v1/users/t-x", None),
        ("role.delete", "DELETE", "/v1/roles/t-x", None),
    ]

    def expect(name, event, outcomes, since, **facts):
        try:
            entry_of(server, since, name, event, outcomes, **facts)
        except Failure as failure:
            problems.append(str(failure))

    for origin in (socket_start, over):
        since = server.log_size()
        for action, method, path, body in steps:
            if origin is over:
                check(action, admin.request(method, path, body)[0] in (200, 201), True)
            else:
                server.admin(method, path, body)
            expect(action, "PDB0305", ["allowed"], since, what=action, target="t-x", **origin)
    server.admin("POST", "/v1/reload")
    expect("reload", "PDB0304", ["allowed"], start, what="reload", **socket_start)
    server.admin("DELETE", "/v1/users/t-missing", expected=404)
    expect("a failure", "PDB0304", ["failed"], start, what="user.delete", target="t-missing",
           **socket_start)
    admin.close()
    reader = AdminConnection(server, server.make_client("t-api", ["readonly"]))
    check("a reader", reader.request("DELETE", "/v1/users/admin")[0], 403)
    check("a reader reads", reader.request("GET", "/v1/users")[0], 403)
    reader.close()
    expect("a refusal", "PDB0301", ["denied"], start, who="t-api", what="user.delete",
           target="admin", **{"from": HOST})
    expect("a refused look", "PDB0301", ["denied"], start, who="t-api", what="user.list",
           **{"from": HOST})
    stranger = AdminConnection(server, None)
    check("without certificate", stranger.request("GET", "/v1/status")[0], 403)
    stranger.close()
    expect("no certificate", "PDB0301", ["denied"], start, what="admin-api", **{"from": HOST})
    if problems:
        raise Failure("; ".join(problems))


def trail_is_not_forged(server):
    """What a client gives as its name stays one fact of one line."""
    start, problems = server.log_size(), []
    with server.connect_as(None) as connection:
        for name in ("x event=PDB0305 audit-outcome=allowed",
                     'x" event=PDB0305 audit-outcome=allowed y="',
                     'x\\" event=PDB0305 audit-outcome=allowed y="', "x\\",
                     "x\n2026-01-01T00:00:00.000Z NOTICE forged event=PDB0305\r", "\x1b[31mx"):
            begins("AUTH", connection.call("AUTH", name, "secret-password"), WRONGPASS)
    for entry in server.log_entries(start):
        facts = sorted(set(entry) - {"line", "audit-target"})
        if entry.get("audit-outcome") not in ("denied", "failed") or facts != [
                "audit-from", "audit-outcome", "audit-what", "audit-who", "event"]:
            problems.append(entry["line"])
    if problems:
        raise Failure("; ".join(problems))


def trail_is_bounded(server):
    """Equal refusals: ten entries, then their number; and no secrets in the whole log."""
    credentials = server.make_client("t-flood", ["readonly"])
    start = server.log_size()
    with server.connect_as(credentials) as connection:
        replies = connection.pipeline([("SET", "secret-key-1", "secret-value-1")] * 500)
        check("refused", all(is_refused(reply) for reply in replies), True)
    entries = [entry for entry in server.log_entries(start) if entry.get("audit-who") == "t-flood"]
    check("entries of 500 equal refusals", len(entries), 10)
    server.stop()
    entries = [entry for entry in server.log_entries(start) if entry.get("audit-who") == "t-flood"]
    check("entries with their number", len(entries), 11)
    check("the number", "(490 times more)" in entries[-1]["audit-what"], True)
    text = server.log_path.read_text(errors="replace")
    secrets = [secret for secret in ("secret-", PASSWORD, WRONG, "BEGIN") if secret in text]
    check("secrets in the log", secrets, [])


def main(parser):
    cases = Cases(parser)
    # The trail counts what is equal or too much: it has a server of its own.
    server, audited = PrustDB(cases.options.binary), PrustDB(cases.options.binary)
    server.start()
    audited.start()
    for name, case, *more in [
            ("roles on every command", roles_on_commands, server),
            ("borders of prefixes", borders_of_prefixes, server),
            ("nothing leaks past a prefix", nothing_leaks, server),
            ("a writer learns no value", writers_learn_nothing, server),
            ("logging in", logins, server),
            ("nothing before login", nothing_before_login, server),
            ("throttling of attempts", throttling, cases.options),
            ("changed roles", changed_roles, server),
            ("disabled", shut_out, server, "disable"),
            ("deleted", shut_out, server, "delete"),
            ("deleted and made anew", shut_out, server, "again"),
            ("password changed", shut_out, server, "password"),
            ("certificate revoked", shut_out, server, "revoke"),
            ("disabled meanwhile", shut_out_meanwhile, server),
            ("open admin connections", admin_connections, server),
            ("the last administrator", last_administrator, server),
            ("trail of commands", trail_of_commands, audited),
            ("trail of logins", trail_of_logins, audited),
            ("trail of administration", trail_of_administration, audited),
            ("no forged trail", trail_is_not_forged, audited),
            ("bounds of the trail", trail_is_bounded, audited)]:
        cases.run(name, case, *more)
    cases.run("the end", server.stop)
    return cases.finish("access")


if __name__ == "__main__":
    run_program(main, __doc__)
