"""A rollback, and an end of what was killed, typed on the machine: with what is there, also on a full disk."""

import json
import os
import socketserver
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_release import release
from test_replicas import Handler, inspected

from modelhostctl.cli import main
from modelhostctl.host.docker import Docker
from modelhostctl.host.host import Host as HostFolders
from modelhostctl.host.layout import Layout
from modelhostctl.host.resources import free_disk_mb
from modelhostctl.steps.prune import plan_removals
from modelhostctl.store import reserve
from modelhostctl.store.atomic_files import read_json, write_json
from modelhostctl.store.history import read_lines
from modelhostctl.store.lock import acquire, step_lock
from modelhostctl.store.release import Record
from modelhostctl.store.settings import Settings

# What a real engine does to containers when it is told to: the state is a file, which tells inspect's answer.
ENGINE = """#!{python}
import json, os, sys
words, file = sys.argv[1:], {file!r}
found = json.load(open(file))
def become(names, status):
    for one in found:
        if one["Id"] in names or one["Name"][1:] in names:
            one["State"]["Status"], one["State"]["Pid"] = status, os.getppid() if status == "running" else 0
            if words[0] == "compose":
                one["Config"]["Labels"]["modelhost.release"] = os.environ["RELEASE"]
if words[0] == "inspect": print(json.dumps(found))
if words[:2] == ["image", "ls"]: print(words[-1])
if words[0] == "compose": become([words[2]], {up!r})
if words[0] == "start": become(words[1:], "running")
if words[0] == "stop": become(words[3:], "exited")
if words[0] == "logs": print("its last line")
if words[0] == "ps": print("\\n".join(one["Name"][1:] for one in found))
json.dump(found, open(file, "w"))
print(*words, file=open({file!r} + ".log", "a"))
"""


class Host:
    """A root folder on which blue is live and green was before, and an engine that does what it is told to."""

    def __init__(self, root: Path, bin_folder: Path) -> None:
        self.layout, self.bin = Layout(root), bin_folder
        (bin_folder / "golden.json").write_text('[{"inputs": {"a": 1}, "outputs": {"p": 1}}]')
        (bin_folder / "model.yaml").touch()
        bundle = {"folder": str(bin_folder), "golden": "golden.json", "tolerance": 0, "version": 1, "name": "iris"}
        bundles = [bundle | {"digest": "d", "bytes": 1}]
        self.old, self.new = release(bundles=bundles), release(bundles=bundles, settings={"workers": 1, "threads": 1})
        for one in (self.old, self.new):
            Record.of(self.layout, one.id).write(one)
            Record.of(self.layout, one.id).mark_passed()
        for colour, one in (("blue", self.new), ("green", self.old)):
            self.layout.socket(colour, one.id).parent.mkdir(parents=True)
        self.layout.active.symlink_to(f"blue-{self.new.id}")
        self.settings = Settings(app_uid=os.getuid(), proxy_gid=os.getgid(), drain_seconds=0, start_seconds=5)
        write_json(self.layout.settings, self.settings.__dict__)
        self.engine("running")

    def engine(self, up: str, green: str = "exited") -> None:
        """Have an engine whose containers are `up` after a start; green is so before it."""
        file = self.bin / "found.json"
        both = [inspected("blue", self.new.id), inspected("green", self.old.id, status=green)]
        file.write_text(json.dumps(both))
        program = self.bin / "docker"
        program.write_text(ENGINE.format(python=sys.executable, file=str(file), up=up))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    @property
    def live(self) -> str:
        return os.readlink(self.layout.active)

    def containers(self) -> dict[str, str]:
        return {one["Name"][1:]: one["State"]["Status"] for one in json.loads((self.bin / "found.json").read_text())}

    def type(self, *words: str) -> int:
        """Type a command on this machine; returns its exit code."""
        return main([*words, "--root", str(self.layout.root)])


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    release = ""
    said = b'{"ready": true, "workers": 2, "workers_ready": 2, "prediction": {"p": 1}}'


class OfRelease(Handler):
    server: Server

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        head = f"HTTP/1.0 200 OK\r\nX-Release: {self.server.release}\r\n\r\n"
        self.wfile.write(head.encode() + self.server.said)

    do_POST = do_GET  # noqa: N815 - http.server's name


