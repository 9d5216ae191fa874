#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests rely on is tested too: an encoder that lies or a comparison that always
agrees would make them say nothing."""

import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compare  # noqa: E402
import harness  # noqa: E402
import remote_write  # noqa: E402


def vector(*pairs):
    return {"resultType": "vector", "result": [{"metric": m, "value": v} for m, v in pairs]}


class Snappy(unittest.TestCase):
    def test_round_trip(self):
        chance = random.Random(1)
        for size in (0, 1, 59, 60, 61, 255, 256, 65535, 65536, 65537, 200000):
            data = chance.randbytes(size)
            self.assertEqual(remote_write.snappy_decode(remote_write.snappy(data)), data)


class Message(unittest.TestCase):
    def test_bytes(self):
        got = remote_write.series({"__name__": "up"}, [(1, 1.0)])
        want = bytes.fromhex("0a1b 0a0e 0a08 5f5f6e616d655f5f 1202 7570 1209 09 000000000000f03f".replace(
            " ", ""))
        # The sample: 09 + eight bytes of the value + 10 01.
        want = want.replace(b"\x12\x09\x09", b"\x12\x0b\x09") + b"\x10\x01"
        want = want[:1] + bytes([len(want) - 2]) + want[2:]
        self.assertEqual(got, want)

    def test_negative_time(self):
        self.assertEqual(remote_write.varint(-1), b"\xff" * 9 + b"\x01")


class Compare(unittest.TestCase):
    def test_agree(self):
        a = vector(({"a": "1"}, [1, "2"]), ({"a": "2"}, [1, "NaN"]))
        b = vector(({"a": "2"}, [1, "NaN"]), ({"a": "1"}, [1, "2"]))
        self.assertEqual(compare.differences(a, b, True), [])

    def test_differ(self):
        a = vector(({"a": "1"}, [1, "2"]))
        for other in (vector(), vector(({"a": "2"}, [1, "2"])), vector(({"a": "1"}, [2, "2"])),
                      vector(({"a": "1"}, [1, "2.0000001"])), vector(({"a": "1"}, [1, "NaN"])),
                      vector(({"a": "1"}, [1, "+Inf"])),
                      vector(({"a": "1"}, [1, "2"]), ({"b": "1"}, [1, "2"])),
                      {"resultType": "scalar", "result": [1, "2"]}):
            self.assertNotEqual(compare.differences(a, other, False), [], other)

    def test_tolerance(self):
        a, b = vector(({}, [1, "1"])), vector(({}, [1, "1.0000000001"]))
        self.assertEqual(compare.differences(a, b, False), [])
        self.assertNotEqual(compare.differences(a, b, True), [])


class FakeServer:
    """Answers what it was given."""

    def __init__(self, samples):
        self.samples = samples

    def raw(self, _selector, _at, _span):
        return self.samples


class LedgerVerdicts(unittest.TestCase):
    def setUp(self):
        self.ledger = remote_write.Ledger("m", 0, 2, 1000000, step_ms=10)
        self.ledger.next = 3
        self.ledger.acknowledged, self.ledger.unknown, self.ledger.refused = {0}, {1}, {2}

    def samples(self, *present):
        found = {}
        for n, i in present:
            labels = (("__name__", "m"), ("sender", "0"), ("series", f"{i:04d}"))
            found.setdefault(labels, []).append(
                (self.ledger.t_ms(n) / 1000, repr(self.ledger.value(n, i))))
        return found

    def test_right(self):
        self.assertEqual(self.ledger.verify(FakeServer(self.samples((0, 0), (0, 1)))), 2)
        self.assertEqual(self.ledger.verify(FakeServer(self.samples((0, 0), (0, 1), (1, 0), (1, 1)))), 4)

    def test_wrong(self):
        altered = self.samples((0, 0), (0, 1))
        next(iter(altered.values()))[0] = (1000.0, "77")
        for samples in (self.samples(), self.samples((0, 0)), self.samples((0, 0), (0, 1), (1, 0)),
                        self.samples((0, 0), (0, 1), (2, 0)), self.samples((0, 0), (0, 0), (0, 1)),
                        self.samples((0, 0), (0, 1), (5, 0)), altered):
            with self.assertRaises(AssertionError):
                self.ledger.verify(FakeServer(samples))


class Waiting(unittest.TestCase):
    def test_gives_up(self):
        with self.assertRaises(harness.Failure):
            harness.wait_for(lambda: False, 0.1, "nothing", interval=0.02)


if __name__ == "__main__":
    unittest.main()
