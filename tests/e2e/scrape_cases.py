# SPDX-License-Identifier: Apache-2.0
"""Pages and scrape configurations of all kinds, one job each, that two servers scrape alike."""

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OM = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Case:
    """page: bytes or a function(number of the scrape, handler) that answers or gives bytes."""

    def __init__(self, page, extra="", kind=TEXT, targets=None, headers=None, status=200):
        self.page, self.extra, self.kind = page, extra, kind
        self.targets, self.headers, self.status = targets, headers or {}, status


def ms(offset_s):
    return int((time.time() + offset_s) * 1000)


def sent(handler, head, body=b""):
    """A whole answer by hand; the connection ends behind it."""
    handler.wfile.write(head.encode() + body)
    handler.wfile.flush()
    handler.close_connection = True


def slow(_n, _handler):
    time.sleep(0.9)
    return b"late 1\n"


def echo(_n, handler):
    names = ("Authorization", "User-Agent", "X-One", "Accept-Encoding", "Host", "Cookie", "Referer",
             "X-Prometheus-Scrape-Timeout-Seconds", "Accept")
    lines = []
    for name in names:
        value = handler.headers.get(name)
        if name == "User-Agent":
            value = value.split("/")[0] if value else value
        lines.append(f'echo{{name="{name}",value="{value}"}} 1')
    lines.append(f'echo_path{{path="{handler.path}"}} 1')
    return ("\n".join(lines).replace("\\", "") + "\n").encode()


