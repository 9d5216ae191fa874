# SPDX-License-Identifier: Apache-2.0
"""Starting, reloading, locking, stopping."""

import os
import signal
import time

from harness import check, check_equal, request, wait_for
from pages import Pages
from registry import test
from remote_write import Ledger, Sender
from t_scrape import page_config


def target_urls(server):
    return sorted(t["scrapeUrl"] for t in server.api("/targets")["activeTargets"])


@test(seconds=90)
def reload(env):
    pages = Pages()
    env.defer(pages.close)
    for path in ("/a", "/b", "/c"):
        pages.fixed(path, f"reload_page{{path=\"{path}\"}} 1\n")
    server = env.server(page_config(pages.port, "/a")).start()

    def url(path):
        return [f"http://127.0.0.1:{pages.port}{path}"]
    wait_for(lambda: target_urls(server) == url("/a"), 10, "the first target")
    server.set_config(page_config(pages.port, "/b"))
    server.process.signal(signal.SIGHUP)
    wait_for(lambda: target_urls(server) == url("/b"), 10, "the target after SIGHUP")
    server.set_config(page_config(pages.port, "/c"))
    check_equal(200, server.post("/-/reload").status, "POST /-/reload")
    wait_for(lambda: target_urls(server) == url("/c"), 10, "the target after POST")
    check_equal(1.0, server.metric("prometheus_config_last_reload_successful"), "reload metric")
    # A bad file: named, and the old one stays in force.
    server.set_config(page_config(pages.port, "/a") + "\nno_such_key: 1\n")
    answer = server.post("/-/reload")
    check_equal(500, answer.status, "reload of a bad file")
    check("no_such_key" in answer.text, f"its reason: {answer}")
    check_equal(0.0, server.metric("prometheus_config_last_reload_successful"), "reload metric")
    server.process.signal(signal.SIGHUP)
    time.sleep(0.5)
    check_equal(url("/c"), target_urls(server), "the target after a bad file")
    wait_for(lambda: server.query('reload_page{path="/c"}')["result"], 10, "a sample still")
    server.set_config(page_config(pages.port, "/a"))
    check_equal(200, server.post("/-/reload").status, "reload of a good file")
    wait_for(lambda: target_urls(server) == url("/a"), 10, "the target after all")
    check_equal(1.0, server.metric("prometheus_config_last_reload_successful"), "reload metric")
    check_equal(405, server.get("/-/reload").status, "GET /-/reload")
    # The same configuration again moves no target: its series go on.
    wait_for(lambda: server.query('reload_page{path="/a"}')["result"], 10, "a sample")
    check_equal(200, server.post("/-/reload").status, "reload of the same file")
    check(server.query('reload_page{path="/a"}')["result"], "the sample after a reload of the same")
    server.stop()


@test(seconds=60)
def lifecycle_is_off_by_default(env):
    server = env.server(lifecycle=False).start()
    for path in ("/-/reload", "/-/quit"):
        answer = server.post(path)
        check_equal(403, answer.status, path)
        check("Lifecycle API is not enabled" in answer.text, f"{path}: {answer}")
    server.stop()


@test(seconds=60)
def quit_over_http(env):
    server = env.server().start()
    check_equal(200, server.post("/-/quit").status, "POST /-/quit")
    check_equal(0, server.process.wait(30), "exit status")


@test(seconds=60)
def data_directory_is_locked(env):
    first = env.server().start()
    second = env.server(data=first.data).launch()
    status = second.process.wait(30)
    check(status > 0, f"the second ended with {status}")
    log = second.process.log()
    check("lock" in log.lower() or "in use by another process" in log, f"the message: {log}")
    if first.flavor == "narthex":
        check(first.data in log, f"the message names the directory: {log}")
    first.check_alive()
    check_equal(204, Sender(first.port).send(b"")[0], "the first one goes on")
    first.kill()
    # A lock ends with its process, however it ends.
    second = env.server(data=first.data).start()
    second.stop()


