# SPDX-License-Identifier: Apache-2.0
"""Remote write as senders write it: 2.0, zstd, what the answers say."""

import time

from harness import check, check_equal
from registry import test
from remote_write import Request2, Sender, field, series, varint, zstd


def now_ms():
    return int(time.time() * 1000)


def values(server, selector):
    return {tuple(sorted(labels)): [(round(t * 1000), v) for t, v in samples]
            for labels, samples in server.raw(selector, time.time() + 1).items()}


@test(seconds=60)
def version2_is_stored(env):
    server = env.server().start()
    sender, t = Sender(server.port), now_ms() - 10000
    request = Request2()
    for i in range(300):
        labels = {"__name__": "v2", "job": "a", "n": f"{i:03d}"}
        request.series(labels, [(t, i), (t + 1000, i + 0.5, t - 5000)],
                       request.metadata(1, "Some counter.", "seconds"))
    check_equal((204, ""), sender.send2(request), "two samples of 300 series")
    check_equal((600, 0, 0), sender.written(), "written")
    got = values(server, "v2")
    check_equal(300, len(got), "series")
    for labels, samples in got.items():
        i = float(dict(labels)["n"])
        check_equal([(t, f"{i:g}"), (t + 1000, f"{i + 0.5:g}")], samples, f"samples of {labels}")
    check_equal(204, sender.send(series({"__name__": "v1"}, [(t, 1)]))[0], "a request of 1.0")
    check_equal(None, sender.written(), "1.0's answer must not count")
    # Labels in another order, another numbering: the same series.
    other = Request2()
    other.ref("v2")
    other.series([("n", "007"), ("job", "a"), ("__name__", "v2")], [(t + 2000, 9)])
    check_equal(204, sender.send2(other)[0], "unsorted labels")
    check_equal([(t, "7"), (t + 1000, "7.5"), (t + 2000, "9")],
                values(server, 'v2{n="007"}').popitem()[1], "the same series")


@test(seconds=60)
def version2_keeps_what_is_good(env):
    """400 with the reasons and the counts; the rest is there."""
    server = env.server().start()
    sender, t = Sender(server.port), now_ms() - 10000
    request = Request2()
    request.series({"__name__": "good", "n": "1"}, [(t, 1)])
    if server.flavor == "narthex":  # 3.5 panics
        request.body += field(5, field(1, varint(1) + varint(99)) + request.sample(t, 2))
        request.body += field(5, field(1, varint(1) + varint(2) + varint(3)) + request.sample(t, 3))
    request.series({"n": "no name"}, [(t, 4)])
    request.series({"__name__": "nothing in it"}, [])
    request.series([("__name__", "twice"), ("a", "1"), ("a", "2")], [(t, 5)])
    request.series({"__name__": "good", "n": "2"}, [(t, 6)])
    status, text = sender.send2(request)
    check_equal(400, status, text)
    check_equal((2, 0, 0), sender.written(), "written")
    check_equal({"1": "1", "2": "6"},
                {dict(labels)["n"]: samples[0][1] for labels, samples in values(server, "good").items()},
                "what was good")
    if server.flavor == "narthex":
        check("99" in text and "symbols table" in text, f"the first fault: {text}")
        check(text.startswith("5 refused: "), f"how many: {text}")
    # An old sample between new ones.
    request = Request2()
    request.series({"__name__": "good", "n": "1"}, [(t - 1000, 7)])
    request.series({"__name__": "good", "n": "2"}, [(t + 1000, 8)])
    status, text = sender.send2(request)
    check_equal(400, status, text)
    check_equal((1, 0, 0), sender.written(), "written")
    check("out of order" in text, text)
    check_equal([(t, "6"), (t + 1000, "8")], values(server, 'good{n="2"}').popitem()[1], "the new one")


@test(seconds=60)
def broken_version2_leaves_nothing(env):
    server = env.server().start()
    sender = Sender(server.port)
    good = Request2().series({"__name__": "broken"}, [(now_ms(), 1)]).message()
    for name, message in (("cut", good[:-3]), ("sample of 4 bytes", good + field(5, b"\x12\x05\x0d\0\0\0\0")),
                          ("symbols as numbers", good + b"\x20\x01"), ("series as a number", good + b"\x28\x01"),
                          ("no protobuf", b"\xff" * 30)):
        status, text = sender.send2(message)
        if server.flavor == "prometheus" and name == "sample of 4 bytes":
            continue
        check_equal(400, status, f"{name}: {text}")
        check(text.strip(), f"{name}: no word")
        if server.flavor == "narthex":  # 3.5 says nothing
            check_equal((0, 0, 0), sender.written(), f"{name}: written")
    if server.flavor == "narthex":
        check_equal([], server.query("broken")["result"], "left behind")


@test(seconds=60, narthex_only=True)
def version2_takes_the_fast_path(env):
    """Known series are found by the texts of their labels however a request numbers them, and their
    metadata is handed on once, not with every sample."""
    server = env.server().start()
    sender, t = Sender(server.port), now_ms() - 60000
    for n in range(20):
        request = Request2()
        for i in range(n):  # other numbers each time
            request.ref(f"text {i}")
        for i in range(100):
            request.series({"__name__": f"fast_{i % 10}", "i": str(i)}, [(t + n, i)],
                           request.metadata(2, f"Help of {i % 10}."))
        check_equal(204, sender.send2(request)[0], f"request {n}")
    check_equal(1900.0, server.metric("narthex_receiver_alias_hits_total"), "hits")
    check_equal(100.0, server.metric("narthex_receiver_alias_misses_total"), "misses")
    check_equal(2000, sum(len(s) for s in values(server, '{__name__=~"fast_.*"}').values()), "samples")
    handed_on = server.metric("narthex_distributor_samples_in_total") - 2000
    check(10 <= handed_on <= 20, f"{handed_on} pieces of metadata for 10 metrics")


@test(seconds=60, narthex_only=True)
def zstd_is_taken(env):
    server = env.server().start()
    sender, t = Sender(server.port), now_ms() - 10000
    packed = {"Content-Encoding": "zstd"}
    message = b"".join(series({"__name__": "packed", "n": str(i)}, [(t, i)]) for i in range(5000))
    check_equal(204, sender.send_raw(zstd(message), packed)[0], "1.0")
    check_equal(204, sender.send_raw(zstd(message, declares=False), packed)[0], "no declared length")
    request = Request2().series({"__name__": "packed2"}, [(t, 1)])
    check_equal(204, sender.send_raw(zstd(request.message()), dict(
        packed, **{"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}))[0], "2.0")
    check_equal("5000", server.query("count(packed)")["result"][0]["value"][1], "series")
    check_equal("1", server.query("count(packed2)")["result"][0]["value"][1], "series of 2.0")
