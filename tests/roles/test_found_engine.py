"""What the docker role makes of an engine that is there, and of none, by distribution."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from playing import play
from rendering import HOST, PROJECT, evaluate, load

NONE = HOST["docker_seen"]
CE = {
    "engine": "docker-ce",
    "version": "28.5.2",
    "compose": "2.40.3",
    "buildx": "v0.29.1",
    "containerd": "containerd.io",
}
IO = {"engine": "docker.io", "version": "28.2.2", "containerd": "containerd"}
RUNS = {"active": "yes", "enabled": "yes", "live_restore": "false", "swarm": "inactive", "containers": ""}
PLACES = {"trixie": ("debian", "trixie"), "bookworm": ("debian", "bookworm"), "noble": ("ubuntu", "noble")}
ALL_OF_DEBIAN = ["docker.io", "docker-cli", "docker-compose", "docker-buildx"]
ALL_OF_DOCKER = ["docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin"]


def encoded(settings: Any) -> str:
    text = settings if isinstance(settings, str) else json.dumps(settings)
    return base64.b64encode(text.encode()).decode()


def record(packages: str, settings: str, **given: Any) -> str:
    return encoded({"packages": packages, "settings": settings, "given": given})


def choice(seen: dict[str, str], release: str = "trixie", **variables: Any) -> dict[str, Any]:
    """What the role decides where this was seen."""
    distribution, codename = PLACES[release]
    host = {"codename": codename, "distribution": distribution, "version": "1", "architecture": "x86_64"}
    expression = "{{ __docker_choice | to_json }}"
    return json.loads(evaluate("docker", expression, docker_seen=NONE | seen, preflight_host=host, **variables))


@pytest.mark.parametrize(
    ("seen", "release", "source", "missing", "trusts"),
    [
        ({}, "trixie", "distribution", ALL_OF_DEBIAN, False),
        ({}, "bookworm", "upstream", ALL_OF_DOCKER, True),
        ({}, "noble", "upstream", ALL_OF_DOCKER, True),
        # Somebody has named it before: apt takes none twice.
        ({"repository": "/etc/apt/x.list"}, "noble", "upstream", ALL_OF_DOCKER, False),
        (CE | RUNS, "trixie", "upstream", [], False),
        (CE | RUNS | {"compose": ""}, "noble", "upstream", ["docker-compose-plugin"], True),
        (
            CE | RUNS | {"compose": "", "repository": "/etc/apt/x"},
            "noble",
            "upstream",
            ["docker-compose-plugin"],
            False,
        ),
        (IO | RUNS | {"buildx": "0.13.1"}, "trixie", "distribution", ["docker-compose"], False),
        (IO | RUNS, "noble", "distribution", ["docker-compose-v2", "docker-buildx"], False),
        (IO | RUNS | {"packages": "docker-buildx"}, "noble", "distribution", ["docker-compose-v2"], False),
    ],
)
def test_what_is_missing_comes_from_where_the_engine_is_from(seen, release, source, missing, trusts):
    found = choice(seen, release)
    assert (found["source"], found["missing"], found["trusts_upstream"]) == (source, missing, trusts)


@pytest.mark.parametrize("release", ["trixie", "noble"])
@pytest.mark.parametrize("engine", [IO, CE, {"engine": "moby-engine"}, {"engine": "unpackaged"}])
@pytest.mark.parametrize("settings", ["ours", "theirs"])
def test_an_owners_packages_stay_in_every_later_run(release, engine, settings):
    seen = engine | RUNS | {"compose": "2.40", "buildx": "0.29", "managed": "yes", "record": record("theirs", settings)}
    found = choice(seen, release)
    assert (found["missing"], found["trusts_upstream"], found["packages"]) == ([], False, "theirs")
    assert found["problems"] == []
    assert found["manages"] is (settings == "ours")


def test_of_ours_a_package_that_somebody_has_taken_away_comes_back():
    seen = IO | {"managed": "yes", "packages": "docker.io docker-cli docker-compose"}
    assert choice(seen)["missing"] == ["docker-buildx"]
    assert choice(seen | {"record": record("ours", "ours")})["missing"] == ["docker-buildx"]


@pytest.mark.parametrize(
    ("seen", "said", "manages"),
    [
        ({}, "auto", True),
        (CE | RUNS, "auto", True),
        (CE | RUNS, "keep", False),
        (CE | RUNS | {"containers": "shop"}, "auto", False),
        (CE | RUNS | {"swarm": "active"}, "auto", False),
        (CE | RUNS | {"settings": encoded({"debug": True})}, "auto", False),
        (CE | RUNS | {"flags": "-H fd:// --containerd=/run/containerd/containerd.sock"}, "auto", True),
        (CE | RUNS | {"flags": "-H fd:// --log-driver=journald"}, "auto", False),
        # One that cannot be asked may carry anything.
        (CE | RUNS | {"live_restore": ""}, "auto", False),
        (CE | RUNS | {"containers": "shop"}, "take_over", True),
        # What was decided stays.
        (CE | RUNS | {"record": record("theirs", "theirs")}, "auto", False),
        (CE | RUNS | {"record": record("theirs", "theirs")}, "take_over", True),
        (CE | RUNS | {"record": record("theirs", "ours"), "containers": "shop"}, "auto", True),
        (IO | {"managed": "yes"}, "keep", True),
    ],
)
def test_an_engine_that_something_stands_on_is_kept(seen, said, manages):
    found = choice(seen, docker_found_engine=said)
    assert found["manages"] is manages
    assert bool(found["words"]) is not manages


@pytest.mark.parametrize(
    ("flag", "name", "value"),
    [
        ("--insecure-registry=10.0.0.5:5000", "insecure-registries", ["x"]),
        ("--insecure-registry 10.0.0.5:5000", "insecure-registries", ["x"]),
        ("--registry-mirror=https://x", "registry-mirrors", ["x"]),
        ("--default-ulimit nofile=1:1", "default-ulimits", {}),
        ("--default-address-pool base=10.0.0.0/8,size=24", "default-address-pools", []),
        ("--storage-opt dm.x=1", "storage-opts", []),
        ("--exec-opt native.cgroupdriver=systemd", "exec-opts", []),
        ("--add-runtime x=/x", "runtimes", {}),
        ("--authorization-plugin x", "authorization-plugins", []),
        ("--dns-opt x", "dns-opts", []),
        ("-s overlay2", "storage-driver", "overlay2"),
        ("-l warn", "log-level", "warn"),
    ],
)
def test_what_an_engine_was_started_with_is_not_laid_into_its_file_too(flag, name, value):
    """It starts with no setting that it has in both places."""
    seen = CE | RUNS | {"flags": f"-H fd:// {flag}"}
    found = choice(seen, docker_found_engine="take_over", docker_daemon_options={name: value, "icc": False})
    assert found["settings"] == {"icc": False}


def test_an_engine_that_was_started_with_registries_without_tls_keeps_those():
    wanted = {
        "app_image_registry_plain_http": True,
        "app_image_source": "registry",
        "app_image_reference": f"10.0.0.5:5000/x@sha256:{'0' * 64}",
        "docker_found_engine": "take_over",
    }
    given = ["10.0.0.5:5000"]
    assert choice(CE | RUNS, **wanted)["settings"]["insecure-registries"] == given
    flags = {"flags": "-H fd:// --insecure-registry=10.0.0.6:5000"}
    assert "insecure-registries" not in choice(CE | RUNS | flags, **wanted)["settings"]


@pytest.mark.parametrize(
    ("seen", "variables", "where"),
    [
        (CE | RUNS | {"containers": "shop"}, {}, "insecure-registries of its /etc/docker/daemon.json"),
        ({}, {"docker_daemon_options": {"insecure-registries": ["a"]}}, "insecure-registries of docker_daemon_options"),
        (
            IO | RUNS | {"settings": encoded({"insecure-registries": ["a"]}), "record": record("ours", "ours")},
            {},
            "insecure-registries of its /etc/docker/daemon.json",
        ),
        (
            CE | RUNS | {"flags": "--insecure-registry=a"},
            {"docker_found_engine": "take_over"},
            "the flag --insecure-registry that it is started with",
        ),
    ],
)
def test_an_engine_that_is_not_given_a_registry_without_tls_is_said_to_name_it_elsewhere(seen, variables, where):
    wanted = {"app_image_registry_plain_http": True, "app_image_reference": f"10.0.0.5:5000/x@sha256:{'0' * 64}"}
    said = " ".join(choice(seen, **variables, **wanted)["words"])
    assert f"the engine asks registries without TLS by {where}, and is not given" in said
    assert "it has to be there that 10.0.0.5:5000 is named" in said
    assert "without TLS" not in " ".join(choice(seen, **variables)["words"])
    assert choice({}, **wanted)["words"] == []
    there = {"settings": encoded({"insecure-registries": ["a", "10.0.0.5:5000"]})}
    assert "without TLS" not in " ".join(choice(CE | RUNS | there, **wanted)["words"])


REGISTRY = ["registry.test:5001"]
PROXIES = {"outbound_http_proxy": "http://10.0.0.5:3128"}


(FORGETTING,) = load("docker", "tasks/forget_derived.yml")
FORGETS = FORGETTING["vars"]


def forgetting(name: str) -> dict[str, Any]:
    """The task by which an engine forgets what is derived, or a part of that."""
    (task,) = (task for task in FORGETTING["block"] if name in task["name"])
    return dict(task)


@pytest.mark.parametrize(
    ("given", "there", "left", "forgets"),
    [
        # Ours goes, an owner's stays, and of an owner's is nothing written.
        (
            {"icc": False, "insecure-registries": REGISTRY},
            {"icc": False, "insecure-registries": REGISTRY},
            {"icc": False},
            True,
        ),
        (
            {"insecure-registries": REGISTRY},
            {"insecure-registries": ["a"]},
            {"insecure-registries": ["a"]},
            True,
        ),
        (
            {"icc": False},
            {"icc": False, "insecure-registries": ["a"]},
            {"icc": False, "insecure-registries": ["a"]},
            False,
        ),
    ],
)
def test_destroying_takes_the_registries_without_tls_out_again(given, there, left, forgets):
    seen = IO | RUNS | {"settings": encoded(there), "record": record("ours", "ours", **given)}
    wanted = {
        "app_image_registry_plain_http": True,
        "app_image_reference": f"{REGISTRY[0]}/x@sha256:{'0' * 64}",
        "docker_daemon_options": {"icc": False},
    }
    found = choice(seen, **wanted, **FORGETS)
    assert found["settings"] == left
    assert found["has_derived"] is forgets
    assert choice({}, **FORGETS)["has_derived"] is False, "there may be no engine"


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_record_that_nobody_can_read_is_in_the_way_of_no_removal(text):
    found = choice(IO | RUNS | {"managed": "yes", "record": encoded(text)}, **FORGETS)
    assert found["has_derived"] is False


def test_destroying_gives_the_engine_none_of_todays_options():
    given = {"icc": False, "log-driver": "local", "proxies": {"http-proxy": "http://a:1"}}
    own = {"proxies": {"http-proxy": "http://own:1"}}
    seen = IO | RUNS | {"settings": encoded(given | {"debug": True}), "record": record("ours", "ours", **given)}
    found = choice(seen, docker_daemon_options={"icc": True, "live-restore": True}, **FORGETS, **PROXIES)
    assert found["settings"] == {"icc": False, "log-driver": "local", "debug": True}
    assert json.loads(found["record"])["given"] == {"icc": False, "log-driver": "local"}
    # What the inventory says of the engine itself stays with it.
    seen = IO | RUNS | {"settings": encoded(own), "record": record("ours", "ours", **own)}
    assert choice(seen, docker_daemon_options=own, **FORGETS)["settings"] == own


# An engine that was started with a proxy which it has not in its file any more, and the containers of somebody else.
@pytest.mark.parametrize(
    ("live_restore", "running", "ends"),
    [("true", "shop", []), ("false", "", []), ("false", "shop\ntill", ["shop", "till"])],
)
def test_destroying_does_not_restart_an_engine_whose_containers_would_end(tmp_path, live_restore, running, ends):
    program = tmp_path / "docker"
    lines = "\n".join(f"echo ends={name}" for name in running.split())
    program.write_text(f'#!/bin/sh\nif [ "$1" = info ]; then echo {live_restore}; exit; fi\n{lines}\n')
    program.chmod(0o755)
    ask = evaluate("docker", forgetting("Ask which of them")["ansible.builtin.raw"])
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    said = subprocess.check_output(["sh", "-c", ask], env=path, text=True).splitlines()
    there = {
        "docker_seen": {"active": "yes"},
        "docker_started": {"stdout_lines": ["started-with-others"]},
        "docker_ended": {"stdout_lines": said},
    }
    restarts, tells = (forgetting(name) for name in ("Have it run without", "Say what it still runs with"))
    assert evaluate("docker", "{{ " + restarts["when"] + " }}", **there) == str(not ends)
    assert evaluate("docker", "{{ " + tells["when"] + " }}", **there) == str(bool(ends))
    if ends:
        assert "that would end shop, till: it has" in evaluate("docker", tells["ansible.builtin.debug"]["msg"], **there)


def test_containers_learn_to_outlive_a_restart_before_there_is_one():
    """By the same step where an engine is set up and where it forgets."""
    for file in ("start.yml", "forget_derived.yml"):
        found = load("docker", f"tasks/{file}")
        steps = [str(task) for task in (found[0]["block"] if "block" in found[0] else found)]
        (first,) = (number for number, step in enumerate(steps) if "let_outlive.yml" in step)
        (restart,) = (number for number, step in enumerate(steps) if "'state': 'restarted'" in step)
        assert first < restart


def test_of_an_engine_that_does_not_run_the_copy_of_what_it_started_with_goes(tmp_path):
    """It has the password."""
    (tmp_path / "docker").write_text('{"proxies": {}}')
    (tmp_path / "daemon.json").write_text("{}")
    steps = [task for task in FORGETTING["block"] if "ansible.builtin.import_tasks" not in task]
    variables = str(PROJECT / "roles" / "docker" / "vars" / "main.yml")
    plays = [{"hosts": "all", "gather_facts": False, "vars_files": [variables], "tasks": steps}]
    given = {
        "__docker_started_with": str(tmp_path),
        "__docker_settings": {"docker": str(tmp_path / "daemon.json")},
        "docker_seen": {"active": "no"},
        "docker_settings": {"changed": False},
    }
    checked = play(tmp_path, yaml.safe_dump(plays), "--check", "-e", json.dumps(given))
    assert checked.code == 0, checked.out
    assert (tmp_path / "docker").exists()
    printed = play(tmp_path, yaml.safe_dump(plays), "-e", json.dumps(given))
    assert printed.code == 0, printed.out
    assert not (tmp_path / "docker").exists()


@pytest.mark.parametrize(
    ("file", "started_with", "restarts"),
    [
        ('{"icc": false}', '{"icc": false, "insecure-registries": ["x"]}', True),
        # Killed between the file and the restart.
        ("", '{"insecure-registries": ["x"]}', True),
        ('{"insecure-registries": ["x"]}', '{"insecure-registries": ["x"]}', False),
        ('{"proxies": {}}', '{"proxies": {}, "insecure-registries": ["x"]}', True),
        # What is in both is its owner's, and what else he has changed is not this one's business.
        ('{"icc": true, "proxies": {}}', '{"proxies": {}}', False),
        ('{"icc": true}', '{"icc": false}', False),
        ('{"icc": true}', None, False),
    ],
)
def test_an_engine_that_was_started_with_them_is_restarted_also_after_a_kill(tmp_path, file, started_with, restarts):
    command = forgetting("Ask whether it has started with them")["ansible.builtin.raw"]
    (tmp_path / "daemon.json").write_text(file)
    if started_with is not None:
        (tmp_path / "docker").write_text(started_with)
    places = {"__docker_started_with": str(tmp_path), "__docker_settings": {"docker": str(tmp_path / "daemon.json")}}
    said = subprocess.check_output(["sh", "-c", evaluate("docker", command, **places)], text=True)
    assert ("started-with-others" in said) is restarts


OURS = IO | {"managed": "yes", "active": "yes", "enabled": "yes"}


@pytest.mark.parametrize(
    "seen",
    [
        CE | RUNS | {"containers": "shop"},
        CE | RUNS,
        OURS,
        # That an earlier run has given ours.
        OURS | {"settings": encoded({"proxies": {"http-proxy": "http://10.0.0.5:3128"}}),
                "record": record("ours", "ours", proxies={"http-proxy": "http://10.0.0.5:3128"})},
    ],
)  # fmt: skip
def test_a_proxy_of_the_units_environment_is_not_overridden_and_the_run_says_so(seen):
    """The daemon's file would win over it."""
    there = seen | {"proxied": "HTTPS_PROXY HTTP_PROXY"}
    found = choice(there, docker_found_engine="take_over", **PROXIES)
    assert found["manages"]
    assert "proxies" not in found["settings"]
    words = "the engine pulls through the proxy of its unit's environment, and not of outbound_http_proxy"
    assert found["words"] == [words]
    assert "proxies" in choice(seen, docker_found_engine="take_over", **PROXIES)["settings"]
    # What the inventory says of the engine itself.
    own = {"docker_daemon_options": {"proxies": {"http-proxy": "http://other:1"}}}
    assert choice(there, docker_found_engine="take_over", **own, **PROXIES)["settings"] == own["docker_daemon_options"]