@test(seconds=60)
def address_in_use(env):
    first = env.server().start()
    second = env.server()
    second.port = first.port
    status = second.launch().process.wait(30)
    check(status > 0, f"the second ended with {status}")
    check(str(first.port) in second.process.log(), f"the message: {second.process.log()}")
    first.stop()


@test(seconds=60, narthex_only=True)
def bad_flags(env):
    for flags, said in ((["--no.such.flag"], "no.such.flag"), (["--web.listen-address=x:y:z"], "x:y:z"),
                        (["--target=nothing"], "nothing"),
                        # Not served yet, and the server would be open without it.
                        (["--web.config.file=web.yml"], "web.config.file")):
        server = env.server(flags=flags).launch()
        status = server.process.wait(20)
        check(status > 0, f"{flags}: ended with {status}")
        check(said in server.process.log(), f"{flags}: {server.process.log()}")


@test(seconds=60, narthex_only=True)
def unserved_keys_are_named(env):
    """A key that no role serves yet is named with its line, at the start and by check config."""
    import subprocess  # pylint: disable=import-outside-toplevel
    config = "global: {}\nrule_files:\n  - rules/*.yml\nremote_read:\n  - url: http://127.0.0.1:1/read\n"
    server = env.server(config).start()
    log = server.process.log()
    check("remote_read" in log, f"remote_read is not named: {log}")
    result = subprocess.run([env.narthex, "check", "config", server.config_path],
                            capture_output=True, text=True, timeout=20, check=False)
    output = result.stdout + result.stderr
    check_equal(0, result.returncode, f"check config: {output}")
    check("remote_read" in output and "4" in output, f"check config: {output}")
    server.stop()


@test(seconds=60, narthex_only=True)
def help_and_version(env):
    import subprocess  # pylint: disable=import-outside-toplevel
    for args, said in ((["--version"], "narthex"), (["help"], "server"), (["--help"], "server"),
                       (["help", "configuration"], "storage")):
        result = subprocess.run([env.narthex, *args], capture_output=True, text=True, timeout=20,
                                check=False)
        check_equal(0, result.returncode, f"{args}: {result.stderr}")
        check(said in result.stdout.lower(), f"{args}: {result.stdout[:300]}")
    result = subprocess.run([env.narthex, "nonsense"], capture_output=True, text=True, timeout=20,
                            check=False)
    check(result.returncode > 0 and "nonsense" in result.stderr, f"nonsense: {result}")


@test(seconds=60)
def many_connections(env):
    """Idle and slow clients neither stop others nor the stop itself."""
    import socket  # pylint: disable=import-outside-toplevel
    server = env.server().start()
    sockets = []
    for n in range(150):
        sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        sockets.append(sock)
        if n % 3 == 0:
            sock.sendall(b"GET /api/v1/query?query=1 HTTP/1.1\r\nHo")
        elif n % 3 == 1:
            sock.sendall(b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    check_equal(200, request(server.port, "GET", "/-/healthy").status, "healthy")
    check_equal("scalar", server.query("1")["resultType"], "a query")
    for sock in sockets[:75]:
        sock.close()
    check_equal(200, request(server.port, "GET", "/-/healthy").status, "healthy")
    began = time.monotonic()
    server.stop(seconds=60)
    if server.flavor == "narthex":
        check(time.monotonic() - began < 15, f"the stop took {time.monotonic() - began:.1f} s")
    for sock in sockets:
        sock.close()


@test(seconds=60)
def restarts_are_quick(env):
    server = env.server().start()
    ledger = Ledger("quick", 0, 200, int(time.time() * 1000) - 3000000)
    sender = Sender(server.port)
    for _ in range(200):
        check_equal(204, ledger.send_next(sender), "write")
    for how in (server.stop, server.kill):
        how()
        began = time.monotonic()
        server.start()
        check(time.monotonic() - began < 10, "ready took over 10 s")
        check_equal(200 * 200, ledger.verify(server), "samples")
    check(os.path.isdir(server.data), "data directory")
    server.stop()