@pytest.fixture
def serve_release() -> Iterator[Callable[..., None]]:
    servers = []

    def start(socket: Path, of: str, said: bytes = Server.said) -> None:
        server = Server(str(socket), OfRelease)
        server.release, server.said = of, said
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def folders(tmp_path, monkeypatch) -> Iterator[tuple[Path, Path]]:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for user in ("steps.gate", "view.replicas", "view.status"):
        monkeypatch.setattr(f"modelhostctl.{user}.used_memory_mb", lambda _: 100)
    monkeypatch.setattr("modelhostctl.steps.gate.killed_for_memory", lambda _: 0)
    # A socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="modelhost-") as folder:
        yield Path(folder), tmp_path


@pytest.fixture
def host(folders, serve_release) -> Host:
    host = Host(*folders)
    serve_release(host.layout.socket("green", host.old.id), host.old.id)
    serve_release(host.layout.socket("blue", host.new.id), host.new.id)
    return host


def test_a_rollback_does_the_whole_and_says_each_step(host, capsys):
    write_json(host.layout.settings, host.settings.__dict__ | {"url": ""})
    assert host.type("rollback") == 0
    printed = capsys.readouterr()
    steps = [line.partition(":")[0] for line in printed.err.splitlines()]
    assert list(dict.fromkeys(steps)) == ["plan", "start", "gate", "canary", "switch", "watch", "retire"]
    assert f"back to {host.old.id}" in printed.out
    assert "the next deployment releases what it says" in printed.out
    assert host.live == f"green-{host.old.id}"
    assert host.containers() == {"modelhost-blue": "exited", "modelhost-green": "running"}
    assert [(line["release"], line["how"]) for line in read_lines(host.layout.history, 9)] == [
        (host.old.id, "live"), (host.new.id, "retired"),
    ]  # fmt: skip
    assert read_lines(host.layout.history, 9)[0]["change"].startswith("rolled back; ")
    assert not host.layout.lock.exists()
    # The one that was left is not the one before, but may be named.
    assert host.type("rollback") == 1
    assert f"no earlier release is kept on this host that was not rolled back; these can be named: {host.new.id}" in (
        capsys.readouterr().err
    )


def test_a_check_changes_nothing(host, capsys):
    before = sorted(host.layout.root.rglob("*"))
    assert host.type("rollback", "--check", "--json") == 0
    assert json.loads(capsys.readouterr().out)["changed"] is True
    assert sorted(host.layout.root.rglob("*")) == before
    assert host.live == f"blue-{host.new.id}"
    assert host.containers()["modelhost-green"] == "exited"


def test_one_that_does_not_pass_its_gates_is_refused_and_the_live_one_stays(host, capsys):
    host.engine("exited")
    write_json(host.layout.settings, host.settings.__dict__ | {"url": ""})
    assert host.type("rollback") == 1
    assert "gate:     ready" in capsys.readouterr().err
    assert host.live == f"blue-{host.new.id}"
    assert host.containers()["modelhost-blue"] == "running"
    assert not host.layout.lock.exists()
    assert host.type("rollback", host.old.id) == 1
    assert f"release {host.old.id} was rejected (ready)" in capsys.readouterr().err


