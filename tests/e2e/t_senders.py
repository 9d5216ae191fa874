# SPDX-License-Identifier: Apache-2.0
"""Senders that nobody here wrote: what a Prometheus sends by remote write 1.0, by 2.0, and through a
vmagent is stored sample by sample. Compared by remote read, which gives bits."""

import http.server
import math
import random
import struct
import threading
import time

from harness import check, check_equal, free_port, request, wait_for
from registry import soak, test
from remote_read import fields, query, read_varint, samples
from remote_write import double, field, number, varint


def zigzag(n):
    return n << 1 if n >= 0 else (-n << 1) - 1


class Target:
    """Exposes, in protobuf, counters, gauges of odd values, and native histograms: integers of both
    signs that grow and change their layout, and a gauge; with exemplars."""

    def __init__(self, seed):
        self.random, self.round = random.Random(seed), 0
        self.counts = {}
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                body = target.body()
                self.send_response(200)
                self.send_header("Content-Type", "application/vnd.google.protobuf; "
                                 "proto=io.prometheus.client.MetricFamily; encoding=delimited")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format, *args):  # pylint: disable=redefined-builtin
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def label(name, value):
        return field(1, field(1, name.encode()) + field(2, value.encode()))

    def family(self, name, kind, metrics):
        data = field(1, name.encode()) + field(2, b"Help of it.") + number(3, kind) + b"".join(
            field(4, metric) for metric in metrics)
        return varint(len(data)) + data

    def histogram(self, key, schema, gauge=False):
        counts = self.counts.setdefault(key, {})
        if gauge or self.round % 17 == 16:  # a gauge starts anew each time, a counter sometimes
            counts.clear()
        for _ in range(self.random.randrange(1, 6)):
            side = self.random.choice("+-") if key == "both" else "+"
            index = self.random.randrange(-3, 3 + self.round)
            counts[side, index] = counts.get((side, index), 0) + self.random.randrange(1, 50)
        total, body = sum(counts.values()), b""
        for side, spans, deltas in (("-", 9, 10), ("+", 12, 13)):
            before, end = 0, None
            for index in sorted(i for s, i in counts if s == side):
                body += field(spans, number(1, zigzag(index if end is None else index - end)) + number(2, 1))
                body += varint(deltas << 3) + varint(zigzag(counts[side, index] - before))
                before, end = counts[side, index], index + 1
        return field(7, number(1, total + 2) + double(2, total * 1.5) + number(5, zigzag(schema)) +
                     double(6, 1e-6) + number(7, 2) + body)

    def body(self):
        self.round += 1
        n = self.round
        odd = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3, n]
        gauges = [self.label("i", str(i)) + field(2, double(1, odd[(i + n) % len(odd)])) for i in range(20)]
        if n % 5 == 0:
            gauges = gauges[:10]  # the rest goes stale
        counters = [self.label("i", str(i)) + field(3, double(1, n * (i + 1)) + field(2, self.label(
            "trace_id", f"{n}-{i}") + double(2, n))) for i in range(20)]
        return (self.family("odd_gauge", 1, gauges) + self.family("some_total", 0, counters) +
                self.family("plain_histogram", 4, [self.histogram("one", 3)]) +
                self.family("both_histogram", 4, [self.histogram("both", 0)]) +
                self.family("gauge_histogram", 5, [self.histogram("gauge", 2, gauge=True)]))


def start_vmagent(env, server):
    port = free_port()
    process = env.start("vmagent", [
        env.peer("vmagent"), f"-httpListenAddr=127.0.0.1:{port}", "-remoteWrite.flushInterval=200ms",
        "-remoteWrite.queues=1",  # several send later samples before earlier ones
        f"-remoteWrite.url=http://127.0.0.1:{server.port}/api/v1/write",
        f"-remoteWrite.tmpDataPath={env.folder('vmagent-data')}"])
    wait_for(lambda: request(port, "GET", "/health").status == 200, 20, lambda: "vmagent: " + process.log()[-2000:])
    return port, process


def write_config(url, extra="", histograms=False):
    return f"""
  - url: http://127.0.0.1:{url}/api/v1/write
    queue_config: {{batch_send_deadline: 300ms, max_samples_per_send: 700, min_shards: 2}}
    send_native_histograms: {str(histograms).lower()}
    send_exemplars: {str(histograms).lower()}
    metadata_config: {{send_interval: 2s}}
    {extra}"""


