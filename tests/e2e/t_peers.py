# SPDX-License-Identifier: Apache-2.0
"""Beside a real Prometheus: the same data give the same answers."""

import json
import subprocess
import time

from compare import differences
from harness import check, check_equal, wait_for
from registry import test

# query, and whether the bits must agree
EVERYDAY = [
    ("up", True),
    ('node_cpu_seconds_total{mode!="idle",cpu=~"0|1"}', True),
    ("node_memory_MemFree_bytes offset 10s", True),
    ("count by (mode) (node_cpu_seconds_total)", True),
    ("max by (device) (node_network_receive_bytes_total)", True),
    ("min without (cpu) (node_cpu_seconds_total)", True),
    ("node_load1 > bool 0.5", True),
    ("100 * node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", False),
    ("rate(node_cpu_seconds_total[30s])", False),
    ("sum by (mode) (rate(node_cpu_seconds_total[20s]))", False),
    ('1 - avg(rate(node_cpu_seconds_total{mode="idle"}[30s]))', False),
    ("increase(node_context_switches_total[1m])", False),
    ('sum by (instance) (rate(node_network_receive_bytes_total{device!~"veth.*"}[30s])) * 8', False),
    ("node_filefd_allocated / node_filefd_maximum > 0", False),
]


def exporter_config(port, extra=""):
    return f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
{extra}"""


def compare_queries(prometheus, server, at):
    faults, empty = [], []
    for query, exact in EVERYDAY:
        want = prometheus.query(query, at)
        if not want["result"]:
            empty.append(query)
        for text in differences(want, server.query(query, at), exact)[:3]:
            faults.append(f"{query} at {at}: {text}")
        for start, step in ((at - 40, "5s"), (at - 30, "1s"), (at - 25, "0.7")):
            want = prometheus.query_range(query, start, at, step)
            got = server.query_range(query, start, at, step)
            for text in differences(want, got, exact)[:3]:
                faults.append(f"{query} range step {step}: {text}")
    check(not faults, "\n".join(faults[:20]))
    check(len(empty) <= 2, f"empty at both: {empty}")


@test(seconds=200)
def same_answers_over_remote_write(env):
    exporter = env.node_exporter()
    server = env.server().start()
    prometheus = env.prometheus(exporter_config(exporter, f"""
remote_write:
  - url: http://127.0.0.1:{server.port}/api/v1/write
    queue_config: {{batch_send_deadline: 500ms, max_samples_per_send: 500}}
""")).start()
    began = time.time()
    wait_for(lambda: prometheus.query("up")["result"], 20, "a first scrape")
    time.sleep(62 - (time.time() - began))
    at = float(int(time.time()) - 3)
    sent = "prometheus_remote_storage_queue_highest_sent_timestamp_seconds"
    wait_for(lambda: (prometheus.metric(sent) or 0) > at + 1, 30, "remote write to catch up")
    samples = next(iter(prometheus.raw("node_load1", at, "1m").values()))
    check(len(samples) > 40, f"{len(samples)} scrapes in a minute")
    check(any(t * 1000 % 1000 for t, _ in samples), "sample times lie on the query grid")
    compare_queries(prometheus, server, at)
    # What came over the wire is stored as it is, stale markers left out by both.
    for selector in ('{job="node"}',):
        want, got = prometheus.raw(selector, at, "1m"), server.raw(selector, at, "1m")
        check_equal(set(want), set(got), "series")
        for labels, samples in want.items():
            check_equal(samples, got[labels], f"samples of {labels}")
    if server.flavor == "narthex":
        server.flush()
        compare_queries(prometheus, server, at)
        server.stop()
        server.start()
        compare_queries(prometheus, server, at)
    check_equal(0.0, prometheus.metric("prometheus_remote_storage_samples_failed_total"), "failed")
    server.stop()


@test(seconds=90)
def same_series_from_exporter(env):
    exporter = env.node_exporter()
    prometheus = env.prometheus(exporter_config(exporter)).start()
    server = env.server(exporter_config(exporter)).start()
    for one in (prometheus, server):
        wait_for(lambda one=one: one.sample_count("up") > 4, 30, f"five scrapes by {one.name}")

    def sets(one):
        return {tuple(sorted(s.items())) for s in one.api("/series", {"match[]": '{job="node"}'})}
    want, got = sets(prometheus), sets(server)
    check(len(want) > 300, f"only {len(want)} series")
    check(want == got, f"missing: {sorted(want - got)[:5]}\ntoo many: {sorted(got - want)[:5]}")
    for name in ("up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"):
        check_equal(prometheus.query(name)["result"][0]["value"][1],
                    server.query(name)["result"][0]["value"][1], name)
    for one in (prometheus, server):
        added = [v for _, v in next(iter(one.raw("scrape_series_added", time.time()).values()))]
        check(float(added[0]) > 300 and added[-1] == "0", f"{one.name}: series added {added}")
        duration = float(one.query("scrape_duration_seconds")["result"][0]["value"][1])
        check(0 < duration < 1, f"{one.name}: duration {duration}")


@test(seconds=90)
def promtool_query_works(env):
    exporter = env.node_exporter()
    server = env.server(exporter_config(exporter)).start()
    wait_for(lambda: server.sample_count("up") > 3, 30, "four scrapes")
    url = f"http://127.0.0.1:{server.port}"
    now = time.time()

    def promtool(*args):
        result = subprocess.run([env.peer("promtool"), "query", *args], capture_output=True,
                                text=True, timeout=30, check=False)
        check(result.returncode == 0, f"promtool query {args}: {result.stdout}{result.stderr}")
        return result.stdout
    check("up{" in promtool("instant", url, "up").replace('"', ""), "instant")
    answer = json.loads(promtool("-o", "json", "instant", url, 'sum(up{job="node"})'))
    check_equal("1", answer[0]["value"][1], "instant as JSON")
    output = promtool("range", f"--start={int(now) - 5}", f"--end={int(now)}", "--step=1s", url,
                      "node_load1")
    check("@[" in output, f"range: {output}")
    check('__name__="node_load1"' in promtool("series", "--match=node_load1", url), "series")
    check("node_load1" in promtool("labels", url, "__name__"), "labels")
    result = subprocess.run([env.peer("promtool"), "check", "metrics"], timeout=30, check=False,
                            input=server.get("/metrics").body, capture_output=True)
    check(b"error while linting" not in result.stderr, f"check metrics: {result.stderr[:500]}")
