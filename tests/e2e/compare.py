# SPDX-License-Identifier: Apache-2.0
"""Compares two answers of the query API: same series, same times, and values that are equal bit for
bit or within 1e-9."""

import math

RELATIVE = 1e-9


def value_of(text):
    return float(text.replace("Inf", "inf")) if "Inf" in text else float(text)


def values_agree(a, b, exact):
    if a == b:
        return True
    if exact:
        return False
    x, y = value_of(a), value_of(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if math.isinf(x) or math.isinf(y):
        return x == y
    return abs(x - y) <= RELATIVE * max(abs(x), abs(y))


def _points(data, series):
    if data["resultType"] == "vector":
        return [series["value"]]
    return series["values"]


def _by_labels(data):
    return {tuple(sorted(s["metric"].items())): _points(data, s) for s in data["result"]}


def differences(a, b, exact):
    """Texts of what differs between two answers' data (a: wanted, b: got); empty if they agree."""
    if a["resultType"] != b["resultType"]:
        return [f"type {a['resultType']} and {b['resultType']}"]
    if a["resultType"] in ("scalar", "string"):
        same = a["result"][0] == b["result"][0] and values_agree(
            a["result"][1], b["result"][1], exact)
        return [] if same else [f"{a['result']} and {b['result']}"]
    one, other = _by_labels(a), _by_labels(b)
    found = [f"missing: {dict(k)}" for k in one.keys() - other.keys()]
    found += [f"too many: {dict(k)}" for k in other.keys() - one.keys()]
    if len(other) != len(b["result"]):
        found.append("a label set comes twice")
    for labels in one.keys() & other.keys():
        x, y = one[labels], other[labels]
        if [p[0] for p in x] != [p[0] for p in y]:
            times = {p[0] for p in x} ^ {p[0] for p in y}
            found.append(f"{dict(labels)}: {len(x)} and {len(y)} points, times that differ: "
                         f"{sorted(times)[:5]}")
            continue
        for p, q in zip(x, y):
            if not values_agree(p[1], q[1], exact):
                found.append(f"{dict(labels)} at {p[0]}: {p[1]} and {q[1]}")
                break
    return found
