# SPDX-License-Identifier: Apache-2.0
"""Malformed requests and configurations: an answer that names the fault, no crash, flat memory."""

import glob
import os
import subprocess
import time

from harness import PROJECT, check, check_equal, raw_request
from registry import test
from remote_write import Sender, field, label, sample, series, snappy, varint

QUERY, RANGE = "/api/v1/query", "/api/v1/query_range"

# path, parameters, status, part of the error (lower case)
BAD_QUERIES = [
    (QUERY, {}, 400, "query"),
    (QUERY, {"query": ""}, 400, "no expression"),
    (QUERY, {"query": "sum("}, 400, "parse error"),
    (QUERY, {"query": "up{"}, 400, "parse error"),
    (QUERY, {"query": "up)"}, 400, "parse error"),
    (QUERY, {"query": "up{a=}"}, 400, "parse error"),
    (QUERY, {"query": "up{a='x}"}, 400, "unterminated"),
    (QUERY, {"query": 'up{a=~"("}'}, 400, "missing"),
    (QUERY, {"query": 'up{a=~"*"}'}, 400, "missing argument"),
    (QUERY, {"query": "{}"}, 400, "at least one non-empty matcher"),
    (QUERY, {"query": '{a=~".*"}'}, 400, "at least one non-empty matcher"),
    (QUERY, {"query": "up[5m"}, 400, "parse error"),
    (QUERY, {"query": "up[0]"}, 400, "duration must be greater than 0"),
    (QUERY, {"query": "up[5x]"}, 400, "parse error"),
    (QUERY, {"query": "rate(up)"}, 400, "expected type range vector"),
    (QUERY, {"query": "rate(up[5m], 2)"}, 400, "argument"),
    (QUERY, {"query": "nothing_known(up)"}, 400, "unknown function"),
    (QUERY, {"query": "sum(1)"}, 400, "expected type instant vector"),
    (QUERY, {"query": "up + on up"}, 400, "parse error"),
    (QUERY, {"query": "up and 1"}, 400, "set operator"),
    (QUERY, {"query": "1 == 2"}, 400, "bool modifier"),
    (QUERY, {"query": "up + bool 1"}, 400, "bool modifier"),
    (QUERY, {"query": "up + up[5m]"}, 400, "binary expression"),
    (QUERY, {"query": "up offset"}, 400, "parse error"),
    (QUERY, {"query": "1 offset 5m"}, 400, "offset modifier"),
    (QUERY, {"query": "up{__name__='a'}"}, 400, "metric name"),
    (QUERY, {"query": "@"}, 400, "parse error"),
    (QUERY, {"query": "up @ bogus"}, 400, "parse error"),
    (QUERY, {"query": "\xff\xfe"}, 400, "parse error"),
    (QUERY, {"query": "(" * 20000}, 400, ""),
    (QUERY, {"query": "-" * 20000 + "1"}, None, ""),
    (QUERY, {"query": "up", "time": "never"}, 400, 'invalid parameter "time"'),
    (QUERY, {"query": "up", "time": "1e400"}, 400, 'invalid parameter "time"'),
    (QUERY, {"query": "up", "timeout": "soon"}, 400, 'invalid parameter "timeout"'),
    (QUERY, {"query": "up", "limit": "-1"}, 400, 'invalid parameter "limit"'),
    (RANGE, {"query": "up"}, 400, 'invalid parameter "start"'),
    (RANGE, {"query": "up", "start": 1}, 400, 'invalid parameter "end"'),
    (RANGE, {"query": "up", "start": 1, "end": 2}, 400, 'invalid parameter "step"'),
    (RANGE, {"query": "up", "start": 2, "end": 1, "step": 1}, 400, "end timestamp must not be before start"),
    (RANGE, {"query": "up", "start": 1, "end": 2, "step": 0}, 400, "zero or negative"),
    (RANGE, {"query": "up", "start": 1, "end": 2, "step": -1}, 400, "zero or negative"),
    (RANGE, {"query": "up", "start": 1, "end": 20000, "step": 1}, 400, "exceeded maximum resolution"),
    (RANGE, {"query": "up", "start": 1, "end": 2, "step": "x"}, 400, 'invalid parameter "step"'),
    (RANGE, {"query": "up[5m]", "start": 1, "end": 2, "step": 1}, 400, "invalid expression type"),
    (RANGE, {"query": "up{a=", "start": 1, "end": 2, "step": 1}, 400, "parse error"),
    ("/api/v1/series", {}, 400, "no match[] parameter"),
    ("/api/v1/series", {"match[]": "{}"}, 400, "non-empty matcher"),
    ("/api/v1/series", {"match[]": "up{"}, 400, "parse error"),
    ("/api/v1/series", {"match[]": "up", "start": "x"}, 400, 'invalid parameter "start"'),
    ("/api/v1/labels", {"match[]": "up{"}, 400, "parse error"),
    ("/api/v1/labels", {"end": "x"}, 400, 'invalid parameter "end"'),
    ("/api/v1/labels", {"limit": "x"}, 400, 'invalid parameter "limit"'),
    ("/api/v1/label/a/values", {"match[]": "up{"}, 400, "parse error"),
]


