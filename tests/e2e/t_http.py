# SPDX-License-Identifier: Apache-2.0
"""The surface of the API: texts and shapes that clients match on."""

import time

from harness import check, check_equal, request, wait_for
from registry import test
from remote_write import Sender, field, label, series

SELF = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def with_self_scrape(env):
    server = env.server()
    server.set_config(SELF.format(port=server.port))
    return server.start()


@test()
def health_and_status(env):
    server = with_self_scrape(env)
    for path, text in (("/-/healthy", "Healthy"), ("/-/ready", "Ready")):
        answer = server.get(path)
        check_equal(200, answer.status, path)
        check(text in answer.text, f"{path}: {answer}")
        check_equal(200, request(server.port, "HEAD", path).status, f"HEAD {path}")
    info = server.api("/status/buildinfo")
    for key in ("version", "revision", "branch", "buildUser", "buildDate", "goVersion"):
        check(isinstance(info.get(key), str), f"buildinfo: {key} in {info}")
    check_equal(404, server.get("/api/v1/nothing").status, "unknown path")
    check_equal(405, request(server.port, "DELETE", "/api/v1/query").status, "DELETE")
    check_equal(404, server.get("/nothing").status, "unknown page")


@test()
def own_metrics(env):
    server = with_self_scrape(env)
    answer = server.get("/metrics")
    check(answer.headers.get("Content-Type", "").startswith("text/plain"), f"{answer.headers}")
    check("# TYPE process_cpu_seconds_total counter" in answer.text, "process metrics")
    check(server.metric("process_resident_memory_bytes") > 1e6, "resident memory")
    if server.flavor == "narthex":
        answer = server.get("/metrics", headers={"Accept": "application/openmetrics-text"})
        check(answer.text.endswith("# EOF\n"), "OpenMetrics ends with # EOF")
    # What it says of itself, it also scrapes and answers.
    wait_for(lambda: server.query("process_cpu_seconds_total")["result"], 20, "own series")
    wait_for(lambda: server.query('up{job="self"}')["result"][0]["value"][1] == "1", 20, "up")
    names = server.api("/label/__name__/values")
    for name in ("up", "scrape_duration_seconds", "scrape_samples_scraped",
                 "scrape_samples_post_metric_relabeling", "scrape_series_added"):
        check(name in names, f"{name} is no metric name")


@test()
def targets(env):
    server = with_self_scrape(env)
    def active():
        found = server.api("/targets")["activeTargets"]
        return found if found and found[0]["health"] == "up" else None
    target = wait_for(active, 20, "a target that is up")[0]
    check_equal({"instance": f"127.0.0.1:{server.port}", "job": "self"}, target["labels"], "labels")
    check_equal("self", target["scrapePool"], "scrapePool")
    check_equal(f"http://127.0.0.1:{server.port}/metrics", target["scrapeUrl"], "scrapeUrl")
    check_equal("1s", target["scrapeInterval"], "scrapeInterval")
    check_equal("", target["lastError"], "lastError")
    discovered = target["discoveredLabels"]
    check_equal("/metrics", discovered["__metrics_path__"], "__metrics_path__")
    check_equal(f"127.0.0.1:{server.port}", discovered["__address__"], "__address__")
    check(target["lastScrape"].startswith("20") and target["lastScrapeDuration"] > 0, "last scrape")


@test()
def series_and_labels(env):
    server = env.server().start()
    now = int(time.time() * 1000)
    message = b"".join(series({"__name__": "api_series", "a": str(i), "b": "x" if i < 3 else "y"},
                              [(now, i)]) for i in range(5))
    check_equal(204, Sender(server.port).send(message)[0], "write")
    check_equal(["__name__", "a", "b"], server.api("/labels"), "labels")
    check_equal(["0", "1", "2", "3", "4"], server.api("/label/a/values"), "values")
    check_equal(["0", "1", "2"], server.api("/label/a/values", {"match[]": 'api_series{b="x"}'}),
                "values that match")
    check_equal(["__name__", "a", "b"], server.api("/labels", {"match[]": "api_series"}), "labels")
    check_equal([], server.api("/labels", {"match[]": "nothing"}), "labels of nothing")
    found = server.api("/series", {"match[]": ['api_series{a="4"}', 'api_series{a=~"0|1"}']})
    check_equal([("0", "x"), ("1", "x"), ("4", "y")],
                sorted((s["a"], s["b"]) for s in found), "series")
    check(all(s["__name__"] == "api_series" for s in found), "names of series")
    check_equal([], server.api("/series", {"match[]": "api_series", "end": (now / 1000) - 90000,
                                           "start": (now / 1000) - 90060}), "series of yesterday")
    answer = server.get("/api/v1/series")
    check_equal(400, answer.status, "series without match[]")
    check_equal("bad_data", answer.json()["errorType"], "series without match[]")
    check_equal(2, len(server.api("/series", {"match[]": "api_series", "limit": 2})), "limit")


