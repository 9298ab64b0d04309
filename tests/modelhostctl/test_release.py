"""A release's id follows from its content, and its difference from another is told in words."""

import json

import pytest

from modelhostctl.host.layout import Layout
from modelhostctl.store.release import Record, Release, difference


def release(**changed: object) -> Release:
    content = {
        "image": "modelhost-app:aaaaaaaaaaaa",
        "bundles": [
            {"name": "churn", "version": 3, "digest": "d3", "folder": "/b/churn/3-d3", "bytes": 10},
            {"name": "iris", "version": 1, "digest": "d1", "folder": "/b/iris/1-d1", "bytes": 20},
        ],
        "settings": {"workers": 2, "threads": 8},
        "compose": "services: {}\n",
    }
    return Release.of(content | changed)


CHURN_4 = {"name": "churn", "version": 4, "digest": "d4", "folder": "/b/churn/4-d4", "bytes": 10}


def test_the_same_content_is_the_same_release_in_whatever_order_the_bundles_are_listed():
    assert release().id == release(bundles=list(reversed(release().bundles))).id
    assert len(release().id) == 12
    assert int(release().id, 16)


@pytest.mark.parametrize(
    "changed",
    [
        {"image": "modelhost-app:bbbbbbbbbbbb"},
        {"bundles": [CHURN_4]},
        {"settings": {"workers": 1, "threads": 8}},
        {"compose": "services: {app: {}}\n"},
    ],
)
def test_whatever_changes_makes_another_release(changed):
    assert release(**changed).id != release().id


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"bundles": [CHURN_4, release().bundles[1]]}, "models: churn 3 -> 4; image unchanged; settings unchanged"),
        ({"bundles": [release().bundles[0]]}, "models: iris 1 -> none; image unchanged; settings unchanged"),
        ({"bundles": [{**release().bundles[0], "digest": "other"}, release().bundles[1]]},
         "models: churn 3 rewritten; image unchanged; settings unchanged"),
        ({"image": "modelhost-app:bbbbbbbbbbbb"},
         "models unchanged; image: aaaaaaaaaaaa -> bbbbbbbbbbbb; settings unchanged"),
        ({"settings": {"workers": 4, "threads": 8}}, "models unchanged; image unchanged; settings: workers 2 -> 4"),
        ({"compose": "services: {app: {}}\n"},
         "models unchanged; image unchanged; settings unchanged; container's definition changed"),
    ],
)  # fmt: skip
def test_the_difference_is_told_in_words(changed, words):
    assert difference(release(), release(**changed)) == words


def test_the_first_release_tells_its_models():
    assert difference(None, release()) == "first release: models churn 3, iris 1"


def test_a_record_gives_back_what_was_written_and_nothing_of_half_a_one(tmp_path):
    record = Record.of(Layout(tmp_path), release().id)
    assert record.read() is None
    assert record.write(release()) is True
    assert record.write(release()) is False
    assert record.read() == release()
    assert record.read().id == record.id
    record.compose_file.unlink()
    assert record.read() is None
    assert record.write(release()) is True
    (record.folder / "release.json").write_text('{"image":')
    assert record.read() is None


def test_how_a_release_went_is_in_its_folder(tmp_path):
    record = Record.of(Layout(tmp_path), release().id)
    record.write(release())
    assert (record.passed, record.settled, record.last_live, record.rejected) == (False, False, 0, None)
    record.mark_passed()
    assert (record.passed, record.settled) == (True, True)
    assert record.last_live > 0
    record.mark_unsettled()
    assert (record.passed, record.settled) == (True, False)
    record.mark_rejected({"gate": "latency"})
    assert (record.passed, record.rejected) == (False, {"gate": "latency"})
    record.forget_rejection()
    assert record.rejected is None


def test_a_release_that_was_left_may_be_named_but_is_not_the_one_before(tmp_path):
    record = Record.of(Layout(tmp_path), release().id)
    record.write(release())
    record.mark_passed()
    record.mark_rolled_back()
    assert (record.passed, record.last_live) == (True, 0)


def test_the_folder_can_be_read_by_people(tmp_path):
    record = Record.of(Layout(tmp_path), release().id)
    record.write(release())
    said = json.loads((record.folder / "release.json").read_text())
    assert said["id"] == record.id
    assert said["bundles"][0]["name"] == "churn"
