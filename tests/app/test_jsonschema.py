"""The JSON Schemas that OpenAPI shows, word for word: of an element, of an output, and of a whole model."""

import json
from typing import Any

import pytest
from echoes import write_bundle
from harness import Bundles
from modelhost.bundle.bundle import read_bundle
from modelhost.bundle.schema import Feature, Input, Output
from modelhost.models.model import Model
from modelhost.payload.errors import ClientError
from modelhost.payload.inputs import InputReader
from modelhost.payload.request import Request
from modelhost.protocols import mlflow, native, tensorflow, v2_infer, v2_metadata
from modelhost.protocols.jsonschema import array_of, element, object_of, output, tensor, tuple_of, whole

INT8 = {"type": "integer", "minimum": -128, "maximum": 127}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (Input(name="x", datatype="INT8", shape=()), INT8),
        (Input(name="x", datatype="INT8", shape=(), minimum=-500, maximum=500), INT8),
        (Input(name="x", datatype="UINT8", shape=(), minimum=3, maximum=9),
         {"type": "integer", "minimum": 3, "maximum": 9}),
        (Input(name="x", datatype="INT32", shape=(), minimum=0, maximum=1),
         {"type": "integer", "format": "int32", "minimum": 0, "maximum": 1}),
        (Input(name="x", datatype="INT64", shape=(), minimum=0, maximum=1),
         {"type": "integer", "format": "int64", "minimum": 0, "maximum": 1}),
        (Input(name="x", datatype="FP64", shape=(), minimum=0, maximum=1, description="A share"),
         {"type": "number", "format": "double", "minimum": 0, "maximum": 1, "description": "A share"}),
        (Input(name="x", datatype="FP16", shape=(), minimum=0, nullable=True),
         {"type": ["number", "null"], "minimum": 0, "maximum": 65504.0}),
        (Input(name="x", datatype="FP32", shape=(), maximum=0),
         {"type": "number", "format": "float", "minimum": -3.4028234663852886e38, "maximum": 0}),
        (Input(name="x", datatype="BOOL", shape=()), {"type": ["boolean", "integer"], "enum": [True, False, 0, 1]}),
        (Input(name="x", datatype="BOOL", shape=(), nullable=True),
         {"type": ["boolean", "integer", "null"], "enum": [True, False, 0, 1, None]}),
        (Input(name="x", datatype="BYTES", shape=()), {"type": "string"}),
        (Input(name="x", datatype="BYTES", shape=(), categories=("a", "b"), nullable=True),
         {"type": ["string", "null"], "enum": ["a", "b", None]}),
        (Input(name="x", datatype="INT64", shape=(), categories=(1, 2)), {"type": "integer", "enum": [1, 2]}),
        (Input(name="x", datatype="BYTES", shape=(), content="json"),
         {"type": ["object", "array", "string", "number", "boolean"]}),
        (Input(name="x", datatype="BYTES", shape=(), content="bytes", nullable=True),
         {"type": ["object", "null"], "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
          "required": ["b64"], "additionalProperties": False}),
    ],
)  # fmt: skip
def test_an_element_has_its_type_and_bounds(schema: Input, said: dict[str, Any]) -> None:
    assert element(InputReader(schema), schema) == said


def test_a_feature_has_its_own_bounds_and_unit() -> None:
    schema = Input(name="x", datatype="FP32", shape=(3,), features=(
        Feature(name="a", unit="cm", minimum=0, maximum=1), Feature(name="b", boolean=True, nullable=True),
        Feature(name="c", description="C", unit="g", minimum=0, maximum=2),
    ))  # fmt: skip
    number = {"type": "number", "format": "float", "minimum": 0}
    told = [
        number | {"maximum": 1, "description": "a (cm)"},
        {"type": ["boolean", "integer", "null"], "enum": [True, False, 0, 1, None]},
        number | {"maximum": 2, "description": "C (g)"},
    ]
    assert [element(InputReader(schema), feature) for feature in schema.features] == told
    assert whole(InputReader(schema)) == {"type": "array", "prefixItems": told, "minItems": 3, "maxItems": 3}
    assert tuple_of(told) == whole(InputReader(schema))