def test_a_rollback_that_was_killed_after_its_switch_is_finished_by_the_next_and_not_undone(host, monkeypatch, capsys):
    write_json(host.layout.settings, host.settings.__dict__ | {"url": ""})
    monkeypatch.setattr("modelhostctl.steps.watch.accept", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert host.type("rollback") == 1
    assert "interrupted" in capsys.readouterr().err
    assert host.live == f"green-{host.old.id}"
    assert not host.layout.lock.exists()
    monkeypatch.undo()
    monkeypatch.setenv("PATH", f"{host.bin}:{os.environ['PATH']}")
    assert host.type("rollback") == 0
    assert "it has still to be watched" in capsys.readouterr().out
    assert host.live == f"green-{host.old.id}"
    assert Record.of(host.layout, host.new.id).last_live == 0
    assert host.containers()["modelhost-blue"] == "exited"


def test_while_another_run_holds_the_lock_nothing_happens(host, capsys):
    owner = {"token": "t", "who": "ada@laptop", "machine": "elsewhere", "pid": 1, "what": "site.yml"}
    acquire(host.layout, owner)
    assert host.type("rollback") == 3
    assert "ada@laptop is deploying to this host since" in capsys.readouterr().err
    assert host.live == f"blue-{host.new.id}"
    assert read_json(host.layout.lock)["token"] == "t"


def test_a_plan_on_the_machine_says_what_is_pending_and_what_a_rollback_would_do(host, capsys):
    assert host.type("plan") == 0
    printed = capsys.readouterr().out
    assert "live: nothing to do" in printed
    assert f"rollback: back to {host.old.id}" in printed
    Record.of(host.layout, host.new.id).mark_unsettled()
    host.type("plan")
    assert "live: it has still to be watched" in capsys.readouterr().out
    Record.of(host.layout, host.old.id).mark_rejected({"gate": "latency"})
    host.type("plan")
    assert "rollback: no earlier release is kept" in capsys.readouterr().out


def test_the_gate_looks_at_what_runs_and_rejects_nothing(host, serve_release, capsys):
    assert host.type("gate") == 0
    assert f"live: release {host.new.id} on blue passes every gate, 100 MB" in capsys.readouterr().out
    host.layout.socket("blue", host.new.id).unlink()
    serve_release(host.layout.socket("blue", host.new.id), host.new.id, b'{"prediction": {"p": 2}}')
    assert host.type("gate") == 1
    assert "golden examples: expected iris 1, example 0: p 1" in capsys.readouterr().err
    assert Record.of(host.layout, host.new.id).rejected is None
    assert host.containers()["modelhost-blue"] == "running"


def test_logs_and_history_and_status_are_words_or_json(host, capsys):
    assert host.type("logs") == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["modelhost-blue:", "  its last line"]
    assert host.type("status", "--json") == 0
    status = json.loads(capsys.readouterr().out)["status"]
    assert status["live"]["release"] == host.new.id
    assert status["live"]["replicas"][0]["workers"] == {"ready": 2, "all": 2}
    assert host.type("history") == 0
    assert capsys.readouterr().out == "no release yet\n"


@pytest.fixture
def full(folders) -> Iterator[Path]:
    """A disk of 4 MB."""
    disk, _ = folders
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_does_not_stop_a_rollback(full, folders, serve_release, capsys):
    host = Host(*folders)
    write_json(host.layout.settings, host.settings.__dict__ | {"url": ""})
    serve_release(host.layout.socket("green", host.old.id), host.old.id)
    reserve.keep(host.layout)
    fill = ["dd", "if=/dev/zero", f"of={full}/filler", "bs=1k"]
    assert "No space left" in subprocess.run(fill, capture_output=True, text=True, check=False).stderr
    assert free_disk_mb(full) == 0
    assert host.type("rollback") == 0, capsys.readouterr()
    assert host.live == f"green-{host.old.id}"
    assert Record.of(host.layout, host.new.id).last_live == 0, "what was left is known"


@pytest.fixture
def killed(host) -> Host:
    """One whose deployment was killed after its switch: not watched, and the colour before runs on."""
    Record.of(host.layout, host.new.id).mark_unsettled()
    host.engine("running", green="running")
    return host


def test_a_deployment_that_was_killed_after_its_switch_is_finished_there(killed, capsys):
    write_json(killed.layout.settings, killed.settings.__dict__ | {"url": ""})
    assert killed.type("finish") == 0
    printed = capsys.readouterr()
    steps = [line.partition(":")[0] for line in printed.err.splitlines()]
    assert list(dict.fromkeys(steps)) == ["plan", "shadow", "canary", "switch", "watch", "retire", "prune"]
    assert printed.out == f"release {killed.new.id} is live, and alone\n"
    assert killed.live == f"blue-{killed.new.id}"
    assert killed.containers() == {"modelhost-blue": "running", "modelhost-green": "exited"}
    assert Record.of(killed.layout, killed.new.id).settled
    assert [(line["release"], line["how"]) for line in read_lines(killed.layout.history, 9)] == [
        (killed.new.id, "live"), (killed.old.id, "retired"),
    ]  # fmt: skip
    assert not killed.layout.lock.exists()
    assert killed.type("finish") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert len(read_lines(killed.layout.history, 9)) == 2


@pytest.mark.parametrize("status", [200, 500])
def test_what_is_finished_is_watched_first_and_goes_back_where_it_fails(killed, serve, status, capsys):
    def answer(path: str, _: bytes) -> tuple[int, str, bytes]:
        return 200 if path == "/healthz" else status, killed.live.partition("-")[2], b"{}"

    wanted = {"url": serve(answer), "watch_seconds": 1, "switch_answers": 2}
    write_json(killed.layout.settings, killed.settings.__dict__ | wanted)
    assert killed.type("finish") == (0 if status == 200 else 1)
    live = killed.new if status == 200 else killed.old
    assert killed.live.endswith(live.id)
    assert Record.of(killed.layout, live.id).settled
    assert ("gate:     error rate" in capsys.readouterr().err) == (status == 500)
    assert sorted(killed.containers().values()) == ["exited", "running"]


@pytest.mark.parametrize("kept", [False, True])
def test_a_release_that_was_only_tried_is_stopped_and_the_live_one_is_left_alone(host, kept):
    (host.layout.releases / host.old.id / "passed.json").unlink()
    host.engine("running", green="running")
    write_json(host.layout.settings, host.settings.__dict__ | {"url": "", "keep_old_running": kept})
    assert host.type("finish", "--check") == 0
    assert host.containers()["modelhost-green"] == "running"
    assert host.type("finish") == 0
    assert host.live == f"blue-{host.new.id}"
    assert host.containers() == {"modelhost-blue": "running", "modelhost-green": "exited"}
    assert [line["how"] for line in read_lines(host.layout.history, 9)] == ["retired"]


def test_an_old_release_that_is_to_run_on_is_not_something_that_was_left(host, capsys):
    host.engine("running", green="running")
    write_json(host.layout.settings, host.settings.__dict__ | {"url": "", "keep_old_running": True})
    assert host.type("finish") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert host.containers() == {"modelhost-blue": "running", "modelhost-green": "running"}


def test_what_cannot_be_finished_is_said(host, capsys):
    owner = {"token": "t", "who": "ada@laptop", "machine": "elsewhere", "pid": 1, "what": "site.yml"}
    acquire(host.layout, owner)
    assert host.type("finish") == 3
    assert "`sudo modelhostctl unlock` on the host" in capsys.readouterr().err
    host.layout.lock.unlink()
    host.layout.socket("blue", host.new.id).unlink()
    assert host.type("finish") == 1
    assert "not as it should be" in capsys.readouterr().err
    host.layout.active.unlink()
    assert host.type("finish") == 1
    assert "nothing is live on this host" in capsys.readouterr().err


def record_of(host: Host, workers: int) -> Record:
    """A further release that was live once, and has no container."""
    one = release(settings={"workers": workers})
    record = Record.of(host.layout, one.id)
    record.write(one)
    record.mark_passed()
    return record


@pytest.mark.parametrize(("keep", "kept"), [(1, 0), (2, 0), (3, 1), (4, 2)])
def test_as_many_good_releases_are_kept_as_are_wanted(host, keep, kept):
    """Two are held by containers; the others go by when they were accepted, also where they were rolled back since."""
    older, newer = record_of(host, 11), record_of(host, 12)
    newer.mark_rolled_back()
    gone = {record.id for record in plan_removals(HostFolders(host.layout, Docker()), keep, set()).releases}
    assert gone == {one.id for one in [newer, older][kept:]}


def test_a_refused_release_takes_no_place_of_a_good_one(host):
    good = record_of(host, 11)
    Record.of(host.layout, host.old.id).mark_rejected({"gate": "latency"})
    assert plan_removals(HostFolders(host.layout, Docker()), 2, set()).releases == []
    Record.of(host.layout, host.old.id).forget_rejection()
    Record.of(host.layout, host.old.id).mark_passed()
    assert plan_removals(HostFolders(host.layout, Docker()), 2, set()).releases == [good]


def test_a_command_does_not_wait_for_a_run_that_refuses_it_anyway(host, capsys):
    owner = {"token": "t", "who": "ada@laptop", "machine": "elsewhere", "pid": 1, "what": "site.yml"}
    acquire(host.layout, owner)
    with step_lock(host.layout):
        for command in ("rollback", "finish"):
            assert host.type(command) == 3
            assert "ada@laptop is deploying" in capsys.readouterr().err


def test_a_machine_that_was_never_deployed_to_is_left_as_it_is(tmp_path, capsys):
    for command in ("rollback", "finish"):
        assert main([command, "--root", str(tmp_path / "none")]) == 1
        assert "nothing was ever deployed to this host" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
