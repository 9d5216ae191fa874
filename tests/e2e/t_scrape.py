# SPDX-License-Identifier: Apache-2.0
"""Scraping pages of our own, beside a real Prometheus that scrapes the same ones."""

import json
import os
import time

from harness import Threads, check, check_equal, wait_for
from pages import OPENMETRICS, Pages
from registry import test

TIMED_STEPS, TIMED_STEP_S = 12, 0.5


def page_config(port, path="/metrics", interval="1s", extra=""):
    return f"""
global: {{scrape_interval: {interval}}}
scrape_configs:
  - job_name: page
    metrics_path: {path}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
{extra}"""


def timed_pages(pages, clock):
    """Two pages whose samples carry their times: step n appears n half seconds after
    clock["began"] and stays until the next; whoever scrapes ten times a second sees each."""
    values = ["1", "0.1", "1e-7", "1e21", "+Inf", "-Inf", "NaN", "-0", "123456789012345678", "3.5",
              "2.2250738585072014e-308", "0.125"]

    def step():
        """The number of the step and its time; None before the first."""
        began = clock["began"]
        if began is None or time.time() < began:
            return None, 0
        n = min(TIMED_STEPS - 1, int((time.time() - began) / TIMED_STEP_S))
        return n, int(began * 1000) + n * 500

    def text(_count, _headers):
        n, t_ms = step()
        if n is None:
            return 200, "text/plain; version=0.0.4", "timed_wait 1\n"
        t_ms += 123
        lines = ["# TYPE timed_text gauge"]
        lines += [f'timed_text{{i="{i}"}} {values[(n + i) % len(values)]} {t_ms}' for i in range(12)]
        return 200, "text/plain; version=0.0.4", "\n".join(lines) + "\n"

    def openmetrics(_count, _headers):
        n, t_ms = step()
        if n is None:
            return 200, OPENMETRICS, "timed_wait 1\n# EOF\n"
        t_ms += 321
        t_s = f"{t_ms // 1000}.{t_ms % 1000:03d}"
        return 200, OPENMETRICS, (
            "# TYPE timed_om counter\n"
            f'timed_om_total{{esc="a\\"b\\\\c\\nd"}} {n * 10} {t_s}\n'
            "# TYPE timed_om_g gauge\n"
            f"timed_om_g {values[n]} {t_s}\n# EOF\n")
    pages.add("/text", text)
    pages.add("/om", openmetrics)


@test(seconds=90)
def same_samples_from_timed_page(env):
    pages = Pages()
    env.defer(pages.close)
    config = f"""
global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}
scrape_configs:
  - job_name: text
    metrics_path: /text
    static_configs: [{{targets: ["127.0.0.1:{pages.port}"]}}]
  - job_name: om
    metrics_path: /om
    static_configs: [{{targets: ["127.0.0.1:{pages.port}"]}}]
"""
    clock = {"began": None}
    timed_pages(pages, clock)
    servers = [env.prometheus(config).start(), env.server(config).start()]
    for one in servers:
        wait_for(lambda one=one: one.query("count(timed_wait) == 2")["result"], 30,
                 f"both pages scraped by {one.name}")
    began = clock["began"] = float(int(time.time()) + 1)
    time.sleep(began + TIMED_STEPS * TIMED_STEP_S + 0.5 - time.time())
    at = began + 60
    for selector in ("timed_text", "timed_om_total", "timed_om_g"):
        want, got = (one.raw(selector, at, "5m") for one in servers)
        check_equal(set(want), set(got), f"series of {selector}")
        check(want, f"{selector}: nothing")
        for labels, samples in want.items():
            check_equal(TIMED_STEPS, len(samples), f"steps that Prometheus saw of {labels}")
            check_equal(samples, got[labels], f"samples of {labels}")


