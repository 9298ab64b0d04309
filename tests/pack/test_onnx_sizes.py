"""ONNX files that leave sizes open: tokens, width, time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelhost.packing.errors import PackError
from modelhost.payload.errors import ClientError
from onnx_models import FLOAT, INT64, TEXT, Packed, make, node

RANDOM = np.random.default_rng(3)
TABLE = RANDOM.normal(size=(20, 4)).astype(np.float32)


def tokens(ids: list[Any], mask: list[Any]) -> Any:
    """Embeds ids and averages what the mask keeps."""
    return make(
        [
            node("Gather", "table ids", "embedded"), node("Unsqueeze", "mask two", "wide"),
            node("Mul", "embedded wide", "kept"), node("ReduceSum", "kept one", "y", keepdims=0),
        ],
        [("ids", INT64, ids), ("mask", FLOAT, mask)], [("y", FLOAT, [ids[0], 4])],
        {"table": TABLE, "one": np.array([1]), "two": np.array([2])},
    )  # fmt: skip


def wanted(ids: Any, mask: Any) -> Any:
    return (TABLE[np.array(ids)] * np.array(mask)[..., None]).sum(axis=1)


@pytest.mark.parametrize("names", [("tokens", "tokens"), (None, None), ("a", "b")])
def test_number_of_tokens_is_each_request_s_own(tmp_path: Path, names: tuple[Any, Any]) -> None:
    model = tokens(["N", names[0]], ["N", names[1]])
    packed = Packed(tmp_path, model, {"ids": np.ones((3, 6), np.int64), "mask": np.ones((3, 6), np.float32)})
    assert packed.shapes == {"ids": [-1], "mask": [-1]}
    for size in (1, 5, 17):
        ids, mask = RANDOM.integers(0, 20, (2, size)), RANDOM.integers(0, 2, (2, size)).astype(np.float32)
        np.testing.assert_allclose(packed.ask(ids=ids, mask=mask)["y"], wanted(ids, mask), rtol=1e-5, atol=1e-6)


def test_sizes_that_do_not_belong_together_are_the_clients_fault(tmp_path: Path) -> None:
    model = tokens(["N", "tokens"], ["N", "tokens"])
    packed = Packed(tmp_path, model, {"ids": np.ones((3, 6), np.int64), "mask": np.ones((3, 6), np.float32)})
    with pytest.raises(ClientError, match=r"ids \[1, 3\], mask \[1, 2\]"):
        packed.ask(ids=[[1, 2, 3]], mask=[[1.0, 1.0]])
    with pytest.raises(ClientError, match="must be within the inclusive range"):
        packed.ask(ids=[[1, 99]], mask=[[1.0, 1.0]])


def test_sample_may_have_rows_of_several_lengths(tmp_path: Path) -> None:
    rows = [{"ids": [1, 2, 3], "mask": [1, 0, 1]}, {"ids": [4], "mask": [1]}, {"ids": [5, 6, 7], "mask": [1, 1, 1]}]
    packed = Packed(tmp_path, tokens(["N", "tokens"], ["N", "tokens"]), rows)
    assert packed.shapes == {"ids": [-1], "mask": [-1]}
    lengths = {len(example.inputs["ids"]) for example in packed.bundle.examples}
    assert lengths == {1, 3}, "golden examples have the sample's lengths"
    statistics = json.loads((packed.bundle.directory / "statistics.json").read_text())
    assert statistics["inputs"]["ids"]["count"] == 7
    np.testing.assert_allclose(packed.ask(ids=[[4, 5]], mask=[[1.0, 1.0]])["y"], wanted([[4, 5]], [[1, 1]]), rtol=1e-5)


def test_outputs_follow_the_sizes_of_inputs(tmp_path: Path) -> None:
    model = make(
        [node("Gather", "table ids", "y")], [("ids", INT64, ["N", "tokens"])], [("y", FLOAT, ["N", "tokens", 4])],
        {"table": TABLE},
    )  # fmt: skip
    packed = Packed(tmp_path, model, {"ids": np.ones((3, 6), np.int64)})
    assert packed.output_shapes == {"y": [-1, 4]}
    assert np.shape(packed.ask(ids=[[1, 2]])["y"]) == (1, 2, 4)
    ragged = Packed(tmp_path, model, [{"ids": [1, 2]}, {"ids": [3]}])
    assert ragged.output_shapes == {"y": [-1, 4]}


def test_texts_of_several_lengths_are_rows(tmp_path: Path) -> None:
    model = make([node("Identity", "words", "y")], [("words", TEXT, ["N", "words"])], [("y", TEXT, ["N", "words"])])
    packed = Packed(tmp_path, model, [{"words": ["a", "b"]}, {"words": ["c"]}])
    assert packed.shapes == {"words": [-1]}
    assert packed.ask(words=np.array([["x", "y", "z"]], object))["y"] == [["x", "y", "z"]]


def test_size_that_the_model_has_written_inside_stays_fixed_and_is_told(tmp_path: Path) -> None:
    model = make(
        [node("Add", "x positions", "y")], [("x", FLOAT, ["N", "time"])], [("y", FLOAT, ["N", "time"])],
        {"positions": np.arange(6, dtype=np.float32)},
    )  # fmt: skip
    packed = Packed(tmp_path, model, {"x": np.ones((3, 6), np.float32)})
    assert packed.shapes == {"x": [6]}
    (note,) = [note for note in packed.notes if "stays as in the sample" in note]
    assert "the size 6 of x" in note
    assert "with 7" in note
    with pytest.raises(PackError, match="cannot predict the sample"):
        Packed(tmp_path, model, [{"x": [1.0] * 6}, {"x": [1.0] * 5}])


def test_size_that_only_grows_the_rows_is_no_size_of_its_own(tmp_path: Path) -> None:
    """view(-1, 6): twice the size gives twice the rows, which must not be taken for an answer."""
    model = make(
        [node("Reshape", "x six", "y")], [("x", FLOAT, ["N", "time"])], [("y", FLOAT, ["N", 6])],
        {"six": np.array([-1, 6])},
    )  # fmt: skip
    packed = Packed(tmp_path, model, {"x": np.ones((3, 6), np.float32)})
    assert packed.shapes == {"x": [6]}


def test_sizes_that_must_grow_together_do(tmp_path: Path) -> None:
    """Keys of the past, and a mask over past and present."""
    model = make(
        [node("Concat", "past new", "all", axis=1), node("Mul", "all mask", "y")],
        [("past", FLOAT, ["N", "past"]), ("new", FLOAT, ["N", 1]), ("mask", FLOAT, ["N", "all"])],
        [("y", FLOAT, ["N", "all"])],
    )  # fmt: skip
    shapes = {"past": (2, 3), "new": (2, 1), "mask": (2, 4)}
    packed = Packed(tmp_path, model, {name: np.ones(shape, np.float32) for name, shape in shapes.items()})
    assert packed.shapes == {"past": [-1], "new": [1], "mask": [-1]}
    answer = packed.ask(past=np.ones((1, 7)), new=np.ones((1, 1)), mask=np.zeros((1, 8)))
    assert answer["y"] == [[0.0] * 8]
