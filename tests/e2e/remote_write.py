# SPDX-License-Identifier: Apache-2.0
"""Remote write 1.0 and 2.0 by hand: protobuf, snappy and zstd (literals only), and a sender that
remembers what was acknowledged."""

import http.client
import struct

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": "narthex-e2e",
}


HEADERS2 = {
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, data):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def label(name, value):
    name = name if isinstance(name, bytes) else name.encode()
    value = value if isinstance(value, bytes) else value.encode()
    return field(1, field(1, name) + field(2, value))


def sample(t_ms, value):
    return field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(t_ms))


def sample_bits(t_ms, bits):
    return field(2, b"\x09" + struct.pack("<Q", bits) + b"\x10" + varint(t_ms))


def series(labels, samples):
    """labels: a dict or a list of pairs (sent in the order given); samples: (ms, value)."""
    pairs = sorted(labels.items()) if isinstance(labels, dict) else labels
    return field(1, b"".join(label(n, v) for n, v in pairs) + b"".join(
        sample(t, v) for t, v in samples))


def number(field_number, n):
    """A varint field."""
    return varint(field_number << 3) + varint(n)


def double(field_number, value):
    return varint(field_number << 3 | 1) + struct.pack("<d", value)


class Request2:
    """A request of remote write 2.0 under construction: its table of symbols and its series."""

    def __init__(self):
        self.texts, self.body = {b"": 0}, b""

    def ref(self, text):
        text = text if isinstance(text, bytes) else text.encode()
        return self.texts.setdefault(text, len(self.texts))

    def refs(self, labels):
        pairs = sorted(labels.items()) if isinstance(labels, dict) else labels
        return field(1, b"".join(varint(self.ref(n)) + varint(self.ref(v)) for n, v in pairs))

    def sample(self, t_ms, value, start_ms=0):
        return field(2, double(1, value) + number(2, t_ms) + (number(3, start_ms) if start_ms else b""))

    def exemplar(self, labels, value, t_ms):
        return field(4, self.refs(labels) + double(2, value) + number(3, t_ms))

    def metadata(self, kind, text="", unit=""):
        return field(5, number(1, kind) + number(3, self.ref(text)) + number(4, self.ref(unit)))

    def series(self, labels, samples=(), more=b""):
        """samples: (ms, value[, start ms]); more: encoded fields."""
        self.body += field(5, self.refs(labels) + b"".join(self.sample(*s) for s in samples) + more)
        return self

    def symbols(self):
        return b"".join(field(4, text) for text in self.texts)

    def message(self):
        return self.symbols() + self.body


def zstd(data, declares=True):
    """One frame of blocks that are not compressed."""
    if declares:
        out = bytearray(b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)))
    else:
        out = bytearray(b"\x28\xb5\x2f\xfd\x00\x38")  # a window of 128 KiB
    blocks = [data[at:at + 65536] for at in range(0, len(data), 65536)] or [b""]
    for n, block in enumerate(blocks):
        out += struct.pack("<I", len(block) << 3 | (n + 1 == len(blocks)))[:3] + block
    return bytes(out)


def snappy(data):
    """The block format with literals alone."""
    out = bytearray(varint(len(data)))
    for at in range(0, len(data), 65536):
        part = data[at:at + 65536]
        if len(part) <= 60:
            out.append((len(part) - 1) << 2)
        else:
            out.append(61 << 2)
            out += struct.pack("<H", len(part) - 1)
        out += part
    return bytes(out)


def snappy_decode(data):
    """Of blocks with literals alone; for the test of the encoder."""
    size, shift, at = 0, 0, 0
    while True:
        byte = data[at]
        size |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            break
    out = b""
    while at < len(data):
        tag = data[at] >> 2
        at += 1
        if tag == 61:
            tag = struct.unpack_from("<H", data, at)[0]
            at += 2
        out += data[at:at + tag + 1]
        at += tag + 1
    assert len(out) == size
    return out