def packed(values, width):
    """Numbers of a repeated field, packed or one by one: varints of zigzag form, or doubles."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(value >> 1 ^ -(value & 1))
        elif width == 8:
            found += struct.unpack(f"<{len(value) // 8}d", value)
        else:
            at = 0
            while at < len(value):
                raw, at = read_varint(value, at)
                found.append(raw >> 1 ^ -(raw & 1))
    return found


def histogram_parts(message):
    """What a histogram says: its buckets by index, the empty ones left out (upstream puts such in where a
    chunk's layout has them), and all else but the hint, which each server makes from what lies before."""
    parts, found = {}, {}
    for n, value in fields(message):
        parts.setdefault(n, []).append(value)
    for spans, deltas, counts in ((8, 9, 10), (11, 12, 13)):
        index, buckets, before = 0, [], 0
        values = packed(parts.get(deltas, []), 0) or packed(parts.get(counts, []), 8)
        for span in parts.pop(spans, []):
            span = dict(fields(span))
            index += span.get(1, 0) >> 1 ^ -(span.get(1, 0) & 1)
            for _ in range(span.get(2, 0)):
                value = values.pop(0)
                before = before + value if deltas in parts else value
                buckets.append((index, before))
                index += 1
        check(not values, "more buckets than spans")
        found[spans] = [one for one in buckets if one[1]]
        parts.pop(deltas, None)
        parts.pop(counts, None)
    found.update({n: values for n, values in parts.items() if n != 14 and values[0] not in (0, bytes(8))})
    return found


def compare(prometheus, server, start, end, matchers, histograms=True):
    """Every sample of the sender is there, bit by bit, and no other. Gives how many there are."""
    asked = [query(int(start * 1000), int(end * 1000), matchers)]
    want, got = ({labels: found for labels, found in samples(one.port, asked)[0].items() if found != ([], [])}
                 for one in (prometheus, server))
    if not histograms:
        want = {labels: (floats, []) for labels, (floats, _) in want.items() if floats}
    check_equal(set(), set(want) ^ set(got), f"series of {server.name}")
    count = 0
    for labels, (floats, others) in want.items():
        check_equal(floats, got[labels][0], f"{server.name}: {labels}")
        check_equal([histogram_parts(one) for one in others], [histogram_parts(one) for one in got[labels][1]],
                    f"{server.name}: histograms of {labels}")
        count += len(floats) + len(others)
    return count


def compare_exemplars(prometheus, server, start, end):
    """Those of every counter, in order."""
    def found(one):
        data = one.api("/query_exemplars", {"query": "some_total", "start": f"{start:.3f}", "end": f"{end:.3f}"})
        return {tuple(sorted(series["seriesLabels"].items())): [
            (tuple(sorted(e["labels"].items())), e["value"], e["timestamp"]) for e in series["exemplars"]]
                for series in data}
    want, got = found(prometheus), found(server)
    check(sum(len(one) for one in want.values()) > 100, f"few exemplars: {want}")
    check_equal(set(want), set(got), f"series with exemplars of {server.name}")
    for labels, exemplars in want.items():
        check_equal(exemplars, got[labels], f"{server.name}: exemplars of {labels}")


def compare_metadata(server, name, kind):
    def found():
        return server.api("/metadata", {"metric": name}).get(name)
    told = wait_for(found, 10, f"{server.name}: metadata of {name}")
    check_equal([(kind, "Help of it.")], [(one["type"], one["help"]) for one in told], f"{server.name}: {name}")


def run_senders(env, seconds):
    exporter, target = env.node_exporter(), Target(env.seed)
    env.defer(target.close)
    flags = ["--enable-feature=native-histograms"] if env.flavor == "prometheus" else []
    version1, version2, behind = (env.server(name=name, flags=flags).start()
                                  for name in ("version1", "version2", "behind-vmagent"))
    agent_port, agent = start_vmagent(env, behind)
    prometheus = env.prometheus(f"""
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: node
    scrape_interval: 1s
    scrape_timeout: 1s
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
  - job_name: odd
    static_configs: [{{targets: ["127.0.0.1:{target.port}"]}}]
remote_write:{write_config(version1.port, "", True)}{
    write_config(version2.port, "protobuf_message: io.prometheus.write.v2.Request", True)}{
    write_config(agent_port, 'write_relabel_configs: [{source_labels: [__name__], '
                 'regex: ".*_histogram", action: drop}]')}
""", flags=["--enable-feature=native-histograms,metadata-wal-records,exemplar-storage"]).start()
    began = time.time()
    wait_for(lambda: prometheus.query('up{job="odd"} == 1')["result"], 20, "a first scrape")
    check(target.round > 0, "nobody scraped")
    time.sleep(max(0, seconds - (time.time() - began)))
    end = time.time() - 1
    sent = "prometheus_remote_storage_queue_highest_sent_timestamp_seconds"

    def is_sent():
        lines = [line for line in prometheus.get("/metrics").text.splitlines() if line.startswith(sent + "{")]
        return len(lines) == 3 and all(float(line.rsplit(" ", 1)[1]) > end + 0.5 for line in lines)
    wait_for(is_sent, 30, "the queues to catch up")
    everything = [("__name__", "!=", "")]
    first = compare(prometheus, version1, began - 60, end, everything)
    check(first > 100 * seconds, f"only {first} samples")
    check_equal(first, compare(prometheus, version2, began - 60, end, everything), "samples by 2.0")
    for one in (version1, version2):
        if one.flavor == "narthex":
            compare_exemplars(prometheus, one, began - 60, end)
            compare_metadata(one, "some_total", "counter")
            compare_metadata(one, "odd_gauge", "gauge")
    floats = [("__name__", "!~", ".*_histogram|")]

    def is_forwarded():
        return behind.query("timestamp(up{job='odd'}) > %f" % (end + 0.6))["result"]
    wait_for(is_forwarded, 20, "vmagent to forward")
    compare(prometheus, behind, began - 60, end, floats, histograms=False)
    if behind.flavor == "narthex":
        check("Downgrading protocol" not in agent.log(), "zstd was refused")
    for name in ("samples", "histograms"):
        for what in ("failed", "dropped"):
            count = prometheus.metric(f"prometheus_remote_storage_{name}_{what}_total")
            check(not count, f"{count} {name} {what}")
    for one in (version1, version2, behind):
        if one.flavor == "narthex":
            check(not one.metric("narthex_receiver_requests_refused_total"), f"{one.name} refused something")
        one.stop()
    return first


@test(seconds=120)
def foreign_senders(env):
    run_senders(env, 12)


@soak
def senders(env, minutes):
    print(f"{run_senders(env, minutes * 60)} samples compared")
