# SPDX-License-Identifier: Apache-2.0
"""Federation: what /federate says, beside Prometheus over the same data, and scraped by one."""

import struct
import time

from harness import check, check_equal, form, request, wait_for
from registry import test
from remote_write import Sender, double, field, label, number, sample_bits, series

PROTO = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
ACCEPTS = [
    None, "*/*", "text/plain;version=0.0.4;escaping=values", "text/plain;version=1.0.0;escaping=allow-utf-8",
    "text/plain; version=0.0.4; escaping=dots;q=0.5", "application/openmetrics-text;version=1.0.0", PROTO,
    PROTO + ";q=0.3,text/plain;version=0.0.4;q=0.7", PROTO + ";escaping=allow-utf-8;q=0.8,text/plain;q=0.2",
]
# A selector that matches what has no labels at all is refused, as everywhere else; upstream lets it give
# everything here.
SELECTORS = [
    ['{__name__=~".+"}'], ["up"], ["up", '{job="x"}'], ['{__name__=~"b.*"}', "up", "big"], ["nothing"], [],
    ['{region="eu"}'], ["{__name__!='']}"], ["up{"],
]


def histogram(t_ms, gauge=False):
    return field(4, number(1, 4) + double(3, 4.5) + number(4, 2) + double(5, 1e-9) + number(6, 1) + field(
        8, number(1, 3) + number(2, 1)) + field(9, b"\x02") + field(11, number(1, 0) + number(2, 2)) +
                 field(12, b"\x02\x00") + (number(14, 3) if gauge else b"") + number(15, t_ms))


def message(t):
    nan = sample_bits(t, 0x7FF8000000000001)
    return b"".join([
        series({"__name__": "up", "job": "x", "a": "1"}, [(t - 1000, 0), (t, 1.5)]),
        series({"__name__": "up", "job": "y\n\"\\z", "instance": "i"}, [(t, 1e-9)]),
        field(1, label("__name__", "a.b_c") + label("we ird\u00fc", "\u00e9") + nan),
        series({"__name__": "big"}, [(t, 123456789.0)]),
        series({"__name__": "b", "x": "2"}, [(t, float("-inf"))]),
        series({"__name__": "b", "x": "1"}, [(t, -0.0)]),
        series({"__name__": "b", "A": "before the name"}, [(t, 1e21)]),
        series({"__name__": "b", "region": "own"}, [(t, 0.00001)]),
        series({"__name__": "old"}, [(t - 290000, 1)]),
        series({"__name__": "too_old"}, [(t - 310000, 1)]),
        series({"__name__": "stale"}, [(t - 1000, 1)]),
        field(1, label("__name__", "stale") + sample_bits(t, 0x7FF0000000000002)),
    ])


HISTOGRAMS = [(label("__name__", "up") + label("job", "h"), False), (label("__name__", "nh") + label("n", "1"), False),
              (label("__name__", "nh") + label("n", "2"), True)]


@test(seconds=60)
def federation_as_prometheus(env):
    config = "global: {external_labels: {region: eu, a: ext}}\n"
    pair = [env.prometheus(config, flags=["--enable-feature=native-histograms"]).start(),
            env.server(config, flags=["--enable-feature=native-histograms"]).start()]
    t = int(time.time() * 1000) - 2000
    for one in pair:
        sender = Sender(one.port)
        for text in (message(t), b"".join(field(1, labels + histogram(t, gauge)) for labels, gauge in HISTOGRAMS)):
            status, answer = sender.send(text)
            check_equal(204, status, f"{one.name}: {answer}")
    faults = []
    for accept in ACCEPTS:
        for selectors in SELECTORS:
            path = "/federate?" + form({"match[]": selectors})
            want, got = (request(one.port, "GET", path, headers={"Accept": accept} if accept else {})
                         for one in pair)
            kinds = [one.headers.get("Content-Type") for one in (want, got)]
            if (want.status, want.body) != (got.status, got.body) or (want.status == 200 and kinds[0] != kinds[1]):
                faults.append(f"{accept} {selectors}:\n  wanted: {want.status} {kinds[0]} {want.body[:1500]}\n"
                              f"  got:    {got.status} {kinds[1]} {got.body[:1500]}")
    check(not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:4]))


@test(seconds=60, narthex_only=True)
def custom_buckets_federate_as_classic(env):
    server = env.server().start()
    t = int(time.time() * 1000)
    body = (number(1, 6) + double(3, 4.5) + b"\x20\x69" + field(11, number(1, 0) + number(2, 1)) + field(
        11, number(1, 1 << 1) + number(2, 1)) + field(12, b"\x04\x04") + number(15, t) +
            field(16, struct.pack("<dd", 1, 2.5)))
    check_equal(204, Sender(server.port).send(field(1, label("__name__", "nhcb") + field(4, body)))[0], "write")
    check_equal(f"""# TYPE nhcb histogram
nhcb_bucket{{instance="",le="1"}} 2 {t}
nhcb_bucket{{instance="",le="2.5"}} 2 {t}
nhcb_bucket{{instance="",le="+Inf"}} 6 {t}
nhcb_sum{{instance=""}} 4.5 {t}
nhcb_count{{instance=""}} 6 {t}
""", server.get("/federate", {"match[]": "nhcb"}).text, "text")


@test(seconds=60)
def prometheus_federates_from_it(env):
    server = env.server("global: {external_labels: {region: eu}}\n").start()
    t = int(time.time() * 1000) - 1000
    check_equal(204, Sender(server.port).send(message(t))[0], "write")
    reader = env.prometheus(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: {{"match[]": ['{{__name__=~"up|a.b_c|big"}}']}}
    static_configs: [{{targets: ["127.0.0.1:{server.port}"]}}]
""").start()
    wait_for(lambda: reader.query('up{job="x"}')["result"], 20, "a scrape")
    for selector in ('up{job="x"}', '{__name__="a.b_c"}', "big"):
        want, got = (one.query(selector + f"[1h]", time.time())["result"] for one in (server, reader))
        check_equal(want[0]["values"][-1], got[0]["values"][-1], selector)
        labels = dict(got[0]["metric"])
        check_equal("eu", labels.pop("region"), selector)
        check("instance" not in labels, f"an instance: {labels}")
        labels.pop("job", None)
        check_equal({n: v for n, v in want[0]["metric"].items() if n != "job"}, labels, selector)
