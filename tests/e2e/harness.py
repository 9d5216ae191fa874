# SPDX-License-Identifier: Apache-2.0
"""Starts real programs on free loopback ports in a directory of their own, asks them over HTTP, and
stops them by their own process. Nothing here outlives the test that made it."""

import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEERS = os.path.join(os.environ.get("PEERS", os.path.expanduser("~/peers")), "root/usr/bin")
# The peers that the tests were written against: another version may answer otherwise.
EXPECTED_VERSIONS = {"prometheus": "3.5", "promtool": "3.5", "prometheus-node-exporter": "1.11"}

SANITIZER_MARKS = re.compile(
    r"(ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error: )")
_libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """The machine lacks what the test needs; says what."""


class Failure(AssertionError):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def check_equal(want, got, text):
    if want != got:
        raise Failure(f"{text}\n  wanted: {want!r}\n  got:    {got!r}")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(condition, seconds, what, interval=0.05):
    """condition()'s first true result. Exceptions of the network count as not yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            result = condition()
            if result:
                return result
        except (OSError, http.client.HTTPException, ValueError):
            pass
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(interval)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.text[:300]!r}"


def request(port, method, path, body=None, headers=None, timeout=20):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def raw_request(port, data, timeout=10):
    """Sends bytes as they are and gives what comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while True:
                part = sock.recv(65536)
                if not part:
                    break
                received += part
        except (socket.timeout, ConnectionError):
            pass
        return received


def form(params):
    return urllib.parse.urlencode(params, doseq=True)


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """A program with its output in a file."""

    def __init__(self, name, command, log_path, env=None):
        self.name, self.command, self.log_path = name, command, log_path
        self.log_offset = os.path.getsize(log_path) if os.path.exists(log_path) else 0
        with open(log_path, "ab") as log:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, preexec_fn=_die_with_parent,
                                          env=dict(os.environ, **(env or {})))
        self.pid = self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def signal(self, number):
        if self.is_running():
            self.popen.send_signal(number)

    def wait(self, seconds=30):
        """The exit status; kills it and fails if it doesn't end in time."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"{self.name} did not end within {seconds} s") from None

    def kill(self):
        self.signal(signal.SIGKILL)
        self.popen.wait(20)

    def log(self):
        """What it has written since its start."""
        with open(self.log_path, "rb") as file:
            file.seek(self.log_offset)
            return file.read().decode("utf-8", "replace")

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            words = file.read().rsplit(") ", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """A Prometheus-like server: Narthex, or Prometheus itself."""

    def __init__(self, env, flavor, config="", name=None, flags=(), data=None, receiver=True,
                 lifecycle=True):
        self.env, self.flavor, self.flags = env, flavor, list(flags)
        self.name = name or flavor
        self.receiver, self.lifecycle = receiver, lifecycle
        self.folder = env.folder(self.name)
        self.data = data or os.path.join(self.folder, "data")
        self.config_path = os.path.join(self.folder, "config.yml")
        self.port = free_port()
        self.process = None
        self.set_config(config)

    def set_config(self, text):
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text)

    def command(self):
        if self.flavor == "prometheus":
            command = [self.env.peer("prometheus"), f"--storage.tsdb.path={self.data}",
                       "--log.level=info"]
        else:
            command = [self.env.narthex, "server", f"--storage.path={self.data}"]
        command += [f"--config.file={self.config_path}",
                    f"--web.listen-address=127.0.0.1:{self.port}"]
        if self.receiver:
            command.append("--web.enable-remote-write-receiver")
        elif self.flavor == "narthex":  # on by default there: it is what remote_write is pointed at
            command.append("--no-web.enable-remote-write-receiver")
        if self.lifecycle:
            command.append("--web.enable-lifecycle")
        return command + self.flags

    def launch(self):
        """Starts it and doesn't wait."""
        check(self.process is None or not self.process.is_running(), f"{self.name} runs already")
        log_path = os.path.join(self.folder, "log.txt")
        self.process = self.env.start(self.name, self.command(), log_path)
        return self

    def start(self, seconds=60):
        self.launch()
        wait_for(self._is_ready, seconds, lambda: f"{self.name} ready; its log ends:\n{self.tail()}")
        return self

    def _is_ready(self):
        if not self.process.is_running():
            raise Failure(f"{self.name} ended with {self.process.popen.returncode}:\n{self.tail()}")
        return request(self.port, "GET", "/-/ready", timeout=2).status == 200

    def stop(self, seconds=60):
        """SIGTERM; the exit status must be 0 and the log free of sanitizer reports."""
        self.process.signal(signal.SIGTERM)
        status = self.process.wait(seconds)
        self.check_log()
        check(status == 0, f"{self.name} ended with {status} after SIGTERM:\n{self.tail()}")

    def kill(self):
        self.process.kill()
        self.check_log()

    def check_log(self):
        log = self.process.log()
        match = SANITIZER_MARKS.search(log)
        check(match is None, f"{self.name}:\n{log[match.start():][:6000] if match else ''}")

    def check_alive(self):
        check(self.process.is_running(),
              f"{self.name} ended with {self.process.popen.returncode}:\n{self.tail()}")

    def tail(self, size=3000):
        return self.process.log()[-size:]

    # ---- asking ----

    def get(self, path, params=None, **options):
        return request(self.port, "GET", path + ("?" + form(params) if params else ""), **options)

    def post(self, path, params=None, **options):
        return request(self.port, "POST", path, form(params or {}),
                       {"Content-Type": "application/x-www-form-urlencoded"}, **options)

    def api(self, path, params=None, **options):
        """The data of a successful answer."""
        answer = self.get("/api/v1" + path, params, **options)
        check(answer.status == 200, f"{self.name} {path} {params}: {answer}")
        body = answer.json()
        check(body["status"] == "success", f"{self.name} {path} {params}: {answer}")
        return body["data"]

    def query(self, query, at=None):
        params = {"query": query}
        if at is not None:
            params["time"] = f"{at:.3f}"
        return self.api("/query", params)

    def query_range(self, query, start, end, step):
        return self.api("/query_range", {"query": query, "start": f"{start:.3f}",
                                         "end": f"{end:.3f}", "step": step})

    def raw(self, selector, at, span="1h"):
        """Stored samples: {labels as a sorted tuple: [(time, value text)]}."""
        data = self.query(f"{selector}[{span}]", at)
        return {tuple(sorted(series["metric"].items())): [tuple(v) for v in series["values"]]
                for series in data["result"]}

    def sample_count(self, selector, span="1h"):
        """How many samples the first series of a selector has by now."""
        return next((len(samples) for samples in self.raw(selector, time.time(), span).values()), 0)

    def metric(self, name):
        """A metric of the server itself, summed over its labels; None if there is none."""
        found = None
        for line in self.get("/metrics").text.splitlines():
            match = re.match(re.escape(name) + r"(\{.*\})? (\S+)", line)
            if match:
                found = (found or 0.0) + float(match.group(2))
        return found

    def flush(self):
        if self.flavor == "prometheus":
            return
        answer = self.post("/ingester/flush", timeout=120)
        check(answer.status in (200, 202, 204), f"flush: {answer}")


