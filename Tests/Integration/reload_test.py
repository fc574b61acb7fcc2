#!/usr/bin/env python3
"""New certificates, keys, authorities and settings on a running node, by SIGHUP and admin API.

The openssl program signs what is needed with the node's own CA. Whatever a reload refuses, it
names, and what was in use before stays in use.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import time

from harness import (HOST, AdminConnection, Cases, Failure, PrustDB, WrappedConnection, check,
                     eventually, run_program, temporary_directory)
from resp import ConnectionClosed

DAY = 86_400
CONFIGURATION = """
[ca]
default_ca = here
[here]
database = {directory}/database
new_certs_dir = {directory}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[node]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
subjectAltName = {names}
[authority]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
"""


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Failure(f"openssl {arguments[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout


class Issuer:
    """Makes certificates: of the node's own CA, or of a new one."""

    def __init__(self, certificate=None, key=None, name="New CA"):
        self.directory = temporary_directory("issuer")
        (self.directory / "database").touch()
        self.certificate, self.key = certificate, key
        if certificate is None:
            self.certificate, self.key = self.directory / "ca.crt", self.directory / "ca.key"
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-keyout", self.key, "-out", self.certificate, "-days", "30",
                    "-subj", f"/CN={name}", "-config", self.configuration("IP:127.0.0.1"),
                    "-extensions", "authority")
        self.count = 0

    def configuration(self, names):
        path = self.directory / "openssl.cnf"
        path.write_text(CONFIGURATION.format(directory=self.directory, names=names)
                        + "[req]\ndistinguished_name = any\n")
        return path

    def issue(self, uri, names="IP:127.0.0.1,DNS:localhost", begins=-300, ends=DAY):
        """Returns (certificate, key): paths of fresh PEM files. Times are seconds from now."""
        self.count += 1
        certificate, key, request = (self.directory / f"{self.count}.{end}"
                                     for end in ("crt", "key", "csr"))
        dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))
                 for seconds in (begins, ends)]
        configuration = self.configuration(",".join(
            part for part in (f"URI:{uri}" if uri else "", names) if part))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                key, "-out", request, "-subj", "/CN=test", "-config", configuration)
        openssl("ca", "-batch", "-notext", "-config", configuration, "-extensions", "node",
                "-cert", self.certificate, "-keyfile", self.key, "-in", request, "-out",
                certificate, "-startdate", dates[0], "-enddate", dates[1])
        key.chmod(0o600)
        return certificate, key


def put(source, target):
    """Replaces a file in one step, as an operator should; keeps the mode."""
    fresh = target.with_name(target.name + ".fresh")
    shutil.copy(source, fresh)
    os.replace(fresh, target)


def serial_of(path):
    return openssl("x509", "-noout", "-serial", "-in", path).strip().partition("=")[2].lower()


def handshake(server, credentials, authority=None):
    """Connects; returns (connection, serial of the node's certificate in hexadecimal digits)."""
    context = ssl.create_default_context(cafile=str(authority or server.credentials / "ca.crt"))
    if credentials is not None:
        context.load_cert_chain(*credentials)
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(dial(server))
        wrapped = context.wrap_socket(plain, server_hostname=HOST)
        stack.pop_all()
    number = wrapped.getpeercert()["serialNumber"].lower()
    return WrappedConnection(wrapped), number


def dial(server):
    return socket.create_connection((HOST, server.port), timeout=5)


