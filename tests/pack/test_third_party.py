"""ONNX models that others made and ship in their packages: packed, served, and asked by their own library.

The library keeps its own reading of files and of answers; only its session is replaced, by one that
asks our server over HTTP. What the library then says must be what it says by itself.
"""

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import captcha_whisperer
import magika
import numpy as np
import yaml
from captcha_whisperer.preprocess import preprocess_bytes
from commands import Result, post, serving
from PIL import Image, ImageDraw, ImageFont

Invoke = Callable[..., Result]


class Recorder:
    """A session that keeps what it is fed."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.fed: list[dict[str, Any]] = []

    def run(self, names: Any, feeds: dict[str, Any]) -> Any:
        self.fed.append(feeds)
        return self.session.run(names, feeds)


class Remote:
    """A session that asks the server at `url` for each row of its one input."""

    def __init__(self, url: str, output: str, rows_axis: int = 0) -> None:
        self.url, self.output, self.rows_axis = url, output, rows_axis
        self.asked = 0

    def run(self, _names: Any, feeds: dict[str, Any]) -> Any:
        ((name, rows),) = feeds.items()
        self.asked += len(rows)
        answers = [post(self.url, {name: np.asarray(row).tolist()})[self.output] for row in rows]
        return [np.stack([np.array(answer, np.float32) for answer in answers], axis=self.rows_axis)]


def contents() -> list[bytes]:
    """Small files of many kinds."""
    source = Path(__file__).read_bytes()
    page = b"<!DOCTYPE html><html><head><title>Model</title></head><body><p>Answers.</p></body></html>\n" * 8
    table = b"name,age,city\n" + b"".join(b"person%d,%d,Bern\n" % (n, n) for n in range(60))
    script = b'#!/bin/bash\nset -euo pipefail\nfor file in *.txt; do\n  echo "$file"\n  mv -- "$file" /tmp/\ndone\n' * 4
    program = (
        b'#include <stdio.h>\n\nint main(int argc, char **argv) {\n    printf("%d\\n", argc);\n    return 0;\n}\n' * 4
    )
    data = json.dumps({"models": [{"name": f"m{n}", "version": n} for n in range(40)]}).encode()
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 20, 30)).save(picture, "PNG")
    return [
        source,
        page,
        table,
        script,
        program,
        data,
        picture.getvalue(),
        zlib.compress(source),
        struct.pack("400d", *range(400)),
    ]


def captchas() -> list[bytes]:
    """Pictures of letters and digits."""
    pictures = []
    for text in ("7K2B", "HELLO", "93412", "XYZ"):
        image = Image.new("RGB", (160, 60), (240, 240, 235))
        ImageDraw.Draw(image).text((12, 8), text, (20, 30, 90), ImageFont.load_default(38))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        pictures.append(buffer.getvalue())
    return pictures


def test_magika_tells_the_same_of_files_when_our_server_runs_its_model(invoke: Invoke, tmp_path: Path) -> None:
    library = magika.Magika()
    session = library._onnx_session
    library._onnx_session = recorder = Recorder(session)
    alone = [library.identify_bytes(content) for content in contents()]
    np.save(tmp_path / "sample.npy", np.concatenate([fed["bytes"] for fed in recorder.fed]))

    model = next(Path(magika.__file__).parent.glob("models/*/model.onnx"))
    found = invoke("pack", model, "--name", "magika", "--sample", "sample.npy", "--json").ok().json
    assert any("change that much with the rows sent together" in note for note in found["notes"])
    with serving("models/magika/1", cwd=tmp_path) as url:
        library._onnx_session = remote = Remote(url, "target_label")
        served = [library.identify_bytes(content) for content in contents()]
    assert remote.asked == len(recorder.fed) == len(contents())
    for ours, theirs in zip(served, alone, strict=True):
        assert (ours.dl.label, ours.output.label) == (theirs.dl.label, theirs.output.label)
        np.testing.assert_allclose(ours.score, theirs.score, atol=1e-6)
    assert len({result.dl.label for result in alone}) >= 6, "the files are of many kinds"


def test_captchas_are_read_the_same_when_our_server_runs_the_model(invoke: Invoke, tmp_path: Path) -> None:
    library = captcha_whisperer.CaptchaRecognizer()
    alone = [library.recognize_bytes(picture) for picture in captchas()]
    np.save(tmp_path / "sample.npy", np.concatenate([preprocess_bytes(picture) for picture in captchas()]))

    found = invoke("pack", library.model_path, "--name", "captcha", "--sample", "sample.npy", "--json").ok().json
    assert found["notes"] == ["logits: transposed, so that the rows come first"]
    logits = yaml.safe_load(Path("models/captcha/1/model.yaml").read_text())["outputs"][0]
    assert logits["shape"] == [20, 37]
    with serving("models/captcha/1", cwd=tmp_path) as url:
        library._session = remote = Remote(url, "logits", rows_axis=1)
        served = [library.recognize_bytes(picture) for picture in captchas()]
    assert remote.asked == len(captchas())
    for ours, theirs in zip(served, alone, strict=True):
        assert ours["text"] == theirs["text"]
        np.testing.assert_allclose(ours["char_confidences"], theirs["char_confidences"], atol=1e-5)
    assert any(theirs["text"] for theirs in alone)