class Sender:
    """One connection. send() gives (status, text); a broken connection raises."""

    def __init__(self, port, timeout=30):
        self.port, self.timeout, self.connection = port, timeout, None
        self.answer_headers = {}

    def send(self, message, headers=None, path="/api/v1/write"):
        return self.send_raw(snappy(message), headers, path)

    def send2(self, request, headers=None):
        """A Request2, or the bytes of one."""
        message = request if isinstance(request, bytes) else request.message()
        return self.send_raw(snappy(message), dict(HEADERS2, **(headers or {})))

    def written(self):
        """What the last answer said was written: samples, histograms, exemplars; None: nothing."""
        names = [f"X-Prometheus-Remote-Write-{what}-Written" for what in ("Samples", "Histograms", "Exemplars")]
        found = [self.answer_headers.get(name) for name in names]
        return None if found == [None] * 3 else tuple(int(text) for text in found)

    def send_raw(self, body, headers=None, path="/api/v1/write"):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                         timeout=self.timeout)
        try:
            self.connection.request("POST", path, body, dict(HEADERS, **(headers or {})))
            response = self.connection.getresponse()
            self.answer_headers = response.headers
            text = response.read().decode("utf-8", "replace")
        except BaseException:
            self.close()
            raise
        if response.will_close:
            self.close()
        return response.status, text

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Ledger:
    """A stream of batches to one server, and what is known of each. Batch n holds one sample for
    each of `count` series, of one time and a value made from n and the series; whoever reads can
    tell what must be there."""

    def __init__(self, name, sender_id, count, start_ms, step_ms=7):
        self.name, self.id, self.count = name, str(sender_id), count
        self.start_ms, self.step_ms = start_ms, step_ms
        self.next = 0
        self.acknowledged, self.unknown, self.refused = set(), set(), set()
        self.prefixes = [b"".join(label(n, v) for n, v in sorted({
            "__name__": name, "sender": self.id, "series": f"{i:04d}"}.items()))
            for i in range(count)]

    def t_ms(self, n):
        return self.start_ms + n * self.step_ms

    @staticmethod
    def value(n, i):
        return n + i / 1024.0

    def message(self, n):
        t_ms = self.t_ms(n)
        return b"".join(field(1, prefix + sample(t_ms, self.value(n, i)))
                        for i, prefix in enumerate(self.prefixes))

    def send_next(self, sender):
        """Sends a new batch; the status, or 0 when the connection broke (outcome unknown)."""
        n = self.next
        self.next += 1
        try:
            status, _ = sender.send(self.message(n))
        except (OSError, http.client.HTTPException):
            self.unknown.add(n)
            return 0
        if status in (200, 204):
            self.acknowledged.add(n)
        else:
            self.refused.add(n)
        return status

    def end_s(self):
        return self.t_ms(self.next) / 1000.0 + 1

    def verify(self, server):
        """Everything acknowledged is there exactly once and unaltered, nothing refused is, and what
        is unknown is there whole or not at all. Gives the number of samples seen."""
        span_s = int((self.next * self.step_ms) / 1000) + 60
        got = server.raw(f'{self.name}{{sender="{self.id}"}}', self.end_s(), f"{span_s}s")
        present = {}  # batch -> series that have it
        total = 0
        for labels, samples in got.items():
            i = int(dict(labels)["series"])
            for t_s, text in samples:
                offset = round(t_s * 1000) - self.start_ms
                n, rest = divmod(offset, self.step_ms)
                assert rest == 0 and 0 <= n < self.next, f"a sample nobody sent: {labels} {t_s}"
                assert float(text) == self.value(n, i), f"altered: {labels} {t_s} {text}"
                seen = present.setdefault(n, set())
                assert i not in seen, f"twice: {labels} {t_s}"
                seen.add(i)
                total += 1
        for n in self.acknowledged:
            have = len(present.get(n, ()))
            assert have == self.count, \
                f"sender {self.id}: batch {n} was acknowledged, {have} of {self.count} samples are there"
        for n in self.unknown:
            have = len(present.get(n, ()))
            assert have in (0, self.count), f"sender {self.id}: batch {n} is torn: {have} of {self.count}"
        for n in self.refused:
            assert n not in present, f"sender {self.id}: batch {n} was refused and is there"
        return total
