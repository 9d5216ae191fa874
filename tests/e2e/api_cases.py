# SPDX-License-Identifier: Apache-2.0
"""Requests to the API whose answers must be those of Prometheus, and what of an answer counts."""

import gzip
import json
import urllib.parse

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def cases(start_s, end_s):
    """(method, path with query, body, headers). start_s and end_s bound the data."""
    mid = f"{(start_s + end_s) / 2:.3f}"
    out = []

    def get(path, params=(), headers=None, method="GET"):
        text = "?" + urllib.parse.urlencode(params) if params else ""
        out.append((method, "/api/v1" + path + text, None, headers or {}))

    def post(path, params, headers=None, url_params=()):
        text = "?" + urllib.parse.urlencode(url_params) if url_params else ""
        out.append(("POST", "/api/v1" + path + text, urllib.parse.urlencode(params),
                    dict(FORM, **(headers or {}))))

    times = [mid, mid.split(".", maxsplit=1)[0], "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z",
             "2026-01-02T03:04:05+02:00", "2026-01-02 03:04:05", "now", "", "-1", "0", "1e9",
             "1e400", "1_000", "0x10", "12.0005", "1.0015", " 1", "1 ", "2026-13-01T00:00:00Z",
             "2026-01-02T03:04:05", "5m", "2026-01-02t03:04:05z", "2026-02-30T00:00:00Z",
             "2026-01-02T24:00:00Z", "2026-01-02T03:04:60Z", "2026-01-02T03:04:05.1234567891Z"]
    for text in times:
        if text:
            get("/query", {"query": "time()", "time": text})
        get("/series", {"match[]": "edge", "start": text})
        get("/labels", {"end": text})
    times.remove("")
    for text in times:
        get("/query_range", {"query": "1", "start": text, "end": mid, "step": "3600"})
    steps = ["1", "0", "-1", "0.001", "1m", "1h30m", "1x", "", "Inf", "1e3", "1e300", "9e15", "1_0", "0x10", "1.5", "1.5m", "5m5m", "1ms", "-5m", "1y", "1w",
             "00", "007", "1s500ms", "500ms1s", " 1", "9223372036", "9223372037", "292y", "300y"]
    for step in steps:
        get("/query_range", {"query": "time()", "start": f"{start_s:.0f}", "end": f"{start_s + 5:.0f}",
                             "step": step})
        get("/query", {"query": "edge", "time": mid, "lookback_delta": step})
        if not step.startswith(("0", "-")):  # an expired one is 503 here
            get("/query", {"query": "edge", "time": mid, "timeout": step})
    get("/query_range", {"query": "1", "start": "0", "end": "11000", "step": "1"})
    get("/query_range", {"query": "1", "start": "0", "end": "11001", "step": "1"})
    get("/query_range", {"query": "1", "start": "5", "end": "1", "step": "1"})
    get("/query_range", {"query": "1", "start": "5", "end": "5", "step": "1"})
    get("/query_range", {"query": "edge", "end": "5", "step": "1"})
    get("/query_range", {"query": "edge", "start": "5", "step": "1"})
    get("/query_range", {"query": "edge", "start": "5", "end": "9"})
    get("/query_range", {"start": "5", "end": "9", "step": "1"})
    get("/query_range", {"query": "edge[5m]", "start": "5", "end": "9", "step": "1"})
    get("/query_range", {"query": '"text"', "start": "5", "end": "9", "step": "1"})
    for limit in ("0", "1", "2", "3", "-1", "99999999999", "", "4294967296", "+1", "01"):
        get("/query", {"query": "edge", "time": mid, "limit": limit})
        get("/query", {"query": "1", "time": mid, "limit": limit})
        get("/query_range", {"query": 'edge{every="1m"}', "start": mid, "end": mid, "step": "1",
                             "limit": limit})
        get("/series", {"match[]": "edge", "limit": limit})
        get("/labels", {"limit": limit})
        get("/label/every/values", {"limit": limit})
    for query in ("", " ", "foo(", "time()", "pi()", "edge", "missing", '"text"', "1e-7", "1e21",
                  "1e20", "123456789012345678", "1e-6", "0.000001", "0.0000001", "-0", "NaN", "Inf",
                  "-Inf", "1/3", "5e-324", "1.7976931348623157e308", "vector(1e21)", "vector(-0)",
                  "vector(1e-7)", "vector(NaN)", "vector(-Inf)", "vector(1e23)", "0.1+0.2",
                  "wild", "odd", '{"utf8.näme"}', "few[1h]", "edge[1h]", "sum(missing)",
                  "# only a comment", "edge # note", "'ü\\n\\t\\u2028<>&\\x7f'", "`\\n`",
                  "'\\x01\\x1f\\xff'", "nolabels", "rate(reqs_total[5m])", "1 == 1", "1 == bool 1",
                  "edge[5m] + 1", "sum(edge[5m])", "rate(edge)", "absent_foo(x)", "{}", '{x=""}',
                  'x{a="b",a=~"("}', "edge @", "edge[0s]", "edge offset 0s",
                  "edge[-5m]", "edge{", "edge{x}", "edge{x=1}", "sum by edge", "1 + ",
                  "((((1))))", "edge{a='\\xff'}", "-edge", "--1", "edge ^ -1", "1h", "1h5", "5mm"):
        get("/query", {"query": query, "time": mid})
        get("/query_range", {"query": query, "start": mid, "end": f"{float(mid) + 1:.3f}",
                             "step": "0.5"})
    for match in ("edge", "{x=''}", "{", "", "1", "edge[5m]", "edge offset 5m", "sum(edge)",
                  '{__name__=~"e.*"}', '{job="api"}', "missing", '{"utf8.näme"}', '{__name__!=""}', '{x=~".*"}', "edge{}", "edge{every='1m'}"):
        get("/series", {"match[]": match})
        get("/labels", {"match[]": match})
        get("/label/every/values", {"match[]": match})
        post("/series", {"match[]": match})
    get("/series")
    get("/series", [("match[]", "edge"), ("match[]", "few")])
    get("/series", [("match[]", "edge"), ("match[]", "edge")])
    get("/labels", [("match[]", "edge"), ("match[]", "left")])
    get("/series", {"match[]": "edge", "start": "0", "end": "1"})
    get("/labels", {"start": "0", "end": "1"})
    get("/label/every/values", {"start": "0", "end": "1"})
    get("/labels", {"start": "5", "end": "1"})
    get("/series", {"match[]": "edge", "start": "5", "end": "1"})
    get("/label/x/values", {"start": "5", "end": "1"})
    get("/labels")
    for name in ("__name__", "every", "none", "0x", "a-b", "U__a_2d_b", "l%C3%A4bel.x",
                 "U__l_e4_bel_2e_x", "a%20b", "x", "job", "%22", "U__", "U__x"):
        get(f"/label/{name}/values")
    post("/query", {"query": "edge", "time": mid})
    post("/query_range", {"query": "edge", "start": mid, "end": mid, "step": "1"})
    post("/labels", {"match[]": "edge"})
    post("/label/x/values", {})
    post("/query", {"time": mid}, url_params={"query": "1"})
    post("/query", {"query": "2", "time": mid}, url_params={"query": "1"})
    out.append(("POST", "/api/v1/query", "query=1&time=5", {"Content-Type": "text/plain"}))
    out.append(("POST", "/api/v1/query?query=1&time=5", "", {}))
    out.append(("GET", "/api/v1/query?query=1&time=5&query=2", None, {}))
    out.append(("GET", "/api/v1/query?query=1+%2B+1&time=5", None, {}))
    for path in ("/query", "/query_range", "/series", "/labels", "/label/x/values", "/status/buildinfo",
                 "/targets"):
        for method in ("OPTIONS", "HEAD", "PUT", "PATCH"):
            get(path, (), {"Origin": "http://example.com"}, method)
    get("/query", {"query": "1", "time": "1"}, {"Origin": "http://example.com"})
    get("/query", {"query": "odd", "time": mid}, {"Accept-Encoding": "gzip, deflate"})
    get("/query", {"query": "odd", "time": mid}, {"Accept-Encoding": "gzip;q=0"})
    get("/query", {"query": "odd", "time": mid}, {"Accept-Encoding": "identity"})
    get("/query", {"query": "1", "time": "1"}, {"Accept": "text/html"})
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        get("/nothing", (), None, method)
    out.append(("GET", "/nothing", None, {}))
    for method in ("GET", "POST", "HEAD", "PUT", "DELETE"):
        for path in ("/-/reload", "/-/nothing"):
            if (method, path) != ("GET", "/-/reload"):
                out.append((method, path, None, {}))
    return out


