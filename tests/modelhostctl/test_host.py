"""What is read of the machine: the engine's containers, the kernel's figures, who holds a lock, what was typed."""

import contextlib
import getpass
import json
import os
import re
import socket
import stat
import time
from pathlib import Path

import pytest
from release_host import inspected

from modelhostctl.cli import main
from modelhostctl.errors import StepError, UsageError
from modelhostctl.host import resources
from modelhostctl.host.docker import Docker
from modelhostctl.host.layout import Layout
from modelhostctl.options import Option, convert, read_options
from modelhostctl.store import reserve
from modelhostctl.store.atomic_files import read_json, write, write_json
from modelhostctl.store.lock import STALE_AFTER_SECONDS, HeldError, acquire, is_step_running, stale, step_lock
from modelhostctl.store.lock_owner import describe, has_ended, is_here, user
from modelhostctl.store.settings import Settings


def test_all_that_the_engine_knows_of_a_container_is_read(machine):
    found = inspected("green-2", "r1", "exited")
    found["State"] |= {"ExitCode": 137, "OOMKilled": True, "Health": {"Status": "unhealthy"}}
    found["RestartCount"] = 2
    bare = inspected("blue", "r2")
    bare["Config"]["Labels"] = None
    del bare["State"]["Health"]
    machine.file("").write_text(json.dumps([found, bare]))
    blue, green = Docker().containers()
    assert vars(green) == {
        "colour": "green", "number": 2, "id": "id-of-green-2", "release": "r1", "image": "modelhost-app:a",
        "status": "exited", "health": "unhealthy", "pid": 0, "restarts": 2, "exit_code": 137, "killed_for_memory": True,
        "started": "2025-01-31T12:00:00Z", "memory_limit_mb": 512,
    }  # fmt: skip
    assert (green.name, green.up) == ("modelhost-green-2", False)
    assert (blue.number, blue.release, blue.health, blue.name, blue.up) == (1, "", "none", "modelhost-blue", True)
    asked = machine.file("log").read_text().splitlines()[-1].split()
    names = ["modelhost-blue", "modelhost-blue-2", "modelhost-green", "modelhost-green-2"]
    assert asked == ["inspect", "--type", "container", *names]


@pytest.mark.parametrize(("status", "up"), [("running", True), ("restarting", True), ("paused", True), ("dead", False)])
def test_a_container_is_up_where_it_runs_or_is_about_to(machine, status, up):
    machine.change("modelhost-blue", Status=status)
    assert Docker().containers()[0].up is up


def test_no_container_is_no_error(machine):
    machine.file("fails").write_text("inspect")
    assert Docker().containers() == []
    machine.file("fails").write_text("logs")
    assert Docker().logs("modelhost-blue", 3) == ["the engine is broken"], "as the engine says where there is none"
    assert Docker().proxy_log(0) == []
    machine.file("fails").write_text("builder")
    assert Docker().forget_builds(everything=True) is False


def test_the_engine_is_asked_for_what_nginx_has_logged_since(machine):
    machine.log("proxy", "one\ntwo")
    assert Docker().proxy_log(1234.5678)[:2] == ["one", "two"]
    assert machine.file("log").read_text().splitlines()[-1].strip() == "logs --since 1234.568 modelhost-proxy"


def test_containers_and_images_are_those_of_modelhost_stopped_ones_too(machine):
    found = [inspected("green", "r1", "exited"), inspected("blue", "r2")]
    other = inspected("x", "r3") | {"Name": "/another"}
    other["Config"]["Image"] = "another:1"
    found[0]["Config"]["Image"] = "modelhost-app:b"
    machine.file("").write_text(json.dumps([*found, other]))
    assert Docker().names() == ["modelhost-blue", "modelhost-green"]
    assert Docker().images_in_use() == {"modelhost-app:a", "modelhost-app:b", "another:1"}
    machine.file("images").write_text('["modelhost-app:a", "modelhost-proxy:b"]')
    assert Docker().images("modelhost-app") == ["modelhost-app:a"]
    Docker().remove_image("modelhost-app:a")
    assert Docker().images("modelhost") == ["modelhost-proxy:b"]