class Node:
    """A running node with what the cases need: its files, its CA and the first administrator."""

    def __init__(self, options):
        self.server = PrustDB(options.binary)
        self.server.start()
        identity = self.server.data_directory / "identity"
        self.certificate, self.key = identity / "node.crt", identity / "node.key"
        self.trust = identity / "ca.crt"
        ca = self.server.data_directory / "ca"
        self.issuer = Issuer(ca / "ca.crt", ca / "ca.key")
        self.admin = (self.server.credentials / "client.crt",
                      self.server.credentials / "client.key")
        text = openssl("x509", "-noout", "-ext", "subjectAltName", "-in", self.certificate)
        self.uri = next(word.strip(",")[4:] for word in text.split() if word.startswith("URI:"))

    def served(self, authority=None, credentials=None):
        """Returns the serial number that a new connection sees."""
        connection, serial = handshake(self.server, credentials or self.admin, authority)
        with connection:
            check("PING", connection.call("PING"), b"PONG")
        return serial

    def use(self, certificate=None, key=None, trust=None):
        for source, target in ((key, self.key), (certificate, self.certificate),
                               (trust, self.trust)):
            if source is not None:
                put(source, target)

    def hang_up(self, expected="PDB0005"):
        """Sends SIGHUP and returns the entry with which the reload ended."""
        start = self.server.log_size()
        self.server.process.send_signal(signal.SIGHUP)

        def end():
            return next((entry for entry in self.server.log_entries(start)
                         if entry.get("event") in ("PDB0005", "PDB0006")), None)

        entry = eventually("an entry of the reload", end)
        if entry["event"] != expected:
            raise Failure(f"expected {expected} after SIGHUP, found: {entry['line']}")
        return entry

    def reload(self, expected=200):
        return self.server.admin("POST", "/v1/reload", expected=expected)

    @contextlib.contextmanager
    def refusing(self, name, *words, certificate=None, key=None, trust=None, why=()):
        """Replaces files by bad ones: both ways to reload refuse, name them and change nothing."""
        kept = self.server.directory / "kept"
        kept.mkdir(exist_ok=True)
        files = (self.certificate, self.key, self.trust)
        for path in files:
            shutil.copy(path, kept / path.name)
        before = serial_of(self.certificate)
        open_one, _ = handshake(self.server, self.admin)
        try:
            self.use(certificate, key, trust)
            yield
            reason = self.hang_up("PDB0006").get("reason", "")
            message = self.reload(expected=409)["error"]
            check(f"{name}: code", message["code"], "reload-failed")
            for text in (reason, message["message"]):
                missing = [word for word in (*map(str, words), *why) if word not in text]
                if missing:
                    raise Failure(f"{name}: {missing} is not in the reason: {text}")
            check(f"{name}: what new connections see", self.served(), before)
            check(f"{name}: an old connection", open_one.call("PING"), b"PONG")
        finally:
            open_one.close()
            for path in files:
                put(kept / path.name, path)
        self.hang_up()
        check(f"{name}: afterwards", self.served(), before)


# The node's certificate.

def new_certificate(node):
    """New connections see the new one at once, old ones go on; by signal and by admin API."""
    before = node.served()
    old, _ = handshake(node.server, node.admin)
    old_admin = AdminConnection(node.server, node.server.credentials)
    check("status", old_admin.request("GET", "/v1/status")[0], 200)
    check("nothing changed", node.reload()["certificateChanged"], False)
    serials = {before}
    for way in ("signal", "admin API", "signal, chain", "admin API over TLS"):
        certificate, key = node.issuer.issue(node.uri, ends=40 * DAY + len(serials) * DAY)
        if "chain" in way:
            certificate.write_text(certificate.read_text()
                                   + node.issuer.certificate.read_text())
        node.use(certificate, key)
        check("before the reload", node.served() in serials, True)
        if way.startswith("signal"):
            check("changed", node.hang_up()["certificate-changed"], "true")
        elif "TLS" in way:
            status, report = old_admin.request("POST", "/v1/reload")
            check("status of the reload", status, 200)
            check("changed", report["certificateChanged"], True)
        else:
            report = node.reload()
            check("changed", report["certificateChanged"], True)
            if abs(report["certificateNotAfter"] - time.time() - 41 * DAY) > 2 * DAY:
                raise Failure(f"the report says {report['certificateNotAfter']} for the end")
        expected = serial_of(certificate)
        check(f"a new connection after {way}", node.served(), expected)
        check("an old connection", old.call("SET", "k", way), b"OK")
        check("an old admin connection", old_admin.request("GET", "/v1/status")[0], 200)
        serials.add(expected)
    end = node.server.admin("GET", "/v1/status")["certificateNotAfter"]
    check("the status", abs(end - time.time() - 43 * DAY) < 2 * DAY, True)
    old.close()
    old_admin.close()


