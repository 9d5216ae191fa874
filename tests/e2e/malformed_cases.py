# SPDX-License-Identifier: Apache-2.0
"""Requests that are wrong in one way each: name, request, the right status, a part of what must be
said. None of them may leave a sample behind but those that say so (status 204, name "kept")."""

import struct

from remote_read import query
from remote_write import (HEADERS2, Request2, double, field, label, number, sample, series, snappy, varint, zstd)

V2 = HEADERS2["Content-Type"]
WRITE, READ = "/api/v1/write", "/api/v1/read"

# Bytes that are no UTF-8.
NOT_UTF8 = [b"\xff", b"a\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80abc", b"\xc3("]


class Case:
    def __init__(self, name, body, status, part="", headers=None, path=WRITE, method="POST"):
        self.name, self.body, self.status, self.part = name, body, status, part.lower()
        self.path, self.method = path, method
        self.headers = dict({"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"},
                            **(headers or {}))


def rle_frame(size, declares=False, checksum=False, window=0x38):
    """A zstd frame of one byte, repeated, that begins no field."""
    if declares:
        head = b"\xa0" + struct.pack("<I", size)
    else:
        head = (b"\x04" if checksum else b"\x00") + bytes([window])
    out, left = bytearray(b"\x28\xb5\x2f\xfd" + head), size
    while left > 0:
        part = min(left, 128 << 10)
        left -= part
        out += struct.pack("<I", part << 3 | 2 | (left == 0))[:3] + b"\x0f"
    return bytes(out)


def copies(size):
    """A snappy block that copies one byte again and again: as dense as the format gets."""
    out = bytearray(varint(size) + b"\x00\x0f")
    left = size - 1
    while left > 0:
        part = min(left, 64)
        out += bytes([(part - 1) << 2 | 2]) + b"\x01\x00"
        left -= part
    return bytes(out)