SYNTAX = {
    "no_newline": "a 1", "crlf": "a 1\r\nb 2\r\n", "tabs": "a\t1\t\n", "lead": "  a 1\n",
    "blank": "\n\n\na 1\n\n", "comma": 'a{b="c",} 1\n', "spaces": 'a{ b = "c" , d="e" } 1\n',
    "space_brace": 'a {b="c"} 1\n', "two_commas": 'a{b="c",,} 1\n', "only_comma": "a{,} 1\n",
    "empty_braces": "a{} 1\n", "nan": "a NaN\nb nan\nc NAN\n", "inf": "a +Inf\nb -inf\nc INF\nd infinity\n",
    "under": "a 1_000\n", "hex": "a 0x10\n", "hexfloat": "a 0x1p4\n", "huge": "a 1e400\n",
    "tiny": "a 1e-400\nb 5e-324\n", "plus": "a +5\nb .5\nc 5.\nd 1E5\n", "word": "a one\n",
    "no_value": "a\n", "no_value_space": "a \n", "extra": "a 1 2 3\n", "float_ts": "a 1 1.5\n",
    "word_ts": "a 1 x\n", "neg_zero": "a -0\n", "digit": "1a 1\n", "colon": ":a:b 1\na:b 2\n",
    "dash": "a-b 1\n", "dot": "a.b 1\n", "unicode": "ä 1\n", "quoted": '{"a.b"} 1\n{"ä",x="y"} 2\n',
    "quoted_label": 'a{"b.c"="d"} 1\n', "quoted_empty": '{""} 1\n', "no_name": '{a="b"} 1\n',
    "two_names": '{"a","b"} 1\n', "name_twice": 'a{"b"} 1\n', "dup_label": 'a{b="c",b="d"} 1\n',
    "dup_same": 'a{b="c",b="c"} 1\n', "label_name": 'a{__name__="b"} 1\n', "escape": 'a{b="\\\\ \\" \\n"} 1\n',
    "bad_escape": 'a{b="\\q"} 1\n', "open": 'a{b="c\n', "open_brace": 'a{b="c"\n', "bad_utf8": b'a{b="\xff"} 1\n',
    "bad_utf8_name": b'{"a\xff"} 1\n', "nul": b'a{b="\x00"} 1\n', "label_digit": 'a{1b="c"} 1\n',
    "label_dash": 'a{b-c="d"} 1\n', "label_colon": 'a{b:c="d"} 1\n', "single": "a{b='c'} 1\n",
    "no_quotes": "a{b=c} 1\n", "help": "# HELP a b\\nc \\\\ d\n# TYPE a counter\na 1\n",
    "help_empty": "# HELP a\n# HELP b \na 1\n", "type_bad": "# TYPE a foo\na 1\n", "type_none": "# TYPE a\na 1\n",
    "type_late": "a 1\n# TYPE a counter\n", "comment": "#\n# \n#x\n# x y\na 1 # c\n", "comments": "#a\n#  HELP\na 1\n",
    "unit": "# UNIT a seconds\na 1\n", "eof": "a 1\n# EOF\n", "after_eof": "a 1\n# EOF\nb 2\n",
    "exemplar": 'a_total 1 # {b="c"} 1\n', "empty_page": "", "spaces_only": "   \n", "le": 'h_bucket{le="1"} 1\n'
    'h_bucket{le="2.50"} 2\nh_bucket{le="+Inf"} 3\nh_sum 1\nh_count 3\ns{quantile="0.50"} 1\ns{quantile="1"} 2\n',
    "le_typed": '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1e1"} 2\nh_bucket{le="+Inf"} 3\nh_sum 1\nh_count 3\n'
    '# TYPE s summary\ns{quantile="0.50"} 1\ns{quantile="1"} 2\ns_sum 1\ns_count 2\n', "le_odd":
    '# TYPE h histogram\nh_bucket{le="x"} 1\nh_bucket{le=""} 2\nh_bucket 3\n', "bom": b"\xef\xbb\xbfa 1\n",
    "vt": "a\x0b1\n", "two": "a 1\nb\n", "long": "a{b=\"" + "x" * 70000 + "\"} 1\n", "brace_space": "a{b=\"c\"}1\n",
    "ts_neg": "a 1 -5\n", "ts_big": "a 1 9223372036854775807\n", "ts_over": "a 1 9223372036854775808\n",
}
OM_SYNTAX = {
    "eof": "a 1\n# EOF\n", "eof_bare": "a 1\n# EOF", "no_eof": "a 1\n", "after": "a 1\n# EOF\nb 1\n", "blank": "a 1\n\n# EOF\n",
    "comment": "# c\na 1\n# EOF\n", "counter": "# TYPE a counter\na_total 1\na_created 1e9\n# EOF\n",
    "exemplar": '# TYPE a counter\na_total 1 # {t="x"} 0.5 1600000000.123\n# EOF\n', "bad_exemplar":
    '# TYPE a counter\na_total 1 # {t="x"}\n# EOF\n', "gauge_exemplar": '# TYPE a gauge\na 1 # {t="x"} 1\n# EOF\n',
    "info": '# TYPE a info\na_info{b="c"} 1\n# EOF\n', "state": '# TYPE a stateset\na{a="x"} 1\na{a="y"} 0\n# EOF\n',
    "unit": "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n# EOF\n", "bad_unit":
    "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n", "ts": "a 1 NaN\n# EOF\n", "ts_word": "a 1 x\n# EOF\n",
    "ts_inf": "a 1 +Inf\n# EOF\n", "spaces": "a  1\n# EOF\n", "trail": "a 1 \n# EOF\n", "lead": " a 1\n# EOF\n",
    "empty": "# EOF\n", "nothing": "", "gh": '# TYPE a gaugehistogram\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 2\na_gcount 2\n'
    "a_gsum 1\n# EOF\n", "le": '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1.0"} 2\n# EOF\n', "quoted":
    '{"a.b",c="d"} 1\n# EOF\n', "type_bad": "# TYPE a foo\na 1\n# EOF\n", "hex": "a 0x10\n# EOF\n", "under": "a 1_0\n# EOF\n",
    "nan": "a nan\nb Inf\n# EOF\n", "help": "# HELP a x\\\"y\na 1\n# EOF\n", "dup": "a 1\na 1\n# EOF\n", "crlf": "a 1\r\n# EOF\r\n",
}
KINDS = ["", "text/html", "application/json", "text/plain", "text/plain; version=0.0.4; charset=latin1", "foo", "text/plain;version=1.0.0",
         "application/openmetrics-text", "application/openmetrics-text; version=2.0.0", "text/plain; version", "/", "text/",
         "application/vnd.google.protobuf", "TEXT/PLAIN; VERSION=0.0.4", "text/plain; version=9", "application/openmetrics-text;version=0.0.1",
         "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text", "text/plain, text/html"]


def syntax_cases(cases):
    for name, page in SYNTAX.items():
        cases["text_" + name] = Case(page if isinstance(page, bytes) else page.encode())
    for name, page in OM_SYNTAX.items():
        cases["om_" + name] = Case(page.encode(), kind=OM)
    for i, kind in enumerate(KINDS):
        cases[f"kind_{i}"] = Case(b"a 1\n", kind=kind)
        cases[f"kind_fallback_{i}"] = Case(b"a 1\n", "fallback_scrape_protocol: PrometheusText0.0.4",
                                           kind=kind)
    cases["kind_none"] = Case(b"a 1\n", kind=None)
    cases["kind_none_fallback"] = Case(b"a 1\n", "fallback_scrape_protocol: OpenMetricsText1.0.0", kind=None)
    for status in (201, 204, 206, 304, 400, 403, 404, 418, 500, 503):
        cases[f"status_{status}"] = Case(b"a 1\n" if status not in (204, 304) else b"", status=status)