def mismatched_pair(node):
    certificate, key = node.issuer.issue(node.uri)
    other = node.issuer.issue(node.uri)[1]
    with node.refusing("the key of another", node.key, certificate=certificate, key=other):
        pass
    with node.refusing("only the certificate", node.key, certificate=certificate):
        pass
    with node.refusing("only the key", node.key, key=key):
        pass


def bad_certificates(node):
    """Expired, not yet valid, of a stranger's CA, a client's, without a name of ours, no PEM."""
    stranger = Issuer(name="Stranger")
    plain = node.server.directory / "plain.txt"
    plain.write_text("not a certificate\n")
    empty = node.server.directory / "empty.pem"
    empty.write_text("")
    for name, pair, why in [
            ("expired", node.issuer.issue(node.uri, begins=-2 * DAY, ends=-DAY), ["expired"]),
            ("not yet valid", node.issuer.issue(node.uri, begins=DAY, ends=2 * DAY),
             ["not valid before"]),
            ("of another CA", stranger.issue(node.uri), ["issuer"]),
            ("of a client", node.issuer.issue("prustdb://client/admin"),
             ["subject alternative name"]),
            ("without a name of ours", node.issuer.issue(None), ["subject alternative name"]),
            ("with two", node.issuer.issue(f"{node.uri},URI:prustdb://client/admin"),
             ["subject alternative name"])]:
        with node.refusing(name, node.certificate, certificate=pair[0], key=pair[1], why=why):
            pass
    for name, source in (("no PEM", plain), ("empty", empty)):
        with node.refusing(f"certificate: {name}", node.certificate, certificate=source):
            pass
        with node.refusing(f"key: {name}", node.key, key=source):
            pass
        with node.refusing(f"CA: {name}", node.trust, trust=source):
            pass
    with node.refusing("a CA that is none", node.trust, trust=pair[0]):
        pass


def bad_files(node):
    """A key that others can read, files that are missing."""
    with node.refusing("a key for all", node.key):
        node.key.chmod(0o644)
    for path in (node.certificate, node.key, node.trust):
        with node.refusing(f"without {path.name}", path):
            path.unlink()


def another_node(node):
    """A good certificate of this CA, but of another node's ID, is refused."""
    uri = "prustdb://node/" + "".join("%02x" % byte for byte in os.urandom(32))
    certificate, key = node.issuer.issue(uri)
    with node.refusing("of another node", node.certificate, certificate=certificate, key=key):
        pass


# The authorities.

def is_let_in(node, credentials, authority):
    """True if a client with these credentials may run commands."""
    try:
        connection, _ = handshake(node.server, credentials, authority)
        with connection:
            return connection.call("PING") == b"PONG"
    except (OSError, ConnectionClosed):
        return False


def resumed(node, session):
    """Connects with a session of before; returns (PING was answered, session was resumed)."""
    context, old = session
    try:
        with dial(node.server) as plain, context.wrap_socket(
                plain, server_hostname=HOST, session=old) as wrapped:
            connection = WrappedConnection(wrapped)
            return connection.call("PING") == b"PONG", wrapped.session_reused
    except (OSError, ConnectionClosed, ValueError):
        return False, False


def session_of(node, credentials, authority):
    context = ssl.create_default_context(cafile=str(authority))
    context.load_cert_chain(*credentials)
    with dial(node.server) as plain, context.wrap_socket(plain,
                                                             server_hostname=HOST) as wrapped:
        check("PING", WrappedConnection(wrapped).call("PING"), b"PONG")
        return context, wrapped.session


