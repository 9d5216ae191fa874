# SPDX-License-Identifier: Apache-2.0
"""Soak: pods that are renamed all the time. What is in memory is the recent window, so memory has to
be flat once that window is full, however many series there have been."""

import time

from harness import Threads, check, check_equal
from registry import soak
from remote_write import Sender, series

BLOCK_RANGE_S = 60
PODS, METRICS, LIFE_S, STEP_S = 100, 40, 30, 1
SERIES = PODS * METRICS


def series_of(pod, generation):
    """One pod's series in order of labels."""
    return [[("__name__", f"container_metric_{n:02}"), ("id", f"/kubepods/pod{pod:04}/{generation:08x}"),
             ("image", "registry.example/team/application:1.2.3"), ("job", "kubelet"),
             ("namespace", f"team-{pod % 7}"), ("node", f"node-{pod % 11:02}"),
             ("pod", f"application-{pod:04}-{generation * 2654435761 % 2**32:08x}")] for n in range(METRICS)]


def send(server, end, made):
    """Each pod's samples once a step, in real time; pods end at different times."""
    sender, step = Sender(server.port), 0
    labels = {}
    while time.monotonic() < end:
        began = time.monotonic()
        t_ms = int(time.time() * 1000)
        for pod in range(PODS):
            generation = (step + pod * LIFE_S // PODS) // LIFE_S
            if labels.get(pod, (None,))[0] != generation:
                labels[pod] = (generation, series_of(pod, generation))
                made.append(METRICS)
            body = b"".join(series(items, [(t_ms, step * (n + 1) + pod)])
                            for n, items in enumerate(labels[pod][1]))
            status, text = sender.send(body)
            check_equal(204, status, f"a write: {text}")
        step += 1
        time.sleep(max(0.0, STEP_S - (time.monotonic() - began)))
    sender.close()


@soak
def churn(env, minutes):
    server = env.server(flags=[f"--storage.block_range={BLOCK_RANGE_S}s"]).start()
    end, made = time.monotonic() + minutes * 60, []
    threads = Threads()
    threads.start(send, server, end, made)
    # Full: the window, what waits to be flushed, and as much again for caches and the allocator.
    settled = min(6 * BLOCK_RANGE_S, minutes * 60 / 3)
    began, sizes = time.monotonic(), []
    while time.monotonic() < end:
        time.sleep(min(30, minutes * 60 / 12))
        now = time.monotonic() - began
        rss = server.process.rss_bytes()
        head = server.metric("prometheus_tsdb_head_series")
        if now >= settled:
            sizes.append(rss)
        print(f"  {now:6.0f} s: {sum(made):,} series so far, {head:,.0f} in the head, RSS {rss / 1e6:.1f} MB",
              flush=True)
        check(now < settled or head < SERIES * (4 * BLOCK_RANGE_S / LIFE_S), "the head keeps series that ended")
    threads.join()
    third = max(1, len(sizes) // 3)
    early, late = sum(sizes[:third]) / third, sum(sizes[-third:]) / third
    print(f"  RSS {early / 1e6:.1f} MB in the first third, {late / 1e6:.1f} MB in the last")
    check(late < early * 1.1 + 4e6, f"memory grew from {early / 1e6:.1f} to {late / 1e6:.1f} MB")
    server.stop()
