# SPDX-License-Identifier: Apache-2.0
"""The queries of the PromQL compliance tester over series of its demo service: a real Prometheus and
the server under test give the same answer, or both refuse."""

import os
import random
import time

from harness import PROJECT, check
from promql_data import DataSet
from promql_diff import Client, compare, describe
from promql_gen import Expr
from registry import test

QUERIES = os.path.join(PROJECT, "tests/data/conformance/promql-compliance/queries.tsv")
INTERVAL_MS = 5000
HOSTS = [f"demo.promlabs.com:{port}" for port in (10000, 10001, 10002)]
BOUNDS = ["0.0001", "0.0005", "0.0025", "0.0125", "0.0625", "0.3125", "1.5625", "+Inf"]


class DemoSet(DataSet):
    """Two hours of what the demo service shows."""

    def __init__(self, rng, end_ms):  # pylint: disable=super-init-not-called
        self.rng, self.end_ms, self.start_ms = rng, end_ms, end_ms - 2 * 3600 * 1000
        self.series = []
        for host in HOSTS:
            self.add_host(host)

    def add_demo(self, name, host, values, **labels):
        """values: a function of the tick; None: no sample."""
        samples = []
        for tick, t_ms in enumerate(self.times(INTERVAL_MS)):
            value = values(tick)
            if value is not None:
                samples.append((t_ms, value))
        self.add({"__name__": name, "instance": host, "job": "demo", **labels}, samples)

    def counter(self, step):
        total = 0.0

        def values(tick):
            nonlocal total
            total = 0.0 if tick % 900 == 899 else total + self.rng.random() * step
            return total
        return values

    def walk(self, start, step):
        value = start

        def values(_tick):
            nonlocal value
            value += self.rng.uniform(-step, step)
            return value
        return values

    def add_host(self, host):
        rng = self.rng
        for kind, start in (("buffers", 1e8), ("cached", 2e9), ("free", 5e9), ("used", 3e9)):
            self.add_demo("demo_memory_usage_bytes", host, self.walk(start, 1e6), type=kind)
        for mode in ("idle", "system", "user"):
            self.add_demo("demo_cpu_usage_seconds_total", host, self.counter(2), mode=mode)
        cpus = float(rng.randrange(2, 9))
        self.add_demo("demo_num_cpus", host, lambda _tick: cpus)
        self.add_demo("demo_disk_usage_bytes", host, self.walk(1e11, 1e7))
        self.add_demo("demo_disk_total_bytes", host, lambda _tick: 2.5e11)
        self.add_demo("demo_intermittent_metric", host,
                      lambda tick: 1.0 if tick // 24 % 2 == 0 else None)
        self.add_demo("demo_batch_last_success_timestamp_seconds", host,
                      lambda tick: self.start_ms // 1000 + float(tick // 12 * 60))
        self.add_histogram(host)

    def add_histogram(self, host):
        counts = {bound: [] for bound in BOUNDS}
        sums, totals, seen, total = [], [], [0] * len(BOUNDS), 0.0
        for tick, _t_ms in enumerate(self.times(INTERVAL_MS)):
            for _ in range(self.rng.randrange(6) if tick % 3 else 0):
                value = self.rng.expovariate(20)
                total += value
                for i, bound in enumerate(BOUNDS):
                    seen[i] += bound == "+Inf" or value <= float(bound)
            for i, bound in enumerate(BOUNDS):
                counts[bound].append(float(seen[i]))
            sums.append(total)
            totals.append(float(seen[-1]))
        name, labels = "demo_api_request_duration_seconds", {"method": "GET", "path": "/api/foo",
                                                            "status": "200"}
        for bound in BOUNDS:
            self.add_demo(name + "_bucket", host, counts[bound].__getitem__, le=bound, **labels)
        self.add_demo(name + "_sum", host, sums.__getitem__, **labels)
        self.add_demo(name + "_count", host, totals.__getitem__, **labels)


def load_queries():
    with open(QUERIES, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t", 1) for line in file if line.strip()]


@test(seconds=120)
def same_answers_to_compliance_queries(env):
    server = env.server("", name="narthex").start()
    prometheus = env.prometheus("").start()
    data = DemoSet(random.Random(1), int(time.time() * 1000) - 5000)
    data.send([prometheus, server])
    clients, faults, count = [Client(prometheus), Client(server)], [], 0
    end = data.end_ms / 1000
    for verdict, text in load_queries():  # "~invalid" is a label name since names are UTF-8
        expr = Expr(text, exact=False)
        for start, step in ((end - 600, "10"), (end - 5400, "47")):
            params = {"query": text, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": step}
            want, got = (client.post("/query_range", params) for client in clients)
            count += 1
            text_of_fault = compare(expr, want, got)
            if (got[0] == 200) != (verdict == "ok") and "~invalid" not in text:
                text_of_fault = f"{got[0]}, should be {verdict}: {got[1].get('error')}"
            if text_of_fault:
                faults.append((expr, "/query_range", params, text_of_fault))
    check(count > 1000, f"only {count} queries")
    check(not faults, f"{len(faults)} of {count} differ\n" + "\n".join(
        describe(fault) for fault in faults[:20]))
