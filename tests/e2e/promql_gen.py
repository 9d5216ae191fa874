# SPDX-License-Identifier: Apache-2.0
"""Random PromQL expressions of the kinds that are served, and damaged ones."""

LABELS = ["job", "instance", "mode", "shard", "zone", "x", "y", "side", "n", "every", "case", "v",
          "i", "none"]
VALUES = ["api", "db", "web", "cache", "h1:80", "idle", "user", "0", "1", "2", "a", "b", "c", "d",
          "left", "1m", "5m", "any", "a.b", "x|y", "", "A"]
PATTERNS = ["api|db", "a.*", ".*", ".+", "", "h[12]:80", "a|b||c", "(?i)API", "[a-c]", "idle|user",
            "h.:80+", "ab?", "a\\\\.b", "a.b", "(a|b)", ".*b.*", "a|.*", "x\\\\|y", "\\\\d+", "^a$",
            "h1.*|h2.*", "(?s:.)*n.*", "[^a]", "api|", "api.*|db", "日.", "ü.*", "line.break",
            "a{1,2}", "(?:a|b|c)", "web", "(foo)?", "h1:80|h2:80|h3:8080|h4:80"]
METRICS = ["reqs_total", "cadence_total", "temp", "left", "right", "lone", "single", "nolabels",
           "edge", "few", "wild", "odd", "rule:with:colons", "missing"]
TAME = ["reqs_total", "temp", "left", "right", "lone", "single", "nolabels", "edge", "few"]
# Matchers that leave something of a metric.
FITTING = {
    "reqs_total": ['job="api"', 'job=~"api|db"', 'instance=~"h[12].*"', 'mode!="idle"',
                   'job!~"w.*"', 'mode=~"idle|user"', 'none=""', 'instance=~".+"'],
    "temp": ['job="db"', 'shard=~"[0-2]"', 'zone=""', 'zone!=""', 'zone=~"a|"', 'shard!="3"'],
    "left": ['x=~"a|b"', 'y="1"', 'side!=""', 'x!="d"', 'side=~".*"'],
    "right": ['x=~"b|c"', 'y="2"', 'side=""', 'x!="e"', 'y=~"1|2"'],
    "lone": ['x="a"', 'x=~"b|c"', 'y=""'],
    "edge": ['every="1m"', 'every=~"[15]m"', 'every!="zero"'],
    "few": ['n="2"', 'n=~"2|3"', 'n!="1"'],
    "cadence_total": ['n="1"', 'n=~"0|3"', 'n!="2"'],
    "wild": ['case="any"', 'case!="zeros"', 'case=~"f.*|m.*"'],
    "odd": ['i="1"', 'v=~".*b.*"', 'v=~"[^a]*"', 'v="日本"', 'v="line\\nbreak"', 'v=~"\\PL+"',
            'v=~"(?i)a.*"', 'v!~".{1,3}"', 'v=~".\\u0301|x.y"'],
}
DURATIONS = ["1m", "5m", "30s", "15s", "1s", "500ms", "1m30s", "10m", "1h", "2m", "299999ms",
             "300001ms", "1m1ms", "60", "90.5", "1e2", "0x3c", "45s", "20s", "1ms", "7m"]
NUMBERS = ["0", "1", "2", "3", "10", "0.5", "1e3", "1e-3", "-1", "0x1F", "0xA", "017", "1_000",
           "Inf", "-Inf", "NaN", "+1", ".5", "5.", "1E6", "1m", "1h30m", "1.5e-300", "1e308", "-0",
           "00", "0b1", "0o17", "2.5", "1e+2", "inf", "nan", "100ms", "0x_1F", "1_0.5"]
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISON = ["==", "!=", ">", "<", ">=", "<="]
AGGREGATORS = ["sum", "avg", "min", "max", "count"]
# Functions by what they take; the first of each pair gives determined bits.
OF_VECTOR = (["abs", "ceil", "floor", "sgn", "timestamp", "sort", "sort_desc", "hour", "minute",
              "month", "year", "day_of_month", "day_of_week", "day_of_year", "days_in_month"],
             ["exp", "ln", "log2", "log10", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan",
              "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad"])
OF_RANGE = (["changes", "resets", "count_over_time", "min_over_time", "max_over_time", "idelta",
             "last_over_time", "present_over_time", "absent_over_time"],
            ["irate", "delta", "deriv", "avg_over_time", "sum_over_time", "stddev_over_time",
             "stdvar_over_time"])