# Where our text differs from that of 3.5, as 3.14's does or because Go's is of no help.
OTHER_TEXTS = {"up[5m", "up offset", "@"}


@test(seconds=60)
def same_error_texts(env):
    """What a person reads about a bad query is what Prometheus says."""
    prometheus, server = env.prometheus().start(), env.server().start()
    faults = []
    for path, params, status, _ in BAD_QUERIES:
        query = params.get("query", "")
        if status != 400 or len(query) > 1000 or query in OTHER_TEXTS or "match[]" in params or \
                "limit" in params:
            continue
        want, got = (one.get(path, params).json().get("error") for one in (prometheus, server))
        if want != got:
            faults.append(f"{params}\n  wanted: {want}\n  got:    {got}")
    check(not faults, f"{len(faults)}:\n" + "\n".join(faults[:8]))


def sized(text):
    """Snappy of something else than a message."""
    return snappy(text.encode() if isinstance(text, str) else text)


def bad_writes():
    """name, headers, body, statuses that are right"""
    now = int(time.time() * 1000)
    good = series({"__name__": "bad_write"}, [(now, 1)])
    nested = field(1, label("__name__", "x") + sample(now, 1))
    return [
        ("empty body", {}, b"", (400,)),
        ("not snappy", {}, b"\xff" * 100, (400,)),
        ("snappy cut short", {}, snappy(good)[:-3], (400,)),
        ("snappy says more", {}, varint(len(good) + 10) + snappy(good)[1:], (400,)),
        ("snappy says 4 GiB", {}, varint(0xFFFFFFFF) + b"\x00a", (400, 413)),
        ("snappy copies from before its start", {}, b"\x08" + b"\x01\xff", (400,)),
        ("33 MiB", {}, varint(33 << 20) + b"\x00a", (400, 413)),
        ("text", {}, sized("hello, world"), (400,)),
        ("a length past the end", {}, sized(b"\x0a\xff\x01" + b"a"), (400,)),
        ("a varint of eleven bytes", {}, sized(b"\x0a" + b"\xff" * 11), (400,)),
        ("a group", {}, sized(b"\x0b\x0c"), (400, 204)),
        ("wire type 7", {}, sized(b"\x0f"), (400,)),
        ("field number 0", {}, sized(b"\x02\x00"), (400,)),
        ("series cut", {}, sized(nested[:-4]), (400,)),
        ("value with 4 bytes", {}, sized(field(1, label("__name__", "x") + field(2, b"\x0d" + b"\0" * 4))),
         (400, 204)),
        ("label that is a number", {}, sized(field(1, b"\x08\x01")), (400,)),
        # Upstream takes a missing type for its own.
        ("no content type", {"Content-Type": ""}, snappy(nested[:-4]), (400, 415)),
        ("json", {"Content-Type": "application/json"}, b"{}", (415,)),
        ("version 2 message", {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                               "X-Prometheus-Remote-Write-Version": "2.0.0"}, snappy(good), (204,)),  # has none of its fields
        ("unknown message", {"Content-Type": "application/x-protobuf;proto=x.Y"}, snappy(good), (415,)),
        ("zstd", {"Content-Encoding": "zstd"}, snappy(good), (415, 400)),
    ]


