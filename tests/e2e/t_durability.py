# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged is there: after kill -9, after SIGTERM, in the head and in blocks."""

import http.client
import os
import random
import time

from harness import Threads, check, check_equal, wait_for
from registry import test
from remote_write import Ledger, Sender, series

SENDERS, SERIES = 4, 40


def ledgers_new(name):
    start_ms = int(time.time() * 1000) - 3000000
    return [Ledger(name, k, SERIES, start_ms) for k in range(SENDERS)]


def write_until_stopped(threads, server, ledger, pause_s=0.004):
    """Ends at the first broken connection, too: the server is gone then."""
    sender = Sender(server.port)
    while not threads.stopping.is_set():
        if ledger.send_next(sender) == 0:
            break
        time.sleep(pause_s)
    sender.close()


def verify_all(server, ledgers):
    total = sum(ledger.verify(server) for ledger in ledgers)
    return total


@test(seconds=300)
def kill_9_loses_nothing(env):
    rounds = 20 if not env.slow else 4
    chance = random.Random(env.seed)
    server = env.server()
    ledgers = ledgers_new("crash")
    flushes = 0
    for n in range(rounds):
        server.start()
        threads = Threads()
        for ledger in ledgers:
            threads.start(write_until_stopped, threads, server, ledger)
        end = time.monotonic() + chance.uniform(0.02, 1.2)
        flush_at = time.monotonic() + chance.uniform(0, 1.0) if chance.random() < 0.6 else None
        while time.monotonic() < end:
            time.sleep(0.005)
            if flush_at is not None and time.monotonic() > flush_at and server.flavor == "narthex":
                flush_at = None
                flushes += 1
                # Its answer may be cut off by the kill.
                threads.start(flush_quietly, server)
        server.kill()
        threads.join()
        check(sum(len(ledger.refused) for ledger in ledgers) == 0,
              f"round {n}: writes were refused")
    server.start()
    total = verify_all(server, ledgers)
    acknowledged = sum(len(ledger.acknowledged) for ledger in ledgers)
    unknown = sum(len(ledger.unknown) for ledger in ledgers)
    check(acknowledged > rounds * 10, f"only {acknowledged} requests were acknowledged")
    check(total >= acknowledged * SERIES, "fewer samples than were acknowledged")
    print(f"  {rounds} kills, {flushes} flushes: {acknowledged} requests acknowledged, {unknown} unknown, "
          f"{total} samples there")
    if server.flavor == "narthex":
        server.flush()
        check_equal(total, verify_all(server, ledgers), "samples after a flush")
    server.stop()
    server.start()
    check_equal(total, verify_all(server, ledgers), "samples after a clean restart")
    server.stop()


@test(seconds=120)
def late_samples(env):
    """The out-of-order window: within, outside, another value of a time; by kills, flushes and a
    reload that closes it."""
    window = "storage:\n  tsdb:\n    out_of_order_time_window: 30m\n"
    server = env.server(window).start()
    now = int(time.time()) * 1000
    sender = Sender(server.port)

    def send(t_ms, value):
        return sender.send(series({"__name__": "late"}, [(t_ms, value)]))
    want = {}
    for t_ms, value in ((now, 1), (now - 60000, 2), (now - 1800000, 3), (now - 60000, 5),
                        (now - 60000, 4), (now, 0), (now - 120000, 6)):
        check_equal(204, send(t_ms, value)[0], f"answer to {value} at {t_ms - now}")
        want[t_ms] = max(value, want.get(t_ms, 0))
    status, text = send(now - 1800001, 7)
    check_equal(400, status, "answer outside the window")
    check("too old sample" in text, f"its text: {text}")

    def verify(what):
        got = {round(t * 1000): float(v) for samples in server.raw("late", now / 1000, "2h").values()
               for t, v in samples}
        check_equal(want, got, what)
    verify("samples in memory")
    server.kill()
    server.start()
    sender = Sender(server.port)
    verify("samples after a kill")
    server.flush()
    verify("samples in blocks")
    check_equal(204, send(now - 60000, 9)[0], "answer to a greater value of a time that is in a block")
    want[now - 60000] = 9
    verify("samples in block and memory")
    server.flush()
    server.kill()
    server.start()
    sender = Sender(server.port)
    verify("samples in two blocks of one window")
    server.set_config("")
    check_equal(200, server.post("/-/reload").status, "reload")
    status, text = send(now - 1000, 8)
    check_equal(400, status, "answer with the window closed")
    check("out of order sample" in text, f"its text: {text}")
    verify("samples with the window closed")
    server.stop()


