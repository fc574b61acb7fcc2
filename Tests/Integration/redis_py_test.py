#!/usr/bin/env python3
"""redis-py, unmodified, over TLS with a client certificate, in RESP2 and RESP3.

Runs in the virtual environment that `scripts/test` makes. With `--server redis` the same calls go
to Debian's redis-server.
"""

import asyncio
import concurrent.futures
import threading

import redis
import redis.asyncio
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from harness import HOST, Failure, add_server_options, make_server, run_program


def options_of(server, **more):
    directory = server.credentials
    return {"host": HOST, "port": server.port, "ssl": True, "ssl_cert_reqs": "required",
            "ssl_check_hostname": True, "ssl_ca_certs": str(directory / "ca.crt"),
            "ssl_certfile": str(directory / "client.crt"),
            "ssl_keyfile": str(directory / "client.key"), **more}


def check(name, found, expected):
    if found != expected:
        raise Failure(f"{name}: expected {expected!r}, found {found!r}")


def strings(client):
    check("ping", client.ping(), True)
    check("set", client.set("s", "value"), True)
    check("get", client.get("s"), "value")
    check("get, missing", client.get("missing"), None)
    check("set nx", client.set("s", "other", nx=True), None)
    check("set xx get", client.set("s", "new", xx=True, get=True), "value")
    check("getset", client.getset("s", "newer"), "new")
    check("getdel", client.getdel("s"), "newer")
    check("append", client.append("s", "Hello"), 5)
    check("strlen", client.strlen("s"), 5)
    check("getrange", client.getrange("s", 1, -2), "ell")
    check("setrange", client.setrange("s", 1, "a"), 5)
    check("mset", client.mset({"m1": 1, "m2": "two"}), True)
    check("mget", client.mget("m1", "missing", "m2"), ["1", None, "two"])
    check("exists", client.exists("m1", "m2", "missing"), 2)
    check("type", client.type("m1"), "string")
    check("delete", client.delete("m1", "m2", "missing"), 2)
    check("unlink", client.unlink("s"), 1)
    check("echo", client.echo("x"), "x")
    text = "grüße, 世界"
    client.set("text", text)
    check("decode", client.get("text"), text)


def numbers(client):
    client.delete("n")
    check("incr", client.incr("n"), 1)
    check("incrby", client.incrby("n", 9), 10)
    check("decr", client.decr("n", 3), 7)
    check("incrbyfloat", client.incrbyfloat("n", 0.5), 7.5)
    try:
        client.incr("n")
    except redis.ResponseError as error:
        check("incr of a float", str(error), "value is not an integer or out of range")
    else:
        raise Failure("incr of a float did not fail")


def expiry(client):
    client.set("e", "v", ex=100)
    check("ttl", 95 <= client.ttl("e") <= 100, True)
    check("persist", client.persist("e"), True)
    check("ttl, none", client.ttl("e"), -1)
    check("expire", client.expire("e", 100), True)
    check("expire nx", client.expire("e", 50, nx=True), False)
    check("pexpire gt", client.pexpire("e", 200_000, gt=True), True)
    check("pttl", 190_000 < client.pttl("e") <= 200_000, True)
    check("expireat", client.expireat("e", 4_102_444_800), True)
    check("expiretime", client.expiretime("e"), 4_102_444_800)
    check("getex persist", client.getex("e", persist=True), "v")
    check("psetex", client.psetex("e", 100_000, "w"), True)
    check("a past time", client.expireat("e", 1), True)
    check("is gone", client.get("e"), None)


def scans_and_pipelines(client):
    names = {f"scan:{number}" for number in range(2_000)}
    with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.set(name, name)
        check("pipeline", set(pipeline.execute()), {True})
    check("scan_iter", set(client.scan_iter(match="scan:*", count=100)), names)
    check("dbsize", client.dbsize() >= 2_000, True)
    with client.pipeline(transaction=False) as pipeline:
        pipeline.get("scan:1").incr("scan:1").get("scan:2")
        replies = pipeline.execute(raise_on_error=False)
    check("pipeline with an error", [replies[0], type(replies[1]), replies[2]],
          ["scan:1", redis.ResponseError, "scan:2"])
    check("delete many", client.delete(*names), 2_000)


