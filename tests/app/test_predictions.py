"""What a client sends and gets, through the application in process."""

import asyncio
import base64
import gzip
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from harness import MODELS, RELEASE, Bundles, assert_error_shape, client_for
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.inference.pipeline import LARGE
from modelhost.models.model import Model
from modelhost.payload.errors import ClientError
from modelhost.payload.http_body import read_body
from modelhost.payload.request import Request
from modelhost.protocols import native
from modelhost.settings import Settings
from modelhost.web.app import create_app
from modelhost.web.asgi import Application
from werkzeug.test import Client

IRIS = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


COLOURS = ["red", "green", "blue", "yellow", "black"]


@pytest.mark.parametrize(("index", "colour"), list(enumerate(COLOURS)))
def test_colours_answers_the_colour_at_an_index(client: Client, index: int, colour: str) -> None:
    answer = client.post("/", json={"index": index})
    assert answer.status_code == 200
    assert answer.json == {"model": "colours", "version": 1, "prediction": {"colour": colour}}


def test_get_says_that_the_model_is_up_and_to_send_a_post_request(client: Client) -> None:
    answer = client.get("/").json
    assert answer is not None
    assert "colours is up" in answer["message"]
    assert "POST request" in answer["message"]
    assert client.post("/", json=answer["example"]).status_code == 200
    assert sorted(answer["models"]) == ["churn", "colours", "digits", "iris"]
    for url in answer["models"].values():
        assert client.post(url, data="{}").status_code == 400


def test_body_is_read_as_json_whatever_its_content_type(client: Client) -> None:
    for content_type in (None, "application/x-www-form-urlencoded", "text/plain", "multipart/x"):
        answer = client.post("/", data='{"index": 2}', content_type=content_type)
        assert answer.json
        assert answer.json["prediction"] == {"colour": "blue"}


def test_features_may_be_sent_by_name_or_as_a_list(client: Client) -> None:
    by_name = client.post("/models/iris/predict", json=IRIS)
    as_list = client.post("/models/iris/predict", json={"measurements": list(IRIS.values())})
    assert by_name.json == as_list.json
    assert by_name.json
    assert by_name.json["prediction"]["species"] == "setosa"


def test_an_integer_may_be_written_with_a_zero_fraction(client: Client) -> None:
    assert client.post("/", data='{"index": 2.0}').status_code == 200


def test_probabilities_are_written_with_the_digits_of_a_float32(client: Client) -> None:
    answer = client.post("/models/iris/predict", json=IRIS)
    texts = answer.text.partition('"probabilities":[')[2].partition("]")[0].split(",")
    assert max(map(len, texts)) < 14, texts


def test_each_model_shows_its_schema_and_an_example_that_works(client: Client) -> None:
    models = client.get("/models").json
    assert models
    assert [model["name"] for model in models] == ["churn", "colours", "digits", "iris"]
    for model in models:
        shown = client.get(f"/models/{model['name']}").json
        assert shown
        assert shown["versions"] == [1]
        assert shown["inputs"][0]["datatype"]
        assert client.post(shown["predict"], json=shown["example"]).status_code == 200
    assert client.get("/models/").status_code == 200


