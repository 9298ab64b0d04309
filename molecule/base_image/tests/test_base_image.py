"""Both ways lead to a small Debian that runs."""

from datetime import UTC, datetime

import pytest


def images(host, name="trixie-1") -> list[str]:
    """The base images of a name, one of each day."""
    listed = "docker image ls --format '{{.Repository}}:{{.Tag}}' --filter 'reference=modelhost-base:%s*'"
    return host.check_output(listed, name).split()


def test_the_image_has_the_day_of_its_packages_and_those_of_earlier_days_are_forgotten(host):
    assert images(host) == [f"modelhost-base:trixie-1-{datetime.now(UTC):%Y%m%d}"]


@pytest.mark.parametrize("tag", ["trixie-1", "pulled-1"])
def test_the_image_is_debian_13_and_runs(host, tag):
    release = host.check_output("docker run --rm --network none %s cat /etc/os-release", images(host, tag)[0])
    assert "VERSION_CODENAME=trixie" in release


def test_what_was_refused_has_left_no_image(host):
    assert images(host, "refused-1") == []


def test_the_image_is_small(host):
    assert int(host.check_output("docker image inspect --format '{{.Size}}' %s", images(host)[0])) < 150_000_000


def test_packages_are_verified_by_signature(host):
    files = "/etc/apt/sources.list /etc/apt/sources.list.d/*"
    sources = host.check_output(f"docker run --rm {images(host)[0]} sh -c 'cat {files} 2>/dev/null; true'")
    assert "trixie" in sources
    assert "trusted=yes" not in sources
