# SPDX-License-Identifier: Apache-2.0
"""Moving in: the history of a real Prometheus, and text files."""

import os
import shutil
import subprocess
import time

import tsdb_load
from harness import PROJECT, check, check_equal, request, wait_for
from registry import test
from remote_write import field, sample_bits, snappy, varint

GOLDEN = os.path.join(PROJECT, "tests/golden/promtsdb")


def run(env, *arguments, status=0):
    """The output of a command of Narthex, which must end with this status."""
    done = subprocess.run([env.narthex, *arguments], capture_output=True, timeout=100, check=False)
    errors = done.stderr.decode("utf-8", "replace")
    check(done.returncode == status, f"narthex {arguments}: status {done.returncode}\n{errors[-3000:]}")
    return done.stdout.decode("utf-8", "replace"), errors


def promtool_dump(env, data):
    done = subprocess.run([env.peer("promtool"), "tsdb", "dump", data], check=True,
                          capture_output=True, timeout=100)
    return done.stdout.decode("utf-8").splitlines()


def dump_of(env, data):
    return run(env, "tsdb", "dump", data)[0].splitlines()


def compare_dumps(promtool_lines, ours):
    """promtool leaves out the first histogram of a float series, the first two of an integer one."""
    missing = sorted(set(promtool_lines) - set(ours))
    check(not missing, f"{len(missing)} lines of promtool are missing:\n" + "\n".join(missing[:5]))
    check_equal(len(ours), len(set(ours)), "lines twice")
    surplus = {}
    for line in set(ours) - set(promtool_lines):
        check("} {" in line, f"promtool has no {line}")
        series = line.split("} {")[0]
        surplus[series] = surplus.get(series, 0) + 1
    check(all(n <= 2 for n in surplus.values()), f"promtool has fewer: {surplus}")


@test(narthex_only=True)
def import_of_golden_directory(env):
    data = os.path.join(env.folder("import"), "data")
    source = os.path.join(GOLDEN, "v3.5")
    with open(os.path.join(GOLDEN, "dump.txt"), encoding="utf-8") as file:
        want = file.read().splitlines()
    dry, _ = run(env, "import", "prometheus", source, f"--storage.path={data}", "--dry-run")
    check(not os.path.exists(data), "a dry run made a directory")
    out, _ = run(env, "import", "prometheus", source, f"--storage.path={data}")
    check_equal(dry.split("samples")[0].split()[-1], out.split("samples")[0].split()[-1],
                "dry run and import")
    compare_dumps(want, dump_of(env, data))
    out, _ = run(env, "import", "prometheus", source, f"--storage.path={data}")
    check("imported 0 samples" in out and "there already" in out, out)
    compare_dumps(want, dump_of(env, data))
    # A server answers from it, and holds the lock.
    server = env.server(data=data).start()
    at = tsdb_load.T0_GOLDEN_S + 3600
    check(server.query("count(load_odd)", at)["result"], "no answer from what was imported")
    _, errors = run(env, "import", "prometheus", source, f"--storage.path={data}", status=1)
    check("in use by another process" in errors, errors)
    server.stop()


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x10]))


@test(narthex_only=True)
def import_names_damage(env):
    """One bad chunk stops its block alone, a bad log what is behind in its file."""
    folder = env.folder("damaged")
    source, data = os.path.join(folder, "prometheus"), os.path.join(folder, "data")
    shutil.copytree(os.path.join(GOLDEN, "v3.5"), source)
    block = sorted(n for n in os.listdir(source) if len(n) == 26)[0]
    flip(os.path.join(source, block, "chunks/000001"), 100)
    out, errors = run(env, "import", "prometheus", source, f"--storage.path={data}", status=1)
    check(f"{block}: chunks/000001: checksum" in errors, errors)
    check("in 2 blocks" in out and "1 faults" in out, out)
    shutil.rmtree(data)
    out, errors = run(env, "import", "prometheus", source, f"--storage.path={data}",
                      "--skip-bad-chunks", status=1)
    check("in 3 blocks" in out and "1 faults" in out, out + errors)
    shutil.rmtree(data)
    flip(os.path.join(source, block, "chunks/000001"), 100)
    log = sorted(n for n in os.listdir(os.path.join(source, "wal")) if len(n) == 8)[1]
    flip(os.path.join(source, "wal", log), 500)
    out, errors = run(env, "import", "prometheus", source, f"--storage.path={data}", status=1)
    check(f"wal/{log}: " in errors and "1 faults" in out and "in 3 blocks" in out, errors + out)
    _, errors = run(env, "import", "prometheus", source, "--tenant=a/b", "--dry-run", status=1)
    check('tenant "a/b"' in errors, errors)
    none = os.path.join(folder, "none")
    _, errors = run(env, "import", "prometheus", none, f"--storage.path={none}-data", status=1)
    check("none: No such file" in errors and not os.path.exists(none + "-data"), errors)


