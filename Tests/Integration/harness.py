"""Starts and stops the servers under test, each in a directory of its own, on loopback only.

`PrustDB` is the daemon of this project. `Redis` is Debian's redis-server: the reference of the
differential test, the peer of the benchmark, and a stand-in with which every test here can be
tried without the daemon (`--server redis`).
"""

import argparse
import atexit
import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from resp import Connection, ConnectionClosed

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
OPEN_FILES_WANTED = 20000


class Failure(Exception):
    """A test found something wrong; the message says what."""


def check(name, found, expected):
    if found != expected:
        raise Failure(f"{name}: expected {expected!r:.200}, found {found!r:.200}")


def eventually(name, condition, timeout=5.0):
    """Waits until the condition gives something true, which is returned."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failure(f"{name}: not within {timeout:g} s")
        time.sleep(0.005)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def temporary_directory(prefix):
    """Returns a directory that is removed when the program ends."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"prustdb-{prefix}-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def raise_open_files():
    """Raises the soft limit on open files as far as the hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else OPEN_FILES_WANTED
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def make_test_certificates(directory):
    """Makes a CA, a server and a client certificate with openssl, for the stand-in only."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2",
            "-subj", "/CN=test CA")
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
                            ("client", "extendedKeyUsage=clientAuth")):
        (directory / f"{name}.ext").write_text(extension + "\n")
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.crt")


