"""A plan says how what models take and give changes, and refuses what would break their clients."""

from pathlib import Path

import pytest
from ansible_collections.modelhost.modelhost.plugins.action.read_bundles import schema_of
from modelhost.bundle.bundle import read_bundle
from test_release import release

from modelhostctl.checks.memory import PlanPolicy
from modelhostctl.checks.schema import schema_changes
from modelhostctl.errors import StepError
from modelhostctl.steps.plan import check_schema


def field(datatype: str = "FP32", shape: tuple[int, ...] = (), **more: object) -> dict:
    return {"datatype": datatype, "shape": list(shape), "required": True, "nullable": False} | more


def iris(version: int, inputs: dict | None = None, outputs: dict | None = None) -> dict:
    schema = {"inputs": inputs or {"length": field()}, "outputs": outputs or {"species": field("BYTES")}}
    return {
        "name": "iris", "version": version, "digest": f"d{version}", "folder": f"/b/iris/{version}", "bytes": 1,
        "schema": schema,
    }  # fmt: skip


def test_outputs_that_are_gone_and_new_are_named_in_one_sentence():
    new = iris(2, outputs={"label": field("BYTES"), "probabilities": field(shape=(3,))})
    (change,) = schema_changes(release(bundles=[iris(1)]), release(bundles=[new]))
    assert change.breaks
    assert change.words == (
        "iris 1 -> 2: output species is gone, outputs label and probabilities are new: clients of 1 will break"
    )


BREAKS = {
    "input width is new and required": {"inputs": {"length": field(), "width": field()}},
    "input length is gone": {"inputs": {"width": field(required=False)}},
    "input length is INT64 instead of FP32": {"inputs": {"length": field("INT64")}},
    "input length has the shape [4] instead of []": {"inputs": {"length": field(shape=(4,))}},
    "output species may be null": {"outputs": {"species": field("BYTES", nullable=True)}},
    "output species has the shape [2] instead of []": {"outputs": {"species": field("BYTES", (2,))}},
}


@pytest.mark.parametrize("words", BREAKS)
def test_what_breaks_clients_is_said(words):
    (change,) = schema_changes(release(bundles=[iris(1)]), release(bundles=[iris(2, **BREAKS[words])]))
    assert change.breaks
    assert words in change.words


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({}, {"inputs": {"length": field(), "width": field(required=False)}}, "iris 1 -> 2: input width is new"),
        ({}, {"outputs": {"species": field("BYTES"), "score": field()}}, "iris 1 -> 2: output score is new"),
        ({}, {"inputs": {"length": field(required=False, nullable=True)}}, None),
        ({"inputs": {"length": field(shape=(4,))}}, {"inputs": {"length": field(shape=(-1,))}}, None),
        ({"outputs": {"y": field(nullable=True)}}, {"outputs": {"y": field()}}, None),
        # A release of an older version says nothing of it: null was possible.
        ({"outputs": {"y": {"datatype": "FP32", "shape": []}}}, {"outputs": {"y": field(nullable=True)}}, None),
        ({}, {}, None),
    ],
)
def test_what_breaks_no_client_is_said_or_not_worth_a_word(old, new, words):
    found = schema_changes(release(bundles=[iris(1, **old)]), release(bundles=[iris(2, **new)]))
    assert [(change.words, change.breaks) for change in found] == ([(words, False)] if words else [])


def test_clients_meet_the_highest_version_and_a_model_that_is_gone_or_new_is_said_elsewhere():
    other = iris(3, outputs={"label": field()})
    both = release(bundles=[iris(1), other])
    assert schema_changes(both, release(bundles=[other, iris(1)])) == []
    assert schema_changes(release(bundles=[iris(1)]), release(bundles=[])) == []
    assert schema_changes(None, both) == []
    # Releases from before schemas were written.
    bare = {name: value for name, value in iris(1).items() if name != "schema"}
    assert schema_changes(release(bundles=[bare]), both) == []


def test_a_plan_refuses_what_breaks_clients_unless_that_is_allowed():
    old, new = release(bundles=[iris(1)]), release(bundles=[iris(2, outputs={"label": field()})])
    added = release(bundles=[iris(2, outputs={"species": field("BYTES"), "score": field()})])
    refuse, allow = PlanPolicy(0, False, False, "refuse"), PlanPolicy(0, False, False, "allow")
    with pytest.raises(StepError, match=r"output species is gone, .* Nothing was changed\. .*schema_changes: allow"):
        check_schema(old, new, refuse)
    assert "clients of 1 will break" in check_schema(old, new, allow)[0]
    assert check_schema(old, added, refuse) == ["iris 1 -> 2: output score is new"]


def test_a_bundles_schema_is_what_its_clients_send_and_get():
    models = Path(__file__).resolve().parents[2] / "models"
    colours = schema_of(read_bundle(models / "colours" / "1").manifest)
    assert colours["inputs"] == {
        "index": {"datatype": "INT64", "shape": [], "required": True, "nullable": False},
    }
    churn = schema_of(read_bundle(models / "churn" / "1").manifest)
    assert [name for name, one in churn["inputs"].items() if not one["required"]] == ["support_calls", "payment"]
    iris = schema_of(read_bundle(models / "iris" / "1").manifest)
    assert iris["inputs"]["measurements"] | {"required": True} == field(shape=(4,)), "as a tensor"
    assert iris["inputs"]["sepal_length"] == field(), "by its name"
    assert iris["outputs"] == {
        "species": {"datatype": "BYTES", "shape": []},
        "probabilities": {"datatype": "FP32", "shape": [3], "nullable": False},
    }