def snappy_cases(good):
    packed = snappy(good)
    yield Case("snappy: nothing", b"", 400, "snappy: empty input")
    for cut in range(1, len(packed), max(1, len(packed) // 20)):
        yield Case(f"snappy: cut after {cut}", packed[:cut], 400, "snappy")
    yield Case("snappy: ones", b"\xff" * 100, 400, "snappy")
    yield Case("snappy: text", b"hello, world", 400, "snappy")
    yield Case("snappy: framed", b"\xff\x06\x00\x00sNaPpY" + packed, 400, "snappy")
    yield Case("snappy: gzip inside", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 400, "snappy")
    yield Case("snappy: a copy before the start", b"\x08\x01\xff", 400, "snappy: corrupt input")
    yield Case("snappy: a copy of offset 0", b"\x08\x00a\x15\x00", 400, "snappy: corrupt input")
    yield Case("snappy: says one more", varint(len(good) + 1) + packed[1:], 400, "snappy")
    yield Case("snappy: says one less", varint(len(good) - 1) + packed[1:], 400, "snappy")
    yield Case("snappy: bytes behind", packed + b"\x00a", 400, "snappy")
    for size in (33 << 20, 64 << 20, 0x7FFFFFFF, 0xFFFFFFFF):
        yield Case(f"snappy: says {size}", varint(size) + b"\x00a", 413, "exceeds the limit")
    yield Case("snappy: says 32 MiB in three bytes", varint(32 << 20) + b"\x00a", 400, "declared length")
    yield Case("snappy: says 2^40", varint(1 << 40) + b"\x00a", 400, "snappy")
    yield Case("snappy: 32 MiB of one byte", copies(32 << 20), 400, "malformed protobuf")
    yield Case("snappy: 33 MiB of one byte", copies(33 << 20), 413, "exceeds the limit")


def zstd_cases(good):
    coding = {"Content-Encoding": "zstd"}
    packed = zstd(good)
    yield Case("zstd: nothing", b"", 400, "zstd: empty input", coding)
    for cut in range(1, len(packed), max(1, len(packed) // 20)):
        yield Case(f"zstd: cut after {cut}", packed[:cut], 400, "zstd", coding)
    for name, body in (("ones", b"\xff" * 50), ("snappy inside", snappy(good)), ("another magic", b"\x27" + packed[1:]),
                       ("a reserved bit", packed[:4] + b"\x08" + packed[5:]),
                       ("a reserved block", b"\x28\xb5\x2f\xfd\x00\x38\x07\x00\x00"),
                       ("a dictionary", b"\x28\xb5\x2f\xfd\x01\x38\x05\x01\x00\x00"),
                       ("a wrong checksum", rle_frame(100, checksum=True) + b"abcd"),
                       ("no checksum", rle_frame(100, checksum=True)),
                       ("bytes behind", packed + b"abc"), ("half a skippable frame", b"\x50\x2a\x4d\x18\xff\x00\x00\x00a"),
                       ("a compressed block of nothing", b"\x28\xb5\x2f\xfd\x00\x38\x05\x00\x00"),
                       ("compressed rubbish", b"\x28\xb5\x2f\xfd\x00\x38" + struct.pack("<I", 20 << 3 | 5)[:3] + b"\xee" * 20)):
        yield Case(f"zstd: {name}", body, 400, "zstd", coding)
    block = struct.pack("<I", 5000 << 3 | 3)[:3] + b"\x0f"
    yield Case("zstd: a block larger than its window", b"\x28\xb5\x2f\xfd\x00\x00" + block, 400, "", coding)
    for size in (33 << 20, 1 << 30, 0xFFFFFFFF):
        yield Case(f"zstd: says {size}", rle_frame(size, True)[:40], 413, "exceeds the limit", coding)
    yield Case("zstd: says 2^60", b"\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x10\x01\0\0", 413, "exceeds the limit", coding)
    yield Case("zstd: 33 MiB of one byte", rle_frame(33 << 20), 413, "exceeds the limit", coding)
    yield Case("zstd: 1 GiB of one byte", rle_frame(1 << 30), 413, "exceeds the limit", coding)
    yield Case("zstd: 32 MiB of one byte", rle_frame(32 << 20), 400, "malformed protobuf", coding)
    yield Case("zstd: frames of 20 MiB", rle_frame(20 << 20, True) * 2, 413, "exceeds the limit", coding)
    yield Case("zstd: a window of 4 GiB", rle_frame(100, window=22 << 3), 400, "", coding)
    yield Case("zstd: a window of 2 TiB", rle_frame(100, window=31 << 3), 400, "", coding)


def protobuf_cases(good, good2):
    for cut in range(1, len(good), max(1, len(good) // 25)):
        yield Case(f"1.0 cut after {cut}", snappy(good[:cut]), 400, "malformed protobuf")
    for cut in range(1, len(good2), max(1, len(good2) // 25)):
        if Request2Walk.is_whole(good2[:cut]):
            continue
        yield Case(f"2.0 cut after {cut}", snappy(good2[:cut]), 400, "malformed protobuf", {"Content-Type": V2})
    for name, body in (
            ("time series as a number", b"\x08\x01"), ("time series as 8 bytes", b"\x09" + bytes(8)),
            ("metadata as a number", b"\x18\x01"), ("a group", b"\x0b\x0c"), ("the end of a group", b"\x0c"),
            ("wire type 6", b"\x0e\x00"), ("wire type 7", b"\x0f\x00"), ("field 0", b"\x02\x00"),
            ("a tag of six bytes", b"\x8a\x80\x80\x80\x80\x00\x00"), ("a tag without end", b"\xff" * 20),
            ("a length past the end", b"\x0a\x05a"), ("a length of 2^31", b"\x0a\xff\xff\xff\xff\x07"),
            ("a length of 2^63", b"\x0a" + b"\xff" * 9 + b"\x01"), ("a length of eleven bytes", b"\x0a" + b"\x80" * 10 + b"\x01"),
            ("labels as a number", field(1, b"\x08\x01")), ("labels as 4 bytes", field(1, b"\x0d" + bytes(4))),
            ("samples as a number", field(1, label("__name__", "x") + b"\x10\x01")),
            ("samples as 8 bytes", field(1, label("__name__", "x") + b"\x11" + bytes(8))),
            ("a value of 4 bytes", field(1, label("__name__", "x") + field(2, b"\x0d" + bytes(4)))),
            ("a value as text", field(1, label("__name__", "x") + field(2, field(1, b"1")))),
            ("a time as text", field(1, label("__name__", "x") + field(2, field(2, b"1")))),
            ("a time of eleven bytes", field(1, label("__name__", "x") + field(2, b"\x10" + b"\x80" * 10 + b"\x01"))),
            ("exemplars as a number", field(1, label("__name__", "x") + b"\x18\x01")),
            ("histograms as a number", field(1, label("__name__", "x") + b"\x20\x01")),
            ("metadata of a wrong type", field(3, field(1, b"x"))), ("metadata cut", field(3, b"\x12\x05a"))):
        yield Case(f"1.0: {name}", snappy(body), 400, "", None)
    start = field(4, b"") + field(4, b"__name__") + field(4, b"x")
    refs = field(1, b"\x01\x02")
    for name, body in (
            ("symbols as a number", b"\x20\x01"), ("symbols as 8 bytes", b"\x21" + bytes(8)),
            ("a symbol past the end", start + b"\x22\x05a"), ("time series as a number", start + b"\x28\x01"),
            ("references as 8 bytes", start + field(5, b"\x09" + bytes(8))),
            ("samples as a number", start + field(5, refs + b"\x10\x01")),
            ("histograms as a number", start + field(5, refs + b"\x18\x01")),
            ("exemplars as a number", start + field(5, refs + b"\x20\x01")),
            ("metadata as a number", start + field(5, refs + b"\x28\x01")),
            ("creation as text", start + field(5, refs + field(6, b"1"))),
            ("a value of 4 bytes", start + field(5, refs + field(2, b"\x0d" + bytes(4)))),
            ("a time as text", start + field(5, refs + field(2, field(2, b"1")))),
            ("a start as text", start + field(5, refs + field(2, field(3, b"1")))),
            ("a group", start + b"\x2b\x2c"), ("ones", b"\xff" * 30)):
        yield Case(f"2.0: {name}", snappy(body), 400, "", {"Content-Type": V2})
    many = field(4, b"") * ((1 << 20) + 1)
    yield Case("2.0: a million symbols and one", snappy(many), 413, "more than 1048576 symbols", {"Content-Type": V2})


class Request2Walk:
    @staticmethod
    def is_whole(data):
        """Whether these bytes are whole fields: a prefix of a message that is one too."""
        at = 0
        while at < len(data):
            at += 1
            if at >= len(data):
                return False
            size, shift = 0, 0
            while at < len(data):
                byte = data[at]
                size |= (byte & 0x7F) << shift
                at, shift = at + 1, shift + 7
                if byte < 0x80:
                    break
            at += size
        return at == len(data)


def reference_cases(t):
    def case(name, refs, part, more=None):
        request = Request2()
        for text in ("__name__", "left", "a", "b"):
            request.ref(text)
        body = field(1, refs) + (request.sample(t, 1) if more is None else more)
        return Case(f"2.0: {name}", snappy(request.symbols() + field(5, body)), 400, part, {"Content-Type": V2})
    outside = "outside of the symbols table (size 5)"
    yield case("a name without a text", b"\x05\x02", outside)
    yield case("a value without a text", b"\x01\x05", outside)
    yield case("reference 2^32-1", b"\x01" + varint(0xFFFFFFFF), outside)
    yield case("three references", b"\x01\x02\x03", "must be pairs")
    yield case("one reference", b"\x01", "must be pairs")
    yield case("a name that is empty", b"\x01\x02\x00\x02", "empty label name")
    yield case("a name twice", b"\x01\x02\x03\x04\x03\x04", "there twice")
    yield case("no metric name", b"\x03\x04", "no metric name")
    yield case("no labels", b"", "no metric name")
    yield case("nothing in it", b"\x01\x02", "must have a sample", b"")
    yield case("half a reference", b"\x01\x82", "label references")
    yield case("metadata without a text", b"\x01\x02", outside, field(5, number(1, 1) + number(3, 99)))
    yield Case("2.0: no symbols at all", snappy(field(5, field(1, b"\x01\x02") + Request2().sample(t, 1))), 400,
               "outside of the symbols table (size 0)", {"Content-Type": V2})


def label_cases(t):
    one = [(t, 1)]

    def both(name, pairs, part, status=400):
        yield Case(f"1.0: {name}", snappy(series(pairs, one)), status, part)
        yield Case(f"2.0: {name}", snappy(Request2().series(pairs, one).message()), status, part, {"Content-Type": V2})
    named = ("__name__", "left")
    yield from both("no name", [("a", "b")], "no metric name")
    yield from both("nothing", [], "no metric name")
    yield from both("an empty metric name", [("__name__", ""), ("a", "b")], "no metric name")
    yield from both("a name twice", [named, ("a", "1"), ("a", "2")], "there twice")
    yield from both("the metric name twice", [named, ("__name__", "other")], "there twice")
    yield from both("an empty label name", [("", "1"), named], "empty label name")
    for n, text in enumerate(NOT_UTF8):
        yield from both(f"no UTF-8 in a value ({n})", [named, ("a", text)], "utf-8")
        yield from both(f"no UTF-8 in a name ({n})", [named, (text, "a")], "invalid label name")
        yield from both(f"no UTF-8 in the metric name ({n})", [("__name__", text)], "")
    yield from both("101 labels", [named] + [(f"l{i:04d}", "v") for i in range(100)], "101 labels, the limit is 100")
    yield from both("10,000 labels", [named] + [(f"l{i:05d}", "v") for i in range(10000)], "labels, the limit is 100")
    yield from both("a long name", [named, ("n" * 1025, "v")], "1025 bytes, the limit is 1024")
    yield from both("a long value", [named, ("n", "v" * 16385)], "16385 bytes, the limit is 16384")
    yield from both("a value of 1 MiB", [named, ("n", "v" * (1 << 20))], "the limit is 16384")
    # What is unusual and right.
    yield from both("kept: NUL in a value", [("__name__", "kept_nul"), ("a", "x\0y")], "", 204)
    yield from both("kept: labels not sorted", [("z", "1"), ("__name__", "kept_unsorted"), ("b", "2")], "", 204)
    yield from both("kept: an empty value", [("__name__", "kept_empty"), ("a", "")], "", 204)
    for name, when in (("in an hour", t + 3600000), ("at the end of time", (1 << 63) - 1)):
        yield Case(f"1.0: {name}", snappy(series([named], [(when, 1)])), 400, "too far in the future")
        yield Case(f"2.0: {name}", snappy(Request2().series([named], [(when, 1)]).message()), 400,
                   "too far in the future", {"Content-Type": V2})


def histogram_cases(t):
    def span(number_, offset, length):
        return field(number_, number(1, offset << 1) + number(2, length))
    cases = (
        ("schema 9", number(1, 1) + number(4, 18) + span(11, 0, 1) + field(12, b"\x02")),
        ("schema -60", number(1, 1) + number(4, 119) + span(11, 0, 1) + field(12, b"\x02")),
        ("fewer buckets than spans", number(1, 1) + span(11, 0, 3) + field(12, b"\x02")),
        ("more buckets than spans", number(1, 1) + span(11, 0, 1) + field(12, b"\x02\x02\x02")),
        ("a negative bucket", number(1, 1) + span(11, 0, 2) + field(12, b"\x02\x05")),
        ("fewer than in its buckets", number(1, 1) + double(3, 1) + span(11, 0, 2) + field(12, b"\x04\x02")),
        ("a negative gap", number(1, 2) + span(11, 0, 1) + field(11, number(1, 1) + number(2, 1)) + field(12, b"\x02\x00")),
        ("custom bounds not sorted", number(1, 2) + number(4, 105) + span(11, 0, 2) + field(12, b"\x02\x00") +
         field(16, struct.pack("<dd", 2, 1))),
        ("custom bounds without sense", number(1, 2) + number(4, 105) + span(11, 0, 2) + field(12, b"\x02\x00") +
         field(16, struct.pack("<dd", 1, float("nan")))),
        ("custom bounds and a zero bucket", number(1, 3) + number(4, 105) + number(6, 1) + span(11, 0, 2) +
         field(12, b"\x02\x00") + field(16, struct.pack("<dd", 1, 2))),
        ("a float bucket below zero", double(2, 1) + span(11, 0, 1) + field(13, struct.pack("<d", -1))),
        ("2,000 buckets", number(1, 2000) + span(11, 0, 2000) + field(12, b"\x02" + b"\x00" * 1999)),
        ("a span of 2^32", number(1, 1) + span(11, 0, 0xFFFFFFFF) + field(12, b"\x02")),
        ("buckets as text", number(1, 1) + b"\x62\x01\x80"), ("spans as numbers", number(1, 1) + b"\x58\x01"),
        ("a sum of 4 bytes", number(1, 1) + b"\x1d" + bytes(4)),
    )
    for name, body in cases:
        body += number(15, t)
        yield Case(f"1.0 histogram: {name}", snappy(field(1, label("__name__", "left") + field(4, body))), 400, "refused: ")
        yield Case(f"2.0 histogram: {name}", snappy(Request2().series({"__name__": "left"}, [], field(3, body)).message()),
                   400, "refused: ", {"Content-Type": V2})


def header_cases(good):
    packed = snappy(good)
    for text in ("application/json", "text/plain", "application/x-protobuff", "application/protobuf", "x",
                 "application/x-protobuf;proto=x.Y", "application/x-protobuf;proto=", "application/x-protobuf; proto=prometheus",
                 "application/x-protobuf;proto=io.prometheus.write.v2", "application/x-protobuf;proto=io.prometheus.write.v3.Request",
                 "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/x-protobuf, text/plain",
                 ";", "application/vnd.google.protobuf"):
        yield Case(f"content type {text}", packed, 415, "is not taken", {"Content-Type": text})
    for text in ("gzip", "deflate", "br", "identity", "snappy, zstd", "x-snappy-framed", "zstd;q=1", "lz4"):
        yield Case(f"content encoding {text}", packed, 415, "is not taken", {"Content-Encoding": text})
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        yield Case(f"{method}", packed if method == "PUT" else None, 405, "", method=method)
    for path in ("/api/v1/write/", "/api/v1/writes", "/api/v1/push/x", "/api/v2/write", "/write"):
        yield Case(f"path {path}", packed, 404, "", path=path)


def read_cases(t):
    good = query(0, t, [("__name__", "=~", "u.*")], number(1, 5) + field(2, b"rate") + field(5, b"job"))
    for cut in range(1, len(good), 3):
        yield Case(f"read cut after {cut}", snappy(good[:cut]), 400, "malformed protobuf", path=READ)
    for name, body, part in (
            ("an unknown kind of answer", field(2, b"\x07"), "requested response types"),
            ("a matcher of type 4", field(1, field(3, number(1, 4) + field(2, b"a"))), "invalid matcher type 4"),
            ("a matcher of type -1", field(1, field(3, number(1, (1 << 64) - 1) + field(2, b"a"))), "invalid matcher type"),
            ("a matcher without a name", field(1, field(3, field(3, b"a"))), "names not empty"),
            ("no UTF-8", field(1, field(3, field(2, b"\xff"))), "utf-8"),
            ("a bad expression", query(0, 1, [("a", "=~", "(")]), "missing"),
            ("another bad expression", query(0, 1, [("a", "!~", "[z-a]")]), "invalid"),
            ("too many queries", field(1, b"") * 1001, "1001 queries"),
            ("too many matchers", field(1, field(3, field(2, b"a")) * 1001), "1001 matchers")):
        yield Case(f"read: {name}", snappy(body), 400, part, path=READ)
    yield Case("read: no snappy", good, 400, "snappy", path=READ)
    yield Case("read: nothing", b"", 400, "snappy: empty input", path=READ)
    yield Case("read: 33 MiB", varint(33 << 20) + b"\x00a", 400, "exceeds the limit", path=READ)
    for text in ("up%7B", "%7B%7D", "%7Ba=%7D", "sum(up)", "up%5B5m%5D", "%FF", "%7Ba=~%22(%22%7D", ""):
        yield Case(f"federate {text}", None, 400, "", path=f"/federate?match[]={text}", method="GET")


def malformed_cases(t):
    good = series({"__name__": "left", "job": "some job"}, [(t, 1), (t + 1, 2)])
    good2 = Request2().series({"__name__": "left", "job": "some job"}, [(t, 1), (t + 1, 2, t - 5)],
                              Request2().metadata(1)).message()
    return [*snappy_cases(good), *zstd_cases(good), *protobuf_cases(good, good2), *reference_cases(t), *label_cases(t),
            *histogram_cases(t), *header_cases(good), *read_cases(t)]