def bad_series():
    """Series with bad labels; upstream's receiver leaves them out with 204, Narthex says 400."""
    now = int(time.time() * 1000)
    one = [(now, 1)]
    return [
        ("no name", series({"a": "b"}, one)),
        ("no labels", series({}, one)),
        ("a name twice", series([("__name__", "x"), ("a", "1"), ("a", "2")], one)),
        ("empty label name", series([("", "1"), ("__name__", "x")], one)),
        ("bad UTF-8 in a value", series([("__name__", "x"), ("a", b"\xff\xfe")], one)),
        ("bad UTF-8 in a name", series([("__name__", "x"), (b"a\xff", b"1")], one)),
        ("empty metric name", series([("__name__", ""), ("a", "1")], one)),
    ]


RAW_REQUESTS = [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(500)) + b"\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/label/%ff/values HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/query?query=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 10\r\n\r\nquery=",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


def check_bad_queries(server):
    faults = []
    for path, params, status, part in BAD_QUERIES:
        if "query" in params and len(params["query"]) > 1000:
            answer = server.post(path, params)
        else:
            answer = server.get(path, params)
        shown = str(params)[:80]
        if status is None:
            if answer.status not in (200, 400, 422):
                faults.append(f"{path} {shown}: {answer}")
            continue
        if answer.status != status:
            faults.append(f"{path} {shown}: wanted {status}, got {answer}")
            continue
        body = answer.json()
        if body.get("status") != "error" or body.get("errorType") != "bad_data":
            faults.append(f"{path} {shown}: {answer}")
        elif part not in body["error"].lower():
            faults.append(f"{path} {shown}: {part!r} is not in {body['error'][:200]!r}")
    return faults


@test(seconds=120)
def malformed_queries(env):
    server = env.server().start()
    faults = check_bad_queries(server)
    server.check_alive()
    check(not faults, f"{len(faults)} of {len(BAD_QUERIES)}:\n" + "\n".join(faults))


@test(seconds=120)
def malformed_writes(env):
    server = env.server().start()
    sender, faults = Sender(server.port), []
    for name, headers, body, statuses in bad_writes():
        status, text = sender.send_raw(body, headers)
        if server.flavor == "prometheus" and name == "version 2 message":
            continue  # 3.5 takes both versions
        if status not in statuses:
            faults.append(f"{name}: wanted {statuses}, got {status} {text[:200]!r}")
        elif status >= 400 and not text.strip():
            faults.append(f"{name}: {status} without a word")
    for name, message in bad_series():
        status, text = sender.send(message)
        wanted = (400,) if server.flavor == "narthex" else (204, 400)
        if status not in wanted:
            faults.append(f"{name}: wanted {wanted}, got {status} {text[:200]!r}")
    server.check_alive()
    found = server.query('{__name__=~".+"}')["result"]
    found = [s["metric"] for s in found if s["metric"].get("__name__", "") in ("x", "bad_write")]
    if server.flavor == "prometheus":  # 3.5 refuses zstd and stores what it holds
        found = [s for s in found if s["__name__"] != "bad_write"]
    check(not found, f"a bad request left something: {found[:3]}")
    check(not faults, "\n".join(faults))
    check_equal(204, sender.send(series({"__name__": "fine"}, [(int(time.time() * 1000), 1)]))[0],
                "a good request after them")