def rotation_of_authorities(node):
    """Old CA, both, the new one alone: clients are let in by what is in force at the time."""
    fresh = Issuer(name="Fresh CA")
    both = fresh.directory / "both.pem"
    both.write_text(node.issuer.certificate.read_text() + fresh.certificate.read_text())
    old_client, new_client = node.admin, fresh.issue("prustdb://client/admin")
    old_ca, new_ca = node.server.credentials / "ca.crt", fresh.certificate
    check("old client", is_let_in(node, old_client, old_ca), True)
    check("new client before", is_let_in(node, new_client, old_ca), False)
    node.use(trust=both)
    check("new client before the reload", is_let_in(node, new_client, old_ca), False)
    node.hang_up()
    check("old client, both CAs", is_let_in(node, old_client, old_ca), True)
    check("new client, both CAs", is_let_in(node, new_client, old_ca), True)
    check("a session goes on", resumed(node, session_of(node, old_client, both)), (True, True))
    session = session_of(node, old_client, both)
    staying, _ = handshake(node.server, new_client, old_ca)
    # The node's own certificate must be of a CA that is trusted.
    with node.refusing("the new CA with the old certificate", node.certificate,
                       trust=fresh.certificate, why=["issuer"]):
        pass
    node.use(*fresh.issue(node.uri), trust=fresh.certificate)
    node.reload()
    check("old client, new CA", is_let_in(node, old_client, new_ca), False)
    check("new client, new CA", is_let_in(node, new_client, new_ca), True)
    check("a session of the old client", resumed(node, session), (False, False))
    check("a connection of before", staying.call("PING"), b"PONG")
    staying.close()
    node.use(*node.issuer.issue(node.uri), trust=node.issuer.certificate)
    node.hang_up()
    check("old client again", is_let_in(node, old_client, old_ca), True)
    check("new client again", is_let_in(node, new_client, old_ca), False)


# Many at once.

def concurrent_reloads(node):
    """Reloads by both ways, all at once, while files change: the newest are in force at the end."""
    pairs = [node.issuer.issue(node.uri, ends=(2 + number) * DAY) for number in range(4)]
    serials = [serial_of(certificate) for certificate, _ in pairs]
    stale, turns = [], 100

    def by_admin():
        with contextlib.closing(AdminConnection(node.server, over_socket=True)) as connection:
            return connection.request("POST", "/v1/reload")[0]

    start = node.server.log_size()
    with concurrent.futures.ThreadPoolExecutor(12) as executor:
        for turn in range(turns):
            certificate, key = pairs[turn % len(pairs)]
            shutil.copy(certificate, node.certificate.with_name("next.crt"))
            shutil.copy(key, node.key.with_name("next.key"))
            # Some are under way with the old files when the new ones come.
            early = [executor.submit(by_admin) for _ in range(8)]
            node.server.process.send_signal(signal.SIGHUP)
            time.sleep(turn % 10 / 2000)
            os.replace(node.key.with_name("next.key"), node.key)
            os.replace(node.certificate.with_name("next.crt"), node.certificate)
            late = [executor.submit(by_admin) for _ in range(2)]
            node.server.process.send_signal(signal.SIGHUP)
            check("statuses of reloads after the change",
                  {future.result() for future in late}, {200})
            check("statuses of reloads before it",
                  {future.result() for future in early} <= {200, 409}, True)
            found = node.served()
            if found != serials[turn % len(pairs)]:
                stale.append(turn)
    entries = [entry for entry in node.server.log_entries(start)
               if entry.get("event") in ("PDB0005", "PDB0006")]
    if len(entries) < turns * 10:
        raise Failure(f"{len(entries)} entries of {turns * 10} reloads by the admin API")
    node.hang_up()
    check("what the last one serves", node.served(), serials[(turns - 1) % len(pairs)])
    if stale:
        raise Failure(f"after {len(stale)} of {turns} turns the certificate of before was served, "
                      "though the new one had been reloaded")


