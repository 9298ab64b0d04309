"""Docker's own repository is taken where the archive has no compose v2, with the right key, and for the engine only."""

import json
import os
import subprocess
from pathlib import Path

import pytest

TESTBED = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "testbed"
PLAYBOOK = Path(__file__).parents[1] / "converge.yml"
ENGINE = {"docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin"}
TOOLS = ["gpg", "python3-debian", "python3-apt"]
SOURCE = "/etc/apt/sources.list.d/docker.sources"
PIN = "/etc/apt/preferences.d/docker"
KEY = "/etc/apt/keyrings/docker.asc"
LISTS = "/var/lib/apt/lists/localhost*"


def run_role(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["ansible-playbook", PLAYBOOK, f"--inventory={TESTBED}", "--extra-vars", json.dumps(variables), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def told(run: subprocess.CompletedProcess[str]) -> str:
    """What a run printed, without its line breaks."""
    return " ".join((run.stdout + run.stderr).split())


def installed(host) -> dict[str, str]:
    """Which packages of the engine are installed, in which version."""
    lines = host.check_output(
        "dpkg-query --show --showformat '${db:Status-Abbrev} ${Package} ${Version}\\n'"
    ).splitlines()
    rows = [line.split() for line in lines]
    return {name: version for state, name, version in rows if state == "ii" and name in ENGINE}


def candidate(host, package: str) -> str:
    """The version that `apt-get install` would take."""
    lines = host.check_output("apt-cache policy %s", package).splitlines()
    return next(line.split()[1] for line in lines if line.strip().startswith("Candidate:"))


def answer_with(host, repository: str) -> None:
    host.check_output("ln --symbolic --force --no-dereference %s /srv/apt/answers", repository)


def changed_files(host) -> list[str]:
    """What has changed since `touch /root/before`, without what Ansible and gpg keep for themselves."""
    folders = "/etc /home /opt /root /srv /usr /var/lib"
    found = host.check_output(
        f"find {folders} -xdev -newer /root/before -not -path '*/.ansible*' -not -path '/root/.gnupg*'"
    )
    return [path for path in found.splitlines() if path not in {"/root", "/root/before"}]


@pytest.fixture
def bare(host):
    """The machine as it was before the role came."""
    host.check_output(f"dpkg --purge {' '.join(ENGINE)}")
    units = "/etc/systemd/system/docker.service.d /etc/systemd/system/containerd.service.d"
    host.check_output(f"rm -rf {SOURCE} {PIN} {KEY} {LISTS} /etc/docker /etc/containerd {units}")
    assert installed(host) == {}
    answer_with(host, "docker")
    host.check_output("touch /root/before")
    yield
    answer_with(host, "docker")
    host.check_output("ln --symbolic --force ../usr/lib/os-release /etc/os-release")


# These three look at the machine as converge left it.
def test_a_check_of_the_finished_machine_tells_of_no_change(host):
    run = run_role("--check", "--diff")
    assert run.returncode == 0, run.stdout
    assert "changed=0" in run.stdout


def test_the_repository_can_replace_the_engine_and_nothing_else(host):
    offered = host.check_output(f"grep -h ^Package: {LISTS}_Packages").split()
    assert {"bash", "stranger"} <= set(offered)
    assert candidate(host, "bash") == host.package("bash").version
    assert candidate(host, "stranger") == "(none)"
    assert all(candidate(host, package) != "(none)" for package in ENGINE)


def test_other_repositories_of_the_same_host_are_left_alone(host):
    host.check_output(
        "echo 'deb [trusted=yes] http://localhost:8000/company ./' > /etc/apt/sources.list.d/company.list"
    )
    try:
        host.check_output(
            "apt-get -qq update -o Dir::Etc::sourcelist=sources.list.d/company.list -o APT::Get::List-Cleanup=0"
        )
        assert candidate(host, "company-tool") == "1-1"
    finally:
        host.check_output("rm /etc/apt/sources.list.d/company.list")


def test_the_archive_of_debian_12_is_refused_before_anything_is_touched(host, bare):
    run = run_role(docker_engine_source="distribution")
    assert run.returncode != 0
    assert 'docker_engine_source: got "distribution", but the archive of Debian 12' in told(run)
    assert "(bookworm) has no compose v2 and no buildx" in told(run)
    assert "Edit what -e gives on the command line, for example: docker_engine_source: upstream" in told(run)
    assert "changed=0" in run.stdout
    assert changed_files(host) == []


def test_another_key_than_the_one_that_is_known_is_refused(host, bare):
    answer_with(host, "other_key")
    run = run_role()
    assert run.returncode != 0
    fingerprint = host.check_output("cat /srv/apt/fingerprint")
    assert f"docker_upstream_key_fingerprint allows only {fingerprint}. Nothing was trusted." in told(run)
    assert host.run(f"ls {KEY}* {SOURCE} {PIN} {LISTS}").stdout == ""
    assert installed(host) == {}


def test_a_repository_that_is_not_signed_by_its_key_is_refused_until_it_is(host, bare):
    answer_with(host, "wrong_signature")
    run = run_role()
    assert run.returncode != 0
    assert "not signed" in told(run)
    assert candidate(host, "docker-ce") == "(none)"
    assert installed(host) == {}
    # The source is there by now; what was not read must be read by the next run.
    answer_with(host, "docker")
    assert run_role().returncode == 0
    assert set(installed(host)) == ENGINE


@pytest.mark.parametrize(
    ("release", "distribution", "variables"),
    [
        ("bookworm", "debian", {}),
        ("jammy", "ubuntu", {}),
        ("noble", "ubuntu", {}),
        ("resolute", "ubuntu", {}),
        ("trixie", "debian", {"docker_engine_source": "upstream"}),
    ],
)
def test_each_release_gets_its_packages_and_a_second_run_changes_nothing(host, bare, release, distribution, variables):
    if release != "bookworm":
        host.check_output("ln --symbolic --force /srv/os-release/%s /etc/os-release", release)
    first = run_role(**variables)
    assert first.returncode == 0, first.stdout

    source = dict(line.split(": ", 1) for line in host.file(SOURCE).content_string.splitlines())
    source.pop("X-Repolib-Name")
    assert source == {
        "Types": "deb",
        "URIs": f"http://localhost:8000/answers/{distribution}",
        "Suites": release,
        "Components": "stable",
        "Architectures": host.check_output("dpkg --print-architecture"),
        "Signed-By": KEY,
    }
    assert host.file(KEY).content_string == host.file(f"/srv/apt/docker/{distribution}/gpg").content_string
    versions = installed(host)
    assert set(versions) == ENGINE
    assert all(version.endswith(f"~{release}") for version in versions.values())
    assert versions["docker-ce"].startswith("5:29.0.1")
    assert host.service("docker").is_running
    assert host.service("docker").is_enabled

    second = run_role(**variables)
    assert second.returncode == 0
    assert "changed=0" in second.stdout


OWN_SOURCE = "/etc/apt/sources.list.d/own.list"
OWN_KEY = "/etc/apt/keyrings/own.asc"


@pytest.fixture
def owners(host, bare):
    """Docker's repository, named by somebody else, with a key file of another name."""
    host.check_output(f"mkdir -p /etc/apt/keyrings && cp /srv/apt/docker/debian/gpg {OWN_KEY}")
    source = f"deb [signed-by={OWN_KEY}] http://localhost:8000/answers/debian bookworm stable"
    host.check_output(f"echo '{source}' > {OWN_SOURCE} && apt-get -qq update")
    yield source
    host.check_output(f"rm -f {OWN_SOURCE} {OWN_KEY}")


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_an_engine_of_dockers_own_is_kept_with_its_source(host, owners, release):
    """Debian 13 would bring an engine of its own."""
    host.check_output(
        "apt-get -qq install --no-install-recommends docker-ce=5:28.5.2* containerd.io docker-ce-cli=5:28.5.2*"
    )
    # As Docker's own package does.
    host.check_output("systemctl enable --quiet --now docker")
    if release != "bookworm":
        host.check_output("ln --symbolic --force /srv/os-release/%s /etc/os-release", release)
    run = run_role()
    assert run.returncode == 0, run.stdout
    # What it lacked has come from the owner's source.
    assert set(installed(host)) == ENGINE
    assert installed(host)["docker-ce"].startswith("5:28.5.2")
    assert host.file(OWN_SOURCE).content_string.strip() == owners
    assert host.run(f"ls {SOURCE} {PIN} {KEY}").stdout == ""
    assert host.run("apt-get -qq update").rc == 0
    assert "the engine was here before (docker-ce" in told(run)
    again = run_role()
    assert "changed=0" in again.stdout


def test_a_source_that_is_there_before_the_engine_is_used(host, owners):
    run = run_role()
    assert run.returncode == 0, run.stdout
    assert set(installed(host)) == ENGINE
    assert host.run(f"ls {SOURCE} {PIN} {KEY}").stdout == ""
    assert "changed=0" in run_role().stdout


def test_a_wanted_version_is_taken_and_stays(host, bare):
    run = run_role(docker_upstream_version="5:28.*")
    assert run.returncode == 0, run.stdout
    assert installed(host)["docker-ce"].startswith("5:28.5.2")
    host.check_output("apt-get -qq install --only-upgrade docker-ce")
    assert installed(host)["docker-ce"].startswith("5:28.5.2")


# The machine has what a check needs from the runs before, until the second one takes it away.
@pytest.mark.parametrize("missing", [[], TOOLS], ids=["with what a check needs", "without what a check needs"])
def test_a_check_of_the_bare_machine_tells_of_changes_and_makes_none(host, bare, missing):
    if missing:
        host.check_output(f"apt-get -qq purge --yes {' '.join(missing)} && touch /root/before")
    run = run_role("--check", "--diff")
    assert run.returncode == 0, run.stdout
    assert "changed=0" not in run.stdout
    assert changed_files(host) == []
    assert installed(host) == {}
