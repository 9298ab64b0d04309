"""The steps of a deployment, one after the other, as a play runs them; what each leaves, alone and done twice."""

import json
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from release_host import Machine
from test_release import release

from modelhostctl.cli import main
from modelhostctl.store.history import read_lines
from modelhostctl.store.lock import acquire
from modelhostctl.store.lock_owner import describe
from modelhostctl.store.release import Record

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def third(machine):
    """A release that the machine does not have yet, whose servers answer once its folder is there."""
    third = release(bundles=machine.bundles, settings={"workers": 3, "threads": 8})
    machine.serve("green", third.id)
    return third


@pytest.fixture
def run(machine, tmp_path, capsys) -> Run:
    """Run a step as a play does: options and settings as JSON, its result as JSON."""

    def step(name: str, *words: str, settings: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        given = {"settings": machine.settings.__dict__ | (settings or {}), **options}
        (tmp_path / "options.json").write_text(json.dumps(given))
        arguments = [name, "--options", str(tmp_path / "options.json"), "--root", str(machine.layout.root), *words]
        capsys.readouterr()
        code = main(arguments)
        result = json.loads(capsys.readouterr().out)
        assert bool(code) == bool(result.get("failed")), result
        return {**result, "code": code}

    return step


@pytest.fixture
def token(machine) -> str:
    """The lock of the run."""
    return machine.lock()


@pytest.fixture
def prepared(machine, run, token, third) -> str:
    """The id of a release whose folder is written."""
    assert run("prepare", content=machine.content(third), lock=token)["changed"] is True
    return third.id


@pytest.fixture
def started(run, token, prepared) -> str:
    """The id of a release that runs in the idle colour."""
    assert run("start", release=prepared, lock=token)["changed"] is True
    return prepared


def test_a_deployment_goes_through_its_steps_and_a_second_one_changes_nothing(machine, run, token, third):
    url = machine.proxy()
    quick = {"url": url, "canary_percent": 10, "canary_seconds": 1, "watch_seconds": 1, "switch_answers": 3}
    machine.layout.canary.symlink_to("active")

    def deploy() -> dict[str, bool]:
        steps = {
            "configure": {}, "prepare": {"content": machine.content(third)}, "start": {"release": third.id},
            "gate": {"release": third.id}, "shadow": {"release": third.id}, "canary": {"release": third.id},
            "switch": {"release": third.id}, "watch": {"release": third.id}, "retire": {}, "prune": {},
        }  # fmt: skip
        results = {name: run(name, settings=quick, lock=token, **options) for name, options in steps.items()}
        assert not any(result.get("failed") for result in results.values()), results
        said.update(results)
        return {name: result["changed"] for name, result in results.items()}

    said: dict[str, Any] = {}
    changed = deploy()
    wanted = {"configure", "prepare", "start", "canary", "switch", "retire"}
    assert {name for name, one in changed.items() if one} == wanted
    assert machine.live == f"green-{third.id}"
    assert os.readlink(machine.layout.canary) == "active"
    assert machine.containers() == {"modelhost-blue": "exited", "modelhost-green": "running"}
    assert said["gate"]["measured"].keys() == {"memory_mb", "start_seconds"}
    assert Record.of(machine.layout, third.id).measured == said["gate"]["measured"]
    assert said["canary"]["seen"]["requests"] >= 4
    assert said["watch"]["seen"]["requests"] >= 4
    assert said["watch"]["seen"]["p95_ms"] > 0
    assert (Record.of(machine.layout, third.id).passed, Record.of(machine.layout, third.id).settled) == (True, True)
    assert [(line["release"], line["how"], line["who"]) for line in read_lines(machine.layout.history, 9)] == [
        (third.id, "live", "ada@laptop"), (machine.new.id, "retired", "ada@laptop"),
    ]  # fmt: skip
    assert read_lines(machine.layout.history, 9)[0]["change"].endswith("settings: threads 1 -> 8, workers 1 -> 3")
    # What does not run in a colour any more is removed; 3 releases are kept.
    assert said["prune"]["removed"] == []
    before, told = machine.tree(), len(machine.told())
    assert {name for name, one in deploy().items() if one} == set()
    assert machine.tree() == before
    assert [line for line in machine.told()[told:] if not line.startswith("builder prune")] == []


CHANGES = ["prepare", "start", "gate", "shadow", "canary", "switch", "watch", "configure", "retire", "prune"]


@pytest.mark.parametrize("name", CHANGES)
def test_a_check_writes_nothing_and_tells_the_engine_nothing(machine, run, token, started, name):
    Record.of(machine.layout, machine.old.id).mark_rejected({"gate": "latency"})
    settings = {"canary_percent": 10, "url": machine.proxy(), "shadow": True, "keep_releases": 1}
    fourth = release(bundles=machine.bundles, settings={"workers": 4, "threads": 8})
    options = {"prepare": {"content": machine.content(fourth)}, "configure": {}, "retire": {}, "prune": {}}
    before, told = machine.tree(), machine.told()
    result = run(name, "--check", settings=settings, lock=token, **options.get(name, {"release": started}))
    assert machine.tree() == before
    assert machine.told() == told
    assert not result.get("failed")
    assert result["changed"] is (name not in {"start", "gate", "shadow", "watch"})


@pytest.mark.parametrize("name", CHANGES)
def test_a_step_that_changes_the_host_needs_the_lock_of_its_run(machine, run, token, started, name):
    options = {"prepare": {"content": machine.content(machine.new)}, "configure": {}, "retire": {}, "prune": {}}
    given = options.get(name, {"release": started})
    before = machine.tree()
    for wrong in ("", "another"):
        refused = run(name, lock=wrong, **given)
        assert refused["code"] == 1
        assert "this run does not hold the lock of the host any more (ada@laptop does)" in refused["msg"]
    assert machine.tree() == before


def test_what_a_step_starts_inherits_its_lock(machine, run, token, prepared):
    run("start", release=prepared, lock=token)
    (line,) = [line for line in machine.told() if line.startswith("compose")]
    assert line.endswith("(locked)")
    run("retire", lock=token)
    assert machine.told()[-1].endswith("(locked)")


def test_what_a_rollback_starts_inherits_its_lock(machine):
    assert machine.type("rollback") == 0
    changing = [line for line in machine.told() if line.split()[0] in {"compose", "stop", "start"}]
    assert [line.endswith("(locked)") for line in changing] == [True] * len(changing)
    assert len(changing) >= 2


def test_a_release_whose_folder_is_not_whole_is_not_started(machine, run, token, prepared):
    (machine.layout.releases / prepared / "release.json").unlink()
    refused = run("start", release=prepared, lock=token)
    assert f"{machine.layout.releases / prepared} is not a whole release" in refused["msg"]
    assert machine.told() == []


def test_start_makes_folders_that_only_the_proxy_may_enter(machine, run, token, started):
    sockets = machine.layout.run / f"green-{started}"
    for folder in (machine.layout.run, sockets):
        assert folder.stat().st_mode & 0o777 == 0o750
    assert os.readlink(sockets / "second.sock") == "server.sock"
    compose = (
        f"compose --project-name modelhost-green --file {machine.layout.releases / started}/compose.yml up --detach"
    )
    assert machine.told() == [f"{compose} --no-build --pull never --remove-orphans (locked)"]


def test_start_gives_the_sockets_to_the_app_and_its_group(machine, run, token, prepared):
    if os.getuid():
        pytest.skip("only root gives files away")
    machine.layout.run.chmod(0o755)
    assert run("start", release=prepared, lock=token, settings={"app_uid": 10001, "proxy_gid": 10002})["changed"]
    sockets = machine.layout.run / f"green-{prepared}"
    for folder, owner in ((machine.layout.run, 0), (sockets, 10001)):
        found = folder.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (owner, 10002, 0o750)


def test_two_replicas_have_a_second_try_at_the_second(machine, run, token):
    two = release(bundles=machine.bundles, settings={"workers": 3, "threads": 8, "replicas": 2})
    run("prepare", content=machine.content(two), lock=token)
    run("start", release=two.id, lock=token)
    assert os.readlink(machine.layout.run / f"green-{two.id}" / "second.sock") == "server-2.sock"


@pytest.mark.parametrize("stop_first", [True, False])
def test_the_live_release_stops_first_only_where_that_is_wanted(machine, run, token, prepared, stop_first):
    machine.change("modelhost-green", Status="running", Pid=os.getpid())  # what was there before runs still
    run("start", release=prepared, lock=token, stop_first=stop_first, settings={"stop_seconds": 7})
    stops = [line.split(" (")[0] for line in machine.told() if line.startswith("stop")]
    assert stops == ["stop --time 7 id-of-blue"] * stop_first + ["stop --time 7 id-of-green"]


@pytest.mark.parametrize("name", ["canary", "switch", "shadow"])
def test_a_release_that_was_not_started_gets_no_request(machine, run, token, prepared, name):
    settings = {"url": machine.proxy(), "canary_percent": 10, "shadow": True}
    before = machine.tree()
    refused = run(name, release=prepared, lock=token, settings=settings)
    assert "is not started" in refused["msg"]
    assert "start the deployment again" in refused["msg"]
    assert machine.tree() == before


def test_a_release_that_ended_after_its_start_is_not_switched_to(machine, run, token, started):
    machine.change("modelhost-green", Status="exited", Pid=0)
    refused = run("switch", release=started, lock=token)
    assert f"release {started} is not started in green" in refused["msg"]
    assert machine.live == f"blue-{machine.new.id}"


def refusal(machine: Machine, run: Run, token: str, started: str) -> dict[str, Any]:
    """Have a release refused by its gate, because it answers its golden example otherwise."""
    machine.serve("green", started, b'{"prediction": {"p": 2}}')
    refused = run("gate", release=started, lock=token)
    assert refused["code"] == 1
    return refused


def test_a_release_that_is_refused_is_stopped_and_told_with_its_last_lines(machine, run, token, started):
    machine.layout.canary.symlink_to(f"green-{started}")
    lines = refusal(machine, run, token, started)["msg"].splitlines()
    assert lines == [
        f"Release {started} was refused, and release {machine.new.id} is live on blue, as before.",
        "  gate:     golden examples",
        "  expected: iris 1, example 0: p 1 (tolerance 0)",
        "  got:      p 2",
        "Its container modelhost-green is kept, stopped. Its last lines:",
        "  its last line",
    ]
    assert machine.containers() == {"modelhost-blue": "running", "modelhost-green": "exited"}
    assert os.readlink(machine.layout.canary) == "active"
    rejected = {"gate": "golden examples", "expected": "iris 1, example 0: p 1 (tolerance 0)", "got": "p 2"}
    assert Record.of(machine.layout, started).rejected == rejected
    (line,) = read_lines(machine.layout.history, 9)
    assert {name: line[name] for name in ("release", "who", "how", "why")} == {
        "release": started, "who": "ada@laptop", "how": "rejected", "why": "golden examples",
    }  # fmt: skip


def test_a_release_that_was_refused_and_is_deployed_again_is_judged_anew(machine, run, token, started):
    refusal(machine, run, token, started)
    machine.serve("green", started)
    assert run("start", release=started, lock=token)["changed"] is True
    assert Record.of(machine.layout, started).rejected is None
    assert run("gate", release=started, lock=token)["measured"]["memory_mb"] == 100


@pytest.fixture
def switched(machine, run, token, started) -> str:
    """The id of a release that is live and has still to be watched."""
    assert run("switch", release=started, lock=token)["changed"] is True
    return started


BAD = {"url": "", "watch_seconds": 2, "errors_percent": 1, "switch_answers": 1}


def failing(machine: Machine, release: str) -> dict[str, Any]:
    """Settings of a watch that sees a release fail."""
    machine.serve("green", release).status = 500
    return BAD | {"url": machine.proxy()}


def test_a_release_that_does_badly_once_it_is_live_is_rolled_back(machine, run, token, switched):
    refused = run("watch", release=switched, lock=token, settings=failing(machine, switched))
    assert refused["msg"].startswith(f"Release {switched} was refused, and release {machine.new.id} is live on blue")
    assert "  gate:     error rate" in refused["msg"].splitlines()
    assert machine.live == f"blue-{machine.new.id}"
    assert machine.containers() == {"modelhost-blue": "running", "modelhost-green": "exited"}
    assert not Record.of(machine.layout, switched).passed


def test_the_release_before_is_started_again_where_it_had_stopped(machine, run, token, switched):
    machine.change("modelhost-blue", Status="exited", Pid=0)
    run("watch", release=switched, lock=token, settings=failing(machine, switched))
    assert machine.containers() == {"modelhost-blue": "running", "modelhost-green": "exited"}
    assert machine.live == f"blue-{machine.new.id}"
    starts = [line for line in machine.told() if line.startswith("start")]
    assert starts == ["start id-of-blue (locked)"]


def test_a_release_goes_on_where_what_was_before_never_passed(machine, run, token, switched, monkeypatch):
    monkeypatch.setattr("modelhostctl.steps.switch.KEPT_SECONDS", 0.2)
    Record.of(machine.layout, machine.new.id).mark_rejected({"gate": "latency"})
    machine.serve("green", switched).release = "another"
    refused = run("switch", release=switched, lock=token, settings={"url": machine.proxy(), "switch_answers": 3})
    assert refused["msg"].startswith(f"Release {switched} was refused, and nothing was live before it.")
    assert "Its container modelhost-green goes on, because there is no other." in refused["msg"]
    assert machine.live == f"green-{switched}"
    assert machine.containers()["modelhost-green"] == "running"


def test_a_watch_that_was_done_is_not_done_again(machine, run, token, switched):
    assert run("watch", release=switched, lock=token)["seen"] == {}
    lines = read_lines(machine.layout.history, 9)
    assert "seen" not in run("watch", release=switched, lock=token)
    assert read_lines(machine.layout.history, 9) == lines


def test_a_release_that_is_rolled_back_to_is_not_watched_and_the_one_it_leaves_is_marked(machine, run, token):
    run("start", release=machine.old.id, lock=token)
    run("switch", release=machine.old.id, lock=token, rollback=True)
    assert Record.of(machine.layout, machine.old.id).rolling_back
    settings = failing(machine, machine.old.id)
    assert run("watch", release=machine.old.id, lock=token, rollback=True, settings=settings)["seen"] == {}
    assert not Record.of(machine.layout, machine.old.id).rolling_back
    assert Record.of(machine.layout, machine.new.id).last_live == 0
    assert read_lines(machine.layout.history, 1)[0]["change"].startswith("rolled back; models unchanged")


def test_a_release_that_is_switched_to_once_more_is_watched_once_more(machine, run, token):
    run("start", release=machine.old.id, lock=token)
    assert Record.of(machine.layout, machine.old.id).settled
    run("switch", release=machine.old.id, lock=token)
    assert not Record.of(machine.layout, machine.old.id).settled
    refused = run("watch", release=machine.old.id, lock=token, settings=failing(machine, machine.old.id))
    assert "gate:     error rate" in refused["msg"]


def test_the_switch_is_one_rename_and_says_what_it_changes(machine, run, token, started):
    inode = machine.layout.active.lstat().st_ino
    diff = run("switch", release=started, lock=token)["diff"]
    assert (diff["before"], diff["after"]) == (f"blue-{machine.new.id}\n", f"green-{started}\n")
    assert diff["before_header"] == diff["after_header"] == str(machine.layout.active)
    assert machine.layout.active.lstat().st_ino != inode
    assert run("switch", release=started, lock=token) == {"changed": False, "diff": {}, "code": 0}


def test_a_switch_that_clients_do_not_see_is_rolled_back(machine, run, token, started, monkeypatch):
    monkeypatch.setattr("modelhostctl.steps.switch.KEPT_SECONDS", 0.2)
    machine.serve("green", started).release = "another"
    refused = run("switch", release=started, lock=token, settings={"url": machine.proxy(), "switch_answers": 3})
    assert "gate:     public URL" in refused["msg"]
    assert "got:      status 200 of release another" in refused["msg"]
    assert machine.live == f"blue-{machine.new.id}"
    # One that is live already has to answer there as well.
    refused = run("switch", release=machine.new.id, lock=token, settings={"url": "http://127.0.0.1:1"})
    assert "got:      status none of release none" in refused["msg"]
    assert "is live on" not in refused["msg"]
    assert "goes on, because there is no other" in refused["msg"]
    assert machine.live == f"blue-{machine.new.id}"
    assert machine.containers()["modelhost-blue"] == "running"


@pytest.mark.parametrize(
    ("word", "name"), [("compose", "start"), ("stop", "retire"), ("image", "prune"), ("ps", "prune"), ("ps", "logs")]
)
def test_an_engine_that_fails_is_said_with_its_command_and_nothing_is_switched(
    machine, run, token, prepared, word, name
):
    machine.change("modelhost-green", Status="exited" if name == "start" else "running", Pid=os.getpid())
    machine.file("fails").write_text(word)
    options = {"start": {"release": prepared}, "logs": {}}.get(name, {})
    refused = run(name, **options) if name == "logs" else run(name, lock=token, **options)
    assert "docker" in refused["msg"]
    assert f" {word} " in refused["msg"]
    assert refused["msg"].endswith("failed: the engine is broken")
    assert machine.live == f"blue-{machine.new.id}"


def test_an_engine_that_is_not_there_is_said(machine, run, token, prepared, monkeypatch):
    (machine.bin / "docker").unlink()
    monkeypatch.setenv("PATH", str(machine.bin))
    refused = run("start", release=prepared, lock=token)
    assert "`docker inspect --type container" in refused["msg"]
    assert "did not end well" in refused["msg"]


def test_a_colour_that_does_not_drain_is_stopped_at_its_deadline(machine, run, token, started, monkeypatch):
    run("switch", release=started, lock=token)
    run("watch", release=started, lock=token)
    path = str(machine.layout.socket("blue", machine.new.id))
    monkeypatch.setattr("modelhostctl.view.drain.socket_inside", lambda _: path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n")
        time.sleep(0.2)
        begun = time.monotonic()
        result = run("retire", lock=token, settings={"drain_seconds": 1, "stop_seconds": 3})
        assert 0.9 < time.monotonic() - begun < 5
    assert result["seconds"] >= 1
    assert machine.told()[-1] == "stop --time 3 id-of-blue (locked)"


def test_an_idle_colour_that_is_to_run_on_is_not_retired(machine, run, token, started):
    assert run("retire", lock=token, settings={"keep_old_running": True})["changed"] is False
    assert machine.containers()["modelhost-green"] == "running"
    assert run("retire", lock=token)["changed"] is True
    assert run("retire", lock=token) == {"changed": False, "seconds": 0.0, "code": 0}


def test_prune_removes_what_no_release_needs_that_is_kept(machine, run, token, started):
    bundle = machine.layout.bundles / "iris" / "1-unused"
    needed = machine.layout.bundles / "iris" / "2-needed"
    for folder in (bundle, needed):
        folder.mkdir(parents=True)
        (folder / "model.yaml").touch()
    stale = machine.layout.run / "green-0123456789ab"
    stale.mkdir()
    old = Record.of(machine.layout, machine.old.id)
    kept = sorted(path.name for path in machine.layout.run.iterdir())
    images = [machine.old.image, "modelhost-app:unused", "modelhost-proxy:unused", "modelhost-app:wanted", "other:1"]
    machine.file("images").write_text(json.dumps(images))
    machine.file("freed").write_text("12MB")
    result = run("prune", lock=token, wanted=["modelhost-app:wanted", str(needed)], settings={"keep_releases": 3})
    assert result["removed"] == [
        "image modelhost-app:unused", "image modelhost-proxy:unused", "bundle iris 1-unused", "what building had left",
    ]  # fmt: skip
    assert json.loads(machine.file("images").read_text()) == [machine.old.image, "modelhost-app:wanted", "other:1"]
    assert (bundle.exists(), needed.exists(), old.folder.exists()) == (False, True, True)
    gone = {stale.name, f"green-{machine.old.id}"}
    assert sorted(path.name for path in machine.layout.run.iterdir()) == [name for name in kept if name not in gone]
    assert machine.told()[-1] == "builder prune --force --filter until=72h (locked)"
    # Two run, so that no more is kept of 2; nor where the disk is needed.
    assert run("prune", lock=token, settings={"keep_releases": 2})["removed"][0] == f"release {machine.old.id}"
    assert not old.folder.exists()
    assert Record.of(machine.layout, machine.new.id).read() is not None


def test_prune_keeps_the_latest_of_those_that_were_live(machine, run, token, started):
    for number, name in enumerate(["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"]):
        record = Record.of(machine.layout, name)
        record.write(release(bundles=machine.bundles, settings={"workers": 9, "number": number}))
        record.mark_passed()
        time.sleep(0.01)
    never = Record.of(machine.layout, "dddddddddddd")
    never.write(release())
    result = run("prune", lock=token, settings={"keep_releases": 4})
    assert result["changed"] is True
    assert result["removed"] == [f"release {name}" for name in sorted(["aaaaaaaaaaaa", "dddddddddddd", machine.old.id])]


def test_where_the_disk_is_needed_all_but_what_runs_goes_and_too_little_is_an_error(machine, run, token):
    machine.change("modelhost-green", Status="exited")
    extra = Record.of(machine.layout, "aaaaaaaaaaaa")
    extra.write(machine.old)
    extra.mark_passed()
    result = run("prune", lock=token, needed_mb=1)
    assert result["removed"] == ["release aaaaaaaaaaaa"]
    assert machine.told()[-1] == "builder prune --force --all (locked)"
    refused = run("prune", lock=token, needed_mb=10**9)
    assert "The disk is short" in refused["msg"]
    assert "1000000000 MB are needed" in refused["msg"]


def test_prepare_says_how_the_release_differs_and_writes_it_once(machine, run, token, third):
    diff = run("prepare", content=machine.content(third), lock=token)["diff"]
    assert diff["before"].splitlines() == [f"image: {third.image}", "model: iris 1 (d)", "threads: 1", "workers: 1"]
    assert diff["after"].splitlines() == [f"image: {third.image}", "model: iris 1 (d)", "threads: 8", "workers: 3"]
    assert Record.of(machine.layout, third.id).read() == third
    assert run("prepare", content=machine.content(third), lock=token) == {"changed": False, "code": 0}
    # A folder that is not whole is written anew.
    Record.of(machine.layout, third.id).compose_file.unlink()
    assert run("prepare", content=machine.content(third), lock=token)["changed"] is True
    assert Record.of(machine.layout, third.id).read() == third


def test_configure_leaves_the_settings_and_a_reserve(machine, run, token):
    machine.layout.settings.unlink()
    assert not machine.layout.reserve.exists()
    assert run("configure", "--check", lock=token)["changed"] is True
    assert not machine.layout.settings.exists()
    assert not machine.layout.reserve.exists()
    diff = run("configure", lock=token, settings={"latency_ms": 123})["diff"]
    assert diff["before"] == ""
    assert json.loads(diff["after"])["latency_ms"] == 123
    assert json.loads(machine.layout.settings.read_text())["latency_ms"] == 123
    assert machine.layout.reserve.stat().st_size == 1024 * 1024
    assert machine.layout.reserve.stat().st_blocks * 512 >= 1024 * 1024
    again = run("configure", lock=token, settings={"latency_ms": 124})["diff"]
    assert json.loads(again["before"])["latency_ms"] == 123


def test_the_lock_is_of_one_run_and_a_dead_ones_is_taken_over(machine, run):
    mine = {**describe(os.getpid(), "ada@laptop")}
    assert run("lock", "--check", owner=mine)["token"] == mine["token"]
    assert not machine.layout.lock.exists()
    assert run("lock", owner=mine)["words"] == ""
    held = json.loads(machine.layout.lock.read_text())
    assert (held["what"], held["who"]) == ("site.yml", "ada@laptop")
    other = {"token": "t", "who": "bob@laptop", "machine": "elsewhere", "pid": 1}
    assert run("lock", owner=other)["code"] == 3
    assert "ada@laptop" in run("lock", owner=other, dead=mine["token"], what="rollback")["words"]
    held = json.loads(machine.layout.lock.read_text())
    assert (held["what"], held["who"]) == ("rollback", "bob@laptop")
    run("unlock", owner=mine)
    assert machine.layout.lock.exists()
    run("unlock", "--check", owner=other)
    assert machine.layout.lock.exists()
    run("unlock", owner=other)
    assert not machine.layout.lock.exists()


def test_a_run_that_was_killed_leaves_a_lock_that_the_next_takes_over(machine, run):
    acquire(machine.layout, {**describe(os.getpid(), "ada@laptop"), "begun": "0", "what": "site.yml"})
    owner = {"token": "t", "who": "bob@laptop", "machine": "elsewhere", "pid": 1}
    assert "took over the lock of ada@laptop" in run("lock", owner=owner)["words"]


def test_what_is_typed_is_as_wanted_without_a_release(machine, run, token):
    assert run("gate", release="")["lines"] == [f"live: release {machine.new.id} on blue passes every gate, 100 MB"]