def wire_cases(cases):
    body = b"a 1\nb 2\n"
    zipped = gzip.compress(body)
    kind = f"HTTP/1.1 200 OK\r\nContent-Type: {TEXT}\r\n"
    cases["gzip"] = Case(zipped, headers={"Content-Encoding": "gzip"})
    cases["gzip_off"] = Case(body, "enable_compression: false")
    cases["gzip_cut"] = Case(zipped[:-6], headers={"Content-Encoding": "gzip"})
    cases["gzip_not"] = Case(body, headers={"Content-Encoding": "gzip"})
    cases["gzip_limit"] = Case(gzip.compress(b"a 1\n" * 200), "body_size_limit: 300B", headers={"Content-Encoding": "gzip"})
    cases["body_limit"] = Case(b"a 1\nb 2\n", "body_size_limit: 8B")
    cases["body_limit_fits"] = Case(b"a 1\nb 2\n", "body_size_limit: 9B")
    cases["partial"] = Case(lambda n, h: sent(h, kind + "Content-Length: 100\r\n\r\n", body))
    cases["until_close"] = Case(lambda n, h: sent(h, kind + "Connection: close\r\n\r\n", body))
    cases["chunked"] = Case(lambda n, h: sent(h, kind + "Transfer-Encoding: chunked\r\n\r\n",
                                              b"4\r\na 1\n\r\n4\r\nb 2\n\r\n0\r\n\r\n"))
    cases["chunk_cut"] = Case(lambda n, h: sent(h, kind + "Transfer-Encoding: chunked\r\n\r\n", b"4\r\na 1\n\r\n4\r\nb"))
    cases["no_answer"] = Case(lambda n, h: sent(h, ""))
    cases["slow"] = Case(slow, "scrape_timeout: 300ms")
    cases["redirect"] = Case(lambda n, h: sent(h, "HTTP/1.1 302 Found\r\nLocation: /gzip\r\nContent-Length: 0\r\n\r\n"))
    cases["redirect_off"] = Case(lambda n, h: sent(h, "HTTP/1.1 302 Found\r\nLocation: /gzip\r\nContent-Length: 0\r\n\r\n"),
                                 "follow_redirects: false")
    cases["redirect_loop"] = Case(lambda n, h: sent(h, "HTTP/1.1 302 Found\r\nLocation: /redirect_loop\r\nContent-Length: 0\r\n\r\n"))
    cases["redirect_away"] = Case(lambda n, h: sent(h, "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n"))
    cases["refused"] = Case(b"", targets="[{targets: ['127.0.0.1:1']}]")
    cases["no_host"] = Case(b"", targets="[{targets: ['no-such-host.invalid:80']}]")
    cases["basic"] = Case(echo, "basic_auth: {username: u, password: p}")
    cases["bearer"] = Case(echo, "authorization: {credentials: secret}")
    cases["scheme"] = Case(echo, "authorization: {type: Token, credentials: secret}")
    cases["http_headers"] = Case(echo, "http_headers: {X-One: {values: [a]}}")
    cases["params"] = Case(echo, "params: {b: ['1', '2'], a: ['x y', 'ü&=']}")
    cases["protocols"] = Case(echo, "scrape_protocols: [PrometheusText0.0.4]")
    cases["protocols_two"] = Case(echo, "scrape_protocols: [OpenMetricsText0.0.1, PrometheusText1.0.0]")
    cases["escaping"] = Case(echo, "metric_name_escaping_scheme: underscores")
    cases["legacy"] = Case(b'{"a.b"} 1\n', "metric_name_validation_scheme: legacy\n    metric_name_escaping_scheme: underscores")
    cases["legacy_label"] = Case(b'a{"b.c"="d"} 1\n', "metric_name_validation_scheme: legacy\n    metric_name_escaping_scheme: underscores")