QUANTILES = ["0", "0.5", "0.9", "1", "-1", "2", "NaN", "0.333"]
ODD_TOKENS = ["(", ")", "{", "}", "[", "]", ",", "by", "on", "ignoring", "group_left", "bool",
              "offset", "@", "and", "sum", "rate", "=", "=~", "!~", "\"", "'", "`", "#x", "1", "1m",
              "-", "+", "*", "==", "foo", "$", "&", "\\", ":", ";", "start()", "0x", "1e", "é", "%",
              "without", "count_values", "topk", "time()", "\x01", "NaN", "{}", "5m5m", "1m1h",
              "\"\\q\"", "[5m]", "[5m:]", "offset 5m", "@ 1", "@ NaN", "@ end()", "!", "~", "^"]


class Expr:
    """exact: every bit of its values is determined. tame: no values that upset sums."""

    def __init__(self, text, kind="vector", exact=True, tame=True):
        self.text, self.kind, self.exact, self.tame = text, kind, exact, tame


class Generator:
    """more_share: of functions, set operators and other aggregations among the nodes."""

    def __init__(self, rng, start_s, end_s, more_share=0.0):
        self.rng, self.start_s, self.end_s = rng, start_s, end_s
        self.more_share = more_share

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, items):
        return self.rng.choice(items)

    def space(self):
        return self.pick(["", "", " ", " ", "  ", "\n", " # note\n"]) if self.chance(0.2) else " "

    def quote(self, text):
        """text: already escaped for double quotes."""
        if "\\" not in text and self.chance(0.1):
            return f"`{text}`"
        if "'" not in text and self.chance(0.1):
            return f"'{text}'"
        return f'"{text}"'

    def matcher(self, metric):
        if self.chance(0.65) and metric in FITTING:
            return self.pick(FITTING[metric])
        name = self.pick(LABELS) if self.chance(0.95) else '"läbel.x"'
        op = self.pick(["=", "!=", "=~", "!~"])
        value = self.pick(VALUES) if op in ("=", "!=") else self.pick(PATTERNS)
        return f"{name}{op}{self.quote(value)}"

    def selector(self):
        name = self.pick(TAME if self.chance(0.7) else METRICS)
        matchers = [self.matcher(name) for _ in range(self.pick([0, 0, 0, 1, 1, 1, 2, 3]))]
        if self.chance(0.08) and matchers:
            matchers.append(matchers[0])
        kind = self.rng.random()
        if kind < 0.05:
            text = "{" + ",".join(['"utf8.näme"'] + matchers) + "}"
            name = "utf8.näme"
        elif kind < 0.1:
            text = "{" + ",".join([f'"{name}"'] + matchers) + "}"
        elif kind < 0.16:
            op, value = self.pick([("=", name), ("=~", name + "|temp"), ("=~", name[:2] + ".*"),
                                   ("!~", ".*_total|wild|missing"), ("!=", name)])
            text = "{" + ",".join([f'__name__{op}"{value}"'] + matchers) + "}"
            name = "wild"
        elif kind < 0.18:
            text = "{" + ",".join(matchers) + "}"
            name = "wild"
        else:
            comma = "," if matchers and self.chance(0.1) else ""
            text = name + ("{" + ",".join(matchers) + comma + "}" if matchers else "")
        return text, name not in ("wild", "odd")

    def duration(self):
        return self.pick(DURATIONS)

    def modifiers(self):
        out = ""
        if self.chance(0.12):
            out += f" offset {self.pick(['', '-', ''])}{self.duration()}"
        if self.chance(0.08):
            at = self.pick(["start()", "end()", f"{self.rng.uniform(self.start_s, self.end_s):.3f}",
                            str(int(self.end_s)), f"{int(self.start_s)}.0005", "0", "-1", "1e9"])
            out = (out + f" @ {at}") if self.chance(0.5) else (f" @ {at}" + out)
        return out

    def instant(self):
        text, tame = self.selector()
        return Expr(text + self.modifiers(), "vector", True, tame)

    def range_vector(self):
        text, tame = self.selector()
        return Expr(f"{text}[{self.duration()}]{self.modifiers()}", "matrix", True, tame)

    def rate(self):
        inner = self.range_vector()
        return Expr(f"{self.pick(['rate', 'rate', 'increase'])}({inner.text})", "vector", False,
                    inner.tame)

    def labels(self):
        pool = self.pick([["job", "instance", "mode"], ["x", "y", "side"], LABELS, ["x"], ["y"],
                          ["job", "shard", "zone"], ["__name__", "x"], ["x", "y"]])
        count = self.rng.randrange(0, min(4, len(pool)) + 1)
        names = self.rng.sample(pool, count)
        if self.chance(0.03):
            names.append('"läbel.x"')
        return ", ".join(names) + ("," if names and self.chance(0.05) else "")

    def aggregate(self, depth):
        inner = self.vector(depth - 1)
        op = self.pick(AGGREGATORS)
        clause = ""
        if self.chance(0.75):
            clause = f"{self.pick(['by', 'without'])} ({self.labels()})"
        op_text = op.upper() if self.chance(0.03) else op
        text = (f"{op_text} {clause} ({inner.text})" if self.chance(0.5)
                else f"{op_text}({inner.text}) {clause}")
        return Expr(text, "vector", inner.exact and op in ("min", "max", "count"), inner.tame)

    def scalar(self, depth):
        kind = self.rng.random()
        if kind < 0.75 or depth <= 0:
            return Expr(self.pick(NUMBERS), "scalar")
        if kind < 0.8:
            return Expr(self.pick(["time()", "pi()"]), "scalar")
        if kind < 0.85:
            inner = self.scalar(depth - 1)
            return Expr(f"({inner.text})", "scalar", inner.exact)
        if kind < 0.9:
            inner = self.scalar(depth - 1)
            return Expr(f"-{inner.text}", "scalar", inner.exact)
        a, b = self.scalar(depth - 1), self.scalar(depth - 1)
        op = self.pick(ARITHMETIC + [c + " bool" for c in COMPARISON])
        return Expr(f"{a.text} {op} {b.text}", "scalar",
                    a.exact and b.exact and op not in ("^", "atan2"))

    def operator(self):
        if self.chance(0.6):
            return self.pick(ARITHMETIC)
        return self.pick(COMPARISON) + (" bool" if self.chance(0.4) else "")

    def subquery(self, depth):
        inner = self.vector(depth - 1)
        step = self.pick(["", "", "15s", "1m", "7s"])
        span = self.pick(["1m", "5m", "90s", "10m"])
        return Expr(f"({inner.text})[{span}:{step}]{self.modifiers()}", "matrix", inner.exact,
                    inner.tame)

    def function(self, depth):
        """A call of the functions beyond rate and increase."""
        kind, which = self.rng.random(), self.rng.randrange(2)
        if kind < 0.3:
            inner = self.vector(depth - 1)
            return Expr(f"{self.pick(OF_VECTOR[which])}({inner.text})", "vector",
                        inner.exact and which == 0, inner.tame)
        if kind < 0.65:
            inner = self.range_vector() if self.chance(0.7) else self.subquery(depth)
            return Expr(f"{self.pick(OF_RANGE[which])}({inner.text})", "vector",
                        inner.exact and which == 0, inner.tame)
        if kind < 0.72:
            inner = self.range_vector()
            return Expr(self.pick([f"quantile_over_time({self.pick(QUANTILES)}, {inner.text})",
                                   f"predict_linear({inner.text}, {self.pick(NUMBERS)})"]),
                        "vector", False, inner.tame)
        inner = self.vector(depth - 1)
        a, b = self.pick(NUMBERS), self.pick(NUMBERS)
        name = self.pick(["job", "x", "dst", "__name__", "instance"])
        text = self.pick([
            f"clamp({inner.text}, {a}, {b})", f"clamp_min({inner.text}, {a})",
            f"clamp_max({inner.text}, {a})", f"round({inner.text})", f"round({inner.text}, {a})",
            f"vector(scalar({inner.text}))", f"absent({inner.text})",
            f'label_replace({inner.text}, "{name}", "$1-${{2}}", "job", "(.)(.*)")',
            f'label_replace({inner.text}, "dst", "v", "x", "")',
            f'label_join({inner.text}, "{name}", "/", "job", "x", "none")'])
        return Expr(text, "vector", inner.exact and not text.startswith("round"), inner.tame)

    def parameter_aggregate(self, depth):
        clause = f"{self.pick(['by', 'without'])} ({self.labels()})" if self.chance(0.7) else ""
        kind = self.rng.random()
        if kind < 0.3:  # ties would be settled by the order of reading
            return Expr(f"{self.pick(['topk', 'bottomk'])} {clause} ({self.pick('0123')}, temp)")
        inner = self.vector(depth - 1)
        if kind < 0.5:
            text, exact = f"quantile {clause} ({self.pick(QUANTILES)}, {inner.text})", False
        elif kind < 0.6 and inner.exact:
            text, exact = f'count_values {clause} ("dst", {inner.text})', True
        elif kind < 0.7:
            text, exact = f"group {clause} ({inner.text})", inner.exact
        else:
            text, exact = f"{self.pick(['stddev', 'stdvar'])} {clause} ({inner.text})", False
        return Expr(text, "vector", exact, inner.tame)

    def set_operation(self, depth):
        a, b = self.vector(depth - 1), self.vector(depth - 1)
        on = f"{self.pick(['on', 'ignoring'])}({self.labels()})" if self.chance(0.7) else ""
        return Expr(f"{a.text} {self.pick(['and', 'or', 'unless'])} {on} {b.text}", "vector",
                    a.exact and b.exact, a.tame and b.tame)

    def more(self, depth):
        return self.pick([self.function, self.function, self.parameter_aggregate,
                          self.set_operation])(depth)

    def with_scalar(self, depth):
        a, b = self.vector(depth - 1), self.scalar(depth - 1)
        if self.chance(0.4):
            a, b = b, a
        op = self.operator()
        return Expr(f"{a.text}{self.space()}{op}{self.space()}{b.text}", "vector",
                    a.exact and b.exact and op not in ("^", "atan2"), a.tame and b.tame)

    def matching(self):
        if self.chance(0.25):
            return ""
        text = f"{self.pick(['on', 'ignoring'])}({self.labels()})"
        if self.chance(0.25):
            text += " " + self.pick(["group_left", "group_right"])
            if self.chance(0.5):
                text += f"({self.labels()})"
        return text

    def with_vector(self, depth):
        a, b = self.vector(depth - 1), self.vector(depth - 1)
        if self.chance(0.4):
            a, b = (Expr(self.pick(["left", "right", "lone", "single", "temp", "reqs_total"]))
                    for _ in range(2))
        op = self.operator()
        return Expr(f"{a.text} {op} {self.matching()} {b.text}", "vector",
                    a.exact and b.exact and op not in ("^", "atan2"), a.tame and b.tame)

    def vector(self, depth):
        if depth <= 0 or self.chance(0.25):
            return self.instant() if self.chance(0.75) else self.rate()
        if self.chance(self.more_share):
            return self.more(depth)
        kind = self.rng.random()
        if kind < 0.3:
            return self.aggregate(depth)
        if kind < 0.5:
            return self.with_scalar(depth)
        if kind < 0.75:
            return self.with_vector(depth)
        inner = self.vector(depth - 1)
        if kind < 0.85:
            inner.text = f"({inner.text})"
        elif kind < 0.93:
            inner.text = f"{self.pick('-+')}{inner.text}"
        elif kind < 0.96:
            inner = self.scalar(depth - 1)
            return Expr(f"vector({inner.text})", "vector", inner.exact)
        return inner

    def valid(self):
        kind = self.rng.random()
        if kind < 0.08:
            return self.range_vector()
        if kind < 0.13:
            return self.scalar(3)
        if kind < 0.14:
            return Expr(self.pick(['"text"', "'a\\n'", "`raw\\n`", '"\\u00e9\\x41"', '""']), "string")
        return self.vector(self.pick([1, 2, 2, 3, 3, 4]))

    def damaged(self):
        """A text near a valid one."""
        text = self.valid().text
        for _ in range(self.pick([1, 1, 1, 2])):
            at = self.rng.randrange(len(text) + 1)
            to = min(len(text), at + self.rng.randrange(1, 4))
            kind = self.rng.randrange(4)
            if kind == 0:
                text = text[:at] + text[to:]
            elif kind == 1:
                text = text[:at] + self.pick(ODD_TOKENS) + text[at:]
            elif kind == 2:
                text = text[:at] + " " + self.pick(ODD_TOKENS) + " " + text[to:]
            else:
                text = text[:at]
        return Expr(text, "damaged", False, False)
