"""Bytes and JSON values reach a model over every protocol as they are, and what is neither is refused in words."""

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from echoes import SOURCE, client_of, write_bundle
from harness import Bundles, assert_error_shape
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.inference.batching import compute
from modelhost.inference.deadline import Deadline
from modelhost.inference.queue import Job
from modelhost.models.model import Model
from modelhost.payload.records import read_record
from protocol_requests import HEADER, dump, write_binary
from werkzeug.test import Client

SOURCE = SOURCE.replace(
    "def seen(value):", 'def seen(value):\n    if isinstance(value, bytes):\n        return "bytes " + value.hex()'
)
PNG = b"\x89PNG\r\n\x1a\n\x00\xff" + bytes(range(256)) * 20
IMAGE = {"name": "image", "datatype": "BYTES", "shape": [], "content": "bytes"}
ORDER = {"name": "order", "datatype": "BYTES", "shape": [], "content": "json"}
ORDERS: list[Any] = [
    {"items": [{"sku": "a", "tags": ["x", ["y"]]}, {"sku": "b"}], "b64": "no base64", "paid": None},
    [1, [2, [3]]], "text", 7.5, True, {"b64": "AAAA"}, [[5]],
]  # fmt: skip


def b64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def text64(value: bytes) -> str:
    """As Python's encodebytes and MLflow's encoder write it: in lines."""
    return base64.encodebytes(value).decode()


def hexed(value: bytes) -> str:
    return "bytes " + value.hex()


def model_of(bundles: Bundles, inputs: list[Any], example: dict[str, Any], seen: dict[str, Any]) -> Client:
    write_bundle(bundles, inputs, [example], source=SOURCE, answers=[{"seen": json.dumps(seen)}])
    return client_of(bundles)


@pytest.fixture
def images(bundles: Bundles) -> Client:
    """A model that takes an image and nothing else."""
    return model_of(bundles, [IMAGE], {"image": b64(b"\xff")}, {"image": "bytes ff"})


@pytest.fixture
def orders(bundles: Bundles) -> Client:
    """A model that takes a JSON value and nothing else."""
    return model_of(bundles, [ORDER], {"order": {"a": 1}}, {"order": {"a": 1}})


@pytest.fixture
def mixed(bundles: Bundles) -> Client:
    """A model of every content, each of which may be missing or left out."""
    inputs = [
        IMAGE | {"nullable": True, "default": None},
        ORDER | {"nullable": True, "default": {"list": []}},
        {"name": "title", "datatype": "BYTES", "shape": []},
        {"name": "pages", "datatype": "BYTES", "shape": [-1], "content": "bytes", "default": [b64(b"\x00")]},
    ]
    example = {"title": "a", "image": b64(b"\xff"), "order": [1]}
    seen = {"image": "bytes ff", "order": [1], "title": "a", "pages": ["bytes 00"]}
    return model_of(bundles, inputs, example, seen)