@pytest.mark.parametrize(("freed", "any_was"), [("0B", False), ("12.5MB", True)])
def test_whether_building_had_left_anything_is_what_the_engine_says(machine, freed, any_was):
    machine.file("freed").write_text(freed)
    assert Docker().forget_builds(everything=False) is any_was


def test_a_command_that_takes_too_long_is_an_error_that_names_it(machine):
    program = machine.bin / "docker"
    program.write_text("#!/bin/sh\nexec sleep 30\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(StepError, match=r"`docker ps` did not end well: .* timed out after 0.2 seconds"):
        Docker()._run(["docker", "ps"], timeout=0.2)


def test_free_disk_is_that_of_the_fullest_file_system_or_of_the_parent_of_what_is_not_there(tmp_path):
    def free(folder: Path) -> int:
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize // (1024 * 1024)

    missing = tmp_path / "not" / "there"
    assert abs(resources.free_disk_mb(missing) - free(tmp_path)) < 200
    assert resources.free_disk_mb(tmp_path, Path("/proc")) == free(Path("/proc")) == 0


def test_available_memory_is_what_the_kernel_says():
    said = re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())
    assert resources.available_memory_mb() == pytest.approx(int(said[1]) / 1024, rel=0.2)


def test_connections_are_those_that_are_open_on_this_socket(tmp_path):
    name = str(tmp_path / "server.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        assert resources.connections(name) == 0, "one that listens is not connected"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(name)
            accepted, _ = server.accept()
            assert resources.connections(name) == 1
            assert resources.connections(name[1:]) == 0
            assert resources.connections(name.replace(".", "x")) == 0
            accepted.close()


def test_connections_to_sockets_with_a_number_behind_the_name_are_counted(tmp_path):
    name = str(tmp_path / "grpc.sock")
    with contextlib.ExitStack() as opened:
        for ending in (".0", ".12", ".new", "-2.0"):
            server, client = (opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
            server.bind(name + ending)
            server.listen()
            client.connect(name + ending)
            opened.enter_context(server.accept()[0])
        assert resources.connections(name) == 2


def test_used_memory_is_that_of_the_processs_group_without_what_may_be_forgotten():
    group, unified = resources.memory_group(os.getpid())
    if not (group / "memory.stat").is_file():
        pytest.skip("this process is in no group that accounts memory")
    name = "memory.current" if unified else "memory.usage_in_bytes"
    lines = (line.split() for line in (group / "memory.stat").read_text().splitlines())
    cached = int(dict(lines)["inactive_file" if unified else "total_inactive_file"])
    expected = (int((group / name).read_text()) - cached) / 2**20
    assert resources.used_memory_mb(os.getpid()) == pytest.approx(expected, abs=max(100, expected / 4))
    assert resources.killed_for_memory(os.getpid()) >= 0


KERNELS = {
    "v2": ("0::/system.slice/docker-1.scope\n", "system.slice/docker-1.scope", {
        "memory.current": "209715200\n", "memory.stat": "anon 5\ninactive_file 104857600\n",
        "memory.events": "low 0\noom 2\noom_kill 3\n",
    }),
    "v1": ("5:cpu,cpuacct:/c\n4:hugetlb,memory:/docker/1\n0::/other\n", "memory/docker/1", {
        "memory.usage_in_bytes": "209715200\n", "memory.stat": "inactive_file 1\ntotal_inactive_file 104857600\n",
        "memory.oom_control": "oom_kill_disable 0\noom_kill 3\n",
    }),
}  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS)
def test_memory_is_read_as_either_kind_of_kernel_writes_it(tmp_path, monkeypatch, kernel):
    said, group, files = KERNELS[kernel]
    monkeypatch.setattr(resources, "PROC", tmp_path / "proc")
    monkeypatch.setattr(resources, "CGROUPS", tmp_path / "cgroups")
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "cgroup").write_text(said)
    (tmp_path / "cgroups" / group).mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / "cgroups" / group / name).write_text(text)
    assert resources.memory_group(7) == (tmp_path / "cgroups" / group, kernel == "v2")
    assert resources.used_memory_mb(7) == 100
    assert resources.killed_for_memory(7) == 3
    stat = tmp_path / "cgroups" / group / "memory.stat"
    stat.write_text(stat.read_text().replace("104857600", "1048576000"))
    assert resources.used_memory_mb(7) == 0
    with pytest.raises(FileNotFoundError):
        resources.used_memory_mb(8)