RELABEL_PAGE = """# HELP rel_requests_total Requests.
# TYPE rel_requests_total counter
rel_requests_total{code="200",job="inner",instance="inside"} 5
rel_requests_total{code="404",job="inner"} 2
# TYPE rel_latency histogram
rel_latency_bucket{le="0.1"} 1
rel_latency_bucket{le="1"} 2
rel_latency_bucket{le="+Inf"} 3
rel_latency_sum 4.5
rel_latency_count 3
# TYPE rel_summary summary
rel_summary{quantile="0.5"} 1
rel_summary_sum 2
rel_summary_count 3
rel_dropped{x="1"} 1
rel_temp{__tmp="1",a_host="h1",b_host="h2"} 1
{"rel.utf8",label="\u00e9"} 4
rel_bare 1
"""

RELABEL_CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: plain
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{env: test}}}}]
  - job_name: honor
    honor_labels: true
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: relabelled
    params: {{a: [b, c]}}
    static_configs:
      - targets: ["127.0.0.1:{port}", "127.0.0.1:1", "dropped:80"]
        labels: {{__meta_zone: eu-1, zone_short: X}}
    relabel_configs:
      - {{source_labels: [__address__], regex: "dropped:.*", action: drop}}
      - {{source_labels: [__meta_zone], regex: "(..)-(.)", target_label: zone, replacement: "$2/${{1}}"}}
      - {{source_labels: [__address__], target_label: shard, modulus: 7, action: hashmod}}
      - {{regex: "zone_(.*)", replacement: "z_$1", action: labelmap}}
      - {{source_labels: [zone], target_label: zone_upper, action: uppercase}}
    metric_relabel_configs:
      - {{source_labels: [__name__], regex: rel_dropped, action: drop}}
      - {{regex: "(a|b)_host", action: labeldrop}}
      - {{source_labels: [__name__, code], separator: "@", regex: "rel_requests_total@(.*)", target_label: c, replacement: "$1"}}
      - {{source_labels: [__name__], regex: "(rel)_(bare)", target_label: __name__, replacement: "$2_$1"}}
  - job_name: files
    file_sd_configs: [{{files: ["{sd}"], refresh_interval: 1s}}]
  - job_name: limited
    sample_limit: 3
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: missing
    metrics_path: /missing
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: broken
    metrics_path: /broken
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: untyped
    metrics_path: /untyped
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: fallback
    metrics_path: /untyped
    fallback_scrape_protocol: PrometheusText0.0.4
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


# Of targets, known to 3.14 and not to 3.5.
NEWER_LABELS = ("__scrape_native_histograms__", "__always_scrape_classic_histograms__",
                "__convert_classic_histograms_to_nhcb__")


def all_series(server):
    """Label sets and the newest value of each series of the pages but what varies by nature."""
    found = {}
    for series in server.query('{job!=""}')["result"]:
        name = series["metric"].get("__name__", "")
        if name not in ("scrape_duration_seconds", "scrape_series_added"):
            found[tuple(sorted(series["metric"].items()))] = series["value"][1]
    return found


@test(seconds=90)
def same_series_after_relabelling(env):
    pages = Pages()
    env.defer(pages.close)
    pages.fixed("/metrics", RELABEL_PAGE)
    pages.fixed("/broken", "good 1\nbad{ 2\n")
    pages.fixed("/untyped", "untyped_thing 1\n", kind="")
    sd = env.write("targets.json", json.dumps([
        {"targets": [f"127.0.0.1:{pages.port}"], "labels": {"from": "file"}}]))
    config = RELABEL_CONFIG.format(port=pages.port, sd=sd)
    prometheus, server = env.prometheus(config).start(), env.server(config).start()
    for one in (prometheus, server):
        wait_for(lambda one=one: one.query('count(up) == 10')["result"], 30,
                 lambda one=one: f"ten targets of {one.name}: {one.query('up')}")
    time.sleep(1.2)
    want, got = all_series(prometheus), all_series(server)
    lines = [f"missing: {dict(k)} {v}" for k, v in want.items() if k not in got]
    lines += [f"too many: {dict(k)} {v}" for k, v in got.items() if k not in want]
    lines += [f"{dict(k)}: {v}, got {got[k]}" for k, v in want.items() if got.get(k, v) != v]
    check(not lines, "\n".join(lines[:12]))
    for state in ("active", "dropped"):
        found = []
        for one in (prometheus, server):
            data = one.api("/targets", {"state": state})
            key = f"{state}Targets"
            found.append(sorted((json.dumps(t.get("labels", {}), sort_keys=True), t["scrapePool"],
                                 t.get("scrapeUrl", ""), t.get("health", ""),
                                 json.dumps({k: v for k, v in t["discoveredLabels"].items()
                                             if k not in NEWER_LABELS}, sort_keys=True))
                                for t in data[key]))
        check_equal(found[0], found[1], f"{state} targets")
    # The file changes: a target goes, another comes.
    with open(sd + ".new", "w", encoding="utf-8") as file:
        json.dump([{"targets": [f"127.0.0.1:{pages.port}"], "labels": {"from": "file2"}}], file)
    os.rename(sd + ".new", sd)
    for one in (prometheus, server):
        wait_for(lambda one=one: one.query('up{job="files",from="file2"} == 1')["result"], 20,
                 f"the new target at {one.name}")
        wait_for(lambda one=one: not one.query('up{job="files",from="file"}')["result"], 20,
                 f"the old target's series stale at {one.name}")


