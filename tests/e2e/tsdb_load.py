# SPDX-License-Identifier: Apache-2.0
"""A load for a real Prometheus's storage, by remote write 1.0: floats with odd bits, all kinds of
native histograms, exemplars, late samples. tests/golden/promtsdb/make and the tests of import and
export use it."""

import struct

from harness import check, request
from remote_write import HEADERS, field, label, sample_bits, snappy, varint

STALE = 0x7FF0000000000002
CUSTOM_SCHEMA = -53
GAUGE_HINT = 3
T0_GOLDEN_S = 1_700_006_400  # of tests/golden/promtsdb; a multiple of two hours


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def double(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


def sint(number, value):
    return varint(number << 3) + varint((value << 1) ^ (value >> 63))


def uint(number, value):
    return varint(number << 3) + varint(value)


def packed_sints(number, values):
    return field(number, b"".join(varint((v << 1) ^ (v >> 63)) for v in values)) if values else b""


def packed_doubles(number, values):
    return field(number, b"".join(struct.pack("<d", v) for v in values)) if values else b""


def spans(number, pairs):
    return b"".join(field(number, sint(1, offset) + uint(2, length)) for offset, length in pairs)


def deltas(counts):
    return [b - a for a, b in zip([0] + counts[:-1], counts)]


class Histogram:
    """positive, negative: ([(offset, length)], [count of each bucket])."""

    def __init__(self, positive=((), ()), negative=((), ()), zero=0, total=1.5, schema=1, hint=0,
                 is_float=False, custom=(), threshold=2 ** -128):
        self.positive, self.negative = positive, negative
        self.zero, self.total, self.schema, self.hint = zero, total, schema, hint
        self.is_float, self.custom, self.threshold = is_float, list(custom), threshold

    def encode(self, t_ms):
        count = self.zero + sum(self.positive[1]) + sum(self.negative[1])
        out = double(2, count) if self.is_float else uint(1, int(count))
        out += double(3, self.total) + sint(4, self.schema)
        out += double(5, self.threshold if self.schema != CUSTOM_SCHEMA else 0.0)
        if self.schema != CUSTOM_SCHEMA:
            out += double(7, self.zero) if self.is_float else uint(6, int(self.zero))
        for number, (runs, counts) in ((8, self.negative), (11, self.positive)):
            out += spans(number, runs)
            if self.is_float:
                out += packed_doubles(number + 2, list(counts))
            else:
                out += packed_sints(number + 1, deltas(list(counts)))
        out += uint(14, self.hint) + varint(15 << 3) + varint(t_ms)
        return field(4, out + packed_doubles(16, self.custom))


def exemplar(labels, value, t_ms):
    body = b"".join(label(n, v) for n, v in sorted(labels.items()))
    return field(3, body + double(2, value) + varint(3 << 3) + varint(t_ms))


def series(labels, *parts):
    return field(1, b"".join(label(n, v) for n, v in sorted(labels.items())) + b"".join(parts))


def push(server, *all_series):
    answer = request(server.port, "POST", "/api/v1/write", snappy(b"".join(all_series)), HEADERS)
    check(answer.status in (200, 204), f"remote write: {answer}")


def histogram_of(kind, i):
    """The i-th sample of a histogram series; buckets appear, grow and are reset."""
    n = i % 40
    counts = [1 + n, 2 + 2 * n, n] + ([n] if n > 20 else [])
    runs = [(0, 2), (3, len(counts) - 2)]
    if kind in ("custom", "custom_float"):
        bounds = [0.005, 0.01, 0.25, 1.0, 12345.678]
        is_float = kind == "custom_float"
        return Histogram(([(0, len(counts))], [c * 1.5 for c in counts] if is_float else counts),
                         schema=CUSTOM_SCHEMA, custom=bounds, total=n * 0.1, is_float=is_float)
    if kind == "float":
        counts = [c + 0.25 for c in counts]
        return Histogram((runs, counts), ([(-2, 1)], [0.5 * n]), zero=0.75, total=n / 3,
                         schema=3, is_float=True, threshold=0.001)
    if kind == "gauge":
        return Histogram((runs, list(reversed(counts))), zero=n % 7, total=-n, hint=GAUGE_HINT)
    return Histogram((runs, counts), ([(1, 1)], [n]), zero=n, total=n * 1.1)


FLOATS = {
    "counter": lambda i: bits_of(float(i * 3 % 1000)),
    "decimal": lambda i: bits_of(round(20 + (i * 7 % 50) / 10, 1)),
    "odd": lambda i: (STALE, 0x7FF8000000000001, 0x7FF8000000000ABC, 0xFFF0000000000000,
                      0x8000000000000000, 1, 0x7FEFFFFFFFFFFFFF, 0)[i % 8],
}


def push_step(server, i, t_ms):
    """One scrape's worth: every series has a sample at t_ms."""
    all_series = [
        series({"__name__": "load_" + name, "job": "load", "n": str(n)},
               sample_bits(t_ms + n, value(i + n)),
               *([exemplar({"trace_id": f"t{i}"}, i / 8, t_ms + n)]
                 if name == "counter" and n == 0 and i % 4 == 0 else []))
        for name, value in FLOATS.items() for n in range(2)]
    all_series += [series({"__name__": "load_histogram", "kind": kind},
                          histogram_of(kind, i).encode(t_ms))
                   for kind in ("int", "float", "gauge", "custom", "custom_float")]
    all_series.append(series({"A": "before the name", "__name__": "load_ü", "z.z": "dots\"\n"},
                             sample_bits(t_ms, bits_of(i))))
    push(server, *all_series)


def push_late(server, t_ms):
    """Out of order, for a server whose window takes them."""
    push(server, series({"__name__": "load_counter", "job": "load", "n": "0"},
                        sample_bits(t_ms, bits_of(-1.0))),
         series({"__name__": "load_histogram", "kind": "int"}, histogram_of("int", 3).encode(t_ms)),
         series({"__name__": "load_late_only"}, sample_bits(t_ms, bits_of(7.5))))