OPENMETRICS = """# HELP requests Requests.
# TYPE requests counter
requests_total{path="/b"} 1 1700000000
requests_total{path="/a"} 3 1700000000.5
requests_total{path="/b"} 2 1700090000 # {trace_id="x"} 0.5 1700090000
# TYPE temperature_celsius gauge
# UNIT temperature_celsius celsius
temperature_celsius{room="é"} -1.5 1699999990
temperature_celsius{room="é"} NaN 1699999980
# EOF
"""


@test(narthex_only=True)
def import_of_openmetrics(env):
    folder = env.folder("openmetrics")
    path, data = os.path.join(folder, "metrics.txt"), os.path.join(folder, "data")
    with open(path, "w", encoding="utf-8") as file:
        file.write(OPENMETRICS)
    out, _ = run(env, "import", "openmetrics", path, f"--storage.path={data}")
    check(out.startswith("imported 5 samples (0 of them histograms) and 1 exemplars in 2 blocks"), out)
    promtool_out = os.path.join(folder, "promtool")
    subprocess.run([env.peer("promtool"), "tsdb", "create-blocks-from", "openmetrics", path,
                    promtool_out], check=True, capture_output=True, timeout=60)
    os.makedirs(os.path.join(promtool_out, "wal"))  # promtool's dump asks for one
    want = promtool_dump(env, promtool_out)
    # promtool leaves out what is older than the line before of its series; we do not.
    late = '{__name__="temperature_celsius", room="é"} NaN 1699999980000'
    check_equal(sorted(want + [late]), sorted(dump_of(env, data)), "promtool's blocks and ours")
    with open(path, "w", encoding="utf-8") as file:
        file.write(OPENMETRICS.replace(" 1699999980", ""))
    _, errors = run(env, "import", "openmetrics", path, f"--storage.path={data}", status=1)
    check("no timestamp" in errors, errors)