def test_an_engine_with_such_a_proxy_is_not_taken_over_unasked():
    assert choice(CE | RUNS)["manages"] is True
    assert choice(CE | RUNS | {"proxied": "HTTP_PROXY"})["manages"] is False


DROP_IN = """\
[Service]
Environment="HTTP_PROXY=http://user:s3cret@proxy:1" "NO_PROXY=a"
Environment='https_proxy='
"""
FAKES = {
    "dockerd": "exit 0",
    "dpkg-query": 'case "$*" in *--search*) echo "docker.io: x" ;; esac',
    "docker": "exit 1",
    "systemctl": 'case "$*" in *MainPID*) echo "$DAEMON" ;; *is-active*) [ -n "$DAEMON" ] ;; esac',
}


def seen_on(folder: Path, daemon: str) -> dict[str, str]:
    """What look.sh prints where the engine is that process."""
    for name, text in FAKES.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    script = (PROJECT / "roles" / "docker" / "files" / "look.sh").read_text().replace("/etc/", f"{folder}/etc/")
    environment = {"PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin", "DAEMON": daemon}
    command = ["sh", "-c", script, "sh", "https://mirror.example.org/docker", "docker.io"]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "s3cret" not in printed
    return dict(line.split("=", 1) for line in printed.splitlines())


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_the_names_of_proxies_in_the_daemons_environment_are_seen_whosever_it_is(tmp_path, whose):
    (tmp_path / "etc" / "docker").mkdir(parents=True)
    (tmp_path / "etc" / "docker" / "modelhost.json").write_text(f'{{"packages": "{whose}"}}')
    proxies = {"Http_Proxy": "http://user:s3cret@proxy:1", "HTTPS_PROXY": "x", "no_proxy": "a", "MY_HTTP_PROXY": "x"}
    with subprocess.Popen(["sleep", "60"], env=proxies | {"PATH": "/usr/bin:/bin"}) as daemon:
        try:
            found = seen_on(tmp_path, str(daemon.pid))
        finally:
            daemon.kill()
    assert sorted(found["proxied"].split()) == ["HTTPS_PROXY", "Http_Proxy"]
    assert found["flags"].strip() == "60"
    assert seen_on(tmp_path, "")["proxied"] == ""