def connection_commands(client):
    check("client_id", client.client_id() > 0, True)
    check("client_setname", client.client_setname("tester"), True)
    check("info", isinstance(client.info(), dict), True)
    check("command_count", client.command_count() > 30, True)
    try:
        client.execute_command("NOSUCHCOMMAND", "x")
    except redis.ResponseError as error:
        check("unknown command", "unknown command" in str(error), True)
    else:
        raise Failure("an unknown command did not fail")


def binary(server, protocol):
    """Without decoding: all bytes, and a value of 4 MiB."""
    client = redis.Redis(**options_of(server, protocol=protocol))
    every = bytes(range(256))
    for value in (every, b"", every * 16_384):
        client.set(every, value)
        check("binary value", client.get(every) == value, True)
    client.delete(every)
    client.close()


def pool(server, protocol):
    """Sixteen threads over a pool of eight: no increment is lost, no reply goes astray."""
    connections = redis.BlockingConnectionPool(
        max_connections=8, timeout=30, connection_class=redis.SSLConnection,
        decode_responses=True, protocol=protocol,
        **{name: value for name, value in options_of(server).items() if name != "ssl"})
    client = redis.Redis(connection_pool=connections)
    client.delete("counter")

    def work(number):
        for step in range(100):
            client.set(f"pool:{number}", step)
            client.incr("counter")
            check("pool", client.get(f"pool:{number}"), str(step))

    with concurrent.futures.ThreadPoolExecutor(16) as executor:
        list(executor.map(work, range(16)))
    check("increments over the pool", client.get("counter"), "1600")
    connections.disconnect()


async def asynchronous(server, protocol):
    client = redis.asyncio.Redis(**options_of(server, decode_responses=True, protocol=protocol))
    await client.set("async", "1")
    check("asyncio", await asyncio.gather(*[client.get("async") for _ in range(50)]), ["1"] * 50)
    await client.aclose()


def refuses_without_certificate(server):
    """A client with no certificate and no password gets nothing."""
    names = ("ssl_certfile", "ssl_keyfile")
    client = redis.Redis(**{name: value for name, value in options_of(server).items()
                            if name not in names}, retry=Retry(ConstantBackoff(0), 0))
    try:
        client.get("s")
    except (redis.ConnectionError, redis.ResponseError):
        return
    raise Failure("a client without certificate and password could read")


def restart(server, protocol):
    """A client that retries goes on after the server was restarted."""
    client = redis.Redis(**options_of(
        server, decode_responses=True, protocol=protocol, socket_timeout=10,
        retry=Retry(ConstantBackoff(0.1), 300), retry_on_error=[redis.ConnectionError]))
    client.set("before", "restart")
    server.stop()
    starter = threading.Timer(0.5, server.start)
    starter.start()
    client.set("after", "restart")
    starter.join()
    check("set after the restart", client.get("after"), "restart")
    if server.name == "prustdb":
        check("kept over the restart", client.get("before"), "restart")
    client.close()


def main(parser):
    add_server_options(parser)
    options = parser.parse_args()
    server = make_server(options, durable=True)
    server.start()
    for protocol in (2, 3):
        client = redis.Redis(**options_of(server, decode_responses=True, protocol=protocol))
        for part in (strings, numbers, expiry, scans_and_pipelines, connection_commands):
            part(client)
        client.close()
        binary(server, protocol)
        pool(server, protocol)
        asyncio.run(asynchronous(server, protocol))
        restart(server, protocol)
    refuses_without_certificate(server)
    server.stop()
    print(f"redis-py {redis.__version__}: all calls as expected, RESP2 and RESP3, on {server.name}")
    return 0


if __name__ == "__main__":
    run_program(main, __doc__)
