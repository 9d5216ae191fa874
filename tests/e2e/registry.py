# SPDX-License-Identifier: Apache-2.0
"""The tests and the soaks, in the order of their definition."""

TESTS = []
SOAKS = {}


class Test:
    def __init__(self, function, seconds, narthex_only):
        self.name, self.function = function.__name__, function
        self.seconds, self.narthex_only = seconds, narthex_only


def test(seconds=120, narthex_only=False):
    """Registers a function(env). seconds: its limit; narthex_only: what Prometheus doesn't have."""
    def register(function):
        TESTS.append(Test(function, seconds, narthex_only))
        return function
    return register


def soak(function):
    """Registers a function(env, minutes) that `./dev soak NAME [MINUTES]` runs; no part of a test run."""
    SOAKS[function.__name__] = function
    return function