@test(seconds=60)
def staleness(env):
    pages = Pages()
    env.defer(pages.close)
    state = {"mode": "both"}

    def page(_count, _headers):
        if state["mode"] == "down":
            return 500, "text/plain", "no\n"
        text = "stays 1\n" + ("goes 1\n" if state["mode"] == "both" else "")
        return 200, "text/plain; version=0.0.4", text
    pages.add("/metrics", page)
    server = env.server(page_config(pages.port, interval="200ms")).start()

    def has(query):
        return bool(server.query(query)["result"])
    wait_for(lambda: has("goes") and has("stays"), 10, "both series")
    state["mode"] = "one"
    wait_for(lambda: not has("goes"), 5, "the series that went is stale")
    check(has("stays"), "the other one is not")
    state["mode"] = "down"
    wait_for(lambda: not has("stays"), 5, "all series of a failed scrape are stale")
    check_equal("0", server.query("up")["result"][0]["value"][1], "up")
    target = server.api("/targets")["activeTargets"][0]
    check_equal("down", target["health"], "health")
    check("500" in target["lastError"], f"lastError: {target['lastError']}")
    state["mode"] = "both"
    wait_for(lambda: has("stays") and has("goes"), 5, "they come back")
    if server.flavor == "narthex":
        server.flush()
        check(has("stays"), "after a flush")


@test(seconds=240)
def batch_is_atomic(env):
    """One target's page: 400 series, all with the number of the scrape as their value. And one
    sender's requests: 100 new series each. Neither is ever seen in part."""
    from remote_write import Sender, series  # pylint: disable=import-outside-toplevel
    pages = Pages()
    env.defer(pages.close)
    pages.add("/metrics", lambda count, headers: (
        200, "text/plain; version=0.0.4",
        "".join(f'atomic_page{{i="{i}"}} {count}\n' for i in range(400))))
    server = env.server(page_config(pages.port, interval="100ms").replace(
        "scrape_interval: 100ms", "scrape_interval: 100ms, scrape_timeout: 100ms")).start()
    wait_for(lambda: server.query("count(atomic_page) == 400")["result"], 30, "a first scrape")
    threads = Threads()
    start_ms = int(time.time() * 1000) - 1000000

    def write():
        sender, n = Sender(server.port), 0
        while not threads.stopping.is_set():
            n += 1
            # Few label sets in the long run, many new ones along the way.
            message = b"".join(series({"__name__": "atomic_batch", "batch": str(n % 12), "i": str(i)},
                                      [(start_ms + n, n)]) for i in range(100))
            check_equal(204, sender.send(message)[0], "write")
            time.sleep(0.01)

    def flush():
        while not threads.stopping.wait(2.0):
            server.flush()
    threads.start(write)
    threads.start(flush)
    asked = 1000 if not env.slow else 200
    scrapes = set()
    for n in range(asked):
        time.sleep(0.005)
        at = start_ms / 1000 + 200
        found = server.query("count(atomic_page)")["result"]
        check(not found or found[0]["value"][1] == "400", f"a scrape in part: {found}")
        if n % 3 == 1:
            found = server.query(f'atomic_batch{{batch="{n % 12}"}}', at)["result"]
            values = {s["value"][1] for s in found}
            check(len(values) <= 1, f"a request in part: {values}")
        elif n % 3 == 2:
            found = server.query("count by (batch) (atomic_batch)", at)["result"]
            counts = {s["value"][1] for s in found}
            check(counts <= {"100"}, f"a request in part: {counts}")
        else:
            values = {s["value"][1] for s in server.query("atomic_page")["result"]}
            check(len(values) <= 1, f"a scrape in part: {values}")
            scrapes |= values
    threads.join()
    check(len(scrapes) > asked / 100, f"only {len(scrapes)} scrapes were seen")