def test_the_highest_version_answers_and_others_by_their_url(bundles: Bundles) -> None:
    bundles.copy("colours")
    for version in (2, 10):
        newer = bundles.copy("colours", f"colours/{version}")
        bundles.edit(newer, lambda manifest, v=version: manifest.update(version=v))
    client = client_for(create_app(Settings(models_dir=bundles.directory)))
    urls = {"/": 10, "/models/colours/predict": 10, "/models/colours/versions/2/predict": 2}
    for url, version in urls.items():
        answer = client.post(url, json={"index": 0}).json
        assert answer
        assert answer["version"] == version
    assert client.post("/models/colours/versions/3/predict", data="{}").status_code == 404


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        ('{"index": "x"}', "index", "an integer from 0 to 4"),
        ('{"index": 99}', "index", "an integer from 0 to 4"),
        ('{"index": -1}', "index", "an integer from 0 to 4"),
        ('{"index": true}', "index", "an integer from 0 to 4"),
        ('{"index": 2.5}', "index", "an integer from 0 to 4"),
        ('{"index": null}', "index", "an integer from 0 to 4"),
        ('{"index": [2]}', "index", "an integer from 0 to 4"),
        ('{"index": {"index": 2}}', "index", "an integer from 0 to 4"),
        ('{"index": 18446744073709551616}', "index", "an integer from 0 to 4"),
        ('{"index": 9223372036854775808}', "index", "an integer from 0 to 4"),
        ("{}", "index", "an integer from 0 to 4"),
        ('{"index": 1, "colour": "red"}', "colour", "index"),
        ("[]", None, "an object with index"),
        ('"index"', None, "an object with index"),
        ("null", None, "an object with index"),
        ("2", None, "an object with index"),
        ("not json", None, "JSON"),
        ("", None, "JSON"),
        ('{"index": 2', None, "JSON"),
        ('{"index": NaN}', "index", "an integer from 0 to 4"),
        ('{"index": Infinity}', None, "JSON"),
        ('{"index": 1e400}', None, "JSON"),
        ('{"index": "\\ud800"}', None, "JSON"),
        (b'{"index": "\xff"}', None, "JSON"),
        ("[" * 5000, None, "JSON"),
        ('{"index": ' + "[" * 900 + "]" * 900 + "}", "index", "an integer from 0 to 4"),
        ("index=2", None, "JSON"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_wrong_body_is_told_what_to_send_instead(
    client: Client, body: str | bytes, field: str | None, expected: str
) -> None:
    answer = client.post("/", data=body)
    error = assert_error_shape(answer.data)
    assert answer.status_code == 400
    assert (error["field"], error["expected"]) == (field, expected)
    assert field is None or field in error["error"]
    assert client.post("/", json=error["example"]).status_code == 200


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"petal_width": 4.1}, "petal_width", "a number from 0 to 4 (cm), not 4.1"),
        ({"petal_width": "0.2"}, "petal_width", 'not "0.2"'),
        ({"petal_width": True}, "petal_width", "not true"),
        ({"petal_widht": 1}, "petal_widht", "did you mean petal_width?"),
        ({"measurements": [1, 2, 3, 4]}, "sepal_length", "either measurements or sepal_length"),
    ],
)
def test_an_error_names_the_feature(client: Client, changed: dict[str, object], field: str, said: str) -> None:
    error = assert_error_shape(client.post("/models/iris/predict", json=IRIS | changed).data)
    assert error["field"] == field
    assert said in error["error"]


@pytest.mark.parametrize(
    ("changed", "field", "received", "expected"),
    [
        ({"measurements": [1, 2, 3, 4]}, "sepal_length", 5.1, None),
        ({"petal_widht": [1] * 9}, "petal_widht", [1, 1, 1, 1, "..."],
         "sepal_length, sepal_width, petal_length and petal_width"),
        ({"petal_width": "x" * 99}, "petal_width", "x" * 80 + "...", "a number from 0 to 4 (cm)"),
        ({"petal_width": [1, 2]}, "petal_width", [1, 2], "a number from 0 to 4 (cm)"),
    ],
)  # fmt: skip
def test_an_error_shows_what_was_received_and_what_belongs_there(
    client: Client, changed: dict[str, object], field: str, received: object, expected: str | None
) -> None:
    error = assert_error_shape(client.post("/models/iris/predict", json=IRIS | changed).data)
    assert (error["field"], error["received"], error["expected"]) == (field, received, expected)


def test_an_error_lists_every_missing_feature(client: Client) -> None:
    error = assert_error_shape(client.post("/models/iris/predict", json={"sepal_width": 3}).data)
    assert error["field"] == "sepal_length"
    assert "petal_length and petal_width" in error["error"]