def test_so_are_those_of_a_unit_that_does_not_run(tmp_path):
    folder = tmp_path / "etc" / "systemd" / "system" / "docker.service.d"
    folder.mkdir(parents=True)
    (folder / "proxy.conf").write_text(DROP_IN)
    assert seen_on(tmp_path, "")["proxied"] == "HTTP_PROXY"


def test_the_settings_of_containerd_are_written_where_there_was_none():
    for seen, manages in [({}, True), (CE | RUNS, False), (CE | {"containerd_managed": "yes"}, True)]:
        assert choice(seen)["manages_containerd"] is manages


@pytest.mark.parametrize(
    ("seen", "settings"),
    [
        ({"containers": "shop"}, {"live-restore": True}),
        ({"containers": "shop", "settings": encoded({"a": 1})}, {"a": 1, "live-restore": True}),
        ({"containers": "shop", "settings": encoded({"live-restore": False})}, {"live-restore": False}),
        # An engine starts with none in the file that is a flag too.
        ({"containers": "shop", "live_restore": "true", "flags": "--live-restore"}, {}),
        ({"containers": "shop", "flags": "--live-restore=false"}, {}),
        # Nor with both.
        ({"swarm": "active"}, {}),
        ({"swarm": "pending", "settings": encoded({"a": 1})}, {"a": 1}),
        # Given by an earlier run.
        (
            {
                "live_restore": "true",
                "containers": "shop",
                "settings": encoded({"live-restore": True}),
                "record": record("theirs", "theirs", **{"live-restore": True}),
            },
            {"live-restore": True},
        ),
    ],
)
def test_an_engine_that_is_kept_is_given_live_restore_and_nothing_else(seen, settings):
    assert choice(CE | RUNS | seen)["settings"] == settings