ABOUT_PAGE = """# TYPE about_requests counter
# HELP about_requests Some "quoted" \\\\ text.
about_requests_total{code="200"} 5 # {trace_id="abc",span="1"} 0.5 %s
about_requests_total{code="500"} 1 # {trace_id="def"} 1e-7 %s
# TYPE about_seconds histogram
# UNIT about_seconds seconds
# HELP about_seconds How long.
about_seconds_bucket{le="0.1"} 1 # {trace_id="b1"} 0.05 %s
about_seconds_bucket{le="+Inf"} 3 # {} 7 %s
about_seconds_count 3
about_seconds_sum 4.5
# TYPE about_plain gauge
about_plain 1
# HELP about_bare Without a type.
about_bare 1
# EOF
"""


@test(seconds=60)
def same_exemplars_and_metadata(env):
    """What is said of series beside their samples, before and behind a flush and a restart."""
    pages = Pages()
    env.defer(pages.close)
    at = int(time.time()) - 1
    pages.fixed("/metrics", ABOUT_PAGE % ((f"{at}.125",) * 4), OPENMETRICS)
    config = page_config(pages.port, interval="500ms") + "storage: {exemplars: {max_exemplars: 1000}}\n"
    prometheus = env.prometheus(config, flags=["--enable-feature=exemplar-storage"]).start()
    server = env.server(config).start()

    def exemplars(one, query='{__name__=~"about_.+"}', **params):
        answer = one.get("/api/v1/query_exemplars", {"query": query, **params})
        body = answer.json() if answer.body else {}
        return answer.status, body.get("data"), body.get("error")

    def metadata(one, **params):
        answer = one.get("/api/v1/metadata", params)
        body = answer.json()
        data = body.get("data")
        return answer.status, data and {name: sorted(map(str, said)) for name, said in
                                        data.items()}, body.get("error")

    for one in (prometheus, server):
        wait_for(lambda one=one: one.query("about_requests_total")["result"], 30,
                 f"page scraped by {one.name}")
    for state in ("in memory", "in a block", "after a start"):
        if state == "in a block" and server.flavor == "narthex":
            server.flush()
        if state == "after a start":
            server.stop()
            server.start()
        for params in ({}, {"start": at - 10, "end": at + 10}, {"start": at + 5},
                       {"query": "rate(about_requests_total{code='200'}[5m]) + about_plain"},
                       {"query": "1"}, {"query": "("}, {"start": 5, "end": 4}):
            want, got = exemplars(prometheus, **params), exemplars(server, **params)
            if params.get("query") == "(":
                want, got = want[:2], got[:2]
            check_equal(want, got, f"{state}: exemplars of {params}")
        check_equal(4, len(exemplars(server)[1]), f"{state}: series with exemplars")
        for params in ({}, {"metric": "about_seconds"}, {"metric": "nothing"}, {"limit": "x"},
                       {"limit_per_metric": "x"}, {"limit": "0"}):
            check_equal(metadata(prometheus, **params), metadata(server, **params),
                        f"{state}: metadata with {params}")
