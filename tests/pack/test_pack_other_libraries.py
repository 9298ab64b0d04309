"""Models of other libraries: converted where theirs is there, else refused with the lines that help."""

import ast
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from commands import Result
from modelhost.packing.errors import PackError
from modelhost.packing.formats import open_source, unsupported
from modelhost.packing.samples import Sample
from onnx_models import Packed

Invoke = Callable[..., Result]
SAMPLE = Sample({"x": np.ones((2, 4), np.float32)})


def refusal(path: Path) -> str:
    with pytest.raises(PackError) as caught:
        open_source(path, SAMPLE)
    return str(caught.value)


@pytest.mark.parametrize("suffix", unsupported.SUFFIXES)
def test_each_file_of_another_library_is_refused_with_what_to_do(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"0")
    said = refusal(path)
    assert f"net{suffix} is " in said
    assert any(way in said for way in ("net.onnx", "class Model", "modelhost pack", ".onnx file that it was made from"))
    assert "{" not in said.replace("{0: ", "").replace("{name: ", "").replace('{"text"', "").replace("{\n", "")


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".keras", ".gguf", ".pmml", ".mlmodel", ".safetensors"])
def test_lines_of_python_in_refusals_are_python(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"0")
    lines = [line for line in refusal(path).splitlines() if line.startswith("    ")]
    ast.parse(dedent("\n".join(lines)))


def test_folders_of_other_libraries_are_known(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").write_bytes(b"")
    assert "python -m tf2onnx.convert --saved-model saved --output saved.onnx" in refusal(tmp_path / "saved")


def test_command_shows_the_lines(invoke: Invoke, tmp_path: Path) -> None:
    Path("net.tflite").write_bytes(b"TFL3")
    Path("rows.csv").write_text("a\n1\n")
    ended = invoke("pack", "net.tflite", "--name", "net", "--sample", "rows.csv")
    assert ended.code == 1
    assert "error: net.tflite is a TensorFlow Lite model. Convert it" in ended.err
    assert "--tflite net.tflite --output net.onnx" in ended.err


@pytest.mark.parametrize(("suffix", "said"), [(".pt2", "torch.export.load"), (".pt", "torch.jit.load")])
def test_without_torch_the_lines_that_export_are_shown(
    tmp_path: Path, suffix: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    path = tmp_path / f"net{suffix}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/code/__torch__.py", "")
    message = refusal(path)
    assert "is not installed: install them (pip install torch onnxscript)" in message
    assert said in message


@pytest.mark.filterwarnings("ignore")  # torch's own, of what it deprecates
def test_exported_program_is_converted_with_its_names_and_sizes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="only where torch is installed")
    pytest.importorskip("onnxscript")

    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(50, 8)

        def forward(self, ids: "torch.Tensor", weight: "torch.Tensor") -> dict[str, "torch.Tensor"]:
            return {"mean": self.embedding(ids).mean(1) * weight, "total": ids.sum(1)}

    rows, tokens = torch.export.Dim("rows"), torch.export.Dim("tokens")
    given = (torch.ones(2, 5, dtype=torch.int64), torch.ones(2, 1))
    net = Net().eval()
    shapes = {"ids": {0: rows, 1: tokens}, "weight": {0: rows}}
    torch.export.save(torch.export.export(net, given, dynamic_shapes=shapes), tmp_path / "net.pt2")
    sample = [{"ids": [1, 2, 3], "weight": [0.5]}, {"ids": [4, 5], "weight": [2.0]}]
    packed = Packed(tmp_path, tmp_path / "net.pt2", sample)
    assert packed.shapes == {"ids": [-1], "weight": [1]}
    answer = packed.ask(ids=[[7, 8, 9, 10]], weight=[[3.0]])
    wanted = net(torch.tensor([[7, 8, 9, 10]]), torch.tensor([[3.0]]))
    np.testing.assert_allclose(answer["mean"], wanted["mean"].detach().numpy(), rtol=1e-5)
    assert answer["total"] == [34]


@pytest.mark.filterwarnings("ignore")  # torch's own, of what it deprecates
def test_torchscript_is_converted_and_its_sizes_are_tried(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="only where torch is installed")
    pytest.importorskip("onnxscript")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    torch.jit.save(torch.jit.trace(net.eval(), torch.ones(1, 3, 8, 8)), tmp_path / "net.pt")
    images = np.random.default_rng(0).random((3, 3, 8, 8)).astype(np.float32)
    packed = Packed(tmp_path, tmp_path / "net.pt", {"input": images})
    assert packed.shapes == {"input": [3, -1, -1]}
    other = images[:, :, :, :5]
    np.testing.assert_allclose(
        packed.ask(input=other)["output"], net(torch.from_numpy(other.copy())).detach().numpy(), rtol=1e-4, atol=1e-6
    )


def test_weights_alone_are_told_from_torchscript(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data.pkl", json.dumps({}))
    assert "weights without the model" in refusal(path)
