# SPDX-License-Identifier: Apache-2.0
"""Clients that send rubbish, too much, too slowly or nothing: the right status with a word about the
fault, nothing of it stored, and memory within bounds."""

import contextlib
import http.client
import os
import resource
import socket
import time

from harness import Threads, check, check_equal, wait_for
from malformed_cases import copies, malformed_cases, rle_frame
from registry import test
from remote_write import Sender, series

CGROUP_SIZE = 320 << 20


@contextlib.contextmanager
def memory_limit(process, size):
    """A memory cgroup around a process, where this machine lets us make one; says whether it did."""
    name = f"narthex-e2e-{process.pid}"
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        path = os.path.join(root, name)
        try:
            os.mkdir(path)
        except OSError:
            continue
        try:
            try:
                with open(os.path.join(path, limit), "w", encoding="ascii") as file:
                    file.write(str(size))
                with open(os.path.join(path, "cgroup.procs"), "w", encoding="ascii") as file:
                    file.write(str(process.pid))
            except OSError:
                yield False
                return
            yield True
            return
        finally:
            process.kill()
            for _ in range(50):
                try:
                    os.rmdir(path)
                    break
                except OSError:
                    time.sleep(0.1)
    yield False


class Client:
    """One connection that is opened again when it was closed."""

    def __init__(self, port):
        self.port, self.connection = port, None

    def ask(self, case):
        for last in (False, True):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                self.connection.request(case.method, case.path, case.body, case.headers)
                response = self.connection.getresponse()
                text = response.read().decode("utf-8", "replace")
                if response.will_close:
                    self.close()
                return response.status, text
            except (OSError, http.client.HTTPException):
                self.close()
                if last:
                    raise
        return None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def run_cases(client, cases):
    faults = []
    for case in cases:
        status, text = client.ask(case)
        if status != case.status:
            faults.append(f"{case.name}: wanted {case.status}, got {status} {text[:200]!r}")
        elif case.part not in text.lower():
            faults.append(f"{case.name}: {case.part!r} is not in {text[:200]!r}")
        elif status >= 400 and case.method != "HEAD" and not text.strip():
            faults.append(f"{case.name}: {status} without a word")
    return faults


@test(seconds=120, narthex_only=True)
def hostile_requests(env):
    """Over 300 requests, each wrong in one way: the status, a word about it, nothing left behind."""
    server = env.server().start()
    cases = malformed_cases(int(time.time() * 1000) - 5000)
    check(len(cases) >= 300, f"only {len(cases)} cases")
    client = Client(server.port)
    faults = run_cases(client, cases)
    server.check_alive()
    check(not faults, f"{len(faults)} of {len(cases)}:\n" + "\n".join(faults[:40]))
    names = {one["metric"]["__name__"] for one in server.query('{__name__!=""}')["result"]}
    check_equal({"kept_nul", "kept_unsorted", "kept_empty"}, names, "what is stored")
    check_equal("x\0y", server.query("kept_nul")["result"][0]["metric"]["a"], "a value with NUL")
    # Again and again: memory stays where it is.
    sizes = []
    for _ in range(6 if not env.slow else 2):
        run_cases(client, [case for case in cases if "MiB" not in case.name and "million" not in case.name])
        sizes.append(server.process.rss_bytes())
    check(env.slow or sizes[-1] - sizes[1] < 8 << 20, f"memory: {[size >> 20 for size in sizes]} MiB")
    check_equal(204, Sender(server.port).send(series({"__name__": "fine"}, [(int(time.time() * 1000), 1)]))[0],
                "a good request after them")
    server.stop()