@pytest.mark.parametrize(
    ("file", "given", "options", "wanted"),
    [
        ('{"b": 2}', {}, {"a": 1}, {"a": 1, "b": 2}),
        ('{"a": 0, "b": 2}', {}, {"a": 1}, {"a": 1, "b": 2}),
        # Given before, and not any more.
        ('{"a": 1, "b": 2}', {"a": 1}, {}, {"b": 2}),
        # The owner has changed since what was given.
        ('{"a": 3, "b": 2}', {"a": 1}, {}, {"a": 3, "b": 2}),
        ('{"a": 3}', {"a": 1}, {"a": 1}, {"a": 1}),
        ('{"a": {"x": 1}}', {"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"y": 2}}),
    ],
)
def test_what_was_given_goes_and_the_owners_stay(file, given, options, wanted):
    seen = IO | RUNS | {"settings": encoded(file), "record": record("ours", "ours", **given)}
    found = choice(seen, docker_daemon_options=options)
    assert found["settings"] == wanted
    assert json.loads(found["text"]) == wanted if found["text"] else json.loads(file) == wanted


@pytest.mark.parametrize("missing", [True, False])
def test_a_file_that_has_all_is_left_as_its_owner_has_written_it(missing):
    """A missing one is written, also where nothing is in it: the daemons are compared with it."""
    seen = IO | RUNS | {"record": record("ours", "ours"), "settings": "" if missing else encoded('{"b":2,\n"a":1}')}
    assert choice(seen, docker_daemon_options={} if missing else {"a": 1})["text"] == ("{}\n" if missing else "")


def test_a_run_that_ended_between_record_and_file_takes_back_what_was_given():
    first = choice(
        IO | RUNS | {"settings": encoded({"a": 1}), "record": record("ours", "ours", a=1)},
        docker_daemon_options={"b": 2},
    )
    again = choice(
        IO | RUNS | {"settings": encoded({"a": 1}), "record": encoded(first["record_before"])},
        docker_daemon_options={"b": 2},
    )
    assert again["settings"] == {"b": 2}


def test_of_what_an_earlier_version_wrote_without_a_record_only_its_own_goes():
    settings = {"userland-proxy": True, "data-root": "/x", "log-driver": "local"}
    found = choice(IO | {"managed": "yes", "settings": encoded(settings)}, docker_daemon_options={"icc": False})
    assert found["settings"] == {"data-root": "/x", "icc": False}


@pytest.mark.parametrize(
    ("seen", "variables", "said"),
    [
        ({"engine": "snap"}, {}, "snap remove docker"),
        ({"engine": "podman-docker"}, {}, "apt-get remove podman-docker"),
        ({"containerd": "containerd.io"}, {}, "for something else than Docker, such as Kubernetes"),
        (CE | RUNS | {"settings": encoded("{")}, {}, "that is not a JSON object"),
        (CE | RUNS | {"settings": encoded("[]")}, {}, "that is not a JSON object"),
        (CE | RUNS | {"settings": encoded("[" * 100_000)}, {}, "that is not a JSON object"),
        (CE | RUNS | {"settings_link": "yes"}, {}, "symbolic link"),
        (CE | RUNS, {"docker_engine_source": "distribution"}, "would replace it"),
        (IO | {"managed": "yes"}, {"docker_engine_source": "upstream"}, "would replace it"),
        (CE, {}, "does not run"),
        (CE | RUNS | {"version": "24.0.7"}, {}, "25.0 is the oldest that works"),
        (CE | RUNS | {"compose": "v2.18.1"}, {}, "2.24 is the oldest that works"),
        (CE | RUNS | {"engine": "unpackaged", "compose": ""}, {}, "neither the distribution nor Docker (unpackaged)"),
        (CE | RUNS | {"settings": encoded({"userns-remap": "default"})}, {}, "userns-remap"),
        (CE | RUNS | {"flags": "--userns-remap=default"}, {}, "userns-remap"),
        (CE | RUNS | {"swarm": "active"}, {"docker_found_engine": "take_over"}, "docker_found_engine: keep"),
    ],
)
def test_what_cannot_serve_is_refused(seen, variables, said):
    assert said in "\n".join(choice(seen, **variables)["problems"])


@pytest.mark.parametrize(
    "seen",
    [
        {},
        CE | RUNS,
        IO | RUNS,
        CE | RUNS | {"swarm": "active"},
        {"containerd": "containerd", "containerd_managed": "yes"},
    ],
)
def test_what_can_is_not(seen):
    assert choice(seen)["problems"] == []


@pytest.mark.parametrize(
    ("options", "theirs", "shown"),
    [
        ({"icc": False, "log-opts": {"max-size": "10m"}}, {}, True),
        ({"proxies": {"http-proxy": "http://user:password@proxy"}}, {}, False),
        ({"log-opts": {"splunk-token": "x"}}, {}, False),
        ({"icc": False}, {"log-opts": {"splunk-token": "x"}}, False),
    ],
)
def test_settings_are_shown_only_where_none_may_be_a_secret(options, theirs, shown):
    seen = IO | RUNS | {"settings": encoded(theirs), "record": record("ours", "ours")}
    assert choice(seen, docker_daemon_options=options)["may_be_shown"] is shown


@pytest.mark.parametrize(
    ("said", "ports"),
    [
        ("shop 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp", "8080/tcp/shop"),
        ("dns 0.0.0.0:53->53/udp, 0.0.0.0:53->53/tcp", "53/tcp/dns 53/udp/dns"),
        ("own 127.0.0.1:9000->80/tcp, [::1]:9000->80/tcp", ""),
        ("own ::1:9000->80/tcp", ""),
        ("many 0.0.0.0:8000-8002->8000-8002/tcp", "8000/tcp/many 8001/tcp/many 8002/tcp/many"),
        ("inside 80/tcp", ""),
        ("web *:8443->443/tcp", "8443/tcp/web"),
    ],
)
def test_ports_that_others_reach_are_read_from_the_engines_words(said, ports):
    script = (PROJECT / "roles" / "docker" / "files" / "look.sh").read_text()
    functions = (
        script[script.index("list() {") : script.index("when() {")]
        + script[script.index("ports() {") : script.index("# Of an engine that somebody else")]
    )
    run = subprocess.run(
        ["sh", "-c", f'{functions}\necho "$SAID" | ports'],
        env={"SAID": said, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == ports