def flush_quietly(server):
    try:
        server.post("/ingester/flush", timeout=20)
    except (OSError, http.client.HTTPException):
        pass


@test(seconds=120)
def sigterm_loses_nothing(env):
    server = env.server()
    ledgers = ledgers_new("term")
    for _ in range(3):
        server.start()
        threads = Threads()
        for ledger in ledgers:
            threads.start(write_until_stopped, threads, server, ledger)
        time.sleep(1)
        began = time.monotonic()
        server.stop(seconds=30)
        took = time.monotonic() - began
        threads.join()
        check(took < 20, f"SIGTERM took {took:.1f} s")
    server.start()
    total = verify_all(server, ledgers)
    check(total > 1000, f"only {total} samples")
    # Requests cut off by the stop were answered or never counted; a refusal is no loss.
    server.stop()


@test(seconds=120, narthex_only=True)
def flush_to_blocks(env):
    """A flush moves samples into block files and changes no answer, nor does what comes after."""
    server = env.server().start()
    start_ms = int(time.time() * 1000) - 7200000
    ledgers = [Ledger("flushed", k, SERIES, start_ms, step_ms=15000) for k in range(2)]
    sender = Sender(server.port)

    def write(count):
        for _ in range(count):
            for ledger in ledgers:
                check_equal(204, ledger.send_next(sender), "write")

    def blocks():
        folder = os.path.join(server.data, "blocks")
        return sorted(name for name in os.listdir(folder) if not name.endswith((".tmp", ".bad"))) \
            if os.path.isdir(folder) else []

    def answers():
        # At times that later writes don't touch.
        at = start_ms / 1000 + 150 * 15
        return [server.query_range(query, start_ms / 1000, at, "37s") for query in (
            "flushed", "sum by (sender) (rate(flushed[2m]))", "count(flushed)",
            'max without (series) (flushed{series=~"00.[13]"})', "flushed offset 5m > 30")]
    write(200)
    before = answers()
    server.flush()
    wait_for(blocks, 20, "a block")
    for name in blocks():
        for part in ("meta.json", "index.sst", "data.sst"):
            check(os.path.getsize(os.path.join(server.data, "blocks", name, part)) > 0, part)
    for what, action in (("a flush", lambda: None), ("more writes", lambda: write(50)),
                         ("a second flush", server.flush), ("a restart", lambda: restart(server)),
                         ("a kill", lambda: restart(server, kill=True)),
                         ("a flush of nothing", server.flush)):
        action()
        for one, other in zip(before, answers()):
            check_equal(one, other, f"an answer after {what}")
        check_equal(sum(ledger.next for ledger in ledgers) * SERIES, verify_all(server, ledgers),
                    f"samples after {what}")
        check_equal(["__name__", "sender", "series"], server.api("/labels", {
            "start": start_ms / 1000, "end": start_ms / 1000 + 7200}), f"labels after {what}")
        check_equal(2 * SERIES, len(server.api("/series", {
            "match[]": "flushed", "start": start_ms / 1000, "end": start_ms / 1000 + 7200})),
            f"series after {what}")
    server.stop()


def restart(server, kill=False):
    if kill:
        server.kill()
    else:
        server.stop()
    server.start()


@test(seconds=120, narthex_only=True)
def one_bad_block_stops_nothing(env):
    server = env.server().start()
    sender = Sender(server.port)
    start_ms = int(time.time() * 1000) - 3600000
    good = Ledger("goodblock", 0, SERIES, start_ms)
    for _ in range(50):
        good.send_next(sender)
    server.flush()
    folder = os.path.join(server.data, "blocks")
    first = set(os.listdir(folder))
    bad = Ledger("badblock", 0, SERIES, start_ms + 1200000)
    for _ in range(50):
        bad.send_next(sender)
    server.flush()
    second = sorted(set(os.listdir(folder)) - first)
    check(second, "no second block")
    server.stop()
    for name in second:
        path = os.path.join(folder, name, "index.sst")
        size = os.path.getsize(path)
        with open(path, "r+b") as file:
            file.truncate(size // 2)
    server.start()
    check_equal(50 * SERIES, good.verify(server), "samples of the good block")
    check(second[0] in server.process.log(), "the log names the bad block")
    check_equal(204, good.send_next(Sender(server.port)), "a write")
    server.stop()