@test(seconds=120, narthex_only=True)
def bombs_stay_within_memory(env):
    """Requests that unpack to all that one may have, many at a time, under a small budget and, where there are
    cgroups, a hard limit: some are told to come again, none is killed for."""
    server = env.server(flags=["--distributor.memory_max=128MiB", "--distributor.request_size_max=32MiB"]).start()
    bombs = [(copies(32 << 20), "snappy"), (rle_frame(32 << 20), "zstd"), (rle_frame(32 << 20, True), "zstd"),
             (copies(33 << 20), "snappy"), (rle_frame(64 << 20), "zstd")]
    seen, peak = {}, [0]
    with memory_limit(server.process, CGROUP_SIZE) as is_limited:
        threads = Threads()

        def send(first):
            sender = Sender(server.port)
            for n in range(10):
                body, coding = bombs[(first + n) % len(bombs)]
                status, text = sender.send_raw(body, {"Content-Encoding": coding})
                seen[status] = seen.get(status, 0) + 1
                check(status in (400, 413, 503), f"{status} {text[:200]}")
                check(status != 503 or sender.answer_headers.get("Retry-After"), "503 without a time to wait")
                peak[0] = max(peak[0], server.process.rss_bytes())
        for first in range(8):
            threads.start(send, first)
        threads.join(90)
        server.check_alive()
        print(f"  {seen}, at most {peak[0] >> 20} MiB, {'in' if is_limited else 'without'} a cgroup")
        check(seen.get(413) and seen.get(400), f"{seen}")
        check(env.slow or peak[0] < CGROUP_SIZE, f"{peak[0] >> 20} MiB at the most; limited: {is_limited}")
        check_equal(204, Sender(server.port).send(series({"__name__": "fine"}, [(int(time.time() * 1000), 1)]))[0],
                    "a good request after them")
        check_equal("1", server.query("fine")["result"][0]["value"][1], "and what it wrote")


@test(seconds=60, narthex_only=True)
def slow_senders_are_cut(env):
    """A request has a time to arrive in, however busily its sender trickles."""
    server = env.server(flags=["--web.read-timeout=1s"]).start()
    head = b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    kinds = {"half a request line": b"POST /api", "half the headers": head, "no body": head + b"\r\n",
             "half a body": head + b"\r\n" + b"a" * 500}

    def trickle(name, start, step):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
            sock.sendall(start)
            began, received = time.monotonic(), None
            while time.monotonic() - began < 8:
                sock.settimeout(0.1)
                try:
                    received = sock.recv(1000)
                    break
                except socket.timeout:
                    with contextlib.suppress(OSError):
                        if step:
                            sock.sendall(step)
                except OSError:
                    received = b""
                    break
            took = time.monotonic() - began
            check(received is not None and 0.5 < took < 5, f"{name}: open after {took:.1f} s, {received!r}")
            check(received == b"" or b" 408 " in received[:20], f"{name}: {received!r}")
    threads = Threads()
    for name, start in kinds.items():
        threads.start(trickle, name, start, b"")
        threads.start(trickle, name + ", trickling", start, b"a")
    threads.join(30)
    server.check_alive()
    check_equal(204, Sender(server.port).send(series({"__name__": "fine"}, [(int(time.time() * 1000), 1)]))[0],
                "a good request after them")
    server.stop()


@test(seconds=90, narthex_only=True)
def idle_connections_cost_little(env):
    """5,000 connections that say nothing: others are served, memory grows by a few KiB for each."""
    count = 5000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 200:
        check(hard == resource.RLIM_INFINITY or hard >= count + 200, f"at most {hard} files here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, hard))
    server = env.server(flags=["--web.max-connections=5500"]).start()
    before, sockets = server.process.rss_bytes(), []
    try:
        for _ in range(count):
            sockets.append(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        wait_for(lambda: (server.metric("process_open_fds") or 0) > count, 20, "all connections")
        grown = server.process.rss_bytes() - before
        began = time.monotonic()
        sender = Sender(server.port)
        for n in range(50):
            check_equal(204, sender.send(series({"__name__": "fine"}, [(int(time.time() * 1000) + n, 1)]))[0], "a write")
        took = time.monotonic() - began
        check(env.slow or took < 5, f"50 writes took {took:.1f} s")
        check(env.slow or grown < count * 16384, f"{grown / count:.0f} bytes a connection")
    finally:
        for sock in sockets:
            sock.close()
    wait_for(lambda: (server.metric("process_open_fds") or count) < 500, 20, "the connections to be closed")
    server.stop()
