"""The engine runs with its settings, listens nowhere, limits its containers and lets them outlive its restart."""

import json
import re

import pytest
from deploying import changes, play

IMAGE = "modelhost-tiny"
# A root file system of two programs and the libraries that they need (ldd names both), taken from the machine itself.
MAKE_IMAGE = f"""
set -e
files=$(ldd /usr/bin/sleep /usr/bin/dd | grep -o '/[^ :]*' | sort -u)
tar --create --dereference --absolute-names $files | docker import - {IMAGE}
"""


@pytest.fixture(scope="module")
def image(host):
    host.check_output(MAKE_IMAGE)
    yield IMAGE
    host.check_output("docker image rm --force %s", IMAGE)


@pytest.fixture
def sleeper(host, image):
    container = host.check_output("docker run --detach --network none %s /usr/bin/sleep 300", image)
    yield container
    host.check_output("docker rm --force %s", container)


def info(host) -> dict:
    return json.loads(host.check_output("docker info --format '{{json .}}'"))


def started(host, container: str) -> str:
    return host.check_output(
        "docker inspect --format '{{.State.Pid}} {{.State.StartedAt}} {{.State.Running}}' %s", container
    )


def version(host, command: str) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)", host.check_output(command))
    assert found, command
    return tuple(int(number) for number in found.groups())


def test_the_engine_runs_now_and_after_a_boot(host):
    service = host.service("docker")
    assert service.is_running, host.check_output("journalctl --unit docker --lines 30 --no-pager")
    assert service.is_enabled


def test_the_engine_took_its_settings(host):
    told = info(host)
    assert told["LiveRestoreEnabled"] is True
    assert told["LoggingDriver"] == "local"


def test_compose_knows_what_the_other_roles_ask_of_it(host):
    assert version(host, "docker compose version --short") >= (2, 18)


def test_buildx_answers(host):
    assert version(host, "docker buildx version") >= (0, 10)


def test_nothing_of_the_engine_listens_on_tcp(host):
    listeners = host.check_output("ss -Hltnp")
    assert "sshd" in listeners
    assert "docker" not in listeners
    assert "containerd" not in listeners


def test_a_container_that_takes_more_memory_than_its_limit_is_ended(host, image):
    take_100_mb = "/usr/bin/dd if=/dev/zero of=/dev/null bs=100M count=1"
    assert host.run(f"docker run --rm --network none --memory 512m {image} {take_100_mb}").rc == 0
    assert host.run(f"docker run --rm --network none --memory 16m {image} {take_100_mb}").rc == 137


def test_a_containers_log_cannot_fill_the_disk(host, sleeper):
    log = json.loads(host.check_output("docker inspect --format '{{json .HostConfig.LogConfig}}' %s", sleeper))
    assert log == {"Type": "local", "Config": {"max-file": "3", "max-size": "10m"}}


def test_a_container_goes_on_while_the_engine_is_restarted(host, sleeper):
    before = started(host, sleeper)
    engine = host.check_output("systemctl show --property MainPID docker")
    host.check_output("systemctl restart docker")
    assert host.check_output("systemctl show --property MainPID docker") != engine
    assert before.endswith("true")
    assert started(host, sleeper) == before


OTHERS = """
set -e
cp --preserve {file} /root/wanted
printf '%b' '{content}' > {file}
systemctl restart {daemon}
# systemd starts the engine three times a minute, and no more.
systemctl reset-failed docker containerd
cp --preserve /root/wanted {file}
touch --date '{written}' {file}
"""


LOGGING = (
    "docker",
    "/etc/docker/daemon.json",
    '{"live-restore": true, "log-driver": "json-file"}',
    "docker info | grep Logging",
)
PLUGIN = ("containerd", "/etc/containerd/config.toml", "version = 2", "ctr plugins ls | grep grpc.v1.*cri")


@pytest.mark.parametrize(
    ("daemon", "file", "content", "asked", "written"),
    [(*LOGGING, "2001-01-01"), (*LOGGING, "2037-01-01"), (*PLUGIN, "2001-01-01")],
)
def test_a_daemon_that_runs_with_other_settings_is_restarted_and_no_container_ends(
    host, sleeper, daemon, file, content, asked, written
):
    """Whatever a clock said when the file was written: a run that was killed has left it so."""
    host.check_output("systemctl reset-failed docker containerd")
    wanted, before = host.run(asked).stdout, started(host, sleeper)
    host.check_output("sh -c %s", OTHERS.format(file=file, content=content, daemon=daemon, written=written))
    assert host.run(asked).stdout != wanted
    run = play("molecule/docker/converge.yml")
    assert changes(run.stdout) == 1, run.stdout
    assert host.run(asked).stdout == wanted
    assert started(host, sleeper) == before


def test_an_engine_that_nothing_stands_on_is_set_up_like_ours(host):
    """As an image of a provider's brings it."""
    unit = "/etc/systemd/system/docker.service.d/modelhost.conf"
    host.check_output(f"rm {unit} /etc/docker/modelhost.json /etc/docker/daemon.json")
    host.check_output("sh -c 'systemctl daemon-reload && systemctl restart docker && systemctl reset-failed docker'")
    assert info(host)["LiveRestoreEnabled"] is False
    run = play("molecule/docker/converge.yml")
    assert run.returncode == 0, run.stdout
    assert info(host)["LiveRestoreEnabled"] is True
    assert info(host)["LoggingDriver"] == "local"
    assert host.file(unit).exists
    assert changes(play("molecule/docker/converge.yml").stdout) == 0


def test_a_run_with_nothing_to_change_restarts_nothing(host):
    asked = "systemctl show --property MainPID,ActiveEnterTimestampMonotonic docker containerd"
    before = host.check_output(asked)
    assert changes(play("molecule/docker/converge.yml").stdout) == 0
    assert host.check_output(asked) == before


def test_the_engine_starts_with_a_machine_that_has_no_room_for_the_copy(host):
    """The copy is for comparing; without it the daemons start all the same."""
    host.check_output("systemctl reset-failed docker containerd")
    host.check_output("sh -c 'rm -rf /run/modelhost && touch /run/modelhost && systemctl restart containerd docker'")
    host.check_output("systemctl reset-failed docker containerd")
    try:
        assert host.service("docker").is_running
    finally:
        host.check_output("rm /run/modelhost")
    assert play("molecule/docker/converge.yml").returncode == 0
    assert changes(play("molecule/docker/converge.yml").stdout) == 0
