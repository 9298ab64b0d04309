"""Bundles are held to what the deployment allows before a host is touched: whose they are, and what they run."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import PROJECT
from signing import Key, sign
from test_extras import pickled, read_with_ansible


@pytest.fixture
def key(tmp_path: Path) -> Key:
    key = Key(tmp_path, "team")
    (tmp_path / "team.pub").write_text(key.pem)
    return key


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT / "models/iris/1", tmp_path / "iris/1"))


def read(folder: Path, *bundles: Path, **options: Any) -> tuple[bool, str]:
    """Whether they are read, and what is printed, in one line."""
    ended = read_with_ansible(folder, *bundles, **options)
    return ended.returncode == 0, " ".join(ended.stdout.split())


def test_a_bundle_that_is_signed_is_read_and_any_other_is_refused_by_name(
    tmp_path: Path, bundle: Path, key: Key
) -> None:
    trusted = {"trusted_keys": [str(tmp_path / "team.pub")]}
    good, said = read(tmp_path, bundle, **trusted)
    assert not good
    assert f"iris version 1 ({bundle}): it is not signed (there is no model.sig)" in said
    assert "`modelhost sign BUNDLE --key KEY.pem` signs it" in said
    assert read(tmp_path, bundle)[0], "no key, no signature"
    sign(bundle, key)
    assert read(tmp_path, bundle, **trusted)[0]
    assert read(tmp_path, bundle, trusted_keys=[key.pem])[0], "also by the key's own text"
    (bundle / "model.onnx").write_bytes(b"another")
    good, said = read(tmp_path, bundle, **trusted)
    assert not good
    assert f"iris version 1 ({bundle}): model.onnx is not the file that was signed" in said
    other = Key(tmp_path, "other")
    assert "model.sig is not signed by a trusted key" in read(tmp_path, bundle, trusted_keys=[other.pem])[1]


def test_a_wrong_key_is_named_with_what_to_write_and_a_private_one_is_not_printed(
    tmp_path: Path, bundle: Path, key: Key
) -> None:
    for value, said in (
        ("keys/none.pub", 'release_trusted_keys: got "keys/none.pub", but that file cannot be read'),
        (str(bundle / "model.yaml"), "but it holds no public key in PEM"),
        (str(key.private), "but it holds a private key, which stays with whoever signs"),
        (key.private.read_text(), "got a text, but it holds a private key"),
    ):
        good, printed = read(tmp_path, bundle, trusted_keys=[value])
        assert not good
        assert said in printed
        assert 'for example: release_trusted_keys: ["keys/team.pub"]' in printed
        assert "BEGIN" not in printed.replace("-----BEGIN PUBLIC KEY-----", "")


def test_a_pickle_that_runs_commands_is_refused_though_it_is_allowed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path}/sprung",)

    bad = pickled(tmp_path, "bad", pickle.dumps(Trap()))
    good, said = read(tmp_path, bad, allow_pickle=["bad"])
    assert not good
    assert "bad/1/model.yaml: files: model.pkl imports posix.system, which can run commands" in said
    assert not (tmp_path / "sprung").exists()


def test_without_the_scanner_only_pickles_are_not_read(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "picklescan.py").write_text("raise ModuleNotFoundError(name='picklescan')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert read(tmp_path, bundle)[0]
    named = pickled(tmp_path, "named", b"cmine\nModel\n.")
    good, said = read(tmp_path, named, allow_pickle=["named"])
    assert not good
    assert "Reading bundles needs the Python package picklescan" in said
    assert "Traceback" not in said


def test_what_the_host_is_left_are_the_keys_alone(tmp_path: Path, bundle: Path, key: Key) -> None:
    sign(bundle, key)
    task = {"paths": [str(bundle)], "variable": "release_models", "allow_pickle": []}
    task |= {"trusted_keys": [f"x\n{key.pem}y"], "extras": []}
    shown = {"ansible.builtin.copy": {"content": "{{ read.trusted_keys }}", "dest": str(tmp_path / "left")}}
    play = {"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": [
        {"modelhost.modelhost.read_bundles": task, "register": "read"}, shown]}  # fmt: skip
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", tmp_path / "play.yml"]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert (tmp_path / "left").read_text() == key.pem


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "models/iris",
            "models/iris is a model, of which the list has to name a version (1), for example: models/",
        ),
        ("models/iriss/1", "models/iriss/1; did you mean models/iris/1?"),
        ("models/iris/7", "models/iris/7; did you mean models/iris/1?"),
        ("model/iris/1", "there is no folder"),
        (
            "models/colours/1 - models/iris/1",
            '"models/colours/1 - models/iris/1" is one item of 2 lines: begin the line of each "- " in the same column',
        ),
    ],
)
def test_what_is_no_bundle_is_said_with_what_was_meant(tmp_path: Path, given: str, said: str) -> None:
    good, printed = read(tmp_path, given)  # type: ignore[arg-type]
    assert not good
    assert said in printed


def test_of_versions_the_latest_is_the_example(tmp_path: Path) -> None:
    for version in ("2", "9", "10"):
        shutil.copytree(PROJECT / "models/iris/1", tmp_path / "iris" / version)
    assert f"(2, 9, 10), for example: {tmp_path}/iris/10" in read(tmp_path, tmp_path / "iris")[1]
