# SPDX-License-Identifier: Apache-2.0
"""The administrative API: deletion, cleaning up, snapshots; and retention."""

import os
import re
import time

from harness import Server, check, check_equal, wait_for
from registry import test
from remote_write import Ledger, Sender

ADMIN = "/api/v1/admin/tsdb/"


def error_of(answer):
    return answer.status, answer.json()["errorType"], answer.json()["error"]


@test(seconds=60)
def admin_api_answers(env):
    """Upstream's codes and texts."""
    server = env.server().start()
    for call in ("delete_series", "clean_tombstones", "snapshot"):
        check_equal((500, "unavailable", "admin APIs disabled"), error_of(server.post(ADMIN + call)),
                    f"{call} while it is off")
    server.stop()
    server.flags.append("--web.enable-admin-api")
    server.start()
    check_equal((400, "bad_data", "no match[] parameter provided"),
                error_of(server.post(ADMIN + "delete_series")), "no selector")
    status, kind, text = error_of(server.post(ADMIN + "delete_series", {"match[]": "a{"}))
    check_equal((400, "bad_data"), (status, kind), "a bad selector")
    check('invalid parameter "match[]"' in text, text)
    status, kind, text = error_of(server.post(ADMIN + "delete_series",
                                              {"match[]": "a", "start": "x"}))
    check_equal((400, "bad_data"), (status, kind), "a bad time")
    check('invalid parameter "start"' in text, text)
    status, kind, text = error_of(server.post(ADMIN + "snapshot", {"skip_head": "maybe"}))
    check_equal((400, "bad_data"), (status, kind), "a bad boolean")
    check('invalid parameter "skip_head": unable to parse boolean' in text, text)
    check_equal(204, server.post(ADMIN + "delete_series", {"match[]": "nothing"}).status, "delete")
    check_equal(204, server.post(ADMIN + "clean_tombstones").status, "clean")
    check_equal(405, server.get(ADMIN + "clean_tombstones").status, "GET")
    server.stop()


def count_of(server, ledger, matchers=""):
    data = server.query(f'sum(count_over_time({ledger.name}{{sender="{ledger.id}"{matchers}}}[1h]))',
                        ledger.end_s())
    return int(data["result"][0]["value"][1]) if data["result"] else 0


@test(seconds=100, narthex_only=True)
def deletion_survives_kill(env):
    """What is deleted is gone at once and for good, in head and blocks; nothing else is."""
    server = env.server(flags=["--web.enable-admin-api", "--storage.block_range=10s"]).start()
    start_ms = int(time.time() * 1000) - 50000
    ledger = Ledger("deleted", 1, 10, start_ms, step_ms=1000)
    sender = Sender(server.port)
    for _ in range(30):
        check_equal(204, ledger.send_next(sender), "a write")
    check_equal(204, server.post("/ingester/flush").status, "a flush")
    for _ in range(10):
        check_equal(204, ledger.send_next(sender), "a write")
    check_equal(400, count_of(server, ledger), "samples")
    answer = server.post(ADMIN + "delete_series",
                         {"match[]": 'deleted{series=~"000[0-4]"}', "start": (start_ms + 5000) / 1000,
                          "end": (start_ms + 34000) / 1000})
    check_equal(204, answer.status, "a deletion")
    check_equal(400 - 5 * 30, count_of(server, ledger), "samples after it")
    check_equal(200, count_of(server, ledger, ',series=~"000[5-9]"'), "samples of other series")
    server.kill()
    server.start()
    check_equal(400 - 5 * 30, count_of(server, ledger), "samples after a kill")
    sender = Sender(server.port)
    check_equal(204, ledger.send_next(sender), "a write")
    check_equal(204, server.post(ADMIN + "clean_tombstones").status, "a cleaning")
    check_equal(0.0, server.metric("prometheus_tsdb_tombstones"), "deletions in force")
    check_equal(410 - 5 * 30, count_of(server, ledger), "samples after the cleaning")
    server.kill()
    server.start()
    check_equal(410 - 5 * 30, count_of(server, ledger), "samples after a second kill")
    server.stop()


@test(seconds=100, narthex_only=True)
def snapshot_starts(env):
    """A server starts from a snapshot and finds what was there."""
    server = env.server(flags=["--web.enable-admin-api", "--storage.block_range=10s"]).start()
    ledger = Ledger("kept", 1, 20, int(time.time() * 1000) - 50000, step_ms=1000)
    sender = Sender(server.port)
    for i in range(40):
        check_equal(204, ledger.send_next(sender), "a write")
        if i == 20:
            check_equal(204, server.post("/ingester/flush").status, "a flush")
    answer = server.post(ADMIN + "snapshot")
    check_equal(200, answer.status, "a snapshot")
    name = answer.json()["data"]["name"]
    check(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{16}", name), name)
    without_head = server.post(ADMIN + "snapshot?skip_head=true").json()["data"]["name"]
    folder = os.path.join(server.data, "snapshots")
    check_equal(sorted([name, without_head]), sorted(os.listdir(folder)), "snapshots")
    # Files of blocks are shared.
    for block in os.listdir(os.path.join(folder, without_head, "blocks")):
        path = os.path.join(folder, without_head, "blocks", block, "data.sst")
        check(os.stat(path).st_nlink >= 2, f"{path} is a copy")
    other = Server(env, "narthex", name="snapshot", data=os.path.join(folder, name)).start()
    check_equal(800, count_of(other, ledger), "samples of the snapshot")
    ledger.verify(other)
    other.stop()
    server.stop()


@test(seconds=100, narthex_only=True)
def retention(env):
    """Blocks go when they are too old or too many, by flag, by file, and after a reload."""
    server = env.server(flags=["--storage.block_range=5s", "--storage.tsdb.retention.time=20s"])
    server.start()
    ledger = Ledger("aged", 1, 10, int(time.time() * 1000) - 100000, step_ms=500)
    sender = Sender(server.port)
    for _ in range(190):
        check_equal(204, ledger.send_next(sender), "a write")
    check_equal(204, server.post("/ingester/flush").status, "a flush")

    def oldest_age():
        return ledger.end_s() - server.metric("prometheus_tsdb_lowest_timestamp") / 1000
    wait_for(lambda: oldest_age() < 32, 20, "old blocks to go")
    check(oldest_age() > 15, "what is young stays")
    wait_for(lambda: server.metric("prometheus_tsdb_time_retentions_total") > 0, 10, "the metric")
    check_equal(20.0, server.metric("prometheus_tsdb_retention_limit_seconds"), "the limit")
    server.set_config("storage: {tsdb: {retention: {time: 10s, size: 1B}}}\n")
    check_equal(200, server.post("/-/reload").status, "a reload")
    wait_for(lambda: server.metric("prometheus_tsdb_blocks_loaded") == 0, 20, "all blocks to go")
    wait_for(lambda: server.metric("prometheus_tsdb_size_retentions_total") > 0, 10, "the metric")
    server.stop()
