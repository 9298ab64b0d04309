"""A host that was given public keys serves what they have signed: seen before it is touched, and on the host."""

import shutil
from pathlib import Path

import pytest
from bundles import bundle
from deploying import PROJECT, changes, deploy, live, on_host, play
from signing import Key, sign

KEYS = "/srv/modelhost/trusted-keys.pem"


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return Key(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def iris(tmp_path_factory, key) -> Path:
    folder = tmp_path_factory.mktemp("models") / "iris" / "1"
    shutil.copytree(PROJECT / "models" / "iris" / "1", folder)
    sign(folder, key)
    return folder


# One test, because each deployment stands on those before it.
def test_only_what_was_signed_is_served_and_rolled_back_to(tmp_path, key, iris):
    first, second = (bundle(tmp_path, version) for version in (21, 22))
    before, trusted = live(), {"release_trusted_keys": [key.pem]}

    refused = deploy(first, iris, expect=1, **trusted)
    assert "colours version 21" in refused
    assert "it is not signed (there is no model.sig)" in " ".join(refused.split())
    assert live() == before
    assert on_host(f"ls {KEYS} || true") == "", "the host was not touched"

    sign(first, key)
    deploy(first, iris, **trusted)
    signed = live()
    assert signed != before
    assert on_host(f"cat {KEYS}; stat -c '%U %a' {KEYS}").strip() == f"{key.pem}root 644"
    assert changes(deploy(first, iris, **trusted)) == 0, "a second run changes nothing"

    sign(second, key)
    deploy(second, iris, **trusted)
    latest = live()
    on_host("echo | tee -a /srv/modelhost/bundles/colours/21-*/golden.json")
    refused = play("playbooks/rollback.yml").stdout
    assert "its bundle colours version 21 is not what a trusted key has signed" in " ".join(refused.split())
    assert "golden.json is not the file that was signed" in " ".join(refused.split())
    assert live() == latest
    refused = play("playbooks/rollback.yml", "-e", f"release={before}")
    assert refused.returncode != 0, "what was never signed"
    assert live() == latest

    deploy(second, iris)
    assert on_host(f"ls {KEYS} || true") == "", "no keys are wanted any more"
