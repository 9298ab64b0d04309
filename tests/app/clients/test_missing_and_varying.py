"""Missing values and sizes that vary, as pandas, MLflow and tritonclient write them, and as OpenAPI describes them."""

import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import schemathesis
import tritonclient.http as triton
from echoes import client_of, write_bundle
from harness import Bundles, client_for
from hypothesis import HealthCheck, given, settings
from modelhost.settings import Settings
from modelhost.web.app import create_app
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from werkzeug.test import Client

FEATURES = [
    {"name": "a b", "nullable": True, "default": None},
    {"name": "city_Ulm", "boolean": True},
    {"name": "city_Bonn", "boolean": True, "nullable": True, "default": None},
]
COLUMNS = [
    {"name": "x", "datatype": "FP64", "shape": [3], "features": FEATURES},
    {"name": "text", "datatype": "BYTES", "shape": [], "nullable": True, "default": None},
    {"name": "sold", "datatype": "BOOL", "shape": [], "nullable": True},
]
FRAME = pd.DataFrame(
    {
        "a b": [1.5, np.nan, 3.0],
        "city_Ulm": [True, False, True],
        "city_Bonn": [None, True, False],
        "text": ["kühl", None, "a,b\n\"c\""],
        "sold": [True, None, False],
    }
)  # fmt: skip
WANTED = [
    {"x": [1.5, 1.0, "NaN"], "text": "kühl", "sold": True},
    {"x": ["NaN", 0.0, 1.0], "text": None, "sold": None},
    {"x": [3.0, 1.0, 0.0], "text": 'a,b\n"c"', "sold": False},
]
TOKENS = [
    {"name": "tokens", "datatype": "INT64", "shape": [-1], "minimum": 0, "maximum": 9},
    {"name": "boxes", "datatype": "FP32", "shape": [-1, 2], "nullable": True, "minimum": 0, "default": [[0, 1]]},
]


@pytest.fixture
def frames(bundles: Bundles) -> Client:
    row = {"a b": 1.5, "city_Ulm": 1, "sold": True}
    answers = [{"seen": json.dumps({"x": [1.5, 1.0, "NaN"], "text": None, "sold": True})}]
    write_bundle(bundles, COLUMNS, [row], answers=answers)
    return client_of(bundles)


@pytest.fixture
def sequences(bundles: Bundles) -> Client:
    row = {"tokens": [1, 2], "boxes": [[1, None]]}
    answers = [{"seen": json.dumps({"tokens": [1, 2], "boxes": [[1.0, "NaN"]]})}]
    write_bundle(bundles, TOKENS, [row], answers=answers)
    return client_of(bundles)


def test_what_pandas_writes_is_read(frames: Client) -> None:
    bodies: list[tuple[Any, str]] = [
        (FRAME.to_csv(index=False), "text/csv"),
        ('{"dataframe_split": ' + FRAME.to_json(orient="split") + "}", "application/json"),
        ('{"dataframe_records": ' + FRAME.to_json(orient="records") + "}", "application/json"),
        ('{"inputs": ' + FRAME.to_json(orient="records") + "}", "application/json"),
    ]
    for body, content_type in bodies:
        answer = frames.post("/invocations", data=body.encode(), content_type=content_type)
        assert answer.status_code == 200, (body, answer.text)
        assert [json.loads(row) for row in (answer.json or {})["predictions"]] == WANTED, body


def test_what_mlflow_makes_of_a_frame_is_read(frames: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings(action="ignore"):  # MLflow's own, of its own classes
        from mlflow.utils.proto_json_utils import dump_input_data
    answer = frames.post("/invocations", data=dump_input_data(FRAME), content_type="application/json")
    assert answer.status_code == 200, answer.text
    assert [json.loads(row) for row in (answer.json or {})["predictions"]] == WANTED


def test_what_get_dummies_makes_is_read(frames: Client) -> None:
    dummies = pd.get_dummies(pd.DataFrame({"a b": [1, 2], "city": ["Ulm", "Bonn"]})).assign(sold=False)
    for body in (dummies.to_json(orient="records"), dummies.astype(int).to_json(orient="records")):
        answer: Any = frames.post("/", data=body).json
        rows = [json.loads(row["seen"])["x"] for row in answer["predictions"]]
        assert rows == [[1.0, 1.0, 0.0], [2.0, 0.0, 1.0]]


def test_tritonclient_sends_a_nan_and_sizes_that_vary(sequences: Client) -> None:
    tokens, boxes = np.arange(6).reshape(2, 3), np.array([[[1, np.nan]] * 4] * 2, np.float32)
    for binary in (True, False):
        sent = [
            triton.InferInput("tokens", tokens.shape, "INT64").set_data_from_numpy(tokens, binary_data=binary),
            triton.InferInput("boxes", boxes.shape, "FP32").set_data_from_numpy(boxes, binary_data=True),
        ]
        body, header = triton.InferenceServerClient.generate_request_body(sent)
        answer = sequences.post(
            "/v2/models/echo/infer", data=body, headers={"Inference-Header-Content-Length": str(header)}
        )
        size = int(answer.headers["Inference-Header-Content-Length"])
        result = triton.InferenceServerClient.parse_response_body(answer.data, header_length=size)
        assert [json.loads(row) for row in result.as_numpy("seen")] == [
            {"tokens": row, "boxes": [[1.0, "NaN"]] * 4} for row in tokens.tolist()
        ]


def says_more_than_json_schema_can(body: Any) -> bool:
    """That lists are of one length, no schema can say: columns, tensors, several rows and several boxes."""
    if isinstance(body, list):
        return len(body) > 1
    fields = {"tokens", "boxes", "x", "text", "sold", *(feature["name"] for feature in FEATURES)}
    return not isinstance(body, dict) or not body.keys() <= fields


@pytest.mark.parametrize("inputs", [COLUMNS, TOKENS], ids=["missing", "varying"])
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_what_the_schemas_allow_is_answered_and_what_they_forbid_refused(
    bundles: Bundles, inputs: list[dict[str, Any]], mode: GenerationMode
) -> None:
    row: Any = {"city_Ulm": 1, "sold": True}
    seen: Any = {"x": ["NaN", 1.0, "NaN"], "text": None, "sold": True}
    if inputs is TOKENS:
        row, seen = {"tokens": [1]}, {"tokens": [1], "boxes": [[0.0, 1.0]]}
    write_bundle(bundles, inputs, [row], answers=[{"seen": json.dumps(seen)}])
    app = create_app(Settings(models_dir=bundles.directory, default_model=""))
    statuses = []
    for result in schemathesis.openapi.from_wsgi("/openapi.json", client_for(app).application).get_all_operations():
        operation = result.ok()
        if operation.method == "get":
            continue

        @settings(
            max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case) -> None:
            excluded = [positive_data_acceptance] if says_more_than_json_schema_can(case.body) else []
            answer = case.call_and_validate(headers={"Accept-Encoding": "identity"}, excluded_checks=excluded)
            statuses.append(answer.status_code)

        check()
    assert statuses.count(200 if mode is GenerationMode.POSITIVE else 400) > 60, statuses
