# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server of metric pages, for servers under test to scrape."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Pages:
    """pages: path -> function(number of the request for that path, headers) giving (status, type,
    text). A path may be added while it runs."""

    def __init__(self):
        self.pages, self.counts, self.lock = {}, {}, threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # pylint: disable=invalid-name
                path = self.path.split("?")[0]
                with outer.lock:
                    page = outer.pages.get(path)
                    count = outer.counts[path] = outer.counts.get(path, 0) + 1
                status, kind, text = page(count, self.headers) if page else (404, TEXT, "none\n")
                body = text if isinstance(text, bytes) else text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass  # a scraper that was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def add(self, path, page):
        with self.lock:
            self.pages[path] = page

    def fixed(self, path, text, kind=TEXT, status=200):
        self.add(path, lambda count, headers: (status, kind, text))

    def close(self):
        self.server.shutdown()
        self.server.server_close()