def test_lists_have_their_sizes() -> None:
    three = {"type": "array", "items": INT8, "minItems": 3, "maxItems": 3}
    assert array_of(INT8, [3]) == three
    assert array_of(INT8, [-1, 3]) == {"type": "array", "items": three, "minItems": 1}
    assert array_of(INT8) == {"type": "array", "items": INT8, "minItems": 1}
    assert array_of(INT8, [-1], least=0) == {"type": "array", "items": INT8, "minItems": 0}
    assert array_of(INT8, []) == INT8


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (Output(name="y", datatype="BOOL", shape=()), {"type": "boolean"}),
        (Output(name="y", datatype="FP32", shape=(), description="It", nullable=False),
         {"type": "number", "description": "It"}),
        (Output(name="y", datatype="FP32", shape=(), nullable=True), {"type": ["number", "null"]}),
        (Output(name="y", datatype="FP32", shape=()), {"type": ["number", "null"]}),
        (Output(name="y", datatype="UINT8", shape=(2,)),
         {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}),
        (Output(name="y", datatype="BYTES", shape=(-1,), labels=("a", "b")),
         {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "minItems": 0}),
    ],
)  # fmt: skip
def test_an_output_has_its_type_and_labels(schema: Output, said: dict[str, Any]) -> None:
    assert output(schema) == said


@pytest.mark.parametrize(
    ("schema", "rank", "least"),
    [
        (Input(name="x", datatype="INT8", shape=(2, -1)), 3, 1),
        (Output(name="x", datatype="INT8", shape=(2,)), 2, 1),
        (Output(name="x", datatype="INT8", shape=(-1,)), 2, 0),
    ],
)
def test_a_tensor_has_its_rank(schema: Input | Output, rank: int, least: int) -> None:
    sizes = {"type": "array", "items": {"type": "integer", "minimum": least}, "minItems": rank, "maxItems": rank}
    properties = {
        "name": {"const": "x"},
        "datatype": {"const": "INT8"},
        "shape": sizes,
        "data": {"type": "array", "minItems": least},
    }
    assert tensor(schema) == object_of(properties, {"parameters": {"type": "object"}})


A = INT8 | {"maximum": 9}
B = {"type": "string", "default": "none"}
SEEN = {
    "type": "object",
    "properties": {"seen": {"type": "string"}},
    "required": ["seen"],
    "additionalProperties": False,
}
RECORD = {
    "type": "object", "properties": {"a": A, "b": B}, "required": ["a"], "additionalProperties": False,
}  # fmt: skip
ROW = {"type": "array", "prefixItems": [A, B], "minItems": 2, "maxItems": 2}
COLUMNS = {
    "type": "object",
    "properties": {"a": array_of(A), "b": array_of(B)},
    "required": ["a"],
    "additionalProperties": False,
    "minProperties": 1,
}


NO_HEADERS: Any = Request("/", [], lambda: None)  # type: ignore[arg-type,return-value]  # nothing is read


@pytest.fixture
def model(bundles: Bundles) -> Model:
    """A model of two inputs, of which one may be left out."""
    inputs = [
        {"name": "a", "datatype": "INT8", "shape": [], "maximum": 9},
        {"name": "b", "datatype": "BYTES", "shape": [], "default": "none"},
    ]
    return Model.load(read_bundle(write_bundle(bundles, inputs, [{"a": 1, "b": "x"}])))


