# SPDX-License-Identifier: Apache-2.0
"""Much at once: slow clients, long work and small limits must not hold up what has nothing to do
with them."""

import http.client
import resource
import socket
import time

from harness import Threads, check, check_equal, form, wait_for
from registry import test
from remote_write import Ledger, Sender


def stalled_query(env, port, path, params):
    """A client that asks for a large answer and takes none of it. Gives its socket."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", port))
    sock.sendall(f"GET {path}?{form(params)} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    sock.recv(1)  # the answer has begun
    env.defer(sock.close)
    return sock


def write_batches(server, count, series=40):
    """count batches a second apart that end now; their ledger."""
    start_ms = int(time.time() * 1000) - count * 1000
    ledger = Ledger("load", 0, series, start_ms, step_ms=1000)
    sender = Sender(server.port)
    for _ in range(count):
        check_equal(204, ledger.send_next(sender), "a write")
    sender.close()
    return ledger


def ask_for_much(env, server, ledger, count):
    """Stalls `count` clients with an answer of some ten megabytes each."""
    end = ledger.t_ms(ledger.next - 1) / 1000
    return [stalled_query(env, server.port, "/api/v1/query_range", {
        "query": "load", "start": f"{end - 200:.3f}", "end": f"{end:.3f}", "step": "0.02"})
        for _ in range(count)]


def post_quietly(server, path):
    try:
        server.post(path, timeout=30)
    except (OSError, http.client.HTTPException):
        pass


@test(seconds=120, narthex_only=True)
def reload_passes_waiting_flushes(env):
    """Flushes that wait for something take no worker that a reload needs."""
    server = env.server().start()
    ledger = write_batches(server, 300)
    stalled = ask_for_much(env, server, ledger, 1)
    threads = Threads()
    for _ in range(6):
        threads.start(post_quietly, server, "/ingester/flush")
    time.sleep(0.5)
    server.set_config("global: {scrape_interval: 7s}\n")
    answer = server.post("/-/reload", timeout=10)
    check_equal(200, answer.status, "the reload")
    check("scrape_interval: 7s" in server.api("/status/config", timeout=10)["yaml"], "its effect")
    for sock in stalled:
        sock.close()
    threads.join()
    server.stop()


@test(seconds=120, narthex_only=True)
def slow_reader_holds_up_no_flush(env):
    """An answer that its client is slow to take holds nothing that a flush waits for."""
    server = env.server().start()
    ledger = write_batches(server, 300)
    end = ledger.t_ms(ledger.next - 1) / 1000
    before = server.query_range("load", end - 250, end, "1s")
    stalled = ask_for_much(env, server, ledger, 2)
    began = time.monotonic()
    server.flush()
    took = time.monotonic() - began
    check(took < 10, f"the flush took {took:.1f} s")
    check_equal(before, server.query_range("load", end - 250, end, "1s"), "an answer")
    # What the slow ones get is whole, though what they read has moved meanwhile.
    for sock in stalled:
        sock.settimeout(30)
        received = 0
        while received < 1 << 20:
            part = sock.recv(1 << 16)
            check(part, "the answer was cut off")
            received += len(part)
        sock.close()
    server.stop()


@test(seconds=120, narthex_only=True)
def reloads_under_way_end_with_the_server(env):
    """Each of many reloads at once gets an answer or an end of its connection."""
    server = env.server().start()
    threads = Threads()

    def reload_again():
        while not threads.stopping.is_set():
            try:
                answer = server.post("/-/reload", timeout=10)
            except (OSError, http.client.HTTPException):
                return
            check(answer.status in (200, 503), f"a reload: {answer}")
    for _ in range(8):
        threads.start(reload_again)
    time.sleep(0.7)
    began = time.monotonic()
    server.stop()
    check(time.monotonic() - began < 10, "the stop waited for reloads")
    threads.join()


@test(seconds=60, narthex_only=True)
def file_limit_is_raised(env):
    """Blocks hold files open, so that the soft limit of a shell is no limit for the server."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 512:
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    env.defer(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    server = env.server().start()
    limit = wait_for(lambda: server.metric("process_max_fds"), 10, "a metric")
    check(hard == resource.RLIM_INFINITY or limit == hard, f"process_max_fds is {limit}, not {hard}")
    check(limit > 256, f"process_max_fds is {limit}")
    server.stop()


@test(seconds=60, narthex_only=True)
def refused_scrapes_log_little(env):
    """Storage that takes nothing is said now and then, not once for each scrape."""
    server = env.server(flags=["--storage.low_space=1PiB"])
    server.set_config("global: {scrape_interval: 1s}\nscrape_configs:\n" + "".join(
        f"- job_name: job{k}\n  static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]\n"
        for k in range(8)))
    server.start()
    name = "narthex_scraper_commit_failures_total"
    wait_for(lambda: (server.metric(name) or 0) >= 20, 30, lambda: f"{name}: {server.metric(name)}")
    lines = server.process.log().count("Scrape was not stored")
    check(1 <= lines <= 6, f"{lines} lines")
    server.stop()
