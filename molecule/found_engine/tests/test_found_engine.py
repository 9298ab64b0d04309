"""An engine that was here before keeps its packages, settings and containers, until its owner says otherwise."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import vm
from deploying import NAME, changes, on_host, play, words

BOOTSTRAP = "molecule/found_engine/converge.yml"
SETTINGS = "/etc/docker/daemon.json"
OWNERS = {
    "registry-mirrors": ["https://mirror.example.com"],
    "labels": ["owner=shop"],
    "data-root": "/var/lib/docker/own",
    "icc": True,
}
SHOP = "docker inspect --format '{{.State.Pid}} {{.State.StartedAt}}' shop"


def deploy(*options: str, **variables: object) -> subprocess.CompletedProcess[str]:
    return play(BOOTSTRAP, "--tags", "docker", *options, **variables)


def settings() -> dict[str, Any]:
    return json.loads(on_host(f"cat {SETTINGS}"))


def info() -> dict[str, Any]:
    return json.loads(on_host("docker info --format '{{json .}}'"))


def engine() -> str:
    return on_host("systemctl show --property MainPID docker").strip()


def shop() -> str:
    """The container's process, and since when it runs."""
    return on_host(SHOP).strip()


@contextmanager
def other_settings(text: str) -> Iterator[None]:
    """The file as its owner has changed it by hand, without a restart of the engine."""
    on_host(f"cp --preserve {SETTINGS} /root/kept && cat > {SETTINGS} <<'EOF'\n{text}\nEOF")
    try:
        yield
    finally:
        on_host(f"cp --preserve /root/kept {SETTINGS}")


def test_neither_the_engine_nor_the_container_was_restarted():
    assert on_host("cat /root/shop").split("\n")[:2] == [engine(), shop()]


def test_its_settings_stay_but_for_one_that_takes_no_restart():
    assert settings() == OWNERS | {"live-restore": True}
    assert on_host(f"stat --format %a {SETTINGS}").strip() == "600"
    assert info()["LiveRestoreEnabled"] is True
    units = "/etc/systemd/system/docker.service.d /etc/systemd/system/containerd.service.d"
    assert on_host(f"ls -d {units} 2>/dev/null || true") == ""
    # The package brings one of its own.
    assert "Docker does not use it" not in on_host("cat /etc/containerd/config.toml")


def test_it_has_what_it_lacked():
    assert on_host("docker compose version --short")
    assert on_host("docker buildx version")


def test_the_container_is_reached_as_before():
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = vm.run("docker", "inspect", "--format", form, f"modelhost-{NAME}").strip()
    with socket.create_connection((address, 8080), 3):
        pass
    # What nobody has named is closed, published or not.
    server = "/usr/bin/python3 -m http.server 80"
    on_host(f"docker run --detach --name hidden --publish 8090:80 --volume /usr:/usr:ro shop {server}")
    answers = "import socket; socket.create_connection(('127.0.0.1', 8090))"
    on_host(f'until python3 -c "{answers}" 2>/dev/null; do sleep 0.2; done')
    try:
        with pytest.raises(ConnectionRefusedError), socket.create_connection((address, 8090), 3):
            pass
    finally:
        on_host("docker rm --force hidden")


def test_a_restart_of_the_engine_ends_no_container_any_more():
    before = shop()
    on_host("systemctl restart docker && systemctl reset-failed docker")
    assert shop() == before


def test_a_run_says_whose_engine_it_is_and_changes_nothing():
    run = deploy()
    assert changes(run.stdout) == 0
    assert "the engine was here before (docker.io" in words(run)
    assert "and carries shop: its packages and settings stay as they are, live-restore apart" in words(run)


def test_what_its_owner_changes_later_stays():
    theirs = OWNERS | {"live-restore": True, "max-concurrent-downloads": 2}
    with other_settings(json.dumps(theirs)):
        assert changes(deploy().stdout) == 0
        assert settings() == theirs


def test_a_restart_without_live_restore_is_foretold():
    with other_settings(json.dumps(OWNERS | {"live-restore": False})):
        assert "its owner has switched live-restore off" in words(deploy("--check"))


@pytest.mark.parametrize("text", ["{", "[]", '"text"'])
def test_settings_that_nobody_can_read_are_refused_before_anything_is_touched(text):
    with other_settings(text):
        run = deploy()
        assert run.returncode != 0
        assert f"{NAME}: has an /etc/docker/daemon.json that is not a JSON object" in words(run)
        assert "mirror.example.com" not in deploy("-vvv").stdout
        assert "changed=0" in run.stdout


def test_no_other_engine_takes_its_place():
    run = deploy(docker_engine_source="upstream")
    assert run.returncode != 0
    assert "has the engine of the package docker.io, and docker_engine_source: upstream would replace it" in words(run)
    assert "changed=0" in run.stdout


# From here on it is taken over.
def test_a_check_tells_that_it_would_be_taken_over_and_does_nothing():
    before = settings(), engine()
    run = deploy("--check", "--diff", docker_found_engine="take_over")
    assert run.returncode == 0, run.stdout
    assert changes(run.stdout) > 0
    # What the owner has set may be a password.
    assert "mirror.example.com" not in run.stdout
    assert (settings(), engine()) == before


def test_taken_over_it_has_both_settings_and_the_container_goes_on():
    before, old = shop(), engine()
    on_host("systemctl reset-failed docker")
    run = deploy(docker_found_engine="take_over")
    assert run.returncode == 0, run.stdout
    assert engine() != old
    assert shop() == before
    found = settings()
    assert {name: found[name] for name in ("registry-mirrors", "labels", "data-root")} == {
        name: OWNERS[name] for name in ("registry-mirrors", "labels", "data-root")
    }
    assert found["icc"] is False
    assert info()["LoggingDriver"] == "local"
    assert info()["Labels"] == ["owner=shop"]
    assert "the engine was here before" not in words(run)
    for found_engine in ("take_over", "auto"):
        assert changes(deploy(docker_found_engine=found_engine).stdout) == 0


def test_an_option_that_is_not_given_any_more_goes_and_the_owners_stay():
    before = shop()
    on_host("systemctl reset-failed docker")
    run = deploy(docker_daemon_options={"live-restore": True, "log-driver": "local"})
    assert run.returncode == 0, run.stdout
    kept = {name: value for name, value in OWNERS.items() if name != "icc"}
    assert settings() == kept | {"live-restore": True, "log-driver": "local"}
    assert shop() == before


def test_a_proxy_of_its_unit_is_not_overridden():
    """As Docker's manual has it; the daemon's file would win."""
    before, unit = shop(), "/etc/systemd/system/docker.service.d/proxy.conf"
    on_host(f"printf '[Service]\\nEnvironment=HTTP_PROXY=http://10.0.0.9:1\\n' > {unit} && systemctl daemon-reload")
    on_host("systemctl restart docker && systemctl reset-failed docker")
    given = {"docker_daemon_options": {"live-restore": True, "log-driver": "local"}, "__preflight_fetches": False}
    run = deploy("-vvv", outbound_http_proxy="http://127.0.0.1:9", **given)
    assert run.returncode == 0, run.stdout
    assert changes(run.stdout) == 0
    assert "the engine pulls through the proxy of its unit's environment" in words(run)
    assert "10.0.0.9" not in run.stdout
    assert info()["HttpProxy"] == "http://10.0.0.9:1"
    assert "proxies" not in settings()
    assert shop() == before
