"""ONNX files whose tensors hold the rows of a request first, elsewhere, one a call, or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from modelhost.packing.errors import PackError
from modelhost.payload.errors import ClientError
from onnx import TensorProto, helper
from onnx_models import FLOAT, INT64, TEXT, Packed, make, node

RANDOM = np.random.default_rng(7)


def run(path: Path, **feeds: Any) -> Any:
    """What ONNX Runtime itself answers."""
    (answer, *_) = ort.InferenceSession(path).run(None, feeds)
    return answer


def recurrent(names: tuple[Any, Any], width: int = 3, hidden: int = 4) -> Any:
    """A GRU whose state has the batch in the middle: (layers, batch, hidden)."""
    time, batch = names
    weights = {
        "w": RANDOM.normal(size=(1, 3 * hidden, width)).astype(np.float32),
        "r": RANDOM.normal(size=(1, 3 * hidden, hidden)).astype(np.float32),
    }
    return make(
        [node("GRU", "x w r  ", "", hidden_size=hidden)] and
        [helper.make_node("GRU", ["x", "w", "r", "", "", "state"], ["", "next"], hidden_size=hidden)],
        [("x", FLOAT, [time, batch, width]), ("state", FLOAT, [1, batch, hidden])],
        [("next", FLOAT, [1, batch, hidden])], weights,
    )  # fmt: skip


def test_image_model_of_one_fixed_row_is_asked_row_by_row(tmp_path: Path) -> None:
    model = make(
        [node("GlobalAveragePool", "image", "mean"), node("Flatten", "mean", "y")],
        [("image", FLOAT, [1, 3, 4, 4])], [("y", FLOAT, [1, 3])],
    )  # fmt: skip
    images = RANDOM.random((3, 3, 4, 4)).astype(np.float32)
    packed = Packed(tmp_path, model, {"image": images})
    assert packed.bundle.manifest.rows == "one"
    assert packed.shapes == {"image": [3, 4, 4]}
    wanted = [run(tmp_path / "model.onnx", image=image[np.newaxis])[0] for image in images]
    np.testing.assert_allclose(packed.ask(image=images)["y"], wanted, rtol=1e-6)


def test_state_of_recurrent_model_is_sent_with_rows_first(tmp_path: Path) -> None:
    packed = Packed(
        tmp_path, recurrent((5, "batch")),
        {"x": RANDOM.random((4, 5, 3)).astype(np.float32), "state": RANDOM.random((4, 1, 4)).astype(np.float32)},
    )  # fmt: skip
    assert packed.bundle.manifest.rows == ""
    assert packed.shapes == {"x": [5, 3], "state": [1, 4]}
    x, state = RANDOM.random((2, 5, 3)).astype(np.float32), RANDOM.random((2, 1, 4)).astype(np.float32)
    wanted = run(tmp_path / "model.onnx", x=np.moveaxis(x, 0, 1), state=np.moveaxis(state, 0, 1))
    np.testing.assert_allclose(packed.ask(x=x, state=state)["next"], np.moveaxis(wanted, 1, 0), rtol=1e-5)


def test_time_that_comes_before_the_rows_is_not_taken_for_them(tmp_path: Path) -> None:
    packed = Packed(
        tmp_path, recurrent(("time", "batch")),
        {"x": RANDOM.random((4, 6, 3)).astype(np.float32), "state": RANDOM.random((4, 1, 4)).astype(np.float32)},
    )  # fmt: skip
    assert packed.shapes == {"x": [-1, 3], "state": [1, 4]}
    x, state = RANDOM.random((2, 9, 3)).astype(np.float32), RANDOM.random((2, 1, 4)).astype(np.float32)
    wanted = run(tmp_path / "model.onnx", x=np.moveaxis(x, 0, 1), state=np.moveaxis(state, 0, 1))
    np.testing.assert_allclose(packed.ask(x=x, state=state)["next"], np.moveaxis(wanted, 1, 0), rtol=1e-5)


def test_model_without_rows_takes_one_request_a_call(tmp_path: Path) -> None:
    model = make(
        [node("MatMul", "a b", "product"), node("Mul", "product scale", "y"), node("Shape", "a", "shape")],
        [("a", FLOAT, [2, 3]), ("b", FLOAT, [3, 2]), ("scale", FLOAT, [])],
        [("y", FLOAT, [2, 2]), ("shape", INT64, [2])],
    )  # fmt: skip
    sample = {"a": np.ones((2, 3), np.float32), "b": np.ones((3, 2), np.float32), "scale": np.float32(2)}
    packed = Packed(tmp_path, model, sample)
    assert packed.shapes == {"a": [2, 3], "b": [3, 2], "scale": []}
    assert any("no dimension of rows" in note for note in packed.notes)
    rows = {"a": RANDOM.random((2, 2, 3)), "b": RANDOM.random((2, 3, 2)), "scale": np.array([1.0, 0.5])}
    answer = packed.ask(**{name: array.astype(np.float32) for name, array in rows.items()})
    np.testing.assert_allclose(answer["y"], rows["a"] @ rows["b"] * rows["scale"][:, None, None], rtol=1e-6)
    assert answer["shape"] == [[2, 3], [2, 3]]


def test_rows_fixed_inside_are_found_by_asking(tmp_path: Path) -> None:
    model = make(
        [node("Reshape", "x flat", "f"), node("MatMul", "f w", "y")],
        [("x", FLOAT, ["N", 2, 2])], [("y", FLOAT, ["N", 3])],
        {"flat": np.array([1, -1]), "w": np.ones((4, 3), np.float32)},
    )  # fmt: skip
    packed = Packed(tmp_path, model, {"x": RANDOM.random((5, 2, 2)).astype(np.float32)})
    assert packed.bundle.manifest.rows == "one"
    np.testing.assert_allclose(packed.ask(x=np.ones((2, 2, 2), np.float32))["y"], np.full((2, 3), 4.0))


def test_model_that_mixes_rows_is_refused_and_not_asked_row_by_row(tmp_path: Path) -> None:
    model = make(
        [node("ReduceMean", "x axes", "m"), node("Sub", "x m", "y")],
        [("x", FLOAT, ["N", 2])], [("y", FLOAT, ["N", 2])], {"axes": np.array([0])},
    )  # fmt: skip
    with pytest.raises(PackError, match="depends on the rows sent with it"):
        Packed(tmp_path, model, {"x": RANDOM.random((5, 2)).astype(np.float32)})


def test_model_that_draws_at_random_is_refused(tmp_path: Path) -> None:
    model = make(
        [node("RandomUniformLike", "x", "noise"), node("Add", "x noise", "y")],
        [("x", FLOAT, ["N", 2])], [("y", FLOAT, ["N", 2])],
    )  # fmt: skip
    with pytest.raises(PackError, match="draws at random"):
        Packed(tmp_path, model, {"x": np.ones((5, 2), np.float32)})


def test_input_with_a_default_is_not_asked_for(tmp_path: Path) -> None:
    model = make(
        [node("Mul", "x factor", "y")], [("x", FLOAT, ["N", 2]), ("factor", FLOAT, [1])], [("y", FLOAT, ["N", 2])],
        {"factor": np.array([3], np.float32)},
    )  # fmt: skip
    packed = Packed(tmp_path, model, {"x": np.ones((2, 2), np.float32), "factor": np.ones((2, 1), np.float32)})
    assert packed.shapes == {"x": [2]}
    assert "left out of the sample: factor (the model does not need it)" in packed.notes
    assert packed.ask(x=[[1.0, 2.0]])["y"] == [[3.0, 6.0]]


def test_input_that_the_file_lets_hold_nothing_is_not_asked_for(tmp_path: Path) -> None:
    model = make(
        [node("ReduceSum", "x axes", "y", keepdims=0)], [("x", FLOAT, [2, 3]), ("axes", INT64, [0])], [("y", FLOAT, [])]
    )
    packed = Packed(tmp_path, model, {"x": np.ones((2, 3), np.float32), "axes": np.zeros(0, np.int64)})
    assert packed.shapes == {"x": [2, 3]}
    assert packed.ask(x=np.full((2, 2, 3), 0.5))["y"] == [3.0, 3.0]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TensorProto.FLOAT16, np.array([[0.5, -65504]], np.float16)), (TensorProto.BOOL, np.array([[True, False]])),
        (TensorProto.UINT8, np.array([[0, 255]], np.uint8)), (TensorProto.INT8, np.array([[-128, 127]], np.int8)),
        (TensorProto.UINT64, np.array([[0, 2**64 - 1]], np.uint64)), (TensorProto.DOUBLE, np.array([[1e300, 0.1]])),
        (TEXT, np.array([["é\n漢", ""]])),
    ],
)  # fmt: skip
def test_every_datatype_arrives_as_it_was_sent(tmp_path: Path, kind: int, values: Any) -> None:
    model = make([node("Identity", "x", "y")], [("x", kind, ["N", 2])], [("y", kind, ["N", 2])])
    packed = Packed(tmp_path, model, {"x": values})
    sent = values.astype(object) if values.dtype.kind == "U" else values
    np.testing.assert_array_equal(np.array(packed.ask(x=sent)["y"], values.dtype), values)


def test_numbers_that_no_request_carries_are_refused_with_the_way_out(tmp_path: Path) -> None:
    model = make(
        [node("Cast", "x", "y", to=FLOAT)], [("x", TensorProto.BFLOAT16, ["N"])], [("y", FLOAT, ["N"])]
    )  # fmt: skip
    with pytest.raises(PackError, match=r"input x is a tensor\(bfloat16\).*Cast to float32 at the input"):
        Packed(tmp_path, model, {"x": np.ones(2, np.float32)})


def test_sequences_are_refused_with_the_way_out(tmp_path: Path) -> None:
    parts = helper.make_tensor_sequence_value_info("parts", FLOAT, None)
    model = make([node("SplitToSequence", "x", "parts")], [("x", FLOAT, ["N", 2])], [])
    model.graph.output.append(parts)
    with pytest.raises(PackError, match=r"output parts is a seq.*ConcatFromSequence"):
        Packed(tmp_path, model, {"x": np.ones((2, 2), np.float32)})
    model = make([node("ConcatFromSequence", "parts", "y", axis=0)], [], [("y", FLOAT, None)])
    model.graph.input.append(parts)
    with pytest.raises(PackError, match=r"input parts is a seq.*an input for each tensor"):
        Packed(tmp_path, model, {"parts": np.ones((2, 2), np.float32)})


def test_answers_whose_size_depends_on_values_are_served(tmp_path: Path) -> None:
    model = make([node("NonZero", "x", "places")], [("x", FLOAT, [2, 3])], [("places", INT64, [2, "found"])])
    packed = Packed(tmp_path, model, {"x": np.eye(2, 3, dtype=np.float32)})
    assert packed.output_shapes == {"places": [2, -1]}
    assert packed.ask(x=np.ones((1, 2, 3)))["places"] == [[[0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]]]
    with pytest.raises(ClientError, match="send each row as a request of its own"):
        packed.ask(x=[np.ones((2, 3)), np.eye(2, 3)])


def test_missing_numbers_are_taken_where_the_sample_has_them(tmp_path: Path) -> None:
    model = make([node("IsNaN", "x", "y")], [("x", FLOAT, ["N", 2])], [("y", TensorProto.BOOL, ["N", 2])])
    packed = Packed(tmp_path, model, {"x": np.array([[1, np.nan], [2, 3]], np.float32)})
    assert packed.bundle.manifest.inputs[0].nullable
    assert packed.ask(x=[[1.0, 2.0]])["y"] == [[False, False]]


def test_answers_that_are_no_numbers_become_null(tmp_path: Path) -> None:
    model = make([node("Sqrt", "x", "y")], [("x", FLOAT, ["N"])], [("y", FLOAT, ["N"])])
    packed = Packed(tmp_path, model, {"x": np.full(3, -1, np.float32)})
    assert packed.bundle.examples[0].outputs == {"y": None}


def test_inputs_of_unknown_rank_are_served_as_the_sample_has_them(tmp_path: Path) -> None:
    model = make([node("Neg", "x", "y")], [("x", FLOAT, None)], [("y", FLOAT, None)])
    packed = Packed(tmp_path, model, {"x": np.ones((3, 2), np.float32)})
    assert packed.ask(x=[[1.0, 2.0]])["y"] == [[-1.0, -2.0]]


def test_reference_is_the_file_as_its_user_calls_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of our own change to the graph is found before anything is written."""
    from modelhost.packing import graph

    def other(model: Any, inputs: Any, outputs: Any) -> list[str]:
        model.graph.node[-1].op_type = "Neg"
        return ["y"]

    model = make([node("Abs", "x", "y")], [("x", FLOAT, ["N", 2])], [("y", FLOAT, ["N", 2])])
    monkeypatch.setattr(graph, "with_rows_first", other)
    with pytest.raises(PackError, match="answers the sample differently"):
        Packed(tmp_path, model, {"x": np.ones((3, 2), np.float32)})
    assert not list((tmp_path / "models").glob("m/*"))