def sample_cases(cases):
    def timed(_n, _h):
        return (f"past 1 {ms(-60)}\nnow 2 {ms(0)}\nsoon 3 {ms(300)}\nfuture 4 {ms(1200)}\n"
                f"ancient 5 1000\nplain 7\n").encode()

    def backwards(n, _h):
        return f"back {n} {ms(100 - n)}\nsame {n} 1600000000000\nfixed 1 {1700000000000}\n".encode()
    cases["timed"] = Case(timed)
    cases["timed_ignored"] = Case(timed, "honor_timestamps: false")
    cases["timed_tracked"] = Case(lambda n, h: timed(n, h) if n % 3 else b"plain 7\n", "track_timestamps_staleness: true")
    cases["timed_untracked"] = Case(lambda n, h: timed(n, h) if n % 3 else b"plain 7\n")
    cases["backwards"] = Case(backwards)
    cases["twice_ts"] = Case(lambda n, h: f"t 1 {ms(-1)}\nt 2 {ms(0)}\nt 3 {ms(-2)}\n".encode())
    cases["dup_same"] = Case(b"a 1\na 1\nb 2\n")
    cases["dup_other"] = Case(b"a 1\na 2\nb 2\n")
    cases["dup_order"] = Case(b'a{x="1",y="2"} 1\na{y="2",x="1"} 2\n')
    cases["come_go"] = Case(lambda n, h: (b"stay 1\n" + (b"go 1\n" if n % 3 else b"") + (b"rare 2\n" if n == 2 else b"")))
    cases["flap"] = Case(lambda n, h: b"a 1\n" if n % 2 else b"a x\n")
    cases["dies"] = Case(lambda n, h: b"a 1\nb 2\n" if n < 4 else b"broken\n")
    cases["grows"] = Case(lambda n, h: b"".join(b"g{i=\"%d\"} %d\n" % (i, n) for i in range(n)))
    cases["empty_later"] = Case(lambda n, h: b"a 1\n" if n < 4 else b"")
    conflict = (b'c{job="j",instance="i",exported_job="e",exported_instance=""} 1\n'
                b'd{job="",instance="x"} 2\ne{exported_exported_job="q",exported_job="r",job="s"} 3\n'
                b'f{env="page",__tmp="t"} 4\ng{x=""} 5\n')
    for honor in ("true", "false"):
        cases["honor_" + honor] = Case(conflict, f"honor_labels: {honor}")
        cases["honor_env_" + honor] = Case(conflict, f"honor_labels: {honor}",
                                           targets="[{targets: ['ADDRESS'], labels: {env: own, exported_env: two, exported_job: three}}]")
    cases["own_names"] = Case(b"up 7\nscrape_duration_seconds 8\nscrape_samples_scraped 9\na 1\n")
    for name, limit in (("sample", "sample_limit: 2"), ("sample_fits", "sample_limit: 3"), ("label", "label_limit: 3"),
                        ("label_fits", "label_limit: 4"), ("name_length", "label_name_length_limit: 8"),
                        ("value_length", "label_value_length_limit: 9"), ("value_length_fits", "label_value_length_limit: 60"),
                        ("target", "target_limit: 1"), ("keep", "keep_dropped_targets: 1")):
        targets = "[{targets: ['ADDRESS', '127.0.0.1:1', '127.0.0.1:2']}]" if name in ("target", "keep") else None
        extra = "\n    relabel_configs: [{source_labels: [__address__], regex: '.*:[12]', action: drop}]" if name == "keep" else ""
        cases["limit_" + name] = Case(b'a{b="c"} 1\nb 2\nc{long_label="v"} 3\n', limit + extra, targets=targets)