@test(seconds=240)
def malformed_requests_leak_nothing(env):
    """The whole list again and again: the process stays, and its memory stays flat."""
    server = env.server().start()
    sender, sizes = Sender(server.port), []
    rounds = 12 if not env.slow else 3
    for n in range(rounds):
        for data in RAW_REQUESTS:
            answer = raw_request(server.port, data, timeout=5 if n == 0 else 0.5)
            check(answer[:10] != b"HTTP/1.1 5" or answer[9:12] == b"505", f"{data[:60]!r}: {answer[:100]!r}")
        for _ in range(3):
            check_bad_queries(server)
            for _, headers, body, _ in bad_writes():
                sender.send_raw(body, headers)
            for _, message in bad_series():
                sender.send(message)
        server.check_alive()
        sizes.append(server.process.rss_bytes())
    sender.close()
    growth = sizes[-1] - sizes[rounds // 3]
    check(env.slow or growth < 8 << 20, f"memory: {[s >> 20 for s in sizes]} MiB")
    check_equal(200, server.get("/-/healthy").status, "healthy")
    server.stop()


# text, parts of what must be said
BAD_CONFIGS = [
    ("", None),  # an empty file is a configuration
    ("global: {scrape_intervall: 1s}", ["scrape_intervall"]),
    ("globl: {}", ["globl"]),
    ("global: [1, 2]", []),
    ("global: {scrape_interval: soon}", ["soon"]),
    ("global: {scrape_interval: 0s}", None),  # upstream: as if not set
    ("global: {scrape_interval: -5s}", []),
    ("global: {scrape_interval: 5s, scrape_timeout: 10s}", ["timeout"]),
    ("global: {external_labels: {'a\xff': b}}".encode("latin-1"), []),
    ("global: {external_labels: {a: [b]}}", []),
    ("global: {scrape_interval: 5s", []),
    ("a: b: c", []),
    ("\tglobal: {}", []),
    ("global: {scrape_interval: 5s}\nglobal: {}", ["global"]),
    ("scrape_configs: {}", []),
    ("scrape_configs: [{}]", ["job_name"]),
    ("scrape_configs: [{job_name: ''}]", ["job_name"]),
    ("scrape_configs: [{job_name: a}, {job_name: a}]", ["a"]),
    ("scrape_configs: [{job_name: a, scheme: ftp}]", None),
    ("scrape_configs: [{job_name: a, scrape_interval: 1s, scrape_timeout: 2s}]", ["timeout"]),
    ("scrape_configs: [{job_name: a, static_configs: [{targets: x}]}]", []),
    ("scrape_configs: [{job_name: a, static_configs: [{target: [x]}]}]", ["target"]),
    ("scrape_configs: [{job_name: a, static_configs: [{targets: ['http://x/y']}]}]", ["http://x/y"]),
    ("scrape_configs: [{job_name: a, honor_labels: maybe}]", []),
    ("scrape_configs: [{job_name: a, sample_limit: many}]", []),
    ("scrape_configs: [{job_name: a, body_size_limit: 10 apples}]", []),
    ("scrape_configs: [{job_name: a, file_sd_configs: [{files: ['x.txt']}]}]", ["x.txt"]),
    ("scrape_configs: [{job_name: a, file_sd_configs: [{}]}]", []),
    ("scrape_configs: [{job_name: a, unknown_sd_configs: [{}]}]", ["unknown_sd_configs"]),
    ("scrape_configs: [{job_name: a, relabel_configs: [{action: explode}]}]", ["explode"]),
    ("scrape_configs: [{job_name: a, relabel_configs: [{regex: '('}]}]", []),
    ("scrape_configs: [{job_name: a, relabel_configs: [{action: replace}]}]", ["target_label"]),
    ("scrape_configs: [{job_name: a, relabel_configs: [{action: hashmod, target_label: x}]}]", ["modulus"]),
    ("scrape_configs: [{job_name: a, relabel_configs: [{action: labeldrop, source_labels: [b]}]}]",
     ["labeldrop"]),
    ("scrape_configs: [{job_name: a, basic_auth: {username: u, password: p, password_file: f}}]",
     ["password"]),
    ("scrape_configs: [{job_name: a, bearer_token: x, basic_auth: {username: u}}]", []),
    ("scrape_configs: [{job_name: a, scrape_protocols: [Prometheus]}]", []),
    ("scrape_configs: [{job_name: a, metric_relabel_configs: [null]}]", []),
    ("scrape_configs: [{job_name: a, proxy_url: ':::'}]", []),
    ("remote_write: [{}]", ["url"]),
    ("remote_write: [{url: 'http://x', queue_config: {capacityy: 1}}]", ["capacityy"]),
    ("rule_files: {a: b}", []),
    ("rule_files: ['[']", []),
    ("alerting: {alertmanagers: [{scheme: http, static_config: []}]}", ["static_config"]),
    ("storage: {tsdb: {out_of_order_time_windoww: 1h}}", ["out_of_order_time_windoww"]),
    ("tracing: {endpoint: ''}", []),
    ("scrape_configs: &a\n  - job_name: a\n    static_configs: *b", []),
    ("a: &a [x, x]\nb: &b [*a, *a, *a]\nglobal: *b", []),
    ("global: {query_log_file: [1]}", []),
    ("[" * 5000, []),
]


def check_config(env, path):
    if env.flavor == "prometheus":
        command = [env.peer("promtool"), "check", "config", path]
    else:
        command = [env.narthex, "check", "config", path]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20,
                            check=False)
    return result.returncode, result.stdout + result.stderr


