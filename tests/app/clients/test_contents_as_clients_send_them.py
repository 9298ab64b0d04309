"""Bytes and JSON values, as tritonclient and MLflow's own client write them, and as the description has them."""

import base64
import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import schemathesis
import tritonclient.http as triton
from echoes import SOURCE, write_bundle
from harness import Bundles, client_for
from hypothesis import HealthCheck, given, settings
from modelhost.settings import Settings
from modelhost.web.app import create_app
from modelhost.web.asgi import Application
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

HEX = SOURCE.replace("def seen(value):", "def seen(value):\n    value = value.hex() if type(value) is bytes else value")
INPUTS: list[dict[str, Any]] = [
    {"name": "image", "datatype": "BYTES", "shape": [], "content": "bytes"},
    {"name": "order", "datatype": "BYTES", "shape": [], "content": "json", "nullable": True, "default": None},
    {"name": "title", "datatype": "BYTES", "shape": [], "default": "none"},
]
IMAGES = [bytes(range(256)), b"", b"\xff\xd8" * 500]
ORDERS: list[Any] = [{"a": [1, {"b": None}]}, [1, [2]], 7]


@pytest.fixture
def app(bundles: Bundles) -> Application:
    answer = {"seen": json.dumps({"image": "ff", "order": None, "title": "none"})}
    write_bundle(bundles, INPUTS, [{"image": {"b64": "/w=="}}], source=HEX, answers=[answer])
    return create_app(Settings(models_dir=bundles.directory, default_model="echo"))


def wanted(title: str = "none") -> list[Any]:
    return [{"image": i.hex(), "order": o, "title": title} for i, o in zip(IMAGES, ORDERS, strict=True)]


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_sends_bytes_in_binary_and_json_values_as_text(app: Application, binary: bool) -> None:
    texts = [json.dumps(order).encode() for order in ORDERS]
    sent = []
    for name, rows in (("image", IMAGES), ("order", texts)):
        tensor = triton.InferInput(name, [3], "BYTES").set_data_from_numpy(np.array(rows, object))
        sent.append(tensor)
    if not binary:
        with pytest.raises(Exception, match="UTF-8"):  # its own JSON has no bytes
            sent[0].set_data_from_numpy(np.array(IMAGES, object), binary_data=False)
        return
    body, size = triton.InferenceServerClient.generate_request_body(sent)
    answer = client_for(app).post(
        "/v2/models/echo/infer", data=body, headers={"Inference-Header-Content-Length": str(size)}
    )
    result = triton.InferenceServerClient.parse_response_body(
        answer.data, header_length=int(answer.headers["Inference-Header-Content-Length"])
    )
    assert [json.loads(text) for text in result.as_numpy("seen")] == wanted()


def test_mlflows_client_sends_bytes_in_base64(app: Application) -> None:
    with warnings.catch_warnings(action="ignore"):  # MLflow's own, of its own classes
        from mlflow.utils.proto_json_utils import NumpyEncoder, dump_input_data
    client = client_for(app)
    strings = [base64.encodebytes(image).decode() for image in IMAGES]  # its client encodes no bytes itself
    columns = {"order": ORDERS, "title": ["t"] * 3}
    frame = pd.DataFrame({"image": IMAGES} | columns)
    for body in (
        dump_input_data(pd.DataFrame({"image": strings} | columns)),
        json.dumps({"dataframe_split": frame.to_dict(orient="split")}, cls=NumpyEncoder),  # as it writes examples
        json.dumps({"dataframe_records": frame.to_dict(orient="records")}, cls=NumpyEncoder),
    ):
        answer = client.post("/invocations", data=body, content_type="application/json")
        assert answer.status_code == 200, answer.text
        assert [json.loads(text) for text in (answer.json or {})["predictions"]] == wanted("t")


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_description_is_true(app: Application, mode: GenerationMode) -> None:
    """What a schema cannot say is that a text is base64; so only what it forbids is sent where texts are drawn."""
    seen = []
    for result in schemathesis.openapi.from_wsgi("/openapi.json", client_for(app).application).get_all_operations():
        operation = result.ok()
        if operation.method == "get":
            continue

        @settings(
            max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case) -> None:
            excluded = [positive_data_acceptance]
            answer = case.call_and_validate(headers={"Accept-Encoding": "identity"}, excluded_checks=excluded)
            seen.append(answer.status_code)

        check()
    assert set(seen) <= {200, 400}
    assert 400 in seen
