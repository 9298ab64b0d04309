"""A host that is left public keys starts no release whose bundles they have not signed, also not to roll back."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from release_host import Machine
from signing import Key, sign
from test_release import release

from modelhostctl.cli import main
from modelhostctl.store.release import Record


@pytest.fixture
def key(tmp_path_factory) -> Key:
    return Key(tmp_path_factory.mktemp("keys"))


def put_bundle(machine: Machine, version: int) -> dict[str, Any]:
    """A bundle on the machine, which no one has signed."""
    folder = machine.layout.bundles / "iris" / f"{version}-{'d' * 12}"
    folder.mkdir(parents=True)
    (folder / "golden.json").write_text('[{"inputs": {"a": 1}, "outputs": {"p": 1}}]')
    (folder / "model.yaml").write_text("name: iris")
    said = {"folder": str(folder), "golden": "golden.json", "tolerance": 0, "version": version, "name": "iris"}
    return said | {"digest": f"d{version}", "bytes": 1}


@pytest.fixture
def old(machine) -> Path:
    """The bundle of the release before, which is to be rolled back to, and its folder."""
    bundle = put_bundle(machine, 1)
    before = release(bundles=[bundle])
    record = Record.of(machine.layout, before.id)
    record.write(before)
    record.mark_passed()
    # The latest one that was live, but for the one that is.
    Record.of(machine.layout, machine.new.id).mark_passed()
    machine.serve("green", before.id)
    machine.before = before.id
    settings = json.loads(machine.layout.settings.read_text())
    machine.layout.settings.write_text(json.dumps(settings | {"url": ""}))
    return Path(bundle["folder"])


def trust(machine: Machine, *keys: Key, check: bool = False) -> dict[str, Any]:
    """What the play does before it copies bundles."""
    file = machine.bin / "options.json"
    file.write_text(json.dumps({"keys": "".join(key.pem for key in keys), "lock": machine.lock()}))
    words = ["trust", "--options", str(file), "--root", str(machine.layout.root), *["--check"] * check]
    code = main(words)
    machine.layout.lock.unlink()
    return {"code": code}


def test_keys_are_left_on_the_host_and_taken_away(machine, key, tmp_path, capsys):
    other = Key(tmp_path, "other", "sha512")
    assert trust(machine, key, check=True) == {"code": 0}
    assert not machine.layout.trusted_keys.exists()
    assert json.loads(capsys.readouterr().out)["changed"] is True
    trust(machine, key)
    assert machine.layout.trusted_keys.read_text() == key.pem
    assert machine.layout.trusted_keys.stat().st_mode & 0o777 == 0o644
    capsys.readouterr()
    trust(machine, key)
    assert json.loads(capsys.readouterr().out)["changed"] is False
    trust(machine, key, other)
    assert machine.layout.trusted_keys.read_text() == key.pem + other.pem
    trust(machine)
    assert not machine.layout.trusted_keys.exists()


def test_what_is_no_key_is_not_left(machine, tmp_path, capsys):
    (tmp_path / "options.json").write_text(json.dumps({"keys": "ssh-ed25519 AAAA", "lock": machine.lock()}))
    assert main(["trust", "--options", str(tmp_path / "options.json"), "--root", str(machine.layout.root)]) == 1
    assert "holds no public key in PEM" in json.loads(capsys.readouterr().out)["msg"]
    assert not machine.layout.trusted_keys.exists()


def test_a_rollback_to_what_is_signed_goes_well(machine, key, old):
    trust(machine, key)
    sign(old, key)
    assert machine.type("rollback", machine.before) == 0
    assert machine.live == f"green-{machine.before}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "model.sig").unlink(), "It is not signed (there is no model.sig)"),
        (lambda folder: (folder / "golden.json").write_text("[]"), "Golden.json is not the file that was signed"),
        (lambda folder: (folder / "more.py").write_text(""), "More.py was not signed, and was added since"),
    ],
)
def test_a_rollback_to_what_is_not_is_refused_and_nothing_is_stopped(machine, key, old, capsys, change, said):
    trust(machine, key)
    sign(old, key)
    change(old)
    assert machine.type("rollback", machine.before, "--allow-stop-first") == 1
    printed = capsys.readouterr().err
    assert (
        f"release {machine.before} is not started, because its bundle iris version 1 is not what a trusted key has"
        in printed
    )
    assert said.lower() in printed.lower()
    assert f"remove {old} here and deploy again" in printed
    assert "from release_trusted_keys" in printed
    assert machine.live == f"blue-{machine.new.id}"
    assert machine.told() == [], "no container was touched"
    assert not machine.layout.lock.exists()
    *_, last = map(json.loads, machine.layout.history.read_text().splitlines())
    assert (last["release"], last["how"], last["why"]) == (machine.before, "rejected", "signatures")


def test_one_that_still_runs_is_not_rolled_back_to_either(machine, key, old, capsys):
    trust(machine, key)
    machine.engine("running", green="running")
    found = json.loads(machine.file("").read_text())
    found[1]["Config"]["Labels"]["modelhost.release"] = machine.before
    machine.file("").write_text(json.dumps(found))
    assert machine.type("rollback", machine.before) == 1
    assert "is not signed" in capsys.readouterr().err
    assert machine.live == f"blue-{machine.new.id}"


def test_without_keys_no_signature_is_asked_for(machine, old):
    assert machine.type("rollback", machine.before) == 0


def test_a_file_of_keys_that_holds_none_lets_nothing_start(machine, old, capsys):
    machine.layout.trusted_keys.write_text("\n")
    assert machine.type("rollback", machine.before) == 1
    assert f"{machine.layout.trusted_keys} holds no public key" in capsys.readouterr().err


def test_a_deployment_is_refused_before_it_starts_and_goes_well_once_it_is_signed(machine, key, tmp_path, capsys):
    bundle = put_bundle(machine, 2)
    new = release(bundles=[bundle])
    machine.serve("green", new.id)
    trust(machine, key)
    token = machine.lock()

    def step(name: str, **options: Any) -> dict[str, Any]:
        (tmp_path / "o.json").write_text(json.dumps({"settings": machine.settings.__dict__, "lock": token, **options}))
        capsys.readouterr()
        main([name, "--options", str(tmp_path / "o.json"), "--root", str(machine.layout.root)])
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    step("prepare", content=machine.content(new))
    refused = step("start", release=new.id)
    assert "its bundle iris version 2 is not what a trusted key has signed" in refused["msg"]
    assert machine.told() == []
    sign(Path(bundle["folder"]), key)
    assert step("start", release=new.id)["changed"] is True
    os.unlink(bundle["folder"] + "/model.sig")
    assert step("start", release=new.id).get("failed"), "also where it runs already, and is not live"


def planned(machine: Machine, capsys, *keys: Key) -> list[str]:
    """What the plan of the live release says of signatures, where these keys are wanted."""
    content = machine.content(machine.new)
    file = machine.bin / "options.json"
    options = {"content": content, "keys": "".join(key.pem for key in keys)}
    file.write_text(json.dumps(options))
    main(["plan", "--options", str(file), "--root", str(machine.layout.root)])
    said = json.loads(capsys.readouterr().out)
    return [line for line in said["lines"] if "signatures" in line or machine.before in line]


def test_a_plan_says_whose_signatures_are_wanted_from_now_on(machine, old, key, tmp_path, capsys):
    other = Key(tmp_path, "other")
    sign(old, key)
    assert planned(machine, capsys) == []
    assert planned(machine, capsys, key) == ["signatures: not asked for -> by the one key"]
    trust(machine, key)
    capsys.readouterr()
    assert planned(machine, capsys, key) == []
    assert planned(machine, capsys, key, other) == ["signatures: by the one key -> by one of 2 keys"]
    assert planned(machine, capsys) == ["signatures: by the one key -> not asked for"]
    said, lost = planned(machine, capsys, other)
    assert said == "signatures: other keys than before, by the one key"
    assert lost == (
        f"release {machine.before} can then not be rolled back to: iris version 1: "
        "model.sig is not signed by a trusted key"
    )


def test_a_plan_names_what_was_never_signed(machine, old, key, capsys):
    assert planned(machine, capsys, key)[1:] == [
        f"release {machine.before} can then not be rolled back to: iris version 1: "
        "it is not signed (there is no model.sig)"
    ]


def test_the_status_says_that_signed_bundles_alone_are_taken(machine, key, capsys):
    def said() -> str:
        main(["status", "--root", str(machine.layout.root)])
        return capsys.readouterr().out

    assert "trusted key" not in said()
    trust(machine, key)
    capsys.readouterr()
    assert "bundles: only those that a trusted key has signed are started (release_trusted_keys)" in said()