class Server:
    """What both servers have in common: a process, a TLS port and a client's credentials."""

    name = "server"

    def __init__(self):
        self.process = None
        self.port = free_port()
        self.log_path = None
        self.credentials = None
        atexit.register(self.stop_quietly)

    def command(self):
        raise NotImplementedError

    def is_ready(self):
        raise NotImplementedError

    def start(self, timeout=60.0):
        """Starts the process, waits until it serves, returns the seconds that this took."""
        began = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=self.environment())
        while not self.is_ready():
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended with status {self.process.returncode} at start:\n"
                              + self.log_tail())
            if time.monotonic() - began > timeout:
                raise Failure(f"{self.name} was not ready after {timeout:.0f} s:\n"
                              + self.log_tail())
            time.sleep(0.002)
        return time.monotonic() - began

    def environment(self):
        return dict(os.environ)

    def log_tail(self, lines=20):
        text = pathlib.Path(self.log_path).read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in text[-lines:])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout=60.0):
        """Ends the process with SIGTERM and returns the seconds that this took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"{self.name} did not end within {timeout:.0f} s of SIGTERM") from None
        if status != 0:
            raise Failure(f"{self.name} ended with status {status} after SIGTERM:\n"
                          + self.log_tail())
        return time.monotonic() - began

    def stop_quietly(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def context(self, with_certificate=True):
        """Returns a TLS context that checks the server, as a client of the network would."""
        context = ssl.create_default_context(cafile=str(self.credentials / "ca.crt"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if with_certificate:
            context.load_cert_chain(self.credentials / "client.crt",
                                    self.credentials / "client.key")
        return context

    def connect(self, timeout=30.0):
        return Connection(HOST, self.port, self.context(), timeout)

    def redis_tool_arguments(self):
        """Returns the arguments with which redis-cli and redis-benchmark reach this server."""
        return ["-h", HOST, "-p", str(self.port), "--tls",
                "--cacert", str(self.credentials / "ca.crt"),
                "--cert", str(self.credentials / "client.crt"),
                "--key", str(self.credentials / "client.key")]

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def metrics(self):
        """Returns the metrics as a dictionary of sample to value; empty without an endpoint."""
        return {}


class PrustDB(Server):
    """The daemon, founding a one-node cluster in an empty directory."""

    name = "prustdb"

    def __init__(self, binary=None, directory=None, arguments=(), variables=()):
        super().__init__()
        self.variables = dict(variables)  # Settings as variables of the environment.
        self.binary = pathlib.Path(binary or default_binary())
        if not os.access(self.binary, os.X_OK):
            raise Failure(f"{self.binary}: no such program (build it, or name it with --binary)")
        self.directory = pathlib.Path(directory or temporary_directory("node"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self.credentials = self.directory / "client"
        self.data_directory = self.directory / "node1"
        self.log_path = self.directory / "node1.log"
        self.metrics_port = free_port()
        self.arguments = list(arguments)

    def command(self):
        return [str(self.binary), "--data-dir", str(self.data_directory),
                "--client-dir", str(self.credentials), "--port", str(self.port),
                "--metrics-listen", f"{HOST}:{self.metrics_port}", *self.arguments]

    def environment(self):
        # Under systemd these would make the daemon talk to the service manager of this session.
        drop = {"NOTIFY_SOCKET", "INVOCATION_ID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID",
                "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY"}
        kept = {name: value for name, value in os.environ.items()
                if name not in drop and not name.startswith("PRUSTDB_")}
        return kept | self.variables

    def context_of(self, credentials):
        """Returns a TLS context with the certificate in a directory; `None` is none."""
        context = self.context(with_certificate=False)
        if credentials is not None:
            context.load_cert_chain(credentials / "client.crt", credentials / "client.key")
        return context

    def connect_as(self, credentials, source=HOST, timeout=10.0):
        """Connects with the certificate in a directory, or none, from an address of loopback."""
        plain = socket.create_connection((HOST, self.port), timeout, source_address=(source, 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.ExitStack() as stack:
            stack.callback(plain.close)
            wrapped = self.context_of(credentials).wrap_socket(plain, server_hostname=HOST)
            stack.pop_all()
        return WrappedConnection(wrapped)

    def admin(self, method, path, body=None, expected=None):
        """Sends one request over the admin socket; returns the answer if it has the status."""
        with contextlib.closing(AdminConnection(self, over_socket=True)) as connection:
            status, answer = connection.request(method, path, body)
        if status not in ((200, 201) if expected is None else (expected,)):
            raise Failure(f"{method} {path}: status {status}: {answer}")
        return answer

    def make_client(self, name, roles=None):
        """Signs a certificate for a user; returns the directory of its credentials."""
        body = {"name": name} | ({} if roles is None else {"roles": list(roles)})
        answer = self.admin("POST", "/v1/clients", body)
        directory = self.directory / f"client-{answer['serial']}"
        directory.mkdir()
        for file, part in (("client.crt", "certificate"), ("client.key", "key"),
                           ("ca.crt", "ca")):
            (directory / file).write_text(answer[part])
        return directory

    def log_size(self):
        return os.stat(self.log_path).st_size

    def log_entries(self, start=0):
        """Returns the facts of each line that was logged after an offset, as dictionaries."""
        with open(self.log_path, "rb") as log:
            log.seek(start)
            lines = log.read().decode(errors="replace").splitlines()
        return [{name: quoted if plain == "" else plain
                 for name, quoted, plain in LOG_FACT.findall(line)} | {"line": line}
                for line in lines]

    def http(self, path, timeout=5.0):
        url = f"http://{HOST}:{self.metrics_port}{path}"
        with urllib.request.urlopen(url, timeout=timeout) as response:
            return response.read().decode()

    def is_ready(self):
        try:
            self.http("/readyz", timeout=1.0)
            return True
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def metrics(self):
        samples = {}
        for line in self.http("/metrics", timeout=30.0).splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                with contextlib.suppress(ValueError):
                    samples[name] = float(value)
        return samples


LOG_FACT = re.compile(r' ([a-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^ "]\S*))')


class WrappedConnection(Connection):
    """A connection over a socket that was made elsewhere."""

    def __init__(self, ready):  # pylint: disable=super-init-not-called
        self.socket = ready
        self.buffer = bytearray()


class AdminConnection:
    """An open connection to the admin API, over TLS or the Unix socket; never opened again."""

    def __init__(self, server, credentials=None, over_socket=False, timeout=10.0):
        if over_socket:
            self.http = http.client.HTTPConnection("localhost", timeout=timeout)
            self.http.sock = socket.socket(socket.AF_UNIX)
            self.http.sock.settimeout(timeout)
            self.http.sock.connect(str(server.data_directory / "admin.sock"))
        else:
            context = server.context_of(credentials)
            context.set_alpn_protocols(["http/1.1"])
            self.http = http.client.HTTPSConnection(HOST, server.port, context=context,
                                                    timeout=timeout)
            self.http.connect()
        self.http.auto_open = 0

    def request(self, method, path, body=None):
        """Returns (status, answer); status 0 when the server has closed the connection."""
        try:
            self.http.request(method, path, None if body is None else json.dumps(body))
            response = self.http.getresponse()
            return response.status, json.loads(response.read() or b"null")
        except (http.client.NotConnected, http.client.RemoteDisconnected, ConnectionError,
                ssl.SSLError) as error:
            return 0, {"error": {"code": "closed", "message": str(error)}}

    def close(self):
        self.http.close()


class Redis(Server):
    """Debian's redis-server, with TLS on `port` and plain on `plain_port` (loopback only)."""

    name = "redis-server"

    def __init__(self, arguments=(), durable=False, password=None):
        super().__init__()
        self.directory = temporary_directory("redis")
        make_test_certificates(self.directory)
        self.credentials = self.directory
        self.log_path = self.directory / "redis.log"
        self.plain_port = free_port()
        self.password = password
        self.arguments = list(arguments)
        persistence = ["--appendonly", "yes", "--appendfsync", "always"] if durable else [
            "--appendonly", "no"]
        if password is not None:
            persistence += ["--requirepass", password]
        self.persistence = ["--save", "", *persistence]

    def command(self):
        crt, key = str(self.directory / "server.crt"), str(self.directory / "server.key")
        return ["redis-server", "--bind", HOST, "--port", str(self.plain_port),
                "--tls-port", str(self.port), "--tls-cert-file", crt, "--tls-key-file", key,
                "--tls-ca-cert-file", str(self.directory / "ca.crt"), "--tls-auth-clients", "yes",
                "--tls-protocols", "TLSv1.3", "--dir", str(self.directory),
                "--maxclients", "12000", "--enable-debug-command", "no",
                # Without it Redis buffers answers that nobody reads until memory is gone.
                "--client-output-buffer-limit", "normal", "64mb", "64mb", "0",
                *self.persistence, *self.arguments]

    def is_ready(self):
        try:
            with Connection(HOST, self.plain_port, timeout=1.0) as connection:
                if self.password is not None:
                    connection.call("AUTH", self.password)
                return connection.call("PING") == b"PONG"
        except (OSError, ConnectionClosed):
            return False


