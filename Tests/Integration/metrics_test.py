#!/usr/bin/env python3
"""Metrics and health: promtool is silent, metrics are documented, traffic moves the counters."""

import re
import subprocess
import urllib.error

from harness import ROOT, Failure, PrustDB, run_program


def traffic(server):
    with server.connect() as connection:
        for number in range(200):
            connection.call("SET", f"m:{number}", "x" * number)
            connection.call("GET", f"m:{number}")
        connection.call("INCR", "m:1")
        connection.call("NOSUCH")
        connection.call("GET")


def check_with_promtool(text):
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                          capture_output=True, check=False)
    if done.returncode != 0 or done.stdout or done.stderr:
        raise Failure(f"promtool check metrics is not silent:\n{done.stdout}{done.stderr}")


def check_documented(text):
    documents = "".join(path.read_text(encoding="utf-8")
                        for path in sorted((ROOT / "Docs" / "ops").glob("*.md")))
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    undocumented = [name for name in names if name not in documents]
    if undocumented:
        raise Failure(f"metrics that Docs/ops does not list: {', '.join(undocumented)}")
    without_prefix = [name for name in names if not name.startswith(("prustdb_", "process_"))]
    if without_prefix:
        raise Failure(f"metrics without the prefix: {', '.join(without_prefix)}")
    return len(names)


def main(parser):
    parser.add_argument("--binary", help="the daemon (default .build/release/prustdb)")
    options = parser.parse_args()
    server = PrustDB(options.binary)
    server.start()
    before = sum(value for name, value in server.metrics().items()
                 if name.startswith("prustdb_commands_total"))
    traffic(server)
    text = server.http("/metrics")
    check_with_promtool(text)
    count = check_documented(text)
    after = sum(value for name, value in server.metrics().items()
                if name.startswith("prustdb_commands_total"))
    if after - before < 400:
        raise Failure(f"403 commands were sent, prustdb_commands_total moved by {after - before}")
    for path in ("/healthz", "/readyz"):
        server.http(path)
    try:
        server.http("/nosuch")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise Failure(f"/nosuch was answered with status {error.code}") from error
    else:
        raise Failure("/nosuch was answered")
    server.stop()
    print(f"metrics: {count} families, promtool silent, all documented; health endpoints answer")
    return 0


if __name__ == "__main__":
    run_program(main, __doc__)