@test()
def answer_shapes(env):
    server = env.server().start()
    now = int(time.time()) * 1000
    message = b"".join(series({"__name__": "shape", "v": name}, [(now, value)]) for name, value in (
        ("int", 3.0), ("tiny", 1e-7), ("huge", 1e21), ("dec", 0.1), ("neg", -0.0),
        ("inf", float("inf")), ("nan", float("nan")), ("quote", 1.5), ("<&>", 2.5)))
    check_equal(204, Sender(server.port).send(message)[0], "write")
    data = server.query("shape", now / 1000)
    check_equal("vector", data["resultType"], "type")
    got = {s["metric"]["v"]: s["value"] for s in data["result"]}
    want = {"int": "3", "tiny": "1e-07", "huge": "1e+21", "dec": "0.1", "neg": "-0", "inf": "+Inf",
            "nan": "NaN", "quote": "1.5", "<&>": "2.5"}
    check_equal({k: [now / 1000, v] for k, v in want.items()}, got, "values")
    check_equal({"resultType": "scalar", "result": [now / 1000, "3"]}, server.query("1 + 2", now / 1000),
                "scalar")
    data = server.query('shape{v="int"}[1m]', now / 1000)
    check_equal("matrix", data["resultType"], "type")
    check_equal([[now / 1000, "3"]], data["result"][0]["values"], "values")
    data = server.query_range("shape", now / 1000, now / 1000 + 60, "15s")
    check_equal([now / 1000 + 15 * i for i in range(5)],
                [v[0] for v in data["result"][0]["values"]], "times")
    for params in ({"query": "shape"}, {"query": "shape", "time": now / 1000}):
        answer = server.post("/api/v1/query", params)
        check_equal(200, answer.status, "POST")
    answer = server.get("/api/v1/query", {"query": "shape"}, headers={"Accept-Encoding": "gzip"})
    check_equal(200, answer.status, "with gzip")
    check(answer.headers.get("Content-Type", "").startswith("application/json"), "content type")


@test()
def remote_write_verdicts(env):
    server = env.server().start()
    sender = Sender(server.port)
    now = int(time.time() * 1000)
    name = {"__name__": "verdict"}

    def send(*all_series, **options):
        return sender.send(b"".join(all_series), **options)

    check_equal(204, send(series(name, [(now, 1)]))[0], "a good request")
    check_equal(204, send(series(name, [(now, 1)]))[0], "the same sample again")
    check_equal(400, send(series(name, [(now, 2)]))[0], "another value at that time")
    check_equal(400, send(series(name, [(now - 1000, 2)]))[0], "out of order")
    check_equal(400, send(series(name, [(now + 3600000, 2)]))[0], "an hour in the future")
    check_equal([(now / 1000, "1")], server.raw("verdict", now / 1000 + 4000, "2h")[
        (("__name__", "verdict"),)], "what is stored")
    check_equal(415, send(series(name, [(now, 1)]), headers={"Content-Type": "text/plain"})[0],
                "text/plain")
    check_equal(415, send(series(name, [(now, 1)]), headers={"Content-Encoding": "gzip"})[0], "gzip")
    check_equal(204, send()[0], "an empty request")
    other = env.server(receiver=False).start()
    check_equal(404, Sender(other.port).send(series(name, [(now, 1)]))[0], "receiver switched off")
    if server.flavor == "narthex":
        # What is good is kept, what is not is counted and named.
        status, text = send(series({"__name__": "verdict_good"}, [(now, 1)]),
                            series(name, [(now - 1000, 2)]))
        check_equal(400, status, "half good")
        check("out of order" in text.lower() or "out-of-order" in text.lower(), text)
        check_equal(1, len(server.query("verdict_good", now / 1000)["result"]), "the good half")
        # A text has its reason once and names the series, which is known by its bytes by now.
        for reason, body in (("out of order", series(name, [(now - 1000, 2)])),
                             ("too far in the future", series(name, [(now + 3600000, 2)]))):
            text = send(body)[1]
            check_equal((1, 1), (text.count(reason), text.count("verdict")), text)
