"""NaN and infinity among a model's answers: null where the bundle says so, else refused, and counted either way."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from harness import Bundles, assert_error_shape, client_for
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.bundle.schema import Output
from modelhost.cli.predict import predict
from modelhost.models.model import Model
from modelhost.payload.errors import ClientError
from modelhost.payload.outputs import OutputWriter
from modelhost.settings import Settings
from modelhost.web.app import create_app
from protocol_requests import every_way
from test_streaming import events
from werkzeug.test import Client

# Answers the value at the place asked for, beside a number that is always there.
SOURCE = """
import numpy as np

VALUES = np.array([0.5, np.nan, np.inf, -np.inf])


class Model:
    def predict(self, inputs):
        value = VALUES[inputs["index"]]
        return {"pair": np.stack([np.ones(len(value)), value], axis=1), "place": inputs["index"]}

    def stream(self, inputs):
        for place in range(int(inputs["index"][0]) + 1):
            yield self.predict({"index": np.full(len(inputs["index"]), place)})
"""
NUMBER, NAN, INFINITY, MINUS_INFINITY = range(4)


def written(bundles: Bundles, nullable: bool | None, *golden: int) -> Path:
    """A bundle whose output `pair` says so of null, with these places as its golden examples."""
    bundle = bundles.copy("colours", "m/1")
    said = {} if nullable is None else {"nullable": nullable}
    inputs = [{"name": "index", "datatype": "INT64", "shape": [], "minimum": 0, "maximum": 3}]
    outputs = [{"name": "pair", "datatype": "FP64", "shape": [2]} | said]
    outputs += [{"name": "place", "datatype": "INT64", "shape": []}]
    bundles.edit(bundle, lambda m: m.update(name="m", inputs=inputs, outputs=outputs))
    bundles.write(bundle, "model.py", SOURCE)
    answers = [[1.0, 0.5], *[[1.0, None]] * 3]
    examples = [{"inputs": {"index": at}, "outputs": {"pair": answers[at], "place": at}} for at in golden or (NUMBER,)]
    bundles.write(bundle, "golden.json", json.dumps(examples))
    return bundle


def served(bundles: Bundles, nullable: bool | None) -> Client:
    written(bundles, nullable)
    return client_for(create_app(Settings(models_dir=bundles.directory, default_model="m")))


def counted(client: Client) -> float:
    """How many values that are not finite /metrics has counted of the output."""
    lines = client.get("/metrics").text.splitlines()
    (line,) = [one for one in lines if one.startswith('modelhost_nonfinite_values_total{model="m",output="pair"')]
    return float(line.rpartition(" ")[2])


def answers(client: Client, places: list[int]) -> dict[str, Any]:
    """What each protocol answers, read as its clients do, or the response where that is an error."""
    schema = client.get("/models/m").json
    found: dict[str, Any] = {}
    for way, asked in every_way(schema, [{"index": place} for place in places]).items():
        answer = client.post(asked.url, data=asked.body, headers=asked.headers)
        found[way] = asked.read(answer.data, answer.headers) if answer.status_code == 200 else answer
    return found


@pytest.mark.parametrize("nullable", [True, None])
def test_nan_is_null_in_every_protocol_where_the_bundle_allows_it(bundles: Bundles, nullable: bool | None) -> None:
    client = served(bundles, nullable)
    before = counted(client)
    found = answers(client, [NUMBER, NAN])
    binary = found.pop("v2 binary")
    assert np.array_equal([row["pair"] for row in binary], [[1, 0.5], [1, np.nan]], equal_nan=True), "as it is"
    wanted = [{"pair": [1.0, 0.5], "place": 0}, {"pair": [1.0, None], "place": 1}]
    assert found == dict.fromkeys(found, wanted)
    assert counted(client) == before + len(found) + 1


@pytest.mark.parametrize(
    ("nullable", "place", "value"),
    [(False, NAN, "nan"), (False, INFINITY, "inf"), (True, INFINITY, "inf"), (True, MINUS_INFINITY, "-inf")],
)
def test_what_the_bundle_does_not_allow_is_a_500_in_every_protocol(
    bundles: Bundles, caplog: pytest.LogCaptureFixture, nullable: bool, place: int, value: str
) -> None:
    client = served(bundles, nullable)
    before = counted(client)
    found = answers(client, [NUMBER, NUMBER, place])
    for way, answer in found.items():
        assert answer.status_code == 500, way
        error = assert_error_shape(answer.data)
        assert error["error"].startswith(f"The model answers pair[1] in row 2 with {value}, "), way
        assert (error["field"], error["received"]) == ("pair[1]", value)
        assert error["expected"] == ("a finite number or NaN" if nullable else "a finite number")
        assert client.post(answer.request.path, json=error["example"]).status_code == 200
    assert counted(client) == before + len(found)
    assert "/models/m/predict': The model answers pair[1] in row 2 with" in caplog.text
    assert client.post("/", json={"index": NUMBER}).status_code == 200


def test_a_call_that_requests_share_fails_for_those_with_a_wrong_number_alone(bundles: Bundles) -> None:
    bundle = written(bundles, nullable=False)
    bundles.edit(bundle, lambda m: m.update(batching={"max_rows": 8}))
    bundles.write(
        bundle, "model.py", SOURCE.replace("        value =", "        __import__('time').sleep(0.02)\n        value =")
    )
    app = create_app(Settings(models_dir=bundles.directory, default_model="m"))
    with ThreadPoolExecutor(8) as clients:
        asked = clients.map(lambda place: client_for(app).post("/", json={"index": place}), [NUMBER, NAN] * 4)
        assert [answer.status_code for answer in asked] == [200, 500] * 4


def test_a_refusal_says_what_to_write(bundles: Bundles) -> None:
    client = served(bundles, nullable=False)
    refused = assert_error_shape(client.post("/", json={"index": NAN}).data)
    assert refused["error"] == (
        "The model answers pair[1] with nan, though its model.yaml says that it never does (nullable: false): mend the "
        "model; or, if NaN stands for a missing value, write nullable: true with the output pair."
    )
    refused = assert_error_shape(client.post("/", json={"index": INFINITY}).data)
    assert refused["error"] == (
        "The model answers pair[1] with inf, which JSON cannot carry: mend the model; or, if the value is missing, let "
        "it give NaN."
    )


def test_an_answer_without_the_output_is_refused_with_it(bundles: Bundles) -> None:
    client = served(bundles, nullable=False)
    tensor = {"name": "index", "datatype": "INT64", "shape": [1], "data": [NAN]}
    asked = client.post("/v2/models/m/infer", json={"inputs": [tensor], "outputs": [{"name": "place"}]})
    assert asked.status_code == 500, "what stands beside NaN is no better"


def test_a_cell_of_csv_is_empty_where_a_value_is_missing(bundles: Bundles) -> None:
    client = served(bundles, nullable=True)
    answer = client.post(
        "/invocations", data="index\n0\n1\n", headers={"Content-Type": "text/csv", "Accept": "text/csv"}
    )
    assert answer.text == "1.0,0.5,0\n1.0,,1\n"


def test_a_stream_ends_with_the_error_at_the_first_wrong_number(bundles: Bundles) -> None:
    client = served(bundles, nullable=True)
    *said, error = events(client.post("/models/m/stream", json={"index": MINUS_INFINITY}).data)
    assert [data["prediction"]["pair"] for _, data in said] == [[1.0, 0.5], [1.0, None]]
    assert error[0] == "error"
    assert "pair[1] with inf" in assert_error_shape(json.dumps(error[1]).encode())["error"]


def test_a_bundle_that_says_nothing_answers_as_before_and_the_log_says_so_once(
    bundles: Bundles, caplog: pytest.LogCaptureFixture
) -> None:
    client = served(bundles, nullable=None)
    for place in (NAN, INFINITY, MINUS_INFINITY):
        assert client.post("/", json={"index": place}).json["prediction"]["pair"] == [1.0, None]
    assert caplog.text.count("m version 1 answers NaN or infinity as pair, which is null in JSON") == 1


@pytest.mark.parametrize(
    ("nullable", "kind"), [(True, ["number", "null"]), (None, ["number", "null"]), (False, "number")]
)
def test_the_documentation_says_whether_an_output_may_be_null(
    bundles: Bundles, nullable: bool | None, kind: Any
) -> None:
    client = served(bundles, nullable)
    described = client.get("/openapi.json").text
    assert json.dumps({"type": kind}, separators=(",", ":")) in described
    assert (json.dumps({"type": "number"}, separators=(",", ":")) in described) == (kind == "number")
    assert client.get("/models/m").json["outputs"][0].get("nullable") is nullable


@pytest.mark.parametrize(
    ("nullable", "place", "wanted"),
    [
        (False, NAN, "golden cannot be answered: The model answers pair[1] with nan"),
        (True, INFINITY, "golden cannot be answered: The model answers pair[1] with inf"),
        (True, NAN, ""),
        (None, INFINITY, ""),
    ],
)
def test_a_golden_example_is_held_to_it(bundles: Bundles, nullable: bool | None, place: int, wanted: str) -> None:
    bundle = read_bundle(written(bundles, nullable, NUMBER, place))
    if not wanted:
        Model.load(bundle)
        return
    with pytest.raises(BundleError) as refused:
        Model.load(bundle)
    assert wanted in str(refused.value)


def test_predict_from_a_bundle_refuses_as_the_server_does(bundles: Bundles) -> None:
    bundle = written(bundles, nullable=False)
    said = CliRunner().invoke(predict, [str(bundle), "--data", '{"index": 1}'])
    assert said.exit_code == 1
    assert "The model answers pair[1] with nan" in said.stderr


def test_only_floats_may_be_null(bundles: Bundles) -> None:
    bundle = written(bundles, nullable=None)
    bundles.edit(bundle, lambda m: m["outputs"][1].update(nullable=True))
    with pytest.raises(
        BundleError, match=r"outputs\[place\]\.nullable is True: write false, or leave it out: of the da"
    ):
        read_bundle(bundle)
    bundles.edit(bundle, lambda m: m["outputs"][1].update(nullable=False))
    assert read_bundle(bundle).manifest.outputs[1].nullable is False


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_every_kind_of_float_is_looked_at(datatype: Any) -> None:
    writer = OutputWriter(Output(name="y", datatype=datatype, shape=(-1, 2), nullable=False))
    array = np.full((2, 3, 2), np.finfo(writer.dtype).max, writer.dtype)
    writer.refuse_not_finite(array)
    assert writer.not_finite(array) == 0
    array[1, 2, 0], array[1, 1, 1] = np.nan, -np.inf
    assert writer.not_finite(array) == 2
    with pytest.raises(ClientError, match=r"y\[1\]\[1\] in row 1 with -inf"):
        writer.refuse_not_finite(array)
    writer.refuse_not_finite(array[:, :0])