@test(seconds=120)
def malformed_configurations(env):
    faults = []
    for n, (text, parts) in enumerate(BAD_CONFIGS):
        path = os.path.join(env.root, f"bad{n}.yml")
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        status, output = check_config(env, path)
        shown = f"{text[:100]!r}: {status} {output[:300]!r}"
        if parts is None:
            if status not in (0, 1):
                faults.append(shown)
        elif status != 1:
            faults.append(f"accepted: {shown}")
        elif any(part not in output for part in parts):
            faults.append(f"{parts} not said: {shown}")
        elif env.flavor == "narthex" and f"bad{n}.yml" not in output:
            faults.append(f"the file is not named: {shown}")
    check(not faults, f"{len(faults)} of {len(BAD_CONFIGS)}:\n" + "\n".join(faults))


@test(seconds=120)
def upstream_bad_configurations(env):
    """All *.bad.yml of upstream are refused."""
    folder = os.path.join(PROJECT, "tests/data/conformance/config")
    accepted, files = [], sorted(glob.glob(os.path.join(folder, "*.bad.yml")))
    check(len(files) > 50, f"only {len(files)} files")
    if env.flavor == "prometheus":  # what 3.5 lets pass and 3.14 does not
        files = [path for path in files if "remote_write_queue_" not in path]
    for path in files:
        status, output = check_config(env, path)
        if status != 1:
            accepted.append(f"{os.path.basename(path)}: {status} {output[:200]!r}")
    check(not accepted, "\n".join(accepted))


@test(seconds=60)
def bad_configuration_stops_the_start(env):
    server = env.server("scrape_configs:\n  - job_name: a\n    no_such_key: 1\n").launch()
    status = server.process.wait(20)
    log = server.process.log()
    check(status not in (0, None) and status > 0, f"ended with {status}")
    check("no_such_key" in log and "config.yml" in log, f"the message: {log}")
    if server.flavor == "narthex":
        check("config.yml:3" in log or "line 3" in log, f"the line: {log}")
    missing = env.server()
    os.unlink(missing.config_path)
    status = missing.launch().process.wait(20)
    check(status > 0, f"no file: ended with {status}")
    check("config.yml" in missing.process.log(), f"the message: {missing.process.log()}")