@pytest.mark.parametrize(
    ("image", "field", "expected"),
    [
        ([[0] * 8] * 7, "image", "a list of 8 lists of 8 numbers"),
        ([0] * 64, "image", "a list of 8 lists of 8 numbers"),
        ([0] * 8, "image[0]", "a list of 8"),
        ([[0] * 8] * 7 + [[0] * 7], "image[7]", "a list of 8"),
        ([[0] * 8] * 7 + [[0] * 7 + [17]], "image[7][7]", "a number from 0 to 16"),
        ([[0] * 8] * 7 + [[0] * 7 + [[1]]], "image[7][7]", "a number from 0 to 16"),
    ],
)
def test_a_wrong_shape_is_placed(client: Client, image: list[object], field: str, expected: str) -> None:
    error = assert_error_shape(client.post("/models/digits/predict", json={"image": image}).data)
    assert (error["field"], error["expected"]) == (field, expected)


@pytest.mark.parametrize(
    ("method", "url", "status", "said"),
    [
        ("GET", "/nope", 404, "GET /models lists"),
        ("GET", "/models//iris", 404, "GET /models lists"),
        ("POST", "/models/nope/predict", 404, "churn, colours, digits, iris"),
        ("GET", "/models/nope", 404, "churn, colours, digits, iris"),
        ("GET", "/models/%ff%00", 404, "churn, colours, digits, iris"),
        ("GET", "/models/" + "x" * 3000, 404, "churn, colours, digits, iris"),
        ("POST", "/models/iris/versions/2/predict", 404, "use one of 1"),
        ("POST", "/models/iris/versions/01/predict", 404, "use one of 1"),
        ("GET", "/models/iris/predict", 405, "use POST"),
        ("DELETE", "/", 405, "use GET, POST"),
        ("POST", "/healthz", 405, "on /healthz: use GET."),
        ("POST", "/predict", 404, "POST / asks the default model, and GET /models lists"),
        ("POST", "/models/iris", 405, "A prediction is a POST to /models/iris/predict."),
        ("POST", "/models/iris/", 405, "A prediction is a POST to /models/iris/predict."),
        ("POST", "/models/iris/versions/1", 405, "A prediction is a POST to /models/iris/versions/1/predict."),
        ("POST", "/v2/models/iris", 405, "A prediction is a POST to /v2/models/iris/infer."),
        ("POST", "/v1/models/iris", 405, "A prediction is a POST to /v1/models/iris:predict."),
        ("PUT", "/models/iris", 405, "PUT is not allowed on /models/iris: use GET."),
    ],
)
def test_wrong_urls_and_methods_get_the_same_shape(
    client: Client, method: str, url: str, status: int, said: str
) -> None:
    answer = client.open(url, method=method)
    assert answer.status_code == status
    assert said in assert_error_shape(answer.data)["error"]
    assert (status == 405) == ("Allow" in answer.headers)


CSV = b"sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n"


@pytest.mark.parametrize(
    ("url", "body", "content_type", "right"),
    [
        ("/models/iris/predict", CSV, "text/csv", "/models/iris/invocations"),
        ("/models/iris/predict", b"a,b\n1,2\n", "text/csv; charset=utf-8", "/models/iris/invocations"),
        ("/models/iris/predict", CSV, "application/x-www-form-urlencoded", "/models/iris/invocations"),
        ("/models/iris/predict", CSV.replace(b"\n", b""), "", "/models/iris/invocations"),  # curl -d @iris.csv
        ("/models/iris/versions/1/predict", CSV, "", "/models/iris/versions/1/invocations"),
        ("/models/iris/invocations", CSV, "application/json", "/models/iris/invocations"),
        ("/", b'"index"\r\n2\r\n', "", None),
    ],
)
def test_csv_where_json_is_read_is_answered_with_where_to_send_it(
    client: Client, url: str, body: bytes, content_type: str, right: str | None
) -> None:
    default = (client.get("/").json or {})["model"]
    right = right or f"/models/{default}/invocations"
    answer = client.post(url, data=body, content_type=content_type)
    assert answer.status_code == 400
    error = assert_error_shape(answer.data)["error"]
    assert error.startswith(f"The body is CSV, not JSON: send it to {right} with Content-Type: text/csv"), error
    sent = client.post(right, data=body, content_type="text/csv")
    assert sent.status_code == (200 if b"a,b" not in body and b"\n" in body else 400), sent.text


