"""Both ways lead to a small Debian that runs."""

import pytest


@pytest.mark.parametrize("tag", ["trixie-1", "pulled-1"])
def test_the_image_is_debian_13_and_runs(host, tag):
    release = host.check_output("docker run --rm --network none modelhost-base:%s cat /etc/os-release", tag)
    assert "VERSION_CODENAME=trixie" in release


def test_what_was_refused_has_left_no_image(host):
    assert host.run("docker image inspect modelhost-base:refused-1").rc == 1


def test_the_image_is_small(host):
    assert int(host.check_output("docker image inspect --format '{{.Size}}' modelhost-base:trixie-1")) < 150_000_000


def test_packages_are_verified_by_signature(host):
    files = "/etc/apt/sources.list /etc/apt/sources.list.d/*"
    sources = host.check_output(f"docker run --rm modelhost-base:trixie-1 sh -c 'cat {files} 2>/dev/null; true'")
    assert "trixie" in sources
    assert "trusted=yes" not in sources