COMPARED_HEADERS = ("Content-Type", "Content-Encoding", "Access-Control-Allow-Origin",
                    "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
                    "Access-Control-Expose-Headers")


def shape(answer):
    """What of an answer counts: status, some headers, body (parsed if it is JSON)."""
    headers = {k.lower(): v for k, v in answer.headers.items()}
    body = answer.body
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    kept = {name: headers[name.lower()] for name in COMPARED_HEADERS if name.lower() in headers}
    try:
        parsed = json.loads(body, parse_float=str, parse_int=str)  # their texts count
    except ValueError:
        parsed = body.decode("utf-8", "replace")
    return answer.status, kept, in_order(parsed), body


def in_order(body):
    """Series in one order: that of instant vectors and of /series is arbitrary."""
    if not isinstance(body, dict) or body.get("status") != "success":
        return body
    data, body = body["data"], dict(body)
    if isinstance(data, dict) and data.get("resultType") == "vector":
        body["data"] = dict(data, result=sorted(data["result"], key=str))
    elif isinstance(data, list) and data and isinstance(data[0], dict):
        body["data"] = sorted(data, key=lambda labels: sorted(labels.items()))
    return body


def differences(want, got):
    """Texts of what differs between two shapes."""
    found = []
    if want[0] != got[0]:
        found.append(f"status {want[0]} | {got[0]}")
    for name in sorted(want[1].keys() | got[1].keys()):
        if want[1].get(name) != got[1].get(name):
            found.append(f"{name}: {want[1].get(name)} | {got[1].get(name)}")
    if want[2] != got[2]:
        found.append(f"body {want[3][:200]!r} | {got[3][:200]!r}")
    return found
