"""What the docker role makes of an engine that is there, and of none, by distribution."""

import base64
import json
from typing import Any

import pytest
from rendering import HOST, evaluate

NONE = HOST["docker_seen"]
DEBIAN_CE = {"engine": "docker-ce", "compose": "2.40.3", "buildx": "v0.29.1"}
RUNS = {"runs": "yes", "live_restore": "false", "swarm": "inactive", "containers": "", "published": ""}
PLACES = {
    "trixie": ("debian", "trixie"),
    "bookworm": ("debian", "bookworm"),
    "noble": ("ubuntu", "noble"),
}


def encoded(settings: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(settings).encode()).decode()


def found(expression: str, seen: dict[str, str], release: str = "trixie", **variables: Any) -> Any:
    """What an expression of the role gives where this was seen."""
    distribution, codename = PLACES[release]
    host = {"codename": codename, "distribution": distribution, "version": "1", "architecture": "x86_64"}
    text = evaluate(
        "docker", "{{ " + expression + " | to_json }}", docker_seen=NONE | seen, preflight_host=host, **variables
    )
    return json.loads(text)


@pytest.mark.parametrize(
    ("seen", "release", "source"),
    [
        ({}, "trixie", "distribution"),
        ({}, "bookworm", "upstream"),
        ({}, "noble", "upstream"),
        ({"engine": "docker-ce"}, "trixie", "upstream"),
        ({"engine": "docker-ce", "managed": "yes"}, "trixie", "upstream"),
        ({"engine": "docker.io"}, "noble", "distribution"),
        ({"engine": "unpackaged"}, "trixie", "distribution"),
    ],
)
def test_an_engine_that_is_there_decides_where_the_rest_comes_from(seen, release, source):
    assert found("__docker_source", seen, release) == source


@pytest.mark.parametrize(
    ("seen", "release", "missing", "trusts"),
    [
        ({}, "trixie", ["docker.io", "docker-cli", "docker-compose", "docker-buildx"], False),
        (
            {},
            "noble",
            ["docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin"],
            True,
        ),
        (DEBIAN_CE, "trixie", [], False),
        (DEBIAN_CE | {"compose": ""}, "trixie", ["docker-compose-plugin"], True),
        (DEBIAN_CE | {"compose": "", "repository": "/etc/apt/x"}, "trixie", ["docker-compose-plugin"], False),
        ({"engine": "docker.io", "buildx": "v1"}, "trixie", ["docker-compose"], False),
        ({"engine": "docker.io"}, "noble", ["docker-compose-v2", "docker-buildx"], False),
        # Whose archive has neither.
        ({"engine": "docker.io"}, "bookworm", ["docker-compose-plugin", "docker-buildx-plugin"], True),
        ({"engine": "docker.io", "packages": "docker-buildx"}, "noble", ["docker-compose-v2"], False),
        ({"engine": "moby-engine", "compose": "2", "buildx": "0.1"}, "noble", [], False),
        # Ours, of which somebody has taken a package away.
        (
            {"engine": "docker.io", "managed": "yes", "packages": "docker.io docker-cli docker-compose"},
            "trixie",
            ["docker-buildx"],
            False,
        ),
    ],
)
def test_what_is_missing_comes_from_where_the_engine_is_from(seen, release, missing, trusts):
    assert found("__docker_missing", seen, release) == missing
    assert found("__docker_trusts_upstream", seen, release) is trusts


@pytest.mark.parametrize(
    ("seen", "choice", "manages"),
    [
        ({}, "auto", True),
        (DEBIAN_CE | RUNS, "auto", True),
        (DEBIAN_CE | RUNS, "keep", False),
        (DEBIAN_CE | RUNS | {"containers": "shop"}, "auto", False),
        (DEBIAN_CE | RUNS | {"swarm": "active"}, "auto", False),
        (DEBIAN_CE | RUNS | {"settings": encoded({"debug": True})}, "auto", False),
        # What this role has given to one that was kept before does not count for its owner's.
        (DEBIAN_CE | RUNS | {"settings": encoded({"a": 1}), "given": encoded({"a": 1})}, "auto", True),
        # Nobody knows what it carries.
        (DEBIAN_CE, "auto", False),
        (DEBIAN_CE | RUNS | {"containers": "shop"}, "take_over", True),
        (DEBIAN_CE | {"managed": "yes"}, "keep", True),
    ],
)
def test_an_engine_that_something_stands_on_is_kept(seen, choice, manages):
    assert found("__docker_manages", seen, docker_found_engine=choice) is manages
    assert ("docker" in found("__docker_managed_daemons", seen, docker_found_engine=choice)) is manages


def test_the_settings_of_containerd_are_written_where_there_was_no_engine():
    for seen, manages in [({}, True), (DEBIAN_CE | RUNS, False), ({"containerd_managed": "yes"} | DEBIAN_CE, True)]:
        assert found("__docker_manages_containerd", seen) is manages


@pytest.mark.parametrize(
    ("seen", "options"),
    [
        ({"containers": "shop"}, {"live-restore": True}),
        ({"containers": "shop", "settings": encoded({"live-restore": False})}, {}),
        # An engine does not start with both.
        ({"swarm": "active"}, {}),
        ({"swarm": "pending"}, {}),
    ],
)
def test_an_engine_that_is_kept_is_given_live_restore_and_nothing_else(seen, options):
    assert found("__docker_options", DEBIAN_CE | RUNS | seen) == options


def test_a_swarm_that_is_taken_over_is_not_given_live_restore():
    seen = DEBIAN_CE | RUNS | {"swarm": "active"}
    options = found("__docker_options", seen, docker_found_engine="take_over")
    assert "live-restore" not in options
    assert options["log-driver"] == "local"


def test_what_an_earlier_version_wrote_without_a_record_is_not_the_owners():
    """It wrote the file whole."""
    seen = {"engine": "docker.io", "managed": "yes", "settings": encoded({"userland-proxy": True, "old": 1})}
    wanted = found("__docker_settings_wanted", seen)
    assert wanted["theirs"] == {}
    assert "old" not in wanted["all"]