def seen(client: Client, url: str, body: bytes, **headers: str) -> list[Any]:
    """What the model saw of each row."""
    answer = client.post(url, data=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json or {}
    if isinstance(found.get("outputs"), list) and isinstance(found["outputs"][0], dict):
        rows: Any = found["outputs"][0]["data"]
    else:
        rows = found.get("predictions") or found.get("outputs") or [found["prediction"]]
    return [json.loads(row["seen"] if isinstance(row, dict) else row) for row in rows]


def refused(client: Client, url: str, body: bytes, **headers: str) -> dict[str, Any]:
    """The error to what must be refused; none of them is long."""
    answer = client.post(url, data=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert len(answer.data) < 3000
    return assert_error_shape(answer.data)


def binary(name: str, elements: list[bytes]) -> tuple[bytes, dict[str, str]]:
    """A request of the Open Inference Protocol with one binary tensor."""
    raw = b"".join(len(element).to_bytes(4, "little") + element for element in elements)
    tensor = {"name": name, "datatype": "BYTES", "shape": [len(elements)]}
    head = dump({"inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}]})
    return head + raw, {HEADER: str(len(head))}


def tensor(name: str, data: Any, **more: Any) -> bytes:
    return dump({"inputs": [{"name": name, "datatype": "BYTES", "shape": [len(data)], "data": data, **more}]})


def table(name: str, cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([[name], *[[cell] for cell in cells]])
    return text.getvalue().encode()


V1, V2, MLFLOW = "/v1/models/echo:predict", "/v2/models/echo/infer", "/invocations"


@pytest.mark.parametrize("rows", [[PNG], [b""], [PNG, b"\x00", b"text"] * 20], ids=["one", "empty", "many"])
def test_bytes_reach_the_model_over_every_protocol(images: Client, rows: list[bytes]) -> None:
    wanted = [{"image": hexed(row)} for row in rows]
    sent, strings = [b64(row) for row in rows], [text64(row) for row in rows]
    records = [{"image": row} for row in sent]
    split = {"columns": ["image"], "data": [[row] for row in strings]}
    for url, body in [
        ("/", records), ("/", {"records": records}), ("/", {"columns": {"image": sent}}), ("/", {"rows": sent}),
        ("/", {"rows": [[row] for row in sent]}), ("/", sent),
        (V1, {"instances": records}), (V1, {"instances": sent}), (V1, {"inputs": sent}),
        (V1, {"inputs": {"image": sent}}),
        (MLFLOW, {"dataframe_split": split}), (MLFLOW, {"dataframe_records": [{"image": row} for row in strings]}),
        (MLFLOW, {"inputs": {"image": strings}}), (MLFLOW, {"inputs": strings}), (MLFLOW, {"instances": sent}),
        (MLFLOW, {"dataframe_split": split | {"columns": [0]}}), (MLFLOW, {"dataframe_split": {"data": split["data"]}}),
    ]:  # fmt: skip
        assert seen(images, url, dump(body)) == wanted, body
    assert seen(images, V2, tensor("image", sent)) == wanted
    assert seen(images, V2, tensor("image", strings, parameters={"content_type": "base64"})) == wanted
    body, headers = binary("image", rows)
    assert seen(images, V2, body, **headers) == wanted
    assert seen(images, MLFLOW, table("image", strings), **{"Content-Type": "text/csv"}) == wanted
    if len(rows) == 1:
        assert seen(images, "/", dump(records[0])) == wanted


@pytest.mark.parametrize("url", ["/", "/models/echo/predict", "/models/echo/versions/1/predict", MLFLOW])
@pytest.mark.parametrize(
    "content_type",
    ["image/png", "Image/PNG; a=b", "application/octet-stream", "application/pdf", "audio/wav", "application/x-image"],
)
def test_a_file_is_a_body(images: Client, url: str, content_type: str) -> None:
    assert seen(images, url, PNG, **{"Content-Type": content_type}) == [{"image": hexed(PNG)}]


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "", "application/x-www-form-urlencoded", "text/plain", "application/vnd.api+json"],
)
def test_json_under_any_name_is_no_file(images: Client, content_type: str) -> None:
    body = dump({"image": b64(PNG)})
    assert seen(images, "/", body, **{"Content-Type": content_type}) == [{"image": hexed(PNG)}]
    error = refused(images, "/", PNG, **{"Content-Type": content_type})
    assert error["error"].startswith(f"The body is no text, but {len(PNG)} bytes: send the file itself as the body")
    assert error["received"] == f"{len(PNG)} bytes"


def test_a_file_is_a_body_of_a_stream(bundles: Bundles) -> None:
    source = SOURCE + "\n    def stream(self, inputs):\n        yield self.predict(inputs)\n"
    write_bundle(
        bundles, [IMAGE], [{"image": b64(b"")}], source=source, answers=[{"seen": json.dumps({"image": "bytes "})}]
    )
    answer = client_of(bundles).post("/models/echo/stream", data=PNG, content_type="image/png")
    event = answer.text.partition("\n")[0].removeprefix("data: ")
    assert json.loads(json.loads(event)["prediction"]["seen"]) == {"image": hexed(PNG)}


def test_a_form_and_an_empty_file_are_refused(images: Client) -> None:
    error = refused(images, "/", b"--x\r\n", **{"Content-Type": "multipart/form-data; boundary=x"})
    assert error["error"].startswith("A form is not read here: send the file itself as the body")
    error = refused(images, "/", b"", **{"Content-Type": "image/png"})
    assert error["error"].startswith("The body is empty: send the file itself as the body")


def test_a_file_is_refused_where_a_model_takes_more(mixed: Client) -> None:
    error = refused(mixed, "/", PNG, **{"Content-Type": "image/png"})
    assert error["error"].startswith("The body is not JSON")
    assert error["received"] == f"{len(PNG)} bytes"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("hello", 'image must be bytes in base64, as {"b64": "..."}, not "hello": the bytes of a text'),
        ("aGVsbG8=", "the bytes of a text are sent in base64 too"),
        ({"b64": "a?=="}, "'?' at 1 is no character of base64"),
        ({"b64": "a-_="}, "write + and / in base64, not - and _"),
        ({"b64": "aGVsbG8"}, "its base64 is cut, or lacks = at its end"),
        ({"b64": "data:image/png;base64,aGVsbG8="}, 'leave out all up to "base64,"'),
        ({"b64": "ü" * 100_000}, "no character of base64"),
        ({"b64": 5}, "base64 is text"),
        ({"b64": "aGVsbG8=", "type": "png"}, "not an object"),
        ({}, "not an object"),
        ([1], "not a list of 1"),
        (None, "not null: this model takes no missing value here"),
        (True, "not true"),
    ],
    ids=str,
)
def test_what_is_no_bytes_is_refused_with_what_to_send(images: Client, value: Any, said: str) -> None:
    for url, body in (("/", {"image": value}), (V1, {"instances": [{"image": value}]})):
        error = refused(images, url, dump(body))
        assert said in error["error"]
        assert error["field"] == "image"
    error = refused(images, V2, tensor("image", [b64(PNG), value]))
    assert said.removeprefix("image") in error["error"]
    assert "row 1" in error["error"]


def test_bare_strings_are_base64_for_mlflow_and_mlserver_alone(images: Client) -> None:
    error = refused(images, MLFLOW, dump({"dataframe_records": [{"image": "no?"}]}))
    assert error["error"].startswith('image must be bytes in base64, as {"b64": "..."}, not "no?": \'?\' at 2 is no')
    error = refused(images, V2, tensor("image", ["no?"], parameters={"content_type": "base64"}))
    assert "'?' at 2 is no character of base64" in error["error"]
    assert refused(images, V2, tensor("image", ["AAAA"], parameters={"content_type": "str"}))["field"] == "image"
    error = refused(images, MLFLOW, table("image", ["no?"]), **{"Content-Type": "text/csv"})
    assert "'?' at 2 is no character of base64" in error["error"]


def test_json_values_reach_the_model_over_every_protocol(orders: Client) -> None:
    for rows in ([ORDERS[0]], [ORDERS[1]], ORDERS * 10):
        wanted = [{"order": row} for row in rows]
        records = [{"order": row} for row in rows]
        for url, body in [
            ("/", records), ("/", {"records": records}), ("/", {"columns": {"order": rows}}),
            (V1, {"instances": records}), (V1, {"inputs": {"order": rows}}),
            (MLFLOW, {"dataframe_records": records}), (MLFLOW, {"inputs": {"order": rows}}),
            (MLFLOW, {"dataframe_split": {"columns": ["order"], "data": [[row] for row in rows]}}),
            (MLFLOW, {"dataframe_split": {"columns": [0], "data": [[row] for row in rows]}}),
            (MLFLOW, {"dataframe_split": {"data": [[row] for row in rows]}}),
        ]:  # fmt: skip
            assert seen(orders, url, dump(body)) == wanted, body
        assert seen(orders, V2, tensor("order", rows)) == wanted
        texts = [json.dumps(row) for row in rows]
        body, headers = binary("order", [text.encode() for text in texts])
        assert seen(orders, V2, body, **headers) == wanted
        assert seen(orders, MLFLOW, table("order", texts), **{"Content-Type": "text/csv"}) == wanted


@pytest.mark.parametrize("rows", [[[5], [6]], [[[1, 2], [3]], 7], [[{"a": 1}]]])
def test_a_plain_row_of_json_is_the_value_itself(orders: Client, rows: list[Any]) -> None:
    for url, body in (("/", {"rows": rows}), (V1, {"instances": rows}), (MLFLOW, {"instances": rows})):
        assert seen(orders, url, dump(body)) == [{"order": row} for row in rows]


def test_a_json_value_that_is_missing_or_broken_is_refused(orders: Client) -> None:
    error = refused(orders, "/", dump({"order": None}))
    assert error["error"] == "order must be any JSON value, not null: this model takes no missing value here."
    body, headers = binary("order", [b'{"a": 1}', b"{a}"])
    assert "order[1] must be the text of a JSON value" in refused(orders, V2, body, **headers)["error"]
    body, headers = binary("order", [b"null"])
    assert "takes no missing value" in refused(orders, V2, body, **headers)["error"]
    error = refused(orders, MLFLOW, table("order", ["1", "{a"]), **{"Content-Type": "text/csv"})
    assert error["error"].startswith("order in row 1 must be JSON")
    for depth, status in ((900, 200), (1100, 400)):
        assert orders.post("/", data='{"order": ' + "[" * depth + "]" * depth + "}").status_code == status
    body = tensor("order", [text64(b'{"a": 1}')], parameters={"content_type": "base64"})
    assert refused(orders, V2, body)["field"] == "order.parameters.content_type"


def test_what_may_be_missing_or_left_out_is(mixed: Client) -> None:
    left_out = {"title": "t"}
    filled = {"image": None, "order": {"list": []}, "title": "t", "pages": ["bytes 00"]}
    nothing = {"title": "t", "image": None, "order": None, "pages": [b64(b"\x01"), b64(b"")]}
    empty = {"image": None, "order": None, "title": "t", "pages": ["bytes 01", "bytes "]}
    for url, body in (("/", left_out), ("/", [left_out]), (V1, {"instances": [left_out]})):
        assert seen(mixed, url, dump(body)) == [filled]
    assert seen(mixed, "/", dump(nothing)) == [empty]
    assert seen(mixed, "/", dump({"columns": {"title": ["t", "t"]}})) == [filled] * 2
    assert seen(mixed, V2, tensor("title", ["t", "t"])) == [filled] * 2
    cells = b'title,image,order,pages\r\nt,,,"[""AQ=="",""""]"\r\n'
    assert seen(mixed, MLFLOW, cells, **{"Content-Type": "text/csv"}) == [empty]


def test_a_model_that_changes_what_it_gets_changes_no_default(bundles: Bundles) -> None:
    source = (
        "import json\n\n\nclass Model:\n    def predict(self, inputs):\n"
        "        found = []\n        for order in inputs['order']:\n            order.append(1)\n"
        "            found.append(json.dumps({'order': order}))\n        return {'seen': found}\n"
    )
    inputs = [ORDER | {"default": []}, {"name": "title", "datatype": "BYTES", "shape": []}]
    answers = [{"seen": json.dumps({"order": [1]})}]
    write_bundle(bundles, inputs, [{"title": "a"}], source=source, answers=answers)
    client = client_of(bundles)
    for _ in range(3):
        assert seen(client, "/", dump([{"title": "a"}, {"title": "b"}])) == [{"order": [1]}] * 2


def test_a_model_that_changes_what_it_gets_is_asked_again_with_what_was_sent(bundles: Bundles) -> None:
    """Where a shared call fails, each request is answered alone."""
    source = (
        "import json\nimport time\n\n\nclass Model:\n    def predict(self, inputs):\n        time.sleep(0.02)\n"
        "        return {'seen': [json.dumps({'order': order.pop('n')}) for order in inputs['order']]}\n"
    )
    example, answers = {"order": {"n": 1}}, [{"seen": json.dumps({"order": 1})}]
    write_bundle(bundles, [ORDER], [example], source=source, answers=answers, batching={"max_rows": 16})
    model = Model.load(read_bundle(bundles.directory / "echo" / "1"))

    def asked(*orders: Any) -> list[Any]:
        read = [read_record(model.inputs, {"order": order}) for order in orders]
        results = compute(model, [Job(Deadline(9e9), inputs, 1) for inputs in read])
        return [json.loads(outputs["seen"][0])["order"] if outputs else str(error) for outputs, error in results]

    assert asked({"n": 5}, {}) == [5, "predict raised KeyError: 'n': its inputs are order"]
    deep = json.loads("[" * 600 + "]" * 600)  # deeper than can be copied
    assert asked({"n": 5}, {"n": deep}) == [5, deep]


def test_text_may_be_base64_beside_bytes(mixed: Client) -> None:
    row = {"title": b64("grün".encode()), "image": b64(PNG)}
    for url, body in (("/", row), (V1, {"instances": [row]})):
        (found,) = seen(mixed, url, dump(body))
        assert (found["title"], found["image"]) == ("grün", hexed(PNG))
    (found,) = seen(mixed, V2, tensor("title", [text64(b"abc")], parameters={"content_type": "base64"}))
    assert found["title"] == "abc"
    error = refused(mixed, "/", dump({"title": b64(b"\xff")}))
    assert error["error"] == "title must be a string, not an object: it is base64 of bytes that are no text in UTF-8."


def test_what_is_told_about_a_model_of_bytes_is_true(images: Client) -> None:
    example = (images.get("/models/echo").json or {})["example"]
    assert example == {"image": b64(b"\xff")}
    paths = (images.get("/openapi.json").json or {})["paths"]
    schemas: Any = (images.get("/openapi.json").json or {})["components"]["schemas"]
    for path in ("/", "/models/echo/predict", "/v1/models/echo:predict", "/v2/models/echo/infer", MLFLOW):
        content = paths[path]["post"]["requestBody"]["content"]
        assert images.post(path, json=content["application/json"]["example"]).status_code == 200, path
        files = {"application/octet-stream", "image/*"} & content.keys()
        assert len(files) == (2 if path.startswith(("/models", MLFLOW)) or path == "/" else 0)
        for mimetype in files:
            assert images.post(path, data=PNG, content_type=mimetype).status_code == 200, path
    jsonschema.validate({"image": b64(PNG)}, schemas["echo.Record"])
    by_mlflow = schemas["echo.mlflow.Request"]
    for right in (b64(PNG), b64(PNG)["b64"]):
        jsonschema.validate({"dataframe_records": [{"image": right}]}, by_mlflow)
        assert images.post(MLFLOW, json={"dataframe_records": [{"image": right}]}).status_code == 200
    for wrong in (5, {}, None):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"dataframe_records": [{"image": wrong}]}, by_mlflow)
    for wrong in ("text", {"b64": 5}, {}, None):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"image": wrong}, schemas["echo.Record"])
    tensors = (images.get("/v2/models/echo").json or {})["inputs"]
    assert tensors == [{"name": "image", "datatype": "BYTES", "shape": [-1], "parameters": {"content_type": "base64"}}]
    page = images.get("/", headers={"Accept": "text/html"}).text
    assert "bytes in base64, as {&#34;b64&#34;: &#34;...&#34;}" in page
    assert "--data-binary @FILE -H &#39;Content-Type: application/octet-stream&#39;" in page


