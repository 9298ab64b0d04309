"""Many rows in one request, in every form, answered as each row is alone."""

import json
import time
from typing import Any

import pytest
from harness import MODELS, Bundles, assert_error_shape, client_for
from modelhost.models.model import close
from modelhost.settings import Settings
from modelhost.web.app import create_app
from werkzeug.test import Client

RECORD = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


def golden(name: str) -> list[dict[str, Any]]:
    """The records of a bundle's examples, over again to 64."""
    examples = json.loads((MODELS / name / "1/golden.json").read_text())
    return [example["inputs"] for example in (examples * 64)[:64]]


def columns(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [record[name] for record in records] for name in records[0]}


@pytest.mark.parametrize("name", ["churn", "colours", "digits", "iris"])
@pytest.mark.parametrize("rows", [1, 2, 64])
def test_every_form_of_a_batch_answers_as_its_rows_do_alone(client: Client, name: str, rows: int) -> None:
    url = f"/models/{name}/predict"
    records = golden(name)[:rows]
    alone = [client.post(url, json=record).json for record in records]
    plain = [list(record.values()) if len(record) > 1 else next(iter(record.values())) for record in records]
    forms = [records, {"records": records}, {"columns": columns(records)}, {"rows": plain}, plain]
    for form in forms:
        answer = client.post(url, json=form)
        assert answer.status_code == 200, answer.text
        assert answer.json
        assert list(answer.json) == ["model", "version", "predictions"]
        wanted = [one["prediction"] for one in alone if one]
        for got, expected in zip(answer.json["predictions"], wanted, strict=True):
            assert got.keys() == expected.keys()
            assert all(close(got[key], expected[key], 1e-5) for key in expected)


def test_whole_inputs_and_features_may_be_mixed_among_records(client: Client) -> None:
    records = [RECORD, {"measurements": [5.9, 3, 5.1, 1.8]}, dict(reversed(RECORD.items()))]
    answer = client.post("/models/iris/predict", json=records).json
    assert answer
    assert [row["species"] for row in answer["predictions"]] == ["setosa", "virginica", "setosa"]


def test_records_may_list_their_features_in_any_order(client: Client) -> None:
    body = json.dumps([dict(reversed(RECORD.items()))] * 2)
    answer = client.post("/models/iris/predict", data=body).json
    assert answer
    assert [row["species"] for row in answer["predictions"]] == ["setosa", "setosa"]


def test_a_row_for_a_scalar_or_an_image_may_be_a_flat_list(client: Client) -> None:
    answer = client.post("/", json={"rows": [[2], [0]]}).json
    assert answer
    assert answer["predictions"] == [{"colour": "blue"}, {"colour": "red"}]
    images = [record["image"] for record in golden("digits")[:3]]
    flat = [[pixel for row in image for pixel in row] for image in images]
    nested = client.post("/models/digits/predict", json={"rows": images})
    assert client.post("/models/digits/predict", json={"rows": flat}).data == nested.data


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ([{"index": 1}, {"index": 9}], "index", "index in row 1 must be an integer from 0 to 4, not 9."),
        ([{"index": 1}, {}], "index", "Row 1: index is missing"),
        ([{"index": 1}, {"indx": 1}], "indx", "Row 1: indx is not a field of this model: did you mean index?"),
        ([{"index": 1}, 2], None, "Row 1: A record must be an object with index"),
        ([1, {"index": 1}], "index", "index in row 1 must be an integer from 0 to 4, not an object."),
        ([1, [2]], "index", "index in row 1"),
        ({"records": []}, "records", "records must be a list with at least one row, not an empty list."),
        ({"records": {"index": 1}}, "records", "not an object."),
        ({"rows": 7}, "rows", "rows must be a list with at least one row, not 7."),
        ({"columns": [1]}, "columns", "columns must be an object with a list for each of index, not a list of 1."),
        ({"columns": {}}, "index", "index is missing"),
        ({"columns": {"index": 1}}, "index", "index must be a list with at least one row, not 1."),
        ({"columns": {"index": []}}, "index", "not an empty list."),
        ({"columns": {"indx": [1]}}, "indx", "did you mean index?"),
        ({"columns": {"index": [0, 1, "x"]}}, "index", 'index in row 2 must be an integer from 0 to 4, not "x".'),
        ({"records": [{"index": 1}], "rows": []}, "records", "records is not a field of this model"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_batch_is_told_which_row(client: Client, body: Any, field: str | None, said: str) -> None:
    answer = client.post("/", json=body)
    assert answer.status_code == 400
    error = assert_error_shape(answer.data)
    assert error["field"] == field
    assert said in error["error"]
    assert client.post("/", json=error["example"]).status_code == 200


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"rows": [[5, 3, 1, 0.2], [5, 3, 1, 9]]}, "petal_width", "in row 1 must be a number from 0 to 4 (cm), not 9."),
        ({"rows": [[5, 3, 1, 0.2], [5, 3, 1]]}, "measurements", "in row 1 must be a list of 4 numbers"),
        (
            {"columns": columns([RECORD, RECORD]) | {"petal_width": [1]}},
            "petal_width",
            "a list of 2, as petal_length is, not a list of 1",
        ),
        ({"columns": {"sepal_width": [1]}}, "sepal_length", "petal_length and petal_width"),
        ({"columns": {"measurements": [[1, 1, 1, 1]], "sepal_width": [1]}}, "sepal_width", "either measurements or"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_feature_in_a_batch_is_named(client: Client, body: Any, field: str, said: str) -> None:
    answer = client.post("/models/iris/predict", data=json.dumps(body, sort_keys=True))
    assert answer.status_code == 400
    error = assert_error_shape(answer.data)
    assert error["field"] == field
    assert said in error["error"]


def two_inputs(manifest: dict[str, Any]) -> None:
    manifest["inputs"].append({"name": "records", "datatype": "BYTES", "shape": []})


def test_a_model_with_several_inputs_takes_rows_in_their_order(bundles: Bundles) -> None:
    bundle = bundles.copy("colours")
    bundles.edit(bundle, two_inputs)
    source = (
        "class Model:\n    def predict(self, i):\n        return {'colour': i['index'].astype(str) + i['records']}\n"
    )
    bundles.write(bundle, "model.py", source.replace("astype(str)", "astype(str).astype(object)"))
    golden = [{"inputs": {"index": 2, "records": "x"}, "outputs": {"colour": "2x"}}]
    bundles.write(bundle, "golden.json", json.dumps(golden))
    client = client_for(create_app(Settings(models_dir=bundles.directory)))
    answer = client.post("/", json=[[1, "a"], [2, "b"]]).json
    assert answer
    assert answer["predictions"] == [{"colour": "1a"}, {"colour": "2b"}]
    assert client.post("/", json=[[1, "a"], [2]]).status_code == 400
    # A field called as a form is the field.
    assert assert_error_shape(client.post("/", json={"records": "b"}).data)["field"] == "index"


@pytest.mark.parametrize("wrong", [0, 1, 20_000, 29_998, 29_999])
def test_the_first_wrong_row_of_many_is_found_soon(client: Client, wrong: int) -> None:
    indices = [1] * 30_000
    indices[wrong] = 9
    indices[-1] = 8 if wrong != 29_999 else 9
    start = time.thread_time()
    error = assert_error_shape(client.post("/", json=indices).data)
    assert time.thread_time() - start < 0.2
    assert f"index in row {wrong} must be an integer from 0 to 4, not 9." == error["error"]
