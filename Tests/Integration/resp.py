"""RESP as bytes: a reader that returns each reply exactly as the server sent it.

The differential test compares bytes, so replies are framed here but not interpreted. The decoder
below is for the tests that need values.
"""

import asyncio
import socket
import ssl


class ProtocolError(Exception):
    """The server sent bytes that are not RESP."""


class ConnectionClosed(Exception):
    """The server closed the connection before the reply was complete."""


def encode(arguments):
    """Returns one command as a RESP array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if isinstance(argument, str):
            argument = argument.encode()
        elif isinstance(argument, int):
            argument = b"%d" % argument
        parts.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
    return b"".join(parts)


_ONE_LINE = b"+-:_#,("
_BLOB = b"$=!"
_AGGREGATE = {0x2A: 1, 0x7E: 1, 0x3E: 1, 0x25: 2, 0x7C: 2}  # * ~ > % |


def frame_end(buffer, start=0):
    """Returns the offset after the reply that begins at `start`, or -1 when it is incomplete."""
    position = start
    missing = 1
    while missing > 0:
        line_end = buffer.find(b"\r\n", position)
        if line_end < 0:
            return -1
        kind = buffer[position]
        missing -= 1
        if kind in _BLOB:
            length = int(buffer[position + 1:line_end])
            position = line_end + 2
            if length >= 0:
                position += length + 2
                if position > len(buffer):
                    return -1
        elif kind in _AGGREGATE:
            count = int(buffer[position + 1:line_end])
            position = line_end + 2
            if count > 0:
                missing += count * _AGGREGATE[kind]
            if kind == 0x7C:  # An attribute stands before the reply that it describes.
                missing += 1
        elif kind in _ONE_LINE:
            position = line_end + 2
        else:
            raise ProtocolError(f"reply begins with {bytes(buffer[position:position + 20])!r}")
    return position


def decode(raw):
    """Returns the value of one complete reply (errors become instances of `ReplyError`)."""
    value, end = _decode(raw, 0)
    if end != len(raw):
        raise ProtocolError("bytes after the reply")
    return value


class ReplyError(str):
    """The text of an error reply."""


def _decode(raw, position):
    line_end = raw.index(b"\r\n", position)
    kind, head = raw[position:position + 1], bytes(raw[position + 1:line_end])
    position = line_end + 2
    if kind == b"+":
        return head, position
    if kind == b"-":
        return ReplyError(head.decode("latin-1")), position
    if kind in (b":", b"("):
        return int(head), position
    if kind == b"_":
        return None, position
    if kind == b"#":
        return head == b"t", position
    if kind == b",":
        return float(head), position
    if kind in (b"$", b"=", b"!"):
        length = int(head)
        if length < 0:
            return None, position
        body = bytes(raw[position:position + length])
        position += length + 2
        if kind == b"!":
            return ReplyError(body.decode("latin-1")), position
        return (body[4:] if kind == b"=" else body), position
    return _decode_aggregate(kind, int(head), raw, position)


def _decode_aggregate(kind, count, raw, position):
    if count < 0:
        return None, position
    if kind in (b"%", b"|"):
        pairs = {}
        for _ in range(count):
            key, position = _decode(raw, position)
            pairs[key], position = _decode(raw, position)
        if kind == b"|":
            return _decode(raw, position)
        return pairs, position
    items = []
    for _ in range(count):
        item, position = _decode(raw, position)
        items.append(item)
    return items, position


class Connection:
    """A blocking connection to a server, plain or over TLS."""

    def __init__(self, host, port, context=None, timeout=30.0):
        plain = socket.create_connection((host, port), timeout=timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = plain
        if context is not None:
            try:
                self.socket = context.wrap_socket(plain, server_hostname=host)
            except BaseException:
                plain.close()
                raise
        self.buffer = bytearray()

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        """Returns the bytes of the next reply."""
        while True:
            end = frame_end(self.buffer)
            if end > 0:
                raw = bytes(self.buffer[:end])
                del self.buffer[:end]
                return raw
            try:
                chunk = self.socket.recv(1 << 18)
            except (ConnectionResetError, ssl.SSLError) as error:
                raise ConnectionClosed(str(error)) from error
            if not chunk:
                raise ConnectionClosed("end of stream")
            self.buffer += chunk

    def call(self, *arguments):
        """Sends one command and returns its decoded reply."""
        self.send(encode(arguments))
        return decode(self.reply())

    def pipeline(self, commands):
        """Sends the commands in one write and returns their decoded replies."""
        self.send(b"".join(encode(command) for command in commands))
        return [decode(self.reply()) for _ in commands]

    def read_until_quiet(self, quiet):
        """Returns (bytes, closed): what arrives until nothing has for `quiet` seconds."""
        self.socket.settimeout(quiet)
        data = bytearray(self.buffer)
        try:
            while True:
                chunk = self.socket.recv(1 << 16)
                if not chunk:
                    return bytes(data), True
                data += chunk
        except (TimeoutError, ssl.SSLWantReadError):
            return bytes(data), False
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            return bytes(data), True

    def close(self):
        try:
            self.socket.close()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


async def read_reply(reader):
    """Returns the decoded next reply of an asyncio stream (RESP2 replies of simple commands)."""
    try:
        line = await reader.readuntil(b"\r\n")
        kind = line[:1]
        if kind in (b"$", b"="):
            length = int(line[1:-2])
            if length < 0:
                return None
            body = await reader.readexactly(length + 2)
            return body[:-2]
        if kind == b"*":
            return [await read_reply(reader) for _ in range(int(line[1:-2]))]
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError) as error:
        raise ConnectionClosed(str(error)) from error
    return decode(line)