def default_binary():
    return os.environ.get("PRUST_TEST_BINARY") or ROOT / ".build" / "release" / "prustdb"


def add_server_options(parser):
    parser.add_argument("--server", choices=("prustdb", "redis"), default="prustdb",
                        help="what is tested; redis is a stand-in for work on the test itself")
    parser.add_argument("--binary", help="the daemon (default .build/release/prustdb)")


def make_server(options, durable=False, arguments=()):
    """Returns the server that the options name, not yet started."""
    if options.server == "redis":
        return Redis(durable=durable)
    return PrustDB(options.binary, arguments=arguments)


def quantile(sorted_values, fraction):
    """Returns the value at the fraction of a sorted list (nearest rank), or 0 for an empty one."""
    if not sorted_values:
        return 0.0
    return sorted_values[min(len(sorted_values) - 1, int(fraction * len(sorted_values)))]


class Cases:
    """Runs the cases of a test, each to its end whatever became of those before.

    Cases that mostly wait may run in threads at the same time.
    """

    def __init__(self, parser):
        parser.add_argument("--binary", help="the daemon (default .build/release/prustdb)")
        parser.add_argument("--only", default="", help="cases with this in their name")
        parser.add_argument("--verbose", action="store_true", help="name each case that passed")
        self.options = parser.parse_args()
        self.passed, self.failures, self.began = [], [], time.monotonic()

    def run(self, name, case, *arguments):
        """Runs one case; False if it failed or was not asked for."""
        if self.options.only not in name:
            return False
        began = time.monotonic()
        try:
            case(*arguments)
        except Exception as error:  # pylint: disable=broad-exception-caught
            kind = "" if isinstance(error, Failure) else f"{type(error).__name__}: "
            self.failures.append(name)
            print(f"FAIL: {name}: {kind}{error} ({time.monotonic() - began:.1f} s)",
                  file=sys.stderr, flush=True)
            return False
        self.passed.append(name)
        if self.options.verbose:
            print(f"ok: {name} ({time.monotonic() - began:.1f} s)", flush=True)
        return True

    def finish(self, title):
        """Ends the test with its one line, or with what failed."""
        seconds = time.monotonic() - self.began
        if self.failures:
            count = len(self.passed) + len(self.failures)
            raise Failure(f"{title}: {len(self.failures)} of {count} cases, {seconds:.0f} s: "
                          + "; ".join(self.failures))
        print(f"{title}: {len(self.passed)} cases passed in {seconds:.0f} s")
        return 0


def run_program(main, description):
    """Runs a test program: exit 0 when it passes, 1 when it finds something, 2 for bad usage."""
    # Ended by SIGTERM, it must stop its servers and remove its directories as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        status = main(argparse.ArgumentParser(description=description))
    except Failure as failure:
        print(f"FAIL: {failure}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.exit(status or 0)
