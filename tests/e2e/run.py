#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the end-to-end tests: real programs, loopback, a directory each.

The tests can run with Prometheus as the server under test (--server prometheus), which shows that
they demand what Prometheus does. The last line counts."""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness  # noqa: E402
import registry  # noqa: E402
import t_smoke  # noqa: E402,F401
import t_http  # noqa: E402,F401
import t_peers  # noqa: E402,F401
import t_scrape  # noqa: E402,F401
import t_senders  # noqa: E402,F401
import t_durability  # noqa: E402,F401
import t_disk  # noqa: E402,F401
import t_federate  # noqa: E402,F401
import t_remote_read  # noqa: E402,F401
import t_remote_write  # noqa: E402,F401
import t_hostile  # noqa: E402,F401
import t_admin  # noqa: E402,F401
import t_malformed  # noqa: E402,F401
import t_lifecycle  # noqa: E402,F401
import t_load  # noqa: E402,F401
import t_differ  # noqa: E402,F401
import t_migrate  # noqa: E402,F401
import t_compliance  # noqa: E402,F401
import t_remote  # noqa: E402,F401
import s_churn  # noqa: E402,F401
import s_kill  # noqa: E402,F401


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--narthex", default=os.path.join(harness.PROJECT, "build/narthex"),
                        help="the program under test")
    parser.add_argument("--server", choices=("narthex", "prometheus"), default="narthex")
    parser.add_argument("--only", action="append", default=[], help="run this test (repeatable)")
    parser.add_argument("--skip", action="append", default=[], help="leave this test out")
    parser.add_argument("--list", action="store_true", help="print the tests")
    parser.add_argument("--keep", action="store_true", help="keep the directories of failed tests")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")),
                        help="of the random choices (default: the clock)")
    parser.add_argument("--soak", nargs="+", metavar=("NAME", "MINUTES"),
                        help="a long test alone (default 60 minutes); --list prints them too")
    chosen = parser.parse_args()
    chosen.narthex = os.path.abspath(chosen.narthex)
    chosen.slow = "asan" in chosen.narthex or "tsan" in chosen.narthex
    chosen.seed = chosen.seed or time.time_ns() % 1000000
    return chosen


def print_versions():
    for name, expected in harness.EXPECTED_VERSIONS.items():
        path = os.path.join(harness.PEERS, name)
        if not os.path.exists(path):
            print(f"peer {name}: not there (expected {expected})")
            continue
        output = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20,
                                check=False)
        words = (output.stdout + output.stderr).split()
        version = words[words.index("version") + 1] if "version" in words else "unknown"
        note = "" if version.startswith(expected) else "   <- another one"
        print(f"peer {name}: {version} (expected {expected}){note}")


class TimedOut(Exception):
    pass


def on_alarm(_signal, _frame):
    raise TimedOut()


def run_one(test, chosen):
    """"ok", "FAIL" or "skip", and why."""
    if test.narthex_only and chosen.server != "narthex":
        return "skip", "of Narthex alone"
    random.seed(chosen.seed)
    env = harness.Env(chosen)
    result, why = "ok", ""
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(test.seconds * (4 if chosen.slow else 1))
    try:
        test.function(env)
        for process in env.processes:
            if process.is_running():
                mark = harness.SANITIZER_MARKS.search(process.log())
                harness.check(mark is None, f"{process.name}: a sanitizer's report")
    except harness.Skip as skip:
        result, why = "skip", str(skip)
    except TimedOut:
        result, why = "FAIL", f"took over {test.seconds} s\n" + traceback.format_exc(limit=-6)
    except AssertionError as failure:
        where = traceback.extract_tb(failure.__traceback__)
        line = next((f"{os.path.basename(f.filename)}:{f.lineno}" for f in where
                     if os.path.basename(f.filename).startswith("t_")), "")
        result, why = "FAIL", f"{line}: {failure}"
    except Exception:  # pylint: disable=broad-except
        result, why = "FAIL", traceback.format_exc(limit=-6)
    finally:
        signal.alarm(0)
        if result == "FAIL":
            for process in env.processes:
                state = "running" if process.is_running() else f"ended: {process.popen.returncode}"
                why += f"\n--- {process.name} ({state}), end of its log:\n{process.log()[-1500:]}"
        env.close(keep=chosen.keep and result == "FAIL")
    return result, why


def report(name, result, why, seconds):
    text = why.strip().replace("\n", "\n  ")
    print(f"{result:4}  {name} ({seconds:.1f} s)" + (f"\n  {text}" if text else ""), flush=True)


def soak(chosen):
    name, minutes = chosen.soak[0], float(chosen.soak[1] if len(chosen.soak) > 1 else 60)
    if name not in registry.SOAKS:
        print(f"no soak {name}; there are: {', '.join(registry.SOAKS)}")
        return 2
    function = registry.SOAKS[name]
    began = time.monotonic()
    whole = registry.Test(lambda env: function(env, minutes), int(minutes * 60) + 600, True)
    result, why = run_one(whole, chosen)
    report(f"soak {name}, {minutes:g} minutes", result, why, time.monotonic() - began)
    print("1 passed, 0 failed" if result == "ok" else "0 passed, 1 failed")
    return 0 if result == "ok" else 1


def main():
    chosen = options()
    sys.stdout.reconfigure(line_buffering=True)
    names = [test.name for test in registry.TESTS]
    if chosen.list:
        print("\n".join(names + [f"soak {name}" for name in registry.SOAKS]))
        return 0
    for name in chosen.only + chosen.skip:
        if name not in names:
            print(f"no test {name}; --list prints them")
            return 2
    print_versions()
    print(f"seed {chosen.seed}")
    if chosen.server == "narthex" and not os.path.exists(chosen.narthex):
        print(f"FAIL  there is no {chosen.narthex}\n0 passed, 1 failed, 0 skipped")
        return 1
    if chosen.soak:
        return soak(chosen)
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    for test in registry.TESTS:
        if (chosen.only and test.name not in chosen.only) or test.name in chosen.skip:
            continue
        began = time.monotonic()
        result, why = run_one(test, chosen)
        counts[result] += 1
        report(test.name, result, why, time.monotonic() - began)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