class Env:
    """One test's directory, processes and clean-up."""

    def __init__(self, options):
        self.options = options
        self.narthex = options.narthex
        self.flavor = options.server
        self.root = tempfile.mkdtemp(prefix="narthex-e2e-")
        self.processes, self.closers, self.names = [], [], set()
        self.slow = options.slow  # a sanitizer build: fewer rounds
        self.seed = options.seed

    def folder(self, name):
        path, n = os.path.join(self.root, name), 1
        while path in self.names:
            n += 1
            path = os.path.join(self.root, f"{name}-{n}")
        self.names.add(path)
        os.makedirs(path)
        return path

    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def peer(self, name):
        path = os.path.join(PEERS, name)
        if not os.path.exists(path):
            raise Skip(f"no {path}: tools/peers fetches it")
        return path

    def start(self, name, command, log_path=None):
        process = Process(name, command, log_path or os.path.join(self.folder(name), "log.txt"))
        self.processes.append(process)
        return process

    def server(self, config="", **options):
        """The server under test."""
        return Server(self, self.flavor, config, **options)

    def prometheus(self, config="", **options):
        return Server(self, "prometheus", config, name="peer-prometheus", **options)

    def node_exporter(self):
        port = free_port()
        process = self.start("node-exporter", [
            self.peer("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}",
            "--no-collector.systemd", "--no-collector.wifi"])
        wait_for(lambda: request(port, "GET", "/metrics").status == 200, 20,
                 lambda: "node exporter: " + process.log()[-2000:])
        return port

    def defer(self, function, *args):
        """function(*args) runs at the end of the test, last first."""
        self.closers.append((function, args))

    def close(self, keep=False):
        for process in self.processes:
            if process.is_running():
                process.kill()
        for function, args in reversed(self.closers):
            function(*args)
        if keep:
            print(f"  kept: {self.root}")
        else:
            shutil.rmtree(self.root, ignore_errors=True)


class Threads:
    """Threads whose first exception fails the test."""

    def __init__(self):
        self.threads, self.errors, self.stopping = [], [], threading.Event()

    def start(self, function, *args):
        def run():
            try:
                function(*args)
            except BaseException as error:  # pylint: disable=broad-except
                self.errors.append(error)
        thread = threading.Thread(target=run, daemon=True)
        self.threads.append(thread)
        thread.start()

    def join(self, seconds=60):
        self.stopping.set()
        for thread in self.threads:
            thread.join(seconds)
            check(not thread.is_alive(), "a thread of the test did not end")
        if self.errors:
            raise self.errors[0]
