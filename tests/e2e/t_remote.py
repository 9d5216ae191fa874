# SPDX-License-Identifier: Apache-2.0
"""The remote-write sender against receivers that others wrote: through their outages, their refusals and
our own death, all that was acknowledged to us arrives there, once."""

import signal
import threading
import time

from harness import Threads, check, check_equal, free_port, wait_for
from pages import TEXT, Pages
from registry import test
from remote_gate import Gate, Victoria
from remote_write import Ledger, Sender

SENDERS, SERIES = 2, 15


def remote_config(port, extra="", path="/api/v1/write"):
    return f"""
remote_write:
  - url: http://127.0.0.1:{port}{path}
    remote_timeout: 5s
    queue_config: {{batch_send_deadline: 200ms, max_samples_per_send: 100, min_shards: 3,
                   min_backoff: 30ms, max_backoff: 500ms, retry_on_http_429: true}}
{extra}"""


class Stream:
    """Ledgers that are written to a server for as long as it is there."""

    def __init__(self, name):
        start_ms = int(time.time() * 1000) - 600000
        self.ledgers = [Ledger(name, k, SERIES, start_ms) for k in range(SENDERS)]
        self.threads = None

    def start(self, server):
        self.threads = Threads()
        for ledger in self.ledgers:
            self.threads.start(self.write, server, ledger, self.threads.stopping)

    @staticmethod
    def write(server, ledger, stopping):
        sender = Sender(server.port)
        while not stopping.is_set():
            if ledger.send_next(sender) == 0:
                break
            time.sleep(0.02)
        sender.close()

    def stop(self):
        self.threads.join()

    def verify(self, receiver):
        return sum(ledger.verify(receiver) for ledger in self.ledgers)

    def acknowledged(self):
        return sum(len(ledger.acknowledged) for ledger in self.ledgers)

    def wait_whole(self, receiver, seconds):
        """Until the receiver has all that was acknowledged; the number of its samples."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.verify(receiver)
            except AssertionError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.3)


def sent_all(server):
    """What a sender's own counters say when it has nothing left."""
    pending = server.metric("prometheus_remote_storage_samples_pending")
    return pending == 0


@test(seconds=90, narthex_only=True)
def remote_write_survives_outages_and_kills(env):
    receiver = env.prometheus().start()
    gate = Gate(receiver.port)
    env.defer(gate.close)
    server = env.server(remote_config(gate.port)).start()
    stream = Stream("sent")
    stream.start(server)
    time.sleep(1.5)
    gate.refuse(429, {"Retry-After": "1"})
    time.sleep(2)
    check(gate.refused > 0, "nothing was refused")
    check(gate.refused < 60, f"{gate.refused} requests in two seconds of Retry-After: 1")
    gate.open()
    time.sleep(1.5)
    receiver.kill()  # away
    time.sleep(1)
    server.kill()    # and the sender dies meanwhile
    stream.stop()
    server.start()
    stream.start(server)
    time.sleep(1.5)
    receiver.start()
    for _ in range(3):  # and dies while it catches up
        time.sleep(0.7)
        server.kill()
        stream.stop()
        server.start()
        stream.start(server)
    time.sleep(1)
    stream.stop()
    check(not any(ledger.refused for ledger in stream.ledgers), "writes were refused")
    total = stream.wait_whole(receiver, 30)
    check(total >= stream.acknowledged() * SERIES, f"{total} samples")
    check(stream.acknowledged() > 100, f"only {stream.acknowledged()} requests")
    wait_for(lambda: sent_all(server), 10, "nothing pending")
    check_equal(0.0, server.metric("prometheus_remote_storage_samples_dropped_total"), "dropped")
    print(f"  {stream.acknowledged()} requests acknowledged, {total} samples there, answers {gate.answers}")
    server.stop()


@test(seconds=60, narthex_only=True)
def remote_write_arrives_once_in_victoria(env):
    receiver = Victoria(env).start()
    gate = Gate(receiver.port)
    env.defer(gate.close)
    server = env.server(remote_config(gate.port)).start()
    stream = Stream("sent")
    stream.start(server)
    time.sleep(1)
    gate.refuse(503)
    time.sleep(1.5)
    server.kill()  # nothing is under way but what was refused
    stream.stop()
    server.start()
    stream.start(server)
    time.sleep(0.5)
    gate.open()
    time.sleep(1)
    stream.stop()
    server.stop()  # flushes
    total = stream.verify(receiver)
    check(total >= stream.acknowledged() * SERIES, f"{total} samples")
    check_equal([204], sorted(gate.answers), "answers")
    server.start()
    stream.start(server)
    time.sleep(0.5)
    stream.stop()
    total = stream.wait_whole(receiver, 15)
    print(f"  {stream.acknowledged()} requests acknowledged, {total} samples there")
    server.stop()