@pytest.mark.parametrize("body", [b"", b"index 2", b'["index", 2', b'{"index": 2', b"index: 2"])
def test_what_is_neither_json_nor_csv_is_called_neither(client: Client, body: bytes) -> None:
    error = assert_error_shape(client.post("/", data=body, content_type="text/csv" if not body else "").data)
    assert "CSV" not in error["error"]


def test_a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not(client: Client) -> None:
    limit = int(0.1 * 1024 * 1024)
    body = b'{"index": 2}'
    assert client.post("/", data=body.ljust(limit)).status_code == 200
    answer = client.post("/", data=body.ljust(limit + 1))
    assert answer.status_code == 413
    assert f"{limit} bytes" in assert_error_shape(answer.data)["error"]


def test_no_url_takes_a_body_over_the_limit(app: Application) -> None:
    client, tried = client_for(app), set()
    for rule in app.flask.url_map.iter_rules():
        if "POST" in (rule.methods or ()):
            url = rule.rule.replace("<name>", "colours").replace("<version>", "1").replace("<method>", "predict")
            answer = client.post(url, data=b"{" + b" " * int(0.1 * 1024 * 1024) + b"}")
            tried.add((url, answer.status_code))
    # What needs no body reads none; a model that does not stream says that before.
    bodiless = {url for url, status in tried if status != 413}
    assert bodiless == {
        "/models/colours/stream", "/models/colours/versions/1/stream", "/v2/repository/models/colours/unload",
    }  # fmt: skip
    assert len(tried) > 10


def test_of_a_body_no_more_is_read_than_the_limit_and_a_byte() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": next(pieces), "more_body": True}

    pieces = iter([b"x"] * 1000)
    with pytest.raises(ClientError) as refused:
        asyncio.run(read_body(Request("/", [], receive), 10))  # chunked: its length is not said
    assert refused.value.status == 413
    assert len(list(pieces)) == 1000 - 11


def test_an_unknown_encoding_is_refused_in_words(client: Client) -> None:
    answer = client.post("/", data=b"\x0b\x02", headers={"Content-Encoding": "br"})
    assert answer.status_code == 415
    assert "send it as identity, gzip or deflate" in assert_error_shape(answer.data)["error"]


def test_every_answer_carries_the_release(client: Client) -> None:
    for answer in (client.get("/"), client.get("/nope"), client.post("/"), client.put("/")):
        assert answer.headers["X-Release"] == RELEASE
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_every_answer_of_a_model_names_it_and_where_its_time_went(client: Client) -> None:
    for url in ("/models/iris/predict", "/v2/models/iris/infer", "/v1/models/iris:predict", "/models/iris/invocations"):
        wrong = client.post(url, data="{}")
        assert (wrong.status_code, wrong.headers["X-Model"]) == (400, "iris/1")
        assert "Server-Timing" not in wrong.headers
        right = client.post(url, json=wrong.json["example"])
        assert (right.status_code, right.headers["X-Model"]) == (200, "iris/1")
        assert [one.split(";dur=")[0] for one in right.headers["Server-Timing"].split(", ")] == [
            "parse", "wait", "predict", "encode",
        ]  # fmt: skip
        assert "X-Accel-Expires" not in right.headers
        assert "Retry-After" not in right.headers