METRIC_RELABEL = {
    "drop": "{source_labels: [__name__], regex: 'a.*', action: drop}",
    "keep": "{source_labels: [__name__, x], regex: 'a.*;1', action: keep}",
    "replace": "{source_labels: [x, y], separator: '/', regex: '(.*)/(.*)', target_label: z, replacement: '$2-$1-${2}x-$3-$$'}",
    "replace_name": "{source_labels: [x], regex: '(.+)', target_label: __name__, replacement: 'n_$1'}",
    "replace_empty": "{target_label: x, replacement: ''}",
    "replace_dynamic": "{source_labels: [x], regex: '(.+)', target_label: 'k_${1}', replacement: v}",
    "replace_bad_target": "{source_labels: [y], regex: '(.+)', target_label: '${1}', replacement: v}",
    "name_empty": "{target_label: __name__, replacement: ''}",
    "name_bad": "{target_label: __name__, replacement: 'a b'}",
    "merge": "{regex: 'x|y', action: labeldrop}",
    "labelkeep": "{regex: '__name__|x|job', action: labelkeep}",
    "labeldrop_name": "{regex: '__name__', action: labeldrop}",
    "labeldrop_instance": "{regex: 'instance|job', action: labeldrop}",
    "labelmap": "{regex: '(x|y)', replacement: 'm_$1', action: labelmap}",
    "labelmap_same": "{regex: '(x|y)', replacement: 'w', action: labelmap}",
    "hashmod": "{source_labels: [x, y], modulus: 17, target_label: h, action: hashmod}",
    "lower": "{source_labels: [y], target_label: l, action: lowercase}",
    "upper": "{source_labels: [y], target_label: u, action: UPPERCASE}",
    "keepequal": "{source_labels: [x], target_label: y, action: keepequal}",
    "dropequal": "{source_labels: [x], target_label: y, action: dropequal}",
    "newline": "{source_labels: [y], regex: '.*', target_label: d, replacement: dot}",
    "tmp": "{source_labels: [x], target_label: __tmp_x}, {source_labels: [__tmp_x], target_label: t}",
    "job": "{target_label: job, replacement: other}",
    "utf8": "{source_labels: [x], target_label: 'ü.x', replacement: 'ü$1'}",
    "drop_all": "{source_labels: [__name__], regex: '.*', action: drop}",
    "named": "{source_labels: [x], regex: '(?P<first>.).*', target_label: f, replacement: '${first}'}",
}
RELABEL = {
    "address": "{source_labels: [__address__], target_label: __param_a}, {target_label: __metrics_path__, replacement: /relabel_path}",
    "instance": "{target_label: instance, replacement: mine}", "job": "{target_label: job, replacement: 'relabel_job'}, {target_label: own, replacement: x}",
    "interval": "{target_label: __scrape_interval__, replacement: 700ms}, {target_label: __scrape_timeout__, replacement: 600ms}",
    "interval_bad": "{target_label: __scrape_interval__, replacement: xx}", "interval_zero": "{target_label: __scrape_interval__, replacement: 0s}",
    "timeout_bad": "{target_label: __scrape_timeout__, replacement: 10s}", "no_address": "{regex: __address__, action: labeldrop}",
    "bad_address": "{target_label: __address__, replacement: 'a/b'}", "scheme": "{target_label: __scheme__, replacement: ftp}",
    "no_port": "{target_label: __address__, replacement: '127.0.0.1'}", "meta": "{regex: '__meta_(.*)', action: labelmap}",
    "drop": "{source_labels: [__address__], regex: '.*', action: drop}", "bad_label": "{target_label: 'a', replacement: \"\\xff\"}",
    "tmp": "{target_label: __tmp_a, replacement: x}, {source_labels: [__tmp_a], target_label: kept}", "no_job": "{regex: job, action: labeldrop}",
}


def relabel_cases(cases):
    page = (b'a{x="1",y="Aa"} 1\na{x="2",y="2"} 2\nab{x="1"} 3\nb{y="l\\nine"} 4\nb 5\n')
    for name, text in METRIC_RELABEL.items():
        cases["metric_" + name] = Case(page, f"metric_relabel_configs: [{text}]")
    for name, text in RELABEL.items():
        cases["relabel_" + name] = Case(echo if name in ("address", "scheme") else b"a 1\n", f"relabel_configs: [{text}]",
                                        targets="[{targets: ['ADDRESS'], labels: {__meta_zone: z, __own: o, plain: p}}]")
    cases["relabel_path"] = Case(echo)
    cases["same_target"] = Case(b"a 1\n", targets="[{targets: ['ADDRESS', 'ADDRESS']}, {targets: ['ADDRESS'], labels: {x: y}}]")
    cases["no_targets"] = Case(b"", targets="[]")


def make_cases():
    cases = {}
    syntax_cases(cases)
    wire_cases(cases)
    sample_cases(cases)
    relabel_cases(cases)
    return cases


class CaseServer:
    """Serves each case under its name; a page's counter is one per scraper."""

    def __init__(self, cases):
        counts, lock = {}, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # pylint: disable=invalid-name
                name = self.path[1:].split("?")[0]
                case = cases.get(name)
                if case is None:
                    self.send_error(404)
                    return
                with lock:
                    key = name, self.headers.get("User-Agent")
                    n = counts[key] = counts.get(key, 0) + 1
                body = case.page if isinstance(case.page, bytes) else case.page(n, self)
                if body is None:
                    return
                self.send_response_only(case.status)
                if case.kind is not None:
                    self.send_header("Content-Type", case.kind)
                for header in case.headers.items():
                    self.send_header(*header)
                if case.status not in (204, 304):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if case.status not in (204, 304):
                    self.wfile.write(body)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, *args):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def config(cases, port, interval="1s"):
    out = f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}\nscrape_configs:\n"
    for name, case in cases.items():
        targets = (case.targets or "[{targets: ['ADDRESS']}]").replace("ADDRESS", f"127.0.0.1:{port}")
        out += f"  - job_name: {name}\n    metrics_path: /{name}\n    static_configs: {targets}\n"
        if case.extra:
            out += f"    {case.extra}\n"
    return out
