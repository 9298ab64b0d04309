"""What models are given: secrets that nothing shows, of one release each; variables and volumes, by name."""

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from release_host import Machine
from test_release import release

from modelhostctl.checks.volumes import covering, source_problem, target_problem
from modelhostctl.cli import main
from modelhostctl.options import Option, read_options
from modelhostctl.store import credentials
from modelhostctl.store.release import Record, difference

SECRET, OTHER = "s3cr3t-of-the-database", "s3cr3t-that-came-after"
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a step as a play does; whatever it prints has no secret in it."""

    def step(name: str, *words: str, **options: Any) -> dict[str, Any]:
        given = {"settings": machine.settings.__dict__ | {"url": ""}, **options}
        (tmp_path / "options.json").write_text(json.dumps(given))
        main([name, "--options", str(tmp_path / "options.json"), "--root", str(machine.layout.root), *words])
        printed = capsys.readouterr()
        assert SECRET not in printed.out + printed.err
        assert OTHER not in printed.out + printed.err
        result: dict[str, Any] = json.loads(printed.out)
        return result

    return step


def deploy(machine: Machine, run: Run, token: str, key: str = "", /, **secrets: str) -> str:
    """Take a release with these secrets live, as a play does; returns its id."""
    content = machine.content(machine.new)
    assert not run("plan", content=content, secrets=secrets, secrets_key=key).get("failed")
    prepared = run("prepare", content=content, secrets=secrets, secrets_key=key, lock=token)
    assert not prepared.get("failed"), prepared
    # A release whose secrets are live is what is planned.
    idle = "green" if machine.live.startswith("blue") else "blue"
    machine.serve(idle, prepared["release"])
    for name in ("start", "gate", "switch", "watch"):
        result = run(name, release=prepared["release"], lock=token)
        assert not result.get("failed"), result
    result = run("retire", lock=token)
    assert not result.get("failed"), result
    assert machine.live == f"{idle}-{prepared['release']}"
    return str(prepared["release"])


def files(folder: Path) -> dict[str, tuple[str, str]]:
    return {path.name: (path.read_text(), oct(stat.S_IMODE(path.stat().st_mode))) for path in folder.iterdir()}


def test_secrets_are_files_for_root_and_the_app_alone_and_nowhere_else(machine, run, token):
    live = deploy(machine, run, token, db=SECRET, api=OTHER)
    folder = machine.layout.secrets / live
    assert files(folder) == {"db": (SECRET, "0o400"), "api": (OTHER, "0o400")}
    assert {path.stat().st_uid for path in folder.iterdir()} == {machine.settings.app_uid}
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (machine.layout.secrets, folder, machine.layout.secrets_key)]
    assert modes == [0o700, 0o750, 0o600]
    assert [path.stat().st_uid for path in (machine.layout.secrets, folder)] == [os.geteuid()] * 2
    within = [name for name, text in machine.tree().items() if SECRET in text]
    assert within == [f"secrets/{live}/db"]
    assert machine.file("log").read_text().count(SECRET) == 0, "nor in what the engine is called with"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_files_are_the_apps_and_their_folder_is_roots(machine):
    wanted = credentials.release_of(machine.layout, machine.content(machine.new), {"db": SECRET}, keep_key=True)
    assert credentials.keep(machine.layout, wanted, {"db": SECRET}, 10001) is True
    folder = machine.layout.secrets / wanted.id
    owners = [(path.stat().st_uid, path.stat().st_gid) for path in (folder / "db", folder, machine.layout.secrets)]
    assert owners == [(10001, 10001), (0, 10001), (0, 0)]
    assert credentials.keep(machine.layout, wanted, {"db": SECRET}, 10001) is False


def test_what_is_there_already_is_not_written_again(machine, run, token):
    live = deploy(machine, run, token, db=SECRET)
    before, content = machine.tree(), machine.content(machine.new)
    assert run("plan", content=content, secrets={"db": SECRET})["todo"] is False
    again = run("prepare", content=content, secrets={"db": SECRET}, lock=token)
    assert (again["changed"], again["release"]) == (False, live)
    assert machine.tree() == before
    (machine.layout.secrets / live / "db").chmod(0o600)
    (machine.layout.secrets / live / "db").write_text("half")
    assert run("plan", content=content, secrets={"db": SECRET})["todo"] is True
    assert run("prepare", content=content, secrets={"db": SECRET}, lock=token)["changed"] is True
    assert files(machine.layout.secrets / live) == {"db": (SECRET, "0o400")}


def test_a_container_that_reads_its_secrets_while_they_are_written_anew_finds_them(machine, run, token, monkeypatch):
    live = deploy(machine, run, token, db=SECRET)
    folder, content = machine.layout.secrets / live, machine.content(machine.new)
    (folder / "more").write_text("by hand")
    missing = []
    unlink = Path.unlink

    def watched(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        missing.extend([] if (folder / "db").exists() else [path])

    monkeypatch.setattr(Path, "unlink", watched)
    plan = run("plan", content=content, secrets={"db": SECRET})
    assert plan["lines"][0] == f"release {live} is live, but its secrets are not on this host as they were sent"
    assert run("prepare", "--check", content=content, secrets={"db": SECRET}, lock=token)["changed"] is True
    assert run("prepare", content=content, secrets={"db": SECRET}, lock=token)["changed"] is True
    assert missing == []
    assert files(folder) == {"db": (SECRET, "0o400")}


def test_a_rotated_secret_is_a_release_and_a_rollback_goes_back_to_the_old_one(machine, run, token):
    first = deploy(machine, run, token, db=SECRET)
    plan = run("plan", content=machine.content(machine.new), secrets={"db": OTHER})
    assert "settings: secret db changed" in plan["lines"]
    second = deploy(machine, run, token, db=OTHER)
    assert second != first
    assert (machine.layout.secrets / second / "db").read_text() == OTHER
    run("unlock")
    machine.layout.lock.unlink(missing_ok=True)
    back = run("rollback", release=first)
    assert not back.get("failed"), back
    assert machine.live.endswith(first)
    assert (machine.layout.secrets / first / "db").read_text() == SECRET


def test_the_id_cannot_be_compared_with_guesses(machine, run, token, tmp_path):
    """Two hosts that are sent the same call it otherwise, since the key of each is its own."""
    content = machine.content(machine.new)
    first = run("prepare", content=content, secrets={"db": SECRET, "api": SECRET}, lock=token)["release"]
    kept = Record.of(machine.layout, first).read().settings["secrets"]
    assert kept["db"] != kept["api"], "nor that two are equal"
    machine.layout.secrets_key.unlink()
    second = run("prepare", content=content, secrets={"db": SECRET, "api": SECRET}, lock=token)["release"]
    assert second != first
    again = run("plan", content=content, secrets={"db": SECRET, "api": SECRET})["release"]
    assert again == second, "the key that was made is kept"


KEYS = ["a key that several hosts have, 1", "a key that several hosts have, 2"]


def test_hosts_with_the_same_key_call_it_by_the_same_id(machine, run, token):
    content, sent = machine.content(machine.new), {"secrets": {"db": SECRET}, "secrets_key": KEYS[0]}
    own = run("prepare", content=content, secrets={"db": SECRET}, lock=token)["release"]
    planned = run("plan", content=content, **sent)["release"]
    assert run("prepare", "--check", content=content, **sent, lock=token)["release"] == planned
    ids = [run("prepare", content=content, **sent, lock=token)["release"]]
    machine.layout.secrets_key.unlink()
    ids.append(run("prepare", content=content, **sent, lock=token)["release"])
    assert ids == [planned] * 2
    assert own != planned
    assert run("prepare", content=content, **sent, lock=token)["changed"] is False
    assert KEYS[0] not in "".join(machine.tree().values())
    without = run("plan", content=content, secrets={"db": SECRET})["release"]
    assert without == planned, "a key that is not given any more stays the host's"


def test_a_release_of_another_key_can_be_gone_back_to(machine, run, token):
    ids = [deploy(machine, run, token, key, db=SECRET) for key in ("", *KEYS)]
    assert len(set(ids)) == 3
    machine.layout.lock.unlink(missing_ok=True)
    back = run("rollback", release=ids[1])
    assert not back.get("failed"), back
    planned = run("plan", content=machine.content(machine.new), secrets={"db": SECRET}, secrets_key=KEYS[0])
    assert planned["release"] == ids[1], "and it is the same when it comes again"


def test_a_plan_and_a_check_make_no_key(machine, run, token):
    before = machine.tree()
    content = machine.content(machine.new)
    assert "settings: secret db added" in run("plan", content=content, secrets={"db": SECRET})["lines"]
    checked = run("prepare", "--check", content=content, secrets={"db": SECRET}, lock=token)
    assert re.search(r"^secret db: digest [0-9a-f]{12}$", checked["diff"]["after"], re.MULTILINE)
    assert machine.tree() == before


def test_a_release_that_goes_takes_its_secrets_along(machine, run, token):
    ids = [deploy(machine, run, token, db=f"{SECRET}{number}") for number in range(3)]
    # What is in a colour is kept anyway.
    settings = machine.settings.__dict__ | {"keep_releases": 2}
    removed = run("prune", lock=token, settings=settings)["removed"]
    assert f"secrets of release {ids[0]}" in removed
    assert {path.name for path in machine.layout.secrets.iterdir()} == {"key", *ids[1:]}


def test_a_release_without_its_secrets_is_neither_started_nor_gone_back_to(machine, run, token):
    first = deploy(machine, run, token, db=SECRET)
    second = deploy(machine, run, token, db=OTHER)
    deploy(machine, run, token, db="third")
    (machine.layout.secrets / second / "db").unlink()
    told = machine.told()
    said = run("start", release=second, lock=token)["msg"]
    assert f"the secrets of release {second} are not here as they were sent" in said
    assert machine.told() == told
    machine.layout.lock.unlink()
    said = run("rollback", release=second)["msg"]
    assert f"release {second} is not kept whole" in said
    assert first in said


def test_status_names_what_models_are_given(machine, run, token):
    machine.new = release(
        bundles=machine.bundles,
        settings={"workers": 1, "environment": {"LEVEL": "d"}, "volumes": {"/w": str(machine.bin)}},
    )
    deploy(machine, run, token, db=SECRET)
    assert "models are given: environment LEVEL, secret db, volume /w" in run("status")["lines"]


@pytest.mark.parametrize("name", ["../../key", "a/b", ".hidden", "", "a\nb", "a" * 65])
def test_no_secret_is_written_elsewhere(machine, run, token, name):
    before = set(machine.layout.root.rglob("*"))
    result = run("prepare", content=machine.content(machine.new), secrets={name: SECRET}, lock=token)
    assert "cannot be a file" in result["msg"]
    assert set(machine.layout.root.rglob("*")) - before <= {machine.layout.step_lock}


def test_what_is_no_mapping_is_refused_unseen(machine, run, token):
    result = run("prepare", content=machine.content(machine.new), secrets=SECRET, lock=token)
    assert result["msg"] == "secrets has to be of the kind dict"


def test_no_command_line_takes_a_secret(machine, capsys):
    with pytest.raises(SystemExit):
        machine.type("prepare", "--secrets", json.dumps({"db": SECRET}))
    assert "unrecognized arguments: --secrets" in capsys.readouterr().err
    declared = [Option("secrets", "", "dict", {}, secret=True)]
    assert read_options(declared, {}) == {"secrets": {}}


def given(**settings: dict[str, str]) -> Any:
    return release(settings={"workers": 2, "threads": 8, **settings})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({}, {"environment": {"GREETING": "d"}}, "settings: environment GREETING added"),
        ({"environment": {}}, {}, "settings unchanged"),
        ({"environment": {"A": "1", "B": "1", "C": "1"}}, {"environment": {"B": "2", "C": "1"}},
         "settings: environment A removed, environment B changed"),
        ({"secrets": {"db": "d"}}, {"secrets": {"db": "e", "api": "f"}},
         "settings: secret api added, secret db changed"),
        ({}, {"volumes": {"/w": "/srv/w"}}, "settings: volume /w added"),
    ],
)  # fmt: skip
def test_a_difference_names_what_is_given_and_no_value(old, new, words):
    assert difference(given(**old), given(**new)).endswith(words)
    assert given(**new).id != given(**old).id


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/", "is no full path"), ("weights", "is no full path"), ("/srv/../etc", "is no full path"),
        ("/srv/w/", "is no full path"),
        ("/etc", "which models must not read"), ("/etc/ssl", "is in /etc"), ("/var", "is above /var/"),
        ("/srv", "is above /srv/modelhost"),
        ("/var/run/docker.sock", "is in /var/run"), ("/run/docker.sock", "is in /run"), ("/proc", "must not"),
        ("/sys/fs", "must not"), ("/root", "must not"), ("/root/w", "is in /root"), ("/srv/modelhost", "must not"),
        ("/srv/modelhost/secrets", "is in /srv/modelhost"), ("/var/lib/docker/volumes/x", "is in /var/lib/docker"),
        ("/home", "is a home"), ("/home/ada", "is a home"), ("/home/ada/.ssh", "hidden folder"),
        ("/srv/a\nb", "cannot be shown"), ("/srv/w", None), ("/home/ada/weights", None), ("/mnt/disk/a file", None),
        ("/var/lib/weights", None), ("/etcetera", None),
    ],
)  # fmt: skip
def test_what_gives_the_host_away_is_no_source(path, said):
    problem = source_problem(path)
    assert (problem is None) == (said is None), problem
    assert said is None or said in problem


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("/weights", True), ("/mnt/w", True), ("/srv/w", True), ("/data", True), ("/", False), ("/models", False),
        ("/models/mine", False), ("/run/secrets", False), ("/opt/modelhost", False), ("/usr/lib", False),
        ("/tmp/w", False), ("w", False), ("/data/../run", False),
    ],
)  # fmt: skip
def test_a_target_hides_nothing_of_the_apps(path, good):
    assert (target_problem(path) is None) == good


def test_targets_do_not_cover_each_other():
    assert covering(["/a", "/b", "/ab"]) is None
    assert covering(["/a", "/b", "/a/c"]) == ("/a", "/a/c")
    assert covering(["/a", "/a"]) == ("/a", "/a")


@pytest.mark.parametrize("what", ["nothing", "a link", "a pipe"])
def test_a_volume_that_is_not_there_is_refused_before_anything(machine, run, token, tmp_path, what):
    source = tmp_path / "weights"
    if what == "a link":
        source.symlink_to("/etc")
    if what == "a pipe":
        os.mkfifo(source)
    wanted = release(bundles=machine.bundles, settings={"volumes": {"/w": str(source)}})
    before = machine.tree()
    said = {"nothing": "is not on this host", "a link": "leads elsewhere: name /etc itself", "a pipe": "is neither a"}
    assert f"release_volumes: {source} {said[what]}" in run("plan", content=machine.content(wanted))["msg"]
    assert machine.tree() == before
    # Nor is one started, or gone back to, whose volume is gone since.
    run("prepare", content=machine.content(wanted), lock=token)
    told = machine.told()
    assert said[what] in run("start", release=wanted.id, lock=token)["msg"]
    Record.of(machine.layout, wanted.id).mark_passed()
    machine.layout.lock.unlink()
    assert said[what] in run("rollback", release=wanted.id)["msg"]
    assert machine.told() == told


def test_a_volume_that_is_there_is_taken(machine, run, token, tmp_path):
    source = tmp_path / "weights"
    source.mkdir()
    wanted = release(bundles=machine.bundles, settings=machine.new.settings | {"volumes": {"/w": str(source)}})
    assert "settings: volume /w added" in run("plan", content=machine.content(wanted))["lines"]
