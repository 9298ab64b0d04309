"""A host deployed by the installed collection is as one deployed from a checkout, and each goes on with it."""

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
from deploying import NAME, PROJECT, TESTBED, live, url

SITE = TESTBED.parent / "site"
COLLECTION = SITE / "collections/ansible_collections/modelhost/modelhost"
# Nothing of this run's: no path into the checkout.
ENVIRONMENT = {name: os.environ[name] for name in ("HOME", "PATH")} | {"NO_COLOR": "1"}
REPORT = {"ANSIBLE_STDOUT_CALLBACK": "modelhost.modelhost.report"}


def play(folder: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["ansible-playbook", *(str(word) for word in words)]
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT | environment, capture_output=True, text=True, check=False
    )


def changed(run: subprocess.CompletedProcess[str]) -> int:
    assert run.returncode == 0, run.stdout + run.stderr
    return int(re.findall(rf"^{NAME} .*changed=(\d+)", run.stdout, re.MULTILINE)[-1])


@pytest.mark.parametrize("model", ["colours", "iris"])
def test_the_roles_have_deployed_the_bundles_of_the_folder(model):
    for example in json.loads((SITE / "bundles" / model / "1/golden.json").read_text()):
        body = json.dumps(example["inputs"]).encode()
        request = urllib.request.Request(f"{url()}/models/{model}/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["model"] == model


def test_the_playbook_of_the_collection_finds_nothing_left_to_do():
    assert changed(play(SITE, "site.yml")) == 0


def test_a_checkout_plans_nothing_either():
    bundles = json.dumps({"release_models": [f"{SITE}/bundles/{name}/1" for name in ("colours", "iris")]})
    plan = play(SITE.parent, PROJECT / "playbooks/plan.yml", "-i", SITE / "inventory", "-e", bundles, **REPORT)
    assert f"nothing to release\n  release {live()} is live" in plan.stdout, plan.stdout + plan.stderr


def test_the_collection_plans_what_has_changed():
    plan = play(SITE, "modelhost.modelhost.plan", "-e", "release_workers=1", **REPORT)
    assert "settings: workers 0 -> 1" in plan.stdout, plan.stdout + plan.stderr


def test_the_runs_have_written_nothing_into_the_collection():
    listed = {entry["name"] for entry in json.loads((COLLECTION / "FILES.json").read_text())["files"]}
    # What Python leaves wherever it may write.
    found = {str(path.relative_to(COLLECTION)) for path in COLLECTION.rglob("*") if "__pycache__" not in str(path)}
    assert found - {"MANIFEST.json", "FILES.json"} == listed - {"."}