def test_nginx_may_keep_answers_of_pure_models_alone(bundles: Bundles) -> None:
    for name in ("iris", "colours"):
        bundles.copy(name)
    client = client_for(create_app(Settings(models_dir=bundles.directory, cache_seconds=60)))
    assert client.post("/models/iris/predict", json=IRIS).headers["X-Accel-Expires"] == "60"
    assert "X-Accel-Expires" not in client.post("/models/iris/predict", data="{}").headers
    assert "X-Accel-Expires" not in client.post("/", json={"index": 1}).headers


@pytest.mark.parametrize(
    ("since", "status"),
    [("t=%f", 504), ("%f", 504), ("soon", 200), ("", 200), ("t=99999999999", 200)],
)
def test_what_a_proxy_says_of_when_it_had_a_request_counts(client: Client, since: str, status: int) -> None:
    told = since % (time.time() - 10) if "%" in since else since
    headers = ({"X-Request-Start": told} if told else {}) | {"X-Request-Timeout-Ms": "900"}
    answer = client.post("/", json={"index": 1}, headers=headers)
    assert answer.status_code == status
    if status == 504:
        assert "send fewer rows, or allow more time" in assert_error_shape(answer.data)["error"]


@pytest.mark.parametrize(
    ("asked", "fine"), [("1000", True), ("0", False), ("-1", False), ("x", False), ("9" * 30, True)]
)
def test_a_client_says_how_long_it_waits_in_whole_milliseconds(client: Client, asked: str, fine: bool) -> None:
    answer = client.post("/", json={"index": 1}, headers={"X-Request-Timeout-Ms": asked})
    assert answer.status_code == (200 if fine else 400)
    if not fine:
        error = assert_error_shape(answer.data)
        assert (error["field"], error["received"]) == ("X-Request-Timeout-Ms", asked)
        assert error["expected"] == "a whole number of milliseconds from 1"


