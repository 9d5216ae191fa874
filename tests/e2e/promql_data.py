# SPDX-License-Identifier: Apache-2.0
"""A data set for comparing two query engines: everything that stored samples can be. Made from a
seed and an end time; the same to every server."""

import math
import struct

import remote_write

STALE = 0x7FF0000000000002
NAN = 0x7FF8000000000001
SPAN_MS = 40 * 60 * 1000
WILD = [0.0, -0.0, 1.0, -1.0, 0.1, 1e-7, 1e-6, 123456789.123, 1e20, 1e21, 1e23, -1e300, 1e300,
        5e-324, 2.2e-308, -3e-310, math.inf, -math.inf, math.nan, 2.0 ** 53 + 2, 1 / 3, 2.0 ** -1022]
ODD_VALUES = ["", "a.b", "a+b", "line\nbreak", "ünïcode", 'quo"te', "back\\slash", "x|y", "0",
              "日本", "a b", "é\u0301", "(x)", "^a$", "A"]


def bits_of(value):
    if isinstance(value, int):
        return value
    if math.isnan(value):
        return NAN
    return struct.unpack("<Q", struct.pack("<d", value))[0]


class DataSet:
    """series: a list of ({name: value}, [(ms, bits)])."""

    def __init__(self, rng, end_ms):
        self.rng, self.end_ms, self.start_ms = rng, end_ms, end_ms - SPAN_MS
        self.series = []
        self.add_counters()
        self.add_gauges()
        self.add_pairs()
        self.add_edges()
        self.add_wild()
        self.add_names()

    def add(self, labels, samples):
        labels = {n: v for n, v in labels.items() if v != ""}
        last, kept = -1, []
        for t_ms, value in sorted(samples, key=lambda s: s[0]):
            if t_ms > last:
                kept.append((int(t_ms), bits_of(value)))
                last = t_ms
        self.series.append((labels, kept))

    def times(self, step_ms, jitter_ms=0, start_ms=None):
        t_ms = (start_ms or self.start_ms) + self.rng.randrange(step_ms)
        while t_ms < self.end_ms:
            yield t_ms + (self.rng.randrange(jitter_ms + 1) if jitter_ms else 0)
            t_ms += step_ms

    def add_counters(self):
        rng = self.rng
        for job in ("api", "db", "web"):
            for instance in ("h1:80", "h2:80", "h3:8080"):
                for mode in ("idle", "user", "system") if job != "web" else ("idle",):
                    value, samples = rng.choice([0.0, 5.0, 1e6, 1e9]), []
                    step = rng.choice([5000, 15000, 15000, 30000])
                    for t_ms in self.times(step, rng.choice([0, 3, 900])):
                        value += rng.choice([0, 0, 1, 2, 0.25, rng.random() * 100])
                        if rng.random() < 0.01:
                            value = rng.choice([0.0, 1.0, value / 2])
                        if rng.random() < 0.03:
                            continue
                        samples.append((t_ms, STALE if rng.random() < 0.01 else value))
                    self.add({"__name__": "reqs_total", "job": job, "instance": instance,
                              "mode": mode}, samples)
        for i, step in enumerate((700, 1000, 61000, 290000, 310000)):
            self.add({"__name__": "cadence_total", "n": str(i)},
                     [(t, float(k * k)) for k, t in enumerate(self.times(step, 1))])

    def add_gauges(self):
        rng = self.rng
        for job in ("api", "db", "cache"):
            for shard in range(4):
                value, samples, gap_until = rng.uniform(-10, 10), [], 0
                for t_ms in self.times(15000, 500):
                    value += rng.uniform(-1, 1)
                    if t_ms < gap_until:
                        continue
                    if rng.random() < 0.01:
                        gap_until = t_ms + rng.choice([60000, 400000])
                        if rng.random() < 0.5:
                            samples.append((t_ms, STALE))
                            continue
                    samples.append((t_ms, value))
                self.add({"__name__": "temp", "job": job, "shard": str(shard),
                          "zone": "" if shard == 3 else "ab"[shard % 2]}, samples)

    def add_pairs(self):
        """Small integers in label shapes that match in part."""
        rng = self.rng
        for name, xs, ys in (("left", "abcd", "12"), ("right", "bcde", "12"), ("lone", "abc", "1"),
                             ("single", "a", "1")):
            for x in xs:
                for y in ys:
                    labels = {"__name__": name, "x": x, "y": y if name != "lone" else "",
                              "side": name if rng.random() < 0.5 else ""}
                    samples = [(t, float(rng.randrange(-3, 4))) for t in self.times(20000, 7)
                               if rng.random() < 0.9]
                    self.add(labels, samples)
        self.add({"__name__": "nolabels"}, [(t, float(i)) for i, t in enumerate(self.times(10000))])

    def add_edges(self):
        """Samples exactly on whole minutes, and series of few samples."""
        first = (self.start_ms // 60000 + 1) * 60000
        minutes = range(first, self.end_ms, 60000)
        self.add({"__name__": "edge", "every": "1m"},
                 [(t, float(i)) for i, t in enumerate(minutes)])
        self.add({"__name__": "edge", "every": "5m"},
                 [(t, float(i)) for i, t in enumerate(minutes) if i % 5 == 0])
        self.add({"__name__": "edge", "every": "stale"},
                 [(t, STALE if i % 4 == 3 else float(i)) for i, t in enumerate(minutes)])
        self.add({"__name__": "edge", "every": "zero"}, [(t, 0.0) for t in minutes])
        middle = first + 20 * 60000
        self.add({"__name__": "few", "n": "1"}, [(middle, 7.0)])
        self.add({"__name__": "few", "n": "2"}, [(middle, 1.0), (middle + 1, 2.0)])
        self.add({"__name__": "few", "n": "3"},
                 [(middle, 3.0), (middle + 15000, 1.0), (middle + 30001, 2.0)])
        self.add({"__name__": "few", "n": "stale"}, [(middle, 4.0), (middle + 90000, STALE)])

    def add_wild(self):
        rng = self.rng
        for case in ("any", "more", "finite", "zeros"):
            pool = {"finite": [v for v in WILD if math.isfinite(v) and abs(v) < 1e30],
                    "zeros": [0.0, -0.0]}.get(case, WILD)
            self.add({"__name__": "wild", "case": case},
                     [(t, rng.choice(pool)) for t in self.times(10000, 999)])

    def add_names(self):
        rng = self.rng
        for i, value in enumerate(ODD_VALUES):
            self.add({"__name__": "odd", "v": value, "i": str(i % 3)},
                     [(t, float(i)) for t in self.times(30000, 50)])
        self.add({"__name__": "utf8.näme", "läbel.x": "v"},
                 [(t, rng.random()) for t in self.times(15000)])
        self.add({"__name__": "utf8.näme", "läbel.x": "w", "job": "api"},
                 [(t, rng.random()) for t in self.times(15000)])
        self.add({"__name__": "rule:with:colons", "job": "db"},
                 [(t, rng.random()) for t in self.times(15000)])

    def messages(self, window_ms=120000):
        """Remote-write messages in the order of time."""
        for start in range(self.start_ms, self.end_ms + window_ms, window_ms):
            out = b""
            for labels, samples in self.series:
                part = b"".join(remote_write.sample_bits(t, b) for t, b in samples
                                if start <= t < start + window_ms)
                if part:
                    out += remote_write.field(1, b"".join(
                        remote_write.label(n, v) for n, v in
                        sorted(labels.items(), key=lambda p: p[0].encode())) + part)
            if out:
                yield out

    def send(self, servers):
        for server in servers:
            sender = remote_write.Sender(server.port)
            for message in self.messages():
                status, text = sender.send(message)
                assert status in (200, 204), f"{server.name}: {status} {text}"
            sender.close()
