# SPDX-License-Identifier: Apache-2.0
"""One short walk through everything: what the sanitizer builds run."""

import signal
import time

from harness import check, check_equal, request, wait_for
from pages import Pages
from registry import test
from remote_write import Ledger, Sender


@test(seconds=120)
def smoke(env):
    pages = Pages()
    env.defer(pages.close)
    pages.fixed("/metrics", "# TYPE smoke_pages_total counter\nsmoke_pages_total 7\n")
    config = f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: page
    static_configs: [{{targets: ["127.0.0.1:{pages.port}"]}}]
"""
    server = env.server(config).start()
    ledger = Ledger("smoke_batch", 1, 20, int(time.time() * 1000) - 600000)
    sender = Sender(server.port)
    for _ in range(50):
        check_equal(204, ledger.send_next(sender), "status of a write")
    check_equal(50 * 20, ledger.verify(server), "samples")
    wait_for(lambda: server.query("smoke_pages_total")["result"], 20, "a scraped sample")
    for query in ("sum by (series) (rate(smoke_batch[1m]))", "avg(smoke_batch) + 1",
                  "max(smoke_batch) - min(smoke_batch)", 'up{job="page"} == 1'):
        server.query(query)
        server.query_range(query, time.time() - 60, time.time(), "5s")
    check_equal(400, server.get("/api/v1/query", {"query": "sum("}).status, "a bad query")
    check_equal(400, sender.send_raw(b"\xff\xff\xff")[0], "a bad write")
    if server.flavor == "narthex":
        server.flush()
        check_equal(50 * 20, ledger.verify(server), "samples after a flush")
    server.process.signal(signal.SIGHUP)
    check_equal(200, server.post("/-/reload").status, "reload")
    check(request(server.port, "GET", "/metrics").status == 200, "own metrics")
    server.stop()
    server.start()
    check_equal(50 * 20, ledger.verify(server), "samples after a restart")
    server.kill()
    server.start()
    check_equal(50 * 20, ledger.verify(server), "samples after a kill")
    server.stop()
