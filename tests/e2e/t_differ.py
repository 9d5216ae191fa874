# SPDX-License-Identifier: Apache-2.0
"""Random and odd things to a real Prometheus and to the server under test: expressions, requests to
the API, pages to scrape. promql_diff.py asks for as many expressions as one likes."""

import json
import random
import time

import api_cases
import scrape_cases
from harness import Failure, check, request, wait_for
from promql_diff import Differ, describe, prepare
from registry import test

# Fixed: texts far from any valid one may differ still, now and then; promql_diff.py searches.
SEED = 4711


@test(seconds=90)
def same_answers_to_random_queries(env):
    rng = random.Random(SEED)
    data, prometheus, server = prepare(env, rng)
    differ = Differ(rng, data, prometheus, server)
    differ.run(500)
    if server.flavor == "narthex":
        server.flush()
    differ.run(200)
    server.stop()
    server.start()
    differ.run(200)
    check(not differ.faults, f"{len(differ.faults)} of 900 differ\n" + "\n".join(
        describe(fault) for fault in differ.faults[:10]))
    check(differ.counts["with data"] > 200, f"{differ.counts}")


@test(seconds=90)
def same_answers_to_odd_requests(env):
    data, prometheus, server = prepare(env, random.Random(SEED))
    faults, count = [], 0
    for method, path, body, headers in api_cases.cases(data.start_ms / 1000, data.end_ms / 1000):
        count += 1
        want, got = (api_cases.shape(request(one.port, method, path, body, headers))
                     for one in (prometheus, server))
        for text in api_cases.differences(want, got):
            faults.append(f"{method} {path} {body or ''} {headers or ''}: {text}")
    check(count > 400, f"only {count} requests")
    check(not faults, f"{len(faults)} differ\n" + "\n".join(faults[:20]))


# Series and states that differ for a reason, by job.
ODD_JOBS = {
    "text_lead": "Prometheus 3.5 takes the leading blanks for a part of the name",
    "text_long": "a value of 70,000 bytes is over the limit",
    "honor_env_false": "Prometheus 3.5 loses a target's own label exported_job on up",
    "honor_env_true": "the same",
    "om_trail": "counts the sample before the fault",
    "om_bad_exemplar": "counts the sample with the fault",
    "backwards": "its values depend on the time of the scrape",
    "twice_ts": "the same",
}
SCRAPES = 7
COUNTED = ("up", "scrape_samples_post_metric_relabeling", "scrape_series_added")


def stored(server, at):
    """{labels: values in the order of time} of what the jobs gave, without what can't be alike."""
    out = {}
    for labels, samples in server.raw('{__name__!=""}', at, "10m").items():
        pairs = dict(labels)
        name = pairs["__name__"]
        if pairs.get("job") in ODD_JOBS or pairs.get("name") == "User-Agent":
            continue
        if name.startswith("scrape_") and name not in COUNTED:
            continue
        if name == "scrape_series_added" and pairs.get("job", "").startswith("timed"):
            continue  # counts series whose first sample is refused when it is committed
        out[labels] = [value for _, value in samples]
    return out


def target_states(server):
    """What /api/v1/targets says of each target; error texts are ours."""
    out = {}
    for target in server.api("/targets")["activeTargets"]:
        key = target["scrapePool"], json.dumps(target["labels"], sort_keys=True)
        found = {name: value for name, value in target["discoveredLabels"].items()
                 if not name.startswith(("__always", "__convert", "__scrape_native"))}
        out[key] = [target["scrapeUrl"], target["scrapeInterval"], target["scrapeTimeout"], found,
                    target["health"] if target["scrapePool"] != "flap" else "",
                    target["scrapePool"] == "flap" or bool(target["lastError"])]
    return out


@test(seconds=120, narthex_only=True)  # the pages tell the two apart by User-Agent
def same_series_from_odd_pages(env):
    cases = scrape_cases.make_cases()
    pages = scrape_cases.CaseServer(cases)
    env.defer(pages.close)
    config = scrape_cases.config(cases, pages.port)
    prometheus = env.prometheus(config).start()
    server = env.server(config).start()
    for one in (prometheus, server):
        wait_for(lambda one=one: one.query("count(up) > 250")["result"], 30,
                 f"a first scrape of each page by {one.name}")
    time.sleep(SCRAPES + (10 if env.slow else 0))
    now = time.time()
    faults = []
    states, got = (target_states(one) for one in (prometheus, server))
    for key in sorted(states.keys() | got.keys()):
        if states.get(key) != got.get(key):
            faults.append(f"target {key}: {states.get(key)} | {got.get(key)}")
    want, got = (stored(one, now) for one in (prometheus, server))
    for labels in sorted(want.keys() | got.keys()):
        # Series that come late may be there at one of them only by now.
        least = min(len(want.get(labels, ())), len(got.get(labels, ())))
        if least == 0 and dict(labels).get("job") == "grows":
            continue
        if least == 0 or want[labels][:least] != got[labels][:least]:
            faults.append(f"{dict(labels)}: {want.get(labels)} | {got.get(labels)}")
    check(len(want) > 500, f"only {len(want)} series")
    if faults:
        raise Failure(f"{len(faults)} differ\n" + "\n".join(text[:400] for text in faults[:20]))
