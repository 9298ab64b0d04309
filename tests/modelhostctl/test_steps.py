"""The steps of a deployment, one after the other, as a play runs them; what each leaves, alone and done twice."""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from release_host import Machine, mirrored
from signing import Key
from test_release import release

from modelhostctl.host.docker import Docker
from modelhostctl.host.http_client import request
from modelhostctl.host.resources import killed_for_memory
from modelhostctl.steps.gate import _killed as really_killed
from modelhostctl.store.history import read_lines
from modelhostctl.store.lock import acquire, step_lock
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
    # Of what does not run in a colour any more, so many releases are kept.
    assert said["prune"]["removed"] == []
    before, told = machine.tree(), len(machine.told())
    assert {name for name, one in deploy().items() if one} == set()
    assert machine.tree() == before
    assert [line for line in machine.told()[told:] if not line.startswith("builder prune")] == []


CHANGES = ["prepare", "start", "gate", "shadow", "canary", "switch", "watch", "configure", "trust", "retire", "prune"]


def without_release(machine: Machine) -> dict[str, dict[str, Any]]:
    """The options of the steps that are of no one release."""
    return {"configure": {}, "trust": {"keys": Key(machine.bin).pem}, "retire": {}, "prune": {}}


@pytest.mark.parametrize("name", CHANGES)
def test_a_check_writes_nothing_and_tells_the_engine_nothing(machine, run, token, started, name):
    Record.of(machine.layout, machine.old.id).mark_rejected({"gate": "latency"})
    settings = {"canary_percent": 10, "url": machine.proxy(), "shadow": True, "keep_releases": 1}
    fourth = release(bundles=machine.bundles, settings={"workers": 4, "threads": 8})
    options = {"prepare": {"content": machine.content(fourth)}, **without_release(machine)}
    before, told = machine.tree(), machine.told()
    result = run(name, "--check", settings=settings, lock=token, **options.get(name, {"release": started}))
    assert machine.tree() == before
    assert machine.told() == told
    assert not result.get("failed")
    assert result["changed"] is (name not in {"start", "gate", "shadow", "watch"})


@pytest.mark.parametrize("name", CHANGES)
def test_a_step_that_changes_the_host_needs_the_lock_of_its_run(machine, run, token, started, name):
    options = {"prepare": {"content": machine.content(machine.new)}, **without_release(machine)}
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
    assert machine.layout.run.stat().st_mode & 0o7777 == 0o750
    assert sockets.stat().st_mode & 0o7777 == 0o1771
    assert os.readlink(sockets / "second.sock") == "server.sock"
    compose = (
        f"compose --project-name modelhost-green --file {machine.layout.releases / started}/compose.yml up --detach"
    )
    assert machine.told() == [f"{compose} --no-build --pull never --remove-orphans (locked)"]