def test_empty_cells_are_left_out_where_the_model_knows_no_more_of_them(tmp_path: Path) -> None:
    model = make([node("ReduceSum", "x axes", "y", keepdims=0)], [("x", FLOAT, ["N", 2])], [("y", FLOAT, ["N"])],
                 {"axes": np.array([1])})  # fmt: skip
    rows = [{"a": 1, "b": 2}, {"a": None, "b": 3}, {"a": 2, "b": 5}]
    packed = Packed(tmp_path, model, rows)
    assert "1 rows with empty cells were left out: the model answers them with NaN" in packed.notes
    assert not any(feature.nullable for feature in packed.bundle.manifest.inputs[0].features)
    known = make(
        [
            node("IsNaN", "x", "gap"), node("Where", "gap zero x", "full"),
            node("ReduceSum", "full axes", "y", keepdims=0),
        ],
        [("x", FLOAT, ["N", 2])], [("y", FLOAT, ["N"])], {"axes": np.array([1]), "zero": np.float32(0)},
    )  # fmt: skip
    (tmp_path / "known").mkdir()
    imputed = Packed(tmp_path / "known", known, rows)
    (features,) = [tensor.features for tensor in imputed.bundle.manifest.inputs]
    assert [(feature.name, feature.nullable) for feature in features] == [("a", True), ("b", False)]
    assert imputed.ask(x=[[1.0, 2.0]])["y"] == [3.0]