def test_memory_that_the_kernel_does_not_tell_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "PROC", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 4096 kB\nMemAvailable:   3072 kB\n")
    assert resources.available_memory_mb() == 3
    (tmp_path / "meminfo").write_text("MemTotal: 4096 kB\n")
    with pytest.raises(OSError, match="meminfo has no MemAvailable"):
        resources.available_memory_mb()


def test_files_that_are_replaced_have_their_mode_and_folders(tmp_path):
    os.umask(0o022)
    file = tmp_path / "a" / "b" / "file"
    assert write(file, "x", 0o640) is True
    assert file.stat().st_mode & 0o777 == 0o640
    assert write(tmp_path / "plain", "x")
    assert (tmp_path / "plain").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
    (tmp_path / "a" / ".file.unfinished").write_text("left by a kill, and longer than what is written now")
    assert write(file, "y")
    assert file.read_text() == "y"
    write_json(file, {"b": 1, "a": [2]})
    assert file.read_text() == '{\n  "a": [\n    2\n  ],\n  "b": 1\n}\n'


def test_a_reserve_is_kept_once_and_spent(tmp_path):
    layout = Layout(tmp_path)
    reserve.keep(layout)
    assert layout.reserve.stat().st_size == 1024 * 1024
    inode = layout.reserve.stat().st_ino
    reserve.keep(layout)
    assert layout.reserve.stat().st_ino == inode
    reserve.spend(layout)
    assert not layout.reserve.exists()
    reserve.spend(layout)  # of a host that has none


def owner(**more: object) -> dict:
    return {"token": "ada", "who": "ada@laptop", "pid": 42, "what": "site.yml"} | more


def test_a_lock_says_who_holds_it_since_when_and_when_it_is_taken_over(tmp_path):
    layout = Layout(tmp_path)
    acquire(layout, owner())
    write_json(layout.lock, read_json(layout.lock) | {"since": 3600.0, "touched": time.time() - 61})
    with pytest.raises(HeldError) as held:
        acquire(layout, owner(token="bob"))
    assert str(held.value) == (
        "ada@laptop is deploying to this host since 01:00:00 UTC (site.yml, process 42; its last step began 61 s ago). "
        "Wait until that has ended. If it was killed on another machine, take the lock away with `sudo "
        "modelhostctl unlock` on the host; 30 minutes after its last step that is done without a question."
    )
    assert not stale({"touched": time.time() - STALE_AFTER_SECONDS + 5})
    assert stale({"touched": time.time() - STALE_AFTER_SECONDS - 1})


def test_whether_a_step_runs_is_seen(tmp_path):
    layout = Layout(tmp_path / "new" / "root")
    assert not is_step_running(layout)
    with step_lock(layout):
        assert is_step_running(layout)
        assert layout.step_lock.stat().st_mode & 0o777 == 0o600
    assert not is_step_running(layout)


def test_who_types_is_whoever_was_logged_in(monkeypatch):
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert user() == getpass.getuser()
    monkeypatch.setenv("SUDO_USER", "ada")
    assert user() == "ada"
    assert describe(os.getpid())["who"] == f"ada@{socket.gethostname()}"