def test_the_sockets_folder_is_roots_and_the_app_may_add_to_it(machine, run, token, prepared):
    if os.getuid():
        pytest.skip("only root gives files away")
    machine.layout.run.chmod(0o755)
    assert run("start", release=prepared, lock=token, settings={"app_uid": 10001, "proxy_gid": 10002})["changed"]
    sockets = machine.layout.run / f"green-{prepared}"
    for folder, group, mode in ((machine.layout.run, 10002, 0o750), (sockets, 10001, 0o1771)):
        found = folder.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (0, group, mode)


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
        f"Release {started} was refused; release {machine.new.id} is live on blue, as before.",
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
    assert line["change"] == "models unchanged; image unchanged; settings: threads 1 -> 8, workers 1 -> 3"


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
    first = refused["msg"].splitlines()[0]
    assert first.startswith(f"Release {switched} was refused, having been live, and was rolled back;")
    assert f"release {machine.new.id} is live on blue" in first
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
    monkeypatch.setattr("modelhostctl.steps.switch.MOST_SECONDS_TO_FOLLOW", 0.2)
    Record.of(machine.layout, machine.new.id).mark_rejected({"gate": "latency"})
    machine.serve("green", switched).release = "another"
    refused = run("switch", release=switched, lock=token, settings={"url": machine.proxy(), "switch_answers": 3})
    assert refused["msg"].startswith(f"Release {switched} was refused; nothing was live before it.")
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
    monkeypatch.setattr("modelhostctl.steps.switch.MOST_SECONDS_TO_FOLLOW", 0.2)
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
    Record.of(machine.layout, started).mark_passed()
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
    images += ["modelhost-acme:unused", "modelhost-acme:renews"]
    machine.layout.certificate_settings.parent.mkdir(exist_ok=True)
    machine.layout.certificate_settings.write_text('{"issuer": {"image": "modelhost-acme:renews"}}')
    machine.file("images").write_text(json.dumps(images))
    machine.file("freed").write_text("12MB")
    result = run("prune", lock=token, wanted=["modelhost-app:wanted", str(needed)], settings={"keep_releases": 3})
    assert result["removed"] == [
        "image modelhost-app:unused", "image modelhost-proxy:unused", "image modelhost-acme:unused",
        "bundle iris 1-unused", "what building had left",
    ]  # fmt: skip
    left = [machine.old.image, "modelhost-app:wanted", "other:1", "modelhost-acme:renews"]
    assert json.loads(machine.file("images").read_text()) == left
    assert (bundle.exists(), needed.exists(), old.folder.exists()) == (False, True, True)
    gone = {stale.name, f"green-{machine.old.id}"}
    assert sorted(path.name for path in machine.layout.run.iterdir()) == [name for name in kept if name not in gone]
    assert machine.told()[-1] == "builder prune --force --filter until=72h (locked)"
    # The live one is all that is kept of 1; the one that is tried is not good yet, and takes no place.
    assert run("prune", lock=token, settings={"keep_releases": 1})["removed"][0] == f"release {machine.old.id}"
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
    result = run("prune", lock=token, settings={"keep_releases": 3})
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


def test_a_bundle_that_a_full_disk_cut_off_is_copied_again(machine, run, token, third, tmp_path):
    """tar goes on with the next file where one does not fit, so what it leaves looks whole."""
    folder = tmp_path / "iris" / "1-abc"
    content = machine.content(third) | {"bundles": [machine.bundles[0] | {"folder": str(folder)}]}
    cut_off = folder.with_name("1-abc.unfinished")
    cut_off.mkdir(parents=True)
    (cut_off / "model.yaml").write_text("name: iris")
    assert run("plan", content=content)["missing"] == [str(folder)]
    folder.mkdir()
    (folder / "model.yaml").touch()
    assert run("plan", content=content)["missing"] == [str(folder)], "as the code before has left it"
    run("prepare", "--check", content=content, lock=token)
    assert cut_off.is_dir()
    run("prepare", content=content, lock=token)
    assert (folder / "model.yaml").read_text() == "name: iris"
    assert not cut_off.exists()
    assert run("plan", content=content)["missing"] == []


def test_prepare_says_how_the_release_differs_and_writes_it_once(machine, run, token, third):
    diff = run("prepare", content=machine.content(third), lock=token)["diff"]
    assert diff["before"].splitlines() == [f"image: {third.image}", "model: iris 1 (d)", "threads: 1", "workers: 1"]
    assert diff["after"].splitlines() == [f"image: {third.image}", "model: iris 1 (d)", "threads: 8", "workers: 3"]
    assert Record.of(machine.layout, third.id).read() == third
    again = {"changed": False, "release": third.id, "code": 0}
    assert run("prepare", content=machine.content(third), lock=token) == again
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
    wanted = machine.settings.__dict__ | {"latency_ms": 123}
    assert diff["after"] == json.dumps(wanted, indent=2, sort_keys=True) + "\n"
    assert diff["before_header"] == diff["after_header"] == str(machine.layout.settings)
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


@pytest.mark.parametrize(("limit_mb", "passes"), [(106, True), (105, False), (0, True)])
def test_a_release_may_use_95_percent_of_its_memory(machine, run, token, started, limit_mb, passes):
    found = json.loads(machine.file("").read_text())
    for one in found:
        one["HostConfig"]["Memory"] = limit_mb * 1024 * 1024  # 100 MB are in use; 0 is without a limit
    machine.file("").write_text(json.dumps(found))
    result = run("gate", release=started, lock=token)
    assert bool(result.get("failed")) is not passes
    if not passes:
        assert "expected: at most 99 MB" in result["msg"]
        assert "got:      100 MB in use by modelhost-green" in result["msg"]
        assert "hint:     raise release_memory_limit_mb" in result["msg"]


