# SPDX-License-Identifier: Apache-2.0
"""Soak: kill -9 under load and a check of every sample, again and again with new seeds."""

import time

import registry
from registry import soak


@soak
def kill(env, minutes):
    test = next(t for t in registry.TESTS if t.name == "kill_9_loses_nothing")
    end, rounds = time.monotonic() + minutes * 60, 0
    while time.monotonic() < end:
        test.function(env)
        rounds += 1
        env.seed += 1
        print(f"  {rounds} rounds, the next with seed {env.seed}", flush=True)