def test_what_is_told_about_json_values_is_true(orders: Client, bundles: Bundles) -> None:
    description: Any = orders.get("/openapi.json").json
    schema = description["components"]["schemas"]["echo.Record"]
    for value in ORDERS:
        jsonschema.validate({"order": value}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"order": None}, schema)
    for path in ("/", V1, V2, MLFLOW):
        content = description["paths"][path]["post"]["requestBody"]["content"]
        assert list(content) == ["application/json"] + ["text/csv", "application/jsonlines"] * (path == MLFLOW)
        assert orders.post(path, json=content["application/json"]["example"]).status_code == 200
    tensors = (orders.get("/v2/models/echo").json or {})["inputs"]
    assert tensors[0]["parameters"] == {"content_type": "json"}


def test_a_large_example_is_shown_in_part(bundles: Bundles) -> None:
    client = model_of(bundles, [IMAGE], {"image": b64(PNG * 10)}, {"image": hexed(PNG * 10)})
    error = assert_error_shape(client.post("/", json={}).data)
    assert len(json.dumps(error)) < 1000
    assert "The whole example is at GET /models/echo/versions/1/example." in error["error"]
    whole = client.get("/models/echo/example").json
    assert seen(client, "/", dump(whole)) == [{"image": hexed(PNG * 10)}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"datatype": "FP32"}, "content is 'bytes': write text, or leave it out: only an input of BYTES has another"),
        ({"content": "image"}, "write one of text, bytes, json"),
        ({"content": "json", "shape": [2]}, "write []: a JSON value may itself be a list"),
        ({"categories": ["a"]}, "categories is ('a',): write nothing beside content: bytes"),
        ({"shape": [1], "features": [{"name": "a"}]}, "write nothing beside content: bytes"),
        ({"default": "text"}, 'write b64: "<the bytes in base64>"'),
        ({"default": {"b64": "?"}}, 'write b64: "<the bytes in base64>"'),
        ({"content": "json", "default": {1: 2}}, "default is {1: 2}: write a value of JSON"),
        ({"content": "json", "default": None}, "write nullable: true beside it"),
        ({"minimum": 1}, "no minimum or maximum"),
    ],
    ids=str,
)
def test_a_content_that_cannot_be_is_refused(bundles: Bundles, change: dict[str, Any], said: str) -> None:
    bundle = write_bundle(bundles, [IMAGE | change], [{"image": b64(b"\xff")}])
    with pytest.raises(BundleError) as caught:
        read_bundle(bundle)
    assert said in str(caught.value)


