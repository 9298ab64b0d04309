"""A file that only is called a pickle is said to be what it is, and no one is asked to trust it."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from modelhost.packing.errors import ConsentError, PackError
from modelhost.packing.file_kinds import other_kind
from modelhost.packing.formats import estimator
from modelhost.packing.samples import Sample

SAMPLE = Sample({"x": np.ones(3)})


def archive() -> bytes:
    with zipfile.ZipFile(packed := io.BytesIO(), "w") as file:
        file.writestr("model.bin", "x")
    return packed.getvalue()


def array() -> bytes:
    np.save(saved := io.BytesIO(), np.ones(3))
    return saved.getvalue()


CASES = [
    (b'{"learner": {}}', "JSON: if it is a model of XGBoost's, call it .json"),
    (b'\xef\xbb\xbf\n [{"x": 1}]', "JSON, and so no model"),
    (b"<!DOCTYPE html>\n<html>Sign in</html>", "an HTML page, as a login or an error is"),
    (b'<?xml version="1.0"?><PMML/>', "XML: if it is PMML"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
    (b"tree\nversion=v4\n", "a model of LightGBM's own format"),
    (b"age,income\n41,2900\n", "text"),
    (archive(), "a zip archive"),
    (array(), "an array of numpy.save"),
    (onnx.ModelProto(ir_version=9, producer_name="skl2onnx").SerializeToString(), "an ONNX model"),
    (b"", "empty"),
]


@pytest.mark.parametrize("allow_pickle", [False, True])
@pytest.mark.parametrize(("content", "said"), CASES)
@pytest.mark.parametrize("suffix", [".joblib", ".skops"])
def test_what_is_no_pickle_is_called_what_it_is(
    tmp_path: Path, content: bytes, said: str, allow_pickle: bool, suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(PackError) as refused:
        estimator.inspect(path, SAMPLE, allow_pickle)
    assert not isinstance(refused.value, ConsentError)
    assert "allow-pickle" not in str(refused.value)
    if suffix == ".skops" and content.startswith(b"PK"):
        assert "cannot be read" in str(refused.value)  # it is what it should be, and has something else in it
    else:
        made = "skops.io.dump" if suffix == ".skops" else "joblib.dump"
        assert f"model{suffix} is not what {made} writes. It is {said}" in str(refused.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_is_cut_is_still_one(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(np.float64(1.5), protocol)[:-4])
    assert other_kind(path) == ""
    with pytest.raises(ConsentError, match="no pickle that can be read to its end"):
        estimator.inspect(path, SAMPLE, allow_pickle=False)
