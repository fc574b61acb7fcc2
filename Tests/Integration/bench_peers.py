#!/usr/bin/env python3
"""Side by side in one run: redis-server with `appendfsync always` and PrustDB, both over TLS.

redis-benchmark sets and gets 256-byte values over 64 connections, alternating A B A B A B, with
pipelines of 1 and 16; medians are compared. Then the fsyncs of both are counted, both servers are
restarted, and every key is read back and compared.
"""

import csv
import io
import json
import os
import pathlib
import platform
import random
import re
import shutil
import signal
import statistics
import subprocess
import time

from harness import Failure, PrustDB, Redis, run_program

VALUE_BYTES = 256


def key_of(number):
    return b"key:%012d" % number


def prefilled_value(number):
    return random.Random(number).randbytes(VALUE_BYTES)


def benchmark_value():
    """Returns the value that redis-benchmark sets: its generator, with its fixed seed."""
    state, value = 1234, bytearray()
    for _ in range(VALUE_BYTES):
        state = (state * 1103515245 + 12345) & 0xFFFFFFFF
        value.append(0x30 + ((state >> 16) & 63))
    return bytes(value)


def run_benchmark(server, test, pipeline, requests, options):
    command = ["redis-benchmark", *server.redis_tool_arguments(), "-t", test, "-d",
               str(VALUE_BYTES), "-c", str(options.connections), "-r", str(options.keys),
               "-n", str(requests), "-P", str(pipeline), "--precision", "3", "--csv"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    rows = [row for row in csv.DictReader(io.StringIO(
        done.stdout[done.stdout.find('"test"'):])) if row["test"].lower() == test]
    if done.returncode != 0 or len(rows) != 1:
        raise Failure(f"redis-benchmark failed on {server.name}:\n{done.stdout}{done.stderr}")
    return {"server": server.name, "test": test, "pipeline": pipeline,
            "rps": float(rows[0]["rps"]), "p50_ms": float(rows[0]["p50_latency_ms"]),
            "p99_ms": float(rows[0]["p99_latency_ms"]), "max_ms": float(rows[0]["max_latency_ms"])}


def cpu_seconds(server):
    """Returns the processor seconds that the server has used so far."""
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text(
        encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sync_metric(server):
    """Returns the fsyncs that the server's own metrics have counted, or None."""
    counts = [value for name, value in server.metrics().items()
              if re.match(r"prustdb_[a-z_]*sync[a-z_]*_(seconds_count|total)(\{|$)", name)]
    return sum(counts) if counts else None


def prefill(server, options):
    """Sets every key to random bytes of its own, so that each GET finds a value."""
    with server.connect(timeout=300) as connection:
        for first in range(0, options.keys, 1000):
            numbers = range(first, min(options.keys, first + 1000))
            if any(reply != b"OK" for reply in connection.pipeline(
                    [[b"SET", key_of(n), prefilled_value(n)] for n in numbers])):
                raise Failure(f"{server.name}: prefill was refused")


def measure(servers, options):
    """Runs all tests, alternating between the servers; returns the raw results."""
    results = []
    for pipeline, requests in ((1, options.requests), (16, options.requests * 5)):
        for test in ("set", "get"):
            for number in range(options.runs):
                for server in servers:
                    syncs, used = sync_metric(server), cpu_seconds(server)
                    result = run_benchmark(server, test, pipeline, requests, options)
                    result["cpu_us_per_op"] = (cpu_seconds(server) - used) / requests * 1e6
                    result["fsyncs"] = None if syncs is None else sync_metric(server) - syncs
                    results.append(result)
                    counted = "" if result["fsyncs"] is None else (
                        f", {result['fsyncs']:.0f} fsyncs (its metrics)")
                    print(f"run {number + 1}  {test.upper()} -P {pipeline:<2}  "
                          f"{server.name:<12} {result['rps']:>10.0f} /s  p50 "
                          f"{result['p50_ms']:.3f}  p99 {result['p99_ms']:.3f}  max "
                          f"{result['max_ms']:.3f} ms, {result['cpu_us_per_op']:.1f} us of CPU an "
                          f"operation{counted}", flush=True)
    return results


def count_syncs(server, pipeline, options):
    """Counts the fsyncs of a short run under strace, whose times are of no use."""
    output = server.directory / f"strace-{pipeline}.txt"
    tracer = subprocess.Popen(
        ["strace", "-f", "-c", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o",
         str(output), "-p", str(server.process.pid)],
        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        time.sleep(1)
        if tracer.poll() is not None:
            return None
        run_benchmark(server, "set", pipeline, options.traced_requests, options)
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(30)
    # Columns: share, seconds, microseconds a call, calls, (errors,) name of the call.
    calls = [line.split() for line in output.read_text(encoding="utf-8").splitlines()]
    return sum(int(line[3]) for line in calls if line and line[-1] in (
        "fsync", "fdatasync", "sync_file_range", "msync"))


def report_syncs(servers, options):
    if shutil.which("strace") is None:
        print("fsyncs: strace is not installed, not counted")
        return {}
    counted = {}
    for pipeline in (1, 16):
        for server in servers:
            calls = count_syncs(server, pipeline, options)
            if calls is None:
                print(f"fsyncs: strace may not attach to {server.name}, not counted")
                continue
            counted[f"{server.name} -P {pipeline}"] = calls
            print(f"fsyncs  SET -P {pipeline:<2}  {server.name:<12} {calls} for "
                  f"{options.traced_requests} SETs under strace "
                  f"({options.traced_requests / max(calls, 1):.1f} SETs an fsync)")
            if calls == 0:
                raise Failure(f"{server.name} acknowledged SETs without a single fsync")
    return counted


def verify(server, options):
    """Reads every key and compares it with what may be there; a sample through redis-cli too."""
    payload, written = benchmark_value(), 0
    with server.connect(timeout=300) as connection:
        size = connection.call("DBSIZE")
        for first in range(0, options.keys, 1000):
            numbers = range(first, min(options.keys, first + 1000))
            for number, value in zip(numbers, connection.pipeline(
                    [[b"GET", key_of(n)] for n in numbers])):
                if value == payload:
                    written += 1
                elif value != prefilled_value(number):
                    raise Failure(f"{server.name}: {key_of(number).decode()} holds {value!r:.80}")
    if size != options.keys:
        raise Failure(f"{server.name}: DBSIZE is {size}, expected {options.keys}")
    if written < options.keys // 2:
        raise Failure(f"{server.name}: only {written} keys hold what redis-benchmark wrote")
    sample = [key_of(n).decode() for n in range(0, options.keys, max(1, options.keys // 500))]
    done = subprocess.run(
        ["redis-cli", *server.redis_tool_arguments()], capture_output=True, check=True,
        input="".join(f"STRLEN {key}\n" for key in sample).encode(), timeout=120)
    if done.stdout.split() != [b"%d" % VALUE_BYTES] * len(sample):
        raise Failure(f"{server.name}: redis-cli sees values of another size")
    print(f"verified {server.name:<12} after a restart: {options.keys} keys of {VALUE_BYTES} bytes "
          f"read back equal ({written} as redis-benchmark wrote them), {len(sample)} by redis-cli")


def print_setup(servers, options):
    def output(*command):
        return subprocess.run(command, capture_output=True, text=True,
                              check=False).stdout.strip().splitlines()

    cpu = [line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
           if line.startswith("model name")]
    print(f"machine: {os.cpu_count()} x {cpu[0] if cpu else platform.machine()}, kernel "
          f"{platform.release()}; servers and clients share it")
    versions = [output(program, "--version") or ["?"] for program in (
        "redis-server", "redis-benchmark", servers[1].command()[0])]
    print("versions: " + "; ".join(lines[0] for lines in versions))
    for server in servers:
        print(f"{server.name}: {' '.join(server.command())}")
        kind = (output("stat", "-f", "-c", "%T", str(server.directory)) or ["?"])[0]
        print(f"    data on {kind}")
        if kind in ("tmpfs", "ramfs"):
            raise Failure(f"{server.directory} is in memory: an fsync means nothing there; "
                          "set TMPDIR to a directory on a disk")
    print(f"benchmark: {VALUE_BYTES} B values, {options.connections} connections, {options.keys} "
          f"keys, TLS with client certificates, {options.runs} runs alternating, "
          f"{options.requests} requests at -P 1, {options.requests * 5} at -P 16\n", flush=True)


def summarize(results, servers, options):
    """Prints medians and ratios; returns the failures of the gates."""
    ratios, failures = [], []
    print()
    for pipeline in (1, 16):
        for test, gate in (("set", options.gate_set), ("get", options.gate_get)):
            medians = [{field: statistics.median(
                r[field] for r in results if r["server"] == server.name and r["test"] == test
                and r["pipeline"] == pipeline) for field in ("rps", "p50_ms", "p99_ms")}
                for server in servers]
            ratio = medians[1]["rps"] / medians[0]["rps"]
            verdict = "" if gate is None else (
                f", gate {gate}: " + ("ok" if ratio >= gate else "MISSED"))
            print(f"median  {test.upper()} -P {pipeline:<2}  " + "  ".join(
                f"{s.name} {m['rps']:.0f} /s (p50 {m['p50_ms']:.2f}, p99 {m['p99_ms']:.2f} ms)"
                for s, m in zip(servers, medians)) + f"  ratio {ratio:.2f}{verdict}")
            ratios.append({"test": test, "pipeline": pipeline, "ratio": ratio, "medians": medians})
            if gate is not None and ratio < gate:
                failures.append(f"{test.upper()} -P {pipeline}: ratio {ratio:.2f}, gate {gate}")
    return ratios, failures


def main(parser):
    parser.add_argument("--binary", help="the daemon (default .build/release/prustdb)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--traced-requests", type=int, default=20_000)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--gate-set", type=float, help="exit 1 below this ratio to Redis")
    parser.add_argument("--gate-get", type=float)
    parser.add_argument("--json", help="write settings, raw results and ratios to this file")
    parser.add_argument("--server", choices=("prustdb", "redis"), default="prustdb",
                        help="redis compares Redis with itself: how noisy the machine is")
    options = parser.parse_args()
    # Rewriting the log costs Redis a fork and much time: without it the comparison favours Redis.
    arguments = ["--auto-aof-rewrite-percentage", "0"]
    servers = [Redis(arguments, durable=True), PrustDB(options.binary)
               if options.server == "prustdb" else Redis(arguments, durable=True)]
    if options.server == "redis":
        servers[1].name = "redis-2"
    print_setup(servers, options)
    for server in servers:
        server.start()
        prefill(server, options)
    results = measure(servers, options)
    ratios, failures = summarize(results, servers, options)
    syncs = report_syncs(servers, options)
    for server in servers:
        server.stop()
        server.start(timeout=300)
        verify(server, options)
        server.stop()
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(
            {"settings": vars(options), "results": results, "ratios": ratios, "fsyncs": syncs},
            indent=2, default=str) + "\n", encoding="utf-8")
    if failures:
        raise Failure("gates missed: " + "; ".join(failures))
    return 0


if __name__ == "__main__":
    run_program(main, __doc__)
