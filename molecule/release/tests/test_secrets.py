"""Models read what they are given; a secret is in its file alone, and in no output, log, description or command."""

import hashlib
import json
import urllib.request
from pathlib import Path

import pytest
from bundles import write
from deploying import changes, deploy, live, on_host, play, url, vaulted, where

IRIS = "models/iris/1"
SECRET, OTHER = "s3cr3t-of-the-database", "s3cr3t-that-came-after"
# Answers with digests, so that no answer and no log has what it read.
READER = """
import hashlib
import os
from pathlib import Path

import numpy as np

READ = {
    "nothing": lambda: "",
    "environment": lambda: os.environ["GREETING"],
    "secret": lambda: Path("/run/secrets/db").read_text(),
    "mode": lambda: oct(Path("/run/secrets/db").stat().st_mode) + str(sorted(os.listdir("/run/secrets"))),
    "write": lambda: str(os.access("/run/secrets", os.W_OK) or os.access("/weights/words.txt", os.W_OK)),
    "file": lambda: Path("/weights/words.txt").read_text(),
}


class Model:
    def predict(self, inputs):
        found = [hashlib.sha256(READ[what]().encode()).hexdigest() for what in inputs["what"]]
        return {"digest": np.array(found, dtype=object)}
"""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    said = {
        "name": "reader",
        "version": 1,
        "description": "The digest of what it is given",
        "format": "python",
        "entry": "model.py",
        "inputs": [{"name": "what", "datatype": "BYTES", "shape": []}],
        "outputs": [{"name": "digest", "datatype": "BYTES", "shape": []}],
        "golden": "golden.json",
    }
    golden = [{"inputs": {"what": "nothing"}, "outputs": {"digest": digest("")}}]
    return write(tmp_path_factory.mktemp("models"), said, READER, json.dumps(golden))


def ask(what: str) -> str:
    body = json.dumps({"what": what}).encode()
    request = urllib.request.Request(f"{url()}/models/reader/predict", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: str = json.load(answer)["prediction"]["digest"]
    return found


# One test, because each deployment stands on those before it.
def test_models_read_what_they_are_given_and_nothing_shows_a_secret(tmp_path, reader):
    before = live()
    given = {
        "release_models": [str(reader), IRIS],
        "release_environment": {"GREETING": 'it\'s "$5" \\ ü'},
        "release_volumes": [{"source": "/srv/weights", "target": "/weights"}],
        "release_replicas": 2,
    }
    site = ["site.yml", "--tags", "release", "-vvv", "--diff"]

    on_host("rm -rf /srv/weights")
    refused = play(*site, *vaulted(tmp_path, {"release_secrets": {"db": SECRET}}), **given)
    assert refused.returncode != 0
    assert "release_volumes: got /srv/weights, which" in " ".join(refused.stdout.split())
    assert live() == before
    assert on_host("ls /srv/modelhost/secrets 2>/dev/null || true") == "", "the host was not touched"

    on_host("mkdir -p /srv/weights && printf words > /srv/weights/words.txt")
    check = play(*site, "--check", *vaulted(tmp_path, {"release_secrets": {"db": SECRET}}), **given)
    assert check.returncode == 0, check.stdout
    run = play(*site, *vaulted(tmp_path, {"release_secrets": {"db": SECRET}}), **given)
    assert run.returncode == 0, run.stdout + run.stderr
    first = live()
    # A long line of a plan goes on in the next one.
    assert "environment GREETING added, secret db added, volume /weights added" in " ".join(run.stdout.split())
    for _ in range(8):  # of both replicas
        assert ask("environment") == digest(given["release_environment"]["GREETING"])
        assert ask("secret") == digest(SECRET)
        assert ask("mode") == digest("0o100400['db']")
        assert ask("file") == digest("words")
        assert ask("write") == digest("False")
    owners = on_host(f"cd /srv/modelhost/secrets && stat -c '%n %u %g %a' . key {first} {first}/db").splitlines()
    assert owners == [". 0 0 700", "key 0 0 600", f"{first} 0 10001 750", f"{first}/db 10001 10001 400"]
    again = play(*site, *vaulted(tmp_path, {"release_secrets": {"db": SECRET}}), **given)
    assert changes(again.stdout) == 0, "a second run changes nothing"

    rotated = play(*site, *vaulted(tmp_path, {"release_secrets": {"db": OTHER}}), **given)
    assert rotated.returncode == 0, rotated.stdout + rotated.stderr
    second = live()
    assert second != first
    assert ask("secret") == digest(OTHER)
    assert "settings: secret db changed" in rotated.stdout

    status, back = play("playbooks/status.yml", "-vvv"), play("playbooks/rollback.yml", "-vvv")
    assert "models are given: environment GREETING, secret db, volume /weights" in status.stdout
    assert back.returncode == 0, back.stdout
    assert live() == first
    assert ask("secret") == digest(SECRET), "that of the release before"

    colours = [name for name in on_host("docker ps --all --format '{{.Names}}'").split() if "proxy" not in name]
    assert len(colours) == 4
    shown = {
        "inspect": on_host(f"docker inspect {' '.join(colours)}"),
        "journal": on_host("journalctl --no-pager --output=verbose"),
        "logs": "".join(on_host(f"docker logs {name} 2>&1") for name in colours),
        "history": on_host("modelhostctl history; modelhostctl status --json; modelhostctl sbom"),
        "plays": "".join(each.stdout + each.stderr for each in (refused, check, run, again, rotated, status, back)),
    }
    assert "GREETING" in shown["inspect"]
    for secret, release in ((SECRET, first), (OTHER, second)):
        assert [what for what, text in shown.items() if secret in text] == []
        assert where(secret) == [f"/srv/modelhost/secrets/{release}/db"]

    for threads in (3, 5):
        deploy(IRIS, release_threads=threads, release_keep_releases=1)
    assert on_host("ls /srv/modelhost/secrets").split() == ["key"], "a release that goes takes its secrets along"
    on_host("rm -r /srv/weights")
