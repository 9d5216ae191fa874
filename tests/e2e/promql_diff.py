#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random PromQL to a real Prometheus and to the server under test, over the same samples; prints
what differs. Half-way the server flushes its blocks, then it restarts.

    promql_diff.py --narthex build/narthex --count 20000 --seed 7"""

import argparse
import collections
import http.client
import json
import math
import os
import random
import re
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness  # noqa: E402
from promql_data import DataSet  # noqa: E402
from promql_gen import Generator  # noqa: E402

STEPS = ["1", "15", "60", "0.5", "0.123", "7m", "1h", "30s", "13.7", "299.999", "3600", "1m30s"]


class Client:
    """One connection that is kept."""

    def __init__(self, server):
        self.server, self.connection = server, None

    def post(self, path, params):
        body = urllib.parse.urlencode(params)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        for attempt in range(3):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port,
                                                                 timeout=60)
                self.connection.request("POST", "/api/v1" + path, body, headers)
                response = self.connection.getresponse()
                return response.status, json.loads(response.read())
            except (OSError, http.client.HTTPException):
                self.connection = None
                self.server.check_alive()
                if attempt == 2:
                    raise
        return None


def number(text):
    return float(text)


def near(a, b, expr, scale):
    if a == b:
        return True
    if number(a) == 0 and number(b) == 0 and re.search("max|min", expr.text, re.IGNORECASE):
        return True  # of 0 and -0 the first one read
    if expr.exact:
        return False
    if "%" in expr.text:  # makes any difference a large one
        return True
    x, y = number(a), number(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if math.isinf(x) or math.isinf(y):
        return x == y
    return abs(x - y) <= max(1e-9 * max(abs(x), abs(y)), 1e-12 * scale)


def points_of(data):
    if data["resultType"] in ("scalar", "string"):
        return {(): [data["result"]]}
    return {tuple(sorted(s["metric"].items())): s["values"] if "values" in s else [s["value"]]
            for s in data["result"]}


def compare(expr, want, got):
    """None, or what differs between two answers (status, body)."""
    if is_later_check(expr, want, got):
        return None
    if want[0] != got[0]:
        return f"status {want[0]} and {got[0]}: {text_of(want)} | {text_of(got)}"
    if want[1]["status"] != "success":
        if want[1]["errorType"] != got[1].get("errorType"):
            return f"errorType: {text_of(want)} | {text_of(got)}"
        if plain_error(want[1]["error"]) != plain_error(got[1]["error"]) \
                and not is_later_text(want[1]["error"], got[1]["error"]):
            return f"error: {text_of(want)} | {text_of(got)}"
        return None
    a, b = want[1]["data"], got[1]["data"]
    if a["resultType"] != b["resultType"]:
        return f"type: {a['resultType']} | {b['resultType']}"
    x, y = points_of(a), points_of(b)
    if len(y) != len(b["result"]) and a["resultType"] in ("vector", "matrix"):
        return "a label set comes twice"
    if x.keys() != y.keys():
        return f"series: only there {sorted(x.keys() - y.keys())[:3]}, " \
               f"only here {sorted(y.keys() - x.keys())[:3]}"
    if a["resultType"] == "matrix" and [s["metric"] for s in a["result"]] != \
            [s["metric"] for s in b["result"]]:
        return "order of series"
    for labels, points in x.items():
        if [p[0] for p in points] != [p[0] for p in y[labels]]:
            return f"times of {dict(labels)}: {len(points)} {points[:2]} | " \
                   f"{len(y[labels])} {y[labels][:2]}"
        finite = [abs(number(p[1])) for p in points if a["resultType"] != "string"]
        scale = max([v for v in finite if math.isfinite(v)] or [0.0])
        for p, q in zip(points, y[labels]):
            if not (p[1] == q[1] if a["resultType"] == "string" else near(p[1], q[1], expr, scale)):
                return f"value of {dict(labels)} at {p[0]}: {p[1]} | {q[1]}"
    for kind in ("warnings", "infos"):
        texts = [sorted(text.replace(NO_NAME, "") for text in answer[1].get(kind, [])
                        if not is_later_note(text)) for answer in (want, got)]
        if texts[0] != texts[1]:
            return f"{kind}: {texts[0]} | {texts[1]}"
    return None


def plain_error(text):
    """Which of several duplicates is named depends on the order of reading; long texts are cut."""
    if re.match("found duplicate series for the match group|multiple matches for labels", text):
        return "duplicates"
    if "must not occur in ON and GROUP clause at once" in text:
        return re.sub("[0-9]+:[0-9]+: ", "", text)
    return text.removesuffix("...")[:200]


# Texts that later upstream versions changed, and a number of upstream's parser tables.
LATER = ("duration expression", "step(), or range()", "subquery or range", "expected ':'",
         "is not enabled", "in grouping opts, expected label")


NO_NAME = ' for metric name ""'  # which later versions leave out


def is_later_note(text):
    return "sort is ineffective for range queries" in text


def is_later_text(want, got):
    return "<Item " in want or any(text in got for text in LATER)


def is_later_check(expr, want, got):
    """Later versions count the matches that a comparison drops, too, and let group_left(__name__)
    set the name that bool drops."""
    if want[0] == 200 and got[0] == 422:
        return any(op in expr.text for op in "=<>") and \
            got[1]["error"].startswith("multiple matches for labels")
    return want[0] == 200 and "bool" in expr.text and \
        re.search(r"group_(left|right) ?\([^)]*__name__", expr.text) is not None


def text_of(answer):
    return f"{answer[1].get('errorType')}: {answer[1].get('error')}" \
        if answer[1].get("status") != "success" else "success"


def is_unserved(answer):
    return answer[1].get("status") == "error" and "not supported" in answer[1].get("error", "")


class Differ:
    def __init__(self, rng, data, prometheus, server, more_share=0.0):
        self.rng, self.data = rng, data
        self.clients = [Client(prometheus), Client(server)]
        self.generator = Generator(rng, data.start_ms / 1000, data.end_ms / 1000,
                                   more_share)
        self.counts = collections.Counter()
        self.faults = []

    def time(self):
        t_ms = self.rng.randrange(self.data.start_ms - 400000, self.data.end_ms + 400000)
        kind = self.rng.randrange(4)
        if kind == 0:
            t_ms = t_ms // 60000 * 60000
        elif kind == 1:
            t_ms = t_ms // 1000 * 1000
        elif kind == 2:
            samples = self.rng.choice(self.data.series)[1]
            t_ms = self.rng.choice(samples)[0] + self.rng.choice([0, 1, -1, 300000, 299999, 60000])
        return t_ms

    def params(self, expr):
        if self.rng.random() < 0.4 or expr.kind in ("matrix", "string") and self.rng.random() < 0.9:
            return "/query", {"query": expr.text, "time": f"{self.time() / 1000:.3f}"}
        start = self.time()
        step = self.rng.choice(STEPS)
        end = start + self.rng.choice([0, 1, 1000, 60000, 600000, 1200000, 1800000])
        return "/query_range", {"query": expr.text, "start": f"{start / 1000:.3f}",
                                "end": f"{end / 1000:.3f}", "step": step}

    def ask(self, expr, path, params):
        want, got = (client.post(path, params) for client in self.clients)
        self.counts["asked"] += 1
        if is_unserved(got):
            self.counts["not served"] += 1
            return None
        if want[0] == 200:
            self.counts["with data" if want[1]["data"]["result"] else "empty"] += 1
        else:
            self.counts[f"status {want[0]}"] += 1
        return compare(expr, want, got)

    def run(self, count, damaged=0.12):
        for _ in range(count):
            expr = self.generator.damaged() if self.rng.random() < damaged \
                else self.generator.valid()
            path, params = self.params(expr)
            fault = self.ask(expr, path, params)
            if fault:
                self.faults.append((expr, path, params, fault))


def describe(fault):
    expr, path, params, text = fault
    rest = {k: v for k, v in params.items() if k != "query"}
    return f"{expr.text!r} {path} {rest} {'exact' if expr.exact else ''}\n    {text}"


def prepare(env, rng):
    """Both servers, holding the same samples."""
    server = env.server("", name="narthex").start()
    prometheus = env.prometheus("").start()
    data = DataSet(rng, int(time.time() * 1000) - 5000)
    data.send([prometheus, server])
    return data, prometheus, server


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--narthex", default=os.path.join(harness.PROJECT, "build/narthex"))
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--damaged", type=float, default=0.12, help="share of damaged texts")
    parser.add_argument("--more", type=float, default=0.0,
                        help="share of functions, set operators and other aggregations")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000000)
    parser.add_argument("--show", type=int, default=100)
    chosen = parser.parse_args()
    chosen.server, chosen.slow = "narthex", False
    env = harness.Env(chosen)
    print(f"seed {chosen.seed}", flush=True)
    try:
        rng = random.Random(chosen.seed)
        data, prometheus, server = prepare(env, rng)
        differ = Differ(rng, data, prometheus, server, chosen.more)
        for phase in ("head", "blocks", "restarted"):
            if phase == "blocks":
                server.flush()
            elif phase == "restarted":
                server.stop()
                server.start()
            before = len(differ.faults)
            differ.run(chosen.count // 3, chosen.damaged)
            print(f"{phase}: {len(differ.faults) - before} differ; {dict(differ.counts)}",
                  flush=True)
        for fault in differ.faults[:chosen.show]:
            print(describe(fault))
        print(f"{differ.counts['asked'] - len(differ.faults)} passed, {len(differ.faults)} failed")
    finally:
        env.close()
    return 1 if differ.faults else 0


if __name__ == "__main__":
    sys.exit(main())
