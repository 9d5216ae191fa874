# SPDX-License-Identifier: Apache-2.0
"""A proxy between a sender of remote write and a receiver that can answer in its place, and a receiver
that is no Prometheus: VictoriaMetrics."""

import http.client
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import check, free_port, request, wait_for


class Gate:
    """Forwards POSTs to a port. `refuse(status, headers)` answers all by itself from then on,
    `open()` ends that."""

    def __init__(self, port):
        self.target, self.refusal = port, None
        self.forwarded, self.refused, self.answers = 0, 0, {}
        self.lock = threading.Lock()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with gate.lock:
                    refusal = gate.refusal
                if refusal is not None:
                    with gate.lock:
                        gate.refused += 1
                    self.answer(refusal[0], refusal[1], b"not now\n")
                    return
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", gate.target, timeout=20)
                    connection.request("POST", self.path, body, dict(self.headers))
                    response = connection.getresponse()
                    text = response.read()
                    connection.close()
                except OSError:
                    self.answer(502, {}, b"the receiver is away\n")
                    return
                with gate.lock:
                    gate.forwarded += 1
                    gate.answers[response.status] = gate.answers.get(response.status, 0) + 1
                self.answer(response.status, {k: v for k, v in response.getheaders()
                                              if k.startswith("X-")}, text)

            def answer(self, status, headers, text):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass  # a sender that was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def refuse(self, status, headers=None):
        with self.lock:
            self.refusal = (status, headers or {})

    def open(self):
        with self.lock:
            self.refusal = None

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Victoria:
    """VictoriaMetrics as far as a receiver's test needs it: raw() as harness.Server has it."""

    def __init__(self, env):
        self.env, self.port = env, free_port()
        self.folder = env.folder("victoria")
        self.program = env.peer("victoria-metrics")
        self.process = None

    def start(self):
        self.process = self.env.start("victoria", [
            self.program, f"-storageDataPath={os.path.join(self.folder, 'data')}",
            f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=1y",
            "-memory.allowedBytes=128MB"], os.path.join(self.folder, "log.txt"))
        wait_for(lambda: request(self.port, "GET", "/health", timeout=2).status == 200, 30,
                 lambda: "VictoriaMetrics: " + self.process.log()[-2000:])
        return self

    def raw(self, selector, _at=None, _span=None):
        request(self.port, "GET", "/internal/force_flush")
        answer = request(self.port, "POST", "/api/v1/export", "match[]=" + selector.replace("+", "%2B"),
                         {"Content-Type": "application/x-www-form-urlencoded"}, timeout=60)
        check(answer.status == 200, f"export: {answer}")
        found = {}
        for line in answer.text.splitlines():
            series = json.loads(line)
            found[tuple(sorted(series["metric"].items()))] = [
                (t / 1000, str(v)) for t, v in zip(series["timestamps"], series["values"])]
        return found
