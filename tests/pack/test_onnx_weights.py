"""ONNX files that keep their weights in others."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.packing.errors import PackError
from onnx_models import FLOAT, Packed, make, node

SAMPLE = {"x": np.ones((3, 40), np.float32)}


def model() -> Any:
    return make(
        [node("Mul", "x w", "wide"), node("Transpose", "wide", "y", perm=[1, 0])],
        [("x", FLOAT, ["N", 40])], [("y", FLOAT, [40, "N"])], {"w": np.arange(40, dtype=np.float32)},
    )  # fmt: skip


def saved(directory: Path, location: str = "weights.bin") -> Path:
    """The model with its weights at `location`."""
    directory.mkdir(exist_ok=True)
    onnx.save(
        model(), directory / "net.onnx", save_as_external_data=True, location=location, size_threshold=0,
        convert_attribute=False,
    )  # fmt: skip
    return directory / "net.onnx"


def test_files_of_weights_are_copied_as_they_are_and_never_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "made")
    written: list[int] = []
    serialize = onnx.ModelProto.SerializeToString

    def record(self: Any, **options: Any) -> bytes:
        content: bytes = serialize(self, **options)
        written.append(len(content))
        return content

    monkeypatch.setattr(onnx.ModelProto, "SerializeToString", record)
    packed = Packed(tmp_path, path, SAMPLE)
    directory = packed.bundle.directory
    content = (tmp_path / "made/weights.bin").read_bytes()
    assert (directory / "weights.bin").read_bytes() == content
    assert packed.bundle.manifest.files["weights.bin"] == hashlib.sha256(content).hexdigest()
    assert content not in (directory / "model.onnx").read_bytes()
    assert written, "the graph was changed and written"
    assert packed.ask(x=np.full((2, 40), 2.0))["y"][0][:3] == [0.0, 2.0, 4.0]


def test_weights_in_a_folder_stay_in_it(tmp_path: Path) -> None:
    (tmp_path / "made/parts").mkdir(parents=True)
    packed = Packed(tmp_path, saved(tmp_path / "made", "parts/w.data"), SAMPLE)
    assert "parts/w.data" in packed.bundle.manifest.files


def test_changed_weights_are_refused_by_the_server(tmp_path: Path) -> None:
    packed = Packed(tmp_path, saved(tmp_path / "made"), SAMPLE)
    (packed.bundle.directory / "weights.bin").write_bytes(bytes(160))
    with pytest.raises(BundleError, match=r"files\[weights.bin\]"):
        read_bundle(packed.bundle.directory)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "made")
    (tmp_path / "made/weights.bin").unlink()
    with pytest.raises(PackError, match=r"keeps weights in weights.bin, which does not exist: put that file beside it"):
        Packed(tmp_path, path, SAMPLE)


@pytest.mark.parametrize(
    ("location", "said"),
    [("../weights.bin", "save it again with its weights in its own directory"), ("model.onnx", "in another file")],
)
def test_weights_that_a_bundle_cannot_hold_are_refused(tmp_path: Path, location: str, said: str) -> None:
    path = saved(tmp_path / "made")
    changed = onnx.load(path, load_external_data=False)
    (entry,) = [entry for entry in changed.graph.initializer[0].external_data if entry.key == "location"]
    (tmp_path / "made" / location).write_bytes((tmp_path / "made/weights.bin").read_bytes())
    entry.value = location
    path.write_bytes(changed.SerializeToString())
    with pytest.raises(PackError, match=said):
        Packed(tmp_path, path, SAMPLE)