def only(name: str, schema: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return object_of({name: schema}, optional)


def test_each_protocol_shows_every_form_of_its_requests_and_answers(model: Model) -> None:
    forms = [only("records", array_of(RECORD)), only("rows", array_of(ROW)), only("columns", COLUMNS)]
    about = {"model": {"const": "echo"}, "version": {"const": 1}}
    answers = [object_of(about | {"prediction": SEEN}), object_of(about | {"predictions": array_of(SEEN)})]
    assert native.schemas(model) == ({"anyOf": [RECORD, array_of(RECORD), array_of(ROW), *forms]}, {"anyOf": answers})

    signature = {"signature_name": {"enum": ["serving_default", ""]}}
    either = {"anyOf": [array_of(RECORD), array_of(ROW)]}
    by_column = {"anyOf": [array_of(ROW), COLUMNS]}
    text = {"type": "string"}
    asked, answered = tensorflow.schemas(model)
    assert asked == {"anyOf": [only("instances", either, **signature), only("inputs", by_column, **signature)]}
    assert answered == {"anyOf": [only("predictions", array_of(text)), only("outputs", {})]}

    split = object_of(
        {"columns": array_of(text), "data": array_of({"type": "array"})},
        {"index": {"type": "array"}},
    )
    asked, answered = mlflow.schemas(model)
    assert asked == {
        "anyOf": [
            only("dataframe_records", array_of(RECORD)), only("dataframe_split", split), only("instances", either),
            only("inputs", by_column),
        ]
    }  # fmt: skip
    assert answered == only("predictions", array_of(text))

    tensors = {"anyOf": [tensor(reader.schema) for reader in model.inputs]}
    optional = {"id": text, "parameters": {"type": "object"}, "outputs": {"type": "array", "items": {"type": "object"}}}
    inputs = {"type": "array", "items": tensors, "minItems": 1, "maxItems": 2}
    asked, answered = v2_infer.schemas(model)
    assert asked == object_of({"inputs": inputs}, optional)
    told = {"model_name": {"const": "echo"}, "model_version": {"const": "1"}}
    seen = array_of({"anyOf": [tensor(writer.schema) for writer in model.outputs]})
    assert answered == object_of(told | {"outputs": seen}, {"id": text})


def test_each_protocol_has_its_urls_its_tag_and_an_example(model: Model) -> None:
    example = {"a": 1, "b": "x"}
    told = [
        (one.PREDICT.name, one.PREDICT.operation, one.PREDICT.tag) for one in (native, tensorflow, mlflow, v2_infer)
    ]
    assert told == [
        ("native", "native", "predict"), ("tensorflow", "tensorflow", "TensorFlow Serving"),
        ("mlflow", "mlflow", "MLflow and SageMaker"), ("v2", "infer", "Open Inference Protocol"),
    ]  # fmt: skip
    assert native.example(model) == example
    assert tensorflow.example(model) == {"instances": [example]}
    assert mlflow.example(model) == {"dataframe_records": [example]}
    assert v2_infer.example(model) == {
        "inputs": [
            {"name": "a", "datatype": "INT8", "shape": [1], "data": [1]},
            {"name": "b", "datatype": "BYTES", "shape": [1], "data": ["x"]},
        ]
    }


def test_what_tensorflows_clients_are_told_of_a_model(model: Model) -> None:
    def described(name: str, dtype: str) -> dict[str, Any]:
        anything = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
        return {"dtype": dtype, "tensor_shape": anything, "name": name}

    signature = {
        "inputs": {"a": described("a", "DT_INT8"), "b": described("b", "DT_STRING")},
        "outputs": {"seen": described("seen", "DT_STRING")},
        "method_name": "tensorflow/serving/predict",
    }
    assert tensorflow.metadata(model) == {
        "model_spec": {"name": "echo", "signature_name": "", "version": "1"},
        "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
    }
    assert tensorflow.status([model]) == {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    types = {"BOOL": "DT_BOOL", "FP16": "DT_HALF", "FP32": "DT_FLOAT", "FP64": "DT_DOUBLE", "BYTES": "DT_STRING"}
    assert types == tensorflow.DTYPES


def test_what_v2s_clients_are_told_of_a_model(model: Model) -> None:
    assert v2_metadata.metadata(model, [1, 2]) == {
        "name": "echo",
        "versions": ["1", "2"],
        "platform": "python",
        "inputs": [
            {"name": "a", "datatype": "INT8", "shape": [-1]},
            {"name": "b", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [{"name": "seen", "datatype": "BYTES", "shape": [-1]}],
    }
    assert v2_metadata.CONTENT_TYPES == {"bytes": "base64", "json": "json"}


@pytest.mark.parametrize(
    ("sent", "field", "received", "expected"),
    [
        ({"inputs": [], "outputs": [{"name": "seen", "parameters": {"classification": 2}}]},
         "seen.parameters.classification", 2, "absent"),
        ({"parameters": {"binary_data_output": 1}}, "parameters.binary_data_output", 1, "true or false"),
        ({"outputs": [{"name": "x"}]}, "outputs.name", "x", "one of seen"),
        ({"outputs": {}}, None, None, None),
        ({"outputs": [1]}, "outputs", [1], "a list of objects, each with a name"),
        ({"parameters": 1}, "parameters", 1, "an object"),
        ({"outputs": [{"name": "seen", "parameters": 1}]}, "seen.parameters", 1, "an object"),
        ({"outputs": [{"name": "seen", "parameters": {"binary_data": 1}}]},
         "seen.parameters.binary_data", 1, "true or false"),
        ({"outputs": [{"name": "seen"}] * 2}, "outputs", "seen", None),
        ({"id": 1}, "id", 1, "a string"),
    ],
)  # fmt: skip
def test_a_wrong_part_of_a_v2_request_says_what_belongs_there(
    model: Model, sent: dict[str, Any], field: str | None, received: Any, expected: str | None
) -> None:
    whole = v2_infer.example(model) | {name: value for name, value in sent.items() if name != "inputs"}
    if field is None:
        v2_infer.parse(model, json.dumps(whole).encode(), NO_HEADERS)
        return
    with pytest.raises(ClientError) as caught:
        v2_infer.parse(model, json.dumps(whole).encode(), NO_HEADERS)
    assert (caught.value.field, caught.value.received, caught.value.expected) == (field, received, expected)


@pytest.mark.parametrize(
    ("inputs", "field", "received", "expected"),
    [
        ([], "inputs", None, "a"),
        ([{"name": "a"}], "a.datatype", None, "INT8"),
        ([{"name": "c"}], "inputs.name", "c", "one of a and b"),
        ([{"name": "a", "parameters": {"binary_data_size": 1}}], "a.parameters.binary_data_size", 1,
         "a number of the bytes left after the JSON, at most 0"),
        ([{"name": "a", "datatype": "INT8", "shape": [1], "data": [1]},
          {"name": "b", "datatype": "BYTES", "shape": [2], "data": ["x", "y"]}],
         "inputs", {"a": 1, "b": 2}, "the same first dimension"),
    ],
)  # fmt: skip
def test_a_wrong_input_of_a_v2_request_says_what_belongs_there(
    model: Model, inputs: list[Any], field: str, received: Any, expected: str
) -> None:
    with pytest.raises(ClientError) as caught:
        v2_infer.parse(model, json.dumps({"inputs": inputs}).encode(), NO_HEADERS)
    assert (caught.value.field, caught.value.received, caught.value.expected) == (field, received, expected)


def test_a_v2_request_that_leaves_out_what_has_a_default_is_whole(model: Model) -> None:
    sent = {"inputs": v2_infer.example(model)["inputs"][:1]}
    arrays, wanted = v2_infer.parse(model, json.dumps(sent).encode(), NO_HEADERS)
    assert {name: array.tolist() for name, array in arrays.items()} == {"a": [1], "b": ["none"]}
    assert wanted == (None, {"seen": False})
