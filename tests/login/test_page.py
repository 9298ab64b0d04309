"""docs/hosts.md says of what is supported by which test."""

import re

from debian_host import PROJECT

PAGE = PROJECT / "docs" / "hosts.md"


def test_each_test_that_the_page_names_is_there():
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    there = {
        name
        for folder in ("tests/login", "tests/roles", "tests/modelhostctl", "tests/control_machine", "molecule")
        for file in (PROJECT / folder).rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert len(named) > 30
    assert named <= there


def test_each_test_of_this_folder_that_is_of_a_host_is_on_the_page():
    """What is tested and not said is not known to anyone."""
    page = PAGE.read_text()
    # About the page itself, and about others of these tests.
    unsaid = ("test_each", "test_no_reason")
    tests = [
        name
        for file in (PROJECT / "tests/login").glob("test_*.py")
        if file.name != "test_proof.py"
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    ]
    assert [name for name in tests if name not in page and not name.startswith(unsaid)] == []
