"""Section 5 of the CIS Docker Benchmark 1.6.0, on every container that runs on the machine."""

import json

from benchmark import RULES, Host, judge
from row import Check, CheckError, Outcome
from scenery import Scenery


def measure(scenery: Scenery) -> Outcome:
    """Inspect the containers, and hold each rule against each of them."""
    run = scenery.target.run
    names = run("docker ps --format '{{.Names}}'").split()
    containers = json.loads(run(f"docker inspect {' '.join(names)}"))
    for container in containers:
        container["Processes"] = run(f"docker top {container['Id']} -eo pid,uid,comm")
    if not {"modelhost-proxy", scenery.target.live()} <= set(names):
        raise CheckError(f"nginx and the app do not both run: {names}")
    host = Host(json.loads(run("docker info --format '{{json .}}'")), run("nft list table inet modelhost"))
    verdicts = [verdict for rule in RULES for verdict in judge(rule, containers, host)]
    warnings = [verdict for verdict in verdicts if verdict.kind == "warning"]
    reasons = [verdict for verdict in verdicts if verdict.kind == "not applicable"]
    words = (
        f"{len(warnings)} warnings by {len(RULES)} rules on {len(containers)} containers, {len(reasons)} not applicable"
    )
    return Outcome(words, not warnings, [f"CIS {verdict.words}" for verdict in [*warnings, *reasons]])


CHECK = Check(
    "containers",
    "CIS Docker Benchmark 1.6.0, section 5, on nginx's and the app's containers",
    "0 warnings",
    measure,
    unseen="5.2 and 5.3: this kernel has neither AppArmor nor SELinux",
)
