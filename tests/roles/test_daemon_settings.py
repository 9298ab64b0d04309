"""A daemon's settings: what was given goes when it is not given any more, and the owner's stay."""

import base64

import pytest

from plugins.lookup.daemon_settings import LookupModule


def laid(file: str, given: str, options: dict) -> dict:
    encode = [base64.b64encode(text.encode()).decode() for text in (file, given)]
    return LookupModule().run([encode[0]], given=encode[1], options=options)[0]


@pytest.mark.parametrize(
    ("file", "given", "options", "wanted"),
    [
        ("", "", {"a": 1}, {"a": 1}),
        ('{"b": 2}', "", {"a": 1}, {"a": 1, "b": 2}),
        ('{"a": 0, "b": 2}', "", {"a": 1}, {"a": 1, "b": 2}),
        # Given before, and not any more.
        ('{"a": 1, "b": 2}', '{"a": 1}', {}, {"b": 2}),
        # The owner has changed since what was given.
        ('{"a": 3, "b": 2}', '{"a": 1}', {}, {"a": 3, "b": 2}),
        ('{"a": 3}', '{"a": 1}', {"a": 1}, {"a": 1}),
        ('{"a": {"x": 1}}', '{"a": {"x": 1}}', {"a": {"y": 2}}, {"a": {"y": 2}}),
    ],
)
def test_what_is_to_be_there(file, given, options, wanted):
    found = laid(file, given, options)
    assert found["all"] == wanted
    assert found["read"] is True


def test_the_owners_are_told_from_those_that_were_given():
    assert laid('{"a": 1, "b": 2}', '{"a": 1}', {"c": 3})["theirs"] == {"b": 2}


def test_a_file_that_has_them_is_left_as_its_owner_has_written_it():
    assert laid('{"b":2,\n"a":1}', "", {"a": 1})["text"] == ""


def test_a_file_that_has_them_not_is_written_whole():
    assert laid('{"b":2}', "", {"a": 1})["text"] == '{\n    "a": 1,\n    "b": 2\n}\n'


@pytest.mark.parametrize("file", ["{", "[]", '"a"', "\xff", "[" * 100_000])
def test_a_file_that_is_none_is_told(file):
    found = laid(file, "", {"a": 1})
    assert found["read"] is False
    assert found["theirs"] == {}
