"""Pickles as the libraries of models write them: read to their end, and refused for what they import."""

import io
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas
import pytest
from commands import Result
from joblib_pickles import CASES
from modelhost.bundle.bundle import BundleError, read_bundle
from modelhost.bundle.pickle_scan import dangerous_imports, refuse_dangerous_pickles
from picklescan.scanner import scan_bytes
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from test_pack_formats import forge
from trained import train

Invoke = Callable[..., Result]
RNG = np.random.default_rng(0)


class Trap:
    """Unpickled, it leaves a file."""

    def __reduce__(self) -> Any:
        return os.system, ("touch sprung",)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("sprung").exists(), "it ran"


def forest() -> Any:
    rows = RNG.normal(size=(200, 4))
    return RandomForestClassifier(20, random_state=0).fit(rows, rows.sum(axis=1) > 0)


ARRAYS: dict[str, Callable[[], Any]] = {
    "numbers": lambda: RNG.normal(size=(7, 5)),
    "in columns": lambda: np.asfortranarray(RNG.normal(size=(7, 5))),
    "texts": lambda: np.array(["a", "longer", "ü"]),
    "bytes": lambda: np.array([b"a", b"bcd"]),
    "objects": lambda: np.array(["a", None, {"b": 1}], dtype=object),
    "booleans": lambda: np.array([True, False]),
    "halves": lambda: np.zeros(3, np.float16),
    "complex": lambda: np.zeros(3, complex),
    "a scalar": lambda: np.array(3.5),
    "none": lambda: np.zeros((0, 4)),
    "dates": lambda: np.array(["2026-01-01"], dtype="datetime64[D]"),
    "records": lambda: np.zeros(3, dtype=[("a", "i4"), ("b", "U5")]),
    "records with objects": lambda: np.array([(1, "x")], dtype=[("a", "i4"), ("b", "O")]),
    "big endian": lambda: np.arange(5, dtype=">i8"),
    "a table": lambda: pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", None], "c": pandas.Categorical(["u", "v"])}),
    "a forest": forest,
    "a pipeline": lambda: make_pipeline(OneHotEncoder(), FunctionTransformer(np.abs), LogisticRegression()),
}


@pytest.mark.parametrize("protocol", [None, 0, 2, 5])
@pytest.mark.parametrize("kind", ARRAYS)
def test_what_stands_behind_joblibs_arrays_is_seen(kind: str, protocol: int | None) -> None:
    value = ARRAYS[kind]()
    joblib.dump([value, value, "end"], "m.joblib", protocol=protocol)
    assert dangerous_imports(Path("m.joblib"), True) == {}, "it is read to its end"
    joblib.dump([value, Trap()], "m.joblib", protocol=protocol)
    assert dangerous_imports(Path("m.joblib"), True) == {"": ["posix.system"]}


def test_the_scanner_alone_does_not_see_it() -> None:
    """Why a pickle is read here; where this fails, pickle_imports.py may be superfluous."""
    written = io.BytesIO()
    joblib.dump([RNG.normal(size=100), Trap()], written)
    written.seek(0)
    assert scan_bytes(written, "m.joblib").issues_count == 0


@pytest.mark.parametrize("how", [("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_packed_by_joblib_too(how: tuple[str, int]) -> None:
    joblib.dump([forest(), "end"], "m.joblib", compress=how)
    assert dangerous_imports(Path("m.joblib"), True) == {}
    joblib.dump([forest(), Trap()], "m.joblib", compress=how)
    assert dangerous_imports(Path("m.joblib"), True) == {"": ["posix.system"]}


def test_arrays_of_objects_in_numpys_own_files() -> None:
    np.save("a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez("b.npz", x=np.zeros(3), y=np.array([Trap()], dtype=object))
    np.savez_compressed("c.npz", y=np.array([Trap()], dtype=object))
    np.save("d.npy", np.array([("a", 1)], dtype=[("Other", "U3"), ("Number", "i4")]))
    found = [dangerous_imports(Path(name), False) for name in ("a.npy", "b.npz", "c.npz", "d.npy")]
    assert found == [{"": ["posix.system"]}, {":y.npy": ["posix.system"]}, {":y.npy": ["posix.system"]}, {}]


def test_a_torch_file_of_state(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.zeros(3), "trap": Trap()}, "m.pt")
    assert list(dangerous_imports(Path("m.pt"), False).values()) == [["posix.system"]]
    torch.save({"w": torch.zeros(3)}, "m.pt")
    assert dangerous_imports(Path("m.pt"), False) == {}


def test_a_forged_bundle_is_refused(tmp_path: Path) -> None:
    bundle = read_bundle(forge(tmp_path, "pickle", pickle.dumps(Trap()), allow_pickle=True))
    with pytest.raises(
        BundleError, match=r"trap/1/model\.yaml: files: model\.bin imports posix\.system, which can run"
    ):
        refuse_dangerous_pickles(bundle.directory, bundle.manifest)


def test_pack_opens_no_such_pickle_unless_that_is_said(invoke: Invoke) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return subprocess.check_call, (["touch", "sprung"],)

    model, sample = train("forest").write(Path())
    joblib.dump([joblib.load(model), Runs()], "bad.joblib")
    refused = invoke("pack", "bad.joblib", "--name", "m", "--sample", sample)
    assert refused.code == 1
    assert "bad.joblib imports subprocess.check_call, which can run commands" in refused.err
    assert "--allow-pickle" in refused.err
    assert not Path("models").exists()


def test_pack_opens_no_pickle_that_cannot_be_read_unless_that_is_said(invoke: Invoke) -> None:
    _, sample = train("forest").write(Path())
    Path("bad.joblib").write_bytes(CASES["dtype is a class"])
    refused = invoke("pack", "bad.joblib", "--name", "m", "--sample", sample)
    assert refused.code == 1
    assert "bad.joblib is no pickle that can be read to its end (an array in it has no datatype" in refused.err
    assert "add --allow-pickle" in refused.err
    assert not Path("models").exists()


def test_pack_puts_no_such_pickle_into_a_bundle(invoke: Invoke) -> None:
    Path("weights.pkl").write_bytes(pickle.dumps(Trap()))
    Path("model.py").write_text("class Model:\n    def predict(self, inputs):\n        return {'y': inputs['x']}\n")
    Path("rows.csv").write_text("x\n1.5\n2.5\n")
    refused = invoke("pack", "model.py", "--name", "m", "--sample", "rows.csv", "--with", "weights.pkl")
    assert refused.code == 1
    assert "m/1/model.yaml: files: weights.pkl imports posix.system" in refused.err
    assert not Path("models").exists(), "nothing is left behind"
