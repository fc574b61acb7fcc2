#!/usr/bin/env python3
"""Real data: Debian's package index in, and every record read back with other programs.

`apt-cache dumpavail` is loaded with `prust-bench load` and checked with `prust-bench verify` (the
Swift client), with redis-cli and with redis-py. This program splits the file into records by code
of its own. Afterwards the server is restarted and everything is checked again.
"""

import os
import pathlib
import subprocess
import time

import redis

from harness import (HOST, Failure, Redis, add_server_options, default_binary, make_server,
                     run_program, temporary_directory)
from resp import encode

KEY_FIELDS = ("Package", "Version", "Architecture")


def split_records(data):
    """Yields (fields, record) for each paragraph of a deb822 file; the record is its bytes."""
    for paragraph in data.split(b"\n\n"):
        if not paragraph.strip(b"\n"):
            continue
        # The last line keeps its end; the empty line after it is no part of the record.
        record = paragraph.strip(b"\n") + b"\n"
        fields = {}
        for line in record.splitlines():
            if line[:1] not in (b" ", b"\t", b"#"):
                name, colon, value = line.partition(b":")
                if colon:
                    fields.setdefault(name.decode().lower(), value.strip())
        yield fields, record


def expected_data(path, prefix, separator):
    """Returns key to value, as the loader must have stored them (the last of equal keys stays)."""
    expected = {}
    for fields, record in split_records(path.read_bytes()):
        parts = [fields[name.lower()] for name in KEY_FIELDS if name.lower() in fields]
        if len(parts) != len(KEY_FIELDS):
            raise Failure(f"a record lacks one of {KEY_FIELDS}: {record[:80]!r}")
        expected[prefix.encode() + separator.encode().join(parts)] = record
    return expected


def representation(value):
    """Returns the value as redis-cli prints it with --no-raw: one quoted line."""
    special = {0x5C: "\\\\", 0x22: '\\"', 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x07: "\\a",
               0x08: "\\b"}
    return '"' + "".join(special.get(c) or (chr(c) if 32 <= c < 127 else f"\\x{c:02x}")
                         for c in value) + '"'


def verify_with_redis_py(server, expected):
    directory = server.credentials
    client = redis.Redis(
        host=HOST, port=server.port, ssl=True, ssl_ca_certs=str(directory / "ca.crt"),
        ssl_certfile=str(directory / "client.crt"), ssl_keyfile=str(directory / "client.key"))
    keys, wrong = list(expected), 0
    for first in range(0, len(keys), 500):
        chunk = keys[first:first + 500]
        wrong += sum(found != expected[key] for key, found in zip(chunk, client.mget(chunk)))
    client.close()
    return wrong


def verify_with_redis_cli(server, expected):
    """One redis-cli gets every key and prints each value as a quoted line."""
    quoted = "".join(f"GET {representation(key)}\n" for key in expected)
    done = subprocess.run(["redis-cli", "--no-raw", *server.redis_tool_arguments()],
                          input=quoted.encode(), capture_output=True, check=True, timeout=600)
    lines = done.stdout.decode("latin-1").splitlines()
    if len(lines) != len(expected):
        raise Failure(f"redis-cli printed {len(lines)} replies for {len(expected)} keys")
    return sum(line != representation(value) for line, value in zip(lines, expected.values()))


def verify(server, expected, when):
    for name, check in (("redis-py", verify_with_redis_py), ("redis-cli", verify_with_redis_cli)):
        began = time.monotonic()
        wrong = check(server, expected)
        print(f"{when}: {len(expected)} values read back with {name} in "
              f"{time.monotonic() - began:.1f} s, {wrong} differ", flush=True)
        if wrong:
            raise Failure(f"{name}: {wrong} of {len(expected)} values differ")
    with server.connect() as connection:
        size = connection.call("DBSIZE")
    if size != len(expected):
        raise Failure(f"DBSIZE is {size}, {len(expected)} keys were loaded")


def bench(server, options, *arguments):
    """Runs prust-bench with the server's own profile."""
    program = options.bench or (
        pathlib.Path(options.binary or default_binary()).parent / "prust-bench")
    environment = {**os.environ, "PRUSTDB_PROFILE": str(server.credentials / "client.yaml")}
    done = subprocess.run([str(program), *arguments], env=environment, check=False, timeout=900,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failure(f"prust-bench {arguments[0]} ended with status {done.returncode}")


def load(server, dump, expected, options):
    began = time.monotonic()
    if isinstance(server, Redis):
        with server.connect() as connection:
            for key, value in expected.items():
                connection.send(encode([b"SET", key, value]))
                if connection.reply() != b"+OK\r\n":
                    raise Failure("SET was refused")
    else:
        bench(server, options, "load", str(dump), *bench_format(options))
    return time.monotonic() - began


def bench_format(options):
    keys = [word for name in KEY_FIELDS for word in ("--key", name)]
    return ["--format", "deb822", *keys, "--prefix", options.prefix]


def bytes_under(directory):
    return sum(entry.stat().st_blocks * 512 for entry in pathlib.Path(directory).rglob("*")
               if entry.is_file() and not entry.is_symlink())


def dump_packages(path):
    with open(path, "wb") as out:
        subprocess.run(["apt-cache", "dumpavail"], stdout=out, check=True)


def main(parser):
    add_server_options(parser)
    parser.add_argument("--bench", help="prust-bench (default: beside the daemon)")
    parser.add_argument("--dump", help="a deb822 file (default: apt-cache dumpavail)")
    parser.add_argument("--prefix", default="deb:")
    parser.add_argument("--separator", default=":", help="between the fields of a key")
    parser.add_argument("--least", type=int, default=60_000, help="records that there must be")
    options = parser.parse_args()
    dump = pathlib.Path(options.dump or temporary_directory("dump") / "packages")
    if not options.dump:
        dump_packages(dump)
    expected = expected_data(dump, options.prefix, options.separator)
    if len(expected) < options.least:
        raise Failure(f"{dump} has {len(expected)} records, {options.least} wanted "
                      "(is the package index there? apt-get update)")
    bytes_in = sum(len(key) + len(value) for key, value in expected.items())
    server = make_server(options, durable=True)
    server.start()
    seconds = load(server, dump, expected, options)
    print(f"{len(expected)} records, {bytes_in} bytes loaded in {seconds:.1f} s "
          f"({len(expected) / seconds:.0f} /s)")
    for when in ("after the load", "after a restart"):
        verify(server, expected, when)
        if not isinstance(server, Redis):
            bench(server, options, "verify", str(dump), *bench_format(options))
        server.stop()
        directory = getattr(server, "data_directory", server.directory)
        on_disk = bytes_under(directory)
        print(f"bytes in {bytes_in}, bytes on disk {on_disk}, ratio {on_disk / bytes_in:.2f}")
        if when == "after the load":
            server.start(timeout=120)
    return 0


if __name__ == "__main__":
    run_program(main, __doc__)
