"""From where the base of all images comes: Debian's archive, or a mirror."""

import shlex
import subprocess
from typing import Any

import pytest
from rendering import evaluate, load


def bootstrap(**variables: Any) -> str:
    """The command by which a base image is bootstrapped."""
    command = evaluate("base_image", "{{ __base_image_bootstrap }}", **variables)
    subprocess.run(["bash", "-n"], input=command, text=True, check=True)
    words = shlex.split(command, comments=True)
    return " | ".join(words[words.index("mmdebstrap") : words.index("mv")])


def test_a_mirror_brings_updates_and_security_updates():
    variables = {"base_image_mirror": "http://mirror/debian", "base_image_security_mirror": "http://mirror/security"}
    found = bootstrap(**variables)
    assert found.endswith(
        "deb http://mirror/debian trixie main | deb http://mirror/debian trixie-updates main"
        " | deb http://mirror/security trixie-security main"
    )
    assert "ca-certificates" not in found
    without = bootstrap(**variables | {"base_image_security_mirror": "none"})
    assert without.endswith("trixie-updates main")
    assert bootstrap().endswith(".unfinished.tar")
    assert "--include=ca-certificates | trixie" in bootstrap(
        **variables | {"base_image_mirror": "https://mirror/debian"}
    )


@pytest.mark.parametrize(
    ("variables", "wrong"),
    [
        ({"base_image_mirror": "http://mirror/debian"}, True),
        ({"base_image_mirror": "http://mirror/debian", "base_image_security_mirror": "none"}, False),
        ({"base_image_mirror": "http://mirror/debian", "base_image_security_mirror": "http://mirror/s/"}, False),
        ({"base_image_mirror": "mirror", "base_image_security_mirror": "none"}, True),
        ({"base_image_mirror": "http://u:p@mirror/debian", "base_image_security_mirror": "none"}, True),
        ({"base_image_mirror": "http://mirror/debian", "base_image_security_mirror": "http://u:p@mirror/s"}, True),
        ({"base_image_security_mirror": "http://mirror/s"}, True),
        ({}, False),
    ],
)
def test_a_mirror_is_held_to_its_rules(variables, wrong):
    rules = load("base_image", "tasks/validate.yml")[0]["modelhost.modelhost.check_rules"]["rules"]
    found = [rule["must"] for rule in rules if evaluate("base_image", rule["holds"], **variables) != "True"]
    assert bool(found) == wrong