def scraper_config(pages, port):
    return f"""
global:
  scrape_interval: 200ms
  external_labels: {{site: "a"}}
scrape_configs:
  - job_name: page
    static_configs: [{{targets: ["127.0.0.1:{pages.port}"]}}]
{remote_config(port, '''    write_relabel_configs:
      - {source_labels: [__name__], regex: "unwanted_.*", action: drop}
      - {target_label: via, replacement: narthex}
''')}"""


@test(seconds=60, narthex_only=True)
def scraper_without_storage_sends_all(env):
    receiver = env.prometheus().start()
    gate = Gate(receiver.port)
    env.defer(gate.close)
    pages, served = Pages(), []
    env.defer(pages.close)
    lock = threading.Lock()

    def page(count, _headers):
        with lock:
            served.append(count)
        return 200, TEXT, f"page_number {count}\nunwanted_one 1\n"
    pages.add("/metrics", page)
    server = env.server(scraper_config(pages, gate.port), flags=["--target=scraper"]).start()
    time.sleep(1.5)
    targets = server.api("/targets")["activeTargets"]
    check_equal(["up"], [t["health"] for t in targets], "targets")
    check_equal(404, server.get("/api/v1/query", {"query": "up"}).status, "no querier")
    gate.refuse(500)
    time.sleep(1)
    server.process.signal(signal.SIGHUP)  # nothing changed, nothing is lost
    server.kill()
    server.start()
    time.sleep(1)
    gate.open()
    time.sleep(1)
    server.stop()
    selector = 'page_number{site="a",via="narthex",job="page"}'
    got = [int(float(v)) for _, v in next(iter(receiver.raw(selector, time.time(), "2m").values()))]
    check_equal(sorted(set(got)), got, "in order, each once")
    with lock:
        missing = sorted(set(served) - set(got))
    # One may have been under way when it died, and one when it was told to stop.
    check(len(missing) <= 2 and len(got) > 12, f"missing {missing} of {len(served)}, got {len(got)}")
    check_equal([], receiver.query('{__name__=~"unwanted_.*"}')["result"], "dropped by relabelling")
    print(f"  {len(served)} pages served, {len(got)} samples there")


@test(seconds=30, narthex_only=True)
def scraper_without_remote_write_is_refused(env):
    server = env.server("", flags=["--target=scraper"]).launch()
    check_equal(1, server.process.wait(20), "exit status")
    check("must have at least one remote_write" in server.tail(), server.tail())
    server = env.server(remote_config(free_port()), flags=["--target=scraper,distributor"]).start()
    server.set_config("")
    check_equal(500, server.post("/-/reload").status, "reload")
    check("must have at least one remote_write" in server.tail(), server.tail())
    stream = Stream("kept")
    stream.start(server)
    time.sleep(0.3)
    stream.stop()
    check(stream.acknowledged() > 3 and not stream.ledgers[0].refused, "still takes samples")
    server.stop()


@test(seconds=60, narthex_only=True)
def remote_write_reload_loses_nothing(env):
    receivers = [env.prometheus().start() for _ in range(2)]
    one, two = (r.port for r in receivers)
    server = env.server(remote_config(one), flags=["--target=distributor"]).start()
    stream = Stream("sent")
    stream.start(server)
    time.sleep(0.7)

    def reload(text):
        server.set_config(text)
        check_equal(200, server.post("/-/reload").status, "reload")
        time.sleep(0.7)
    # Changed, one more, changed again, gone.
    reload(remote_config(one).replace("min_shards: 3", "min_shards: 5"))
    before = stream.ledgers[0].next
    reload(remote_config(one) + remote_config(two).replace("remote_write:", ""))
    reload(remote_config(one).replace("200ms", "100ms") +
           remote_config(two).replace("remote_write:", ""))
    after = stream.ledgers[0].next
    reload(remote_config(one))
    stream.stop()
    stream.wait_whole(receivers[0], 15)
    got = receivers[1].raw('sent{sender="0",series="0000"}', stream.ledgers[0].end_s(), "20m")
    times = [round(t * 1000) for t, _ in next(iter(got.values()))]
    want = {stream.ledgers[0].t_ms(n) for n in stream.ledgers[0].acknowledged
            if before + 10 < n < after - 10}
    check(want <= set(times), f"the second receiver misses {sorted(want - set(times))[:5]}")
    check(stream.ledgers[0].t_ms(0) not in times, "the second receiver got what was before it")
    server.stop()