def test_an_owner_is_told_from_every_other_process():
    mine = describe(os.getpid(), "ada@laptop")
    assert (mine["who"], mine["machine"], mine["pid"]) == ("ada@laptop", socket.gethostname(), os.getpid())
    assert mine["begun"] == Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    assert mine["boot"].startswith(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    assert mine["token"] == f"{mine['machine']}:{mine['boot']}:{mine['pid']}:{mine['begun']}"
    assert is_here(mine)
    assert not has_ended(mine)
    assert not is_here(mine | {"machine_id": "another of this name"})
    assert not has_ended(mine | {"machine_id": "another of this name", "begun": "0"})
    assert is_here({name: value for name, value in mine.items() if name != "machine_id"}), "an older tool wrote none"
    assert describe(2**22 + 1)["begun"] == ""


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        ("true", "bool", True), ("False", "bool", False),
        ("yes", "bool", True), ("ON", "bool", True), ("1", "bool", True), ("no", "bool", False), ("off", "bool", False),
        ("0", "bool", False), (1, "bool", True), ("7", "int", 7), (7.0, "int", 7), ("1.5", "float", 1.5),
        (2, "float", 2.0), (5, "str", "5"), (["a"], "list", ["a"]), ({"a": 1}, "dict", {"a": 1}), ("x", "str", "x"),
    ],
)  # fmt: skip
def test_a_value_becomes_what_its_option_is(value, kind, found):
    converted = convert("name", value, kind)
    assert (converted, type(converted)) == (found, type(found))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("maybe", "bool"), (2, "bool"), ("x", "int"), (1.5, "int"), (True, "int"), (True, "str"), (None, "float"),
        ("a", "list"), ([], "dict"), (float("inf"), "int"), ([1], "str"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_named(value, kind):
    with pytest.raises(UsageError, match=re.escape(f"name is {value!r}, and has to be of the kind {kind}")):
        convert("name", value, kind)


def test_options_are_known_required_or_have_a_default():
    options = [Option("a", "what a is", required=True), Option("b", "", "int", 3)]
    assert read_options(options, {"a": "x", "b": None}) == {"a": "x", "b": 3}
    with pytest.raises(UsageError, match="there is no option c, d; there are: a, b"):
        read_options(options, {"a": "x", "d": 1, "c": 2})
    with pytest.raises(UsageError, match="there is no option c; there are: none"):
        read_options([], {"c": 1})
    with pytest.raises(UsageError, match="the option a is missing: what a is"):
        read_options(options, {"b": 1})


def test_settings_are_read_where_a_deployment_left_them_and_unknown_ones_are_left_out(tmp_path):
    layout = Layout(tmp_path)
    assert Settings.read(layout) == Settings()
    write_json(layout.settings, {"watch_seconds": "7", "of_another_version": 1, "shadow": True})
    assert Settings.read(layout) == Settings(watch_seconds=7, shadow=True)
    assert Settings.read(layout).trials == ["answers in shadow for 60 s"]
    both = Settings(shadow=True, shadow_seconds=5, canary_percent=10, canary_seconds=6)
    assert both.trials == ["answers in shadow for 5 s", "canary: 10 % of the requests for 6 s"]


def test_a_host_that_an_older_version_has_deployed_to_has_the_roles_defaults():
    assert vars(Settings()) == {
        "url": "", "app_uid": 10001, "proxy_gid": 10002, "start_seconds": 120, "answer_seconds": 32,
        "drain_seconds": 42, "stop_seconds": 45, "switch_answers": 20, "watch_seconds": 10,
        "errors_percent": 1.0, "latency_ms": 1000, "canary_percent": 0, "canary_seconds": 60, "shadow": False,
        "shadow_seconds": 60, "keep_releases": 3,
        "keep_old_running": False, "memory_reserve_mb": 64, "allow_stop_first": False, "schema_changes": "refuse",
    }  # fmt: skip


def test_everything_of_a_deployment_has_its_place():
    layout = Layout(Path("/r"))
    names = (
        "releases",
        "bundles",
        "run",
        "active",
        "canary",
        "shadow",
        "history",
        "lock",
        "step_lock",
        "settings",
        "reserve",
    )
    assert {name: str(getattr(layout, name)) for name in names} == {
        "releases": "/r/releases", "bundles": "/r/bundles", "run": "/r/run", "active": "/r/run/active",
        "canary": "/r/run/canary", "shadow": "/r/run/shadow", "history": "/r/history.jsonl", "lock": "/r/lock.json",
        "step_lock": "/r/.step-lock", "settings": "/r/settings.json", "reserve": "/r/.reserve",
    }  # fmt: skip
    assert [str(layout.socket("blue", "abc", number)) for number in (1, 2)] == [
        "/r/run/blue-abc/server.sock", "/r/run/blue-abc/server-2.sock",
    ]  # fmt: skip
    assert str(Layout().root) == "/srv/modelhost"


def test_a_root_that_is_not_the_machines_needs_no_roots_rights(machine, capsys):
    assert machine.type("history") == 0
    assert capsys.readouterr().out == "no release yet\n"


def test_options_may_be_typed_one_by_one(machine, capsys, token):
    machine.file("images").write_text('["modelhost-app:one", "modelhost-app:two", "modelhost-app:three"]')
    words = ["--lock", token, "--wanted", "modelhost-app:one", "modelhost-app:two", "--json"]
    assert machine.type("prune", *words) == 0
    assert "image modelhost-app:three" in json.loads(capsys.readouterr().out)["removed"]
    assert machine.type("status", "--history-lines", "0") == 0
    assert "live: release" in capsys.readouterr().out
    machine.file("images").write_text(json.dumps([machine.old.image]))
    assert machine.type("rollback", machine.old.id, "--allow-stop-first", "--who", "ada", "--check", "--json") == 0
    assert json.loads(capsys.readouterr().out)["release"] == machine.old.id
    content = json.dumps(machine.content(machine.old))
    assert machine.type("plan", "--content", content, "--json") == 0
    assert json.loads(capsys.readouterr().out)["release"] == machine.old.id
    with pytest.raises(SystemExit) as ended:
        machine.type("plan", "--content", "{")
    assert ended.value.code == 2
    assert "not JSON" in capsys.readouterr().err


@pytest.fixture
def token(machine) -> str:
    return machine.lock()


def test_what_was_done_is_printed_as_words_or_json_and_what_went_wrong_to_the_other_stream(machine, capsys):
    assert machine.type("prune", "--lock", machine.lock()) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"changed": False, "removed": []}
    assert machine.type("prune", "--lock", "another") == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("modelhostctl: this run does not hold the lock")
    assert printed.out == ""
    assert machine.type("prune", "--lock", "another", "--json") == 1
    assert json.loads(capsys.readouterr().out)["failed"] is True
    assert machine.type("switch", "--release", "x") == 2
    assert main(["history", "--root", str(machine.layout.root), "--lines", "x", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["usage"] is True


def test_options_are_read_from_the_standard_input_or_a_file(machine, capsys, monkeypatch, tmp_path):
    file = tmp_path / "options"
    file.write_text('{"lines": 1}')
    assert machine.type("logs", "--options", str(file)) == 0
    assert "logs --tail 1 modelhost-blue" in machine.file("log").read_text()
    assert json.loads(capsys.readouterr().out)["lines"], "what a play asks is answered in JSON"
    with file.open() as given:
        monkeypatch.setattr("sys.stdin", given)
        assert machine.type("logs", "--options", "-") == 0
    assert machine.type("logs", "--options", str(tmp_path / "none")) == 2