KILLED_CONFIG = """
global: {{scrape_interval: 250ms}}
storage: {{tsdb: {{out_of_order_time_window: 3h}}}}
scrape_configs:
  - job_name: self
    scrape_protocols: [PrometheusProto]
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def run_and_kill(env):
    """A Prometheus that has blocks, head chunks, deletions, late samples and a log, killed."""
    server = env.prometheus(flags=[
        "--enable-feature=native-histograms,exemplar-storage,metadata-wal-records",
        "--storage.tsdb.min-block-duration=5s", "--storage.tsdb.max-block-duration=20s",
        "--web.enable-admin-api", "--storage.tsdb.retention.time=100y"])
    server.set_config(KILLED_CONFIG.format(port=server.port))
    server.start()
    start = int(time.time() * 1000)
    for i in range(70):
        now = int(time.time() * 1000)
        tsdb_load.push_step(server, i, now)
        if i % 7 == 3:
            tsdb_load.push_late(server, now - 2500)
        time.sleep(0.2)
    wait_for(lambda: len([n for n in os.listdir(server.data) if len(n) == 26]) >= 2, 30, "blocks")
    _, errors = run(env, "import", "prometheus", server.data, "--dry-run", status=1)
    check("a Prometheus runs on" in errors, errors)
    server.post("/api/v1/admin/tsdb/delete_series",
                {"match[]": 'load_decimal{n="0"}', "start": start / 1000, "end": start / 1000 + 5})
    tsdb_load.push_step(server, 71, int(time.time() * 1000))
    server.kill()
    return server


QUERIES = [
    "count by (__name__) ({__name__=~'.+'})",
    "sum by (job, n) (rate(load_counter[10s]))",
    "count_over_time(load_odd[1m])",
    "max_over_time(load_decimal[20s])",
    "histogram_count(load_histogram)",
    "load_histogram",
    "sum(increase(prometheus_http_requests_total[15s]))",
    "load_late_only",
    "histogram_quantile(0.9, rate(load_histogram{kind!='gauge'}[8s]))",  # not yet in Narthex
]


ZERO, NEGATIVE_ZERO = bytes(8), bytes(7) + b"\x80"


def snappy_decode(data):
    """The block format, copies too."""
    at, out, size, shift = 0, bytearray(), 0, 0
    while True:
        size |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            break
    while at < len(data):
        tag, at = data[at], at + 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(data[at:at + extra], "little")
                at += extra
            out += data[at:at + length + 1]
            at += length + 1
            continue
        if tag & 3 == 1:
            length, offset = 4 + (tag >> 2 & 7), (tag >> 5) << 8 | data[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            length, offset = 1 + (tag >> 2), int.from_bytes(data[at:at + width], "little")
            at += width
        for _ in range(length):
            out.append(out[-offset])
    check_equal(size, len(out), "snappy")
    return bytes(out)


def fields_of(message):
    """(number, value) of each field: numbers, or bytes."""
    at = 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            value |= (message[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if message[at - 1] < 0x80:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
        else:
            size = 8 if key & 7 == 1 else number()
            yield key >> 3, message[at:at + size]
            at += size


def remote_read(server, names, start_ms, end_ms):
    """{labels: {time: bits of the value}} of these metrics. Go's encoder leaves out a negative zero
    as it does a positive one, so they are one here."""
    matcher = field(3, varint(1 << 3) + varint(2) + field(2, b"__name__") + field(3, names.encode()))
    query = field(1, varint(1 << 3) + varint(start_ms) + varint(2 << 3) + varint(end_ms) + matcher)
    answer = request(server.port, "POST", "/api/v1/read", snappy(query), {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Read-Version": "0.1.0"})
    check_equal(200, answer.status, f"remote read: {answer}")
    found = {}
    for _, result in fields_of(snappy_decode(answer.body)):
        for _, series in fields_of(result):
            labels, samples = [], {}
            for n, part in fields_of(series):
                values = dict(fields_of(part))
                if n == 1:
                    labels.append((values[1], values[2]))
                elif n == 2:
                    bits = values.get(1, ZERO)
                    samples[values.get(2, 0)] = ZERO if bits == NEGATIVE_ZERO else bits
            found[tuple(labels)] = samples
    return found


def compare_servers(want, got, end, queries):
    """Both are Prometheus: the same answers, and the same bits."""
    for query in queries:
        for at in (end, end - 4, end - 9):
            a, b = want.query(query, at), got.query(query, at)
            order = lambda series: sorted(series["metric"].items())  # noqa: E731
            a["result"].sort(key=order)
            b["result"].sort(key=order)
            check_equal(a, b, f"{query} at {at}")
        check(want.query(query, end)["result"], f"{query}: no answer")
    names = "load_(counter|decimal|odd|late_only|ü)"
    span = int(end * 1000) - 3600000, int(end * 1000) + 1000
    a, b = remote_read(want, names, *span), remote_read(got, names, *span)
    check(sum(len(samples) for samples in a.values()) > 200, f"remote read gave only {a}")
    check_equal(sorted(a), sorted(b), "series by remote read")
    for labels, samples in a.items():
        check_equal(samples, b[labels], f"samples by remote read of {labels}")


def snapshot_dump(env, server):
    """What a Prometheus has in order, once it runs. promtool, which reads a directory offline, takes
    samples of the log for old that are in the range of a block of late samples alone; a snapshot
    leaves out late samples that are in no block yet. Together they are all."""
    name = server.post("/api/v1/admin/tsdb/snapshot").json()["data"]["name"]
    path = os.path.join(server.data, "snapshots", name)
    os.makedirs(os.path.join(path, "wal"), exist_ok=True)
    return promtool_dump(env, path)


@test(seconds=150, narthex_only=True)
def move_in_and_out_of_killed_prometheus(env):
    peer = run_and_kill(env)
    end = time.time()
    folder = env.folder("moved")
    data, exported = os.path.join(folder, "data"), os.path.join(folder, "exported")
    for name in ("chunks_head", "wal", "wbl"):
        check(os.path.isdir(os.path.join(peer.data, name)), f"no {name}")
    offline = promtool_dump(env, peer.data)
    check(len(offline) > 4000, f"only {len(offline)} samples")
    out, errors = run(env, "import", "prometheus", peer.data, f"--storage.path={data}")
    check("faults" not in out, out + errors)
    ours = dump_of(env, data)
    run(env, "export", "prometheus", exported, f"--storage.path={data}", "--block-duration=2h")
    os.makedirs(os.path.join(exported, "wal"))  # promtool's dump asks for one
    compare_dumps(promtool_dump(env, exported), ours)
    subprocess.run([env.peer("promtool"), "tsdb", "analyze", exported], check=True,
                   capture_output=True, timeout=60)
    # What a Prometheus says of its own directory, and another one of the exported one.
    peer.set_config("global: {scrape_interval: 1h}")
    peer.start()
    compare_dumps(sorted(set(offline) | set(snapshot_dump(env, peer))), ours)
    other = env.prometheus(flags=["--storage.tsdb.retention.time=100y"], data=exported).start()
    compare_servers(peer, other, end, QUERIES)
    # Narthex itself, on what was imported.
    server = env.server(data=data, config="global: {scrape_interval: 1h}").start()
    compare_servers(peer, server, end, QUERIES[:-1])
    server.stop()
    # A part of it: one metric, for two seconds.
    part = os.path.join(folder, "part")
    run(env, "export", "prometheus", part, f"--storage.path={data}", "--match=load_counter",
        f"--min-time={int(end * 1000) - 4000}", f"--max-time={int(end * 1000) - 2000}")
    os.makedirs(os.path.join(part, "wal"))
    lines = promtool_dump(env, part)
    check(0 < len(lines) < 100 and all("load_counter" in line for line in lines), f"{lines[:3]}")


def sections(text):
    """Of an analysis: {title: sorted lines}."""
    found, title = {}, ""
    for line in text.splitlines():
        if line.endswith(":"):
            title = line
            found[title] = []
        elif line and title:
            found[title].append(line)
    return {title: sorted(lines) for title, lines in found.items()}


@test(narthex_only=True)
def analysis_is_promtools(env):
    folder = env.folder("analyze")
    data, exported = os.path.join(folder, "data"), os.path.join(folder, "exported")
    run(env, "import", "prometheus", os.path.join(GOLDEN, "v3.5"), f"--storage.path={data}")
    run(env, "export", "prometheus", exported, f"--storage.path={data}", "--block-duration=31d")
    os.makedirs(os.path.join(exported, "wal"))
    want = subprocess.run([env.peer("promtool"), "tsdb", "analyze", exported], check=True,
                          capture_output=True, timeout=60).stdout.decode()
    got, _ = run(env, "tsdb", "analyze", data)
    for line in ("Total Series: 13", "Label names: 6", "Postings (unique label pairs): 16",
                 "Postings entries (total label pairs): 32"):
        check(line in want and line in got, f"{line}\n{want}\n{got}")
    for title, lines in sections(want).items():
        if "churn" not in title:  # there promtool counts a block's range, not the data's
            check_equal(lines, sections(got)[title], title)
    check("bytes per sample" in got, got)
    # What was exported is in order, and whole: import demands it.
    again = os.path.join(folder, "again")
    run(env, "import", "prometheus", exported, f"--storage.path={again}")
    check_equal(dump_of(env, data), dump_of(env, again), "in, out and in")
    some = run(env, "tsdb", "dump", again, '--match={job="load",n="1"}', "--match=load_late_only")[0]
    check_equal([line for line in dump_of(env, data) if 'job="load", n="1"' in line or
                 "load_late_only" in line], some.splitlines(), "two selectors")
    listed, _ = run(env, "tsdb", "list", data)
    check_equal(4, len(listed.splitlines()), listed)


@test(narthex_only=True)
def verify_names_what_is_bad(env):
    server = env.server().start()
    now = int(time.time() * 1000)
    for i in range(20):
        tsdb_load.push(server, tsdb_load.series({"__name__": "v", "i": str(i)}, sample_bits(now, i)))
    server.flush()
    for i in range(300):
        tsdb_load.push(server, tsdb_load.series({"__name__": "v", "i": str(i)},
                                                sample_bits(now + 1000, i)))
    _, errors = run(env, "verify", server.data, status=1)
    check("in use by another process" in errors, errors)
    server.kill()
    out, _ = run(env, "verify", server.data)
    check("1 blocks with 20 samples" in out and out.rstrip().endswith("0 faults"), out)
    block = [n for n in os.listdir(os.path.join(server.data, "blocks")) if len(n) == 26][0]
    wal = sorted(n for n in os.listdir(os.path.join(server.data, "wal")) if n.endswith(".wal"))
    bad = [(f"blocks/{block}/{name}", 40) for name in ("data.sst", "index.sst", "meta.json")]
    bad += [(f"wal/{wal[0]}", 200), ("catalog", 30), ("identity", 20)]
    for name, at in bad:
        path = os.path.join(server.data, name)
        flip(path, at)
        out, _ = run(env, "tsdb", "verify", server.data, status=1)
        check(os.path.basename(name) in out, f"{name} is bad, and nothing says so:\n{out}")
        flip(path, at)
    out, _ = run(env, "verify", server.data)
    check(out.rstrip().endswith("0 faults"), out)
    with open(os.path.join(server.data, "wal", wal[0]), "rb") as file:
        check(len(file.read().rstrip(b"\0")) > 4000, "the log is too short for this test")
