"""What the docker role makes of an engine that is there, and of none, by distribution."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rendering import HOST, PROJECT, evaluate

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