def test_only_a_python_class_takes_other_than_text(bundles: Bundles) -> None:
    bundle: Path = write_bundle(bundles, [IMAGE], [{"image": b64(b"\xff")}])
    bundles.edit(bundle, lambda manifest: manifest.update(format="onnx"))
    with pytest.raises(BundleError, match="only a model of the format python has another"):
        read_bundle(bundle)


def test_a_text_is_written_in_binary_as_ever(mixed: Client) -> None:
    raw = write_binary(__import__("numpy").array(["grün"], object))
    head = dump({"inputs": [{"name": "title", "datatype": "BYTES", "shape": [1],
                             "parameters": {"binary_data_size": len(raw)}}]})  # fmt: skip
    (found,) = seen(mixed, V2, head + raw, **{HEADER: str(len(head))})
    assert found["title"] == "grün"


def test_a_file_is_the_whole_body_over_the_open_inference_protocol(images: Client) -> None:
    """Without JSON and without its length, as Triton takes it: `curl --data-binary @image.png`."""
    answer = images.post(V2, data=PNG, headers={HEADER: "0"})
    assert answer.status_code == 200, answer.text
    assert ("bytes " + PNG.hex()).encode() in answer.data[int(answer.headers[HEADER]) :]


def test_the_whole_body_is_the_one_input_that_may_not_be_left_out(mixed: Client) -> None:
    assert b'"title": "a text"' in mixed.post(V2, data=b"a text", headers={HEADER: "0"}).data
