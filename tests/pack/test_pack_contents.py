"""A class that takes files, or nested objects: packed from a folder or .json, served, and asked over each protocol."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from commands import Result, serving
from images import png

SHAPE = """
import struct


class Model:
    def predict(self, inputs):
        sizes = [struct.unpack(">II", data[16:24]) for data in inputs["image"]]
        return {"width": [width for width, _ in sizes], "height": [height for _, height in sizes]}
"""
ORDER = """
class Model:
    def predict(self, inputs):
        return {"total": [self.total(order) for order in inputs["order"]]}

    def total(self, order):
        return sum(item["price"] * item.get("count", 1) for item in order.pop("items")) * 1.0
"""
ORDERS = [
    {"items": [{"price": 2.5, "count": 2}, {"price": 1, "tags": ["a", ["b"]]}], "to": {"city": "Bonn"}},
    {"items": []},
    {"items": [{"price": 7}], "to": None},
]
Command = Callable[..., Result]


def b64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def ask(url: str, body: Any, **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def binary(name: str, elements: list[bytes]) -> tuple[bytes, dict[str, str]]:
    raw = b"".join(len(element).to_bytes(4, "little") + element for element in elements)
    tensor = {"name": name, "datatype": "BYTES", "shape": [len(elements)], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    return head + raw, {"Inference-Header-Content-Length": str(len(head))}


def flat(answer: Any) -> list[Any]:
    """The data of each output of the Open Inference Protocol."""
    return [output["data"] for output in answer["outputs"]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / ".DS_Store").write_bytes(b"no image")
    for number, size in enumerate((3, 40, 300)):
        (folder / f"{number}.png").write_bytes(png(size, size + 1, number))
    (tmp_path / "shape.py").write_text(SHAPE)
    return folder


def manifest(tmp_path: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((tmp_path / "models" / name / "1/model.yaml").read_text())
    return found


def test_a_folder_of_images_is_served_over_every_protocol(modelhost: Command, images: Path, tmp_path: Path) -> None:
    modelhost("pack", "shape.py", "--name", "shape", "--sample", "images", "--ranges").ok()
    (image,) = manifest(tmp_path, "shape")["inputs"]
    assert image == {"name": "image", "datatype": "BYTES", "shape": [], "content": "bytes"}
    golden = json.loads((tmp_path / "models/shape/1/golden.json").read_text())
    assert [example["outputs"]["width"] for example in golden] == [3, 40], "the file of 90 kB is no example"
    statistics = json.loads((tmp_path / "models/shape/1/statistics.json").read_text())
    assert statistics["inputs"]["image"]["count"] == 3
    assert statistics["inputs"]["image"]["bytes"]["deciles"][0] == len(png(3, 4))
    assert modelhost("check", "models/shape/1").ok_if_not_slow()
    files = [path.read_bytes() for path in sorted(images.glob("*.png"))]
    rows = [b64(file) for file in files]
    strings = [base64.encodebytes(file).decode() for file in files]
    columns = [[3, 40, 300], [4, 41, 301]]
    records = [{"width": width, "height": height} for width, height in zip(*columns, strict=True)]
    with serving("models/shape/1", cwd=tmp_path, MODELHOST_BODY_LIMIT_MB="1") as url:
        model = f"{url}/models/shape"
        for file, record in zip(files, records, strict=True):
            assert ask(f"{model}/predict", file, **{"Content-Type": "image/png"})["prediction"] == record
            assert ask(f"{model}/predict", {"image": b64(file)})["prediction"] == record
        assert ask(url + "/", rows)["predictions"] == records
        tensor = {"name": "image", "datatype": "BYTES", "shape": [3]}
        infer = f"{url}/v2/models/shape/infer"
        assert flat(ask(infer, {"inputs": [tensor | {"data": rows}]})) == columns
        as_mlserver = tensor | {"data": strings, "parameters": {"content_type": "base64"}}
        assert flat(ask(infer, {"inputs": [as_mlserver]})) == columns
        body, headers = binary("image", files)
        assert flat(ask(infer, body, **headers)) == columns
        assert ask(f"{url}/v1/models/shape:predict", {"instances": rows})["predictions"] == records
        split = {"columns": ["image"], "data": [[text] for text in strings]}
        assert ask(f"{url}/invocations", {"dataframe_split": split})["predictions"] == records
        table = "image\n" + "\n".join(row["b64"] for row in rows)
        assert ask(f"{url}/invocations", table.encode(), **{"Content-Type": "text/csv"})["predictions"] == records
        told = modelhost("predict", model, "--file", images).ok().out
        assert [json.loads(line) for line in told.splitlines()] == records
        error = ask(f"{model}/predict", {"image": "text"})
        assert error["error"].startswith('image must be bytes in base64, as {"b64": "..."}, not "text"')
        failed = ask(f"{model}/predict", b"\xff\xd8 no PNG", **{"Content-Type": "image/jpeg"})
        assert failed["error"].startswith("The server failed on this request")
    assert modelhost("predict", "models/shape/1", "--file", images / "1.png").ok().json == records[1]


def test_nested_objects_are_served_over_every_protocol(modelhost: Command, tmp_path: Path) -> None:
    (tmp_path / "order.py").write_text(ORDER)
    (tmp_path / "orders.json").write_text(json.dumps([{"order": order} for order in ORDERS]))
    modelhost("pack", "order.py", "--name", "order", "--sample", "orders.json", "--batching").ok()
    (order,) = manifest(tmp_path, "order")["inputs"]
    assert order == {"name": "order", "datatype": "BYTES", "shape": [], "content": "json"}
    totals = [6.0, 0.0, 7.0]
    records = [{"order": order} for order in ORDERS]
    with serving("models/order/1", cwd=tmp_path) as url:
        assert ask(url + "/", records)["predictions"] == [{"total": total} for total in totals]
        tensor = {"name": "order", "datatype": "BYTES", "shape": [3]}
        infer = f"{url}/v2/models/order/infer"
        assert flat(ask(infer, {"inputs": [tensor | {"data": ORDERS}]})) == [totals]
        body, headers = binary("order", [json.dumps(order).encode() for order in ORDERS])
        assert flat(ask(infer, body, **headers)) == [totals]
        assert ask(f"{url}/v1/models/order:predict", {"instances": records})["predictions"] == totals
        assert ask(f"{url}/invocations", {"dataframe_records": records})["predictions"] == totals
        table = 'order\n"{""items"": [{""price"": 7}]}"'
        assert ask(f"{url}/invocations", table.encode(), **{"Content-Type": "text/csv"})["predictions"] == [7.0]
        told = modelhost("predict", url, "--file", "orders.json").ok().out
        assert [json.loads(line)["total"] for line in told.splitlines()] == totals


def test_a_json_sample_holds_bytes_beside_texts_and_gaps(invoke: Command, tmp_path: Path) -> None:
    source = (
        "class Model:\n    def predict(self, inputs):\n        pairs = zip(inputs['file'], inputs['title'])\n"
        "        return {'seen': [f'{type(f).__name__} {len(f or [])} {t}' for f, t in pairs]}\n"
    )
    (tmp_path / "model.py").write_text(source)
    rows = [{"file": b64(b"\x00\xff"), "title": "a"}, {"file": None, "title": "b"}, {"file": b64(b""), "title": "c"}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    invoke("pack", "model.py", "--name", "m", "--sample", "rows.json").ok()
    file, title = manifest(tmp_path, "m")["inputs"]
    assert file == {"name": "file", "datatype": "BYTES", "shape": [], "content": "bytes", "nullable": True}
    assert title == {"name": "title", "datatype": "BYTES", "shape": []}
    told = invoke("predict", "models/m/1", "--file", "rows.json").ok().out
    seen = [json.loads(line)["seen"] for line in told.splitlines()]
    assert seen == ["bytes 2 a", "NoneType 0 b", "bytes 0 c"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"x": {"a": 1}}], "holds objects, which are no tensors"),
        ([{"x": [{"a": 1}]}], "holds lists of other than numbers, booleans or text"),
        ([{"x": [[1, 2], [3]]}], "holds a row whose lists differ in length"),
        ([{"x": b64(b"\xff")}], "holds bytes, which only a Python class takes"),
    ],
    ids=str,
)
def test_other_models_take_tensors_alone(invoke: Command, tmp_path: Path, rows: list[Any], said: str) -> None:
    import onnx.parser

    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 18]> m (float[N, 2] x) => (float[N, 2] y) { y = Identity(x) }'
    )
    onnx.save(model, tmp_path / "m.onnx")
    (tmp_path / "rows.json").write_text(json.dumps(rows * 3))
    ended = invoke("pack", "m.onnx", "--name", "m", "--sample", "rows.json")
    assert ended.code == 1
    assert f"column x {said}" in ended.err.replace("the sample's column", "column")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "images holds no file: give a folder whose files are the rows"),
        ([".hidden"], "images holds no file"),
        (["cats/1.png"], "images holds cats, which is no file"),
    ],
    ids=str,
)
def test_a_folder_without_rows_is_refused(invoke: Command, tmp_path: Path, files: list[str], said: str) -> None:
    (tmp_path / "images").mkdir()
    for file in files:
        (tmp_path / "images" / file).parent.mkdir(exist_ok=True)
        (tmp_path / "images" / file).write_bytes(b"x")
    (tmp_path / "shape.py").write_text(SHAPE)
    ended = invoke("pack", "shape.py", "--name", "shape", "--sample", "images")
    assert (ended.code, said in ended.err) == (1, True), ended.err


def test_a_folder_of_other_files_is_called_file_and_read_up_to_a_number(invoke: Command, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for number in range(210):
        (tmp_path / "notes" / f"{number:03}.bin").write_bytes(bytes(number))
    source = "class Model:\n    def predict(self, inputs):\n        return {'n': [len(f) for f in inputs['file']]}\n"
    (tmp_path / "size.py").write_text(source)
    told = invoke("pack", "size.py", "--name", "size", "--sample", "notes").ok().out
    assert "of notes, the first 200 files are the sample; 10 more were left out" in told
    assert manifest(tmp_path, "size")["inputs"][0]["name"] == "file"


def test_a_heavy_folder_has_the_lightest_file_as_its_example(invoke: Command, images: Path, tmp_path: Path) -> None:
    for number in range(3):
        (images / f"{number}.png").write_bytes(png(400 + number, 400, number))
    invoke("pack", "shape.py", "--name", "shape", "--sample", "images").ok()
    golden = json.loads((tmp_path / "models/shape/1/golden.json").read_text())
    assert [example["outputs"]["width"] for example in golden] == [400]


def test_predict_tells_what_it_reads(invoke: Command, images: Path, tmp_path: Path) -> None:
    (tmp_path / "order.py").write_text(ORDER)
    (tmp_path / "orders.json").write_text(json.dumps([{"order": order} for order in ORDERS]))
    invoke("pack", "order.py", "--name", "order", "--sample", "orders.json").ok()
    for file, said in ((images, "is a folder, but the model takes more than a file"), (images / "0.png", "a suffix")):
        ended = invoke("predict", "models/order/1", "--file", file)
        assert (ended.code, said in ended.err) == (1, True), ended.err


def test_a_text_that_a_class_finds_missing_is_nullable(invoke: Command, tmp_path: Path) -> None:
    source = "class Model:\n    def predict(self, inputs):\n        return {'y': [str(t) for t in inputs['t']]}\n"
    (tmp_path / "model.py").write_text(source)
    (tmp_path / "rows.csv").write_text("t,n\na,1\n,2\n")
    invoke("pack", "model.py", "--name", "m", "--sample", "rows.csv").ok()
    assert [column.get("nullable") for column in manifest(tmp_path, "m")["inputs"]] == [True, None]
    assert invoke("predict", "models/m/1", "--data", '{"t": null, "n": 1}').ok().json == {"y": "None"}


def test_text_inputs_of_onnx_stay_text(invoke: Command, tmp_path: Path) -> None:
    import onnx.parser

    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 18]> m (string[N] x) => (string[N] y) { y = Identity(x) }'
    )
    onnx.save(model, tmp_path / "m.onnx")
    np.savez(tmp_path / "rows.npz", x=np.array(["a", "b"]))
    invoke("pack", "m.onnx", "--name", "m", "--sample", "rows.npz").ok()
    assert manifest(tmp_path, "m")["inputs"] == [{"name": "x", "datatype": "BYTES", "shape": []}]
