# SPDX-License-Identifier: Apache-2.0
"""Remote read: beside Prometheus's own answers, and with a Prometheus that reads from the server."""

import time

from compare import differences
from harness import check, check_equal, request
from registry import test
from remote_read import ask, chunks, query, samples
from remote_write import Sender, sample_bits, field, label, series

STALE = 0x7FF0000000000002


def fill(senders, t, count=100):
    """Series of several kinds of values, the newest samples now."""
    for n in range(count):
        at = t - (count - n) * 1000
        message = b"".join([
            series({"__name__": "counter_total", "job": "a", "n": "1"}, [(at, n * 10)]),
            series({"__name__": "counter_total", "job": "a", "n": "2"}, [(at, n * 7 if n < 50 else n)]),
            series({"__name__": "gauge", "job": "b", "region": "own"}, [(at, (n * 7919 % 101) / 8)]),
            series({"__name__": "irregular", "job": "b"}, [(at + n * n % 700, 1 / (n + 1))]),
            series({"__name__": "constant"}, [(at, 3)]),
        ] + ([field(1, label("__name__", "gone") + sample_bits(at, STALE if n == 40 else n))]
             if n <= 40 else []))
        for sender in senders:
            status, text = sender.send(message)
            check(status == 204, f"{n}: {status} {text}")


def both(env, config=""):
    """A Prometheus and the server, with the same samples."""
    pair = [env.prometheus(config).start(), env.server(config).start()]
    t = int(time.time() * 1000)
    fill([Sender(one.port) for one in pair], t)
    return pair, t


QUERIES = [
    [("__name__", "=~", ".+")],
    [("job", "=", "a")],
    [("job", "!=", "a"), ("__name__", "=~", "c.*|g.*")],
    [("n", "!~", "1|3"), ("__name__", "=", "counter_total")],
    [("__name__", "=", "nothing")],
    [("region", "=", "eu")],
    [("region", "=", "own")],
    [("region", "!=", "eu"), ("__name__", "!=", "")],
]


@test(seconds=60)
def read_answers_as_prometheus(env):
    (prometheus, server), t = both(env, "global: {external_labels: {region: eu, zone: z1}}\n")
    for matchers in QUERIES:
        for start, end in ((0, t + 1000), (t - 50000, t - 20000), (t - 40500, t - 40500)):
            asked = [query(start, end, matchers)]
            want, got = ([{labels: found for labels, found in result.items() if found != ([], [])}
                          for result in samples(one.port, asked)] for one in (prometheus, server))
            check_equal(want, got, f"{matchers} from {start} to {end}")
            want, got = chunks(prometheus.port, asked), chunks(server.port, asked)
            check_equal([one[:2] for one in want], [one[:2] for one in got], f"{matchers}: frames")
            for one, other in zip(want, got):
                check_equal(one, other, f"chunks of {one[1]} from {start} to {end}")
    asked = [query(0, t, [("__name__", "=", name)]) for name in ("constant", "nothing", "gauge")]
    check_equal(3, len(samples(server.port, asked)), "results of three queries")
    check_equal([0, 2], [one[0] for one in chunks(server.port, asked)], "numbers of queries")
    if server.flavor == "narthex":
        server.flush()
        asked = [query(0, t + 1000, QUERIES[0])]
        check_equal(samples(prometheus.port, asked), samples(server.port, asked), "from a block")


@test(seconds=60)
def prometheus_reads_from_it(env):
    """A Prometheus without samples of its own answers as the server does."""
    server = env.server().start()
    t = int(time.time() * 1000)
    fill([Sender(server.port)], t)
    reader = env.prometheus(f"""
remote_read:
  - url: http://127.0.0.1:{server.port}/api/v1/read
    read_recent: true
""").start()
    at, faults = t / 1000, []
    for text in ("counter_total", "rate(counter_total[20s])", "sum by (job) (increase(counter_total[1m]))", "gone",
                 "gone offset 1m", "irregular", "max_over_time(gauge[30s])", "constant * on () group_right () gauge",
                 "count({__name__=~'.+'})"):
        faults += [f"{text}: {one}" for one in differences(server.query(text, at), reader.query(text, at), True)]
        want, got = (one.query_range(text, at - 90, at, "3s") for one in (server, reader))
        faults += [f"{text} over time: {one}" for one in differences(want, got, True)]
    check(not faults, "\n".join(faults[:10]))


@test(seconds=60)
def bad_reads_are_refused(env):
    server = env.server().start()

    def send(body, status, part):
        answer = request(server.port, "POST", "/api/v1/read", body, {"Content-Encoding": "snappy"})
        check_equal(status, answer.status, answer.text)
        if server.flavor == "narthex":
            check(part in answer.text, f"{part!r} is not in {answer.text!r}")
    send(b"", 400, "snappy: empty input")
    send(b"\xff" * 50, 400, "snappy")
    send(b"\x04\x0c\xff\xff\xff\xff", 400, "malformed protobuf")
    answer = ask(server.port, [field(2, b"\x07")])
    check_equal(200, answer.status, "samples are the second choice")
    if server.flavor == "narthex":  # upstream says 500
        check_equal(400, ask(server.port, [query(0, 1, [("a", "=~", "(")])]).status, "regular expression")


@test(seconds=60, narthex_only=True)
def read_limits(env):
    server = env.server(flags=["--storage.remote.read-sample-limit=100",
                               "--storage.remote.read-max-bytes-in-frame=100"]).start()
    sender, t = Sender(server.port), int(time.time() * 1000)
    points = [(t - 1000000 + n * 1000, n * 1.25) for n in range(500)]
    check_equal(204, sender.send(series({"__name__": "long"}, points))[0], "500 samples")
    asked = [query(0, t, [("__name__", "=", "long")])]
    answer = ask(server.port, asked)
    check_equal((400, "exceeded sample limit (100)\n"), (answer.status, answer.text), "too many")
    frames = chunks(server.port, asked)
    check_equal(5, len(frames), "one chunk a frame")
    check_equal([(n * 120, min(n * 120 + 119, 499)) for n in range(5)],
                [tuple((x - points[0][0]) // 1000 for x in one[2][0][:2]) for one in frames], "what they cover")