def test_a_model_that_raises_is_a_500_without_its_traceback_and_logged_once(
    bundles: Bundles, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = bundles.copy("colours")
    source = (MODELS / "colours/1/model.py").read_text()
    trap = "        if 3 in inputs['index']:\n            raise KeyError('secret')\n        return"
    bundles.write(bundle, "model.py", source.replace("        return", trap))
    client = client_for(create_app(Settings(models_dir=bundles.directory)))
    with caplog.at_level(logging.ERROR):
        answer = client.post("/", json={"index": 3})
    assert answer.status_code == 500
    assert "secret" not in assert_error_shape(answer.data)["error"]
    assert [record.name for record in caplog.records] == ["modelhost.inference.pipeline"]
    assert "secret" in caplog.text
    assert client.post("/", json={"index": 2}).status_code == 200


def test_health_touches_no_model_but_readiness_names_them(app: Application) -> None:
    client = client_for(app)
    assert client.get("/healthz").json == {"alive": True}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json
    assert [m["name"] for m in ready.json["models"]] == ["churn", "colours", "digits", "iris"]


def test_a_browser_gets_a_page_that_needs_nothing_from_elsewhere(client: Client) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = client.get("/", headers={"Accept": browser})
    assert page.mimetype == "text/html"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha")
    for forbidden in ("<script", "src=", "<link", "@import", "url("):
        assert forbidden not in page.text
    for said in ("curl http://localhost/models/iris/predict", "petal_width", "from 0 to 4 (cm)"):
        assert said in page.text
    for accept in ("*/*", "application/json", "", "nonsense;;q=x"):
        assert client.get("/", headers={"Accept": accept}).mimetype == "application/json"


def test_the_page_applies_its_own_style_under_its_policy(client: Client) -> None:
    page = client.get("/", headers={"Accept": "text/html"})
    style = page.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in page.headers["Content-Security-Policy"]


def test_golden_examples_are_in_the_form_a_client_sends(client: Client) -> None:
    for name in ("churn", "colours", "digits", "iris"):
        for example in json.loads((MODELS / name / "1/golden.json").read_text()):
            assert client.post(f"/models/{name}/predict", json=example["inputs"]).status_code == 200


def without_green(bundles: Bundles, example: int) -> Path:
    """A bundle whose class refuses the index 1, with one golden example."""
    bundle = bundles.copy("colours")
    source = (
        "import modelhost\nimport numpy as np\n\n\nclass Model:\n    def predict(self, inputs):\n"
        "        if (inputs['index'] == 1).any():\n            raise modelhost.InvalidInput('no more green')\n"
        "        return {'colour': np.full(len(inputs['index']), 'red', dtype=object)}\n"
    )
    bundles.write(bundle, "golden.json", json.dumps([{"inputs": {"index": example}, "outputs": {"colour": "red"}}]))
    return bundles.write(bundle, "model.py", source)


def test_a_golden_example_that_the_model_itself_refuses_is_said_to_be_that(bundles: Bundles) -> None:
    with pytest.raises(BundleError) as refused:
        Model.load(read_bundle(without_green(bundles, example=1)))
    said = "golden has an example that the model itself refuses: no more green."
    assert str(refused.value) == f"colours/1/model.yaml: {said}"


def test_a_python_model_may_refuse_a_request_in_its_own_words(bundles: Bundles) -> None:
    without_green(bundles, example=0)
    client = client_for(create_app(Settings(models_dir=bundles.directory)))
    answer = client.post("/", json={"index": 1})
    assert (answer.status_code, assert_error_shape(answer.data)["error"]) == (400, "no more green.")
    assert client.post("/", json={"index": 2}).status_code == 200


def test_a_small_body_may_not_become_very_many_rows_nor_a_very_long_answer(bundles: Bundles) -> None:
    bundles.copy("colours")
    limits: Any = {"rows_limit": 1000, "answer_limit_mb": 0.01}
    client = client_for(create_app(Settings(models_dir=bundles.directory, **limits)))
    packed = {"Content-Encoding": "gzip"}
    refused = client.post("/", data=gzip.compress(b"[" + b"0," * 300_000 + b"0]"), headers=packed)
    error = assert_error_shape(refused.data)
    assert (refused.status_code, error["received"], error["expected"]) == (413, 300_001, "at most 1000 rows")
    assert "MODELHOST_ROWS_LIMIT" in error["error"]
    assert "release_rows_limit" in error["error"]
    refused = client.post("/", json=[0] * 1000)
    error = assert_error_shape(refused.data)
    assert (refused.status_code, error["expected"]) == (413, "an answer of at most 10485 bytes")
    assert "release_answer_limit_mb" in error["error"]
    assert len(client.post("/", json=[0] * 500).json["predictions"]) == 500  # type: ignore[index]


def test_a_large_body_is_read_and_a_large_answer_written_beside_the_loop(bundles: Bundles) -> None:
    bundles.copy("iris")
    app = create_app(Settings(models_dir=bundles.directory, body_limit_mb=8, default_model="iris"))
    client = client_for(app)
    parse, encode, where = native.PREDICT.parse, native.PREDICT.encode, set()

    def seen(function: Callable[..., Any], *arguments: Any) -> Any:
        where.add((function.__name__, threading.current_thread().name == "compute"))
        return function(*arguments)

    app._protocols = (native.PREDICT._replace(parse=partial(seen, parse), encode=partial(seen, encode)),)
    app.follow_registry()
    assert client.post("/", json=[[5.1, 3.5, 1.4, 0.2]]).status_code == 200
    assert where == {("parse", False), ("encode", False)}
    where.clear()
    rows = [[5.1, 3.5, 1.4, 0.2], [5.9, 3.0, 5.1, 1.8]] * 15_000
    answer = client.post("/", json=rows)
    species = [row["species"] for row in answer.json["predictions"]]  # type: ignore[index]
    assert species == ["setosa", "virginica"] * 15_000
    assert len(answer.data) > LARGE
    assert len(json.dumps(rows)) > LARGE
    assert where == {("parse", True), ("encode", True)}
    assert client.post("/", data=b"{" + b" " * LARGE).status_code == 400