@pytest.mark.parametrize("said", [{"OOMKilled": True}, {"Status": "exited", "ExitCode": 3}])
def test_a_release_that_ends_while_it_starts_is_refused_at_once(machine, run, token, started, said):
    machine.change("modelhost-green", **said)
    begun = time.monotonic()
    refused = run("gate", release=started, lock=token, settings={"start_seconds": 60})
    assert time.monotonic() - begun < 20
    got = "was killed for want of memory" if "OOMKilled" in said else "modelhost-green ended with exit code 3"
    assert got in refused["msg"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_release_that_refuses_to_start_is_refused_with_its_own_reason(machine, run, token, started, as_json):
    reason = "refusing to start: broken/1/model.yaml: model.onnx: Protobuf parsing failed"
    entry = {"time": "2026-01-01T00:00:00Z", "level": "critical", "message": reason}
    before, after = ({**entry, "message": said} for said in ("starting", "shutting down: Master"))
    lines = [json.dumps(one) if as_json else f"2026 {one['message']}" for one in (before, entry, after)]
    machine.file("app").write_text("\n".join(lines))
    machine.change("modelhost-green", Status="exited", ExitCode=0)
    refused = run("gate", release=started, lock=token)
    assert f"  got:      modelhost-green ended with exit code 0: {reason}" in refused["msg"].splitlines()
    assert Record.of(machine.layout, started).rejected["got"].endswith(reason)


def test_a_release_that_is_not_ready_in_time_is_refused_with_what_it_says(machine, run, token, started):
    machine.change("modelhost-green", Health={"Status": "starting"})
    begun = time.monotonic()
    refused = run("gate", release=started, lock=token, settings={"start_seconds": 1})
    assert 1 <= time.monotonic() - begun < 20
    assert "expected: every worker to have loaded every model within 1 s" in refused["msg"]
    assert "got:      modelhost-green starting, status 200: {" in refused["msg"]
    assert "hint:     if loading takes that long, raise release_start_timeout_seconds" in refused["msg"]


def test_what_runs_already_was_judged_when_it_was_switched_to(machine, run, token, switched):
    machine.serve("green", switched, b'{"prediction": {"p": 2}}')
    assert run("gate", release=switched, lock=token)["measured"] == {}


def test_where_nothing_runs_there_is_nothing_to_look_at(machine, run):
    for colour in ("blue", "green"):
        machine.change(f"modelhost-{colour}", Status="exited", Pid=0)
    assert "no release runs on this host" in run("gate", release="")["msg"]


def test_both_colours_are_looked_at_and_one_that_does_not_pass_is_named(machine, run, token, started):
    machine.serve("green", started, b'{"prediction": {"p": 2}}')
    looked = run("gate", release="")
    assert looked["lines"] == [
        f"live: release {machine.new.id} on blue passes every gate, 100 MB",
        f"idle: release {started} on green does not pass: golden examples: expected iris 1, example 0: p 1 "
        "(tolerance 0), got p 2",
    ]
    assert looked["msg"] == "\n".join(looked["lines"])
    machine.change("modelhost-green", Health={"Status": "unhealthy"})
    looked = run("gate", release="")
    assert "got modelhost-green unhealthy, status 200" in looked["lines"][1]


def test_a_shadow_reports_how_answers_differ_and_keeps_the_report(machine, run, token, started):
    machine.serve("green", started, b'{"prediction": {"p": 1.5}}')
    answers = []

    def mirror(path: str, body: bytes, headers: dict[str, str]) -> None:
        if machine.layout.shadow.exists():
            answers.append(mirrored(machine.layout.shadow, path, body, headers))

    url = machine.proxy(mirror)
    client = threading.Thread(target=lambda: ask_while(machine, url))
    client.start()
    settings = {"url": url, "shadow": True, "shadow_seconds": 1, "latency_ms": 5000}
    lines = run("shadow", release=started, lock=token, settings=settings)["lines"]
    client.join()
    compared = int(lines[0].split()[0])
    assert compared >= 1
    assert lines[0] == f"{compared} requests compared, {compared} differ (100 %)"
    assert any("by 0.5 at most" in line for line in lines)
    assert Record.of(machine.layout, started).shadow_summary == lines[0]
    assert set(answers) == {204}
    assert not machine.layout.shadow.exists()
    status = run("status")["status"]["idle"]
    assert (status["release"], status["shadow"]) == (started, lines[0])


def ask_while(machine: Machine, url: str) -> None:
    """Ask, as a client, until a shadow has begun and for half a second of it."""
    deadline = time.monotonic() + 10
    while not machine.layout.shadow.is_dir() and time.monotonic() < deadline:
        time.sleep(0.01)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        request(url, "/models/iris/predict", b'{"a": 1}')
        time.sleep(0.02)


@pytest.mark.parametrize("why", ["off", "no url", "rollback", "never passed"])
def test_there_is_no_shadow_or_canary_where_there_is_nothing_to_compare_with(machine, run, token, started, why):
    settings = {"url": machine.proxy(), "shadow": True, "canary_percent": 10}
    if why == "off":
        settings |= {"shadow": False, "canary_percent": 0}
    if why == "no url":
        settings["url"] = ""
    if why == "never passed":
        Record.of(machine.layout, machine.new.id).mark_rejected({"gate": "latency"})
    machine.layout.canary.symlink_to(f"green-{started}")
    machine.layout.shadow.mkdir()  # left by a run that was killed
    options = {"release": started, "lock": token, "rollback": why == "rollback", "settings": settings}
    assert run("shadow", **options) == {"changed": False, "lines": [], "code": 0}
    assert not machine.layout.shadow.exists()
    assert run("canary", "--check", **options)["changed"] is True
    assert run("canary", **options) == {"changed": True, "code": 0}, "what a killed run left is ended"
    assert os.readlink(machine.layout.canary) == "active"
    assert run("canary", **options)["changed"] is False
    assert run("canary", "--check", **options)["changed"] is False


LARGE = {"memory_reserve_mb": 10**9}


def test_a_plan_says_what_a_deployment_does_and_changes_nothing(machine, run, third):
    before = machine.tree()
    plan = run("plan", content=machine.content(third))
    assert machine.tree() == before
    assert machine.told() == []
    assert {name: plan[name] for name in ("release", "todo", "stop_first", "image_present", "missing", "changed")} == {
        "release": third.id, "todo": True, "stop_first": False, "image_present": True, "missing": [], "changed": False,
    }  # fmt: skip
    words = [re.sub(r"\d+ MB", "N MB", line) for line in plan["lines"]]
    assert words == [
        "models unchanged", "image unchanged", "settings: workers 1 -> 3, threads 1 -> 8", "switch blue -> green",
        "needs N MB, N MB free",
    ]  # fmt: skip
    assert plan["disk_needed_mb"] == 100
    assert plan["disk_short"] is False


def test_a_plan_counts_what_has_to_be_built_and_copied(machine, run, third):
    folder = machine.layout.bundles / "iris" / "1-d"
    bundle = machine.bundles[0] | {"folder": str(folder), "bytes": 50 * 1024 * 1024}
    content = machine.content(third) | {"bundles": [bundle], "image": "modelhost-app:bbbbbbbbbbbb"}
    plan = run("plan", content=content)
    assert (plan["image_present"], plan["missing"]) == (False, [str(folder)])
    assert plan["disk_needed_mb"] == 100 + 600 + 2 * 50
    assert plan["words"].startswith("models unchanged; image: aaaaaaaaaaaa -> bbbbbbbbbbbb; settings")
    assert "(to be built)" in plan["words"]
    assert plan["disk_short"] is False
    huge = content | {"bundles": [bundle | {"bytes": 10**15}]}
    assert run("plan", content=huge, settings={"allow_stop_first": True})["disk_short"] is True


@pytest.mark.parametrize("name", ["plan", "rollback"])
def test_where_memory_cannot_hold_both_a_release_waits_for_leave_to_stop_the_live_one(machine, run, third, name):
    options = {"content": machine.content(third)} if name == "plan" else {}
    words = ["--check"] if name == "rollback" else []
    refused = run(name, *words, settings=LARGE, **options)
    assert "The host's memory cannot hold two releases at once: the new one needs about" in refused["msg"]
    assert "and 1000000000 MB are to stay free" in refused["msg"]
    assert "blue goes on serving" in refused["msg"]
    allowed = run(name, *words, settings=LARGE | {"allow_stop_first": True}, **options)
    assert allowed["stop_first"] is True
    assert allowed["lines"][-1] == "stops the live release first: no answers until the new one is ready"


def test_a_rollback_may_be_allowed_to_stop_the_live_release_first(machine, run):
    assert run("rollback", settings=LARGE)["code"] == 1
    assert machine.containers()["modelhost-blue"] == "running"
    assert run("rollback", settings=LARGE, allow_stop_first=True)["changed"] is True
    changing = [line.split()[0] for line in machine.told() if line.split()[0] in {"stop", "compose"}]
    assert changing == ["stop", "compose"], "and only then the other one starts"
    assert machine.live == f"green-{machine.old.id}"


def test_the_memory_of_a_release_is_what_it_used_before_or_what_the_live_one_does(machine, run, third):
    def needed(**changed: Any) -> int:
        content = machine.content(third) | changed
        return int(re.search(r"needs (\d+) MB", run("plan", content=content)["words"])[1])

    assert needed() == 100, "as the live one uses now"
    Record.of(machine.layout, machine.new.id).mark_measured({"memory_mb": 300})
    assert needed() == 300, "as the live one used once"
    larger = [machine.bundles[0] | {"bytes": 10 * 1024 * 1024 + 1}]
    assert needed(bundles=larger) == 300 + 2 * 3 * 10, "each of 3 workers holds a copy"
    twice = {"workers": 3, "threads": 8, "replicas": 2}
    assert needed(settings=twice) == 600
    assert needed(settings=twice, bundles=larger) == 600 + 2 * 3 * 2 * 10
    counted = {"workers": 0, "threads": 8}
    assert needed(settings=counted, bundles=larger) == 300 + 2 * max(os.cpu_count(), 1) * 10
    record = Record.of(machine.layout, third.id)
    record.write(third)
    record.mark_measured({"memory_mb": 123})
    assert needed() == 123


def test_a_plan_of_what_is_live_says_what_is_left_to_do(machine, run, token, switched):
    content = machine.content(Record.of(machine.layout, switched).read())
    plan = run("plan", content=content)
    assert plan["lines"] == [f"release {switched} is live on green", "it has still to be watched"]
    assert plan["todo"] is True
    run("watch", release=switched, lock=token)
    assert run("plan", content=content)["lines"][1] == "blue has still to be retired"
    assert run("plan", content=content, settings={"keep_old_running": True})["todo"] is False
    run("retire", lock=token)
    done = run("plan", content=content)
    assert done["lines"] == ["nothing to release", f"release {switched} is live on green"]
    assert (done["todo"], done["stop_first"], done["image_present"], done["disk_needed_mb"]) == (False, False, True, 0)
    machine.file("images").write_text("[]")
    assert run("plan", content=content)["lines"][0] == f"release {switched} is live, but not as it should be"
    machine.file("images").write_text(json.dumps([machine.old.image]))
    machine.layout.socket("green", switched).unlink()
    broken = run("plan")["lines"]
    why = "`modelhostctl status` shows why, and `modelhostctl rollback` goes back to the one before"
    assert broken[0] == f"live: release {switched} on green is not as it should be: {why}"


def test_a_host_without_a_release_says_so(machine, run, third):
    machine.layout.active.unlink()
    machine.file("").write_text("[]")
    assert run("plan")["lines"] == [
        "live: nothing is live on this host; deploy with site.yml",
        "rollback: nothing is live on this host, so there is nothing to roll back; deploy with site.yml",
    ]
    lines = run("plan", content=machine.content(third))["lines"]
    assert lines[0] == "first release: models iris 1"
    assert re.fullmatch(r"start blue; \d+ MB of memory free", "; ".join(lines[1:]))
    status = run("status")
    assert status["lines"][0] == "live: nothing"
    assert (status["status"]["live"], status["status"]["idle"], status["status"]["models"]) == (None, None, {})


def test_a_rollback_goes_to_a_named_release_or_says_which_there_are(machine, run, token, started):
    other = "0123456789ab"
    refused = run("rollback", "--check", release=other)
    assert refused["msg"] == (
        f"release {other} is not kept whole, or was never live. These can be rolled back to: {machine.old.id}"
    )
    lines = run("rollback", "--check", release=machine.new.id)["lines"]
    assert lines == [f"release {machine.new.id} is live on blue", "green has still to be retired"]
    assert f"release {started} is not kept whole" in run("rollback", "--check", release=started)["msg"]
    machine.file("images").write_text("[]")
    assert "can be rolled back to: none" in run("rollback", "--check", release=machine.old.id)["msg"]


def test_a_rollback_goes_to_the_latest_that_was_live(machine, run):
    for number, name in enumerate(["aaaaaaaaaaaa", "bbbbbbbbbbbb"]):
        record = Record.of(machine.layout, name)
        record.write(release(bundles=machine.bundles, settings={"workers": 9, "number": number}))
        record.mark_passed()
        time.sleep(0.01)
    plan = run("rollback", "--check")
    assert plan["release"] == "bbbbbbbbbbbb"
    assert plan["lines"][0] == "back to bbbbbbbbbbbb"
    assert "is started again" not in plan["words"]
    assert "green is started again" in run("rollback", "--check", release=machine.old.id)["words"]
    machine.change("modelhost-green", Status="running", Pid=os.getpid())
    assert "green still runs it" in run("rollback", "--check", release=machine.old.id)["words"]


def test_status_says_all_of_an_endpoint_in_words(machine, run, token, switched):
    run("watch", release=switched, lock=token)
    Record.of(machine.layout, machine.new.id).mark_rejected({"gate": "latency", "expected": "less", "got": "more"})
    machine.change("modelhost-blue", Status="exited", Pid=0)
    found = json.loads(machine.file("").read_text())
    found[1]["RestartCount"] = 3
    machine.file("").write_text(json.dumps(found))
    machine.layout.canary.symlink_to("blue-0123456789ab")
    logged = [{"status": 200, "seconds": 0.002}] * 19 + [{"status": 502, "seconds": 0.5}]
    machine.file("proxy").write_text("\n".join([*map(json.dumps, logged), "no JSON", '{"status": "-"}']))
    result = run("status", history_lines=1)
    # Updates have tests of their own.
    told = [line for line in result["lines"] if not line.startswith("updates: ")]
    lines = [re.sub(r"\d+ MB of", "N MB of", line) for line in told]
    assert lines[:13] == [
        f"live: release {switched} on green, running (healthy)",
        "live: 2 of 2 workers ready, N MB of 512 MB".replace("N MB of", "100 of"),
        "live: restarted 3 times",
        f"idle: release {machine.new.id} on blue, exited",
        "idle: rejected: latency",
        "idle: expected less",
        "idle: got more",
        "canary: release 0123456789ab has a share of the requests",
        "models: iris 1",
        "traffic: 20 requests in the last 5 minutes, 1 of them answered with 5xx, 95 % within 2 ms",
        "host: N MB of memory and N MB of disk free",
        f"lock: ada@laptop is deploying (site.yml, process {os.getpid()})",
        lines[12],
    ]
    assert lines[12].startswith("history: ")
    assert f"  {switched}  live  by ada@laptop: models unchanged" in lines[12]
    status = result["status"]
    assert len(status["history"]) == 1
    assert status["idle"]["replicas"][0] == {
        "release": machine.new.id, "name": "blue", "status": "exited", "health": None, "workers": None,
        "memory_mb": None, "memory_limit_mb": 512, "restarts": 0,
    }  # fmt: skip
    assert status["live"]["replicas"][0]["workers"] == {"ready": 2, "all": 2}
    machine.serve("green", switched, b"{}")
    assert "live: it does not answer, 100 of 512 MB" in run("status")["lines"]


def test_history_and_logs_are_as_many_lines_as_wanted_the_newest_first(machine, run, token, switched):
    run("watch", release=switched, lock=token)
    run("retire", lock=token)
    assert [line["how"] for line in run("history")["history"]] == ["retired", "live"]
    assert [line["how"] for line in run("history", lines=1)["history"]] == ["retired"]
    logs = run("logs", lines=7)
    assert logs["lines"] == ["modelhost-blue:", "  its last line", "modelhost-green:", "  its last line"]
    assert logs["logs"] == {"modelhost-blue": ["its last line"], "modelhost-green": ["its last line"]}
    asked = [line for line in machine.file("log").read_text().splitlines() if line.startswith("logs --tail 7")]
    assert [line.split()[3] for line in asked] == ["modelhost-blue", "modelhost-green"]


def test_lines_of_json_are_shown_in_words_and_returned_as_they_are(machine, run, capsys):
    line = json.dumps({"time": "T", "level": "ERROR", "message": "iris/1 failed", "exception": "Traceback\n  at\n"})
    program = machine.bin / "docker"
    program.write_text(program.read_text().replace('print("its last line")', f"print({line!r})"))
    logs = run("logs")
    assert logs["lines"][:4] == ["modelhost-blue:", "  T ERROR iris/1 failed", "    | Traceback", "    |   at"]
    assert logs["logs"]["modelhost-blue"] == [line]


def test_the_lock_is_shown_taken_away_or_left(machine, run, token):
    assert run("unlock", "--check")["lock"]["token"] == token
    shown = run("unlock", "--check")["lines"]
    assert shown[0].startswith("ada@laptop holds the lock since ")
    assert shown[0].endswith(f" UTC (site.yml, process {os.getpid()})")
    assert re.fullmatch(r"its last step began \d s ago", shown[1])
    assert shown[2:] == ["its process is running on this machine"]
    left = run("unlock")
    assert left["msg"] == "the lock was left as it is; --yes takes it away without a question"
    assert left["alive"] is True
    assert machine.layout.lock.exists()
    taken = run("unlock", yes=True)
    assert (taken["changed"], taken["lines"][-1]) == (True, "the lock was taken away")
    assert run("unlock") == {"changed": False, "lines": ["no run holds the lock"], "lock": None, "code": 0}


def test_a_step_that_runs_is_shown_with_the_lock(machine, run, token):
    with step_lock(machine.layout):
        assert run("unlock", "--check")["lines"][-1] == "a step is running on this host now"


def test_a_watch_takes_as_long_as_it_is_to(machine, run, token, switched):
    settings = {"url": machine.proxy(), "watch_seconds": 1}
    begun = time.monotonic()
    seen = run("watch", release=switched, lock=token, settings=settings)["seen"]
    assert 1 <= time.monotonic() - begun < 3
    assert seen["requests"] == 4


def test_a_process_that_has_just_ended_was_not_killed_for_memory(machine, monkeypatch):
    monkeypatch.setattr("modelhostctl.steps.gate.killed_for_memory", killed_for_memory)
    machine.change("modelhost-blue", Pid=2**22 + 1)
    blue, _ = Docker().containers()
    with pytest.raises(OSError, match="No such file"):
        killed_for_memory(blue.pid)
    assert really_killed(blue) is False


def test_every_step_that_a_person_may_type_says_what_it_does_in_words(machine, run, token, started):
    for name in ("status", "history", "plan", "gate", "logs"):
        lines = run(name, **({"release": ""} if name == "gate" else {}))["lines"]
        assert lines
        assert all(isinstance(line, str) and line for line in lines)


def test_as_much_is_shown_as_fits_on_a_screen_unless_more_is_asked_for(machine, run):
    lines = [{"time": f"{n}", "release": "r", "how": "live", "who": "ada", "change": "c"} for n in range(120)]
    machine.layout.history.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shown = run("history")
    assert [line["time"] for line in shown["history"]] == [f"{n}" for n in range(119, 19, -1)]
    assert shown["lines"][0] == "119  r  live  by ada: c"
    assert [line["time"] for line in run("status")["status"]["history"]] == [f"{n}" for n in range(119, 109, -1)]
    run("logs")
    assert "logs --tail 50 modelhost-blue" in machine.file("log").read_text()