def reload_under_load(node):
    """A client that writes all the time notices nothing of two hundred reloads."""
    pairs = [node.issuer.issue(node.uri) for _ in range(2)]
    written = []

    def write(connection):
        while len(written) < 100_000:
            if connection.call("SET", "counter", len(written)) != b"OK":
                return False
            written.append(1)
            if len(done) == 200:
                return True
        return False

    done = []
    connection = node.server.connect()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        writer = executor.submit(write, connection)
        eventually("the client writes", lambda: len(written) > 10)
        for turn in range(200):
            if turn % 20 == 0:
                node.use(*pairs[turn // 20 % 2])
            done.append(node.reload())
        check("the client that writes", writer.result(), True)
    connection.close()
    before = node.server.open_files()
    for _ in range(50):
        node.reload()
    eventually("no file stays open", lambda: node.server.open_files() <= before)


# Settings and users.

def settings(options):
    """What a reload takes up and what it names for a restart; a bad file changes nothing."""
    server = PrustDB(options.binary)
    server.start()
    server.stop()
    path = server.directory / "prustdb.yaml"

    def write(**more):
        path.write_text(
            f"data-dir: {server.data_directory}\nlisten: {HOST}:{server.port}\n"
            f"advertise: {HOST}:{server.port}\nmetrics.listen: {HOST}:{server.metrics_port}\n"
            + "".join(f"{name.replace('_', '.', 1).replace('_', '-')}: {value}\n"
                      for name, value in more.items()))

    write(auth_attempts=3)
    server.command = lambda: [str(server.binary), "--config", str(path)]
    server.start()
    check("no changes", server.admin("POST", "/v1/reload").get("changes", []), [])
    write(auth_attempts=5, limits_connections=77)
    changes = str(server.admin("POST", "/v1/reload")["changes"])
    check("names both", ("auth.attempts" in changes, "limits.connections" in changes),
          (True, True))

    def value(name):
        found = {entry["name"]: entry["value"] for entry in server.admin("GET", "/v1/settings")}
        return str(found[name])

    check("in force", value("auth.attempts"), "5")
    check("waits for the restart", value("limits.connections") != "77", True)
    write(auth_attempts="many")
    answer = server.admin("POST", "/v1/reload", expected=409)["error"]["message"]
    if "auth.attempts" not in answer or "prustdb.yaml" not in answer:
        raise Failure(f"a bad setting: the file or the setting is not named: {answer}")
    check("still in force", value("auth.attempts"), "5")
    access = pathlib.Path(server.data_directory) / "identity" / "access.json"
    good = access.read_text()
    write(auth_attempts=6)
    access.write_text(good[:-20])
    answer = server.admin("POST", "/v1/reload", expected=409)["error"]["message"]
    check("a broken file of users is named", "access.json" in answer, True)
    check("all or nothing", value("auth.attempts"), "5")
    access.write_text(good)
    reader = server.make_client("reader", ["readonly"])
    with server.connect_as(reader) as connection:
        refused = connection.call("SET", "k", "v")
        check("a reader writes", str(refused).startswith("NOPERM"), True)
        text = access.read_text()
        access.write_text(text.replace('"readonly"', '"readwrite"'))
        check("before the reload", connection.call("SET", "k", "v"), refused)
        server.admin("POST", "/v1/reload")
        check("after the reload", connection.call("SET", "k", "v"), b"OK")
    check("in force at last", value("auth.attempts"), "6")
    server.stop()


def main(parser):
    cases = Cases(parser)
    node = Node(cases.options)
    for name, case, *more in [
            ("a new certificate", new_certificate, node),
            ("a mismatched pair", mismatched_pair, node),
            ("bad certificates", bad_certificates, node),
            ("bad files", bad_files, node),
            ("the certificate of another node", another_node, node),
            ("rotation of the CA", rotation_of_authorities, node),
            ("many reloads at once", concurrent_reloads, node),
            ("reloads under load", reload_under_load, node),
            ("settings and users", settings, cases.options)]:
        cases.run(name, case, *more)
    cases.run("the end", node.server.stop)
    return cases.finish("reload")


if __name__ == "__main__":
    run_program(main, __doc__)
