# SPDX-License-Identifier: Apache-2.0
"""Remote read by hand: requests, and both kinds of answers taken apart."""

import struct

from harness import check, request
from remote_write import field, number, snappy

TYPES = {"=": 0, "!=": 1, "=~": 2, "!~": 3}


def query(start_ms, end_ms, matchers, hints=b""):
    """matchers: (name, operator, value) ..."""
    body = number(1, start_ms) + number(2, end_ms)
    for name, operator, value in matchers:
        body += field(3, number(1, TYPES[operator]) + field(2, name.encode()) + field(3, value.encode()))
    return field(1, body + (field(4, hints) if hints else b""))


def ask(port, queries, streamed=False):
    """The answer as it came."""
    message = b"".join(queries) + field(2, b"\x01" if streamed else b"\x00")
    return request(port, "POST", "/api/v1/read", snappy(message), {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Read-Version": "0.1.0"})


def read_varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def unsnappy(data):
    size, at = read_varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag, at = data[at], at + 1
        kind = tag & 3
        if kind == 0:
            length = tag >> 2
            if length >= 60:
                count = length - 59
                length, at = int.from_bytes(data[at:at + count], "little"), at + count
            out += data[at:at + length + 1]
            at += length + 1
            continue
        if kind == 1:
            length, offset, at = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at], at + 1
        else:
            width = 2 if kind == 2 else 4
            length, offset, at = (tag >> 2) + 1, int.from_bytes(data[at:at + width], "little"), at + width
        for _ in range(length):
            out.append(out[-offset])
    assert len(out) == size, f"{len(out)} bytes, {size} declared"
    return bytes(out)


def fields(data):
    """(number, value) of a message: bytes, or a number of a varint or 8 bytes as they are."""
    at, found = 0, []
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 2:
            size, at = read_varint(data, at)
            found.append((tag >> 3, data[at:at + size]))
            at += size
        elif tag & 7 == 1:
            found.append((tag >> 3, data[at:at + 8]))
            at += 8
        else:
            check(tag & 7 == 0, f"wire type {tag & 7}")
            value, at = read_varint(data, at)
            found.append((tag >> 3, value))
    return found


def labels_of(messages):
    return tuple(tuple(dict(fields(one)).get(n, b"").decode() for n in (1, 2)) for one in messages)


def samples(port, queries):
    """[{labels: (samples as (ms, bits), histograms as their messages)}], one a query."""
    answer = ask(port, queries)
    check(answer.status == 200, f"read: {answer}")
    check(answer.headers.get("Content-Type") == "application/x-protobuf", f"{answer.headers}")
    results = []
    for _, result in fields(unsnappy(answer.body)):
        found = {}
        for _, series in fields(result):
            parts = fields(series)
            labels = labels_of(v for n, v in parts if n == 1)
            check(labels not in found, f"twice: {labels}")
            values = []
            for one in (dict(fields(v)) for n, v in parts if n == 2):
                t_ms = one.get(2, 0)
                values.append((t_ms - (1 << 64) if t_ms >> 63 else t_ms, one.get(1, bytes(8)).hex()))
            found[labels] = (values, [v for n, v in parts if n == 4])
        results.append(found)
    return results


TABLE = []
for _n in range(256):
    for _ in range(8):
        _n = _n >> 1 ^ (0x82F63B78 if _n & 1 else 0)
    TABLE.append(_n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def frames(body):
    """The messages of a streamed answer, checked."""
    at, found = 0, []
    while at < len(body):
        size, at = read_varint(body, at)
        message = body[at + 4:at + 4 + size]
        check(len(message) == size, "a frame is cut")
        check(struct.unpack(">I", body[at:at + 4])[0] == crc32c(message), "checksum")
        found.append(message)
        at += 4 + size
    return found


def chunks(port, queries):
    """[(query, labels, [(min, max, type, data)])], one a frame."""
    answer = ask(port, queries, streamed=True)
    check(answer.status == 200, f"read: {answer}")
    check(answer.headers.get("Content-Type") ==
          "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse", f"{answer.headers}")
    found = []
    for message in frames(answer.body):
        parts = dict(fields(message))
        series = fields(parts[1])
        found.append((parts.get(2, 0), labels_of(v for n, v in series if n == 1),
                      [tuple(dict(fields(v)).get(i, 0) for i in (1, 2, 3, 4)) for n, v in series if n == 2]))
    return found
